//! Stored forms as JSON, read after their version.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::CheckpointError;

/// Writes a form; `what` names it in the error.
pub(crate) fn to_json(what: &str, value: &impl Serialize) -> Result<String, CheckpointError> {
    serde_json::to_string(value).map_err(|source| CheckpointError::Store {
        step: format!("write {what} as JSON"),
        source: source.into(),
    })
}

/// Reads a stored form after its version: a later one may mean something else by the same fields.
pub(crate) fn from_json<T: DeserializeOwned>(
    what: &str,
    known: u32,
    body: &str,
) -> Result<T, CheckpointError> {
    let corrupt = |reason: String| CheckpointError::Corrupt { what: what.to_owned(), reason };
    let value: serde_json::Value =
        serde_json::from_str(body).map_err(|error| corrupt(error.to_string()))?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(known) => {}
        Some(version) => {
            let text = format!("it has version {version}, this program reads version {known}");
            return Err(corrupt(text));
        }
        None => return Err(corrupt("it has no version".to_owned())),
    }
    serde_json::from_value(value).map_err(|error| corrupt(error.to_string()))
}
