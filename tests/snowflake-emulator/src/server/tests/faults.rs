//! Faults on order, and the rest of the admin interface.

use serde_json::{Value, json};

use super::Rig;
use crate::EmulatorOptions;

fn small_parts() -> EmulatorOptions {
    EmulatorOptions { inline_rows: 10, chunk_bytes: 1 << 20, ..EmulatorOptions::default() }
}

async fn chunk(rig: &Rig, answer: &super::Answer) -> Result<Vec<u8>, u16> {
    let mut request = rig.http.get(answer.data()["chunks"][0]["url"].as_str().expect("url"));
    for (name, value) in answer.data()["chunkHeaders"].as_object().expect("headers") {
        request = request.header(name, value.as_str().expect("text"));
    }
    let response = request.send().await.map_err(|_| 0_u16)?;
    if !response.status().is_success() {
        return Err(response.status().as_u16());
    }
    // Read by hand: a body that breaks off gives its error, one that just ends gives its bytes.
    response.bytes().await.map(|body| body.to_vec()).map_err(|_| 0)
}

#[tokio::test]
async fn a_status_strikes_as_often_as_ordered_after_as_many_as_may_pass() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let order = json!({
        "fault": "status", "endpoint": "query", "status": 503, "count": 2, "skip": 1,
    });
    rig.fault(order).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(rig.run(&token, "ROWS 1").await.status);
    }
    assert_eq!(statuses, [200, 503, 503, 200]);
}

#[tokio::test]
async fn a_chunk_can_end_early_or_break_off() {
    let rig = Rig::start(small_parts()).await;
    let (token, _) = rig.tokens().await;
    let answer = rig.run(&token, "ROWS 5000").await;
    let whole = chunk(&rig, &answer).await.expect("a body");
    rig.fault(json!({"fault": "cut_body", "endpoint": "chunk", "after_bytes": 100})).await;
    let cut = chunk(&rig, &answer).await.expect("a body that ends in peace");
    assert_eq!(cut, whole[..100]);
    rig.fault(json!({"fault": "kill_connection", "endpoint": "chunk", "after_bytes": 100})).await;
    assert_eq!(chunk(&rig, &answer).await, Err(0));
    assert_eq!(chunk(&rig, &answer).await, Ok(whole));
}

#[tokio::test]
async fn an_answer_can_be_lost_although_the_statement_ran() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let id = uuid::Uuid::new_v4();
    rig.fault(json!({"fault": "kill_connection", "endpoint": "query", "after_bytes": 5})).await;
    let path = format!("{}/queries/v1/query-request?requestId={id}", rig.ready.base_url);
    let lost = rig.http.post(path).json(&json!({"sqlText": "INSERT"}));
    let lost = lost.header("Authorization", format!("Snowflake Token=\"{token}\""));
    // The connection breaks before or after the head; the body never arrives whole.
    if let Ok(head) = lost.send().await {
        assert!(head.bytes().await.is_err());
    }
    let again = rig.run_as(&token, id, json!({"sqlText": "INSERT"})).await;
    assert_eq!(again.data()["rowset"], json!([["1"]]));
    assert_eq!(rig.runner.runs(), 1);
}

#[tokio::test]
async fn an_answer_can_announce_rows_that_do_not_come() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    rig.fault(json!({"fault": "wrong_row_count", "by": 2})).await;
    assert_eq!(rig.run(&token, "ROWS 3").await.data()["total"], 5);
    assert_eq!(rig.run(&token, "ROWS 3").await.data()["total"], 3);
}

#[tokio::test]
async fn a_lost_result_is_unknown_and_planned_faults_can_be_forgotten() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let answer = rig.run(&token, "ROWS 3").await;
    let id = answer.data()["queryId"].as_str().expect("id").to_owned();
    rig.fault(json!({"fault": "lose_result", "query_id": id})).await;
    assert_eq!(rig.get(&format!("/queries/{id}/result"), &token).await.code(), "000709");
    let missing = json!({"fault": "lose_result", "query_id": id});
    assert_eq!(rig.admin("/faults", &missing).await.status, 404);
    let order = json!({"fault": "status", "endpoint": "query", "status": 500, "count": 9});
    rig.fault(order).await;
    let path = format!("{}/faults", rig.ready.admin_url);
    let cleared = rig.call(reqwest::Method::DELETE, &path, None, &Value::Null).await;
    assert_eq!(cleared.status, 204);
    assert_eq!(rig.run(&token, "ROWS 3").await.status, 200);
}

#[tokio::test]
async fn an_order_that_is_not_understood_is_refused() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    for order in [
        json!({"fault": "earthquake"}),
        json!({"fault": "status", "endpoint": "query", "status": 500, "times": 2}),
        json!({"fault": "status", "endpoint": "everything", "status": 500}),
    ] {
        assert_eq!(rig.admin("/faults", &order).await.status, 400, "{order}");
    }
}

#[tokio::test]
async fn scripts_run_and_the_history_names_every_statement() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let url = format!("{}/sql", rig.ready.admin_url);
    let ran = rig.http.post(&url).body("a; b;").send().await.expect("answer");
    assert_eq!(ran.json::<Value>().await.expect("json"), json!({"statements": 2}));
    let failed = rig.http.post(&url).body("FAIL;").send().await.expect("answer");
    assert_eq!(failed.status(), 422);
    assert_eq!(failed.json::<Value>().await.expect("json")["code"], "001003");
    let own = json!({"sqlText": "ROWS 3", "parameters": {"QUERY_TAG": "nightly"}});
    rig.run_with(&token, own).await;
    rig.run(&token, "FAIL").await;
    let history = rig.get(&format!("{}/queries", rig.ready.admin_url), "").await.body;
    assert_eq!(history[0]["sqlText"], "ROWS 3");
    assert_eq!(history[0]["queryTag"], "nightly");
    assert_eq!(history[0]["stats"]["producedRows"], 3);
    assert_eq!(history[1]["status"], "FAILED_WITH_ERROR");
    assert_eq!(history[1]["errorCode"], "002003");
    let state = rig.get(&format!("{}/state", rig.ready.admin_url), "").await.body;
    assert_eq!(state["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(state["requests"]["login"], 1);
    assert_eq!(state["requests"]["query"], 2);
}
