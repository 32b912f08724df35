//! Small JSON objects that are created once: plans, part records, manifests.
//!
//! Whoever creates such an object gets the one that is there afterwards, theirs or that of a run
//! that was faster; a write without an answer is read back before anything else is tried.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use snowferry_model::manifest::{MANIFEST_VERSION, Manifest, PartRecord};
use snowferry_model::plan::{PLAN_VERSION, TablePlan};
use snowferry_model::push::{PUSH_MANIFEST_VERSION, PUSH_PLAN_VERSION, PushManifest, PushPlan};

use crate::{ObjectKey, PutOutcome, Staging, StagingError};

/// A form that is stored between runs and says its version.
pub trait StoredForm: Serialize + DeserializeOwned + Send {
    /// The version this program reads and writes.
    const VERSION: u32;
}

impl StoredForm for TablePlan {
    const VERSION: u32 = PLAN_VERSION;
}

impl StoredForm for PartRecord {
    const VERSION: u32 = MANIFEST_VERSION;
}

impl StoredForm for Manifest {
    const VERSION: u32 = MANIFEST_VERSION;
}

impl StoredForm for PushPlan {
    const VERSION: u32 = PUSH_PLAN_VERSION;
}

impl StoredForm for PushManifest {
    const VERSION: u32 = PUSH_MANIFEST_VERSION;
}

/// Reads an object; `None` when there is certainly none.
///
/// # Errors
/// [`StagingError::Corrupt`] when it is no such form, or of a version this program does not know.
pub async fn read<T: StoredForm>(
    staging: &dyn Staging,
    key: &ObjectKey,
) -> Result<Option<T>, StagingError> {
    staging.get(key).await?.map(|body| parse(key, &body)).transpose()
}

/// Creates an object if there is none, and returns the one that is there afterwards.
///
/// # Errors
/// [`StagingError::Unknown`] when two writes in a row were not answered and nothing is there.
pub async fn create<T: StoredForm>(
    staging: &dyn Staging,
    key: &ObjectKey,
    value: T,
) -> Result<T, StagingError> {
    let body = to_json(key, &value)?;
    let mut attempts_left = 2;
    loop {
        attempts_left -= 1;
        let failure = match staging.put_if_absent(key, body.clone()).await {
            Ok(PutOutcome::Created) => return Ok(value),
            Ok(PutOutcome::Exists) => StagingError::Missing { key: key.to_string() },
            Err(error @ StagingError::Unknown { .. }) => error,
            Err(error) => return Err(error),
        };
        if let Some(there) = read(staging, key).await? {
            return Ok(there);
        }
        if attempts_left == 0 {
            return Err(failure);
        }
    }
}

/// Returns the text under which a form is stored.
///
/// # Errors
/// [`StagingError::Corrupt`] when it has no form in JSON.
pub fn to_json(key: &ObjectKey, value: &impl Serialize) -> Result<Bytes, StagingError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| corrupt(key, error.to_string()))
}

fn parse<T: StoredForm>(key: &ObjectKey, body: &[u8]) -> Result<T, StagingError> {
    let corrupt = |reason: String| corrupt(key, reason);
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

fn corrupt(key: &ObjectKey, reason: String) -> StagingError {
    StagingError::Corrupt { key: key.to_string(), reason }
}
