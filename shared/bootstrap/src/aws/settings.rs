//! Names of bucket, table and queue, from the environment that the stack gives each function.

use std::path::PathBuf;

use crate::error::BootstrapError;

/// The prefix of the names of secrets unless another is set.
pub(super) const SECRETS_PREFIX: &str = "snowferry/";

/// Where our tables are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lake {
    /// In a bucket, below a prefix.
    Bucket {
        /// The bucket.
        bucket: String,
        /// The prefix; may be empty.
        prefix: String,
    },
    /// In a folder of this machine, for tests.
    Folder(PathBuf),
}

/// What the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `SNOWFERRY_TABLE`: the table of states, leases, runs and connections.
    pub table: String,
    /// `SNOWFERRY_BUCKET`: the bucket of staged objects.
    pub bucket: String,
    /// `SNOWFERRY_LAKE_URI`: where our tables are, as `s3://bucket/prefix` or `file:///folder`.
    pub lake: Lake,
    /// `SNOWFERRY_QUEUE_URL`: where the rest of a run is handed on; none for a function that
    /// never hands on.
    pub queue_url: Option<String>,
    /// `SNOWFERRY_SECRETS_PREFIX`: what the names of secrets begin with.
    pub secrets_prefix: String,
    /// `SNOWFERRY_PART_MIB`: mebibytes of a result in one part; what a killed worker reads again.
    pub part_mib: Option<u64>,
    /// `AWS_LAMBDA_FUNCTION_MEMORY_SIZE`: mebibytes that the function has.
    pub memory_mib: Option<u64>,
    /// Whether an endpoint of S3 is named, so that buckets are addressed by path.
    pub own_s3_endpoint: bool,
    /// The name of the function, the dimension of its metrics.
    pub function: String,
}

impl Settings {
    /// Reads the settings from variables.
    ///
    /// # Errors
    /// [`BootstrapError::Setting`] for a variable that is missing or wrong.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, BootstrapError> {
        let value = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let needed = |name: &'static str| {
            let reason = "the variable is not set; the stack's template sets it".to_owned();
            value(name).ok_or(BootstrapError::Setting { setting: name, reason })
        };
        let part_mib = value("SNOWFERRY_PART_MIB").map(|text| {
            let number = text.parse::<u64>().ok().filter(|mib| (1..=4096).contains(mib));
            number.ok_or_else(|| BootstrapError::Setting {
                setting: "SNOWFERRY_PART_MIB",
                reason: format!("found `{text}`; allowed: 1 to 4096"),
            })
        });
        let s3_endpoint = value("AWS_ENDPOINT_URL_S3").or_else(|| value("AWS_ENDPOINT_URL"));
        Ok(Self {
            table: needed("SNOWFERRY_TABLE")?,
            bucket: needed("SNOWFERRY_BUCKET")?,
            lake: lake(&needed("SNOWFERRY_LAKE_URI")?)?,
            queue_url: value("SNOWFERRY_QUEUE_URL"),
            secrets_prefix: value("SNOWFERRY_SECRETS_PREFIX")
                .unwrap_or_else(|| SECRETS_PREFIX.to_owned()),
            part_mib: part_mib.transpose()?,
            memory_mib: value("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|text| text.parse().ok()),
            own_s3_endpoint: s3_endpoint.is_some(),
            function: value("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|| "snowferry".to_owned()),
        })
    }
}

fn lake(uri: &str) -> Result<Lake, BootstrapError> {
    if let Some(folder) = uri.strip_prefix("file://").filter(|folder| folder.starts_with('/')) {
        return Ok(Lake::Folder(PathBuf::from(folder)));
    }
    if let Some(place) = uri.strip_prefix("s3://") {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        if !bucket.is_empty() && bucket.chars().all(allowed) {
            let (bucket, prefix) = (bucket.to_owned(), prefix.trim_matches('/').to_owned());
            return Ok(Lake::Bucket { bucket, prefix });
        }
    }
    Err(BootstrapError::Setting {
        setting: "SNOWFERRY_LAKE_URI",
        reason: format!("found `{uri}`; allowed: s3://bucket/prefix, file:///folder"),
    })
}
