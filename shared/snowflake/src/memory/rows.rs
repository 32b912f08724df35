//! Rows of the source in memory: which a window admits, and their staged form.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int16Array,
    Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use snowferry_model::plan::{NANOS_SUFFIX, PlannedColumn, StagedForm, TablePlan};
use snowferry_model::types::{ColumnDescription, SnowflakeType};
use snowferry_model::watermark::{Lookback, LowerEdge, Window};

use super::{MemoryValue, Row};
use crate::{ReadRequest, SnowflakeError};

/// The rows that a window admits, with its bounds read and the lookback applied.
pub(super) enum Filter {
    All,
    None,
    /// The rows of another filter, and those that have NULL in a column.
    OrNull {
        position: usize,
        of: Box<Self>,
    },
    Bounded {
        position: usize,
        lower: Option<(MemoryValue, LowerEdge)>,
        upper: Option<MemoryValue>,
    },
}

impl Filter {
    pub(super) fn new(
        request: &ReadRequest,
        position: impl Fn(&str) -> Result<usize, SnowflakeError>,
    ) -> Result<Self, SnowflakeError> {
        Self::of_window(&request.window, &position)
    }

    fn of_window(
        window: &Window,
        position: &impl Fn(&str) -> Result<usize, SnowflakeError>,
    ) -> Result<Self, SnowflakeError> {
        match window {
            Window::WithNulls { of } => {
                let filter = Self::of_window(of, position)?;
                match of.upper() {
                    Some(to) => Ok(Self::OrNull {
                        position: position(to.cursor.as_str())?,
                        of: Box::new(filter),
                    }),
                    None => Ok(filter),
                }
            }
            Window::Whole => Ok(Self::All),
            Window::Nothing => Ok(Self::None),
            Window::UpTo { to } => Ok(Self::Bounded {
                position: position(to.cursor.as_str())?,
                lower: None,
                upper: Some(MemoryValue::parse(&to.text, &to.cursor_type)?),
            }),
            Window::Unbounded { to } => Ok(Self::Bounded {
                position: position(to.cursor.as_str())?,
                lower: None,
                upper: None,
            }),
            Window::Since { from, lookback, .. } => {
                let from_value = MemoryValue::parse(&from.text, &from.cursor_type)?;
                let lower = look_back(from_value, *lookback, &from.cursor_type)?;
                Ok(Self::Bounded {
                    position: position(from.cursor.as_str())?,
                    lower: Some((lower, LowerEdge::Closed)),
                    upper: None,
                })
            }
            Window::Between { from, edge, lookback, to } => {
                let from_value = MemoryValue::parse(&from.text, &from.cursor_type)?;
                let lower = look_back(from_value, *lookback, &from.cursor_type)?;
                Ok(Self::Bounded {
                    position: position(to.cursor.as_str())?,
                    lower: Some((lower, *edge)),
                    upper: Some(MemoryValue::parse(&to.text, &to.cursor_type)?),
                })
            }
        }
    }

    pub(super) fn admits(&self, row: &[MemoryValue]) -> bool {
        let (position, lower, upper) = match self {
            Self::All => return true,
            Self::None => return false,
            Self::OrNull { position, of } => {
                return row.get(*position) == Some(&MemoryValue::Null) || of.admits(row);
            }
            Self::Bounded { position, lower, upper } => (position, lower, upper),
        };
        // NULL compares with nothing, so a row without a cursor value is in no bounded window.
        let Some(value) = row.get(*position) else { return false };
        let below = match upper {
            None => true,
            Some(upper) => {
                matches!(value.compare(upper), Some(Ordering::Less | Ordering::Equal))
            }
        };
        let above = match lower {
            None => !matches!(value, MemoryValue::Null),
            Some((lower, LowerEdge::Open)) => value.compare(lower) == Some(Ordering::Greater),
            Some((lower, LowerEdge::Closed)) => {
                matches!(value.compare(lower), Some(Ordering::Greater | Ordering::Equal))
            }
        };
        below && above
    }
}

fn look_back(
    from: MemoryValue,
    lookback: Lookback,
    data_type: &SnowflakeType,
) -> Result<MemoryValue, SnowflakeError> {
    let refused = || SnowflakeError::Request {
        object: "the lookback of a window".to_owned(),
        reason: format!("it cannot be taken from {data_type}"),
    };
    let lowered = match (from, lookback, data_type) {
        (from, Lookback::None, _) => Some(from),
        (MemoryValue::Timestamp { seconds, nanos, offset_min }, Lookback::Seconds(back), _) => {
            i64::try_from(back)
                .ok()
                .and_then(|back| seconds.checked_sub(back))
                .map(|seconds| MemoryValue::Timestamp { seconds, nanos, offset_min })
        }
        (MemoryValue::Date(days), Lookback::Seconds(back), _) => {
            let back = i32::try_from(back.div_ceil(86_400)).ok();
            back.and_then(|back| days.checked_sub(back)).map(MemoryValue::Date)
        }
        (
            MemoryValue::Number(digits),
            Lookback::Units(back),
            SnowflakeType::Number { scale, .. },
        ) => 10_i128
            .checked_pow(u32::from(*scale))
            .and_then(|unit| unit.checked_mul(i128::from(back)))
            .and_then(|back| digits.checked_sub(back))
            .map(MemoryValue::Number),
        _ => None,
    };
    lowered.ok_or_else(refused)
}

/// Refuses to read a result by a plan that it was not made for.
pub(super) fn check_plan(
    columns: &[ColumnDescription],
    plan: &TablePlan,
) -> Result<(), SnowflakeError> {
    if columns.len() != plan.columns.len() {
        return Err(SnowflakeError::Request {
            object: "a result".to_owned(),
            reason: format!("{} columns, the plan has {}", columns.len(), plan.columns.len()),
        });
    }
    for (found, planned) in columns.iter().zip(&plan.columns) {
        if found.name != planned.name || found.data_type != planned.data_type {
            return Err(SnowflakeError::ColumnChanged {
                column: planned.name.to_string(),
                planned: planned.data_type.to_string(),
                found: format!("{} {}", found.name, found.data_type),
            });
        }
    }
    Ok(())
}

/// Puts rows into the staged schema of `plan`.
pub(super) fn staged_batch(rows: &[Row], plan: &TablePlan) -> Result<RecordBatch, SnowflakeError> {
    let mut arrays = Vec::new();
    for (position, column) in plan.columns.iter().enumerate() {
        let values = || rows.iter().map(move |row| row.get(position).unwrap_or(&MemoryValue::Null));
        arrays.extend(staged_column(column, values)?);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(Arc::new(plan.schema()), arrays, &options).map_err(|error| {
        SnowflakeError::Protocol {
            step: "put rows into the staged schema".to_owned(),
            reason: error.to_string(),
        }
    })
}

fn staged_column<'a, I>(
    column: &PlannedColumn,
    values: impl Fn() -> I,
) -> Result<Vec<ArrayRef>, SnowflakeError>
where
    I: Iterator<Item = &'a MemoryValue>,
{
    let array: ArrayRef = match column.form {
        StagedForm::Int64 => {
            Arc::new(Int64Array::from_iter(pick(column, values(), |v| match v {
                MemoryValue::Number(digits) => i64::try_from(*digits).ok(),
                _ => None,
            })?))
        }
        StagedForm::Decimal { precision, scale } => {
            let digits = pick(column, values(), |v| match v {
                MemoryValue::Number(digits) => Some(*digits),
                _ => None,
            })?;
            let array = Decimal128Array::from_iter(digits)
                .with_precision_and_scale(precision, i8::try_from(scale).unwrap_or(i8::MAX));
            Arc::new(array.map_err(|_| inexact(column, "a precision that Arrow refuses"))?)
        }
        StagedForm::Float64 => {
            Arc::new(Float64Array::from_iter(pick(column, values(), |v| match v {
                MemoryValue::Float(float) => Some(*float),
                _ => None,
            })?))
        }
        StagedForm::Utf8 => {
            Arc::new(StringArray::from_iter(pick(column, values(), |v| match v {
                MemoryValue::Text(text) => Some(text.clone()),
                _ => None,
            })?))
        }
        StagedForm::Binary => {
            Arc::new(BinaryArray::from_iter(pick(column, values(), |v| match v {
                MemoryValue::Binary(bytes) => Some(bytes.clone()),
                _ => None,
            })?))
        }
        StagedForm::Boolean => {
            Arc::new(BooleanArray::from_iter(pick(column, values(), |v| match v {
                MemoryValue::Boolean(flag) => Some(*flag),
                _ => None,
            })?))
        }
        StagedForm::Date32 => {
            Arc::new(Date32Array::from_iter(pick(column, values(), |v| match v {
                MemoryValue::Date(days) => Some(*days),
                _ => None,
            })?))
        }
        StagedForm::TimeNanos => {
            Arc::new(Int64Array::from_iter(pick(column, values(), |v| match v {
                MemoryValue::Time(nanos) => Some(*nanos),
                _ => None,
            })?))
        }
        StagedForm::Timestamp { zoned, nanos, offset } => {
            return staged_timestamps(column, values, TimestampParts { zoned, nanos, offset });
        }
        _ => return Err(inexact(column, "a staged form that is not held in memory")),
    };
    Ok(vec![array])
}

#[derive(Clone, Copy)]
struct TimestampParts {
    zoned: bool,
    nanos: bool,
    offset: bool,
}

fn staged_timestamps<'a, I>(
    column: &PlannedColumn,
    values: impl Fn() -> I,
    parts: TimestampParts,
) -> Result<Vec<ArrayRef>, SnowflakeError>
where
    I: Iterator<Item = &'a MemoryValue>,
{
    if !parts.nanos && values().any(MemoryValue::is_fine) {
        return Err(inexact(column, "digits below the microsecond"));
    }
    let micros = TimestampMicrosecondArray::from_iter(pick(column, values(), |v| match v {
        MemoryValue::Timestamp { seconds, nanos, .. } => seconds
            .checked_mul(1_000_000)
            .and_then(|micros| micros.checked_add(i64::from(nanos / 1000))),
        _ => None,
    })?);
    let micros = if parts.zoned { micros.with_timezone("UTC") } else { micros };
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(micros)];
    let companion = |pick: fn(u32, i16) -> i16| -> ArrayRef {
        Arc::new(Int16Array::from_iter(values().map(|value| match value {
            MemoryValue::Timestamp { nanos, offset_min, .. } => Some(pick(*nanos, *offset_min)),
            _ => None,
        })))
    };
    if parts.nanos {
        arrays.push(companion(|nanos, _| i16::try_from(nanos % 1000).unwrap_or(0)));
    }
    if parts.offset {
        arrays.push(companion(|_, offset_min| offset_min));
    }
    Ok(arrays)
}

/// Takes one native value for each row; a value that `take` cannot take is refused.
fn pick<'a, T>(
    column: &PlannedColumn,
    values: impl Iterator<Item = &'a MemoryValue>,
    take: impl Fn(&MemoryValue) -> Option<T>,
) -> Result<Vec<Option<T>>, SnowflakeError> {
    let mut taken = Vec::new();
    for value in values {
        match (value, take(value)) {
            (MemoryValue::Null, _) => taken.push(None),
            (_, Some(native)) => taken.push(Some(native)),
            (_, None) => return Err(inexact(column, "a value that does not fit")),
        }
    }
    Ok(taken)
}

fn inexact(column: &PlannedColumn, reason: &str) -> SnowflakeError {
    SnowflakeError::Inexact {
        column: column.name.to_string(),
        staged: column.form.value_type().to_string(),
        reason: reason.to_owned(),
        repair: format!(
            "pull the table anew so that its staged types are decided again \
             (for a timestamp with a companion {}{NANOS_SUFFIX})",
            column.name.as_str()
        ),
    }
}
