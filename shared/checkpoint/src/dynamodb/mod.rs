//! A table of DynamoDB: states, leases and run records of all connections, of pulls and pushes.
//!
//! One table with the string keys `pk` and `sk`, and `expires_at` as its time to live:
//!
//! ```text
//! pk                  sk                                  what
//! connections         {connection}                        that there is such a connection
//! connection#{name}   state#{table}                       state, compare-and-set by revision
//! connection#{name}   lease#{table}                       owner, end, epoch
//! connection#{name}   run#{start}#{run id}#{table}        run record; expires
//! connection#{name}   open#{table}#{run id}               a run that may have been killed; expires
//! connection#{name}   push#{push}                         state of a push, by revision
//! connection#{name}   push-run#{start}#{run id}#{push}    run record of a push; expires
//! connection#{name}   push-open#{push}#{run id}           such a run that may have been killed
//! ```
//!
//! Nothing ever needs a scan: what belongs to one connection is one query, and `connections` names
//! them. Part lists live in staged manifests, so an item stays near one kilobyte.
//!
//! **Invariants:** each conditional write carries a name of its own. A condition that fails on an
//! item with that very name failed on our own write, whose answer was lost before a retry; a write
//! without any answer is read back. Reads are strongly consistent. Retries and timeouts are the
//! client's: there is one retry layer, and it is the SDK's.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use snowferry_model::names::ConnectionName;
use snowferry_model::state::{STATE_VERSION, StreamKey, StreamState};
use uuid::Uuid;

use crate::form::{from_json, to_json};
use crate::{CheckpointError, CheckpointStore, Revision, Stored};

mod items;
mod leases;
mod outcome;
mod pushes;
mod records;
mod runs;

use items::{Item, connection_key, number, text};
use outcome::Failure;

/// How long run records are kept unless told otherwise: a year and a quarter.
pub const RUN_RETENTION_DAYS: u32 = 455;

/// The partition that names the connections.
const CONNECTIONS: &str = "connections";

/// States, leases and run records in one table. Clones share what they know of it.
#[derive(Clone, Debug)]
pub struct DynamoCheckpoint {
    client: Client,
    table: String,
    run_retention_days: u32,
    /// Connections that are certainly named in the table.
    named: Arc<Mutex<BTreeSet<ConnectionName>>>,
}

impl DynamoCheckpoint {
    /// Takes a client, which brings credentials, timeouts and retries, and the table's name.
    /// Sends nothing.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        let named = Arc::default();
        Self { client, table: table.into(), run_retention_days: RUN_RETENTION_DAYS, named }
    }

    /// Keeps run records for another time.
    #[must_use]
    pub fn with_run_retention(self, days: u32) -> Self {
        Self { run_retention_days: days, ..self }
    }

    #[cfg(test)]
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    #[cfg(test)]
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Makes sure that the connection is named in the table.
    async fn name_connection(&self, connection: &ConnectionName) -> Result<(), CheckpointError> {
        if self.named.lock().unwrap_or_else(PoisonError::into_inner).contains(connection) {
            return Ok(());
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(CONNECTIONS))
            .item("sk", text(connection.as_str()));
        let step = || format!("name the connection {connection}");
        put.send().await.map_err(|error| Failure::of(error).certain(step()))?;
        self.named.lock().unwrap_or_else(PoisonError::into_inner).insert(connection.clone());
        Ok(())
    }

    /// Returns the connections that have ever had a state or a run, in order.
    async fn connections(&self) -> Result<Vec<ConnectionName>, CheckpointError> {
        let items = self.query(CONNECTIONS, "", "list the connections").await?;
        let mut names = Vec::with_capacity(items.len());
        for item in items {
            let item = Item::new("a connection's name", &item);
            let name = ConnectionName::new(item.text("sk")?);
            names.push(name.map_err(|error| item.corrupt(error.to_string()))?);
        }
        Ok(names)
    }

    /// Returns the one connection that is meant, or all.
    async fn connections_or(
        &self,
        one: Option<&ConnectionName>,
    ) -> Result<Vec<ConnectionName>, CheckpointError> {
        match one {
            Some(name) => Ok(vec![name.clone()]),
            None => self.connections().await,
        }
    }

    /// Reads one item with everything that was acknowledged before.
    async fn get(
        &self,
        pk: &str,
        sk: &str,
        step: &str,
    ) -> Result<Option<HashMap<String, AttributeValue>>, CheckpointError> {
        let read = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", text(pk))
            .key("sk", text(sk))
            .consistent_read(true);
        let found = read.send().await.map_err(|error| Failure::of(error).certain(step))?;
        Ok(found.item)
    }

    /// Reads all items of a partition whose sort key begins with `prefix`.
    async fn query(
        &self,
        pk: &str,
        prefix: &str,
        step: &str,
    ) -> Result<Vec<HashMap<String, AttributeValue>>, CheckpointError> {
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .expression_attribute_values(":pk", text(pk));
        query = if prefix.is_empty() {
            query.key_condition_expression("pk = :pk")
        } else {
            query
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(prefix))
        };
        let mut pages = query.into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(|error| Failure::of(error).certain(step))?);
        }
        Ok(items)
    }

    /// Puts a state by compare-and-set; `name` is kept beside it, because a sort key may be a hash.
    async fn put_state(
        &self,
        place: &Place,
        expected: Option<Revision>,
        name: (&str, String),
        body: String,
    ) -> Result<Revision, CheckpointError> {
        if expected.is_none() {
            self.name_connection(&place.connection).await?;
        }
        let writer = Uuid::new_v4().to_string();
        let next = expected.map_or(1, |revision| revision.0.saturating_add(1));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(connection_key(&place.connection)))
            .item("sk", text(&place.sk))
            .item(name.0, text(name.1))
            .item("revision", number(next))
            .item("writer", text(&writer))
            .item("body", text(body))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match expected {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(revision) => put
                .condition_expression("revision = :expected")
                .expression_attribute_values(":expected", number(revision.0)),
        };
        let Err(error) = put.send().await else { return Ok(Revision(next)) };
        let failure = Failure::of(error);
        match failure.met() {
            Some(item) if item.get("writer") == Some(&text(&writer)) => Ok(Revision(next)),
            Some(_) => Err(CheckpointError::Moved { key: place.key.clone() }),
            None => self.settle(place, &writer, failure).await,
        }
    }

    /// Finds out whether a state write without an answer has happened.
    async fn settle(
        &self,
        place: &Place,
        writer: &str,
        failure: Failure,
    ) -> Result<Revision, CheckpointError> {
        let step = format!("write the state of {}", place.key);
        if !failure.is_unknown() {
            return Err(failure.certain(step));
        }
        match self.get(&connection_key(&place.connection), &place.sk, &step).await {
            Ok(Some(item)) if item.get("writer") == Some(&text(writer)) => {
                Ok(Revision(Item::new(&step, &item).number("revision")?))
            }
            _ => Err(failure.uncertain(step)),
        }
    }
}

/// Where a state is kept, and how messages name it.
struct Place {
    connection: ConnectionName,
    sk: String,
    key: String,
}

#[async_trait]
impl CheckpointStore for DynamoCheckpoint {
    async fn load(&self, key: &StreamKey) -> Result<Option<Stored>, CheckpointError> {
        let step = format!("read the state of {key}");
        let item = self.get(&connection_key(&key.connection), &state_key(key), &step).await?;
        item.map(|item| stored(key, &item)).transpose()
    }

    async fn store(
        &self,
        key: &StreamKey,
        expected: Option<Revision>,
        state: &StreamState,
    ) -> Result<Revision, CheckpointError> {
        let body = to_json(&format!("the state of {key}"), state)?;
        let place =
            Place { connection: key.connection.clone(), sk: state_key(key), key: key.to_string() };
        self.put_state(&place, expected, ("table_name", key.table.to_string()), body).await
    }

    async fn list(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Result<Vec<(StreamKey, Stored)>, CheckpointError> {
        let mut states = Vec::new();
        for connection in self.connections_or(connection).await? {
            let pk = connection_key(&connection);
            for found in self.query(&pk, "state#", "list the states").await? {
                let what = format!("a state of {connection}");
                let item = Item::new(&what, &found);
                let table = item.text("table_name")?.parse();
                let table = table.map_err(|error: snowferry_model::names::NameError| {
                    item.corrupt(error.to_string())
                })?;
                let key = StreamKey { connection: connection.clone(), table };
                let state = stored(&key, &found)?;
                states.push((key, state));
            }
        }
        states.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(states)
    }
}

fn state_key(key: &StreamKey) -> String {
    format!("state#{}", key.table.slug())
}

fn stored(
    key: &StreamKey,
    item: &HashMap<String, AttributeValue>,
) -> Result<Stored, CheckpointError> {
    let what = format!("the state of {key}");
    let item = Item::new(&what, item);
    let revision = Revision(item.number("revision")?);
    Ok(Stored { revision, state: from_json(&what, STATE_VERSION, item.text("body")?)? })
}
