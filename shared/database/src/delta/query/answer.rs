//! What leaves a query: columns of few exact types, and errors that say what to do.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;

use super::super::{is_full, store_error};
use super::text::readable;
use crate::DatabaseError;

/// Decides the columns of an answer.
///
/// # Errors
/// [`DatabaseError::Query`] for a type that no answer has, or two columns of one name.
pub(super) fn columns(planned: &Schema) -> Result<SchemaRef, DatabaseError> {
    let mut names = BTreeSet::new();
    let mut fields = Vec::with_capacity(planned.fields().len());
    for field in planned.fields() {
        let name = readable(field.name());
        let Some(data_type) = answered(field.data_type()) else {
            return Err(DatabaseError::Query {
                reason: format!("column {name} is {}, which no answer holds", field.data_type()),
                hint: Some(format!("cast it: CAST(… AS VARCHAR) AS \"{name}\"")),
            });
        };
        if !names.insert(name.clone()) {
            return Err(DatabaseError::Query {
                reason: format!("two columns of the answer are called {name}"),
                hint: Some("give each column a name of its own: … AS other_name".to_owned()),
            });
        }
        fields.push(Field::new(name, data_type, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Returns the type under which values leave, unchanged.
fn answered(planned: &DataType) -> Option<DataType> {
    Some(match planned {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Date32
        | DataType::Time64(_)
        | DataType::Timestamp(_, None) => planned.clone(),
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("UTC".into())),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Dictionary(_, value) => answered(value)?,
        DataType::List(element) => {
            let element = answered(element.data_type())?;
            DataType::List(Arc::new(Field::new("element", element, true)))
        }
        _ => return None,
    })
}

/// Gives a batch the columns of the answer.
pub(super) fn shape(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DatabaseError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (column, field) in batch.columns().iter().zip(schema.fields()) {
        // A sum of decimals may leave its digits without an error.
        if let DataType::Decimal128(precision, _) = column.data_type() {
            let decimals = column.as_primitive::<Decimal128Type>();
            decimals.validate_decimal_precision(*precision).map_err(|_| too_wide())?;
        }
        columns.push(if column.data_type() == field.data_type() {
            Arc::clone(column)
        } else {
            cast_with_options(column, field.data_type(), &strict).map_err(|error| arrow(&error))?
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| arrow(&error))
}

/// Says why a query cannot be planned. The message speaks of the query's own words.
pub(super) fn planning(error: DataFusionError) -> DatabaseError {
    let reason = match error.find_root() {
        DataFusionError::Plan(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Execution(text) => text.clone(),
        DataFusionError::SchemaError(error, _) => error.to_string(),
        DataFusionError::SQL(error, _) => error.to_string(),
        DataFusionError::Collection(errors) => {
            let first = errors.first().map(|error| error.strip_backtrace());
            first.unwrap_or_else(|| error.strip_backtrace())
        }
        other => other.strip_backtrace(),
    };
    DatabaseError::Query { reason: readable(&reason), hint: None }
}

/// Says why a query failed while it ran. Messages of kernels may hold values, so they are not
/// repeated.
pub(super) fn running(error: DataFusionError, limit_bytes: u64) -> DatabaseError {
    let error = match error {
        DataFusionError::External(inner) => match inner.downcast::<DatabaseError>() {
            Ok(error) => return *error,
            Err(other) => DataFusionError::External(other),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            return running(*inner, limit_bytes);
        }
        other => other,
    };
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => {
            DatabaseError::Memory { limit_bytes, source: error.strip_backtrace().into() }
        }
        DataFusionError::ArrowError(error, _) => arrow(error),
        DataFusionError::IoError(error) => disk(error),
        DataFusionError::Internal(text) => broken(text),
        // An error of ours that several streams share cannot be taken out, only read.
        DataFusionError::External(inner) => broken(inner),
        _ => refuse("a function of it failed on some row", None),
    }
}

fn arrow(error: &ArrowError) -> DatabaseError {
    let try_cast = || Some("TRY_CAST gives NULL instead".to_owned());
    match error {
        ArrowError::DivideByZero => refuse("division by zero", Some("use NULLIF(…, 0)".to_owned())),
        ArrowError::ArithmeticOverflow(_) => too_wide(),
        ArrowError::IoError(_, error) => disk(error),
        ArrowError::CastError(_) | ArrowError::ParseError(_) => {
            refuse("a value does not fit the type that it is cast to", try_cast())
        }
        _ => refuse("an expression of it failed on some row", None),
    }
}

/// Says what the disk did, where a query keeps what does not fit into memory.
fn disk(error: &io::Error) -> DatabaseError {
    // The limit of a query's own has no kind.
    if is_full(error) || error.to_string().contains("exceeded the allowable limit") {
        return DatabaseError::Full { step: "query", table: "our database".to_owned() };
    }
    broken(error)
}

fn broken(reason: impl ToString) -> DatabaseError {
    store_error("query", "our database", reason.to_string())
}

fn too_wide() -> DatabaseError {
    refuse("a result does not fit its type", Some("cast to a wider NUMBER first".to_owned()))
}

fn refuse(reason: &str, hint: Option<String>) -> DatabaseError {
    DatabaseError::Query { reason: reason.to_owned(), hint }
}
