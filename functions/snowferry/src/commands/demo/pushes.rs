//! The way back: scores computed from the pulled rows are written into the customer's tables.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use snowferry_bootstrap::app::App;
use snowferry_bootstrap::config::Connection;
use snowferry_bootstrap::push::setup_statements;
use snowferry_emulator::Emulator;

use super::{Voice, run_script};
use crate::commands::push::{context, push_all};
use crate::failure::Failure;
use crate::push_progress::watcher;
use crate::push_report::{PushRun, summary};

/// The customer's tables, made before anything is pushed.
pub(crate) const TABLES: &[&str] = &[
    "CREATE TABLE CRM.PUBLIC.ACCOUNT_SCORES\n\
     (ACCOUNT_ID NUMBER(38,0) NOT NULL, DEALS NUMBER(9,0), AMOUNT NUMBER(38,2));",
    "CREATE TABLE CRM.PUBLIC.SCORE_HISTORY\n\
     (ACCOUNT_ID NUMBER(38,0), AMOUNT NUMBER(38,2), SCORED_AT TIMESTAMP_LTZ(3));",
];

/// The `push` part of the demo's connection.
const PUSHES: &str = "
# Queries on the pulled tables, and the customer's tables that their rows go into.
# `snowferry plan demo` judges every column first; `snowferry push demo` writes.
push:
  # Our small table in the customer's account, which makes every push count once.
  ledger: CRM.SNOWFERRY.LEDGER
  tables:
    - name: scores
      query: |
        SELECT ACCOUNT_ID, COUNT(*) AS DEALS, SUM(AMOUNT) AS AMOUNT
        FROM OPPORTUNITIES WHERE STAGE = 'won' GROUP BY ACCOUNT_ID
      target: CRM.PUBLIC.ACCOUNT_SCORES
      mode: rewrite
    - name: score-history
      query: |
        SELECT ACCOUNT_ID, SUM(AMOUNT) AS AMOUNT
        FROM OPPORTUNITIES WHERE STAGE = 'won' GROUP BY ACCOUNT_ID
      target: CRM.PUBLIC.SCORE_HISTORY
      mode: append
      constants: { SCORED_AT: $now }
";

/// Adds the pushes to the connection's file.
pub(crate) fn add_to(file: &Path) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::local(format!("write {}", file.display()), &error);
    let mut file = std::fs::OpenOptions::new().append(true).open(file).map_err(failed)?;
    file.write_all(PUSHES.as_bytes()).map_err(failed)
}

/// Makes the customer's tables and the ledger, as `snowferry setup-sql demo` tells.
pub(crate) async fn set_up(
    say: &Voice,
    emulator: &Emulator,
    connection: &Connection,
) -> Result<(), Failure> {
    for statement in TABLES {
        say.line(format!("   {}", statement.replace('\n', "\n   ")));
        run_script(emulator, statement).await?;
    }
    for statement in setup_statements(connection, &connection.snowflake.role) {
        say.line(format!("   {statement};"));
        run_script(emulator, &format!("{statement};")).await?;
    }
    Ok(())
}

/// Pushes everything once; a push that fails ends the story.
pub(crate) async fn push(
    say: &Voice,
    app: &App,
    connection: &Connection,
) -> Result<Vec<PushRun>, Failure> {
    let watcher = watcher(say.json);
    let ports = app.push_ports(connection, Arc::clone(&watcher) as Arc<_>)?;
    let context = context("demo", None);
    let mut runs = Vec::new();
    Box::pin(push_all(&ports, &context, &connection.pushes, watcher.as_ref(), &mut runs)).await;
    say.line(summary(&runs));
    match runs.iter().find(|run| run.is_failed()) {
        Some(run) => {
            let text = run.remark().unwrap_or_else(|| run.outcome_words());
            Err(Failure::ours("DEMO_PUSH", text))
        }
        None => Ok(runs),
    }
}
