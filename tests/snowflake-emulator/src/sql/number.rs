//! Exact decimals: text, rounding, Snowflake's result types of arithmetic.

use arrow::datatypes::i256;

use super::error::{division_by_zero, number_out_of_range};
use crate::engine::SqlError;

/// Most digits of a NUMBER.
pub(crate) const MAX_DIGITS: u8 = 38;

/// A decimal as text gave it: `unscaled` × 10^-`scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub unscaled: i256,
    pub scale: i32,
}

/// 10^n as 256 bits; `None` above 10^76.
pub(crate) fn power(n: u32) -> Option<i256> {
    i256::from_i128(10).checked_pow(n)
}

/// Reads decimal text, with an optional exponent; `None` when it is not a number.
///
/// Digits beyond 76 are refused, too: they fit no type.
pub(crate) fn parse(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => (digits.get(..at)?, digits.get(at + 1..)?.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !all_digits || (whole.is_empty() && fraction.is_empty()) || exponent.abs() > 1000 {
        return None;
    }
    let mut unscaled = i256::ZERO;
    let ten = i256::from_i128(10);
    for byte in whole.bytes().chain(fraction.bytes()) {
        unscaled =
            unscaled.checked_mul(ten)?.checked_add(i256::from_i128(i128::from(byte - b'0')))?;
    }
    let mut scale = i32::try_from(fraction.len()).ok()? - exponent;
    if scale < 0 {
        unscaled = unscaled.checked_mul(power(u32::try_from(-scale).ok()?)?)?;
        scale = 0;
    }
    if negative {
        unscaled = unscaled.checked_neg()?;
    }
    Some(Decimal { unscaled, scale })
}

/// Decimal digits of a number, at least 1.
pub(crate) fn digits(value: i256) -> u8 {
    let text = value.to_string();
    u8::try_from(text.trim_start_matches('-').len()).unwrap_or(u8::MAX)
}

/// Changes the scale, rounding half away from zero; `None` when it leaves 256 bits.
pub(crate) fn rescale(value: i256, from: i32, to: i32) -> Option<i256> {
    let difference = u32::try_from((to - from).abs()).ok()?;
    if to >= from {
        return value.checked_mul(power(difference)?);
    }
    match power(difference) {
        Some(divisor) => divide_rounded(value, divisor),
        None => Some(i256::ZERO),
    }
}

/// Divides, rounding half away from zero.
pub(crate) fn divide_rounded(value: i256, divisor: i256) -> Option<i256> {
    let quotient = value.checked_div(divisor)?;
    let rest = value.checked_rem(divisor)?;
    let twice = rest.checked_abs()?.checked_mul(i256::from_i128(2))?;
    if twice < divisor.checked_abs()? {
        return Some(quotient);
    }
    let negative = value.is_negative() != divisor.is_negative();
    quotient.checked_add(if negative { i256::MINUS_ONE } else { i256::ONE })
}

/// Narrows to NUMBER(precision), or the error that Snowflake gives.
pub(crate) fn fit(value: Option<i256>, precision: u8) -> Result<i128, SqlError> {
    let too_large = || {
        let text = value.map_or_else(|| "more than 76 digits".to_owned(), |v| v.to_string());
        number_out_of_range(format!("type FIXED({precision}), value {text}"))
    };
    let number = value.ok_or_else(too_large)?;
    if digits(number) > precision {
        return Err(too_large());
    }
    number.to_i128().ok_or_else(too_large)
}

/// Plain decimal text with exactly `scale` digits after the point.
pub(crate) fn format(value: i256, scale: i32) -> String {
    let text = value.to_string();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.as_str()),
    };
    let Ok(scale) = usize::try_from(scale) else { return text };
    if scale == 0 {
        return text;
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// The four operations of which the result type depends on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// Precision and scale of a result, by the rules of Snowflake's page "Arithmetic operators".
pub(crate) fn result_type(operation: Operation, left: (u8, i8), right: (u8, i8)) -> (u8, i8) {
    let (s1, s2) = (i32::from(left.1), i32::from(right.1));
    let (l1, l2) = (i32::from(left.0) - s1, i32::from(right.0) - s2);
    let (lead, scale) = match operation {
        Operation::Add | Operation::Subtract => (l1.max(l2) + 1, s1.max(s2)),
        Operation::Multiply => (l1 + l2, (s1 + s2).min(s1.max(s2).max(12))),
        Operation::Divide => (l1 + s2, s1.max((s1 + 6).min(12))),
        Operation::Modulo => (l1.max(l2), s1.max(s2)),
    };
    let precision = (lead + scale).clamp(1, i32::from(MAX_DIGITS));
    let scale = scale.min(37);
    (u8::try_from(precision.max(scale)).unwrap_or(MAX_DIGITS), i8::try_from(scale).unwrap_or(37))
}

/// Computes `left` and `right` (unscaled, with their scales) to the scale of the result.
pub(crate) fn compute(
    operation: Operation,
    (left, s1): (i256, i32),
    (right, s2): (i256, i32),
    (precision, scale): (u8, i8),
) -> Result<i128, SqlError> {
    let scale = i32::from(scale);
    let result = match operation {
        Operation::Add | Operation::Subtract => {
            let both = rescale(left, s1, scale).zip(rescale(right, s2, scale));
            both.and_then(|(a, b)| match operation {
                Operation::Add => a.checked_add(b),
                _ => a.checked_sub(b),
            })
        }
        Operation::Multiply => left.checked_mul(right).and_then(|p| rescale(p, s1 + s2, scale)),
        Operation::Divide | Operation::Modulo if right == i256::ZERO => {
            return Err(division_by_zero());
        }
        Operation::Divide => {
            rescale(left, s1, scale + s2).and_then(|dividend| divide_rounded(dividend, right))
        }
        Operation::Modulo => {
            let both = rescale(left, s1, scale).zip(rescale(right, s2, scale));
            both.and_then(|(a, b)| a.checked_rem(b))
        }
    };
    // A result may use all 38 digits whatever its declared precision: sums of columns do.
    fit(result, precision.max(MAX_DIGITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_round_half_away_from_zero() {
        for (from, to) in [("2.5", "3"), ("-2.5", "-3"), ("2.4", "2"), ("-2.4", "-2")] {
            let value = parse(from).unwrap();
            let rounded = rescale(value.unscaled, value.scale, 0).unwrap();
            assert_eq!(format(rounded, 0), to);
        }
    }

    #[test]
    fn text_with_exponents_is_exact() {
        for (from, to) in [("1e3", "1000"), ("-1.50", "-1.50"), (".5", "0.5"), ("12e-1", "1.2")] {
            let value = parse(from).unwrap();
            assert_eq!(format(value.unscaled, value.scale), to);
        }
        for bad in ["", "-", ".", "1a", "1e", "--1", "NaN"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
