//! What a changed source table leads to, by the policy of its job.
//!
//! Three things can happen: the generation goes on with a plan that fits ([`follow`]); a new
//! generation begins and reads the table anew, while readers keep the old one until it is complete
//! ([`begin_anew`]); or the pull stops with the repair. The changes are told in the run's record.
//!
//! A plan that fits is stored beside the others of its generation and named by the slice, so a
//! run that is killed leaves nothing half changed: the next one finds the same difference again.

use std::collections::BTreeSet;

use snowferry_checkpoint::{CheckpointError, Stored};
use snowferry_model::drift::{SchemaChange, changes, evolved, frozen, in_words, with_nanos};
use snowferry_model::names::Identifier;
use snowferry_model::plan::{IntegerPolicy, PlanError, StagedForm, TablePlan};
use snowferry_model::state::StreamState;
use snowferry_model::types::{TableDescription, is_another_selection};
use snowferry_snowflake::{QueryId, SnowflakeError};
use snowferry_staging::keys;

use crate::error::PullError;
use crate::job::SchemaPolicy;
use crate::run::Work;

/// How a table that has been loaded is read further.
#[derive(Debug)]
pub(crate) enum Followed {
    /// By this plan, in the same generation; these changes are to be told.
    By(Box<TablePlan>, Vec<SchemaChange>),
    /// As a whole, because of these changes.
    Anew(Vec<SchemaChange>),
}

/// Decides how the table is read further; `plan` is that of the last load.
pub(crate) async fn follow(
    work: &Work<'_>,
    state: &StreamState,
    plan: TablePlan,
    table: &TableDescription,
) -> Result<Followed, PullError> {
    let (name, job) = (|| work.job.table.clone(), work.job);
    if let Some(identity) = state.identity.as_ref().filter(|known| **known != table.identity) {
        let reselected = is_another_selection(identity, &table.identity);
        return match job.schema {
            SchemaPolicy::Evolve if reselected => {
                Ok(Followed::Anew(vec![SchemaChange::Reselected]))
            }
            SchemaPolicy::Evolve => Ok(Followed::Anew(vec![SchemaChange::Recreated])),
            _ if reselected => Err(PullError::Reselected { table: name() }),
            _ => Err(PullError::Recreated { table: name() }),
        };
    }
    let changed = changes(&plan, table);
    let finer = work.finer_columns();
    if changed.is_empty() && finer.is_empty() {
        return Ok(Followed::By(Box::new(plan), Vec::new()));
    }
    let unfit = |source: PlanError| PullError::Plan { table: name(), source };
    let next = match job.schema {
        _ if changed.is_empty() => Some(plan.clone()),
        SchemaPolicy::Evolve => evolved(&plan, table, job.integers).map_err(unfit)?,
        SchemaPolicy::Freeze => frozen(&plan, table, job.integers).map_err(unfit)?,
        SchemaPolicy::Stop => None,
    };
    let Some(next) = next else {
        return match job.schema {
            SchemaPolicy::Evolve => Ok(Followed::Anew(changed)),
            _ => Err(PullError::SchemaChanged { table: name(), changes: in_words(&changed) }),
        };
    };
    let next = with_nanos(&next, &finer).map_err(unfit)?;
    if !fits_the_table(work, &next).await? {
        return Ok(Followed::Anew(changed));
    }
    if next.fingerprint() == plan.fingerprint() {
        return Ok(Followed::By(Box::new(plan), Vec::new()));
    }
    let told = if job.schema == SchemaPolicy::Evolve { changed } else { Vec::new() };
    let key = keys::plan(&work.stream, state.generation, &next.fingerprint());
    work.create_once(&key, next).await.map(|next| Followed::By(Box::new(next), told))
}

/// Tests that every column of the plan is new to our table or of the type that it has there: a
/// column may have been dropped long ago and come back as another one.
async fn fits_the_table(work: &Work<'_>, plan: &TablePlan) -> Result<bool, PullError> {
    let summary = work.ports.database.summary(&work.stream).await;
    let Some(summary) = summary.map_err(|source| work.database(source))? else {
        return Ok(true);
    };
    let fits = |field: &arrow::datatypes::Field| {
        let mut alike = summary
            .schema
            .fields()
            .iter()
            .filter(|known| known.name().to_lowercase() == field.name().to_lowercase());
        alike.all(|known| known.name() == field.name() && known.data_type() == field.data_type())
    };
    Ok(plan.schema().fields().iter().all(|field| fits(field)))
}

/// What a value that the staged type cannot hold leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Pin another slice, by a plan with a companion for the column.
    Companion,
    /// Begin a new generation, which decides the staged types again.
    Anew,
}

/// Finds what helps against a value that does not fit its staged type, if the policy allows it
/// and this run has not tried it before.
pub(crate) fn remedy(
    work: &Work<'_>,
    state: &StreamState,
    plan: &TablePlan,
    error: &SnowflakeError,
) -> Option<Remedy> {
    let SnowflakeError::Inexact { column, .. } = error else { return None };
    // Before the first load a new slice decides anew by itself.
    if work.job.schema != SchemaPolicy::Evolve || state.sequence == 0 {
        return None;
    }
    let column = plan.columns.iter().find(|known| known.name.to_string() == *column)?;
    let name = column.name.clone();
    let is_key = work.job.key.contains(&name);
    match column.form {
        StagedForm::Timestamp { nanos: false, .. } => {
            work.note_changes(&[SchemaChange::Finer { column: name.clone() }]);
            // A key is compared with its companion, which older rows would not have.
            if is_key {
                return work.may_begin_anew().then_some(Remedy::Anew);
            }
            work.need_companion(name).then_some(Remedy::Companion)
        }
        StagedForm::Int64 if work.job.integers == IntegerPolicy::Auto => {
            work.note_changes(&[SchemaChange::Wider { column: name }]);
            work.may_begin_anew().then_some(Remedy::Anew)
        }
        _ => None,
    }
}

/// Moves the state to the beginning of a new generation. Nothing is deleted: readers keep the
/// table until the new backfill takes its place in one step.
pub(crate) async fn begin_anew(work: &Work<'_>, stored: &Stored) -> Result<(), PullError> {
    let fresh = StreamState::fresh(stored.state.generation + 1);
    let result = work.ports.checkpoint.store(&work.stream, Some(stored.revision), &fresh).await;
    match result {
        // Whatever the state is now, the next look at it tells.
        Ok(_) | Err(CheckpointError::Moved { .. } | CheckpointError::Unknown { .. }) => {}
        Err(error) => return Err(work.checkpoint(error)),
    }
    if let Some(slice) = &stored.state.slice
        && let Err(error) = work.ports.source.cancel(&QueryId(slice.query_id.clone())).await
    {
        tracing::debug!(code = snowferry_model::fault::Fault::code(&error), "cancel a statement");
    }
    Ok(())
}

/// What a run has learnt about the table's changes.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    /// Timestamps that need a companion.
    pub(crate) finer: BTreeSet<Identifier>,
    /// Whether the run has begun a generation.
    pub(crate) began_anew: bool,
}
