//! Applies a manifest exactly once, and finds out what happened when no certain answer came.

use snowferry_checkpoint::StoredPush;
use snowferry_model::fault::Fault;
use snowferry_model::push::{ColumnVerdict, Delivery, PushManifest};
use snowferry_model::state::LedgerPosition;
use snowferry_snowflake::{Applied, LedgerMove, SnowflakeError, StagedRows};
use snowferry_staging::push_keys;

use crate::commit::{Moved, clean_up, commit, give_up};
use crate::error::PushError;
use crate::ports::Event;
use crate::run::Work;
use crate::stage::{part_file, upload};
use crate::validate::refuse;

/// How often one run tries to apply a manifest when nothing certain comes back.
const MAX_ATTEMPTS: u32 = 3;

/// Age from which on load metadata (64 days) is not relied on any more, in days.
const METADATA_DAYS: u64 = 60;

const DAY_MS: u64 = 86_400_000;

/// What applying led to.
pub(crate) enum Finished {
    /// The rows are in the target, and the state was moved or found elsewhere.
    Committed(Moved),
    /// The rows do not fit together; the slice is given up.
    Refused(Vec<ColumnVerdict>),
    /// The slice is not the one to apply any more; look again.
    Again,
}

/// Applies a manifest unless it is applied, and commits.
pub(crate) async fn finish(
    work: &Work<'_>,
    stored: &StoredPush,
    manifest: &PushManifest,
) -> Result<Finished, PushError> {
    work.event(Event::Applying { rows: manifest.rows, parts: manifest.parts.len() });
    let mut place = match look(work, stored, manifest).await? {
        Place::Applied => return committed(work, stored, manifest).await,
        Place::Elsewhere => return Ok(Finished::Again),
        Place::Open(place) => place,
    };
    check_target(work, stored, manifest).await?;
    check_age(work, manifest)?;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let staged = staged(work, stored, manifest).await?;
        let fit = compare(work, manifest, &staged);
        if !matches!(fit, Ok(None)) {
            drop_staging(work, &staged).await;
        }
        if let Some(verdicts) = fit? {
            abandon(work, stored, manifest).await?;
            return Ok(Finished::Refused(verdicts));
        }
        let result = work.ports.target.apply(manifest, &staged, place.as_ref()).await;
        // Each attempt stages anew, and what is left of this one would hold locks.
        drop_staging(work, &staged).await;
        let error = match result {
            Ok(applied) => {
                count(work, manifest, applied);
                None
            }
            Err(error) if is_final(&error) => {
                abandon(work, stored, manifest).await?;
                return Err(work.target(error));
            }
            Err(error) => Some(error),
        };
        // Whatever the answer says, only the ledger knows what happened.
        place = match look(work, stored, manifest).await? {
            Place::Applied => return committed(work, stored, manifest).await,
            Place::Open(None) if error.is_none() => {
                return committed(work, stored, manifest).await;
            }
            Place::Elsewhere => return Ok(Finished::Again),
            Place::Open(place) => place,
        };
        tracing::warn!(code = error.as_ref().map(Fault::code), attempt, "the rows are not there");
        match error {
            Some(error) if attempt >= MAX_ATTEMPTS || !may_repeat(&error) => {
                return Err(work.target(error));
            }
            None if attempt >= MAX_ATTEMPTS => {
                let reason = "a commit was acknowledged and left no trace".to_owned();
                return Err(PushError::CountsDiffer { table: work.job.target.clone(), reason });
            }
            _ => {}
        }
    }
}

/// Returns whether the same rows would be refused again.
fn is_final(error: &SnowflakeError) -> bool {
    matches!(error, SnowflakeError::RowsRefused { .. } | SnowflakeError::AppliedRows { .. })
}

/// Where the ledger says a manifest is.
enum Place {
    /// In the target.
    Applied,
    /// Not in the target; the ledger can move from here. `None`: there is no ledger.
    Open(Option<LedgerMove>),
    /// Behind what other runs have done, or given up.
    Elsewhere,
}

/// Reads the ledger in a session of its own.
async fn look(
    work: &Work<'_>,
    stored: &StoredPush,
    manifest: &PushManifest,
) -> Result<Place, PushError> {
    let Delivery::Ledger { table } = &manifest.plan.delivery else { return Ok(Place::Open(None)) };
    let push = &work.job.push;
    let found =
        work.ports.target.ledger(table, push).await.map_err(|source| work.target(source))?;
    let to = LedgerPosition { generation: manifest.generation, sequence: manifest.sequence };
    let follows = match found {
        Some(at) if at == to => return Ok(Place::Applied),
        Some(at) if at.generation == to.generation => {
            at.sequence.checked_add(1) == Some(to.sequence)
        }
        Some(at) => at.generation < to.generation && to.sequence == 1,
        None => to.sequence == 1,
    };
    if follows {
        let (table, push) = (table.clone(), push.clone());
        return Ok(Place::Open(Some(LedgerMove { table, push, from: found, to })));
    }
    // If nobody else has moved the state, it was lost or restored and both begin anew.
    let now = work.load_state().await?;
    if now.is_some_and(|now| now.revision == stored.revision) {
        let newest = found.map_or(0, |at| at.generation).max(stored.state.generation);
        give_up(work, stored, newest.saturating_add(1)).await?;
    }
    Ok(Place::Elsewhere)
}

/// Stops when the table is not the one that was validated.
async fn check_target(
    work: &Work<'_>,
    stored: &StoredPush,
    manifest: &PushManifest,
) -> Result<(), PushError> {
    let plan = &manifest.plan;
    let change = match work.ports.target.inspect(&plan.target).await {
        Ok(now) if now.identity != plan.identity => "it was made anew",
        Ok(now) if now.fingerprint() != plan.fingerprint => "its columns were altered",
        Ok(_) => return Ok(()),
        Err(SnowflakeError::NotFound { .. }) => "it is gone, or hidden from the role",
        Err(error) => return Err(work.target(error)),
    };
    abandon(work, stored, manifest).await?;
    Err(PushError::TargetChanged { table: plan.target.clone(), change: change.to_owned() })
}

/// An append without a ledger relies on the server's memory of files, which ends.
fn check_age(work: &Work<'_>, manifest: &PushManifest) -> Result<(), PushError> {
    let plan = &manifest.plan;
    let days = work.ports.clock.now().since_ms(plan.pinned_at) / DAY_MS;
    if plan.relies_on_files() && days >= METADATA_DAYS {
        return Err(PushError::MetadataExpired { push: work.job.push.to_string(), days });
    }
    Ok(())
}

/// Loads the files into a staging table; brings them there again if they went.
async fn staged(
    work: &Work<'_>,
    stored: &StoredPush,
    manifest: &PushManifest,
) -> Result<StagedRows, PushError> {
    let target = &work.ports.target;
    let error = match target.stage(manifest).await {
        Ok(staged) => return Ok(staged),
        Err(error) => error,
    };
    match error {
        // A file that is brought again would look like another one to the load metadata.
        SnowflakeError::FileMissing { .. } if !manifest.plan.relies_on_files() => {
            for part in &manifest.parts {
                let place = (manifest.generation, manifest.sequence);
                upload(work, part, part_file(work, place, &manifest.plan, part)).await?;
            }
            target.stage(manifest).await.map_err(|source| work.target(source))
        }
        SnowflakeError::RowsRefused { .. } => {
            abandon(work, stored, manifest).await?;
            Err(work.target(error))
        }
        error => Err(work.target(error)),
    }
}

/// Compares what the server counts with what was written; verdicts for keys that do not hold.
fn compare(
    work: &Work<'_>,
    manifest: &PushManifest,
    staged: &StagedRows,
) -> Result<Option<Vec<ColumnVerdict>>, PushError> {
    let differ =
        |reason: String| Err(PushError::CountsDiffer { table: work.job.target.clone(), reason });
    if staged.rows != manifest.rows {
        return differ(format!("{} rows are staged of {}", staged.rows, manifest.rows));
    }
    let mut expected = manifest.values.clone();
    expected.extend(manifest.plan.constants.iter().map(|_| manifest.rows));
    if staged.values != expected {
        return differ("a column lost or gained values on the way".to_owned());
    }
    let key = manifest.plan.mode.key();
    let names = key.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut verdicts = Vec::new();
    for (rows, what, repair) in [
        (staged.duplicate_keys, "keys that several rows have", "group or filter in the query"),
        (staged.null_keys, "rows without a key", "filter them out in the query"),
    ] {
        if rows > 0 {
            let repair = Some(repair.to_owned());
            verdicts.push(refuse("", "upsert", "", format!("{names}: {rows} {what}"), repair));
        }
    }
    Ok((!verdicts.is_empty()).then_some(verdicts))
}

fn count(work: &Work<'_>, manifest: &PushManifest, applied: Applied) {
    work.figures(|figures| {
        figures.rows_applied += manifest.rows;
        if let Applied::Now { replaced: Some(replaced) } = applied {
            figures.rows_replaced += replaced;
        }
    });
}

/// Moves the state and cleans up behind it.
async fn committed(
    work: &Work<'_>,
    stored: &StoredPush,
    manifest: &PushManifest,
) -> Result<Finished, PushError> {
    let moved = commit(work, stored, manifest).await?;
    if moved == Moved::Yes {
        clean_up(work, manifest).await;
    }
    Ok(Finished::Committed(moved))
}

/// Gives a slice up whose manifest can not be applied, and only then takes its files away: a run that
/// finds the manifest must find the files. What a crash in between leaves goes with the next commit.
async fn abandon(
    work: &Work<'_>,
    stored: &StoredPush,
    manifest: &PushManifest,
) -> Result<(), PushError> {
    if give_up(work, stored, stored.state.generation + 1).await? == Moved::Elsewhere {
        return Ok(());
    }
    let push = &work.job.push;
    let prefix = push_keys::sequence_prefix(push, manifest.generation, manifest.sequence);
    if let Err(error) = work.ports.target.remove(&prefix).await {
        tracing::warn!(code = error.code(), "take uploaded files away");
    }
    Ok(())
}

async fn drop_staging(work: &Work<'_>, staged: &StagedRows) {
    if let Err(error) = work.ports.target.discard(staged).await {
        tracing::warn!(code = error.code(), "take staged rows away");
    }
}

/// Returns whether trying again in this run can help.
fn may_repeat(error: &SnowflakeError) -> bool {
    matches!(
        error,
        SnowflakeError::Unknown { .. }
            | SnowflakeError::StagingGone { .. }
            | SnowflakeError::TransactionEnded { .. }
            | SnowflakeError::Unreachable { .. }
            | SnowflakeError::Status { .. }
    )
}
