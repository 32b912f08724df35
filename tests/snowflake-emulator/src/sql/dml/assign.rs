//! Brings values to the types and rules of the columns that they are stored in.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value as SqlValue};

use crate::catalog::{ColumnDef, schema_of};
use crate::engine::SqlError;
use crate::sql::convert::{Failure, assignable};
use crate::sql::error::{compile, null_in_not_null, syntax, unsupported};
use crate::sql::number;
use crate::sql::plan::{Planning, parse_expression};
use crate::sql::tokens::split;
use crate::sql::value::{Value, Writer};
use crate::types::SnowType;

/// Converts one array to a column's type, as assignment does.
pub(super) fn assigned(
    planning: &Planning<'_>,
    array: &ArrayRef,
    field: &arrow::datatypes::Field,
    column: &ColumnDef,
) -> Result<ArrayRef, SqlError> {
    if array.null_count() == array.len() {
        return Ok(new_null_array(&column.data_type.carrier(), array.len()));
    }
    let from = SnowType::of(field).ok_or_else(|| unsupported("this type in a table"))?;
    check_assignable(&from, column)?;
    planning.conversion.array(array, field, &column.data_type, Failure::Error)
}

/// Whether a column takes values of a type.
///
/// # Errors
/// 002023 when it does not.
pub(super) fn check_assignable(from: &SnowType, column: &ColumnDef) -> Result<(), SqlError> {
    if assignable(from, &column.data_type) {
        return Ok(());
    }
    let message = format!(
        "Expression type does not match column data type, expecting {} but got {from} for column {}",
        column.data_type, column.name
    );
    Err(compile("002023", "22000", message))
}

fn check_null(array: &dyn Array, column: &ColumnDef) -> Result<(), SqlError> {
    if !column.nullable && array.null_count() > 0 {
        return Err(null_in_not_null(&column.name));
    }
    Ok(())
}

/// Rows of declared columns, of which each keeps its NOT NULL.
pub(crate) fn batch_of(
    columns: &[ColumnDef],
    arrays: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, SqlError> {
    for (array, column) in arrays.iter().zip(columns) {
        check_null(array, column)?;
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema_of(columns), arrays, &options)
        .map_err(|error| unsupported(error.to_string()))
}

/// Converts a batch to declared columns, position by position.
pub(crate) fn to_columns(
    planning: &Planning<'_>,
    batch: &RecordBatch,
    columns: &[ColumnDef],
) -> Result<RecordBatch, SqlError> {
    let schema = batch.schema();
    let mut arrays = Vec::with_capacity(columns.len());
    for ((array, field), column) in batch.columns().iter().zip(schema.fields()).zip(columns) {
        arrays.push(assigned(planning, array, field, column)?);
    }
    batch_of(columns, arrays, batch.num_rows())
}

/// What a column gets in rows that name no value for it: its default or its next numbers.
pub(crate) fn constant_array(
    planning: &Planning<'_>,
    column: &ColumnDef,
    rows: usize,
) -> Result<ArrayRef, SqlError> {
    if let Some(identity) = &column.identity {
        let mut writer = Writer::new(&column.data_type.carrier(), rows)?;
        for number in identity.take(rows) {
            writer.push(planning.conversion.value(Value::integer(number), &column.data_type)?)?;
        }
        return Ok(writer.finish());
    }
    let value = match &column.default {
        None => Value::Null,
        Some(default) => {
            let tokens = split(&default.text)?.into_iter().next();
            let tokens = tokens.ok_or_else(|| syntax("empty default"))?;
            cell(planning, parse_expression(&tokens)?, column)?
        }
    };
    let mut writer = Writer::new(&column.data_type.carrier(), rows)?;
    for _ in 0..rows {
        writer.push(value.clone())?;
    }
    Ok(writer.finish())
}

/// One value of VALUES, converted to its column's type; literals take a short way.
pub(super) fn cell(
    planning: &Planning<'_>,
    expr: Expr,
    column: &ColumnDef,
) -> Result<Value, SqlError> {
    let (value, data_type) = match literal(&expr) {
        Some(found) => found,
        None => {
            let (value, data_type) = planning.constant(expr)?;
            if value == Value::Null {
                return Ok(Value::Null);
            }
            (value, data_type.ok_or_else(|| unsupported("this value"))?)
        }
    };
    if value == Value::Null {
        return Ok(Value::Null);
    }
    check_assignable(&data_type, column)?;
    planning.conversion.value(value, &column.data_type)
}

fn literal(expr: &Expr) -> Option<(Value, SnowType)> {
    let number = |digits: &str, negative: bool| {
        let decimal = number::parse(digits).filter(|_| !digits.contains(['e', 'E']))?;
        let scale = i8::try_from(decimal.scale).ok().filter(|scale| *scale <= 37)?;
        if number::digits(decimal.unscaled) > number::MAX_DIGITS {
            return None;
        }
        let unscaled = if negative { decimal.unscaled.checked_neg()? } else { decimal.unscaled };
        let data_type = SnowType::Number { precision: number::MAX_DIGITS, scale };
        Some((Value::Number(unscaled, scale), data_type))
    };
    match expr {
        Expr::Value(value) => match &value.value {
            SqlValue::SingleQuotedString(text) => Some((Value::text(text), SnowType::TEXT)),
            SqlValue::Number(digits, _) => number(digits, false),
            SqlValue::Null => Some((Value::Null, SnowType::TEXT)),
            SqlValue::Boolean(flag) => Some((Value::Bool(*flag), SnowType::Boolean)),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                SqlValue::Number(digits, _) => number(digits, true),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// Puts arrays in their places and defaults in the others.
pub(crate) fn complete(
    planning: &Planning<'_>,
    arrays: Vec<ArrayRef>,
    rows: usize,
    columns: &[ColumnDef],
    positions: &[usize],
) -> Result<RecordBatch, SqlError> {
    let mut all = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let given = positions.iter().position(|position| *position == index);
        all.push(match given.and_then(|given| arrays.get(given)) {
            Some(array) => Arc::clone(array),
            None => constant_array(planning, column, rows)?,
        });
    }
    batch_of(columns, all, rows)
}
