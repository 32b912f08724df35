//! Run records: one item each, in the order of their starts, which expires; and one item for each
//! run that has not ended, so that the next run finds those that were killed.
//!
//! A run that went on after a deadline comes back with its id and another start. Its `open` item
//! stays between the two, so that the older record gives way to the newer one.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use snowferry_model::names::ConnectionName;
use snowferry_model::run::{Outcome, RUN_VERSION, RunRecord};
use snowferry_model::state::StreamKey;
use snowferry_model::time::UnixMillis;

use super::DynamoCheckpoint;
use super::items::{Item, connection_key, number, text};
use super::outcome::Failure;
use crate::form::{from_json, to_json};
use crate::{CheckpointError, RunStore};

const DAY_S: i64 = 86_400;

#[async_trait]
impl RunStore for DynamoCheckpoint {
    async fn record(&self, run: &RunRecord) -> Result<(), CheckpointError> {
        let step = format!("write run {}", run.run_id);
        let body = to_json(&format!("run {}", run.run_id), run)?;
        self.name_connection(&run.stream.connection).await?;
        let goes_on = run.outcome == Outcome::Continued;
        // The open item comes first when a run begins and goes last when it ends: a run that is
        // killed in between is found, never lost.
        let before = if run.ended_at.is_none() || goes_on {
            let before = self.mark_open(run, &body, &step).await?;
            self.put_record(run, &body, &step).await?;
            before
        } else {
            self.put_record(run, &body, &step).await?;
            self.close(run, &step).await?
        };
        match before {
            Some(start) if start != run.started_at.0 => {
                self.delete(&run.stream, &record_key(run, start), &step).await.map(|_| ())
            }
            _ => Ok(()),
        }
    }

    async fn runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, CheckpointError> {
        let connections = match connection {
            Some(name) => vec![name.clone()],
            None => self.connections().await?,
        };
        let mut runs = Vec::new();
        for connection in connections {
            runs.extend(self.newest(&connection, limit).await?);
        }
        runs.sort_by(|a, b| order(b).cmp(&order(a)));
        runs.truncate(limit);
        Ok(runs)
    }

    async fn unfinished(&self, key: &StreamKey) -> Result<Vec<RunRecord>, CheckpointError> {
        let prefix = format!("open#{}#", key.table.slug());
        let step = format!("list the unfinished runs of {key}");
        let mut runs = Vec::new();
        for item in self.query(&connection_key(&key.connection), &prefix, &step).await? {
            let run = record(&item)?;
            if run.ended_at.is_none() {
                runs.push(run);
            }
        }
        runs.sort_by(|a, b| order(a).cmp(&order(b)));
        Ok(runs)
    }
}

type Attributes = HashMap<String, AttributeValue>;

impl DynamoCheckpoint {
    async fn newest(
        &self,
        connection: &ConnectionName,
        limit: usize,
    ) -> Result<Vec<RunRecord>, CheckpointError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(connection_key(connection)))
            .expression_attribute_values(":prefix", text("run#"))
            .set_limit(i32::try_from(limit.clamp(1, 1000)).ok())
            .into_paginator()
            .items()
            .send();
        let mut runs = Vec::new();
        while runs.len() < limit {
            let Some(item) = pages.next().await else { break };
            let item = item.map_err(|error| Failure::of(error).certain("list the runs"))?;
            runs.push(record(&item)?);
        }
        Ok(runs)
    }

    async fn put_record(
        &self,
        run: &RunRecord,
        body: &str,
        step: &str,
    ) -> Result<(), CheckpointError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(connection_key(&run.stream.connection)))
            .item("sk", text(record_key(run, run.started_at.0)))
            .item("run_id", text(&run.run_id))
            .item("body", text(body))
            .item("expires_at", number(self.expiry(run)));
        put.send().await.map_err(|error| Failure::of(error).uncertain(step))?;
        Ok(())
    }

    /// Marks a run as open and returns the start that it was open with before.
    async fn mark_open(
        &self,
        run: &RunRecord,
        body: &str,
        step: &str,
    ) -> Result<Option<i64>, CheckpointError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(connection_key(&run.stream.connection)))
            .item("sk", text(open_key(run)))
            .item("run_id", text(&run.run_id))
            .item("started_at", number(run.started_at.0))
            .item("body", text(body))
            .item("expires_at", number(self.expiry(run)))
            .return_values(ReturnValue::AllOld);
        let put = put.send().await.map_err(|error| Failure::of(error).uncertain(step))?;
        start_of(put.attributes.as_ref(), step)
    }

    /// Takes a run out of the open ones and returns the start that it was open with.
    async fn close(&self, run: &RunRecord, step: &str) -> Result<Option<i64>, CheckpointError> {
        let before = self.delete(&run.stream, &open_key(run), step).await?;
        start_of(before.as_ref(), step)
    }

    async fn delete(
        &self,
        stream: &StreamKey,
        sk: &str,
        step: &str,
    ) -> Result<Option<Attributes>, CheckpointError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("pk", text(connection_key(&stream.connection)))
            .key("sk", text(sk))
            .return_values(ReturnValue::AllOld);
        let deleted = delete.send().await.map_err(|error| Failure::of(error).uncertain(step))?;
        Ok(deleted.attributes)
    }

    /// Seconds since 1970 after which DynamoDB may delete the record.
    fn expiry(&self, run: &RunRecord) -> i64 {
        run.started_at.0.div_euclid(1000) + DAY_S * i64::from(self.run_retention_days)
    }
}

fn start_of(item: Option<&Attributes>, step: &str) -> Result<Option<i64>, CheckpointError> {
    item.map(|item| Item::new(step, item).number("started_at")).transpose()
}

fn record(item: &Attributes) -> Result<RunRecord, CheckpointError> {
    let run_id = Item::new("a run", item).text("run_id")?;
    let what = format!("run {run_id}");
    from_json(&what, RUN_VERSION, Item::new(&what, item).text("body")?)
}

/// Keys sort as strings: the sign bit is turned, so that times before 1970 come first.
fn record_key(run: &RunRecord, started_at: i64) -> String {
    let start = started_at.cast_unsigned() ^ (1 << 63);
    format!("run#{start:020}#{}#{}", run.run_id, run.stream.table.slug())
}

fn open_key(run: &RunRecord) -> String {
    format!("open#{}#{}", run.stream.table.slug(), run.run_id)
}

/// By start, then by run id, then by table.
fn order(run: &RunRecord) -> (UnixMillis, &str, &StreamKey) {
    (run.started_at, &run.run_id, &run.stream)
}
