//! Operators, casts, literals and the inner parts of aggregates.

use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use arrow::datatypes::i256;

use super::{Arg, Eval, Spec, arg, boolean_type, common_type, shown, text_type};
use crate::engine::SqlError;
use crate::sql::convert::{Conversion, Failure, to_float};
use crate::sql::datetime::DAY;
use crate::sql::error::{
    compile, division_by_zero, invalid_types, not_recognized, number_not_recognized, unsupported,
};
use crate::sql::number::{self, Operation};
use crate::sql::tokens::parse_type;
use crate::sql::value::{OFFSET_BASE, Value};
use crate::types::SnowType;

pub(super) const FUNCTIONS: &[Spec] = &[
    Spec::given("num", 1..=1, num_type, num),
    Spec::given("bind", 2..=2, bind_type, bind),
    Spec::given("cast", 2..=2, cast_type, cast),
    Spec::given("try_cast", 2..=2, cast_type, try_cast),
    Spec::given("case", 2..=4000, case_type, not_lowered),
    Spec::strict("add", 2..=2, add_type, add),
    Spec::strict("subtract", 2..=2, subtract_type, subtract),
    Spec::strict("multiply", 2..=2, multiply_type, multiply),
    Spec::strict("divide", 2..=2, divide_type, divide),
    Spec::strict("modulo", 2..=2, modulo_type, modulo),
    Spec::strict("neg", 1..=1, same_number, negate),
    Spec::strict("concat", 1..=1000, concat_type, concat),
    Spec::strict("fnorm", 1..=1, super::float_type, canonical_float),
    Spec::given("true", 1..=1, boolean_type, true_or_null),
    Spec::given("same", 2..=2, boolean_type, same),
    Spec::given("int", 1..=1, super::integer_type, as_given),
    Spec::given("sum_start", 1..=1, sum_start_type, as_given),
    Spec::given("sum_end", 1..=1, sum_end_type, sum_end),
    Spec::strict("avg_end", 2..=2, average_type, average),
];

/// Casts of whole arrays that need no look at single values.
pub(super) fn quick(
    name: &str,
    args: &ScalarFunctionArgs,
    conversion: &Conversion,
) -> Option<Result<ColumnarValue, SqlError>> {
    let failure = match name {
        "cast" => Failure::Error,
        "try_cast" => Failure::Null,
        _ => return None,
    };
    let (Some(ColumnarValue::Array(array)), Some(field)) =
        (args.args.first(), args.arg_fields.first())
    else {
        return None;
    };
    let to = SnowType::of(&args.return_field)?;
    Some(conversion.array(array, field, &to, failure).map(ColumnarValue::Array))
}

fn num_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let text = args.first().and_then(|arg| arg.literal).unwrap_or_default();
    let exact = number::parse(text).filter(|decimal| {
        let digits = i32::from(number::digits(decimal.unscaled)).max(decimal.scale);
        digits <= 38 && decimal.scale <= 37
    });
    // A literal beyond 38 digits is a FLOAT, as are those with an exponent.
    let Some(decimal) = exact.filter(|_| !text.contains(['e', 'E'])) else {
        return Ok(SnowType::Float);
    };
    let scale = i8::try_from(decimal.scale).unwrap_or(37);
    let precision = number::digits(decimal.unscaled).max(u8::try_from(scale).unwrap_or(1)).max(1);
    Ok(SnowType::Number { precision, scale })
}

fn num(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    eval.conversion.value(arg(values, 0).clone(), eval.out)
}

fn bind_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let kind = args.first().and_then(|arg| arg.literal).unwrap_or_default();
    Ok(match kind.to_ascii_uppercase().as_str() {
        "FIXED" => return num_type(args.get(1..).unwrap_or_default()),
        "REAL" => SnowType::Float,
        "TEXT" | "CHAR" | "STRING" => SnowType::TEXT,
        "BOOLEAN" => SnowType::Boolean,
        "BINARY" => SnowType::Binary { length: crate::sql::carrier::BINARY_LENGTH },
        "DATE" => SnowType::Date,
        "TIME" => SnowType::Time { scale: 9 },
        "TIMESTAMP_NTZ" => SnowType::TimestampNtz { scale: 9 },
        "TIMESTAMP_LTZ" => SnowType::TimestampLtz { scale: 9 },
        "TIMESTAMP_TZ" => SnowType::TimestampTz { scale: 9 },
        "VARIANT" | "OBJECT" | "ARRAY" => SnowType::Variant,
        other => {
            return Err(compile("002049", "0A000", format!("Bind type {other} not supported.")));
        }
    })
}

/// A bind in the driver's units: milliseconds for DATE, nanoseconds for times.
fn bind(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let Value::Text(text) = arg(values, 1) else { return Ok(Value::Null) };
    let integer = |text: &str| text.parse::<i128>().map_err(|_| number_not_recognized(text));
    Ok(match eval.out {
        SnowType::Date => {
            let days = integer(text)?.div_euclid(DAY / 1_000_000);
            Value::Date(i32::try_from(days).map_err(|_| not_recognized("Date", text))?)
        }
        SnowType::Time { .. } => {
            let nanos = integer(text)?.rem_euclid(DAY);
            Value::Time(i64::try_from(nanos).map_err(|_| not_recognized("Time", text))?)
        }
        SnowType::TimestampNtz { .. } => Value::Ntz(integer(text)?),
        SnowType::TimestampLtz { .. } => Value::Ltz(integer(text)?),
        SnowType::TimestampTz { .. } => {
            let (nanos, zone) = text.split_once(' ').unwrap_or((text, "1440"));
            let zone = i32::try_from(integer(zone)?).unwrap_or(OFFSET_BASE);
            Value::Tz(integer(nanos)?, zone - OFFSET_BASE)
        }
        SnowType::Variant => super::json::parse_json(text)?,
        other => eval.conversion.value(Value::Text(text.clone()), other)?,
    })
}

fn cast_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let text = args.get(1).and_then(|arg| arg.literal).unwrap_or_default();
    parse_type(text)
}

fn cast(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    eval.conversion.value(arg(values, 0).clone(), eval.out)
}

fn try_cast(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(cast(eval, values).unwrap_or(Value::Null))
}

/// WHEN, THEN, …, ELSE: the type of all results.
fn case_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let last = args.len().saturating_sub(1);
    let mut data_type = None;
    for (index, arg) in args.iter().enumerate() {
        if index % 2 == 1 || index == last {
            data_type = common_type(data_type, arg.data_type.clone())?;
        }
    }
    Ok(data_type.unwrap_or(SnowType::TEXT))
}

fn not_lowered(_eval: &Eval<'_>, _values: &[Value]) -> Result<Value, SqlError> {
    Err(unsupported("CASE in this place"))
}

/// The type of arithmetic on two numbers; a string literal counts as the number it spells.
fn arithmetic(operation: Operation, args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let [left, right] = args else { return Err(invalid_types("?", shown(args))) };
    let number = |arg: &Arg<'_>| match (&arg.data_type, arg.literal) {
        (Some(SnowType::Text { .. }), Some(_)) => num_type(std::slice::from_ref(arg)).ok(),
        (None, _) => Some(SnowType::Number { precision: 1, scale: 0 }),
        (other, _) => other.clone(),
    };
    match (number(left), number(right)) {
        (
            Some(SnowType::Number { precision: p1, scale: s1 }),
            Some(SnowType::Number { precision: p2, scale: s2 }),
        ) => {
            let (precision, scale) = number::result_type(operation, (p1, s1), (p2, s2));
            Ok(SnowType::Number { precision, scale })
        }
        (
            Some(SnowType::Number { .. } | SnowType::Float),
            Some(SnowType::Number { .. } | SnowType::Float),
        ) => Ok(SnowType::Float),
        _ => Err(invalid_types(symbol(operation), shown(args))),
    }
}

fn symbol(operation: Operation) -> &'static str {
    match operation {
        Operation::Add => "+",
        Operation::Subtract => "-",
        Operation::Multiply => "*",
        Operation::Divide => "/",
        Operation::Modulo => "%",
    }
}

fn add_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    match args.iter().map(|arg| arg.data_type.as_ref()).collect::<Vec<_>>().as_slice() {
        [Some(SnowType::Date), Some(SnowType::Number { .. })]
        | [Some(SnowType::Number { .. }), Some(SnowType::Date)] => Ok(SnowType::Date),
        _ => arithmetic(Operation::Add, args),
    }
}

fn subtract_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    match args.iter().map(|arg| arg.data_type.as_ref()).collect::<Vec<_>>().as_slice() {
        [Some(SnowType::Date), Some(SnowType::Number { .. })] => Ok(SnowType::Date),
        [Some(SnowType::Date), Some(SnowType::Date)] => {
            Ok(SnowType::Number { precision: 9, scale: 0 })
        }
        _ => arithmetic(Operation::Subtract, args),
    }
}

fn multiply_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    arithmetic(Operation::Multiply, args)
}

fn divide_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    arithmetic(Operation::Divide, args)
}

fn modulo_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    arithmetic(Operation::Modulo, args)
}

/// Reads a number or a text that spells one.
fn decimal(value: &Value) -> Result<(i256, i32), SqlError> {
    match value {
        Value::Number(unscaled, scale) => Ok((*unscaled, i32::from(*scale))),
        Value::Text(text) => number::parse(text)
            .map(|decimal| (decimal.unscaled, decimal.scale))
            .ok_or_else(|| number_not_recognized(text)),
        other => Err(invalid_types("arithmetic", format!("{other:?}"))),
    }
}

fn calculate(operation: Operation, eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (left, right) = (arg(values, 0), arg(values, 1));
    if let SnowType::Number { precision, scale } = *eval.out {
        let number =
            number::compute(operation, decimal(left)?, decimal(right)?, (precision, scale))?;
        return Ok(Value::Number(i256::from_i128(number), scale));
    }
    let (left, right) = (to_float(left.clone())?, to_float(right.clone())?);
    Ok(Value::Float(match operation {
        Operation::Add => left + right,
        Operation::Subtract => left - right,
        Operation::Multiply => left * right,
        Operation::Divide | Operation::Modulo if right == 0.0 => return Err(division_by_zero()),
        Operation::Divide => left / right,
        Operation::Modulo => left % right,
    }))
}

fn shift_date(days: i32, value: &Value, sign: i64) -> Result<Value, SqlError> {
    let moved = i64::from(days) + sign * super::whole(value)?;
    let moved = i32::try_from(moved).ok();
    moved.map(Value::Date).ok_or_else(|| not_recognized("Date", "out of range"))
}

fn add(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    match (arg(values, 0), arg(values, 1)) {
        (Value::Date(days), number) | (number, Value::Date(days)) => shift_date(*days, number, 1),
        _ => calculate(Operation::Add, eval, values),
    }
}

fn subtract(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    match (arg(values, 0), arg(values, 1)) {
        (Value::Date(a), Value::Date(b)) => Ok(Value::integer(i64::from(*a) - i64::from(*b))),
        (Value::Date(days), number) => shift_date(*days, number, -1),
        _ => calculate(Operation::Subtract, eval, values),
    }
}

fn multiply(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    calculate(Operation::Multiply, eval, values)
}

fn divide(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    calculate(Operation::Divide, eval, values)
}

fn modulo(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    calculate(Operation::Modulo, eval, values)
}

fn same_number(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    match args.first().and_then(|arg| arg.data_type.clone()) {
        Some(number @ (SnowType::Number { .. } | SnowType::Float)) => Ok(number),
        None => Ok(SnowType::Number { precision: 1, scale: 0 }),
        Some(_) => Err(invalid_types("-", shown(args))),
    }
}

fn negate(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    match arg(values, 0) {
        Value::Number(unscaled, scale) => Ok(Value::Number(unscaled.wrapping_neg(), *scale)),
        Value::Float(float) => Ok(Value::Float(-float)),
        other => Err(invalid_types("-", format!("{other:?}"))),
    }
}

fn concat_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let binary = |arg: &Arg<'_>| matches!(arg.data_type, Some(SnowType::Binary { .. }));
    if args.iter().any(binary) {
        return Err(invalid_types("CONCAT", shown(args)));
    }
    text_type(args)
}

fn concat(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::Text(values.iter().map(|value| eval.conversion.text(value)).collect()))
}

/// One zero and one NaN, so that equal floats are the same bits.
fn canonical_float(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let float = to_float(arg(values, 0).clone())?;
    Ok(Value::Float(if float.is_nan() { f64::NAN } else { float + 0.0 }))
}

fn true_or_null(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    match arg(values, 0) {
        Value::Bool(true) => Ok(Value::Bool(true)),
        Value::Bool(false) | Value::Null => Ok(Value::Null),
        other => Err(invalid_types("COUNT_IF", format!("{other:?}"))),
    }
}

/// Equality in which NULL equals NULL.
fn same(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (left, right) = (arg(values, 0).clone(), arg(values, 1).clone());
    if left == Value::Null || right == Value::Null {
        return Ok(Value::Bool(left == right));
    }
    let types = eval.args.iter().cloned().try_fold(None, common_type)?;
    let common = types.unwrap_or(SnowType::TEXT);
    if common.is_document() || common == SnowType::Decfloat {
        return Err(invalid_types("EQUAL_NULL", &common));
    }
    let left = eval.conversion.value(left, &common)?;
    let right = eval.conversion.value(right, &common)?;
    Ok(Value::Bool(super::math::order(&left, &right) == Some(std::cmp::Ordering::Equal)))
}

fn as_given(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(arg(values, 0).clone())
}

fn sum_start_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    match args.first().and_then(|arg| arg.data_type.clone()) {
        Some(SnowType::Number { scale, .. }) => Ok(SnowType::Number { precision: 38, scale }),
        Some(SnowType::Float) => Ok(SnowType::Float),
        None => Ok(SnowType::INTEGER),
        Some(_) => Err(invalid_types("SUM", shown(args))),
    }
}

fn sum_end_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    sum_start_type(args)
}

/// A sum of 76 digits becomes a NUMBER of 38, or an error.
fn sum_end(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    eval.conversion.value(arg(values, 0).clone(), eval.out)
}

fn average_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    match sum_start_type(args)? {
        SnowType::Number { scale, .. } => {
            let (_, scale) = number::result_type(Operation::Divide, (38, scale), (18, 0));
            Ok(SnowType::Number { precision: 38, scale })
        }
        other => Ok(other),
    }
}

fn average(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    // The average of no rows is NULL; their sum is, too, so zero never divides here.
    calculate(Operation::Divide, eval, values)
}
