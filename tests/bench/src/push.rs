//! The cost of a push: `snowferry push` of TPC-H lineitem, beside what people use today.
//!
//! 1. Build the command, start its emulator, pull lineitem once: its Parquet files are what every
//!    contender reads.
//! 2. One round that does not count: every contender once.
//! 3. The rounds: every contender once in each, so that a bad minute of the machine meets all.
//!
//! Every contender replaces the content of a table of its own. Only ours does so in one step that
//! readers cannot see half done, counts the rows at the server and survives a kill; the peers are
//! used as their manuals show. A contender that writes another number of rows than the others ends
//! the benchmark.

use std::fs;
use std::process::Command;

use clap::Args;
use serde_json::Value;

use crate::error::{BenchError, io};
use crate::figures::{Report, Round};
use crate::pull;
use crate::rounds::{self, Contender, Peer, contenders};
use crate::stage::{Measured, Stage};

const TABLE: &str = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM";

/// A table for each contender.
const SCRIPT: &str = "
CREATE DATABASE BENCH; CREATE SCHEMA BENCH.SNOWFERRY;
CREATE TABLE BENCH.SNOWFERRY.LEDGER (PUSH VARCHAR NOT NULL, GENERATION NUMBER(38,0) NOT NULL,
  SEQUENCE NUMBER(38,0) NOT NULL, RUN_ID VARCHAR, TARGET VARCHAR, ROWS_APPLIED NUMBER(38,0),
  APPLIED_AT TIMESTAMP_LTZ(9));
CREATE TABLE BENCH.PUBLIC.SNOWFERRY AS SELECT * FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM
  WHERE FALSE;
CREATE TABLE BENCH.PUBLIC.WRITE_PANDAS AS SELECT * FROM BENCH.PUBLIC.SNOWFERRY;
CREATE TABLE BENCH.PUBLIC.ADBC AS SELECT * FROM BENCH.PUBLIC.SNOWFERRY;
";

/// Measures a push of TPC-H lineitem into the local emulator.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// About how many rows to push
    #[arg(long, default_value_t = 10_000_000,
          value_parser = clap::value_parser!(u32).range(10_000..=500_000_000))]
    rows: u32,

    /// How many rounds count
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,

    /// Measure write_pandas (by the Python that SNOWFERRY_JUDGE_CONNECTOR5 names) and the bulk
    /// ingest of ADBC (SNOWFERRY_JUDGE_ADBC) too
    #[arg(long)]
    peers: bool,

    #[command(flatten)]
    measured: Measured,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// Each is a way of `peer_push.py`, into the table of the same name.
const PEERS: [Peer; 2] = [
    Peer {
        name: "connector 5 write_pandas",
        variable: "SNOWFERRY_JUDGE_CONNECTOR5",
        runs: "write_pandas",
    },
    Peer { name: "ADBC bulk ingest", variable: "SNOWFERRY_JUDGE_ADBC", runs: "adbc" },
];

/// Measures and prints.
pub(crate) fn run(args: &PushArgs) -> Result<(), BenchError> {
    let contenders = contenders("snowferry push", &PEERS, args.peers)?;
    let tables = format!(
        "{{ table: {TABLE}, mode: full }}\npush:\n  ledger: BENCH.SNOWFERRY.LEDGER\n  \
         tables:\n    - {{ name: lineitem, table: {TABLE}, \
         target: BENCH.PUBLIC.SNOWFERRY, mode: rewrite }}\n"
    );
    let stage = Stage::start(args.measured.command()?, args.rows, &tables)?;
    stage.sql(SCRIPT)?;
    let home = stage.path("home");
    fs::create_dir(&home).map_err(io("make a folder for the rows"))?;
    stage.measure("snowferry pull", &mut stage.pull(&home), pull::rows_of)?;
    let (rows, results) =
        rounds::play(&contenders, args.rounds, |contender| measure(&stage, contender))?;
    Report::of(rows, args.rounds, args.measured.profile, results).print(args.json)
}

/// Runs a contender once; returns its figures and its row count.
fn measure(stage: &Stage, contender: &Contender) -> Result<(Round, u64), BenchError> {
    let mut command = match contender {
        Contender::Snowferry { .. } => {
            let mut command = Command::new(&stage.binary);
            command.args(["push", "bench", "--json", "--home"]).arg(stage.path("home"));
            command.arg("--connections").arg(stage.path("connections"));
            command
        }
        Contender::Peer { peer, python } => {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peer_push.py");
            let mut command = Command::new(python);
            command.arg(script).arg(peer.runs).arg(stage.path("ready.json"));
            command.arg(stage.path("home/tables"));
            command.arg(format!("BENCH.PUBLIC.{}", peer.runs.to_uppercase()));
            command
        }
    };
    stage.measure(contender.name(), &mut command, rows_of)
}

/// The row count of a finished run: of the push that `push --json` tells, or of a peer's last line.
fn rows_of(printed: &str) -> Option<u64> {
    let whole = serde_json::from_str(printed);
    let value: Result<Value, _> = whole.or_else(|_| {
        let line = printed.lines().rev().find(|line| !line.trim().is_empty());
        serde_json::from_str(line.unwrap_or_default())
    });
    let value = value.ok()?;
    if let Some(rows) = value.get("rows") {
        return rows.as_u64().filter(|rows| *rows > 0);
    }
    let [push] = value.get("pushes")?.as_array()?.as_slice() else { return None };
    let applied = push.get("outcome")? == "applied";
    push.get("rows_applied")?.as_u64().filter(|rows| applied && *rows > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_only_of_pushes_that_were_applied() {
        assert_eq!(rows_of("{\"rows\": 7}\n"), Some(7));
        assert_eq!(rows_of("a warning of a driver\n{\"rows\": 7}\n"), Some(7));
        let push = |outcome: &str| {
            rows_of(&format!(r#"{{"pushes": [{{"outcome": "{outcome}", "rows_applied": 5}}]}}"#))
        };
        assert_eq!(push("applied"), Some(5));
        assert_eq!(push("refused"), None);
        assert_eq!(rows_of(r#"{"pushes": []}"#), None);
        assert_eq!(rows_of("no JSON"), None);
    }
}
