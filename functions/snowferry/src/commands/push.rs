//! `snowferry push`: writes the rows of queries into the customer's tables.

use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use snowferry_bootstrap::app::App;
use snowferry_bootstrap::clock;
use snowferry_bootstrap::config::Connection;
use snowferry_model::push::PushName;
use snowferry_push::{Limits, Ports, PushContext, PushJob, push_table, target_lease};

use super::control::rests;
use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::interrupt::asked_to_stop;
use crate::output;
use crate::push_progress::{PushWatcher, watcher};
use crate::push_report::{PushRun, summary};

const AFTER: &str = "\
Each push validates its target first (see `snowferry plan`) and writes in one transaction: readers
see the old or the new content. A push that is interrupted or killed goes on where it stopped.

Examples:
  snowferry push acme
  snowferry push acme --name scores --json";

/// Writes rows into the customer's tables.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct PushArgs {
    /// The connection
    pub(crate) name: String,

    /// Only this push; may be given several times
    #[arg(long = "name", id = "push", value_name = "PUSH")]
    pub(crate) pushes: Vec<String>,

    /// Who asked for this run, as `runs` will show it
    #[arg(long, value_name = "WORD", default_value = "manual")]
    pub(crate) trigger: String,

    /// A run's id of your own: the same id never writes a second time
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: Option<String>,
}

/// What `push --json` prints.
#[derive(Debug, Serialize)]
struct PushReport<'a> {
    connection: &'a str,
    run_id: &'a str,
    /// `done`, `some_failed`, `failed` or `interrupted`.
    outcome: &'static str,
    pushes: &'a [PushRun],
}

/// Pushes, shows progress, and tells what happened.
pub(crate) async fn run(global: &Global, args: PushArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = app.connection(&args.name)?;
    let jobs = select(&connection, &args.pushes)?;
    if rests(global, &app, &connection.name)? {
        return Ok(Done::All);
    }
    let watcher = watcher(global.json);
    let ports = app.push_ports(&connection, Arc::clone(&watcher) as Arc<_>)?;
    let context = context(&args.trigger, args.run_id);
    let mut runs = Vec::new();
    let pushing = Box::pin(push_all(&ports, &context, &jobs, watcher.as_ref(), &mut runs));
    let interrupted = tokio::select! {
        () = pushing => false,
        asked = asked_to_stop() => { asked?; true }
    };
    if interrupted {
        release(&ports, &context, &jobs).await;
    }
    app.sign_out().await;
    tell(global, &args.name, &context.run_id, &runs, interrupted)
}

/// Returns the pushes that were asked for, in the order of the connection file.
pub(crate) fn select(connection: &Connection, names: &[String]) -> Result<Vec<PushJob>, Failure> {
    let file = connection.file.display();
    let known: Vec<&PushName> = connection.pushes.iter().map(|job| &job.push.name).collect();
    if known.is_empty() {
        let hint = "add a `push` part; `snowferry init --help` tells where an example is";
        return Err(Failure::usage(format!("{file} names no push"), hint));
    }
    for name in names {
        if !known.iter().any(|known| known.as_str() == name) {
            let known: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
            return Err(Failure::usage(
                format!("{file} names no push {name}"),
                format!("name one of {}", known.join(", ")),
            ));
        }
    }
    let wanted = |job: &&PushJob| {
        names.is_empty() || names.iter().any(|name| job.push.name.as_str() == name)
    };
    Ok(connection.pushes.iter().filter(wanted).cloned().collect())
}

/// Returns who runs, as what.
pub(crate) fn context(trigger: &str, run_id: Option<String>) -> PushContext {
    PushContext {
        run_id: run_id.unwrap_or_else(clock::new_run_id),
        trigger: trigger.to_owned(),
        owner: clock::owner(clock::now()),
        deadline: None,
        limits: Limits::default(),
    }
}

/// Pushes one after another and adds each to `runs` as it ends.
pub(crate) async fn push_all(
    ports: &Ports,
    context: &PushContext,
    jobs: &[PushJob],
    watcher: &dyn PushWatcher,
    runs: &mut Vec<PushRun>,
) {
    for job in jobs {
        let record = Box::pin(push_table(ports, context, job)).await;
        watcher.ended(&record.push);
        runs.push(PushRun::of(&record));
    }
}

/// Gives the targets free after the push was dropped in the middle.
async fn release(ports: &Ports, context: &PushContext, jobs: &[PushJob]) {
    for job in jobs {
        let Ok(lease) = target_lease(&job.account, &job.target) else { continue };
        if let Err(error) = ports.leases.release(&lease, &context.owner).await {
            tracing::warn!(%error, "release a lease");
        }
    }
}

fn tell(
    global: &Global,
    connection: &str,
    run_id: &str,
    runs: &[PushRun],
    interrupted: bool,
) -> Result<Done, Failure> {
    let failed = runs.iter().filter(|run| run.is_failed()).count();
    let (done, outcome) = match failed {
        _ if interrupted => (Done::Interrupted, "interrupted"),
        0 => (Done::All, "done"),
        failed if failed < runs.len() => (Done::Some, "some_failed"),
        _ => (Done::Nothing, "failed"),
    };
    if global.json {
        output::json(&PushReport { connection, run_id, outcome, pushes: runs })?;
        return Ok(done);
    }
    if !runs.is_empty() {
        output::line(summary(runs))?;
    }
    for remark in runs.iter().filter_map(PushRun::remark) {
        output::note(remark);
    }
    if interrupted {
        output::note(format!(
            "interrupted: no row is lost or doubled; `snowferry push {connection}` goes on where \
             this run stopped"
        ));
    }
    Ok(done)
}
