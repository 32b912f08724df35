//! Wires a push: our database as its source, the customer's account as its target.

use std::collections::BTreeMap;
#[cfg(feature = "query")]
use std::sync::Arc;

use snowferry_checkpoint::PushStore;
use snowferry_model::names::ConnectionName;
use snowferry_model::push::{Delivery, PushMode, PushName, PushRunRecord, PushState};
#[cfg(feature = "query")]
use snowferry_push::{Ports, Progress};
#[cfg(feature = "query")]
use snowferry_snowflake::client::SnowflakeTarget;
use snowferry_snowflake::client::{SetupTable, push_setup};
#[cfg(feature = "query")]
use snowferry_staging::local::LocalStaging;

use crate::app::App;
#[cfg(feature = "query")]
use crate::clock::SystemClock;
use crate::config::Connection;
use crate::error::BootstrapError;

/// How many of the newest run records are searched for the last run of each push.
const STATUS_RUNS: usize = 10_000;

/// What is known of one push without asking its account.
#[derive(Debug, Default)]
pub struct PushStatus {
    /// The state; `None` before the first run.
    pub state: Option<PushState>,
    /// The newest run.
    pub last_run: Option<PushRunRecord>,
}

impl App {
    /// Returns everything that a push of the connection touches.
    ///
    /// # Errors
    /// As [`App::client`], and the error of a folder that cannot be opened.
    #[cfg(feature = "query")]
    pub fn push_ports(
        &self,
        connection: &Connection,
        progress: Arc<dyn Progress>,
    ) -> Result<Ports, BootstrapError> {
        let target = Arc::new(SnowflakeTarget::new(self.client(connection)?));
        let state = Arc::new(self.open_state()?);
        let staging = LocalStaging::open(self.home().staging())
            .map_err(|source| BootstrapError::Staging { source })?;
        Ok(Ports {
            export: Arc::new(self.export(Some(connection))?),
            target,
            staging: Arc::new(staging),
            leases: state.clone(),
            pushes: state,
            clock: Arc::new(SystemClock),
            progress,
        })
    }

    /// Lists the newest runs of pushes; none when nothing was ever kept here.
    ///
    /// # Errors
    /// [`BootstrapError::Checkpoint`].
    pub async fn push_runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<PushRunRecord>, BootstrapError> {
        if !self.home().is_used() {
            return Ok(Vec::new());
        }
        let state = self.open_state()?;
        let runs = PushStore::runs(&state, connection, limit).await;
        runs.map_err(|source| BootstrapError::Checkpoint { source })
    }

    /// Returns what is known of each push of the connection, in the order of its file.
    ///
    /// # Errors
    /// [`BootstrapError::Checkpoint`].
    pub async fn push_status(
        &self,
        connection: &Connection,
    ) -> Result<Vec<PushStatus>, BootstrapError> {
        let mut states: BTreeMap<PushName, PushState> = BTreeMap::new();
        if self.home().is_used() {
            let store = self.open_state()?;
            let listed = PushStore::list(&store, Some(&connection.name)).await;
            let listed = listed.map_err(|source| BootstrapError::Checkpoint { source })?;
            states.extend(listed.into_iter().map(|(key, stored)| (key.name, stored.state)));
        }
        let mut last_runs = BTreeMap::new();
        for run in self.push_runs(Some(&connection.name), STATUS_RUNS).await? {
            last_runs.entry(run.push.name.clone()).or_insert(run);
        }
        let status = |job: &snowferry_push::PushJob| PushStatus {
            state: states.remove(&job.push.name),
            last_run: last_runs.remove(&job.push.name),
        };
        Ok(connection.pushes.iter().map(status).collect())
    }
}

/// Returns the statements that the customer's administrator runs so that the pushes of a
/// connection may write: the ledger's schema and table, and grants on exactly the tables named.
#[must_use]
pub fn setup_statements(connection: &Connection, role: &str) -> Vec<String> {
    let mut ledgers = Vec::new();
    let mut tables = Vec::new();
    for job in &connection.pushes {
        if let Delivery::Ledger { table } = &job.delivery
            && !ledgers.contains(table)
        {
            ledgers.push(table.clone());
        }
        tables.push(SetupTable {
            table: job.target.clone(),
            rewrites: job.mode == PushMode::Rewrite,
            upserts: matches!(job.mode, PushMode::Upsert { .. }),
            creates: job.rules.create,
        });
    }
    push_setup(role, &ledgers, &tables)
}
