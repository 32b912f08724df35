//! Delta tables in S3: the suite, races of whole loads, and lost answers.
#![cfg(feature = "s3")]

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use snowferry_aws_fakes::s3::{ACCESS_KEY, FakeS3, SECRET_KEY};
use snowferry_database::Database;
use snowferry_database::contract::check;
use snowferry_database::delta::bucket::BucketDelta;

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

/// The suite has loads that race and loads that are repeated; the store has no races of its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_tables_in_a_bucket_keep_the_contract() {
    let s3 = FakeS3::start(&["lake"], 0).await.unwrap();
    let client = client(&s3.endpoint);
    let open =
        || Arc::new(BucketDelta::new(client.clone(), "lake", "some/lake")) as Arc<dyn Database>;
    check(&open).await;
    let all = s3.store.list("lake", "", "").unwrap();
    assert!(all.len() > 10 && all.iter().all(|(key, _)| key.starts_with("some/lake/")));
}

/// A question reads logs only, its answer the files of the version that was asked.
#[cfg(feature = "query")]
#[tokio::test(flavor = "multi_thread")]
async fn queries_over_a_bucket_keep_the_contract() {
    use snowferry_database::contract::check_export;
    use snowferry_database::delta::query::{DeltaExport, QueryOptions};

    let s3 = FakeS3::start(&["lake"], 0).await.unwrap();
    let client = client(&s3.endpoint);
    let both = || {
        let bucket = BucketDelta::new(client.clone(), "lake", "some/lake");
        let export = DeltaExport::of_bucket(bucket.clone(), QueryOptions::default());
        (
            Arc::new(bucket) as Arc<dyn Database>,
            Arc::new(export) as Arc<dyn snowferry_database::Export>,
        )
    };
    check_export(&both).await;
}
