//! Exact statistics of staged columns, computed from the batches.
//!
//! Parquet's own statistics are not enough for an upsert that skips parts by key: text is
//! shortened in them, and adapters would have to read every footer again.

use arrow::array::{Array, AsArray};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Schema, TimeUnit, TimestampMicrosecondType,
};
use arrow::record_batch::RecordBatch;
use snowferry_model::manifest::{ColumnStats, StatValue};

/// The longest text that is given as a bound, in UTF-8 bytes. A bound must be the whole value, and
/// a manifest names thousands of them, so a column with a longer least or greatest text has none.
pub const TEXT_STAT_MAX_BYTES: usize = 4096;

/// Collects the statistics of batches of one schema.
///
/// Bounds are given for integers, decimals, floats, dates, microsecond timestamps and text. A float
/// column with a NaN has none, because NaN has no place in the order. Zero is written as -0.0 in a
/// lower and +0.0 in an upper bound, so that the bounds hold in readers that tell them apart.
#[derive(Clone, Debug)]
pub(super) struct StatsCollector {
    columns: Vec<Progress>,
}

#[derive(Clone, Debug)]
struct Progress {
    stats: ColumnStats,
    /// A value was seen after which no bound can be given.
    unbounded: bool,
}

impl StatsCollector {
    /// Begins with no row.
    pub(super) fn new(schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|field| Progress {
            stats: ColumnStats { name: field.name().clone(), nulls: 0, min: None, max: None },
            unbounded: false,
        });
        Self { columns: columns.collect() }
    }

    /// Adds the rows of a batch of that schema.
    pub(super) fn add(&mut self, batch: &RecordBatch) {
        for (progress, column) in self.columns.iter_mut().zip(batch.columns()) {
            progress.add(column.as_ref());
        }
    }

    /// Returns the statistics of each column in schema order.
    pub(super) fn finish(self) -> Vec<ColumnStats> {
        self.columns.into_iter().map(Progress::finish).collect()
    }
}

impl Progress {
    fn add(&mut self, column: &dyn Array) {
        self.stats.nulls += column.null_count() as u64;
        if self.unbounded {
            return;
        }
        let Some((least, greatest)) = bounds(column) else {
            self.unbounded = true;
            return;
        };
        take_if(&mut self.stats.min, least, std::cmp::Ordering::Less);
        take_if(&mut self.stats.max, greatest, std::cmp::Ordering::Greater);
    }

    fn finish(mut self) -> ColumnStats {
        if self.unbounded {
            (self.stats.min, self.stats.max) = (None, None);
        }
        self.stats.min = self.stats.min.filter(is_short).map(|value| zero_as(-0.0, value));
        self.stats.max = self.stats.max.filter(is_short).map(|value| zero_as(0.0, value));
        self.stats
    }
}

/// Replaces `kept` by `found` where there was none or `found` lies on that side of it.
fn take_if(kept: &mut Option<StatValue>, found: Option<StatValue>, side: std::cmp::Ordering) {
    let Some(found) = found else { return };
    match kept {
        Some(kept) if found.compare(kept) != Some(side) => {}
        _ => *kept = Some(found),
    }
}

fn is_short(value: &StatValue) -> bool {
    !matches!(value, StatValue::Text(text) if text.len() > TEXT_STAT_MAX_BYTES)
}

fn zero_as(zero: f64, value: StatValue) -> StatValue {
    match value {
        StatValue::Float(0.0) => StatValue::Float(zero),
        other => other,
    }
}

type Bounds = (Option<StatValue>, Option<StatValue>);

/// Returns the least and greatest value of an array, `None` if its type or a value of it has no
/// order. An array of NULLs has an order, and no values.
fn bounds(column: &dyn Array) -> Option<Bounds> {
    Some(match column.data_type() {
        DataType::Int8 => {
            let values = column.as_primitive::<Int8Type>();
            pair(min(values), max(values), |value| StatValue::Int(value.into()))
        }
        DataType::Int16 => {
            let values = column.as_primitive::<Int16Type>();
            pair(min(values), max(values), |value| StatValue::Int(value.into()))
        }
        DataType::Int32 => {
            let values = column.as_primitive::<Int32Type>();
            pair(min(values), max(values), |value| StatValue::Int(value.into()))
        }
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            pair(min(values), max(values), StatValue::Int)
        }
        DataType::Decimal128(_, _) => {
            let values = column.as_primitive::<Decimal128Type>();
            pair(min(values), max(values), StatValue::Decimal)
        }
        DataType::Date32 => {
            let values = column.as_primitive::<Date32Type>();
            pair(min(values), max(values), StatValue::Date)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = column.as_primitive::<TimestampMicrosecondType>();
            pair(min(values), max(values), StatValue::Micros)
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            pair(min_string(values), max_string(values), |text| StatValue::Text(text.to_owned()))
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            if values.iter().flatten().any(f64::is_nan) {
                return None;
            }
            pair(min(values), max(values), StatValue::Float)
        }
        _ => return None,
    })
}

fn pair<T>(least: Option<T>, greatest: Option<T>, value: impl Fn(T) -> StatValue) -> Bounds {
    (least.map(&value), greatest.map(value))
}
