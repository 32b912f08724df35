//! Results: formats, inline rows and chunks, links, and reading a result again.

use std::io::{Cursor, Read as _};

use arrow::array::{Array, ArrayRef, Int8Array, Int16Array, Int32Array, StringArray};
use arrow::ipc::reader::StreamReader;
use base64::Engine as _;
use serde_json::{Value, json};

use super::{Answer, Rig};
use crate::EmulatorOptions;

/// Small parts, so that a few thousand rows make many chunks.
fn small_parts() -> EmulatorOptions {
    EmulatorOptions {
        inline_rows: 300,
        chunk_bytes: 8192,
        batch_rows: 128,
        ..EmulatorOptions::default()
    }
}

fn unpack(body: &[u8]) -> Vec<u8> {
    if !body.starts_with(&[0x1f, 0x8b]) {
        return body.to_vec();
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain).expect("gzip");
    plain
}

fn integers(array: &ArrayRef) -> Vec<i64> {
    let any = array.as_any();
    if let Some(array) = any.downcast_ref::<Int8Array>() {
        return array.values().iter().map(|value| i64::from(*value)).collect();
    }
    if let Some(array) = any.downcast_ref::<Int16Array>() {
        return array.values().iter().map(|value| i64::from(*value)).collect();
    }
    let array = any.downcast_ref::<Int32Array>().expect("an integer of at most 32 bits");
    array.values().iter().map(|value| i64::from(*value)).collect()
}

/// Reads one stream of the fake's rows and returns them with the number of record batches.
fn read_stream(stream: &[u8]) -> (Vec<(i64, Option<String>)>, usize) {
    let mut rows = Vec::new();
    let mut batches = 0;
    for batch in StreamReader::try_new(Cursor::new(stream), None).expect("a stream") {
        let batch = batch.expect("a batch");
        batches += 1;
        let texts = batch.column(1).as_any().downcast_ref::<StringArray>().expect("text").clone();
        let texts = texts.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>();
        rows.extend(integers(batch.column(0)).into_iter().zip(texts));
    }
    (rows, batches)
}

fn expected_rows(count: i64) -> Vec<(i64, Option<String>)> {
    (0..count).map(|row| (row, (row % 10 != 9).then(|| format!("row {row}")))).collect()
}

async fn fetch(rig: &Rig, answer: &Answer, chunk: usize) -> reqwest::Response {
    let url = answer.data()["chunks"][chunk]["url"].as_str().expect("url");
    let mut request = rig.http.get(url);
    for (name, value) in answer.data()["chunkHeaders"].as_object().expect("headers") {
        request = request.header(name, value.as_str().expect("text"));
    }
    request.send().await.expect("an answer")
}

/// Reads inline rows and all chunks of an Arrow answer.
async fn read_all(rig: &Rig, answer: &Answer) -> Vec<(i64, Option<String>)> {
    let inline = answer.data()["rowsetBase64"].as_str().expect("inline");
    let inline = base64::engine::general_purpose::STANDARD.decode(inline).expect("base64");
    let mut rows = if inline.is_empty() { Vec::new() } else { read_stream(&inline).0 };
    let chunks = answer.data()["chunks"].as_array().map_or(0, Vec::len);
    for index in 0..chunks {
        let response = fetch(rig, answer, index).await;
        assert_eq!(response.status(), 200);
        let body = response.bytes().await.expect("body");
        let chunk = &answer.data()["chunks"][index];
        let plain = unpack(&body);
        assert_eq!(chunk["uncompressedSize"], plain.len());
        let (part, _) = read_stream(&plain);
        assert_eq!(chunk["rowCount"], part.len());
        rows.extend(part);
    }
    rows
}

#[tokio::test]
async fn inline_rows_and_chunks_together_are_the_result_in_order() {
    let rig = Rig::start(small_parts()).await;
    let (token, _) = rig.tokens().await;
    let answer = rig.run(&token, "ROWS 20000").await;
    assert_eq!(answer.data()["queryResultFormat"], "arrow");
    assert_eq!(answer.data()["total"], 20_000);
    let chunks = answer.data()["chunks"].as_array().expect("chunks");
    assert!(chunks.len() > 3, "{}", chunks.len());
    for chunk in chunks {
        assert!(chunk["compressedSize"].as_u64() < chunk["uncompressedSize"].as_u64(), "{chunk}");
    }
    let in_chunks: u64 = chunks.iter().filter_map(|chunk| chunk["rowCount"].as_u64()).sum();
    assert_eq!(in_chunks, 20_000 - 300);
    let (first, last) = (&chunks[0]["rowCount"], &chunks[chunks.len() - 2]["rowCount"]);
    assert!(first.as_u64() < last.as_u64(), "chunks grow: {first} then {last}");
    assert_eq!(read_all(&rig, &answer).await, expected_rows(20_000));
}

#[tokio::test]
async fn a_stream_has_several_record_batches_and_types_of_its_own() {
    let rig = Rig::start(small_parts()).await;
    let (token, _) = rig.tokens().await;
    let answer = rig.run(&token, "ROWS 100000").await;
    let inline = answer.data()["rowsetBase64"].as_str().expect("inline");
    let inline = base64::engine::general_purpose::STANDARD.decode(inline).expect("base64");
    assert_eq!(read_stream(&inline).1, 3);
    let last = answer.data()["chunks"].as_array().map_or(0, Vec::len) - 1;
    let chunk = unpack(&fetch(&rig, &answer, last).await.bytes().await.expect("body"));
    let type_of = |stream: &[u8]| {
        let reader = StreamReader::try_new(Cursor::new(stream.to_vec()), None).expect("a stream");
        reader.schema().field(0).data_type().to_string()
    };
    assert_eq!((type_of(&inline), type_of(&chunk)), ("Int16".to_owned(), "Int32".to_owned()));
    assert!(!inline.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]));
}

#[tokio::test]
async fn an_empty_result_has_no_stream_and_keeps_its_columns() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    let answer = rig.run(&token, "ROWS 0").await;
    assert_eq!(answer.data()["rowsetBase64"], "");
    assert_eq!(answer.data()["total"], 0);
    assert_eq!(answer.data()["rowtype"].as_array().map(Vec::len), Some(2));
    assert!(answer.data().get("chunks").is_none());
}

#[tokio::test]
async fn json_comes_to_node_to_who_asks_for_it_and_for_every_other_statement() {
    let rig = Rig::start(small_parts()).await;
    let (go, _) = rig.tokens().await;
    let mut node = rig.credentials();
    node["CLIENT_APP_ID"] = json!("JavaScript");
    let (node, _) = rig.tokens_of(node).await;
    let format = |answer: &Answer| answer.data()["queryResultFormat"].clone();
    assert_eq!(format(&rig.run(&node, "ROWS 3").await), "json");
    assert_eq!(format(&rig.run(&go, "ROWS 3").await), "arrow");
    assert_eq!(format(&rig.run(&go, "INSERT").await), "json");
    let own = json!({"sqlText": "ROWS 3", "parameters": {"GO_QUERY_RESULT_FORMAT": "json"}});
    assert_eq!(format(&rig.run_with(&go, own).await), "json");
    let url = format!("{}/queries/v1/query-request", rig.ready.base_url);
    let accept = rig.http.post(url).json(&json!({"sqlText": "ROWS 4"}));
    let accept = accept.header("Authorization", format!("Snowflake Token=\"{go}\""));
    let accept = accept.header("accept", "application/json").send().await.expect("answer");
    let accept: Value = accept.json().await.expect("json");
    assert_eq!(accept["data"]["rowset"][3], json!(["3", "row 3"]));
    rig.run(&go, "SET GO_QUERY_RESULT_FORMAT JSON").await;
    let rows = rig.run(&go, "ROWS 20000").await;
    assert_eq!(rows.data()["rowset"][9], json!(["9", null]));
    let chunk = unpack(&fetch(&rig, &rows, 0).await.bytes().await.expect("body"));
    let text = format!("[{}]", String::from_utf8(chunk).expect("text"));
    let chunk: Value = serde_json::from_str(&text).expect("rows");
    assert_eq!(chunk[0], json!(["300", "row 300"]));
}

#[tokio::test]
async fn a_chunk_wants_its_headers_its_signature_and_no_authorization() {
    let rig = Rig::start(small_parts()).await;
    let (token, _) = rig.tokens().await;
    let answer = rig.run(&token, "ROWS 5000").await;
    let url = answer.data()["chunks"][0]["url"].as_str().expect("url").to_owned();
    let headers = answer.data()["chunkHeaders"].as_object().expect("headers").clone();
    let get = |url: String, with_key: bool, authorization: bool| {
        let mut request = rig.http.get(url);
        for (name, value) in headers.iter().filter(|_| with_key) {
            request = request.header(name, value.as_str().expect("text"));
        }
        if authorization {
            request = request.header("Authorization", "Snowflake Token=\"x\"");
        }
        async move {
            let response = request.send().await.expect("an answer");
            let kind = response.headers()["content-type"].to_str().expect("text").to_owned();
            (response.status().as_u16(), kind, response.text().await.unwrap_or_default())
        }
    };
    let xml = "application/xml";
    let (status, kind, body) = get(url.clone(), true, true).await;
    assert_eq!((status, kind.as_str()), (400, xml));
    assert!(body.contains("InvalidArgument"));
    let (status, kind, _) = get(url.clone(), false, false).await;
    assert_eq!((status, kind.as_str()), (400, xml));
    let other = url.replace("/0?", "/1?");
    let (status, kind, body) = get(other, true, false).await;
    assert_eq!((status, kind.as_str()), (403, xml));
    assert!(body.contains("SignatureDoesNotMatch"));
    let bare = url.split('?').next().expect("path").to_owned();
    assert_eq!(get(bare, true, false).await.0, 403);
    assert_eq!(get(url.clone(), true, false).await.0, 200);
    rig.fault(json!({"fault": "expire_links"})).await;
    let (status, _, body) = get(url, true, false).await;
    assert_eq!(status, 403);
    assert!(body.contains("Request has expired"));
}

#[tokio::test]
async fn reading_a_result_again_gives_fresh_links_and_the_same_rows() {
    let rig = Rig::start(small_parts()).await;
    let (token, _) = rig.tokens().await;
    let first = rig.run(&token, "ROWS 3000").await;
    let id = first.data()["queryId"].as_str().expect("id").to_owned();
    rig.fault(json!({"fault": "expire_links"})).await;
    assert_eq!(fetch(&rig, &first, 0).await.status(), 403);
    let (other, _) = rig.tokens().await;
    let again = rig.get(&format!("/queries/{id}/result"), &other).await;
    assert_eq!(again.data()["queryId"], id);
    assert_ne!(again.data()["chunks"][0]["url"], first.data()["chunks"][0]["url"]);
    assert_eq!(read_all(&rig, &again).await, expected_rows(3000));
    assert_eq!(rig.runner.runs(), 1);
}

#[tokio::test]
async fn links_die_after_their_time() {
    let options = EmulatorOptions { link_seconds: 0, ..small_parts() };
    let links = crate::results::links::Links::new(options.link_seconds);
    let link = links.issue("q", 0, 100);
    let query = link.split_once('?').expect("query").1;
    let value = |name: &str| {
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).expect("a value")
    };
    let signature = crate::results::links::Signature {
        expires_s: value("X-Expires").parse().expect("seconds"),
        generation: value("X-Generation").parse().expect("number"),
        signature: value("X-Signature"),
    };
    assert_eq!(links.check("q", 0, &signature, 100), Ok(()));
    let expired = Err(crate::results::links::LinkRefusal::Expired);
    assert_eq!(links.check("q", 0, &signature, 101), expired);
}

#[tokio::test]
async fn an_unchanged_query_is_answered_from_the_cache_with_an_id_of_its_own() {
    let rig = Rig::start(small_parts()).await;
    let (token, _) = rig.tokens().await;
    let first = rig.run(&token, "ROWS 3000").await;
    let cached = rig.run(&token, "ROWS 3000").await;
    assert_eq!(rig.runner.runs(), 1);
    assert_ne!(cached.data()["queryId"], first.data()["queryId"]);
    assert_eq!(read_all(&rig, &cached).await, expected_rows(3000));
    rig.run(&token, "ROWS 3000 RANDOM").await;
    rig.run(&token, "ROWS 3000 RANDOM").await;
    assert_eq!(rig.runner.runs(), 3);
    let own = json!({"sqlText": "ROWS 3000", "parameters": {"USE_CACHED_RESULT": false}});
    rig.run_with(&token, own).await;
    assert_eq!(rig.runner.runs(), 4);
    rig.run(&token, "INSERT").await;
    rig.run(&token, "ROWS 3000").await;
    assert_eq!(rig.runner.runs(), 6);
}

#[tokio::test]
async fn a_stored_result_is_read_with_result_scan() {
    let rig = Rig::start(small_parts()).await;
    let (token, _) = rig.tokens().await;
    let first = rig.run(&token, "ROWS 3000").await;
    let id = first.data()["queryId"].as_str().expect("id");
    let scanned = rig.run(&token, &format!("select * from table(result_scan('{id}'))")).await;
    assert_eq!(read_all(&rig, &scanned).await, expected_rows(3000));
    let last = rig.run(&token, "SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()));").await;
    assert_eq!(last.data()["total"], 3000);
    let unknown = uuid::Uuid::new_v4();
    let scanned = rig.run(&token, &format!("select * from table(result_scan('{unknown}'))")).await;
    assert_eq!(scanned.code(), "000709");
    assert_eq!(rig.runner.runs(), 1);
}

#[tokio::test]
async fn a_json_result_is_scanned_by_the_engine_which_can_make_arrow_of_it() {
    let rig = Rig::start(small_parts()).await;
    let (token, _) = rig.tokens().await;
    let shown = rig.run(&token, "INSERT").await;
    let id = shown.data()["queryId"].as_str().expect("id").to_owned();
    assert_eq!(rig.runner.kept.lock().expect("no panic").get(&id), Some(&1));
    let scanned = rig.run(&token, &format!("select * from table(result_scan('{id}'))")).await;
    assert_eq!(scanned.data()["queryResultFormat"], "arrow");
    assert_eq!(rig.runner.runs(), 2);
    let large = rig.run(&token, "ROWS 10001").await;
    let id = large.data()["queryId"].as_str().expect("id").to_owned();
    assert!(!rig.runner.kept.lock().expect("no panic").contains_key(&id));
}

#[tokio::test]
async fn the_chunk_size_follows_the_session_and_rows_can_be_limited() {
    let rig = Rig::start(small_parts()).await;
    let (token, _) = rig.tokens().await;
    let chunks = |answer: &Answer| answer.data()["chunks"].as_array().map_or(0, Vec::len);
    let usual = rig.run(&token, "ROWS 20000").await;
    rig.run(&token, "SET CLIENT_RESULT_CHUNK_SIZE 16").await;
    let small = rig.run(&token, "ROWS 20000").await;
    assert!(chunks(&small) > 4 * chunks(&usual), "{} {}", chunks(&small), chunks(&usual));
    let own = json!({"sqlText": "ROWS 20000", "parameters": {"ROWS_PER_RESULTSET": 1500}});
    let limited = rig.run_with(&token, own).await;
    assert_eq!(read_all(&rig, &limited).await, expected_rows(1500));
}

#[tokio::test]
async fn chunk_files_go_away_with_their_result() {
    let parent = tempfile::tempdir().expect("folder");
    let options = EmulatorOptions { data_folder: Some(parent.path().to_owned()), ..small_parts() };
    let rig = Rig::start(options).await;
    let (token, _) = rig.tokens().await;
    let count = || {
        let home = std::fs::read_dir(parent.path()).expect("folder").next();
        let home = home.expect("the emulator's folder").expect("entry").path();
        std::fs::read_dir(home)
            .expect("folder")
            .filter(|entry| entry.as_ref().expect("entry").path().is_dir())
            .count()
    };
    let own = json!({"sqlText": "ROWS 5000", "parameters": {"USE_CACHED_RESULT": false}});
    let answer = rig.run_with(&token, own).await;
    assert_eq!(count(), 1);
    let id = answer.data()["queryId"].clone();
    rig.fault(json!({"fault": "lose_result", "query_id": id})).await;
    assert_eq!(count(), 0);
}
