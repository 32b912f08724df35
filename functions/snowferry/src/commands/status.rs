//! `snowferry status`: how far each table is synced, what that promises, and what went wrong.

use clap::Args;
use serde::Serialize;
use snowferry_bootstrap::app::{App, TableStatus};
use snowferry_bootstrap::clock::SystemClock;
use snowferry_bootstrap::config::{self, Connection};
use snowferry_bootstrap::push::PushStatus;
use snowferry_model::time::{Clock, UnixMillis};
use snowferry_model::watermark::NullCursors;
use snowferry_pull::{Mode, TableJob, guarantee};
use snowferry_push::PushJob;

use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output::{self, Side};
use crate::push_report::PushRun;
use crate::report::TableRun;

const AFTER: &str = "\
Examples:
  snowferry status
  snowferry status acme --json";

/// Shows how far each table is synced.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct StatusArgs {
    /// Only this connection
    name: Option<String>,
}

/// One connection, in the form that `--json` prints.
#[derive(Debug, Serialize)]
struct ConnectionReport {
    connection: String,
    file: String,
    tables: Vec<TableReport>,
    pushes: Vec<PushLine>,
}

/// One push. Times are RFC 3339.
#[derive(Debug, Serialize)]
struct PushLine {
    push: String,
    target: String,
    mode: &'static str,
    guarantee: &'static str,
    /// When the rows that the target has were read from our database.
    pushed_as_of: Option<String>,
    rows: Option<u64>,
    generation: u64,
    sequence: u64,
    slice_in_work: bool,
    last_run: Option<PushRun>,
}

/// One table. Times are RFC 3339; a watermark's value is the customer's data and not shown.
#[derive(Debug, Serialize)]
pub(crate) struct TableReport {
    table: String,
    mode: &'static str,
    guarantee: &'static str,
    /// `never`, `backfilling`, `synced` or `complete`.
    state: &'static str,
    synced_as_of: Option<String>,
    synced_age_ms: Option<u64>,
    rows: Option<u64>,
    files: Option<u64>,
    size_bytes: Option<u64>,
    location: Option<String>,
    cursor: Option<String>,
    /// What becomes of rows without a cursor: `error`, `reload` or `ignore`.
    null_cursor: Option<NullCursors>,
    watermark_present: bool,
    generation: u64,
    sequence: u64,
    slice_in_work: bool,
    last_run: Option<TableRun>,
    /// What kept this report from being complete.
    trouble: Option<String>,
}

/// Reads everything that is known here; asks no customer's account.
pub(crate) async fn run(global: &Global, args: StatusArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let names = match &args.name {
        Some(name) => vec![name.clone()],
        None => config::names(app.home().connections()),
    };
    let mut reports = Vec::new();
    for name in &names {
        let connection = app.connection(name)?;
        reports.push(report(&app, &connection).await?);
    }
    if global.json {
        output::json(&reports)?;
        return Ok(Done::All);
    }
    if reports.is_empty() {
        let folder = app.home().connections().display();
        output::line(format!("no connection in {folder}; `snowferry init NAME` writes one"))?;
    }
    for report in &reports {
        tell(report)?;
    }
    Ok(Done::All)
}

async fn report(app: &App, connection: &Connection) -> Result<ConnectionReport, Failure> {
    let now = SystemClock.now();
    let statuses = app.status(connection).await?;
    let tables =
        connection.tables.iter().zip(statuses).map(|(job, status)| table_report(job, status, now));
    Ok(ConnectionReport {
        connection: connection.name.to_string(),
        file: connection.file.display().to_string(),
        tables: tables.collect(),
        pushes: push_lines(app, connection).await?,
    })
}

async fn push_lines(app: &App, connection: &Connection) -> Result<Vec<PushLine>, Failure> {
    let statuses = app.push_status(connection).await?;
    let line = |(job, status): (&PushJob, PushStatus)| {
        let state = status.state.as_ref();
        let pushed = state.and_then(|state| state.pushed_as_of);
        PushLine {
            push: job.push.name.to_string(),
            target: job.target.to_string(),
            mode: job.mode.as_str(),
            guarantee: job.delivery.guarantee(&job.mode),
            pushed_as_of: pushed.map(|time| time.to_string()),
            rows: pushed.and(state.map(|state| state.rows)),
            generation: state.map(|state| state.generation).unwrap_or_default(),
            sequence: state.map(|state| state.sequence).unwrap_or_default(),
            slice_in_work: state.is_some_and(|state| state.slice.is_some()),
            last_run: status.last_run.as_ref().map(PushRun::of),
        }
    };
    Ok(connection.pushes.iter().zip(statuses).map(line).collect())
}

pub(crate) fn table_report(job: &TableJob, status: TableStatus, now: UnixMillis) -> TableReport {
    let state = status.state.as_ref();
    let synced = state.and_then(|state| state.synced_as_of);
    let summary = status.summary.as_ref();
    TableReport {
        table: job.table.to_string(),
        mode: job.mode.as_str(),
        guarantee: guarantee(job),
        state: match state {
            None => "never",
            Some(state) if state.sequence == 0 => "backfilling",
            Some(_) if job.mode == Mode::Once => "complete",
            Some(_) => "synced",
        },
        synced_as_of: synced.map(|time| time.to_string()),
        synced_age_ms: synced.map(|time| now.since_ms(time)),
        rows: summary.map(|summary| summary.rows),
        files: summary.map(|summary| summary.files),
        size_bytes: summary.map(|summary| summary.size_bytes),
        location: summary.map(|summary| summary.location.clone()),
        cursor: job.cursor.as_ref().map(ToString::to_string),
        null_cursor: job.cursor.as_ref().map(|_| job.null_cursors),
        watermark_present: state.is_some_and(|state| state.watermark.is_some()),
        generation: state.map(|state| state.generation).unwrap_or_default(),
        sequence: state.map(|state| state.sequence).unwrap_or_default(),
        slice_in_work: state.is_some_and(|state| state.slice.is_some()),
        last_run: status.last_run.as_ref().map(TableRun::of),
        trouble: status.trouble,
    }
}

fn tell(report: &ConnectionReport) -> Result<(), Failure> {
    output::line(format!("{} ({})", report.connection, report.file))?;
    let headings = [
        ("table", Side::Left),
        ("synced as of", Side::Left),
        ("age", Side::Right),
        ("rows", Side::Right),
        ("size", Side::Right),
        ("watermark", Side::Left),
        ("gen/seq", Side::Right),
        ("last run", Side::Left),
    ];
    output::line(output::table(&headings, report.tables.iter().map(row).collect()))?;
    for table in &report.tables {
        output::line(format!("{} [{}]: {}", table.table, table.mode, table.guarantee))?;
        if let Some(location) = &table.location {
            output::line(format!("  lies in {location}"))?;
        }
        if let Some(trouble) = &table.trouble {
            output::line(format!("  not known: {trouble}"))?;
        }
        if let Some(remark) = table.last_run.as_ref().and_then(TableRun::remark) {
            output::line(format!("  last run: {}", remark.replace('\n', "\n  ")))?;
        }
    }
    if !report.pushes.is_empty() {
        tell_pushes(&report.pushes)?;
    }
    output::line("")
}

fn tell_pushes(pushes: &[PushLine]) -> Result<(), Failure> {
    let headings = [
        ("push", Side::Left),
        ("target", Side::Left),
        ("pushed as of", Side::Left),
        ("rows", Side::Right),
        ("gen/seq", Side::Right),
        ("last run", Side::Left),
    ];
    let rows = pushes.iter().map(|push| {
        let unknown = || "-".to_owned();
        vec![
            push.push.clone(),
            push.target.clone(),
            push.pushed_as_of.clone().unwrap_or_else(|| "never".to_owned()),
            push.rows.map_or_else(unknown, output::count),
            format!("{}/{}", push.generation, push.sequence),
            push.last_run.as_ref().map_or_else(unknown, PushRun::outcome_words),
        ]
    });
    output::line(output::table(&headings, rows.collect()))?;
    for push in pushes {
        output::line(format!("{} [{}]: {}", push.push, push.mode, push.guarantee))?;
        if let Some(remark) = push.last_run.as_ref().and_then(PushRun::remark) {
            output::line(format!("  last run: {}", remark.replace('\n', "\n  ")))?;
        }
    }
    Ok(())
}

fn row(table: &TableReport) -> Vec<String> {
    let unknown = || "-".to_owned();
    let watermark = match (&table.cursor, table.watermark_present) {
        (Some(cursor), true) => format!("{cursor}: set"),
        (Some(cursor), false) => format!("{cursor}: none yet"),
        (None, _) => unknown(),
    };
    let synced = match (&table.synced_as_of, table.state) {
        (Some(time), _) => {
            let whole = time.split('.').next().unwrap_or(time);
            format!("{}Z", whole.replace('T', " "))
        }
        (None, "never") => "never".to_owned(),
        (None, _) => "backfill not complete".to_owned(),
    };
    vec![
        table.table.clone(),
        synced,
        table.synced_age_ms.map_or_else(unknown, output::span),
        table.rows.map_or_else(unknown, output::count),
        table.size_bytes.map_or_else(unknown, output::bytes),
        watermark,
        format!("{}/{}", table.generation, table.sequence),
        table.last_run.as_ref().map_or_else(unknown, TableRun::outcome_words),
    ]
}
