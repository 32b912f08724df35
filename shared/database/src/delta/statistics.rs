//! Exact statistics of our own for each file of a table.
//!
//! Readers skip files by them, so a wrong bound is a wrong answer. The library would write
//! decimals through 64-bit floats and clamp them to 64-bit integers: `WHERE k = 2^53+1` would find
//! nothing. Here decimals are exact digits, times have microseconds, and long text is shortened
//! to a true lower or upper bound.
//!
//! Left out: floats (a file may hold NaN, which some readers order above every number and others
//! do not, so no bound is right for all), booleans, binaries and lists.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Int16Type, Int32Type, Int64Type, Schema, SchemaRef,
    TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use serde::Deserialize;
use serde_json::value::RawValue;
use snowferry_model::manifest::{ColumnStats, StatValue};
use snowferry_model::time::civil_from_days;

/// Text bounds are shortened to this many characters, as other Delta writers do.
const TEXT_BOUND_CHARS: usize = 32;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Which end of a range a text must bound.
#[derive(Clone, Copy)]
enum End {
    Min,
    Max,
}

/// Returns the `stats` text of an `add` action.
pub(super) fn to_json(rows: u64, schema: &Schema, columns: &[ColumnStats]) -> String {
    let by_name: HashMap<&str, &ColumnStats> =
        columns.iter().map(|column| (column.name.as_str(), column)).collect();
    let (mut mins, mut maxs, mut nulls) = (Vec::new(), Vec::new(), Vec::new());
    for field in schema.fields() {
        let Some(column) = by_name.get(field.name().as_str()) else { continue };
        let name = quoted(field.name());
        nulls.push(format!("{name}:{}", column.nulls));
        let bound = |value: &Option<StatValue>, end| {
            value.as_ref().and_then(|value| token(field.data_type(), value, end))
        };
        // A lone bound would be read as "unknown" by some and as NULL by others.
        if let (Some(low), Some(high)) =
            (bound(&column.min, End::Min), bound(&column.max, End::Max))
        {
            mins.push(format!("{name}:{low}"));
            maxs.push(format!("{name}:{high}"));
        }
    }
    let (mins, maxs, nulls) = (mins.join(","), maxs.join(","), nulls.join(","));
    format!(
        "{{\"numRecords\":{rows},\"minValues\":{{{mins}}},\"maxValues\":{{{maxs}}},\
         \"nullCount\":{{{nulls}}}}}"
    )
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn token(data_type: &DataType, value: &StatValue, end: End) -> Option<String> {
    match (data_type, value) {
        (DataType::Int16 | DataType::Int32 | DataType::Int64, StatValue::Int(value)) => {
            Some(value.to_string())
        }
        (DataType::Decimal128(_, scale), StatValue::Decimal(digits)) => {
            Some(decimal_text(*digits, usize::try_from(*scale).ok()?))
        }
        (DataType::Date32, StatValue::Date(days)) => Some(quoted(&date_text(i64::from(*days))?)),
        (DataType::Timestamp(_, zone), StatValue::Micros(micros)) => {
            let zone = if zone.is_some() { "Z" } else { "" };
            Some(quoted(&format!("{}{zone}", micros_text(*micros)?)))
        }
        (DataType::Utf8, StatValue::Text(text)) => Some(quoted(&bound_text(text, end))),
        _ => None,
    }
}

/// Writes unscaled digits with their point.
fn decimal_text(unscaled: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let sign = if unscaled < 0 { "-" } else { "" };
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Writes a date; `None` outside the years 0001 to 9999, which no reader would parse.
fn date_text(days: i64) -> Option<String> {
    let (year, month, day) = civil_from_days(days);
    (1..=9999).contains(&year).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn micros_text(micros: i64) -> Option<String> {
    let date = date_text(micros.div_euclid(MICROS_PER_DAY))?;
    let within = micros.rem_euclid(MICROS_PER_DAY);
    let (seconds, fraction) = (within / 1_000_000, within % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}.{fraction:06}"))
}

/// Shortens a text so that it still is a lower or an upper bound.
fn bound_text(text: &str, end: End) -> String {
    let mut chars = text.chars();
    let mut short: String = chars.by_ref().take(TEXT_BOUND_CHARS).collect();
    let Some(mut next) = chars.next() else { return short };
    if matches!(end, End::Min) {
        return short;
    }
    // U+10FFFF is above any next character but itself.
    while next == char::MAX {
        short.push(next);
        match chars.next() {
            Some(following) => next = following,
            None => return short,
        }
    }
    short.push(char::MAX);
    short
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredStats<'a> {
    #[serde(borrow, default)]
    min_values: HashMap<String, &'a RawValue>,
    #[serde(borrow, default)]
    max_values: HashMap<String, &'a RawValue>,
}

/// The range of values that a column of a file may hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) min: StatValue,
    pub(super) max: StatValue,
}

impl Range {
    /// Returns whether the two may share a value. Ranges of different kinds may.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let apart = |low: &StatValue, high: &StatValue| {
            low.compare(high).is_some_and(std::cmp::Ordering::is_gt)
        };
        !apart(&self.min, &other.max) && !apart(&other.min, &self.max)
    }
}

/// Reads the range of each wanted column out of an `add` action's text, `None` where it does not
/// say. Numbers are read from their digits, never through a float.
pub(super) fn ranges(stats: &str, wanted: &[(String, DataType)]) -> Vec<Option<Range>> {
    let Ok(stored) = serde_json::from_str::<StoredStats<'_>>(stats) else {
        return vec![None; wanted.len()];
    };
    let range = |(name, data_type): &(String, DataType)| {
        let min = value(data_type, stored.min_values.get(name)?.get())?;
        let max = value(data_type, stored.max_values.get(name)?.get())?;
        Some(match (min, max) {
            // The library may hand back times that it has cut to milliseconds.
            (StatValue::Micros(min), StatValue::Micros(max)) => Range {
                min: StatValue::Micros(min.saturating_sub(1000)),
                max: StatValue::Micros(max.saturating_add(1000)),
            },
            (min, max) => Range { min, max },
        })
    };
    wanted.iter().map(range).collect()
}

fn value(data_type: &DataType, token: &str) -> Option<StatValue> {
    let text: String =
        if token.starts_with('"') { serde_json::from_str(token).ok()? } else { token.to_owned() };
    Some(match data_type {
        DataType::Int16 | DataType::Int32 | DataType::Int64 => StatValue::Int(text.parse().ok()?),
        DataType::Decimal128(_, scale) => {
            StatValue::Decimal(unscaled(&text, usize::try_from(*scale).ok()?)?)
        }
        DataType::Date32 => StatValue::Date(i32::try_from(days(&text)?).ok()?),
        DataType::Timestamp(_, _) => StatValue::Micros(micros(&text)?),
        DataType::Utf8 => StatValue::Text(text),
        _ => return None,
    })
}

fn unscaled(text: &str, scale: usize) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > scale || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{fraction:0<scale$}").parse().ok()
}

fn days(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let mut next = || parts.next()?.parse::<i64>().ok();
    let (year, month, day) = (next()?, next()?, next()?);
    // Howard Hinnant's "days_from_civil".
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

fn micros(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' '])?;
    let time = time.trim_end_matches('Z').trim_end_matches("+00:00");
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut parts = clock.splitn(3, ':');
    let mut next = || parts.next()?.parse::<i64>().ok();
    let seconds = next()? * 3600 + next()? * 60 + next()?;
    let fraction: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    days(date)?.checked_mul(MICROS_PER_DAY)?.checked_add(seconds * 1_000_000 + fraction)
}

/// Gathers the statistics of batches as they are written.
#[derive(Debug)]
pub(super) struct Collector {
    schema: SchemaRef,
    rows: u64,
    columns: Vec<ColumnStats>,
}

impl Collector {
    /// Begins with no rows.
    pub(super) fn new(schema: SchemaRef) -> Self {
        let column =
            |name: &String| ColumnStats { name: name.clone(), nulls: 0, min: None, max: None };
        let columns = schema.fields().iter().map(|field| column(field.name())).collect();
        Self { schema, rows: 0, columns }
    }

    /// Adds a batch of the schema.
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            column.nulls += array.null_count() as u64;
            let (low, high) = extremes(array).unwrap_or_default();
            widen(&mut column.min, low, std::cmp::Ordering::is_lt);
            widen(&mut column.max, high, std::cmp::Ordering::is_gt);
        }
    }

    /// Returns the number of rows seen.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the range of each column that has one, by name.
    pub(super) fn range(&self, name: &str) -> Option<Range> {
        let column = self.columns.iter().find(|column| column.name == name)?;
        Some(Range { min: column.min.clone()?, max: column.max.clone()? })
    }

    /// Returns the `stats` text of an `add` action.
    pub(super) fn to_json(&self) -> String {
        to_json(self.rows, &self.schema, &self.columns)
    }
}

fn widen(
    bound: &mut Option<StatValue>,
    value: Option<StatValue>,
    is_wider: fn(std::cmp::Ordering) -> bool,
) {
    let Some(value) = value else { return };
    if bound.as_ref().is_none_or(|bound| value.compare(bound).is_some_and(is_wider)) {
        *bound = Some(value);
    }
}

/// Returns the least and the greatest value, `None` for a type without an order here.
fn extremes(array: &ArrayRef) -> Option<(Option<StatValue>, Option<StatValue>)> {
    let int = |value: Option<i64>| value.map(StatValue::Int);
    Some(match array.data_type() {
        DataType::Int16 => {
            let array = array.as_primitive::<Int16Type>();
            (int(min(array).map(i64::from)), int(max(array).map(i64::from)))
        }
        DataType::Int32 => {
            let array = array.as_primitive::<Int32Type>();
            (int(min(array).map(i64::from)), int(max(array).map(i64::from)))
        }
        DataType::Int64 => {
            let array = array.as_primitive::<Int64Type>();
            (int(min(array)), int(max(array)))
        }
        DataType::Decimal128(_, _) => {
            let array = array.as_primitive::<Decimal128Type>();
            (min(array).map(StatValue::Decimal), max(array).map(StatValue::Decimal))
        }
        DataType::Date32 => {
            let array = array.as_primitive::<Date32Type>();
            (min(array).map(StatValue::Date), max(array).map(StatValue::Date))
        }
        DataType::Timestamp(_, _) => {
            let array = array.as_primitive_opt::<TimestampMicrosecondType>()?;
            (min(array).map(StatValue::Micros), max(array).map(StatValue::Micros))
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            let text = |value: Option<&str>| value.map(|text| StatValue::Text(text.to_owned()));
            (text(min_string(array)), text(max_string(array)))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, TimeUnit};

    fn round(data_type: DataType, low: StatValue, high: StatValue) -> (String, Option<Range>) {
        let schema = Schema::new(vec![Field::new("k", data_type.clone(), true)]);
        let column =
            ColumnStats { name: "k".to_owned(), nulls: 1, min: Some(low), max: Some(high) };
        let text = to_json(3, &schema, &[column]);
        let range = ranges(&text, &[("k".to_owned(), data_type)]).pop().flatten();
        (text, range)
    }

    #[test]
    fn decimal_bounds_are_written_and_read_digit_by_digit() {
        let nines: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;
        for (scale, low, high) in [
            (0, 9_007_199_254_740_993, 9_007_199_254_740_995),
            (0, -nines, nines),
            (9, -nines, 1),
            (37, -1, 0),
            (2, -5, 1_234),
        ] {
            let (low, high) = (StatValue::Decimal(low), StatValue::Decimal(high));
            let (text, range) = round(DataType::Decimal128(38, scale), low.clone(), high.clone());
            assert_eq!(range, Some(Range { min: low, max: high }), "{text}");
        }
        let (text, _) =
            round(DataType::Decimal128(18, 3), StatValue::Decimal(-5), StatValue::Decimal(12_340));
        assert!(text.contains(r#""minValues":{"k":-0.005},"maxValues":{"k":12.340}"#), "{text}");
    }

    #[test]
    fn times_keep_their_microseconds() {
        let micros = |value| StatValue::Micros(value);
        let data_type = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let (text, range) = round(data_type, micros(-1), micros(1_700_000_000_123_456));
        assert!(text.contains(r#""k":"1969-12-31T23:59:59.999999Z""#), "{text}");
        assert!(text.contains(r#""k":"2023-11-14T22:13:20.123456Z""#), "{text}");
        let widened = Range { min: micros(-1001), max: micros(1_700_000_000_124_456) };
        assert_eq!(range, Some(widened));
        let (text, range) =
            round(DataType::Date32, StatValue::Date(-719_162), StatValue::Date(2_932_896));
        assert!(text.contains(r#"{"k":"0001-01-01"},"maxValues":{"k":"9999-12-31"}"#), "{text}");
        assert!(range.is_some());
        let (text, range) = round(DataType::Date32, StatValue::Date(0), StatValue::Date(2_932_897));
        assert!(range.is_none(), "the year 10000 has no text: {text}");
    }

    #[test]
    fn long_text_is_shortened_to_true_bounds() {
        let text = |text: &str| StatValue::Text(text.to_owned());
        let plain = "ü".repeat(40);
        let odd = format!("{}{}{}z", "a".repeat(32), char::MAX, char::MAX);
        for long in [plain.as_str(), odd.as_str()] {
            let (json, range) = round(DataType::Utf8, text(long), text(long));
            let range = range.unwrap();
            assert!(range.min.compare(&text(long)).unwrap().is_le(), "{json}");
            assert!(range.max.compare(&text(long)).unwrap().is_ge(), "{json}");
            assert_ne!(range.min, text(long));
        }
        let (_, range) = round(DataType::Utf8, text("a\"\n"), text("b"));
        assert_eq!(range, Some(Range { min: text("a\"\n"), max: text("b") }));
    }

    #[test]
    fn floats_get_no_bounds_because_a_file_may_hold_nan() {
        let (text, range) = round(DataType::Float64, StatValue::Float(0.5), StatValue::Float(1.5));
        assert_eq!(range, None);
        assert!(text.contains(r#""nullCount":{"k":1}"#), "{text}");
    }

    #[test]
    fn ranges_overlap_when_they_share_a_value() {
        let range = |min, max| Range { min: StatValue::Int(min), max: StatValue::Int(max) };
        assert!(range(1, 5).overlaps(&range(5, 9)));
        assert!(range(5, 9).overlaps(&range(1, 5)));
        assert!(range(1, 9).overlaps(&range(4, 4)));
        assert!(!range(1, 5).overlaps(&range(6, 9)));
        assert!(!range(6, 9).overlaps(&range(1, 5)));
    }
}
