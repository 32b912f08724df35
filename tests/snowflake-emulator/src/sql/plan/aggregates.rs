//! Aggregates that DataFusion lacks, or of which it forgets the type.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::functions_aggregate::min_max::{Max, Min};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature, Volatility,
};

/// MIN, whose result has the type of its argument with all that the field's metadata says.
pub(super) fn min() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(Keeping { inner: Min::new() }))
}

/// MAX, likewise.
pub(super) fn max() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(Keeping { inner: Max::new() }))
}

/// The sum of 64-bit hashes, modulo 2^64: HASH_AGG.
pub(super) fn hash_sum() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::from(HashSum { signature: Signature::any(1, Volatility::Immutable) }))
}

/// An aggregate of one argument that gives one of its values.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Keeping<T> {
    inner: T,
}

impl<T: AggregateUDFImpl + Debug + Eq + Hash> AggregateUDFImpl for Keeping<T> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> DfResult<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> DfResult<FieldRef> {
        let [argument] = arg_fields else { return self.inner.return_field(arg_fields) };
        let field = Field::new(self.name(), argument.data_type().clone(), true);
        Ok(Arc::new(field.with_metadata(argument.metadata().clone())))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DfResult<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> DfResult<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> DfResult<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> DfResult<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.inner.reverse_expr()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.set_monotonicity(data_type)
    }
}

/// Adds numbers of 64 bits and forgets what does not fit; the order of rows does not matter.
#[derive(Debug, PartialEq, Eq, Hash)]
struct HashSum {
    signature: Signature,
}

impl AggregateUDFImpl for HashSum {
    fn name(&self) -> &str {
        "hash_sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Int64)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DfResult<Box<dyn Accumulator>> {
        if args.is_distinct {
            return Err(DataFusionError::NotImplemented("HASH_AGG(DISTINCT …)".to_owned()));
        }
        Ok(Box::new(Sum(0)))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DfResult<Vec<FieldRef>> {
        let name = format_state_name(args.name, "sum");
        Ok(vec![Arc::new(Field::new(name, DataType::Int64, false))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn default_value(&self, _data_type: &DataType) -> DfResult<ScalarValue> {
        Ok(ScalarValue::Int64(Some(0)))
    }
}

#[derive(Debug)]
struct Sum(i64);

impl Accumulator for Sum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let hashes = values.first().and_then(|array| array.as_primitive_opt::<Decimal128Type>());
        let hashes = hashes.ok_or_else(|| DataFusionError::Internal("a hash".to_owned()))?;
        for hash in hashes.iter().flatten() {
            let hash =
                i64::try_from(hash).map_err(|_| DataFusionError::Internal("a hash".into()))?;
            self.0 = self.0.wrapping_add(hash);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.0)))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Int64(Some(self.0))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        let sums = states.first().and_then(|array| array.as_primitive_opt::<Int64Type>());
        let sums = sums.ok_or_else(|| DataFusionError::Internal("a sum of hashes".to_owned()))?;
        self.0 = sums.iter().flatten().fold(self.0, i64::wrapping_add);
        Ok(())
    }
}
