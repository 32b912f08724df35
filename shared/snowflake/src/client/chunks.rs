//! The rows of a result: inline ones and chunks from cloud storage, in order, in bounded memory.
//!
//! Several chunks are fetched, inflated and decoded at once; each first gets permits for the bytes
//! it will hold, in order, so that memory is bounded and the next chunk in line is never the one
//! that waits. One chunk is always admitted, however large.
//!
//! A body that is cut, damaged, an error page or of another row count than announced is fetched
//! again. A link that is refused is replaced by a fresh one for the same query id; the statement
//! is never run again. Chunk requests carry the announced headers and never an Authorization.

use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::buffer::Buffer;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::gzip;
use super::http::{Attempt, is_passing, status_error};
use super::session::Session;
use super::statement::{FinishedResult, Inline};
use crate::decode::Decoder;
use crate::{BatchStream, Piece, QueryId, SnowflakeError};

const STEP: &str = "fetch a result chunk";

/// Permits are counted in this many bytes, because a semaphore counts to 2^29 only.
const PERMIT_BYTES: u64 = 64 * 1024;

/// Chunks in work at once; the byte budget is usually reached before.
const CHUNKS_AT_ONCE: usize = 8;

/// Every Arrow stream begins with this marker.
const ARROW_START: [u8; 4] = [0xff; 4];

/// One result that is being read, with its links as fresh as needed.
pub(super) struct OpenResult {
    session: Arc<Session>,
    query: QueryId,
    current: Mutex<Arc<FinishedResult>>,
    /// Lets one task at a time ask for fresh links.
    gate: Semaphore,
    timeout: Duration,
}

impl OpenResult {
    pub(super) fn new(
        session: Arc<Session>,
        query: QueryId,
        result: FinishedResult,
        timeout: Duration,
    ) -> Self {
        let current = Mutex::new(Arc::new(result));
        Self { session, query, current, gate: Semaphore::new(1), timeout }
    }

    pub(super) fn result(&self) -> Arc<FinishedResult> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces links that were refused, unless another task has done so.
    async fn refresh(&self, refused: &Arc<FinishedResult>) -> Result<(), SnowflakeError> {
        let turn = self.gate.acquire().await;
        let _turn = turn.map_err(|_| protocol("the reader is shut down".to_owned()))?;
        if !Arc::ptr_eq(&self.result(), refused) {
            return Ok(());
        }
        let fresh = self.session.result(&self.query, Duration::from_secs(60)).await?;
        let fresh = fresh.ok_or_else(|| protocol("a finished statement runs again".to_owned()))?;
        if fresh.layout != refused.layout {
            return Err(protocol("the result changed its chunks".to_owned()));
        }
        tracing::debug!("fresh links for a result");
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        Ok(())
    }

    /// Fetches and decodes one chunk; chunk 0 is piece 1.
    async fn chunk(
        &self,
        index: usize,
        decoder: &Decoder,
        permit: Permit,
    ) -> Result<Decoded, SnowflakeError> {
        let permit = Mutex::new(Some(permit));
        let retry = &self.session.http.retry;
        retry
            .run(|_| async {
                match self.chunk_once(index, decoder, &permit).await {
                    Ok(Fetched::Decoded(decoded)) => Attempt::Done(Ok(decoded)),
                    Ok(Fetched::Refused(error, links)) => match self.refresh(&links).await {
                        Ok(()) => Attempt::Again(error),
                        Err(error) => Attempt::Done(Err(error)),
                    },
                    Err(error) if may_pass(&error) => Attempt::Again(error),
                    Err(error) => Attempt::Done(Err(error)),
                }
            })
            .await
    }

    async fn chunk_once(
        &self,
        index: usize,
        decoder: &Decoder,
        permit: &Mutex<Option<Permit>>,
    ) -> Result<Fetched, SnowflakeError> {
        self.session.keep_alive().await;
        let links = self.result();
        let link = links.chunks.get(index).ok_or_else(|| protocol(format!("no chunk {index}")))?;
        let url = self.session.http.endpoint.storage_url(STEP, &link.url)?;
        // Storage may send it inflated.
        let expected = link.piece.compressed_bytes.max(link.piece.uncompressed_bytes);
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        let fetch = self.session.http.fetch(url, links.headers.clone(), expected, self.timeout);
        let (status, body) = fetch.await?;
        if !status.is_success() {
            let error = status_error(STEP, status);
            // Storage answers an expired or unreadable link with 403, 400 or 404.
            return match status {
                status if is_passing(status) => Err(error),
                StatusCode::FORBIDDEN | StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => {
                    Ok(Fetched::Refused(error, links))
                }
                _ => Err(error),
            };
        }
        let job = Job {
            what: format!("chunk {index}"),
            query: self.query.clone(),
            piece: link.piece,
            arrow: matches!(links.inline, Inline::Arrow(_)),
            decoder: decoder.clone(),
        };
        drop(links);
        let decoded = off_thread(move || job.run(body)).await?;
        let permit = permit.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(Fetched::Decoded(Decoded { batches: decoded, permit }))
    }

    async fn inline(&self, decoder: &Decoder) -> Result<Decoded, SnowflakeError> {
        let result = self.result();
        let job = Job {
            what: "the inline part".to_owned(),
            query: self.query.clone(),
            piece: result.layout.pieces.first().copied().ok_or_else(no_pieces)?,
            arrow: true,
            decoder: decoder.clone(),
        };
        let batches = off_thread(move || match &result.inline {
            Inline::Arrow(bytes) => job.checked(job.decoder.arrow_stream(bytes.clone())?),
            Inline::Json(bytes) => job.checked(vec![job.decoder.json_rows(bytes)?]),
        })
        .await?;
        Ok(Decoded { batches, permit: None })
    }
}

/// Reads the pieces of `range` in order.
pub(super) fn stream_pieces(
    open: Arc<OpenResult>,
    range: Range<usize>,
    decoder: Decoder,
    budget_bytes: u64,
) -> BatchStream {
    let budget = Arc::new(Budget::new(budget_bytes));
    let result = open.result();
    let admitted = stream::iter(range).then(move |position| {
        let budget = Arc::clone(&budget);
        let piece = result.layout.pieces.get(position).copied();
        async move { (position, budget.admit(piece).await) }
    });
    let tasks = admitted.map(move |(position, permit)| {
        let (open, decoder) = (Arc::clone(&open), decoder.clone());
        // A task of its own, so that the next chunks arrive while the consumer is busy.
        Task(tokio::spawn(async move {
            match position.checked_sub(1) {
                None => open.inline(&decoder).await,
                Some(chunk) => open.chunk(chunk, &decoder, permit).await,
            }
        }))
    });
    let pieces = tasks.buffered(CHUNKS_AT_ONCE);
    let batches = pieces.map_ok(|decoded| {
        let Decoded { batches, permit } = decoded;
        // The permit goes with the piece's last batch.
        stream::iter(batches).map(move |batch| {
            let _held = &permit;
            Ok(batch)
        })
    });
    Box::pin(batches.try_flatten())
}

/// A piece in the form that is handed on.
struct Decoded {
    batches: Vec<RecordBatch>,
    permit: Option<Permit>,
}

enum Fetched {
    Decoded(Decoded),
    /// The storage refused the link; these are the links it belongs to.
    Refused(SnowflakeError, Arc<FinishedResult>),
}

type Permit = OwnedSemaphorePermit;

/// Bytes that may be in flight.
struct Budget {
    permits: Arc<Semaphore>,
    whole: u32,
}

impl Budget {
    fn new(bytes: u64) -> Self {
        let whole = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        let whole = whole.clamp(1, 1 << 28);
        let permits = usize::try_from(whole).unwrap_or(1);
        Self { permits: Arc::new(Semaphore::new(permits)), whole }
    }

    /// Waits until the piece fits; one larger than the budget waits for all of it.
    async fn admit(&self, piece: Option<Piece>) -> Permit {
        let bytes = piece
            .map_or(0, |piece| piece.compressed_bytes.saturating_add(piece.uncompressed_bytes));
        let wanted = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
        let wanted = wanted.clamp(1, self.whole);
        let permits = Arc::clone(&self.permits);
        // The semaphore is never closed.
        match Arc::clone(&permits).acquire_many_owned(wanted).await {
            Ok(permit) => permit,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Reads a body of which nothing was announced and returns its rows.
pub(super) fn decoded_rows(
    arrow: bool,
    decoder: Decoder,
    body: Bytes,
) -> Result<usize, SnowflakeError> {
    let piece = Piece { rows: 0, compressed_bytes: 0, uncompressed_bytes: 0 };
    let job =
        Job { what: "a body".to_owned(), query: QueryId(String::new()), piece, arrow, decoder };
    Ok(job.read(body)?.iter().map(RecordBatch::num_rows).sum())
}

/// What turns one body into batches, on a blocking thread.
struct Job {
    what: String,
    query: QueryId,
    piece: Piece,
    arrow: bool,
    decoder: Decoder,
}

impl Job {
    fn run(&self, body: Bytes) -> Result<Vec<RecordBatch>, SnowflakeError> {
        self.checked(self.read(body)?)
    }

    fn read(&self, body: Bytes) -> Result<Vec<RecordBatch>, SnowflakeError> {
        let plain = if gzip::is_gzip(&body) {
            let hint = usize::try_from(self.piece.uncompressed_bytes).unwrap_or(usize::MAX);
            let limit = gzip::limit(self.piece.uncompressed_bytes, body.len());
            let plain = gzip::inflate(&body, hint, limit);
            drop(body);
            plain.map_err(|reason| protocol(reason.to_owned()))?
        } else {
            Vec::from(body)
        };
        // An error page of the storage service must never be taken for rows.
        let begins_right = match self.arrow {
            true => plain.is_empty() || plain.starts_with(&ARROW_START),
            false => plain.is_empty() || plain.trim_ascii_start().starts_with(b"["),
        };
        if !begins_right {
            return Err(protocol("the body is no result chunk".to_owned()));
        }
        if self.arrow {
            return self.decoder.arrow_stream(Buffer::from_vec(plain));
        }
        // The rows of a JSON chunk come without the outer brackets.
        let mut rows = Vec::with_capacity(plain.len() + 2);
        rows.push(b'[');
        rows.extend_from_slice(&plain);
        rows.push(b']');
        drop(plain);
        Ok(vec![self.decoder.json_rows(&rows)?])
    }

    fn checked(&self, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, SnowflakeError> {
        let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let found = u64::try_from(found).unwrap_or(u64::MAX);
        if found != self.piece.rows {
            return Err(SnowflakeError::RowCount {
                what: self.what.clone(),
                query_id: self.query.0.clone(),
                announced: self.piece.rows,
                found,
            });
        }
        Ok(batches.into_iter().filter(|batch| batch.num_rows() > 0).collect())
    }
}

/// A spawned task that ends when nobody waits for it any more.
struct Task(tokio::task::JoinHandle<Result<Decoded, SnowflakeError>>);

impl Future for Task {
    type Output = Result<Decoded, SnowflakeError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0)
            .poll(context)
            .map(|joined| joined.unwrap_or_else(|_| Err(protocol("the task ended".to_owned()))))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SnowflakeError> + Send + 'static,
) -> Result<T, SnowflakeError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|_| Err(protocol("decoding ended early".to_owned())))
}

/// Damage on the way passes; a value that does not fit stays.
fn may_pass(error: &SnowflakeError) -> bool {
    matches!(
        error,
        SnowflakeError::Unreachable { .. }
            | SnowflakeError::Status { .. }
            | SnowflakeError::RowCount { .. }
            | SnowflakeError::Protocol { .. }
    )
}

fn no_pieces() -> SnowflakeError {
    protocol("the result has no pieces".to_owned())
}

fn protocol(reason: String) -> SnowflakeError {
    SnowflakeError::Protocol { step: STEP.to_owned(), reason }
}
