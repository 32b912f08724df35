//! Rows as JSON text: every cell a string or null, whatever its type.

use std::fmt::Write as _;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    FixedSizeListArray, Float32Array, Float64Array, Int32Array, LargeStringArray, RecordBatch,
    StringArray, Time64NanosecondArray,
};

use super::WireError;
use super::arrow_stream::{Moment, NANOS, timestamp_scale, typed, unit_nanos};
use crate::types::{Column, SnowType};

/// Encodes `batches` as rows without the outer brackets: `["1","a"],["2",null]`.
///
/// # Errors
/// [`WireError`] if a column is not its carrier.
pub(crate) fn encode_rows(
    columns: &[Column],
    batches: &[RecordBatch],
) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    let mut text = String::new();
    for batch in batches {
        let cells = columns
            .iter()
            .zip(batch.columns())
            .map(|(column, array)| Cells::of(column, array))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            out.extend_from_slice(if out.is_empty() { b"[" } else { b",[" });
            for (position, cell) in cells.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                if cell.is_null(row) {
                    out.extend_from_slice(b"null");
                    continue;
                }
                text.clear();
                cell.write(row, &mut text)?;
                serde_json::to_writer(&mut out, &text).map_err(WireError::Json)?;
            }
            out.push(b']');
        }
    }
    Ok(out)
}

/// One column of a batch, ready to be read cell by cell.
enum Cells<'a> {
    Number(&'a Decimal128Array, usize),
    Float(&'a Float64Array),
    Text(&'a StringArray),
    LongText(&'a LargeStringArray),
    Binary(&'a BinaryArray),
    Boolean(&'a BooleanArray),
    Date(&'a Date32Array),
    Time(&'a Time64NanosecondArray, u8),
    Timestamp(&'a Decimal256Array, &'a Column),
    Vector(&'a FixedSizeListArray),
}

impl<'a> Cells<'a> {
    fn of(column: &'a Column, array: &'a ArrayRef) -> Result<Self, WireError> {
        Ok(match &column.data_type {
            SnowType::Number { scale, .. } => {
                Self::Number(typed(column, array)?, usize::try_from(*scale).unwrap_or(0))
            }
            SnowType::Float => Self::Float(typed(column, array)?),
            SnowType::Decfloat | SnowType::Text { .. } => Self::Text(typed(column, array)?),
            SnowType::Binary { .. } => Self::Binary(typed(column, array)?),
            SnowType::Boolean => Self::Boolean(typed(column, array)?),
            SnowType::Date => Self::Date(typed(column, array)?),
            SnowType::Time { scale } => Self::Time(typed(column, array)?, *scale),
            SnowType::TimestampNtz { .. }
            | SnowType::TimestampLtz { .. }
            | SnowType::TimestampTz { .. } => Self::Timestamp(typed(column, array)?, column),
            SnowType::Vector { .. } => Self::Vector(typed(column, array)?),
            SnowType::Variant
            | SnowType::Object
            | SnowType::Array
            | SnowType::Map
            | SnowType::Geography
            | SnowType::Geometry => Self::LongText(typed(column, array)?),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        let array: &dyn Array = match self {
            Self::Number(array, _) => array,
            Self::Float(array) => array,
            Self::Text(array) => array,
            Self::LongText(array) => array,
            Self::Binary(array) => array,
            Self::Boolean(array) => array,
            Self::Date(array) => array,
            Self::Time(array, _) => array,
            Self::Timestamp(array, _) => array,
            Self::Vector(array) => array,
        };
        array.is_null(row)
    }

    fn write(&self, row: usize, out: &mut String) -> Result<(), WireError> {
        match self {
            Self::Number(array, scale) => write_scaled(array.value(row), *scale, out),
            Self::Float(array) => out.push_str(&float_text(array.value(row))),
            Self::Text(array) => out.push_str(array.value(row)),
            Self::LongText(array) => out.push_str(array.value(row)),
            Self::Binary(array) => {
                for byte in array.value(row) {
                    push(out, format_args!("{byte:02X}"));
                }
            }
            Self::Boolean(array) => out.push(if array.value(row) { '1' } else { '0' }),
            Self::Date(array) => push(out, format_args!("{}", array.value(row))),
            Self::Time(array, scale) => {
                write_seconds(i128::from(array.value(row)), *scale, out);
            }
            Self::Timestamp(array, column) => {
                let moment = Moment::of(column, array.value(row))?;
                write_seconds(moment.nanos, timestamp_scale(column)?, out);
                if matches!(column.data_type, SnowType::TimestampTz { .. }) {
                    push(out, format_args!(" {}", moment.zone));
                }
            }
            Self::Vector(array) => write_vector(&array.value(row), out),
        }
        Ok(())
    }
}

/// Writing into a `String` cannot fail.
fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Writes `unscaled × 10^-scale` with exactly `scale` digits after the point.
fn write_scaled(unscaled: i128, scale: usize, out: &mut String) {
    if unscaled < 0 {
        out.push('-');
    }
    let magnitude = unscaled.unsigned_abs();
    if scale == 0 {
        push(out, format_args!("{magnitude}"));
        return;
    }
    let unit = 10_u128.pow(u32::try_from(scale).unwrap_or(0).min(38));
    push(out, format_args!("{}.{:0scale$}", magnitude / unit, magnitude % unit));
}

/// Writes nanoseconds as signed decimal seconds with `scale` digits, rounded down.
fn write_seconds(nanos: i128, scale: u8, out: &mut String) {
    let units = nanos.div_euclid(unit_nanos(scale));
    debug_assert!(unit_nanos(scale) <= NANOS);
    write_scaled(units, usize::from(scale.min(9)), out);
}

/// The shortest text that reads back as the same number.
pub(crate) fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let text = format!("{value:?}");
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

fn write_vector(values: &ArrayRef, out: &mut String) {
    out.push('[');
    for index in 0..values.len() {
        if index > 0 {
            out.push(',');
        }
        if let Some(floats) = values.as_any().downcast_ref::<Float32Array>() {
            push(out, format_args!("{:?}", floats.value(index)));
        } else if let Some(integers) = values.as_any().downcast_ref::<Int32Array>() {
            push(out, format_args!("{}", integers.value(index)));
        }
    }
    out.push(']');
}
