//! State and run records in one SQLite file, leases as file locks beside it.
//!
//! ```text
//! {folder}/state.db       table `state`: one row for each table, table `run`: run records,
//!                         tables `push` and `push_run`: the same of pushes
//! {folder}/leases/{connection}/{table}.lock
//!                         locked while a process works on the table; holds the owner's name
//! ```
//!
//! Every write is one SQLite statement that is on disk before it is acknowledged, so a crash at
//! any point leaves the state before or after it. The state is JSON text with a version, and can
//! be looked into with any SQLite tool. **Invariant:** a file or a state that this version cannot
//! understand is reported as [`CheckpointError::Corrupt`] and left as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use snowferry_model::names::ConnectionName;
use snowferry_model::run::{RUN_VERSION, RunRecord};
use snowferry_model::state::{STATE_VERSION, StreamKey, StreamState};
use snowferry_model::time::UnixMillis;

use crate::form::{from_json, to_json};
use crate::{
    CheckpointError, CheckpointStore, LeaseOutcome, LeaseStore, Revision, RunStore, Stored,
};

mod leases;
mod pushes;
mod schema;

use leases::FileLeases;

/// How long a call waits for another process that writes at the same moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// State, leases and run records in a folder on this machine. Clones share one connection.
#[derive(Clone, Debug)]
pub struct SqliteCheckpoint {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    connection: Mutex<Connection>,
    leases: FileLeases,
}

impl SqliteCheckpoint {
    /// Opens the state of a folder and makes it if there is none.
    ///
    /// # Errors
    /// - [`CheckpointError::Corrupt`]: the file is none of ours, or of a later version.
    /// - [`CheckpointError::Store`]: the folder or file cannot be made or opened.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let folder = folder.as_ref();
        let leases = folder.join("leases");
        fs::create_dir_all(&leases).map_err(|source| CheckpointError::Store {
            step: format!("make the folder {}", leases.display()),
            source: source.into(),
        })?;
        let path = folder.join("state.db");
        let connection = open_file(&path)?;
        let leases = FileLeases::new(leases);
        Ok(Self { shared: Arc::new(Shared { path, connection: Mutex::new(connection), leases }) })
    }

    /// Returns the path of the state file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs SQL off the runtime thread. `Shared::connection` is locked for the call only.
    async fn with_connection<T: Send + 'static>(
        &self,
        step: &str,
        work: impl FnOnce(&mut Connection) -> Result<T, SqlError> + Send + 'static,
    ) -> Result<T, CheckpointError> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            // A panic in another call rolled its transaction back; the connection is sound.
            let mut connection = shared.connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection)
        });
        let step = || format!("{step} in {}", self.shared.path.display());
        match done.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(SqlError::Sqlite(source))) => Err(failure(&self.shared.path, step(), source)),
            Ok(Err(SqlError::Ours(error))) => Err(error),
            Err(source) => Err(CheckpointError::Unknown { step: step(), source: source.into() }),
        }
    }

    async fn with_leases(
        &self,
        work: impl FnOnce(&FileLeases) -> io::Result<LeaseOutcome> + Send + 'static,
        key: &StreamKey,
    ) -> Result<LeaseOutcome, CheckpointError> {
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || work(&shared.leases)).await;
        let source = match done {
            Ok(Ok(outcome)) => return Ok(outcome),
            Ok(Err(source)) => source.into(),
            Err(source) => source.into(),
        };
        Err(CheckpointError::Store { step: format!("lock the lease of {key}"), source })
    }
}

/// What can go wrong while the connection is held.
enum SqlError {
    Sqlite(rusqlite::Error),
    Ours(CheckpointError),
}

impl From<rusqlite::Error> for SqlError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<CheckpointError> for SqlError {
    fn from(error: CheckpointError) -> Self {
        Self::Ours(error)
    }
}

fn open_file(path: &Path) -> Result<Connection, CheckpointError> {
    let failed = |source| failure(path, format!("open {}", path.display()), source);
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    match schema::prepare(&mut connection).map_err(failed)? {
        schema::Found::Ours => Ok(connection),
        schema::Found::Foreign(reason) => {
            Err(CheckpointError::Corrupt { what: path.display().to_string(), reason })
        }
    }
}

/// Names the failure by what can be done about it.
fn failure(path: &Path, step: String, source: rusqlite::Error) -> CheckpointError {
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => CheckpointError::Corrupt {
            what: path.display().to_string(),
            reason: format!("it is not a sound SQLite file ({source})"),
        },
        // The disk failed in the middle of a write; the write may be found done later.
        Some(ErrorCode::SystemIoFailure) => {
            CheckpointError::Unknown { step, source: source.into() }
        }
        _ => CheckpointError::Store { step, source: source.into() },
    }
}

#[async_trait]
impl CheckpointStore for SqliteCheckpoint {
    async fn load(&self, key: &StreamKey) -> Result<Option<Stored>, CheckpointError> {
        let key = key.clone();
        self.with_connection(&format!("read the state of {key}"), move |connection| {
            let row = connection
                .prepare_cached(
                    "SELECT revision, body FROM state WHERE connection = ?1 AND table_name = ?2",
                )?
                .query_row(params![key.connection.as_str(), key.table.to_string()], |row| {
                    Ok((row.get(0)?, row.get::<_, String>(1)?))
                })
                .optional()?;
            Ok(row.map(|(revision, body)| stored(&key, revision, &body)).transpose()?)
        })
        .await
    }

    async fn store(
        &self,
        key: &StreamKey,
        expected: Option<Revision>,
        state: &StreamState,
    ) -> Result<Revision, CheckpointError> {
        let body = to_json(&format!("the state of {key}"), state)?;
        let key = key.clone();
        self.with_connection(&format!("write the state of {key}"), move |connection| {
            let (place, table) = (key.connection.as_str(), key.table.to_string());
            let (next, changed) = match expected {
                None => {
                    let sql = "INSERT INTO state (connection, table_name, revision, body)
                               VALUES (?1, ?2, 1, ?3) ON CONFLICT DO NOTHING";
                    (1, connection.execute(sql, params![place, table, body])?)
                }
                Some(Revision(expected)) => {
                    let sql = "UPDATE state SET revision = revision + 1, body = ?3
                               WHERE connection = ?1 AND table_name = ?2 AND revision = ?4";
                    // A number that SQLite cannot hold is not the stored one: -1 is in no row.
                    let held = i64::try_from(expected).unwrap_or(-1);
                    let changed = connection.execute(sql, params![place, table, body, held])?;
                    (expected.saturating_add(1), changed)
                }
            };
            if changed == 1 {
                return Ok(Revision(next));
            }
            Err(CheckpointError::Moved { key: key.to_string() }.into())
        })
        .await
    }

    async fn list(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Result<Vec<(StreamKey, Stored)>, CheckpointError> {
        let wanted = connection.map(|name| name.as_str().to_owned());
        self.with_connection("list the states", move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT connection, table_name, revision, body FROM state
                 WHERE ?1 IS NULL OR connection = ?1",
            )?;
            let mut rows = statement.query([wanted])?;
            let mut states = Vec::new();
            while let Some(row) = rows.next()? {
                let (place, table): (String, String) = (row.get(0)?, row.get(1)?);
                let key = stream_key(&place, &table)?;
                let state = stored(&key, row.get(2)?, &row.get::<_, String>(3)?)?;
                states.push((key, state));
            }
            states.sort_by(|(a, _), (b, _)| a.cmp(b));
            Ok(states)
        })
        .await
    }
}

/// A lease is a file lock: the system frees it when the process ends, however it ends. Therefore
/// `now` and `ttl_ms` do not matter here, and a lease never runs out while its owner lives.
#[async_trait]
impl LeaseStore for SqliteCheckpoint {
    async fn acquire(
        &self,
        key: &StreamKey,
        owner: &str,
        _now: UnixMillis,
        _ttl_ms: u64,
    ) -> Result<LeaseOutcome, CheckpointError> {
        let (wanted, owner) = (key.clone(), owner.to_owned());
        self.with_leases(move |leases| leases.acquire(&wanted, &owner), key).await
    }

    async fn renew(
        &self,
        key: &StreamKey,
        owner: &str,
        _now: UnixMillis,
        _ttl_ms: u64,
    ) -> Result<LeaseOutcome, CheckpointError> {
        let (wanted, owner) = (key.clone(), owner.to_owned());
        self.with_leases(move |leases| leases.renew(&wanted, &owner), key).await
    }

    async fn release(&self, key: &StreamKey, owner: &str) -> Result<(), CheckpointError> {
        self.shared.leases.release(key, owner);
        Ok(())
    }
}

#[async_trait]
impl RunStore for SqliteCheckpoint {
    async fn record(&self, run: &RunRecord) -> Result<(), CheckpointError> {
        let body = to_json(&format!("run {}", run.run_id), run)?;
        let run = run.clone();
        self.with_connection(&format!("write run {}", run.run_id), move |connection| {
            connection.execute(
                "INSERT INTO run (run_id, connection, table_name, started_at, ended_at, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (run_id, connection, table_name) DO UPDATE SET
                 started_at = excluded.started_at, ended_at = excluded.ended_at, body = excluded.body",
                params![
                    run.run_id,
                    run.stream.connection.as_str(),
                    run.stream.table.to_string(),
                    run.started_at.0,
                    run.ended_at.map(|ended| ended.0),
                    body
                ],
            )?;
            Ok(())
        })
        .await
    }

    async fn runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, CheckpointError> {
        let wanted = connection.map(|name| name.as_str().to_owned());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.with_connection("list the runs", move |connection| {
            let sql = "SELECT run_id, body FROM run WHERE ?1 IS NULL OR connection = ?1
                       ORDER BY started_at DESC, run_id DESC, connection DESC, table_name DESC
                       LIMIT ?2";
            run_records(connection, sql, params![wanted, limit])
        })
        .await
    }

    async fn unfinished(&self, key: &StreamKey) -> Result<Vec<RunRecord>, CheckpointError> {
        let key = key.clone();
        self.with_connection(&format!("list the unfinished runs of {key}"), move |connection| {
            let sql = "SELECT run_id, body FROM run
                       WHERE connection = ?1 AND table_name = ?2 AND ended_at IS NULL
                       ORDER BY started_at, run_id";
            run_records(connection, sql, params![key.connection.as_str(), key.table.to_string()])
        })
        .await
    }
}

fn run_records(
    connection: &Connection,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<RunRecord>, SqlError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        let (run_id, body): (String, String) = (row.get(0)?, row.get(1)?);
        runs.push(from_json(&format!("run {run_id}"), RUN_VERSION, &body)?);
    }
    Ok(runs)
}

fn stream_key(connection: &str, table: &str) -> Result<StreamKey, CheckpointError> {
    let unreadable = |error: snowferry_model::names::NameError| CheckpointError::Corrupt {
        what: format!("{connection}/{table}"),
        reason: error.to_string(),
    };
    Ok(StreamKey {
        connection: ConnectionName::new(connection).map_err(unreadable)?,
        table: table.parse().map_err(unreadable)?,
    })
}

/// SQLite's integers have a sign; a revision counts up from 1 and never needs it.
fn stored(key: &StreamKey, revision: i64, body: &str) -> Result<Stored, CheckpointError> {
    let revision = u64::try_from(revision).map_err(|_| CheckpointError::Corrupt {
        what: format!("the state of {key}"),
        reason: format!("its revision is {revision}"),
    })?;
    let state = from_json(&format!("the state of {key}"), STATE_VERSION, body)?;
    Ok(Stored { revision: Revision(revision), state })
}
