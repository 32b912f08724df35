//! Functions of numbers, and the order of values.

use std::cmp::Ordering;

use arrow::datatypes::i256;

use super::{Arg, Eval, Spec, arg, common_type, float_type, integer_type, shown, whole};
use crate::engine::SqlError;
use crate::sql::convert::to_float;
use crate::sql::error::{invalid_types, sql_error};
use crate::sql::number;
use crate::sql::value::Value;
use crate::types::SnowType;

pub(super) const FUNCTIONS: &[Spec] = &[
    Spec::strict("abs", 1..=1, numeric_type, abs),
    Spec::strict("sign", 1..=1, integer_type, sign),
    Spec::strict("round", 1..=2, rounded_type, round),
    Spec::strict("trunc", 1..=2, rounded_type, trunc),
    Spec::strict("ceil", 1..=2, rounded_type, ceil),
    Spec::strict("floor", 1..=2, rounded_type, floor),
    Spec::strict("sqrt", 1..=1, float_type, sqrt),
    Spec::strict("exp", 1..=1, float_type, exp),
    Spec::strict("ln", 1..=1, float_type, ln),
    Spec::strict("power", 2..=2, float_type, power),
    Spec::strict("greatest", 1..=100, extreme_type, greatest),
    Spec::strict("least", 1..=100, extreme_type, least),
];

/// Numbers keep their type; text becomes FLOAT.
fn numeric_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    match args.first().and_then(|arg| arg.data_type.clone()) {
        Some(number @ (SnowType::Number { .. } | SnowType::Float)) => Ok(number),
        None => Ok(SnowType::INTEGER),
        Some(_) => Err(invalid_types("ABS", shown(args))),
    }
}

fn abs(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    match arg(values, 0) {
        Value::Number(unscaled, scale) => Ok(Value::Number(unscaled.wrapping_abs(), *scale)),
        other => Ok(Value::Float(to_float(other.clone())?.abs())),
    }
}

fn sign(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let float = to_float(arg(values, 0).clone())?;
    Ok(Value::integer(match float.partial_cmp(&0.0) {
        Some(Ordering::Less) => -1,
        Some(Ordering::Greater) => 1,
        _ => 0,
    }))
}

/// One digit more before the point; after it what the second argument leaves.
fn rounded_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let SnowType::Number { precision, scale } = numeric_type(args)? else {
        return Ok(SnowType::Float);
    };
    let kept = match args.get(1) {
        None => 0,
        Some(digits) => {
            digits.literal.and_then(|text| text.parse().ok()).map_or(scale, |digits: i64| {
                i8::try_from(digits.clamp(0, i64::from(scale))).unwrap_or(scale)
            })
        }
    };
    let lead = i32::from(precision) - i32::from(scale) + 1;
    let precision = u8::try_from((lead + i32::from(kept)).clamp(1, 38)).unwrap_or(38);
    Ok(SnowType::Number { precision, scale: kept })
}

enum Direction {
    HalfAwayFromZero,
    TowardsZero,
    Up,
    Down,
}

fn rounded(eval: &Eval<'_>, values: &[Value], direction: &Direction) -> Result<Value, SqlError> {
    let digits = match values.get(1) {
        None => 0,
        Some(value) => i32::try_from(whole(value)?.clamp(-76, 76)).unwrap_or(0),
    };
    match arg(values, 0) {
        Value::Number(unscaled, scale) => {
            let SnowType::Number { precision, scale: kept } = *eval.out else {
                return Err(invalid_types("ROUND", eval.out));
            };
            let from = i32::from(*scale);
            let exact = Some(*unscaled).filter(|_| digits >= from);
            let at_digits = exact
                .map(|value| (Some(value), from))
                .unwrap_or_else(|| (cut_digits(*unscaled, from - digits, direction), digits));
            let (value, at) = at_digits;
            let scaled = value.and_then(|value| number::rescale(value, at, i32::from(kept)));
            let fitted = number::fit(scaled, precision)?;
            Ok(Value::Number(i256::from_i128(fitted), kept))
        }
        other => {
            let float = to_float(other.clone())?;
            let factor = 10_f64.powi(digits);
            let scaled = float * factor;
            let result = match direction {
                Direction::HalfAwayFromZero => scaled.round(),
                Direction::TowardsZero => scaled.trunc(),
                Direction::Up => scaled.ceil(),
                Direction::Down => scaled.floor(),
            };
            Ok(Value::Float(if scaled.is_finite() { result / factor } else { float }))
        }
    }
}

/// Drops `count` digits (more than 0) at the end.
fn cut_digits(value: i256, count: i32, direction: &Direction) -> Option<i256> {
    let Some(divisor) = u32::try_from(count).ok().and_then(number::power) else {
        return Some(i256::ZERO);
    };
    if let Direction::HalfAwayFromZero = direction {
        return number::divide_rounded(value, divisor);
    }
    let quotient = value.checked_div(divisor)?;
    let exact = value.checked_rem(divisor)? == i256::ZERO;
    match direction {
        Direction::Up if !exact && !value.is_negative() => quotient.checked_add(i256::ONE),
        Direction::Down if !exact && value.is_negative() => quotient.checked_sub(i256::ONE),
        _ => Some(quotient),
    }
}

fn round(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    rounded(eval, values, &Direction::HalfAwayFromZero)
}

fn trunc(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    rounded(eval, values, &Direction::TowardsZero)
}

fn ceil(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    rounded(eval, values, &Direction::Up)
}

fn floor(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    rounded(eval, values, &Direction::Down)
}

fn domain(function: &str, float: f64) -> SqlError {
    sql_error("100049", "22P03", format!("Invalid floating point operation: {function}({float})"))
}

fn sqrt(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let float = to_float(arg(values, 0).clone())?;
    if float < 0.0 { Err(domain("sqrt", float)) } else { Ok(Value::Float(float.sqrt())) }
}

fn exp(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::Float(to_float(arg(values, 0).clone())?.exp()))
}

fn ln(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let float = to_float(arg(values, 0).clone())?;
    if float <= 0.0 { Err(domain("ln", float)) } else { Ok(Value::Float(float.ln())) }
}

fn power(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let base = to_float(arg(values, 0).clone())?;
    let exponent = to_float(arg(values, 1).clone())?;
    let result = base.powf(exponent);
    if result.is_nan() && !base.is_nan() && !exponent.is_nan() {
        return Err(domain("pow", base));
    }
    Ok(Value::Float(result))
}

fn extreme_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let types = args.iter().map(|arg| arg.data_type.clone());
    let common = types.into_iter().try_fold(None, common_type)?.unwrap_or(SnowType::TEXT);
    let unordered =
        common.is_document() || matches!(common, SnowType::Decfloat | SnowType::Vector { .. });
    if unordered { Err(invalid_types("GREATEST", shown(args))) } else { Ok(common) }
}

fn extreme(eval: &Eval<'_>, values: &[Value], wanted: Ordering) -> Result<Value, SqlError> {
    let mut best = None;
    for value in values {
        let value = eval.conversion.value(value.clone(), eval.out)?;
        let better = match &best {
            None => true,
            Some(found) => order(&value, found) == Some(wanted),
        };
        if better {
            best = Some(value);
        }
    }
    Ok(best.unwrap_or(Value::Null))
}

fn greatest(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    extreme(eval, values, Ordering::Greater)
}

fn least(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    extreme(eval, values, Ordering::Less)
}

/// The order of two values of one type; NaN is the greatest float and equal to itself.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(a, s1), Value::Number(b, s2)) => {
            let scale = i32::from((*s1).max(*s2));
            let a = number::rescale(*a, i32::from(*s1), scale)?;
            let b = number::rescale(*b, i32::from(*s2), scale)?;
            Some(a.cmp(&b))
        }
        (Value::Float(a), Value::Float(b)) => match (a.is_nan(), b.is_nan()) {
            (false, false) => a.partial_cmp(b),
            (a_nan, b_nan) => Some(a_nan.cmp(&b_nan)),
        },
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Bytes(a), Value::Bytes(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (Value::Ntz(a), Value::Ntz(b))
        | (Value::Ltz(a), Value::Ltz(b))
        | (Value::Tz(a, _), Value::Tz(b, _)) => Some(a.cmp(b)),
        _ => None,
    }
}
