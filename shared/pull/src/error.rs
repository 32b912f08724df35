//! Why a pull failed. State and table are as before; the next run begins where this one stopped.

use snowferry_checkpoint::CheckpointError;
use snowferry_database::DatabaseError;
use snowferry_model::fault::{Blame, Fault, Retry};
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::plan::PlanError;
use snowferry_model::types::SnowflakeType;
use snowferry_snowflake::SnowflakeError;
use snowferry_staging::StagingError;

/// Why a pull failed, by what somebody would do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The customer's account failed.
    #[error("read {table} from Snowflake")]
    Source {
        /// The table.
        table: TableName,
        /// Why.
        source: SnowflakeError,
    },
    /// Staging failed.
    #[error("stage {table}")]
    Staging {
        /// The table.
        table: TableName,
        /// Why.
        source: StagingError,
    },
    /// The state store failed.
    #[error("remember the progress of {table}")]
    Checkpoint {
        /// The table.
        table: TableName,
        /// Why.
        source: CheckpointError,
    },
    /// Our database failed.
    #[error("load {table} into our database")]
    Database {
        /// The table.
        table: TableName,
        /// Why.
        source: DatabaseError,
    },
    /// The table cannot be staged exactly.
    #[error("plan the columns of {table}")]
    Plan {
        /// The table.
        table: TableName,
        /// Why.
        source: PlanError,
    },
    /// A column that the connection names is not there.
    #[error("{table} has no column {column}, which the connection names as its {role}")]
    NoSuchColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: Identifier,
        /// `key` or `cursor`.
        role: &'static str,
        /// The columns that are there.
        found: String,
    },
    /// The cursor has a type that cannot bound a window exactly.
    #[error("the cursor {column} of {table} is a {data_type}, which cannot be a cursor")]
    CursorType {
        /// The table.
        table: TableName,
        /// The column.
        column: Identifier,
        /// Its type.
        data_type: SnowflakeType,
    },
    /// Rows without a cursor value would never be read again.
    #[error("{rows} rows of {table} have no value in the cursor {column}")]
    NullCursor {
        /// The table.
        table: TableName,
        /// The column.
        column: Identifier,
        /// How many.
        rows: u64,
    },
    /// The job asks for something that does not fit together.
    #[error("pull {table}: {reason}")]
    Job {
        /// The table.
        table: TableName,
        /// What does not fit.
        reason: String,
    },
    /// The table was created anew since the backfill.
    #[error("{table} was created anew since its backfill")]
    Recreated {
        /// The table.
        table: TableName,
    },
    /// The connection selects other columns or rows of the table than its backfill read.
    #[error("the connection selects other columns or rows of {table} than its backfill read")]
    Reselected {
        /// The table.
        table: TableName,
    },
    /// Columns were added, dropped, renamed or changed since the backfill.
    #[error("the columns of {table} changed since its backfill")]
    SchemaChanged {
        /// The table.
        table: TableName,
        /// Which.
        changes: String,
    },
    /// The cursor is another column, or of another type, than the one the watermark belongs to.
    #[error("the watermark of {table} belongs to another cursor than {column}")]
    CursorChanged {
        /// The table.
        table: TableName,
        /// The cursor now.
        column: Identifier,
    },
    /// What was staged does not add up.
    #[error("the staged parts of {table} do not add up: {reason}")]
    PartsMismatch {
        /// The table.
        table: TableName,
        /// What is wrong.
        reason: String,
    },
    /// Other runs changed the state again and again.
    #[error("{table} is being changed by other runs")]
    Contended {
        /// The table.
        table: TableName,
    },
}

impl PullError {
    /// Returns the error of the port that failed, if one did.
    fn port(&self) -> Option<&dyn Fault> {
        match self {
            Self::Source { source, .. } => Some(source),
            Self::Staging { source, .. } => Some(source),
            Self::Checkpoint { source, .. } => Some(source),
            Self::Database { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Fault for PullError {
    fn code(&self) -> &'static str {
        if let Some(port) = self.port() {
            return port.code();
        }
        match self {
            Self::Plan { .. } => "PULL_PLAN",
            Self::NoSuchColumn { .. } => "PULL_NO_SUCH_COLUMN",
            Self::CursorType { .. } => "PULL_CURSOR_TYPE",
            Self::NullCursor { .. } => "PULL_NULL_CURSOR",
            Self::Job { .. } => "PULL_JOB",
            Self::Recreated { .. } => "PULL_RECREATED",
            Self::Reselected { .. } => "PULL_SELECTION_CHANGED",
            Self::SchemaChanged { .. } => "PULL_SCHEMA_CHANGED",
            Self::CursorChanged { .. } => "PULL_CURSOR_CHANGED",
            Self::PartsMismatch { .. } => "PULL_PARTS_MISMATCH",
            _ => "PULL_CONTENDED",
        }
    }

    fn blame(&self) -> Blame {
        if let Some(port) = self.port() {
            return port.blame();
        }
        match self {
            Self::Plan { .. } | Self::NullCursor { .. } => Blame::Customer,
            Self::Recreated { .. } | Self::SchemaChanged { .. } => Blame::Customer,
            Self::Contended { .. } => Blame::Transient,
            Self::PartsMismatch { .. } => Blame::Snowferry,
            _ => Blame::Operator,
        }
    }

    fn retry(&self) -> Retry {
        if let Some(port) = self.port() {
            return port.retry();
        }
        match self {
            Self::Contended { .. } => Retry::NextRun,
            _ => Retry::AfterFix,
        }
    }

    fn hint(&self) -> Option<String> {
        if let Some(port) = self.port() {
            return port.hint();
        }
        match self {
            Self::Plan { source, .. } => Some(plan_hint(source)),
            Self::NoSuchColumn { found, .. } => Some(format!("its columns are {found}")),
            Self::CursorType { .. } => Some(
                "name a NUMBER, DATE or TIMESTAMP column as the cursor, or use mode: full"
                    .to_owned(),
            ),
            Self::NullCursor { column, .. } => Some(format!(
                "write `null_cursor: reload` to read these rows on each run, or `null_cursor: ignore` \
                 to leave them out; or ask the customer to fill {column} (UPDATE … SET {column} = … \
                 WHERE {column} IS NULL), name another cursor, or use mode: full"
            )),
            Self::Recreated { table }
            | Self::Reselected { table }
            | Self::SchemaChanged { table, .. }
            | Self::CursorChanged { table, .. } => {
                let change = match self {
                    Self::SchemaChanged { changes, .. } => format!("{changes}; "),
                    _ => String::new(),
                };
                let policy = match self {
                    Self::CursorChanged { .. } => "",
                    _ => "write `schema_changes: evolve` to follow changes, or ",
                };
                Some(format!(
                    "{change}{policy}`snowferry reset CONNECTION --table {table}` starts a new full backfill; \
                     readers keep the old table until it is complete"
                ))
            }
            Self::PartsMismatch { .. } => Some(
                "run again; if it stays, report it with the run's record (`snowferry run show`)"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

fn plan_hint(error: &PlanError) -> String {
    match error {
        PlanError::UnknownType { column, .. } => {
            format!("pull a view without {column}, or one that casts it to a known type")
        }
        PlanError::CompanionName { .. } => {
            "give the column another name, in a view or by a `query`".to_owned()
        }
        PlanError::CaseOnly { first, second } => format!(
            "leave {first} or {second} out (`columns: {{ exclude: […] }}`), or give one another name \
             in a view or by a `query`"
        ),
        _ => "ask the customer for SELECT on the table".to_owned(),
    }
}
