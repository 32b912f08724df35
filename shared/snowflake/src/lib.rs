//! Reads Snowflake exactly and writes to it once: statements, results by query id, bounded streams
//! of typed batches, loads in one transaction.
//!
//! [`Source`] is what an engine sees: describe a table, profile its cursor, submit one statement,
//! read its result by query id as often as needed, by any process, for 24 hours. Rows come in the
//! staged types of a [`TablePlan`], decided from what the server *declares*, never from what the
//! first batch looks like.
//!
//! [`Target`] is the other direction: a push loads files into a staging table of its own and moves
//! their rows into a customer's table together with a ledger row.
//!
//! - [`memory`]: a source in memory with versions by commit time; the engines' fake.
//! - [`decode`]: the wire's encodings into the staged types, exactly.
//! - [`catalogue`]: what the server's codes mean to somebody who has to act.
//! - `client` (feature): the driver protocol over HTTPS.
//! - `contract` (feature): the suites that every source and every target pass.
//!
//! **Invariants:** every row count is checked against the server's; every HTTP status is checked;
//! SQL text is built in one place (`client::sql`), identifiers only through the quoting type,
//! values only as binds; a secret has no `Display`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::pin::Pin;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::Stream;
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::plan::{ColumnFacts, TablePlan};
use snowferry_model::types::{SnowflakeType, TableDescription};
use snowferry_model::watermark::{Watermark, Window};

pub mod catalogue;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "contract")]
pub mod contract;
pub mod decode;
mod error;
pub mod memory;
mod target;

pub use error::SnowflakeError;
pub use target::{Applied, FileToUpload, LedgerMove, PartFiles, StagedRows, Target};

/// A bounded stream of batches in the plan's staged schema.
pub type BatchStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, SnowflakeError>> + Send>>;

/// One statement's id at the server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub String);

impl std::fmt::Display for QueryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to look at before a slice is pinned; answered by one statement.
#[derive(Clone, Debug)]
pub struct ProfileRequest {
    /// The table.
    pub table: TableName,
    /// The cursor and its declared type; `None` when the table has none.
    pub cursor: Option<(Identifier, SnowflakeType)>,
    /// A bound below which [`Profile::cursor_max`] must not fall, compared by the server: the
    /// watermark, which never goes back, whatever was deleted at the source.
    pub floor: Option<Watermark>,
    /// How far a DATE or TIMESTAMP cursor may be ahead of the server's clock, in seconds: a value
    /// beyond that is counted and is no bound. `None`: as far as it likes.
    pub ahead_s: Option<u64>,
    /// NUMBER(p>18,0) columns whose least and greatest value is wanted.
    pub wide_integers: Vec<Identifier>,
    /// Timestamp columns of which is wanted whether they have digits below the microsecond.
    pub fine_timestamps: Vec<Identifier>,
    /// Whether [`Profile::change_token`] is wanted.
    pub change_token: bool,
}

/// What a table looked like at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Rows of the table.
    pub rows: u64,
    /// The greatest of the cursor values that are not too far ahead, and the floor, as exact server text; `None` when no row
    /// has a cursor value and there is no floor.
    pub cursor_max: Option<String>,
    /// Rows whose cursor is NULL.
    pub cursor_nulls: u64,
    /// Rows whose cursor is further ahead of the server's clock than was allowed.
    pub cursor_ahead: u64,
    /// What was seen in the asked columns.
    pub facts: BTreeMap<Identifier, ColumnFacts>,
    /// The same text as long as nobody inserts, updates or deletes a row. A statement that is
    /// submitted later sees all that was committed up to the token. `None` where the server has
    /// none, which tells nothing.
    pub change_token: Option<String>,
}

/// One read of one table: the rows of a window, the columns of a plan.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// The table.
    pub table: TableName,
    /// The columns, by name and in order.
    pub plan: TablePlan,
    /// The rows.
    pub window: Window,
    /// Marks the statement in the server's query history: connection, run and table.
    pub tag: String,
}

/// Whether a statement's result can be read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResultState {
    /// Still executing or queued.
    Running,
    /// Finished.
    Ready(ResultLayout),
}

/// The shape of a finished result. Piece 0 is what came inline, then one piece for each chunk.
///
/// Every process that opens the same query id sees the same layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultLayout {
    /// Rows in all, as the server counts them; the pieces' rows add up to it.
    pub rows: u64,
    /// The pieces in the order of the rows.
    pub pieces: Vec<Piece>,
}

/// One piece of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Rows in it.
    pub rows: u64,
    /// Bytes on the wire.
    pub compressed_bytes: u64,
    /// Bytes after decompression.
    pub uncompressed_bytes: u64,
}

/// A customer's Snowflake account as an engine sees it.
#[async_trait]
pub trait Source: Send + Sync {
    /// Returns the table's kind, identity and columns. Needs no warehouse.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`] when the table is missing or the role may not see it.
    async fn describe(&self, table: &TableName) -> Result<TableDescription, SnowflakeError>;

    /// Fixes the upper bound and looks at the asked columns, in one statement; in two where a
    /// cursor is too far ahead of the clock.
    async fn profile(&self, request: &ProfileRequest) -> Result<Profile, SnowflakeError>;

    /// Submits the one statement of a slice and returns its id without waiting for it.
    ///
    /// After an error the statement may or may not run; it changes nothing at the server.
    async fn submit(&self, request: &ReadRequest) -> Result<QueryId, SnowflakeError>;

    /// Waits a bounded time (about a minute at most) for a result.
    ///
    /// # Errors
    /// [`SnowflakeError::ResultGone`] when the server no longer knows the id.
    async fn open(&self, query: &QueryId) -> Result<ResultState, SnowflakeError>;

    /// Reads the pieces of `range`, in order, in the staged schema of `plan`.
    ///
    /// The stream ends with an error unless exactly the rows that the layout announces came.
    async fn read(
        &self,
        query: &QueryId,
        range: Range<usize>,
        plan: &TablePlan,
    ) -> Result<BatchStream, SnowflakeError>;

    /// Asks the server to stop a statement; an unknown or finished one is fine.
    async fn cancel(&self, query: &QueryId) -> Result<(), SnowflakeError>;
}
