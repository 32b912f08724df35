//! The blocking side of a part: batches in, bytes of a Parquet file out.

use std::io::{self, Write};
use std::mem;

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::{Bytes, BytesMut};
use parquet::arrow::ArrowWriter;
use sha2::{Digest, Sha256};

use super::layout::{self, SAMPLE_ROWS};
use super::statistics::StatsCollector;
use super::{PartOptions, WrittenPart, encode_error};
use crate::{ObjectKey, StagingError};

/// Rows that are encoded between two looks at the size of the row group. Small enough for a
/// column's values to stay in the processor's cache between statistics and encoding.
const PIECE_ROWS: usize = 8192;

/// Bytes of a piece: the limit for rows so wide that [`PIECE_ROWS`] of them are large.
const PIECE_BYTES: usize = 4 << 20;

/// Bytes handed to the upload at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// Encodes one part. Holds the first rows back until the layout can be decided.
pub(super) struct Encoder {
    key: ObjectKey,
    schema: SchemaRef,
    options: PartOptions,
    statistics: StatsCollector,
    stage: Stage,
    rows: u64,
}

enum Stage {
    Sampling { held: Vec<RecordBatch>, rows: usize, bytes: usize },
    Writing(Box<ArrowWriter<Sink>>),
}

impl Encoder {
    /// Prepares a part; a schema or an option that Parquet cannot hold is found here.
    pub(super) fn new(
        key: &ObjectKey,
        schema: SchemaRef,
        options: PartOptions,
    ) -> Result<Self, StagingError> {
        open_writer(key, &schema, &options, &[])?;
        Ok(Self {
            key: key.clone(),
            statistics: StatsCollector::new(&schema),
            schema,
            options,
            stage: Stage::Sampling { held: Vec::new(), rows: 0, bytes: 0 },
            rows: 0,
        })
    }

    /// Takes a batch and returns the bytes that are ready.
    pub(super) fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<Bytes>, StagingError> {
        let batch = self.conform(batch)?;
        self.rows += batch.num_rows() as u64;
        if let Stage::Sampling { held, rows, bytes } = &mut self.stage {
            *rows += batch.num_rows();
            *bytes += batch_bytes(&batch);
            held.push(batch);
            if *rows < SAMPLE_ROWS && *bytes < self.options.row_group_bytes {
                return Ok(Vec::new());
            }
            self.decide_layout()?;
        } else {
            self.write_pieces(&batch)?;
        }
        Ok(self.take_ready())
    }

    /// Ends the file and returns what it is, with the last bytes.
    pub(super) fn finish(mut self) -> Result<(WrittenPart, Vec<Bytes>), StagingError> {
        if let Stage::Sampling { .. } = self.stage {
            self.decide_layout()?;
        }
        let Stage::Writing(writer) = self.stage else {
            return Err(encode_error(&self.key, "the part was never opened"));
        };
        let sink = writer.into_inner().map_err(|source| encode_error(&self.key, source))?;
        let (size_bytes, sha256, ready) = sink.finish();
        let columns = self.statistics.finish();
        Ok((WrittenPart { rows: self.rows, size_bytes, sha256, columns }, ready))
    }

    /// Checks the batch against the part's schema, so that only data can differ from here on.
    fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, StagingError> {
        let found = batch.schema();
        let (wanted, given) = (self.schema.fields(), found.fields());
        if wanted.len() != given.len() {
            let text = format!("a batch has {} columns, the part {}", given.len(), wanted.len());
            return Err(encode_error(&self.key, text));
        }
        for (wanted, given) in wanted.iter().zip(given) {
            if wanted.name() != given.name() || wanted.data_type() != given.data_type() {
                let text = format!(
                    "a batch has the column {} {} where the part has {} {}",
                    given.name(),
                    given.data_type(),
                    wanted.name(),
                    wanted.data_type()
                );
                return Err(encode_error(&self.key, text));
            }
        }
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        // Also refuses NULLs in a column that is declared without.
        RecordBatch::try_new_with_options(self.schema.clone(), batch.columns().to_vec(), &rows)
            .map_err(|source| encode_error(&self.key, source))
    }

    /// Opens the file with the layout that suits the rows held back, and writes them.
    fn decide_layout(&mut self) -> Result<(), StagingError> {
        let sampling = Stage::Sampling { held: Vec::new(), rows: 0, bytes: 0 };
        let held = match mem::replace(&mut self.stage, sampling) {
            Stage::Sampling { held, .. } => held,
            writing @ Stage::Writing(_) => {
                self.stage = writing;
                return Ok(());
            }
        };
        let writer = open_writer(&self.key, &self.schema, &self.options, &held)?;
        self.stage = Stage::Writing(Box::new(writer));
        held.iter().try_for_each(|batch| self.write_pieces(batch))
    }

    fn write_pieces(&mut self, batch: &RecordBatch) -> Result<(), StagingError> {
        let Stage::Writing(writer) = &mut self.stage else {
            return Err(encode_error(&self.key, "the part was never opened"));
        };
        let row_bytes = batch_bytes(batch).div_ceil(batch.num_rows().max(1)).max(1);
        let piece_rows = (PIECE_BYTES / row_bytes).clamp(1, PIECE_ROWS);
        for start in (0..batch.num_rows()).step_by(piece_rows) {
            let piece = batch.slice(start, piece_rows.min(batch.num_rows() - start));
            self.statistics.add(&piece);
            writer.write(&piece).map_err(|source| encode_error(&self.key, source))?;
            if writer.memory_size() >= self.options.row_group_bytes {
                writer.flush().map_err(|source| encode_error(&self.key, source))?;
            }
        }
        Ok(())
    }

    fn take_ready(&mut self) -> Vec<Bytes> {
        match &mut self.stage {
            Stage::Sampling { .. } => Vec::new(),
            Stage::Writing(writer) => mem::take(&mut writer.inner_mut().ready),
        }
    }
}

fn open_writer(
    key: &ObjectKey,
    schema: &SchemaRef,
    options: &PartOptions,
    sample: &[RecordBatch],
) -> Result<ArrowWriter<Sink>, StagingError> {
    let properties = layout::properties(schema, options.compression_level, sample)
        .map_err(|source| encode_error(key, source))?;
    ArrowWriter::try_new(Sink::default(), schema.clone(), Some(properties))
        .map_err(|source| encode_error(key, source))
}

/// Returns the bytes of the batch's values. Not the size of its buffers: columns read from a
/// stream share one buffer, which would be counted once for each.
fn batch_bytes(batch: &RecordBatch) -> usize {
    let bytes = |column: &dyn Array| column.to_data().get_slice_memory_size().unwrap_or(0);
    batch.columns().iter().map(|column| bytes(column)).sum()
}

/// Collects the bytes of the file in blocks and hashes them on the way.
#[derive(Default)]
struct Sink {
    hash: Sha256,
    size_bytes: u64,
    block: BytesMut,
    ready: Vec<Bytes>,
}

impl Sink {
    fn finish(mut self) -> (u64, String, Vec<Bytes>) {
        if !self.block.is_empty() {
            self.ready.push(self.block.freeze());
        }
        let sha256 = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        (self.size_bytes, sha256, self.ready)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK_BYTES {
            self.ready.push(self.block.split().freeze());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
