//! The table that a push makes when there is none and it may.

use arrow::datatypes::{DataType, Schema, TimeUnit};
use snowferry_model::names::Identifier;
use snowferry_model::push::{ColumnVerdict, ConstantValue, TargetColumn};
use snowferry_model::types::SnowflakeType;

use super::types::{Ours, integer_digits};
use super::{is_companion, refuse};
use crate::job::PushJob;

/// Returns the columns of a new table for the query, or why some of them cannot be made.
pub(crate) fn target_columns(
    job: &PushJob,
    schema: &Schema,
) -> Result<Vec<TargetColumn>, Vec<ColumnVerdict>> {
    let mut columns = Vec::new();
    let mut verdicts = Vec::new();
    for field in schema.fields() {
        if is_companion(schema, field.name()) {
            continue;
        }
        let has =
            |suffix: &str| schema.field_with_name(&format!("{}{suffix}", field.name())).is_ok();
        let timestamp = matches!(field.data_type(), DataType::Timestamp(..));
        let ours = Ours {
            field,
            nanos: timestamp && has(snowferry_model::plan::NANOS_SUFFIX),
            offset: timestamp && has(snowferry_model::plan::OFFSET_SUFFIX),
        };
        let mapped: Vec<_> =
            job.mapping.iter().filter(|(_, source)| *source == field.name()).collect();
        let names = match mapped.is_empty() {
            true => Identifier::new(field.name().as_str()).into_iter().collect(),
            false => mapped.into_iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(),
        };
        for name in names {
            match target_column(&ours, &name) {
                Ok(column) => columns.push(column),
                Err(reason) => {
                    let repair = "cast it in the query, or leave it out".to_owned();
                    let type_name = ours.describe();
                    verdicts.push(refuse(name.as_str(), &type_name, "", reason, Some(repair)));
                }
            }
        }
    }
    for constant in &job.constants {
        let data_type = match &constant.value {
            ConstantValue::RunId | ConstantValue::Text(_) => SnowflakeType::Text,
            ConstantValue::PinnedAt => SnowflakeType::TimestampLtz { scale: 9 },
            ConstantValue::Integer(_) => SnowflakeType::Number { precision: 38, scale: 0 },
            ConstantValue::Boolean(_) => SnowflakeType::Boolean,
        };
        columns.push(TargetColumn::plain(constant.target.clone(), data_type, true));
    }
    if verdicts.is_empty() { Ok(columns) } else { Err(verdicts) }
}

/// Returns the column that holds every value of ours.
pub(super) fn target_column(ours: &Ours<'_>, name: &Identifier) -> Result<TargetColumn, String> {
    let source = ours.field.data_type();
    let data_type = match source {
        source if integer_digits(source).is_some() => {
            SnowflakeType::Number { precision: 38, scale: 0 }
        }
        DataType::Decimal128(precision, scale) => {
            let scale = u8::try_from(*scale).map_err(|_| "a negative scale".to_owned())?;
            SnowflakeType::Number { precision: *precision, scale }
        }
        DataType::Float32 | DataType::Float64 => SnowflakeType::Float,
        DataType::Boolean => SnowflakeType::Boolean,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => SnowflakeType::Text,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => SnowflakeType::Binary,
        DataType::Date32 => SnowflakeType::Date,
        DataType::Time32(_) | DataType::Time64(_) => SnowflakeType::Time { scale: 9 },
        DataType::Timestamp(unit, zone) => {
            let scale = if ours.nanos || *unit == TimeUnit::Nanosecond { 9 } else { 6 };
            match (zone, ours.offset) {
                (None, _) => SnowflakeType::TimestampNtz { scale },
                (Some(_), false) => SnowflakeType::TimestampLtz { scale },
                (Some(_), true) => SnowflakeType::TimestampTz { scale },
            }
        }
        other => return Err(format!("{other} has no column type of its own in Snowflake")),
    };
    Ok(TargetColumn::plain(name.clone(), data_type, ours.field.is_nullable()))
}
