//! What operators mean for operands of given types.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::engine::SqlError;
use crate::sql::error::{invalid_types, number_not_recognized, unsupported};
use crate::sql::functions::{PREFIX, Registry, external};
use crate::sql::number;
use crate::sql::value::wide;
use crate::types::SnowType;

/// Plans binary operators by Snowflake's rules.
#[derive(Debug)]
pub(super) struct Operators {
    registry: Arc<Registry>,
}

impl Operators {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }
}

impl ExprPlanner for Operators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> DfResult<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let function = match op {
            BinaryOperator::Plus => "add",
            BinaryOperator::Minus => "subtract",
            BinaryOperator::Multiply => "multiply",
            BinaryOperator::Divide => "divide",
            BinaryOperator::Modulo => "modulo",
            BinaryOperator::StringConcat => "concat",
            BinaryOperator::And => return Ok(logical(left, Operator::And, right)),
            BinaryOperator::Or => return Ok(logical(left, Operator::Or, right)),
            BinaryOperator::Eq => return self.compare(left, Operator::Eq, right, schema),
            BinaryOperator::NotEq => return self.compare(left, Operator::NotEq, right, schema),
            BinaryOperator::Lt => return self.compare(left, Operator::Lt, right, schema),
            BinaryOperator::LtEq => return self.compare(left, Operator::LtEq, right, schema),
            BinaryOperator::Gt => return self.compare(left, Operator::Gt, right, schema),
            BinaryOperator::GtEq => return self.compare(left, Operator::GtEq, right, schema),
            other => return Err(external(unsupported(format!("operator {other}")))),
        };
        let called = call(&self.registry, function, vec![left, right]).map_err(external)?;
        Ok(PlannerResult::Planned(called))
    }
}

fn logical(left: Expr, op: Operator, right: Expr) -> PlannerResult<RawBinaryExpr> {
    let expr = BinaryExpr { left: Box::new(left), op, right: Box::new(right) };
    PlannerResult::Planned(Expr::BinaryExpr(expr))
}

/// A call of one of our functions inside a plan.
pub(super) fn call(registry: &Registry, name: &str, args: Vec<Expr>) -> Result<Expr, SqlError> {
    let function = registry.get(&format!("{PREFIX}{name}"));
    function.map(|function| function.call(args)).ok_or_else(|| unsupported(name))
}

/// A cast to a type of ours.
pub(super) fn cast_to(
    registry: &Registry,
    expr: Expr,
    data_type: &SnowType,
) -> Result<Expr, SqlError> {
    let name = Expr::Literal(ScalarValue::Utf8(Some(data_type.to_string())), None);
    call(registry, "cast", vec![expr, name])
}

impl Operators {
    fn compare(
        &self,
        left: Expr,
        op: Operator,
        right: Expr,
        schema: &DFSchema,
    ) -> DfResult<PlannerResult<RawBinaryExpr>> {
        let left_type = SnowType::of(left.to_field(schema)?.1.as_ref());
        let right_type = SnowType::of(right.to_field(schema)?.1.as_ref());
        let (left, right) =
            self.comparable((left, left_type), (right, right_type)).map_err(external)?;
        Ok(logical(left, op, right))
    }

    /// Gives both sides one type in which `=` and `<` are Snowflake's.
    fn comparable(
        &self,
        (left, left_type): (Expr, Option<SnowType>),
        (right, right_type): (Expr, Option<SnowType>),
    ) -> Result<(Expr, Expr), SqlError> {
        let to = |expr: Expr, data_type: &SnowType| cast_to(&self.registry, expr, data_type);
        let (left_type, right_type) = match (left_type, right_type) {
            (Some(left_type), Some(right_type)) => (left_type, right_type),
            // A comparison with NULL is NULL, of whatever type.
            (None, Some(known)) => return Ok((typed_null(&known)?, right)),
            (Some(known), None) => return Ok((left, typed_null(&known)?)),
            (None, None) => {
                let null = || Expr::Literal(ScalarValue::Boolean(None), None);
                return Ok((null(), null()));
            }
        };
        let wrong = || invalid_types("=", format!("{left_type}, {right_type}"));
        Ok(match (&left_type, &right_type) {
            (SnowType::Number { .. }, SnowType::Number { .. }) => {
                numbers((left, &left_type), (right, &right_type))?
            }
            (SnowType::Float | SnowType::Number { .. }, SnowType::Float)
            | (SnowType::Float, SnowType::Number { .. }) => {
                (self.float(left, &left_type)?, self.float(right, &right_type)?)
            }
            (SnowType::Text { .. }, SnowType::Text { .. })
            | (SnowType::Binary { .. }, SnowType::Binary { .. })
            | (SnowType::Boolean, SnowType::Boolean)
            | (SnowType::Date, SnowType::Date)
            | (SnowType::Time { .. }, SnowType::Time { .. }) => (left, right),
            (SnowType::Text { .. }, SnowType::Number { .. }) => {
                let (literal, data_type) = self.spelled(&left)?;
                numbers((literal, &data_type), (right, &right_type))?
            }
            (SnowType::Number { .. }, SnowType::Text { .. }) => {
                let (literal, data_type) = self.spelled(&right)?;
                numbers((left, &left_type), (literal, &data_type))?
            }
            (SnowType::Text { .. }, SnowType::Float) => {
                (self.float(left, &left_type)?, self.float(right, &right_type)?)
            }
            (SnowType::Float, SnowType::Text { .. }) => {
                (self.float(left, &left_type)?, self.float(right, &right_type)?)
            }
            (SnowType::Text { .. }, SnowType::Date) => (
                to(left, &SnowType::TimestampNtz { scale: 9 })?,
                to(right, &SnowType::TimestampNtz { scale: 9 })?,
            ),
            (SnowType::Date, SnowType::Text { .. }) => (
                to(left, &SnowType::TimestampNtz { scale: 9 })?,
                to(right, &SnowType::TimestampNtz { scale: 9 })?,
            ),
            (SnowType::Text { .. }, SnowType::Boolean | SnowType::Time { .. }) => {
                (to(left, &right_type)?, right)
            }
            (SnowType::Boolean | SnowType::Time { .. }, SnowType::Text { .. }) => {
                (left, to(right, &left_type)?)
            }
            (a, b) if a.is_timestamp() || b.is_timestamp() => {
                let common = moments(a, b).ok_or_else(wrong)?;
                (to(left, &common)?, to(right, &common)?)
            }
            _ => return Err(wrong()),
        })
    }

    fn float(&self, expr: Expr, data_type: &SnowType) -> Result<Expr, SqlError> {
        let float = match data_type {
            SnowType::Float => expr,
            _ => cast_to(&self.registry, expr, &SnowType::Float)?,
        };
        call(&self.registry, "fnorm", vec![float])
    }

    /// The number that a string literal spells; Snowflake's type for other text would round.
    fn spelled(&self, expr: &Expr) -> Result<(Expr, SnowType), SqlError> {
        let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = expr else {
            return Err(unsupported("comparison of a NUMBER with text that is no literal"));
        };
        let decimal = number::parse(text).ok_or_else(|| number_not_recognized(text))?;
        let scale = i8::try_from(decimal.scale).ok().filter(|scale| *scale <= 37);
        let scale = scale.ok_or_else(|| number_not_recognized(text))?;
        let data_type = SnowType::Number { precision: 38, scale };
        Ok((cast_to(&self.registry, expr.clone(), &data_type)?, data_type))
    }
}

/// One decimal type for both sides, without loss.
fn numbers(
    (left, left_type): (Expr, &SnowType),
    (right, right_type): (Expr, &SnowType),
) -> Result<(Expr, Expr), SqlError> {
    let (
        SnowType::Number { precision: p1, scale: s1 },
        SnowType::Number { precision: p2, scale: s2 },
    ) = (left_type, right_type)
    else {
        return Err(invalid_types("=", format!("{left_type}, {right_type}")));
    };
    let target = if s1 == s2 { DataType::Decimal128(*p1.max(p2), *s1) } else { wide(*s1.max(s2)) };
    let fit = |expr: Expr, data_type: &SnowType| {
        if data_type.carrier() == target { expr } else { cast(expr, target.clone()) }
    };
    Ok((fit(left, left_type), fit(right, right_type)))
}

/// The type in which two moments compare: wall clocks if both are, else instants.
fn moments(left: &SnowType, right: &SnowType) -> Option<SnowType> {
    let wall = |data_type: &SnowType| {
        matches!(data_type, SnowType::TimestampNtz { .. } | SnowType::Date | SnowType::Text { .. })
    };
    let moment = |data_type: &SnowType| wall(data_type) || data_type.is_timestamp();
    if !moment(left) || !moment(right) {
        return None;
    }
    if wall(left) && wall(right) {
        return Some(SnowType::TimestampNtz { scale: 9 });
    }
    Some(SnowType::TimestampLtz { scale: 9 })
}

fn typed_null(data_type: &SnowType) -> Result<Expr, SqlError> {
    let null = ScalarValue::try_from(&data_type.carrier())
        .map_err(|error| unsupported(error.to_string()))?;
    Ok(Expr::Literal(null, None))
}
