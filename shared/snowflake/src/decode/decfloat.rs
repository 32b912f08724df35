//! DECFLOAT as one canonical text for each value: plain digits where that is short, else with an
//! exponent. Equal values have equal texts, whichever wire form they came in.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::datatypes::Int16Type;
use snowferry_model::plan::PlannedColumn;

use super::columns::unexpected;
use super::protocol;
use crate::SnowflakeError;

/// Values whose digits reach further than this many places are written with an exponent.
const PLAIN_PLACES: i64 = 38;

/// Converts one DECFLOAT column.
pub(super) fn staged(column: &PlannedColumn, wire: &ArrayRef) -> Result<ArrayRef, SnowflakeError> {
    let mut out = StringBuilder::with_capacity(wire.len(), wire.len() * 8);
    if let Some(texts) = wire.as_string_opt::<i32>() {
        for text in texts {
            match text {
                None => out.append_null(),
                Some(text) => out.append_value(canonical_text(text).ok_or_else(|| refuse(column))?),
            }
        }
        return Ok(Arc::new(out.finish()));
    }
    let fields = wire.as_struct_opt().ok_or_else(|| unexpected(column, wire))?;
    let exponents = fields
        .column_by_name("exponent")
        .and_then(|array| array.as_primitive_opt::<Int16Type>())
        .ok_or_else(|| unexpected(column, wire))?;
    let significands = fields
        .column_by_name("significand")
        .and_then(|array| array.as_binary_opt::<i32>())
        .ok_or_else(|| unexpected(column, wire))?;
    for (index, (exponent, significand)) in exponents.iter().zip(significands).enumerate() {
        match (fields.is_null(index), exponent, significand) {
            (false, Some(exponent), Some(bytes)) => {
                let digits = big_endian(bytes).ok_or_else(|| refuse(column))?;
                out.append_value(canonical(digits, i64::from(exponent)));
            }
            _ => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// Returns the canonical text of a decimal text; `None` when it is no number of 38 digits.
pub(super) fn canonical_text(text: &str) -> Option<String> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, 0),
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let signed = !fraction.is_empty() && !fraction.bytes().all(|byte| byte.is_ascii_digit());
    if signed {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    Some(canonical(digits, i64::from(exponent) - i64::try_from(fraction.len()).ok()?))
}

/// Two's complement, most significant byte first, at most 16 bytes.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    if bytes.len() > 16 {
        return None;
    }
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let start: i128 = if negative { -1 } else { 0 };
    Some(bytes.iter().fold(start, |value, byte| (value << 8) | i128::from(*byte)))
}

fn canonical(digits: i128, exponent: i64) -> String {
    if digits == 0 {
        return "0".to_owned();
    }
    let sign = if digits < 0 { "-" } else { "" };
    let all = digits.unsigned_abs().to_string();
    let kept = all.trim_end_matches('0');
    let exponent = exponent + i64::try_from(all.len() - kept.len()).unwrap_or(0);
    let length = i64::try_from(kept.len()).unwrap_or(0);
    // The number of digits before the point, may be negative.
    let point = length + exponent;
    if exponent >= 0 && point <= PLAIN_PLACES {
        return format!("{sign}{kept}{}", zeros(exponent));
    }
    if exponent < 0 && -exponent <= PLAIN_PLACES {
        if point <= 0 {
            return format!("{sign}0.{}{kept}", zeros(-point));
        }
        let (whole, fraction) = kept.split_at(usize::try_from(point).unwrap_or(0));
        return format!("{sign}{whole}.{fraction}");
    }
    let (first, rest) = kept.split_at(1);
    let dot = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{dot}{rest}e{}", point - 1)
}

fn zeros(count: i64) -> String {
    "0".repeat(usize::try_from(count).unwrap_or(0))
}

fn refuse(column: &PlannedColumn) -> SnowflakeError {
    protocol(format!("column {} holds what is no DECFLOAT", column.name))
}
