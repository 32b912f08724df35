//! The cost of a backfill: `snowferry pull` of TPC-H lineitem, beside what people use today.
//!
//! 1. Build the command, start its emulator.
//! 2. One round that does not count: every contender once, so that the emulator keeps its answer
//!    and the machine has the files in memory. It also settles how many rows there are.
//! 3. The rounds: every contender once in each, so that a bad minute of the machine meets all.
//!
//! Each run starts from an empty folder. A contender that reads another number of rows than the
//! others ends the benchmark: its figures would compare nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Args;
use serde_json::Value;

use crate::error::{BenchError, io};
use crate::figures::{Report, Round};
use crate::rounds::{self, Contender, Peer, contenders};
use crate::stage::{Measured, Stage};

const TABLE: &str = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM";

/// Measures a backfill of TPC-H lineitem from the local emulator.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// About how many rows to pull
    #[arg(long, default_value_t = 10_000_000,
          value_parser = clap::value_parser!(u32).range(10_000..=500_000_000))]
    rows: u32,

    /// How many rounds count
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// Measure others with pyarrow too: Snowflake's Python connector by the Python that
    /// SNOWFERRY_JUDGE_CONNECTOR5 names, ADBC by that of SNOWFERRY_JUDGE_ADBC
    #[arg(long)]
    peers: bool,

    #[command(flatten)]
    measured: Measured,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Each runs a script that reads the table by another driver and writes Parquet.
const PEERS: [Peer; 2] = [
    Peer {
        name: "connector 5 + pyarrow",
        variable: "SNOWFERRY_JUDGE_CONNECTOR5",
        runs: concat!(env!("CARGO_MANIFEST_DIR"), "/peer_connector.py"),
    },
    Peer {
        name: "ADBC + pyarrow",
        variable: "SNOWFERRY_JUDGE_ADBC",
        runs: concat!(env!("CARGO_MANIFEST_DIR"), "/peer_adbc.py"),
    },
];

/// Measures and prints.
pub(crate) fn run(args: &PullArgs) -> Result<(), BenchError> {
    let contenders = contenders("snowferry pull", &PEERS, args.peers)?;
    let table = format!("{{ table: {TABLE}, mode: full }}");
    let stage = Stage::start(args.measured.command()?, args.rows, &table)?;
    let (rows, results) =
        rounds::play(&contenders, args.rounds, |contender| measure(&stage, contender))?;
    Report::of(rows, args.rounds, args.measured.profile, results).print(args.json)
}

/// Runs a contender once from an empty folder; returns its figures and its row count.
fn measure(stage: &Stage, contender: &Contender) -> Result<(Round, u64), BenchError> {
    let home = stage.path("home");
    fs::create_dir(&home).map_err(io("make a folder for the round"))?;
    let mut command = command(stage, contender, &home);
    let measured = stage.measure(contender.name(), &mut command, rows_of)?;
    fs::remove_dir_all(&home).map_err(io("remove the folder of the round"))?;
    Ok(measured)
}

fn command(stage: &Stage, contender: &Contender, home: &Path) -> Command {
    match contender {
        Contender::Snowferry { .. } => stage.pull(home),
        Contender::Peer { peer, python } => {
            let mut command = Command::new(python);
            command.arg(peer.runs).arg(stage.path("ready.json")).arg(TABLE);
            command.arg(home.join("lineitem.parquet"));
            command
        }
    }
}

/// The row count of a finished run: of all tables that `pull --json` tells, or of a peer's line.
pub(crate) fn rows_of(printed: &str) -> Option<u64> {
    let printed: Value = serde_json::from_str(printed).ok()?;
    if let Some(rows) = printed.get("rows") {
        return rows.as_u64().filter(|rows| *rows > 0);
    }
    let tables = printed.get("tables")?.as_array()?;
    let rows: Option<u64> = tables
        .iter()
        .map(|table| {
            let loaded = table.get("outcome")? == "loaded";
            table.get("rows_loaded")?.as_u64().filter(|_| loaded)
        })
        .sum();
    rows.filter(|rows| *rows > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_only_of_runs_that_loaded() {
        assert_eq!(rows_of(r#"{"rows": 7}"#), Some(7));
        let pull = |outcome: &str| {
            let table = format!(r#"{{"outcome": "{outcome}", "rows_loaded": 5}}"#);
            rows_of(&format!(r#"{{"tables": [{table}, {table}]}}"#))
        };
        assert_eq!(pull("loaded"), Some(10));
        assert_eq!(pull("busy"), None);
        assert_eq!(rows_of(r#"{"tables": []}"#), None);
        assert_eq!(rows_of("no JSON"), None);
    }
}
