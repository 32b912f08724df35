//! Everything the engine touches, as traits.

use std::sync::Arc;

use snowferry_checkpoint::{CheckpointStore, LeaseStore, RunStore};
use snowferry_database::Database;
use snowferry_model::state::StreamKey;
use snowferry_model::time::Clock;
use snowferry_snowflake::Source;
use snowferry_staging::Staging;

/// The world as a run sees it. Cheap to clone.
#[derive(Clone)]
pub struct Ports {
    /// The customer's account.
    pub source: Arc<dyn Source>,
    /// Staged objects.
    pub staging: Arc<dyn Staging>,
    /// State and watermarks.
    pub checkpoint: Arc<dyn CheckpointStore>,
    /// Leases.
    pub leases: Arc<dyn LeaseStore>,
    /// Run records.
    pub runs: Arc<dyn RunStore>,
    /// Our database.
    pub database: Arc<dyn Database>,
    /// The runner's clock; never in a predicate on rows.
    pub clock: Arc<dyn Clock>,
    /// Who watches.
    pub progress: Arc<dyn Progress>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// Watches a run. Called often; must return at once.
pub trait Progress: Send + Sync {
    /// Takes note of something that happened.
    fn event(&self, stream: &StreamKey, event: Event);
}

/// What can be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The statement was submitted; its result is awaited.
    Pinned {
        /// The statement.
        query_id: String,
        /// Whether an earlier run had pinned it.
        resumed: bool,
    },
    /// The result is there.
    Announced {
        /// Rows in all.
        rows: u64,
        /// Compressed bytes in all.
        compressed_bytes: u64,
        /// Parts in all.
        parts: usize,
        /// Parts that an earlier run has staged.
        parts_done: usize,
        /// Rows in these parts.
        rows_done: u64,
    },
    /// Some rows were read and handed to the part's writer.
    Read {
        /// Rows of this batch.
        rows: u64,
    },
    /// A part is staged.
    Staged {
        /// Its position.
        part: u32,
        /// Its rows.
        rows: u64,
        /// Its bytes as Parquet.
        size_bytes: u64,
        /// Compressed bytes that were received for it.
        received_bytes: u64,
    },
    /// All parts are staged and being loaded.
    Loading {
        /// Rows in all.
        rows: u64,
    },
    /// The rows are loaded and the watermark has moved.
    Committed {
        /// The sequence number reached.
        sequence: u64,
    },
}

/// A watcher that does not look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _stream: &StreamKey, _event: Event) {}
}
