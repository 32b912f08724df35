//! `snowferry maintain`: keeps tables small and quick to read.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use snowferry_bootstrap::app::{App, When};
use snowferry_bootstrap::config::{self, Connection};
use snowferry_bootstrap::{Maintained, MaintenancePolicy};
use snowferry_model::fault::chain;
use snowferry_model::names::TableName;

use super::pull::select;
use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output::{self, Side};

const AFTER: &str = "\
A pull does this by itself after every tenth version of a table. Rows are not changed, and readers
of any version that was the newest within the retention find all its files.

Examples:
  snowferry maintain
  snowferry maintain acme --table CRM.PUBLIC.ACCOUNTS --retention-days 1";

/// Merges small files of tables, and deletes files that nobody needs.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct MaintainArgs {
    /// Only this connection
    name: Option<String>,

    /// Only this table of it; may be given several times
    #[arg(long = "table", value_name = "DATABASE.SCHEMA.TABLE", requires = "name")]
    tables: Vec<TableName>,

    /// How long files of old versions stay for their readers
    #[arg(long, value_name = "DAYS", default_value_t = 7,
          value_parser = clap::value_parser!(u64).range(0..=30))]
    retention_days: u64,
}

/// What was done to one table, in the form that `--json` prints.
#[derive(Debug, Serialize)]
struct TableReport {
    connection: String,
    table: String,
    merged_files: u64,
    written_files: u64,
    deleted_files: u64,
    deleted_bytes: u64,
    error: Option<String>,
}

/// Maintains and tells.
pub(crate) async fn run(global: &Global, args: MaintainArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let names = match &args.name {
        Some(name) => vec![name.clone()],
        None => config::names(app.home().connections()),
    };
    let retention = Duration::from_secs(args.retention_days * 24 * 3600);
    let policy = MaintenancePolicy { retention, ..MaintenancePolicy::default() };
    let mut reports = Vec::new();
    for name in &names {
        let connection = app.connection(name)?;
        let jobs = select(&connection, &args.tables, None)?;
        let tables = jobs.iter().map(|job| &job.table);
        for (table, done) in app.maintain(&connection, tables, &policy, When::Now).await? {
            let (maintained, error) = match done {
                Ok(maintained) => (maintained, None),
                Err(error) => (Maintained::default(), Some(chain(&error))),
            };
            reports.push(TableReport {
                connection: name.clone(),
                table: table.to_string(),
                merged_files: maintained.merged_files,
                written_files: maintained.written_files,
                deleted_files: maintained.deleted_files,
                deleted_bytes: maintained.deleted_bytes,
                error,
            });
        }
    }
    if global.json {
        output::json(&reports)?;
    } else {
        tell(&reports)?;
    }
    Ok(match reports.iter().filter(|report| report.error.is_some()).count() {
        0 => Done::All,
        failed if failed == reports.len() => Done::Nothing,
        _ => Done::Some,
    })
}

/// Maintains the tables of a pull that are due. The pull is done, so a failure is only logged.
pub(crate) async fn after_pull<'a>(
    app: &App,
    connection: &Connection,
    tables: impl IntoIterator<Item = &'a TableName>,
) {
    let policy = MaintenancePolicy::default();
    match app.maintain(connection, tables, &policy, When::IfDue).await {
        Ok(all) => {
            for (table, done) in all {
                if let Err(error) = done {
                    tracing::warn!(%table, error = chain(&error), "maintain a table");
                }
            }
        }
        Err(error) => tracing::warn!(error = chain(&error), "maintain the tables"),
    }
}

fn tell(reports: &[TableReport]) -> Result<(), Failure> {
    let headings = [
        ("connection", Side::Left),
        ("table", Side::Left),
        ("files merged", Side::Right),
        ("into", Side::Right),
        ("files deleted", Side::Right),
        ("freed", Side::Right),
    ];
    let row = |report: &TableReport| {
        vec![
            report.connection.clone(),
            report.table.clone(),
            output::count(report.merged_files),
            output::count(report.written_files),
            output::count(report.deleted_files),
            output::bytes(report.deleted_bytes),
        ]
    };
    output::line(output::table(&headings, reports.iter().map(row).collect()))?;
    for report in reports {
        if let Some(error) = &report.error {
            output::note(format!("{} of {}: {error}", report.table, report.connection));
        }
    }
    Ok(())
}
