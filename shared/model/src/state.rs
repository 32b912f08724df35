//! What is remembered about one table of one connection between runs.

use serde::{Deserialize, Serialize};

use crate::names::{ConnectionName, TableName};
use crate::slice::Slice;
use crate::time::UnixMillis;
use crate::watermark::Watermark;

/// The version of the stored form of a [`StreamState`].
pub const STATE_VERSION: u32 = 1;

/// One table of one connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamKey {
    /// The connection.
    pub connection: ConnectionName,
    /// The table.
    pub table: TableName,
}

impl std::fmt::Display for StreamKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.connection, self.table)
    }
}

/// Progress of one table. Part lists are not here: they live in manifests, so that this stays
/// below 4 KB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamState {
    /// [`STATE_VERSION`].
    pub version: u32,
    /// Counts full backfills that were asked for; rows of two generations never mix.
    pub generation: u64,
    /// The number n of slices of this generation that are loaded. 0: the backfill is not done.
    pub sequence: u64,
    /// How far the cursor has been loaded durably.
    pub watermark: Option<Watermark>,
    /// Identity of the table that the generation reads.
    pub identity: Option<String>,
    /// Fingerprint of the staged plan that the generation uses.
    pub plan: Option<String>,
    /// The slice in work, if any.
    pub slice: Option<Slice>,
    /// When the last slice that was loaded had been pinned: "synced as of", by the runner's clock.
    pub synced_as_of: Option<UnixMillis>,
    /// Rows that this generation has loaded, counting a row again for each of its versions.
    pub rows_loaded: u64,
    /// [`Slice::unchanged`] of the last slice that was committed: while it is the same, the next
    /// run would read nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<String>,
}

impl StreamState {
    /// Returns the state before the first run of a generation.
    #[must_use]
    pub fn fresh(generation: u64) -> Self {
        Self {
            version: STATE_VERSION,
            generation,
            sequence: 0,
            watermark: None,
            identity: None,
            plan: None,
            slice: None,
            synced_as_of: None,
            rows_loaded: 0,
            unchanged: None,
        }
    }
}

/// What the database has loaded, kept in its own transaction with the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerPosition {
    /// The generation.
    pub generation: u64,
    /// The last sequence number of it that is loaded.
    pub sequence: u64,
}
