//! Small pieces of syntax trees.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, ObjectName, Select, SelectFlavor, SelectItem, SetExpr,
    SetOperator, SetQuantifier, UnaryOperator, Value as SqlValue,
};

use crate::engine::SqlError;
use crate::sql::error::unsupported;
use crate::sql::functions::PREFIX;
use crate::sql::tokens::no_token;

/// A call of one of our functions, named without the prefix.
pub(crate) fn call(name: &str, args: Vec<Expr>) -> Expr {
    named_call(&format!("{PREFIX}{name}"), args)
}

/// A call of a function by its name inside the plan.
pub(super) fn named_call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
    Expr::Function(Function {
        name: ObjectName::from(Ident::with_quote('"', name)),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// A string literal.
pub(crate) fn string(text: impl Into<String>) -> Expr {
    Expr::Value(SqlValue::SingleQuotedString(text.into()).into())
}

/// A column.
pub(crate) fn identifier(name: &str) -> Expr {
    Expr::Identifier(Ident::with_quote('"', name))
}

/// NULL.
pub(super) fn null() -> Expr {
    Expr::Value(SqlValue::Null.into())
}

/// A number that no later step turns into a NUMBER.
pub(super) fn plain_number(number: u64) -> Expr {
    Expr::Value(SqlValue::Number(number.to_string(), true).into())
}

/// An expression in parentheses.
pub(super) fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

/// An operation on two operands.
pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// CASE as a call: WHEN, THEN, …, ELSE.
pub(super) fn case(branches: Vec<(Expr, Expr)>, otherwise: Expr) -> Expr {
    let mut args: Vec<Expr> = branches.into_iter().flat_map(|(when, then)| [when, then]).collect();
    args.push(otherwise);
    call("case", args)
}

/// OR over all, as a balanced tree so that a long IN list needs no deep stack.
pub(super) fn any_of(mut tests: Vec<Expr>) -> Option<Expr> {
    if tests.len() <= 1 {
        return tests.pop();
    }
    let right = any_of(tests.split_off(tests.len() / 2))?;
    let left = any_of(tests)?;
    Some(binary(nested(left), BinaryOperator::Or, nested(right)))
}

/// UNION ALL over all, balanced as well.
pub(super) fn union_all(mut selects: Vec<SetExpr>) -> Option<SetExpr> {
    if selects.len() <= 1 {
        return selects.pop();
    }
    let right = union_all(selects.split_off(selects.len() / 2))?;
    let left = union_all(selects)?;
    Some(SetExpr::SetOperation {
        left: Box::new(left),
        op: SetOperator::Union,
        set_quantifier: SetQuantifier::All,
        right: Box::new(right),
    })
}

/// `SELECT e1 AS COLUMN1, e2 AS COLUMN2, …` for a row of VALUES.
pub(super) fn select_of_row(row: Vec<Expr>) -> SetExpr {
    let projection = row.into_iter().enumerate().map(|(index, expr)| SelectItem::ExprWithAlias {
        expr,
        alias: Ident::with_quote('"', format!("COLUMN{}", index + 1)),
    });
    SetExpr::Select(Box::new(Select { projection: projection.collect(), ..empty_select() }))
}

/// A SELECT with nothing in it.
pub(crate) fn empty_select() -> Select {
    Select {
        select_token: no_token(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection: Vec::new(),
        exclude: None,
        into: None,
        from: Vec::new(),
        lateral_views: Vec::new(),
        prewhere: None,
        selection: None,
        connect_by: Vec::new(),
        group_by: GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: SelectFlavor::Standard,
    }
}

/// The literal's negative, or a call that computes it.
pub(super) fn negative(expr: Expr) -> Expr {
    let digits = match &expr {
        Expr::Function(function) if function.name.to_string() == "\"sf_num\"" => {
            match &function.args {
                FunctionArguments::List(list) => match list.args.as_slice() {
                    [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] => {
                        match &value.value {
                            SqlValue::SingleQuotedString(text) => Some(text.clone()),
                            _ => None,
                        }
                    }
                    _ => None,
                },
                _ => None,
            }
        }
        _ => None,
    };
    match digits {
        Some(digits) if !digits.starts_with('-') => call("num", vec![string(format!("-{digits}"))]),
        _ => call("neg", vec![expr]),
    }
}

/// Adding an interval is DATEADD; all else stays an operation.
pub(super) fn operation(left: Expr, op: BinaryOperator, right: Expr) -> Result<Expr, SqlError> {
    match (&left, &op, &right) {
        (_, BinaryOperator::Plus | BinaryOperator::Minus, Expr::Interval(interval)) => {
            let negative = op == BinaryOperator::Minus;
            add_interval(left.clone(), interval, negative)
        }
        (Expr::Interval(interval), BinaryOperator::Plus, _) => {
            add_interval(right.clone(), interval, false)
        }
        (Expr::Interval(_), _, _) | (_, _, Expr::Interval(_)) => Err(unsupported("INTERVAL here")),
        _ => Ok(binary(left, op, right)),
    }
}

/// `INTERVAL '1 day, 2 hours'` or `INTERVAL '3' DAY`.
fn add_interval(
    target: Expr,
    interval: &datafusion::sql::sqlparser::ast::Interval,
    negative: bool,
) -> Result<Expr, SqlError> {
    let text = match interval.value.as_ref() {
        Expr::Value(value) => match &value.value {
            SqlValue::SingleQuotedString(text) => text.clone(),
            _ => return Err(unsupported("this INTERVAL")),
        },
        _ => return Err(unsupported("this INTERVAL")),
    };
    let field = interval.leading_field.as_ref().map(ToString::to_string);
    let mut result = target;
    for piece in text.split(',') {
        let mut words = piece.split_whitespace();
        let count = words.next().unwrap_or_default().to_owned();
        let unit = words.next().map(str::to_owned).or_else(|| field.clone());
        let unit = unit.unwrap_or_else(|| "second".to_owned());
        let count = if negative { format!("-{count}") } else { count };
        if words.next().is_some() || count.parse::<i64>().is_err() {
            return Err(unsupported(format!("INTERVAL '{text}'")));
        }
        result = call("dateadd", vec![string(unit), call("num", vec![string(count)]), result]);
    }
    Ok(result)
}

/// NOT of an expression.
pub(super) fn not(expr: Expr) -> Expr {
    Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(nested(expr)) }
}
