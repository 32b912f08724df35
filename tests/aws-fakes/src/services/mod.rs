//! One endpoint that answers as SQS, Secrets Manager and EventBridge Scheduler, for the calls that
//! Snowferry makes.
//!
//! The first two name the call in the header `X-Amz-Target`, the last one has paths. What they hold
//! is open to the test as [`queue::FifoQueue`], [`secrets::Secrets`] and [`schedules::Schedules`].

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub mod queue;
pub mod schedules;
pub mod secrets;

use queue::FifoQueue;
use schedules::Schedules;
use secrets::Secrets;

/// A running endpoint. Ends when it is dropped.
#[derive(Debug)]
pub struct FakeServices {
    /// Where it listens.
    pub endpoint: String,
    /// The queue; every queue URL is this one.
    pub queue: Arc<FifoQueue>,
    /// The secrets.
    pub secrets: Arc<Secrets>,
    /// The schedules.
    pub schedules: Arc<Schedules>,
    server: JoinHandle<()>,
}

#[derive(Clone, Debug)]
struct Held {
    queue: Arc<FifoQueue>,
    secrets: Arc<Secrets>,
    schedules: Arc<Schedules>,
}

impl FakeServices {
    /// Starts an endpoint on a free port of this machine.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start(queue: FifoQueue) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let held =
            Held { queue: Arc::new(queue), secrets: Arc::default(), schedules: Arc::default() };
        let router = Router::new().fallback(answer).with_state(held.clone());
        let server = tokio::spawn(async move {
            // The listener only fails with the machine; tests then see refused connections.
            let _ = axum::serve(listener, router).await;
        });
        let Held { queue, secrets, schedules } = held;
        Ok(Self { endpoint, queue, secrets, schedules, server })
    }

    /// Returns the address by which the queue is named.
    #[must_use]
    pub fn queue_url(&self) -> String {
        format!("{}/000000000000/pull.fifo", self.endpoint)
    }
}

impl Drop for FakeServices {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    State(held): State<Held>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(name) = uri.path().strip_prefix("/schedules/") {
        return match held.schedules.answer(method.as_str(), name, &body) {
            Ok(body) => (StatusCode::OK, axum::Json(body)).into_response(),
            Err((status, kind, message)) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
                let body = json!({ "Message": message });
                (status, [("x-amzn-errortype", kind)], axum::Json(body)).into_response()
            }
        };
    }
    let answered = match target.unwrap_or_default() {
        "AmazonSQS.SendMessage" => held.queue.answer_send(&body),
        "secretsmanager.GetSecretValue" => held.secrets.answer_get(&body),
        "secretsmanager.DescribeSecret" => held.secrets.answer_describe(&body),
        "secretsmanager.CreateSecret" | "secretsmanager.PutSecretValue" => {
            held.secrets.answer_put(&body)
        }
        "secretsmanager.UpdateSecretVersionStage" => held.secrets.answer_move(&body),
        "secretsmanager.DeleteSecret" => held.secrets.answer_delete(&body),
        other => Err(("UnknownOperationException", format!("no call {other:?} is known"))),
    };
    let (status, body) = match answered {
        Ok(body) => (StatusCode::OK, body),
        Err((kind, message)) => {
            (StatusCode::BAD_REQUEST, json!({ "__type": kind, "message": message }))
        }
    };
    let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (status, kind, body.to_string()).into_response()
}
