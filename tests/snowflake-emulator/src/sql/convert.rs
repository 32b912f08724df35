//! Conversions between Snowflake's types: casts, TRY_CAST and assignment to a column.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute;
use arrow::datatypes::{DataType, Field, i256};
use chrono_tz::Tz;

use super::datetime::{self, DAY, SECOND};
use super::error::{
    compile, not_recognized, number_not_recognized, number_out_of_range, numeric_out_of_range,
    sql_error, string_too_long,
};
use super::formats::Formats;
use super::json::{self, Json};
use super::number;
use super::value::{Reader, Value, Writer};
use crate::engine::SqlError;
use crate::types::{SnowType, VectorElement};

/// What conversions take from the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Conversion {
    /// The session's TIMEZONE.
    pub zone: Tz,
    /// The session's output formats.
    pub formats: Formats,
}

/// What to do with text that is not of the wanted type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// CAST: an error.
    Error,
    /// TRY_CAST: NULL.
    Null,
}

impl Conversion {
    /// Converts all cells of an array.
    pub(crate) fn array(
        &self,
        array: &ArrayRef,
        field: &Field,
        to: &SnowType,
        failure: Failure,
    ) -> Result<ArrayRef, SqlError> {
        if let Some(same) = unchanged(array, field, to) {
            return Ok(same);
        }
        let reader = Reader::new(array, field);
        let mut writer = Writer::new(&to.carrier(), array.len())?;
        for row in 0..array.len() {
            let value = reader.get(row)?;
            writer.push(match (self.value(value, to), failure) {
                (Err(_), Failure::Null) => Value::Null,
                (result, _) => result?,
            })?;
        }
        Ok(writer.finish())
    }

    /// Converts one cell.
    pub(crate) fn value(&self, value: Value, to: &SnowType) -> Result<Value, SqlError> {
        if let (Value::Json(text), false) = (&value, to.is_document()) {
            return self.read_json(text, to);
        }
        match to {
            _ if value == Value::Null => Ok(Value::Null),
            SnowType::Number { precision, scale } => to_number(value, *precision, *scale),
            SnowType::Float => to_float(value).map(Value::Float),
            SnowType::Decfloat => to_decfloat(value),
            SnowType::Text { length } => {
                let text = self.text(&value);
                if text.chars().count() > usize::try_from(*length).unwrap_or(usize::MAX) {
                    return Err(string_too_long(&text));
                }
                Ok(Value::Text(text))
            }
            SnowType::Binary { length } => to_binary(value, *length),
            SnowType::Boolean => to_boolean(value),
            SnowType::Date => self.to_date(value),
            SnowType::Time { scale } => self.to_time(value, *scale),
            SnowType::TimestampNtz { scale }
            | SnowType::TimestampLtz { scale }
            | SnowType::TimestampTz { scale } => self.to_timestamp(value, to, *scale),
            SnowType::Vector { element, dimension } => to_vector(value, *element, *dimension),
            SnowType::Geography | SnowType::Geometry => to_geography(value, to),
            SnowType::Variant | SnowType::Object | SnowType::Array | SnowType::Map => {
                self.to_document(value, to)
            }
        }
    }

    /// The text of a cell, in the session's formats.
    pub(crate) fn text(&self, value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::Number(unscaled, scale) => number::format(*unscaled, i32::from(*scale)),
            Value::Float(number) => float_text(*number),
            Value::Text(text) | Value::Decfloat(text) => text.clone(),
            Value::Bytes(bytes) => hex(bytes),
            Value::Bool(flag) => flag.to_string(),
            Value::Date(days) => self.formats.date(*days),
            Value::Time(nanos) => self.formats.time(*nanos),
            Value::Ntz(wall) => self.formats.ntz(*wall),
            Value::Ltz(utc) => self.formats.ltz(*utc, datetime::offset_at(self.zone, *utc)),
            Value::Tz(utc, offset) => self.formats.tz(*utc, *offset),
            Value::Json(text) => match json::parse(text) {
                Ok(Json::String(inner)) => inner,
                _ => text.clone(),
            },
            Value::FloatVector(items) => vector_text(items.iter().map(|item| format!("{item:.6}"))),
            Value::IntVector(items) => vector_text(items.iter().map(ToString::to_string)),
        }
    }

    /// The moment in UTC of any date or timestamp.
    pub(crate) fn instant(&self, value: &Value) -> Option<i128> {
        match value {
            Value::Date(days) => Some(datetime::utc_of(self.zone, i128::from(*days) * DAY)),
            Value::Ntz(wall) => Some(datetime::utc_of(self.zone, *wall)),
            Value::Ltz(utc) | Value::Tz(utc, _) => Some(*utc),
            _ => None,
        }
    }

    /// The wall-clock moment that a person in the value's own zone sees.
    pub(crate) fn wall(&self, value: &Value) -> Option<i128> {
        let shifted = |utc: i128, offset: i32| utc + i128::from(offset) * 60 * SECOND;
        match value {
            Value::Date(days) => Some(i128::from(*days) * DAY),
            Value::Ntz(wall) => Some(*wall),
            Value::Ltz(utc) => Some(shifted(*utc, datetime::offset_at(self.zone, *utc))),
            Value::Tz(utc, offset) => Some(shifted(*utc, *offset)),
            _ => None,
        }
    }

    fn to_date(&self, value: Value) -> Result<Value, SqlError> {
        let days = match &value {
            Value::Text(text) => datetime::parse_timestamp(text)
                .map(|parsed| parsed.wall.div_euclid(DAY))
                .ok_or_else(|| not_recognized("Date", text))?,
            other => {
                let wall = self.wall(other).ok_or_else(|| impossible(other, "DATE"))?;
                wall.div_euclid(DAY)
            }
        };
        let days = i32::try_from(days).map_err(|_| not_recognized("Date", &days.to_string()))?;
        Ok(Value::Date(days))
    }

    fn to_time(&self, value: Value, scale: u8) -> Result<Value, SqlError> {
        let nanos = match &value {
            Value::Time(nanos) => i128::from(*nanos),
            Value::Text(text) => datetime::parse_time(text)
                .or_else(|| datetime::parse_timestamp(text).map(|at| at.wall.rem_euclid(DAY)))
                .ok_or_else(|| not_recognized("Time", text))?,
            Value::Date(_) => return Err(impossible(&value, "TIME")),
            other => {
                let wall = self.wall(other).ok_or_else(|| impossible(other, "TIME"))?;
                wall.rem_euclid(DAY)
            }
        };
        let cut = datetime::cut(nanos, scale);
        i64::try_from(cut).map(Value::Time).map_err(|_| not_recognized("Time", "?"))
    }

    fn to_timestamp(&self, value: Value, to: &SnowType, scale: u8) -> Result<Value, SqlError> {
        let offset_at = |utc| datetime::offset_at(self.zone, utc);
        let (wall, utc, offset) = match &value {
            Value::Text(text) => {
                let parsed = datetime::parse_timestamp(text)
                    .ok_or_else(|| not_recognized("Timestamp", text))?;
                let utc = match parsed.offset {
                    Some(minutes) => parsed.wall - i128::from(minutes) * 60 * SECOND,
                    None => datetime::utc_of(self.zone, parsed.wall),
                };
                (parsed.wall, utc, parsed.offset.unwrap_or_else(|| offset_at(utc)))
            }
            Value::Number(unscaled, digits) => {
                let nanos = number::rescale(*unscaled, i32::from(*digits), 9)
                    .and_then(i256::to_i128)
                    .ok_or_else(|| number_out_of_range("timestamp"))?;
                (nanos, nanos, offset_at(nanos))
            }
            other => {
                let wall = self.wall(other).ok_or_else(|| impossible(other, to.name()))?;
                let utc = self.instant(other).unwrap_or(wall);
                let offset =
                    if let Value::Tz(_, offset) = other { *offset } else { offset_at(utc) };
                (wall, utc, offset)
            }
        };
        let days = i64::try_from(wall.div_euclid(DAY)).unwrap_or(i64::MAX);
        if !datetime::day_in_range(days) {
            return Err(not_recognized("Timestamp", &self.text(&value)));
        }
        Ok(match to {
            SnowType::TimestampNtz { .. } => Value::Ntz(datetime::cut(wall, scale)),
            SnowType::TimestampLtz { .. } => Value::Ltz(datetime::cut(utc, scale)),
            _ => Value::Tz(datetime::cut(utc, scale), offset),
        })
    }

    fn read_json(&self, text: &str, to: &SnowType) -> Result<Value, SqlError> {
        let plain = match json::parse(text) {
            Ok(Json::Null) => return Ok(Value::Null),
            Ok(Json::String(inner)) => Value::Text(inner),
            Ok(Json::Bool(flag)) => Value::Bool(flag),
            Ok(Json::Number(digits)) => Value::Text(digits),
            Ok(Json::Array(_)) if matches!(to, SnowType::Vector { .. }) => {
                Value::Text(text.to_owned())
            }
            Ok(_) | Err(_) if matches!(to, SnowType::Text { .. }) => Value::Text(text.to_owned()),
            Ok(_) | Err(_) => {
                return Err(sql_error(
                    "100071",
                    "22000",
                    format!("Failed to cast variant value {text} to {}", to.name()),
                ));
            }
        };
        self.value(plain, to)
    }

    fn to_document(&self, value: Value, to: &SnowType) -> Result<Value, SqlError> {
        let text = match &value {
            Value::Json(text) => text.clone(),
            _ if *to == SnowType::Array => format!("[{}]", self.json_text(&value)),
            _ if *to == SnowType::Variant => self.json_text(&value),
            other => return Err(impossible(other, to.name())),
        };
        let fits = match to {
            SnowType::Object | SnowType::Map => text.starts_with('{'),
            SnowType::Array => text.starts_with('['),
            _ => true,
        };
        match (fits, to) {
            (true, _) => Ok(Value::Json(text)),
            (false, _) if text == "null" => Ok(Value::Null),
            (false, SnowType::Array) => Ok(Value::Json(format!("[{text}]"))),
            (false, _) => Err(sql_error(
                "100071",
                "22000",
                format!("Failed to cast variant value {text} to {}", to.name()),
            )),
        }
    }

    /// A cell as JSON text: what TO_VARIANT and OBJECT_CONSTRUCT make of it.
    pub(crate) fn json_text(&self, value: &Value) -> String {
        match value {
            Value::Null => "null".to_owned(),
            Value::Json(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(..) => self.text(value),
            Value::Float(number) if number.is_finite() => float_text(*number),
            Value::FloatVector(_) | Value::IntVector(_) => self.text(value),
            other => Json::String(self.text(other)).to_text(),
        }
    }
}

/// The array itself when it has the wanted type already, or only a narrower declaration.
fn unchanged(array: &ArrayRef, field: &Field, to: &SnowType) -> Option<ArrayRef> {
    let from = SnowType::of(field)?;
    match (&from, to) {
        _ if *field.data_type() != from.carrier() => None,
        _ if from == *to => Some(Arc::clone(array)),
        (SnowType::Text { length: a }, SnowType::Text { length: b })
        | (SnowType::Binary { length: a }, SnowType::Binary { length: b })
            if a <= b =>
        {
            Some(Arc::clone(array))
        }
        (SnowType::Text { .. }, SnowType::Text { length }) => {
            let limit = usize::try_from(*length).ok()?;
            let strings = array.as_string_opt::<i32>()?;
            let fits = strings.iter().flatten().all(|text| text.len() <= limit);
            fits.then(|| Arc::clone(array))
        }
        (
            SnowType::Number { precision: p1, scale: s1 },
            SnowType::Number { precision: p2, scale: s2 },
        ) if s1 == s2 && p1 <= p2 => compute::cast(array, &to.carrier()).ok(),
        (SnowType::TimestampNtz { scale: a }, SnowType::TimestampNtz { scale: b })
        | (SnowType::TimestampLtz { scale: a }, SnowType::TimestampLtz { scale: b })
        | (SnowType::TimestampTz { scale: a }, SnowType::TimestampTz { scale: b })
            if a <= b =>
        {
            retyped(array, &to.carrier())
        }
        _ => None,
    }
}

fn retyped(array: &ArrayRef, carrier: &DataType) -> Option<ArrayRef> {
    let decimals = array.as_primitive_opt::<arrow::datatypes::Decimal256Type>()?.clone();
    Some(Arc::new(decimals.with_data_type(carrier.clone())))
}

fn impossible(value: &Value, to: &str) -> SqlError {
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

fn to_number(value: Value, precision: u8, scale: i8) -> Result<Value, SqlError> {
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

fn to_decfloat(value: Value) -> Result<Value, SqlError> {
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

fn to_binary(value: Value, length: u32) -> Result<Value, SqlError> {
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

fn to_boolean(value: Value) -> Result<Value, SqlError> {
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

fn to_vector(value: Value, element: VectorElement, dimension: i32) -> Result<Value, SqlError> {
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
fn to_geography(value: Value, to: &SnowType) -> Result<Value, SqlError> {
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

fn vector_text(items: impl Iterator<Item = String>) -> String {
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
