//! The last look at a plan: refuses what DataFusion would decide by rules of its own.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan, Operator};

use super::translate;
use crate::engine::SqlError;
use crate::sql::error::{invalid_types, unsupported};
use crate::sql::functions::{PREFIX, external};
use crate::types::SnowType;

/// Checks every expression of a plan and of its subqueries.
pub(super) fn verify(plan: &LogicalPlan) -> Result<(), SqlError> {
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                expression(part, &schema).map_err(external)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        self::node(node, &schema).map_err(external)?;
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(translate)?;
    Ok(())
}

fn type_of(expr: &Expr, schema: &DFSchema) -> Result<Option<SnowType>, SqlError> {
    let field = expr.to_field(schema).map_err(translate)?.1;
    Ok(SnowType::of(&field))
}

/// Types whose carriers have Snowflake's order.
fn ordered(data_type: Option<&SnowType>) -> bool {
    !data_type.is_some_and(|found| {
        found.is_document() || matches!(found, SnowType::Decfloat | SnowType::Vector { .. })
    })
}

/// Types whose carriers are equal exactly when Snowflake's values are.
///
/// Two TIMESTAMP_TZ of one instant are equal but carried with their offsets.
fn comparable(data_type: Option<&SnowType>) -> bool {
    ordered(data_type) && !matches!(data_type, Some(SnowType::TimestampTz { .. }))
}

fn need(fine: bool, what: &str, data_type: Option<SnowType>) -> Result<(), SqlError> {
    if fine {
        return Ok(());
    }
    let shown = data_type.map_or_else(|| "NULL".to_owned(), |found| found.to_string());
    Err(invalid_types(what, shown))
}

fn node(node: &LogicalPlan, schema: &DFSchema) -> Result<(), SqlError> {
    match node {
        LogicalPlan::Filter(filter) => boolean(&filter.predicate, schema, "WHERE"),
        LogicalPlan::Sort(sort) => {
            for item in &sort.expr {
                let data_type = type_of(&item.expr, schema)?;
                need(ordered(data_type.as_ref()), "ORDER BY", data_type)?;
            }
            Ok(())
        }
        LogicalPlan::Aggregate(aggregate) => {
            for expr in &aggregate.group_expr {
                let data_type = type_of(expr, schema)?;
                need(comparable(data_type.as_ref()), "GROUP BY", data_type)?;
            }
            Ok(())
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            for field in input.schema().fields() {
                let data_type = SnowType::of(field);
                need(comparable(data_type.as_ref()), "DISTINCT", data_type)?;
            }
            Ok(())
        }
        LogicalPlan::Distinct(Distinct::On(_)) => Err(unsupported("DISTINCT ON")),
        LogicalPlan::Join(join) => {
            for (left, right) in &join.on {
                same_types(left, right, schema, "JOIN")?;
            }
            join.filter.iter().try_for_each(|filter| boolean(filter, schema, "ON"))
        }
        _ => Ok(()),
    }
}

fn boolean(expr: &Expr, schema: &DFSchema, place: &str) -> Result<(), SqlError> {
    match type_of(expr, schema)? {
        None | Some(SnowType::Boolean) => Ok(()),
        other => need(false, place, other),
    }
}

fn same_types(left: &Expr, right: &Expr, schema: &DFSchema, what: &str) -> Result<(), SqlError> {
    let (a, b) = (type_of(left, schema)?, type_of(right, schema)?);
    let carriers = |found: &Option<SnowType>| found.as_ref().map(SnowType::carrier);
    let wide = |expr: &Expr| expr.get_type(schema).ok();
    let equal = carriers(&a) == carriers(&b) && wide(left) == wide(right);
    need(equal && comparable(a.as_ref()), what, if equal { a } else { b })
}

fn expression(expr: &Expr, schema: &DFSchema) -> Result<(), SqlError> {
    match expr {
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::OuterReferenceColumn(..)
        | Expr::Literal(..)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::Cast(_)
        | Expr::Exists(_)
        | Expr::ScalarSubquery(_) => Ok(()),
        Expr::Not(inner)
        | Expr::IsTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNotFalse(inner) => boolean(inner, schema, "NOT"),
        Expr::Case(case) => {
            let mut conditions = case.when_then_expr.iter();
            conditions.try_for_each(|(when, _)| boolean(when, schema, "CASE"))
        }
        Expr::BinaryExpr(operation) => match operation.op {
            Operator::And | Operator::Or => {
                boolean(&operation.left, schema, "AND")?;
                boolean(&operation.right, schema, "AND")
            }
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq => same_types(&operation.left, &operation.right, schema, "="),
            other => Err(unsupported(format!("operator {other}"))),
        },
        Expr::ScalarFunction(function) if function.func.name().starts_with(PREFIX) => Ok(()),
        Expr::AggregateFunction(aggregate) => {
            let parameters = &aggregate.params;
            function(aggregate.func.name(), parameters.distinct, &parameters.args, schema)
        }
        Expr::WindowFunction(window) => {
            for expr in &window.params.partition_by {
                let data_type = type_of(expr, schema)?;
                need(comparable(data_type.as_ref()), "PARTITION BY", data_type)?;
            }
            for item in &window.params.order_by {
                let data_type = type_of(&item.expr, schema)?;
                need(comparable(data_type.as_ref()), "ORDER BY", data_type)?;
            }
            function(window.fun.name(), window.params.distinct, &window.params.args, schema)
        }
        Expr::InSubquery(test) => {
            let inner = test.subquery.subquery.schema();
            let Some(field) = inner.fields().first() else { return Ok(()) };
            let outer = test.expr.to_field(schema).map_err(translate)?.1;
            let data_type = SnowType::of(&outer);
            let equal = outer.data_type() == field.data_type();
            need(equal && comparable(data_type.as_ref()), "IN", data_type)
        }
        other => Err(unsupported(format!("expression {other}"))),
    }
}

fn function(name: &str, distinct: bool, args: &[Expr], schema: &DFSchema) -> Result<(), SqlError> {
    for expr in args {
        let data_type = type_of(expr, schema)?;
        if matches!(name, "min" | "max") {
            need(ordered(data_type.as_ref()), &name.to_uppercase(), data_type.clone())?;
        }
        if distinct {
            need(comparable(data_type.as_ref()), "DISTINCT", data_type)?;
        }
    }
    Ok(())
}
