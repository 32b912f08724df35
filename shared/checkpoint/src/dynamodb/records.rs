//! Run records of pulls and pushes: one item each, in the order of their starts, which expires; and
//! one item for each run that has not ended, so that the next run finds those that were killed.
//!
//! A run that went on after a deadline comes back with its id and another start. Its open item
//! stays between the two, so that the older record gives way to the newer one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde::de::DeserializeOwned;
use snowferry_model::names::ConnectionName;
use snowferry_model::time::UnixMillis;

use super::DynamoCheckpoint;
use super::items::{Item, connection_key, number, text};
use super::outcome::Failure;
use crate::CheckpointError;
use crate::form::from_json;

const DAY_S: i64 = 86_400;

/// Records of one kind: what their sort keys begin with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Before the start of each record.
    pub(super) records: &'static str,
    /// Before what an open run works on.
    pub(super) open: &'static str,
}

/// A run record as the table keeps it.
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    pub(super) connection: &'a ConnectionName,
    /// What the run works on, short and unique within the connection.
    pub(super) subject: String,
    pub(super) run_id: &'a str,
    pub(super) started_at: UnixMillis,
    /// Whether it has an end and will not go on.
    pub(super) is_closed: bool,
    pub(super) body: String,
}

pub(super) type Attributes = HashMap<String, AttributeValue>;

impl DynamoCheckpoint {
    /// Writes a record, or replaces the one of the same run and subject.
    pub(super) async fn write_record(&self, record: &Record<'_>) -> Result<(), CheckpointError> {
        let step = format!("write run {}", record.run_id);
        self.name_connection(record.connection).await?;
        // The open item comes first when a run begins and goes last when it ends: a run that is
        // killed in between is found, never lost.
        let before = if record.is_closed {
            self.put_record(record, &step).await?;
            self.close(record, &step).await?
        } else {
            let before = self.mark_open(record, &step).await?;
            self.put_record(record, &step).await?;
            before
        };
        match before {
            Some(start) if start != record.started_at.0 => {
                self.delete(record, &record.key(start), &step).await.map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Lists the newest records of one connection, at most `limit`, each read by `read`.
    pub(super) async fn newest<T>(
        &self,
        kind: Kind,
        connection: &ConnectionName,
        limit: usize,
        read: impl Fn(&Attributes) -> Result<T, CheckpointError>,
    ) -> Result<Vec<T>, CheckpointError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(false)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", text(connection_key(connection)))
            .expression_attribute_values(":prefix", text(kind.records))
            .set_limit(i32::try_from(limit.clamp(1, 1000)).ok())
            .into_paginator()
            .items()
            .send();
        let mut runs = Vec::new();
        while runs.len() < limit {
            let Some(item) = pages.next().await else { break };
            let item = item.map_err(|error| Failure::of(error).certain("list the runs"))?;
            runs.push(read(&item)?);
        }
        Ok(runs)
    }

    /// Returns the items of the runs over one subject that have not ended.
    pub(super) async fn open_runs(
        &self,
        kind: Kind,
        connection: &ConnectionName,
        subject: &str,
    ) -> Result<Vec<Attributes>, CheckpointError> {
        let step = format!("list the unfinished runs of {connection}/{subject}");
        let prefix = format!("{}{subject}#", kind.open);
        self.query(&connection_key(connection), &prefix, &step).await
    }

    async fn put_record(&self, record: &Record<'_>, step: &str) -> Result<(), CheckpointError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(connection_key(record.connection)))
            .item("sk", text(record.key(record.started_at.0)))
            .item("run_id", text(record.run_id))
            .item("body", text(&record.body))
            .item("expires_at", number(self.expiry(record)));
        put.send().await.map_err(|error| Failure::of(error).uncertain(step))?;
        Ok(())
    }

    /// Marks a run as open and returns the start that it was open with before.
    async fn mark_open(
        &self,
        record: &Record<'_>,
        step: &str,
    ) -> Result<Option<i64>, CheckpointError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(connection_key(record.connection)))
            .item("sk", text(record.open_key()))
            .item("run_id", text(record.run_id))
            .item("started_at", number(record.started_at.0))
            .item("body", text(&record.body))
            .item("expires_at", number(self.expiry(record)))
            .return_values(ReturnValue::AllOld);
        let put = put.send().await.map_err(|error| Failure::of(error).uncertain(step))?;
        start_of(put.attributes.as_ref(), step)
    }

    /// Takes a run out of the open ones and returns the start that it was open with.
    async fn close(&self, record: &Record<'_>, step: &str) -> Result<Option<i64>, CheckpointError> {
        let before = self.delete(record, &record.open_key(), step).await?;
        start_of(before.as_ref(), step)
    }

    async fn delete(
        &self,
        record: &Record<'_>,
        sk: &str,
        step: &str,
    ) -> Result<Option<Attributes>, CheckpointError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("pk", text(connection_key(record.connection)))
            .key("sk", text(sk))
            .return_values(ReturnValue::AllOld);
        let deleted = delete.send().await.map_err(|error| Failure::of(error).uncertain(step))?;
        Ok(deleted.attributes)
    }

    /// Seconds since 1970 after which DynamoDB may delete the record.
    fn expiry(&self, record: &Record<'_>) -> i64 {
        record.started_at.0.div_euclid(1000) + DAY_S * i64::from(self.run_retention_days)
    }
}

impl Record<'_> {
    /// Keys sort as strings: the sign bit is turned, so that times before 1970 come first.
    fn key(&self, started_at: i64) -> String {
        let start = started_at.cast_unsigned() ^ (1 << 63);
        format!("{}{start:020}#{}#{}", self.kind.records, self.run_id, self.subject)
    }

    fn open_key(&self) -> String {
        format!("{}{}#{}", self.kind.open, self.subject, self.run_id)
    }
}

/// Reads the stored form of a run's record.
pub(super) fn read<T: DeserializeOwned>(
    item: &Attributes,
    version: u32,
) -> Result<T, CheckpointError> {
    let what = format!("run {}", Item::new("a run", item).text("run_id")?);
    from_json(&what, version, Item::new(&what, item).text("body")?)
}

fn start_of(item: Option<&Attributes>, step: &str) -> Result<Option<i64>, CheckpointError> {
    item.map(|item| Item::new(step, item).number("started_at")).transpose()
}
