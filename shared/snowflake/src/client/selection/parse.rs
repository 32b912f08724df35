//! Reads filters and queries, refuses what is more than a condition or a SELECT, and prints them
//! back from the tree.
//!
//! Comments, line breaks and whatever else the text held are gone in the print. What is printed is
//! parsed again and must give the same tree, so the print means what was judged, whatever the
//! printer thinks of quotes and backslashes. Literals keep their spelling.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use snowferry_model::names::{Identifier, TableName};
use sqlparser::ast::{
    BinaryOperator, CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    JsonPathElem, ObjectName, Query, Select, SetExpr, Statement, UnaryOperator, Value,
    ValueWithSpan, Visit, Visitor,
};
use sqlparser::dialect::SnowflakeDialect;
use sqlparser::parser::{Parser, ParserError, ParserOptions};
use sqlparser::tokenizer::Token;

/// The longest filter, in bytes.
const FILTER_MAX_BYTES: usize = 16 << 10;

/// The longest query, in bytes.
const QUERY_MAX_BYTES: usize = 64 << 10;

/// A chain of operators is as deep as it is long before it is judged, and so is what frees it.
const STACK_BYTES: usize = 64 << 20;

/// How deep a tree may be: `a OR b OR c …` is one deeper for each OR.
const MAX_DEPTH: usize = 200;

const DIALECT: SnowflakeDialect = SnowflakeDialect {};

/// Functions that act, make a name out of a text, or read what another statement gave.
const REFUSED_FUNCTIONS: [&str; 3] = ["IDENTIFIER", "RESULT_SCAN", "LAST_QUERY_ID"];
const REFUSED_PREFIX: &str = "SYSTEM$";

/// Returns the print of a filter, and the columns it names.
pub(super) fn filter(written: &str) -> Result<(String, Vec<Identifier>), String> {
    check_length(written, FILTER_MAX_BYTES)?;
    with_deep_stack(|| judged_filter(written))
}

/// Returns the print of a query, and the tables it reads.
pub(super) fn query(written: &str) -> Result<(String, Vec<TableName>), String> {
    check_length(written, QUERY_MAX_BYTES)?;
    with_deep_stack(|| judged_query(written))
}

/// Runs `work` where the depth of a tree cannot exhaust the stack.
fn with_deep_stack<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let running = thread.spawn_scoped(scope, work);
        let running = running.map_err(|error| format!("it was not read: {error}"))?;
        running.join().unwrap_or_else(|_| Err("it cannot be read".to_owned()))
    })
}

fn judged_filter(written: &str) -> Result<(String, Vec<Identifier>), String> {
    let expression = parse_filter(written)?;
    let mut columns = BTreeSet::new();
    admit(&expression, &mut columns, 0)?;
    if !is_condition(&expression) {
        return Err("it is no condition: it must be true or false for each row".to_owned());
    }
    let text = expression.to_string();
    match parse_filter(&text) {
        Ok(again) if again == expression => Ok((text, columns.into_iter().collect())),
        _ => Err("it cannot be written back without a change of its meaning".to_owned()),
    }
}

fn judged_query(written: &str) -> Result<(String, Vec<TableName>), String> {
    let query = parse_query(written)?;
    let mut judge = Judge::default();
    if let ControlFlow::Break(reason) = query.visit(&mut judge) {
        return Err(reason);
    }
    let mut tables = BTreeSet::new();
    for relation in &judge.relations {
        if !judge.named_here.contains(relation) {
            tables.insert(
                relation
                    .parse::<TableName>()
                    .map_err(|_| format!("{relation} is not named as DATABASE.SCHEMA.TABLE"))?,
            );
        }
    }
    let text = query.to_string();
    match parse_query(&text) {
        Ok(again) if again == query => Ok((text, tables.into_iter().collect())),
        _ => Err("it cannot be written back without a change of its meaning".to_owned()),
    }
}

fn check_length(written: &str, max: usize) -> Result<(), String> {
    match written {
        _ if written.trim().is_empty() => Err("it is empty".to_owned()),
        _ if written.len() > max => Err(format!("it is longer than {max} bytes")),
        _ if written.contains('\0') => Err("it holds a NUL character".to_owned()),
        _ => Ok(()),
    }
}

fn parser(written: &str) -> Result<Parser<'static>, String> {
    let options = ParserOptions::new().with_unescape(false);
    Parser::new(&DIALECT).with_options(options).try_with_sql(written).map_err(told)
}

fn parse_filter(written: &str) -> Result<Expr, String> {
    let mut parser = parser(written)?;
    let expression = parser.parse_expr().map_err(told)?;
    match parser.peek_token().token {
        Token::EOF => Ok(expression),
        Token::SemiColon => Err("it goes on after a semicolon".to_owned()),
        _ => Err("it goes on after its end: it must be one expression".to_owned()),
    }
}

fn parse_query(written: &str) -> Result<Box<Query>, String> {
    let mut statements = parser(written)?.parse_statements().map_err(told)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(Statement::Query(query)), true) => Ok(query),
        (Some(_), true) => Err("it is no SELECT".to_owned()),
        _ => Err("it is more than one statement".to_owned()),
    }
}

/// Words a parser's refusal without what it read: a filter may hold values of the customer.
fn told(error: ParserError) -> String {
    match error {
        ParserError::RecursionLimitExceeded => "it is nested too deep".to_owned(),
        ParserError::TokenizerError(_) => "a quote or comment in it does not end".to_owned(),
        ParserError::ParserError(message) => {
            let place = message.rsplit_once(" at Line: ").map(|(_, place)| place.to_owned());
            match place {
                Some(place) => format!("it cannot be read from line {place} on"),
                None => "it cannot be read".to_owned(),
            }
        }
    }
}

/// Tests that an expression is made of what a filter may hold.
fn admit(
    expression: &Expr,
    columns: &mut BTreeSet<Identifier>,
    depth: usize,
) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("it is nested more than {MAX_DEPTH} deep; IN takes many values"));
    }
    let mut each = |parts: &[&Expr]| -> Result<(), String> {
        parts.iter().try_for_each(|part| admit(part, columns, depth + 1))
    };
    match expression {
        Expr::Identifier(name) => {
            let name = Identifier::parse(&name.to_string())
                .map_err(|error| format!("a column's name in it: {error}"))?;
            columns.insert(name);
            Ok(())
        }
        Expr::Value(value) => admit_value(&value.value),
        Expr::TypedString(typed) if !typed.uses_odbc_syntax => admit_value(&typed.value.value),
        Expr::Nested(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner) => each(&[inner]),
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            each(&[left, right])
        }
        Expr::BinaryOp { left, op, right } if is_admitted(op) => each(&[left, right]),
        Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::Minus, expr } => each(&[expr]),
        Expr::Between { expr, low, high, .. } => each(&[expr, low, high]),
        Expr::InList { expr, list, .. } => {
            each(&[expr])?;
            list.iter().try_for_each(|item| each(&[item]))
        }
        Expr::Like { any: false, expr, pattern, escape_char, .. }
        | Expr::ILike { any: false, expr, pattern, escape_char, .. } => {
            each(&[expr, pattern])?;
            escape_char.as_ref().map_or(Ok(()), |escape| admit_value(&escape.value))
        }
        Expr::RLike { expr, pattern, .. } => each(&[expr, pattern]),
        Expr::Cast { kind, expr, array: false, format: None, .. }
            if *kind != CastKind::SafeCast =>
        {
            each(&[expr])
        }
        Expr::JsonAccess { value, path } => {
            each(&[value])?;
            path.path.iter().try_for_each(|element| match element {
                JsonPathElem::Dot { .. } => Ok(()),
                JsonPathElem::Bracket { key } | JsonPathElem::ColonBracket { key } => each(&[key]),
            })
        }
        Expr::Extract { expr, .. } | Expr::Ceil { expr, .. } | Expr::Floor { expr, .. } => {
            each(&[expr])
        }
        Expr::Position { expr, r#in } => each(&[expr, r#in]),
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            each(&[expr])?;
            let more = [substring_from, substring_for].into_iter().flatten();
            more.into_iter().try_for_each(|part| each(&[part]))
        }
        Expr::Trim { expr, trim_what, trim_characters, .. } => {
            each(&[expr])?;
            trim_what.iter().try_for_each(|part| each(&[part]))?;
            trim_characters.iter().flatten().try_for_each(|part| each(&[part]))
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            operand.iter().chain(else_result).try_for_each(|part| each(&[part]))?;
            conditions.iter().try_for_each(|when| each(&[&when.condition, &when.result]))
        }
        Expr::Function(function) => {
            for argument in plain_arguments(function)? {
                each(&[argument])?;
            }
            Ok(())
        }
        Expr::CompoundIdentifier(_) => {
            Err("it names a column with its table; the column's name alone is meant".to_owned())
        }
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => {
            Err("it holds a subquery; a query of its own goes into `query`".to_owned())
        }
        _ => Err("it holds something that a filter may not: only comparisons, AND, OR, NOT, IN, \
                  BETWEEN, LIKE, CASE, casts and Snowflake's own functions over columns are taken"
            .to_owned()),
    }
}

fn is_admitted(operator: &BinaryOperator) -> bool {
    use BinaryOperator as Op;
    matches!(
        operator,
        Op::Plus
            | Op::Minus
            | Op::Multiply
            | Op::Divide
            | Op::Modulo
            | Op::StringConcat
            | Op::And
            | Op::Or
    ) || is_comparison(operator)
}

fn is_comparison(operator: &BinaryOperator) -> bool {
    use BinaryOperator as Op;
    matches!(operator, Op::Gt | Op::Lt | Op::GtEq | Op::LtEq | Op::Eq | Op::NotEq)
}

/// Returns whether an expression can be true or false by its form.
fn is_condition(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) => is_condition(inner),
        Expr::UnaryOp { op, .. } => *op == UnaryOperator::Not,
        Expr::BinaryOp { op, .. } => {
            is_comparison(op) || matches!(op, BinaryOperator::And | BinaryOperator::Or)
        }
        Expr::Value(ValueWithSpan { value, .. }) => matches!(value, Value::Boolean(_)),
        Expr::TypedString(_) | Expr::Extract { .. } | Expr::Ceil { .. } | Expr::Floor { .. } => {
            false
        }
        Expr::Position { .. } | Expr::Substring { .. } | Expr::Trim { .. } => false,
        _ => true,
    }
}

fn admit_value(value: &Value) -> Result<(), String> {
    match value {
        Value::Number(_, false)
        | Value::SingleQuotedString(_)
        | Value::Boolean(_)
        | Value::Null => Ok(()),
        Value::Placeholder(_) => Err("it holds a bind or a variable".to_owned()),
        _ => {
            Err("it holds a literal that is neither a number nor a text in single quotes"
                .to_owned())
        }
    }
}

/// Returns the arguments of a function that is Snowflake's own and has no clause of its own.
fn plain_arguments(function: &Function) -> Result<Vec<&Expr>, String> {
    admit_name(&function.name)?;
    if function.name.0.len() != 1 {
        return Err("it calls a function of the account; only Snowflake's own are taken".to_owned());
    }
    let plain = !function.uses_odbc_syntax
        && function.parameters == FunctionArguments::None
        && function.filter.is_none()
        && function.null_treatment.is_none()
        && function.over.is_none()
        && function.within_group.is_empty();
    let arguments = match &function.args {
        FunctionArguments::None if plain => return Ok(Vec::new()),
        FunctionArguments::List(list)
            if plain && list.duplicate_treatment.is_none() && list.clauses.is_empty() =>
        {
            &list.args
        }
        _ => return Err("it calls a function with more than plain arguments".to_owned()),
    };
    arguments
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => Ok(argument),
            _ => Err("it calls a function with more than plain arguments".to_owned()),
        })
        .collect()
}

fn admit_name(function: &ObjectName) -> Result<(), String> {
    for part in &function.0 {
        let name = part.to_string().replace('"', "").to_uppercase();
        if name.starts_with(REFUSED_PREFIX) || REFUSED_FUNCTIONS.contains(&name.as_str()) {
            return Err(format!("it calls {name}"));
        }
    }
    Ok(())
}

/// Walks a query and stops at what a read may not hold.
#[derive(Debug, Default)]
struct Judge {
    depth: usize,
    relations: BTreeSet<String>,
    /// Names that WITH gives.
    named_here: BTreeSet<String>,
}

impl Judge {
    fn deeper(&mut self) -> ControlFlow<String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return ControlFlow::Break(format!("it is nested more than {MAX_DEPTH} deep"));
        }
        ControlFlow::Continue(())
    }
}

fn flow(result: Result<(), String>) -> ControlFlow<String> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(reason) => ControlFlow::Break(reason),
    }
}

/// Tests that a query's body selects.
fn selects(body: &SetExpr, depth: usize) -> bool {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) => true,
        SetExpr::SetOperation { left, right, .. } => {
            depth < MAX_DEPTH && selects(left, depth + 1) && selects(right, depth + 1)
        }
        _ => false,
    }
}

impl Visitor for Judge {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.deeper()?;
        let plain = query.locks.is_empty()
            && query.for_clause.is_none()
            && query.settings.is_none()
            && query.format_clause.is_none()
            && query.pipe_operators.is_empty();
        if !plain || !selects(&query.body, 0) {
            return ControlFlow::Break("it does more than select".to_owned());
        }
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.named_here.insert(cte.alias.name.to_string());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<String> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        match select.into {
            Some(_) => ControlFlow::Break("it selects into a table".to_owned()),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        self.relations.insert(relation.to_string());
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<String> {
        self.deeper()?;
        match expression {
            Expr::Function(function) => flow(admit_name(&function.name)),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, _expression: &Expr) -> ControlFlow<String> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, _statement: &Statement) -> ControlFlow<String> {
        ControlFlow::Break("it holds a statement".to_owned())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<String> {
        flow(admit_value(&value.value))
    }
}
