//! States and run records of pushes, beside those of pulls and by the same rules.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use snowferry_model::names::ConnectionName;
use snowferry_model::push::{
    PUSH_RUN_VERSION, PUSH_STATE_VERSION, PushKey, PushName, PushOutcome, PushRunRecord, PushState,
};
use snowferry_model::time::UnixMillis;

use super::items::{Item, connection_key};
use super::records::{Attributes, Kind, Record, read};
use super::{DynamoCheckpoint, Place};
use crate::form::{from_json, to_json};
use crate::{CheckpointError, PushStore, Revision, StoredPush};

const PUSHES: Kind = Kind { records: "push-run#", open: "push-open#" };

/// What the sort keys of states begin with.
const STATES: &str = "push#";

#[async_trait]
impl PushStore for DynamoCheckpoint {
    async fn load(&self, key: &PushKey) -> Result<Option<StoredPush>, CheckpointError> {
        let step = format!("read the state of push {key}");
        let item = self.get(&connection_key(&key.connection), &state_key(key), &step).await?;
        item.map(|item| stored(key, &item)).transpose()
    }

    async fn store(
        &self,
        key: &PushKey,
        expected: Option<Revision>,
        state: &PushState,
    ) -> Result<Revision, CheckpointError> {
        let body = to_json(&format!("the state of push {key}"), state)?;
        let place =
            Place { connection: key.connection.clone(), sk: state_key(key), key: key.to_string() };
        self.put_state(&place, expected, ("push_name", key.name.to_string()), body).await
    }

    async fn list(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Result<Vec<(PushKey, StoredPush)>, CheckpointError> {
        let mut states = Vec::new();
        for connection in self.connections_or(connection).await? {
            let pk = connection_key(&connection);
            for found in self.query(&pk, STATES, "list the states of pushes").await? {
                let what = format!("a push of {connection}");
                let item = Item::new(&what, &found);
                let name = PushName::new(item.text("push_name")?);
                let name = name.map_err(|error| item.corrupt(error.to_string()))?;
                let key = PushKey { connection: connection.clone(), name };
                let state = stored(&key, &found)?;
                states.push((key, state));
            }
        }
        states.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(states)
    }

    async fn record(&self, run: &PushRunRecord) -> Result<(), CheckpointError> {
        let record = Record {
            kind: PUSHES,
            connection: &run.push.connection,
            subject: run.push.name.to_string(),
            run_id: &run.run_id,
            started_at: run.started_at,
            is_closed: run.ended_at.is_some() && run.outcome != PushOutcome::Continued,
            body: to_json(&format!("run {}", run.run_id), run)?,
        };
        self.write_record(&record).await
    }

    async fn runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<PushRunRecord>, CheckpointError> {
        let mut runs = Vec::new();
        for connection in self.connections_or(connection).await? {
            runs.extend(self.newest(PUSHES, &connection, limit, record).await?);
        }
        runs.sort_by(|a, b| order(b).cmp(&order(a)));
        runs.truncate(limit);
        Ok(runs)
    }

    async fn unfinished(&self, key: &PushKey) -> Result<Vec<PushRunRecord>, CheckpointError> {
        let mut runs = Vec::new();
        for item in self.open_runs(PUSHES, &key.connection, key.name.as_str()).await? {
            let run = record(&item)?;
            if run.ended_at.is_none() {
                runs.push(run);
            }
        }
        runs.sort_by(|a, b| order(a).cmp(&order(b)));
        Ok(runs)
    }
}

fn state_key(key: &PushKey) -> String {
    format!("{STATES}{}", key.name)
}

fn stored(
    key: &PushKey,
    item: &HashMap<String, AttributeValue>,
) -> Result<StoredPush, CheckpointError> {
    let what = format!("the state of push {key}");
    let item = Item::new(&what, item);
    let revision = Revision(item.number("revision")?);
    Ok(StoredPush { revision, state: from_json(&what, PUSH_STATE_VERSION, item.text("body")?)? })
}

fn record(item: &Attributes) -> Result<PushRunRecord, CheckpointError> {
    read(item, PUSH_RUN_VERSION)
}

/// By start, then by run id, then by push.
fn order(run: &PushRunRecord) -> (UnixMillis, &str, &PushKey) {
    (run.started_at, &run.run_id, &run.push)
}
