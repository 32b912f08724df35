//! Columns that come and go within a generation.
//!
//! A load may bring columns that the table does not have: the rows that are there are NULL in
//! them. It may lack columns that the table has: its rows are NULL in those. A column never changes
//! its type; for that, the table is replaced.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::DatabaseError;

/// Returns the columns of a table after rows of these columns were added: its own, in their
/// order, then the new ones.
///
/// # Errors
/// [`DatabaseError::Schema`] for a column of another type, or one whose name differs from that of
/// a column by case only.
pub(crate) fn extended(
    table: &str,
    standing: &SchemaRef,
    incoming: &SchemaRef,
) -> Result<SchemaRef, DatabaseError> {
    if standing == incoming {
        return Ok(Arc::clone(standing));
    }
    let refuse = |reason: String| Err(DatabaseError::Schema { table: table.to_owned(), reason });
    let mut fields: Vec<_> = standing.fields().iter().cloned().collect();
    for field in incoming.fields() {
        let folded = field.name().to_lowercase();
        match standing.fields().iter().find(|known| known.name().to_lowercase() == folded) {
            None => fields.push(Arc::clone(field)),
            Some(known) if known.name() != field.name() => {
                let (known, name) = (known.name(), field.name());
                return refuse(format!("its column {known} and {name} differ by case only"));
            }
            Some(known) if known.data_type() != field.data_type() => {
                let (known, name) = (known.data_type(), field.name());
                let found = field.data_type();
                return refuse(format!("its column {name} is {known}, the rows have {found}"));
            }
            Some(_) => {}
        }
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Gives a batch these columns; those that it lacks are NULL.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |field: &Arc<arrow::datatypes::Field>| -> ArrayRef {
        let found = batch.column_by_name(field.name()).cloned();
        found.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
    };
    let columns: Vec<ArrayRef> = schema.fields().iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}
