//! The Lambda `push`: rows of the lake in S3 go into the customer's tables, once, whatever happens
//! to the function and its messages.

use std::time::Duration;

use serde_json::{Value, json};
use snowferry_lambda_emulator::Answer;
use snowferry_lambda_emulator::source::{Mischief, Peace, drain};

use crate::cloud::{Cloud, PEACEFUL, TIMEOUT, Trouble, count};

/// The customer's side: rows to pull, tables to push into, and a ledger.
const SQL: &str = "
CREATE DATABASE CRM; CREATE SCHEMA CRM.SNOWFERRY;
CREATE TABLE CRM.PUBLIC.ACCOUNTS (ID NUMBER(38,0), NAME VARCHAR, AMOUNT NUMBER(12,2));
INSERT INTO CRM.PUBLIC.ACCOUNTS
  SELECT N + 1, 'account ' || N, (N + 1) * 1.25
  FROM (SELECT SEQ8() AS N FROM TABLE(GENERATOR(ROWCOUNT => 1000)));
CREATE TABLE CRM.PUBLIC.EVENTS (ID NUMBER(38,0) NOT NULL, NAME VARCHAR(100), RUN VARCHAR);
CREATE TABLE CRM.PUBLIC.SCORES (ID NUMBER(38,0) NOT NULL, SCORE NUMBER(20,4));
CREATE TABLE CRM.PUBLIC.NARROW (ID NUMBER(2,0) NOT NULL);
CREATE TABLE CRM.SNOWFERRY.LEDGER (PUSH VARCHAR NOT NULL, GENERATION NUMBER(38,0) NOT NULL,
  SEQUENCE NUMBER(38,0) NOT NULL, RUN_ID VARCHAR, TARGET VARCHAR, ROWS_APPLIED NUMBER(38,0),
  APPLIED_AT TIMESTAMP_LTZ(9));
GRANT USAGE ON DATABASE CRM TO ROLE SYSADMIN;
GRANT USAGE ON SCHEMA CRM.PUBLIC TO ROLE SYSADMIN;
GRANT USAGE ON SCHEMA CRM.SNOWFERRY TO ROLE SYSADMIN;
GRANT SELECT ON TABLE CRM.PUBLIC.ACCOUNTS TO ROLE SYSADMIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE CRM.PUBLIC.EVENTS TO ROLE SYSADMIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE CRM.PUBLIC.SCORES TO ROLE SYSADMIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE CRM.PUBLIC.NARROW TO ROLE SYSADMIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE CRM.SNOWFERRY.LEDGER TO ROLE SYSADMIN;
";

const TABLES: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, mode: full }
push:
  ledger: CRM.SNOWFERRY.LEDGER
  tables:
    - name: events
      query: SELECT ID, NAME FROM ACCOUNTS
      target: CRM.PUBLIC.EVENTS
      mode: append
      constants: { RUN: $run_id }
    - name: scores
      query: SELECT ID, AMOUNT * 2 AS SCORE FROM CRM.PUBLIC.ACCOUNTS WHERE ID <= 400
      target: CRM.PUBLIC.SCORES
      mode: upsert
      key: [ID]
    - name: narrow
      query: SELECT ID FROM ACCOUNTS
      target: CRM.PUBLIC.NARROW
      mode: rewrite
";

impl Cloud {
    /// Starts everything with the accounts pulled into the lake by the Lambda `pull`.
    async fn with_accounts() -> Option<Self> {
        let cloud = Self::with_sql(SQL, TABLES).await?;
        let function = cloud.function_within("pull", PEACEFUL);
        let pulled = function.invoke(&json!({ "connection": "acme" })).await.unwrap();
        let Answer::Done(report) = pulled else { panic!("{pulled:?}") };
        assert_eq!(report["tables"][0]["rows"], 1000, "{report}");
        Some(cloud)
    }

    /// Sends a message as a schedule or a hop does.
    fn send(&self, once: &str, names: &[&str]) {
        let body = json!({ "connection": "acme", "names": names }).to_string();
        self.services.queue.send("acme#0", once, &body, &Value::Null);
    }

    /// Asks the customer's side, as the owner of the account.
    async fn holds(&self, condition: &str) {
        // A division by zero is an error of the script, which names the condition.
        self.stage.sql(&format!("SELECT 1 / IFF({condition}, 1, 0);")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_reads_the_lake_in_s3_and_tells_what_it_wrote() {
    let Some(cloud) = Cloud::with_accounts().await else { return };
    let function = cloud.function_within("push", PEACEFUL);
    let event = json!({ "connection": "acme", "names": ["events", "scores"] });
    let answer = function.invoke(&event).await.unwrap();
    let Answer::Done(report) = answer else { panic!("{answer:?}") };
    let told: Vec<_> = report["pushes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|push| (push["push"].as_str().unwrap(), push["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("events", "applied"), ("scores", "applied")], "{report}");
    cloud.holds("(SELECT COUNT(*) FROM CRM.PUBLIC.EVENTS) = 1000").await;
    cloud.holds("(SELECT SUM(SCORE) FROM CRM.PUBLIC.SCORES) = 200500").await;
    let lines: Vec<Value> =
        function.output().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "one line for each push and run");
    for line in &lines {
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Snowferry");
        assert!(line["Rows"].as_u64().unwrap() > 0 && line["LagSeconds"].is_u64(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_that_does_not_fit_tells_its_code_and_writes_nothing() {
    let Some(cloud) = Cloud::with_accounts().await else { return };
    let function = cloud.function_within("push", PEACEFUL);
    for (event, code) in [
        (json!({ "connection": "acme", "names": ["narrow"] }), "PUSH_REFUSED"),
        (json!({ "connection": "acme", "names": ["none"] }), "EVENT_INVALID"),
        (json!({ "connection": "acme", "tables": ["CRM.PUBLIC.EVENTS"] }), "EVENT_INVALID"),
        (json!({ "connection": "acme", "mode": "full" }), "EVENT_INVALID"),
    ] {
        let answer = function.invoke(&event).await.unwrap();
        let Answer::Failed(told) = answer else { panic!("{event}: {answer:?}") };
        assert_eq!(told["errorType"], code, "{event}: {told}");
    }
    cloud.holds("(SELECT COUNT(*) FROM CRM.PUBLIC.NARROW) = 0").await;
    // From the queue it is worked off: no later delivery would fare better.
    cloud.send("refused", &["narrow"]);
    drain(&cloud.services.queue, &function, 1, &Peace).await.unwrap();
    assert_eq!(cloud.services.queue.dead_letters(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_push_that_meets_its_deadline_and_comes_twice_is_applied_once() {
    let Some(cloud) = Cloud::with_accounts().await else { return };
    // Two statements are handled so late that their invocations are killed at their deadline.
    let late = u64::try_from(TIMEOUT.as_millis()).unwrap() + 1000;
    let slow =
        json!({ "fault": "delay", "endpoint": "query", "millis": late, "count": 2, "skip": 6 });
    cloud.stage.fault(slow).await;
    let function = cloud.function("push");
    cloud.send("first", &["events"]);
    let answers = drain(&cloud.services.queue, &function, 2, &Twice).await.unwrap();
    println!("{answers:?}");
    assert!(count(&answers, |answer| *answer == Answer::TimedOut) >= 1, "{answers:?}");
    assert!(function.invocations() >= 3, "{answers:?}");
    assert_eq!(cloud.services.queue.dead_letters(), Vec::<String>::new());
    cloud.holds("(SELECT COUNT(*) FROM CRM.PUBLIC.EVENTS) = 1000").await;
    cloud.holds("(SELECT COUNT(DISTINCT RUN) FROM CRM.PUBLIC.EVENTS) = 1").await;
}

/// Every delivery is made twice, at the same time.
struct Twice;

impl Mischief for Twice {
    fn kill_after(&self, _: &snowferry_aws_fakes::services::queue::Delivery) -> Option<Duration> {
        None
    }

    fn doubles(&self, _: &snowferry_aws_fakes::services::queue::Delivery) -> bool {
        true
    }

    fn ended(&self, _: &snowferry_aws_fakes::services::queue::Delivery) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appends_killed_and_doubled_at_random_add_each_message_once() {
    let Some(cloud) = Cloud::with_accounts().await else { return };
    let function = cloud.function("push");
    const MESSAGES: usize = 6;
    for number in 0..MESSAGES {
        cloud.send(&format!("message {number}"), &["events", "scores"]);
    }
    let answers = drain(&cloud.services.queue, &function, 2, &Trouble::new()).await.unwrap();
    println!(
        "{} invocations, {} killed, {} cold starts",
        function.invocations(),
        count(&answers, |answer| *answer == Answer::Killed),
        function.starts(),
    );
    assert_eq!(cloud.services.queue.dead_letters(), Vec::<String>::new());
    let rows = MESSAGES * 1000;
    cloud.holds(&format!("(SELECT COUNT(*) FROM CRM.PUBLIC.EVENTS) = {rows}")).await;
    cloud.holds(&format!("(SELECT COUNT(DISTINCT RUN) FROM CRM.PUBLIC.EVENTS) = {MESSAGES}")).await;
    cloud.holds("(SELECT COUNT(*) FROM CRM.PUBLIC.SCORES) = 400").await;
    cloud.holds("(SELECT COUNT(DISTINCT ID) FROM CRM.PUBLIC.SCORES) = 400").await;
}
