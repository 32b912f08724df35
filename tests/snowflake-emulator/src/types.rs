//! Snowflake's types, and the Arrow array that carries each inside this emulator.
//!
//! SQL runs on *carriers*: Arrow types chosen so that DataFusion compares, sorts, groups and
//! aggregates them exactly, and so that the Snowflake type can be told from the carrier alone.
//! The wire encoding (narrow integers, struct timestamps) is made from carriers by `wire`.
//!
//! | Snowflake | carrier |
//! |---|---|
//! | NUMBER(p,s) | `Decimal128(p,s)` |
//! | FLOAT | `Float64` |
//! | DECFLOAT | `Utf8`, canonical text, field metadata `snowflake=DECFLOAT` |
//! | TEXT | `Utf8` |
//! | BINARY | `Binary` |
//! | BOOLEAN | `Boolean` |
//! | DATE | `Date32` |
//! | TIME(s) | `Time64(Nanosecond)`, scale in field metadata `scale` (9 when absent) |
//! | TIMESTAMP_NTZ(s) | `Decimal256(40+s, 0)`: wall-clock nanoseconds since 1970 |
//! | TIMESTAMP_LTZ(s) | `Decimal256(50+s, 0)`: UTC nanoseconds since 1970 |
//! | TIMESTAMP_TZ(s) | `Decimal256(60+s, 0)`: UTC nanoseconds × 4096 + (offset minutes + 1440) |
//! | VARIANT, OBJECT, ARRAY, MAP | `LargeUtf8` JSON text, kind in field metadata `snowflake` (VARIANT when absent) |
//! | GEOGRAPHY, GEOMETRY | `LargeUtf8` GeoJSON text, kind in field metadata `snowflake` |
//! | VECTOR(T,n) | `FixedSizeList<Float32 or Int32>[n]` |
//!
//! The decimals of timestamps are distinct types on purpose: their precision names the kind and
//! the scale, survives MAX, ORDER BY, CASE and subqueries, and 256 bits hold the years 0001 to
//! 9999 in nanoseconds.

/// A column type as Snowflake declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnowType {
    /// NUMBER and its synonyms.
    Number {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits after the point, 0 to 37.
        scale: i8,
    },
    /// 64-bit floating point.
    Float,
    /// Decimal floating point of up to 38 digits.
    Decfloat,
    /// VARCHAR.
    Text {
        /// Characters; 16777216 when not declared.
        length: u32,
    },
    /// BINARY.
    Binary {
        /// Bytes; 8388608 when not declared.
        length: u32,
    },
    /// BOOLEAN.
    Boolean,
    /// Days, years 0001 to 9999.
    Date,
    /// Time of day.
    Time {
        /// Fractional digits, 0 to 9.
        scale: u8,
    },
    /// Wall-clock time without a zone.
    TimestampNtz {
        /// Fractional digits, 0 to 9.
        scale: u8,
    },
    /// An instant, shown in the session's zone.
    TimestampLtz {
        /// Fractional digits, 0 to 9.
        scale: u8,
    },
    /// An instant with an offset.
    TimestampTz {
        /// Fractional digits, 0 to 9.
        scale: u8,
    },
    /// Any JSON value.
    Variant,
    /// A JSON object.
    Object,
    /// A JSON array.
    Array,
    /// A map, sent as JSON text.
    Map,
    /// GeoJSON.
    Geography,
    /// GeoJSON.
    Geometry,
    /// A vector of fixed length.
    Vector {
        /// 32-bit floats or integers.
        element: VectorElement,
        /// Number of elements.
        dimension: i32,
    },
}

/// What a VECTOR holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VectorElement {
    /// 32-bit floating point.
    Float,
    /// 32-bit integer.
    Int,
}

/// One column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name as SQL resolved it.
    pub name: String,
    /// The declared or inferred type.
    pub data_type: SnowType,
    /// Whether NULL is possible.
    pub nullable: bool,
    /// Database, schema and table of origin; empty for expressions.
    pub origin: [String; 3],
}
