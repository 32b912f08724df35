//! Parquet files of a table: read in a stream and by column, checked against the table's types,
//! and written with exact statistics.
//!
//! Types are compared as the Parquet file itself declares them, without the Arrow schema that a
//! writer may have embedded: that is what every other reader of the table sees.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use roaring::RoaringTreemap;

use super::statistics::Collector;
use crate::BoxError;
use crate::columns::conform;

/// Rows of one batch that is read.
const BATCH_ROWS: usize = 8192;

/// A row group is closed when this much of it is encoded, to bound the writer's memory.
const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// A Parquet file that is being read.
#[derive(Debug)]
pub(super) struct ParquetFile {
    file: File,
    metadata: ArrowReaderMetadata,
}

impl ParquetFile {
    /// Opens a file and reads its footer.
    pub(super) fn open(path: &Path) -> Result<Self, BoxError> {
        let file = File::open(path)?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(&file, options)?;
        Ok(Self { file, metadata })
    }

    /// Returns the number of rows that the footer tells.
    pub(super) fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Returns the footer.
    pub(super) fn footer(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// Tests that the file has exactly these columns in this order, with exactly these types.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), BoxError> {
        let found = self.metadata.schema().fields();
        if found.len() != schema.fields().len() {
            let (found, wanted) = (found.len(), schema.fields().len());
            return Err(format!("it has {found} columns, the plan has {wanted}").into());
        }
        for (found, wanted) in found.iter().zip(schema.fields()) {
            if found.name() != wanted.name() || !same_type(found.data_type(), wanted.data_type()) {
                return Err(format!(
                    "column {} is {}, the plan has {} as {}",
                    found.name(),
                    found.data_type(),
                    wanted.name(),
                    wanted.data_type()
                )
                .into());
            }
        }
        Ok(())
    }

    /// Reads the wanted columns, of all rows or of the rows at these positions, in their order.
    ///
    /// A column that the file does not have is NULL.
    pub(super) fn batches(
        &self,
        wanted: &SchemaRef,
        positions: Option<&RoaringTreemap>,
    ) -> Result<Batches, BoxError> {
        let mut supplied = Vec::new();
        let mut roots = Vec::new();
        for (index, found) in self.metadata.schema().fields().iter().enumerate() {
            let Ok(field) = wanted.field_with_name(found.name()) else {
                supplied.push(Arc::clone(found));
                continue;
            };
            if !same_type(found.data_type(), field.data_type()) {
                let (name, found, wanted) = (found.name(), found.data_type(), field.data_type());
                return Err(format!("column {name} is {found}, the table has {wanted}").into());
            }
            let nullable = found.is_nullable();
            supplied.push(Arc::new(Field::new(found.name(), field.data_type().clone(), nullable)));
            roots.push(index);
        }
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(supplied)));
        let footer = Arc::clone(self.metadata.metadata());
        let metadata = ArrowReaderMetadata::try_new(footer, options)?;
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots);
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.try_clone()?, metadata)
                .with_batch_size(BATCH_ROWS)
                .with_projection(mask);
        if let Some(positions) = positions {
            builder = builder.with_row_selection(selection(positions, self.rows())?);
        }
        Ok(Batches { reader: builder.build()?, wanted: Arc::clone(wanted) })
    }
}

/// Returns whether values pass from one type to the other unchanged. Names of list elements
/// differ between writers and mean nothing.
fn same_type(found: &DataType, wanted: &DataType) -> bool {
    match (found, wanted) {
        (DataType::List(found), DataType::List(wanted)) => {
            same_type(found.data_type(), wanted.data_type())
        }
        _ => found == wanted,
    }
}

/// Turns row positions into the reader's alternation of rows to skip and rows to read.
fn selection(positions: &RoaringTreemap, rows: u64) -> Result<RowSelection, BoxError> {
    let mut selectors: Vec<RowSelector> = Vec::new();
    let mut next = 0_u64;
    for position in positions {
        if position > next {
            selectors.push(RowSelector::skip(usize::try_from(position - next)?));
        }
        selectors.push(RowSelector::select(1));
        next = position + 1;
    }
    if rows > next {
        selectors.push(RowSelector::skip(usize::try_from(rows - next)?));
    }
    Ok(RowSelection::from(selectors))
}

/// The batches of a file, in the wanted columns and their order.
pub(super) struct Batches {
    reader: ParquetRecordBatchReader,
    wanted: SchemaRef,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, BoxError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.reader.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error.into())),
        };
        let conformed = conform(&batch, &self.wanted);
        Some(conformed.map_err(Into::into))
    }
}

/// A file that has been written and synced, but is in no commit yet.
#[derive(Clone, Debug)]
pub(super) struct WrittenFile {
    /// Its name in the table's folder.
    pub(super) name: String,
    /// Rows, at least one.
    pub(super) rows: u64,
    /// Size.
    pub(super) size_bytes: u64,
    /// The `stats` text of its `add` action.
    pub(super) stats: String,
}

/// A Parquet file that is being written into a table's folder.
pub(super) struct FileWriter {
    writer: ArrowWriter<File>,
    collector: Collector,
    path: PathBuf,
    name: String,
}

impl FileWriter {
    /// Creates a file whose columns are encoded as those of `like`.
    pub(super) fn create(
        folder: &Path,
        name: &str,
        schema: &SchemaRef,
        like: &ParquetMetaData,
    ) -> Result<Self, BoxError> {
        let path = folder.join(name);
        let file = File::options().write(true).create_new(true).open(&path)?;
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties(like)?))?;
        let collector = Collector::new(Arc::clone(schema));
        Ok(Self { writer, collector, path, name: name.to_owned() })
    }

    /// Adds a batch.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), BoxError> {
        self.collector.add(batch);
        self.writer.write(batch)?;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Finishes the file and brings it safely to disk. A file without rows is removed again.
    pub(super) fn finish(mut self) -> Result<Option<WrittenFile>, BoxError> {
        self.writer.finish()?;
        let rows = self.collector.rows();
        if rows == 0 {
            std::fs::remove_file(&self.path)?;
            return Ok(None);
        }
        let file = self.writer.inner();
        file.sync_all()?;
        let size_bytes = file.metadata()?.len();
        let stats = self.collector.to_json();
        Ok(Some(WrittenFile { name: self.name, rows, size_bytes, stats }))
    }
}

/// Chooses each column's encoding as its first writer did, who had seen the values.
fn properties(like: &ParquetMetaData) -> Result<WriterProperties, BoxError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_created_by(concat!("snowferry ", env!("CARGO_PKG_VERSION")).to_owned());
    let Some(group) = like.row_groups().first() else { return Ok(properties.build()) };
    for column in group.columns() {
        let path = column.column_path().clone();
        let has = |encoding| column.encodings().any(|found| found == encoding);
        if has(Encoding::RLE_DICTIONARY) || has(Encoding::PLAIN_DICTIONARY) {
            continue;
        }
        properties = properties.set_column_dictionary_enabled(path.clone(), false);
        let delta = [
            Encoding::DELTA_BINARY_PACKED,
            Encoding::DELTA_LENGTH_BYTE_ARRAY,
            Encoding::DELTA_BYTE_ARRAY,
            Encoding::BYTE_STREAM_SPLIT,
        ];
        if let Some(encoding) = delta.into_iter().find(|encoding| has(*encoding)) {
            properties = properties.set_column_encoding(path, encoding);
        }
    }
    Ok(properties.build())
}
