//! What one run did to one table, kept for `status` and `runs`.

use serde::{Deserialize, Serialize};

use crate::drift::SchemaChange;
use crate::fault::{Blame, Retry};
use crate::state::StreamKey;
use crate::time::UnixMillis;

/// The version of the stored form of a [`RunRecord`].
pub const RUN_VERSION: u32 = 1;

/// One attempt to pull one table. Written when it begins and again when it ends; one that was
/// killed is closed by the next run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`RUN_VERSION`].
    pub version: u32,
    /// Unique to the attempt; sorts by start.
    pub run_id: String,
    /// The table.
    pub stream: StreamKey,
    /// `incremental`, `full` or `once`.
    pub mode: String,
    /// `manual`, `schedule`, `demo`, …: who asked for it.
    pub trigger: String,
    /// When it began.
    pub started_at: UnixMillis,
    /// When it ended.
    pub ended_at: Option<UnixMillis>,
    /// How it ended.
    pub outcome: Outcome,
    /// What it did.
    pub figures: Figures,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// Still going, or killed and not yet noticed.
    Running,
    /// All rows of the window are loaded and the watermark has moved.
    Loaded,
    /// Nothing to do: the source had no new row, or a `once` table is complete.
    NothingNew,
    /// The deadline came; the next run goes on where this one stopped.
    Continued,
    /// Another run holds the table.
    Busy {
        /// Who holds it.
        owner: String,
    },
    /// The process ended without saying how.
    Crashed,
    /// Refused or failed; the state is as before.
    Failed {
        /// Stable code.
        code: String,
        /// The error with its causes.
        message: String,
        /// Who has to act.
        blame: Blame,
        /// When trying again can help.
        retry: Retry,
        /// What to do.
        hint: Option<String>,
    },
}

/// Counts of one run. Bytes are bytes, durations milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Rows the server announced for the window.
    pub rows_announced: u64,
    /// Rows staged by this run (parts of an earlier attempt are not counted again).
    pub rows_staged: u64,
    /// Rows of the slice that were loaded.
    pub rows_loaded: u64,
    /// Rows of the table that a newer version replaced.
    pub rows_replaced: u64,
    /// Incoming rows that lost against another of the same key.
    pub rows_superseded: u64,
    /// Parts staged by this run.
    pub parts_staged: u64,
    /// Parts of an earlier attempt that this run used.
    pub parts_reused: u64,
    /// Compressed bytes received from the server.
    pub received_bytes: u64,
    /// Bytes written to staging.
    pub staged_bytes: u64,
    /// Statements sent that needed a warehouse.
    pub statements: u64,
    /// Ids of these statements' results that were read.
    pub query_ids: Vec<String>,
    /// Time to describe, profile and submit.
    pub pin_ms: u64,
    /// Time to wait for, fetch, decode and stage.
    pub stage_ms: u64,
    /// Time to load.
    pub load_ms: u64,
    /// Slices that were loaded: two, when the run first finished that of an earlier one. The
    /// counts above are of all of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub slices_loaded: u64,
    /// Rows of the source whose cursor was NULL when the bound was fixed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub null_cursors: u64,
    /// Rows of the source whose cursor was further ahead of the server's clock than is allowed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub future_cursors: u64,
    /// How the source table differed from what was known of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schema_changes: Vec<SchemaChange>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
