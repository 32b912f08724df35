//! One column on its way to the target: where it comes from and how it travels.

use serde::{Deserialize, Serialize};

use crate::names::Identifier;
use crate::types::SnowflakeType;

/// One column of the parts and the column of the target it goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushColumn {
    /// The exact name in the target.
    pub target: Identifier,
    /// The declared type in the target.
    pub data_type: SnowflakeType,
    /// Characters that the target holds, of a text column.
    pub max_chars: Option<u64>,
    /// Bytes that the target holds, of a text or binary column.
    pub max_bytes: Option<u64>,
    /// Whether the target takes NULL.
    pub nullable: bool,
    /// The column of the query; its companions `__ns` and `__offset_min` bear its name.
    pub source: String,
    /// Whether a companion `__ns` is read too.
    pub nanos: bool,
    /// Whether a companion `__offset_min` is read too.
    pub offset: bool,
    /// How the values travel.
    pub form: WireForm,
    /// Whether digits beyond the target's scale are rounded instead of refused.
    pub round: bool,
}

impl PushColumn {
    /// Returns the name of the column in the parts: `c0`, `c1`, … so that no name of a customer
    /// is ever a path into a file.
    #[must_use]
    pub fn wire_name(position: usize) -> String {
        format!("c{position}")
    }
}

/// How values travel in a Parquet part. The server's loader reads each of them without loss, given
/// the conversion that belongs to the form and the declared type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WireForm {
    /// 64-bit integer.
    Integer,
    /// Exact decimal.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// 64-bit float.
    Float,
    /// Boolean.
    Boolean,
    /// Days since 1970.
    Date,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// Text of a JSON value.
    Json,
    /// Text of a GeoJSON or WKT shape.
    Shape,
    /// Text of a decimal floating point number.
    DecimalText,
    /// `HH:MM:SS.nnnnnnnnn`.
    TimeText,
    /// Microseconds since 1970: wall-clock time.
    WallMicros,
    /// Microseconds since 1970: an instant.
    InstantMicros,
    /// `YYYY-MM-DD HH:MM:SS.nnnnnnnnn`: wall-clock time with nanoseconds.
    WallText,
    /// The same with ` +HHMM` behind it: wall-clock time and its offset from UTC.
    OffsetText,
    /// Text of a JSON array of numbers, the elements of a vector.
    VectorText,
}

/// A column of the target that holds one value in all rows of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constant {
    /// The exact name in the target.
    pub target: Identifier,
    /// The value.
    pub value: ConstantValue,
}

/// The value of a [`Constant`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConstantValue {
    /// The id of the run that pinned the slice.
    RunId,
    /// The time at which the slice was pinned.
    PinnedAt,
    /// This text.
    Text(String),
    /// This integer.
    Integer(i64),
    /// This truth value.
    Boolean(bool),
}
