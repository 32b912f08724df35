//! Results of earlier statements, for `TABLE(RESULT_SCAN('<query id>'))`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::error::sql_error;
use super::plan::carrier_schema;
use crate::engine::SqlError;
use crate::types::Column;

/// Results kept; the oldest goes first.
const KEPT: usize = 100;

/// Results by query id.
#[derive(Debug, Default)]
pub(crate) struct Results {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_id: HashMap<String, (SchemaRef, Vec<RecordBatch>)>,
    order: VecDeque<String>,
}

impl Results {
    /// Keeps a result.
    pub(crate) fn register(&self, id: &str, columns: &[Column], batches: Vec<RecordBatch>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = (carrier_schema(columns), batches);
        if kept.by_id.insert(id.to_owned(), entry).is_none() {
            kept.order.push_back(id.to_owned());
        }
        while kept.order.len() > KEPT {
            if let Some(oldest) = kept.order.pop_front() {
                kept.by_id.remove(&oldest);
            }
        }
    }

    /// Forgets a result.
    pub(crate) fn forget(&self, id: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_id.remove(id);
        kept.order.retain(|known| known != id);
    }

    /// A kept result.
    pub(crate) fn get(&self, id: &str) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_id
            .get(id)
            .cloned()
            .ok_or_else(|| sql_error("000709", "02000", format!("Statement {id} not found")))
    }
}
