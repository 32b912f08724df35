//! Tells that a table is as it was when its last slice was pinned, without reading it.
//!
//! The evidence is a text over all that decides what a run would read: the server's change token,
//! the row count, identity and columns of the table, and the job. It is taken before the slice's
//! statement is submitted, so the statement saw everything that the token covers; it becomes part
//! of the state when the slice is committed. A run that finds the same evidence again, and our
//! database where the state says, has nothing to read. Otherwise rows that share the greatest
//! cursor value, and those within the lookback, are read again on each run.
//!
//! Whatever is uncertain is no evidence: a view, a filter (which may look at the clock), a cursor
//! of the future, a server without a token, a first run.

use sha2::{Digest, Sha256};
use snowferry_model::state::{LedgerPosition, StreamState};
use snowferry_model::types::TableDescription;
use snowferry_snowflake::Profile;

use crate::error::PullError;
use crate::job::TableJob;
use crate::run::Work;

/// Returns whether a change token is worth asking for: a view has other tables behind it.
pub(crate) fn may_skip(job: &TableJob, table: &TableDescription) -> bool {
    job.skip_unchanged && table.kind == "TABLE"
}

/// Returns the evidence, if there can be one.
pub(crate) fn evidence(
    job: &TableJob,
    table: &TableDescription,
    profile: &Profile,
) -> Option<String> {
    let token = profile.change_token.as_deref().filter(|_| may_skip(job, table))?;
    // A cursor of the future comes into a window by the clock alone.
    if profile.cursor_ahead > 0 {
        return None;
    }
    let mut hash = Sha256::new();
    hash.update(format!("{:?}\n", (token, profile.rows, &table.identity)));
    hash.update(format!("{:?}\n{job:?}", table.columns));
    let digest = hash.finalize();
    Some(digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// Returns whether the state holds the same evidence, and our database what the state says.
pub(crate) async fn is_unchanged(
    work: &Work<'_>,
    state: &StreamState,
    evidence: Option<&str>,
) -> Result<bool, PullError> {
    if state.sequence == 0 || evidence.is_none() || state.unchanged.as_deref() != evidence {
        return Ok(false);
    }
    let reached = LedgerPosition { generation: state.generation, sequence: state.sequence };
    let ledger = work.ports.database.ledger(&work.stream).await;
    Ok(ledger.map_err(|source| work.database(source))? == Some(reached))
}
