//! The cost of the runs after a backfill: an upsert of changed rows, and a run with nothing new.
//!
//! A table with a key and a cursor is made from line items. Each round changes rows that lie
//! spread over all of it, pulls, and pulls once more. The backfill is one run before the rounds;
//! its figures are printed as well.

use std::fs;

use clap::Args;
use serde_json::Value;

use crate::error::{BenchError, io};
use crate::figures::{Report, Result as Figures, Round};
use crate::process::say;
use crate::pull::rows_of;
use crate::stage::{Measured, Stage};

const TABLE: &str = "BENCH.PUBLIC.ITEMS";

/// Measures what changed rows cost, and a run that finds nothing.
#[derive(Debug, Args)]
pub(crate) struct RepeatArgs {
    /// About how many rows the table has
    #[arg(long, default_value_t = 10_000_000,
          value_parser = clap::value_parser!(u32).range(10_000..=100_000_000))]
    rows: u32,

    /// About how many of them change before each round
    #[arg(long, default_value_t = 100_000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    changed: u32,

    /// How many rounds count
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    #[command(flatten)]
    measured: Measured,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub(crate) fn run(args: &RepeatArgs) -> Result<(), BenchError> {
    let table = format!("{{ table: {TABLE}, key: [ID], cursor: CHANGED_AT }}");
    let stage = Stage::start(args.measured.command()?, args.rows, &table)?;
    stage.sql(&format!(
        "CREATE DATABASE BENCH; CREATE SCHEMA IF NOT EXISTS BENCH.PUBLIC; CREATE TABLE {TABLE} AS \
         SELECT L_ORDERKEY * 10 + L_LINENUMBER AS ID, \
         '2026-01-01 00:00:00'::TIMESTAMP_NTZ(6) AS CHANGED_AT, L_PARTKEY, L_QUANTITY, \
         L_EXTENDEDPRICE, L_SHIPDATE, L_SHIPMODE, L_COMMENT \
         FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM;"
    ))?;
    let home = stage.path("home");
    fs::create_dir(&home).map_err(io("make the data folder"))?;
    let (backfill, rows) = stage.measure("backfill", &mut stage.pull(&home), rows_of)?;
    let (mut upserts, mut idle) = (Vec::new(), Vec::new());
    let every = (rows / u64::from(args.changed)).max(1);
    for round in 0..=args.rounds {
        stage.sql(&format!(
            "UPDATE {TABLE} SET L_COMMENT = 'changed {round}', CHANGED_AT = DATEADD('minute', \
             {round} + 1, '2026-01-01 00:00:00'::TIMESTAMP_NTZ(6)) \
             WHERE MOD(FLOOR(ID / 10), {every}) = {};",
            u64::from(round) % every
        ))?;
        let (changed, found) = stage.measure("changed rows", &mut stage.pull(&home), rows_of)?;
        let (nothing, _) = stage.measure("nothing new", &mut stage.pull(&home), nothing_new)?;
        let (busy, quiet) = (changed.cpu_s, nothing.cpu_s);
        say(&format!(
            "round {round} of {}: {found} rows changed: {busy:.2} CPU s; nothing new: {quiet:.2}",
            args.rounds
        ));
        if round > 0 {
            upserts.push(changed);
            idle.push(nothing);
        }
    }
    let result = |name: &str, rounds: Vec<Round>| Figures::of(name, rounds);
    let results = vec![
        result("backfill", vec![backfill]),
        result("changed rows", upserts),
        result("nothing new", idle),
    ];
    Report::of(rows, args.rounds, args.measured.profile, results).print(args.json)
}

/// No rows; `None` when the run read some after all.
fn nothing_new(printed: &str) -> Option<u64> {
    let printed: Value = serde_json::from_str(printed).ok()?;
    let tables = printed.get("tables")?.as_array()?;
    let quiet = |table: &Value| {
        let outcome = table.get("outcome").and_then(Value::as_str);
        outcome.is_some_and(|outcome| outcome != "loaded" && outcome != "failed")
    };
    (!tables.is_empty() && tables.iter().all(quiet)).then_some(0)
}
