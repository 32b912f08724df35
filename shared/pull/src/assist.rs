//! Helps a run that another worker has begun: stages parts of its slice, and nothing else.
//!
//! A slice is one result, and its parts are cut at the same places by every worker. A helper takes
//! no lease, pins nothing, loads nothing and moves no watermark; it writes objects and create-once
//! records that the run with the lease finds. Killed at any point, it has cost nothing.

use std::hash::{Hash, Hasher};

use snowferry_model::run::Figures;
use snowferry_staging::keys;

use crate::error::PullError;
use crate::job::{RunContext, TableJob};
use crate::ports::Ports;
use crate::run::Work;
use crate::stage::stage_beside;

/// Stages missing parts of the slice that is pinned for a table, until all are staged or the
/// deadline comes, and returns what was done. Without a pinned slice there is nothing to do.
///
/// # Errors
/// As those of a run's staging; a failure changes nothing for the run that is helped.
pub async fn assist(ports: &Ports, run: &RunContext, job: &TableJob) -> Result<Figures, PullError> {
    let work = Work::helping(ports, run, job);
    let Some(stored) = work.load_state().await? else { return Ok(Figures::default()) };
    let state = &stored.state;
    let Some(slice) = &state.slice else { return Ok(Figures::default()) };
    let manifest = keys::manifest(&work.stream, state.generation, slice.sequence);
    let finished =
        work.read_once::<snowferry_model::manifest::Manifest>(&manifest).await?.is_some();
    if !finished {
        let mut hash = std::hash::DefaultHasher::new();
        run.owner.hash(&mut hash);
        stage_beside(&work, state, slice, hash.finish()).await?;
    }
    Ok(work.take_figures())
}
