//! `snowferry reset`: makes the next pull of a table a new full backfill.

use std::sync::Arc;

use clap::Args;
use serde_json::json;
use snowferry_bootstrap::app::App;
use snowferry_model::names::TableName;
use snowferry_pull::{PullError, Silent};

use super::pull::{context, select};
use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output::{self, Question};

const AFTER: &str = "\
Nothing is deleted: readers keep the table as it is until the next pull has read everything anew
and exchanges it in one step.

Examples:
  snowferry reset acme --table CRM.PUBLIC.ACCOUNTS
  snowferry reset acme --table CRM.PUBLIC.ACCOUNTS --yes --json";

/// Makes the next pull of a table a new full backfill.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct ResetArgs {
    /// The connection
    name: String,

    /// The table
    #[arg(long, value_name = "DATABASE.SCHEMA.TABLE")]
    table: TableName,

    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Asks, then begins a new generation.
pub(crate) async fn run(global: &Global, args: ResetArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = app.connection(&args.name)?;
    let jobs = select(&connection, std::slice::from_ref(&args.table), None)?;
    let Some(job) = jobs.first() else {
        return Err(Failure::ours("RESET_SELECT", "no table was selected"));
    };
    if !args.yes && !confirmed(&args.table)? {
        output::note("nothing was changed");
        return Ok(Done::Nothing);
    }
    let ports = app.ports(&connection, Arc::new(Silent))?;
    let run = context(&connection, "reset");
    let generation = snowferry_pull::reset(&ports, &run, job).await.map_err(refused)?;
    app.sign_out().await;
    if global.json {
        let table = args.table.to_string();
        output::json(
            &json!({ "connection": args.name, "table": table, "generation": generation }),
        )?;
    } else {
        output::line(format!(
            "{} begins generation {generation}: the next `snowferry pull {}` backfills it anew",
            args.table, args.name
        ))?;
    }
    Ok(Done::All)
}

fn refused(error: PullError) -> Failure {
    let failure = Failure::of(&error, &error);
    match error {
        PullError::Contended { .. } => {
            failure.with_hint("a pull of this table is running; wait for its end, then try again")
        }
        _ => failure,
    }
}

fn confirmed(table: &TableName) -> Result<bool, Failure> {
    let name = table.to_string();
    let text = format!(
        "The next pull reads all of {name} anew, at the customer's cost.\n\
         Type the table's name to confirm:"
    );
    let of = "a reset";
    output::confirmed(Question { of, instead: "add --yes", text: &text, answer: &name })
}
