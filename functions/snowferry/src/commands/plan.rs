//! `snowferry plan`: what the pushes of a connection would do; nothing is written.

use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use snowferry_bootstrap::app::App;
use snowferry_model::push::ColumnVerdict;
use snowferry_push::{Preview, PushJob, Silent, preview};

use crate::args::Global;
use crate::commands::push;
use crate::failure::{Done, Failure};
use crate::output;
use crate::push_report::verdict_table;

const AFTER: &str = "\
Every column gets a verdict: `fits`, `checked` (each value is looked at while it is written),
`warning`, or `refused` with the repair. Exit code 1 if a push would be refused.

Examples:
  snowferry plan acme
  snowferry plan acme --name scores --json";

/// Shows what pushes would do.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct PlanArgs {
    /// The connection
    name: String,

    /// Only this push; may be given several times
    #[arg(long = "name", id = "push", value_name = "PUSH")]
    pushes: Vec<String>,
}

/// One push, in the form that `--json` prints.
#[derive(Debug, Serialize)]
struct PlanReport {
    push: String,
    target: String,
    mode: &'static str,
    guarantee: &'static str,
    refused: bool,
    target_rows: Option<u64>,
    /// Whether an earlier run's rows would be finished first.
    resumes: bool,
    /// The columns of the table that would be made.
    creates: Option<Vec<String>>,
    verdicts: Vec<ColumnVerdict>,
    /// Why the plan could not be made.
    error: Option<String>,
}

/// Judges every push and tells.
pub(crate) async fn run(global: &Global, args: PlanArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = app.connection(&args.name)?;
    let jobs = push::select(&connection, &args.pushes)?;
    let ports = app.push_ports(&connection, Arc::new(Silent))?;
    let context = push::context("plan", None);
    let mut reports = Vec::new();
    for job in &jobs {
        let previewed = Box::pin(preview(&ports, &context, job)).await;
        let previewed = previewed.map_err(|error| Failure::of(&error, &error))?;
        reports.push(report(job, previewed));
    }
    app.sign_out().await;
    let refused = reports.iter().filter(|report| report.refused).count();
    if global.json {
        output::json(&reports)?;
    } else {
        reports.iter().try_for_each(tell)?;
    }
    Ok(match refused {
        0 => Done::All,
        refused if refused < reports.len() => Done::Some,
        _ => Done::Nothing,
    })
}

fn report(job: &PushJob, preview: Preview) -> PlanReport {
    PlanReport {
        push: job.push.name.to_string(),
        target: job.target.to_string(),
        mode: job.mode.as_str(),
        guarantee: preview.guarantee,
        refused: preview.is_refused(),
        target_rows: preview.target_rows,
        resumes: preview.resumes,
        creates: preview.creates.map(|columns| {
            columns
                .iter()
                .map(|column| {
                    let null = if column.nullable { "" } else { " NOT NULL" };
                    format!("{} {}{null}", column.name, column.declared())
                })
                .collect()
        }),
        verdicts: preview.verdicts,
        error: None,
    }
}

fn tell(report: &PlanReport) -> Result<(), Failure> {
    let rows = match report.target_rows {
        Some(rows) => format!(", {} now", output::number_of(rows, "row")),
        None => String::new(),
    };
    output::line(format!("{} → {} [{}{rows}]", report.push, report.target, report.mode))?;
    if let Some(columns) = &report.creates {
        output::line(format!("  makes the table: {}", columns.join(", ")))?;
    }
    if report.resumes {
        output::line("  an earlier run's rows are finished first")?;
    }
    output::line(verdict_table(&report.verdicts))?;
    output::line(format!("  promises: {}", report.guarantee))?;
    output::line(match report.refused {
        true => "  would be refused; nothing would be written\n",
        false => "  would be written\n",
    })
}
