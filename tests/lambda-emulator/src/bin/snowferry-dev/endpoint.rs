//! Lambda's own interface, as far as a function is invoked.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use snowferry_lambda_emulator::{Answer, Function};
use tokio::net::TcpListener;

use crate::{BoxError, say};

/// An answer by which Lambda says that the function failed.
const FAILED: [(&str, &str); 1] = [("x-amz-function-error", "Unhandled")];

/// Serves the functions on a free port and returns its address.
pub(crate) async fn serve(functions: Vec<Arc<Function>>) -> Result<String, BoxError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = format!("http://{}", listener.local_addr()?);
    let router = Router::new()
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .with_state(Arc::new(functions));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            say(&format!("the endpoint of the functions: {error}"));
        }
    });
    Ok(address)
}

async fn invoke(
    State(functions): State<Arc<Vec<Arc<Function>>>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(function) = functions.iter().find(|function| function.name() == name) else {
        let known: Vec<&str> = functions.iter().map(|function| function.name()).collect();
        let message = format!("there is no function {name}; there are {}", known.join(", "));
        return (StatusCode::NOT_FOUND, Json(json!({ "Message": message }))).into_response();
    };
    let event: Value = match serde_json::from_slice(&body) {
        Ok(event) => event,
        Err(error) => {
            let message = format!("the event is not JSON: {error}");
            return (StatusCode::BAD_REQUEST, Json(json!({ "Message": message }))).into_response();
        }
    };
    let kind = headers.get("x-amz-invocation-type").and_then(|kind| kind.to_str().ok());
    if kind == Some("Event") {
        let function = Arc::clone(function);
        tokio::spawn(async move {
            let pause = std::time::Duration::from_secs(60);
            if let Err(error) = function.invoke_async(&event, pause).await {
                say(&format!("{name}: {error}"));
            }
        });
        return StatusCode::ACCEPTED.into_response();
    }
    match function.invoke(&event).await {
        Ok(Answer::Done(answer)) => Json(answer).into_response(),
        Ok(Answer::Failed(told)) => (FAILED, Json(told)).into_response(),
        Ok(ended) => {
            let told =
                json!({ "errorType": format!("{ended:?}"), "errorMessage": "see the output" });
            (FAILED, Json(told)).into_response()
        }
        Err(error) => {
            let message = json!({ "Message": error.to_string() });
            (StatusCode::INTERNAL_SERVER_ERROR, Json(message)).into_response()
        }
    }
}
