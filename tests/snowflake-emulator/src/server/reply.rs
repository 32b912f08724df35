//! Envelopes: `{"data", "code", "message", "success"}` around everything but chunks.

use std::sync::Arc;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::app::{App, now_ms, now_s};
use super::transfer;
use crate::engine::SqlError;
use crate::results::format::Format;
use crate::results::links::customer_key_md5;
use crate::results::queries::{Answer, Finished, Query};
use crate::results::stored::StoredResult;
use crate::session::{TokenRefusal, parameters};
use crate::wire::rowtype::rowtype;

/// The code of a statement that is still running.
const IN_PROGRESS: &str = "333333";
/// The code of a statement that runs by itself.
const IN_PROGRESS_ASYNC: &str = "333334";
/// When an abandoned statement is given up.
const ABORTS_AFTER_S: u32 = 300;

/// Returns a success with `data`.
pub(crate) fn success(data: &Value) -> Response {
    Json(json!({"data": data, "code": null, "message": null, "success": true})).into_response()
}

/// Returns a failure, which is HTTP 200 all the same.
pub(crate) fn failure(code: &str, message: &str, data: &Value) -> Response {
    Json(json!({"data": data, "code": code, "message": message, "success": false})).into_response()
}

/// Returns the refusal of a token; one that was never ours comes with HTTP 401.
pub(crate) fn token_refused(refusal: TokenRefusal) -> Response {
    let mut response = failure(refusal.code(), refusal.message(), &Value::Null);
    if refusal == TokenRefusal::SessionInvalid {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response
}

/// Returns a failed statement.
pub(crate) fn statement_failed(error: &SqlError, query_id: &str) -> Response {
    let data = json!({
        "internalError": false, "errorCode": error.code, "age": 0, "sqlState": error.sql_state,
        "queryId": query_id, "line": -1, "pos": -1, "type": "COMPILATION",
        "queryContext": {"entries": []},
    });
    failure(error.code, &error.message, &data)
}

/// Returns "not finished yet", in the form of a synchronous or of a detached statement.
pub(crate) fn in_progress(query: &Query) -> Response {
    let data = json!({
        "queryId": query.id, "getResultUrl": format!("/queries/{}/result", query.id),
        "queryAbortsAfterSecs": ABORTS_AFTER_S, "progressDesc": null,
    });
    let (code, message) = if query.submission.detached {
        (
            IN_PROGRESS_ASYNC,
            "Asynchronous execution in progress. Use provided query id to perform query \
             monitoring and management.",
        )
    } else {
        (IN_PROGRESS, "Query execution in progress.")
    };
    Json(json!({"data": data, "code": code, "message": message, "success": true})).into_response()
}

/// Returns the outcome of a statement, with fresh links to its chunks.
pub(crate) fn outcome(app: &App, query: &Query, finished: &Arc<Finished>) -> Response {
    match &finished.answer {
        Ok(answer) => match &answer.transfer {
            None => rows(app, &query.id, answer, Map::new()),
            Some(files) => match transfer::data(app, query, files) {
                Ok(more) => rows(app, &query.id, answer, more),
                Err(error) => statement_failed(&error, &query.id),
            },
        },
        Err(error) => statement_failed(error, &query.id),
    }
}

/// Returns what a describe-only statement gives: columns and no rows.
pub(crate) fn described(answer: &Answer, binds: usize) -> Response {
    let mut data = statement_data("", answer);
    data.insert("numberOfBinds".to_owned(), json!(binds));
    data.insert("total".to_owned(), json!(0));
    data.insert("returned".to_owned(), json!(0));
    with_rowset(&data, &answer.result)
}

fn rows(app: &App, query_id: &str, answer: &Answer, more: Map<String, Value>) -> Response {
    let result = &answer.result;
    let mut data = statement_data(query_id, answer);
    data.extend(more);
    let total = result.total_rows.saturating_add(app.faults.extra_rows());
    data.insert("total".to_owned(), json!(total));
    data.insert("returned".to_owned(), json!(total));
    if !result.chunks.is_empty() {
        let now_s = now_s();
        let chunks = result.chunks.iter().enumerate().map(|(index, chunk)| {
            json!({
                "url": format!("{}{}", app.base_url, app.links.issue(query_id, index, now_s)),
                "rowCount": chunk.rows,
                "uncompressedSize": chunk.uncompressed_bytes,
                "compressedSize": chunk.compressed_bytes,
            })
        });
        data.insert("chunks".to_owned(), Value::Array(chunks.collect()));
        data.insert(
            "chunkHeaders".to_owned(),
            json!({
                "x-amz-server-side-encryption-customer-key": &*result.chunk_key,
                "x-amz-server-side-encryption-customer-key-md5":
                    customer_key_md5(&result.chunk_key),
            }),
        );
        data.insert("qrmk".to_owned(), json!(&*result.chunk_key));
    }
    with_rowset(&data, result)
}

fn statement_data(query_id: &str, answer: &Answer) -> Map<String, Value> {
    let context = &answer.context;
    let data = json!({
        "parameters": parameters::in_force(context),
        "rowtype": rowtype(&answer.result.columns),
        "queryId": query_id,
        "databaseProvider": null,
        "finalDatabaseName": context.database,
        "finalSchemaName": context.schema,
        "finalWarehouseName": context.warehouse,
        "finalRoleName": context.role,
        "numberOfBinds": 0,
        "arrayBindSupported": false,
        "statementTypeId": answer.statement_type_id,
        "version": 1,
        "sendResultTime": now_ms(),
        "queryResultFormat": answer.result.format.name(),
        "queryContext": {"entries": []},
    });
    let Value::Object(mut data) = data else { return Map::new() };
    if !answer.children.is_empty() {
        let ids: Vec<&str> = answer.children.iter().map(|(id, _)| id.as_str()).collect();
        let kinds: Vec<String> = answer.children.iter().map(|(_, kind)| kind.to_string()).collect();
        data.insert("resultIds".to_owned(), json!(ids.join(",")));
        data.insert("resultTypes".to_owned(), json!(kinds.join(",")));
    }
    data
}

/// Writes the envelope by hand around rows that are JSON already.
fn with_rowset(data: &Map<String, Value>, result: &StoredResult) -> Response {
    let rest = Value::Object(data.clone()).to_string();
    let rest = rest.strip_prefix('{').unwrap_or(&rest);
    let mut body = Vec::with_capacity(rest.len() + result.inline.len() * 4 / 3 + 128);
    match result.format {
        Format::Json => {
            body.extend_from_slice(b"{\"data\":{\"rowset\":[");
            body.extend_from_slice(&result.inline);
            body.extend_from_slice(b"],");
        }
        Format::Arrow => {
            body.extend_from_slice(b"{\"data\":{\"rowsetBase64\":\"");
            body.extend_from_slice(STANDARD.encode(&result.inline).as_bytes());
            body.extend_from_slice(b"\",");
        }
    }
    body.extend_from_slice(rest.as_bytes());
    body.extend_from_slice(b",\"code\":null,\"message\":null,\"success\":true}");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
