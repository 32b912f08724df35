//! Reads Parquet as the loader does: what a column is depends on its annotation and on options.
//!
//! | in the file | Snowflake |
//! |---|---|
//! | BOOLEAN, FLOAT, DOUBLE, DATE, DECIMAL (to 38 digits) | the same |
//! | integers | NUMBER; unsigned ones by their bits as signed without `USE_LOGICAL_TYPE` |
//! | STRING, ENUM, JSON | TEXT |
//! | bytes without annotation | TEXT with `BINARY_AS_TEXT`, else BINARY |
//! | TIMESTAMP in milli- or microseconds | NTZ; with `USE_LOGICAL_TYPE` LTZ where adjusted to UTC |
//! | TIMESTAMP in nanoseconds | a number; with `USE_LOGICAL_TYPE` as above |
//! | TIME | a number; with `USE_LOGICAL_TYPE` TIME |
//! | INT96 | NTZ; LTZ with the vectorized scanner |
//! | lists, structs, maps | a document |
//!
//! Anything else is refused with the column's name. What unsigned integers become without
//! `USE_LOGICAL_TYPE` is not documented; this is the reading that shows the option to be needed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Decimal256Array, LargeStringArray, RecordBatch,
    StringArray, Time64NanosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, UInt64Type, i256};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as PhysicalType;

use super::format::Parquet;
use crate::engine::{SessionContext, SqlError};
use crate::sql::convert::Conversion;
use crate::sql::error::unsupported;
use crate::sql::json::{self, Json};
use crate::sql::plan::conversion_of;
use crate::sql::value::Reader;
use crate::types::SnowType;

/// Rows that are converted at once.
const BATCH_ROWS: usize = 65_536;

/// A column of a batch as Snowflake sees it.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub name: String,
    pub data_type: SnowType,
    pub array: ArrayRef,
}

/// How the values of one file are understood.
#[derive(Debug)]
pub(crate) struct Reading {
    format: Parquet,
    /// Texts of times inside documents keep all digits.
    exact: Conversion,
    /// Columns stored as INT96.
    int96: HashSet<String>,
}

/// Opens a file.
pub(crate) fn open(
    content: Bytes,
    file: &str,
    format: &Parquet,
) -> Result<(ParquetRecordBatchReader, Reading), SqlError> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(content, options)
        .map_err(|error| broken(file, &error.to_string()))?;
    let int96 = builder.parquet_schema().columns().iter();
    let int96 = int96.filter(|column| column.physical_type() == PhysicalType::INT96);
    let int96 = int96.map(|column| column.name().to_owned()).collect();
    let reader = builder
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| broken(file, &error.to_string()))?;
    Ok((reader, Reading { format: format.clone(), exact: exact()?, int96 }))
}

fn exact() -> Result<Conversion, SqlError> {
    let formats = [
        ("TIMESTAMP_OUTPUT_FORMAT", "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM"),
        ("TIMESTAMP_NTZ_OUTPUT_FORMAT", "YYYY-MM-DD HH24:MI:SS.FF9"),
        ("TIME_OUTPUT_FORMAT", "HH24:MI:SS.FF9"),
        ("TIMEZONE", "UTC"),
    ];
    let parameters = formats.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let session = SessionContext { parameters: parameters.into(), ..SessionContext::default() };
    conversion_of(&session)
}

/// The error of a file that is not what it should be.
pub(crate) fn broken(file: &str, what: &str) -> SqlError {
    SqlError {
        code: "100142",
        sql_state: "22000",
        message: format!("Error parsing the parquet file: {what}\n  File '{file}'"),
    }
}

/// The columns of a batch as carriers.
pub(crate) fn columns(batch: &RecordBatch, reading: &Reading) -> Result<Vec<Read>, SqlError> {
    let schema = batch.schema();
    let fields = batch.columns().iter().zip(schema.fields());
    let read = fields.map(|(array, field)| {
        let int96 = reading.int96.contains(field.name());
        let (data_type, array) = reading.carrier(array, int96).map_err(|error| SqlError {
            message: format!("{} (column {})", error.message, field.name()),
            ..error
        })?;
        let is_text = matches!(data_type, SnowType::Text { .. });
        let array = if is_text { tidied(&array, &reading.format) } else { array };
        Ok(Read { name: field.name().clone(), data_type, array })
    });
    read.collect()
}

/// Texts after TRIM_SPACE and NULL_IF.
fn tidied(array: &ArrayRef, format: &Parquet) -> ArrayRef {
    let Some(texts) = array.as_string_opt::<i32>() else { return Arc::clone(array) };
    if !format.trim_space && format.null_if.is_empty() {
        return Arc::clone(array);
    }
    let tidy = |text: &str| {
        let text = if format.trim_space { text.trim_matches(' ') } else { text };
        (!format.null_if.iter().any(|null| null == text)).then(|| text.to_owned())
    };
    Arc::new(texts.iter().map(|text| text.and_then(tidy)).collect::<StringArray>())
}

impl Reading {
    fn carrier(&self, array: &ArrayRef, int96: bool) -> Result<(SnowType, ArrayRef), SqlError> {
        let logical = self.format.use_logical_type;
        Ok(match array.data_type() {
            DataType::Boolean => (SnowType::Boolean, Arc::clone(array)),
            DataType::Date32 => (SnowType::Date, Arc::clone(array)),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                (SnowType::Float, converted(array, &DataType::Float64)?)
            }
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                let array = if logical { Arc::clone(array) } else { as_signed(array)? };
                (SnowType::INTEGER, integers(&array)?)
            }
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
                (SnowType::INTEGER, integers(array)?)
            }
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) => {
                decimals(array)?
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                (SnowType::TEXT, converted(array, &DataType::Utf8)?)
            }
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => bytes(array, &self.format)?,
            DataType::Timestamp(unit, zone) => {
                let adjusted = if int96 { self.format.vectorized } else { zone.is_some() };
                let plain = *unit == TimeUnit::Nanosecond && !logical && !int96;
                timestamps(array, *unit, adjusted && logical, plain)?
            }
            DataType::Time32(unit) | DataType::Time64(unit) => times(array, *unit, logical)?,
            DataType::Struct(_)
            | DataType::List(_)
            | DataType::LargeList(_)
            | DataType::Map(..) => self.documents(array)?,
            other => return Err(unsupported(format!("Parquet values of the type {other}"))),
        })
    }

    fn documents(&self, array: &ArrayRef) -> Result<(SnowType, ArrayRef), SqlError> {
        let data_type = match array.data_type() {
            DataType::List(_) | DataType::LargeList(_) => SnowType::Array,
            _ => SnowType::Object,
        };
        let mut texts = Vec::with_capacity(array.len());
        for row in 0..array.len() {
            texts.push(match self.document(array, row)? {
                Json::Null => None,
                document => Some(document.to_text()),
            });
        }
        Ok((data_type, Arc::new(LargeStringArray::from(texts))))
    }

    /// One value as the document that VARIANT holds.
    pub(crate) fn document(&self, array: &ArrayRef, row: usize) -> Result<Json, SqlError> {
        if array.is_null(row) {
            return Ok(Json::Null);
        }
        if let Some(parts) = array.as_struct_opt() {
            let mut members = BTreeMap::new();
            for (field, column) in parts.fields().iter().zip(parts.columns()) {
                let value = self.document(column, row)?;
                if value != Json::Null || self.format.vectorized {
                    members.insert(field.name().clone(), value);
                }
            }
            return Ok(Json::Object(members));
        }
        let list = array.as_list_opt::<i32>().map(|list| list.value(row));
        if let Some(items) = list.or_else(|| array.as_list_opt::<i64>().map(|list| list.value(row)))
        {
            let items = (0..items.len()).map(|index| self.document(&items, index));
            return Ok(Json::Array(items.collect::<Result<_, _>>()?));
        }
        if let Some(map) = array.as_map_opt() {
            let entries: ArrayRef = Arc::new(map.value(row));
            let entries = (0..entries.len()).map(|index| self.document(&entries, index));
            return Ok(self.map_document(entries.collect::<Result<_, _>>()?));
        }
        let (data_type, one) = self.carrier(&array.slice(row, 1), false)?;
        let value = Reader::new(&one, &data_type.field("", true)).get(0)?;
        json::parse(&self.exact.json_text(&value)).map_err(unsupported)
    }

    /// The vectorized scanner makes objects of maps; the other keeps the file's own shape.
    fn map_document(&self, entries: Vec<Json>) -> Json {
        if !self.format.vectorized {
            return Json::Object([("key_value".to_owned(), Json::Array(entries))].into());
        }
        let mut members = BTreeMap::new();
        for entry in entries {
            let Json::Object(mut pair) = entry else { continue };
            let key = match pair.remove("key") {
                Some(Json::String(text)) => text,
                Some(other) => other.to_text(),
                None => continue,
            };
            members.insert(key, pair.remove("value").unwrap_or(Json::Null));
        }
        Json::Object(members)
    }
}

fn converted(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, SqlError> {
    cast(array, to).map_err(|error| unsupported(format!("this Parquet column: {error}")))
}

/// The same bits as signed integers of the same width.
fn as_signed(array: &ArrayRef) -> Result<ArrayRef, SqlError> {
    let signed = match array.data_type() {
        DataType::UInt8 => DataType::Int8,
        DataType::UInt16 => DataType::Int16,
        DataType::UInt32 => DataType::Int32,
        _ => DataType::Int64,
    };
    let data = array.to_data().into_builder().data_type(signed).build();
    data.map(arrow::array::make_array).map_err(|error| unsupported(error.to_string()))
}

fn integers(array: &ArrayRef) -> Result<ArrayRef, SqlError> {
    let wide: Option<Decimal128Array> = if *array.data_type() == DataType::UInt64 {
        array.as_primitive_opt::<UInt64Type>().map(|values| values.unary(i128::from))
    } else {
        let values = converted(array, &DataType::Int64)?;
        values.as_primitive_opt::<Int64Type>().map(|values| values.unary(i128::from))
    };
    let wide = wide.ok_or_else(|| unsupported("these Parquet integers"))?;
    Ok(Arc::new(wide.with_data_type(SnowType::INTEGER.carrier())))
}

fn decimals(array: &ArrayRef) -> Result<(SnowType, ArrayRef), SqlError> {
    let (precision, scale) = match array.data_type() {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => (*precision, *scale),
        _ => return Err(unsupported("these Parquet decimals")),
    };
    if !(0..=37).contains(&scale) {
        return Err(unsupported(format!("Parquet decimals of scale {scale}")));
    }
    let data_type = SnowType::Number { precision, scale };
    let array = converted(array, &DataType::Decimal128(precision, scale))?;
    Ok((data_type, array))
}

fn bytes(array: &ArrayRef, format: &Parquet) -> Result<(SnowType, ArrayRef), SqlError> {
    let plain = converted(array, &DataType::Binary)?;
    if !format.binary_as_text {
        return Ok((SnowType::Binary { length: crate::sql::carrier::BINARY_LENGTH }, plain));
    }
    let values = plain.as_binary_opt::<i32>();
    let values = values.ok_or_else(|| unsupported("these Parquet bytes"))?;
    let texts = StringArray::try_from_binary(values.clone()).map_err(|_| SqlError {
        code: "100144",
        sql_state: "22000",
        message: "Invalid UTF8 detected in string; BINARY_AS_TEXT = FALSE reads it as BINARY"
            .to_owned(),
    })?;
    Ok((SnowType::TEXT, Arc::new(texts)))
}

fn timestamps(
    array: &ArrayRef,
    unit: TimeUnit,
    local: bool,
    plain: bool,
) -> Result<(SnowType, ArrayRef), SqlError> {
    let raw = converted(array, &DataType::Int64)?;
    if plain {
        return Ok((SnowType::INTEGER, integers(&raw)?));
    }
    let factor = i128::from(nanos_of(unit));
    let scale = scale_of(unit);
    let data_type =
        if local { SnowType::TimestampLtz { scale } } else { SnowType::TimestampNtz { scale } };
    let values = raw.as_primitive_opt::<Int64Type>();
    let values = values.ok_or_else(|| unsupported("these Parquet timestamps"))?;
    let nanos: Decimal256Array = values.unary(|value| i256::from_i128(i128::from(value) * factor));
    Ok((data_type.clone(), Arc::new(nanos.with_data_type(data_type.carrier()))))
}

fn times(
    array: &ArrayRef,
    unit: TimeUnit,
    logical: bool,
) -> Result<(SnowType, ArrayRef), SqlError> {
    let middle = match array.data_type() {
        DataType::Time32(_) => converted(array, &DataType::Int32)?,
        _ => Arc::clone(array),
    };
    let raw = converted(&middle, &DataType::Int64)?;
    if !logical {
        return Ok((SnowType::INTEGER, integers(&raw)?));
    }
    let factor = nanos_of(unit);
    let values = raw.as_primitive_opt::<Int64Type>();
    let values = values.ok_or_else(|| unsupported("these Parquet times"))?;
    let nanos: Time64NanosecondArray = values.unary(|value| value * factor);
    Ok((SnowType::Time { scale: scale_of(unit) }, Arc::new(nanos)))
}

fn nanos_of(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// Digits after the second, so that columns of that scale take the values as they are.
fn scale_of(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}
