//! Batches → one Parquet object, with exact statistics, in bounded memory.
//!
//! [`PartWriter::write`] hands a batch to a blocking thread and returns; while that batch is being
//! encoded the caller prepares the next one. A `write` first waits for the batch before it and
//! moves the bytes that came out of it to the upload, so at most one batch, one open row group and
//! the bytes of one finished row group are held. Nothing is visible before
//! [`PartWriter::finish`]; dropping the writer at any point aborts the upload.
//!
//! How a column is encoded is decided once, from a sample of its first rows (see `layout`).
//!
//! **Invariant:** the statistics in [`WrittenPart::columns`] are computed from the very batches
//! that are encoded, never rounded or shortened. A bound that cannot be given exactly is absent.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use snowferry_model::manifest::ColumnStats;
use tokio::task::JoinHandle;

use crate::{ObjectKey, Staging, StagingError, Upload};

mod encoder;
mod layout;
mod statistics;

use encoder::Encoder;
pub use statistics::TEXT_STAT_MAX_BYTES;

/// How a part is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartOptions {
    /// Size in memory at which a row group ends, in bytes. Pages in it are already compressed.
    pub row_group_bytes: usize,
    /// Level of zstd, 1 to 22.
    pub compression_level: i32,
}

impl Default for PartOptions {
    /// Row groups of 32 MiB, zstd at level 1.
    fn default() -> Self {
        Self { row_group_bytes: 32 << 20, compression_level: 1 }
    }
}

/// What a finished part is.
#[derive(Clone, Debug, PartialEq)]
pub struct WrittenPart {
    /// Rows in the object.
    pub rows: u64,
    /// Size of the object.
    pub size_bytes: u64,
    /// SHA-256 of the object in lower-case hexadecimal.
    pub sha256: String,
    /// Statistics of each column in schema order.
    pub columns: Vec<ColumnStats>,
}

/// Writes one Parquet object.
pub struct PartWriter {
    key: ObjectKey,
    upload: Box<dyn Upload>,
    state: State,
}

/// Where the encoder is.
enum State {
    Idle(Box<Encoder>),
    Busy(JoinHandle<Result<Turn, StagingError>>),
    /// A step failed, or its future was dropped: bytes may be lost, so nothing may follow.
    Broken,
}

/// The encoder back from a blocking thread, with the bytes that are ready for the upload.
struct Turn {
    encoder: Box<Encoder>,
    ready: Vec<Bytes>,
}

impl std::fmt::Debug for PartWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartWriter").field("key", &self.key).finish_non_exhaustive()
    }
}

impl PartWriter {
    /// Begins a part of that schema.
    ///
    /// # Errors
    /// Those of [`Staging::begin`], and [`StagingError::Encode`] when the options or a type of the
    /// schema are not possible in Parquet.
    pub async fn begin(
        staging: &dyn Staging,
        key: &ObjectKey,
        schema: SchemaRef,
        options: &PartOptions,
    ) -> Result<Self, StagingError> {
        let encoder = Encoder::new(key, schema, *options)?;
        let upload = staging.begin(key).await?;
        Ok(Self { key: key.clone(), upload, state: State::Idle(Box::new(encoder)) })
    }

    /// Adds rows. An error of an earlier batch may come out here or in [`PartWriter::finish`];
    /// after any error the part can only be dropped.
    ///
    /// # Errors
    /// [`StagingError::Encode`] when the batch has other columns than the part, otherwise those of
    /// [`Upload::write`].
    pub async fn write(&mut self, batch: RecordBatch) -> Result<(), StagingError> {
        let mut encoder = self.idle_encoder().await?;
        self.state = State::Busy(tokio::task::spawn_blocking(move || {
            let ready = encoder.encode(&batch)?;
            Ok(Turn { encoder, ready })
        }));
        Ok(())
    }

    /// Ends the object and makes it visible.
    ///
    /// # Errors
    /// As [`PartWriter::write`], and those of [`Upload::finish`].
    pub async fn finish(mut self) -> Result<WrittenPart, StagingError> {
        let encoder = self.idle_encoder().await?;
        let key = self.key.clone();
        let (part, ready) = tokio::task::spawn_blocking(move || encoder.finish())
            .await
            .map_err(|lost| encode_error(&key, lost))??;
        for block in ready {
            self.upload.write(block).await?;
        }
        self.upload.finish().await?;
        Ok(part)
    }

    /// Waits for the batch in work, if any, and uploads what came out of it.
    async fn idle_encoder(&mut self) -> Result<Box<Encoder>, StagingError> {
        // The handle stays in place while it is awaited, so a dropped future loses nothing.
        let finished = match &mut self.state {
            State::Busy(running) => Some(running.await),
            State::Idle(_) | State::Broken => None,
        };
        match (std::mem::replace(&mut self.state, State::Broken), finished) {
            (_, Some(turn)) => {
                let turn = turn.map_err(|lost| encode_error(&self.key, lost))??;
                for block in turn.ready {
                    self.upload.write(block).await?;
                }
                Ok(turn.encoder)
            }
            (State::Idle(encoder), None) => Ok(encoder),
            (State::Busy(_) | State::Broken, None) => {
                Err(encode_error(&self.key, "an earlier step of this part did not succeed"))
            }
        }
    }
}

fn encode_error(
    key: &ObjectKey,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StagingError {
    StagingError::Encode { key: key.0.clone(), source: source.into() }
}
