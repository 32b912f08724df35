//! The functions that queries may call, each with Snowflake's result type and values.
//!
//! A function is one [`Spec`]: its type from the types of its arguments, its value from their
//! values. The rewrite of a query names them `sf_…`, so none of DataFusion's own functions can be
//! reached by accident.

mod hash;
mod json;
mod math;
mod operators;
mod text;
mod time;

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::carrier::TEXT_LENGTH;
use super::convert::Conversion;
use super::error::{compile, invalid_types};
use super::value::{Reader, Value, Writer, wide};
use crate::engine::SqlError;
use crate::types::SnowType;

pub(crate) use text::like_matches;

/// The prefix of all functions inside a plan.
pub(crate) const PREFIX: &str = "sf_";

/// What a function knows of an argument when its type is asked.
#[derive(Clone, Debug)]
pub(crate) struct Arg<'a> {
    /// `None` for NULL without a type.
    pub data_type: Option<SnowType>,
    /// The text, if the argument is a string literal.
    pub literal: Option<&'a str>,
}

/// What a function knows when it computes one row.
pub(crate) struct Eval<'a> {
    /// The session's zone and formats.
    pub conversion: &'a Conversion,
    /// The types of the arguments.
    pub args: &'a [Option<SnowType>],
    /// The type that the result must have.
    pub out: &'a SnowType,
}

/// What becomes of NULL arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// Any NULL argument makes the result NULL.
    Strict,
    /// The function looks at NULL arguments itself.
    Given,
}

/// One function.
pub(crate) struct Spec {
    /// Lower case, without the prefix.
    pub name: &'static str,
    pub arity: RangeInclusive<usize>,
    pub nulls: Nulls,
    pub data_type: fn(&[Arg<'_>]) -> Result<SnowType, SqlError>,
    pub value: fn(&Eval<'_>, &[Value]) -> Result<Value, SqlError>,
}

impl std::fmt::Debug for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Spec {
    const fn strict(
        name: &'static str,
        arity: RangeInclusive<usize>,
        data_type: fn(&[Arg<'_>]) -> Result<SnowType, SqlError>,
        value: fn(&Eval<'_>, &[Value]) -> Result<Value, SqlError>,
    ) -> Self {
        Self { name, arity, nulls: Nulls::Strict, data_type, value }
    }

    const fn given(
        name: &'static str,
        arity: RangeInclusive<usize>,
        data_type: fn(&[Arg<'_>]) -> Result<SnowType, SqlError>,
        value: fn(&Eval<'_>, &[Value]) -> Result<Value, SqlError>,
    ) -> Self {
        Self { name, arity, nulls: Nulls::Given, data_type, value }
    }
}

fn groups() -> [&'static [Spec]; 6] {
    [
        operators::FUNCTIONS,
        math::FUNCTIONS,
        text::FUNCTIONS,
        time::FUNCTIONS,
        json::FUNCTIONS,
        hash::FUNCTIONS,
    ]
}

/// The function of a name without prefix.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    groups().into_iter().flatten().find(|spec| spec.name == name)
}

/// The functions of one statement, bound to its session's zone and formats.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    functions: HashMap<String, Arc<ScalarUDF>>,
}

impl Registry {
    /// All functions for a session.
    pub(crate) fn new(conversion: &Arc<Conversion>) -> Self {
        let functions = groups()
            .into_iter()
            .flatten()
            .map(|spec| {
                let name = format!("{PREFIX}{}", spec.name);
                let function = SnowFunction {
                    name: name.clone(),
                    spec,
                    conversion: Arc::clone(conversion),
                    signature: Signature::variadic_any(Volatility::Immutable),
                };
                (name, Arc::new(ScalarUDF::from(function)))
            })
            .collect();
        Self { functions }
    }

    /// A function by its prefixed name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.get(name).cloned()
    }
}

/// A [`Spec`] as DataFusion calls it.
#[derive(Debug)]
struct SnowFunction {
    name: String,
    spec: &'static Spec,
    conversion: Arc<Conversion>,
    signature: Signature,
}

impl PartialEq for SnowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.conversion == other.conversion
    }
}

impl Eq for SnowFunction {}

impl Hash for SnowFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Wraps an error for its way through DataFusion.
pub(crate) fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl SnowFunction {
    fn result_type(&self, args: &ReturnFieldArgs<'_>) -> Result<SnowType, SqlError> {
        let shown = self.spec.name.to_uppercase();
        if !self.spec.arity.contains(&args.arg_fields.len()) {
            let message = format!(
                "error line 1 at position -1\nnot enough or too many arguments for function [{shown}], \
                 expected {:?}, got {}",
                self.spec.arity,
                args.arg_fields.len()
            );
            return Err(compile("000938", "22023", message));
        }
        let literals = args.scalar_arguments.iter().copied().chain(std::iter::repeat(None));
        let known: Vec<Arg<'_>> = args
            .arg_fields
            .iter()
            .zip(literals)
            .map(|(field, literal)| Arg {
                data_type: SnowType::of(field),
                literal: match literal {
                    Some(ScalarValue::Utf8(Some(text))) => Some(text.as_str()),
                    _ => None,
                },
            })
            .collect();
        (self.spec.data_type)(&known)
    }

    fn rows(&self, args: &ScalarFunctionArgs) -> Result<ColumnarValue, SqlError> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let mut arrays = Vec::with_capacity(args.args.len());
        for arg in &args.args {
            arrays.push(match arg {
                ColumnarValue::Array(array) => (Arc::clone(array), false),
                ColumnarValue::Scalar(scalar) => {
                    let array = scalar.to_array().map_err(|error| foreign(&error))?;
                    (array, true)
                }
            });
        }
        let readers: Vec<(Reader<'_>, bool)> = arrays
            .iter()
            .zip(&args.arg_fields)
            .map(|((array, single), field)| (Reader::new(array, field), *single))
            .collect();
        let types: Vec<Option<SnowType>> =
            args.arg_fields.iter().map(|field| SnowType::of(field)).collect();
        let out = SnowType::of(&args.return_field)
            .ok_or_else(|| invalid_types(self.spec.name, args.return_field.data_type()))?;
        let eval = Eval { conversion: &self.conversion, args: &types, out: &out };
        let mut writer = Writer::new(args.return_field.data_type(), rows)?;
        let mut values = Vec::with_capacity(readers.len());
        for row in 0..rows {
            values.clear();
            for (reader, single) in &readers {
                values.push(reader.get(if *single { 0 } else { row })?);
            }
            let null = self.spec.nulls == Nulls::Strict && values.contains(&Value::Null);
            writer.push(if null { Value::Null } else { (self.spec.value)(&eval, &values)? })?;
        }
        let array = writer.finish();
        if !constant {
            return Ok(ColumnarValue::Array(array));
        }
        let scalar = ScalarValue::try_from_array(&array, 0).map_err(|error| foreign(&error))?;
        Ok(ColumnarValue::Scalar(scalar))
    }
}

fn foreign(error: &DataFusionError) -> SqlError {
    compile("000603", "XX000", format!("internal error: {error}"))
}

impl ScalarUDFImpl for SnowFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> DfResult<DataType> {
        Err(DataFusionError::Internal("the type follows from the fields".to_owned()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DfResult<FieldRef> {
        let data_type = self.result_type(&args).map_err(external)?;
        let field = data_type.field(&self.name, true);
        if self.spec.name == "sum_start"
            && let SnowType::Number { scale, .. } = data_type
        {
            return Ok(Arc::new(field.as_ref().clone().with_data_type(wide(scale))));
        }
        Ok(field)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        if let Some(quick) = operators::quick(self.spec.name, &args, &self.conversion) {
            return quick.map_err(external);
        }
        self.rows(&args).map_err(external)
    }
}

/// The type that values of two types have in common, as in CASE, COALESCE and UNION.
pub(crate) fn common_type(
    left: Option<SnowType>,
    right: Option<SnowType>,
) -> Result<Option<SnowType>, SqlError> {
    use SnowType::{Date, Float, Number, Text, Variant};
    let (Some(left), Some(right)) = (left.clone(), right.clone()) else {
        return Ok(left.or(right));
    };
    Ok(Some(match (&left, &right) {
        (a, b) if a == b => left,
        (Number { precision: p1, scale: s1 }, Number { precision: p2, scale: s2 }) => {
            let scale = (*s1).max(*s2);
            let lead = (i32::from(*p1) - i32::from(*s1)).max(i32::from(*p2) - i32::from(*s2));
            let precision = u8::try_from((lead + i32::from(scale)).clamp(1, 38)).unwrap_or(38);
            Number { precision, scale }
        }
        (Number { .. }, Float) | (Float, Number { .. }) => Float,
        (Text { length: a }, Text { length: b }) => Text { length: (*a).max(*b) },
        (SnowType::Binary { length: a }, SnowType::Binary { length: b }) => {
            SnowType::Binary { length: (*a).max(*b) }
        }
        (SnowType::Time { scale: a }, SnowType::Time { scale: b }) => {
            SnowType::Time { scale: (*a).max(*b) }
        }
        (Date, other) if other.is_timestamp() => right,
        (other, Date) if other.is_timestamp() => left,
        (a, b) if a.is_timestamp() && b.is_timestamp() => common_timestamp(a, b),
        (Variant, other) | (other, Variant) if other.is_document() => Variant,
        (a, b) => return Err(invalid_types("CASE", format!("{a}, {b}"))),
    }))
}

fn common_timestamp(left: &SnowType, right: &SnowType) -> SnowType {
    let rank = |data_type: &SnowType| match data_type {
        SnowType::TimestampNtz { scale } => (0, *scale),
        SnowType::TimestampLtz { scale } => (1, *scale),
        SnowType::TimestampTz { scale } => (2, *scale),
        _ => (0, 0),
    };
    let ((kind1, scale1), (kind2, scale2)) = (rank(left), rank(right));
    let scale = scale1.max(scale2);
    match kind1.max(kind2) {
        0 => SnowType::TimestampNtz { scale },
        1 => SnowType::TimestampLtz { scale },
        _ => SnowType::TimestampTz { scale },
    }
}

fn text_type(_args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    Ok(SnowType::Text { length: TEXT_LENGTH })
}

fn boolean_type(_args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    Ok(SnowType::Boolean)
}

fn integer_type(_args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    Ok(SnowType::Number { precision: 18, scale: 0 })
}

fn float_type(_args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    Ok(SnowType::Float)
}

/// The argument at an index; missing ones are NULL.
fn arg(values: &[Value], index: usize) -> &Value {
    values.get(index).unwrap_or(&Value::Null)
}

/// A number rounded to a whole one.
fn whole(value: &Value) -> Result<i64, SqlError> {
    match value {
        Value::Number(unscaled, scale) => super::number::rescale(*unscaled, i32::from(*scale), 0)
            .and_then(|number| number.to_i128())
            .and_then(|number| i64::try_from(number).ok())
            .ok_or_else(|| super::error::number_out_of_range("argument")),
        Value::Text(text) => super::number::parse(text)
            .and_then(|d| super::number::rescale(d.unscaled, d.scale, 0))
            .and_then(|number| number.to_i128())
            .and_then(|number| i64::try_from(number).ok())
            .ok_or_else(|| super::error::number_not_recognized(text)),
        other => Err(invalid_types("?", format!("{other:?}"))),
    }
}

/// The types as an error shows them.
fn shown(args: &[Arg<'_>]) -> String {
    let names = args
        .iter()
        .map(|arg| arg.data_type.as_ref().map_or_else(|| "NULL".to_owned(), ToString::to_string));
    names.collect::<Vec<_>>().join(", ")
}
