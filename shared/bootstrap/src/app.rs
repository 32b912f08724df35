//! Wires a connection: its settings become the client, the folders become the stores.
//!
//! Nothing is opened before it is needed: `status` reads the state without an account, and an
//! account is signed in to by the first statement. Secrets are read when the client is made, held
//! in its own secret type, and never in a setting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use snowferry_checkpoint::sqlite::SqliteCheckpoint;
use snowferry_checkpoint::{CheckpointStore, RunStore};
use snowferry_database::delta::DeltaDatabase;
use snowferry_database::delta::maintain::{Maintained, MaintenancePolicy};
#[cfg(feature = "query")]
use snowferry_database::delta::query::{DeltaExport, QueryOptions};
#[cfg(feature = "query")]
use snowferry_database::{BatchStream, Description, Export};
use snowferry_database::{Database, DatabaseError, TableSummary};
#[cfg(feature = "query")]
use snowferry_model::export::ExportQuery;
use snowferry_model::fault::chain;
use snowferry_model::names::{ConnectionName, TableName};
use snowferry_model::run::RunRecord;
use snowferry_model::state::{StreamKey, StreamState};
use snowferry_model::time::Clock;
use snowferry_pull::{Ports, Progress};
use snowferry_snowflake::client::SnowflakeClient;
use snowferry_staging::local::LocalStaging;

use crate::account;
use crate::clock::SystemClock;
use crate::config::{self, Connection};
use crate::error::BootstrapError;
use crate::home::Home;
use crate::secrets::LocalSecrets;

/// How many of the newest run records are searched for the last run of each table.
const STATUS_RUNS: usize = 10_000;

/// One process's view of the data folder, and of the accounts it has signed in to.
#[derive(Debug)]
pub struct App {
    home: Home,
    clients: Mutex<BTreeMap<ConnectionName, Arc<SnowflakeClient>>>,
}

/// When tables are maintained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At once.
    Now,
    /// Those that are due, after a load.
    IfDue,
}

/// What is known of one table without asking its account.
#[derive(Debug, Default)]
pub struct TableStatus {
    /// The state; `None` before the first run.
    pub state: Option<StreamState>,
    /// The table in our database; `None` before the first load.
    pub summary: Option<TableSummary>,
    /// The newest run.
    pub last_run: Option<RunRecord>,
    /// Why something of this could not be read.
    pub trouble: Option<String>,
}

impl App {
    /// Takes the data folder. Touches nothing.
    #[must_use]
    pub fn new(home: Home) -> Self {
        Self { home, clients: Mutex::default() }
    }

    /// Returns the data folder.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Reads the file of a connection.
    ///
    /// # Errors
    /// As [`config::load`].
    pub fn connection(&self, name: &str) -> Result<Connection, BootstrapError> {
        config::load(self.home.connections(), name)
    }

    /// Returns the client of a connection. It signs in with its first statement.
    ///
    /// # Errors
    /// [`BootstrapError::Secret`] or [`BootstrapError::Snowflake`] for settings that cannot be
    /// used.
    pub fn client(&self, connection: &Connection) -> Result<Arc<SnowflakeClient>, BootstrapError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&connection.name) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(account::client(connection, &LocalSecrets)?);
        clients.insert(connection.name.clone(), Arc::clone(&client));
        Ok(client)
    }

    /// Returns everything that a pull of the connection touches.
    ///
    /// # Errors
    /// As [`App::client`], and the error of a folder that cannot be opened.
    pub fn ports(
        &self,
        connection: &Connection,
        progress: Arc<dyn Progress>,
    ) -> Result<Ports, BootstrapError> {
        let source = self.client(connection)?;
        let checkpoint = Arc::new(self.open_state()?);
        let staging = LocalStaging::open(self.home.staging())
            .map_err(|source| BootstrapError::Staging { source })?;
        Ok(Ports {
            source,
            staging: Arc::new(staging),
            leases: checkpoint.clone(),
            runs: checkpoint.clone(),
            checkpoint,
            database: Arc::new(self.database(connection)?),
            clock: Arc::new(SystemClock),
            progress,
        })
    }

    /// Returns our database as the connection names it.
    ///
    /// # Errors
    /// [`BootstrapError::Database`].
    pub fn database(&self, connection: &Connection) -> Result<DeltaDatabase, BootstrapError> {
        let folder = connection.tables_folder.clone().unwrap_or_else(|| self.home.tables());
        DeltaDatabase::open(folder).map_err(|source| BootstrapError::Database { source })
    }

    /// Returns queries over our database as the connection names it, or over the data folder's.
    ///
    /// # Errors
    /// [`BootstrapError::Database`].
    #[cfg(feature = "query")]
    pub fn export(&self, connection: Option<&Connection>) -> Result<DeltaExport, BootstrapError> {
        let folder = connection.and_then(|connection| connection.tables_folder.clone());
        let database = DeltaDatabase::open(folder.unwrap_or_else(|| self.home.tables()))
            .map_err(|source| BootstrapError::Database { source })?;
        Ok(DeltaExport::new(database, QueryOptions::default()))
    }

    /// Asks our database, and returns the columns of the answer with its rows.
    ///
    /// # Errors
    /// [`BootstrapError::Query`] with what is wrong with it.
    #[cfg(feature = "query")]
    pub async fn query(
        &self,
        connection: Option<&Connection>,
        query: &ExportQuery,
    ) -> Result<(Description, BatchStream), BootstrapError> {
        let export = self.export(connection)?;
        let failed = |source| BootstrapError::Query { source };
        let description = export.describe(query).await.map_err(failed)?;
        let rows = export.open(&description.snapshot).await.map_err(failed)?;
        Ok((description, rows))
    }

    /// Maintains some tables of a connection: small files are merged, and files that nobody can
    /// need any more are deleted. One table's failure does not keep the others from it.
    ///
    /// # Errors
    /// [`BootstrapError::Database`] when the folder of the tables cannot be used.
    pub async fn maintain(
        &self,
        connection: &Connection,
        tables: impl IntoIterator<Item = &TableName>,
        policy: &MaintenancePolicy,
        when: When,
    ) -> Result<Vec<(TableName, Result<Maintained, DatabaseError>)>, BootstrapError> {
        let database = self.database(connection)?;
        let mut all = Vec::new();
        for table in tables {
            let stream = StreamKey { connection: connection.name.clone(), table: table.clone() };
            let due = match when {
                When::Now => Ok(true),
                When::IfDue => database.is_maintenance_due(&stream).await,
            };
            let done = match due {
                Ok(true) => database.maintain(&stream, policy, SystemClock.now()).await,
                Ok(false) => Ok(Maintained::default()),
                Err(error) => Err(error),
            };
            all.push((table.clone(), done));
        }
        Ok(all)
    }

    /// Lists the newest runs; none when nothing was ever kept here.
    ///
    /// # Errors
    /// [`BootstrapError::Checkpoint`].
    pub async fn runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, BootstrapError> {
        if !self.home.is_used() {
            return Ok(Vec::new());
        }
        let state = self.open_state()?;
        state.runs(connection, limit).await.map_err(|source| BootstrapError::Checkpoint { source })
    }

    /// Returns what is known of each table of the connection, in the order of its file.
    ///
    /// # Errors
    /// [`BootstrapError::Checkpoint`]. A table that cannot be read has its `trouble` told.
    pub async fn status(
        &self,
        connection: &Connection,
    ) -> Result<Vec<TableStatus>, BootstrapError> {
        let mut states = self.states(&connection.name).await?;
        let mut last_runs = BTreeMap::new();
        for run in self.runs(Some(&connection.name), STATUS_RUNS).await? {
            last_runs.entry(run.stream.table.clone()).or_insert(run);
        }
        let database = self.database(connection)?;
        let mut statuses = Vec::with_capacity(connection.tables.len());
        for job in &connection.tables {
            let stream =
                StreamKey { connection: connection.name.clone(), table: job.table.clone() };
            let (summary, trouble) = match database.summary(&stream).await {
                Ok(summary) => (summary, None),
                Err(error) => (None, Some(chain(&error))),
            };
            statuses.push(TableStatus {
                state: states.remove(&job.table),
                summary,
                last_run: last_runs.remove(&job.table),
                trouble,
            });
        }
        Ok(statuses)
    }

    /// Closes the sessions that were opened. A session that cannot be closed ends by itself.
    pub async fn sign_out(&self) {
        let clients = {
            let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *clients)
        };
        for client in clients.into_values() {
            client.close().await;
        }
    }

    async fn states(
        &self,
        connection: &ConnectionName,
    ) -> Result<BTreeMap<TableName, StreamState>, BootstrapError> {
        if !self.home.is_used() {
            return Ok(BTreeMap::new());
        }
        let state = self.open_state()?;
        let listed = state
            .list(Some(connection))
            .await
            .map_err(|source| BootstrapError::Checkpoint { source })?;
        Ok(listed.into_iter().map(|(key, stored)| (key.table, stored.state)).collect())
    }

    pub(crate) fn open_state(&self) -> Result<SqliteCheckpoint, BootstrapError> {
        SqliteCheckpoint::open(self.home.state())
            .map_err(|source| BootstrapError::Checkpoint { source })
    }
}
