//! Fixes a slice: the versions of our tables, the judged target, and the plan in the state.

use sha2::{Digest, Sha256};
use snowferry_checkpoint::StoredPush;
use snowferry_database::Description;
use snowferry_model::export::ExportQuery;
use snowferry_model::names::TableName;
use snowferry_model::push::{
    ColumnVerdict, Delivery, PUSH_PLAN_VERSION, Privilege, PushPlan, PushSlice, PushState,
    TargetDescription, refused,
};
use snowferry_model::state::LedgerPosition;
use snowferry_model::time::UnixMillis;
use snowferry_snowflake::SnowflakeError;
use snowferry_staging::{push_keys, stored};

use crate::commit::{Moved, give_up, store};
use crate::error::PushError;
use crate::run::Work;
use crate::validate::{Judged, judge, refuse, target_columns};

/// What pinning led to.
pub(crate) enum Pinned {
    /// The slice is in the state.
    Slice,
    /// Something does not fit; nothing was stored.
    Refused(Vec<ColumnVerdict>),
    /// The state was changed, by us or by another run; look again.
    Moved,
}

/// Pins a slice.
pub(crate) async fn pin(work: &Work<'_>, stored: &StoredPush) -> Result<Pinned, PushError> {
    let now = work.ports.clock.now();
    let described = describe(work, now).await?;
    let (ledger, no_ledger) = match ledger(work).await? {
        Ok(ledger) => (ledger, None),
        Err(verdict) => (None, Some(verdict)),
    };
    let target = match target(work, &described, no_ledger.is_none()).await? {
        Ok(target) => target,
        Err(verdicts) => {
            return Ok(Pinned::Refused(verdicts.into_iter().chain(no_ledger).collect()));
        }
    };
    let mut judged = judge(work.job, &described.schema, &target);
    judged.verdicts.extend(no_ledger);
    if refused(&judged.verdicts) {
        return Ok(Pinned::Refused(judged.verdicts));
    }
    let with_ledger = work.job.delivery != Delivery::NoLedger;
    if with_ledger && is_out_of_step(ledger, &stored.state) {
        // Our state or the ledger was lost, restored or switched on: both begin anew.
        let newest = ledger.map_or(0, |at| at.generation).max(stored.state.generation);
        give_up(work, stored, newest.saturating_add(1)).await?;
        return Ok(Pinned::Moved);
    }
    let plan = plan(work, described, &target, judged, now);
    Ok(match remember(work, stored, plan).await? {
        Moved::Yes => Pinned::Slice,
        Moved::Elsewhere => Pinned::Moved,
    })
}

pub(crate) async fn describe(work: &Work<'_>, now: UnixMillis) -> Result<Description, PushError> {
    let query = ExportQuery {
        connection: Some(work.job.push.connection.clone()),
        source: work.job.source.clone(),
        parameters: work.job.parameters.clone(),
        now,
    };
    work.ports.export.describe(&query).await.map_err(|source| work.database(source))
}

/// Looks at the target, and makes it if it is missing and may be made.
async fn target(
    work: &Work<'_>,
    described: &Description,
    may_create: bool,
) -> Result<Result<TargetDescription, Vec<ColumnVerdict>>, PushError> {
    let ports = &work.ports.target;
    match ports.inspect(&work.job.target).await {
        Ok(target) => return Ok(Ok(target)),
        Err(SnowflakeError::NotFound { role, .. }) if !work.job.rules.create => {
            return Ok(Err(vec![no_table(work, &role)]));
        }
        Err(SnowflakeError::NotFound { .. }) => {}
        Err(error) => return Err(work.target(error)),
    }
    let columns = match target_columns(work.job, &described.schema) {
        Ok(columns) if may_create => columns,
        Ok(_) => return Ok(Err(Vec::new())),
        Err(verdicts) => return Ok(Err(verdicts)),
    };
    ports.create(&work.job.target, &columns).await.map_err(|source| work.target(source))?;
    ports.inspect(&work.job.target).await.map(Ok).map_err(|source| work.target(source))
}

pub(crate) fn no_table(work: &Work<'_>, role: &str) -> ColumnVerdict {
    let table = &work.job.target;
    let reason = format!("{table} does not exist, or the role {role} may not see it");
    let repair = format!(
        "check the spelling; if it is right, ask the customer for GRANT INSERT ON TABLE {table} \
         TO ROLE {role} and USAGE on its database and schema; or set `create: true`"
    );
    refuse("", work.job.mode.as_str(), "", reason, Some(repair))
}

/// Reads where the ledger is; a missing ledger table is a verdict.
pub(crate) async fn ledger(
    work: &Work<'_>,
) -> Result<Result<Option<LedgerPosition>, ColumnVerdict>, PushError> {
    let Delivery::Ledger { table } = &work.job.delivery else { return Ok(Ok(None)) };
    let found = match work.ports.target.ledger(table, &work.job.push).await {
        Ok(position) => work.ports.target.inspect(table).await.map(|ledger| (position, ledger)),
        Err(error) => Err(error),
    };
    match found {
        Ok((position, ledger)) => Ok(may_write(table, &ledger).map_or(Ok(position), Err)),
        Err(SnowflakeError::NotFound { role, .. }) => {
            let reason = format!("the ledger table {table} does not exist for the role {role}");
            let repair = "run the push part of `snowferry setup-sql`, or set `ledger: none` and \
                          accept the weaker guarantee";
            Ok(Err(refuse("", "ledger", "", reason, Some(repair.to_owned()))))
        }
        Err(error) => Err(work.target(error)),
    }
}

/// The verdict on a ledger that our role may not write.
fn may_write(table: &TableName, ledger: &TargetDescription) -> Option<ColumnVerdict> {
    let needed = [Privilege::Insert, Privilege::Update, Privilege::Delete];
    let missing = needed.into_iter().filter(|privilege| !ledger.may(*privilege));
    let missing: Vec<_> = missing.map(Privilege::as_str).collect();
    if missing.is_empty() {
        return None;
    }
    let (missing, role) = (missing.join(", "), &ledger.role);
    let reason = format!("the role {role} may not {missing} in the ledger table {table}");
    let repair = format!("GRANT {missing} ON TABLE {table} TO ROLE {role}");
    Some(refuse("", "ledger", "", reason, Some(repair)))
}

/// Returns whether the ledger is not where a state without a slice in work says.
fn is_out_of_step(ledger: Option<LedgerPosition>, state: &PushState) -> bool {
    match ledger {
        Some(at) if at.generation == state.generation => at.sequence != state.sequence,
        Some(at) if at.generation > state.generation => true,
        // A new generation that has applied nothing begins over any older one.
        Some(_) | None => state.sequence > 0,
    }
}

fn plan(
    work: &Work<'_>,
    described: Description,
    target: &TargetDescription,
    judged: Judged,
    now: UnixMillis,
) -> PushPlan {
    PushPlan {
        version: PUSH_PLAN_VERSION,
        run_id: work.run.run_id.clone(),
        target: work.job.target.clone(),
        identity: target.identity.clone(),
        fingerprint: target.fingerprint(),
        mode: work.job.mode.clone(),
        delivery: work.job.delivery.clone(),
        columns: judged.columns,
        constants: work.job.constants.clone(),
        snapshot: described.snapshot,
        target_rows: target.rows,
        pinned_at: now,
    }
}

/// Stores the plan under its hash, then the slice that names it.
async fn remember(
    work: &Work<'_>,
    stored: &StoredPush,
    plan: PushPlan,
) -> Result<Moved, PushError> {
    let next = stored.state.next();
    let push = &work.job.push;
    let place = push_keys::plan(push, next.generation, next.sequence, "new");
    let body = stored::to_json(&place, &plan).map_err(|source| work.staging(source))?;
    let hash: String = Sha256::digest(&body).iter().take(16).map(|b| format!("{b:02x}")).collect();
    let key = push_keys::plan(push, next.generation, next.sequence, &hash);
    let slice = PushSlice {
        sequence: next.sequence,
        plan: hash,
        run_id: plan.run_id.clone(),
        pinned_at: plan.pinned_at,
    };
    work.create_once(&key, plan).await?;
    let after = PushState { slice: Some(slice.clone()), ..stored.state.clone() };
    let ours =
        |now: &PushState| now.generation == after.generation && now.slice.as_ref() == Some(&slice);
    store(work, stored, &after, ours).await
}
