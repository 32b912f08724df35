//! Token renewal, heartbeat and close.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::{App, now};
use super::call::{Call, bad_request};
use super::reply;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RenewRequest {
    old_session_token: String,
    request_type: String,
}

/// `POST /session/token-request`: new tokens for the master token and the old session token.
pub(crate) async fn renew(State(app): State<Arc<App>>, call: Call) -> Response {
    let request: RenewRequest = match call.json() {
        Ok(request) => request,
        Err(_) => return reply::failure("390400", "Bad request.", &Value::Null),
    };
    if request.request_type != "RENEW" {
        let message = format!("Request type {} is not offered.", request.request_type);
        return reply::failure("390400", &message, &Value::Null);
    }
    match app.sessions.renew(call.token(), &request.old_session_token, now()) {
        Err(refusal) => reply::failure(refusal.code(), refusal.message(), &Value::Null),
        Ok((session_id, tokens)) => {
            let lifetimes = app.sessions.lifetimes();
            reply::success(&json!({
                "sessionToken": tokens.session,
                "validityInSecondsST": lifetimes.session.as_secs(),
                "masterToken": tokens.master,
                "validityInSecondsMT": lifetimes.master.as_secs(),
                "sessionId": session_id,
            }))
        }
    }
}

/// `POST /session/heartbeat`.
pub(crate) async fn heartbeat(State(app): State<Arc<App>>, call: Call) -> Response {
    match call.session(&app) {
        Ok(_) => reply::success(&Value::Null),
        Err(refused) => *refused,
    }
}

/// `POST /session?delete=true`: ends the session and what it still waits for.
pub(crate) async fn close(State(app): State<Arc<App>>, call: Call) -> Response {
    if call.parameter("delete") != Some("true") {
        return bad_request("only delete=true is offered here");
    }
    let session = match call.session(&app) {
        Ok(session) => session,
        Err(refused) => return *refused,
    };
    app.sessions.close(session.id);
    app.queries.cancel_of_session(session.id);
    app.runner.end_session(session.id);
    reply::success(&Value::Null)
}

/// Usage data of stock drivers: taken and dropped.
pub(crate) async fn telemetry(_call: Call) -> Response {
    reply::success(&json!("Log Received"))
}

/// Browser and SSO sign-in, which needs an identity provider.
pub(crate) async fn authenticator(_call: Call) -> Response {
    let message = "Federated sign-in is not offered by this emulator.";
    reply::failure("390190", message, &Value::Null)
}
