//! One invocation of the pull: a selection's tables one after the other until the deadline, then
//! the rest is handed on through the queue.
//!
//! 1. understand the event; from a queue, message by message;
//! 2. read the stored connection, make its client with the present secrets;
//! 3. pull table by table; a refused sign-in is tried again, once, with secrets read anew and once
//!    with those that a rotation has staged;
//! 4. write a line for each table; hand on what the deadline left, each table by itself, so that
//!    several workers go on with a long backfill.
//!
//! Killed at any point, the message comes again, and the engine goes on where things stand. A
//! message that was worked off is remembered, so that a second delivery does nothing.
//!
//! A failure that only a person can repair is not tried again from the queue: it is in the run's
//! record, in the metrics and in the log. One that may pass is reported, and the queue brings the
//! message back.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use snowferry_checkpoint::CheckpointStore;
use snowferry_model::fault::{Fault as _, Retry};
use snowferry_model::names::TableName;
use snowferry_model::run::{Outcome, RunRecord};
use snowferry_model::time::Clock;
use snowferry_pull::{Limits, RunContext, TableJob, assist, pull_table};

use super::event::{self, Event, Request, Selection};
use super::failure::Failure;
use super::invocation::{Invocation, Session, next_hop, work_off, work_off_all};
use super::queue::{HELPERS, MOST_HOPS, Next, Part};
use super::{Cloud, metrics};
use crate::clock::{self, SystemClock};
use crate::config::Connection;
use crate::error::BootstrapError;

/// What a pull answers to a direct call.
#[derive(Debug, Serialize)]
pub struct PullReport {
    /// The connection.
    pub connection: String,
    /// The run.
    pub run_id: String,
    /// How each table ended.
    pub tables: Vec<TableReport>,
}

/// How one table ended.
#[derive(Debug, Serialize)]
pub struct TableReport {
    /// The table.
    pub table: String,
    /// `loaded`, `nothing_new`, `continued`, `busy` or `failed`.
    pub outcome: &'static str,
    /// Rows that were loaded.
    pub rows: u64,
    /// The stable code of a failure.
    pub code: Option<String>,
    /// What to do about it.
    pub repair: Option<String>,
}

/// Works on an event and returns what Lambda is to be answered.
///
/// # Errors
/// A direct call fails when a table failed. Messages of a queue never fail the invocation: those
/// that are to come back are named in the answer.
pub async fn handle(
    cloud: &Cloud,
    event: Value,
    invocation: &Invocation,
) -> Result<Value, Failure> {
    match event::parse(event).map_err(|error| Failure::of(&error))? {
        Event::Direct(request) => {
            let run_id = clock::new_run_id();
            let done = pull(cloud, &request, &run_id, "manual", invocation).await;
            let records = done.map_err(|error| Failure::of(&error))?;
            answer(&request.selection, &run_id, &records)
        }
        Event::Queue(messages) => Ok(work_off_all(&messages, async |message| {
            Box::pin(work_off(cloud, message, comes_back, async |request, run_id, trigger| {
                pull_or_help(cloud, request, run_id, trigger, invocation).await
            }))
            .await
        })
        .await),
    }
}

/// Answers a direct call: the report, or the first failure.
fn answer(selection: &Selection, run_id: &str, records: &[RunRecord]) -> Result<Value, Failure> {
    let failure = records.iter().find_map(|record| match &record.outcome {
        Outcome::Failed { code, message, hint, .. } => {
            Some(Failure::told(code, message, hint.as_deref()))
        }
        _ => None,
    });
    match failure {
        Some(failure) => Err(failure),
        None => Ok(json!(PullReport {
            connection: selection.connection.to_string(),
            run_id: run_id.to_owned(),
            tables: records.iter().map(TableReport::of).collect(),
        })),
    }
}

/// Pulls what a message asks for, or helps the run that has sent it.
async fn pull_or_help(
    cloud: &Cloud,
    request: &Request,
    run_id: &str,
    trigger: &str,
    invocation: &Invocation,
) -> Result<Vec<RunRecord>, BootstrapError> {
    if request.helper.is_none() {
        return pull(cloud, request, run_id, trigger, invocation).await;
    }
    help(cloud, request, run_id, invocation).await?;
    Ok(Vec::new())
}

/// Returns whether a failure may pass by itself, so that the message is to be tried again.
fn comes_back(record: &RunRecord) -> bool {
    match &record.outcome {
        Outcome::Failed { retry, .. } => *retry != Retry::AfterFix,
        Outcome::Busy { .. } => true,
        _ => false,
    }
}

/// Pulls the tables of a selection until the deadline and hands the rest on.
async fn pull(
    cloud: &Cloud,
    request: &Request,
    run_id: &str,
    trigger: &str,
    invocation: &Invocation,
) -> Result<Vec<RunRecord>, BootstrapError> {
    let selection = &request.selection;
    let connection = cloud.connection(&selection.connection).await?;
    let jobs = select(&connection, selection)?;
    let context = context(cloud, &connection, run_id, trigger, invocation);
    let mut session = Session::begin(cloud, &connection)?;
    let mut records = Vec::new();
    let mut rest = Vec::new();
    for job in &jobs {
        if context.deadline.is_some_and(|deadline| SystemClock.now() >= deadline) {
            rest.push(Rest { table: job.table.clone(), is_staging: false });
            continue;
        }
        let record = pull_one(&mut session, &context, job).await?;
        tell(cloud, &record).await;
        if record.outcome == Outcome::Continued {
            let is_staging = record.figures.rows_announced > 0;
            rest.push(Rest { table: job.table.clone(), is_staging });
        }
        records.push(record);
    }
    session.client.close().await;
    hand_on(cloud, request, &connection, &rest, run_id).await?;
    Ok(records)
}

/// A table that goes on in another invocation.
struct Rest {
    table: TableName,
    /// Whether its slice is pinned, so that helpers have something to stage.
    is_staging: bool,
}

/// Pulls a table; a refused sign-in is tried again with other secrets.
async fn pull_one(
    session: &mut Session<'_>,
    context: &RunContext,
    job: &TableJob,
) -> Result<RunRecord, BootstrapError> {
    loop {
        let ports = session.cloud.ports(Arc::clone(&session.client))?;
        let record = Box::pin(pull_table(&ports, context, job)).await;
        let code = match &record.outcome {
            Outcome::Failed { code, .. } => Some(code.as_str()),
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
    rest: &[Rest],
    run_id: &str,
) -> Result<(), BootstrapError> {
    if rest.is_empty() {
        return Ok(());
    }
    let (queue, hop) = next_hop(cloud, request, run_id, MOST_HOPS)?;
    for (position, job) in connection.tables.iter().enumerate() {
        let Some(begun) = rest.iter().find(|rest| rest.table == job.table) else { continue };
        let (selection, part) = (&request.selection, Part::Table(&job.table));
        let next = Next { selection, part, position, run_id, hop, helper: None };
        queue.hand_on(next).await?;
        // A slice that is pinned and not staged has work for several.
        for helper in 1..=if begun.is_staging { HELPERS } else { 0 } {
            queue.hand_on(Next { helper: Some(helper), ..next }).await?;
        }
    }
    Ok(())
}

/// Stages parts of a slice that a run of another worker has pinned. Never hands on: the run does.
async fn help(
    cloud: &Cloud,
    request: &Request,
    run_id: &str,
    invocation: &Invocation,
) -> Result<(), BootstrapError> {
    let connection = cloud.connection(&request.selection.connection).await?;
    let context = context(cloud, &connection, run_id, "helper", invocation);
    let client = cloud.client(&connection)?;
    let ports = cloud.ports(Arc::clone(&client))?;
    for job in select(&connection, &request.selection)? {
        match Box::pin(assist(&ports, &context, &job)).await {
            Ok(figures) => {
                let (table, parts) = (job.table.to_string(), figures.parts_staged);
                tracing::info!(run_id, connection = %connection.name, table, parts, "helped");
            }
            // The run that is helped meets the same, and tells it.
            Err(error) => tracing::warn!(code = error.code(), run_id, "a helper gave up"),
        }
    }
    client.close().await;
    Ok(())
}

/// Returns the jobs that were asked for, in the order of the connection.
fn select(connection: &Connection, selection: &Selection) -> Result<Vec<TableJob>, BootstrapError> {
    if selection.names.is_some() {
        let reason = "`names` chooses pushes; a pull takes `tables`".to_owned();
        return Err(BootstrapError::Event { reason });
    }
    let known = &connection.tables;
    for table in selection.tables.iter().flatten() {
        if !known.iter().any(|job| job.table == *table) {
            let reason = format!("the connection {} has no table {table}", connection.name);
            return Err(BootstrapError::Event { reason });
        }
    }
    let wanted = |job: &&TableJob| {
        selection.tables.as_ref().is_none_or(|tables| tables.contains(&job.table))
    };
    let mut jobs: Vec<TableJob> = known.iter().filter(wanted).cloned().collect();
    for job in &mut jobs {
        let Some(mode) = selection.mode else { continue };
        if mode == snowferry_pull::Mode::Incremental && job.cursor.is_none() {
            let reason = format!("{} has no cursor, which mode incremental needs", job.table);
            return Err(BootstrapError::Event { reason });
        }
        job.mode = mode;
        job.skip_unchanged = false;
    }
    Ok(jobs)
}

fn context(
    cloud: &Cloud,
    connection: &Connection,
    run_id: &str,
    trigger: &str,
    invocation: &Invocation,
) -> RunContext {
    let mut limits = Limits::default();
    if let Some(mib) = cloud.settings.part_mib {
        limits.part_bytes = mib << 20;
    }
    limits.lease_ms = invocation.lease_ms();
    RunContext {
        connection: connection.name.clone(),
        run_id: run_id.to_owned(),
        trigger: trigger.to_owned(),
        owner: invocation.owner(),
        deadline: Some(invocation.last_start()),
        limits,
    }
}

/// Writes the line of a run and, for a failure, a word in the log.
#[expect(clippy::print_stdout, reason = "CloudWatch reads metrics from standard output")]
async fn tell(cloud: &Cloud, record: &RunRecord) {
    let synced = match cloud.checkpoint.load(&record.stream).await {
        Ok(stored) => stored.and_then(|stored| stored.state.synced_as_of),
        Err(error) => {
            tracing::warn!(code = error.code(), "read a state for its metrics");
            None
        }
    };
    println!("{}", metrics::line(&cloud.settings.function, record, synced, SystemClock.now()));
    if let Outcome::Failed { code, message, .. } = &record.outcome {
        let (run_id, table) = (record.run_id.as_str(), record.stream.to_string());
        tracing::error!(%code, run_id, table, error = %message, "a run failed");
    }
}

impl TableReport {
    fn of(record: &RunRecord) -> Self {
        let (code, repair) = match &record.outcome {
            Outcome::Failed { code, hint, .. } => (Some(code.clone()), hint.clone()),
            _ => (None, None),
        };
        Self {
            table: record.stream.table.to_string(),
            outcome: metrics::word(&record.outcome),
            rows: record.figures.rows_loaded,
            code,
            repair,
        }
    }
}
