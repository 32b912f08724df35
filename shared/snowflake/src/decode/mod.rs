//! Turns a result stream into batches of the staged schema, exactly or not at all.
//!
//! What a column *is* comes from the declared row type of the statement; how one stream happens to
//! carry it (8-bit integers here, decimals in the next chunk, a struct for a timestamp) is looked
//! at stream by stream. Conversions run over whole value slices. A slot that is NULL may hold any
//! bits: it is never a reason to refuse.
//!
//! Steps: [`Decoder::new`] compares the declared columns with the plan; [`Decoder::arrow_stream`]
//! reads one Arrow IPC stream, [`Decoder::json_rows`] one array of rows of texts.
//!
//! **Invariant:** no value is rounded, cut or wrapped. What the staged type cannot hold is
//! [`SnowflakeError::Inexact`] with the column's name, and bytes that follow no format are
//! [`SnowflakeError::Protocol`]; neither panics.

mod columns;
mod decfloat;
mod declared;
mod json;
mod timestamps;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use arrow::record_batch::RecordBatch;
use snowferry_model::plan::{PlannedColumn, StagedForm, TablePlan};
use snowferry_model::types::SnowflakeType;

use crate::SnowflakeError;

pub use declared::{DeclaredColumn, RowType, parse_type};

/// Decodes the streams of one result.
#[derive(Clone, Debug)]
pub struct Decoder {
    columns: Arc<[PlannedColumn]>,
    declared: Arc<[DeclaredColumn]>,
    schema: SchemaRef,
}

impl Decoder {
    /// Takes the declared columns of a result and the plan it is to be staged by.
    ///
    /// # Errors
    /// - [`SnowflakeError::Protocol`] for another number of columns.
    /// - [`SnowflakeError::ColumnChanged`] for another name, kind or scale than planned. A
    ///   different precision or length is no change: each value is checked.
    pub fn new(declared: &[DeclaredColumn], plan: &TablePlan) -> Result<Self, SnowflakeError> {
        if declared.len() != plan.columns.len() {
            let (found, wanted) = (declared.len(), plan.columns.len());
            return Err(protocol(format!("{found} columns came, {wanted} were asked for")));
        }
        for (found, planned) in declared.iter().zip(&plan.columns) {
            let same = found.name == planned.name.as_str()
                && same_kind(&found.data_type, &planned.data_type);
            if !same {
                return Err(SnowflakeError::ColumnChanged {
                    column: planned.name.to_string(),
                    planned: planned.data_type.to_string(),
                    found: format!("{} {}", found.name, found.data_type),
                });
            }
        }
        Ok(Self {
            columns: plan.columns.clone().into(),
            declared: declared.to_vec().into(),
            schema: Arc::new(plan.schema()),
        })
    }

    /// Returns the staged schema.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Decodes one whole Arrow IPC stream, without copying where the staged type is the wire's.
    ///
    /// Empty input is a stream of no batches. The end-of-stream marker may be missing.
    ///
    /// # Errors
    /// [`SnowflakeError::Inexact`], [`SnowflakeError::Protocol`].
    pub fn arrow_stream(&self, bytes: Buffer) -> Result<Vec<RecordBatch>, SnowflakeError> {
        let wire = read_stream(bytes)?;
        let mut staged = Vec::with_capacity(wire.len());
        for batch in &wire {
            staged.push(self.staged(batch)?);
        }
        Ok(staged)
    }

    /// Decodes one JSON array of rows, each an array of texts and nulls.
    ///
    /// # Errors
    /// [`SnowflakeError::Inexact`], [`SnowflakeError::Protocol`].
    pub fn json_rows(&self, text: &[u8]) -> Result<RecordBatch, SnowflakeError> {
        let rows = json::parse_rows(text, self.columns.len())?;
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        for (position, column) in self.columns.iter().enumerate() {
            arrays.extend(json::column(&rows, position, column)?);
        }
        self.batch(arrays, rows.len())
    }

    fn staged(&self, wire: &RecordBatch) -> Result<RecordBatch, SnowflakeError> {
        if wire.num_columns() != self.columns.len() {
            let (found, wanted) = (wire.num_columns(), self.columns.len());
            return Err(protocol(format!(
                "a batch of {found} columns where {wanted} were declared"
            )));
        }
        let schema = wire.schema();
        let mut arrays = Vec::with_capacity(self.schema.fields().len());
        let declared = self.columns.iter().zip(self.declared.iter());
        for ((column, declared), (array, field)) in
            declared.zip(wire.columns().iter().zip(schema.fields()))
        {
            let scale = wire_scale(field, declared)?;
            arrays.extend(columns::staged(column, array, scale)?);
        }
        self.batch(arrays, wire.num_rows())
    }

    fn batch(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, SnowflakeError> {
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema(), arrays, &options)
            .map_err(|error| protocol(error.to_string()))
    }
}

/// Reads all batches of one IPC stream.
pub(crate) fn read_stream(mut bytes: Buffer) -> Result<Vec<RecordBatch>, SnowflakeError> {
    // The reader asserts a few things about a schema instead of reporting them; hostile bytes
    // must cost one result, not the process.
    let read = catch_unwind(AssertUnwindSafe(|| {
        let mut decoder = StreamDecoder::new();
        let mut batches = Vec::new();
        while !bytes.is_empty() {
            batches.extend(decoder.decode(&mut bytes)?);
        }
        decoder.finish()?;
        Ok::<_, arrow::error::ArrowError>(batches)
    }));
    match read {
        Ok(Ok(batches)) => Ok(batches),
        Ok(Err(error)) => Err(protocol(format!("no Arrow stream: {error}"))),
        Err(_) => Err(protocol("no Arrow stream: the reader gave up".to_owned())),
    }
}

/// Returns the decimal scale of a wire column: what the stream says, checked against what was
/// declared, else the declared one.
fn wire_scale(
    field: &arrow::datatypes::Field,
    declared: &DeclaredColumn,
) -> Result<u8, SnowflakeError> {
    let wanted = match &declared.data_type {
        SnowflakeType::Number { scale, .. }
        | SnowflakeType::Time { scale }
        | SnowflakeType::TimestampNtz { scale }
        | SnowflakeType::TimestampLtz { scale }
        | SnowflakeType::TimestampTz { scale } => *scale,
        _ => return Ok(0),
    };
    let Some(text) = field.metadata().get("scale") else { return Ok(wanted) };
    match text.parse::<u8>() {
        Ok(scale) if scale == wanted => Ok(scale),
        _ => Err(protocol(format!(
            "column {} came with the scale {text:.8}, declared is {wanted}",
            declared.name
        ))),
    }
}

/// Returns whether a declared type still is what was planned, precision and length aside.
fn same_kind(found: &SnowflakeType, planned: &SnowflakeType) -> bool {
    match (found, planned) {
        (SnowflakeType::Number { scale: a, .. }, SnowflakeType::Number { scale: b, .. }) => a == b,
        (SnowflakeType::VectorFloat { .. }, SnowflakeType::VectorFloat { .. })
        | (SnowflakeType::VectorInt { .. }, SnowflakeType::VectorInt { .. })
        | (SnowflakeType::Unknown { .. }, SnowflakeType::Unknown { .. }) => found == planned,
        // JSON text is JSON text: a MAP comes as an object to clients that asked for nothing else.
        _ if is_json(found) && is_json(planned) => true,
        _ => std::mem::discriminant(found) == std::mem::discriminant(planned),
    }
}

fn is_json(data_type: &SnowflakeType) -> bool {
    matches!(
        data_type,
        SnowflakeType::Variant | SnowflakeType::Object | SnowflakeType::Array | SnowflakeType::Map
    )
}

fn protocol(reason: String) -> SnowflakeError {
    SnowflakeError::Protocol { step: "decode a result".to_owned(), reason }
}

/// Refuses a value that the staged form cannot hold.
fn inexact(column: &PlannedColumn, reason: &str) -> SnowflakeError {
    let repair = match column.form {
        StagedForm::Int64 => {
            "pull the table anew with `integers: decimal` (or auto), which stages the column as a \
             38-digit decimal"
        }
        StagedForm::Timestamp { nanos: false, .. } => {
            "pull the table anew, so that the column gets a companion for its nanoseconds"
        }
        StagedForm::Timestamp { .. } => {
            "leave the column out, or let the customer correct years outside 0001 to 9999"
        }
        _ => "pull the table anew, so that its staged types are decided again",
    };
    SnowflakeError::Inexact {
        column: column.name.to_string(),
        staged: column.form.value_type().to_string(),
        reason: reason.to_owned(),
        repair: repair.to_owned(),
    }
}

/// Returns a schema of text columns, for the small results that are read as text.
#[cfg(feature = "client")]
pub(crate) fn is_text(schema: &arrow::datatypes::Schema) -> bool {
    schema.fields().iter().all(|field| *field.data_type() == arrow::datatypes::DataType::Utf8)
}

#[cfg(test)]
mod tests;
