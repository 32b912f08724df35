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
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use serde_json::Value;

use crate::error::{BenchError, io};
use crate::figures::{Report, Result as Figures, Round};
use crate::process::say;
use crate::stage::{Profile, Stage, build};

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

    /// How the measured command is built
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What is measured against each other.
#[derive(Clone, Debug)]
enum Contender {
    Snowferry,
    /// A script that reads the table by another driver and writes Parquet.
    Peer {
        name: &'static str,
        python: PathBuf,
        script: &'static str,
    },
}

/// Name, variable of its Python, script.
const PEERS: [(&str, &str, &str); 2] = [
    (
        "connector 5 + pyarrow",
        "SNOWFERRY_JUDGE_CONNECTOR5",
        concat!(env!("CARGO_MANIFEST_DIR"), "/peer_connector.py"),
    ),
    (
        "ADBC + pyarrow",
        "SNOWFERRY_JUDGE_ADBC",
        concat!(env!("CARGO_MANIFEST_DIR"), "/peer_adbc.py"),
    ),
];

impl Contender {
    fn name(&self) -> &'static str {
        match self {
            Self::Snowferry => "snowferry pull",
            Self::Peer { name, .. } => name,
        }
    }
}

/// Measures and prints.
pub(crate) fn run(args: &PullArgs) -> Result<(), BenchError> {
    let contenders = contenders(args.peers)?;
    let stage = Stage::start(
        build(args.profile)?,
        args.rows,
        &format!("{{ table: {TABLE}, mode: full }}"),
    )?;
    let mut rows = None;
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); contenders.len()];
    for round in 0..=args.rounds {
        for (contender, kept) in contenders.iter().zip(&mut rounds) {
            let (figures, found) = measure(&stage, contender)?;
            let wanted = *rows.get_or_insert(found);
            if found != wanted {
                let contender = contender.name().to_owned();
                return Err(BenchError::Rows { contender, found, wanted });
            }
            let (name, cpu_s) = (contender.name(), figures.cpu_s);
            say(&format!("round {round} of {}: {name}: {cpu_s:.2} CPU s", args.rounds));
            if round > 0 {
                kept.push(figures);
            }
        }
    }
    let results = contenders.iter().zip(rounds).map(|(who, kept)| Figures::of(who.name(), kept));
    let report = Report {
        rows: rows.unwrap_or(0),
        rounds: args.rounds,
        profile: args.profile.name().to_owned(),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        results: results.collect(),
    };
    report.print(args.json)
}

/// Returns us and, if asked for, each peer whose Python is named.
fn contenders(peers: bool) -> Result<Vec<Contender>, BenchError> {
    let mut contenders = vec![Contender::Snowferry];
    if peers {
        contenders.extend(PEERS.iter().filter_map(|(name, variable, script)| {
            let python = PathBuf::from(std::env::var_os(variable)?);
            Some(Contender::Peer { name, python, script })
        }));
        if contenders.len() == 1 {
            return Err(BenchError::NoPython);
        }
    }
    Ok(contenders)
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
        Contender::Snowferry => stage.pull(home),
        Contender::Peer { python, script, .. } => {
            let mut command = Command::new(python);
            command.arg(script).arg(stage.path("ready.json")).arg(TABLE);
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
