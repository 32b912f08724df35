//! Why our database failed.

use snowferry_model::fault::{Blame, Fault, Retry};
use snowferry_model::state::LedgerPosition;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a call to our database failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The database broke or refused; nothing was changed.
    #[error("{step} {table}")]
    Store {
        /// What was tried, as a verb.
        step: &'static str,
        /// The table.
        table: String,
        /// Why.
        source: BoxError,
    },
    /// There is no room left; nothing was changed.
    #[error("{step} {table}: no space left")]
    Full {
        /// What was tried.
        step: &'static str,
        /// The table.
        table: String,
    },
    /// No certain answer came: the load may have happened.
    #[error("load {table}: the outcome is unknown")]
    Unknown {
        /// The table.
        table: String,
        /// Why.
        source: BoxError,
    },
    /// The ledger is at a position that the manifest does not follow.
    #[error("load {table}: the table is at {found:?}, the manifest leads to {wanted:?}")]
    Ledger {
        /// The table.
        table: String,
        /// Where the ledger is.
        found: Option<LedgerPosition>,
        /// Where the manifest leads.
        wanted: LedgerPosition,
    },
    /// A table of that name is there with other columns, or was not made by Snowferry.
    #[error("load {table}: {reason}")]
    Schema {
        /// The table.
        table: String,
        /// What differs.
        reason: String,
    },
    /// A row has no key, so it cannot be told which row it replaces; nothing was changed.
    #[error("load {table}: the key column {column} holds NULL")]
    NullKey {
        /// The table.
        table: String,
        /// The staged key column.
        column: String,
    },
    /// A staged part cannot be read or is not what the manifest says.
    #[error("read staged part {part} of {table}")]
    Part {
        /// The table.
        table: String,
        /// The part's object.
        part: String,
        /// Why.
        source: BoxError,
    },
    /// A query cannot be answered as it is written.
    #[error("query our database: {reason}")]
    Query {
        /// What is wrong with it, and where.
        reason: String,
        /// What helps, where it is known.
        hint: Option<String>,
    },
    /// A query names a table that is not there, or that is there several times.
    #[error("query our database: {name} {reason}")]
    UnknownTable {
        /// The name as the query has it.
        name: String,
        /// Whether it means nothing or too much.
        reason: String,
        /// What could be meant.
        candidates: Vec<String>,
    },
    /// A parameter of a query has no value, or a value has no parameter.
    #[error("query our database: parameter {name}: {reason}")]
    Parameter {
        /// Its name, without the dollar sign.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// A query needs more memory than it may have.
    #[error("query our database: it needs more than {limit_bytes} bytes of memory")]
    Memory {
        /// The limit.
        limit_bytes: u64,
        /// Why.
        source: BoxError,
    },
    /// The versions that a snapshot fixed cannot be read any more.
    #[error("read {table} as of version {table_version}")]
    SnapshotGone {
        /// The table.
        table: String,
        /// The version of it.
        table_version: u64,
        /// Why.
        source: BoxError,
    },
}

impl Fault for DatabaseError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store { .. } => "DATABASE_STORE",
            Self::Full { .. } => "DATABASE_FULL",
            Self::Unknown { .. } => "DATABASE_UNKNOWN",
            Self::Ledger { .. } => "DATABASE_LEDGER",
            Self::Schema { .. } => "DATABASE_SCHEMA",
            Self::NullKey { .. } => "DATABASE_NULL_KEY",
            Self::Part { .. } => "DATABASE_PART",
            Self::Query { .. } => "DATABASE_QUERY",
            Self::UnknownTable { .. } => "DATABASE_UNKNOWN_TABLE",
            Self::Parameter { .. } => "DATABASE_PARAMETER",
            Self::Memory { .. } => "DATABASE_MEMORY",
            Self::SnapshotGone { .. } => "DATABASE_SNAPSHOT_GONE",
        }
    }

    fn blame(&self) -> Blame {
        match self {
            Self::Unknown { .. } => Blame::Transient,
            Self::Store { .. } | Self::Full { .. } | Self::Part { .. } => Blame::Operator,
            Self::Ledger { .. } | Self::Schema { .. } | Self::NullKey { .. } => Blame::Operator,
            Self::Query { .. }
            | Self::UnknownTable { .. }
            | Self::Parameter { .. }
            | Self::Memory { .. }
            | Self::SnapshotGone { .. } => Blame::Operator,
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
            Self::Full { .. } => Some("free space where the tables are kept (a query: where temporary files are), then run again".to_owned()),
            Self::Ledger { .. } => Some(
                "the state and the table do not belong together (was one of them restored or moved?); \
                 `snowferry reset` starts the table anew with a full backfill"
                    .to_owned(),
            ),
            Self::Schema { .. } => Some(
                "move the table away or name another folder; `snowferry reset` backfills it anew"
                    .to_owned(),
            ),
            Self::NullKey { column, .. } => Some(format!(
                "name a key without NULLs in the connection, or leave out the rows: the source has \
                 rows where {column} is NULL"
            )),
            Self::Query { hint, .. } => hint.clone(),
            Self::UnknownTable { candidates, .. } if candidates.is_empty() => {
                Some("no table has been pulled yet: run `snowferry pull`".to_owned())
            }
            Self::UnknownTable { candidates, .. } => {
                Some(format!("write one of {}", candidates.join(", ")))
            }
            Self::Parameter { .. } => {
                Some("give every $name of the query exactly one value".to_owned())
            }
            Self::Memory { .. } => Some(
                "raise the memory limit, or sort, group or join fewer rows at a time".to_owned(),
            ),
            Self::SnapshotGone { .. } => {
                Some("run it again with a new snapshot of the present rows".to_owned())
            }
            _ => None,
        }
    }
}
