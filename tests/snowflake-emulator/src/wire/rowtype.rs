//! The `rowtype` array: what each column of a result is, in the server's words.

use serde_json::{Value, json};

use crate::types::{Column, SnowType, VectorElement};

/// Longest classic VARCHAR, in characters and in bytes.
const TEXT_LIMIT: u32 = 16_777_216;

/// Returns the `rowtype` array for `columns`.
pub(crate) fn rowtype(columns: &[Column]) -> Value {
    Value::Array(columns.iter().map(entry).collect())
}

fn entry(column: &Column) -> Value {
    let [database, schema, table] = &column.origin;
    let (precision, scale) = precision_and_scale(&column.data_type);
    let (length, byte_length) = lengths(&column.data_type);
    let mut entry = json!({
        "name": column.name,
        "database": database,
        "schema": schema,
        "table": table,
        "type": type_name(&column.data_type),
        "nullable": column.nullable,
        "precision": precision,
        "scale": scale,
        "length": length,
        "byteLength": byte_length,
        "collation": null,
    });
    let Value::Object(members) = &mut entry else { return entry };
    match &column.data_type {
        SnowType::Geography => {
            members.insert("extTypeName".to_owned(), json!("GEOGRAPHY"));
        }
        SnowType::Geometry => {
            members.insert("extTypeName".to_owned(), json!("GEOMETRY"));
        }
        SnowType::Vector { element, dimension } => {
            members.insert("vectorDimension".to_owned(), json!(dimension));
            members.insert("fields".to_owned(), json!([vector_element(*element)]));
        }
        _ => {}
    }
    entry
}

fn vector_element(element: VectorElement) -> Value {
    let (kind, precision, scale) = match element {
        VectorElement::Float => ("real", Value::Null, Value::Null),
        VectorElement::Int => ("fixed", json!(38), json!(0)),
    };
    json!({
        "name": null, "type": kind, "nullable": false, "precision": precision, "scale": scale,
        "length": null, "byteLength": null, "collation": null,
    })
}

/// Returns the lower-case type name used in `rowtype`.
pub(crate) fn type_name(data_type: &SnowType) -> &'static str {
    match data_type {
        SnowType::Number { .. } => "fixed",
        SnowType::Float => "real",
        SnowType::Decfloat => "decfloat",
        SnowType::Text { .. } => "text",
        SnowType::Binary { .. } => "binary",
        SnowType::Boolean => "boolean",
        SnowType::Date => "date",
        SnowType::Time { .. } => "time",
        SnowType::TimestampNtz { .. } => "timestamp_ntz",
        SnowType::TimestampLtz { .. } => "timestamp_ltz",
        SnowType::TimestampTz { .. } => "timestamp_tz",
        SnowType::Variant => "variant",
        // Clients that did not ask for structured types get a MAP as an object.
        SnowType::Object | SnowType::Map | SnowType::Geography | SnowType::Geometry => "object",
        SnowType::Array => "array",
        SnowType::Vector { .. } => "vector",
    }
}

/// Returns precision and scale as `rowtype` gives them.
fn precision_and_scale(data_type: &SnowType) -> (Option<u8>, Option<i64>) {
    match data_type {
        SnowType::Number { precision, scale } => (Some(*precision), Some(i64::from(*scale))),
        SnowType::Decfloat => (Some(38), None),
        SnowType::Time { scale }
        | SnowType::TimestampNtz { scale }
        | SnowType::TimestampLtz { scale }
        | SnowType::TimestampTz { scale } => (Some(0), Some(i64::from(*scale))),
        _ => (None, None),
    }
}

/// Returns length in characters and in bytes as `rowtype` gives them.
pub(crate) fn lengths(data_type: &SnowType) -> (Option<u32>, Option<u32>) {
    match data_type {
        SnowType::Text { length } => (Some(*length), Some(text_bytes(*length))),
        SnowType::Binary { length } => (Some(*length), Some(*length)),
        // A driver tells the two struct forms of this type apart by this length.
        SnowType::TimestampTz { scale } => (None, Some(timestamp_tz_bytes(*scale))),
        _ => (None, None),
    }
}

/// Returns the byte length that names the struct form of a TIMESTAMP_TZ: 8 or 16.
pub(crate) fn timestamp_tz_bytes(scale: u8) -> u32 {
    if scale <= 3 { 8 } else { 16 }
}

/// Returns the bytes a VARCHAR of `length` characters may take: four for each, within the limit.
fn text_bytes(length: u32) -> u32 {
    length.saturating_mul(4).min(TEXT_LIMIT.max(length))
}
