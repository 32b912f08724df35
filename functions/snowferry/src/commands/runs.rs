//! `snowferry runs` and `snowferry run show`: what recent runs did.

use clap::{Args, Subcommand};
use serde::Serialize;
use snowferry_bootstrap::app::App;
use snowferry_model::names::ConnectionName;

use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output::{self, Side};
use crate::push_report::PushRun;
use crate::report::TableRun;

const AFTER_RUNS: &str = "\
Examples:
  snowferry runs
  snowferry runs acme --limit 100 --json";

const AFTER_RUN: &str = "\
Examples:
  snowferry run show 0199c0de                   the beginning of an id is enough
  snowferry run show 0199c0de --json";

/// How many records `run show` looks through.
const SEARCHED: usize = 100_000;

/// Lists what recent runs did.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_RUNS)]
pub(crate) struct RunsArgs {
    /// Only this connection
    name: Option<String>,

    /// How many tables' runs to list, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
}

/// Looks at one run.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_RUN, arg_required_else_help = true)]
pub(crate) struct RunArgs {
    #[command(subcommand)]
    action: RunAction,
}

/// What to do with a run.
#[derive(Clone, Debug, Subcommand)]
enum RunAction {
    /// Show everything that is known of a run
    Show {
        /// The run's id, or the beginning of it
        id: String,
    },
}

/// A run of a pull or of a push, as `--json` prints it: a push's has the field `push`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum AnyRun {
    Pull(TableRun),
    Push(PushRun),
}

impl AnyRun {
    fn started_at(&self) -> &str {
        match self {
            Self::Pull(run) => &run.started_at,
            Self::Push(run) => &run.started_at,
        }
    }

    fn run_id(&self) -> &str {
        match self {
            Self::Pull(run) => &run.run_id,
            Self::Push(run) => &run.run_id,
        }
    }

    fn row(&self) -> Vec<String> {
        let moment = |time: &str| {
            let whole = time.split('.').next().unwrap_or(time);
            format!("{}Z", whole.replace('T', " "))
        };
        match self {
            Self::Pull(run) => vec![
                run.run_id.clone(),
                format!("{}/{}", run.connection, run.table),
                moment(&run.started_at),
                run.outcome_words(),
                output::count(run.rows_read),
                output::bytes(run.received_bytes),
                run.duration_ms.map(output::span).unwrap_or_default(),
                run.trigger.clone(),
            ],
            Self::Push(run) => vec![
                run.run_id.clone(),
                format!("{}/{} → {}", run.connection, run.push, run.target),
                moment(&run.started_at),
                run.outcome_words(),
                output::count(run.rows_applied),
                output::bytes(run.staged_bytes),
                run.duration_ms.map(output::span).unwrap_or_default(),
                run.trigger.clone(),
            ],
        }
    }

    fn sheet(&self) -> String {
        match self {
            Self::Pull(run) => sheet(run),
            Self::Push(run) => push_sheet(run),
        }
    }
}

/// Lists the newest records.
pub(crate) async fn list(global: &Global, args: RunsArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = args.name.as_deref().map(connection_name).transpose()?;
    let mut runs = all_runs(&app, connection.as_ref(), args.limit).await?;
    runs.truncate(args.limit);
    if global.json {
        output::json(&runs)?;
        return Ok(Done::All);
    }
    if runs.is_empty() {
        output::line("no run yet; `snowferry pull NAME` makes the first")?;
        return Ok(Done::All);
    }
    let headings = [
        ("run", Side::Left),
        ("table", Side::Left),
        ("started", Side::Left),
        ("outcome", Side::Left),
        ("rows", Side::Right),
        ("bytes", Side::Right),
        ("time", Side::Right),
        ("trigger", Side::Left),
    ];
    let rows = runs.iter().map(AnyRun::row);
    output::line(output::table(&headings, rows.collect()))?;
    Ok(Done::All)
}

/// Returns the newest runs of pulls and pushes, newest first.
async fn all_runs(
    app: &App,
    connection: Option<&ConnectionName>,
    limit: usize,
) -> Result<Vec<AnyRun>, Failure> {
    let pulls = app.runs(connection, limit).await?;
    let pushes = app.push_runs(connection, limit).await?;
    let pulls = pulls.iter().map(|record| AnyRun::Pull(TableRun::of(record)));
    let mut runs: Vec<_> =
        pulls.chain(pushes.iter().map(|record| AnyRun::Push(PushRun::of(record)))).collect();
    // Stable, so that runs of one moment stay in the order of their store.
    runs.sort_by(|a, b| b.started_at().cmp(a.started_at()));
    Ok(runs)
}

/// Shows all tables or pushes of one run.
pub(crate) async fn show(global: &Global, args: RunArgs) -> Result<Done, Failure> {
    let RunAction::Show { id } = args.action;
    let app = App::new(global.home());
    let mut runs = all_runs(&app, None, SEARCHED).await?;
    runs.retain(|run| !id.is_empty() && run.run_id().starts_with(&id));
    runs.reverse();
    let Some(first) = runs.first() else {
        let hint = "`snowferry runs` lists them";
        return Err(Failure::usage(format!("there is no run {id}"), hint));
    };
    if let Some(other) = runs.iter().find(|run| run.run_id() != first.run_id()) {
        return Err(Failure::usage(
            format!("{id} begins more than one run's id"),
            format!("write more of it: {} or {}", first.run_id(), other.run_id()),
        ));
    }
    if global.json {
        output::json(&runs)?;
        return Ok(Done::All);
    }
    for run in &runs {
        output::line(run.sheet())?;
    }
    Ok(Done::All)
}

/// Writes everything that is known of one table's run.
fn sheet(run: &TableRun) -> String {
    let mut lines = vec![
        format!("{}/{}", run.connection, run.table),
        format!("  run        {} ({})", run.run_id, run.trigger),
        format!("  mode       {}", run.mode),
        format!("  started    {}", run.started_at),
        format!("  ended      {}", run.ended_at.as_deref().unwrap_or("not yet, or killed")),
        format!("  outcome    {}", run.outcome_words()),
        format!(
            "  rows       {} read, {} loaded, {} replaced, {} superseded",
            output::count(run.rows_read),
            output::count(run.rows_loaded),
            output::count(run.rows_replaced),
            output::count(run.rows_superseded)
        ),
        format!(
            "  parts      {} staged, {} taken from an earlier attempt",
            run.parts_staged, run.parts_reused
        ),
        format!(
            "  bytes      {} received, {} staged",
            output::bytes(run.received_bytes),
            output::bytes(run.staged_bytes)
        ),
        format!(
            "  time       {} to pin, {} to stage, {} to load",
            output::span(run.pin_ms),
            output::span(run.stage_ms),
            output::span(run.load_ms)
        ),
        format!("  statements {} ({})", run.statements, run.query_ids.join(", ")),
    ];
    if let Some(remark) = run.remark() {
        lines.push(remark);
    }
    lines.join("\n")
}

/// Writes everything that is known of one push's run.
fn push_sheet(run: &PushRun) -> String {
    let mut lines = vec![
        format!("{}/{} → {}", run.connection, run.push, run.target),
        format!("  run        {} ({})", run.run_id, run.trigger),
        format!("  mode       {}", run.mode),
        format!("  started    {}", run.started_at),
        format!("  ended      {}", run.ended_at.as_deref().unwrap_or("not yet, or killed")),
        format!("  outcome    {}", run.outcome_words()),
        format!(
            "  rows       {} staged, {} applied, {} replaced",
            output::count(run.rows_staged),
            output::count(run.rows_applied),
            output::count(run.rows_replaced)
        ),
        format!("  sent       {} parts, {}", run.parts_staged, output::bytes(run.staged_bytes)),
        format!(
            "  time       {} to validate, {} to stage, {} to apply",
            output::span(run.pin_ms),
            output::span(run.stage_ms),
            output::span(run.apply_ms)
        ),
    ];
    if let Some(remark) = run.remark() {
        lines.push(remark);
    }
    lines.join("\n")
}

/// Takes the name of a connection that may have lost its file.
pub(crate) fn connection_name(name: &str) -> Result<ConnectionName, Failure> {
    ConnectionName::new(name).map_err(|error| {
        Failure::usage(
            format!("`{name}` is no connection's name: {error}"),
            "see `snowferry status`",
        )
    })
}
