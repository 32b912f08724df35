//! A Delta Lake table for each pulled table, in folders.
//!
//! A table lies in `ROOT/CONNECTION/DATABASE.SCHEMA.TABLE` and is an ordinary Delta table: DuckDB,
//! Polars, Spark and delta-rs read it. Bytes of a name that are no letter, digit, `_`, `$` or `-`
//! are written `~XX` (not `%XX`: the library decodes paths once too often). The load path is our
//! own; the library's `write` and `merge` are not used, because they keep decimals above 2^53
//! wrongly and need memory by the table.
//!
//! A load takes these steps:
//! 1. open the newest version (create an empty table if there is none) and read the ledger;
//! 2. bring the staged parts into the table's folder by link or copy, each checked against its
//!    record ([`files`]);
//! 3. decide which rows lose, and write the touched files again without them ([`contest`],
//!    [`change`]);
//! 4. commit adds, removes and the ledger as the version right behind the one that was read
//!    ([`table`]). Had another commit come between, go to 1.
//!
//! Killed before the commit, it leaves orphaned files and the table as it was; killed after it,
//! the table and the ledger are at n. Readers of an old version keep their files: no load deletes
//! a file that a commit has named. [`maintain`] merges small files, and deletes orphans and files
//! of old versions after a retention.
//!
//! Gaps: touched files are written again instead of marked by deletion vectors; only local
//! folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use snowferry_model::slice::Apply;
use snowferry_model::state::{LedgerPosition, StreamKey};

use crate::columns::extended;
use crate::keys::UniqueColumns;
use crate::position::{self, Step};
use crate::{
    BatchStream, BoxError, Database, DatabaseError, LoadRequest, Loaded, StagedParts, TableSummary,
};

#[cfg(feature = "s3")]
pub mod bucket;
mod change;
mod contest;
mod files;
mod layout;
mod listing;
pub mod maintain;
mod parquet_file;
#[cfg(feature = "query")]
pub mod query;
mod scan;
mod statistics;
mod table;
mod winners;

use change::{BroughtPart, Change, Fate, Work};
use files::Destination;
use listing::Listed;
use table::{Outcome, Version};

/// How often a load starts again because another commit came between. Only commits of other
/// programs (a compaction) lead there: a load that lost against a load finds the ledger moved.
const MAX_ATTEMPTS: u32 = 10;

/// What can be chosen about the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaOptions {
    /// Memory for the keys of one load, in bytes; a larger load takes several passes.
    pub key_memory_bytes: u64,
}

impl Default for DeltaOptions {
    fn default() -> Self {
        Self { key_memory_bytes: 64 * 1024 * 1024 }
    }
}

/// Delta Lake tables below one folder.
#[derive(Clone, Debug)]
pub struct DeltaDatabase {
    root: PathBuf,
    options: DeltaOptions,
}

impl DeltaDatabase {
    /// Opens the database below a folder, which is created when the first table is.
    ///
    /// # Errors
    /// [`DatabaseError::Store`] for a path that cannot be made absolute, or that holds a percent
    /// sign, which Delta libraries would decode.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, DatabaseError> {
        Self::open_with(root, DeltaOptions::default())
    }

    /// As [`Self::open`], with options.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(root: impl AsRef<Path>, options: DeltaOptions) -> Result<Self, DatabaseError> {
        let root = std::path::absolute(root.as_ref())
            .map_err(|error| store_error("open", "the database", error))?;
        if root.as_os_str().as_encoded_bytes().contains(&b'%') {
            let reason = format!("{} holds a percent sign: name another folder", root.display());
            return Err(store_error("open", "the database", reason));
        }
        Ok(Self { root, options })
    }

    /// Returns the folder of a table, whether it is there or not.
    #[must_use]
    pub fn folder(&self, stream: &StreamKey) -> PathBuf {
        self.root.join(stream.connection.as_str()).join(folder_name(stream))
    }

    /// Lists all tables, sorted.
    ///
    /// # Errors
    /// [`DatabaseError::Store`] when the folders cannot be read.
    pub async fn streams(&self) -> Result<Vec<StreamKey>, DatabaseError> {
        let failed = |error: std::io::Error| store_error("list", "the tables", error);
        let root = self.root.clone();
        let listed = tokio::task::spawn_blocking(move || listing::list(&root));
        let listed = listed.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let mut streams = Vec::new();
        for listed in listed.map_err(failed)? {
            match listed {
                Listed::Table(stream) => streams.push(stream),
                Listed::LongName(connection, folder) => {
                    let folder = self.root.join(connection.as_str()).join(folder);
                    let version = Version::open("a table", &folder).await?;
                    let name = version.and_then(|version| version.source_name());
                    streams.extend(name.map(|table| StreamKey { connection, table }));
                }
            }
        }
        streams.sort();
        Ok(streams)
    }

    async fn version(&self, stream: &StreamKey) -> Result<Option<Version>, DatabaseError> {
        Version::open(&stream.to_string(), &self.folder(stream)).await
    }

    /// Brings all parts in; `names` holds every file that this attempt may leave behind.
    async fn bring_in(
        &self,
        request: LoadRequest<'_>,
        parts: &dyn StagedParts,
        names: &mut Vec<String>,
    ) -> Result<Vec<BroughtPart>, DatabaseError> {
        let to = Destination {
            table: request.stream.to_string(),
            folder: self.folder(request.stream),
            schema: Arc::new(request.plan.schema()),
        };
        let mut brought = Vec::new();
        for part in request.manifest.parts.iter().filter(|part| part.rows > 0) {
            let name = files::unique_name();
            names.push(name.clone());
            let file = files::bring_in(&to, name, part, parts).await?;
            brought.push(BroughtPart { file, object: part.object.clone() });
        }
        let folder = to.folder.clone();
        let synced = tokio::task::spawn_blocking(move || files::sync_folder(&folder));
        let synced = synced.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        synced.map_err(|error| store_error("write into", &to.table, error))?;
        Ok(brought)
    }

    /// Tries to commit until it is in, or certainly is not.
    async fn attempt(
        &self,
        request: LoadRequest<'_>,
        mut version: Version,
        brought: &[BroughtPart],
    ) -> Result<Loaded, DatabaseError> {
        let name = request.stream.to_string();
        for _ in 0..MAX_ATTEMPTS {
            if position::step(&name, version.ledger, request.manifest)? == Step::Already {
                return Ok(Loaded::Already);
            }
            let work = self.work(request, &version, brought)?;
            let schema = Arc::clone(&work.schema);
            let (change, written) = prepare(work).await;
            let outcome = match change {
                Ok(change) => {
                    let (figures, unused) = (change.figures, change.unused.clone());
                    let outcome = commit(request, &version, &schema, change).await?;
                    if let Outcome::Committed(at) = outcome {
                        version.sync(at).await?;
                        files::remove_orphans(version.folder, unused).await;
                        return Ok(Loaded::Now(figures));
                    }
                    outcome
                }
                Err(error) => Outcome::Failed(error),
            };
            files::remove_orphans(version.folder, written).await;
            if let Outcome::Failed(error) = outcome {
                return Err(error);
            }
            let gone = || store_error("load", &name, "the table was removed meanwhile");
            version = self.version(request.stream).await?.ok_or_else(gone)?;
        }
        Err(store_error("load", &name, "other programs keep committing to the table"))
    }

    fn work(
        &self,
        request: LoadRequest<'_>,
        version: &Version,
        brought: &[BroughtPart],
    ) -> Result<Work, DatabaseError> {
        let refused = |reason: &str| {
            let (table, reason) = (version.table.clone(), reason.to_owned());
            Err(DatabaseError::Schema { table, reason })
        };
        let incoming: SchemaRef = Arc::new(request.plan.schema());
        let fate = match request.manifest.apply {
            Apply::Replace { .. } => Fate::Go,
            Apply::Append | Apply::Upsert { .. } => Fate::Stay,
        };
        if version.ledger.is_none() && !version.files.is_empty() {
            return refused("the table holds rows that Snowferry did not load");
        }
        let schema = match fate {
            Fate::Stay if version.ledger.is_some() => {
                extended(&version.table, &version.schema, &incoming)?
            }
            _ => incoming,
        };
        let unique = request.manifest.apply.unique();
        let unique =
            unique.map(|unique| UniqueColumns::resolve(&version.table, request.plan, &unique));
        Ok(Work {
            table: version.table.clone(),
            folder: version.folder.clone(),
            schema,
            fate,
            unique: unique.transpose()?,
            brought: brought.to_vec(),
            files: version.files.clone(),
            budget_bytes: self.options.key_memory_bytes,
        })
    }
}

#[async_trait]
impl Database for DeltaDatabase {
    async fn ledger(&self, stream: &StreamKey) -> Result<Option<LedgerPosition>, DatabaseError> {
        Ok(self.version(stream).await?.and_then(|version| version.ledger))
    }

    async fn load(
        &self,
        request: LoadRequest<'_>,
        parts: &dyn StagedParts,
    ) -> Result<Loaded, DatabaseError> {
        let name = request.stream.to_string();
        let found = self.version(request.stream).await?;
        let ledger = found.as_ref().and_then(|version| version.ledger);
        if position::step(&name, ledger, request.manifest)? == Step::Already {
            return Ok(Loaded::Already);
        }
        let folder = self.folder(request.stream);
        let version = match found {
            Some(version) => version,
            None => Version::create(&name, &folder, &Arc::new(request.plan.schema())).await?,
        };
        // What is certain to be refused is refused before anything is copied.
        self.work(request, &version, &[])?;
        let mut names = Vec::new();
        let brought = self.bring_in(request, parts, &mut names).await;
        let loaded = match brought {
            Ok(brought) => self.attempt(request, version, &brought).await,
            Err(error) => Err(error),
        };
        // After `Unknown` a commit may name the files; after `Now` one does.
        if !matches!(loaded, Ok(Loaded::Now(_)) | Err(DatabaseError::Unknown { .. })) {
            files::remove_orphans(folder, names).await;
        }
        loaded
    }

    async fn summary(&self, stream: &StreamKey) -> Result<Option<TableSummary>, DatabaseError> {
        let Some(version) = self.version(stream).await? else { return Ok(None) };
        let (table, folder) = (version.table.clone(), version.folder.clone());
        let location = folder.display().to_string();
        let schema = Arc::clone(&version.schema);
        let count = tokio::task::spawn_blocking(move || {
            let (mut rows, mut size_bytes) = (0, 0);
            for file in &version.files {
                rows += file.rows(&folder)?;
                size_bytes += file.size_bytes;
            }
            Ok::<_, BoxError>((rows, version.files.len() as u64, size_bytes))
        });
        let count = count.await.unwrap_or_else(|error| Err(Box::new(error)));
        let (rows, files, size_bytes) =
            count.map_err(|error| store_error("read", &table, error))?;
        Ok(Some(TableSummary { schema, rows, files, size_bytes, location }))
    }

    async fn scan(&self, stream: &StreamKey) -> Result<BatchStream, DatabaseError> {
        let version = self
            .version(stream)
            .await?
            .ok_or_else(|| store_error("read", &stream.to_string(), "there is no such table"))?;
        Ok(scan::Reading::whole(version).stream())
    }
}

/// Returns the name of a table's folder within its connection's.
fn folder_name(stream: &StreamKey) -> String {
    listing::folder_name(&stream.table)
}

/// Prepares the change off the runtime, and returns the names of the files it wrote.
async fn prepare(work: Work) -> (Result<Change, DatabaseError>, Vec<String>) {
    let table = work.table.clone();
    let prepared = tokio::task::spawn_blocking(move || {
        let mut written = Vec::new();
        let change = work.prepare(&mut written).and_then(|change| {
            files::sync_folder(&work.folder)
                .map_err(|error| store_error("write into", &work.table, error))?;
            Ok(change)
        });
        (change, written)
    });
    let lost = |error| (Err(store_error("load", &table, error)), Vec::new());
    prepared.await.unwrap_or_else(lost)
}

async fn commit(
    request: LoadRequest<'_>,
    version: &Version,
    schema: &SchemaRef,
    change: Change,
) -> Result<Outcome, DatabaseError> {
    let operation = match request.manifest.apply {
        Apply::Append => write_operation(SaveMode::Append),
        Apply::Replace { .. } => write_operation(SaveMode::Overwrite),
        Apply::Upsert { .. } => DeltaOperation::Merge {
            predicate: None,
            merge_predicate: None,
            matched_predicates: Vec::new(),
            not_matched_predicates: Vec::new(),
            not_matched_by_source_predicates: Vec::new(),
        },
    };
    let mut actions = version.change_columns(schema)?;
    actions.extend(change.actions);
    version.commit(actions, position::wanted(request.manifest), operation).await
}

fn write_operation(mode: SaveMode) -> DeltaOperation {
    DeltaOperation::Write { mode, partition_by: None, predicate: None }
}

/// Wraps what the disk or the library said; a full disk has a variant of its own.
fn store_error(step: &'static str, table: &str, source: impl Into<BoxError>) -> DatabaseError {
    let (table, source) = (table.to_owned(), source.into());
    if is_full(source.as_ref()) {
        return DatabaseError::Full { step, table };
    }
    DatabaseError::Store { step, table, source }
}

fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && matches!(
                io.kind(),
                std::io::ErrorKind::StorageFull
                    | std::io::ErrorKind::QuotaExceeded
                    | std::io::ErrorKind::FileTooLarge
            )
        {
            return true;
        }
        // Parquet and the object store keep some causes as text only.
        if error.to_string().contains("os error 28") {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use deltalake_core::DeltaTableError;
    use parquet::errors::ParquetError;

    #[test]
    fn a_full_disk_is_seen_through_every_wrapping() {
        let full = || std::io::Error::from_raw_os_error(28);
        let wrapped: [BoxError; 4] = [
            full().into(),
            ParquetError::from(full()).into(),
            DeltaTableError::from(full()).into(),
            ParquetError::General(full().to_string()).into(),
        ];
        for error in wrapped {
            let error = store_error("write", "t", error);
            assert!(matches!(error, DatabaseError::Full { .. }), "{error:?}");
        }
        let error = store_error("write", "t", std::io::Error::from_raw_os_error(5));
        assert!(matches!(error, DatabaseError::Store { .. }), "{error:?}");
    }
}
