//! The commands: each, or a few that belong together, in a file.

pub(crate) mod apply;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod control;
pub(crate) mod demo;
pub(crate) mod discover;
pub(crate) mod emulator;
pub(crate) mod init;
pub(crate) mod keygen;
pub(crate) mod maintain;
pub(crate) mod plan;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod query;
pub(crate) mod reset;
pub(crate) mod runs;
pub(crate) mod setup_sql;
pub(crate) mod state;
pub(crate) mod status;

#[cfg(test)]
mod tests;

use snowferry_bootstrap::trace::{self, LogForm};

use crate::args::{Cli, Command};
use crate::failure::{Done, Failure};

/// Runs what was typed.
pub(crate) async fn run(cli: Cli) -> Result<Done, Failure> {
    let global = &cli.global;
    let form = if global.log_json { LogForm::Json } else { LogForm::Text };
    trace::start(&global.log, form)?;
    match cli.command {
        Command::Demo(args) => Box::pin(demo::run(global, args)).await,
        Command::Emulator(args) => Box::pin(emulator::run(global, args)).await,
        Command::Init(args) => init::run(global, &args),
        Command::Keygen(args) => keygen::keygen(global, &args),
        Command::SetupSql(args) => setup_sql::run(global, &args),
        Command::Check(args) => Box::pin(check::run(global, args)).await,
        Command::Discover(args) => Box::pin(discover::run(global, args)).await,
        Command::Pull(args) => Box::pin(pull::run(global, args)).await,
        Command::Plan(args) => Box::pin(plan::run(global, args)).await,
        Command::Push(args) => Box::pin(push::run(global, args)).await,
        Command::Apply(args) => Box::pin(apply::run(global, args)).await,
        Command::Pause(args) => Box::pin(control::pause(global, args)).await,
        Command::Resume(args) => Box::pin(control::resume(global, args)).await,
        Command::Close(args) => Box::pin(control::close(global, args)).await,
        Command::Status(args) => Box::pin(status::run(global, args)).await,
        Command::Query(args) => Box::pin(query::run(global, args)).await,
        Command::Compare(args) => Box::pin(compare::run(global, args)).await,
        Command::Maintain(args) => Box::pin(maintain::run(global, args)).await,
        Command::Runs(args) => Box::pin(runs::list(global, args)).await,
        Command::Run(args) => Box::pin(runs::show(global, args)).await,
        Command::State(args) => Box::pin(state::run(global, args)).await,
        Command::RotateKey(args) => Box::pin(keygen::rotate(global, args)).await,
        Command::Reset(args) => Box::pin(reset::run(global, args)).await,
    }
}
