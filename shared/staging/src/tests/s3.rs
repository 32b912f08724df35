//! The suite on S3, its races, and what becomes of lost answers.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use snowferry_aws_fakes::s3::{ACCESS_KEY, FakeS3, FaultKind, SECRET_KEY};
use snowferry_model::fault::Fault;

use crate::s3::S3Staging;
use crate::{ObjectKey, PutOutcome, Staging, contract};

/// Rounds of each race; `SNOWFERRY_RACES` asks for more.
fn rounds() -> u32 {
    std::env::var("SNOWFERRY_RACES").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(500)
}

fn client(endpoint: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
        .force_path_style(true)
        .retry_config(RetryConfig::standard().with_initial_backoff(std::time::Duration::ZERO));
    Client::from_conf(config.build())
}

async fn store() -> (FakeS3, S3Staging) {
    let s3 = FakeS3::start(&["staging"], 0).await.unwrap();
    let staging = S3Staging::new(client(&s3.endpoint), "staging", "some/prefix/");
    (s3, staging)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey(name.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_s3_passes_the_suite() {
    let (s3, staging) = store().await;
    let staging: Arc<dyn Staging> = Arc::new(staging);
    contract::all(&staging).await;
    let outside = s3.store.list("staging", "", "").unwrap();
    assert!(outside.iter().all(|(name, _)| name.starts_with("some/prefix/")), "{outside:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_race_for_an_object_has_one_winner_whose_object_stays() {
    let (_s3, staging) = store().await;
    for round in 0..rounds() {
        let object = key(&format!("race/n{round}/manifest.json"));
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..4_u8 {
            let (staging, object) = (staging.clone(), object.clone());
            racers.spawn(async move {
                (racer, staging.put_if_absent(&object, vec![racer; 64].into()).await.unwrap())
            });
        }
        let results = racers.join_all().await;
        let winners: Vec<u8> = results
            .iter()
            .filter(|(_, outcome)| *outcome == PutOutcome::Created)
            .map(|(racer, _)| *racer)
            .collect();
        let kept = staging.get(&object).await.unwrap().unwrap();
        assert_eq!(winners.len(), 1, "round {round}: {results:?}");
        assert_eq!(kept, vec![winners[0]; 64], "round {round}");
    }
}

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_known_as_ours() {
    let (s3, staging) = store().await;
    // The first try has its effect; the retry meets our own object.
    s3.fault("PutObject", FaultKind::AnswerLost, 1);
    let outcome = staging.put_if_absent(&key("a/b"), "ours".into()).await.unwrap();
    assert_eq!(outcome, PutOutcome::Created);
    // No try is answered at all.
    s3.fault("PutObject", FaultKind::AnswerLost, 3);
    let outcome = staging.put_if_absent(&key("a/c"), "ours".into()).await.unwrap();
    assert_eq!(outcome, PutOutcome::Created);
    s3.fault("PutObject", FaultKind::AnswerLost, 3);
    let outcome = staging.put_if_absent(&key("a/c"), "theirs".into()).await.unwrap_err();
    assert_eq!(outcome.code(), "STAGING_UNKNOWN");
    assert_eq!(staging.get(&key("a/c")).await.unwrap(), Some("ours".into()));
}

#[tokio::test]
async fn a_creation_that_nobody_can_tell_of_is_unknown() {
    let (s3, staging) = store().await;
    s3.fault("PutObject", FaultKind::SlowDown, 3);
    let error = staging.put_if_absent(&key("a/b"), "x".into()).await.unwrap_err();
    assert_eq!(error.code(), "STAGING_UNKNOWN");
    assert_eq!(staging.get(&key("a/b")).await.unwrap(), None);
}

#[tokio::test]
async fn two_creations_that_meet_are_tried_again() {
    let (s3, staging) = store().await;
    s3.fault("PutObject", FaultKind::Conflict, 5);
    let outcome = staging.put_if_absent(&key("a/b"), "x".into()).await.unwrap();
    assert_eq!(outcome, PutOutcome::Created);
}

#[tokio::test]
async fn large_objects_come_back_whole_through_lost_answers_of_every_step() {
    let body: Bytes = (0..20_u32 << 20).map(|at| (at.wrapping_mul(at) >> 9) as u8).collect();
    for (step, kind) in [
        ("UploadPart", FaultKind::AnswerLost),
        ("UploadPart", FaultKind::SlowDown),
        ("CompleteMultipartUpload", FaultKind::AnswerLost),
        ("CompleteMultipartUpload", FaultKind::SlowDown),
    ] {
        let (s3, staging) = store().await;
        let object = key("acme/T/part-00000.x.parquet");
        let mut upload = staging.begin(&object).await.unwrap();
        s3.fault(step, kind, 1);
        for piece in body.chunks(3_000_000) {
            upload.write(body.slice_ref(piece)).await.unwrap();
        }
        upload.finish().await.unwrap();
        let back = staging.get(&object).await.unwrap().unwrap();
        assert!(back == body, "{step} {kind:?}: the object differs");
        assert_eq!(s3.store.open_uploads(), Vec::<String>::new(), "{step} {kind:?}");
    }
}

#[tokio::test]
async fn an_upload_that_is_dropped_or_fails_is_aborted() {
    let (s3, staging) = store().await;
    let nine_mebibytes = Bytes::from(vec![7; 9 << 20]);
    let mut dropped = staging.begin(&key("a/dropped")).await.unwrap();
    dropped.write(nine_mebibytes.clone()).await.unwrap();
    drop(dropped);
    let mut failed = staging.begin(&key("a/failed")).await.unwrap();
    failed.write(nine_mebibytes).await.unwrap();
    s3.fault("CompleteMultipartUpload", FaultKind::SlowDown, 3);
    let error = failed.finish().await.unwrap_err();
    assert_eq!(error.code(), "STAGING_UNKNOWN");
    while !s3.store.open_uploads().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(staging.list("").await.unwrap(), []);
}

#[tokio::test]
async fn a_missing_bucket_is_never_a_missing_object() {
    let (s3, _) = store().await;
    let elsewhere = S3Staging::new(client(&s3.endpoint), "nowhere", "");
    for error in [
        elsewhere.get(&key("a")).await.unwrap_err(),
        elsewhere.read(&key("a"), 0..1).await.unwrap_err(),
        elsewhere.put_if_absent(&key("a"), "x".into()).await.unwrap_err(),
        elsewhere.list("").await.unwrap_err(),
    ] {
        assert_eq!(error.code(), "STAGING_STORE", "{error}");
        assert!(snowferry_model::fault::chain(&error).contains("NoSuchBucket"), "{error:?}");
    }
}

#[tokio::test]
async fn listings_of_more_than_one_page_are_complete() {
    let (s3, staging) = store().await;
    for number in 0..2_345 {
        let object = snowferry_aws_fakes::s3::store::Stored::new(
            Bytes::new(),
            Default::default(),
            String::new(),
        );
        let name = format!("some/prefix/many/part-{number:05}.json");
        let always = snowferry_aws_fakes::s3::store::Condition::None;
        s3.store.put("staging", &name, object, &always).unwrap();
    }
    let listed = staging.list("many/").await.unwrap();
    assert_eq!(listed.len(), 2_345);
    assert!(listed.is_sorted_by(|a, b| a.key < b.key));
}

#[tokio::test]
async fn a_damaged_body_is_refused_by_its_checksum() {
    let (s3, _) = store().await;
    let refused = client(&s3.endpoint)
        .put_object()
        .bucket("staging")
        .key("x")
        .checksum_crc32("AAAAAA==")
        .body(Bytes::from_static(b"body").into())
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 400);
}

#[tokio::test]
async fn only_batches_carry_the_tag_by_which_they_expire() {
    let (s3, staging) = store().await;
    staging.put_if_absent(&key("manifest.json"), "{}".into()).await.unwrap();
    for (name, size) in [("small.parquet", 10), ("large.parquet", 9 << 20)] {
        let mut upload = staging.begin(&key(name)).await.unwrap();
        upload.write(vec![1; size].into()).await.unwrap();
        upload.finish().await.unwrap();
    }
    let tags: Vec<(String, String)> = s3
        .store
        .list("staging", "", "")
        .unwrap()
        .into_iter()
        .map(|(name, object)| (name.rsplit('/').next().unwrap().to_owned(), object.tagging))
        .collect();
    let tagged = |name: &str, tag: &str| (name.to_owned(), tag.to_owned());
    let batch = "snowferry=batch";
    assert_eq!(
        tags,
        [
            tagged("large.parquet", batch),
            tagged("manifest.json", ""),
            tagged("small.parquet", batch)
        ]
    );
}
