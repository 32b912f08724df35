//! The statements of the account: for LAST_QUERY_ID(), AT(STATEMENT => …) and QUERY_HISTORY.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::sql_error;
use crate::engine::{SessionContext, SqlError};

/// Statements remembered; the oldest goes first.
const KEPT: usize = 10_000;

/// One statement.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub id: String,
    pub text: String,
    /// SELECT, INSERT, CREATE_TABLE, ….
    pub kind: &'static str,
    /// Who ran it, where and with which tag.
    pub context: SessionContext,
    pub started_ns: i128,
    pub ended_ns: Option<i128>,
    /// Rows that it gave.
    pub rows: Option<u64>,
    pub failure: Option<SqlError>,
    /// When its changes were committed, or the snapshot that it read; `None` until then.
    pub moment_ns: Option<i128>,
}

/// The statements by id, and their order.
#[derive(Debug, Default)]
pub(crate) struct History {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_id: HashMap<String, Record>,
    order: VecDeque<String>,
}

impl History {
    /// Notes a statement that begins.
    pub(crate) fn begin(&self, record: Record) {
        let mut kept = self.lock();
        let id = record.id.clone();
        if kept.by_id.insert(id.clone(), record).is_none() {
            kept.order.push_back(id);
        }
        while kept.order.len() > KEPT {
            if let Some(oldest) = kept.order.pop_front() {
                kept.by_id.remove(&oldest);
            }
        }
    }

    /// Changes what is known of a statement.
    pub(crate) fn note(&self, id: &str, change: impl FnOnce(&mut Record)) {
        if let Some(record) = self.lock().by_id.get_mut(id) {
            change(record);
        }
    }

    /// Notes when changes that waited for COMMIT became visible.
    pub(crate) fn committed(&self, ids: &[String], moment_ns: i128) {
        let mut kept = self.lock();
        for id in ids {
            if let Some(record) = kept.by_id.get_mut(id) {
                record.moment_ns = Some(moment_ns);
            }
        }
    }

    /// Whether a statement is known.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.lock().by_id.contains_key(id)
    }

    /// The statement of a session as LAST_QUERY_ID(n) counts: −1 is the last before `current`,
    /// 1 is the first.
    pub(crate) fn nth(&self, session_id: u64, current: &str, n: i64) -> Option<String> {
        let kept = self.lock();
        let mut own = kept.order.iter().filter(|id| {
            let record = kept.by_id.get(*id);
            id.as_str() != current
                && record.is_some_and(|record| record.context.session_id == session_id)
        });
        let skip = usize::try_from(n.unsigned_abs()).ok()?.checked_sub(1)?;
        if n < 0 { own.rev().nth(skip).cloned() } else { own.nth(skip).cloned() }
    }

    /// The moment of a statement's changes, or of the snapshot that it read.
    ///
    /// # Errors
    /// 000709 when it is not known, has failed, or its changes are not committed.
    pub(crate) fn moment(&self, id: &str) -> Result<i128, SqlError> {
        let kept = self.lock();
        let found = kept.by_id.get(id).and_then(|record| record.moment_ns);
        found.ok_or_else(|| sql_error("000709", "02000", format!("Statement {id} not found")))
    }

    /// All statements, newest first.
    pub(crate) fn list(&self) -> Vec<Record> {
        let kept = self.lock();
        kept.order.iter().rev().filter_map(|id| kept.by_id.get(id)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
