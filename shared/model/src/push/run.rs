//! What one run did for one push, kept for `status` and `runs`.

use serde::{Deserialize, Serialize};

use super::state::PushKey;
use super::verdict::ColumnVerdict;
use crate::fault::{Blame, Retry};
use crate::names::TableName;
use crate::time::UnixMillis;

/// The version of the stored form of a [`PushRunRecord`].
pub const PUSH_RUN_VERSION: u32 = 1;

/// One attempt at one push. Written when it begins and again when it ends; one that was killed is
/// closed by the next run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushRunRecord {
    /// [`PUSH_RUN_VERSION`].
    pub version: u32,
    /// Unique to the attempt; sorts by start.
    pub run_id: String,
    /// The push.
    pub push: PushKey,
    /// The table.
    pub target: TableName,
    /// `append`, `rewrite` or `upsert`.
    pub mode: String,
    /// `manual`, `schedule`, `demo`, …: who asked for it.
    pub trigger: String,
    /// When it began.
    pub started_at: UnixMillis,
    /// When it ended.
    pub ended_at: Option<UnixMillis>,
    /// How it ended.
    pub outcome: PushOutcome,
    /// What it did.
    pub figures: PushFigures,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PushOutcome {
    /// Still going, or killed and not yet noticed.
    Running,
    /// The rows are in the target.
    Applied,
    /// The deadline came; the next run goes on.
    Continued,
    /// Another run holds the target.
    Busy {
        /// Who holds it.
        owner: String,
    },
    /// The process ended without saying how.
    Crashed,
    /// The target or the data do not fit; the target is as before.
    Refused {
        /// Everything that was found, in the order of the columns.
        verdicts: Vec<ColumnVerdict>,
    },
    /// Failed; the target is as before, or what happened to it is found out by the next run.
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
pub struct PushFigures {
    /// Rows that were read from our database and staged by this run.
    pub rows_staged: u64,
    /// Rows of the slice that were applied.
    pub rows_applied: u64,
    /// Rows of the target that gave way, where the server said so.
    pub rows_replaced: u64,
    /// Parts staged by this run.
    pub parts_staged: u64,
    /// Parts that an earlier attempt had brought to the server already.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub parts_reused: u64,
    /// Bytes of the parts.
    pub staged_bytes: u64,
    /// Time to look at the target, to plan and to pin.
    pub pin_ms: u64,
    /// Time to read, check, write and upload the parts.
    pub stage_ms: u64,
    /// Time to load and apply them at the server.
    pub apply_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
