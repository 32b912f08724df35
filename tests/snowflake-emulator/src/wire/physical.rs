//! The physical Arrow type of a column in one stream, and the metadata of its field.
//!
//! The server picks the narrowest integer that holds the scaled values of *this* stream, and a
//! decimal only beyond 64 bits. Times and timestamps choose by scale.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, Decimal128Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields};

use super::rowtype::{lengths, timestamp_tz_bytes};
use crate::types::{Column, SnowType};

/// Which part of the service made the stream; the two write different metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Rows computed by a warehouse: full metadata, no end-of-stream marker.
    Warehouse,
    /// Constant results of the service layer: short metadata, nullable fields, a marker.
    ServiceLayer,
}

/// How a column travels in one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Physical {
    /// The carrier as it is.
    Carrier,
    /// A NUMBER as 8-bit integers, scaled.
    Int8,
    /// A NUMBER as 16-bit integers, scaled.
    Int16,
    /// A NUMBER as 32-bit integers, scaled.
    Int32,
    /// A NUMBER as 64-bit integers, scaled.
    Int64,
    /// A NUMBER beyond 64 bits.
    Decimal,
    /// `struct<exponent: int16, significand: binary>`.
    Decfloat,
    /// Time of day in 32 bits, in units of 10^-scale seconds.
    Time32,
    /// Time of day in 64 bits, in units of 10^-scale seconds.
    Time64,
    /// A timestamp as 64-bit seconds × 10^scale.
    Scaled,
    /// `struct<epoch: int64, fraction: int32>`.
    EpochFraction,
    /// `struct<epoch: int64, timezone: int32>`, epoch × 10^scale.
    EpochZone,
    /// `struct<epoch: int64, fraction: int32, timezone: int32>`.
    EpochFractionZone,
    /// JSON or GeoJSON text.
    Text,
}

/// Largest scale of a TIME that fits 32 bits: 86,400 × 10^4 < 2^31.
const TIME32_SCALE: u8 = 4;
/// Largest scale of a timestamp sent as one integer: year 9999 × 10^7 < 2^63.
const SCALED_TIMESTAMP_SCALE: u8 = 7;

impl Physical {
    /// Chooses how column number `index` travels in a stream made of `batches`.
    pub(crate) fn choose(column: &Column, index: usize, batches: &[RecordBatch]) -> Self {
        match &column.data_type {
            SnowType::Number { .. } => number_width(index, batches),
            SnowType::Decfloat => Self::Decfloat,
            SnowType::Time { scale } if *scale <= TIME32_SCALE => Self::Time32,
            SnowType::Time { .. } => Self::Time64,
            SnowType::TimestampNtz { scale } | SnowType::TimestampLtz { scale } => {
                if *scale <= SCALED_TIMESTAMP_SCALE { Self::Scaled } else { Self::EpochFraction }
            }
            SnowType::TimestampTz { scale } => {
                if timestamp_tz_bytes(*scale) == 8 {
                    Self::EpochZone
                } else {
                    Self::EpochFractionZone
                }
            }
            SnowType::Variant
            | SnowType::Object
            | SnowType::Array
            | SnowType::Map
            | SnowType::Geography
            | SnowType::Geometry => Self::Text,
            _ => Self::Carrier,
        }
    }

    /// Returns the Arrow type of `column` in this form.
    pub(crate) fn data_type(self, column: &Column, dialect: Dialect) -> DataType {
        let child = |name: &str, kind: DataType| {
            Field::new(name, kind, true).with_metadata(self.metadata(column, dialect))
        };
        match self {
            Self::Carrier | Self::Decimal => column.data_type.carrier(),
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 | Self::Time32 => DataType::Int32,
            Self::Int64 | Self::Time64 | Self::Scaled => DataType::Int64,
            Self::Decfloat => DataType::Struct(Fields::from(vec![
                child("exponent", DataType::Int16),
                child("significand", DataType::Binary),
            ])),
            Self::EpochFraction => DataType::Struct(Fields::from(vec![
                child("epoch", DataType::Int64),
                child("fraction", DataType::Int32),
            ])),
            Self::EpochZone => DataType::Struct(Fields::from(vec![
                child("epoch", DataType::Int64),
                child("timezone", DataType::Int32),
            ])),
            Self::EpochFractionZone => DataType::Struct(Fields::from(vec![
                child("epoch", DataType::Int64),
                child("fraction", DataType::Int32),
                child("timezone", DataType::Int32),
            ])),
            Self::Text => DataType::Utf8,
        }
    }

    /// Returns the field of `column` with the metadata a driver reads.
    pub(crate) fn field(self, column: &Column, dialect: Dialect) -> Field {
        let nullable = column.nullable || dialect == Dialect::ServiceLayer;
        Field::new(&column.name, self.data_type(column, dialect), nullable)
            .with_metadata(self.metadata(column, dialect))
    }

    fn metadata(self, column: &Column, dialect: Dialect) -> HashMap<String, String> {
        let (precision, scale) = match &column.data_type {
            SnowType::Number { precision, scale } => (*precision, i64::from(*scale)),
            SnowType::Time { scale }
            | SnowType::TimestampNtz { scale }
            | SnowType::TimestampLtz { scale }
            | SnowType::TimestampTz { scale } => (0, i64::from(*scale)),
            _ => (38, 0),
        };
        let mut metadata = HashMap::from([
            ("logicalType".to_owned(), logical_type(&column.data_type).to_owned()),
            ("precision".to_owned(), precision.to_string()),
            ("scale".to_owned(), scale.to_string()),
        ]);
        match dialect {
            Dialect::ServiceLayer => {
                metadata.insert("physicalType".to_owned(), self.service_name().to_owned());
            }
            Dialect::Warehouse => {
                let (characters, bytes) = lengths(&column.data_type);
                metadata
                    .insert("charLength".to_owned(), characters.unwrap_or_default().to_string());
                metadata.insert(
                    "byteLength".to_owned(),
                    bytes.unwrap_or_else(|| self.width(column)).to_string(),
                );
                metadata.insert("finalType".to_owned(), "T".to_owned());
            }
        }
        metadata
    }

    /// The service layer's name of a physical type.
    fn service_name(self) -> &'static str {
        match self {
            Self::Int8 => "SB1",
            Self::Int16 => "SB2",
            Self::Int32 | Self::Time32 => "SB4",
            Self::Int64 | Self::Time64 | Self::Scaled => "SB8",
            Self::Decimal => "SB16",
            _ => "LOB",
        }
    }

    /// Bytes of one value, for types whose `rowtype` names no length.
    fn width(self, column: &Column) -> u32 {
        match (self, &column.data_type) {
            (Self::Int8, _) | (Self::Carrier, SnowType::Boolean) => 1,
            (Self::Int16, _) => 2,
            (Self::Int32 | Self::Time32, _) | (Self::Carrier, SnowType::Date) => 4,
            (Self::Int64 | Self::Time64 | Self::Scaled, _) | (Self::Carrier, SnowType::Float) => 8,
            (Self::Text, _) => 16_777_216,
            _ => 16,
        }
    }
}

/// Returns the upper-case logical type of field metadata.
pub(crate) fn logical_type(data_type: &SnowType) -> &'static str {
    match data_type {
        SnowType::Number { .. } => "FIXED",
        SnowType::Float => "REAL",
        SnowType::Decfloat => "DECFLOAT",
        SnowType::Text { .. } => "TEXT",
        SnowType::Binary { .. } => "BINARY",
        SnowType::Boolean => "BOOLEAN",
        SnowType::Date => "DATE",
        SnowType::Time { .. } => "TIME",
        SnowType::TimestampNtz { .. } => "TIMESTAMP_NTZ",
        SnowType::TimestampLtz { .. } => "TIMESTAMP_LTZ",
        SnowType::TimestampTz { .. } => "TIMESTAMP_TZ",
        SnowType::Variant => "VARIANT",
        // As text a MAP is an object; what a driver takes for MAP is the nested form alone.
        SnowType::Object | SnowType::Map | SnowType::Geography | SnowType::Geometry => "OBJECT",
        SnowType::Array => "ARRAY",
        SnowType::Vector { .. } => "VECTOR",
    }
}

/// Chooses the dialect of a result: constant rows come from the service layer.
///
/// Only plain types do so here, because drivers read the lengths of the others from metadata.
pub(crate) fn dialect_of(columns: &[Column], total_rows: usize) -> Dialect {
    let constant = columns.iter().all(|column| {
        column.origin.iter().all(String::is_empty)
            && matches!(
                column.data_type,
                SnowType::Number { .. }
                    | SnowType::Float
                    | SnowType::Text { .. }
                    | SnowType::Boolean
                    | SnowType::Date
            )
    });
    if constant && total_rows <= 1 { Dialect::ServiceLayer } else { Dialect::Warehouse }
}

/// Returns the narrowest form that holds every value of a NUMBER column in `batches`.
fn number_width(index: usize, batches: &[RecordBatch]) -> Physical {
    let mut low = 0_i128;
    let mut high = 0_i128;
    for batch in batches {
        let Some(array) = batch.columns().get(index) else { continue };
        let Some(array) = array.as_any().downcast_ref::<Decimal128Array>() else { continue };
        if array.null_count() == 0 {
            for value in array.values() {
                low = low.min(*value);
                high = high.max(*value);
            }
            continue;
        }
        for value in array.iter().flatten() {
            low = low.min(value);
            high = high.max(value);
        }
    }
    let fits = |bits: u32| {
        let limit = 1_i128 << (bits - 1);
        low >= -limit && high < limit
    };
    match () {
        () if fits(8) => Physical::Int8,
        () if fits(16) => Physical::Int16,
        () if fits(32) => Physical::Int32,
        () if fits(64) => Physical::Int64,
        () => Physical::Decimal,
    }
}

/// Returns the Arrow type of the elements of a list field, for building arrays.
pub(crate) fn struct_fields(data_type: &DataType) -> Fields {
    match data_type {
        DataType::Struct(fields) => fields.clone(),
        _ => Fields::from(Vec::<Arc<Field>>::new()),
    }
}
