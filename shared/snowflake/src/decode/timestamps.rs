//! Timestamps of the wire (integers of 10^-scale seconds, or structs) into microseconds with their
//! companions. Rounding is always down, so that value and companion add up before 1970 too.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int16Array, Int64Array, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use snowferry_model::plan::{PlannedColumn, StagedForm};
use snowferry_model::types::SnowflakeType;

use super::columns::{all_valid, nanos_per_unit, unexpected, widen};
use super::{inexact, protocol};
use crate::SnowflakeError;

/// The wire counts offsets in minutes from this value, which stands for UTC.
const OFFSET_ZERO: i64 = 1440;

/// The greatest offset that can be meant: 24 hours.
const OFFSET_LIMIT: i64 = 1440;

const OUT_OF_RANGE: &str = "a time outside 64-bit microseconds";

/// Microseconds, nanoseconds within them and offsets of one column, before NULLs are looked at.
pub(super) struct Parts {
    pub(super) micros: Vec<i64>,
    pub(super) nanos: Vec<i16>,
    pub(super) offsets: Vec<i16>,
    pub(super) nulls: Option<NullBuffer>,
}

/// Converts one timestamp column.
pub(super) fn staged(
    column: &PlannedColumn,
    wire: &ArrayRef,
    scale: u8,
) -> Result<Vec<ArrayRef>, SnowflakeError> {
    let zoned = matches!(column.data_type, SnowflakeType::TimestampTz { .. });
    let parts = match wire.as_struct_opt() {
        Some(fields) => from_struct(column, fields, scale, zoned)?,
        None if zoned => return Err(unexpected(column, wire)),
        None => {
            let units = widen(wire).ok_or_else(|| unexpected(column, wire))?;
            let (micros, nanos) = split_units(column, &units, units.nulls(), scale)?;
            Parts { micros, nanos, offsets: Vec::new(), nulls: units.nulls().cloned() }
        }
    };
    assemble(column, parts)
}

/// Puts the parts into staged arrays; refuses digits that have no companion.
pub(super) fn assemble(
    column: &PlannedColumn,
    parts: Parts,
) -> Result<Vec<ArrayRef>, SnowflakeError> {
    let StagedForm::Timestamp { zoned, nanos, offset } = column.form else {
        return Err(protocol(format!("column {} is planned as no timestamp", column.name)));
    };
    if !nanos && !all_valid(&parts.nanos, parts.nulls.as_ref(), |nanos| nanos == 0) {
        return Err(inexact(column, "digits below the microsecond"));
    }
    let micros = ScalarBuffer::from(parts.micros);
    let micros = TimestampMicrosecondArray::new(micros, parts.nulls.clone());
    let micros = if zoned { micros.with_timezone("UTC") } else { micros };
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(micros)];
    if nanos {
        arrays.push(Arc::new(Int16Array::new(parts.nanos.into(), parts.nulls.clone())));
    }
    if offset {
        arrays.push(Arc::new(Int16Array::new(parts.offsets.into(), parts.nulls)));
    }
    Ok(arrays)
}

fn from_struct(
    column: &PlannedColumn,
    wire: &StructArray,
    scale: u8,
    zoned: bool,
) -> Result<Parts, SnowflakeError> {
    let child = |name: &str| wire.column_by_name(name).and_then(|array| widen(array));
    let epoch = child("epoch").ok_or_else(|| unexpected(column, wire))?;
    let fraction = child("fraction");
    let timezone = child("timezone");
    if zoned != timezone.is_some() {
        return Err(unexpected(column, wire));
    }
    // A NULL child makes the whole value NULL.
    let mut nulls = NullBuffer::union(wire.nulls(), epoch.nulls());
    for array in [&fraction, &timezone].into_iter().flatten() {
        nulls = NullBuffer::union(nulls.as_ref(), array.nulls());
    }
    let (micros, nanos) = match &fraction {
        Some(fraction) => join_fraction(column, &epoch, fraction, nulls.as_ref())?,
        None => split_units(column, &epoch, nulls.as_ref(), scale)?,
    };
    let offsets = match &timezone {
        None => Vec::new(),
        Some(timezone) => offsets(timezone, nulls.as_ref())?,
    };
    Ok(Parts { micros, nanos, offsets, nulls })
}

/// Seconds and nanoseconds: `epoch` is the floor, `fraction` is never negative.
fn join_fraction(
    column: &PlannedColumn,
    epoch: &Int64Array,
    fraction: &Int64Array,
    nulls: Option<&NullBuffer>,
) -> Result<(Vec<i64>, Vec<i16>), SnowflakeError> {
    let in_second = |nanos: i64| (0..1_000_000_000).contains(&nanos);
    if !all_valid(fraction.values(), nulls, in_second) {
        return Err(protocol(format!("column {} has a fraction of no second", column.name)));
    }
    let limit = i64::MAX / 1_000_000 - 1;
    if !all_valid(epoch.values(), nulls, |seconds| (-limit..=limit).contains(&seconds)) {
        return Err(inexact(column, OUT_OF_RANGE));
    }
    let pairs = || epoch.values().iter().zip(fraction.values());
    let micros = pairs()
        .map(|(seconds, nanos)| {
            seconds.wrapping_mul(1_000_000).wrapping_add(nanos.div_euclid(1000))
        })
        .collect();
    Ok((micros, fraction.values().iter().map(|nanos| nanos.rem_euclid(1000) as i16).collect()))
}

/// Units of 10^-scale seconds.
fn split_units(
    column: &PlannedColumn,
    units: &Int64Array,
    nulls: Option<&NullBuffer>,
    scale: u8,
) -> Result<(Vec<i64>, Vec<i16>), SnowflakeError> {
    if scale <= 6 {
        let factor = nanos_per_unit(scale) / 1000;
        let limit = i64::MAX / factor;
        if !all_valid(units.values(), nulls, |value| (-limit..=limit).contains(&value)) {
            return Err(inexact(column, OUT_OF_RANGE));
        }
        let micros = units.values().iter().map(|value| value.wrapping_mul(factor)).collect();
        return Ok((micros, vec![0; units.len()]));
    }
    let divisor = 1000 / nanos_per_unit(scale);
    let micros = units.values().iter().map(|value| value.div_euclid(divisor)).collect();
    let nanos = units
        .values()
        .iter()
        .map(|value| (value.rem_euclid(divisor) * nanos_per_unit(scale)) as i16)
        .collect();
    Ok((micros, nanos))
}

fn offsets(timezone: &Int64Array, nulls: Option<&NullBuffer>) -> Result<Vec<i16>, SnowflakeError> {
    let meant =
        |minutes: i64| (OFFSET_ZERO - OFFSET_LIMIT..=OFFSET_ZERO + OFFSET_LIMIT).contains(&minutes);
    if !all_valid(timezone.values(), nulls, meant) {
        return Err(protocol("a time zone offset of more than a day".to_owned()));
    }
    Ok(timezone.values().iter().map(|minutes| minutes.wrapping_sub(OFFSET_ZERO) as i16).collect())
}
