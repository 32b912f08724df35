//! Statements: idempotence, binds, describe-only, several at once, waiting, cancelling.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::Rig;
use crate::EmulatorOptions;

fn impatient() -> EmulatorOptions {
    EmulatorOptions { sync_patience: Duration::ZERO, ..EmulatorOptions::default() }
}

#[tokio::test]
async fn the_same_request_id_runs_once_and_returns_the_first_outcome() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let id = Uuid::new_v4();
    let first = rig.run_as(&token, id, json!({"sqlText": "INSERT"})).await;
    let again = rig.run_as(&token, id, json!({"sqlText": "anything else"})).await;
    assert_eq!(first.code(), "success");
    assert_eq!(again.data()["queryId"], first.data()["queryId"]);
    assert_eq!(again.data()["rowset"], json!([["1"]]));
    assert_eq!(rig.runner.runs(), 1);
    rig.run(&token, "INSERT").await;
    assert_eq!(rig.runner.runs(), 2);
}

#[tokio::test]
async fn a_resend_while_the_statement_runs_waits_for_it() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    rig.fault(json!({"fault": "hold_statements"})).await;
    let id = Uuid::new_v4();
    let body = json!({"sqlText": "INSERT"});
    let release = async {
        // Both requests have arrived when the counter says so; then the statement may go on.
        let path = format!("{}/state", rig.ready.admin_url);
        while rig.get(&path, "").await.body["requests"]["query"] != 2 {}
        rig.fault(json!({"fault": "release_statements"})).await;
    };
    let (first, again, ()) = tokio::join!(
        rig.run_as(&token, id, body.clone()),
        rig.run_as(&token, id, body.clone()),
        release
    );
    assert_eq!(first.data()["rowset"], json!([["1"]]));
    assert_eq!(first.data()["queryId"], again.data()["queryId"]);
    assert_eq!(rig.runner.runs(), 1);
}

#[tokio::test]
async fn a_request_id_that_is_no_uuid_is_a_bad_request() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let path = "/queries/v1/query-request?requestId=foobar";
    let answer = rig.post(path, Some(&token), &json!({"sqlText": "INSERT"})).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body, json!("\"foobar\" is not a UUID."));
}

#[tokio::test]
async fn a_failed_statement_has_snowflakes_shape() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let answer = rig.run(&token, "FAIL").await;
    assert_eq!((answer.status, answer.code()), (200, "002003"));
    assert_eq!(answer.data()["errorCode"], "002003");
    assert_eq!(answer.data()["sqlState"], "42S02");
    assert_eq!(answer.data()["internalError"], false);
    assert!(answer.data()["queryId"].as_str().is_some_and(|id| Uuid::try_parse(id).is_ok()));
    let empty = rig.run(&token, " ; -- nothing").await;
    assert_eq!(empty.code(), "000900");
}

#[tokio::test]
async fn a_statement_whose_task_dies_is_an_internal_error_and_not_silence() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    assert_eq!(rig.run(&token, "PANIC").await.code(), "000603");
}

#[tokio::test]
async fn binds_arrive_in_the_order_of_their_positions() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let mut bindings = serde_json::Map::new();
    for position in 1..=11 {
        let value = json!({"type": "FIXED", "value": position.to_string()});
        bindings.insert(position.to_string(), value);
    }
    bindings.insert("2".to_owned(), json!({"type": "text", "value": null}));
    let answer = rig.run_with(&token, json!({"sqlText": "ECHO", "bindings": bindings})).await;
    let rows = answer.data()["rowset"].as_array().expect("rows");
    assert_eq!(rows[0], json!(["FIXED 1"]));
    assert_eq!(rows[1], json!([null]));
    assert_eq!(rows[10], json!(["FIXED 11"]));
    for bad in [
        json!({"2": {"type": "TEXT", "value": "a"}}),
        json!({"1": {"type": "TEXT", "value": ["a", "b"]}}),
    ] {
        let answer = rig.run_with(&token, json!({"sqlText": "ECHO", "bindings": bad})).await;
        assert_eq!(answer.code(), "002049");
    }
}

#[tokio::test]
async fn lists_of_values_make_one_insert_of_many_rows() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let lists = json!({
        "1": {"type": "FIXED", "value": ["1", "2", null]},
        "2": {"type": "TEXT", "value": ["a", null, "c"]},
    });
    let insert = |text: &str, bindings: &Value| {
        rig.run_with(&token, json!({"sqlText": text, "bindings": bindings}))
    };
    assert_eq!(insert("insert into t values (?, upper(?));", &lists).await.code(), "success");
    let ran = rig.runner.last.lock().expect("no panic").clone();
    let tuples = ["(?, upper(?))"; 3].join(",  ");
    assert_eq!(ran.0, format!("insert into t values {tuples}"));
    let values: Vec<Option<&str>> = ran.1.iter().map(|bind| bind.value.as_deref()).collect();
    assert_eq!(values, [Some("1"), Some("a"), Some("2"), None, None, Some("c")]);
    for text in [
        "select ?, ?",
        "insert into t values (?, ?), (1, 2)",
        "insert into t values (?)",
        "insert into t select ? from values (?)",
    ] {
        assert_eq!(insert(text, &lists).await.code(), "002049", "{text}");
    }
    let uneven = json!({
        "1": {"type": "FIXED", "value": ["1"]}, "2": {"type": "TEXT", "value": ["a", "b"]},
    });
    assert_eq!(insert("insert into t values (?, ?)", &uneven).await.code(), "002049");
}

#[tokio::test]
async fn describe_only_gives_columns_and_runs_nothing() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let body = json!({"sqlText": "ROWS 5", "describeOnly": true});
    let answer = rig.run_with(&token, body).await;
    let data = answer.data();
    assert_eq!(data["rowtype"][0]["name"], "N");
    assert_eq!(data["rowtype"][0]["type"], "fixed");
    assert_eq!(data["rowtype"][1]["byteLength"], 80);
    assert_eq!((&data["total"], &data["rowsetBase64"]), (&json!(0), &json!("")));
    assert_eq!(rig.runner.runs(), 0);
    let body = json!({"sqlText": "NONSENSE", "describeOnly": true});
    assert_eq!(rig.run_with(&token, body).await.code(), "001003");
}

#[tokio::test]
async fn several_statements_need_their_count_and_have_results_of_their_own() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let two = "USE DATABASE D; ROWS 2;";
    assert_eq!(rig.run(&token, two).await.code(), "000008");
    for count in [0, 2] {
        let parameters = json!({"MULTI_STATEMENT_COUNT": count});
        let body = json!({"sqlText": two, "parameters": parameters});
        let answer = rig.run_with(&token, body).await;
        let data = answer.data();
        assert_eq!(data["statementTypeId"], 0xA000);
        assert_eq!(data["resultTypes"], format!("{},{}", 0x4300, 0x1000));
        assert_eq!(data["finalDatabaseName"], "D");
        let ids = data["resultIds"].as_str().expect("ids");
        let last = ids.split(',').next_back().expect("an id");
        let child = rig.get(&format!("/queries/{last}/result"), &token).await;
        assert_eq!(child.data()["total"], 2);
    }
    let parameters = json!({"MULTI_STATEMENT_COUNT": 3});
    let body = json!({"sqlText": two, "parameters": parameters});
    assert_eq!(rig.run_with(&token, body).await.code(), "000008");
}

#[tokio::test]
async fn a_statements_own_parameters_do_not_stay() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let timezone = |answer: &super::Answer| {
        let list = answer.data()["parameters"].as_array().cloned().unwrap_or_default();
        list.iter().find(|entry| entry["name"] == "TIMEZONE").map(|entry| entry["value"].clone())
    };
    let body = json!({"sqlText": "ROWS 1", "parameters": {"timezone": "Asia/Tokyo"}});
    assert_eq!(timezone(&rig.run_with(&token, body).await), Some(json!("Asia/Tokyo")));
    assert_ne!(timezone(&rig.run(&token, "ROWS 1").await), Some(json!("Asia/Tokyo")));
    rig.run(&token, "SET TIMEZONE UTC").await;
    assert_eq!(timezone(&rig.run(&token, "ROWS 1").await), Some(json!("UTC")));
}

#[tokio::test]
async fn a_slow_statement_is_polled_until_it_is_done() {
    let rig = Rig::start(impatient()).await;
    let (token, _) = rig.tokens().await;
    rig.fault(json!({"fault": "hold_statements"})).await;
    let answer = rig.run(&token, "INSERT").await;
    assert_eq!((answer.code(), &answer.body["success"]), ("333333", &json!(true)));
    let url = answer.data()["getResultUrl"].as_str().expect("url").to_owned();
    assert_eq!(rig.get(&url, &token).await.code(), "333333");
    rig.fault(json!({"fault": "release_statements"})).await;
    let done = poll(&rig, &token, &url).await;
    assert_eq!(done["data"]["rowset"], json!([["1"]]));
}

async fn poll(rig: &Rig, token: &str, url: &str) -> Value {
    loop {
        let answer = rig.get(url, token).await;
        if !matches!(answer.code(), "333333" | "333334") {
            return answer.body;
        }
    }
}

#[tokio::test]
async fn a_detached_statement_answers_at_once_and_outlives_its_session() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    rig.fault(json!({"fault": "hold_statements"})).await;
    let body = json!({"sqlText": "INSERT", "asyncExec": true});
    let answer = rig.run_with(&token, body).await;
    assert_eq!(answer.code(), "333334");
    assert_eq!(answer.data()["queryAbortsAfterSecs"], 300);
    let id = answer.data()["queryId"].as_str().expect("id").to_owned();
    let url = format!("/queries/{id}/result");
    assert_eq!(rig.get(&url, &token).await.code(), "333334");
    let status = rig.get(&format!("/monitoring/queries/{id}"), &token).await;
    assert_eq!(status.data()["queries"][0]["status"], "RUNNING");
    let status = rig.get(&format!("/monitoring/queries//{id}"), &token).await;
    assert_eq!(status.data()["queries"][0]["status"], "RUNNING");
    rig.post("/session?delete=true", Some(&token), &Value::Null).await;
    rig.fault(json!({"fault": "release_statements"})).await;
    let (other, _) = rig.tokens().await;
    let done = poll(&rig, &other, &url).await;
    assert_eq!(done["data"]["rowset"], json!([["1"]]));
    let status = rig.get(&format!("/monitoring/queries/{id}"), &other).await;
    assert_eq!(status.data()["queries"][0]["status"], "SUCCESS");
}

#[tokio::test]
async fn a_cancelled_statement_says_so_and_changes_nothing() {
    let rig = Rig::start(impatient()).await;
    let (token, _) = rig.tokens().await;
    rig.fault(json!({"fault": "hold_statements"})).await;
    let request_id = Uuid::new_v4();
    let body = json!({"sqlText": "INSERT"});
    let waiting = rig.run_as(&token, request_id, body.clone()).await;
    let id = waiting.data()["queryId"].as_str().expect("id").to_owned();
    let by_request = json!({"requestId": request_id.to_string(), "sqlText": "INSERT"});
    let abort = format!("/queries/v1/abort-request?requestId={}", Uuid::new_v4());
    assert_eq!(rig.post(&abort, Some(&token), &by_request).await.code(), "success");
    let done = poll(&rig, &token, &format!("/queries/{id}/result")).await;
    assert_eq!(done["code"], "000604");
    assert_eq!(done["data"]["sqlState"], "57014");
    let status = rig.get(&format!("/monitoring/queries/{id}"), &token).await;
    assert_eq!(status.data()["queries"][0]["status"], "ABORTED");
    assert_eq!(rig.post(&abort, Some(&token), &by_request).await.code(), "000605");
    let second = rig.run(&token, "INSERT").await;
    let id = second.data()["queryId"].as_str().expect("id").to_owned();
    let by_id = format!("/queries/{id}/abort-request");
    assert_eq!(rig.post(&by_id, Some(&token), &Value::Null).await.code(), "success");
    assert_eq!(poll(&rig, &token, &format!("/queries/{id}/result")).await["code"], "000604");
    rig.fault(json!({"fault": "release_statements"})).await;
    assert_eq!(rig.runner.runs(), 0);
}

#[tokio::test]
async fn closing_a_session_stops_what_it_waits_for() {
    let rig = Rig::start(impatient()).await;
    let (token, _) = rig.tokens().await;
    rig.fault(json!({"fault": "hold_statements"})).await;
    let waiting = rig.run(&token, "INSERT").await;
    let url = waiting.data()["getResultUrl"].as_str().expect("url").to_owned();
    rig.post("/session?delete=true", Some(&token), &Value::Null).await;
    let (other, _) = rig.tokens().await;
    assert_eq!(poll(&rig, &other, &url).await["code"], "000604");
}

#[tokio::test]
async fn a_statement_stops_at_its_own_timeout() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    rig.fault(json!({"fault": "hold_statements"})).await;
    let body = json!({"sqlText": "INSERT", "parameters": {"STATEMENT_TIMEOUT_IN_SECONDS": 1}});
    assert_eq!(rig.run_with(&token, body).await.code(), "000630");
}

#[tokio::test]
async fn an_unknown_query_id_is_said_to_be_unknown() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let id = Uuid::new_v4();
    assert_eq!(rig.get(&format!("/queries/{id}/result"), &token).await.code(), "000709");
    assert_eq!(rig.get("/queries/x/result", &token).await.status, 400);
    let status = rig.get(&format!("/monitoring/queries/{id}"), &token).await;
    assert_eq!(status.data()["queries"], json!([]));
}
