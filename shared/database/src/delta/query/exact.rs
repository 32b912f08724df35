//! Integers that do not wrap: `+`, `-` and `*` fail on overflow, `sum` is wide enough.
//!
//! DataFusion lets 64-bit integers wrap around silently. Here an operator on them becomes a
//! function that fails, and `sum` of integers adds decimals, as Snowflake's does.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::kernels::numeric;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result as DfResult, ScalarValue};
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunctionDefinition};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Digits of a 64-bit integer.
const INTEGER_DIGITS: u8 = 19;

/// Makes the arithmetic of a plan exact.
pub(super) fn exact(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    let exact = plan.transform_up_with_subqueries(|plan| {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let exact = expr.transform_up(|expr| expression(expr, &schema))?;
            Ok(exact.update_data(|expr| name.restore(expr)))
        })?;
        plan.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(exact.data)
}

fn expression(expr: Expr, schema: &DFSchema) -> DfResult<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let operation = Operation::of(op);
            let of_integers = operation.is_some()
                && left.get_type(schema)?.is_integer()
                && right.get_type(schema)?.is_integer();
            let Some(operation) = operation.filter(|_| of_integers) else {
                return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
            };
            let function = Arc::new(ScalarUDF::from(Checked::new(operation)));
            let call = ScalarFunction::new_udf(function, vec![*left, *right]);
            Ok(Transformed::yes(Expr::ScalarFunction(call)))
        }
        Expr::AggregateFunction(mut call) if call.func.name() == "sum" => {
            let changed = widen(&mut call.params.args, schema)?;
            Ok(Transformed::new_transformed(Expr::AggregateFunction(call), changed))
        }
        Expr::WindowFunction(mut call) => {
            let is_sum = matches!(&call.fun, WindowFunctionDefinition::AggregateUDF(function)
                if function.name() == "sum");
            let changed = is_sum && widen(&mut call.params.args, schema)?;
            Ok(Transformed::new_transformed(Expr::WindowFunction(call), changed))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Casts integers that are added up to decimals.
fn widen(arguments: &mut [Expr], schema: &DFSchema) -> DfResult<bool> {
    let mut changed = false;
    for argument in arguments {
        if argument.get_type(schema)?.is_integer() {
            let wide = DataType::Decimal128(INTEGER_DIGITS, 0);
            let narrow = std::mem::replace(argument, Expr::Literal(ScalarValue::Null, None));
            *argument = narrow.cast_to(&wide, schema)?;
            changed = true;
        }
    }
    Ok(changed)
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
}

impl Operation {
    fn of(operator: Operator) -> Option<Self> {
        match operator {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            _ => None,
        }
    }
}

/// An operation on 64-bit integers that fails rather than wraps.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    signature: Signature,
}

impl Checked {
    fn new(operation: Operation) -> Self {
        let both = vec![DataType::Int64, DataType::Int64];
        Self { operation, signature: Signature::exact(both, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [left, right] = <[ArrayRef; 2]>::try_from(arrays)
            .map_err(|_| DataFusionError::Internal("two integers are needed".to_owned()))?;
        let array = match self.operation {
            Operation::Add => numeric::add(&left, &right),
            Operation::Subtract => numeric::sub(&left, &right),
            Operation::Multiply => numeric::mul(&left, &right),
        };
        Ok(ColumnarValue::Array(array?))
    }
}
