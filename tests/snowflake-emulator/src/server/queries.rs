//! Results by query id, cancellation, and status.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::app::App;
use super::call::Call;
use super::reply;
use super::statements::{AsyncAnswer, answer, find_query};
use crate::results::queries::Query;

/// The code of a cancelled statement.
const CANCELLED: &str = "000604";

/// `GET /queries/{id}/result`: the result with fresh links, or "not finished yet".
pub(crate) async fn result(
    State(app): State<Arc<App>>,
    Path(query_id): Path<String>,
    call: Call,
) -> Response {
    let found = call
        .request_id()
        .and_then(|_| call.session(&app))
        .and_then(|session| find_query(&app, &session, &query_id));
    let query = match found {
        Ok(query) => query,
        Err(refused) => return *refused,
    };
    let patience =
        if query.submission.detached { Duration::ZERO } else { app.options.sync_patience };
    answer(&app, &query, patience, AsyncAnswer::IfFinished).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AbortRequest {
    request_id: String,
}

/// `POST /queries/v1/abort-request`: cancels by the id of the statement's request.
pub(crate) async fn abort_by_request(State(app): State<Arc<App>>, call: Call) -> Response {
    let session = match call.session(&app) {
        Ok(session) => session,
        Err(refused) => return *refused,
    };
    match call.json::<AbortRequest>() {
        Ok(request) => {
            let request_id = Uuid::try_parse(&request.request_id).unwrap_or_default();
            abort(app.queries.by_request(request_id, &session.user))
        }
        Err(refused) => *refused,
    }
}

/// `POST /queries/{id}/abort-request`: cancels by query id.
pub(crate) async fn abort_by_id(
    State(app): State<Arc<App>>,
    Path(query_id): Path<String>,
    call: Call,
) -> Response {
    match call.session(&app) {
        Ok(session) => abort(app.queries.by_id(&query_id, &session.user)),
        Err(refused) => *refused,
    }
}

fn abort(query: Option<Arc<Query>>) -> Response {
    if query.is_some_and(|query| query.cancel()) {
        return reply::success(&Value::Null);
    }
    let message = "Identified SQL statement is not currently executing.";
    reply::failure("000605", message, &Value::Null)
}

/// `GET /monitoring/queries/{id}`: the status of a statement; nobody's own is no statement.
pub(crate) async fn monitoring(
    State(app): State<Arc<App>>,
    Path(query_id): Path<String>,
    call: Call,
) -> Response {
    let session = match call.session(&app) {
        Ok(session) => session,
        Err(refused) => return *refused,
    };
    let query = app.queries.by_id(&query_id, &session.user);
    let queries: Vec<Value> = query.iter().map(|query| status(query)).collect();
    reply::success(&json!({"queries": queries}))
}

/// Returns what monitoring says about a statement.
pub(crate) fn status(query: &Query) -> Value {
    let finished = query.finished();
    let outcome = finished.as_ref().map(|finished| &finished.answer);
    let (word, code, message, rows) = match outcome {
        None => ("RUNNING", None, None, 0),
        Some(Ok(answer)) => ("SUCCESS", None, None, answer.result.total_rows),
        Some(Err(error)) => {
            let word = if error.code == CANCELLED { "ABORTED" } else { "FAILED_WITH_ERROR" };
            (word, Some(error.code), Some(error.message.as_str()), 0)
        }
    };
    json!({
        "id": query.id,
        "status": word,
        "state": word,
        "sqlText": query.submission.sql_text,
        "startTime": query.submission.started_ms,
        "endTime": finished.as_ref().map_or(0, |finished| finished.ended_ms),
        "errorCode": code,
        "errorMessage": message,
        "sessionId": query.submission.session_id,
        "queryTag": query.submission.tag,
        "userName": query.submission.user,
        "stats": {"scanBytes": 0, "producedRows": rows},
    })
}
