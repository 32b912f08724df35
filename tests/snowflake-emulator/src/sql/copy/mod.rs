//! COPY INTO a table: which files, how they are read, what happens to a bad row. The other way,
//! COPY INTO a location, is `unload`.
//!
//! The steps: files of the location (`files`) → those that the table has not loaded yet → columns
//! of each (`parquet`, `text`), or the SELECT over them (`transform`) → rows of the table's types
//! (`load`) → one change of the table with its load metadata. A statement that fails changes
//! nothing, so its files load again.

mod batch;
mod command;
mod files;
mod format;
mod load;
mod parquet;
mod query;
mod remote;
mod text;
mod transform;
mod unload;

pub(crate) use query::staged;
pub(crate) use unload::Unload;

pub(crate) use command::{CopyInto, OnError};

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use super::dml::Changed;
use super::error::{compile, unsupported};
use super::plan::Planning;
use super::rows::{Rows, optional};
use super::value::Value;
use crate::catalog::{Delta, Load, Table};
use crate::engine::SqlError;
use crate::types::SnowType;
use batch::Batch;
use files::{Listing, SourceFile};
use format::Format;
use load::{Failures, Loader};

/// Snowflake's number for COPY INTO a table.
const COPY: i64 = 0x3600;
/// How long a table remembers what it has loaded: 64 days.
const MEMORY_NS: i128 = 64 * 24 * 3600 * 1_000_000_000;

/// What a COPY gave.
#[derive(Debug)]
struct Copied {
    /// The answer: a row for each file, or one that says that there was none.
    rows: Rows,
    /// What is added to the table.
    batches: Vec<RecordBatch>,
    /// What the table remembers from now on, by file.
    loads: BTreeMap<String, Load>,
    /// Files to remove once the rows are in.
    purge: Listing,
}

/// What became of one file.
#[derive(Debug, Default)]
struct FileReport {
    shown: String,
    rows_parsed: u64,
    rows_loaded: u64,
    error_limit: u64,
    failures: Failures,
}

impl CopyInto {
    /// Reads the files as a change of `table`.
    ///
    /// # Errors
    /// Snowflake's; nothing was changed, so that all files load again.
    pub(crate) async fn change(
        &self,
        planning: &Planning<'_>,
        table: &Table,
    ) -> Result<Changed, SqlError> {
        let copied = self.run(planning, table).await?;
        let mut delta = Delta::insert(table, copied.batches);
        delta.loads = copied.loads;
        let changes = !delta.loads.is_empty();
        // The files go with the statement, not with its transaction: a stage knows none.
        copied.purge.purge(planning).await;
        Ok(Changed { statement_type_id: COPY, rows: copied.rows, delta: changes.then_some(delta) })
    }

    /// Reads the files; nothing is changed yet.
    async fn run(&self, planning: &Planning<'_>, table: &Table) -> Result<Copied, SqlError> {
        let place = self.location(planning)?;
        let format = Format::of(&place.format)?;
        let mut listing = place.list(self).await?;
        if !self.force {
            listing.files.retain(|file| !remembered(table, file, planning.now_ns));
        }
        if let Some(mode) = &self.validation_mode {
            return self.validate(planning, table, (&listing, &format), mode).await;
        }
        let loader = Loader::new(planning, table, self, &format)?;
        let mut copied = Copied {
            rows: Rows::status("Copy executed with 0 files processed."),
            batches: Vec::new(),
            loads: BTreeMap::new(),
            purge: listing.emptied(),
        };
        let mut reports = Vec::new();
        let mut size_bytes = 0_u64;
        for file in &listing.files {
            if self.size_limit.is_some_and(|limit| size_bytes >= limit) {
                break;
            }
            size_bytes = size_bytes.saturating_add(file.size_bytes);
            let content = listing.read(planning, file).await?;
            let (report, batches) = self.load_file(&loader, file, content).await?;
            if report.failures.count == 0 || report.rows_loaded > 0 {
                let load = Load { etag: file.etag.clone(), loaded_ns: planning.now_ns };
                copied.loads.insert(file.key.clone(), load);
                if self.purge {
                    copied.purge.files.push(file.clone());
                }
            }
            copied.batches.extend(batches);
            reports.push(report);
        }
        if self.return_failed_only {
            reports.retain(|report| report.failures.count > 0);
        }
        if !reports.is_empty() {
            copied.rows = answer(&reports);
        }
        Ok(copied)
    }

    /// One file under ON_ERROR.
    async fn load_file(
        &self,
        loader: &Loader<'_>,
        file: &SourceFile,
        content: bytes::Bytes,
    ) -> Result<(FileReport, Vec<RecordBatch>), SqlError> {
        let mut report = FileReport { shown: file.shown.clone(), ..FileReport::default() };
        let mut loaded = Vec::new();
        let parsed = loader.read(file, content);
        let batches: Vec<Batch> = match parsed {
            Ok(batches) => batches,
            Err(error) if self.on_error == OnError::Abort => return Err(error),
            Err(error) => {
                report.failures.note_file(&error);
                Vec::new()
            }
        };
        for batch in batches {
            let rows = batch.rows();
            report.rows_parsed += u64::try_from(rows).unwrap_or(0);
            let outcome = loader.load(file, batch, self.on_error == OnError::Abort).await?;
            report.failures.merge(outcome.failures);
            loaded.extend(outcome.batches);
        }
        report.error_limit = match self.on_error {
            OnError::Abort | OnError::SkipFile => 1,
            OnError::Continue => report.rows_parsed,
            OnError::SkipFileAfter(limit) => limit,
            OnError::SkipFilePercent(percent) => (report.rows_parsed * percent).div_ceil(100),
        };
        let skip = match self.on_error {
            OnError::Abort | OnError::Continue => false,
            _ => report.failures.count >= report.error_limit.max(1),
        };
        if skip {
            loaded.clear();
        }
        let rows: usize = loaded.iter().map(RecordBatch::num_rows).sum();
        report.rows_loaded = u64::try_from(rows).unwrap_or(u64::MAX);
        Ok((report, loaded))
    }

    /// VALIDATION_MODE: the errors that a load would meet.
    async fn validate(
        &self,
        planning: &Planning<'_>,
        table: &Table,
        (listing, format): (&Listing, &Format),
        mode: &str,
    ) -> Result<Copied, SqlError> {
        if !matches!(mode, "RETURN_ERRORS" | "RETURN_ALL_ERRORS") {
            return Err(unsupported(format!("VALIDATION_MODE = {mode}")));
        }
        if self.is_transformed() || self.by_name.is_some() {
            let message =
                "VALIDATION_MODE does not work with a transformation or MATCH_BY_COLUMN_NAME";
            return Err(compile("002019", "0A000", message));
        }
        let loader = Loader::new(planning, table, self, format)?;
        let mut rows = Rows::new(vec![
            ("ERROR", TEXT),
            ("FILE", TEXT),
            ("LINE", NUMBER),
            ("CHARACTER", NUMBER),
            ("BYTE_OFFSET", NUMBER),
            ("CATEGORY", TEXT),
            ("CODE", NUMBER),
            ("SQL_STATE", TEXT),
            ("COLUMN_NAME", TEXT),
            ("ROW_NUMBER", NUMBER),
            ("ROW_START_LINE", NUMBER),
        ]);
        for file in &listing.files {
            let content = listing.read(planning, file).await?;
            let mut failures = Failures::default();
            match loader.read(file, content) {
                Err(error) => failures.note_file(&error),
                Ok(batches) => {
                    for batch in batches {
                        failures.merge(loader.load(file, batch, false).await?.failures);
                    }
                }
            }
            for failure in failures.all {
                let code = failure.error.code.parse::<u64>().unwrap_or(0);
                rows.push(vec![
                    Value::text(failure.error.message),
                    Value::text(&file.shown),
                    Value::integer(failure.line),
                    Value::integer(1),
                    Value::Null,
                    Value::text("conversion"),
                    Value::integer(code),
                    Value::text(failure.error.sql_state),
                    optional(failure.column.as_deref()),
                    Value::integer(failure.row),
                    Value::integer(failure.line),
                ]);
            }
        }
        Ok(Copied { rows, batches: Vec::new(), loads: BTreeMap::new(), purge: listing.emptied() })
    }
}

const TEXT: SnowType = SnowType::TEXT;
const NUMBER: SnowType = SnowType::Number { precision: 38, scale: 0 };

/// Whether the table has loaded this very content; what is older than the memory counts as loaded.
fn remembered(table: &Table, file: &SourceFile, now_ns: i128) -> bool {
    table
        .loads
        .get(&file.key)
        .is_some_and(|load| load.etag == file.etag || now_ns - load.loaded_ns > MEMORY_NS)
}

fn answer(reports: &[FileReport]) -> Rows {
    let mut rows = Rows::new(vec![
        ("file", TEXT),
        ("status", TEXT),
        ("rows_parsed", NUMBER),
        ("rows_loaded", NUMBER),
        ("error_limit", NUMBER),
        ("errors_seen", NUMBER),
        ("first_error", TEXT),
        ("first_error_line", NUMBER),
        ("first_error_character", NUMBER),
        ("first_error_column_name", TEXT),
    ]);
    for report in reports {
        let first = report.failures.all.first();
        let status = match (report.failures.count, report.rows_loaded) {
            (0, _) => "LOADED",
            (_, 0) => "LOAD_FAILED",
            _ => "PARTIALLY_LOADED",
        };
        rows.push(vec![
            Value::text(&report.shown),
            Value::text(status),
            Value::integer(report.rows_parsed),
            Value::integer(report.rows_loaded),
            Value::integer(report.error_limit.max(1)),
            Value::integer(report.failures.count),
            optional(first.map(|failure| failure.error.message.as_str())),
            first.map_or(Value::Null, |failure| Value::integer(failure.line)),
            first.map_or(Value::Null, |_| Value::integer(1)),
            optional(first.and_then(|failure| failure.column.as_deref())),
        ]);
    }
    rows
}
