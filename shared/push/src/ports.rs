//! Everything the engine touches, as traits.

use std::sync::Arc;

use snowferry_checkpoint::{LeaseStore, PushStore};
use snowferry_database::Export;
use snowferry_model::push::{PushKey, PushPart};
use snowferry_model::time::Clock;
use snowferry_snowflake::Target;
use snowferry_staging::Staging;

/// The world as a run sees it. Cheap to clone.
#[derive(Clone)]
pub struct Ports {
    /// Our database.
    pub export: Arc<dyn Export>,
    /// The customer's account.
    pub target: Arc<dyn Target>,
    /// Staged objects.
    pub staging: Arc<dyn Staging>,
    /// State and run records.
    pub pushes: Arc<dyn PushStore>,
    /// Leases.
    pub leases: Arc<dyn LeaseStore>,
    /// The runner's clock.
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
    fn event(&self, push: &PushKey, event: Event);
}

/// What can be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The target was validated and the slice is fixed.
    Pinned {
        /// Whether an earlier run had pinned it.
        resumed: bool,
    },
    /// Some rows were read, checked and handed to the part's writer.
    Read {
        /// Rows of this batch.
        rows: u64,
    },
    /// A part is staged and where the server reads it.
    Staged {
        /// Its position.
        part: u32,
        /// Its rows.
        rows: u64,
        /// Its bytes.
        size_bytes: u64,
    },
    /// All parts are there; the server loads them.
    Applying {
        /// Rows in all.
        rows: u64,
        /// Parts in all.
        parts: usize,
    },
    /// The rows are in the target and the state has moved.
    Committed {
        /// The sequence number reached.
        sequence: u64,
    },
}

impl Event {
    pub(crate) fn staged(part: &PushPart) -> Self {
        Self::Staged { part: part.index, rows: part.rows, size_bytes: part.size_bytes }
    }
}

/// A watcher that does not look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _push: &PushKey, _event: Event) {}
}
