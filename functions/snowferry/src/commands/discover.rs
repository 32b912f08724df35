//! `snowferry discover`: tables with candidates for key and cursor.

use clap::Args;
use futures::StreamExt;
use serde::Serialize;
use snowferry_bootstrap::SnowflakeError;
use snowferry_bootstrap::account::{Account, ListedTable};
use snowferry_bootstrap::app::App;
use snowferry_bootstrap::candidates::{Candidates, candidates};
use snowferry_model::fault::chain;
use snowferry_model::types::TableDescription;

use crate::args::Global;
use crate::failure::{Done, Failure};
use crate::output::{self, Side};

const AFTER: &str = "\
PATTERN is matched against DATABASE.SCHEMA.TABLE or its end (ACCOUNTS, PUBLIC.*), whatever the case;
* stands for any text. Candidates are guesses by name and type: a cursor must grow with every insert and
update, a key must tell a row from every other. Nothing is read from the tables.

Examples:
  snowferry discover acme
  snowferry discover acme 'CRM.PUBLIC.*'
  snowferry discover acme accounts --columns";

/// How many tables are described at the same time.
const AT_ONCE: usize = 4;

/// Lists tables with candidates for key and cursor.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER)]
pub(crate) struct DiscoverArgs {
    /// The connection
    name: String,

    /// Which tables
    #[arg(default_value = "*")]
    pattern: String,

    /// Show the columns of each table
    #[arg(long)]
    columns: bool,

    /// At most how many tables to look at
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// What `discover --json` prints.
#[derive(Debug, Serialize)]
struct DiscoverReport {
    connection: String,
    /// Tables that match, of which at most the limit are listed.
    matching: usize,
    tables: Vec<TableReport>,
}

/// One table.
#[derive(Debug, Serialize)]
struct TableReport {
    #[serde(flatten)]
    listed: ListedTable,
    #[serde(flatten)]
    candidates: Candidates,
    columns: Vec<ColumnReport>,
    /// Why the table could not be described.
    trouble: Option<String>,
}

/// One column.
#[derive(Debug, Serialize)]
struct ColumnReport {
    name: String,
    data_type: String,
    nullable: bool,
    primary_key: bool,
}

/// Lists and guesses.
pub(crate) async fn run(global: &Global, args: DiscoverArgs) -> Result<Done, Failure> {
    let app = App::new(global.home());
    let connection = app.connection(&args.name)?;
    let client = app.client(&connection)?;
    let looked = look(client.as_ref(), &args).await;
    app.sign_out().await;
    let report = looked.map_err(|error| Failure::of(&error, &error))?;
    if global.json {
        output::json(&report)?;
    } else {
        tell(&report, &args)?;
    }
    Ok(Done::All)
}

async fn look(
    account: &dyn Account,
    args: &DiscoverArgs,
) -> Result<DiscoverReport, SnowflakeError> {
    let mut listed = account.tables(&args.pattern).await?;
    let matching = listed.len();
    listed.truncate(args.limit);
    let tables = futures::stream::iter(listed)
        .map(|listed| async move {
            let described = account.describe_whole(&listed.table).await;
            table_report(listed, described)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    Ok(DiscoverReport { connection: args.name.clone(), matching, tables })
}

fn table_report(
    listed: ListedTable,
    described: Result<TableDescription, SnowflakeError>,
) -> TableReport {
    match described {
        Ok(description) => TableReport {
            candidates: candidates(&description, &listed.table.table),
            columns: description
                .columns
                .iter()
                .map(|column| ColumnReport {
                    name: column.name.to_string(),
                    data_type: column.data_type.to_string(),
                    nullable: column.nullable,
                    primary_key: column.primary_key,
                })
                .collect(),
            listed,
            trouble: None,
        },
        Err(error) => TableReport {
            listed,
            candidates: Candidates::default(),
            columns: Vec::new(),
            trouble: Some(chain(&error)),
        },
    }
}

fn tell(report: &DiscoverReport, args: &DiscoverArgs) -> Result<(), Failure> {
    if report.tables.is_empty() {
        return output::line(format!(
            "no table that the role can see matches {}; is SELECT granted?",
            args.pattern
        ));
    }
    let headings = [
        ("table", Side::Left),
        ("kind", Side::Left),
        ("rows", Side::Right),
        ("size", Side::Right),
        ("key?", Side::Left),
        ("cursor?", Side::Left),
        ("look out", Side::Left),
    ];
    output::line(output::table(&headings, report.tables.iter().map(row).collect()))?;
    if args.columns {
        report.tables.iter().try_for_each(tell_columns)?;
    }
    let hidden = report.matching - report.tables.len();
    if hidden > 0 {
        output::line(format!("{hidden} more match; raise --limit or narrow the pattern"))?;
    }
    Ok(())
}

fn row(table: &TableReport) -> Vec<String> {
    let joined = |names: &[snowferry_model::names::Identifier]| {
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let unknown = || "?".to_owned();
    let mut remarks = table.candidates.warnings.clone();
    remarks.extend(table.trouble.clone());
    vec![
        table.listed.table.to_string(),
        table.listed.kind.to_lowercase(),
        table.listed.rows.map_or_else(unknown, output::count),
        table.listed.size_bytes.map_or_else(unknown, output::bytes),
        joined(&table.candidates.key),
        joined(&table.candidates.cursors),
        remarks.join("; "),
    ]
}

fn tell_columns(table: &TableReport) -> Result<(), Failure> {
    let headings = [("column", Side::Left), ("type", Side::Left), ("", Side::Left)];
    let rows = table.columns.iter().map(|column| {
        let mut marks = Vec::new();
        if column.primary_key {
            marks.push("primary key");
        }
        if !column.nullable {
            marks.push("not null");
        }
        vec![column.name.clone(), column.data_type.clone(), marks.join(", ")]
    });
    output::line(format!("\n{}", table.listed.table))?;
    output::line(output::table(&headings, rows.collect()))
}
