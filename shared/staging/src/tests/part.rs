use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::file::reader::{FileReader, SerializedFileReader};
use snowferry_model::fault::{Fault, chain};
use snowferry_model::manifest::StatValue;

use crate::memory::MemoryStaging;
use crate::part::{PartOptions, PartWriter, TEXT_STAT_MAX_BYTES, WrittenPart};
use crate::{ObjectKey, Staging, StagingError};

fn key() -> ObjectKey {
    ObjectKey("acme/T/part-00000.a.parquet".to_owned())
}

fn one_column(column: impl arrow::array::Array + 'static) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("C", Arc::new(column) as ArrayRef, true)]).unwrap()
}

async fn write(
    staging: &MemoryStaging,
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<WrittenPart, StagingError> {
    let mut writer =
        PartWriter::begin(staging, &key(), schema, &PartOptions::default()).await.unwrap();
    for batch in batches {
        writer.write(batch).await?;
    }
    writer.finish().await
}

/// Returns the least and the greatest value of one column written in several batches.
async fn bounds<A: arrow::array::Array + 'static>(columns: Vec<A>) -> [Option<StatValue>; 2] {
    let batches: Vec<RecordBatch> = columns.into_iter().map(one_column).collect();
    let part = write(&MemoryStaging::default(), batches[0].schema(), batches).await.unwrap();
    let [stats] = &part.columns[..] else { panic!("{part:?}") };
    [stats.min.clone(), stats.max.clone()]
}

fn floats<const N: usize>(values: [f64; N]) -> Float64Array {
    Float64Array::from(values.to_vec())
}

#[tokio::test]
async fn a_nan_in_any_batch_takes_the_bounds_away() {
    let with_nan = bounds(vec![floats([1.0, 2.0]), floats([f64::NAN]), floats([3.0])]).await;
    assert_eq!(with_nan, [None, None]);
    let without = bounds(vec![floats([1.0, f64::INFINITY]), floats([-3.0])]).await;
    assert_eq!(without, [Some(StatValue::Float(-3.0)), Some(StatValue::Float(f64::INFINITY))]);
}

#[tokio::test]
async fn zero_bounds_hold_for_both_zeros() {
    for zeros in [[0.0, 0.0], [-0.0, -0.0], [0.0, -0.0]] {
        let [Some(StatValue::Float(min)), Some(StatValue::Float(max))] =
            bounds(vec![floats(zeros)]).await
        else {
            panic!("no bounds");
        };
        assert_eq!((min.to_bits(), max.to_bits()), ((-0.0_f64).to_bits(), 0.0_f64.to_bits()));
    }
}

#[tokio::test]
async fn a_text_too_long_to_be_a_bound_takes_only_its_own_bound_away() {
    let longest = "y".repeat(TEXT_STAT_MAX_BYTES);
    let texts = |texts: [&str; 2]| StringArray::from(texts.to_vec());
    let text = |text: &str| Some(StatValue::Text(text.to_owned()));
    assert_eq!(bounds(vec![texts(["a", &longest])]).await, [text("a"), text(&longest)]);
    let too_long = format!("{longest}y");
    assert_eq!(bounds(vec![texts(["a", "b"]), texts(["c", &too_long])]).await, [text("a"), None]);
}

#[tokio::test]
async fn an_empty_part_is_a_file_without_rows() {
    let staging = MemoryStaging::default();
    let schema = Arc::new(Schema::new(vec![Field::new("C", DataType::Int64, true)]));
    let part = write(&staging, schema, vec![]).await.unwrap();
    let body = staging.get(&key()).await.unwrap().unwrap();
    assert_eq!((part.rows, part.size_bytes), (0, body.len() as u64));
    assert_eq!((part.columns[0].nulls, &part.columns[0].min), (0, &None));
    let file = SerializedFileReader::new(body).unwrap();
    assert_eq!(file.metadata().file_metadata().num_rows(), 0);
}

#[tokio::test]
async fn a_batch_with_other_columns_is_refused_by_name_and_ends_the_part() {
    let staging = MemoryStaging::default();
    let numbers = one_column(Int64Array::from(vec![1, 2]));
    let texts = one_column(StringArray::from(vec!["1", "2"]));
    let schema = numbers.schema();
    let options = PartOptions::default();
    let mut writer = PartWriter::begin(&staging, &key(), schema, &options).await.unwrap();
    writer.write(numbers.clone()).await.unwrap();
    writer.write(texts).await.unwrap();
    let error = writer.write(numbers.clone()).await.unwrap_err();
    assert_eq!(error.code(), "STAGING_ENCODE");
    assert_eq!(
        chain(&error),
        "write acme/T/part-00000.a.parquet as Parquet: \
         a batch has the column C Utf8 where the part has C Int64"
    );
    assert!(writer.write(numbers).await.is_err(), "went on after a failure");
    assert!(writer.finish().await.is_err(), "finished after a failure");
    assert_eq!((staging.keys(), staging.open_uploads()), (vec![], 0));
}

#[tokio::test]
async fn nulls_in_a_column_declared_without_are_refused() {
    let schema = Arc::new(Schema::new(vec![Field::new("C", DataType::Int64, false)]));
    let nulls = one_column(Int64Array::from(vec![Some(1), None]));
    let error = write(&MemoryStaging::default(), schema, vec![nulls]).await.unwrap_err();
    assert_eq!(error.code(), "STAGING_ENCODE");
}

#[tokio::test]
async fn a_level_that_zstd_does_not_have_is_an_error_before_anything_is_written() {
    let staging = MemoryStaging::default();
    let options = PartOptions { compression_level: 99, ..PartOptions::default() };
    let schema = one_column(Int64Array::from(vec![1])).schema();
    let error = PartWriter::begin(&staging, &key(), schema, &options).await.unwrap_err();
    assert_eq!((error.code(), staging.open_uploads()), ("STAGING_ENCODE", 0));
}

#[tokio::test]
async fn dropping_the_writer_at_work_aborts_the_upload() {
    let staging = MemoryStaging::default();
    let batch = one_column(Int64Array::from_iter_values(0..100_000));
    let options = PartOptions::default();
    let mut writer = PartWriter::begin(&staging, &key(), batch.schema(), &options).await.unwrap();
    writer.write(batch.clone()).await.unwrap();
    writer.write(batch).await.unwrap();
    drop(writer);
    assert_eq!((staging.keys(), staging.open_uploads()), (vec![], 0));
}

#[tokio::test]
async fn only_values_that_repeat_get_a_dictionary() {
    let rows = 0..40_000_i64;
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("DISTINCT_INT", int(rows.clone().map(|row| row * 7919 % 1_000_003)), true),
        ("SORTED_IN_RUNS", int(rows.clone().map(|row| row / 4)), true),
        ("REPEATED_INT", int(rows.clone().map(|row| row % 50 * 1_000_000_007)), true),
        ("DISTINCT_TEXT", text(rows.clone()), true),
        ("REPEATED_TEXT", text(rows.map(|row| row % 100)), true),
    ])
    .unwrap();
    let staging = MemoryStaging::default();
    write(&staging, batch.schema(), vec![batch]).await.unwrap();
    let file = SerializedFileReader::new(body(&staging).await).unwrap();
    let columns = file.metadata().row_group(0).columns();
    let encodings: Vec<BTreeSet<Encoding>> =
        columns.iter().map(|column| column.encodings().collect()).collect();
    let holds = |column: usize, encoding| encodings[column].contains(&encoding);
    for (column, dictionary) in [false, false, true, false, true].into_iter().enumerate() {
        assert_eq!(
            holds(column, Encoding::RLE_DICTIONARY),
            dictionary,
            "{}",
            columns[column].column_path()
        );
    }
    assert!(holds(0, Encoding::DELTA_BINARY_PACKED) && holds(1, Encoding::DELTA_BINARY_PACKED));
    assert!(holds(3, Encoding::DELTA_LENGTH_BYTE_ARRAY));
}

async fn body(staging: &MemoryStaging) -> Bytes {
    staging.get(&key()).await.unwrap().unwrap()
}

fn int(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn text(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values.map(|value| format!("text number {value}"))))
}
