//! Conversions between Snowflake's types: casts, TRY_CAST and assignment to a column.

mod plain;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute;
use arrow::datatypes::{DataType, Field, i256};
use chrono_tz::Tz;

pub(crate) use plain::{assignable, float_text, hex, to_float, unhex};
use plain::{
    impossible, to_binary, to_boolean, to_decfloat, to_geography, to_number, to_vector, vector_text,
};

use super::datetime::{self, DAY, SECOND};
use super::error::{not_recognized, number_out_of_range, sql_error, string_too_long};
use super::formats::Formats;
use super::json::{self, Json};
use super::number;
use super::value::{Reader, Value, Writer};
use crate::engine::SqlError;
use crate::types::SnowType;

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
