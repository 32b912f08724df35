//! Reading our database by query: the question, and the snapshot that fixes its answer.
//!
//! A query is asked twice: once to learn its columns and to fix the versions of the tables that it
//! reads, and then, maybe by another process and maybe again after a crash, for its rows. What
//! lies between is an [`ExportSnapshot`]: whoever opens it gets the same rows in the same order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::names::ConnectionName;
use crate::state::{LedgerPosition, StreamKey};
use crate::time::UnixMillis;

/// The version of the stored form of an [`ExportSnapshot`].
pub const EXPORT_VERSION: u32 = 1;

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportSource {
    /// All rows and columns of one pulled table.
    Table(StreamKey),
    /// The result of one SQL query.
    ///
    /// Names without quotes are folded to upper case, as in Snowflake. A table is
    /// `DATABASE.SCHEMA.TABLE`, shorter where that is unambiguous, or
    /// `connection.DATABASE.SCHEMA.TABLE`. A parameter is `$name`.
    Sql(String),
}

/// A typed value for a parameter of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Parameter {
    /// NULL, of the type that its place wants.
    Null,
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A decimal number as text, at most 38 digits: `12.50`.
    Decimal(String),
    /// Text.
    Text(String),
    /// Days since 1970.
    Date(i32),
    /// Wall-clock time: microseconds since 1970.
    Timestamp(i64),
    /// An instant: microseconds since 1970 in UTC.
    Instant(i64),
}

/// A question to our database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportQuery {
    /// The connection whose tables may be named without it.
    pub connection: Option<ConnectionName>,
    /// What is read.
    pub source: ExportSource,
    /// Values by parameter name, without the dollar sign; a positional `$1` has the name `1`.
    pub parameters: BTreeMap<String, Parameter>,
    /// What `now()`, `current_date` and their like give.
    pub now: UnixMillis,
}

/// A table as it stood when a query was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedTable {
    /// The table.
    pub stream: StreamKey,
    /// Tells a table from another one that took its place.
    pub table_id: String,
    /// The version of our database's table.
    pub table_version: u64,
    /// What had been loaded.
    pub ledger: Option<LedgerPosition>,
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportColumn {
    /// The exact name.
    pub name: String,
    /// The Arrow type as text.
    pub data_type: String,
}

/// A query with everything that fixes its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportSnapshot {
    /// [`EXPORT_VERSION`].
    pub version: u32,
    /// The question.
    pub query: ExportQuery,
    /// The tables that it reads, sorted.
    pub tables: Vec<PinnedTable>,
    /// The columns of the answer, in order.
    pub columns: Vec<ExportColumn>,
}
