//! Secrets with their versions in use and in rotation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// Secrets by name and version stage.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    texts: BTreeMap<(String, String), String>,
    /// The id of the version in use, of secrets that were put by a call.
    versions: BTreeMap<String, String>,
    reads: u32,
}

impl Secrets {
    /// Puts a text into the version stage (`AWSCURRENT`, `AWSPENDING`) of a secret.
    pub fn put(&self, name: &str, stage: &str, text: &str) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.texts.insert((name.to_owned(), stage.to_owned()), text.to_owned());
    }

    /// Returns how often a secret was asked for.
    #[must_use]
    pub fn reads(&self) -> u32 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reads
    }

    pub(super) fn answer_describe(&self, body: &Value) -> Result<Value, (&'static str, String)> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = name_of(body);
        if !held.texts.keys().any(|(known, _)| *known == name) {
            return Err(absent(&name));
        }
        let version = held.versions.get(&name).map_or("unknown", String::as_str);
        Ok(json!({ "Name": name, "VersionIdsToStages": { version: ["AWSCURRENT"] } }))
    }

    /// Makes a secret or its next version; a version is put once.
    pub(super) fn answer_put(&self, body: &Value) -> Result<Value, (&'static str, String)> {
        let name = body["Name"].as_str().map_or_else(|| name_of(body), str::to_owned);
        let text = body["SecretString"].as_str().unwrap_or_default().to_owned();
        let version = body["ClientRequestToken"].as_str().unwrap_or_default().to_owned();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.texts.insert((name.clone(), "AWSCURRENT".to_owned()), text);
        held.versions.insert(name.clone(), version.clone());
        Ok(json!({ "Name": name, "VersionId": version }))
    }

    pub(super) fn answer_delete(&self, body: &Value) -> Result<Value, (&'static str, String)> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = name_of(body);
        held.texts.retain(|(known, _), _| *known != name);
        held.versions.remove(&name);
        Ok(json!({ "Name": name }))
    }

    pub(super) fn answer_get(&self, body: &Value) -> Result<Value, (&'static str, String)> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.reads += 1;
        let name = body["SecretId"].as_str().unwrap_or_default().to_owned();
        let stage = body["VersionStage"].as_str().unwrap_or("AWSCURRENT").to_owned();
        let Some(text) = held.texts.get(&(name.clone(), stage.clone())) else {
            return Err(absent(&format!("{name} {stage}")));
        };
        Ok(json!({ "Name": name, "SecretString": text, "VersionStages": [stage] }))
    }
}

fn name_of(body: &Value) -> String {
    body["SecretId"].as_str().unwrap_or_default().to_owned()
}

fn absent(what: &str) -> (&'static str, String) {
    let message = format!("Secrets Manager can't find the specified secret {what}");
    ("ResourceNotFoundException", message)
}
