//! A stage for stories: the real binary, an emulator process, a folder, a connection file.
//!
//! Everything a stage starts ends when it is dropped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// `SNOWFERRY_BINARY`, else the binary beside the tests. `tests/run` builds it before; a cargo
/// inside cargo would see other variables in its environment and build half of the tree again.
pub(crate) fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("SNOWFERRY_BINARY") {
        return binary.into();
    }
    let tests = std::env::current_exe().unwrap();
    let binary = tests.parent().and_then(Path::parent).unwrap().join("snowferry");
    assert!(binary.exists(), "{} is missing: run `cargo build` first", binary.display());
    binary
}

/// An emulator in a process of its own, and a folder to pull into.
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    pub(crate) ready: Value,
    emulator: Child,
}

impl Stage {
    /// Starts an emulator with what `sql` makes and without the CRM sample.
    pub(crate) fn with_sql(sql: &str) -> Self {
        Self::with_sql_and(sql, &[])
    }

    /// The same with more options.
    pub(crate) fn with_sql_and(sql: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("load.sql");
        std::fs::write(&script, sql).unwrap();
        let options = [&["--no-crm", "--load", script.to_str().unwrap()], options].concat();
        Self::start(folder, &options)
    }

    /// Starts an emulator with its samples.
    pub(crate) fn with_samples(tpch_scale: &str) -> Self {
        Self::start(tempfile::tempdir().unwrap(), &["--tpch", tpch_scale])
    }

    fn start(folder: TempDir, options: &[&str]) -> Self {
        let mut emulator = Command::new(binary())
            .args(["emulator", "--port", "0", "--json"])
            .args(options)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(emulator.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {line:?}"));
        Self { folder, ready, emulator }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes `connections/acme.yaml` that signs in by key pair and pulls `tables` (YAML).
    pub(crate) fn connect(&self, tables: &str) {
        let key = self.text("private_key_path");
        self.connect_with(&format!("key_pair: {{ private_key_file: {key} }}"), tables);
    }

    /// The same with another line in the `pull` part.
    pub(crate) fn connect_keeping(&self, line: &str, tables: &str) {
        self.connect(tables);
        let file = self.path().join("connections/acme.yaml");
        let yaml = std::fs::read_to_string(&file).unwrap();
        let yaml = yaml.replace("pull:\n", &format!("pull:\n  {line}\n"));
        std::fs::write(file, yaml).unwrap();
    }

    /// The same with another way to sign in.
    pub(crate) fn connect_with(&self, auth: &str, tables: &str) {
        let yaml = format!(
            "version: 1\nconnection: acme\nsnowflake:\n  account: {}\n  base_url: {}\n  user: {}\n  \
             role: {}\n  warehouse: {}\n  auth: {{ {auth} }}\npull:\n  tables:\n{tables}",
            self.text("account"),
            self.text("base_url"),
            self.text("user"),
            self.text("role"),
            self.text("warehouse"),
        );
        std::fs::create_dir_all(self.path().join("connections")).unwrap();
        std::fs::write(self.path().join("connections/acme.yaml"), yaml).unwrap();
    }

    /// A text of the emulator's ready line.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap_or_else(|| panic!("no {field}"))
    }

    /// A command in the stage's folder, not yet started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that must succeed and returns its `--json` output.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        let output = self.run(&arguments);
        assert!(output.status.success(), "{arguments:?}: {}", show(&output));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", show(&output)))
    }

    /// Runs SQL at the source.
    pub(crate) async fn sql(&self, script: &str) {
        let url = format!("{}/sql", self.text("admin_url"));
        let answer = reqwest::Client::new().post(url).body(script.to_owned()).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
    }

    /// Orders a fault from the emulator.
    pub(crate) async fn fault(&self, order: Value) {
        let url = format!("{}/faults", self.text("admin_url"));
        let answer = reqwest::Client::new().post(url).json(&order).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// Forgets the faults that did not strike.
    pub(crate) async fn clear_faults(&self) {
        let url = format!("{}/faults", self.text("admin_url"));
        let answer = reqwest::Client::new().delete(url).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// How many requests of a kind the emulator has had.
    pub(crate) async fn requests(&self, endpoint: &str) -> u64 {
        let url = format!("{}/state", self.text("admin_url"));
        let state: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        state["requests"][endpoint].as_u64().unwrap_or(0)
    }

    /// Ends the emulator at once, as a machine that goes away does.
    pub(crate) fn kill_emulator(&mut self) {
        let _ = self.emulator.kill();
        let _ = self.emulator.wait();
    }

    /// Where the Delta table of a source table lies.
    pub(crate) fn table(&self, name: &str) -> PathBuf {
        self.path().join("snowferry-data/tables/acme").join(name)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill_emulator();
    }
}

/// Both streams of a finished command, for messages of failed assertions.
pub(crate) fn show(output: &Output) -> String {
    format!(
        "{}\nstdout: {}\nstderr: {}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The Python of a judge, or the packages of the one in Node.js, set up by `tests/run`; `None` and a word about it when there is none.
pub(crate) fn judge(name: &str) -> Option<PathBuf> {
    let variable = format!("SNOWFERRY_JUDGE_{name}");
    let python = std::env::var_os(&variable).map(PathBuf::from);
    if python.is_none() {
        println!("SKIPPED: {variable} is not set; `bash tests/run` sets it up");
    }
    python
}
