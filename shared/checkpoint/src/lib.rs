//! State, watermarks, leases and run records.
//!
//! [`CheckpointStore`] keeps one small item for each table and changes it by compare-and-set: the
//! watermark moves only from the revision that was read. [`LeaseStore`] keeps two runs from doing
//! the same work; it is there for efficiency, and correctness never rests on it. [`RunStore`]
//! remembers what each run did. [`PushStore`] does the first and the last for pushes.
//!
//! - [`memory`]: all of them in memory; the fakes.
//! - `sqlite` (feature): a file on this machine, leases by file locks.
//! - `dynamodb` (feature): a table of DynamoDB, leases by time.
//! - `contract` (feature): the suites that every store passes.

use async_trait::async_trait;
use snowferry_model::names::ConnectionName;
use snowferry_model::run::RunRecord;
use snowferry_model::state::{StreamKey, StreamState};
use snowferry_model::time::UnixMillis;

#[cfg(feature = "contract")]
pub mod contract;
#[cfg(feature = "dynamodb")]
pub mod dynamodb;
mod error;
#[cfg(any(feature = "dynamodb", feature = "sqlite"))]
mod form;
pub mod memory;
mod push;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(test)]
mod tests;

pub use error::CheckpointError;
pub use push::{PushStore, StoredPush};

/// Counts the writes of one item; a compare-and-set names the one it was based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// A state and the revision it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The revision.
    pub revision: Revision,
    /// The state.
    pub state: StreamState,
}

/// Remembers how far each table has been loaded.
#[async_trait]
pub trait CheckpointStore: Send + Sync {
    /// Returns the state with all writes that were acknowledged before, or `None` before the
    /// first.
    async fn load(&self, key: &StreamKey) -> Result<Option<Stored>, CheckpointError>;

    /// Replaces the state if the stored revision is `expected` (`None`: no item), in one atomic
    /// step, and returns the new revision.
    ///
    /// # Errors
    /// - [`CheckpointError::Moved`]: the stored revision is another; nothing was written.
    /// - [`CheckpointError::Unknown`]: no answer came; `load` again before deciding.
    async fn store(
        &self,
        key: &StreamKey,
        expected: Option<Revision>,
        state: &StreamState,
    ) -> Result<Revision, CheckpointError>;

    /// Lists all states of one connection, or of all, in the order of their keys.
    async fn list(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Result<Vec<(StreamKey, Stored)>, CheckpointError>;
}

/// Whether a lease was had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// It is ours until released, or until it is not renewed in time.
    Acquired,
    /// Somebody else has it.
    Held {
        /// As the owner named itself.
        owner: String,
    },
}

/// Keeps two runs from doing the same work.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Takes the lease if nobody holds it, or if its holder died or did not renew it within
    /// `ttl_ms` of `now`. An owner that has it already gets it again.
    async fn acquire(
        &self,
        key: &StreamKey,
        owner: &str,
        now: UnixMillis,
        ttl_ms: u64,
    ) -> Result<LeaseOutcome, CheckpointError>;

    /// Renews a lease; `Held` or an error means that somebody else may have it now.
    async fn renew(
        &self,
        key: &StreamKey,
        owner: &str,
        now: UnixMillis,
        ttl_ms: u64,
    ) -> Result<LeaseOutcome, CheckpointError>;

    /// Gives the lease back; one that is not ours is left alone.
    async fn release(&self, key: &StreamKey, owner: &str) -> Result<(), CheckpointError>;
}

/// Remembers what each run did.
#[async_trait]
pub trait RunStore: Send + Sync {
    /// Writes a record, or replaces the one with the same run id and table.
    async fn record(&self, run: &RunRecord) -> Result<(), CheckpointError>;

    /// Lists the newest records first, at most `limit`.
    async fn runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, CheckpointError>;

    /// Lists the records of one table that never ended, oldest first.
    async fn unfinished(&self, key: &StreamKey) -> Result<Vec<RunRecord>, CheckpointError>;
}
