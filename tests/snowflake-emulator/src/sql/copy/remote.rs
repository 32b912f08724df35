//! External locations in S3, read through the endpoint that the emulator was started with.
//!
//! The emulator never goes to the internet: without an endpoint there is no S3.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig,
};

use super::files::SourceFile;
use crate::engine::SqlError;
use crate::sql::error::{compile, unsupported};
use crate::sql::stage::location::remote_missing;
use crate::stages::{External, S3Endpoint};

const RETRIES: usize = 2;
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// A bucket with the credentials of one statement.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    store: Arc<AmazonS3>,
    /// `s3://bucket/`.
    url: String,
    /// The rest of the location's URL.
    pub prefix: String,
}

impl Bucket {
    /// Opens an external location; `path` follows its URL.
    pub(crate) fn open(
        external: &External,
        path: &str,
        endpoint: Option<&S3Endpoint>,
    ) -> Result<Self, SqlError> {
        let endpoint = endpoint.ok_or_else(|| {
            unsupported(format!(
                "{} (the emulator was started without an S3 endpoint)",
                external.url
            ))
        })?;
        let rest = external.url.strip_prefix("s3://").unwrap_or_default();
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let mut builder = AmazonS3Builder::new()
            .with_endpoint(&endpoint.url)
            .with_allow_http(true)
            .with_virtual_hosted_style_request(false)
            .with_region("us-east-1")
            .with_bucket_name(bucket)
            .with_client_options(ClientOptions::new().with_allow_http(true))
            .with_retry(RetryConfig {
                max_retries: RETRIES,
                retry_timeout: RETRY_TIMEOUT,
                ..RetryConfig::default()
            });
        let credential = |name: &str| external.credentials.get(name);
        match (credential("AWS_KEY_ID"), credential("AWS_SECRET_KEY"), &external.integration) {
            (Some(key), Some(secret), _) => {
                builder = builder.with_access_key_id(key).with_secret_access_key(secret);
                if let Some(token) = credential("AWS_TOKEN") {
                    builder = builder.with_token(token);
                }
            }
            (_, _, Some(_)) => match &endpoint.integration {
                Some((key, secret)) => {
                    builder = builder.with_access_key_id(key).with_secret_access_key(secret);
                }
                None => {
                    return Err(unsupported("STORAGE_INTEGRATION without credentials of its own"));
                }
            },
            _ => builder = builder.with_skip_signature(true),
        }
        let store = builder.build().map_err(|error| failed(&external.url, &error))?;
        Ok(Self {
            store: Arc::new(store),
            url: format!("s3://{bucket}/"),
            prefix: format!("{prefix}{path}"),
        })
    }

    /// The files whose key starts with the prefix.
    pub(crate) async fn list(&self) -> Result<Vec<SourceFile>, SqlError> {
        // The library lists whole directories; the service compares texts.
        let directory = self.prefix.rsplit_once('/').map_or("", |(directory, _)| directory);
        let directory = (!directory.is_empty()).then(|| Path::from(directory));
        let found: Vec<ObjectMeta> = self
            .store
            .list(directory.as_ref())
            .try_collect()
            .await
            .map_err(|error| failed(&self.url, &error))?;
        let mut files: Vec<SourceFile> = found.iter().map(|found| self.file(found)).collect();
        files.retain(|file| file.path.starts_with(&self.prefix) && file.size_bytes > 0);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// A file by what follows the prefix; no slash is put between them.
    pub(crate) async fn named(&self, name: &str) -> Result<Option<SourceFile>, SqlError> {
        let key = format!("{}{name}", self.prefix);
        match self.store.head(&Path::from(key.as_str())).await {
            Ok(found) => Ok(Some(self.file(&found))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&self.url, &error)),
        }
    }

    /// The content of a file.
    pub(crate) async fn read(&self, file: &SourceFile) -> Result<Bytes, SqlError> {
        let got = self.store.get(&Path::from(file.path.as_str())).await;
        let got = got.map_err(|error| failed(&file.shown, &error))?;
        got.bytes().await.map_err(|error| failed(&file.shown, &error))
    }

    /// Removes a file, or does not: nobody is told.
    pub(crate) async fn remove(&self, file: &SourceFile) {
        if let Err(error) = self.store.delete(&Path::from(file.path.as_str())).await {
            tracing::debug!(%error, "a loaded file was not removed");
        }
    }

    fn file(&self, found: &ObjectMeta) -> SourceFile {
        let path = found.location.to_string();
        let shown = format!("{}{path}", self.url);
        let etag = found.e_tag.clone().unwrap_or_else(|| found.last_modified.to_rfc3339());
        SourceFile { key: shown.clone(), shown, path, etag, size_bytes: found.size }
    }
}

/// A file that is not there, or what else the store says.
fn failed(what: &str, error: &Error) -> SqlError {
    match error {
        Error::NotFound { .. } => remote_missing(what),
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            let cause = "Access Denied (Status Code: 403; Error Code: AccessDenied)";
            stage_failed(cause)
        }
        other => stage_failed(&other.to_string()),
    }
}

fn stage_failed(cause: &str) -> SqlError {
    let message = format!("Failure using stage area. Cause: [{cause}]");
    SqlError { code: "091003", ..compile("091003", "22000", message) }
}
