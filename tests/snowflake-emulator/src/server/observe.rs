//! Counts every request by endpoint and lets planned faults strike.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::app::App;
use super::effects::strike;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Endpoint {
    /// Sign in.
    Login,
    /// Renew the session token.
    TokenRequest,
    /// Keep the session alive.
    Heartbeat,
    /// Close the session.
    Close,
    /// Submit a statement.
    Query,
    /// Read or poll a result.
    Result,
    /// Cancel a statement.
    Abort,
    /// Ask for a statement's status.
    Monitoring,
    /// Usage data of drivers.
    Telemetry,
    /// A chunk of a result.
    Chunk,
    /// A file of a stage.
    Stage,
    /// The stub token endpoint.
    OauthToken,
    /// The emulator's own interface. Faults do not reach it.
    Admin,
    /// Anything else, known or not.
    Other,
}

impl Endpoint {
    /// Tells the endpoint from a path.
    pub(crate) fn of(path: &str) -> Self {
        let mut parts = path.trim_start_matches('/').split('/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("session"), Some("v1"), Some("login-request")) => Self::Login,
            (Some("session"), Some("token-request"), None) => Self::TokenRequest,
            (Some("session"), Some("heartbeat"), None) => Self::Heartbeat,
            (Some("session"), None, None) => Self::Close,
            (Some("queries"), Some("v1"), Some("query-request")) => Self::Query,
            (Some("queries"), Some(_), Some("abort-request")) => Self::Abort,
            (Some("queries"), Some(_), Some("result")) => Self::Result,
            (Some("monitoring"), Some("queries"), Some(_)) => Self::Monitoring,
            (Some("telemetry"), ..) => Self::Telemetry,
            (Some("chunks"), Some(_), Some(_)) => Self::Chunk,
            (Some("stage"), Some(_), Some(_)) => Self::Stage,
            (Some("oauth"), Some("token"), None) => Self::OauthToken,
            (Some("admin"), ..) => Self::Admin,
            _ => Self::Other,
        }
    }
}

/// How often each endpoint was called.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls: Mutex<BTreeMap<Endpoint, u64>>,
}

impl Counters {
    /// Returns the counts so far.
    pub(crate) fn snapshot(&self) -> BTreeMap<Endpoint, u64> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, endpoint: Endpoint) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(endpoint).or_default() += 1;
    }
}

/// Wraps every request.
pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let endpoint = Endpoint::of(request.uri().path());
    app.counters.count(endpoint);
    match app.faults.strike(endpoint) {
        None => next.run(request).await,
        Some(effect) => strike(&app, effect, request, next).await,
    }
}
