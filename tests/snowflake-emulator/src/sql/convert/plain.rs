//! Conversions that need nothing of the session.

use arrow::datatypes::i256;

use super::super::error::{
    compile, not_recognized, number_not_recognized, number_out_of_range, numeric_out_of_range,
    sql_error, string_too_long,
};
use super::super::json::{self, Json};
use super::super::number;
use super::super::value::Value;
use crate::engine::SqlError;
use crate::types::{SnowType, VectorElement};

pub(super) fn impossible(value: &Value, to: &str) -> SqlError {
    let from = match value {
        Value::Null => "NULL",
        Value::Number(..) => "NUMBER",
        Value::Float(_) => "FLOAT",
        Value::Decfloat(_) => "DECFLOAT",
        Value::Text(_) => "VARCHAR",
        Value::Bytes(_) => "BINARY",
        Value::Bool(_) => "BOOLEAN",
        Value::Date(_) => "DATE",
        Value::Time(_) => "TIME",
        Value::Ntz(_) => "TIMESTAMP_NTZ",
        Value::Ltz(_) => "TIMESTAMP_LTZ",
        Value::Tz(..) => "TIMESTAMP_TZ",
        Value::Json(_) => "VARIANT",
        Value::FloatVector(_) | Value::IntVector(_) => "VECTOR",
    };
    compile("001065", "22023", format!("invalid type [CAST({from} AS {to})] for parameter '{to}'"))
}

pub(super) fn to_number(value: Value, precision: u8, scale: i8) -> Result<Value, SqlError> {
    let wanted = i32::from(scale);
    let unscaled = match &value {
        Value::Number(unscaled, from) => number::rescale(*unscaled, i32::from(*from), wanted),
        Value::Text(text) | Value::Decfloat(text) => {
            let parsed = number::parse(text).ok_or_else(|| number_not_recognized(text))?;
            number::rescale(parsed.unscaled, parsed.scale, wanted)
        }
        Value::Float(float) => {
            if !float.is_finite() || float.abs() >= 1e38 {
                return Err(number_out_of_range(format!("value {}", float_text(*float))));
            }
            let digits = usize::try_from(wanted).unwrap_or(0) + 1;
            let text = if float.abs() < 1e15 {
                format!("{float:.digits$}", digits = digits.max(20))
            } else {
                format!("{float:.0}")
            };
            number::parse(&text).and_then(|d| number::rescale(d.unscaled, d.scale, wanted))
        }
        Value::Bool(flag) => number::rescale(i256::from_i128(i128::from(*flag)), 0, wanted),
        other => return Err(impossible(other, "NUMBER")),
    };
    let fitted = number::fit(unscaled, precision).map_err(|error| match &value {
        Value::Text(text) => numeric_out_of_range(text),
        _ => error,
    })?;
    Ok(Value::Number(i256::from_i128(fitted), scale))
}

/// Any number as 64-bit floating point, rounded once.
pub(crate) fn to_float(value: Value) -> Result<f64, SqlError> {
    let text = match value {
        Value::Float(float) => return Ok(float),
        Value::Bool(flag) => return Ok(f64::from(u8::from(flag))),
        Value::Number(unscaled, scale) => number::format(unscaled, i32::from(scale)),
        Value::Text(text) | Value::Decfloat(text) => text,
        other => return Err(impossible(&other, "FLOAT")),
    };
    let trimmed = text.trim();
    match trimmed.to_ascii_lowercase().as_str() {
        "nan" => return Ok(f64::NAN),
        "inf" | "+inf" | "infinity" | "+infinity" => return Ok(f64::INFINITY),
        "-inf" | "-infinity" => return Ok(f64::NEG_INFINITY),
        _ => {}
    }
    let numeric = trimmed.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let float = trimmed.parse::<f64>().ok().filter(|float| numeric && float.is_finite());
    float.ok_or_else(|| number_not_recognized(&text))
}

pub(super) fn to_decfloat(value: Value) -> Result<Value, SqlError> {
    let text = match value {
        Value::Number(unscaled, scale) => number::format(unscaled, i32::from(scale)),
        Value::Float(float) if float.is_finite() => format!("{float:e}"),
        Value::Text(text) | Value::Decfloat(text) => text,
        other => return Err(impossible(&other, "DECFLOAT")),
    };
    decfloat_text(&text).map(Value::Decfloat).ok_or_else(|| number_not_recognized(&text))
}

/// Plain digits between 10^-6 and 10^38, else `d.ddde±n`; at most 38 significant digits.
fn decfloat_text(text: &str) -> Option<String> {
    let text = text.trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let parsed = number::parse(mantissa)?;
    let negative = parsed.unscaled.is_negative();
    let all = parsed.unscaled.to_string();
    let all = all.trim_start_matches('-').trim_start_matches('0');
    let digits = all.trim_end_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    if digits.len() > usize::from(number::MAX_DIGITS) {
        return None;
    }
    let last = i32::try_from(all.len() - digits.len()).ok()? - parsed.scale + exponent;
    let count = i32::try_from(digits.len()).ok()?;
    let first = last + count - 1;
    if first.abs() > 16_384 {
        return None;
    }
    let body = if (-6..38).contains(&first) {
        let unscaled = number::parse(digits)?.unscaled;
        if last >= 0 {
            number::rescale(unscaled, 0, last)?.to_string()
        } else {
            number::format(unscaled, -last)
        }
    } else {
        let (head, tail) = digits.split_at(1);
        let point = if tail.is_empty() { "" } else { "." };
        format!("{head}{point}{tail}e{first}")
    };
    Some(if negative { format!("-{body}") } else { body })
}

pub(super) fn to_binary(value: Value, length: u32) -> Result<Value, SqlError> {
    let bytes = match value {
        Value::Bytes(bytes) => bytes,
        Value::Text(text) => unhex(&text).ok_or_else(|| {
            sql_error(
                "100115",
                "22000",
                format!("The following string is not a legal hex-encoded value: '{text}'"),
            )
        })?,
        other => return Err(impossible(&other, "BINARY")),
    };
    if bytes.len() > usize::try_from(length).unwrap_or(usize::MAX) {
        return Err(string_too_long(&hex(&bytes)));
    }
    Ok(Value::Bytes(bytes))
}

pub(super) fn to_boolean(value: Value) -> Result<Value, SqlError> {
    Ok(Value::Bool(match value {
        Value::Bool(flag) => flag,
        Value::Number(unscaled, _) => unscaled != i256::ZERO,
        Value::Float(float) => float != 0.0,
        Value::Text(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => true,
            "false" | "f" | "no" | "n" | "off" | "0" => false,
            _ => return Err(not_recognized("Boolean", &text)),
        },
        other => return Err(impossible(&other, "BOOLEAN")),
    }))
}

pub(super) fn to_vector(
    value: Value,
    element: VectorElement,
    dimension: i32,
) -> Result<Value, SqlError> {
    let text = match &value {
        Value::Text(text) => text.clone(),
        Value::FloatVector(_) if element == VectorElement::Float => return Ok(value),
        Value::IntVector(_) if element == VectorElement::Int => return Ok(value),
        other => return Err(impossible(other, "VECTOR")),
    };
    let wrong = || {
        let message = format!(
            "Array-like value being cast to a vector has incorrect dimension or element: {text}"
        );
        sql_error("100071", "22000", message)
    };
    let Ok(Json::Array(items)) = json::parse(&text) else { return Err(wrong()) };
    if usize::try_from(dimension) != Ok(items.len()) {
        return Err(wrong());
    }
    let numbers = items.iter().map(|item| match item {
        Json::Number(digits) => Ok(digits.as_str()),
        _ => Err(wrong()),
    });
    match element {
        VectorElement::Float => numbers
            .map(|digits| digits?.parse().map_err(|_| wrong()))
            .collect::<Result<_, _>>()
            .map(Value::FloatVector),
        VectorElement::Int => numbers
            .map(|digits| digits?.parse().map_err(|_| wrong()))
            .collect::<Result<_, _>>()
            .map(Value::IntVector),
    }
}

/// GeoJSON of one geometry, or the WKT of a point.
pub(super) fn to_geography(value: Value, to: &SnowType) -> Result<Value, SqlError> {
    let text = match &value {
        Value::Json(text) | Value::Text(text) => text.trim().to_owned(),
        other => return Err(impossible(other, to.name())),
    };
    let wrong = || {
        sql_error(
            "100217",
            "22P02",
            format!("Error parsing Geo input: {text}. Did not recognize valid GeoJSON or WKT."),
        )
    };
    if let Ok(Json::Object(members)) = json::parse(&text) {
        let known = ["Point", "LineString", "Polygon", "MultiPoint", "MultiLineString"];
        let more = ["MultiPolygon", "GeometryCollection", "Feature", "FeatureCollection"];
        return match members.get("type") {
            Some(Json::String(kind)) if known.contains(&&**kind) || more.contains(&&**kind) => {
                Ok(Value::Json(Json::Object(members).to_text()))
            }
            _ => Err(wrong()),
        };
    }
    let upper = text.to_ascii_uppercase();
    let inner = upper
        .strip_prefix("POINT")
        .map(str::trim)
        .and_then(|rest| rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')));
    let numbers: Vec<&str> = inner.ok_or_else(wrong)?.split_whitespace().collect();
    match numbers.as_slice() {
        [x, y] if number::parse(x).is_some() && number::parse(y).is_some() => {
            let coordinates = [*x, *y].map(|text| Json::Number(text.to_owned())).to_vec();
            let members = [
                ("coordinates".to_owned(), Json::Array(coordinates)),
                ("type".to_owned(), Json::String("Point".to_owned())),
            ];
            Ok(Value::Json(Json::Object(members.into()).to_text()))
        }
        _ => Err(wrong()),
    }
}

/// The shortest text that reads back as the same number; an exponent outside 1e-5 to 1e15.
pub(crate) fn float_text(float: f64) -> String {
    if float.is_nan() {
        return "NaN".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(power) if !(-5..15).contains(&power) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", power.abs())
        }
        _ => format!("{float}"),
    }
}

/// Upper-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Bytes of hexadecimal text.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high * 16 + low),
        _ => None,
    });
    pairs.collect()
}

pub(super) fn vector_text(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// Whether a value of one type goes into a column of another without a cast.
pub(crate) fn assignable(from: &SnowType, to: &SnowType) -> bool {
    use SnowType::{
        Array, Binary, Boolean, Date, Decfloat, Float, Geography, Geometry, Map, Number, Object,
        Text, Time, Variant, Vector,
    };
    match (from, to) {
        (Variant, Vector { .. }) => false,
        (Variant, _) => true,
        (Object | Array | Map, Variant)
        | (Object, Map | Object | Geography | Geometry)
        | (Array, Array)
        | (Map, Map)
        | (Geography, Geography)
        | (Geometry, Geometry) => true,
        (Text { .. }, Variant | Object | Array | Map | Vector { .. } | Binary { .. }) => false,
        (Text { .. }, _) => true,
        (Number { .. } | Float | Decfloat, Number { .. } | Float | Decfloat | Text { .. }) => true,
        (Boolean, Boolean | Text { .. }) | (Binary { .. }, Binary { .. }) => true,
        (Date, Date | Text { .. }) | (Time { .. }, Time { .. } | Text { .. }) => true,
        (Date, other) => other.is_timestamp(),
        (from, Date | Time { .. } | Text { .. }) => from.is_timestamp(),
        (Vector { .. }, Vector { .. }) => from == to,
        (from, to) => from.is_timestamp() && to.is_timestamp(),
    }
}
