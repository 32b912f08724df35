//! `snowferry pull`: brings the tables of a connection up to date.

use std::sync::Arc;

use clap::{Args, ValueEnum};
use futures::StreamExt;
use serde::Serialize;
use snowferry_bootstrap::app::App;
use snowferry_bootstrap::clock::{self, SystemClock};
use snowferry_bootstrap::config::Connection;
use snowferry_model::names::TableName;
use snowferry_model::state::StreamKey;
use snowferry_model::time::Clock;
use snowferry_pull::{Limits, Mode, Ports, RunContext, TableJob, pull_table};

use super::control::rests;
use super::maintain;
use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::interrupt::asked_to_stop;
use crate::output;
use crate::progress::{Watcher, watcher};
use crate::report::{TableRun, summary};

const AFTER: &str = "\
The first pull of a table is a full backfill; later ones read what is new (see `snowferry status`
for what each mode promises). A pull that is interrupted or killed goes on where it stopped.

Examples:
  snowferry pull acme
  snowferry pull acme --table CRM.PUBLIC.ACCOUNTS --table CRM.PUBLIC.USERS
  snowferry pull acme --mode full          read whole tables once more, whatever their mode
  snowferry pull acme --parallel 4 --json";

/// Brings tables up to date.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct PullArgs {
    /// The connection
    pub(crate) name: String,

    /// Only this table; may be given several times
    #[arg(long = "table", value_name = "DATABASE.SCHEMA.TABLE")]
    pub(crate) tables: Vec<TableName>,

    /// Another mode than the connection file says, for this run
    #[arg(long, value_enum)]
    pub(crate) mode: Option<ModeArg>,

    /// Who asked for this run, as `runs` will show it
    #[arg(long, value_name = "WORD", default_value = "manual")]
    pub(crate) trigger: String,

    /// How many tables to pull at the same time
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) parallel: u8,
}

/// A mode as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// Rows above the watermark; a backfill first
    Incremental,
    /// The whole table, exchanged in one step
    Full,
    /// A backfill, then never again
    Once,
}

impl ModeArg {
    fn mode(self) -> Mode {
        match self {
            Self::Incremental => Mode::Incremental,
            Self::Full => Mode::Full,
            Self::Once => Mode::Once,
        }
    }
}

/// What `pull --json` prints.
#[derive(Debug, Serialize)]
struct PullReport<'a> {
    connection: &'a str,
    run_id: &'a str,
    /// `done`, `some_failed`, `failed` or `interrupted`.
    outcome: &'static str,
    tables: &'a [TableRun],
}

/// Pulls, shows progress, and tells what happened.
pub(crate) async fn run(global: &Global, args: PullArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = app.connection(&args.name)?;
    let jobs = select(&connection, &args.tables, args.mode)?;
    if rests(global, &app, &connection.name)? {
        return Ok(Done::All);
    }
    let watcher = watcher(global.json);
    let ports = app.ports(&connection, Arc::clone(&watcher) as Arc<_>)?;
    let context = context(&connection, &args.trigger);
    let mut runs = Vec::new();
    let pulling = Box::pin(pull_all(
        &ports,
        &context,
        &jobs,
        usize::from(args.parallel),
        watcher.as_ref(),
        &mut runs,
    ));
    let interrupted = tokio::select! {
        () = pulling => false,
        asked = asked_to_stop() => { asked?; true }
    };
    if interrupted {
        release(&ports, &context, &jobs, watcher.as_ref()).await;
    }
    app.sign_out().await;
    if !interrupted {
        let is_loaded = |job: &&TableJob| {
            let table = job.table.to_string();
            runs.iter().any(|run| run.outcome == "loaded" && run.table == table)
        };
        let loaded: Vec<_> = jobs.iter().filter(is_loaded).map(|job| &job.table).collect();
        maintain::after_pull(&app, &connection, loaded).await;
    }
    tell(global, &args.name, &context.run_id, &runs, interrupted)
}

/// Returns the jobs that were asked for, in the order of the connection file.
pub(crate) fn select(
    connection: &Connection,
    tables: &[TableName],
    mode: Option<ModeArg>,
) -> Result<Vec<TableJob>, Failure> {
    let known: Vec<String> = connection.tables.iter().map(|job| job.table.to_string()).collect();
    let file = connection.file.display();
    for table in tables {
        if !connection.tables.iter().any(|job| job.table == *table) {
            return Err(Failure::usage(
                format!("{file} names no table {table}"),
                format!("name one of {}, or add it to the file", known.join(", ")),
            ));
        }
    }
    let wanted = |job: &&TableJob| tables.is_empty() || tables.contains(&job.table);
    let mut jobs: Vec<TableJob> = connection.tables.iter().filter(wanted).cloned().collect();
    for job in &mut jobs {
        let Some(mode) = mode else { continue };
        if mode == ModeArg::Incremental && job.cursor.is_none() {
            return Err(Failure::usage(
                format!("{} has no cursor, which mode incremental needs", job.table),
                format!("name a cursor in {file}, or choose tables with --table"),
            ));
        }
        job.mode = mode.mode();
        // Who names a mode wants the table read.
        job.skip_unchanged = false;
    }
    Ok(jobs)
}

/// Returns who runs, as what.
pub(crate) fn context(connection: &Connection, trigger: &str) -> RunContext {
    RunContext {
        connection: connection.name.clone(),
        run_id: clock::new_run_id(),
        trigger: trigger.to_owned(),
        owner: clock::owner(SystemClock.now()),
        deadline: None,
        limits: Limits::default(),
    }
}

/// Pulls some tables at a time and adds each to `runs` as it ends.
pub(crate) async fn pull_all(
    ports: &Ports,
    context: &RunContext,
    jobs: &[TableJob],
    parallel: usize,
    watcher: &dyn Watcher,
    runs: &mut Vec<TableRun>,
) {
    let mut ended = futures::stream::iter(jobs)
        .map(|job| Box::pin(pull_table(ports, context, job)))
        .buffer_unordered(parallel);
    while let Some(record) = ended.next().await {
        watcher.ended(&record.stream);
        runs.push(TableRun::of(&record));
    }
}

/// Gives the tables free after the pull was dropped in the middle.
async fn release(ports: &Ports, context: &RunContext, jobs: &[TableJob], watcher: &dyn Watcher) {
    for job in jobs {
        let connection = context.connection.clone();
        let stream = StreamKey { connection, table: job.table.clone() };
        watcher.ended(&stream);
        if let Err(error) = ports.leases.release(&stream, &context.owner).await {
            tracing::warn!(%error, "release a lease");
        }
    }
}

fn tell(
    global: &Global,
    connection: &str,
    run_id: &str,
    runs: &[TableRun],
    interrupted: bool,
) -> Result<Done, Failure> {
    let failed = runs.iter().filter(|run| run.error.is_some()).count();
    let (done, outcome) = match failed {
        _ if interrupted => (Done::Interrupted, "interrupted"),
        0 => (Done::All, "done"),
        failed if failed < runs.len() => (Done::Some, "some_failed"),
        _ => (Done::Nothing, "failed"),
    };
    if global.json {
        output::json(&PullReport { connection, run_id, outcome, tables: runs })?;
        return Ok(done);
    }
    if !runs.is_empty() {
        output::line(summary(runs))?;
    }
    for remark in runs.iter().filter_map(TableRun::remark) {
        output::note(remark);
    }
    if interrupted {
        output::note(format!(
            "interrupted: no row is lost or doubled; `snowferry pull {connection}` goes on where \
             this run stopped"
        ));
    }
    Ok(done)
}
