//! `snowferry state export` and `import`: the progress of tables as readable JSON.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use snowferry_bootstrap::app::App;
use snowferry_bootstrap::state::{self, Existing};

use super::runs::connection_name;
use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output;

const AFTER: &str = "\
A state says how far a table is loaded. The rows are in the tables' folder and the tables' plans in
the staging folder: whoever moves to another machine copies those two as well.

Examples:
  snowferry state export > states.json
  snowferry state export acme
  snowferry state import states.json";

/// Writes or reads the progress of tables as JSON.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum StateCommand {
    /// Write the progress of all tables, or of one connection's, to standard output
    Export {
        /// The connection
        name: Option<String>,
    },
    /// Take over the progress of tables from a file; what differs here is refused
    Import {
        /// What `state export` wrote
        file: PathBuf,

        /// Replace what differs here
        #[arg(long)]
        replace: bool,
    },
}

/// Exports or imports.
pub(crate) async fn run(global: &Global, args: StateArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    match args.command {
        StateCommand::Export { name } => {
            let name = name.as_deref().map(connection_name).transpose()?;
            output::json(&state::export(&app, name.as_ref()).await?)?;
        }
        StateCommand::Import { file, replace } => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failure::local(format!("read {}", file.display()), &error))?;
            let existing = if replace { Existing::Replace } else { Existing::Keep };
            let report = state::import(&app, &state::read(&text)?, existing).await?;
            if global.json {
                output::json(&report)?;
            } else {
                output::line(format!(
                    "took over {}, {} were the same already",
                    output::number_of(report.written.len() as u64, "table"),
                    report.unchanged.len()
                ))?;
            }
        }
    }
    Ok(Done::All)
}
