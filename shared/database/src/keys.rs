//! Which row of several with one key stays: the one rule that every database follows.
//!
//! Keys and cursors are compared by their `arrow-row` encoding: equal bytes mean equal values and
//! the order of the bytes is the order of the values, for every staged type, without rounding.
//! A companion `__ns` belongs to the value, a companion `__offset_min` does not (an instant is
//! the same whatever its offset). Among incoming rows a NULL cursor is older than any value; a row
//! of the table is older than an incoming one without a cursor, which was read later.
//!
//! For each key: of the incoming rows the greatest cursor stays, of equal cursors the later row.
//! That row loses when the table has a newer one, or one of the same cursor that is equal in
//! every column (so that reading a boundary again changes nothing). Otherwise it takes the place
//! of every row of its key.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};
use snowferry_model::names::Identifier;
use snowferry_model::plan::{StagedForm, TablePlan};
use snowferry_model::slice::UniqueBy;

use crate::DatabaseError;

/// A staged column that takes part in a key or a cursor.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    data_type: DataType,
}

/// The staged columns that decide which row stays.
#[derive(Clone, Debug)]
pub(crate) struct UniqueColumns {
    table: String,
    key: Vec<Member>,
    cursor: Vec<Member>,
}

impl UniqueColumns {
    /// Finds the columns of a rule in a plan.
    ///
    /// # Errors
    /// [`DatabaseError::Schema`] for a column that is not there or whose type has no exact
    /// equality (a float, a list).
    pub(crate) fn resolve(
        table: &str,
        plan: &TablePlan,
        unique: &UniqueBy,
    ) -> Result<Self, DatabaseError> {
        let refuse = |reason: String| DatabaseError::Schema { table: table.to_owned(), reason };
        if unique.key.is_empty() {
            return Err(refuse("the key has no columns".to_owned()));
        }
        let mut key = Vec::new();
        for name in &unique.key {
            let members = members(plan, name)
                .ok_or_else(|| refuse(format!("the key column {name} is not in the plan")))?;
            if members.iter().any(|m| m.data_type.is_floating() || m.data_type.is_nested()) {
                return Err(refuse(format!(
                    "the column {name} cannot be a key: floats and lists have no exact equality"
                )));
            }
            key.extend(members);
        }
        let name = &unique.cursor;
        let cursor = members(plan, name)
            .ok_or_else(|| refuse(format!("the cursor column {name} is not in the plan")))?;
        if cursor.iter().any(|m| m.data_type.is_nested()) {
            return Err(refuse(format!(
                "the column {name} cannot be a cursor: a list has no order"
            )));
        }
        Ok(Self { table: table.to_owned(), key, cursor })
    }

    /// Returns the names of all columns that are needed to compare rows.
    #[cfg(feature = "delta")]
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.key.iter().chain(&self.cursor).map(|member| member.name.as_str())
    }

    /// Returns the names of the key's staged columns.
    #[cfg(feature = "delta")]
    pub(crate) fn key_names(&self) -> impl Iterator<Item = &str> {
        self.key.iter().map(|member| member.name.as_str())
    }

    /// Makes the encoder for batches that hold at least [`Self::names`].
    pub(crate) fn encoder(&self) -> Result<KeyEncoder, DatabaseError> {
        Ok(KeyEncoder {
            key: self.converter(&self.key)?,
            cursor: self.converter(&self.cursor)?,
            columns: self.clone(),
        })
    }

    fn converter(&self, members: &[Member]) -> Result<RowConverter, DatabaseError> {
        let fields = members.iter().map(|m| SortField::new(m.data_type.clone())).collect();
        RowConverter::new(fields).map_err(|error| self.broken(error))
    }

    fn broken(&self, error: arrow::error::ArrowError) -> DatabaseError {
        DatabaseError::Store {
            step: "compare keys of",
            table: self.table.clone(),
            source: Box::new(error),
        }
    }
}

/// Returns a column's value and its `__ns` companion, the fields that define its order.
fn members(plan: &TablePlan, name: &Identifier) -> Option<Vec<Member>> {
    let column = plan.column(name)?;
    let with_nanos = matches!(column.form, StagedForm::Timestamp { nanos: true, .. });
    let fields = column.fields();
    let wanted = if with_nanos { 2 } else { 1 };
    let member = |field: &arrow::datatypes::Field| Member {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
    };
    Some(fields.iter().take(wanted).map(member).collect())
}

/// Turns the keys and cursors of batches into comparable bytes.
#[derive(Debug)]
pub(crate) struct KeyEncoder {
    columns: UniqueColumns,
    key: RowConverter,
    cursor: RowConverter,
}

/// The keys and cursors of one batch, by row.
#[derive(Debug)]
pub(crate) struct EncodedKeys {
    pub(crate) keys: Rows,
    pub(crate) cursors: Rows,
}

impl KeyEncoder {
    /// Encodes a batch.
    ///
    /// # Errors
    /// [`DatabaseError::NullKey`] for a NULL in a key column.
    pub(crate) fn encode(&self, batch: &RecordBatch) -> Result<EncodedKeys, DatabaseError> {
        let keys = self.columns_of(batch, &self.columns.key)?;
        for (array, member) in keys.iter().zip(&self.columns.key) {
            if array.null_count() > 0 {
                return Err(DatabaseError::NullKey {
                    table: self.columns.table.clone(),
                    column: member.name.clone(),
                });
            }
        }
        let cursors = self.columns_of(batch, &self.columns.cursor)?;
        Ok(EncodedKeys {
            keys: self.key.convert_columns(&keys).map_err(|e| self.columns.broken(e))?,
            cursors: self.cursor.convert_columns(&cursors).map_err(|e| self.columns.broken(e))?,
        })
    }

    fn columns_of(
        &self,
        batch: &RecordBatch,
        members: &[Member],
    ) -> Result<Vec<Arc<dyn Array>>, DatabaseError> {
        members
            .iter()
            .map(|member| {
                batch.column_by_name(&member.name).cloned().ok_or_else(|| DatabaseError::Schema {
                    table: self.columns.table.clone(),
                    reason: format!("the column {} is missing", member.name),
                })
            })
            .collect()
    }
}

/// Returns whether the encoded cursor of a row is NULL.
pub(crate) fn is_null_cursor(cursor: &[u8]) -> bool {
    // The first byte of an encoded value tells whether there is one; NULLs come first.
    cursor.first() == Some(&0)
}

/// Makes the encoder by which whole rows are tested for equality in every column.
pub(crate) fn whole_rows(table: &str, schema: &Schema) -> Result<RowConverter, DatabaseError> {
    let fields = schema.fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
    RowConverter::new(fields).map_err(|error| DatabaseError::Store {
        step: "compare rows of",
        table: table.to_owned(),
        source: Box::new(error),
    })
}
