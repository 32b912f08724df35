//! Small JSON objects in staging that are created once: plans and manifests.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use snowferry_model::push::{PUSH_MANIFEST_VERSION, PUSH_PLAN_VERSION, PushManifest, PushPlan};
use snowferry_staging::{ObjectKey, PutOutcome, StagingError};

use crate::error::PushError;
use crate::run::Work;

/// A form that is stored between runs and says its version.
pub(crate) trait StoredForm: Serialize + DeserializeOwned {
    /// The version this program reads and writes.
    const VERSION: u32;
}

impl StoredForm for PushPlan {
    const VERSION: u32 = PUSH_PLAN_VERSION;
}

impl StoredForm for PushManifest {
    const VERSION: u32 = PUSH_MANIFEST_VERSION;
}

/// Reads an object; `None` when there is certainly none.
pub(crate) async fn read<T: StoredForm>(
    work: &Work<'_>,
    key: &ObjectKey,
) -> Result<Option<T>, PushError> {
    let body = work.ports.staging.get(key).await.map_err(|source| work.staging(source))?;
    body.map(|body| parse(key, &body)).transpose().map_err(|source| work.staging(source))
}

/// Creates an object if there is none, and returns the one that is there afterwards.
///
/// A write without an answer is read back before anything else is tried.
pub(crate) async fn create<T: StoredForm>(
    work: &Work<'_>,
    key: &ObjectKey,
    value: T,
) -> Result<T, PushError> {
    let body = to_json(key, &value).map_err(|source| work.staging(source))?;
    let mut attempts_left = 2;
    loop {
        attempts_left -= 1;
        let failure = match work.ports.staging.put_if_absent(key, body.clone()).await {
            Ok(PutOutcome::Created) => return Ok(value),
            Ok(PutOutcome::Exists) => None,
            Err(error @ StagingError::Unknown { .. }) => Some(error),
            Err(error) => return Err(work.staging(error)),
        };
        if let Some(there) = read(work, key).await? {
            return Ok(there);
        }
        match failure {
            Some(error) if attempts_left == 0 => return Err(work.staging(error)),
            None if attempts_left == 0 => {
                let key = key.to_string();
                return Err(work.staging(StagingError::Missing { key }));
            }
            _ => {}
        }
    }
}

/// Returns the stored text of a form.
pub(crate) fn to_json(key: &ObjectKey, value: &impl Serialize) -> Result<Bytes, StagingError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| StagingError::Corrupt { key: key.to_string(), reason: error.to_string() })
}

fn parse<T: StoredForm>(key: &ObjectKey, body: &[u8]) -> Result<T, StagingError> {
    let corrupt = |reason: String| StagingError::Corrupt { key: key.to_string(), reason };
    let value: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| corrupt(error.to_string()))?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(T::VERSION) => {}
        Some(version) => {
            let known = T::VERSION;
            let text = format!("it has version {version}, this program reads version {known}");
            return Err(corrupt(text));
        }
        None => return Err(corrupt("it names no version".to_owned())),
    }
    serde_json::from_value(value).map_err(|error| corrupt(error.to_string()))
}
