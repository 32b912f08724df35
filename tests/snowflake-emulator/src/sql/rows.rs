//! Small results that are made here: SHOW, DESCRIBE, counts, status, INFORMATION_SCHEMA.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::stream;

use super::error::unsupported;
use super::value::{Value, Writer};
use crate::engine::{Outcome, SqlError};
use crate::types::{Column, SnowType};

/// Rows with their columns.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    columns: Vec<(&'static str, SnowType)>,
    rows: Vec<Vec<Value>>,
}

impl Rows {
    /// No rows yet.
    pub(crate) fn new(columns: Vec<(&'static str, SnowType)>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// One row of one text, as DDL answers.
    pub(crate) fn status(text: impl Into<String>) -> Self {
        let mut rows = Self::new(vec![("status", SnowType::TEXT)]);
        rows.push(vec![Value::Text(text.into())]);
        rows
    }

    /// One row of counts, as DML answers.
    pub(crate) fn counts(counts: &[(&'static str, u64)]) -> Self {
        let number = SnowType::Number { precision: 19, scale: 0 };
        let columns = counts.iter().map(|(name, _)| (*name, number.clone())).collect();
        let mut rows = Self::new(columns);
        rows.push(counts.iter().map(|(_, count)| Value::integer(*count)).collect());
        rows
    }

    /// Adds a row of as many values as there are columns.
    pub(crate) fn push(&mut self, row: Vec<Value>) {
        self.rows.push(row);
    }

    /// Keeps the first rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }

    /// The Arrow schema.
    pub(crate) fn schema(&self) -> SchemaRef {
        let fields: Vec<_> =
            self.columns.iter().map(|(name, data_type)| data_type.field(name, true)).collect();
        Arc::new(Schema::new(fields))
    }

    /// The rows as one batch.
    pub(crate) fn batch(&self) -> Result<RecordBatch, SqlError> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (index, (_, data_type)) in self.columns.iter().enumerate() {
            let mut writer = Writer::new(&data_type.carrier(), self.rows.len())?;
            for row in &self.rows {
                writer.push(row.get(index).cloned().unwrap_or(Value::Null))?;
            }
            arrays.push(writer.finish());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        RecordBatch::try_new_with_options(self.schema(), arrays, &options)
            .map_err(|error| unsupported(error.to_string()))
    }

    /// The rows as what a statement gave.
    pub(crate) fn outcome(
        self,
        statement_type_id: i64,
        snapshot_ns: i128,
    ) -> Result<Outcome, SqlError> {
        let columns = self.columns.iter().map(|(name, data_type)| Column {
            name: (*name).to_owned(),
            data_type: data_type.clone(),
            nullable: true,
            origin: Default::default(),
        });
        let columns = columns.collect();
        let batch = self.batch()?;
        let rows = stream::iter([Ok(batch)]);
        Ok(Outcome {
            statement_type_id,
            columns,
            rows: Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)),
            json_only: true,
            snapshot_ns,
            transfer: None,
        })
    }
}

/// A text, or NULL.
pub(crate) fn optional(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::text)
}
