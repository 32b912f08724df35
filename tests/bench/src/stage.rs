//! What every benchmark stands on: a built command, an emulator, a folder.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, ValueEnum};
use serde_json::Value;
use tempfile::TempDir;

use crate::error::{BenchError, io};
use crate::figures::Round;
use crate::process::{self, Running, measured};

/// Line items at scale factor 1 (TPC-H specification, 4.2.5.1: about six million).
const ROWS_OF_SCALE_1: f64 = 6_001_215.0;

/// A build profile of cargo.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Profile {
    /// What figures are published for.
    Release,
    /// For trying the benchmark itself.
    Dev,
}

/// What is measured.
#[derive(Debug, Args)]
pub(crate) struct Measured {
    /// How the measured command is built
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    pub(crate) profile: Profile,

    /// Measure this command, built before by that profile, instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl Measured {
    /// Returns the command: the given one, or one that is built now.
    pub(crate) fn command(&self) -> Result<PathBuf, BenchError> {
        match &self.binary {
            Some(file) => file.canonicalize().map_err(io(format!("find {}", file.display()))),
            None => build(self.profile),
        }
    }
}

impl Profile {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "dev",
        }
    }
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

pub(crate) fn unexpected(what: &str, printed: &str) -> BenchError {
    BenchError::Printed { what: what.to_owned(), printed: printed.trim().to_owned() }
}

/// An emulator with line items, and a folder that everything happens in.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) binary: PathBuf,
    /// The emulator's own interface, `http://host:port/admin/…`.
    admin: String,
    /// Ends before the folder goes: fields are dropped in this order.
    emulator: Running,
    folder: TempDir,
}

impl Stage {
    /// Starts an emulator with about so many line items, and writes a connection file that pulls
    /// the given tables (items of a YAML list).
    pub(crate) fn start(binary: PathBuf, rows: u32, tables: &str) -> Result<Self, BenchError> {
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
        let admin = ready.get("admin_url").and_then(Value::as_str);
        let admin = admin.ok_or_else(|| unexpected("the emulator", &line))?.to_owned();
        let stage = Self { binary, admin, emulator, folder };
        stage.write("ready.json", &line)?;
        fs::create_dir(stage.path("connections")).map_err(io("make the connections' folder"))?;
        let yaml = connection(&ready, tables).ok_or_else(|| unexpected("the emulator", &line))?;
        stage.write("connections/bench.yaml", &yaml)?;
        Ok(stage)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), BenchError> {
        fs::write(self.path(name), text).map_err(io(format!("write {name}")))
    }

    /// Runs a command to its end in the folder; returns its figures and what it printed. `rows`
    /// reads from that how many rows the figures are for.
    pub(crate) fn measure(
        &self,
        name: &str,
        command: &mut Command,
        rows: impl Fn(&str) -> Option<u64>,
    ) -> Result<(Round, u64), BenchError> {
        command.current_dir(self.folder.path());
        let before = process::cpu_s(self.emulator.0.id())?;
        let (cost, printed) = measured(name, command, self.folder.path())?;
        let server_cpu_s = process::cpu_s(self.emulator.0.id())? - before;
        let rows = rows(&printed).ok_or_else(|| unexpected(name, &printed))?;
        Ok((Round::of(cost, rows, server_cpu_s), rows))
    }

    /// The command `snowferry pull` with a data folder.
    pub(crate) fn pull(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["pull", "bench", "--json", "--home"]).arg(home);
        command.arg("--connections").arg(self.path("connections"));
        command
    }

    /// Runs a script at the emulator, as its owner.
    pub(crate) fn sql(&self, script: &str) -> Result<(), BenchError> {
        let answer = self.post("/sql", script).map_err(io("run a script at the emulator"))?;
        let done = answer.lines().next().is_some_and(|status| status.contains(" 200 "));
        if done { Ok(()) } else { Err(unexpected("the emulator's script", &answer)) }
    }

    /// One request to the emulator's own interface; the answer ends with the connection.
    fn post(&self, path: &str, body: &str) -> std::io::Result<String> {
        let address = self.admin.strip_prefix("http://").unwrap_or(&self.admin);
        let (host, root) = address.split_once('/').unwrap_or((address, ""));
        let mut stream = TcpStream::connect(host)?;
        write!(
            stream,
            "POST /{root}{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// The connection file for a ready line. Texts are written as JSON, which YAML reads as it is.
fn connection(ready: &Value, tables: &str) -> Option<String> {
    let text = |field: &str| ready.get(field).filter(|value| value.is_string());
    Some(format!(
        "version: 1\nconnection: bench\nsnowflake:\n  account: {}\n  base_url: {}\n  user: {}\n  \
         role: {}\n  warehouse: {}\n  auth: {{ key_pair: {{ private_key_file: {} }} }}\n\
         pull:\n  tables:\n    - {tables}\n",
        text("account")?,
        text("base_url")?,
        text("user")?,
        text("role")?,
        text("warehouse")?,
        text("private_key_path")?,
    ))
}
