use std::path::{Path, PathBuf};

use snowferry_model::names::ConnectionName;

use crate::aws::secrets::name;
use crate::aws::settings::{Lake, Settings};
use crate::config::SecretSource;

fn settings(changes: &[(&str, &str)]) -> Result<Settings, String> {
    let mut variables = vec![
        ("SNOWFERRY_TABLE", "table"),
        ("SNOWFERRY_BUCKET", "bucket"),
        ("SNOWFERRY_LAKE_URI", "s3://bucket/some/lake"),
    ];
    variables.extend(changes);
    let value = |name: &str| {
        let found = variables.iter().rev().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Settings::from_env(value).map_err(|error| error.to_string())
}

#[test]
fn the_settings_of_the_stack_are_read() {
    let settings =
        settings(&[("SNOWFERRY_QUEUE_URL", "https://queue"), ("SNOWFERRY_PART_MIB", "64")]);
    let settings = settings.unwrap();
    let place = Lake::Bucket { bucket: "bucket".to_owned(), prefix: "some/lake".to_owned() };
    assert_eq!(settings.lake, place);
    assert_eq!(settings.queue_url.as_deref(), Some("https://queue"));
    assert_eq!((settings.secrets_prefix.as_str(), settings.part_mib), ("snowferry/", Some(64)));
    assert!(!settings.own_s3_endpoint);
}

#[test]
fn the_lake_may_be_a_folder_and_a_named_endpoint_takes_buckets_by_path() {
    let settings = settings(&[
        ("SNOWFERRY_LAKE_URI", "file:///lake"),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1"),
    ]);
    let settings = settings.unwrap();
    assert_eq!(settings.lake, Lake::Folder(PathBuf::from("/lake")));
    assert!(settings.own_s3_endpoint);
}

#[test]
fn a_missing_or_wrong_setting_is_told_by_its_variable() {
    for (variable, value, told) in [
        ("SNOWFERRY_TABLE", "", "SNOWFERRY_TABLE: the variable is not set"),
        ("SNOWFERRY_LAKE_URI", "ftp://x", "SNOWFERRY_LAKE_URI: found `ftp://x`"),
        ("SNOWFERRY_LAKE_URI", "s3:///x", "SNOWFERRY_LAKE_URI: found `s3:///x`"),
        ("SNOWFERRY_PART_MIB", "0", "SNOWFERRY_PART_MIB: found `0`; allowed: 1 to 4096"),
    ] {
        let error = settings(&[(variable, value)]).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_secret_is_named_by_its_connection_and_the_name_that_the_file_gives_it() {
    let acme = ConnectionName::new("acme").unwrap();
    let file = SecretSource::File(Path::new("stored/keys/acme.p8").to_owned());
    assert_eq!(name("snowferry/", &acme, &file), "snowferry/acme/acme.p8");
    let variable = SecretSource::Variable("ACME_PASSWORD".to_owned());
    assert_eq!(name("snowferry/", &acme, &variable), "snowferry/acme/ACME_PASSWORD");
}
