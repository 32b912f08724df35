//! Why a checkpoint call failed.

use snowferry_model::fault::{Blame, Fault, Retry};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a checkpoint call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// Somebody wrote in between; nothing was written.
    #[error("{key}: the state was changed by another run")]
    Moved {
        /// The table.
        key: String,
    },
    /// No answer came: the write may have happened.
    #[error("{step}: the outcome is unknown")]
    Unknown {
        /// What was tried.
        step: String,
        /// Why.
        source: BoxError,
    },
    /// The store was asked too much; nothing was changed.
    #[error("{step}: the store asks to slow down")]
    Throttled {
        /// What was tried.
        step: String,
        /// Why.
        source: BoxError,
    },
    /// The store refused or broke; nothing was changed.
    #[error("{step}")]
    Store {
        /// What was tried, with the file or table.
        step: String,
        /// Why.
        source: BoxError,
    },
    /// What is stored cannot be understood; it was left as it is.
    #[error("understand what is stored for {what}: {reason}")]
    Corrupt {
        /// Which item or file.
        what: String,
        /// What is wrong.
        reason: String,
    },
}

impl Fault for CheckpointError {
    fn code(&self) -> &'static str {
        match self {
            Self::Moved { .. } => "CHECKPOINT_MOVED",
            Self::Unknown { .. } => "CHECKPOINT_UNKNOWN",
            Self::Throttled { .. } => "CHECKPOINT_THROTTLED",
            Self::Store { .. } => "CHECKPOINT_STORE",
            Self::Corrupt { .. } => "CHECKPOINT_CORRUPT",
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Moved { .. } | Self::Unknown { .. } | Self::Throttled { .. } => Blame::Transient,
            Self::Store { .. } | Self::Corrupt { .. } => Blame::Operator,
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Moved { .. } | Self::Unknown { .. } | Self::Throttled { .. } => Retry::NextRun,
            Self::Store { .. } | Self::Corrupt { .. } => Retry::AfterFix,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Store { .. } => {
                Some("check that the state file or table exists and may be written to, and that a disk has room".to_owned())
            }
            Self::Corrupt { .. } => Some(
                "restore the state from a copy, or move it away: the next run then backfills again"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
