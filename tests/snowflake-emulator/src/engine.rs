//! What the server asks of the SQL engine, and what it gets back.

use std::collections::BTreeMap;

use datafusion::execution::SendableRecordBatchStream;

use crate::types::Column;

/// The context of one session, changed by USE, ALTER SESSION and CREATE DATABASE/SCHEMA.
#[derive(Clone, Debug, Default)]
pub struct SessionContext {
    /// Who runs the statement.
    pub user: String,
    /// The account, in upper case.
    pub account: String,
    /// The session's id, for CURRENT_SESSION(); 0 for none.
    pub session_id: u64,
    /// The id of the running statement; empty for one that nobody asks about later.
    pub query_id: String,
    /// Current role.
    pub role: Option<String>,
    /// Current warehouse; a statement that scans a table needs one (000606).
    pub warehouse: Option<String>,
    /// Current database.
    pub database: Option<String>,
    /// Current schema.
    pub schema: Option<String>,
    /// Session parameters that differ from the defaults, names in upper case.
    pub parameters: BTreeMap<String, String>,
}

/// A bind value as the driver sent it.
#[derive(Clone, Debug)]
pub struct Bind {
    /// FIXED, REAL, TEXT, BOOLEAN, BINARY, DATE, TIME, TIMESTAMP_NTZ, ….
    pub kind: String,
    /// The value in the driver's text form; `None` is NULL.
    pub value: Option<String>,
}

/// How a statement ended that a client sent.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The context it ran in, with its query id.
    pub context: &'a SessionContext,
    /// Its text.
    pub text: &'a str,
    /// The rows that it gave, or its failure.
    pub rows: Result<u64, &'a SqlError>,
}

/// What a statement gave.
pub struct Outcome {
    /// Snowflake's number for the kind of statement, e.g. 0x1000 for SELECT.
    pub statement_type_id: i64,
    /// The columns, also when no row comes.
    pub columns: Vec<Column>,
    /// The rows as carriers, in the order and types of `columns`.
    pub rows: SendableRecordBatchStream,
    /// SHOW, DESCRIBE, DML and DDL answers always travel as JSON.
    pub json_only: bool,
    /// The moment (nanoseconds since 1970) of the snapshot that was read or of the commit made.
    pub snapshot_ns: i128,
    /// For PUT and GET: what the client is to do.
    pub transfer: Option<Transfer>,
}

/// Files that a client is to move between itself and a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// PUT.
    Upload(Upload),
    /// GET.
    Download(Download),
}

/// What PUT tells the client.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    /// The stage's number.
    pub stage: u64,
    /// Comes before each file's name: empty, or a path that ends with a slash.
    pub prefix: String,
    /// The client's path, which may have wildcards.
    pub source: String,
    /// Files at once.
    pub parallel: u32,
    /// Whether the client compresses what is not compressed.
    pub auto_compress: bool,
    /// Whether a file that is there is replaced.
    pub overwrite: bool,
    /// `auto_detect`, `none`, `gzip`, ….
    pub source_compression: String,
    /// Base64 of the stage's master key, if the client is to encrypt.
    pub master_key: Option<String>,
}

/// What GET tells the client.
#[derive(Clone, PartialEq, Eq)]
pub struct Download {
    /// The stage's number.
    pub stage: u64,
    /// Paths in the stage.
    pub files: Vec<String>,
    /// The client's folder.
    pub target: String,
    /// Files at once.
    pub parallel: u32,
    /// Base64 of the stage's master key, if files are encrypted.
    pub master_key: Option<String>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("files", &self.files).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outcome").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// A failed statement in Snowflake's own terms.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code} ({sql_state}): {message}")]
pub struct SqlError {
    /// Six digits, e.g. `002003`.
    pub code: &'static str,
    /// SQLSTATE, e.g. `42S02`.
    pub sql_state: &'static str,
    /// The message as Snowflake words it.
    pub message: String,
}
