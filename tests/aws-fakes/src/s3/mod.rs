//! A linearizable S3 on loopback.
//!
//! The protocol is the crate `s3s`; the store is one map behind one lock ([`store`]), so that a
//! condition holds at the moment of its write. Requests are signed with [`ACCESS_KEY`] and
//! [`SECRET_KEY`]; buckets are named by path.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::error_handling::HandleError;
use axum::http::{Response, StatusCode};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{Body, HttpError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

mod service;
pub mod store;

use service::Service;
use store::Store;

/// The access key that requests are signed with.
pub const ACCESS_KEY: &str = "AKIASNOWFERRYTEST";

/// The secret key that requests are signed with.
pub const SECRET_KEY: &str = "for-tests-only";

/// What goes wrong with the next calls of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The call has its effect and is answered with 500.
    AnswerLost,
    /// The call has no effect and is answered with 503 `SlowDown`.
    SlowDown,
    /// The call has no effect and is answered with 409, as two conditional writes that meet are.
    Conflict,
}

/// Faults that were ordered and have not struck yet.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<(String, FaultKind, u32)>>);

impl Faults {
    /// Takes the next fault of an operation, if there is one.
    fn take(&self, operation: &str) -> Option<FaultKind> {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let order = orders.iter_mut().find(|(name, _, left)| name == operation && *left > 0)?;
        order.2 -= 1;
        Some(order.1)
    }
}

/// A running S3. Ends when it is dropped.
#[derive(Debug)]
pub struct FakeS3 {
    /// Where it listens, e.g. `http://127.0.0.1:40001`.
    pub endpoint: String,
    /// What it holds.
    pub store: Arc<Store>,
    faults: Arc<Faults>,
    server: JoinHandle<()>,
}

impl FakeS3 {
    /// Starts an S3 with these buckets on a free port of this machine, or on the one given.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start(buckets: &[&str], port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let store = Arc::new(Store::with_buckets(buckets));
        let faults = Arc::new(Faults::default());
        let mut builder = S3ServiceBuilder::new(Service::new(&store, &faults));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = HandleError::new(builder.build(), broken);
        let server = tokio::spawn(async move {
            // The listener only fails with the machine; tests then see refused connections.
            let _ = axum::serve(listener, Router::new().fallback_service(service)).await;
        });
        Ok(Self { endpoint, store, faults, server })
    }

    /// Orders a fault for the next `times` calls of an operation, named as in the API.
    pub fn fault(&self, operation: &str, kind: FaultKind, times: u32) {
        let mut orders = self.faults.0.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push((operation.to_owned(), kind, times));
    }
}

impl Drop for FakeS3 {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn broken(error: HttpError) -> Response<Body> {
    let mut answer = Response::new(Body::from(format!("{error:?}")));
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
}
