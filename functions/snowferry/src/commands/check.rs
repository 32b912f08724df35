//! `snowferry check`: every prerequisite of a connection, all failures at once.

use clap::Args;
use snowferry_bootstrap::app::App;
use snowferry_bootstrap::check::{CheckReport, Verdict, check};

use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output::{self, Side};

const AFTER: &str = "\
Signs in, then looks at role, warehouse, and each table with its columns. Every failure is told at
once, with the statement that repairs it. Nothing is changed, no row is read, and no warehouse is
started.

Examples:
  snowferry check acme
  snowferry check acme --json";

/// Tests every prerequisite of a connection.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct CheckArgs {
    /// The connection
    name: String,
}

/// Checks and tells.
pub(crate) async fn run(global: &Global, args: CheckArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = app.connection(&args.name)?;
    let report = check(&app, &connection).await?;
    app.sign_out().await;
    let done = if report.passed { Done::All } else { Done::Nothing };
    if global.json {
        output::json(&report)?;
        return Ok(done);
    }
    output::line(check_table(&report))?;
    for item in &report.items {
        if item.verdict != Verdict::Failed && item.repair.is_none() {
            continue;
        }
        output::line(format!("\n{}: {}", item.subject, item.found))?;
        if let Some(repair) = &item.repair {
            output::line(format!("  repair: {repair}"))?;
        }
    }
    if report.passed {
        output::line(format!("\nall is ready: `snowferry pull {}`", args.name))?;
    }
    Ok(done)
}

/// Lays out what was checked.
pub(crate) fn check_table(report: &CheckReport) -> comfy_table::Table {
    let headings = [("", Side::Left), ("what", Side::Left), ("found", Side::Left)];
    let rows = report.items.iter().map(|item| {
        let mark = match item.verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "not tried",
        };
        vec![mark.to_owned(), item.subject.clone(), shortened(&item.found)]
    });
    output::table(&headings, rows.collect())
}

/// Cuts what would make the table too wide; the whole of a failure stands below it.
fn shortened(found: &str) -> String {
    const WIDEST: usize = 64;
    if found.chars().count() <= WIDEST {
        return found.to_owned();
    }
    found.chars().take(WIDEST - 1).chain(['…']).collect()
}
