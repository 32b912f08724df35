//! A customer's account as a push sees it.
//!
//! [`Target`] is the other direction of [`Source`](crate::Source): look at a table, bring files to
//! where the server reads them, load them into a staging table of our own, and move their rows
//! into the customer's table in one transaction. The table object is never replaced, so whatever
//! the customer attached to it stays.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use snowferry_model::names::TableName;
use snowferry_model::push::{PushKey, PushManifest, TargetColumn, TargetDescription};
use snowferry_model::state::LedgerPosition;

use crate::SnowflakeError;

/// Reads the staged objects that are to be uploaded.
#[async_trait]
pub trait PartFiles: Send + Sync {
    /// Reads some bytes of an object.
    async fn read(
        &self,
        object: &str,
        range: Range<u64>,
    ) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    /// Returns where the object lies on this machine's disk, if it does.
    fn local_path(&self, object: &str) -> Option<PathBuf>;
}

/// One staged object on its way to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileToUpload {
    /// Key of the staged object; unique to the attempt that wrote it.
    pub object: String,
    /// Its name among ours at the server; equal names are equal content.
    pub file: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of it in lower-case hexadecimal.
    pub sha256: String,
}

/// Rows that the server loaded from the files of a manifest into a table of our own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedRows {
    /// Names the staging table among those of this [`Target`].
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// Values other than NULL in each column, in the order of the parts' columns and then of the
    /// constants.
    pub values: Vec<u64>,
    /// Keys that more than one row has; 0 where the push has no key.
    pub duplicate_keys: u64,
    /// Rows of which a part of the key is NULL.
    pub null_keys: u64,
}

/// How the ledger moves with the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerMove {
    /// The ledger table.
    pub table: TableName,
    /// The push, which has one row in it.
    pub push: PushKey,
    /// Where the row must be; `None`: there must be no row.
    pub from: Option<LedgerPosition>,
    /// Where it is afterwards.
    pub to: LedgerPosition,
}

/// What applying did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The rows are in the target.
    Now {
        /// Rows that gave way, where the server said so.
        replaced: Option<u64>,
    },
    /// The server says that these files were loaded into the target before; nothing was changed.
    Already,
}

/// A customer's account as an engine writes to it.
#[async_trait]
pub trait Target: Send + Sync {
    /// Returns what the table is, what it has, and what our role may do with it.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`] when the table is missing or the role may not see it.
    async fn inspect(&self, table: &TableName) -> Result<TargetDescription, SnowflakeError>;

    /// Makes a table of these columns unless there is one.
    async fn create(
        &self,
        table: &TableName,
        columns: &[TargetColumn],
    ) -> Result<(), SnowflakeError>;

    /// Brings an object to where the server reads it and returns how the server names it.
    async fn upload(
        &self,
        file: &FileToUpload,
        parts: &dyn PartFiles,
    ) -> Result<String, SnowflakeError>;

    /// Lists what was brought to the server by our names that begin with `prefix`, with the names
    /// that [`Target::upload`] returned. A file that is listed is whole.
    async fn files(&self, prefix: &str) -> Result<BTreeMap<String, String>, SnowflakeError>;

    /// Takes away what was brought to the server under our names that begin with `prefix`.
    async fn remove(&self, prefix: &str) -> Result<(), SnowflakeError>;

    /// Reads the ledger in a session of its own; `None` when the push certainly has no row.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`] when there is no such table.
    async fn ledger(
        &self,
        table: &TableName,
        push: &PushKey,
    ) -> Result<Option<LedgerPosition>, SnowflakeError>;

    /// Loads the files of a manifest, all or none, into a new staging table. Touches nothing of
    /// the customer.
    ///
    /// # Errors
    /// - [`SnowflakeError::FileMissing`]: a file is not where it was uploaded to.
    /// - [`SnowflakeError::RowsRefused`]: the server cannot load what we wrote.
    async fn stage(&self, manifest: &PushManifest) -> Result<StagedRows, SnowflakeError>;

    /// Moves the staged rows into the target, in one transaction with the ledger if there is one.
    /// Without a ledger an append is one load of the manifest's files into the target.
    ///
    /// # Errors
    /// - [`SnowflakeError::Ledger`]: the ledger is elsewhere; nothing was changed.
    /// - [`SnowflakeError::StagingGone`]: the staging table went with its session; nothing was
    ///   changed.
    /// - [`SnowflakeError::TransactionEnded`]: the transaction was ended from outside; nothing was
    ///   changed.
    /// - [`SnowflakeError::AppliedRows`], [`SnowflakeError::RowsRefused`]: rolled back.
    /// - [`SnowflakeError::Unknown`]: no answer came; read the ledger before deciding.
    async fn apply(
        &self,
        manifest: &PushManifest,
        staged: &StagedRows,
        ledger: Option<&LedgerMove>,
    ) -> Result<Applied, SnowflakeError>;

    /// Takes a staging table away; one that is gone is fine.
    async fn discard(&self, staged: &StagedRows) -> Result<(), SnowflakeError>;
}
