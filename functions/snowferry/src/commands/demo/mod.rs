//! `snowferry demo`: the whole story on this machine, with a local Snowflake.
//!
//! Start a Snowflake, write a connection, check it, backfill, change rows at the source, pull
//! again, compare both sides value by value, write scores back into the customer's tables, and say
//! where the tables lie. It goes through the same code as the commands of the same names; only the
//! Snowflake is local.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde::Serialize;
use snowferry_bootstrap::app::App;
use snowferry_bootstrap::check::{CheckReport, check};
use snowferry_bootstrap::config::Connection;
use snowferry_emulator::engine::SessionContext;
use snowferry_emulator::{Emulator, EmulatorOptions};
use snowferry_pull::Ports;

use super::check::check_table;
use super::compare::{Comparison, compare, comparison_table};
use super::emulator;
use super::pull::{context, pull_all};
use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::interrupt::asked_to_stop;
use crate::output;
use crate::progress::{Watcher, watcher};
use crate::push_report::PushRun;
use crate::report::{TableRun, summary};

mod changes;
mod folder;
mod pushes;
mod words;

#[cfg(test)]
mod tests;

const AFTER: &str = "\
Needs no account, no network and nothing installed. The folder of an earlier demo is replaced.

Examples:
  snowferry demo
  snowferry demo --tpch 1                 six million line items instead of 300,000
  snowferry demo --folder /tmp/try --json";

/// Tells the whole story on this machine.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct DemoArgs {
    /// Where to put connection, key and data
    #[arg(long, value_name = "FOLDER", default_value = "./snowferry-demo")]
    folder: PathBuf,

    /// Scale of the larger table, LINEITEM: 1 is six million rows
    #[arg(long, value_name = "SCALE", default_value_t = 0.05, value_parser = emulator::scale)]
    tpch: f64,
}

/// What `demo --json` prints.
#[derive(Debug, Serialize)]
struct DemoReport {
    folder: PathBuf,
    check: CheckReport,
    backfill: Vec<TableRun>,
    changes: &'static [&'static str],
    incremental: Vec<TableRun>,
    comparison: Vec<Comparison>,
    equal: bool,
    pushes: Vec<PushRun>,
    duration_ms: u64,
}

/// Tells the story until its end or until it is interrupted.
pub(crate) async fn run(global: &Global, args: DemoArgs) -> Result<Done, Failure> {
    let home = folder::prepare(&args.folder)?;
    let say = Voice { json: global.json };
    say.step("1. Start a Snowflake on this machine");
    let options = EmulatorOptions { tpch_scale: args.tpch, ..EmulatorOptions::default() };
    let emulator = emulator::start(options).await?;
    say.line(format!("   listening on {}", emulator.ready().base_url));
    let file = folder::write_connection(&args.folder, &home, emulator.ready(), folder::tables())?;
    let app = App::new(home);
    let told = tokio::select! {
        told = Box::pin(story(&say, &app, &emulator, &file, &args.folder)) => told,
        asked = asked_to_stop() => asked.map(|()| Done::Interrupted),
    };
    app.sign_out().await;
    emulator.stop().await;
    told
}

/// Says things to people, or nothing when a script listens.
struct Voice {
    json: bool,
}

impl Voice {
    fn step(&self, text: &str) {
        self.line(format!("\n{text}"));
    }

    fn line(&self, text: impl std::fmt::Display) {
        if !self.json {
            // The story goes on when nobody listens any more; its folder is the result.
            let _ = output::line(text);
        }
    }
}

async fn story(
    say: &Voice,
    app: &App,
    emulator: &Emulator,
    file: &Path,
    folder: &Path,
) -> Result<Done, Failure> {
    let started = Instant::now();
    say.step("2. Sign in by key pair and check every prerequisite (snowferry check demo)");
    say.line(format!("   the connection is {}", file.display()));
    let connection = app.connection(folder::CONNECTION)?;
    let check = check(app, &connection).await?;
    say.line(check_table(&check));
    if !check.passed {
        return Err(Failure::ours("DEMO_CHECK", "the local Snowflake does not pass the check"));
    }

    say.step("3. Backfill (snowferry pull demo)");
    let watcher = watcher(say.json);
    let ports = app.ports(&connection, Arc::clone(&watcher) as Arc<_>)?;
    let backfill = pull(say, &ports, &connection, watcher.as_ref()).await?;

    say.step("4. Change rows at the source");
    change(say, emulator).await?;

    say.step(
        "5. Pull again: only new and changed rows travel, and those of the lookback once more",
    );
    let incremental = pull(say, &ports, &connection, watcher.as_ref()).await?;

    say.step("6. Compare both sides: every row, every value, read anew");
    let comparison = compare(&ports, &connection.name, &connection.tables).await?;
    say.line(comparison_table(&comparison));
    let equal = comparison.iter().all(|table| table.equal);
    let pushes = write_back(say, app, emulator, file).await?;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    if say.json {
        output::json(&DemoReport {
            folder: folder.to_owned(),
            check,
            backfill,
            changes: changes::STATEMENTS,
            incremental,
            comparison,
            equal,
            pushes,
            duration_ms,
        })?;
    } else if equal {
        let locations = comparison.iter().map(|table| table.location.as_str()).collect::<Vec<_>>();
        say.line(words::farewell(folder, &locations, duration_ms));
    }
    match equal {
        true => Ok(Done::All),
        false => Err(Failure::ours("DEMO_DIFFERS", "the two sides are not equal")),
    }
}

/// Writes scores into the customer's tables, twice: one table is rewritten, the other grows.
async fn write_back(
    say: &Voice,
    app: &App,
    emulator: &Emulator,
    file: &Path,
) -> Result<Vec<PushRun>, Failure> {
    say.step("7. The customer makes two tables and lets us write (snowferry setup-sql demo)");
    pushes::add_to(file)?;
    let connection = app.connection(folder::CONNECTION)?;
    pushes::set_up(say, emulator, &connection).await?;
    say.step("8. Write scores computed from the pulled rows back (snowferry push demo)");
    let mut runs = pushes::push(say, app, &connection).await?;
    say.step("9. Once more: the scores are exchanged in one step, the history grows");
    runs.extend(pushes::push(say, app, &connection).await?);
    Ok(runs)
}

/// Pulls every table; a table that fails ends the story.
async fn pull(
    say: &Voice,
    ports: &Ports,
    connection: &Connection,
    watcher: &dyn Watcher,
) -> Result<Vec<TableRun>, Failure> {
    let context = context(connection, "demo");
    let mut runs = Vec::new();
    Box::pin(pull_all(ports, &context, &connection.tables, 1, watcher, &mut runs)).await;
    say.line(summary(&runs));
    match runs.iter().find_map(|run| run.error.as_ref()) {
        Some(error) => Err(Failure::of_run(error)),
        None => Ok(runs),
    }
}

async fn change(say: &Voice, emulator: &Emulator) -> Result<(), Failure> {
    for statement in changes::STATEMENTS {
        say.line(format!("   {}", statement.replace('\n', "\n   ")));
        run_script(emulator, statement).await?;
    }
    Ok(())
}

/// Runs a statement as the customer does.
async fn run_script(emulator: &Emulator, statement: &str) -> Result<(), Failure> {
    let ready = emulator.ready();
    let mut session = SessionContext {
        user: ready.user.clone(),
        account: ready.account.to_uppercase(),
        role: Some(ready.role.clone()),
        warehouse: Some(ready.warehouse.clone()),
        ..SessionContext::default()
    };
    let ran = Box::pin(emulator.engine().run_script(&mut session, statement)).await;
    ran.map(|_| ()).map_err(|error| {
        Failure::ours("DEMO_CHANGE", format!("change the local Snowflake: {error}"))
    })
}
