//! Turns a parsed query into one that names only functions of ours.
//!
//! After this pass a tree holds columns, comparisons, AND, OR, NOT, IS NULL, subqueries and calls
//! of `sf_…` functions and of five aggregates; all else that SQL can say has become one of these
//! or an error. What needs the types of its operands (comparisons, arithmetic, CASE) is decided
//! later, by `plan`.

mod build;
mod functions;
mod predicates;
mod tables;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, Distinct, Expr, GroupByExpr, Ident, LimitClause, ObjectName,
    ObjectNamePart, OrderByKind, Query, Select, SelectItem, SetExpr, Statement, TableAlias,
    TableFactor, TableVersion, TopQuantity, UnaryOperator, Value as SqlValue, VisitMut, VisitorMut,
};

pub(crate) use build::empty_select;
use build::{binary, case, null, plain_number, select_of_row, union_all};
use build::{call, string};

use super::error::{compile, syntax, unsupported};
use super::history::History;
use crate::engine::{Bind, SessionContext, SqlError};

/// Marks names that stand for something else than a table of the catalogue.
pub(crate) const MARK: char = '\u{0}';
/// Tells apart output columns of one name; cut off before anybody sees it.
pub(crate) const TWIN: char = '\u{1}';

/// A table as of an earlier moment.
#[derive(Clone, Debug)]
pub(crate) enum TimeTravel {
    /// A moment.
    At(Expr),
    /// Seconds relative to now.
    Offset(Expr),
    /// The end of a statement.
    Statement(Expr),
}

/// Which side of a moment is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// With what was committed at that moment.
    At,
    /// Without it.
    Before,
}

/// What functions without columns need to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub session: &'a SessionContext,
    pub binds: &'a [Bind],
    pub history: &'a History,
    pub transaction: Option<u64>,
    pub now_ns: i128,
    pub changes: &'a dyn Changes,
}

/// Tells when objects changed.
pub(crate) trait Changes: std::fmt::Debug {
    /// Returns the moment of the last commit to a table that the session names by a text.
    ///
    /// # Errors
    /// As for a table that is read: missing, not visible, no table.
    fn last_commit_ns(&self, name: &str) -> Result<i128, SqlError>;
}

/// The pass and what it found.
pub(crate) struct Rewriter<'a> {
    facts: Facts<'a>,
    /// Names of the outermost SELECT's items by their source text, until they are used.
    names: Option<Vec<String>>,
    depth: usize,
    /// The moments that `FROM t AT(…)` names, in the order of their marks.
    pub(crate) travels: Vec<(TimeTravel, Side)>,
}

impl<'a> Rewriter<'a> {
    /// A pass for one statement.
    pub(crate) fn new(facts: Facts<'a>) -> Self {
        Self { facts, names: None, depth: 0, travels: Vec::new() }
    }

    /// Names the outermost SELECT's items by source text.
    pub(crate) fn with_names(mut self, names: Vec<String>) -> Self {
        self.names = Some(names);
        self
    }

    /// The id that LAST_QUERY_ID(n) gives.
    fn last_query_id(&self, nth: i64) -> Option<String> {
        let session = self.facts.session;
        self.facts.history.nth(session.session_id, &session.query_id, nth)
    }

    /// Rewrites a statement in place.
    pub(crate) fn statement(&mut self, statement: &mut Statement) -> Result<(), SqlError> {
        flow(statement.visit(self))
    }

    /// Rewrites a lone expression in place.
    pub(crate) fn expression(&mut self, expression: &mut Expr) -> Result<(), SqlError> {
        flow(expression.visit(self))
    }

    fn query(&mut self, query: &mut Query) -> Result<(), SqlError> {
        let exotic = !query.locks.is_empty()
            || query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if exotic || query.with.as_ref().is_some_and(|with| with.recursive) {
            return Err(unsupported("this clause of a query"));
        }
        if let SetExpr::Values(values) = query.body.as_mut() {
            let rows = std::mem::take(&mut values.rows);
            if rows.len() > 1000 {
                return Err(unsupported("VALUES of more than 1000 rows in a query"));
            }
            let selects: Vec<SetExpr> =
                rows.into_iter().map(|row| select_of_row(row.content)).collect();
            *query.body = union_all(selects).ok_or_else(|| syntax("VALUES without rows"))?;
        }
        self.limit(query)?;
        if let Some(order_by) = &mut query.order_by {
            if order_by.interpolate.is_some() {
                return Err(unsupported("INTERPOLATE"));
            }
            match &mut order_by.kind {
                OrderByKind::All(_) => return Err(unsupported("ORDER BY ALL")),
                OrderByKind::Expressions(items) => {
                    items.iter_mut().for_each(|item| keep_number(&mut item.expr));
                }
            }
        }
        Ok(())
    }

    fn limit(&self, query: &mut Query) -> Result<(), SqlError> {
        if let Some(fetch) = query.fetch.take() {
            if fetch.with_ties || fetch.percent || query.limit_clause.is_some() {
                return Err(unsupported("this FETCH clause"));
            }
            let limit = Some(fetch.quantity.unwrap_or_else(|| plain_number(1)));
            query.limit_clause =
                Some(LimitClause::LimitOffset { limit, offset: None, limit_by: Vec::new() });
        }
        if let SetExpr::Select(select) = query.body.as_mut()
            && let Some(top) = select.top.take()
        {
            let Some(TopQuantity::Constant(rows)) = top.quantity else {
                return Err(unsupported("this TOP clause"));
            };
            let limit = Some(plain_number(rows));
            query.limit_clause =
                Some(LimitClause::LimitOffset { limit, offset: None, limit_by: Vec::new() });
        }
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) => {
                if !limit_by.is_empty() {
                    return Err(unsupported("LIMIT BY"));
                }
                if matches!(limit, Some(Expr::Value(value)) if value.value == SqlValue::Null) {
                    *limit = None;
                }
                for number in limit.iter_mut().chain(offset.iter_mut().map(|o| &mut o.value)) {
                    self.row_count(number)?;
                }
                Ok(())
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => Err(unsupported("LIMIT with a comma")),
            None => Ok(()),
        }
    }

    /// LIMIT and OFFSET take a whole number, literal or bound.
    fn row_count(&self, number: &mut Expr) -> Result<(), SqlError> {
        let text = match number {
            Expr::Value(value) => match &value.value {
                SqlValue::Number(digits, _) => digits.clone(),
                SqlValue::Placeholder(mark) => self.bound(mark)?.value.clone().unwrap_or_default(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        let rows = text.parse::<u64>().map_err(|_| {
            compile("001006", "42601", format!("Invalid row count '{number}' in limit clause"))
        })?;
        *number = plain_number(rows);
        Ok(())
    }

    fn select(&mut self, select: &mut Select) -> Result<(), SqlError> {
        let exotic = select.into.is_some()
            || !select.lateral_views.is_empty()
            || select.prewhere.is_some()
            || !select.connect_by.is_empty()
            || !select.cluster_by.is_empty()
            || !select.distribute_by.is_empty()
            || !select.sort_by.is_empty()
            || select.value_table_mode.is_some()
            || select.exclude.is_some()
            || select.select_modifiers.is_some()
            || matches!(select.distinct, Some(Distinct::On(_)));
        if exotic || select.projection.is_empty() {
            return Err(unsupported("this clause of SELECT"));
        }
        if let GroupByExpr::Expressions(items, modifiers) = &mut select.group_by {
            if !modifiers.is_empty() {
                return Err(unsupported("this GROUP BY clause"));
            }
            items.iter_mut().for_each(keep_number);
        } else {
            return Err(unsupported("GROUP BY ALL"));
        }
        let names = if self.depth == 1 { self.names.take() } else { None };
        let names = names.filter(|names| names.len() == select.projection.len());
        let mut used: Vec<String> = Vec::new();
        for (index, item) in select.projection.iter_mut().enumerate() {
            let named = names.as_ref().and_then(|names| names.get(index));
            name_item(item, named, &mut used)?;
        }
        Ok(())
    }

    fn table_factor(&mut self, factor: &mut TableFactor) -> Result<(), SqlError> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                let plain = args.is_none()
                    && with_hints.is_empty()
                    && !*with_ordinality
                    && partitions.is_empty()
                    && json_path.is_none()
                    && sample.is_none()
                    && index_hints.is_empty();
                if !plain {
                    return Err(unsupported("this clause after a table"));
                }
                if let Some(version) = version.take() {
                    self.travel(name, alias, version)?;
                }
                Ok(())
            }
            TableFactor::Derived { lateral: false, sample: None, .. }
            | TableFactor::NestedJoin { .. } => Ok(()),
            TableFactor::TableFunction { expr, alias } => {
                let (name, alias) = (tables::table_function(self, expr)?, alias.take());
                *factor = table_named(ObjectName::from(name), alias);
                Ok(())
            }
            _ => Err(unsupported("this kind of table")),
        }
    }

    /// `FROM t AT(TIMESTAMP => …)`: the name gets a mark, the moment goes to the list.
    fn travel(
        &mut self,
        name: &mut ObjectName,
        alias: &mut Option<TableAlias>,
        version: TableVersion,
    ) -> Result<(), SqlError> {
        let TableVersion::Function(mut moment) = version else {
            return Err(unsupported("CHANGES"));
        };
        let index = self.travels.len();
        let travel = self.moment(&mut moment)?;
        self.travels.push(travel);
        let last = name.0.last_mut().and_then(|part| match part {
            ObjectNamePart::Identifier(identifier) => Some(identifier),
            ObjectNamePart::Function(_) => None,
        });
        let last = last.ok_or_else(|| unsupported("this table name"))?;
        if alias.is_none() {
            *alias = Some(TableAlias {
                explicit: true,
                name: last.clone(),
                columns: Vec::new(),
                at: None,
            });
        }
        last.value = format!("{}{MARK}AT{MARK}{index}", last.value);
        Ok(())
    }

    /// Reads `AT(TIMESTAMP => …)` and the like.
    pub(crate) fn moment(&mut self, call: &mut Expr) -> Result<(TimeTravel, Side), SqlError> {
        let Expr::Function(function) = call else { return Err(unsupported("this moment")) };
        let side = match function.name.to_string().as_str() {
            "AT" => Side::At,
            "BEFORE" => Side::Before,
            other => return Err(unsupported(format!("{other} of a table"))),
        };
        let (kind, mut moment) = functions::named_argument(function)?;
        self.expression(&mut moment)?;
        let travel = match kind.as_str() {
            "TIMESTAMP" => TimeTravel::At(moment),
            "OFFSET" => TimeTravel::Offset(moment),
            "STATEMENT" => TimeTravel::Statement(moment),
            other => return Err(unsupported(format!("AT({other} => …)"))),
        };
        Ok((travel, side))
    }

    /// The bind that a placeholder `?3` names.
    fn bound(&self, mark: &str) -> Result<&Bind, SqlError> {
        let position = mark.trim_start_matches('?').parse::<usize>().ok();
        let index = position.and_then(|position| position.checked_sub(1));
        index
            .and_then(|index| self.facts.binds.get(index))
            .ok_or_else(|| compile("002049", "42601", format!("Bind variable {mark} not set.")))
    }

    fn replace(&self, expr: Expr) -> Result<Expr, SqlError> {
        Ok(match expr {
            Expr::Value(value) => self.literal(value.value)?,
            Expr::Function(function) => functions::rewrite(self, function)?,
            Expr::BinaryOp { left, op, right } => build::operation(*left, op, *right)?,
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => build::negative(*expr),
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => *expr,
            kept @ Expr::UnaryOp { op: UnaryOperator::Not, .. } => kept,
            Expr::Cast { kind, expr, data_type, array: false, format: None } => {
                let name = match kind {
                    CastKind::TryCast | CastKind::SafeCast => "try_cast",
                    CastKind::Cast | CastKind::DoubleColon => "cast",
                };
                call(name, vec![*expr, string(data_type.to_string())])
            }
            Expr::TypedString(typed) => {
                let text = match typed.value.value {
                    SqlValue::SingleQuotedString(text) => text,
                    other => return Err(unsupported(format!("literal {other}"))),
                };
                call("cast", vec![string(text), string(typed.data_type.to_string())])
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let branches = conditions.into_iter().map(|when| {
                    let condition = match &operand {
                        Some(operand) => {
                            binary(operand.as_ref().clone(), BinaryOperator::Eq, when.condition)
                        }
                        None => when.condition,
                    };
                    (condition, when.result)
                });
                case(branches.collect(), else_result.map_or_else(null, |found| *found))
            }
            other => predicates::replace(other)?,
        })
    }

    fn literal(&self, value: SqlValue) -> Result<Expr, SqlError> {
        Ok(match value {
            // A number that a clause needs as it is: LIMIT 5, ORDER BY 1.
            SqlValue::Number(_, true) => Expr::Value(value.into()),
            SqlValue::Number(digits, false) => call("num", vec![string(digits)]),
            SqlValue::SingleQuotedString(text) => string(text),
            SqlValue::DollarQuotedString(text) => string(text.value),
            SqlValue::HexStringLiteral(text) => {
                call("cast", vec![string(text), string("BINARY".to_owned())])
            }
            SqlValue::Boolean(_) | SqlValue::Null => Expr::Value(value.into()),
            SqlValue::Placeholder(mark) => {
                let bind = self.bound(&mark)?;
                match (&bind.value, bind.kind.to_ascii_uppercase().as_str()) {
                    (Some(text), "TEXT") => string(text.clone()),
                    (Some(text), kind) => {
                        call("bind", vec![string(kind.to_owned()), string(text.clone())])
                    }
                    (None, _) => null(),
                }
            }
            other => return Err(unsupported(format!("literal {other}"))),
        })
    }
}

impl VisitorMut for Rewriter<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        self.depth += 1;
        control(self.query(query))
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<SqlError> {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        control(self.select(select))
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<SqlError> {
        control(self.table_factor(factor))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let taken = std::mem::replace(expr, null());
        match self.replace(taken) {
            Ok(replaced) => {
                *expr = replaced;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn control(result: Result<(), SqlError>) -> ControlFlow<SqlError> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

fn flow(result: ControlFlow<SqlError>) -> Result<(), SqlError> {
    match result {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Marks `1` in ORDER BY 1 so that it stays a position.
fn keep_number(expr: &mut Expr) {
    if let Expr::Value(value) = expr
        && let SqlValue::Number(_, keep) = &mut value.value
    {
        *keep = true;
    }
}

/// Gives an item without an alias the name that Snowflake gives it, and twins a mark.
fn name_item(
    item: &mut SelectItem,
    text: Option<&String>,
    used: &mut Vec<String>,
) -> Result<(), SqlError> {
    let (expr, name) = match item {
        SelectItem::UnnamedExpr(expr) => {
            let name = match &*expr {
                Expr::Identifier(identifier) => identifier.value.clone(),
                Expr::CompoundIdentifier(parts) => {
                    parts.last().map(|last| last.value.clone()).unwrap_or_default()
                }
                other => text.cloned().unwrap_or_else(|| other.to_string().to_uppercase()),
            };
            let column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
            if column && !used.contains(&name) {
                used.push(name);
                return Ok(());
            }
            (expr.clone(), name)
        }
        SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), alias.value.clone()),
        SelectItem::ExprWithAliases { .. } => return Err(unsupported("several aliases")),
        SelectItem::QualifiedWildcard(_, options) | SelectItem::Wildcard(options) => {
            let exotic = options.opt_ilike.is_some()
                || options.opt_rename.is_some()
                || options.opt_replace.is_some()
                || options.opt_alias.is_some();
            return if exotic { Err(unsupported("this wildcard")) } else { Ok(()) };
        }
    };
    let twins = used.iter().filter(|other| **other == name).count();
    used.push(name.clone());
    let alias = if twins == 0 { name } else { format!("{name}{TWIN}{twins}") };
    *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', alias) };
    Ok(())
}

/// A table by its name.
pub(crate) fn table_named(name: ObjectName, alias: Option<TableAlias>) -> TableFactor {
    TableFactor::Table {
        name,
        alias,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}
