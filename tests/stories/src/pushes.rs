//! Pushes end to end: killed, watched, refused, and taken back again.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stage::{Stage, show};

/// How often a push is killed in each mode; `SNOWFERRY_KILLS` asks for more.
fn kills() -> u64 {
    std::env::var("SNOWFERRY_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(12)
}

/// The customer's side: rows to pull, tables to push into, and a ledger.
const SQL: &str = "
CREATE DATABASE CRM; CREATE SCHEMA CRM.SNOWFERRY;
CREATE TABLE CRM.PUBLIC.ACCOUNTS (ID NUMBER(38,0), NAME VARCHAR, AMOUNT NUMBER(12,2));
INSERT INTO CRM.PUBLIC.ACCOUNTS
  SELECT N + 1, 'account ' || N, (N + 1) * 1.25
  FROM (SELECT SEQ8() AS N FROM TABLE(GENERATOR(ROWCOUNT => 1000)));
CREATE TABLE CRM.PUBLIC.SCORES (ID NUMBER(38,0) NOT NULL, NAME VARCHAR(100), SCORE NUMBER(20,4),
  RUN VARCHAR);
INSERT INTO CRM.PUBLIC.SCORES VALUES (-1, 'theirs', 1, NULL);
CREATE TABLE CRM.SNOWFERRY.LEDGER (PUSH VARCHAR NOT NULL, GENERATION NUMBER(38,0) NOT NULL,
  SEQUENCE NUMBER(38,0) NOT NULL, RUN_ID VARCHAR, TARGET VARCHAR, ROWS_APPLIED NUMBER(38,0),
  APPLIED_AT TIMESTAMP_LTZ(9));
GRANT USAGE ON DATABASE CRM TO ROLE SYSADMIN;
GRANT USAGE ON SCHEMA CRM.PUBLIC TO ROLE SYSADMIN;
GRANT USAGE ON SCHEMA CRM.SNOWFERRY TO ROLE SYSADMIN;
GRANT SELECT ON TABLE CRM.PUBLIC.ACCOUNTS TO ROLE SYSADMIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE CRM.PUBLIC.SCORES TO ROLE SYSADMIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE CRM.SNOWFERRY.LEDGER TO ROLE SYSADMIN;
";

fn pushes(mode: &str, ledger: &str) -> String {
    format!(
        "    - {{ table: CRM.PUBLIC.ACCOUNTS, mode: full }}
push:
  ledger: {ledger}
  tables:
    - name: scores
      query: SELECT ID, NAME, AMOUNT * 2 AS SCORE FROM ACCOUNTS
      target: CRM.PUBLIC.SCORES
      {mode}
      constants: {{ RUN: $run_id }}
      max_shrink_percent: 100
"
    )
}

fn stage(mode: &str, ledger: &str) -> Stage {
    // Nobody but the next push ends what a killed push leaves open.
    let stage = Stage::with_sql_and(SQL, &["--idle-transaction", "86400"]);
    stage.connect(&pushes(mode, ledger));
    stage.json(&["pull", "acme"]);
    stage
}

/// Another client's session at the customer's side.
#[derive(Clone)]
struct Reader {
    client: reqwest::Client,
    base: String,
    token: String,
}

impl Reader {
    async fn sign_in(stage: &Stage) -> Self {
        let client = reqwest::Client::new();
        let base = stage.text("base_url").to_owned();
        let login = json!({"data": {
            "CLIENT_APP_ID": "Go", "CLIENT_APP_VERSION": "2.1.0",
            "ACCOUNT_NAME": stage.text("account"), "LOGIN_NAME": stage.text("user"),
            "PASSWORD": stage.text("password"), "SESSION_PARAMETERS": {},
        }});
        let login = client.post(format!("{base}/session/v1/login-request")).json(&login);
        let login: Value = login.send().await.unwrap().json().await.unwrap();
        let token = login["data"]["token"].as_str().unwrap_or_else(|| panic!("{login}"));
        Self { client, base, token: token.to_owned() }
    }

    async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let url = format!("{}/queries/v1/query-request?requestId={}", self.base, request_id());
        let query = json!({"sqlText": sql, "parameters": {"GO_QUERY_RESULT_FORMAT": "JSON"}});
        let answer = self
            .client
            .post(url)
            .header("Authorization", format!("Snowflake Token=\"{}\"", self.token))
            .json(&query)
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["success"], true, "{sql}: {answer}");
        let cell = |cell: &Value| cell.as_str().map(str::to_owned);
        let row = |row: &Value| row.as_array().unwrap().iter().map(cell).collect();
        answer["data"]["rowset"].as_array().unwrap().iter().map(row).collect()
    }
}

/// The rows of a query at the customer's side, as another client sees them.
pub(crate) async fn rows(stage: &Stage, sql: &str) -> Vec<Vec<Option<String>>> {
    Reader::sign_in(stage).await.rows(sql).await
}

/// An id that no other request of this process has.
fn request_id() -> String {
    use std::sync::atomic::AtomicU64;
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("00000000-0000-4000-8000-{:012x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) async fn number(stage: &Stage, sql: &str) -> u64 {
    rows(stage, sql).await[0][0].as_ref().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_rewrite_puts_the_query_in_the_place_of_the_rows() {
    let stage = stage("mode: rewrite", "CRM.SNOWFERRY.LEDGER");
    let planned = stage.json(&["plan", "acme"]);
    assert_eq!(planned[0]["refused"], false, "{planned}");
    assert_eq!(number(&stage, "SELECT COUNT(*) FROM CRM.PUBLIC.SCORES").await, 1);
    let pushed = stage.json(&["push", "acme"]);
    assert_eq!(pushed["pushes"][0]["outcome"], "applied", "{pushed}");
    assert_eq!(pushed["pushes"][0]["rows_applied"], 1000);
    let sums = "SELECT COUNT(*)::VARCHAR, SUM(ID)::VARCHAR, SUM(SCORE)::VARCHAR, \
                COUNT(DISTINCT RUN)::VARCHAR FROM CRM.PUBLIC.SCORES";
    let found = rows(&stage, sums).await;
    let found: Vec<_> = found[0].iter().flatten().map(String::as_str).collect();
    assert_eq!(found, ["1000", "500500", "1251250.0000", "1"]);
}

#[tokio::test]
async fn appends_killed_at_random_moments_add_each_run_once() {
    killed("mode: append", "CRM.SNOWFERRY.LEDGER").await;
}

#[tokio::test]
async fn appends_without_a_ledger_killed_at_random_moments_add_each_run_once() {
    killed("mode: append", "none").await;
}

#[tokio::test]
async fn rewrites_killed_at_random_moments_leave_whole_contents() {
    killed("mode: rewrite", "CRM.SNOWFERRY.LEDGER").await;
}

#[tokio::test]
async fn rewrites_without_a_ledger_killed_at_random_moments_leave_whole_contents() {
    killed("mode: rewrite", "none").await;
}

#[tokio::test]
async fn upserts_without_a_ledger_killed_at_random_moments_leave_whole_contents() {
    killed("mode: upsert\n      key: [ID]", "none").await;
}

#[tokio::test]
async fn upserts_killed_at_random_moments_leave_whole_contents() {
    killed("mode: upsert\n      key: [ID]", "CRM.SNOWFERRY.LEDGER").await;
}

/// Kills pushes at random moments, then lets one run quietly. Every push that is in the target is
/// there as a whole, told by its run's id.
async fn killed(mode: &str, ledger: &str) {
    let stage = stage(mode, ledger);
    let started = Instant::now();
    stage.json(&["push", "acme"]);
    let whole = u64::try_from(started.elapsed().as_millis()).unwrap();
    let seed = std::env::var("SNOWFERRY_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut dice = seed.unwrap_or_else(|| u64::from(std::process::id()) | 1);
    println!("SNOWFERRY_SEED={dice} repeats these moments");
    let mut struck = 0;
    for _ in 0..kills() {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        struck += u64::from(killed_after(&stage, Duration::from_millis(dice % whole)));
        check_whole(&stage, mode).await;
    }
    let quiet = stage.run(&["push", "acme", "--json"]);
    assert!(quiet.status.success(), "{}", show(&quiet));
    check_whole(&stage, mode).await;
    println!("{struck} of {} pushes were killed before their end", kills());
    let runs = stage.json(&["runs", "acme"]).to_string();
    assert!(!runs.contains("\"running\""), "a run is left open: {runs}");
}

async fn check_whole(stage: &Stage, mode: &str) {
    let groups = "SELECT RUN, COUNT(*)::VARCHAR, COUNT(DISTINCT ID)::VARCHAR \
                  FROM CRM.PUBLIC.SCORES WHERE ID > 0 GROUP BY RUN";
    let groups = rows(stage, groups).await;
    assert!(!groups.is_empty(), "{mode}: the target is empty");
    for group in &groups {
        assert_eq!(group[1].as_deref(), Some("1000"), "{mode}: {groups:?}");
        assert_eq!(group[2].as_deref(), Some("1000"), "{mode}: {groups:?}");
    }
    let theirs = number(stage, "SELECT COUNT(*) FROM CRM.PUBLIC.SCORES WHERE ID < 0").await;
    match mode {
        "mode: append" => assert_eq!(theirs, 1),
        "mode: rewrite" => assert_eq!((theirs, groups.len()), (0, 1)),
        _ => assert_eq!((theirs, groups.len()), (1, 1)),
    }
}

/// Starts a push and kills it after `moment`; returns whether it was still running.
fn killed_after(stage: &Stage, moment: Duration) -> bool {
    let mut push = stage
        .command(&["push", "acme", "--json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while started.elapsed() < moment {
        if push.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    push.kill().unwrap();
    push.wait().unwrap();
    true
}

/// Starts a push whose statements take their time, and waits until its transaction is open.
async fn push_inside_its_transaction(stage: &Stage) -> (std::process::Child, String) {
    stage.fault(json!({"fault": "delay", "endpoint": "query", "millis": 100, "count": 500})).await;
    let mut push = stage
        .command(&["push", "acme", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while push.try_wait().unwrap().is_none() {
        if let [open] = rows(stage, "SHOW TRANSACTIONS").await.as_slice() {
            return (push, open[0].clone().unwrap());
        }
    }
    panic!("no transaction was seen: {}", show(&push.wait_with_output().unwrap()));
}

#[tokio::test]
async fn a_transaction_that_a_killed_push_left_open_is_ended_by_the_next() {
    for ledger in ["CRM.SNOWFERRY.LEDGER", "none"] {
        let stage = stage("mode: rewrite", ledger);
        let (mut push, id) = push_inside_its_transaction(&stage).await;
        push.kill().unwrap();
        push.wait().unwrap();
        stage.clear_faults().await;
        let open = rows(&stage, "SHOW TRANSACTIONS").await;
        assert_eq!(open[0][0].as_deref(), Some(id.as_str()), "{open:?}");
        stage.json(&["push", "acme"]);
        check_whole(&stage, "mode: rewrite").await;
        assert!(rows(&stage, "SHOW TRANSACTIONS").await.is_empty());
    }
}

#[tokio::test]
async fn a_push_whose_transaction_is_ended_from_outside_applies_it_anew() {
    for (mode, ledger) in [("mode: append", "CRM.SNOWFERRY.LEDGER"), ("mode: rewrite", "none")] {
        let stage = stage(mode, ledger);
        let (push, id) = push_inside_its_transaction(&stage).await;
        let ended = rows(&stage, &format!("SELECT SYSTEM$ABORT_TRANSACTION({id})")).await;
        stage.clear_faults().await;
        let output = push.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", show(&output));
        assert!(ended[0][0].as_ref().unwrap().starts_with("Aborted"), "{ended:?}");
        check_whole(&stage, mode).await;
    }
}

#[tokio::test]
async fn a_transaction_that_is_ended_at_any_statement_is_never_called_applied() {
    for ledger in ["CRM.SNOWFERRY.LEDGER", "none"] {
        let stage = stage("mode: rewrite", ledger);
        let watcher = Reader::sign_in(&stage).await;
        let mut ended = 0;
        for statement in 0..30 {
            let wait = json!({
                "fault": "delay", "endpoint": "query", "millis": 1500, "skip": statement, "count": 1
            });
            let before = stage.requests("query").await;
            stage.fault(wait).await;
            let mut push = stage
                .command(&["push", "acme", "--json"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // From this request on the push waits, and requests of ours pass.
            while push.try_wait().unwrap().is_none()
                && stage.requests("query").await <= before + statement
            {
                tokio::task::yield_now().await;
            }
            if push.try_wait().unwrap().is_none()
                && let [open] = watcher.rows("SHOW TRANSACTIONS").await.as_slice()
            {
                let id = open[0].as_deref().unwrap();
                watcher.rows(&format!("SELECT SYSTEM$ABORT_TRANSACTION({id})")).await;
                ended += 1;
            }
            let output = push.wait_with_output().unwrap();
            stage.clear_faults().await;
            assert!(output.status.success(), "{ledger}, statement {statement}: {}", show(&output));
            let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
            let run = printed["run_id"].as_str().unwrap_or_else(|| panic!("{printed}"));
            let found = rows(&stage, "SELECT DISTINCT RUN FROM CRM.PUBLIC.SCORES").await;
            assert_eq!(found, [[Some(run.to_owned())]], "{ledger}, statement {statement}");
        }
        assert!(ended >= 5, "{ledger}: only {ended} transactions were met");
    }
}

/// Rows of the table that is rewritten under its readers; `SNOWFERRY_REWRITE_ROWS` asks for more.
fn rewrite_rows() -> u64 {
    let rows = std::env::var("SNOWFERRY_REWRITE_ROWS").ok().and_then(|rows| rows.parse().ok());
    rows.unwrap_or(50_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_readers_during_a_rewrite_see_the_old_content_or_the_new() {
    let all = rewrite_rows();
    let sql = SQL.replace("ROWCOUNT => 1000", &format!("ROWCOUNT => {all}"));
    let stage = Stage::with_sql(&sql);
    stage.connect(&pushes("mode: rewrite", "CRM.SNOWFERRY.LEDGER"));
    stage.json(&["pull", "acme"]);
    stage.json(&["push", "acme"]);
    let grants = "SHOW GRANTS ON TABLE CRM.PUBLIC.SCORES";
    let object = "SHOW TABLES LIKE 'SCORES' IN SCHEMA CRM.PUBLIC";
    let before = (rows(&stage, grants).await, created(&rows(&stage, object).await));

    let ended = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(tokio::sync::Barrier::new(9));
    let mut readers = Vec::new();
    for _ in 0..8 {
        let (reader, ended) = (Reader::sign_in(&stage).await, Arc::clone(&ended));
        let begun = Arc::clone(&begun);
        readers.push(tokio::spawn(async move {
            let contents = "SELECT COUNT(*)::VARCHAR, COUNT(DISTINCT ID)::VARCHAR, \
                            MIN(RUN), MAX(RUN) FROM CRM.PUBLIC.SCORES";
            let (mut seen, mut looks) = (BTreeSet::new(), 0_u64);
            // Everybody sees the old content first, and the new one last.
            loop {
                let last = ended.load(Ordering::Relaxed);
                seen.extend(reader.rows(contents).await);
                looks += 1;
                if looks == 1 {
                    begun.wait().await;
                }
                if last {
                    return (seen, looks);
                }
            }
        }));
    }
    begun.wait().await;
    let push = stage.command(&["push", "acme", "--json"]);
    let output = tokio::task::spawn_blocking(move || {
        let mut push = push;
        push.output().unwrap()
    });
    let output = output.await.unwrap();
    assert!(output.status.success(), "{}", show(&output));
    let new = rows(&stage, "SELECT MAX(RUN) FROM CRM.PUBLIC.SCORES").await[0][0].clone();
    ended.store(true, Ordering::Relaxed);
    let (mut seen, mut looks) = (BTreeSet::new(), 0);
    for reader in readers {
        let (states, count) = reader.await.unwrap();
        seen.extend(states);
        looks += count;
    }
    let whole = Some(all.to_string());
    let is_whole = |state: &Vec<Option<String>>| {
        state[0] == whole && state[1] == whole && state[2] == state[3]
    };
    assert!(seen.iter().all(is_whole), "of {looks} looks: {seen:?}");
    assert_eq!(seen.len(), 2, "of {looks} looks: {seen:?}");
    assert!(seen.iter().any(|state| state[2] == new), "{seen:?}");
    println!("8 readers looked {looks} times at {all} rows and saw {} contents", seen.len());
    let after = (rows(&stage, grants).await, created(&rows(&stage, object).await));
    assert_eq!(before, after, "grants or object");
}

/// When the one table of a SHOW was made: a table object that was replaced is younger.
fn created(shown: &[Vec<Option<String>>]) -> Option<String> {
    shown[0][0].clone()
}

#[tokio::test]
async fn answers_that_are_lost_cost_and_double_no_row() {
    let stage = stage("mode: append", "CRM.SNOWFERRY.LEDGER");
    let mut applied = 0;
    for skip in 0..30 {
        let lost = json!({"fault": "lose_answer", "endpoint": "query", "skip": skip, "count": 1});
        stage.fault(lost).await;
        let output = stage.run(&["push", "acme", "--json"]);
        stage.clear_faults().await;
        if !output.status.success() {
            stage.json(&["push", "acme"]);
        }
        applied += 1;
        let found = number(&stage, "SELECT COUNT(*) FROM CRM.PUBLIC.SCORES").await;
        assert_eq!(found, 1 + 1000 * applied, "after losing answer {skip}: {}", show(&output));
    }
}

/// What a pull brings goes back value for value: every type of the sample that a push writes, edge
/// values included. MAP is read only.
#[tokio::test]
async fn what_was_pulled_goes_back_the_same() {
    let stage = Stage::with_samples("0.01");
    let back = "    - { table: CRM.PUBLIC.EVENTS, mode: full }
push:
  ledger: none
  tables:
    - { name: back, table: CRM.PUBLIC.EVENTS, target: CRM.PUBLIC.EVENTS_BACK, mode: rewrite }
";
    stage.connect(back);
    stage
        .sql(
            "ALTER TABLE CRM.PUBLIC.EVENTS DROP COLUMN COUNTERS;
             CREATE TABLE CRM.PUBLIC.EVENTS_BACK LIKE CRM.PUBLIC.EVENTS;
             GRANT SELECT, INSERT, DELETE ON TABLE CRM.PUBLIC.EVENTS_BACK TO ROLE SYSADMIN;",
        )
        .await;
    stage.json(&["pull", "acme"]);
    let pushed = stage.json(&["push", "acme"]);
    assert_eq!(pushed["pushes"][0]["outcome"], "applied", "{pushed}");
    let there = rows(&stage, "SELECT * FROM CRM.PUBLIC.EVENTS ORDER BY ID").await;
    let back = rows(&stage, "SELECT * FROM CRM.PUBLIC.EVENTS_BACK ORDER BY ID").await;
    assert_eq!(there.len(), back.len());
    for (there, back) in there.iter().zip(&back) {
        assert_eq!(there, back);
    }
}
