//! A part of every staged type, written, read back and counted again by hand.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Builder,
    Float64Array, Int16Array, Int64Array, ListBuilder, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};
use snowferry_model::manifest::{ColumnStats, StatValue};

use crate::Staging;
use crate::part::{PartOptions, PartWriter};

const ROWS: i64 = 20_000;

/// Every staged type over several row groups comes back equal, and what the writer says of the
/// object is true.
pub async fn a_part_reads_back_equal_with_exact_statistics(staging: &dyn Staging) {
    let key = super::key("part/part-00000.a.parquet");
    let rows = batch(0..ROWS);
    let options = PartOptions { row_group_bytes: 1 << 18, ..PartOptions::default() };
    let mut writer =
        PartWriter::begin(staging, &key, rows.schema(), &options).await.expect("begin");
    for (start, length) in [(0, 0), (0, 3000), (3000, 1), (3001, 11_999), (15_000, 5000)] {
        writer.write(rows.slice(start, length)).await.expect("write");
    }
    assert_eq!(staging.get(&key).await.expect("read"), None, "visible before it is finished");
    let part = writer.finish().await.expect("finish");

    let body = staging.get(&key).await.expect("read").expect("the part is there");
    assert_eq!(part.rows, ROWS as u64);
    assert_eq!(part.size_bytes, body.len() as u64);
    let hash: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(part.sha256, hash);
    let reader = ParquetRecordBatchReaderBuilder::try_new(body).expect("open the part");
    assert!(reader.metadata().num_row_groups() > 1, "the row groups are not bounded");
    let batches: Vec<RecordBatch> =
        reader.build().expect("read").collect::<Result<_, _>>().expect("read");
    let back = concat_batches(&rows.schema(), &batches).expect("the schema is the same");
    assert!(back == rows, "the part differs from what was written");
    assert_eq!(part.columns, expected());
}

fn int(row: i64) -> Option<i64> {
    match row {
        17 => Some(i64::MIN),
        19_000 => Some(i64::MAX),
        _ => (row % 7 != 0).then_some((1 << 53) + row),
    }
}

fn wide(row: i64) -> Option<i128> {
    let nines = 10_i128.pow(38) - 1;
    match row {
        1 => Some(-nines),
        2 => Some(nines),
        _ => (row % 3 != 0).then_some(i128::from(row) << 70),
    }
}

fn price(row: i64) -> Option<i128> {
    Some(i128::from(row % 50) - 25)
}

fn float(row: i64) -> Option<f64> {
    (row % 2 == 0).then_some(row as f64 / 3.0 - 1000.0)
}

fn text(row: i64) -> Option<String> {
    (row % 11 != 0).then(|| format!("{}ß{row:05} {}", row % 3, "long ".repeat(20)))
}

fn day(row: i64) -> Option<i32> {
    i32::try_from(row % 2500 - 719_162).ok()
}

fn micros(row: i64) -> Option<i64> {
    (row % 5 != 0).then_some(row * 1_000_003 - 62_135_596_800_000_000)
}

fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
    let list = || {
        let element = Field::new("element", DataType::Float32, true);
        let mut list = ListBuilder::new(Float32Builder::new()).with_field(element);
        for row in rows.clone() {
            list.values().append_value(row as f32);
            list.values().append_option((row % 2 == 0).then_some(0.5));
            list.append(row % 13 != 0);
        }
        list.finish()
    };
    let each = || rows.clone();
    let timestamps = || TimestampMicrosecondArray::from_iter(each().map(micros));
    let wide = Decimal128Array::from_iter(each().map(wide)).with_precision_and_scale(38, 0);
    let price = Decimal128Array::from_iter(each().map(price)).with_precision_and_scale(18, 2);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(each().map(int))),
        Arc::new(wide.expect("38 digits")),
        Arc::new(price.expect("18 digits")),
        Arc::new(Float64Array::from_iter(each().map(float))),
        Arc::new(StringArray::from_iter(each().map(text))),
        Arc::new(BinaryArray::from_iter(each().map(|row| Some(row.to_be_bytes())))),
        Arc::new(BooleanArray::from_iter(each().map(|row| (row % 4 != 0).then_some(row % 3 == 0)))),
        Arc::new(Date32Array::from_iter(each().map(day))),
        Arc::new(timestamps()),
        Arc::new(timestamps().with_timezone("UTC")),
        Arc::new(Int16Array::from_iter(each().map(|row| i16::try_from(row % 1000).ok()))),
        Arc::new(Int64Array::from_iter(each().map(|_| None))),
        Arc::new(list()),
    ];
    RecordBatch::try_new(schema(), columns).expect("the columns fit the schema")
}

fn schema() -> SchemaRef {
    let element = Arc::new(Field::new("element", DataType::Float32, true));
    let fields = [
        ("INT", DataType::Int64),
        ("WIDE", DataType::Decimal128(38, 0)),
        ("PRICE", DataType::Decimal128(18, 2)),
        ("FLOAT", DataType::Float64),
        ("TEXT, with.a.dot", DataType::Utf8),
        ("BINARY", DataType::Binary),
        ("BOOLEAN", DataType::Boolean),
        ("DAY", DataType::Date32),
        ("WALL", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("INSTANT", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ("INSTANT__ns", DataType::Int16),
        ("NOTHING", DataType::Int64),
        ("VECTOR", DataType::List(element)),
    ];
    let field = |(name, data_type)| Field::new(name, data_type, true);
    Arc::new(Schema::new(fields.map(field).to_vec()))
}

/// The statistics by a plain loop over the values that were generated.
fn expected() -> Vec<ColumnStats> {
    vec![
        count("INT", int, StatValue::Int),
        count("WIDE", wide, StatValue::Decimal),
        count("PRICE", price, StatValue::Decimal),
        count("FLOAT", float, StatValue::Float),
        count("TEXT, with.a.dot", text, StatValue::Text),
        unordered("BINARY", 0),
        unordered("BOOLEAN", 5000),
        count("DAY", day, StatValue::Date),
        count("WALL", micros, StatValue::Micros),
        count("INSTANT", micros, StatValue::Micros),
        count("INSTANT__ns", |row| Some(row % 1000), StatValue::Int),
        unordered("NOTHING", ROWS as u64),
        unordered("VECTOR", 1539),
    ]
}

fn count<T: PartialOrd + Clone>(
    name: &str,
    value: impl Fn(i64) -> Option<T>,
    stat: impl Fn(T) -> StatValue,
) -> ColumnStats {
    let (mut nulls, mut least, mut greatest) = (0, None::<T>, None::<T>);
    for row in 0..ROWS {
        let Some(value) = value(row) else {
            nulls += 1;
            continue;
        };
        if least.as_ref().is_none_or(|least| value < *least) {
            least = Some(value.clone());
        }
        if greatest.as_ref().is_none_or(|greatest| value > *greatest) {
            greatest = Some(value);
        }
    }
    ColumnStats { name: name.to_owned(), nulls, min: least.map(&stat), max: greatest.map(&stat) }
}

fn unordered(name: &str, nulls: u64) -> ColumnStats {
    ColumnStats { name: name.to_owned(), nulls, min: None, max: None }
}
