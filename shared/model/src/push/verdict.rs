//! What the validation of a target says, column by column.

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every value of the type fits.
    Fits,
    /// The type fits, the values are looked at while parts are written.
    Checked,
    /// It works, and somebody should know about it.
    Warning,
    /// Nothing is written until it is repaired.
    Refused,
}

impl Verdict {
    /// Returns the verdict as it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::Checked => "checked",
            Self::Warning => "warning",
            Self::Refused => "refused",
        }
    }
}

/// The verdict on one column, or on the table where no column is meant. Never holds a value of a
/// row, only its kind and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnVerdict {
    /// The column of the target; empty for the table as a whole.
    pub column: String,
    /// What we have.
    pub ours: String,
    /// What the target has.
    pub theirs: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a sentence; empty where it fits.
    pub reason: String,
    /// What repairs it, where somebody can.
    pub repair: Option<String>,
}

impl std::fmt::Display for ColumnVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.column.as_str() {
            "" => f.write_str(&self.reason),
            column => write!(f, "{column}: {}", self.reason),
        }
    }
}

/// Returns whether something has to be repaired first.
#[must_use]
pub fn refused(verdicts: &[ColumnVerdict]) -> bool {
    verdicts.iter().any(|verdict| verdict.verdict == Verdict::Refused)
}
