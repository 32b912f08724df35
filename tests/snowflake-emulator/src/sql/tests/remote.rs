//! COPY from S3: a bucket behind a small server that knows LIST, GET, HEAD and DELETE.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::Fixture;
use crate::stages::S3Endpoint;

#[derive(Default)]
struct Bucket {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    /// The `Authorization` headers that came.
    signed: Mutex<Vec<String>>,
}

type Shared = Arc<Bucket>;

fn note(bucket: &Bucket, headers: &HeaderMap) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let signed = header("authorization").unwrap_or("none").to_owned();
    let token = header("x-amz-security-token").unwrap_or("none");
    bucket.signed.lock().unwrap().push(format!("{signed} token={token}"));
}

async fn list(
    State(bucket): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    note(&bucket, &headers);
    let prefix = query.get("prefix").cloned().unwrap_or_default();
    let files = bucket.files.lock().unwrap();
    let found: String = files
        .iter()
        .filter(|(key, _)| key.starts_with(&prefix))
        .map(|(key, content)| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>\
                 <ETag>\"{}\"</ETag><Size>{}</Size></Contents>",
                content.len(),
                content.len()
            )
        })
        .collect();
    let body = format!(
        "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>{found}\
         </ListBucketResult>"
    );
    ([("content-type", "application/xml")], body).into_response()
}

async fn object(
    State(bucket): State<Shared>,
    Path((_, key)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    note(&bucket, &headers);
    let files = bucket.files.lock().unwrap();
    match files.get(&key) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(content) => {
            let headers = [
                ("etag", format!("\"{}\"", content.len())),
                ("last-modified", "Fri, 02 Jan 2026 03:04:05 GMT".to_owned()),
            ];
            (headers, content.clone()).into_response()
        }
    }
}

/// Removes the keys that the body lists.
async fn delete(State(bucket): State<Shared>, body: String) -> Response {
    let mut files = bucket.files.lock().unwrap();
    for part in body.split("<Key>").skip(1) {
        files.remove(part.split("</Key>").next().unwrap());
    }
    let answer = "<?xml version=\"1.0\"?><DeleteResult></DeleteResult>";
    ([("content-type", "application/xml")], answer).into_response()
}

/// An engine whose S3 has one bucket with these files.
async fn with_bucket(files: &[(&str, &str)]) -> (Fixture, Shared) {
    let bucket = Shared::default();
    for (key, content) in files {
        bucket.files.lock().unwrap().insert((*key).to_owned(), content.as_bytes().to_vec());
    }
    let router = Router::new()
        .route("/{bucket}", get(list).post(delete))
        .route("/{bucket}/{*key}", get(object))
        .with_state(Arc::clone(&bucket));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let fixture = Fixture::new().await;
    let endpoint = S3Endpoint::parse(&format!("http://INTEGRATION:secret@{address}")).unwrap();
    fixture.engine.stages().set_s3(endpoint);
    (fixture, bucket)
}

const KEYS: &str =
    "CREDENTIALS = (AWS_KEY_ID = 'KEY' AWS_SECRET_KEY = 'SECRET' AWS_TOKEN = 'TOKEN')";

#[tokio::test]
async fn files_in_s3_load_with_the_keys_of_the_statement() {
    let files = [("p/1.csv", "1,a\n"), ("p/2.csv", "2,b\n"), ("px/3.csv", "3,c\n")];
    let (mut fixture, bucket) = with_bucket(&files).await;
    let none = "Copy executed with 0 files processed.";
    let one = "s3://b/p/1.csv|LOADED|1|1|1|0|NULL|NULL|NULL|NULL";
    let two = "s3://b/p/2.csv|LOADED|1|1|1|0|NULL|NULL|NULL|NULL";
    let cases = [
        (
            "CREATE TABLE t (a INT, b VARCHAR)".to_owned(),
            "Table T successfully created.".to_owned(),
        ),
        (format!("COPY INTO t FROM 's3://b/p/' {KEYS} FILES = ('2.csv')"), two.to_owned()),
        (format!("COPY INTO t FROM 's3://b/p/' {KEYS} FILES = ('2.csv')"), none.to_owned()),
        (format!("COPY INTO t FROM 's3://b/p/' {KEYS}"), one.to_owned()),
        // Names follow the URL without a slash between.
        (format!("COPY INTO t FROM 's3://b/p' {KEYS} FILES = ('1.csv')"), "091016".to_owned()),
        (
            format!("COPY INTO t FROM 's3://b/p' {KEYS} FILES = ('/1.csv') FORCE = TRUE"),
            one.to_owned(),
        ),
        (
            format!("COPY INTO t FROM 's3://b/p' {KEYS} PATTERN = '.*3[.]csv' PURGE = TRUE"),
            "s3://b/px/3.csv|LOADED|1|1|1|0|NULL|NULL|NULL|NULL".to_owned(),
        ),
        ("SELECT a, b FROM t ORDER BY a".to_owned(), "1|a / 1|a / 2|b / 3|c".to_owned()),
        (format!("COPY INTO t FROM 'gs://b/p' {KEYS}"), "001008".to_owned()),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    fixture.check(&cases).await;
    assert!(!bucket.files.lock().unwrap().contains_key("px/3.csv"));
    let signed = bucket.signed.lock().unwrap();
    let ours = |text: &String| text.contains("Credential=KEY/") && text.ends_with("token=TOKEN");
    assert!(signed.iter().all(ours), "{signed:?}");
}

#[tokio::test]
async fn an_external_stage_uses_its_integration() {
    let (mut fixture, bucket) = with_bucket(&[("in/1.csv", "1\n")]).await;
    let cases = [
        ("CREATE TABLE t (a INT)", "Table T successfully created."),
        (
            "CREATE STAGE s URL = 's3://b/in' STORAGE_INTEGRATION = i FILE_FORMAT = (TYPE = CSV)",
            "Stage area S successfully created.",
        ),
        ("PUT file:///a @s", "000002"),
        ("COPY INTO t FROM @s/1", "s3://b/in/1.csv|LOADED|1|1|1|0|NULL|NULL|NULL|NULL"),
    ];
    fixture.check(&cases).await;
    let signed = bucket.signed.lock().unwrap();
    assert!(signed.iter().all(|text| text.contains("Credential=INTEGRATION/")), "{signed:?}");
}

#[tokio::test]
async fn without_an_endpoint_there_is_no_s3() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE t (a INT)").await;
    assert_eq!(fixture.text(&format!("COPY INTO t FROM 's3://b/p/' {KEYS}")).await, "000002");
}
