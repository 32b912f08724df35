//! Functions of VARIANT, OBJECT and ARRAY.

use std::collections::BTreeMap;

use super::{Arg, Eval, Spec, arg, integer_type, shown, text_type, whole};
use crate::engine::SqlError;
use crate::sql::error::{invalid_types, sql_error, unsupported};
use crate::sql::json::{self, Json};
use crate::sql::value::Value;
use crate::types::SnowType;

pub(super) const FUNCTIONS: &[Spec] = &[
    Spec::strict("parse_json", 1..=1, variant_type, parse),
    Spec::strict("try_parse_json", 1..=1, variant_type, try_parse),
    Spec::given("object_construct", 0..=1000, object_type, object_construct),
    Spec::given("array_construct", 0..=1000, array_type, array_construct),
    Spec::strict("get", 2..=2, path_type, get),
    Spec::strict("array_size", 1..=1, integer_type, array_size),
    Spec::strict("typeof", 1..=1, text_type, type_of),
    Spec::strict("to_json", 1..=1, text_type, to_json),
    Spec::strict("object_keys", 1..=1, array_type, object_keys),
];

/// Reads the text of a VARIANT; a wrong one is 100069.
pub(super) fn parse_json(text: &str) -> Result<Value, SqlError> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    json::parse(text)
        .map(|value| Value::Json(value.to_text()))
        .map_err(|error| sql_error("100069", "22P02", format!("Error parsing JSON: {error}")))
}

fn variant_type(_args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    Ok(SnowType::Variant)
}

fn object_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    if args.len().is_multiple_of(2) {
        Ok(SnowType::Object)
    } else {
        Err(invalid_types("OBJECT_CONSTRUCT", shown(args)))
    }
}

fn array_type(_args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    Ok(SnowType::Array)
}

fn path_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    match args.first().and_then(|arg| arg.data_type.as_ref()) {
        None | Some(SnowType::Variant | SnowType::Object | SnowType::Array) => {
            Ok(SnowType::Variant)
        }
        Some(_) => Err(invalid_types("GET", shown(args))),
    }
}

fn parse(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    match arg(values, 0) {
        document @ Value::Json(_) => Ok(document.clone()),
        other => parse_json(&eval.conversion.text(other)),
    }
}

fn try_parse(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(parse(eval, values).unwrap_or(Value::Null))
}

/// The value as a part of a document.
fn element(eval: &Eval<'_>, value: &Value) -> Result<Json, SqlError> {
    let text = eval.conversion.json_text(value);
    json::parse(&text).map_err(|error| unsupported(format!("JSON value {text}: {error}")))
}

/// Pairs with a NULL key or value are left out.
fn object_construct(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let mut members = BTreeMap::new();
    for pair in values.chunks(2) {
        let (key, value) = (arg(pair, 0), arg(pair, 1));
        if *key == Value::Null || *value == Value::Null {
            continue;
        }
        let name = eval.conversion.text(key);
        if members.insert(name.clone(), element(eval, value)?).is_some() {
            let message = format!("Duplicate field key '{name}'");
            return Err(sql_error("100098", "22000", message));
        }
    }
    Ok(Value::Json(Json::Object(members).to_text()))
}

fn array_construct(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    // Snowflake stores `undefined` there, which no JSON text can hold.
    if values.contains(&Value::Null) {
        return Err(unsupported("NULL in ARRAY_CONSTRUCT"));
    }
    let items: Result<Vec<Json>, SqlError> =
        values.iter().map(|value| element(eval, value)).collect();
    Ok(Value::Json(Json::Array(items?).to_text()))
}

fn document(value: &Value) -> Result<Json, SqlError> {
    match value {
        Value::Json(text) => {
            json::parse(text).map_err(|error| unsupported(format!("JSON: {error}")))
        }
        other => Err(invalid_types("GET", format!("{other:?}"))),
    }
}

/// A member of an object or, for a number, an element of an array.
fn get(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let found = match (document(arg(values, 0))?, arg(values, 1)) {
        (Json::Object(mut members), Value::Text(key)) => members.remove(key),
        (Json::Array(items), index @ Value::Number(..)) => {
            usize::try_from(whole(index)?).ok().and_then(|index| items.into_iter().nth(index))
        }
        _ => None,
    };
    Ok(found.map_or(Value::Null, |json| Value::Json(json.to_text())))
}

fn array_size(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(match document(arg(values, 0))? {
        Json::Array(items) => Value::integer(i128::try_from(items.len()).unwrap_or(0)),
        _ => Value::Null,
    })
}

fn type_of(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::text(match document(arg(values, 0))? {
        Json::Null => "NULL_VALUE",
        Json::Bool(_) => "BOOLEAN",
        Json::Number(text) if text.contains(['e', 'E']) => "DOUBLE",
        Json::Number(text) if text.contains('.') => "DECIMAL",
        Json::Number(_) => "INTEGER",
        Json::String(_) => "VARCHAR",
        Json::Array(_) => "ARRAY",
        Json::Object(_) => "OBJECT",
    }))
}

fn to_json(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    Ok(Value::Text(document(arg(values, 0))?.to_text()))
}

fn object_keys(_eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    match document(arg(values, 0))? {
        Json::Object(members) => {
            let keys = members.into_keys().map(Json::String).collect();
            Ok(Value::Json(Json::Array(keys).to_text()))
        }
        _ => Ok(Value::Null),
    }
}
