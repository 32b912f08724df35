//! What is to be pulled, and within which limits.

use serde::{Deserialize, Serialize};
use snowferry_model::names::{ConnectionName, Identifier, TableName};
use snowferry_model::plan::IntegerPolicy;
use snowferry_model::time::UnixMillis;
use snowferry_model::watermark::{Lookback, NullCursors};

/// How a table is kept in step with its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A backfill first, then the rows above the watermark.
    Incremental,
    /// The whole table on each run, exchanged in one step.
    Full,
    /// A backfill, then never again.
    Once,
}

impl Mode {
    /// Returns the mode as it is written in a connection file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::Full => "full",
            Self::Once => "once",
        }
    }
}

/// What happens when a source table's columns change, or the table is created anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaPolicy {
    /// The pull follows: columns come and go in the same table; what cannot be held beside the
    /// rows that are there, and a table that was created anew, is read anew as a whole.
    #[default]
    Evolve,
    /// New columns are left out; any other change stops the pull.
    Freeze,
    /// Any change stops the pull.
    Stop,
}

/// One table to pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableJob {
    /// The table or view.
    pub table: TableName,
    /// How it is kept in step.
    pub mode: Mode,
    /// The columns that tell a row from every other; empty: rows are only appended.
    pub key: Vec<Identifier>,
    /// The column that grows with each insert or update. Needed by [`Mode::Incremental`].
    pub cursor: Option<Identifier>,
    /// How far below the watermark each run reads again. Needs a key.
    pub lookback: Lookback,
    /// What becomes of rows whose cursor is NULL.
    pub null_cursors: NullCursors,
    /// How wide integers are staged.
    pub integers: IntegerPolicy,
    /// What a changed source table leads to.
    pub schema: SchemaPolicy,
    /// Whether a table that the server says is unchanged is left alone.
    pub skip_unchanged: bool,
}

/// Who runs, as what, and until when.
#[derive(Clone, Debug)]
pub struct RunContext {
    /// The connection.
    pub connection: ConnectionName,
    /// Unique to this run; sorts by start. A run that goes on after a deadline keeps it.
    pub run_id: String,
    /// Who asked for the run: `manual`, `schedule`, `demo`, ….
    pub trigger: String,
    /// How this process names itself to others that find the lease taken. Unique to the
    /// invocation: it also tells the objects of one attempt from those of another.
    pub owner: String,
    /// When to stop taking up work; `None` for never.
    pub deadline: Option<UnixMillis>,
    /// Sizes.
    pub limits: Limits,
}

/// Sizes that bound memory and the work that a crash can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes of the result in one part: what a killed worker has to read again.
    pub part_bytes: u64,
    /// Parts that are staged at the same time.
    pub parallel_parts: usize,
    /// How long a lease lasts without being renewed, in milliseconds.
    pub lease_ms: u64,
}

impl Default for Limits {
    /// 256 MiB a part (some 90 MB gzip, a few seconds), one at a time, two minutes of lease.
    fn default() -> Self {
        Self { part_bytes: 256 << 20, parallel_parts: 1, lease_ms: 120_000 }
    }
}

/// Returns what a table's mode promises, in words for the status.
#[must_use]
pub fn guarantee(job: &TableJob) -> &'static str {
    match (job.mode, job.key.is_empty()) {
        (Mode::Incremental, false) if job.null_cursors == NullCursors::Reload => {
            "one row for each key, the newest version; late rows are caught within the lookback, \
             rows without a cursor are read by every run; deletes are not seen"
        }
        (Mode::Incremental, false) if job.null_cursors == NullCursors::Ignore => {
            "one row for each key that has a cursor, the newest version; late rows are caught \
             within the lookback; deletes are not seen"
        }
        (Mode::Incremental, true) if job.null_cursors == NullCursors::Ignore => {
            "each row that has a cursor once, provided that rows are committed in the order of the \
             cursor; updates and deletes are not seen"
        }
        (Mode::Incremental, false) => {
            "one row for each key, the newest version; late rows are caught within the lookback; \
             deletes are not seen"
        }
        (Mode::Incremental, true) => {
            "each row once, provided that rows are committed in the order of the cursor; \
             updates and deletes are not seen"
        }
        (Mode::Full, _) => "an exact copy of the source at the moment of the last run",
        (Mode::Once, _) => "an exact copy of the source at the moment of the backfill",
    }
}
