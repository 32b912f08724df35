//! A slice: one statement's result, pinned before its first row is read.
//!
//! The slice is stored in the state before anything else happens, so a run that was killed and
//! any number of runs that race stage the same result, by its query id.

use serde::{Deserialize, Serialize};

use crate::names::Identifier;
use crate::time::UnixMillis;
use crate::watermark::Window;

/// How the rows of a slice change the table in our database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apply {
    /// Adds the rows.
    Append,
    /// Adds the rows and removes those with the same key; the newest cursor wins, and of equal
    /// cursors the incoming row.
    Upsert {
        /// The key columns.
        key: Vec<Identifier>,
        /// The column that tells which row is newer.
        cursor: Identifier,
    },
    /// The rows become the whole table, in one step.
    Replace {
        /// When set, one row for each key stays, as in [`Apply::Upsert`].
        unique: Option<UniqueBy>,
    },
}

/// Which row of several with one key stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UniqueBy {
    /// The key columns.
    pub key: Vec<Identifier>,
    /// The greatest value stays; of equal ones the later row.
    pub cursor: Identifier,
}

impl Apply {
    /// Returns the rule by which one row for each key stays, if there is one.
    #[must_use]
    pub fn unique(&self) -> Option<UniqueBy> {
        match self {
            Self::Append => None,
            Self::Upsert { key, cursor } => {
                Some(UniqueBy { key: key.clone(), cursor: cursor.clone() })
            }
            Self::Replace { unique } => unique.clone(),
        }
    }
}

/// One statement's result, to be staged and loaded as one step from sequence n−1 to n.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// The sequence number n that this slice will become.
    pub sequence: u64,
    /// The statement's id at the server; also names the slice's staged objects.
    pub query_id: String,
    /// The rows that were asked for.
    pub window: Window,
    /// How they will be applied.
    pub apply: Apply,
    /// Fingerprint of the plan the rows are staged by; the plan itself is a staged object.
    pub plan: String,
    /// Identity of the table that was read.
    pub identity: String,
    /// How many uncompressed bytes of the result make one part; fixed here so that every worker
    /// cuts the result at the same places.
    pub part_bytes: u64,
    /// When the slice was pinned, by the runner's clock; for display only.
    pub pinned_at: UnixMillis,
    /// The run that pinned it.
    pub run_id: String,
    /// What the table and the job looked like before the statement was submitted, as a hash;
    /// `None` when an unchanged table cannot be told from a changed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<String>,
}
