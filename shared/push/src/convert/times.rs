//! Dates, times of day and timestamps.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Date32Array, Int64Array, StringBuilder, TimestampMicrosecondArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};
use snowferry_model::push::{PushColumn, WireForm};
use snowferry_model::time::civil_from_days;
use snowferry_model::types::SnowflakeType;

use super::{ConvertError, Input, Problems, cast, typed, wire_type};

const OTHER_YEAR: &str = "a year outside 1 to 9999";
const NO_TIME: &str = "a number that is no nanosecond of a day";
const TOO_FINE: &str = "a time with more digits of a second than the column has";
const OTHER_NANOS: &str = "nanoseconds outside 0 to 999 beside a timestamp";
const OTHER_OFFSET: &str = "an offset of more than 14 hours beside a timestamp";

/// 0001-01-01 and 9999-12-31 as days since 1970.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

const DAY_NANOS: i64 = 86_400_000_000_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// The greatest offset that Snowflake takes, in minutes.
const MAX_OFFSET_MIN: i16 = 14 * 60;

pub(super) fn dates(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let array = cast(column, input.values, &DataType::Date32)?;
    let values: &Date32Array = typed(column, &array)?;
    for value in values.iter().flatten() {
        if !DAYS.contains(&i64::from(value)) {
            problems.add(OTHER_YEAR);
        }
    }
    Ok(array)
}

/// Times of day as text; an integer counts nanoseconds since midnight, as a pull stages it.
pub(super) fn times(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let nanos = match input.values.data_type() {
        DataType::Int64 => input.values.clone(),
        _ => {
            let time = cast(column, input.values, &DataType::Time64(TimeUnit::Nanosecond))?;
            cast(column, &time, &DataType::Int64)?
        }
    };
    let values: &Int64Array = typed(column, &nanos)?;
    let step = step_nanos(scale(column));
    let mut out = StringBuilder::new();
    for value in values.iter() {
        let Some(value) = value else {
            out.append_null();
            continue;
        };
        if !(0..DAY_NANOS).contains(&value) {
            problems.add(NO_TIME);
            out.append_null();
            continue;
        }
        check_step(column, value, step, problems);
        out.append_value(clock(value));
    }
    Ok(Arc::new(out.finish()))
}

fn clock(nanos: i64) -> String {
    let seconds = nanos / 1_000_000_000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{:09}", nanos % 1_000_000_000)
}

/// Fractional digits that the column holds.
fn scale(column: &PushColumn) -> u8 {
    match column.data_type {
        SnowflakeType::Time { scale }
        | SnowflakeType::TimestampNtz { scale }
        | SnowflakeType::TimestampLtz { scale }
        | SnowflakeType::TimestampTz { scale } => scale.min(9),
        _ => 9,
    }
}

/// Nanoseconds of the smallest step of that many digits.
fn step_nanos(scale: u8) -> i64 {
    10_i64.pow(u32::from(9_u8.saturating_sub(scale)))
}

fn check_step(column: &PushColumn, nanos: i64, step: i64, problems: &mut Problems) {
    if !column.round && nanos.rem_euclid(step) != 0 {
        problems.add(TOO_FINE);
    }
}

/// Timestamps that need no digit below the microsecond and no offset.
pub(super) fn micros(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let array = as_micros(column, input, problems)?;
    let values: &TimestampMicrosecondArray = typed(column, &array)?;
    let step = (step_nanos(scale(column)) / 1000).max(1);
    for value in values.iter().flatten() {
        check_year(value, problems);
        check_step(column, value, step, problems);
    }
    if let Some(nanos) = input.nanos {
        // The column has no digits below the microsecond, so there must be none to write.
        for value in nanos.iter().flatten() {
            check_step(column, i64::from(value), 1000, problems);
        }
    }
    Ok(array)
}

/// Any unit as microseconds, in the zone of the form; finer digits are looked at.
fn as_micros(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let DataType::Timestamp(unit, _) = input.values.data_type() else {
        return Err(ConvertError::new(column, "it is no timestamp"));
    };
    if *unit == TimeUnit::Nanosecond {
        let values: &TimestampNanosecondArray = typed(column, input.values)?;
        for value in values.iter().flatten() {
            check_step(column, value, 1000, problems);
        }
    }
    cast(column, input.values, &wire_type(column.form))
}

fn check_year(micros: i64, problems: &mut Problems) {
    if !DAYS.contains(&micros.div_euclid(DAY_MICROS)) {
        problems.add(OTHER_YEAR);
    }
}

/// Timestamps with nanoseconds or offsets, as text.
pub(super) fn texts(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let fine = match input.values.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Some(typed::<TimestampNanosecondArray>(column, input.values)?)
        }
        _ => None,
    };
    let micros = cast(column, input.values, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    let micros: &TimestampMicrosecondArray = typed(column, &micros)?;
    let step = step_nanos(scale(column));
    let mut out = StringBuilder::new();
    for row in 0..micros.len() {
        if micros.is_null(row) {
            out.append_null();
            continue;
        }
        let companion = |array: Option<&arrow::array::Int16Array>| {
            array.filter(|array| array.is_valid(row)).map_or(0, |array| array.value(row))
        };
        let (mut value, mut below) = (micros.value(row), companion(input.nanos));
        if let Some(fine) = fine {
            value = fine.value(row).div_euclid(1000);
            below = i16::try_from(fine.value(row).rem_euclid(1000)).unwrap_or(0);
        }
        let offset = companion(input.offset);
        if !(0..1000).contains(&below) {
            problems.add(OTHER_NANOS);
        }
        if offset.unsigned_abs() > MAX_OFFSET_MIN.unsigned_abs() {
            problems.add(OTHER_OFFSET);
        }
        check_step(column, value.rem_euclid(1_000_000) * 1000 + i64::from(below), step, problems);
        let local = value.saturating_add(i64::from(offset) * 60_000_000);
        check_year(local, problems);
        out.append_value(stamp(column.form, local, below, offset));
    }
    Ok(Arc::new(out.finish()))
}

fn stamp(form: WireForm, local_micros: i64, below: i16, offset_min: i16) -> String {
    let (year, month, day) = civil_from_days(local_micros.div_euclid(DAY_MICROS));
    let nanos = local_micros.rem_euclid(DAY_MICROS) * 1000 + i64::from(below);
    let text = format!("{year:04}-{month:02}-{day:02} {}", clock(nanos));
    if form == WireForm::WallText {
        return text;
    }
    let sign = if offset_min < 0 { '-' } else { '+' };
    let minutes = offset_min.unsigned_abs();
    format!("{text} {sign}{:02}{:02}", minutes / 60, minutes % 60)
}
