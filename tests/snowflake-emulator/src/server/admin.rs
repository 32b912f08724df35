//! The emulator's own interface, under a path that only its owner knows.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /state` | open sessions, counts of requests by endpoint, statements |
//! | `GET /queries` | the query history: text, id, tag, rows, status |
//! | `POST /sql` | runs the script in the body |
//! | `POST /faults` | plans a fault, see `faults::Order` |
//! | `DELETE /faults` | forgets planned faults, releases held statements |
//! | `POST /users` | adds a user with a password and up to two public keys |
//! | `POST /public-keys` | sets or clears a public key of a user |
//! | `POST /access-tokens` | makes a programmatic access token of a user |
//! | `POST /oauth-clients` | registers a client of `/oauth/token`, whose tokens speak for a user |

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::app::{App, owner_context};
use super::call::{Call, bad_request};
use super::faults::{Order, obey};
use super::identities;
use super::queries::status;

/// Returns the routes, to be nested under the secret path.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/state", get(state))
        .route("/queries", get(queries))
        .route("/sql", post(sql))
        .route("/faults", post(faults).delete(clear_faults))
        .route("/users", post(identities::users))
        .route("/public-keys", post(identities::public_keys))
        .route("/access-tokens", post(identities::access_tokens))
        .route("/oauth-clients", post(identities::oauth_clients))
}

async fn state(State(app): State<Arc<App>>) -> Json<Value> {
    let sessions: Vec<Value> = app
        .sessions
        .list()
        .iter()
        .map(|session| {
            let context = session.context();
            json!({
                "id": session.id, "user": session.user, "client": session.client,
                "role": context.role, "warehouse": context.warehouse,
                "database": context.database, "schema": context.schema,
                "parameters": context.parameters,
            })
        })
        .collect();
    let queries = app.queries.list();
    let running = queries.iter().filter(|query| query.finished().is_none()).count();
    Json(json!({
        "sessions": sessions,
        "requests": app.counters.snapshot(),
        "queries": queries.len(),
        "running": running,
        "data_version": app.runner.data_version(),
    }))
}

async fn queries(State(app): State<Arc<App>>) -> Json<Value> {
    Json(app.queries.list().iter().map(|query| status(query)).collect())
}

async fn sql(State(app): State<Arc<App>>, call: Call) -> Response {
    let Ok(script) = std::str::from_utf8(call.body()) else {
        return bad_request("the script is not UTF-8");
    };
    let mut context = owner_context();
    match app.runner.run_script(&mut context, script).await {
        Ok(statements) => Json(json!({"statements": statements})).into_response(),
        Err(error) => {
            let body =
                json!({"code": error.code, "sqlState": error.sql_state, "message": error.message});
            (StatusCode::UNPROCESSABLE_ENTITY, Json(body)).into_response()
        }
    }
}

async fn faults(State(app): State<Arc<App>>, call: Call) -> Response {
    let order: Order = match call.json() {
        Ok(order) => order,
        Err(refused) => return *refused,
    };
    if obey(&app, order) {
        return StatusCode::NO_CONTENT.into_response();
    }
    (StatusCode::NOT_FOUND, "there is no such query").into_response()
}

async fn clear_faults(State(app): State<Arc<App>>) -> StatusCode {
    app.faults.clear();
    StatusCode::NO_CONTENT
}
