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

    pub(super) fn answer_get(&self, body: &Value) -> Result<Value, (&'static str, String)> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.reads += 1;
        let name = body["SecretId"].as_str().unwrap_or_default().to_owned();
        let stage = body["VersionStage"].as_str().unwrap_or("AWSCURRENT").to_owned();
        let Some(text) = held.texts.get(&(name.clone(), stage.clone())) else {
            let message = format!("Secrets Manager can't find the specified secret {name} {stage}");
            return Err(("ResourceNotFoundException", message));
        };
        Ok(json!({ "Name": name, "SecretString": text, "VersionStages": [stage] }))
    }
}
