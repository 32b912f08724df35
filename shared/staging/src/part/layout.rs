//! How each column is encoded: a dictionary only where values repeat.
//!
//! A dictionary hashes every value; where values are mostly distinct it costs half of the time of
//! writing and makes the file larger. The share of distinct values in a sample of the first rows
//! decides for the whole part. Without a dictionary, and after one has grown too large, integers
//! are written as bit-packed differences and text as lengths and bytes, which compress better than
//! plain values and are read by every Parquet reader of today.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// Rows that are looked at before the layout is decided.
pub(super) const SAMPLE_ROWS: usize = 8192;

/// Text gets a dictionary while at most one value in this many is distinct: an index is much
/// shorter than a text.
const TEXT_REPEATS: usize = 2;

/// The same for numbers, whose bit-packed differences are nearly as short as an index.
const NUMBER_REPEATS: usize = 5;

/// Returns the properties that suit the rows of `sample`.
pub(super) fn properties(
    schema: &Schema,
    compression_level: i32,
    sample: &[RecordBatch],
) -> Result<WriterProperties, ParquetError> {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("snowferry ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(compression_level)?));
    for (index, field) in schema.fields().iter().enumerate() {
        builder = match field.data_type() {
            DataType::List(element) => {
                let path = vec![field.name().clone(), "list".to_owned(), element.name().clone()];
                without_dictionary(builder, ColumnPath::new(path), element.data_type())
            }
            data_type => {
                let path = ColumnPath::new(vec![field.name().clone()]);
                if values_repeat(data_type, sample, index)? {
                    with_dictionary(builder, path, data_type)
                } else {
                    without_dictionary(builder, path, data_type)
                }
            }
        };
    }
    Ok(builder.build())
}

fn with_dictionary(
    builder: WriterPropertiesBuilder,
    path: ColumnPath,
    data_type: &DataType,
) -> WriterPropertiesBuilder {
    // The encoding is used from the page on with which the dictionary has become too large.
    let builder = match encoding(data_type) {
        Some(encoding) => builder.set_column_encoding(path.clone(), encoding),
        None => builder,
    };
    builder.set_column_dictionary_enabled(path, true)
}

fn without_dictionary(
    builder: WriterPropertiesBuilder,
    path: ColumnPath,
    data_type: &DataType,
) -> WriterPropertiesBuilder {
    with_dictionary(builder, path.clone(), data_type).set_column_dictionary_enabled(path, false)
}

/// Returns the encoding of values outside a dictionary; `None`: plain.
fn encoding(data_type: &DataType) -> Option<Encoding> {
    match data_type {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Date32
        | DataType::Timestamp(_, _)
        // Decimals of up to 18 digits are stored as integers.
        | DataType::Decimal128(..=18, _) => Some(Encoding::DELTA_BINARY_PACKED),
        DataType::Utf8 | DataType::Binary => Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        _ => None,
    }
}

/// Returns whether the sample has few distinct values. Without a value to look at, a dictionary
/// does no harm.
fn values_repeat(
    data_type: &DataType,
    sample: &[RecordBatch],
    index: usize,
) -> Result<bool, ArrowError> {
    let repeats = match data_type {
        DataType::Boolean => return Ok(false),
        DataType::Utf8 | DataType::Binary => TEXT_REPEATS,
        _ => NUMBER_REPEATS,
    };
    let total: usize = sample.iter().map(RecordBatch::num_rows).sum();
    let stride = (total / SAMPLE_ROWS).max(1);
    let converter = RowConverter::new(vec![SortField::new(data_type.clone())])?;
    let hashing = RandomState::new();
    let (mut values, mut distinct) = (0, HashSet::new());
    for column in sample.iter().filter_map(|batch| batch.columns().get(index)) {
        let column = every_nth(column, stride)?;
        let rows = converter.convert_columns(std::slice::from_ref(&column))?;
        for (position, row) in rows.iter().enumerate() {
            if column.is_valid(position) {
                values += 1;
                let mut hasher = hashing.build_hasher();
                hasher.write(row.as_ref());
                distinct.insert(hasher.finish());
            }
        }
    }
    Ok(distinct.len() * repeats <= values)
}

/// Rows that lie apart tell more than the first ones: sorted columns repeat among neighbours.
fn every_nth(column: &ArrayRef, stride: usize) -> Result<ArrayRef, ArrowError> {
    if stride == 1 {
        return Ok(column.clone());
    }
    let positions = (0..column.len()).step_by(stride).filter_map(|at| u32::try_from(at).ok());
    take(column, &UInt32Array::from_iter_values(positions), None)
}
