//! Moves the state past a slice, by compare-and-set, and cleans up behind it.

use snowferry_checkpoint::{CheckpointError, Stored};
use snowferry_model::manifest::Manifest;
use snowferry_model::slice::{Apply, Slice};
use snowferry_model::state::StreamState;
use snowferry_model::time::UnixMillis;
use snowferry_staging::keys;

use crate::error::PullError;
use crate::ports::Event;
use crate::run::Work;

/// Whether the state is where it was to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// It is, moved by us or by another run.
    Yes,
    /// Another run changed it in another way; look again.
    Moved,
}

/// Moves the state to the manifest's sequence number and watermark. The manifest is loaded.
pub(crate) async fn commit(
    work: &Work<'_>,
    stored: &Stored,
    manifest: &Manifest,
) -> Result<Committed, PullError> {
    let before = &stored.state;
    let watermark = match manifest.apply {
        Apply::Replace { .. } => manifest.watermark.clone(),
        Apply::Append | Apply::Upsert { .. } => {
            manifest.watermark.clone().or_else(|| before.watermark.clone())
        }
    };
    let after = StreamState {
        sequence: manifest.sequence,
        watermark,
        identity: Some(manifest.identity.clone()),
        plan: Some(manifest.plan.clone()),
        slice: None,
        unchanged: before
            .slice
            .as_ref()
            .filter(|slice| slice.query_id == manifest.query_id)
            .and_then(|slice| slice.unchanged.clone()),
        synced_as_of: Some(manifest.pinned_at),
        rows_loaded: match manifest.apply {
            Apply::Replace { .. } => manifest.rows,
            Apply::Append | Apply::Upsert { .. } => before.rows_loaded + manifest.rows,
        },
        ..before.clone()
    };
    let reached =
        |now: &StreamState| now.generation == after.generation && now.sequence >= after.sequence;
    let committed = store(work, stored, &after, reached).await?;
    if committed == Committed::Yes {
        work.event(Event::Committed { sequence: manifest.sequence });
        // The one before too: its run may have been killed between commit and clean-up.
        clean_up(work, manifest.generation, manifest.sequence.saturating_sub(1)).await;
        clean_up(work, manifest.generation, manifest.sequence).await;
    }
    Ok(committed)
}

/// Moves the watermark past a window that held no row. The sequence number stays, for nothing
/// was loaded.
pub(crate) async fn commit_empty(
    work: &Work<'_>,
    stored: &Stored,
    slice: &Slice,
) -> Result<Committed, PullError> {
    let before = &stored.state;
    let after = StreamState {
        watermark: slice.window.upper().cloned().or_else(|| before.watermark.clone()),
        plan: Some(slice.plan.clone()),
        slice: None,
        unchanged: slice.unchanged.clone(),
        synced_as_of: Some(slice.pinned_at),
        ..before.clone()
    };
    let reached = |now: &StreamState| *now == after;
    store(work, stored, &after, reached).await
}

/// Notes that nothing was new at the source at the moment `as_of`.
pub(crate) async fn commit_up_to_date(
    work: &Work<'_>,
    stored: &Stored,
    as_of: UnixMillis,
) -> Result<Committed, PullError> {
    let after = StreamState { synced_as_of: Some(as_of), ..stored.state.clone() };
    let reached = |now: &StreamState| *now == after;
    store(work, stored, &after, reached).await
}

/// Takes a slice whose result cannot be had out of the state, so that the next one is pinned.
pub(crate) async fn drop_slice(work: &Work<'_>, stored: &Stored) -> Result<Committed, PullError> {
    let after = StreamState { slice: None, ..stored.state.clone() };
    let reached = |now: &StreamState| now.slice != stored.state.slice;
    store(work, stored, &after, reached).await
}

/// Stores a state; after a failure, reads back whether what was wanted is there.
async fn store(
    work: &Work<'_>,
    stored: &Stored,
    after: &StreamState,
    reached: impl Fn(&StreamState) -> bool + Send,
) -> Result<Committed, PullError> {
    let result = work.ports.checkpoint.store(&work.stream, Some(stored.revision), after).await;
    let failure = match result {
        Ok(_) => return Ok(Committed::Yes),
        Err(error) => error,
    };
    match work.load_state().await? {
        Some(now) if reached(&now.state) => Ok(Committed::Yes),
        _ => match failure {
            CheckpointError::Moved { .. } | CheckpointError::Unknown { .. } => Ok(Committed::Moved),
            error => Err(work.checkpoint(error)),
        },
    }
}

/// Deletes the data and records of a committed sequence number; its manifest stays.
///
/// The rows are loaded and the state has moved, so nothing refers to them. A run that still works
/// on the same slice finds the manifest and the ledger, and needs no data. Failures are left to a
/// later clean-up.
async fn clean_up(work: &Work<'_>, generation: u64, sequence: u64) {
    let prefix = keys::sequence_prefix(&work.stream, generation, sequence);
    let manifest = keys::manifest(&work.stream, generation, sequence);
    let Ok(objects) = work.ports.staging.list(&prefix).await else { return };
    for object in objects {
        if object.key != manifest {
            work.discard(&object.key).await;
        }
    }
}
