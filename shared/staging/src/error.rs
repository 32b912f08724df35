//! Why staging failed.

use snowferry_model::fault::{Blame, Fault, Retry};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a staging call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagingError {
    /// The store refused or broke; nothing was changed.
    #[error("{step} {key}")]
    Store {
        /// What was tried, as a verb.
        step: &'static str,
        /// The object.
        key: String,
        /// Why.
        source: BoxError,
    },
    /// There is no room left.
    #[error("{step} {key}: no space left")]
    Full {
        /// What was tried.
        step: &'static str,
        /// The object.
        key: String,
    },
    /// No answer came: the write may have happened.
    #[error("{step} {key}: the outcome is unknown")]
    Unknown {
        /// What was tried.
        step: &'static str,
        /// The object.
        key: String,
        /// Why.
        source: BoxError,
    },
    /// An object that must be there is not, or is shorter than asked.
    #[error("{key} is missing or cut short")]
    Missing {
        /// The object.
        key: String,
    },
    /// An object cannot be understood.
    #[error("understand {key}: {reason}")]
    Corrupt {
        /// The object.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// Batches could not be written as Parquet.
    #[error("write {key} as Parquet")]
    Encode {
        /// The object.
        key: String,
        /// Why.
        source: BoxError,
    },
}

impl Fault for StagingError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store { .. } => "STAGING_STORE",
            Self::Full { .. } => "STAGING_FULL",
            Self::Unknown { .. } => "STAGING_UNKNOWN",
            Self::Missing { .. } => "STAGING_MISSING",
            Self::Corrupt { .. } => "STAGING_CORRUPT",
            Self::Encode { .. } => "STAGING_ENCODE",
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Store { .. }
            | Self::Full { .. }
            | Self::Missing { .. }
            | Self::Corrupt { .. } => Blame::Operator,
            Self::Unknown { .. } => Blame::Transient,
            Self::Encode { .. } => Blame::Snowferry,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Unknown { .. } | Self::Store { .. } => Retry::NextRun,
            _ => Retry::AfterFix,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Full { .. } => {
                Some("free space where staged objects are kept, then run again".to_owned())
            }
            Self::Store { .. } => Some(
                "check that the staging folder or bucket exists and may be written to".to_owned(),
            ),
            _ => None,
        }
    }
}
