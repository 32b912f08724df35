//! What planned faults do to a request and its answer.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::StreamExt as _;

use super::app::{App, now};

/// Zeros that a bomb is packed from, piece by piece.
static BOMB_PIECE: [u8; 64 << 10] = [0; 64 << 10];
/// A page as a proxy shows it in the place of an answer.
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in to the network</title></head>\
                    <body><h1>Please accept the terms of use</h1></body></html>\n";

/// How a body ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Bytes that arrive.
    pub(crate) after_bytes: usize,
    /// What comes then.
    pub(crate) ending: Ending,
}

/// What comes after the last byte of a cut body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Complete by HTTP, short in content.
    Clean,
    /// The connection breaks.
    Broken,
}

/// What strikes one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Answer with this status, and with `Retry-After` if a number of seconds is given.
    Status(u16, Option<u32>),
    /// Wait first.
    Delay(Duration),
    /// End the body of the answer early.
    Shorten(Cut),
    /// Do it, and break the connection in the place of the answer.
    LoseAnswer,
    /// Answer 200 with a web page.
    Page,
    /// Answer with gzip that unpacks to this many bytes.
    Bomb(u64),
    /// Change bytes of the answer's body, as many as there are kilobytes.
    Corrupt,
    /// Send the client elsewhere.
    Redirect(String),
    /// Take only so many bytes of what the client sends, then break the connection.
    CutUpload(usize),
    /// Let all session tokens expire, then handle the request.
    ExpireSessions,
    /// End all sessions, then handle the request.
    LoseSessions,
}

/// Carries out an effect.
pub(crate) async fn strike(
    app: &Arc<App>,
    effect: Effect,
    request: Request,
    next: Next,
) -> Response {
    match effect {
        Effect::Status(status, retry_after_s) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, "planned fault").into_response();
            if let Some(seconds) = retry_after_s {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Effect::Delay(pause) => {
            tokio::time::sleep(pause).await;
            next.run(request).await
        }
        Effect::Shorten(cut) => shorten(next.run(request).await, cut),
        Effect::LoseAnswer => {
            let cut = Cut { after_bytes: 0, ending: Ending::Broken };
            shorten(next.run(request).await, cut)
        }
        Effect::Page => {
            ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response()
        }
        Effect::Bomb(bytes) => bomb(bytes).await,
        Effect::Corrupt => corrupt(next.run(request).await),
        Effect::Redirect(to) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        Effect::CutUpload(after_bytes) => {
            let (parts, body) = request.into_parts();
            let cut = Cut { after_bytes, ending: Ending::Broken };
            let request = Request::from_parts(parts, cut_body(body, cut));
            let lost = Cut { after_bytes: 0, ending: Ending::Broken };
            shorten(next.run(request).await, lost)
        }
        Effect::ExpireSessions => {
            app.sessions.expire_session_tokens(now());
            next.run(request).await
        }
        Effect::LoseSessions => {
            end_all_sessions(app);
            next.run(request).await
        }
    }
}

/// Ends every session, as when the service forgets them: open transactions are rolled back.
pub(crate) fn end_all_sessions(app: &App) {
    for session in app.sessions.list() {
        app.sessions.close(session.id);
        app.queries.cancel_of_session(session.id);
        app.runner.end_session(session.id);
    }
}

/// Ends the body of `response` early.
fn shorten(response: Response, cut: Cut) -> Response {
    let (mut parts, body) = response.into_parts();
    if cut.ending == Ending::Clean {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    Response::from_parts(parts, cut_body(body, cut))
}

fn cut_body(body: Body, cut: Cut) -> Body {
    let mut left = cut.after_bytes;
    let kept = body.into_data_stream().filter_map(move |piece| {
        let kept = piece.map(|bytes: Bytes| {
            let part = bytes.slice(..bytes.len().min(left));
            left -= part.len();
            part
        });
        futures::future::ready(match kept {
            Ok(part) if part.is_empty() => None,
            Ok(part) => Some(Ok(part)),
            Err(error) => Some(Err(std::io::Error::other(error))),
        })
    });
    match cut.ending {
        Ending::Clean => Body::from_stream(kept),
        Ending::Broken => {
            let error = Err(std::io::Error::other("planned fault"));
            Body::from_stream(kept.chain(futures::stream::iter([error])))
        }
    }
}

/// Flips a bit in the middle of each kilobyte and in the middle of what is shorter.
fn corrupt(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let changed = body.into_data_stream().map(|piece| {
        piece.map(|bytes| {
            let mut bytes = bytes.to_vec();
            for kilobyte in bytes.chunks_mut(1024) {
                let middle = kilobyte.len() / 2;
                if let Some(byte) = kilobyte.get_mut(middle) {
                    *byte ^= 0x10;
                }
            }
            Bytes::from(bytes)
        })
    });
    Response::from_parts(parts, Body::from_stream(changed))
}

async fn bomb(bytes: u64) -> Response {
    let packed = tokio::task::spawn_blocking(move || {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        let mut left = bytes;
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(BOMB_PIECE.len());
            packer.write_all(BOMB_PIECE.get(..piece).unwrap_or_default())?;
            left -= u64::try_from(piece).unwrap_or(left);
        }
        packer.finish()
    });
    match packed.await {
        Ok(Ok(packed)) => {
            let headers = [(header::CONTENT_TYPE, "binary/octet-stream")];
            (headers, packed).into_response()
        }
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
