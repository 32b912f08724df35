//! `snowferry pause`, `resume`, `close`: whether the runs of a connection start.

use clap::Args;
use serde_json::json;
use snowferry_bootstrap::app::App;
use snowferry_model::names::ConnectionName;

use super::apply::StackArgs;
use super::runs::connection_name;
use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output::{self, Question};

const PAUSE_AFTER: &str = "\
A paused connection's pulls and pushes end at once, with exit code 0; a run that is under way ends
by itself. On AWS its schedules rest too.

Examples:
  snowferry pause acme                      on this machine
  snowferry pause acme --stack stack.json   on AWS";

const RESUME_AFTER: &str = "\
On AWS its schedules start runs again. A connection that was closed there is not paused:
`snowferry apply` opens it again.

Examples:
  snowferry resume acme                      on this machine
  snowferry resume acme --stack stack.json   on AWS";

const CLOSE_AFTER: &str = "\
On AWS the connection's schedules and secrets go; on this machine it is paused. What stays is named,
with the way to remove it: no table, state or file is deleted by this command.

Examples:
  snowferry close acme
  snowferry close acme --stack stack.json --yes";

/// Keeps the runs of a connection from starting.
#[derive(Clone, Debug, Args)]
#[command(after_help = PAUSE_AFTER)]
pub(crate) struct PauseArgs {
    /// The connection
    name: String,

    #[command(flatten)]
    stack: StackArgs,
}

/// Lets the runs of a paused connection start again.
#[derive(Clone, Debug, Args)]
#[command(after_help = RESUME_AFTER)]
pub(crate) struct ResumeArgs {
    /// The connection
    name: String,

    #[command(flatten)]
    stack: StackArgs,
}

/// Ends a connection.
#[derive(Clone, Debug, Args)]
#[command(after_help = CLOSE_AFTER)]
pub(crate) struct CloseArgs {
    /// The connection
    name: String,

    #[command(flatten)]
    stack: StackArgs,

    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Pauses.
pub(crate) async fn pause(global: &Global, args: PauseArgs) -> Result<Done, Failure> {
    let name = connection_name(&args.name)?;
    match args.stack.operator().await? {
        Some(operator) => operator.pause(&name).await?,
        None => here(global, &name)?.pause(&name)?,
    }
    let stack = args.stack.typed();
    let text = format!("{name} is paused; `snowferry resume {name}{stack}` lets runs start again");
    told(global, &name, "paused", &text)
}

/// Resumes.
pub(crate) async fn resume(global: &Global, args: ResumeArgs) -> Result<Done, Failure> {
    let name = connection_name(&args.name)?;
    match args.stack.operator().await? {
        Some(operator) => operator.resume(&name).await?,
        None => here(global, &name)?.resume(&name)?,
    }
    told(global, &name, "active", &format!("{name} is active: its runs start again"))
}

/// Closes and tells what stays.
pub(crate) async fn close(global: &Global, args: CloseArgs) -> Result<Done, Failure> {
    let name = connection_name(&args.name)?;
    let operator = args.stack.operator().await?;
    if !args.yes && !confirmed(&name)? {
        output::note("nothing was changed");
        return Ok(Done::Nothing);
    }
    let (end, removed, stays) = match operator {
        Some(operator) => {
            let closed = operator.close(&name).await?;
            let end = format!("{name} is closed: no run starts any more");
            (end, closed.removed, closed.stays)
        }
        None => {
            let app = here(global, &name)?;
            let connection = app.connection(&args.name)?;
            app.pause(&name)?;
            let end =
                format!("{name} is paused for good; only `snowferry resume {name}` ends that");
            (end, Vec::new(), app.remains(&connection))
        }
    };
    if global.json {
        output::json(&json!({ "connection": name, "removed": removed, "stays": stays }))?;
        return Ok(Done::All);
    }
    output::line(end)?;
    for (heading, things) in [("removed:", removed), ("what stays:", stays)] {
        if !things.is_empty() {
            output::line(heading)?;
        }
        for thing in things {
            output::line(format!("  {thing}"))?;
        }
    }
    Ok(Done::All)
}

/// Returns whether a connection of this machine is paused, and says so if it is.
pub(crate) fn rests(global: &Global, app: &App, name: &ConnectionName) -> Result<bool, Failure> {
    if !app.is_paused(name)? {
        return Ok(false);
    }
    if global.json {
        output::json(&json!({ "connection": name, "outcome": "paused" }))?;
    } else {
        output::note(format!(
            "{name} is paused, nothing was done; `snowferry resume {name}` lets runs start again"
        ));
    }
    Ok(true)
}

/// The data folder of this machine, where the connection must have its file.
fn here(global: &Global, name: &ConnectionName) -> Result<App, Failure> {
    let app = App::new(global.home());
    // A misspelt name would rest for ever, and nobody would know.
    app.connection(name.as_str())?;
    Ok(app)
}

fn told(global: &Global, name: &ConnectionName, status: &str, text: &str) -> Result<Done, Failure> {
    if global.json {
        output::json(&json!({ "connection": name, "status": status }))?;
    } else {
        output::line(text)?;
    }
    Ok(Done::All)
}

fn confirmed(name: &ConnectionName) -> Result<bool, Failure> {
    let text = format!("No run of {name} will start any more.\nType its name to confirm:");
    let of = "closing";
    output::confirmed(Question { of, instead: "add --yes", text: &text, answer: name.as_str() })
}
