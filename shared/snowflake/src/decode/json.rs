//! Rows in the JSON result format: every cell a text or null.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    ListArray, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float32Type, Int32Type};
use serde::Deserialize;
use snowferry_model::plan::{PlannedColumn, StagedForm};
use snowferry_model::types::SnowflakeType;

use super::timestamps::{self, Parts};
use super::{decfloat, inexact, protocol};
use crate::SnowflakeError;

/// One cell, borrowed from the reply where it holds no escapes.
#[derive(Debug, Deserialize)]
pub(super) struct Cell<'a>(#[serde(borrow)] Option<Cow<'a, str>>);

/// Parses an array of rows and checks their width.
pub(super) fn parse_rows(text: &[u8], width: usize) -> Result<Vec<Vec<Cell<'_>>>, SnowflakeError> {
    let rows: Vec<Vec<Cell<'_>>> = serde_json::from_slice(text)
        .map_err(|error| protocol(format!("no JSON rows: {:?} error", error.classify())))?;
    match rows.iter().find(|row| row.len() != width) {
        None => Ok(rows),
        Some(row) => Err(protocol(format!("a row of {} cells, {width} columns", row.len()))),
    }
}

/// Converts one column of the rows.
pub(super) fn column(
    rows: &[Vec<Cell<'_>>],
    position: usize,
    column: &PlannedColumn,
) -> Result<Vec<ArrayRef>, SnowflakeError> {
    let cells = || rows.iter().map(move |row| row.get(position).and_then(|cell| cell.0.as_deref()));
    let array: ArrayRef = match column.form {
        StagedForm::Int64 => {
            let digits = convert(column, cells(), |text| decimal(text, 0))?;
            let fits = |digits: i128| {
                i64::try_from(digits)
                    .map_err(|_| inexact(column, "an integer of more than 64 bits"))
            };
            let integers: Result<Vec<Option<i64>>, _> =
                digits.into_iter().map(|digits| digits.map(fits).transpose()).collect();
            Arc::new(Int64Array::from(integers?))
        }
        StagedForm::Decimal { precision, scale } => {
            let digits = convert(column, cells(), |text| decimal(text, scale))?;
            let end = 10_u128.checked_pow(u32::from(precision)).unwrap_or(u128::MAX);
            if digits.iter().flatten().any(|digits| digits.unsigned_abs() >= end) {
                return Err(inexact(column, &format!("a number of more than {precision} digits")));
            }
            let array = Decimal128Array::from(digits)
                .with_precision_and_scale(precision, i8::try_from(scale).unwrap_or(i8::MAX));
            Arc::new(array.map_err(|error| protocol(error.to_string()))?)
        }
        StagedForm::Float64 => {
            Arc::new(Float64Array::from(convert(column, cells(), |text| text.parse().ok())?))
        }
        StagedForm::Utf8 if column.data_type == SnowflakeType::Decfloat => {
            Arc::new(StringArray::from(convert(column, cells(), decfloat::canonical_text)?))
        }
        StagedForm::Utf8 => Arc::new(cells().collect::<StringArray>()),
        StagedForm::Binary => Arc::new(BinaryArray::from_iter(convert(column, cells(), unhex)?)),
        StagedForm::Boolean => Arc::new(BooleanArray::from(convert(column, cells(), boolean)?)),
        StagedForm::Date32 => {
            Arc::new(Date32Array::from(convert(column, cells(), |text| text.parse().ok())?))
        }
        StagedForm::TimeNanos => Arc::new(Int64Array::from(convert(column, cells(), |text| {
            let nanos = i64::try_from(decimal(text, 9)?).ok()?;
            (0..86_400_000_000_000).contains(&nanos).then_some(nanos)
        })?)),
        StagedForm::Timestamp { .. } => return timestamp_column(column, cells()),
        StagedForm::ListFloat32 => {
            let lists = convert(column, cells(), |text| element_list::<f32>(text))?;
            let list = ListArray::from_iter_primitive::<Float32Type, _, _>(lists);
            Arc::new(renamed(column, list)?)
        }
        StagedForm::ListInt32 => {
            let lists = convert(column, cells(), |text| element_list::<i32>(text))?;
            let list = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
            Arc::new(renamed(column, list)?)
        }
        _ => return Err(protocol(format!("column {} has no JSON form", column.name))),
    };
    Ok(vec![array])
}

fn convert<'a, T>(
    column: &PlannedColumn,
    cells: impl Iterator<Item = Option<&'a str>>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<Option<T>>, SnowflakeError> {
    let mut values = Vec::with_capacity(cells.size_hint().0);
    for cell in cells {
        match cell {
            None => values.push(None),
            Some(text) => match parse(text) {
                Some(value) => values.push(Some(value)),
                None => {
                    let (name, kind) = (&column.name, &column.data_type);
                    return Err(protocol(format!("a cell of column {name} is no {kind}")));
                }
            },
        }
    }
    Ok(values)
}

/// Reads a signed plain decimal into units of 10^-scale; `None` if it has more digits.
fn decimal(text: &str, scale: u8) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let kept = fraction.trim_end_matches('0');
    if kept.len() > usize::from(scale) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole =
        if whole.is_empty() || whole == "-" { format!("{whole}0") } else { whole.to_owned() };
    format!("{whole}{kept:0<width$}", width = usize::from(scale)).parse().ok()
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" => Some(true),
        "0" => Some(false),
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect()
}

fn element_list<'a, T: Deserialize<'a>>(text: &'a str) -> Option<Vec<Option<T>>> {
    serde_json::from_str(text).ok()
}

/// Gives a list the element field of the staged schema.
fn renamed(column: &PlannedColumn, list: ListArray) -> Result<ListArray, SnowflakeError> {
    let DataType::List(element) = column.form.value_type() else {
        return Err(protocol(format!("column {} is planned as no list", column.name)));
    };
    let (_, offsets, values, nulls) = list.into_parts();
    ListArray::try_new(element, offsets, values, nulls).map_err(|error| protocol(error.to_string()))
}

/// `seconds.fraction`, and with a zone a space and the offset in minutes plus 1440.
fn timestamp_column<'a>(
    column: &PlannedColumn,
    cells: impl Iterator<Item = Option<&'a str>>,
) -> Result<Vec<ArrayRef>, SnowflakeError> {
    let zoned = matches!(column.data_type, SnowflakeType::TimestampTz { .. });
    let values = convert(column, cells, |text| {
        let (seconds, offset) = match text.split_once(' ') {
            Some((seconds, offset)) if zoned => (seconds, offset.parse::<i16>().ok()?),
            None if !zoned => (text, 1440),
            _ => return None,
        };
        (0..=2880).contains(&offset).then_some((decimal(seconds, 9)?, offset - 1440))
    })?;
    let mut parts = Parts {
        micros: Vec::with_capacity(values.len()),
        nanos: Vec::with_capacity(values.len()),
        offsets: Vec::with_capacity(values.len()),
        nulls: Some(NullBuffer::from_iter(values.iter().map(Option::is_some))),
    };
    for value in values {
        let (nanos, offset) = value.unwrap_or((0, 0));
        let micros = i64::try_from(nanos.div_euclid(1000));
        parts
            .micros
            .push(micros.map_err(|_| inexact(column, "a time outside 64-bit microseconds"))?);
        parts.nanos.push(i16::try_from(nanos.rem_euclid(1000)).unwrap_or(0));
        parts.offsets.push(offset);
    }
    timestamps::assemble(column, parts)
}
