//! One version of one table: its ledger, its files, and the commit that is based on it.
//!
//! The ledger is the `txn` action of the app id `snowferry`; its version is
//! `generation * 2^32 + sequence`. There is one app id for each table, in every commit of ours.
//! The library accepts a version twice, so the comparison is ours, on the very snapshot that the
//! commit is based on. A commit is only ever tried as the version right after that snapshot
//! (no retries inside the library): had any other commit come between, it fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake_core::kernel::{Action, EagerSnapshot, Metadata, Remove, Transaction};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTableBuilder, DeltaTableError};
use snowferry_model::names::TableName;
use snowferry_model::state::LedgerPosition;
use url::Url;
use uuid::Uuid;

use super::layout;
use super::parquet_file::ParquetFile;
use super::store_error;
use crate::DatabaseError;

/// The app id of the ledger.
const APP_ID: &str = "snowferry";

/// The key of a commit's information that tells whose attempt it was.
const ATTEMPT_KEY: &str = "snowferryAttempt";

/// A file of a version.
#[derive(Clone, Debug)]
pub(super) struct TableFile {
    /// Its path in the table's folder.
    pub(super) path: String,
    /// Size.
    pub(super) size_bytes: u64,
    /// Rows, where its `add` action tells.
    pub(super) rows_told: Option<u64>,
    /// The `stats` text of its `add` action.
    pub(super) stats: Option<String>,
    /// The action that removes it.
    pub(super) remove: Remove,
}

impl TableFile {
    /// Returns the number of rows, from the file's footer if the log does not tell.
    pub(super) fn rows(&self, folder: &Path) -> Result<u64, crate::BoxError> {
        match self.rows_told {
            Some(rows) => Ok(rows),
            None => Ok(ParquetFile::open(&folder.join(&self.path))?.rows()),
        }
    }
}

/// A table as one version of its log shows it.
pub(super) struct Version {
    /// The table, for messages.
    pub(super) table: String,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// What has been loaded; `None` before the first load.
    pub(super) ledger: Option<LedgerPosition>,
    /// The staged schema.
    pub(super) schema: SchemaRef,
    /// The files.
    pub(super) files: Vec<TableFile>,
    log: LogStoreRef,
    snapshot: EagerSnapshot,
}

/// How an attempt to commit ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is in the log, as this version.
    Committed(u64),
    /// Certainly not in the log: another commit came between.
    Lost,
    /// Certainly not in the log, and another attempt would not be either.
    Failed(DatabaseError),
}

impl Version {
    /// Opens the newest version; `None` when there is certainly no table.
    pub(super) async fn open(table: &str, folder: &Path) -> Result<Option<Self>, DatabaseError> {
        Self::open_at(table, folder, None).await
    }

    /// Opens a version by its number, or the newest.
    pub(super) async fn open_at(
        table: &str,
        folder: &Path,
        number: Option<u64>,
    ) -> Result<Option<Self>, DatabaseError> {
        let failed = |source: DeltaTableError| store_error("open", table, source);
        let log_folder = folder.join("_delta_log");
        let exists = tokio::task::spawn_blocking(move || log_folder.try_exists());
        let exists = exists.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        if !exists.map_err(|error| store_error("open", table, error))? {
            return Ok(None);
        }
        let log = log_store(folder).map_err(failed)?;
        let snapshot = match EagerSnapshot::try_new(log.as_ref(), number).await {
            Ok(snapshot) => snapshot,
            Err(DeltaTableError::NotATable(_)) => return Ok(None),
            Err(error) => {
                let Some(table_version) = number.filter(|_| !is_trouble(&error)) else {
                    return Err(failed(error));
                };
                let (table, source) = (table.to_owned(), Box::new(error));
                return Err(DatabaseError::SnapshotGone { table, table_version, source });
            }
        };
        let refused = |reason| DatabaseError::Schema { table: table.to_owned(), reason };
        let schema = layout::staged_schema(snapshot.metadata()).map_err(refused)?;
        let version = snapshot.transaction_version(log.as_ref(), APP_ID).await.map_err(failed)?;
        let ledger = version.map(position_of).transpose().map_err(refused)?;
        let files = files_of(&snapshot).map_err(failed)?.ok_or_else(|| {
            refused("a deletion vector hides some of its rows (another program made it)".to_owned())
        })?;
        let (table, folder) = (table.to_owned(), folder.to_owned());
        Ok(Some(Self { table, folder, ledger, schema: Arc::new(schema), files, log, snapshot }))
    }

    /// Returns the number of this version.
    pub(super) fn number(&self) -> u64 {
        self.snapshot.version()
    }

    /// Returns the name of the pulled table, as it was written when the table was created.
    pub(super) fn source_name(&self) -> Option<TableName> {
        let (_, name) = self.snapshot.metadata().name()?.split_once('/')?;
        name.parse().ok()
    }

    /// Returns what tells this table from another one that took its place.
    #[cfg(feature = "query")]
    pub(super) fn table_id(&self) -> &str {
        self.snapshot.metadata().id()
    }

    /// Creates an empty table unless there is one, and opens it.
    ///
    /// Creating is not exclusive in Delta (of two creators the second replaces the first's
    /// columns), so nothing is loaded here, and the caller compares what it finds.
    pub(super) async fn create(
        table: &str,
        folder: &Path,
        schema: &SchemaRef,
    ) -> Result<Self, DatabaseError> {
        let made = folder.to_owned();
        let made =
            tokio::task::spawn_blocking(move || std::fs::create_dir_all(made.join("_delta_log")));
        let made = made.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        made.map_err(|error| store_error("create", table, error))?;
        let failed = |source: DeltaTableError| store_error("create", table, source);
        let unfit = |source: serde_json::Error| store_error("create", table, source);
        let log = log_store(folder).map_err(failed)?;
        let protocol = layout::protocol(schema).map_err(unfit)?;
        let id = Uuid::new_v4().to_string();
        let metadata = layout::metadata(&id, table, now_ms(), schema).map_err(unfit)?;
        let actions = vec![Action::Protocol(protocol.clone()), Action::Metadata(metadata.clone())];
        let location = log.root_url().clone();
        let mode = SaveMode::ErrorIfExists;
        let operation = DeltaOperation::Create { mode, location, protocol, metadata };
        let builder = CommitBuilder::from(CommitProperties::default().with_max_retries(0));
        let created = builder.with_actions(actions).build(None, log, operation).await;
        match Self::open(table, folder).await? {
            Some(version) => Ok(version),
            None => Err(created.err().map_or_else(
                || store_error("create", table, "the new table is not there"),
                failed,
            )),
        }
    }

    /// Returns the actions that give the table other columns, in the same commit as its rows.
    pub(super) fn change_columns(&self, schema: &SchemaRef) -> Result<Vec<Action>, DatabaseError> {
        if self.schema == *schema {
            return Ok(Vec::new());
        }
        let unfit = |source: serde_json::Error| store_error("load", &self.table, source);
        let before: &Metadata = self.snapshot.metadata();
        let created_ms = before.created_time().unwrap_or_else(now_ms);
        let metadata =
            layout::metadata(before.id(), &self.table, created_ms, schema).map_err(unfit)?;
        let mut actions = vec![Action::Metadata(metadata)];
        let protocol = layout::protocol(schema).map_err(unfit)?;
        // A protocol may only grow.
        if protocol.min_reader_version() > self.snapshot.protocol().min_reader_version() {
            actions.insert(0, Action::Protocol(protocol));
        }
        Ok(actions)
    }

    /// Tries to commit the actions and the new ledger position as the next version.
    ///
    /// # Errors
    /// [`DatabaseError::Unknown`] when it cannot be found out whether the commit is in the log.
    pub(super) async fn commit(
        &self,
        actions: Vec<Action>,
        ledger: LedgerPosition,
        operation: DeltaOperation,
    ) -> Result<Outcome, DatabaseError> {
        let version = version_of(ledger).ok_or_else(|| {
            store_error("load", &self.table, "the generation is beyond what the ledger can hold")
        })?;
        let attempt = Uuid::new_v4().to_string();
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_metadata([(ATTEMPT_KEY.to_owned(), attempt.as_str().into())])
            .with_application_transaction(Transaction::new_with_last_update(
                APP_ID,
                version,
                Some(now_ms()),
            ));
        let result = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(&self.snapshot), Arc::clone(&self.log), operation)
            .await;
        let error = match result {
            Ok(committed) => return Ok(Outcome::Committed(committed.version)),
            Err(error) => error,
        };
        // The commit may be in the log all the same: an answer was lost, or what comes after a
        // commit (a checkpoint) failed.
        if let Some(version) = self.find(&attempt).await? {
            tracing::debug!(table = %self.table, %error, "a commit took effect despite an error");
            return Ok(Outcome::Committed(version));
        }
        if is_lost_race(&error) {
            return Ok(Outcome::Lost);
        }
        Ok(Outcome::Failed(store_error("load", &self.table, error)))
    }

    /// Looks for an attempt in the versions after this one.
    async fn find(&self, attempt: &str) -> Result<Option<u64>, DatabaseError> {
        let mut version = self.snapshot.version() + 1;
        loop {
            let entry = self.log.read_commit_entry(version).await.map_err(|source| {
                DatabaseError::Unknown { table: self.table.clone(), source: Box::new(source) }
            })?;
            let Some(entry) = entry else { return Ok(None) };
            if entry.windows(attempt.len()).any(|window| window == attempt.as_bytes()) {
                return Ok(Some(version));
            }
            version += 1;
        }
    }

    /// Reads an entry of the log; `None` when it is not there (any more).
    pub(super) async fn log_entry(&self, number: u64) -> Result<Option<Bytes>, DatabaseError> {
        let entry = self.log.read_commit_entry(number).await;
        entry.map_err(|error| store_error("read the log of", &self.table, error))
    }

    /// Makes a committed version durable.
    pub(super) async fn sync(&self, version: u64) -> Result<(), DatabaseError> {
        let log_folder = self.folder.join("_delta_log");
        let work = tokio::task::spawn_blocking(move || {
            std::fs::File::open(log_folder.join(format!("{version:020}.json")))?.sync_all()?;
            super::files::sync_folder(&log_folder)
        });
        let synced = work.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        synced.map_err(|source| DatabaseError::Unknown {
            table: self.table.clone(),
            source: Box::new(source),
        })
    }
}

fn log_store(folder: &Path) -> Result<LogStoreRef, DeltaTableError> {
    let url = Url::from_directory_path(folder)
        .map_err(|()| DeltaTableError::InvalidTableLocation(folder.display().to_string()))?;
    DeltaTableBuilder::from_url(url)?.build_storage()
}

/// Lists the files of a version; `None` when one of them has a deletion vector.
fn files_of(snapshot: &EagerSnapshot) -> Result<Option<Vec<TableFile>>, DeltaTableError> {
    let mut files = Vec::new();
    for view in snapshot.try_log_data()?.iter() {
        if view.deletion_vector_descriptor().is_some() {
            return Ok(None);
        }
        files.push(TableFile {
            path: view.path().into_owned(),
            size_bytes: u64::try_from(view.size()).unwrap_or(0),
            rows_told: view.num_records().and_then(|rows| u64::try_from(rows).ok()),
            stats: view.stats(),
            remove: view.remove_action(true),
        });
    }
    Ok(Some(files))
}

/// Returns whether the disk failed, rather than the log having no such version.
fn is_trouble(error: &DeltaTableError) -> bool {
    matches!(error, DeltaTableError::Io { .. } | DeltaTableError::ObjectStore { .. })
}

fn is_lost_race(error: &DeltaTableError) -> bool {
    matches!(
        error,
        DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source: TransactionError::MaxCommitAttempts(_)
                    | TransactionError::VersionAlreadyExists(_)
                    | TransactionError::CommitConflict(_)
            }
    )
}

/// Returns the `txn` version of a position; `None` beyond 2^31 generations or 2^32 sequences.
fn version_of(position: LedgerPosition) -> Option<i64> {
    let generation = i64::from(i32::try_from(position.generation).ok()?);
    let sequence = i64::from(u32::try_from(position.sequence).ok()?);
    Some((generation << 32) | sequence)
}

fn position_of(version: i64) -> Result<LedgerPosition, String> {
    let version = u64::try_from(version).map_err(|_| "its ledger is negative".to_owned())?;
    Ok(LedgerPosition { generation: version >> 32, sequence: version & 0xFFFF_FFFF })
}

/// Returns the time for the log's own records; nothing is decided by it.
pub(super) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_from_its_txn_version() {
        for (generation, sequence) in [(0, 1), (1, 1), (7, 4_294_967_295), (2_147_483_647, 1)] {
            let position = LedgerPosition { generation, sequence };
            assert_eq!(position_of(version_of(position).unwrap()), Ok(position));
        }
        let beyond = LedgerPosition { generation: 1, sequence: 4_294_967_296 };
        assert_eq!(version_of(beyond), None);
    }

    #[test]
    fn a_later_generation_is_a_higher_txn_version() {
        let at = |generation, sequence| version_of(LedgerPosition { generation, sequence });
        assert!(at(1, 4_294_967_295) < at(2, 1));
    }
}
