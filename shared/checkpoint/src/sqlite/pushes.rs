//! State and run records of pushes in the same file: tables `push` and `push_run`.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use snowferry_model::names::{ConnectionName, NameError};
use snowferry_model::push::{
    PUSH_RUN_VERSION, PUSH_STATE_VERSION, PushKey, PushName, PushRunRecord, PushState,
};

use super::{SqlError, SqliteCheckpoint, from_json, to_json};
use crate::{CheckpointError, PushStore, Revision, StoredPush};

#[async_trait]
impl PushStore for SqliteCheckpoint {
    async fn load(&self, key: &PushKey) -> Result<Option<StoredPush>, CheckpointError> {
        let key = key.clone();
        self.with_connection(&format!("read the state of push {key}"), move |connection| {
            let row = connection
                .prepare_cached(
                    "SELECT revision, body FROM push WHERE connection = ?1 AND name = ?2",
                )?
                .query_row(params![key.connection.as_str(), key.name.as_str()], |row| {
                    Ok((row.get(0)?, row.get::<_, String>(1)?))
                })
                .optional()?;
            Ok(row.map(|(revision, body)| stored(&key, revision, &body)).transpose()?)
        })
        .await
    }

    async fn store(
        &self,
        key: &PushKey,
        expected: Option<Revision>,
        state: &PushState,
    ) -> Result<Revision, CheckpointError> {
        let body = to_json(&format!("the state of push {key}"), state)?;
        let key = key.clone();
        self.with_connection(&format!("write the state of push {key}"), move |connection| {
            let (place, name) = (key.connection.as_str(), key.name.as_str());
            let (next, changed) = match expected {
                None => {
                    let sql = "INSERT INTO push (connection, name, revision, body)
                               VALUES (?1, ?2, 1, ?3) ON CONFLICT DO NOTHING";
                    (1, connection.execute(sql, params![place, name, body])?)
                }
                Some(Revision(expected)) => {
                    let sql = "UPDATE push SET revision = revision + 1, body = ?3
                               WHERE connection = ?1 AND name = ?2 AND revision = ?4";
                    // A number that SQLite cannot hold is not the stored one: -1 is in no row.
                    let held = i64::try_from(expected).unwrap_or(-1);
                    let changed = connection.execute(sql, params![place, name, body, held])?;
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
    ) -> Result<Vec<(PushKey, StoredPush)>, CheckpointError> {
        let wanted = connection.map(|name| name.as_str().to_owned());
        self.with_connection("list the states of pushes", move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT connection, name, revision, body FROM push
                 WHERE ?1 IS NULL OR connection = ?1",
            )?;
            let mut rows = statement.query([wanted])?;
            let mut states = Vec::new();
            while let Some(row) = rows.next()? {
                let (place, name): (String, String) = (row.get(0)?, row.get(1)?);
                let key = push_key(&place, &name)?;
                let state = stored(&key, row.get(2)?, &row.get::<_, String>(3)?)?;
                states.push((key, state));
            }
            states.sort_by(|(a, _), (b, _)| a.cmp(b));
            Ok(states)
        })
        .await
    }

    async fn record(&self, run: &PushRunRecord) -> Result<(), CheckpointError> {
        let body = to_json(&format!("run {}", run.run_id), run)?;
        let run = run.clone();
        self.with_connection(&format!("write run {}", run.run_id), move |connection| {
            connection.execute(
                "INSERT INTO push_run (run_id, connection, name, started_at, ended_at, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (run_id, connection, name) DO UPDATE SET
                 started_at = excluded.started_at, ended_at = excluded.ended_at, body = excluded.body",
                params![
                    run.run_id,
                    run.push.connection.as_str(),
                    run.push.name.as_str(),
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
    ) -> Result<Vec<PushRunRecord>, CheckpointError> {
        let wanted = connection.map(|name| name.as_str().to_owned());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.with_connection("list the runs of pushes", move |connection| {
            let sql = "SELECT run_id, body FROM push_run WHERE ?1 IS NULL OR connection = ?1
                       ORDER BY started_at DESC, run_id DESC, connection DESC, name DESC
                       LIMIT ?2";
            run_records(connection, sql, params![wanted, limit])
        })
        .await
    }

    async fn unfinished(&self, key: &PushKey) -> Result<Vec<PushRunRecord>, CheckpointError> {
        let key = key.clone();
        self.with_connection(&format!("list the unfinished runs of {key}"), move |connection| {
            let sql = "SELECT run_id, body FROM push_run
                       WHERE connection = ?1 AND name = ?2 AND ended_at IS NULL
                       ORDER BY started_at, run_id";
            run_records(connection, sql, params![key.connection.as_str(), key.name.as_str()])
        })
        .await
    }
}

fn run_records(
    connection: &Connection,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<Vec<PushRunRecord>, SqlError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        let (run_id, body): (String, String) = (row.get(0)?, row.get(1)?);
        runs.push(from_json(&format!("run {run_id}"), PUSH_RUN_VERSION, &body)?);
    }
    Ok(runs)
}

fn push_key(connection: &str, name: &str) -> Result<PushKey, CheckpointError> {
    let unreadable = |error: NameError| CheckpointError::Corrupt {
        what: format!("{connection}/{name}"),
        reason: error.to_string(),
    };
    Ok(PushKey {
        connection: ConnectionName::new(connection).map_err(unreadable)?,
        name: PushName::new(name).map_err(unreadable)?,
    })
}

/// SQLite's integers have a sign; a revision counts up from 1 and never needs it.
fn stored(key: &PushKey, revision: i64, body: &str) -> Result<StoredPush, CheckpointError> {
    let revision = u64::try_from(revision).map_err(|_| CheckpointError::Corrupt {
        what: format!("the state of push {key}"),
        reason: format!("its revision is {revision}"),
    })?;
    let state = from_json(&format!("the state of push {key}"), PUSH_STATE_VERSION, body)?;
    Ok(StoredPush { revision: Revision(revision), state })
}
