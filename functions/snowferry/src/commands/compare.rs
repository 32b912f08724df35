//! `snowferry compare`: reads a table on both sides and compares count and hash of all values.

use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use serde_json::json;
use snowferry_bootstrap::app::App;
use snowferry_model::names::{ConnectionName, TableName};
use snowferry_model::state::StreamKey;
use snowferry_pull::{Ports, Silent, TableJob};

use super::pull::select;
use crate::args::Global;
use crate::digest;
use crate::failure::{Done, Failure};
use crate::output::{self, Side};

const AFTER: &str = "\
Reads each table whole at the source, at the customer's cost, and in our database. Rows that were
changed or deleted at the source since the last pull show as a difference.

Exit codes: 0 equal, 1 all different, 3 some different

Examples:
  snowferry compare acme
  snowferry compare acme --table CRM.PUBLIC.ACCOUNTS --json";

/// Compares both sides of tables, value by value.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct CompareArgs {
    /// The connection
    name: String,

    /// Only this table; may be given several times
    #[arg(long = "table", value_name = "DATABASE.SCHEMA.TABLE")]
    tables: Vec<TableName>,
}

/// One table at its source and in our database.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) table: String,
    pub(crate) source_rows: u64,
    pub(crate) table_rows: u64,
    source_hash: String,
    table_hash: String,
    pub(crate) equal: bool,
    pub(crate) location: String,
}

/// Compares and tells; a difference is a failure of the command.
pub(crate) async fn run(global: &Global, args: CompareArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = app.connection(&args.name)?;
    let jobs = select(&connection, &args.tables, None)?;
    let ports = app.ports(&connection, Arc::new(Silent))?;
    let comparison = Box::pin(compare(&ports, &connection.name, &jobs)).await;
    app.sign_out().await;
    let comparison = comparison?;
    if global.json {
        output::json(&json!({ "connection": args.name, "tables": comparison }))?;
    } else {
        output::line(comparison_table(&comparison))?;
    }
    Ok(match comparison.iter().filter(|table| table.equal).count() {
        equal if equal == comparison.len() => Done::All,
        0 => Done::Nothing,
        _ => Done::Some,
    })
}

/// Compares some tables of a connection.
pub(crate) async fn compare(
    ports: &Ports,
    connection: &ConnectionName,
    jobs: &[TableJob],
) -> Result<Vec<Comparison>, Failure> {
    let mut all = Vec::with_capacity(jobs.len());
    for job in jobs {
        let stream = StreamKey { connection: connection.clone(), table: job.table.clone() };
        let (ours, schema) = digest::of_table(ports, &stream).await?;
        let source = digest::of_source(ports, job, schema).await?;
        let summary = ports.database.summary(&stream).await;
        let location = summary.ok().flatten().map(|summary| summary.location).unwrap_or_default();
        all.push(Comparison {
            table: job.table.to_string(),
            source_rows: source.rows,
            table_rows: ours.rows,
            source_hash: source.to_string(),
            table_hash: ours.to_string(),
            equal: ours == source,
            location,
        });
    }
    Ok(all)
}

/// Lays a comparison out for people.
pub(crate) fn comparison_table(comparison: &[Comparison]) -> comfy_table::Table {
    let headings = [
        ("table", Side::Left),
        ("rows in Snowflake", Side::Right),
        ("rows here", Side::Right),
        ("hash in Snowflake", Side::Left),
        ("hash here", Side::Left),
        ("", Side::Left),
    ];
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    let rows = comparison.iter().map(|table| {
        vec![
            table.table.clone(),
            output::count(table.source_rows),
            output::count(table.table_rows),
            short(&table.source_hash),
            short(&table.table_hash),
            if table.equal { "equal".to_owned() } else { "DIFFERENT".to_owned() },
        ]
    });
    output::table(&headings, rows.collect())
}
