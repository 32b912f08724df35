//! One cell as a value, read from a carrier array and written into one.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    Decimal256Builder, FixedSizeListBuilder, Float32Builder, Float64Builder, Int32Builder,
    LargeStringBuilder, StringBuilder, Time64NanosecondBuilder,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type, Float64Type,
    Int32Type, Int64Type, Time64NanosecondType, UInt64Type, i256,
};

use super::carrier::WIDE_PRECISION;
use super::error::unsupported;
use crate::engine::SqlError;
use crate::types::{SnowType, VectorElement};

/// Offsets are stored from 0 to 2880: minutes + 1440.
pub(crate) const OFFSET_BASE: i32 = 1440;
const OFFSET_BITS: u32 = 12;

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    /// Unscaled number and its scale.
    Number(i256, i8),
    Float(f64),
    Text(String),
    /// Canonical text of a DECFLOAT.
    Decfloat(String),
    Bytes(Vec<u8>),
    Bool(bool),
    /// Days since 1970.
    Date(i32),
    /// Nanoseconds since midnight.
    Time(i64),
    /// Wall-clock nanoseconds since 1970.
    Ntz(i128),
    /// UTC nanoseconds since 1970.
    Ltz(i128),
    /// UTC nanoseconds since 1970, offset in minutes.
    Tz(i128, i32),
    /// JSON or GeoJSON text.
    Json(String),
    FloatVector(Vec<f32>),
    IntVector(Vec<i32>),
}

impl Value {
    /// A whole number.
    pub(crate) fn integer(value: impl Into<i128>) -> Self {
        Self::Number(i256::from_i128(value.into()), 0)
    }

    /// A text.
    pub(crate) fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
    }
}

/// Reads cells of one array.
pub(crate) struct Reader<'a> {
    array: &'a dyn Array,
    kind: Option<SnowType>,
}

impl<'a> Reader<'a> {
    /// A reader of `array`, which `field` describes.
    pub(crate) fn new(array: &'a dyn Array, field: &Field) -> Self {
        Self { array, kind: SnowType::of(field) }
    }

    /// The cell of `row`.
    pub(crate) fn get(&self, row: usize) -> Result<Value, SqlError> {
        if *self.array.data_type() == DataType::Null || self.array.is_null(row) {
            return Ok(Value::Null);
        }
        let Some(kind) = &self.kind else {
            return Err(unsupported(format!("values of {}", self.array.data_type())));
        };
        self.known(row, kind)
            .ok_or_else(|| unsupported(format!("{kind} carried as {}", self.array.data_type())))
    }

    fn known(&self, row: usize, kind: &SnowType) -> Option<Value> {
        let array = self.array;
        Some(match kind {
            SnowType::Number { scale, .. } => Value::Number(self.number(row)?, *scale),
            SnowType::Float => Value::Float(array.as_primitive_opt::<Float64Type>()?.value(row)),
            SnowType::Text { .. } => {
                Value::Text(array.as_string_opt::<i32>()?.value(row).to_owned())
            }
            SnowType::Decfloat => {
                Value::Decfloat(array.as_string_opt::<i32>()?.value(row).to_owned())
            }
            SnowType::Binary { .. } => {
                Value::Bytes(array.as_binary_opt::<i32>()?.value(row).to_vec())
            }
            SnowType::Boolean => Value::Bool(array.as_boolean_opt()?.value(row)),
            SnowType::Date => Value::Date(array.as_primitive_opt::<Date32Type>()?.value(row)),
            SnowType::Time { .. } => {
                Value::Time(array.as_primitive_opt::<Time64NanosecondType>()?.value(row))
            }
            SnowType::TimestampNtz { .. } => Value::Ntz(self.moment(row)?),
            SnowType::TimestampLtz { .. } => Value::Ltz(self.moment(row)?),
            SnowType::TimestampTz { .. } => {
                let (utc, offset) = unpack(self.moment(row)?);
                Value::Tz(utc, offset)
            }
            SnowType::Variant
            | SnowType::Object
            | SnowType::Array
            | SnowType::Map
            | SnowType::Geography
            | SnowType::Geometry => {
                Value::Json(array.as_string_opt::<i64>()?.value(row).to_owned())
            }
            SnowType::Vector { element, .. } => {
                let items = array.as_fixed_size_list_opt()?.value(row);
                match element {
                    VectorElement::Float => Value::FloatVector(
                        items.as_primitive_opt::<Float32Type>()?.values().to_vec(),
                    ),
                    VectorElement::Int => {
                        Value::IntVector(items.as_primitive_opt::<Int32Type>()?.values().to_vec())
                    }
                }
            }
        })
    }

    fn number(&self, row: usize) -> Option<i256> {
        let array = self.array;
        Some(match array.data_type() {
            DataType::Decimal128(..) => {
                i256::from_i128(array.as_primitive_opt::<Decimal128Type>()?.value(row))
            }
            DataType::Int64 => {
                i256::from_i128(array.as_primitive_opt::<Int64Type>()?.value(row).into())
            }
            DataType::UInt64 => {
                i256::from_i128(array.as_primitive_opt::<UInt64Type>()?.value(row).into())
            }
            _ => array.as_primitive_opt::<Decimal256Type>()?.value(row),
        })
    }

    fn moment(&self, row: usize) -> Option<i128> {
        self.array.as_primitive_opt::<Decimal256Type>()?.value(row).to_i128()
    }
}

/// The carrier of a TIMESTAMP_TZ.
pub(crate) fn pack(utc: i128, offset: i32) -> i128 {
    (utc << OFFSET_BITS) + i128::from(offset + OFFSET_BASE)
}

/// The UTC moment and the offset of a carrier of a TIMESTAMP_TZ.
pub(crate) fn unpack(carrier: i128) -> (i128, i32) {
    let utc = carrier >> OFFSET_BITS;
    let offset = i32::try_from(carrier - (utc << OFFSET_BITS)).unwrap_or(OFFSET_BASE);
    (utc, offset - OFFSET_BASE)
}

/// Collects cells of one type into a carrier array.
pub(crate) enum Writer {
    Number(Decimal128Builder),
    Wide(Decimal256Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Bool(BooleanBuilder),
    Date(Date32Builder),
    Time(Time64NanosecondBuilder),
    Json(LargeStringBuilder),
    FloatVector(FixedSizeListBuilder<Float32Builder>, i32),
    IntVector(FixedSizeListBuilder<Int32Builder>, i32),
}

impl Writer {
    /// A writer for cells of an Arrow type that is a carrier.
    pub(crate) fn new(carrier: &DataType, rows: usize) -> Result<Self, SqlError> {
        Ok(match carrier {
            DataType::Decimal128(..) => {
                Self::Number(Decimal128Builder::with_capacity(rows).with_data_type(carrier.clone()))
            }
            DataType::Decimal256(..) => {
                Self::Wide(Decimal256Builder::with_capacity(rows).with_data_type(carrier.clone()))
            }
            DataType::Float64 => Self::Float(Float64Builder::with_capacity(rows)),
            DataType::Utf8 => Self::Text(StringBuilder::with_capacity(rows, rows * 8)),
            DataType::Binary => Self::Bytes(BinaryBuilder::with_capacity(rows, rows * 8)),
            DataType::Boolean => Self::Bool(BooleanBuilder::with_capacity(rows)),
            DataType::Date32 => Self::Date(Date32Builder::with_capacity(rows)),
            DataType::Time64(_) => Self::Time(Time64NanosecondBuilder::with_capacity(rows)),
            DataType::LargeUtf8 => Self::Json(LargeStringBuilder::with_capacity(rows, rows * 8)),
            DataType::FixedSizeList(item, size) if *item.data_type() == DataType::Float32 => {
                Self::FloatVector(FixedSizeListBuilder::new(Float32Builder::new(), *size), *size)
            }
            DataType::FixedSizeList(item, size) if *item.data_type() == DataType::Int32 => {
                Self::IntVector(FixedSizeListBuilder::new(Int32Builder::new(), *size), *size)
            }
            other => return Err(unsupported(format!("carrier {other}"))),
        })
    }

    /// Appends a cell that already has the writer's type.
    pub(crate) fn push(&mut self, value: Value) -> Result<(), SqlError> {
        match (self, value) {
            (Self::Number(builder), Value::Number(number, _)) => {
                builder.append_option(number.to_i128());
            }
            (Self::Wide(builder), Value::Number(number, _)) => builder.append_value(number),
            (Self::Wide(builder), Value::Ntz(moment) | Value::Ltz(moment)) => {
                builder.append_value(i256::from_i128(moment));
            }
            (Self::Wide(builder), Value::Tz(utc, offset)) => {
                builder.append_value(i256::from_i128(pack(utc, offset)));
            }
            (Self::Float(builder), Value::Float(number)) => builder.append_value(number),
            (Self::Text(builder), Value::Text(text) | Value::Decfloat(text)) => {
                builder.append_value(text);
            }
            (Self::Bytes(builder), Value::Bytes(bytes)) => builder.append_value(bytes),
            (Self::Bool(builder), Value::Bool(flag)) => builder.append_value(flag),
            (Self::Date(builder), Value::Date(days)) => builder.append_value(days),
            (Self::Time(builder), Value::Time(nanos)) => builder.append_value(nanos),
            (Self::Json(builder), Value::Json(text)) => builder.append_value(text),
            (Self::FloatVector(builder, size), Value::FloatVector(items))
                if usize::try_from(*size) == Ok(items.len()) =>
            {
                builder.values().append_slice(&items);
                builder.append(true);
            }
            (Self::IntVector(builder, size), Value::IntVector(items))
                if usize::try_from(*size) == Ok(items.len()) =>
            {
                builder.values().append_slice(&items);
                builder.append(true);
            }
            (writer, Value::Null) => writer.push_null(),
            (_, other) => return Err(unsupported(format!("value {other:?} in this column"))),
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Number(builder) => builder.append_null(),
            Self::Wide(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Bytes(builder) => builder.append_null(),
            Self::Bool(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Time(builder) => builder.append_null(),
            Self::Json(builder) => builder.append_null(),
            Self::FloatVector(builder, size) => {
                (0..*size).for_each(|_| builder.values().append_null());
                builder.append(false);
            }
            Self::IntVector(builder, size) => {
                (0..*size).for_each(|_| builder.values().append_null());
                builder.append(false);
            }
        }
    }

    /// The array.
    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            Self::Number(mut builder) => Arc::new(builder.finish()),
            Self::Wide(mut builder) => Arc::new(builder.finish()),
            Self::Float(mut builder) => Arc::new(builder.finish()),
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::Bytes(mut builder) => Arc::new(builder.finish()),
            Self::Bool(mut builder) => Arc::new(builder.finish()),
            Self::Date(mut builder) => Arc::new(builder.finish()),
            Self::Time(mut builder) => Arc::new(builder.finish()),
            Self::Json(mut builder) => Arc::new(builder.finish()),
            Self::FloatVector(mut builder, _) => Arc::new(builder.finish()),
            Self::IntVector(mut builder, _) => Arc::new(builder.finish()),
        }
    }
}

/// The internal type of sums and mixed comparisons.
pub(crate) fn wide(scale: i8) -> DataType {
    DataType::Decimal256(WIDE_PRECISION, scale)
}
