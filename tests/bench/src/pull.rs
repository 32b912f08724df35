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
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, ValueEnum};
use serde_json::Value;
use tempfile::TempDir;

use crate::error::{BenchError, io};
use crate::figures::{Report, Result as Figures, Round};
use crate::process::{self, Running, measured, say};

/// Line items at scale factor 1 (TPC-H specification, 4.2.5.1: about six million).
const ROWS_OF_SCALE_1: f64 = 6_001_215.0;

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

    /// Measure Snowflake's Python connector with pyarrow too, by the Python that
    /// SNOWFERRY_JUDGE_CONNECTOR5 names
    #[arg(long)]
    peers: bool,

    /// How the measured command is built
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// A build profile of cargo.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Profile {
    /// What figures are published for.
    Release,
    /// For trying the benchmark itself.
    Dev,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "dev",
        }
    }
}

/// What is measured against each other.
#[derive(Clone, Debug)]
enum Contender {
    Snowferry,
    /// Snowflake's Python connector, its Arrow batches written as Parquet.
    Connector {
        python: PathBuf,
    },
}

impl Contender {
    fn name(&self) -> &'static str {
        match self {
            Self::Snowferry => "snowferry pull",
            Self::Connector { .. } => "connector 5 + pyarrow",
        }
    }
}

/// Measures and prints.
pub(crate) fn run(args: &PullArgs) -> Result<(), BenchError> {
    let contenders = contenders(args.peers)?;
    let stage = Stage::start(build(args.profile)?, args.rows)?;
    let mut rows = None;
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); contenders.len()];
    for round in 0..=args.rounds {
        for (contender, kept) in contenders.iter().zip(&mut rounds) {
            let (figures, found) = stage.measure(contender)?;
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
    print(&report, args.json)
}

fn print(report: &Report, json: bool) -> Result<(), BenchError> {
    let text = if json {
        let text = serde_json::to_string_pretty(report);
        text.map_err(|error| io("write the report as JSON")(error.into()))?
    } else {
        report.table()
    };
    writeln!(std::io::stdout(), "{}", text.trim_end()).map_err(io("print the figures"))
}

fn contenders(peers: bool) -> Result<Vec<Contender>, BenchError> {
    let mut contenders = vec![Contender::Snowferry];
    if peers {
        let python = std::env::var_os("SNOWFERRY_JUDGE_CONNECTOR5").ok_or(BenchError::NoPython)?;
        contenders.push(Contender::Connector { python: PathBuf::from(python) });
    }
    Ok(contenders)
}

/// Builds the command and returns where cargo says it lies.
fn build(profile: Profile) -> Result<PathBuf, BenchError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "-p", "snowferry", "--message-format", "json-render-diagnostics"])
        .args(["--profile", profile.name()])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .stderr(Stdio::inherit())
        .output()
        .map_err(io("start cargo"))?;
    if !output.status.success() {
        let (what, words) = ("cargo build".to_owned(), "see above".to_owned());
        return Err(BenchError::Failed { what, status: output.status.to_string(), words });
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let built = printed.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let ours = message.pointer("/target/name")? == "snowferry";
        let path = message.pointer("/executable")?.as_str()?;
        ours.then(|| PathBuf::from(path))
    });
    built.ok_or_else(|| unexpected("cargo build", "no executable named snowferry"))
}

fn unexpected(what: &str, printed: &str) -> BenchError {
    BenchError::Printed { what: what.to_owned(), printed: printed.trim().to_owned() }
}

/// An emulator with lineitem, and a folder that everything happens in.
#[derive(Debug)]
struct Stage {
    binary: PathBuf,
    /// Ends before the folder goes: fields are dropped in this order.
    emulator: Running,
    folder: TempDir,
}

impl Stage {
    fn start(binary: PathBuf, rows: u32) -> Result<Self, BenchError> {
        let folder = tempfile::tempdir().map_err(io("make a folder for the benchmark"))?;
        let scale = (f64::from(rows) / ROWS_OF_SCALE_1).to_string();
        let child = Command::new(&binary)
            .args(["emulator", "--port", "0", "--json", "--no-crm", "--tpch", &scale])
            // What it keeps on disk goes with our folder, however it ends.
            .env("TMPDIR", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(io("start the emulator"))?;
        let mut emulator = Running(child);
        let mut line = String::new();
        if let Some(stdout) = emulator.0.stdout.take() {
            let mut stdout = BufReader::new(stdout);
            stdout.read_line(&mut line).map_err(io("read the emulator's ready line"))?;
        }
        let ready: Value =
            serde_json::from_str(&line).map_err(|_| unexpected("the emulator", &line))?;
        let stage = Self { binary, emulator, folder };
        stage.write("ready.json", &line)?;
        fs::create_dir(stage.path("connections")).map_err(io("make the connections' folder"))?;
        let yaml = connection(&ready).ok_or_else(|| unexpected("the emulator", &line))?;
        stage.write("connections/bench.yaml", &yaml)?;
        Ok(stage)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), BenchError> {
        fs::write(self.path(name), text).map_err(io(format!("write {name}")))
    }

    /// Runs a contender once from an empty folder; returns its figures and its row count.
    fn measure(&self, contender: &Contender) -> Result<(Round, u64), BenchError> {
        let home = self.path("home");
        fs::create_dir(&home).map_err(io("make a folder for the round"))?;
        let mut command = self.command(contender, &home);
        command.current_dir(self.folder.path());
        let name = contender.name();
        let before = process::cpu_s(self.emulator.0.id())?;
        let (cost, printed) = measured(name, &mut command, self.folder.path())?;
        let server_cpu_s = process::cpu_s(self.emulator.0.id())? - before;
        fs::remove_dir_all(&home).map_err(io("remove the folder of the round"))?;
        let rows = rows_of(&printed).ok_or_else(|| unexpected(name, &printed))?;
        Ok((Round::of(cost, rows, server_cpu_s), rows))
    }

    fn command(&self, contender: &Contender, home: &Path) -> Command {
        match contender {
            Contender::Snowferry => {
                let mut command = Command::new(&self.binary);
                command.args(["pull", "bench", "--json", "--home"]).arg(home);
                command.arg("--connections").arg(self.path("connections"));
                command
            }
            Contender::Connector { python } => {
                let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peer_connector.py");
                let mut command = Command::new(python);
                command.arg(script).arg(self.path("ready.json")).arg(TABLE);
                command.arg(home.join("lineitem.parquet"));
                command
            }
        }
    }
}

/// The row count of a finished run: of all tables that `pull --json` tells, or of a peer's line.
fn rows_of(printed: &str) -> Option<u64> {
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

/// The connection file for a ready line. Texts are written as JSON, which YAML reads as it is.
fn connection(ready: &Value) -> Option<String> {
    let text = |field: &str| ready.get(field).filter(|value| value.is_string());
    Some(format!(
        "version: 1\nconnection: bench\nsnowflake:\n  account: {}\n  base_url: {}\n  user: {}\n  \
         role: {}\n  warehouse: {}\n  auth: {{ key_pair: {{ private_key_file: {} }} }}\n\
         pull:\n  tables:\n    - {{ table: {TABLE}, mode: full }}\n",
        text("account")?,
        text("base_url")?,
        text("user")?,
        text("role")?,
        text("warehouse")?,
        text("private_key_path")?,
    ))
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
