//! `POST /queries/v1/query-request`: what a statement is, who runs it, and what is answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::app::{App, now, now_ms};
use super::array_binds;
use super::call::{Call, Refused, bad_request};
use super::execute::{self, Job};
use super::reply;
use crate::engine::{Bind, SessionContext, SqlError};
use crate::results::format::{Format, Preference, choose};
use crate::results::queries::{Answer, Query, Submission, Submitted};
use crate::results::stored::StoredResult;
use crate::session::{Session, parameters};
use crate::sql::stage::transfer::is_transfer;

/// SELECT and what answers like it.
const SELECT_TYPE: i64 = 0x1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatementRequest {
    #[serde(default)]
    sql_text: String,
    async_exec: Option<bool>,
    describe_only: Option<bool>,
    parameters: Option<Map<String, Value>>,
    bindings: Option<BTreeMap<String, Binding>>,
    bind_stage: Option<String>,
}

/// A bind as it was sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Binding {
    /// FIXED, TEXT, ….
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// One value, or a list of them for as many rows.
    pub(crate) value: Value,
}

/// Takes a statement.
pub(crate) async fn submit(State(app): State<Arc<App>>, call: Call) -> Response {
    match take(&app, &call).await {
        Ok(response) => response,
        Err(refused) => *refused,
    }
}

async fn take(app: &Arc<App>, call: &Call) -> Result<Response, Refused> {
    let request_id = call.request_id()?;
    let session = call.session(app)?;
    let request: StatementRequest = call.json()?;
    let mut context = session.context();
    if let Some(own) = &request.parameters {
        parameters::overlay(&mut context.parameters, own);
    }
    let (text, binds) =
        text_and_binds(&request).map_err(|error| Box::new(reply::statement_failed(&error, "")))?;
    let preference = Preference {
        client: &session.client,
        accept: call.header(header::ACCEPT),
        context: &context,
    };
    let format = choose(preference);
    // Some drivers only describe a PUT, and read there what they are to do.
    if request.describe_only == Some(true) && !is_transfer(&text) {
        return describe(app, &context, &text, &binds, format).await;
    }
    let submission = Submission {
        request_id,
        session_id: session.id,
        user: session.user.clone(),
        sql_text: request.sql_text.clone(),
        tag: context.parameters.get("QUERY_TAG").cloned().unwrap_or_default(),
        detached: request.async_exec == Some(true),
        started_ms: now_ms(),
    };
    let query = match app.queries.submit(submission, now()) {
        Submitted::Known(query) => query,
        Submitted::New(query) => {
            let job = Job { session, context, text, binds, format };
            execute::start(app, &query, job);
            query
        }
    };
    let patience =
        if query.submission.detached { Duration::ZERO } else { app.options.sync_patience };
    Ok(answer(app, &query, patience, AsyncAnswer::AtOnce).await)
}

/// What a detached statement is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AsyncAnswer {
    /// "Running by itself", even if it is done: the answer to the submission.
    AtOnce,
    /// The result if there is one.
    IfFinished,
}

/// Waits at most `patience` and returns the outcome or "not finished yet".
pub(crate) async fn answer(
    app: &App,
    query: &Query,
    patience: Duration,
    mode: AsyncAnswer,
) -> Response {
    if query.submission.detached && mode == AsyncAnswer::AtOnce {
        return reply::in_progress(query);
    }
    let finished = match query.finished() {
        Some(finished) => Some(finished),
        None => query.wait(patience).await,
    };
    match finished {
        Some(finished) => reply::outcome(app, query, &finished),
        None => reply::in_progress(query),
    }
}

async fn describe(
    app: &App,
    context: &SessionContext,
    text: &str,
    binds: &[Bind],
    format: Format,
) -> Result<Response, Refused> {
    let columns = app
        .runner
        .describe(context, text, binds)
        .await
        .map_err(|error| Box::new(reply::statement_failed(&error, "")))?;
    let answer = Answer {
        result: StoredResult::empty(columns.into(), format),
        statement_type_id: SELECT_TYPE,
        context: context.clone(),
        children: Vec::new(),
        transfer: None,
    };
    Ok(reply::described(&answer, binds.len()))
}

/// Returns the text and its binds in the order of their positions, which must be 1, 2, 3, ….
fn text_and_binds(request: &StatementRequest) -> Result<(String, Vec<Bind>), SqlError> {
    let text = &request.sql_text;
    if request.bind_stage.as_deref().is_some_and(|stage| !stage.is_empty()) {
        return Err(bind_problem("binds staged as files are not offered by this emulator"));
    }
    let Some(bindings) = &request.bindings else { return Ok((text.clone(), Vec::new())) };
    let in_order = (1..=bindings.len())
        .map(|position| {
            bindings
                .get(&position.to_string())
                .ok_or_else(|| bind_problem(&format!("bind {position} is missing")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if in_order.iter().any(|binding| binding.value.is_array()) {
        return array_binds::expand(text, &in_order);
    }
    let binds = in_order
        .iter()
        .map(|binding| {
            Ok(Bind { kind: binding.kind.to_uppercase(), value: scalar(&binding.value)? })
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok((text.clone(), binds))
}

/// Returns the text of one value; NULL is `None`.
pub(crate) fn scalar(value: &Value) -> Result<Option<String>, SqlError> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Array(_) | Value::Object(_) => Err(bind_problem("a value is no text")),
    }
}

/// The error of a bind that cannot be used.
pub(crate) fn bind_problem(what: &str) -> SqlError {
    SqlError {
        code: "002049",
        sql_state: "42601",
        message: format!("SQL compilation error:\nBind variable problem: {what}."),
    }
}

/// Returns the session's query by the id in a path, or the service's words for an unknown one.
pub(crate) fn find_query(
    app: &App,
    session: &Session,
    query_id: &str,
) -> Result<Arc<Query>, Refused> {
    if uuid::Uuid::try_parse(query_id).is_err() {
        return Err(Box::new(bad_request(format!("\"{query_id}\" is not a UUID."))));
    }
    app.queries.by_id(query_id, &session.user).ok_or_else(|| {
        Box::new(reply::statement_failed(&execute::unknown_statement(query_id), query_id))
    })
}
