//! Files into an internal stage: ask with PUT, encrypt, send them straight to cloud storage.
//!
//! The server does not read the file: it answers a PUT statement with a place in cloud storage,
//! credentials that are valid for that place and for a while, and, unless the stage is encrypted
//! by the storage alone, the key that wraps the file's own key. A file is read piece by piece,
//! encrypted on the way and checked against its announced size and digest, so memory does not grow
//! with it. Names are chosen by the caller, and one name always has the same content, so an upload
//! may be repeated.
//!
//! Storage that is busy is tried again; credentials that ended are asked for anew by the same
//! statement. What the storage answers in words is never kept: it may repeat credentials.

mod place;
mod seal;

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::SnowflakeClient;
use super::conversation::Conversation;
use super::http::{Attempt, is_passing, status_error};
use super::session::{Request, Session};
use super::sql::{self, StageFile};
use super::statement::{About, SUBMIT_PATH, Submission, submission_body};
use crate::SnowflakeError;
use place::{Place, StageInfo};
use seal::{Material, Sealer};

const STEP: &str = "upload a file to the stage";

/// How much of a file is in work at once; a multiple of the cipher's block.
const PIECE_BYTES: u64 = 1 << 20;

/// How often credentials may turn out to have ended during one upload.
const CREDENTIALS_MAX: u32 = 3;

/// The least time that an upload gets, and the slowest rate that it is waited for.
const TIMEOUT_MIN: Duration = Duration::from_secs(120);
const SLOWEST_BYTES_PER_S: u64 = 256 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The bytes of a file, wherever they lie.
#[async_trait]
pub(super) trait Content: Send + Sync {
    /// Reads exactly the bytes of `range`.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, BoxError>;
}

#[async_trait]
impl Content for Bytes {
    async fn read(&self, range: Range<u64>) -> Result<Self, BoxError> {
        let (start, end) = (usize::try_from(range.start)?, usize::try_from(range.end)?);
        let inside = start <= end && end <= self.len();
        if inside { Ok(self.slice(start..end)) } else { Err("the range is not in the file".into()) }
    }
}

/// A file that is to be uploaded.
pub(super) struct Upload<'a> {
    /// Stage, folder and name; the name is the same at both ends.
    pub(super) file: &'a StageFile,
    pub(super) size_bytes: u64,
    /// SHA-256 of the content.
    pub(super) sha256: [u8; 32],
    pub(super) content: &'a dyn Content,
}

impl SnowflakeClient {
    /// Uploads a file to a stage that every session sees.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`] for a stage that is missing or must not be written to,
    /// [`SnowflakeError::Status`] and [`SnowflakeError::Unreachable`] for its storage,
    /// [`SnowflakeError::Request`] for content that is not as announced.
    pub(super) async fn upload(&self, upload: &Upload<'_>) -> Result<(), SnowflakeError> {
        self.session.upload(upload).await
    }
}

impl Conversation {
    /// Uploads a file to a stage that perhaps this session alone sees.
    ///
    /// # Errors
    /// As [`SnowflakeClient::upload`].
    #[cfg_attr(not(test), expect(dead_code, reason = "a push uses the user's stage"))]
    pub(super) async fn upload(&mut self, upload: &Upload<'_>) -> Result<(), SnowflakeError> {
        self.session().upload(upload).await
    }
}

impl Session {
    async fn upload(&self, upload: &Upload<'_>) -> Result<(), SnowflakeError> {
        let mut refused = None;
        for _ in 0..CREDENTIALS_MAX {
            let target = self.ask(upload).await?;
            match self.send(upload, &target).await {
                Ok(()) => {
                    tracing::debug!(size_bytes = upload.size_bytes, "uploaded a file");
                    return Ok(());
                }
                // Storage answers credentials that have ended with one of these.
                Err(SnowflakeError::Status { step, status: status @ (400 | 401 | 403) }) => {
                    tracing::debug!(status, "the storage refused the upload; asking anew");
                    refused = Some(SnowflakeError::Status { step, status });
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| protocol("no attempt was made")))
    }

    /// Asks the server where the file is to go.
    async fn ask(&self, upload: &Upload<'_>) -> Result<Target, SnowflakeError> {
        let statement = sql::put(upload.file);
        let mut request = Request::new(STEP, Method::POST, &SUBMIT_PATH);
        request.accept = "application/json";
        request.body = Some(submission_body(&statement, Submission::Transfer));
        let object = upload.file.stage.to_string();
        let answer = self.call(&request).await?;
        let answer = self.finish(answer, About { object: &object }).await?;
        let data: PutData = answer.data(STEP)?;
        if !data.command.eq_ignore_ascii_case("UPLOAD") {
            return Err(protocol("the server asks for something else than an upload"));
        }
        let info = data.stage_info.or(data.upload_info);
        let info = info.ok_or_else(|| protocol("the server names no place"))?;
        let wanted = info.is_client_side_encrypted.unwrap_or(true);
        let material = data.encryption_material.filter(|_| wanted);
        let place = Place::new(info, &upload.file.name, &self.http.endpoint)?;
        Ok(Target { place, material })
    }

    async fn send(&self, upload: &Upload<'_>, target: &Target) -> Result<(), SnowflakeError> {
        let seconds = upload.size_bytes / SLOWEST_BYTES_PER_S;
        let timeout = TIMEOUT_MIN.saturating_add(Duration::from_secs(seconds));
        self.http
            .retry
            .run(|_| async {
                let status = match self.send_once(upload, target, timeout).await {
                    Ok(status) => status,
                    Err(error @ SnowflakeError::Unreachable { .. }) => {
                        return Attempt::Again(error);
                    }
                    Err(error) => return Attempt::Done(Err(error)),
                };
                match status {
                    status if status.is_success() => Attempt::Done(Ok(())),
                    status if is_passing(status) => Attempt::Again(status_error(STEP, status)),
                    status => Attempt::Done(Err(status_error(STEP, status))),
                }
            })
            .await
    }

    async fn send_once(
        &self,
        upload: &Upload<'_>,
        target: &Target,
        timeout: Duration,
    ) -> Result<StatusCode, SnowflakeError> {
        let sealer = target.material.as_ref().map(Sealer::new).transpose()?;
        let length = match &sealer {
            Some(_) => seal::sealed_length(upload.size_bytes),
            None => upload.size_bytes,
        };
        let sealed = sealer.as_ref().map(Sealer::description);
        let clock_s = self.skew_s.load(std::sync::atomic::Ordering::Relaxed);
        let (url, headers) = target.place.request(&upload.sha256, sealed, length, clock_s)?;
        let (sender, receiver) = mpsc::channel::<Result<Bytes, BoxError>>(2);
        let body = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece.map(Frame::data), receiver))
        });
        let body = reqwest::Body::wrap(StreamBody::new(body));
        let put = self.http.put(STEP, url, headers, body, timeout);
        let (sent, read) = futures::join!(put, pieces(upload, sealer, sender));
        // A file that cannot be read breaks the request off; its reason is the one to tell.
        read?;
        sent
    }
}

/// Reads a file piece by piece, seals and sends it on. Ends early when nobody takes the pieces.
async fn pieces(
    upload: &Upload<'_>,
    mut sealer: Option<Sealer>,
    sender: mpsc::Sender<Result<Bytes, BoxError>>,
) -> Result<(), SnowflakeError> {
    let mut digest = Sha256::new();
    let mut start = 0;
    while start < upload.size_bytes {
        let end = upload.size_bytes.min(start + PIECE_BYTES);
        let piece = upload.content.read(start..end).await;
        let piece = piece.ok().filter(|piece| u64::try_from(piece.len()) == Ok(end - start));
        let Some(piece) = piece else {
            return broken(&sender, upload, "its content cannot be read as announced").await;
        };
        digest.update(&piece);
        let last = end == upload.size_bytes;
        // The request must not be complete before the digest is known to be right.
        if last && <[u8; 32]>::from(digest.clone().finalize()) != upload.sha256 {
            return broken(&sender, upload, "its content has another digest than announced").await;
        }
        let piece = match &mut sealer {
            Some(sealer) => Bytes::from(sealer.seal(&piece)),
            None => piece,
        };
        if sender.send(Ok(piece)).await.is_err() {
            return Ok(());
        }
        start = end;
    }
    if let Some(sealer) = sealer {
        // Nobody takes it when the request has ended; the request's own end tells why.
        let _ = sender.send(Ok(Bytes::from(sealer.last()))).await;
    }
    Ok(())
}

async fn broken(
    sender: &mpsc::Sender<Result<Bytes, BoxError>>,
    upload: &Upload<'_>,
    reason: &str,
) -> Result<(), SnowflakeError> {
    let _ = sender.send(Err(reason.into())).await;
    Err(SnowflakeError::Request {
        object: format!("the upload of {}", upload.file.name),
        reason: reason.to_owned(),
    })
}

/// Where a file goes, and how it is sealed.
struct Target {
    place: Place,
    material: Option<Material>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PutData {
    #[serde(default)]
    command: String,
    #[serde(default)]
    stage_info: Option<StageInfo>,
    /// The older name of the same.
    #[serde(default)]
    upload_info: Option<StageInfo>,
    #[serde(default)]
    encryption_material: Option<Material>,
}

fn protocol(reason: &str) -> SnowflakeError {
    SnowflakeError::Protocol { step: STEP.to_owned(), reason: reason.to_owned() }
}
