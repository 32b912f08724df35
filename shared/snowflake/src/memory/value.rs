//! Values of the source in memory: their order, and their exact text as a bound.

use std::cmp::Ordering;

use snowferry_model::names::TableName;
use snowferry_model::time::civil_from_days;
use snowferry_model::types::{ColumnDescription, SnowflakeType};

use crate::SnowflakeError;

const SECONDS_PER_DAY: i64 = 86_400;

/// One value of a row in memory.
#[derive(Clone, Debug, PartialEq)]
pub enum MemoryValue {
    /// No value.
    Null,
    /// A NUMBER as its unscaled digits: `12.50` of NUMBER(10,2) is `Number(1250)`.
    Number(i128),
    /// A FLOAT.
    Float(f64),
    /// VARCHAR, DECFLOAT, VARIANT and the other types that are staged as text.
    Text(String),
    /// BINARY.
    Binary(Vec<u8>),
    /// BOOLEAN.
    Boolean(bool),
    /// A DATE as days since 1970.
    Date(i32),
    /// A TIME as nanoseconds since midnight.
    Time(i64),
    /// Any TIMESTAMP. NTZ and LTZ have the offset 0.
    Timestamp {
        /// Seconds since 1970, rounded down: the instant, or the wall clock of NTZ.
        seconds: i64,
        /// Nanoseconds within the second, 0 to 999,999,999.
        nanos: u32,
        /// Offset from UTC in minutes.
        offset_min: i16,
    },
}

impl MemoryValue {
    /// Returns a timestamp without offset from microseconds since 1970.
    #[must_use]
    pub fn micros(micros: i64) -> Self {
        let nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1000).unwrap_or(0);
        Self::Timestamp { seconds: micros.div_euclid(1_000_000), nanos, offset_min: 0 }
    }

    /// Returns text.
    #[must_use]
    pub fn text_of(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// Compares two values of one column; NULL and values of other kinds have no order.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (
                Self::Timestamp { seconds: a, nanos: an, .. },
                Self::Timestamp { seconds: b, nanos: bn, .. },
            ) => Some((a, an).cmp(&(b, bn))),
            _ => None,
        }
    }

    /// Returns whether a timestamp has digits below the microsecond.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        matches!(self, Self::Timestamp { nanos, .. } if !nanos.is_multiple_of(1000))
    }

    /// Prints a cursor's value as the server does; `None` for kinds that cannot be a cursor.
    #[must_use]
    pub fn text(&self, data_type: &SnowflakeType) -> Option<String> {
        match (self, data_type) {
            (Self::Number(digits), SnowflakeType::Number { scale, .. }) => {
                Some(decimal_text(*digits, *scale))
            }
            (Self::Date(days), SnowflakeType::Date) => Some(date_text(i64::from(*days))),
            (
                Self::Timestamp { seconds, nanos, .. },
                SnowflakeType::TimestampNtz { .. } | SnowflakeType::TimestampLtz { .. },
            ) => Some(timestamp_text(*seconds, *nanos)),
            (Self::Timestamp { seconds, nanos, offset_min }, SnowflakeType::TimestampTz { .. }) => {
                let local = seconds.checked_add(i64::from(*offset_min) * 60)?;
                let sign = if *offset_min < 0 { '-' } else { '+' };
                let minutes = offset_min.unsigned_abs();
                Some(format!(
                    "{} {sign}{:02}{:02}",
                    timestamp_text(local, *nanos),
                    minutes / 60,
                    minutes % 60
                ))
            }
            _ => None,
        }
    }

    /// Reads a bound back from its text.
    ///
    /// # Errors
    /// [`SnowflakeError::Request`] when the text is no value of the type.
    pub(super) fn parse(text: &str, data_type: &SnowflakeType) -> Result<Self, SnowflakeError> {
        let parsed = match data_type {
            SnowflakeType::Number { scale, .. } => parse_decimal(text, *scale).map(Self::Number),
            SnowflakeType::Date => {
                parse_date(text).and_then(|days| i32::try_from(days).ok()).map(Self::Date)
            }
            SnowflakeType::TimestampNtz { .. } | SnowflakeType::TimestampLtz { .. } => {
                parse_timestamp(text).map(|(seconds, nanos)| Self::Timestamp {
                    seconds,
                    nanos,
                    offset_min: 0,
                })
            }
            SnowflakeType::TimestampTz { .. } => parse_timestamp_tz(text),
            _ => None,
        };
        parsed.ok_or_else(|| SnowflakeError::Request {
            object: "the bound of a window".to_owned(),
            reason: format!("its text is no {data_type}"),
        })
    }
}

/// Returns whether values of the type can be held in memory.
pub(super) fn is_held(data_type: &SnowflakeType) -> bool {
    !matches!(
        data_type,
        SnowflakeType::VectorFloat { .. }
            | SnowflakeType::VectorInt { .. }
            | SnowflakeType::Unknown { .. }
    )
}

/// Refuses a row that does not fit the columns.
pub(super) fn check_row(
    table: &TableName,
    columns: &[ColumnDescription],
    row: &[MemoryValue],
) -> Result<(), SnowflakeError> {
    let refuse = |reason: String| SnowflakeError::Request { object: table.to_string(), reason };
    if row.len() != columns.len() {
        return Err(refuse(format!("{} values for {} columns", row.len(), columns.len())));
    }
    for (column, value) in columns.iter().zip(row) {
        if *value == MemoryValue::Null && !column.nullable {
            return Err(refuse(format!("NULL in the column {}", column.name)));
        }
        if !fits(value, &column.data_type) {
            return Err(refuse(format!("a value that {} cannot hold", column.data_type)));
        }
    }
    Ok(())
}

fn fits(value: &MemoryValue, data_type: &SnowflakeType) -> bool {
    match (value, data_type) {
        (MemoryValue::Null, _) => true,
        (MemoryValue::Number(digits), SnowflakeType::Number { precision, .. }) => 10_u128
            .checked_pow(u32::from(*precision))
            .is_some_and(|end| digits.unsigned_abs() < end),
        (MemoryValue::Float(_), SnowflakeType::Float)
        | (MemoryValue::Binary(_), SnowflakeType::Binary)
        | (MemoryValue::Boolean(_), SnowflakeType::Boolean)
        | (MemoryValue::Date(_), SnowflakeType::Date)
        | (MemoryValue::Time(_), SnowflakeType::Time { .. }) => true,
        (
            MemoryValue::Timestamp { nanos, offset_min, .. },
            SnowflakeType::TimestampNtz { scale } | SnowflakeType::TimestampLtz { scale },
        ) => *offset_min == 0 && has_digits(*nanos, *scale),
        (MemoryValue::Timestamp { nanos, .. }, SnowflakeType::TimestampTz { scale }) => {
            has_digits(*nanos, *scale)
        }
        (
            MemoryValue::Text(_),
            SnowflakeType::Text
            | SnowflakeType::Decfloat
            | SnowflakeType::Variant
            | SnowflakeType::Object
            | SnowflakeType::Array
            | SnowflakeType::Map
            | SnowflakeType::Geography
            | SnowflakeType::Geometry,
        ) => true,
        _ => false,
    }
}

fn has_digits(nanos: u32, scale: u8) -> bool {
    let unit = 10_u32.pow(u32::from(9 - scale.min(9)));
    nanos < 1_000_000_000 && nanos.is_multiple_of(unit)
}

/// Returns the greatest of the values that have an order.
pub(super) fn greatest<'a>(values: &[&'a MemoryValue]) -> Option<&'a MemoryValue> {
    values.iter().copied().filter(|value| **value != MemoryValue::Null).reduce(|best, value| {
        if value.compare(best) == Some(Ordering::Greater) { value } else { best }
    })
}

/// Returns the least of the values that have an order.
pub(super) fn least<'a>(values: &[&'a MemoryValue]) -> Option<&'a MemoryValue> {
    values.iter().copied().filter(|value| **value != MemoryValue::Null).reduce(|best, value| {
        if value.compare(best) == Some(Ordering::Less) { value } else { best }
    })
}

fn decimal_text(digits: i128, scale: u8) -> String {
    let sign = if digits < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let padded = format!("{:0>width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn parse_decimal(text: &str, scale: u8) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > usize::from(scale) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{fraction:0<width$}", width = usize::from(scale)).parse().ok()
}

fn date_text(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}

fn timestamp_text(seconds: i64, nanos: u32) -> String {
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    format!(
        "{} {:02}:{:02}:{:02}.{nanos:09}",
        date_text(days),
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

fn parse_date(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The inverse of `civil_from_days`: years begin in March, eras have 400 years.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn parse_timestamp(text: &str) -> Option<(i64, u32)> {
    let (date, time) = text.split_once(' ')?;
    let (clock, fraction) = time.split_once('.')?;
    let mut parts = clock.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    if fraction.len() != 9 {
        return None;
    }
    let seconds = parse_date(date)? * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some((seconds, fraction.parse().ok()?))
}

fn parse_timestamp_tz(text: &str) -> Option<MemoryValue> {
    let (local, offset) = text.rsplit_once(' ')?;
    let (seconds, nanos) = parse_timestamp(local)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let digits = offset.get(1..)?;
    let minutes =
        digits.get(..2)?.parse::<i16>().ok()? * 60 + digits.get(2..)?.parse::<i16>().ok()?;
    let offset_min = sign * minutes;
    Some(MemoryValue::Timestamp {
        seconds: seconds - i64::from(offset_min) * 60,
        nanos,
        offset_min,
    })
}
