//! The way between Snowflake's types and the Arrow fields that carry them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};

use crate::types::{SnowType, VectorElement};

/// Characters of a VARCHAR without a length.
pub(crate) const TEXT_LENGTH: u32 = 16_777_216;
/// Bytes of a BINARY without a length.
pub(crate) const BINARY_LENGTH: u32 = 8_388_608;
/// Precision of the 256-bit decimals that only live inside a plan (sums, mixed comparisons).
pub(crate) const WIDE_PRECISION: u8 = 76;

const KIND: &str = "snowflake";
const SCALE: &str = "scale";
const LENGTH: &str = "length";
const NTZ: u8 = 40;
const LTZ: u8 = 50;
const TZ: u8 = 60;

impl SnowType {
    /// VARCHAR without a length.
    pub const TEXT: Self = Self::Text { length: TEXT_LENGTH };
    /// NUMBER(38,0).
    pub const INTEGER: Self = Self::Number { precision: 38, scale: 0 };

    /// The Arrow type that carries this type.
    pub fn carrier(&self) -> DataType {
        match self {
            Self::Number { precision, scale } => DataType::Decimal128(*precision, *scale),
            Self::Float => DataType::Float64,
            Self::Decfloat | Self::Text { .. } => DataType::Utf8,
            Self::Binary { .. } => DataType::Binary,
            Self::Boolean => DataType::Boolean,
            Self::Date => DataType::Date32,
            Self::Time { .. } => DataType::Time64(TimeUnit::Nanosecond),
            Self::TimestampNtz { scale } => DataType::Decimal256(NTZ + scale, 0),
            Self::TimestampLtz { scale } => DataType::Decimal256(LTZ + scale, 0),
            Self::TimestampTz { scale } => DataType::Decimal256(TZ + scale, 0),
            Self::Variant
            | Self::Object
            | Self::Array
            | Self::Map
            | Self::Geography
            | Self::Geometry => DataType::LargeUtf8,
            Self::Vector { element, dimension } => {
                let item = match element {
                    VectorElement::Float => DataType::Float32,
                    VectorElement::Int => DataType::Int32,
                };
                DataType::FixedSizeList(Arc::new(Field::new("item", item, true)), *dimension)
            }
        }
    }

    /// The Arrow field that carries a column of this type.
    pub fn field(&self, name: &str, nullable: bool) -> FieldRef {
        let mut metadata = HashMap::new();
        match self {
            Self::Time { scale } => {
                metadata.insert(SCALE.to_owned(), scale.to_string());
            }
            Self::Text { length } if *length != TEXT_LENGTH => {
                metadata.insert(LENGTH.to_owned(), length.to_string());
            }
            Self::Binary { length } if *length != BINARY_LENGTH => {
                metadata.insert(LENGTH.to_owned(), length.to_string());
            }
            Self::Decfloat
            | Self::Object
            | Self::Array
            | Self::Map
            | Self::Geography
            | Self::Geometry => {
                metadata.insert(KIND.to_owned(), self.name().to_owned());
            }
            _ => {}
        }
        Arc::new(Field::new(name, self.carrier(), nullable).with_metadata(metadata))
    }

    /// The type that a field carries; `None` for NULL without a type and for foreign types.
    pub fn of(field: &Field) -> Option<Self> {
        let number = |key: &str| field.metadata().get(key).and_then(|text| text.parse().ok());
        let kind = field.metadata().get(KIND).map(String::as_str);
        Some(match field.data_type() {
            DataType::Decimal128(precision, scale) => {
                Self::Number { precision: *precision, scale: *scale }
            }
            DataType::Int64 | DataType::UInt64 => Self::Number { precision: 18, scale: 0 },
            DataType::Decimal256(WIDE_PRECISION, scale) => {
                Self::Number { precision: 38, scale: *scale }
            }
            DataType::Decimal256(precision, 0) => timestamp(*precision)?,
            DataType::Float64 => Self::Float,
            DataType::Utf8 if kind == Some("DECFLOAT") => Self::Decfloat,
            DataType::Utf8 => Self::Text { length: number(LENGTH).unwrap_or(TEXT_LENGTH) },
            DataType::Binary => Self::Binary { length: number(LENGTH).unwrap_or(BINARY_LENGTH) },
            DataType::Boolean => Self::Boolean,
            DataType::Date32 => Self::Date,
            DataType::Time64(TimeUnit::Nanosecond) => Self::Time {
                scale: number(SCALE).and_then(|scale| u8::try_from(scale).ok()).unwrap_or(9),
            },
            DataType::LargeUtf8 => match kind {
                Some("OBJECT") => Self::Object,
                Some("ARRAY") => Self::Array,
                Some("MAP") => Self::Map,
                Some("GEOGRAPHY") => Self::Geography,
                Some("GEOMETRY") => Self::Geometry,
                _ => Self::Variant,
            },
            DataType::FixedSizeList(item, dimension) => Self::Vector {
                element: match item.data_type() {
                    DataType::Float32 => VectorElement::Float,
                    DataType::Int32 => VectorElement::Int,
                    _ => return None,
                },
                dimension: *dimension,
            },
            _ => return None,
        })
    }

    /// The name without parameters, as INFORMATION_SCHEMA gives it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Number { .. } => "NUMBER",
            Self::Float => "FLOAT",
            Self::Decfloat => "DECFLOAT",
            Self::Text { .. } => "TEXT",
            Self::Binary { .. } => "BINARY",
            Self::Boolean => "BOOLEAN",
            Self::Date => "DATE",
            Self::Time { .. } => "TIME",
            Self::TimestampNtz { .. } => "TIMESTAMP_NTZ",
            Self::TimestampLtz { .. } => "TIMESTAMP_LTZ",
            Self::TimestampTz { .. } => "TIMESTAMP_TZ",
            Self::Variant => "VARIANT",
            Self::Object => "OBJECT",
            Self::Array => "ARRAY",
            Self::Map => "MAP",
            Self::Geography => "GEOGRAPHY",
            Self::Geometry => "GEOMETRY",
            Self::Vector { .. } => "VECTOR",
        }
    }

    /// Whether values are JSON or GeoJSON text, which has no order and no equality here.
    pub(crate) fn is_document(&self) -> bool {
        self.carrier() == DataType::LargeUtf8
    }

    /// Whether this is one of the three timestamps.
    pub(crate) fn is_timestamp(&self) -> bool {
        matches!(
            self,
            Self::TimestampNtz { .. } | Self::TimestampLtz { .. } | Self::TimestampTz { .. }
        )
    }
}

/// The full text, as DESCRIBE TABLE gives it: `NUMBER(38,0)`, `VARCHAR(16777216)`.
impl fmt::Display for SnowType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { precision, scale } => write!(f, "NUMBER({precision},{scale})"),
            Self::Text { length } => write!(f, "VARCHAR({length})"),
            Self::Binary { length } => write!(f, "BINARY({length})"),
            Self::Time { scale }
            | Self::TimestampNtz { scale }
            | Self::TimestampLtz { scale }
            | Self::TimestampTz { scale } => write!(f, "{}({scale})", self.name()),
            Self::Vector { element, dimension } => match element {
                VectorElement::Float => write!(f, "VECTOR(FLOAT, {dimension})"),
                VectorElement::Int => write!(f, "VECTOR(INT, {dimension})"),
            },
            _ => f.write_str(self.name()),
        }
    }
}

fn timestamp(precision: u8) -> Option<SnowType> {
    Some(match precision {
        NTZ..=49 => SnowType::TimestampNtz { scale: precision - NTZ },
        LTZ..=59 => SnowType::TimestampLtz { scale: precision - LTZ },
        TZ..=69 => SnowType::TimestampTz { scale: precision - TZ },
        _ => return None,
    })
}
