//! Columns as the engine gives them, checked and converted to their carriers.
//!
//! DataFusion may answer an expression with a cousin of the carrier (a string view, a 64-bit
//! integer for COUNT). [`normalise`] casts those, so that everything behind it sees exactly the
//! table of `crate::types`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatchOptions;

use super::WireError;
use crate::types::Column;

/// Returns `batch` with each column as the carrier of its declared type.
///
/// # Errors
/// [`WireError::Carrier`] if a column is missing or cannot be cast without changing its meaning.
pub(crate) fn normalise(columns: &[Column], batch: &RecordBatch) -> Result<RecordBatch, WireError> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let array = batch.columns().get(index).ok_or_else(|| WireError::Carrier {
            column: column.name.clone(),
            wanted: format!("{:?}", column.data_type),
            found: "no column".to_owned(),
        })?;
        let array = as_carrier(column, array)?;
        fields.push(Field::new(&column.name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(WireError::Arrow)
}

fn as_carrier(column: &Column, array: &ArrayRef) -> Result<ArrayRef, WireError> {
    let wanted = column.data_type.carrier();
    let found = array.data_type();
    if same_values(found, &wanted) {
        return Ok(Arc::clone(array));
    }
    let mismatch = || WireError::Carrier {
        column: column.name.clone(),
        wanted: wanted.to_string(),
        found: found.to_string(),
    };
    if !may_cast(found, &wanted) {
        return Err(mismatch());
    }
    let converted = cast(array, &wanted).map_err(|_| mismatch())?;
    // An unsafe cast turns what does not fit into NULL; that would be a wrong answer.
    if converted.null_count() != array.logical_null_count() {
        return Err(mismatch());
    }
    Ok(converted)
}

/// Whether two Arrow types hold the same values in the same layout.
fn same_values(found: &DataType, wanted: &DataType) -> bool {
    match (found, wanted) {
        (DataType::Decimal128(_, a), DataType::Decimal128(_, b)) => a == b,
        (DataType::FixedSizeList(a, n), DataType::FixedSizeList(b, m)) => {
            n == m && a.data_type() == b.data_type()
        }
        _ => found == wanted,
    }
}

/// Whether a cast between two Arrow types keeps the meaning of the values.
fn may_cast(found: &DataType, wanted: &DataType) -> bool {
    match wanted {
        DataType::Decimal128(..) => {
            found.is_integer() || found.is_decimal() || found == &DataType::Null
        }
        DataType::Float64 => found.is_floating() || found == &DataType::Null,
        DataType::Utf8 | DataType::LargeUtf8 => {
            matches!(
                found,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
            ) || matches!(found, DataType::Dictionary(_, value) if value.is_string())
        }
        DataType::Binary => matches!(
            found,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::Null
        ),
        DataType::Time64(_) => matches!(found, DataType::Time64(_) | DataType::Null),
        _ => found == &DataType::Null,
    }
}
