//! Whose fault a failure is, and when trying again can help.

use serde::{Deserialize, Serialize};

/// Who has to act so that the failure goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The customer's account: a grant, a network policy, a dropped column.
    Customer,
    /// Our configuration: a wrong name, a missing file, a full disk.
    Operator,
    /// Nobody: a service was slow or away, and will be back.
    Transient,
    /// A defect of Snowferry.
    Snowferry,
}

/// When trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// At once, in this run.
    Now,
    /// In the next scheduled run.
    NextRun,
    /// Only after somebody changed something.
    AfterFix,
}

/// What every error of Snowferry can say about itself.
pub trait Fault: std::error::Error {
    /// Returns the stable code, `SCREAMING_SNAKE`, never renamed.
    fn code(&self) -> &'static str;
    /// Returns who has to act.
    fn blame(&self) -> Blame;
    /// Returns when trying again can help.
    fn retry(&self) -> Retry;
    /// Returns what to do, as a sentence or a statement, where somebody can repair it.
    fn hint(&self) -> Option<String>;
}

/// Joins an error and its causes with `: `, the form in which an error is shown once.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
