//! A request as handlers want it: query string, token, unpacked body.

use std::collections::HashMap;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::app::{App, now};
use super::reply;
use crate::session::Session;

/// Most bytes of a request body, packed or unpacked. A statement may have 1 MB of text; binds and
/// long VALUES lists need more.
const MOST_BODY_BYTES: usize = 128 << 20;

/// An answer that ends the handling of a request early.
pub(crate) type Refused = Box<Response>;

/// A request with its body read and unpacked.
#[derive(Debug)]
pub(crate) struct Call {
    query: HashMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
    from: Option<IpAddr>,
}

impl FromRequest<Arc<App>> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, _app: &Arc<App>) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let query = pairs.into_owned().collect();
        let body = to_bytes(body, MOST_BODY_BYTES)
            .await
            .map_err(|_| bad_request("request body cannot be read"))?;
        let packed = body.starts_with(&[0x1f, 0x8b]);
        let body = if packed { unpack(&body).map_err(|refused| *refused)? } else { body };
        let from = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        Ok(Self { query, headers: parts.headers, body, from })
    }
}

impl Call {
    /// Returns a parameter of the query string.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// Returns a header that is plain text.
    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the address that the request came from.
    pub(crate) fn from(&self) -> Option<IpAddr> {
        self.from
    }

    /// Returns the body as it is.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// The HTTP 400 to answer with.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Box::new(bad_request(format!("request body is not what it should be: {error}")))
        })
    }

    /// Returns the token of `Authorization: Snowflake Token="…"`.
    pub(crate) fn token(&self) -> Option<&str> {
        let value = self.header(header::AUTHORIZATION)?;
        value.strip_prefix("Snowflake Token=\"")?.strip_suffix('"')
    }

    /// Returns the session that the token opens.
    ///
    /// # Errors
    /// The answer that tells the client to renew or to log in again.
    pub(crate) fn session(&self, app: &App) -> Result<Arc<Session>, Refused> {
        let token = self.token().unwrap_or_default();
        app.sessions.find(token, now()).map_err(|refusal| Box::new(reply::token_refused(refusal)))
    }

    /// Returns `requestId`, or a fresh id if there is none.
    ///
    /// # Errors
    /// HTTP 400 in the service's words if it is not a UUID.
    pub(crate) fn request_id(&self) -> Result<Uuid, Refused> {
        let text = self.parameter("requestId").or_else(|| self.parameter("request_id"));
        let Some(text) = text else { return Ok(Uuid::new_v4()) };
        Uuid::try_parse(text)
            .map_err(|_| Box::new(bad_request(format!("\"{text}\" is not a UUID."))))
    }
}

fn unpack(body: &[u8]) -> Result<Bytes, Refused> {
    let limit = u64::try_from(MOST_BODY_BYTES).unwrap_or(u64::MAX);
    let mut plain = Vec::new();
    let read = GzDecoder::new(body).take(limit + 1).read_to_end(&mut plain);
    if read.is_err() || plain.len() > MOST_BODY_BYTES {
        return Err(Box::new(bad_request("request body cannot be unpacked")));
    }
    Ok(plain.into())
}

/// Returns HTTP 400 with a line of text.
pub(crate) fn bad_request(text: impl Into<String>) -> Response {
    (StatusCode::BAD_REQUEST, text.into()).into_response()
}
