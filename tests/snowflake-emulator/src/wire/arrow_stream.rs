//! Rows as an Arrow IPC stream in the server's physical encodings.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, Decimal128Array, Decimal256Array, Int16Array, Int32Array,
    Int64Array, LargeStringArray, PrimitiveArray, RecordBatch, StringArray, StructArray,
    Time64NanosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, Int8Type, Int16Type, Int32Type, Int64Type, Schema, i256,
};
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatchOptions;

use super::WireError;
use super::decfloat::Decfloat;
use super::physical::{Dialect, Physical, logical_type, struct_fields};
use crate::types::{Column, SnowType};

/// Nanoseconds in a second.
pub(crate) const NANOS: i128 = 1_000_000_000;
/// What a TIMESTAMP_TZ carrier multiplies its instant by, to make room for the offset.
pub(crate) const ZONE_FACTOR: i128 = 4096;

/// How a stream is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamStyle {
    /// Which part of the service it comes from.
    pub(crate) dialect: Dialect,
    /// Most rows in one record batch.
    pub(crate) batch_rows: usize,
}

/// Encodes `batches`, which hold carriers of `columns`, as one stream.
///
/// # Errors
/// [`WireError`] if a column is not its carrier, or holds what its type cannot send.
pub(crate) fn encode_stream(
    columns: &[Column],
    batches: &[RecordBatch],
    style: StreamStyle,
) -> Result<Vec<u8>, WireError> {
    let forms: Vec<Physical> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| Physical::choose(column, index, batches))
        .collect();
    let fields: Vec<Field> = columns
        .iter()
        .zip(&forms)
        .map(|(column, form)| form.field(column, style.dialect))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &schema).map_err(WireError::Arrow)?;
    for batch in batches {
        let mut offset = 0;
        while offset < batch.num_rows() {
            let rows = style.batch_rows.max(1).min(batch.num_rows() - offset);
            let part = batch.slice(offset, rows);
            let encoded = encode_batch(columns, &forms, &schema, &part)?;
            writer.write(&encoded).map_err(WireError::Arrow)?;
            offset += rows;
        }
    }
    // A warehouse writes no end-of-stream marker, so its stream just stops here.
    if style.dialect == Dialect::ServiceLayer {
        writer.finish().map_err(WireError::Arrow)?;
    }
    drop(writer);
    Ok(bytes)
}

fn encode_batch(
    columns: &[Column],
    forms: &[Physical],
    schema: &Arc<Schema>,
    batch: &RecordBatch,
) -> Result<RecordBatch, WireError> {
    let mut arrays = Vec::with_capacity(columns.len());
    for (((column, form), array), field) in
        columns.iter().zip(forms).zip(batch.columns()).zip(schema.fields())
    {
        arrays.push(encode_column(column, *form, array, field.data_type())?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
        .map_err(WireError::Arrow)
}

fn encode_column(
    column: &Column,
    form: Physical,
    array: &ArrayRef,
    target: &DataType,
) -> Result<ArrayRef, WireError> {
    match form {
        Physical::Carrier => Ok(Arc::clone(array)),
        Physical::Text => {
            let texts: &LargeStringArray = typed(column, array)?;
            cast(texts, &DataType::Utf8).map_err(WireError::Arrow)
        }
        Physical::Decimal => decimal(column, typed(column, array)?, target),
        Physical::Int8 => Ok(Arc::new(integers::<Int8Type>(typed(column, array)?))),
        Physical::Int16 => Ok(Arc::new(integers::<Int16Type>(typed(column, array)?))),
        Physical::Int32 => Ok(Arc::new(integers::<Int32Type>(typed(column, array)?))),
        Physical::Int64 => Ok(Arc::new(integers::<Int64Type>(typed(column, array)?))),
        Physical::Time32 | Physical::Time64 => time(column, form, typed(column, array)?),
        Physical::Decfloat => decfloat(column, typed(column, array)?, target),
        Physical::Scaled => scaled(column, typed(column, array)?),
        Physical::EpochFraction | Physical::EpochZone | Physical::EpochFractionZone => {
            timestamp_struct(column, form, typed(column, array)?, target)
        }
    }
}

/// Returns `array` as the concrete carrier `A`.
pub(crate) fn typed<'a, A: Array + 'static>(
    column: &Column,
    array: &'a ArrayRef,
) -> Result<&'a A, WireError> {
    array.as_any().downcast_ref::<A>().ok_or_else(|| WireError::Carrier {
        column: column.name.clone(),
        wanted: std::any::type_name::<A>().to_owned(),
        found: array.data_type().to_string(),
    })
}

fn out_of_range(column: &Column) -> WireError {
    WireError::Range { column: column.name.clone(), kind: logical_type(&column.data_type) }
}

/// Returns the scaled values as integers of `T`, which `Physical::choose` has found wide enough.
/// A NULL slot may hold anything; it becomes zero.
fn integers<T>(array: &Decimal128Array) -> PrimitiveArray<T>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i128>,
{
    let values: Vec<T::Native> = array
        .values()
        .iter()
        .map(|value| T::Native::try_from(*value).unwrap_or_default())
        .collect();
    PrimitiveArray::new(values.into(), array.nulls().cloned())
}

fn decimal(
    column: &Column,
    array: &Decimal128Array,
    target: &DataType,
) -> Result<ArrayRef, WireError> {
    let DataType::Decimal128(precision, scale) = target else { return Err(out_of_range(column)) };
    let declared =
        array.clone().with_precision_and_scale(*precision, *scale).map_err(WireError::Arrow)?;
    Ok(Arc::new(declared))
}

fn time(
    column: &Column,
    form: Physical,
    array: &Time64NanosecondArray,
) -> Result<ArrayRef, WireError> {
    let SnowType::Time { scale } = column.data_type else { return Err(out_of_range(column)) };
    let unit = i64::try_from(unit_nanos(scale)).unwrap_or(1);
    let values = array.values().iter().map(|nanos| nanos.div_euclid(unit));
    if form == Physical::Time64 {
        let values: Vec<i64> = values.collect();
        return Ok(Arc::new(Int64Array::new(values.into(), array.nulls().cloned())));
    }
    let values: Vec<i32> = values.map(|units| i32::try_from(units).unwrap_or_default()).collect();
    Ok(Arc::new(Int32Array::new(values.into(), array.nulls().cloned())))
}

fn decfloat(
    column: &Column,
    array: &StringArray,
    target: &DataType,
) -> Result<ArrayRef, WireError> {
    let mut exponents = Vec::with_capacity(array.len());
    let mut significands = BinaryBuilder::new();
    for text in array.iter() {
        let Some(text) = text else {
            exponents.push(None);
            significands.append_null();
            continue;
        };
        let value = Decfloat::parse(text).ok_or_else(|| out_of_range(column))?;
        exponents.push(Some(value.exponent));
        significands.append_value(value.significand_bytes());
    }
    let children: Vec<ArrayRef> =
        vec![Arc::new(Int16Array::from(exponents)), Arc::new(significands.finish())];
    structure(target, children, array)
}

/// A timestamp carrier as one integer: seconds × 10^scale, rounded down.
fn scaled(column: &Column, array: &Decimal256Array) -> Result<ArrayRef, WireError> {
    let unit = unit_nanos(timestamp_scale(column)?);
    let mut values = Vec::with_capacity(array.len());
    for nanos in array.iter() {
        let Some(nanos) = nanos else {
            values.push(None);
            continue;
        };
        let units = narrow(column, nanos)?.div_euclid(unit);
        values.push(Some(i64::try_from(units).map_err(|_| out_of_range(column))?));
    }
    Ok(Arc::new(Int64Array::from(values)))
}

fn timestamp_struct(
    column: &Column,
    form: Physical,
    array: &Decimal256Array,
    target: &DataType,
) -> Result<ArrayRef, WireError> {
    let unit = unit_nanos(timestamp_scale(column)?);
    let mut epochs = Vec::with_capacity(array.len());
    let mut fractions = Vec::with_capacity(array.len());
    let mut zones = Vec::with_capacity(array.len());
    for carrier in array.iter() {
        let Some(carrier) = carrier else {
            epochs.push(None);
            fractions.push(None);
            zones.push(None);
            continue;
        };
        let moment = Moment::of(column, carrier)?;
        let nanos = moment.nanos.div_euclid(unit) * unit;
        let epoch = match form {
            Physical::EpochZone => nanos / unit,
            _ => nanos.div_euclid(NANOS),
        };
        epochs.push(Some(i64::try_from(epoch).map_err(|_| out_of_range(column))?));
        fractions.push(i32::try_from(nanos.rem_euclid(NANOS)).ok());
        zones.push(Some(moment.zone));
    }
    let mut children: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(epochs))];
    if form != Physical::EpochZone {
        children.push(Arc::new(Int32Array::from(fractions)));
    }
    if form != Physical::EpochFraction {
        children.push(Arc::new(Int32Array::from(zones)));
    }
    structure(target, children, array)
}

fn structure(
    target: &DataType,
    children: Vec<ArrayRef>,
    array: &dyn Array,
) -> Result<ArrayRef, WireError> {
    let array = StructArray::try_new(struct_fields(target), children, array.nulls().cloned())
        .map_err(WireError::Arrow)?;
    Ok(Arc::new(array))
}

/// A timestamp taken from its carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Nanoseconds since 1970: UTC, or wall clock for TIMESTAMP_NTZ.
    pub(crate) nanos: i128,
    /// Offset in minutes + 1440; 1440 where the type has none.
    pub(crate) zone: i32,
}

impl Moment {
    /// Reads the carrier of a timestamp `column`.
    pub(crate) fn of(column: &Column, carrier: i256) -> Result<Self, WireError> {
        let value = narrow(column, carrier)?;
        if !matches!(column.data_type, SnowType::TimestampTz { .. }) {
            return Ok(Self { nanos: value, zone: 1440 });
        }
        let zone =
            i32::try_from(value.rem_euclid(ZONE_FACTOR)).map_err(|_| out_of_range(column))?;
        Ok(Self { nanos: value.div_euclid(ZONE_FACTOR), zone })
    }
}

fn narrow(column: &Column, value: i256) -> Result<i128, WireError> {
    value.to_i128().ok_or_else(|| out_of_range(column))
}

/// Returns the scale of a timestamp column.
pub(crate) fn timestamp_scale(column: &Column) -> Result<u8, WireError> {
    match column.data_type {
        SnowType::TimestampNtz { scale }
        | SnowType::TimestampLtz { scale }
        | SnowType::TimestampTz { scale } => Ok(scale),
        _ => Err(out_of_range(column)),
    }
}

/// Returns the nanoseconds in 10^-scale seconds.
pub(crate) fn unit_nanos(scale: u8) -> i128 {
    10_i128.pow(u32::from(9_u8.saturating_sub(scale)))
}
