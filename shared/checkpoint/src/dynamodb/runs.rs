//! The run records of pulls.

use async_trait::async_trait;
use snowferry_model::names::ConnectionName;
use snowferry_model::run::{Outcome, RUN_VERSION, RunRecord};
use snowferry_model::state::StreamKey;
use snowferry_model::time::UnixMillis;

use super::DynamoCheckpoint;
use super::records::{Attributes, Kind, Record, read};
use crate::form::to_json;
use crate::{CheckpointError, RunStore};

const PULLS: Kind = Kind { records: "run#", open: "open#" };

#[async_trait]
impl RunStore for DynamoCheckpoint {
    async fn record(&self, run: &RunRecord) -> Result<(), CheckpointError> {
        let record = Record {
            kind: PULLS,
            connection: &run.stream.connection,
            subject: run.stream.table.slug(),
            run_id: &run.run_id,
            started_at: run.started_at,
            is_closed: run.ended_at.is_some() && run.outcome != Outcome::Continued,
            body: to_json(&format!("run {}", run.run_id), run)?,
        };
        self.write_record(&record).await
    }

    async fn runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, CheckpointError> {
        let mut runs = Vec::new();
        for connection in self.connections_or(connection).await? {
            runs.extend(self.newest(PULLS, &connection, limit, record).await?);
        }
        runs.sort_by(|a, b| order(b).cmp(&order(a)));
        runs.truncate(limit);
        Ok(runs)
    }

    async fn unfinished(&self, key: &StreamKey) -> Result<Vec<RunRecord>, CheckpointError> {
        let mut runs = Vec::new();
        for item in self.open_runs(PULLS, &key.connection, &key.table.slug()).await? {
            let run = record(&item)?;
            if run.ended_at.is_none() {
                runs.push(run);
            }
        }
        runs.sort_by(|a, b| order(a).cmp(&order(b)));
        Ok(runs)
    }
}

fn record(item: &Attributes) -> Result<RunRecord, CheckpointError> {
    read(item, RUN_VERSION)
}

/// By start, then by run id, then by table.
fn order(run: &RunRecord) -> (UnixMillis, &str, &StreamKey) {
    (run.started_at, &run.run_id, &run.stream)
}
