//! `/stage/{stage}/{path}`: the object store of stages, as GCS answers presigned links.
//!
//! Refusals are the object store's own: a status and XML, never the service's JSON envelope.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::StreamExt as _;

use super::app::{App, now_s};
use super::transfer::subject;
use crate::results::links::{LinkRefusal, Signature};
use crate::stages::{Attributes, FileKey, StageError};

const DIGEST: &str = "x-goog-meta-sfc-digest";
const ENCRYPTION_DATA: &str = "x-goog-meta-encryptiondata";
const MATDESC: &str = "x-goog-meta-matdesc";
/// With 0: only if there is no such object.
const ONLY_IF_GENERATION: &str = "x-goog-if-generation-match";
/// Pieces of an upload that wait for the disk.
const WAITING_PIECES: usize = 16;

/// Serves one object.
pub(crate) async fn object(
    State(app): State<Arc<App>>,
    Path((stage, path)): Path<(u64, String)>,
    link: Result<Query<Signature>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Response {
    let signed_for = if *request.method() == Method::PUT { "PUT" } else { "GET" };
    let Ok(Query(link)) = link else {
        return refuse(StatusCode::FORBIDDEN, "AccessDenied", "Access denied.");
    };
    match app.links.verify(&subject(stage, &path, signed_for), &link, now_s()) {
        Err(LinkRefusal::Forged) => {
            let text =
                "The request signature we calculated does not match the signature you provided.";
            return refuse(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", text);
        }
        Err(LinkRefusal::Expired) => {
            let text = "The provided token has expired.";
            return refuse(StatusCode::BAD_REQUEST, "ExpiredToken", text);
        }
        Ok(()) => {}
    }
    if *request.method() == Method::PUT {
        return take(&app, stage, path, request).await;
    }
    give(&app, stage, &path, *request.method() == Method::HEAD).await
}

/// Takes a whole object. One that breaks off leaves what was there.
async fn take(app: &Arc<App>, stage: u64, path: String, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let attributes = attributes(&parts.headers);
    let only_new = parts.headers.get(ONLY_IF_GENERATION).is_some_and(|value| value == "0");
    if only_new && matches!(app.stages.file(stage, &path), Ok(Some(_))) {
        let text = "At least one of the pre-conditions you specified did not hold.";
        return refuse(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", text);
    }
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced: Option<u64> = announced.and_then(|digits| digits.parse().ok());
    let (pieces, mut waiting) = tokio::sync::mpsc::channel::<Bytes>(WAITING_PIECES);
    let stages = Arc::clone(&app.stages);
    let (whole, is_whole) = tokio::sync::oneshot::channel::<()>();
    let writing = tokio::task::spawn_blocking(move || {
        let mut upload = stages.start_upload(stage, &path)?;
        while let Some(piece) = waiting.blocking_recv() {
            upload.write(&piece)?;
        }
        if is_whole.blocking_recv().is_ok() {
            stages.finish_upload(upload, attributes)?;
        }
        Ok::<(), StageError>(())
    });
    let mut received = 0_u64;
    let mut stream = body.into_data_stream();
    while let Some(Ok(piece)) = stream.next().await {
        received += u64::try_from(piece.len()).unwrap_or(0);
        if pieces.send(piece).await.is_err() {
            break;
        }
    }
    drop(pieces);
    if announced.is_none_or(|announced| announced == received) {
        // The writer may have failed already; its own error is the answer then.
        let _ = whole.send(());
    } else {
        drop(whole);
        return refuse(StatusCode::BAD_REQUEST, "IncompleteBody", "The body is incomplete.");
    }
    match writing.await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(error @ StageError::Full { .. })) => {
            refuse(StatusCode::INSUFFICIENT_STORAGE, "StorageFull", &error.to_string())
        }
        Ok(Err(error @ StageError::Name { .. })) => {
            refuse(StatusCode::BAD_REQUEST, "InvalidObjectName", &error.to_string())
        }
        Ok(Err(error)) => {
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", &error.to_string())
        }
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "The write ended."),
    }
}

async fn give(app: &Arc<App>, stage: u64, path: &str, head: bool) -> Response {
    let (stages, wanted) = (Arc::clone(&app.stages), path.to_owned());
    let read = tokio::task::spawn_blocking(move || stages.read_stored(stage, &wanted)).await;
    let Ok(Ok((content, attributes))) = read else {
        return refuse(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.");
    };
    let length = content.len();
    let mut response = if head { Body::empty() } else { Body::from(content) }.into_response();
    let mut set = |name: &'static str, value: Option<String>| {
        let value = value.and_then(|value| value.parse().ok());
        value.map(|value| response.headers_mut().insert(name, value));
    };
    set("content-length", Some(length.to_string()));
    set("content-type", Some("application/octet-stream".to_owned()));
    set(DIGEST, attributes.digest);
    set(ENCRYPTION_DATA, attributes.key.as_ref().map(FileKey::to_blob_metadata));
    set(MATDESC, attributes.key.map(|key| key.matdesc));
    response
}

fn attributes(headers: &HeaderMap) -> Attributes {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Attributes {
        digest: text(DIGEST).map(ToOwned::to_owned),
        key: text(ENCRYPTION_DATA)
            .and_then(|data| FileKey::from_blob_metadata(data, text(MATDESC))),
    }
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code>\
         <Message>{message}</Message></Error>"
    );
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}
