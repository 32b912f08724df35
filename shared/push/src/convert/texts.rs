//! Texts, JSON, shapes, bytes and vectors.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, Float64Array, Int64Array, ListArray, StringArray, StringBuilder,
};
use arrow::datatypes::DataType;
use snowferry_model::push::PushColumn;
use snowferry_model::types::SnowflakeType;

use super::{ConvertError, Input, Problems, cast, typed};

const TOO_LONG: &str = "a text too long for the column";
const TOO_MANY_BYTES: &str = "a value of more bytes than the column holds";
const NO_JSON: &str = "a text that is no JSON";
const EMPTY_SHAPE: &str = "an empty text, which is no shape";
const OTHER_DIMENSION: &str = "a vector of another length than the column's";
const NULL_ELEMENT: &str = "a vector with an element that is NULL or not finite";

/// Snowflake's limit for a semi-structured value, in bytes (16 MB of the classic limit).
const JSON_MAX_BYTES: u64 = 16 << 20;

/// Brings any text type to the one of the parts.
pub(super) fn as_texts(column: &PushColumn, values: &ArrayRef) -> Result<ArrayRef, ConvertError> {
    cast(column, values, &DataType::Utf8)
}

pub(super) fn texts(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let array = as_texts(column, input.values)?;
    let values: &StringArray = typed(column, &array)?;
    let max_chars = column.max_chars.unwrap_or(u64::MAX);
    for value in values.iter().flatten() {
        let bytes = value.len() as u64;
        // A text never has more characters than bytes.
        if bytes > max_chars {
            let chars = value.chars().count() as u64;
            if chars > max_chars {
                problems.add_sized(TOO_LONG, chars, "characters");
            }
        }
        check_bytes(column.max_bytes, bytes, problems);
    }
    Ok(array)
}

fn check_bytes(max: Option<u64>, bytes: u64, problems: &mut Problems) {
    if max.is_some_and(|max| bytes > max) {
        problems.add_sized(TOO_MANY_BYTES, bytes, "bytes");
    }
}

pub(super) fn json(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let array = as_texts(column, input.values)?;
    let values: &StringArray = typed(column, &array)?;
    for value in values.iter().flatten() {
        check_bytes(Some(JSON_MAX_BYTES), value.len() as u64, problems);
        let first = value.trim_start().bytes().next();
        let kind_fits = match column.data_type {
            SnowflakeType::Object => first == Some(b'{'),
            SnowflakeType::Array => first == Some(b'['),
            _ => true,
        };
        if !kind_fits || serde_json::from_str::<serde::de::IgnoredAny>(value).is_err() {
            problems.add(NO_JSON);
        }
    }
    Ok(array)
}

/// The server reads shapes itself and refuses the load if one cannot be read.
pub(super) fn shapes(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let array = as_texts(column, input.values)?;
    let values: &StringArray = typed(column, &array)?;
    for value in values.iter().flatten() {
        if value.trim().is_empty() {
            problems.add(EMPTY_SHAPE);
        }
    }
    Ok(array)
}

pub(super) fn binaries(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let array = cast(column, input.values, &DataType::Binary)?;
    let values: &BinaryArray = typed(column, &array)?;
    for value in values.iter().flatten() {
        check_bytes(column.max_bytes, value.len() as u64, problems);
    }
    Ok(array)
}

/// Vectors as JSON arrays; a 32-bit float's shortest text reads back to the same float.
pub(super) fn vectors(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let lists: &ListArray = typed(column, input.values)?;
    let dimension = match column.data_type {
        SnowflakeType::VectorFloat { dimension } | SnowflakeType::VectorInt { dimension } => {
            dimension
        }
        _ => return Err(ConvertError::new(column, "the column is no vector")),
    };
    let whole = matches!(column.data_type, SnowflakeType::VectorInt { .. });
    let mut out = StringBuilder::new();
    for row in 0..lists.len() {
        if lists.is_null(row) {
            out.append_null();
            continue;
        }
        let elements = lists.value(row);
        if elements.len() as u64 != u64::from(dimension) {
            problems.add_sized(OTHER_DIMENSION, elements.len() as u64, "elements");
        }
        let text = match whole {
            true => whole_numbers(column, &elements)?,
            false => floats(column, &elements)?,
        };
        match text {
            Some(text) => out.append_value(text),
            None => {
                problems.add(NULL_ELEMENT);
                out.append_null();
            }
        }
    }
    Ok(Arc::new(out.finish()))
}

fn whole_numbers(column: &PushColumn, elements: &ArrayRef) -> Result<Option<String>, ConvertError> {
    let elements = cast(column, elements, &DataType::Int64)?;
    let elements: &Int64Array = typed(column, &elements)?;
    Ok(joined(elements.iter().map(|element| element.map(|number| number.to_string()))))
}

fn floats(column: &PushColumn, elements: &ArrayRef) -> Result<Option<String>, ConvertError> {
    let elements = cast(column, elements, &DataType::Float64)?;
    let elements: &Float64Array = typed(column, &elements)?;
    let finite = |element: Option<f64>| element.filter(|number| number.is_finite());
    Ok(joined(elements.iter().map(|element| finite(element).map(|number| format!("{number:?}")))))
}

fn joined(elements: impl Iterator<Item = Option<String>>) -> Option<String> {
    let mut text = String::from("[");
    for (position, element) in elements.enumerate() {
        let separator = if position == 0 { "" } else { "," };
        write!(text, "{separator}{}", element?).ok()?;
    }
    text.push(']');
    Some(text)
}
