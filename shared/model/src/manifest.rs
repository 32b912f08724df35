//! What a staged slice consists of. Created once, then only read.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::slice::Apply;
use crate::time::UnixMillis;
use crate::watermark::Watermark;

/// The version of the stored form of a [`Manifest`] and of a [`PartRecord`].
pub const MANIFEST_VERSION: u32 = 1;

/// One finished part: a contiguous run of the result's chunks as one Parquet object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// Position of the part in the slice, from 0.
    pub index: u32,
    /// Key of the Parquet object, unique to the attempt that wrote it.
    pub object: String,
    /// Rows in the object; equals the server's count for these chunks.
    pub rows: u64,
    /// Size of the object.
    pub size_bytes: u64,
    /// SHA-256 of the object in lower-case hexadecimal.
    pub sha256: String,
    /// Bytes that were received from the server for it.
    pub received_bytes: u64,
    /// Exact statistics of each staged column, in schema order.
    pub columns: Vec<ColumnStats>,
}

/// Exact statistics of one column of one part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnStats {
    /// The staged column.
    pub name: String,
    /// Number of NULLs.
    pub nulls: u64,
    /// The least value; `None` when there is none, when the type has no order here, or when it is
    /// too long to be stored whole.
    pub min: Option<StatValue>,
    /// The greatest value.
    pub max: Option<StatValue>,
}

/// A least or greatest value, exact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatValue {
    /// An integer.
    Int(i64),
    /// A decimal as its unscaled digits; the scale is the column's.
    Decimal(#[serde(with = "digits")] i128),
    /// A float that is not NaN; it may be infinite.
    Float(#[serde(with = "float_text")] f64),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970.
    Micros(i64),
    /// Text, whole: adapters shorten it as their format wants.
    Text(String),
}

impl StatValue {
    /// Compares two values of one column; `None` for values of different kinds.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) | (Self::Micros(a), Self::Micros(b)) => Some(a.cmp(b)),
            (Self::Decimal(a), Self::Decimal(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// Everything that a load needs to know about one slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// The generation the rows belong to.
    pub generation: u64,
    /// The sequence number n that loading this manifest reaches.
    pub sequence: u64,
    /// The statement whose result was staged.
    pub query_id: String,
    /// Fingerprint of the plan the rows were staged by.
    pub plan: String,
    /// Identity of the table that was read.
    pub identity: String,
    /// How the rows are applied.
    pub apply: Apply,
    /// The watermark that holds after the load.
    pub watermark: Option<Watermark>,
    /// When the slice was pinned, by the runner's clock: the table is synced as of this moment.
    pub pinned_at: UnixMillis,
    /// Rows in all; equals the server's total.
    pub rows: u64,
    /// The parts in the order of the result.
    pub parts: Vec<PartRecord>,
}

impl Manifest {
    /// Returns the size of all parts.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.size_bytes).sum()
    }
}

/// 128-bit integers as decimal text, because JSON numbers of most readers end at 53 bits.
mod digits {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &i128, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i128, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Floats as text that reads back to the same bits: JSON has no infinities, and readers may be off
/// by the last bit, which would make a bound wrong.
mod float_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&format_args!("{value:?}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
