//! Staged parts for tests: rows as plain cells, Parquet objects in memory or in a folder.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder,
    Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder, ListBuilder,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Schema, SchemaRef, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};
use snowferry_model::manifest::{ColumnStats, MANIFEST_VERSION, PartRecord, StatValue};

use crate::{BoxError, StagedParts};

/// One value; floats by their bits, so that NaN equals itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Cell {
    /// NULL.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// A 16-bit integer, of a companion column.
    Short(i16),
    /// Unscaled digits of a decimal.
    Decimal(i128),
    /// Bits of a 64-bit float.
    Float(u64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A boolean.
    Bool(bool),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970.
    Micros(i64),
    /// A list of 32-bit floats by their bits.
    Floats(Vec<Option<u32>>),
    /// A list of 32-bit integers.
    Ints(Vec<Option<i32>>),
}

/// A row.
pub type Row = Vec<Cell>;

/// Makes text.
#[must_use]
pub fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

/// Makes a batch of rows that fit the schema.
#[must_use]
pub fn batch_of(schema: &SchemaRef, rows: &[Row]) -> RecordBatch {
    let column = |index: usize| rows.iter().map(move |row| &row[index]);
    let columns = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| array_of(field.data_type(), column(index)))
        .collect();
    RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
}

/// Appends each cell to a builder, as a value or as NULL.
macro_rules! built {
    ($builder:expr, $cells:expr, $kind:path) => {{
        let mut builder = $builder;
        for cell in $cells {
            match cell {
                $kind(value) => builder.append_value(value.to_owned()),
                Cell::Null => builder.append_null(),
                other => panic!("{other:?} does not fit the column"),
            }
        }
        Arc::new(builder.finish())
    }};
}

fn array_of<'a>(data_type: &DataType, cells: impl Iterator<Item = &'a Cell>) -> ArrayRef {
    match data_type {
        DataType::Int64 => built!(Int64Builder::new(), cells, Cell::Int),
        DataType::Int16 => built!(Int16Builder::new(), cells, Cell::Short),
        DataType::Decimal128(..) => {
            let builder = Decimal128Builder::new().with_data_type(data_type.clone());
            built!(builder, cells, Cell::Decimal)
        }
        DataType::Utf8 => built!(StringBuilder::new(), cells, Cell::Text),
        DataType::Binary => built!(BinaryBuilder::new(), cells, Cell::Bytes),
        DataType::Boolean => built!(BooleanBuilder::new(), cells, Cell::Bool),
        DataType::Date32 => built!(Date32Builder::new(), cells, Cell::Date),
        DataType::Timestamp(..) => {
            let builder = TimestampMicrosecondBuilder::new().with_data_type(data_type.clone());
            built!(builder, cells, Cell::Micros)
        }
        DataType::Float64 => {
            let mut builder = Float64Builder::new();
            for cell in cells {
                builder.append_option(match cell {
                    Cell::Float(bits) => Some(f64::from_bits(*bits)),
                    _ => None,
                });
            }
            Arc::new(builder.finish())
        }
        DataType::List(element) => list_of(element, cells),
        other => panic!("no staged column is {other}"),
    }
}

fn list_of<'a>(
    element: &arrow::datatypes::FieldRef,
    cells: impl Iterator<Item = &'a Cell>,
) -> ArrayRef {
    let mut floats = ListBuilder::new(Float32Builder::new());
    let mut ints = ListBuilder::new(Int32Builder::new());
    if *element.data_type() == DataType::Float32 {
        floats = floats.with_field(Arc::clone(element));
    } else {
        ints = ints.with_field(Arc::clone(element));
    }
    for cell in cells {
        match cell {
            Cell::Floats(values) => {
                floats.append_value(values.iter().map(|bits| bits.map(f32::from_bits)));
            }
            Cell::Ints(values) => ints.append_value(values.iter().copied()),
            _ if *element.data_type() == DataType::Float32 => floats.append_null(),
            _ => ints.append_null(),
        }
    }
    if *element.data_type() == DataType::Float32 {
        Arc::new(floats.finish())
    } else {
        Arc::new(ints.finish())
    }
}

/// Returns the rows of a batch.
#[must_use]
pub fn rows_of(batch: &RecordBatch) -> Vec<Row> {
    let row = |row| batch.columns().iter().map(|column| cell_of(column, row)).collect();
    (0..batch.num_rows()).map(row).collect()
}

fn cell_of(array: &ArrayRef, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Int16 => Cell::Short(array.as_primitive::<Int16Type>().value(row)),
        DataType::Decimal128(..) => {
            Cell::Decimal(array.as_primitive::<Decimal128Type>().value(row))
        }
        DataType::Float64 => Cell::Float(array.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Utf8 => text(array.as_string::<i32>().value(row)),
        DataType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Date32 => Cell::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(..) => {
            Cell::Micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::List(element) => {
            let list = array.as_list::<i32>().value(row);
            if *element.data_type() == DataType::Float32 {
                let values = list.as_primitive::<Float32Type>();
                Cell::Floats(values.iter().map(|value| value.map(f32::to_bits)).collect())
            } else {
                Cell::Ints(list.as_primitive::<Int32Type>().iter().collect())
            }
        }
        other => panic!("no staged column is {other}"),
    }
}

/// Where the staged objects are.
#[derive(Debug, Default)]
pub struct Staged {
    objects: Mutex<HashMap<String, Bytes>>,
    folder: Option<PathBuf>,
}

impl Staged {
    /// Keeps objects in memory; a load has to read their bytes.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Keeps objects as files of an existing folder; a load may link them.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { objects: Mutex::default(), folder: Some(folder.into()) }
    }

    /// Stages rows as one part.
    #[must_use]
    pub fn part(&self, index: u32, schema: &SchemaRef, rows: &[Row]) -> PartRecord {
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(7)).build();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties)).unwrap();
        writer.write(&batch_of(schema, rows)).unwrap();
        let bytes = Bytes::from(writer.into_inner().unwrap());
        let sha256: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let object = format!("part-{:05}-{sha256}.parquet", objects.len());
        if let Some(folder) = &self.folder {
            std::fs::write(folder.join(&object), &bytes).unwrap();
        }
        let size_bytes = bytes.len() as u64;
        objects.insert(object.clone(), bytes);
        PartRecord {
            version: MANIFEST_VERSION,
            index,
            object,
            rows: rows.len() as u64,
            size_bytes,
            sha256,
            received_bytes: 0,
            columns: statistics(schema, rows),
        }
    }
}

#[async_trait]
impl StagedParts for Staged {
    async fn read(&self, part: &PartRecord, range: Range<u64>) -> Result<Bytes, BoxError> {
        let objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = objects.get(&part.object).ok_or("there is no such object")?;
        let (start, end) = (usize::try_from(range.start)?, usize::try_from(range.end)?);
        Ok(bytes.slice(start.min(bytes.len())..end.min(bytes.len())))
    }

    fn local_path(&self, part: &PartRecord) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(&part.object))
    }
}

fn statistics(schema: &Schema, rows: &[Row]) -> Vec<ColumnStats> {
    let stat = |cell: &Cell| match cell {
        Cell::Int(value) => Some(StatValue::Int(*value)),
        Cell::Short(value) => Some(StatValue::Int(i64::from(*value))),
        Cell::Decimal(value) => Some(StatValue::Decimal(*value)),
        Cell::Text(value) => Some(StatValue::Text(value.clone())),
        Cell::Date(value) => Some(StatValue::Date(*value)),
        Cell::Micros(value) => Some(StatValue::Micros(*value)),
        _ => None,
    };
    let column = |(index, field): (usize, &arrow::datatypes::FieldRef)| {
        let cells = || rows.iter().map(|row| &row[index]);
        ColumnStats {
            name: field.name().clone(),
            nulls: cells().filter(|cell| **cell == Cell::Null).count() as u64,
            min: cells().filter(|cell| stat(cell).is_some()).min().and_then(stat),
            max: cells().filter(|cell| stat(cell).is_some()).max().and_then(stat),
        }
    };
    schema.fields().iter().enumerate().map(column).collect()
}
