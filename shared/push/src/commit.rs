//! Moves the state past a slice, or gives a slice up, by compare-and-set.

use std::collections::BTreeSet;

use snowferry_checkpoint::{CheckpointError, StoredPush};
use snowferry_model::fault::Fault;
use snowferry_model::push::{PushKey, PushManifest, PushState};
use snowferry_staging::push_keys;

use crate::error::PushError;
use crate::ports::Event;
use crate::run::Work;

/// Whether the state is where it was to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It is, moved by us or by another run.
    Yes,
    /// Another run changed it in another way; look again.
    Elsewhere,
}

/// Moves the state to the manifest's sequence number. Its rows are in the target.
pub(crate) async fn commit(
    work: &Work<'_>,
    stored: &StoredPush,
    manifest: &PushManifest,
) -> Result<Moved, PushError> {
    let after = PushState {
        sequence: manifest.sequence,
        slice: None,
        last_run: Some(manifest.plan.run_id.clone()),
        rows: manifest.rows,
        pushed_as_of: Some(manifest.plan.pinned_at),
        ..stored.state.clone()
    };
    let reached =
        |now: &PushState| now.generation == after.generation && now.sequence >= after.sequence;
    let moved = store(work, stored, &after, reached).await?;
    if moved == Moved::Yes {
        work.event(Event::Committed { sequence: manifest.sequence });
    }
    Ok(moved)
}

/// Begins another generation without a slice: whoever still holds the given-up one finds the state
/// and the ledger elsewhere.
pub(crate) async fn give_up(
    work: &Work<'_>,
    stored: &StoredPush,
    generation: u64,
) -> Result<Moved, PushError> {
    let after = PushState { generation, sequence: 0, slice: None, ..stored.state.clone() };
    let reached = |now: &PushState| now.generation >= after.generation;
    store(work, stored, &after, reached).await
}

/// Stores a state; after a failure, reads back whether what was wanted is there.
pub(crate) async fn store(
    work: &Work<'_>,
    stored: &StoredPush,
    after: &PushState,
    reached: impl Fn(&PushState) -> bool + Send,
) -> Result<Moved, PushError> {
    let result = work.ports.pushes.store(&work.job.push, Some(stored.revision), after).await;
    let failure = match result {
        Ok(_) => return Ok(Moved::Yes),
        Err(error) => error,
    };
    match work.load_state().await? {
        Some(now) if reached(&now.state) => Ok(Moved::Yes),
        _ => match failure {
            CheckpointError::Moved { .. } | CheckpointError::Unknown { .. } => Ok(Moved::Elsewhere),
            error => Err(work.checkpoint(error)),
        },
    }
}

/// Takes away what a committed sequence number and those before it have left, here and at the
/// server. Manifests stay, so that a run that still works on such a slice finds it and needs no
/// data. What belongs to later numbers is another run's. Failures are left to the next commit.
pub(crate) async fn clean_up(work: &Work<'_>, manifest: &PushManifest) {
    let push = &work.job.push;
    let done = |key: &str| {
        push_keys::position(push, key)
            .filter(|(generation, sequence)| {
                (*generation, *sequence) <= (manifest.generation, manifest.sequence)
            })
            .filter(|(generation, sequence)| {
                key != push_keys::manifest(push, *generation, *sequence).0
            })
    };
    let prefix = push_keys::push_prefix(push);
    for prefix in leftovers(push, manifest) {
        for object in work.ports.staging.list(&prefix).await.unwrap_or_default() {
            if done(&object.key.0).is_some() {
                work.discard(&object.key).await;
            }
        }
    }
    let files = match work.ports.target.files(&prefix).await {
        Ok(files) => files,
        Err(error) => return tracing::warn!(code = error.code(), "list uploaded files"),
    };
    let places: BTreeSet<_> = files.keys().filter_map(|file| done(file)).collect();
    for (generation, sequence) in places {
        let folder = push_keys::sequence_prefix(push, generation, sequence);
        if let Err(error) = work.ports.target.remove(&folder).await {
            tracing::warn!(code = error.code(), "take uploaded files away");
        }
    }
}

/// Where objects of ours may be left: at the number and at the one before, whose run may have been
/// killed before its clean-up. The first number of a generation comes after slices that were given
/// up. Not everywhere each time, for manifests stay and grow in number.
fn leftovers(push: &PushKey, manifest: &PushManifest) -> Vec<String> {
    let (generation, sequence) = (manifest.generation, manifest.sequence);
    match sequence.checked_sub(1).filter(|before| *before > 0) {
        None => vec![push_keys::push_prefix(push)],
        Some(before) => [before, sequence]
            .map(|sequence| push_keys::sequence_prefix(push, generation, sequence))
            .into(),
    }
}
