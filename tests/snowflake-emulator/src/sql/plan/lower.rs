//! Turns `sf_case` into CASE and gives the inputs of UNION equal types.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result as DfResult};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Case, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Projection, Union,
};

use super::operators::cast_to;
use crate::sql::functions::{Registry, common_type, external};
use crate::types::SnowType;

/// Lowers a whole plan.
pub(super) fn lower(plan: LogicalPlan, registry: &Arc<Registry>) -> DfResult<LogicalPlan> {
    let lowered = plan.transform_up_with_subqueries(|node| {
        if let LogicalPlan::Union(union) = node {
            return Ok(Transformed::yes(LogicalPlan::Union(level(union, registry)?)));
        }
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let changed = node.map_expressions(|expr| {
            let saved = names.save(&expr);
            let changed = lower_expression(expr, &schema, registry)?;
            Ok(changed.update_data(|expr| saved.restore(expr)))
        })?;
        // Even an unchanged node is made again: its input may have other types than it had.
        changed.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(lowered.data)
}

/// Lowers a lone expression.
pub(super) fn expression(
    expr: Expr,
    schema: &DFSchema,
    registry: &Arc<Registry>,
) -> DfResult<Expr> {
    Ok(lower_expression(expr, schema, registry)?.data)
}

fn lower_expression(
    expr: Expr,
    schema: &DFSchema,
    registry: &Arc<Registry>,
) -> DfResult<Transformed<Expr>> {
    expr.transform_up(|node| match node {
        Expr::ScalarFunction(function) if function.func.name() == "sf_case" => {
            let common =
                SnowType::of(Expr::ScalarFunction(function.clone()).to_field(schema)?.1.as_ref());
            let common = common.unwrap_or(SnowType::TEXT);
            let mut args = function.args;
            let otherwise = args.pop();
            let fit = |expr: Expr| -> DfResult<Expr> {
                let field = expr.to_field(schema)?.1;
                if *field.data_type() == common.carrier() {
                    return Ok(expr);
                }
                cast_to(registry, expr, &common).map_err(external)
            };
            let mut branches = Vec::with_capacity(args.len() / 2);
            let mut rest = args.into_iter();
            while let (Some(when), Some(then)) = (rest.next(), rest.next()) {
                branches.push((Box::new(when), Box::new(fit(then)?)));
            }
            let otherwise = otherwise.map(fit).transpose()?.map(Box::new);
            Ok(Transformed::yes(Expr::Case(Case::new(None, branches, otherwise))))
        }
        other => Ok(Transformed::no(other)),
    })
}

/// Casts the columns of all inputs to their common types.
fn level(union: Union, registry: &Arc<Registry>) -> DfResult<Union> {
    let mut common: Vec<Option<SnowType>> = Vec::new();
    for input in &union.inputs {
        for (index, field) in input.schema().fields().iter().enumerate() {
            let own = SnowType::of(field);
            match common.get_mut(index) {
                Some(found) => {
                    *found = common_type(found.clone(), own).map_err(external)?;
                }
                None => common.push(own),
            }
        }
    }
    let mut inputs = Vec::with_capacity(union.inputs.len());
    for input in union.inputs {
        let fits = input.schema().fields().iter().zip(&common).all(|(field, wanted)| {
            wanted.as_ref().is_none_or(|wanted| *field.data_type() == wanted.carrier())
        });
        if fits {
            inputs.push(input);
            continue;
        }
        let mut exprs = Vec::with_capacity(common.len());
        for ((qualifier, field), wanted) in input.schema().iter().zip(&common) {
            let column = Expr::from((qualifier, field));
            exprs.push(match wanted {
                Some(wanted) if *field.data_type() != wanted.carrier() => {
                    cast_to(registry, column, wanted).map_err(external)?.alias(field.name())
                }
                _ => column,
            });
        }
        let projected = Projection::try_new(exprs, input)?;
        inputs.push(Arc::new(LogicalPlan::Projection(projected)));
    }
    Union::try_new_with_loose_types(inputs)
}

/// A plan with other column names.
pub(super) fn renamed(plan: LogicalPlan, names: &[String]) -> DfResult<LogicalPlan> {
    let exprs: Vec<Expr> = plan
        .schema()
        .iter()
        .zip(names)
        .map(|(field, name)| Expr::from(field).alias(name))
        .collect();
    LogicalPlanBuilder::from(plan).project(exprs)?.build()
}
