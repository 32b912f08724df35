//! Secrets with their versions in use and in rotation.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

/// The label of the version in use.
const CURRENT: &str = "AWSCURRENT";

/// The label of the version that was in use before.
const PREVIOUS: &str = "AWSPREVIOUS";

/// Secrets by name.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    secrets: BTreeMap<String, Secret>,
    reads: u32,
}

#[derive(Debug, Default)]
struct Secret {
    /// Texts by the ids of their versions, whether they have a label or not.
    texts: BTreeMap<String, String>,
    /// Which version has a label.
    labels: BTreeMap<String, String>,
}

impl Secret {
    /// Moves a label to a version. The one that was in use before keeps a label for it.
    fn label(&mut self, label: &str, version: &str) {
        let before = self.labels.insert(label.to_owned(), version.to_owned());
        if label == CURRENT
            && let Some(before) = before.filter(|before| before != version)
        {
            self.labels.insert(PREVIOUS.to_owned(), before);
        }
    }
}

impl Secrets {
    /// Puts a text into the version stage (`AWSCURRENT`, `AWSPENDING`) of a secret.
    pub fn put(&self, name: &str, stage: &str, text: &str) {
        let mut held = self.held();
        let secret = held.secrets.entry(name.to_owned()).or_default();
        let version = format!("put by a test {}", secret.texts.len());
        secret.texts.insert(version.clone(), text.to_owned());
        secret.label(stage, &version);
    }

    /// Returns how often a secret was asked for.
    #[must_use]
    pub fn reads(&self) -> u32 {
        self.held().reads
    }

    /// Lists the versions that have a label, and no others.
    pub(super) fn answer_describe(&self, body: &Value) -> Answered {
        let (held, name) = (self.held(), name_of(body));
        let secret = held.secrets.get(&name).ok_or_else(|| absent(&name))?;
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (label, version) in &secret.labels {
            versions.entry(version).or_default().push(label);
        }
        Ok(json!({ "Name": name, "VersionIdsToStages": versions }))
    }

    /// Makes a secret or its next version. A version that is there stays as it is, labels and all.
    pub(super) fn answer_put(&self, body: &Value) -> Answered {
        let name = body["Name"].as_str().map_or_else(|| name_of(body), str::to_owned);
        let text = body["SecretString"].as_str().unwrap_or_default();
        let version = body["ClientRequestToken"].as_str().unwrap_or_default();
        let mut held = self.held();
        let secret = held.secrets.entry(name.clone()).or_default();
        match secret.texts.get(version) {
            Some(known) if known == text => {}
            Some(_) => {
                let message = format!("{version} is in use for another version of {name}");
                return Err(("ResourceExistsException", message));
            }
            None => {
                secret.texts.insert(version.to_owned(), text.to_owned());
                secret.label(CURRENT, version);
            }
        }
        Ok(json!({ "Name": name, "VersionId": version }))
    }

    /// Moves a label from one version to another.
    pub(super) fn answer_move(&self, body: &Value) -> Answered {
        let (mut held, name) = (self.held(), name_of(body));
        let text = |field: &str| body[field].as_str().unwrap_or_default();
        let secret = held.secrets.get_mut(&name).ok_or_else(|| absent(&name))?;
        let (label, to) = (text("VersionStage"), text("MoveToVersionId"));
        let from = secret.labels.get(label).map_or("", String::as_str);
        if from != text("RemoveFromVersionId") || !secret.texts.contains_key(to) {
            let message = format!("{label} of {name} is at {from:?} and cannot go to {to:?}");
            return Err(("InvalidParameterException", message));
        }
        secret.label(label, to);
        Ok(json!({ "Name": name }))
    }

    pub(super) fn answer_delete(&self, body: &Value) -> Answered {
        let name = name_of(body);
        self.held().secrets.remove(&name);
        Ok(json!({ "Name": name }))
    }

    pub(super) fn answer_get(&self, body: &Value) -> Answered {
        let (mut held, name) = (self.held(), name_of(body));
        held.reads += 1;
        let stage = body["VersionStage"].as_str().unwrap_or(CURRENT);
        let secret = held.secrets.get(&name);
        let text = secret.and_then(|secret| secret.texts.get(secret.labels.get(stage)?));
        let text = text.ok_or_else(|| absent(&format!("{name} {stage}")))?;
        Ok(json!({ "Name": name, "SecretString": text, "VersionStages": [stage] }))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body, or kind and message of an error.
type Answered = Result<Value, (&'static str, String)>;

fn name_of(body: &Value) -> String {
    body["SecretId"].as_str().unwrap_or_default().to_owned()
}

fn absent(what: &str) -> (&'static str, String) {
    let message = format!("Secrets Manager can't find the specified secret {what}");
    ("ResourceNotFoundException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(secrets: &Secrets, version: &str, text: &str) -> Answered {
        secrets.answer_put(&json!({
            "SecretId": "key", "ClientRequestToken": version, "SecretString": text,
        }))
    }

    fn current(secrets: &Secrets) -> Value {
        secrets.answer_get(&json!({ "SecretId": "key" })).unwrap()["SecretString"].clone()
    }

    fn labels(secrets: &Secrets) -> Value {
        let mut told = secrets.answer_describe(&json!({ "SecretId": "key" })).unwrap();
        told["VersionIdsToStages"].take()
    }

    #[test]
    fn a_version_that_is_there_stays_out_of_use_until_its_label_is_moved() {
        let secrets = Secrets::default();
        for version in ["a", "b", "c"] {
            put(&secrets, version, &format!("text {version}")).unwrap();
        }
        let wanted = json!({ "b": ["AWSPREVIOUS"], "c": ["AWSCURRENT"] });
        assert_eq!(labels(&secrets), wanted, "what has no label is not listed");
        put(&secrets, "a", "text a").unwrap();
        assert_eq!((labels(&secrets), current(&secrets)), (wanted, json!("text c")));
        let order = |from: &str| {
            json!({
                "SecretId": "key", "VersionStage": "AWSCURRENT",
                "RemoveFromVersionId": from, "MoveToVersionId": "a",
            })
        };
        let (kind, _) = secrets.answer_move(&order("b")).unwrap_err();
        assert_eq!(kind, "InvalidParameterException");
        secrets.answer_move(&order("c")).unwrap();
        assert_eq!(labels(&secrets), json!({ "a": ["AWSCURRENT"], "c": ["AWSPREVIOUS"] }));
        assert_eq!(current(&secrets), "text a");
    }

    #[test]
    fn a_version_takes_no_other_text() {
        let secrets = Secrets::default();
        put(&secrets, "a", "text a").unwrap();
        let (kind, _) = put(&secrets, "a", "text b").unwrap_err();
        assert_eq!(kind, "ResourceExistsException");
        assert_eq!(current(&secrets), "text a");
    }
}
