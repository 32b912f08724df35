//! The Lambda `pull`: deadlines of seconds, frozen processes, the queue that hands a backfill on,
//! kills, and events that come twice; and the Lambda `check`.

use std::time::Duration;

use serde_json::{Value, json};
use snowferry_bootstrap::aws::documents::Status;
use snowferry_lambda_emulator::Answer;
use snowferry_lambda_emulator::source::{Peace, drain};

use crate::cloud::{Cloud, Trouble, acme, count};
use crate::stage::Stage;

const TABLES: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: UPDATED_AT }
    - { table: CRM.PUBLIC.EVENTS, key: [ID], cursor: ID }
    - { table: SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM, mode: once }
";

/// A table that is read whole by each run.
const WHOLE: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, mode: full, skip_unchanged: false }\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backfill_over_many_invocations_killed_and_doubled_equals_an_undisturbed_one() {
    let Some(cloud) = Cloud::start("0.05", TABLES).await else { return };
    let tables =
        ["CRM.PUBLIC.ACCOUNTS", "CRM.PUBLIC.EVENTS", "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM"];
    let slow = json!({ "fault": "delay", "endpoint": "chunk", "millis": 1500, "count": 100_000 });
    cloud.stage.fault(slow).await;
    let function = cloud.function("pull");
    cloud.schedule("first slot");
    let answers = drain(&cloud.services.queue, &function, 3, &Trouble::new()).await.unwrap();
    let killed = count(&answers, |answer| *answer == Answer::Killed);
    println!(
        "{} invocations, {killed} killed, {} timed out, {} cold starts",
        function.invocations(),
        count(&answers, |answer| *answer == Answer::TimedOut),
        function.starts(),
    );
    assert_eq!(cloud.services.queue.dead_letters(), Vec::<String>::new());
    assert!(function.invocations() >= 4, "only {} invocations", function.invocations());
    assert!(cloud.services.queue.sent().len() > 3, "{:?}", cloud.services.queue.sent());
    cloud.equals_an_undisturbed_run(&tables).await;

    // Rows are changed and added; the next slot comes twice.
    cloud
        .stage
        .sql(
            "INSERT INTO CRM.PUBLIC.ACCOUNTS (ID, NAME, UPDATED_AT) VALUES \
             (9007199254740993, 'new', '2026-02-03 04:05:06.789'::TIMESTAMP_NTZ(9));
             UPDATE CRM.PUBLIC.ACCOUNTS SET NAME = 'changed', \
             UPDATED_AT = '2026-02-03 04:05:07'::TIMESTAMP_NTZ(9) WHERE MOD(ID, 50) = 7;",
        )
        .await;
    cloud.schedule("second slot");
    cloud.schedule("second slot, from another schedule");
    drain(&cloud.services.queue, &function, 2, &Peace).await.unwrap();
    cloud.equals_an_undisturbed_run(&tables).await;
    assert_eq!(cloud.s3.store.open_uploads(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_that_was_frozen_goes_on_with_the_next_event() {
    let Some(cloud) = Cloud::start("0.001", WHOLE).await else { return };
    let function = cloud.function("pull");
    let event = json!({ "connection": "acme" });
    for _ in 0..3 {
        let answer = function.invoke(&event).await.unwrap();
        let Answer::Done(report) = answer else { panic!("{answer:?}") };
        assert_eq!(report["tables"][0]["outcome"], "loaded", "{report}");
    }
    assert_eq!((function.invocations(), function.starts()), (3, 1));
    let lines: Vec<Value> =
        function.output().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "one line for each table and run");
    for line in &lines {
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Snowferry");
        assert!(line["Rows"].as_u64().unwrap() > 0 && line["LagSeconds"].is_u64(), "{line}");
    }
    assert_eq!(cloud.services.secrets.reads(), 1, "a secret is kept for some minutes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotated_key_is_read_again_and_a_pending_one_is_tried() {
    let Some(cloud) = Cloud::start("0.001", WHOLE).await else { return };
    let function = cloud.function("pull");
    let event = json!({ "connection": "acme" });
    // The current version is a key that the user no longer has; the rotation has staged the other.
    let elsewhere = Stage::with_sql("CREATE DATABASE ELSEWHERE;");
    let stale = std::fs::read_to_string(elsewhere.text("private_key_path")).unwrap();
    cloud.put_secret("AWSCURRENT", &stale);
    let refused = function.invoke(&event).await.unwrap();
    let Answer::Failed(told) = refused else { panic!("{refused:?}") };
    assert_eq!(told["errorType"], "SNOWFLAKE_SIGN_IN", "{told}");
    cloud.put_secret("AWSPENDING", &cloud.private_key());
    let pending = function.invoke(&event).await.unwrap();
    assert!(matches!(pending, Answer::Done(_)), "{pending:?}");
    // The rotation is finished: the current version is read anew after one refusal.
    cloud.put_secret("AWSPENDING", &stale);
    cloud.put_secret("AWSCURRENT", &cloud.private_key());
    let current = function.invoke(&event).await.unwrap();
    assert!(matches!(current, Answer::Done(_)), "{current:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_run_is_told_by_its_code() {
    let Some(cloud) = Cloud::start("0.001", WHOLE).await else { return };
    let function = cloud.function("pull");
    for (event, code) in [
        (json!({ "connection": "acme", "table": "X" }), "EVENT_INVALID"),
        (json!({ "connection": "acme", "tables": ["A.B.C"] }), "EVENT_INVALID"),
        (json!({ "connection": "nobody" }), "CONFIG_NO_CONNECTION"),
    ] {
        let answer = function.invoke(&event).await.unwrap();
        let Answer::Failed(told) = answer else { panic!("{event}: {answer:?}") };
        assert_eq!(told["errorType"], code, "{event}: {told}");
    }
    cloud.documents().set_status(&acme(), Status::Paused).await.unwrap();
    let answers =
        function.invoke_async(&json!({ "connection": "acme" }), Duration::ZERO).await.unwrap();
    assert_eq!(answers.len(), 3, "an asynchronous call is tried three times");
    let Answer::Failed(told) = &answers[2] else { panic!("{answers:?}") };
    assert_eq!(told["errorType"], "CONNECTION_PAUSED", "{told}");
    // From the queue it is worked off: no later delivery would fare better.
    cloud.schedule("slot");
    drain(&cloud.services.queue, &function, 1, &Peace).await.unwrap();
    assert_eq!(cloud.services.queue.dead_letters(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_from_the_cloud_tells_all_that_is_wrong() {
    let tables = "    - { table: CRM.PUBLIC.ACCOUNTS, mode: full }
    - { table: CRM.PUBLIC.NOT_THERE, mode: full }
push:
  ledger: none
  tables:
    - { name: scores, table: CRM.PUBLIC.ACCOUNTS, target: CRM.PUBLIC.NO_TARGET, mode: append }\n";
    let Some(cloud) = Cloud::start("0.001", tables).await else { return };
    let answer = cloud.function("check").invoke(&json!({ "connection": "acme" })).await.unwrap();
    let Answer::Done(report) = answer else { panic!("{answer:?}") };
    assert_eq!(report["passed"], false, "{report}");
    let failed: Vec<&Value> = report["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["verdict"] == "failed")
        .collect();
    assert_eq!(failed.len(), 2, "{report}");
    for (item, table) in failed.iter().zip(["NOT_THERE", "NO_TARGET"]) {
        assert!(item["subject"].as_str().unwrap().contains(table), "{report}");
    }
}
