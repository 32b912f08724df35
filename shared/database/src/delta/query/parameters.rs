//! Typed values for the parameters of a query.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::ParamValues;
use datafusion::common::ScalarValue;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::logical_expr::LogicalPlan;
use snowferry_model::export::Parameter;

use super::answer::planning;
use crate::DatabaseError;

/// The digits that a decimal may have.
const MAX_DIGITS: usize = 38;

/// Puts the values in the places of the parameters.
///
/// # Errors
/// [`DatabaseError::Parameter`] unless every parameter has a value and every value a parameter.
pub(super) fn bind(
    plan: LogicalPlan,
    parameters: &BTreeMap<String, Parameter>,
) -> Result<LogicalPlan, DatabaseError> {
    let asked = plan.get_parameter_names().map_err(planning)?;
    let asked: BTreeSet<String> =
        asked.iter().map(|name| name.trim_start_matches(['$', ':']).to_owned()).collect();
    let refuse = |name: &str, reason: &str| {
        Err(DatabaseError::Parameter { name: name.to_owned(), reason: reason.to_owned() })
    };
    if let Some(name) = asked.iter().find(|name| !parameters.contains_key(*name)) {
        return refuse(name, "it has no value");
    }
    let mut values = std::collections::HashMap::new();
    for (name, parameter) in parameters {
        if !asked.contains(name) {
            return refuse(name, "the query does not use it");
        }
        let Some(value) = scalar(parameter) else {
            return refuse(name, "it is no decimal number of at most 38 digits");
        };
        values.insert(name.clone(), ScalarAndMetadata::from(value));
    }
    if values.is_empty() {
        return Ok(plan);
    }
    plan.with_param_values(ParamValues::Map(values)).map_err(planning)
}

/// Returns the value; `None` for a text that is no decimal.
fn scalar(parameter: &Parameter) -> Option<ScalarValue> {
    Some(match parameter {
        Parameter::Null => ScalarValue::Null,
        Parameter::Boolean(value) => ScalarValue::Boolean(Some(*value)),
        Parameter::Integer(value) => ScalarValue::Int64(Some(*value)),
        Parameter::Decimal(text) => decimal(text)?,
        Parameter::Text(text) => ScalarValue::Utf8(Some(text.clone())),
        Parameter::Date(days) => ScalarValue::Date32(Some(*days)),
        Parameter::Timestamp(micros) => ScalarValue::TimestampMicrosecond(Some(*micros), None),
        Parameter::Instant(micros) => {
            ScalarValue::TimestampMicrosecond(Some(*micros), Some("UTC".into()))
        }
        _ => return None,
    })
}

fn decimal(text: &str) -> Option<ScalarValue> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0').len();
    let precision = significant.max(fraction.len()).max(1);
    if precision > MAX_DIGITS {
        return None;
    }
    let value: i128 = format!("{sign}{digits}").parse().ok()?;
    let (precision, scale) = (u8::try_from(precision).ok()?, i8::try_from(fraction.len()).ok()?);
    Some(ScalarValue::Decimal128(Some(value), precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_read_exactly_or_not_at_all() {
        let nines = "9".repeat(38);
        for (text, expected) in [
            ("0", Some((0, 1, 0))),
            ("-12.50", Some((-1250, 4, 2))),
            (".5", Some((5, 1, 1))),
            ("0.001", Some((1, 3, 3))),
            (nines.as_str(), Some((10_i128.pow(38) - 1, 38, 0))),
            (&format!("{nines}0"), None),
            (&format!("0.{nines}0"), None),
            ("", None),
            (".", None),
            ("1e5", None),
            ("--1", None),
            ("1 ", None),
        ] {
            let found = decimal(text).map(|value| match value {
                ScalarValue::Decimal128(Some(value), precision, scale) => (value, precision, scale),
                other => panic!("{other:?}"),
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}
