//! Turns a manifest into the actions of one commit.
//!
//! Parts without losers are registered as they are. A part or file with losers is written again
//! as a stream without them; a file that would be empty is only removed. Deletion vectors would
//! be ten times cheaper than writing files again, but common readers (pyarrow) refuse tables that
//! have them (gap).

use std::path::PathBuf;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use deltalake_core::kernel::{Action, Add};
use roaring::RoaringTreemap;

use super::contest::{Contest, IncomingFile};
use super::files::unique_name;
use super::parquet_file::{FileWriter, ParquetFile, WrittenFile};
use super::store_error;
use super::table::{TableFile, now_ms};
use crate::keys::UniqueColumns;
use crate::{BoxError, DatabaseError, LoadFigures};

/// A part that has been brought into the table's folder.
#[derive(Clone, Debug)]
pub(super) struct BroughtPart {
    /// The file.
    pub(super) file: WrittenFile,
    /// The staged object it came from.
    pub(super) object: String,
}

/// What the rows of the table face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// They stay, unless they lose against an incoming row.
    Stay,
    /// They go, all of them.
    Go,
}

/// Everything that one attempt works on.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) table: String,
    pub(super) folder: PathBuf,
    pub(super) schema: SchemaRef,
    pub(super) fate: Fate,
    /// By what one row for each key stays.
    pub(super) unique: Option<UniqueColumns>,
    pub(super) brought: Vec<BroughtPart>,
    pub(super) files: Vec<TableFile>,
    pub(super) budget_bytes: u64,
}

/// The actions of one commit, and what they mean.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) actions: Vec<Action>,
    pub(super) figures: LoadFigures,
    /// Brought files that no action names, because they were written again.
    pub(super) unused: Vec<String>,
}

impl Work {
    /// Prepares the change; blocks. Names of files that it writes are pushed to `written`.
    pub(super) fn prepare(&self, written: &mut Vec<String>) -> Result<Change, DatabaseError> {
        match (&self.unique, self.fate) {
            (Some(unique), Fate::Stay) => self.contested(unique, &self.files, written),
            (Some(unique), Fate::Go) => {
                let change = self.contested(unique, &[], written)?;
                self.removing_all(change)
            }
            (None, fate) => {
                let inserted = self.brought.iter().map(|part| part.file.rows).sum();
                let actions = self.brought.iter().map(|part| add(&part.file)).collect();
                let figures = LoadFigures { inserted, ..LoadFigures::default() };
                let change = Change { actions, figures, unused: Vec::new() };
                if fate == Fate::Go { self.removing_all(change) } else { Ok(change) }
            }
        }
    }

    fn removing_all(&self, mut change: Change) -> Result<Change, DatabaseError> {
        for file in &self.files {
            change.actions.push(Action::Remove(file.remove.clone()));
            change.figures.replaced += file.rows(&self.folder).map_err(|e| self.failed(e))?;
        }
        Ok(change)
    }

    fn contested(
        &self,
        unique: &UniqueColumns,
        standing: &[TableFile],
        written: &mut Vec<String>,
    ) -> Result<Change, DatabaseError> {
        let incoming = |part: &BroughtPart| IncomingFile {
            name: part.file.name.clone(),
            object: part.object.clone(),
            rows: part.file.rows,
        };
        let incoming: Vec<_> = self.brought.iter().map(incoming).collect();
        let losers = Contest {
            table: &self.table,
            folder: self.folder.clone(),
            schema: self.schema.clone(),
            columns: unique,
            incoming: &incoming,
            standing,
            budget_bytes: self.budget_bytes,
        }
        .decide()?;
        let figures = LoadFigures::default();
        let mut change = Change { actions: Vec::new(), figures, unused: Vec::new() };
        for (file, lost) in standing.iter().zip(&losers.standing) {
            if lost.is_empty() {
                continue;
            }
            change.figures.replaced += lost.len();
            change.actions.push(Action::Remove(file.remove.clone()));
            change.actions.extend(self.rewrite(&file.path, lost, written)?);
        }
        for (part, lost) in self.brought.iter().zip(&losers.incoming) {
            change.figures.superseded += lost.len();
            change.figures.inserted += part.file.rows.saturating_sub(lost.len());
            if lost.is_empty() {
                change.actions.push(add(&part.file));
            } else {
                change.unused.push(part.file.name.clone());
                change.actions.extend(self.rewrite(&part.file.name, lost, written)?);
            }
        }
        Ok(change)
    }

    /// Writes a file again without the rows that lost.
    fn rewrite(
        &self,
        path: &str,
        lost: &RoaringTreemap,
        written: &mut Vec<String>,
    ) -> Result<Option<Action>, DatabaseError> {
        let mut rewrite = || -> Result<Option<WrittenFile>, BoxError> {
            let source = ParquetFile::open(&self.folder.join(path))?;
            if lost.len() >= source.rows() {
                return Ok(None);
            }
            let name = unique_name();
            written.push(name.clone());
            let mut target =
                FileWriter::create(&self.folder, &name, &self.schema, source.footer())?;
            let mut first = 0;
            for batch in source.batches(&self.schema, None)? {
                let batch = batch?;
                let rows = batch.num_rows() as u64;
                target.write(&without(&batch, first, lost)?)?;
                first += rows;
            }
            target.finish()
        };
        rewrite().map(|file| file.as_ref().map(add)).map_err(|error| self.failed(error))
    }

    fn failed(&self, source: BoxError) -> DatabaseError {
        store_error("write", &self.table, source)
    }
}

/// Returns the rows of a batch that did not lose; its first row is at position `first`.
fn without(
    batch: &RecordBatch,
    first: u64,
    lost: &RoaringTreemap,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let end = first + batch.num_rows() as u64;
    if lost.range_cardinality(first..end) == 0 {
        return Ok(batch.clone());
    }
    let keep: BooleanArray = (first..end).map(|row| Some(!lost.contains(row))).collect();
    filter_record_batch(batch, &keep)
}

/// Returns the action that puts a file into the table.
pub(super) fn add(file: &WrittenFile) -> Action {
    Action::Add(Add {
        path: file.name.clone(),
        size: i64::try_from(file.size_bytes).unwrap_or(i64::MAX),
        modification_time: now_ms(),
        data_change: true,
        stats: Some(file.stats.clone()),
        ..Add::default()
    })
}
