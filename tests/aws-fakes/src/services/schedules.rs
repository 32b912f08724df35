//! EventBridge Scheduler, as far as schedules are made, read, changed and deleted. Nothing fires:
//! who plays the time asks for [`Schedules::enabled`].

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

/// Schedules by name, as they were put.
#[derive(Debug, Default)]
pub struct Schedules(Mutex<BTreeMap<String, Value>>);

impl Schedules {
    /// Returns the schedules that would fire: name and form.
    #[must_use]
    pub fn enabled(&self) -> Vec<(String, Value)> {
        let held = self.held();
        let enabled = held.iter().filter(|(_, schedule)| schedule["State"] != "DISABLED");
        enabled.map(|(name, schedule)| (name.clone(), schedule.clone())).collect()
    }

    /// Answers a call on the path `/schedules/{name}`: status, kind of error, body.
    pub(super) fn answer(&self, method: &str, name: &str, body: &Value) -> Answered {
        let mut held = self.held();
        let there = held.contains_key(name);
        match (method, there) {
            ("POST", true) => {
                Err((409, "ConflictException", format!("schedule {name} already exists")))
            }
            ("POST", false) | ("PUT", true) => {
                held.insert(name.to_owned(), body.clone());
                let arn = format!("arn:aws:scheduler:us-east-1:000000000000:schedule/dev/{name}");
                Ok(json!({ "ScheduleArn": arn }))
            }
            ("GET", true) => {
                let mut schedule = held.get(name).cloned().unwrap_or_default();
                if let Some(fields) = schedule.as_object_mut() {
                    fields.insert("Name".to_owned(), name.into());
                    fields.entry("State").or_insert_with(|| "ENABLED".into());
                }
                Ok(schedule)
            }
            ("DELETE", true) => {
                held.remove(name);
                Ok(json!({}))
            }
            _ => Err((404, "ResourceNotFoundException", format!("there is no schedule {name}"))),
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body, or status, kind and message of an error.
pub(super) type Answered = Result<Value, (u16, &'static str, String)>;
