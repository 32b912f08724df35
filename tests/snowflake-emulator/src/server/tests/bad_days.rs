//! Faults of networks, proxies and object stores, and faults between statements.

use std::io::Read as _;

use serde_json::{Value, json};

use super::{Answer, Rig};
use crate::EmulatorOptions;
use crate::stages::Attributes;

fn chunked() -> EmulatorOptions {
    EmulatorOptions { inline_rows: 10, chunk_bytes: 1 << 20, ..EmulatorOptions::default() }
}

/// Fetches the first chunk.
async fn chunk(rig: &Rig, answer: &Answer) -> reqwest::Response {
    let mut request = rig.http.get(answer.data()["chunks"][0]["url"].as_str().expect("url"));
    for (name, value) in answer.data()["chunkHeaders"].as_object().expect("headers") {
        request = request.header(name, value.as_str().expect("text"));
    }
    request.send().await.expect("an answer")
}

#[tokio::test]
async fn a_chunk_can_be_a_bomb() {
    let rig = Rig::start(chunked()).await;
    let (token, _) = rig.tokens().await;
    let answer = rig.run(&token, "ROWS 5000").await;
    rig.fault(json!({"fault": "bomb", "endpoint": "chunk", "bytes": 64 << 20})).await;
    let packed = chunk(&rig, &answer).await.bytes().await.expect("a body");
    assert!(packed.len() < 1 << 20, "{} bytes", packed.len());
    let mut unpacked = flate2::read::GzDecoder::new(packed.as_ref());
    let mut sink = [0; 1 << 16];
    let mut total = 0;
    loop {
        match unpacked.read(&mut sink).expect("gzip") {
            0 => break,
            read => total += read,
        }
    }
    assert_eq!(total, 64 << 20);
}

#[tokio::test]
async fn answers_can_be_web_pages_with_status_200() {
    let rig = Rig::start(chunked()).await;
    let (token, _) = rig.tokens().await;
    let answer = rig.run(&token, "ROWS 5000").await;
    for endpoint in ["query", "chunk"] {
        rig.fault(json!({"fault": "page", "endpoint": endpoint})).await;
    }
    let page = rig.run(&token, "ROWS 1").await;
    assert_eq!(page.status, 200);
    assert!(page.body.as_str().expect("no JSON").starts_with("<!DOCTYPE html>"));
    let page = chunk(&rig, &answer).await;
    assert_eq!(page.status(), 200);
    assert!(page.text().await.expect("a body").contains("<html>"));
}

#[tokio::test]
async fn a_corrupted_chunk_has_its_length_and_other_bytes() {
    let rig = Rig::start(chunked()).await;
    let (token, _) = rig.tokens().await;
    let answer = rig.run(&token, "ROWS 5000").await;
    let whole = chunk(&rig, &answer).await.bytes().await.expect("a body");
    rig.fault(json!({"fault": "corrupt", "endpoint": "chunk"})).await;
    let changed = chunk(&rig, &answer).await.bytes().await.expect("a body");
    assert_eq!(changed.len(), whole.len());
    let mut plain = Vec::new();
    let read = flate2::read::GzDecoder::new(changed.as_ref()).read_to_end(&mut plain);
    assert!(read.is_err(), "the checksum finds it");
}

#[tokio::test]
async fn a_burst_says_when_to_come_back_and_a_redirect_where_to_go() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let burst = json!({
        "fault": "status", "endpoint": "query", "status": 429, "retry_after": 7, "count": 2,
    });
    rig.fault(burst).await;
    let body = json!({"sqlText": "ROWS 1"});
    for _ in 0..2 {
        let path = "/queries/v1/query-request";
        let refused = rig.send(reqwest::Method::POST, path, Some(&token), &body).await;
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["retry-after"], "7");
    }
    let elsewhere = "http://127.0.0.1:9/other";
    rig.fault(json!({"fault": "redirect", "endpoint": "query", "to": elsewhere})).await;
    let unmoved = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let sent = unmoved
        .build()
        .expect("a client")
        .post(format!("{}/queries/v1/query-request", rig.ready.base_url))
        .json(&body)
        .send();
    let redirected = sent.await.expect("an answer");
    assert_eq!(redirected.status(), 307);
    assert_eq!(redirected.headers()["location"], elsewhere);
}

#[tokio::test]
async fn a_statement_whose_answer_is_lost_has_run_once() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let id = uuid::Uuid::new_v4();
    rig.fault(json!({"fault": "lose_answer", "endpoint": "query"})).await;
    let path = format!("{}/queries/v1/query-request?requestId={id}", rig.ready.base_url);
    let lost = rig.http.post(path).json(&json!({"sqlText": "INSERT"}));
    let lost = lost.header("Authorization", format!("Snowflake Token=\"{token}\"")).send().await;
    let body = match lost {
        Ok(head) => head.bytes().await.ok(),
        Err(_) => None,
    };
    assert_eq!(body, None);
    assert_eq!(rig.runner.runs(), 1);
    rig.run_as(&token, id, json!({"sqlText": "INSERT"})).await;
    assert_eq!(rig.runner.runs(), 1);
}

#[tokio::test]
async fn sessions_can_expire_or_end_between_two_statements() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, master) = rig.tokens().await;
    rig.fault(json!({"fault": "expire_sessions_before", "endpoint": "query", "skip": 1})).await;
    assert_eq!(rig.run(&token, "ROWS 1").await.code(), "success");
    assert_eq!(rig.run(&token, "ROWS 1").await.code(), "390112");
    let renew = json!({"oldSessionToken": token, "requestType": "RENEW"});
    let renewed = rig.post("/session/token-request", Some(&master), &renew).await;
    let token = renewed.data()["sessionToken"].as_str().expect("a token").to_owned();
    rig.fault(json!({"fault": "lose_sessions_before", "endpoint": "query"})).await;
    assert_eq!(rig.run(&token, "ROWS 1").await.code(), "390111");
    assert_eq!(rig.runner.ended.lock().expect("no panic").len(), 1);
    let (token, _) = rig.tokens().await;
    rig.fault(json!({"fault": "lose_sessions"})).await;
    assert_eq!(rig.run(&token, "ROWS 1").await.code(), "390111");
}

/// The links of a PUT and of a GET of one file.
async fn links(rig: &Rig) -> (String, String) {
    let (token, _) = rig.tokens().await;
    let put = rig.run(&token, "PUT a.csv").await;
    let data = put.data();
    assert_eq!(data["command"], "UPLOAD");
    assert_eq!(data["src_locations"], json!(["/tmp/a.csv"]));
    assert_eq!(data["encryptionMaterial"]["queryStageMasterKey"], "a2V5");
    let put = data["stageInfo"]["presignedUrl"].as_str().expect("a link").to_owned();
    let get = rig.run(&token, "GET a.csv").await;
    assert_eq!(get.data()["command"], "DOWNLOAD");
    assert_eq!(get.data()["encryptionMaterial"], Value::Null);
    let get = get.data()["presignedUrls"][0].as_str().expect("a link").to_owned();
    (put, get)
}

#[tokio::test]
async fn an_upload_that_breaks_off_or_fails_leaves_the_old_file() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    rig.runner.stages.write(1, "a.csv", b"old", Attributes::default()).expect("written");
    let (link, _) = links(&rig).await;
    let put = |body: &'static str| rig.http.put(&link).body(body).send();
    let stored = || rig.runner.stages.read_stored(1, "a.csv").expect("a file").0;
    rig.fault(json!({"fault": "cut_upload", "endpoint": "stage", "after_bytes": 2})).await;
    assert!(put("new content").await.is_err_and(|error| !error.is_status()));
    rig.fault(json!({"fault": "status", "endpoint": "stage", "status": 503})).await;
    assert_eq!(put("new content").await.expect("an answer").status(), 503);
    assert_eq!(stored(), "old");
    rig.fault(json!({"fault": "lose_answer", "endpoint": "stage"})).await;
    let _lost = put("new content").await;
    assert_eq!(stored(), "new content");
}

#[tokio::test]
async fn links_to_staged_files_open_what_they_name_until_they_expire() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (link, get) = links(&rig).await;
    let headers = [("x-goog-meta-sfc-digest", "d")];
    let put = |link: String| {
        let request = rig.http.put(link).body("1,2\n");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send()
    };
    assert_eq!(put(link.clone()).await.expect("an answer").status(), 200);
    assert_eq!(put(link.replace("a.csv", "b.csv")).await.expect("an answer").status(), 403);
    assert_eq!(rig.http.get(&link).send().await.expect("an answer").status(), 403);
    let got = rig.http.get(&get).send().await.expect("an answer");
    assert_eq!(got.headers()["x-goog-meta-sfc-digest"], "d");
    assert_eq!(got.text().await.expect("a body"), "1,2\n");
    rig.fault(json!({"fault": "expire_links"})).await;
    let expired = put(link).await.expect("an answer");
    assert_eq!(expired.status(), 400);
    assert!(expired.text().await.expect("a body").contains("ExpiredToken"));
}

#[tokio::test]
async fn chance_repeats_itself_with_its_seed() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let order = json!({
            "fault": "random", "seed": seed, "per_mille": 400, "endpoints": ["monitoring"],
        });
        rig.fault(order).await;
        let mut seen = Vec::new();
        for _ in 0..40 {
            let path = format!("{}/monitoring/queries/x", rig.ready.base_url);
            let outcome = match rig.http.get(path).send().await {
                Ok(answer) => (answer.status().as_u16(), answer.bytes().await.ok()),
                Err(_) => (0, None),
            };
            seen.push(outcome);
        }
        runs.push(seen);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert!(runs[0].iter().any(|(status, _)| *status == 503));
    let path = format!("{}/faults", rig.ready.admin_url);
    rig.call(reqwest::Method::DELETE, &path, None, &Value::Null).await;
    let (token, _) = rig.tokens().await;
    assert_eq!(rig.run(&token, "ROWS 1").await.status, 200);
}
