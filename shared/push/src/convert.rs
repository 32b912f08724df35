//! Brings rows into the form in which they travel, and looks at every value on the way.
//!
//! Nothing is rounded, cut or replaced unless the connection says so. A value that does not fit is
//! counted under its kind, with the worst size seen; the value itself is never kept.

mod numbers;
mod problems;
mod texts;
mod times;

use arrow::array::{Array, ArrayRef, Int16Array};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use std::sync::Arc;

use snowferry_model::push::{ColumnVerdict, PushColumn, PushKey, PushPlan, WireForm};

use crate::error::PushError;
pub(crate) use problems::Problems;

/// Why a column cannot be converted at all; a defect or a snapshot with other columns.
#[derive(Debug)]
pub(crate) struct ConvertError {
    column: String,
    reason: String,
}

impl ConvertError {
    pub(crate) fn new(column: &PushColumn, reason: impl std::fmt::Display) -> Self {
        Self { column: column.target.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn of(self, push: &PushKey) -> PushError {
        PushError::Convert { push: push.to_string(), column: self.column, reason: self.reason }
    }
}

/// The values of one column of one batch, companions beside them.
pub(crate) struct Input<'a> {
    pub(crate) values: &'a ArrayRef,
    pub(crate) nanos: Option<&'a Int16Array>,
    pub(crate) offset: Option<&'a Int16Array>,
}

/// Converts the batches of one slice and counts.
pub(crate) struct Converter {
    columns: Vec<PushColumn>,
    schema: Arc<Schema>,
    problems: Vec<Problems>,
    values: Vec<u64>,
    rows: u64,
}

impl Converter {
    pub(crate) fn new(plan: &PushPlan) -> Self {
        let columns = plan.columns.clone();
        Self {
            schema: Arc::new(schema(&columns)),
            problems: columns.iter().map(|_| Problems::default()).collect(),
            values: vec![0; columns.len()],
            rows: 0,
            columns,
        }
    }

    /// Brings a batch into the form of the parts.
    pub(crate) fn convert(&mut self, batch: &RecordBatch) -> Result<RecordBatch, ConvertError> {
        let mut arrays = Vec::with_capacity(self.columns.len());
        let counters = self.problems.iter_mut().zip(&mut self.values);
        for (column, (problems, values)) in self.columns.iter().zip(counters) {
            let input = input(batch, column)?;
            let nulls = input.values.logical_null_count() as u64;
            if !column.nullable && nulls > 0 {
                problems.add_many("NULL where the column takes none", nulls);
            }
            let array = one(column, &input, problems)?;
            *values += (array.len() - array.null_count()) as u64;
            arrays.push(array);
        }
        self.rows += batch.num_rows() as u64;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|error| ConvertError { column: "all".to_owned(), reason: error.to_string() })
    }

    pub(crate) fn has_problems(&self) -> bool {
        self.problems.iter().any(|problems| !problems.is_empty())
    }

    /// Returns one verdict for each kind of value that did not fit.
    pub(crate) fn verdicts(&self) -> Vec<ColumnVerdict> {
        let pairs = self.columns.iter().zip(&self.problems);
        pairs.flat_map(|(column, problems)| problems.verdicts(column)).collect()
    }

    /// Returns the rows that were seen.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the values other than NULL of each column.
    pub(crate) fn values(&self) -> Vec<u64> {
        self.values.clone()
    }
}

/// Returns the schema of the parts.
pub(crate) fn schema(columns: &[PushColumn]) -> Schema {
    let field = |(position, column): (usize, &PushColumn)| {
        Field::new(PushColumn::wire_name(position), wire_type(column.form), true)
    };
    Schema::new(columns.iter().enumerate().map(field).collect::<Vec<_>>())
}

fn wire_type(form: WireForm) -> DataType {
    match form {
        WireForm::Integer => DataType::Int64,
        WireForm::Decimal { precision, scale } => {
            DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
        }
        WireForm::Float => DataType::Float64,
        WireForm::Boolean => DataType::Boolean,
        WireForm::Date => DataType::Date32,
        WireForm::Binary => DataType::Binary,
        WireForm::WallMicros => DataType::Timestamp(TimeUnit::Microsecond, None),
        WireForm::InstantMicros => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => DataType::Utf8,
    }
}

fn input<'a>(batch: &'a RecordBatch, column: &PushColumn) -> Result<Input<'a>, ConvertError> {
    let named = |name: &str| {
        let missing = || ConvertError::new(column, "the query's rows have no such column");
        batch.column_by_name(name).ok_or_else(missing)
    };
    let companion = |wanted: bool, suffix: &str| {
        if !wanted {
            return Ok(None);
        }
        let array = named(&format!("{}{suffix}", column.source))?;
        let wrong = || ConvertError::new(column, "its companion is no 16-bit integer");
        array.as_any().downcast_ref::<Int16Array>().map(Some).ok_or_else(wrong)
    };
    Ok(Input {
        values: named(&column.source)?,
        nanos: companion(column.nanos, snowferry_model::plan::NANOS_SUFFIX)?,
        offset: companion(column.offset, snowferry_model::plan::OFFSET_SUFFIX)?,
    })
}

fn one(
    column: &PushColumn,
    input: &Input<'_>,
    problems: &mut Problems,
) -> Result<ArrayRef, ConvertError> {
    match column.form {
        WireForm::Integer => numbers::integers(column, input, problems),
        WireForm::Decimal { precision, scale } => {
            numbers::decimals(column, input, precision, scale, problems)
        }
        WireForm::Float => numbers::floats(column, input, problems),
        WireForm::DecimalText => numbers::decimal_texts(column, input, problems),
        WireForm::Boolean => cast(column, input.values, &DataType::Boolean),
        WireForm::Date => times::dates(column, input, problems),
        WireForm::TimeText => times::times(column, input, problems),
        WireForm::WallMicros | WireForm::InstantMicros => times::micros(column, input, problems),
        WireForm::WallText | WireForm::OffsetText => times::texts(column, input, problems),
        WireForm::Text => texts::texts(column, input, problems),
        WireForm::Json => texts::json(column, input, problems),
        WireForm::Shape => texts::shapes(column, input, problems),
        WireForm::Binary => texts::binaries(column, input, problems),
        WireForm::VectorText => texts::vectors(column, input, problems),
        other => Err(ConvertError::new(column, format!("the form {other:?} is not known"))),
    }
}

/// Casts between types that hold the same values.
pub(crate) fn cast(
    column: &PushColumn,
    values: &ArrayRef,
    to: &DataType,
) -> Result<ArrayRef, ConvertError> {
    if values.data_type() == to {
        return Ok(values.clone());
    }
    let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
    arrow::compute::cast_with_options(values, to, &options)
        .map_err(|_| ConvertError::new(column, format!("{} to {to}", values.data_type())))
}

/// Takes an array as the type it was just cast to.
pub(crate) fn typed<'a, T: 'static>(
    column: &PushColumn,
    array: &'a ArrayRef,
) -> Result<&'a T, ConvertError> {
    let wrong = || ConvertError::new(column, format!("it came as {}", array.data_type()));
    array.as_any().downcast_ref::<T>().ok_or_else(wrong)
}
