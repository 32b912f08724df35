//! Encodes a stream of rows: the first ones inline, the rest into gzip chunks on disk.
//!
//! Chunks grow as the real server's do: the first is a sixteenth of the largest, each next one
//! twice its predecessor. Their size is aimed at after compression, from the ratio of the chunk
//! before. While one chunk is encoded and compressed on a blocking thread, the rows of the next
//! arrive; there is never a third.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, LargeStringArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Decimal128Type, DecimalType};
use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};
use tokio::task::JoinHandle;

use super::format::Format;
use super::stored::{ResultFolder, StoredChunk, StoredResult};
use crate::session::random_text;
use crate::types::Column;
use crate::wire::WireError;
use crate::wire::arrow_stream::{StreamStyle, encode_stream};
use crate::wire::carrier::normalise;
use crate::wire::json_rows::encode_rows;
use crate::wire::physical::{Dialect, dialect_of};

/// Why a result could not be stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The rows could not be encoded.
    #[error("encode the result")]
    Encode(#[source] WireError),
    /// A file could not be written.
    #[error("write result chunk {chunk}")]
    Write {
        /// Its number.
        chunk: usize,
        /// The file system's word.
        source: std::io::Error,
    },
    /// The compressor found its output buffer too small, which its own bound rules out.
    #[error("compress result chunk {chunk}")]
    Compress {
        /// Its number.
        chunk: usize,
    },
    /// The encoding thread did not come back.
    #[error("encode the result on its thread")]
    Thread(#[source] tokio::task::JoinError),
}

/// Sizes of the parts of a result.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartSizes {
    /// Most rows of the inline part.
    pub(crate) inline_rows: usize,
    /// Size of a full-grown chunk, compressed.
    pub(crate) chunk_bytes: usize,
    /// Most rows in one record batch of a stream.
    pub(crate) batch_rows: usize,
}

/// Most bytes of the inline part before encoding: it travels as base64 inside JSON.
const INLINE_BYTES: usize = 4 << 20;
/// The first chunk is this fraction of a full-grown one.
const FIRST_CHUNK_FRACTION: usize = 16;
/// The compression ratio assumed before the first chunk is known.
const ASSUMED_RATIO: usize = 3;
/// Beyond this ratio a chunk does not grow any more, so that memory stays bounded.
const HIGHEST_RATIO: usize = 4;
/// The quickest level that compresses at all; level 0 only stores.
const GZIP_LEVEL: i32 = 1;

/// Takes rows and leaves a [`StoredResult`].
pub(crate) struct ResultWriter {
    columns: Arc<[Column]>,
    format: Format,
    sizes: PartSizes,
    parent: PathBuf,
    folder: Option<Arc<ResultFolder>>,
    buffered: Vec<RecordBatch>,
    buffered_rows: usize,
    buffered_bytes: usize,
    inline: Option<Vec<RecordBatch>>,
    chunks: Vec<StoredChunk>,
    in_flight: Option<JoinHandle<Result<StoredChunk, StoreError>>>,
    started_chunks: usize,
    total_rows: usize,
}

impl ResultWriter {
    /// Starts a result of `columns` whose chunks go into a folder of their own inside `parent`.
    pub(crate) fn new(
        columns: Arc<[Column]>,
        format: Format,
        sizes: PartSizes,
        parent: &Path,
    ) -> Self {
        Self {
            columns,
            format,
            sizes,
            parent: parent.to_owned(),
            folder: None,
            buffered: Vec::new(),
            buffered_rows: 0,
            buffered_bytes: 0,
            inline: None,
            chunks: Vec::new(),
            in_flight: None,
            started_chunks: 0,
            total_rows: 0,
        }
    }

    /// Takes one batch of rows.
    ///
    /// # Errors
    /// [`StoreError`]; the result is then of no use.
    pub(crate) async fn push(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let batch = normalise(&self.columns, batch).map_err(StoreError::Encode)?;
        self.total_rows += batch.num_rows();
        let mut offset = 0;
        while offset < batch.num_rows() {
            let rest = batch.slice(offset, batch.num_rows() - offset);
            let rows = self.room_for(&rest);
            let part = rest.slice(0, rows);
            self.buffered_bytes += estimated_bytes(&part);
            self.buffered_rows += rows;
            self.buffered.push(part);
            offset += rows;
            if self.is_full() {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Encodes what is left and returns the whole.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn finish(mut self) -> Result<StoredResult, StoreError> {
        if self.buffered_rows > 0 {
            self.flush().await?;
        }
        self.land().await?;
        let columns = Arc::clone(&self.columns);
        let batches = self.inline.take().unwrap_or_default();
        let style = StreamStyle {
            dialect: dialect_of(&columns, self.total_rows),
            batch_rows: self.sizes.batch_rows,
        };
        let format = self.format;
        let inline = tokio::task::spawn_blocking(move || encode(format, &columns, &batches, style))
            .await
            .map_err(StoreError::Thread)?
            .map_err(StoreError::Encode)?;
        Ok(StoredResult {
            columns: self.columns,
            format: self.format,
            inline: Bytes::from(inline),
            chunks: self.chunks.into(),
            total_rows: self.total_rows,
            folder: self.folder,
            chunk_key: random_text(32).into(),
        })
    }

    /// How many of the rows still fit into the current part; at least one.
    fn room_for(&self, rest: &RecordBatch) -> usize {
        let row_bytes = (estimated_bytes(rest) / rest.num_rows().max(1)).max(1);
        let free = self.target_bytes().saturating_sub(self.buffered_bytes);
        let by_bytes = free.div_ceil(row_bytes);
        let by_rows = self.target_rows().saturating_sub(self.buffered_rows);
        by_bytes.min(by_rows).clamp(1, rest.num_rows())
    }

    fn is_full(&self) -> bool {
        self.buffered_bytes >= self.target_bytes() || self.buffered_rows >= self.target_rows()
    }

    fn is_inline(&self) -> bool {
        self.inline.is_none() && self.sizes.inline_rows > 0
    }

    fn target_rows(&self) -> usize {
        if self.is_inline() { self.sizes.inline_rows } else { usize::MAX }
    }

    fn target_bytes(&self) -> usize {
        if self.is_inline() {
            return INLINE_BYTES;
        }
        let largest = self.sizes.chunk_bytes.max(1);
        let grown = (largest / FIRST_CHUNK_FRACTION)
            .max(1)
            .saturating_mul(1 << self.started_chunks.min(FIRST_CHUNK_FRACTION));
        let ratio = self.chunks.last().map_or(ASSUMED_RATIO, |chunk| {
            chunk.uncompressed_bytes / chunk.compressed_bytes.max(1)
        });
        grown.min(largest).saturating_mul(ratio.clamp(1, HIGHEST_RATIO))
    }

    /// Closes the current part: keeps it as the inline part, or sends it off as a chunk.
    async fn flush(&mut self) -> Result<(), StoreError> {
        let batches = std::mem::take(&mut self.buffered);
        let rows = std::mem::take(&mut self.buffered_rows);
        self.buffered_bytes = 0;
        if self.is_inline() {
            self.inline = Some(batches);
            return Ok(());
        }
        self.land().await?;
        let chunk = self.started_chunks;
        let folder = match &self.folder {
            Some(folder) => Arc::clone(folder),
            None => Arc::new(
                ResultFolder::create(&self.parent)
                    .map_err(|source| StoreError::Write { chunk, source })?,
            ),
        };
        self.folder = Some(Arc::clone(&folder));
        self.started_chunks += 1;
        let work = ChunkWork {
            columns: Arc::clone(&self.columns),
            format: self.format,
            batch_rows: self.sizes.batch_rows,
            batches,
            rows,
            path: folder.chunk_path(chunk),
            chunk,
        };
        self.in_flight = Some(tokio::task::spawn_blocking(move || work.run()));
        Ok(())
    }

    /// Waits for the chunk that is being encoded.
    async fn land(&mut self) -> Result<(), StoreError> {
        if let Some(handle) = self.in_flight.take() {
            self.chunks.push(handle.await.map_err(StoreError::Thread)??);
        }
        Ok(())
    }
}

/// Everything a blocking thread needs to make one chunk.
struct ChunkWork {
    columns: Arc<[Column]>,
    format: Format,
    batch_rows: usize,
    batches: Vec<RecordBatch>,
    rows: usize,
    path: PathBuf,
    chunk: usize,
}

impl ChunkWork {
    fn run(self) -> Result<StoredChunk, StoreError> {
        let style = StreamStyle { dialect: Dialect::Warehouse, batch_rows: self.batch_rows };
        let plain =
            encode(self.format, &self.columns, &self.batches, style).map_err(StoreError::Encode)?;
        let chunk = self.chunk;
        let packed = gzip(&plain).ok_or(StoreError::Compress { chunk })?;
        std::fs::write(&self.path, &packed)
            .map_err(|source| StoreError::Write { chunk, source })?;
        Ok(StoredChunk {
            rows: self.rows,
            uncompressed_bytes: plain.len(),
            compressed_bytes: packed.len(),
        })
    }
}

fn encode(
    format: Format,
    columns: &[Column],
    batches: &[RecordBatch],
    style: StreamStyle,
) -> Result<Vec<u8>, WireError> {
    match format {
        Format::Json => encode_rows(columns, batches),
        // An empty Arrow result has no stream at all; its columns stand in `rowtype`.
        Format::Arrow if batches.is_empty() => Ok(Vec::new()),
        Format::Arrow => encode_stream(columns, batches, style),
    }
}

fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let level = CompressionLvl::new(GZIP_LEVEL).unwrap_or_default();
    let mut compressor = Compressor::new(level);
    let mut packed = vec![0; compressor.gzip_compress_bound(plain.len())];
    let length = compressor.gzip_compress(plain, &mut packed).ok()?;
    packed.truncate(length);
    Some(packed)
}

/// Roughly the bytes a batch will take before compression.
fn estimated_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(column_bytes).sum()
}

fn column_bytes(array: &ArrayRef) -> usize {
    let span = |first: Option<i64>, last: Option<i64>| {
        let bytes = last.unwrap_or_default() - first.unwrap_or_default();
        usize::try_from(bytes).unwrap_or_default() + 4 * array.len()
    };
    if let Some(texts) = array.as_any().downcast_ref::<StringArray>() {
        let offsets = texts.value_offsets();
        return span(
            offsets.first().map(|offset| i64::from(*offset)),
            offsets.last().map(|offset| i64::from(*offset)),
        );
    }
    if let Some(texts) = array.as_any().downcast_ref::<LargeStringArray>() {
        return span(texts.value_offsets().first().copied(), texts.value_offsets().last().copied());
    }
    if let Some(binary) = array.as_any().downcast_ref::<BinaryArray>() {
        let offsets = binary.value_offsets();
        return span(
            offsets.first().map(|offset| i64::from(*offset)),
            offsets.last().map(|offset| i64::from(*offset)),
        );
    }
    let width = match array.data_type() {
        DataType::Boolean => 1,
        DataType::Decimal128(precision, _) if *precision <= Decimal128Type::MAX_PRECISION / 2 => 4,
        DataType::FixedSizeList(_, length) => 4 * usize::try_from(*length).unwrap_or(1),
        DataType::Decimal256(..) => 12,
        _ => 8,
    };
    width * array.len()
}
