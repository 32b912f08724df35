//! What runs in AWS: functions that take an event, and everything they touch.
//!
//! A function's `main.rs` makes a [`Cloud`] once per cold start and hands each invocation to
//! [`pull::handle`], `push::handle` or [`check::handle`]. An event selects work and carries no
//! state: a schedule, the queue and a person's test event take the same path.
//!
//! - [`settings`]: names of bucket, table, queue from the environment; never a secret.
//! - [`event`]: the selection, by itself or in messages of a queue.
//! - [`documents`]: stored connections, in the table.
//! - [`secrets`]: Secrets Manager, with a cache of minutes.
//! - [`pull`]: one invocation: tables until the deadline, then the rest is handed on.
//! - `push` (feature `query`): one invocation of a push, likewise.
//! - [`invocation`]: what both do the same: deadline, messages, sign-in.
//! - [`queue`]: the FIFO queue: one message group for each connection.
//! - [`operator`]: connections stored, paused, resumed, closed, from an operator's machine.
//! - [`stack`]: what an operator is told of a deployed stack.
//! - [`check`]: every prerequisite of a connection, seen from the fixed addresses.
//! - [`metrics`]: one line for each table and run, which CloudWatch reads as metrics.
//! - [`failure`]: errors of AWS as ours, and a typed diagnostic with our stable code.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use snowferry_checkpoint::dynamodb::DynamoCheckpoint;
use snowferry_database::Database;
#[cfg(feature = "query")]
use snowferry_database::Export;
use snowferry_database::delta::DeltaDatabase;
use snowferry_database::delta::bucket::{self, BucketDelta};
#[cfg(feature = "query")]
use snowferry_database::delta::query::{DeltaExport, QueryOptions};
use snowferry_model::names::ConnectionName;
use snowferry_pull::{Ports, Silent};
#[cfg(feature = "query")]
use snowferry_push::Ports as PushPorts;
use snowferry_snowflake::client::SnowflakeClient;
#[cfg(feature = "query")]
use snowferry_snowflake::client::SnowflakeTarget;
use snowferry_staging::s3::S3Staging;

use crate::account;
use crate::clock::SystemClock;
use crate::config::Connection;
use crate::error::BootstrapError;
use crate::trace::{self, LOG_VARIABLE, LogForm};

pub mod check;
pub mod documents;
pub mod event;
pub mod failure;
pub mod invocation;
pub mod metrics;
pub mod operator;
pub mod pull;
#[cfg(feature = "query")]
pub mod push;
pub mod queue;
mod schedules;
pub mod secrets;
pub mod settings;
pub mod stack;
mod vault;

#[cfg(test)]
mod tests;

use documents::Documents;
use queue::Queue;
use secrets::CloudSecrets;
use settings::{Lake, Settings};

/// Below this prefix of the bucket, staged objects are kept.
const STAGING_PREFIX: &str = "staging";

/// Which share of a function's memory a query may use: one in four. Parts, files and the rest of
/// the program need theirs.
#[cfg(feature = "query")]
const QUERY_MEMORY_SHARE: u64 = 4;

/// How long one attempt of a call to AWS may take, and one call with all its attempts.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
const CALL_TIMEOUT: Duration = Duration::from_secs(90);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a call to AWS is tried, with growing pauses. The one retry layer there is.
const ATTEMPTS: u32 = 4;

/// Sends logs as lines of JSON to standard error, filtered by `SNOWFERRY_LOG` (`info` unless set).
///
/// # Errors
/// [`BootstrapError::Setting`] for a filter that cannot be understood.
pub fn start_logs() -> Result<(), BootstrapError> {
    let filter = std::env::var(LOG_VARIABLE).unwrap_or_else(|_| "info".to_owned());
    trace::start(&filter, LogForm::Json)
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(ATTEMPTS)
}

/// Everything of a process that outlives an invocation.
#[derive(Debug)]
pub struct Cloud {
    settings: Settings,
    s3: aws_sdk_s3::Client,
    staging: S3Staging,
    checkpoint: DynamoCheckpoint,
    documents: Documents,
    secrets: CloudSecrets,
    queue: Option<Queue>,
}

impl Cloud {
    /// Takes settings and credentials from the environment, as Lambda gives them. Sends nothing.
    ///
    /// # Errors
    /// [`BootstrapError::Setting`] for a variable that is missing or wrong.
    pub async fn from_env() -> Result<Self, BootstrapError> {
        let settings = Settings::from_env(|name| std::env::var(name).ok())?;
        // In Lambda the disk is this process's alone, and outlives one that was killed.
        if std::env::var_os("AWS_EXECUTION_ENV").is_some() {
            bucket::remove_leftovers();
        }
        let config = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts())
            .retry_config(retries())
            .load()
            .await;
        // A named endpoint is a fake or an appliance; their buckets have no host names.
        let by_path = settings.own_s3_endpoint;
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(by_path).build();
        let s3 = aws_sdk_s3::Client::from_conf(s3);
        let dynamodb = aws_sdk_dynamodb::Client::new(&config);
        let secrets = aws_sdk_secretsmanager::Client::new(&config);
        let queue = settings.queue_url.clone();
        let queue = queue.map(|url| Queue::new(aws_sdk_sqs::Client::new(&config), url));
        Ok(Self {
            staging: S3Staging::new(s3.clone(), &settings.bucket, STAGING_PREFIX),
            s3,
            checkpoint: DynamoCheckpoint::new(dynamodb.clone(), &settings.table),
            documents: Documents::new(dynamodb, &settings.table),
            secrets: CloudSecrets::new(secrets, &settings.secrets_prefix),
            queue,
            settings,
        })
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Makes the client of a connection with the secrets as they are now.
    fn client(&self, connection: &Connection) -> Result<Arc<SnowflakeClient>, BootstrapError> {
        Ok(Arc::new(account::client(connection, &self.secrets)?))
    }

    fn database(&self) -> Result<Arc<dyn Database>, BootstrapError> {
        match &self.settings.lake {
            Lake::Bucket { bucket, prefix } => {
                Ok(Arc::new(BucketDelta::new(self.s3.clone(), bucket, prefix)))
            }
            Lake::Folder(path) => Ok(Arc::new(folder(path)?)),
        }
    }

    fn ports(&self, client: Arc<SnowflakeClient>) -> Result<Ports, BootstrapError> {
        let checkpoint = Arc::new(self.checkpoint.clone());
        Ok(Ports {
            source: client,
            staging: Arc::new(self.staging.clone()),
            leases: checkpoint.clone(),
            runs: checkpoint.clone(),
            checkpoint,
            database: self.database()?,
            clock: Arc::new(SystemClock),
            progress: Arc::new(Silent),
        })
    }

    /// Returns queries over our database, within a share of the function's memory.
    #[cfg(feature = "query")]
    fn export(&self) -> Result<Arc<dyn Export>, BootstrapError> {
        let mut options = QueryOptions::default();
        if let Some(mib) = self.settings.memory_mib {
            options.memory_bytes = (mib << 20) / QUERY_MEMORY_SHARE;
        }
        Ok(Arc::new(match &self.settings.lake {
            Lake::Bucket { bucket, prefix } => {
                DeltaExport::of_bucket(BucketDelta::new(self.s3.clone(), bucket, prefix), options)
            }
            Lake::Folder(path) => DeltaExport::new(folder(path)?, options),
        }))
    }

    #[cfg(feature = "query")]
    fn push_ports(&self, client: Arc<SnowflakeClient>) -> Result<PushPorts, BootstrapError> {
        let checkpoint = Arc::new(self.checkpoint.clone());
        Ok(PushPorts {
            export: self.export()?,
            target: Arc::new(SnowflakeTarget::new(client)),
            staging: Arc::new(self.staging.clone()),
            leases: checkpoint.clone(),
            pushes: checkpoint,
            clock: Arc::new(SystemClock),
            progress: Arc::new(snowferry_push::Silent),
        })
    }

    /// Reads a stored connection.
    async fn connection(&self, name: &ConnectionName) -> Result<Connection, BootstrapError> {
        self.documents.connection(name).await
    }
}

/// Opens our database in a folder of the machine.
fn folder(path: &Path) -> Result<DeltaDatabase, BootstrapError> {
    DeltaDatabase::open(path).map_err(|source| BootstrapError::Database { source })
}
