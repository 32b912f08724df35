//! Predicates, and functions that have a grammar of their own.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CeilFloorKind, Expr, JsonPathElem, Subscript, TrimWhereField,
    UnaryOperator, Value as SqlValue,
};

use super::build::{any_of, binary, call, nested, string};
use crate::engine::SqlError;
use crate::sql::error::{syntax as syntax_error, unsupported};

/// Replaces a predicate, or what [`syntax`] replaces.
pub(super) fn replace(expr: Expr) -> Result<Expr, SqlError> {
    let negate = |negated: bool, expr: Expr| {
        if negated {
            Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(nested(expr)) }
        } else {
            nested(expr)
        }
    };
    Ok(match expr {
        Expr::InList { expr, list, negated } => {
            let tests = list
                .into_iter()
                .map(|item| binary(expr.as_ref().clone(), BinaryOperator::Eq, item));
            negate(negated, any_of(tests.collect()).ok_or_else(|| syntax_error("empty IN list"))?)
        }
        Expr::Between { expr, negated, low, high } => {
            let above = binary(expr.as_ref().clone(), BinaryOperator::GtEq, *low);
            let below = binary(*expr, BinaryOperator::LtEq, *high);
            negate(negated, binary(above, BinaryOperator::And, below))
        }
        Expr::Like { negated, any: false, expr, pattern, escape_char } => {
            let escape = escape_char.map(Expr::Value);
            let args = [*expr, *pattern].into_iter().chain(escape).collect();
            negate(negated, call("like", args))
        }
        Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
            let escape = escape_char.map(Expr::Value);
            let args = [*expr, *pattern].into_iter().chain(escape).collect();
            negate(negated, call("ilike", args))
        }
        Expr::IsDistinctFrom(left, right) => negate(true, call("same", vec![*left, *right])),
        Expr::IsNotDistinctFrom(left, right) => call("same", vec![*left, *right]),
        other => syntax(other)?,
    })
}

/// Functions that have a grammar of their own.
fn syntax(expr: Expr) -> Result<Expr, SqlError> {
    Ok(match expr {
        Expr::Extract { field, expr, .. } => {
            call("date_part", vec![string(field.to_string()), *expr])
        }
        Expr::Ceil { expr, field } => rounding("ceil", *expr, field)?,
        Expr::Floor { expr, field } => rounding("floor", *expr, field)?,
        Expr::Position { expr, r#in } => call("position", vec![*expr, *r#in]),
        Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => {
            let length = substring_for.map(|length| *length);
            call("substr", [*expr, *from].into_iter().chain(length).collect())
        }
        Expr::Trim { trim_where, trim_what, expr, trim_characters } => {
            let name = match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "trim",
            };
            let characters = trim_what.map(|what| *what).into_iter();
            let more = trim_characters.into_iter().flatten();
            call(name, std::iter::once(*expr).chain(characters).chain(more).collect())
        }
        Expr::JsonAccess { value, path } => {
            let mut found = *value;
            for element in path.path {
                let key = match element {
                    JsonPathElem::Dot { key, .. } => string(key),
                    JsonPathElem::Bracket { key } | JsonPathElem::ColonBracket { key } => key,
                };
                found = call("get", vec![found, key]);
            }
            found
        }
        Expr::CompoundFieldAccess { root, access_chain } => {
            let mut found = *root;
            for access in access_chain {
                let AccessExpr::Subscript(Subscript::Index { index }) = access else {
                    return Err(unsupported("this path"));
                };
                found = call("get", vec![found, index]);
            }
            found
        }
        kept @ (Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::InSubquery { .. }
        | Expr::Exists { .. }
        | Expr::Subquery(_)
        | Expr::Nested(_)
        | Expr::Interval(_)
        | Expr::Wildcard(_)
        | Expr::QualifiedWildcard(..)) => kept,
        other => return Err(unsupported(format!("expression {other}"))),
    })
}

fn rounding(name: &'static str, expr: Expr, field: CeilFloorKind) -> Result<Expr, SqlError> {
    use datafusion::sql::sqlparser::ast::DateTimeField;
    match field {
        CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => Ok(call(name, vec![expr])),
        CeilFloorKind::DateTimeField(_) => Err(unsupported(format!("{name} of a date"))),
        CeilFloorKind::Scale(value) => match value.value {
            SqlValue::Number(digits, _) => Ok(call(name, vec![expr, string(digits)])),
            other => Err(unsupported(format!("{name} to {other}"))),
        },
    }
}
