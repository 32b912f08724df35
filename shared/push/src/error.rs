//! Why a push failed. The target is as before, or what happened to it is found out by the next run.

use snowferry_checkpoint::CheckpointError;
use snowferry_database::DatabaseError;
use snowferry_model::fault::{Blame, Fault, Retry};
use snowferry_model::names::{NameError, TableName};
use snowferry_snowflake::SnowflakeError;
use snowferry_staging::StagingError;

/// Why a push failed, by what somebody would do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// Our database failed.
    #[error("read the rows of push {push} from our database")]
    Database {
        /// The push.
        push: String,
        /// Why.
        source: DatabaseError,
    },
    /// The customer's account failed.
    #[error("write {table} in Snowflake")]
    Target {
        /// The table.
        table: TableName,
        /// Why.
        source: SnowflakeError,
    },
    /// Staging failed.
    #[error("stage the rows of push {push}")]
    Staging {
        /// The push.
        push: String,
        /// Why.
        source: StagingError,
    },
    /// The state store failed.
    #[error("remember the progress of push {push}")]
    Checkpoint {
        /// The push.
        push: String,
        /// Why.
        source: CheckpointError,
    },
    /// The target was made anew or altered after it was validated.
    #[error("{table} was changed after it was validated: {change}")]
    TargetChanged {
        /// The table.
        table: TableName,
        /// What changed.
        change: String,
    },
    /// What the server counts is not what was sent.
    #[error("{table}: {reason}")]
    CountsDiffer {
        /// The table.
        table: TableName,
        /// Which counts.
        reason: String,
    },
    /// The files of an append without a ledger are too old to be repeated safely.
    #[error("the files of push {push} are {days} days old, load metadata ends after 64")]
    MetadataExpired {
        /// The push.
        push: String,
        /// Their age.
        days: u64,
    },
    /// The job asks for something that does not fit together.
    #[error("push {push}: {reason}")]
    Job {
        /// The push.
        push: String,
        /// What does not fit.
        reason: String,
    },
    /// A name could not be made.
    #[error("name the lease of push {push}")]
    Name {
        /// The push.
        push: String,
        /// Why.
        source: NameError,
    },
    /// A column could not be brought into the form of the parts.
    #[error("convert column {column} of push {push}: {reason}")]
    Convert {
        /// The push.
        push: String,
        /// The column.
        column: String,
        /// Why; never a value.
        reason: String,
    },
    /// Other runs changed the state again and again.
    #[error("push {push} is being changed by other runs")]
    Contended {
        /// The push.
        push: String,
    },
}

impl PushError {
    /// Returns the error of the port that failed, if one did.
    fn port(&self) -> Option<&dyn Fault> {
        match self {
            Self::Database { source, .. } => Some(source),
            Self::Target { source, .. } => Some(source),
            Self::Staging { source, .. } => Some(source),
            Self::Checkpoint { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Fault for PushError {
    fn code(&self) -> &'static str {
        if let Some(port) = self.port() {
            return port.code();
        }
        match self {
            Self::TargetChanged { .. } => "PUSH_TARGET_CHANGED",
            Self::CountsDiffer { .. } => "PUSH_COUNTS_DIFFER",
            Self::MetadataExpired { .. } => "PUSH_METADATA_EXPIRED",
            Self::Job { .. } | Self::Name { .. } => "PUSH_JOB",
            Self::Convert { .. } => "PUSH_CONVERT",
            _ => "PUSH_CONTENDED",
        }
    }

    fn blame(&self) -> Blame {
        if let Some(port) = self.port() {
            return port.blame();
        }
        match self {
            Self::TargetChanged { .. } => Blame::Customer,
            Self::Contended { .. } => Blame::Transient,
            Self::Job { .. } | Self::MetadataExpired { .. } => Blame::Operator,
            _ => Blame::Snowferry,
        }
    }

    fn retry(&self) -> Retry {
        if let Some(port) = self.port() {
            return port.retry();
        }
        match self {
            Self::TargetChanged { .. } | Self::Contended { .. } => Retry::NextRun,
            _ => Retry::AfterFix,
        }
    }

    fn hint(&self) -> Option<String> {
        if let Some(port) = self.port() {
            return port.hint();
        }
        match self {
            Self::TargetChanged { .. } => {
                Some("nothing was written; the next run validates the table anew".to_owned())
            }
            Self::CountsDiffer { .. } => Some(
                "nothing was written; run again, and report it with the run's record if it stays"
                    .to_owned(),
            ),
            Self::MetadataExpired { .. } => Some(
                "look whether the rows are in the target, then give the push another name in the \
                 connection: its numbering begins anew"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
