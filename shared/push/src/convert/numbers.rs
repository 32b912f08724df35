//! Integers, decimals and floats.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Decimal128Array, Float64Array, Int64Array, StringArray};
use arrow::datatypes::DataType;
use snowferry_model::push::PushColumn;
use snowferry_model::types::SnowflakeType;

use super::texts::as_texts;
use super::{ConvertError, Input, Problems, cast, typed};
use crate::validate::integer_digits;

const TOO_WIDE: &str = "a number too large for the column";
const TOO_FINE: &str = "a number with more digits after the point than the column has";
const INEXACT: &str = "an integer beyond 2^53, which a float does not hold exactly";
const NO_NUMBER: &str = "a text that is no decimal number of at most 38 digits";

/// The greatest integer below which a float holds every integer.
const FLOAT_EXACT: u64 = 1 << 53;

/// Digits that DECFLOAT holds.
const DECFLOAT_DIGITS: usize = 38;

pub(super) fn integers(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let array = cast(column, input.values, &DataType::Int64)?;
    if let SnowflakeType::Number { precision, scale } = column.data_type {
        let room = precision.saturating_sub(scale);
        let declared = integer_digits(input.values.data_type()).unwrap_or(u8::MAX);
        if room < declared {
            let values: &Int64Array = typed(column, &array)?;
            let bound = 10_u64.checked_pow(u32::from(room)).unwrap_or(u64::MAX);
            for value in values.iter().flatten() {
                if value.unsigned_abs() >= bound {
                    problems.add_sized(
                        TOO_WIDE,
                        digits(u128::from(value.unsigned_abs())),
                        "digits before the point",
                    );
                }
            }
        }
    }
    Ok(array)
}

fn digits(value: u128) -> u64 {
    u64::from(value.checked_ilog10().map_or(1, |log| log.saturating_add(1)))
}

/// Brings decimals to the column's scale; nothing is rounded unless the column says so.
pub(super) fn decimals(
    column: &PushColumn,
    input: &Input<'_>,
    precision: u8,
    scale: u8,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let source = match input.values.data_type() {
        DataType::Decimal128(..) => input.values.clone(),
        _ => cast(column, input.values, &DataType::Decimal128(precision, 0))?,
    };
    let values: &Decimal128Array = typed(column, &source)?;
    let our_scale = u32::try_from(values.scale())
        .map_err(|_| ConvertError::new(column, "a decimal of a negative scale"))?;
    let bound = 10_i128.checked_pow(u32::from(precision)).unwrap_or(i128::MAX);
    let room = u32::from(scale).checked_sub(our_scale);
    let up = room.and_then(|steps| 10_i128.checked_pow(steps));
    let down = 10_i128.checked_pow(our_scale.saturating_sub(u32::from(scale)));
    let overflow = || ConvertError::new(column, "scales too far apart");
    let (up, down) = match room {
        Some(_) => (up.ok_or_else(overflow)?, 1),
        None => (1, down.ok_or_else(overflow)?),
    };
    let mut out = Vec::with_capacity(values.len());
    for value in values.iter() {
        let Some(value) = value else {
            out.push(None);
            continue;
        };
        let rescaled = match down {
            1 => value.checked_mul(up),
            down => Some(divide(value, down, column.round, problems)),
        };
        match rescaled.filter(|value| value.unsigned_abs() < bound.unsigned_abs()) {
            Some(value) => out.push(Some(value)),
            None => {
                let whole = value.unsigned_abs() / 10_u128.pow(our_scale.min(38));
                problems.add_sized(TOO_WIDE, digits(whole), "digits before the point");
                out.push(None);
            }
        }
    }
    let scale = i8::try_from(scale).map_err(|_| overflow())?;
    let array = Decimal128Array::from(out)
        .with_precision_and_scale(precision, scale)
        .map_err(|error| ConvertError::new(column, error))?;
    Ok(Arc::new(array))
}

/// Takes digits off the end, half away from zero as Snowflake rounds.
fn divide(value: i128, down: i128, round: bool, problems: &mut Problems) -> i128 {
    let rest = value % down;
    let quotient = value / down;
    if rest == 0 {
        return quotient;
    }
    if !round {
        problems.add(TOO_FINE);
        return quotient;
    }
    let away = rest.unsigned_abs() >= down.unsigned_abs().div_ceil(2);
    quotient + if away { value.signum() } else { 0 }
}

pub(super) fn floats(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    if integer_digits(input.values.data_type()).is_none() {
        return cast(column, input.values, &DataType::Float64);
    }
    let wide = cast(column, input.values, &DataType::Decimal128(20, 0))?;
    let values: &Decimal128Array = typed(column, &wide)?;
    for value in values.iter().flatten() {
        if value.unsigned_abs() > u128::from(FLOAT_EXACT) {
            problems.add_sized(INEXACT, digits(value.unsigned_abs()), "digits");
        }
    }
    let array = cast(column, input.values, &DataType::Float64)?;
    let _: &Float64Array = typed(column, &array)?;
    Ok(array)
}

/// Numbers as text, for DECFLOAT.
pub(super) fn decimal_texts(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    let array = as_texts(column, input.values)?;
    let values: &StringArray = typed(column, &array)?;
    for value in values.iter().flatten() {
        if !is_decimal(value) {
            problems.add(NO_NUMBER);
        }
    }
    Ok(array)
}

/// `[+-]digits[.digits][e[+-]digits]` with at most 38 digits that count.
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    let joined = format!("{whole}{fraction}");
    let counting = joined.trim_start_matches('0').trim_end_matches('0').len();
    exponent_fits && all_digits && !joined.is_empty() && counting <= DECFLOAT_DIGITS
}
