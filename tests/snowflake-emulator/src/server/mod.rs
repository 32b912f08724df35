//! The HTTP server: every endpoint that a Snowflake driver calls, on 127.0.0.1 only.
//!
//! A request passes `observe` (counts, planned faults), then the handler of its endpoint. Handlers
//! answer in the service's envelope (`reply`); chunks and staged files answer as an object store
//! does. Statements
//! run as tasks of their own (`execute`), so a client that goes away loses nothing.
//!
//! Stopping an emulator loses all of it: sessions, data and results live as long as the process.

mod admin;
mod app;
mod array_binds;
mod call;
mod chunks;
mod effects;
mod error;
mod execute;
mod faults;
mod identities;
mod login;
mod oauth;
mod objects;
mod observe;
mod options;
mod queries;
mod reply;
mod runner;
mod sessions;
mod statements;
#[cfg(test)]
mod tests;
mod transfer;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use error::{BoxError, EmulatorError};
pub use options::{EmulatorOptions, ReadyLine, StageKind};

use app::{ACCOUNT, App, ROLE, USER, WAREHOUSE, owner_context};
use runner::Runner;

use crate::account::Grantee;
use crate::auth::{KeyPair, User};
use crate::sql::{Engine, EngineOptions};

/// How long open connections may finish when an emulator stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// A running emulator. Dropping it stops it.
#[derive(Debug)]
pub struct Emulator {
    ready: ReadyLine,
    engine: Engine,
    server: Server,
}

impl Emulator {
    /// Creates the samples, runs the scripts, and listens. When it returns, clients may connect.
    ///
    /// # Errors
    /// [`EmulatorError`]; nothing is left listening.
    pub async fn start(options: EmulatorOptions) -> Result<Self, EmulatorError> {
        let engine_options = EngineOptions {
            tpch_scale: options.tpch_scale,
            crm: options.crm,
            idle_transaction: options.idle_transaction,
        };
        let engine = Box::pin(Engine::new(engine_options))
            .await
            .map_err(|source| EmulatorError::Samples { source })?;
        for path in &options.load {
            load(&engine, path).await?;
        }
        let (server, ready) = Server::start(options, Arc::new(engine.clone())).await?;
        Ok(Self { ready, engine, server })
    }

    /// Returns what a client needs to connect.
    pub fn ready(&self) -> &ReadyLine {
        &self.ready
    }

    /// Returns the engine, to look at or change data without a client.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Stops listening, lets requests in flight finish for a moment, and removes all files.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

async fn load(engine: &Engine, path: &Path) -> Result<(), EmulatorError> {
    let script = tokio::fs::read_to_string(path)
        .await
        .map_err(|source| EmulatorError::ReadScript { path: path.to_owned(), source })?;
    let ran = Box::pin(engine.run_script(&mut owner_context(), &script)).await;
    ran.map(|_| ()).map_err(|source| EmulatorError::RunScript { path: path.to_owned(), source })
}

/// The listening half of an emulator.
#[derive(Debug)]
struct Server {
    shutdown: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Server {
    async fn start(
        options: EmulatorOptions,
        runner: Arc<dyn Runner>,
    ) -> Result<(Self, ReadyLine), EmulatorError> {
        let port = options.port;
        let listen_failed = |source| EmulatorError::Listen { port, source };
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen_failed)?;
        let address = listener.local_addr().map_err(listen_failed)?;
        let base_url = format!("http://{address}");
        let parent = options.data_folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new()
            .prefix("snowferry-emulator-")
            .tempdir_in(&parent)
            .map_err(|error| EmulatorError::Folder { folder: parent, source: error.into() })?;
        let app = App::new(options, runner, base_url, folder.path().to_owned());
        let admin_path = format!("/admin/{}", uuid::Uuid::new_v4().simple());
        let ready = first_user(&app, folder.path(), &admin_path).await?;
        let router = router(Arc::new(app), &admin_path);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let (shutdown, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let stop = async {
                // A dropped sender means the same as a sent word.
                let _ = stopped.await;
            };
            if let Err(error) = axum::serve(listener, service).with_graceful_shutdown(stop).await {
                tracing::error!(%error, "the emulator stopped listening");
            }
        });
        let server = Self { shutdown: Some(shutdown), task: Some(task), _folder: folder };
        Ok((server, ready))
    }

    async fn stop(mut self) {
        drop(self.shutdown.take());
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(FAREWELL, &mut task).await.is_err()
        {
            task.abort();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Creates the default user with a password and a key of this run.
async fn first_user(
    app: &App,
    folder: &Path,
    admin_path: &str,
) -> Result<ReadyLine, EmulatorError> {
    let pair = tokio::task::spawn_blocking(KeyPair::generate)
        .await
        .map_err(|error| EmulatorError::Key { source: error.into() })?
        .map_err(|error| EmulatorError::Key { source: error.into() })?;
    let private_key_path = folder.join("snowferry.p8");
    pair.write_private(&private_key_path).map_err(|error| EmulatorError::Folder {
        folder: folder.to_owned(),
        source: error.into(),
    })?;
    let password = uuid::Uuid::new_v4().simple().to_string();
    app.users.put(User {
        name: USER.to_owned(),
        password: Some(password.clone()),
        public_keys: [Some(pair.public().clone()), None],
        default_role: ROLE.to_owned(),
        default_warehouse: WAREHOUSE.to_owned(),
    });
    let everything = Grantee::User(USER.to_owned());
    app.runner.account().access.grant_role("ACCOUNTADMIN", everything, 0);
    Ok(ReadyLine {
        base_url: app.base_url.clone(),
        account: ACCOUNT.to_owned(),
        user: USER.to_owned(),
        password,
        private_key_path,
        role: ROLE.to_owned(),
        warehouse: WAREHOUSE.to_owned(),
        admin_url: format!("{}{admin_path}", app.base_url),
        oauth_token_url: format!("{}/oauth/token", app.base_url),
    })
}

fn router(app: Arc<App>, admin_path: &str) -> Router {
    Router::new()
        .route("/session/v1/login-request", post(login::login))
        .route("/session/authenticator-request", post(sessions::authenticator))
        .route("/session/token-request", post(sessions::renew))
        .route("/session/heartbeat", post(sessions::heartbeat))
        .route("/session", post(sessions::close))
        .route("/queries/v1/query-request", post(statements::submit))
        .route("/queries/v1/abort-request", post(queries::abort_by_request))
        .route("/queries/{query_id}/result", get(queries::result))
        .route("/queries/{query_id}/abort-request", post(queries::abort_by_id))
        .route("/monitoring/queries/{query_id}", get(queries::monitoring))
        // Connector 5 for Python asks with two slashes, and the service does not mind.
        .route("/monitoring/queries//{query_id}", get(queries::monitoring))
        .route("/telemetry/send", post(sessions::telemetry))
        .route("/telemetry/send/sessionless", post(sessions::telemetry))
        .route("/chunks/{query_id}/{index}", get(chunks::chunk))
        .route("/oauth/token", post(oauth::token))
        .route("/stage/{stage}/{*path}", get(objects::object).put(objects::object))
        .nest(admin_path, admin::routes())
        .layer(from_fn_with_state(Arc::clone(&app), observe::observe))
        .with_state(app)
}
