//! The customer's side: an emulator in a process of its own, and a connection to it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::BoxError;

/// Pulls and pushes begin as the dispatcher has it; what the file says is for AWS.
const SCHEDULE: &str = "  schedule: { at: cron(0 3 * * ? *), time_zone: Europe/Berlin }\n";

/// What is written back into the customer's account.
const PUSH: &str = "
push:
  schedule: { at: cron(0 4 * * ? *), time_zone: Europe/Berlin }
  ledger: none
  tables:
    - name: scores
      query: |
        SELECT ACCOUNT_ID, COUNT(*) AS DEALS, SUM(AMOUNT) AS AMOUNT
        FROM OPPORTUNITIES WHERE STAGE = 'won' GROUP BY ACCOUNT_ID
      target: CRM.PUBLIC.ACCOUNT_SCORES
      mode: rewrite
      create: true
";

/// A Snowflake on this machine. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Account {
    ready: Value,
    _emulator: Child,
}

impl Account {
    /// Starts one, and waits until it is ready.
    pub(crate) async fn start(
        binaries: &Path,
        folder: &Path,
        tpch: &str,
    ) -> Result<Self, BoxError> {
        let mut emulator = Command::new(binaries.join("snowferry"))
            .args(["emulator", "--port", "0", "--json", "--tpch", tpch])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = emulator.stdout.take().ok_or("the emulator has no output")?;
        let line = BufReader::new(stdout).lines().next_line().await?;
        let line = line.ok_or("the emulator ended before it was ready")?;
        std::fs::write(folder.join("ready.json"), &line)?;
        Ok(Self { ready: serde_json::from_str(&line)?, _emulator: emulator })
    }

    /// Writes the connection `acme`, with a schedule and a push.
    pub(crate) fn connect(&self, binaries: &Path, folder: &Path) -> Result<(), BoxError> {
        let file: PathBuf = folder.join("connections/acme.yaml");
        // The emulator's account and key are new with every start.
        if file.exists() {
            std::fs::rename(&file, folder.join("connections/acme.yaml.before"))?;
        }
        let init = std::process::Command::new(binaries.join("snowferry"))
            .args(["init", "acme", "--from-emulator", "ready.json"])
            .current_dir(folder)
            .output()?;
        if !init.status.success() {
            return Err(String::from_utf8_lossy(&init.stderr).into_owned().into());
        }
        let text = std::fs::read_to_string(&file)?;
        let text = text.replacen("pull:\n", &format!("pull:\n{SCHEDULE}"), 1) + PUSH;
        std::fs::write(&file, text)?;
        let admin = self.ready["admin_url"].as_str().unwrap_or_default();
        let mut environment = std::fs::read_to_string(folder.join("env.sh"))?;
        environment.push_str(&format!("export SNOWFLAKE_ADMIN={admin}\n"));
        std::fs::write(folder.join("env.sh"), environment)?;
        Ok(())
    }
}
