//! Names, modes, and what is remembered about one push between runs.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::column::{Constant, PushColumn};
use crate::export::ExportSnapshot;
use crate::names::{CONNECTION_NAME_MAX_CHARS, ConnectionName, Identifier, NameError, TableName};
use crate::state::LedgerPosition;
use crate::time::UnixMillis;

/// The version of the stored form of a [`PushState`].
pub const PUSH_STATE_VERSION: u32 = 1;

/// The version of the stored form of a [`PushPlan`].
pub const PUSH_PLAN_VERSION: u32 = 1;

/// The name of a push within its connection: `[a-z][a-z0-9-]*`, at most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PushName(String);

impl PushName {
    /// Takes a push's name.
    ///
    /// # Errors
    /// [`NameError::Push`] or [`NameError::TooLong`].
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(allowed) {
            return Err(NameError::Push);
        }
        if name.len() > CONNECTION_NAME_MAX_CHARS {
            let max = CONNECTION_NAME_MAX_CHARS;
            return Err(NameError::TooLong { chars: name.len(), max });
        }
        Ok(Self(name))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PushName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for PushName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl From<PushName> for String {
    fn from(name: PushName) -> Self {
        name.0
    }
}

/// One push of one connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PushKey {
    /// The connection.
    pub connection: ConnectionName,
    /// The push.
    pub name: PushName,
}

impl fmt::Display for PushKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.connection, self.name)
    }
}

/// What a push does to the rows that are in the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushMode {
    /// Leaves them and adds ours.
    Append,
    /// Takes them out and puts ours in, in one step.
    Rewrite,
    /// Replaces those with a key of ours, and adds the others.
    Upsert {
        /// The columns that tell a row from every other.
        key: Vec<Identifier>,
    },
}

impl PushMode {
    /// Returns the mode as it is written in a connection file.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Rewrite => "rewrite",
            Self::Upsert { .. } => "upsert",
        }
    }

    /// Returns the key columns; none but for an upsert.
    #[must_use]
    pub fn key(&self) -> &[Identifier] {
        match self {
            Self::Append | Self::Rewrite => &[],
            Self::Upsert { key } => key,
        }
    }
}

/// What makes a repeat harmless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// A row of this table in the customer's account moves in the same transaction as the rows.
    Ledger {
        /// The ledger table.
        table: TableName,
    },
    /// The customer allows no such table.
    NoLedger,
}

impl Delivery {
    /// Returns what is promised, in words for the status.
    #[must_use]
    pub fn guarantee(&self, mode: &PushMode) -> &'static str {
        match (self, mode) {
            (Self::Ledger { .. }, PushMode::Append) => {
                "each run's rows exactly once, by a ledger row in the same transaction"
            }
            (Self::Ledger { .. }, _) => {
                "readers see the old or the new content; no older push can undo a newer one, by a \
                 ledger row in the same transaction"
            }
            (Self::NoLedger, PushMode::Append) => {
                "each run's rows once: a repeat within 64 days is recognised by Snowflake's load \
                 metadata, unless the table is truncated or made anew meanwhile"
            }
            (Self::NoLedger, _) => {
                "readers see the old or the new content; a repeat writes the same rows again; only \
                 the lease keeps an older run from coming after a newer one"
            }
        }
    }
}

/// Progress of one push. Columns and parts are not here, so that this stays below 4 KB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushState {
    /// [`PUSH_STATE_VERSION`].
    pub version: u32,
    /// Counts how often the numbering began anew, because our state or the target was lost.
    pub generation: u64,
    /// The number n of slices of this generation that are applied.
    pub sequence: u64,
    /// The slice in work, if any.
    pub slice: Option<PushSlice>,
    /// The run that made the slice that was applied last; the same run never makes a second one.
    pub last_run: Option<String>,
    /// Rows of the slice that was applied last.
    pub rows: u64,
    /// When the slice that was applied last had been pinned, by the runner's clock.
    pub pushed_as_of: Option<UnixMillis>,
}

impl PushState {
    /// Returns the state before the first run of a generation.
    #[must_use]
    pub fn fresh(generation: u64) -> Self {
        Self {
            version: PUSH_STATE_VERSION,
            generation,
            sequence: 0,
            slice: None,
            last_run: None,
            rows: 0,
            pushed_as_of: None,
        }
    }

    /// Returns where the ledger is once the next slice is applied.
    #[must_use]
    pub fn next(&self) -> LedgerPosition {
        LedgerPosition { generation: self.generation, sequence: self.sequence.saturating_add(1) }
    }
}

/// The slice in work: its plan is a staged object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushSlice {
    /// The sequence number that applying it reaches.
    pub sequence: u64,
    /// Hash of the [`PushPlan`].
    pub plan: String,
    /// The run that pinned it.
    pub run_id: String,
    /// When it was pinned, by the runner's clock.
    pub pinned_at: UnixMillis,
}

/// Everything about a slice that is decided before its first row is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PushPlan {
    /// [`PUSH_PLAN_VERSION`].
    pub version: u32,
    /// The run that made it.
    pub run_id: String,
    /// The table.
    pub target: TableName,
    /// Identity of the table that was validated.
    pub identity: String,
    /// Fingerprint of its columns when it was validated.
    pub fingerprint: String,
    /// What is done to the rows in the target.
    pub mode: PushMode,
    /// What makes a repeat harmless.
    pub delivery: Delivery,
    /// The columns in the order of the parts.
    pub columns: Vec<PushColumn>,
    /// Columns that hold one value in all rows.
    pub constants: Vec<Constant>,
    /// The query with the versions of our tables that its rows come from.
    pub snapshot: ExportSnapshot,
    /// Rows of the target when it was validated, where the server keeps a count.
    pub target_rows: Option<u64>,
    /// When it was made, by the runner's clock.
    pub pinned_at: UnixMillis,
}

impl PushPlan {
    /// Returns whether a repeat is known only by the files that the target has loaded.
    #[must_use]
    pub fn relies_on_files(&self) -> bool {
        self.delivery == Delivery::NoLedger && self.mode == PushMode::Append
    }
}
