//! Starts a table anew: the next pull backfills it as a new generation.

use snowferry_checkpoint::{CheckpointError, LeaseOutcome};
use snowferry_model::state::StreamState;
use snowferry_snowflake::QueryId;

use crate::error::PullError;
use crate::job::{RunContext, TableJob};
use crate::ports::Ports;
use crate::run::Work;

/// Begins a new generation of a table and returns its number.
///
/// Nothing is deleted: readers keep the table as it is until the new backfill is complete and
/// takes its place in one step.
///
/// # Errors
/// [`PullError::Contended`] while a pull of the table runs, [`PullError::Checkpoint`].
pub async fn reset(ports: &Ports, run: &RunContext, job: &TableJob) -> Result<u64, PullError> {
    let work = Work::new(ports, run, job);
    let now = ports.clock.now();
    let lease = ports
        .leases
        .acquire(&work.stream, &run.owner, now, run.limits.lease_ms)
        .await
        .map_err(|source| work.checkpoint(source))?;
    if lease != LeaseOutcome::Acquired {
        return Err(PullError::Contended { table: job.table.clone() });
    }
    let result = next_generation(&work).await;
    if let Err(error) = ports.leases.release(&work.stream, &run.owner).await {
        tracing::warn!(code = snowferry_model::fault::Fault::code(&error), "release a lease");
    }
    result
}

async fn next_generation(work: &Work<'_>) -> Result<u64, PullError> {
    let stored = work.load_state().await?;
    let before = stored.as_ref().map(|stored| stored.state.generation).unwrap_or_default();
    let fresh = StreamState::fresh(before + 1);
    let expected = stored.as_ref().map(|stored| stored.revision);
    match work.ports.checkpoint.store(&work.stream, expected, &fresh).await {
        Ok(_) => {}
        Err(CheckpointError::Unknown { .. })
            if work.load_state().await?.is_some_and(|now| now.state == fresh) => {}
        Err(error) => return Err(work.checkpoint(error)),
    }
    if let Some(slice) = stored.and_then(|stored| stored.state.slice) {
        // Only spares the customer's warehouse; a failure does not matter.
        let _ = work.ports.source.cancel(&QueryId(slice.query_id)).await;
    }
    Ok(fresh.generation)
}
