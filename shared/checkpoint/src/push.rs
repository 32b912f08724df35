//! The state and the run records of pushes, kept as those of pulls are.

use async_trait::async_trait;
use snowferry_model::names::ConnectionName;
use snowferry_model::push::{PushKey, PushRunRecord, PushState};

use crate::{CheckpointError, Revision};

/// A push's state and the revision it was read at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPush {
    /// The revision.
    pub revision: Revision,
    /// The state.
    pub state: PushState,
}

/// Remembers how far each push has come, and what each of its runs did.
#[async_trait]
pub trait PushStore: Send + Sync {
    /// Returns the state with all writes that were acknowledged before, or `None` before the
    /// first.
    async fn load(&self, key: &PushKey) -> Result<Option<StoredPush>, CheckpointError>;

    /// Replaces the state if the stored revision is `expected` (`None`: no item), in one atomic
    /// step, and returns the new revision.
    ///
    /// # Errors
    /// - [`CheckpointError::Moved`]: the stored revision is another; nothing was written.
    /// - [`CheckpointError::Unknown`]: no answer came; `load` again before deciding.
    async fn store(
        &self,
        key: &PushKey,
        expected: Option<Revision>,
        state: &PushState,
    ) -> Result<Revision, CheckpointError>;

    /// Lists all states of one connection, or of all, in the order of their keys.
    async fn list(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Result<Vec<(PushKey, StoredPush)>, CheckpointError>;

    /// Writes a record, or replaces the one with the same run id and push.
    async fn record(&self, run: &PushRunRecord) -> Result<(), CheckpointError>;

    /// Lists the newest records first, at most `limit`.
    async fn runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<PushRunRecord>, CheckpointError>;

    /// Lists the records of one push that never ended, oldest first.
    async fn unfinished(&self, key: &PushKey) -> Result<Vec<PushRunRecord>, CheckpointError>;
}
