//! The tables of the state file and how it is told from other files.

use rusqlite::{Connection, TransactionBehavior};

/// Version of the tables, kept in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = 2;

/// The version before there were pushes; its file gets their tables when it is opened.
const WITHOUT_PUSHES: i64 = 1;

/// Marks the file as ours ("SNFY"), kept in SQLite's `application_id`.
const APPLICATION_ID: i64 = 0x534E_4659;

/// What a file turned out to be.
pub(super) enum Found {
    /// Our tables are there.
    Ours,
    /// Something else, which was not touched; with the reason.
    Foreign(String),
}

const TABLES: &str = "
CREATE TABLE state (
    connection TEXT NOT NULL,
    table_name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (connection, table_name)
) STRICT, WITHOUT ROWID;
CREATE TABLE run (
    run_id TEXT NOT NULL,
    connection TEXT NOT NULL,
    table_name TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, connection, table_name)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_newest ON run (started_at, run_id);
CREATE INDEX run_unfinished ON run (connection, table_name) WHERE ended_at IS NULL;
";

const PUSH_TABLES: &str = "
CREATE TABLE push (
    connection TEXT NOT NULL,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (connection, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE push_run (
    run_id TEXT NOT NULL,
    connection TEXT NOT NULL,
    name TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, connection, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX push_run_newest ON push_run (started_at, run_id);
CREATE INDEX push_run_unfinished ON push_run (connection, name) WHERE ended_at IS NULL;
";

/// Makes the tables in an empty file, and the settings of the connection.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<Found> {
    if let Some(reason) = foreign(connection)? {
        return Ok(Found::Foreign(reason));
    }
    // Readers do not wait for a writer; an acknowledged write survives a loss of power.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Looked at again under the lock: another process may have been first, or be newer.
    if let Some(reason) = foreign(&transaction)? {
        return Ok(Found::Foreign(reason));
    }
    let version = pragma(&transaction, "user_version")?;
    if version == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    if version < SCHEMA_VERSION {
        transaction.execute_batch(PUSH_TABLES)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    transaction.commit()?;
    Ok(Found::Ours)
}

/// Returns why the file is none that this version can use, if so.
fn foreign(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let version = pragma(connection, "user_version")?;
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if version == 0 && objects == 0 {
        return Ok(None);
    }
    if pragma(connection, "application_id")? != APPLICATION_ID {
        return Ok(Some("it is an SQLite file of another program".to_owned()));
    }
    if !(WITHOUT_PUSHES..=SCHEMA_VERSION).contains(&version) {
        return Ok(Some(format!(
            "its tables have version {version}, this program knows version {SCHEMA_VERSION}"
        )));
    }
    Ok(None)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
