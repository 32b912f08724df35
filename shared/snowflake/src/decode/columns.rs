//! One wire column of one Arrow stream into its staged arrays.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, Int64Array, ListArray, StringArray,
    new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::kernels::cast::cast;
use arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type,
};
use snowferry_model::plan::{PlannedColumn, StagedForm};

use super::{decfloat, inexact, protocol, timestamps};
use crate::SnowflakeError;
use snowferry_model::types::SnowflakeType;

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// Converts one column; `scale` is that of its declared type.
pub(super) fn staged(
    column: &PlannedColumn,
    wire: &ArrayRef,
    scale: u8,
) -> Result<Vec<ArrayRef>, SnowflakeError> {
    if *wire.data_type() == DataType::Null {
        let fields = column.fields();
        return Ok(fields.iter().map(|f| new_null_array(f.data_type(), wire.len())).collect());
    }
    let array: ArrayRef = match column.form {
        StagedForm::Int64 => integers(column, wire, scale)?,
        StagedForm::Decimal { precision, scale: planned } if planned == scale => {
            decimals(column, wire, precision, scale)?
        }
        StagedForm::Float64 => match wire.data_type() {
            DataType::Float64 => Arc::clone(wire),
            DataType::Float32 => {
                let floats = wire.as_primitive_opt::<Float32Type>();
                let floats = floats.ok_or_else(|| unexpected(column, wire))?;
                Arc::new(floats.unary::<_, Float64Type>(f64::from))
            }
            _ => return Err(unexpected(column, wire)),
        },
        StagedForm::Utf8 if column.data_type == SnowflakeType::Decfloat => {
            decfloat::staged(column, wire)?
        }
        StagedForm::Utf8 => texts(column, wire)?,
        StagedForm::Binary => match wire.data_type() {
            DataType::Binary => Arc::clone(wire),
            DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Arc::new(recast::<BinaryArray>(column, wire, &DataType::Binary)?)
            }
            _ => return Err(unexpected(column, wire)),
        },
        StagedForm::Boolean if *wire.data_type() == DataType::Boolean => Arc::clone(wire),
        StagedForm::Date32 if wire.as_primitive_opt::<Date32Type>().is_some() => Arc::clone(wire),
        StagedForm::TimeNanos => times(column, wire, scale)?,
        StagedForm::Timestamp { .. } => return timestamps::staged(column, wire, scale),
        StagedForm::ListFloat32 | StagedForm::ListInt32 => vectors(column, wire)?,
        _ => return Err(unexpected(column, wire)),
    };
    Ok(vec![array])
}

/// Widens an integer column of any width; `None` for other types.
pub(super) fn widen(wire: &dyn Array) -> Option<Int64Array> {
    Some(match wire.data_type() {
        DataType::Int8 => wire.as_primitive_opt::<Int8Type>()?.unary::<_, Int64Type>(i64::from),
        DataType::Int16 => wire.as_primitive_opt::<Int16Type>()?.unary::<_, Int64Type>(i64::from),
        DataType::Int32 => wire.as_primitive_opt::<Int32Type>()?.unary::<_, Int64Type>(i64::from),
        DataType::Int64 => wire.as_primitive_opt::<Int64Type>()?.clone(),
        _ => return None,
    })
}

/// Returns whether `holds` is true for every value that is not NULL.
pub(super) fn all_valid<T: ArrowNativeType>(
    values: &[T],
    nulls: Option<&NullBuffer>,
    holds: impl Fn(T) -> bool,
) -> bool {
    // One branch-free pass over all slots; only where it fails are the NULL slots told apart.
    if values.iter().fold(true, |all, value| all & holds(*value)) {
        return true;
    }
    nulls.is_some_and(|nulls| {
        nulls.valid_indices().all(|index| values.get(index).is_some_and(|value| holds(*value)))
    })
}

fn integers(
    column: &PlannedColumn,
    wire: &ArrayRef,
    scale: u8,
) -> Result<ArrayRef, SnowflakeError> {
    if scale != 0 {
        return Err(unexpected(column, wire));
    }
    if let Some(integers) = widen(wire) {
        return Ok(Arc::new(integers));
    }
    let wide = decimal_wire(column, wire, scale)?;
    if !all_valid(wide.values(), wide.nulls(), |value| i64::try_from(value).is_ok()) {
        return Err(inexact(column, "an integer of more than 64 bits"));
    }
    Ok(Arc::new(wide.unary::<_, Int64Type>(|value| value as i64)))
}

fn decimals(
    column: &PlannedColumn,
    wire: &ArrayRef,
    precision: u8,
    scale: u8,
) -> Result<ArrayRef, SnowflakeError> {
    let digits: Decimal128Array = match widen(wire) {
        Some(integers) => integers.unary::<_, Decimal128Type>(i128::from),
        None => decimal_wire(column, wire, scale)?.clone(),
    };
    let end = 10_u128.checked_pow(u32::from(precision)).unwrap_or(u128::MAX);
    if !all_valid(digits.values(), digits.nulls(), |value| value.unsigned_abs() < end) {
        return Err(inexact(column, &format!("a number of more than {precision} digits")));
    }
    let digits = digits
        .with_precision_and_scale(precision, i8::try_from(scale).unwrap_or(i8::MAX))
        .map_err(|error| protocol(format!("column {}: {error}", column.name)))?;
    Ok(Arc::new(digits))
}

fn decimal_wire<'a>(
    column: &PlannedColumn,
    wire: &'a ArrayRef,
    scale: u8,
) -> Result<&'a Decimal128Array, SnowflakeError> {
    match wire.as_primitive_opt::<Decimal128Type>() {
        Some(decimals) if i16::from(decimals.scale()) == i16::from(scale) => Ok(decimals),
        _ => Err(unexpected(column, wire)),
    }
}

fn texts(column: &PlannedColumn, wire: &ArrayRef) -> Result<ArrayRef, SnowflakeError> {
    match wire.data_type() {
        DataType::Utf8 => Ok(Arc::clone(wire)),
        DataType::LargeUtf8 | DataType::Utf8View => {
            Ok(Arc::new(recast::<StringArray>(column, wire, &DataType::Utf8)?))
        }
        _ => Err(unexpected(column, wire)),
    }
}

fn times(column: &PlannedColumn, wire: &ArrayRef, scale: u8) -> Result<ArrayRef, SnowflakeError> {
    let units = widen(wire).ok_or_else(|| unexpected(column, wire))?;
    let factor = nanos_per_unit(scale);
    let last = NANOS_PER_DAY / factor;
    if !all_valid(units.values(), units.nulls(), |value| (0..last).contains(&value)) {
        return Err(inexact(column, "a time outside the day"));
    }
    Ok(Arc::new(units.unary::<_, Int64Type>(|value| value.wrapping_mul(factor))))
}

/// Returns how many nanoseconds one unit of a time with `scale` fractional digits is.
pub(super) fn nanos_per_unit(scale: u8) -> i64 {
    10_i64.pow(u32::from(9_u8.saturating_sub(scale)))
}

fn vectors(column: &PlannedColumn, wire: &ArrayRef) -> Result<ArrayRef, SnowflakeError> {
    let fixed = wire.as_fixed_size_list_opt().ok_or_else(|| unexpected(column, wire))?;
    let DataType::List(element) = column.form.value_type() else {
        return Err(unexpected(column, wire));
    };
    if fixed.values().data_type() != element.data_type() {
        return Err(unexpected(column, wire));
    }
    let length = usize::try_from(fixed.value_length()).map_err(|_| unexpected(column, wire))?;
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(length, fixed.len()));
    let list =
        ListArray::try_new(element, offsets, Arc::clone(fixed.values()), fixed.nulls().cloned());
    Ok(Arc::new(list.map_err(|error| protocol(format!("column {}: {error}", column.name)))?))
}

fn recast<A: Array + Clone + 'static>(
    column: &PlannedColumn,
    wire: &ArrayRef,
    wanted: &DataType,
) -> Result<A, SnowflakeError> {
    let array =
        cast(wire, wanted).map_err(|error| protocol(format!("column {}: {error}", column.name)))?;
    array.as_any().downcast_ref::<A>().cloned().ok_or_else(|| unexpected(column, wire))
}

pub(super) fn unexpected(column: &PlannedColumn, wire: &dyn Array) -> SnowflakeError {
    protocol(format!(
        "column {} of type {} came as {}",
        column.name,
        column.data_type,
        wire.data_type()
    ))
}
