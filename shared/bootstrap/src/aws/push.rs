//! One invocation of the push: a selection's pushes one after the other until the deadline, then
//! the rest is handed on through the queue.
//!
//! As [`super::pull`] does it: an event is a selection, a message that comes twice is worked off
//! once, a refused sign-in is tried again with other secrets, and a line is written for each push.
//! The rows come from the lake as it is when the push is pinned. Killed at any point, the message
//! comes again with the same run id: the engine finishes the slice that this id has pinned, and
//! the target's ledger tells whether it is in.
//!
//! An event never changes what a push does to the customer's table: `mode` is refused.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use snowferry_checkpoint::PushStore;
use snowferry_model::fault::{Fault as _, Retry};
use snowferry_model::push::{PushOutcome, PushRunRecord};
use snowferry_model::time::Clock as _;
use snowferry_push::{Limits, PushContext, PushJob, push_table};

use super::event::{self, Event, Request, Selection};
use super::failure::Failure;
use super::invocation::{Invocation, Session, next_hop, work_off, work_off_all};
use super::queue::{MOST_PUSH_HOPS, Next, Part};
use super::{Cloud, metrics};
use crate::clock::{self, SystemClock};
use crate::config::Connection;
use crate::error::BootstrapError;

/// Which share of a function's memory the rows of one part may take.
const PART_MEMORY_SHARE: u64 = 8;

/// What a push answers to a direct call.
#[derive(Debug, Serialize)]
pub struct PushReport {
    /// The connection.
    pub connection: String,
    /// The run.
    pub run_id: String,
    /// How each push ended.
    pub pushes: Vec<OneReport>,
}

/// How one push ended.
#[derive(Debug, Serialize)]
pub struct OneReport {
    /// The push.
    pub push: String,
    /// Its table.
    pub target: String,
    /// `applied`, `continued` or `busy`; a push that failed or was refused is the call's failure.
    pub outcome: &'static str,
    /// Rows that were applied.
    pub rows: u64,
}

/// Works on an event and returns what Lambda is to be answered.
///
/// # Errors
/// A direct call fails when a push failed or was refused. Messages of a queue never fail the
/// invocation: those that are to come back are named in the answer.
pub async fn handle(
    cloud: &Cloud,
    event: Value,
    invocation: &Invocation,
) -> Result<Value, Failure> {
    match event::parse(event).map_err(|error| Failure::of(&error))? {
        Event::Direct(request) => {
            let run_id = clock::new_run_id();
            let done = push(cloud, &request, &run_id, "manual", invocation).await;
            let records = done.map_err(|error| Failure::of(&error))?;
            answer(&request.selection, &run_id, &records)
        }
        Event::Queue(messages) => Ok(work_off_all(&messages, async |message| {
            Box::pin(work_off(cloud, message, comes_back, async |request, run_id, trigger| {
                push(cloud, request, run_id, trigger, invocation).await
            }))
            .await
        })
        .await),
    }
}

/// Answers a direct call: the report, or the first failure.
fn answer(
    selection: &Selection,
    run_id: &str,
    records: &[PushRunRecord],
) -> Result<Value, Failure> {
    if let Some(told) = records.iter().find_map(|record| metrics::push_failure(&record.outcome)) {
        return Err(Failure::told(&told.code, &told.message, told.repair.as_deref()));
    }
    let report = |record: &PushRunRecord| OneReport {
        push: record.push.name.to_string(),
        target: record.target.to_string(),
        outcome: metrics::push_word(&record.outcome),
        rows: record.figures.rows_applied,
    };
    Ok(json!(PushReport {
        connection: selection.connection.to_string(),
        run_id: run_id.to_owned(),
        pushes: records.iter().map(report).collect(),
    }))
}

/// Returns whether a failure may pass by itself, so that the message is to be tried again.
fn comes_back(record: &PushRunRecord) -> bool {
    match &record.outcome {
        PushOutcome::Failed { retry, .. } => *retry != Retry::AfterFix,
        PushOutcome::Busy { .. } => true,
        _ => false,
    }
}

/// Works on the pushes of a selection until the deadline and hands the rest on.
async fn push(
    cloud: &Cloud,
    request: &Request,
    run_id: &str,
    trigger: &str,
    invocation: &Invocation,
) -> Result<Vec<PushRunRecord>, BootstrapError> {
    let connection = cloud.connection(&request.selection.connection).await?;
    let jobs = select(&connection, &request.selection)?;
    let context = context(cloud, run_id, trigger, invocation);
    let mut session = Session::begin(cloud, &connection)?;
    let mut records = Vec::new();
    let mut rest = Vec::new();
    for job in &jobs {
        if context.deadline.is_some_and(|deadline| SystemClock.now() >= deadline) {
            rest.push(job);
            continue;
        }
        let record = push_one(&mut session, &context, job).await?;
        tell(cloud, &record).await;
        if record.outcome == PushOutcome::Continued {
            rest.push(job);
        }
        records.push(record);
    }
    session.client.close().await;
    hand_on(cloud, request, &connection, &rest, run_id).await?;
    Ok(records)
}

/// Runs a push; a refused sign-in is tried again with other secrets.
async fn push_one(
    session: &mut Session<'_>,
    context: &PushContext,
    job: &PushJob,
) -> Result<PushRunRecord, BootstrapError> {
    loop {
        let ports = session.cloud.push_ports(Arc::clone(&session.client))?;
        let record = Box::pin(push_table(&ports, context, job)).await;
        let code = match &record.outcome {
            PushOutcome::Failed { code, .. } => Some(code.as_str()),
            _ => None,
        };
        if !session.renew(code)? {
            return Ok(record);
        }
    }
}

async fn hand_on(
    cloud: &Cloud,
    request: &Request,
    connection: &Connection,
    rest: &[&PushJob],
    run_id: &str,
) -> Result<(), BootstrapError> {
    if rest.is_empty() {
        return Ok(());
    }
    let (queue, hop) = next_hop(cloud, request, run_id, MOST_PUSH_HOPS)?;
    for (position, job) in connection.pushes.iter().enumerate() {
        if rest.iter().any(|rest| rest.push == job.push) {
            let (selection, part) = (&request.selection, Part::Push(&job.push.name));
            queue.hand_on(Next { selection, part, position, run_id, hop, helper: None }).await?;
        }
    }
    Ok(())
}

/// Returns the jobs that were asked for, in the order of the connection.
fn select(connection: &Connection, selection: &Selection) -> Result<Vec<PushJob>, BootstrapError> {
    let refused = |reason: String| BootstrapError::Event { reason };
    if selection.tables.is_some() || selection.mode.is_some() {
        let text = "`tables` and `mode` are for a pull; a push takes `names`, and writes as its \
                    connection says";
        return Err(refused(text.to_owned()));
    }
    let known = &connection.pushes;
    if known.is_empty() {
        return Err(refused(format!("the connection {} has no push", connection.name)));
    }
    for name in selection.names.iter().flatten() {
        if !known.iter().any(|job| job.push.name == *name) {
            return Err(refused(format!("the connection {} has no push {name}", connection.name)));
        }
    }
    let wanted = |job: &&PushJob| {
        selection.names.as_ref().is_none_or(|names| names.contains(&job.push.name))
    };
    Ok(known.iter().filter(wanted).cloned().collect())
}

fn context(cloud: &Cloud, run_id: &str, trigger: &str, invocation: &Invocation) -> PushContext {
    let mut limits = Limits::default();
    if let Some(mib) = cloud.settings.memory_mib {
        limits.part_bytes = limits.part_bytes.min((mib << 20) / PART_MEMORY_SHARE);
    }
    limits.lease_ms = invocation.lease_ms();
    PushContext {
        run_id: run_id.to_owned(),
        trigger: trigger.to_owned(),
        owner: invocation.owner(),
        deadline: Some(invocation.last_start()),
        limits,
    }
}

/// Writes the line of a run and, for a failure, a word in the log.
#[expect(clippy::print_stdout, reason = "CloudWatch reads metrics from standard output")]
async fn tell(cloud: &Cloud, record: &PushRunRecord) {
    let pushed = match PushStore::load(&cloud.checkpoint, &record.push).await {
        Ok(stored) => stored.and_then(|stored| stored.state.pushed_as_of),
        Err(error) => {
            tracing::warn!(code = error.code(), "read a state for its metrics");
            None
        }
    };
    let line = metrics::push_line(&cloud.settings.function, record, pushed, SystemClock.now());
    println!("{line}");
    if let Some(told) = metrics::push_failure(&record.outcome) {
        let (run_id, push) = (record.run_id.as_str(), record.push.to_string());
        tracing::error!(code = %told.code, run_id, push, error = %told.message, "a push failed");
    }
}
