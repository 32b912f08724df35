//! `GET /chunks/{query}/{n}`: an object store with presigned links and customer keys.
//!
//! Refusals are the object store's own: a status and XML, never the service's JSON envelope.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::io::AsyncReadExt as _;

use super::app::{App, now_s};
use super::call::Refused;
use crate::results::links::{LinkRefusal, Signature, customer_key_md5};
use crate::results::stored::StoredResult;

const KEY_HEADER: &str = "x-amz-server-side-encryption-customer-key";
const KEY_MD5_HEADER: &str = "x-amz-server-side-encryption-customer-key-md5";
/// Bytes read from disk at once.
const PIECE_BYTES: usize = 256 << 10;

/// Serves one chunk.
pub(crate) async fn chunk(
    State(app): State<Arc<App>>,
    Path((query_id, index)): Path<(String, usize)>,
    link: Result<Query<Signature>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Response {
    if headers.contains_key(header::AUTHORIZATION) {
        return refuse(
            StatusCode::BAD_REQUEST,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, \
             Signature query string parameter or the Authorization header should be specified",
        );
    }
    let Ok(Query(link)) = link else {
        return refuse(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied");
    };
    match app.links.check(&query_id, index, &link, now_s()) {
        Err(LinkRefusal::Forged) => {
            return refuse(
                StatusCode::FORBIDDEN,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
            );
        }
        Err(LinkRefusal::Expired) => {
            return refuse(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired");
        }
        Ok(()) => {}
    }
    let finished = app.queries.of_anyone(&query_id).and_then(|query| query.finished());
    let Some(Ok(answer)) = finished.as_ref().map(|finished| &finished.answer) else {
        return missing();
    };
    if let Err(refusal) = check_customer_key(&answer.result, &headers) {
        return *refusal;
    }
    send(&app, answer.result.clone(), index).await
}

fn check_customer_key(result: &StoredResult, headers: &HeaderMap) -> Result<(), Refused> {
    let sent = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let (Some(key), Some(md5)) = (sent(KEY_HEADER), sent(KEY_MD5_HEADER)) else {
        return Err(Box::new(refuse(
            StatusCode::BAD_REQUEST,
            "InvalidRequest",
            "The object was stored using a form of Server Side Encryption. The correct \
             parameters must be provided to retrieve the object.",
        )));
    };
    if key != &*result.chunk_key || md5 != customer_key_md5(&result.chunk_key) {
        return Err(Box::new(refuse(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied")));
    }
    Ok(())
}

/// Streams the file. The result is kept alive, and its files with it, until the last byte.
async fn send(app: &App, result: StoredResult, index: usize) -> Response {
    let Some((path, chunk)) = result.chunk_file(index) else { return missing() };
    let length = chunk.compressed_bytes;
    let Ok(file) = tokio::fs::File::open(path).await else { return missing() };
    let pieces = futures::stream::try_unfold((file, result), |(mut file, result)| async move {
        let mut piece = bytes::BytesMut::with_capacity(PIECE_BYTES);
        let read = file.read_buf(&mut piece).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (piece.freeze(), (file, result))))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("binary/octet-stream"));
    if app.options.chunk_content_encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn missing() -> Response {
    refuse(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>{message}</Message><RequestId>EMULATOR</RequestId></Error>"
    );
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}
