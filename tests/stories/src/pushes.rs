//! Pushes end to end: killed, watched, refused, and taken back again.

use std::collections::BTreeSet;
use std::process::Stdio;
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

/// Grants that a table made anew needs again.
const GRANT: &str =
    "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE CRM.PUBLIC.SCORES TO ROLE SYSADMIN;";

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
    let stage = Stage::with_sql_and(SQL, &["--idle-transaction", "1"]);
    stage.connect(&pushes(mode, ledger));
    stage.json(&["pull", "acme"]);
    stage
}

/// The rows of a query at the customer's side, as another client sees them.
async fn rows(stage: &Stage, sql: &str) -> Vec<Vec<Option<String>>> {
    let client = reqwest::Client::new();
    let base = stage.text("base_url");
    let login = json!({"data": {
        "CLIENT_APP_ID": "Go", "CLIENT_APP_VERSION": "2.1.0",
        "ACCOUNT_NAME": stage.text("account"), "LOGIN_NAME": stage.text("user"),
        "PASSWORD": stage.text("password"), "SESSION_PARAMETERS": {},
    }});
    let login = client.post(format!("{base}/session/v1/login-request")).json(&login);
    let login: Value = login.send().await.unwrap().json().await.unwrap();
    let token = login["data"]["token"].as_str().unwrap_or_else(|| panic!("{login}"));
    let url = format!("{base}/queries/v1/query-request?requestId={}", request_id());
    let query = json!({"sqlText": sql, "parameters": {"GO_QUERY_RESULT_FORMAT": "JSON"}});
    let answer = client
        .post(url)
        .header("Authorization", format!("Snowflake Token=\"{token}\""))
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

/// An id that no other request of this process has.
fn request_id() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("00000000-0000-4000-8000-{:012x}", NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn number(stage: &Stage, sql: &str) -> u64 {
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
    let mut dice = u64::from(std::process::id()) | 1;
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

#[tokio::test]
async fn readers_during_rewrites_see_one_whole_content_or_another() {
    let stage = stage("mode: rewrite", "CRM.SNOWFERRY.LEDGER");
    stage.json(&["push", "acme"]);
    let mut push = stage
        .command(&["push", "acme", "--json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = BTreeSet::new();
    let mut looks = 0;
    while push.try_wait().unwrap().is_none() {
        let contents = "SELECT COUNT(*)::VARCHAR, COUNT(DISTINCT RUN)::VARCHAR \
                        FROM CRM.PUBLIC.SCORES";
        seen.extend(rows(&stage, contents).await);
        looks += 1;
    }
    let whole = vec![Some("1000".to_owned()), Some("1".to_owned())];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [whole], "after {looks} looks");
}

/// Each wrong target with a word of its refusal.
const WRONG: [(&str, &str); 13] = [
    ("DROP TABLE CRM.PUBLIC.SCORES", "does not exist"),
    ("ALTER TABLE CRM.PUBLIC.SCORES DROP COLUMN SCORE", "no such column"),
    (
        "CREATE OR REPLACE TABLE CRM.PUBLIC.SCORES (ID NUMBER, NAME VARCHAR, SCORE NUMBER(20,4), RUN VARCHAR, NEEDED VARCHAR NOT NULL)",
        "takes no NULL",
    ),
    (
        "CREATE OR REPLACE TABLE CRM.PUBLIC.SCORES (ID NUMBER(2,0), NAME VARCHAR, SCORE NUMBER(20,4), RUN VARCHAR)",
        "too large",
    ),
    (
        "CREATE OR REPLACE TABLE CRM.PUBLIC.SCORES (ID NUMBER, NAME VARCHAR(5), SCORE NUMBER(20,4), RUN VARCHAR)",
        "too long",
    ),
    (
        "CREATE OR REPLACE TABLE CRM.PUBLIC.SCORES (ID NUMBER, NAME VARCHAR, SCORE NUMBER(20,0), RUN VARCHAR)",
        "digits after the point",
    ),
    (
        "CREATE OR REPLACE TABLE CRM.PUBLIC.SCORES (ID VARCHAR, NAME VARCHAR, SCORE NUMBER(20,4), RUN VARCHAR)",
        "does not go into",
    ),
    (
        "CREATE OR REPLACE TABLE CRM.PUBLIC.SCORES (ID NUMBER, NAME NUMBER, SCORE NUMBER(20,4), RUN VARCHAR)",
        "does not go into",
    ),
    (
        "CREATE OR REPLACE TABLE CRM.PUBLIC.SCORES (ID NUMBER, NAME VARCHAR, SCORE BOOLEAN, RUN VARCHAR)",
        "does not go into",
    ),
    (
        "CREATE OR REPLACE TABLE CRM.PUBLIC.SCORES (ID NUMBER, \"name\" VARCHAR, SCORE NUMBER(20,4), RUN VARCHAR)",
        "no such column",
    ),
    (
        "CREATE OR REPLACE TABLE CRM.PUBLIC.SCORES (ID NUMBER, NAME VARCHAR, SCORE NUMBER(20,4), RUN NUMBER)",
        "constant does not fit",
    ),
    (
        "CREATE OR REPLACE TABLE CRM.PUBLIC.SCORES (ID NUMBER AUTOINCREMENT, NAME VARCHAR, SCORE NUMBER(20,4), RUN VARCHAR)",
        "numbers this column itself",
    ),
    ("DROP TABLE CRM.SNOWFERRY.LEDGER", "ledger table"),
];

#[tokio::test]
async fn wrong_targets_are_refused_with_the_reason_before_anything_is_written() {
    for (change, word) in WRONG {
        let stage = stage("mode: rewrite", "CRM.SNOWFERRY.LEDGER");
        let again = if change.contains("OR REPLACE TABLE") { GRANT } else { "" };
        stage.sql(&format!("{change}; {again}")).await;
        let output = stage.run(&["push", "acme", "--json"]);
        let text = show(&output);
        assert!(!output.status.success() && text.contains(word), "{change}: {text}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["pushes"][0]["outcome"], "refused", "{change}: {text}");
        let uploaded = stage.requests("stage").await;
        let data_is_checked = ["too large", "too long", "digits after the point"].contains(&word);
        assert!(data_is_checked || uploaded == 0, "{change}: {uploaded} files were sent");
    }
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
