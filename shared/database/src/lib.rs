//! Our database: load a manifest exactly once, read a table back, answer queries.
//!
//! [`Database::load`] moves the ledger of a table from exactly n−1 to n and applies the rows, in
//! one transaction of the database. Whoever calls it again, or at the same time, gets
//! [`Loaded::Already`]. After *any* error the caller reads [`Database::ledger`] before deciding.
//!
//! [`Export`] reads by query: [`Export::describe`] fixes the versions of the tables that a query
//! reads, [`Export::open`] streams the rows of those versions, as often as asked.
//!
//! - [`memory`]: a database in memory; the fake.
//! - `delta` (feature): a Delta Lake table for each pulled table.
//! - `contract` (feature): the suite that every database passes.

use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use snowferry_model::export::{ExportQuery, ExportSnapshot};
use snowferry_model::manifest::{Manifest, PartRecord};
use snowferry_model::plan::TablePlan;
use snowferry_model::state::{LedgerPosition, StreamKey};

mod columns;
#[cfg(feature = "contract")]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a suite of tests fails by panicking"
)]
pub mod contract;
#[cfg(feature = "delta")]
pub mod delta;
mod error;
mod keys;
mod meaning;
pub mod memory;
mod position;

pub use error::DatabaseError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A bounded stream of batches in the table's schema.
pub type BatchStream = Pin<Box<dyn Stream<Item = Result<RecordBatch, DatabaseError>> + Send>>;

/// Where a load reads the staged parts.
#[async_trait]
pub trait StagedParts: Send + Sync {
    /// Reads some bytes of a part's Parquet object.
    async fn read(&self, part: &PartRecord, range: Range<u64>) -> Result<Bytes, BoxError>;

    /// Returns where the object lies on this machine's disk, if it does.
    fn local_path(&self, part: &PartRecord) -> Option<PathBuf>;
}

/// One load: the manifest's rows become part of the table.
#[derive(Clone, Copy, Debug)]
pub struct LoadRequest<'a> {
    /// Which table of which connection.
    pub stream: &'a StreamKey,
    /// The columns and staged types of the rows.
    pub plan: &'a TablePlan,
    /// The rows, and how they are applied.
    pub manifest: &'a Manifest,
}

/// What a load did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// The rows are in, and the ledger is at the manifest's position.
    Now(LoadFigures),
    /// The ledger was there already; nothing was changed.
    Already,
}

/// Counts of one load, in rows.
///
/// The table holds `inserted - replaced` rows more than before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadFigures {
    /// Rows of the manifest that are now in the table.
    pub inserted: u64,
    /// Rows of the table that gave way: to a newer version, or all of them to a replace.
    pub replaced: u64,
    /// Rows of the manifest that lost against another row of the same key, or that the table had
    /// already.
    pub superseded: u64,
}

/// A table as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSummary {
    /// The staged schema.
    pub schema: SchemaRef,
    /// Rows.
    pub rows: u64,
    /// Files, or whatever the database is made of.
    pub files: u64,
    /// Bytes they take.
    pub size_bytes: u64,
    /// Where a person finds the table.
    pub location: String,
}

/// Our database as an engine sees it.
#[async_trait]
pub trait Database: Send + Sync {
    /// Returns what has been loaded into a table; `None` when there is certainly no table.
    async fn ledger(&self, stream: &StreamKey) -> Result<Option<LedgerPosition>, DatabaseError>;

    /// Applies a manifest and moves the ledger, in one transaction.
    ///
    /// The first manifest of a generation (sequence 1, always a replace) is accepted over any
    /// position of an earlier generation and over none. A manifest that is no replace may bring
    /// columns and lack columns: where rows lack one, they are NULL in it.
    ///
    /// # Errors
    /// - [`DatabaseError::Ledger`]: the ledger is neither at n−1 nor at n; nothing was changed.
    /// - [`DatabaseError::Schema`]: a column has another type in the table, and the manifest is no
    ///   replace.
    /// - [`DatabaseError::NullKey`], [`DatabaseError::Part`]: the rows cannot be applied.
    /// - [`DatabaseError::Unknown`]: read the ledger before deciding.
    async fn load(
        &self,
        request: LoadRequest<'_>,
        parts: &dyn StagedParts,
    ) -> Result<Loaded, DatabaseError>;

    /// Returns what a table looks like; `None` when there is certainly none.
    async fn summary(&self, stream: &StreamKey) -> Result<Option<TableSummary>, DatabaseError>;

    /// Reads a whole table as it stands, in no particular order.
    async fn scan(&self, stream: &StreamKey) -> Result<BatchStream, DatabaseError>;
}

/// What a query will answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The columns of every batch. Names differ from each other.
    pub schema: SchemaRef,
    /// Everything that fixes the rows.
    pub snapshot: ExportSnapshot,
}

/// Our database as a source of rows.
///
/// The types of an answer are those of staged columns (see `snowferry_model::plan`) and what SQL
/// makes of them: booleans, integers of all widths, floats, `Decimal128`, `Utf8`, `Binary`,
/// `Date32`, `Time64`, timestamps of all units, and lists of these. An answer has no other types.
#[async_trait]
pub trait Export: Send + Sync {
    /// Lists the tables that have been loaded, sorted.
    async fn tables(&self) -> Result<Vec<StreamKey>, DatabaseError>;

    /// Plans a query over the newest versions of its tables, and reads no rows.
    ///
    /// # Errors
    /// - [`DatabaseError::Query`]: the query cannot be planned, has another type than those above,
    ///   two columns of one name, or a function whose answer changes from call to call.
    /// - [`DatabaseError::UnknownTable`]: a name that means no table, or several.
    /// - [`DatabaseError::Parameter`]: a parameter without a value, or a value without a use.
    async fn describe(&self, query: &ExportQuery) -> Result<Description, DatabaseError>;

    /// Streams the rows of a snapshot, in bounded memory.
    ///
    /// Every call, in every process, gives the same rows in the same order, as long as the program
    /// is the same and has the same memory limit. Another version of the program may order the
    /// rows of a query without ORDER BY differently.
    ///
    /// # Errors
    /// - [`DatabaseError::SnapshotGone`]: maintenance took the versions away.
    /// - [`DatabaseError::Memory`]: the query needs more memory than it may have (in the stream).
    /// - those of [`Self::describe`].
    async fn open(&self, snapshot: &ExportSnapshot) -> Result<BatchStream, DatabaseError>;
}
