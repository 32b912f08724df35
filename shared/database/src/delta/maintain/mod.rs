//! Keeps a table small and quick: merges small files, deletes files that nobody can need.
//!
//! 1. **Merge** ([`merge`]): files below a size are read and written again as fewer files with
//!    exact statistics, in one commit that changes no row and leaves the ledger where it is.
//! 2. **Vacuum** ([`vacuum`]): Parquet files of ours that the newest version does not name are
//!    deleted, once the commit that took them out, and their own creation, are older than the
//!    retention. Whoever reads a version that was the newest within the retention (a running
//!    query, a pinned export) finds all its files.
//!
//! Both may run at any time, in several processes, and beside loads: a merge is committed only as
//! the version right behind the one it read, and a load that loses against it starts again.
//! Killed at any point, maintenance leaves the table as it was or as it is to be, and at most
//! files that a later vacuum deletes. The log's own checkpoints are written with every hundredth
//! commit by the library.

use std::time::Duration;

use snowferry_model::state::StreamKey;
use snowferry_model::time::UnixMillis;

use super::DeltaDatabase;
use crate::DatabaseError;

mod merge;
mod vacuum;

/// How long Delta logs tell at least which files a commit took out: a longer retention could not
/// be kept ("delta.logRetentionDuration", 30 days by default).
pub const MAX_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// What maintenance may do to one table in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaintenancePolicy {
    /// How long files of old versions stay, at most [`MAX_RETENTION`].
    pub retention: Duration,
    /// Files below this size are merged.
    pub small_bytes: u64,
    /// Files are merged up to about this size.
    pub target_bytes: u64,
    /// Nothing is merged unless there are this many small files.
    pub least_files: usize,
    /// At most so many bytes are read to be merged.
    pub most_merged_bytes: u64,
    /// At most so many files are deleted.
    pub most_deleted: usize,
}

impl Default for MaintenancePolicy {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            retention: Duration::from_secs(7 * 24 * 3600),
            small_bytes: 32 * MIB,
            target_bytes: 128 * MIB,
            least_files: 8,
            most_merged_bytes: 1024 * MIB,
            most_deleted: 10_000,
        }
    }
}

/// What maintenance did to a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Small files that were merged.
    pub merged_files: u64,
    /// The files that took their place.
    pub written_files: u64,
    /// Files that were deleted.
    pub deleted_files: u64,
    /// The size of those.
    pub deleted_bytes: u64,
}

/// After so many versions of a table, maintenance is due.
const DUE_EVERY: u64 = 10;

impl DeltaDatabase {
    /// Returns whether a table is due for maintenance: its newest version is a tenth one.
    ///
    /// Asked after each load, this spreads the work evenly, and needs no memory of its own.
    ///
    /// # Errors
    /// [`DatabaseError::Store`].
    pub async fn is_maintenance_due(&self, stream: &StreamKey) -> Result<bool, DatabaseError> {
        let version = self.version(stream).await?;
        Ok(version.is_some_and(|version| version.number().is_multiple_of(DUE_EVERY)))
    }

    /// Merges small files of a table and deletes files that nobody can need.
    ///
    /// A table that is not there, or that Snowferry did not load, is left alone.
    ///
    /// # Errors
    /// [`DatabaseError::Store`], [`DatabaseError::Full`] or [`DatabaseError::Unknown`]; what was
    /// done before stays done, and rows and ledger are as they were.
    pub async fn maintain(
        &self,
        stream: &StreamKey,
        policy: &MaintenancePolicy,
        now: UnixMillis,
    ) -> Result<Maintained, DatabaseError> {
        let mut maintained = Maintained::default();
        self.merge_small_files(stream, policy, &mut maintained).await?;
        self.vacuum(stream, policy, now, &mut maintained).await?;
        Ok(maintained)
    }
}
