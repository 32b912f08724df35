//! Types as Snowflake declares them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A column type as Snowflake declares it. Scales are decimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SnowflakeType {
    /// NUMBER and its synonyms.
    Number {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to 37.
        scale: u8,
    },
    /// FLOAT, DOUBLE, REAL: 64 bits.
    Float,
    /// DECFLOAT: decimal floating point of up to 38 digits.
    Decfloat,
    /// VARCHAR and its synonyms.
    Text,
    /// BINARY.
    Binary,
    /// BOOLEAN.
    Boolean,
    /// DATE, years 0001 to 9999.
    Date,
    /// TIME.
    Time {
        /// Fractional digits, 0 to 9.
        scale: u8,
    },
    /// TIMESTAMP_NTZ: wall-clock time without a zone.
    TimestampNtz {
        /// Fractional digits, 0 to 9.
        scale: u8,
    },
    /// TIMESTAMP_LTZ: an instant.
    TimestampLtz {
        /// Fractional digits, 0 to 9.
        scale: u8,
    },
    /// TIMESTAMP_TZ: an instant with an offset.
    TimestampTz {
        /// Fractional digits, 0 to 9.
        scale: u8,
    },
    /// VARIANT, as JSON text.
    Variant,
    /// OBJECT, as JSON text.
    Object,
    /// ARRAY, as JSON text.
    Array,
    /// MAP, as JSON text.
    Map,
    /// GEOGRAPHY, as GeoJSON text.
    Geography,
    /// GEOMETRY, as GeoJSON text.
    Geometry,
    /// VECTOR of 32-bit floats.
    VectorFloat {
        /// Number of elements.
        dimension: u32,
    },
    /// VECTOR of 32-bit integers.
    VectorInt {
        /// Number of elements.
        dimension: u32,
    },
    /// A type this version does not know; a pull of such a column is refused.
    Unknown {
        /// The server's name for it.
        name: String,
    },
}

impl fmt::Display for SnowflakeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { precision, scale } => write!(f, "NUMBER({precision},{scale})"),
            Self::Float => f.write_str("FLOAT"),
            Self::Decfloat => f.write_str("DECFLOAT"),
            Self::Text => f.write_str("VARCHAR"),
            Self::Binary => f.write_str("BINARY"),
            Self::Boolean => f.write_str("BOOLEAN"),
            Self::Date => f.write_str("DATE"),
            Self::Time { scale } => write!(f, "TIME({scale})"),
            Self::TimestampNtz { scale } => write!(f, "TIMESTAMP_NTZ({scale})"),
            Self::TimestampLtz { scale } => write!(f, "TIMESTAMP_LTZ({scale})"),
            Self::TimestampTz { scale } => write!(f, "TIMESTAMP_TZ({scale})"),
            Self::Variant => f.write_str("VARIANT"),
            Self::Object => f.write_str("OBJECT"),
            Self::Array => f.write_str("ARRAY"),
            Self::Map => f.write_str("MAP"),
            Self::Geography => f.write_str("GEOGRAPHY"),
            Self::Geometry => f.write_str("GEOMETRY"),
            Self::VectorFloat { dimension } => write!(f, "VECTOR(FLOAT, {dimension})"),
            Self::VectorInt { dimension } => write!(f, "VECTOR(INT, {dimension})"),
            Self::Unknown { name } => f.write_str(name),
        }
    }
}

/// One column of a table or view, as DESCRIBE reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDescription {
    /// The exact name.
    pub name: crate::names::Identifier,
    /// The declared type.
    pub data_type: SnowflakeType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Whether the column is part of the declared (not enforced) primary key.
    pub primary_key: bool,
}

/// A table or view as it stands at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDescription {
    /// `TABLE`, `VIEW`, … as Snowflake says.
    pub kind: String,
    /// Changes when the object is created anew (its creation time as server text), and when
    /// another selection of it is read ([`selected_identity`]).
    pub identity: String,
    /// Columns in declared order.
    pub columns: Vec<ColumnDescription>,
}

/// Stands between an object's own identity and the print of a selection.
const SELECTION_MARK: &str = "; selection ";

/// Returns the identity of a selection of an object; `print` differs with what is selected.
#[must_use]
pub fn selected_identity(object: &str, print: &str) -> String {
    format!("{object}{SELECTION_MARK}{print}")
}

/// Returns whether two identities are of one object and of two selections of it.
#[must_use]
pub fn is_another_selection(one: &str, other: &str) -> bool {
    let object = |identity: &str| match identity.split_once(SELECTION_MARK) {
        Some((object, _)) => object.to_owned(),
        None => identity.to_owned(),
    };
    one != other && object(one) == object(other)
}
