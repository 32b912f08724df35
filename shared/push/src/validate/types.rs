//! Which type of ours goes into which type of theirs, and how it travels.

use arrow::datatypes::{DataType, Field, TimeUnit};
use snowferry_model::push::{TargetColumn, WireForm};
use snowferry_model::types::SnowflakeType;

/// One column of the query with its companions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours<'a> {
    pub(crate) field: &'a Field,
    pub(crate) nanos: bool,
    pub(crate) offset: bool,
}

impl Ours<'_> {
    /// Returns the type in words.
    pub(crate) fn describe(&self) -> String {
        let mut text = match self.field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
            DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
            DataType::Timestamp(_, None) => "timestamp without zone".to_owned(),
            DataType::Timestamp(_, Some(_)) => "timestamp in UTC".to_owned(),
            DataType::Date32 => "date".to_owned(),
            DataType::List(element) => format!("list of {}", element.data_type()),
            other => other.to_string().to_lowercase(),
        };
        if self.nanos {
            text.push_str(" with nanoseconds");
        }
        if self.offset {
            text.push_str(" with offset");
        }
        text
    }
}

/// How a column travels, and whether its values have to be looked at.
pub(super) struct Decision {
    pub(super) form: WireForm,
    pub(super) checked: bool,
}

/// Why a column cannot go where it is meant to.
pub(super) struct No {
    pub(super) reason: String,
    pub(super) repair: String,
}

/// Decides how a column travels.
pub(super) fn decide(ours: &Ours<'_>, theirs: &TargetColumn, round: bool) -> Result<Decision, No> {
    let source = ours.field.data_type();
    let text = matches!(source, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let form = |form: WireForm, checked: bool| Ok(Decision { form, checked });
    match (&theirs.data_type, source) {
        (SnowflakeType::Number { precision, scale }, _) => {
            number(ours, *precision, *scale, round).unwrap_or_else(|| unfit(ours, theirs))
        }
        (SnowflakeType::Float, DataType::Float32 | DataType::Float64) => {
            form(WireForm::Float, false)
        }
        // Beyond 2^53 a float does not hold every integer.
        (SnowflakeType::Float, source) if integer_digits(source).is_some() => {
            form(WireForm::Float, true)
        }
        (SnowflakeType::Decfloat, source) => match source {
            DataType::Decimal128(..) => form(WireForm::DecimalText, false),
            source if integer_digits(source).is_some() => form(WireForm::DecimalText, false),
            _ if text => form(WireForm::DecimalText, true),
            _ => unfit(ours, theirs),
        },
        (SnowflakeType::Boolean, DataType::Boolean) => form(WireForm::Boolean, false),
        (SnowflakeType::Date, DataType::Date32) => form(WireForm::Date, true),
        (SnowflakeType::Text, _) if text => {
            form(WireForm::Text, theirs.max_chars.is_some() || theirs.max_bytes.is_some())
        }
        (
            SnowflakeType::Binary,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView,
        ) => form(WireForm::Binary, theirs.max_bytes.is_some()),
        (
            SnowflakeType::Time { scale },
            DataType::Int64 | DataType::Time32(_) | DataType::Time64(_),
        ) => form(WireForm::TimeText, *scale < 9 || *source == DataType::Int64),
        (
            SnowflakeType::TimestampNtz { .. }
            | SnowflakeType::TimestampLtz { .. }
            | SnowflakeType::TimestampTz { .. },
            DataType::Timestamp(unit, zone),
        ) => timestamp(ours, theirs, *unit, zone.is_some()),
        (SnowflakeType::Variant | SnowflakeType::Object | SnowflakeType::Array, _) if text => {
            form(WireForm::Json, true)
        }
        (SnowflakeType::Geography | SnowflakeType::Geometry, _) if text => {
            form(WireForm::Shape, true)
        }
        (SnowflakeType::VectorFloat { .. }, DataType::List(element))
            if matches!(element.data_type(), DataType::Float32 | DataType::Float64) =>
        {
            form(WireForm::VectorText, true)
        }
        (SnowflakeType::VectorInt { .. }, DataType::List(element))
            if matches!(element.data_type(), DataType::Int32 | DataType::Int64) =>
        {
            form(WireForm::VectorText, true)
        }
        _ => unfit(ours, theirs),
    }
}

fn unfit(ours: &Ours<'_>, theirs: &TargetColumn) -> Result<Decision, No> {
    let name = ours.field.name();
    let repair = match &theirs.data_type {
        SnowflakeType::Number { precision, scale } => {
            format!("write CAST({name} AS DECIMAL({precision},{scale})) in the query")
        }
        SnowflakeType::Text => format!("write CAST({name} AS VARCHAR) in the query"),
        SnowflakeType::Float => format!("write CAST({name} AS DOUBLE) in the query"),
        SnowflakeType::Boolean => format!("write CAST({name} AS BOOLEAN) in the query"),
        SnowflakeType::Date => format!("write CAST({name} AS DATE) in the query"),
        SnowflakeType::Variant | SnowflakeType::Object | SnowflakeType::Array => {
            "give JSON as text in the query".to_owned()
        }
        other => format!("leave the column out, or change its type {other} in the table"),
    };
    let reason = format!("{} does not go into {}", ours.describe(), theirs.declared());
    Err(No { reason, repair })
}

/// Digits of the greatest value of an integer type.
pub(crate) fn integer_digits(data_type: &DataType) -> Option<u8> {
    Some(match data_type {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        DataType::UInt64 => 20,
        _ => return None,
    })
}

fn number(ours: &Ours<'_>, precision: u8, scale: u8, round: bool) -> Option<Result<Decision, No>> {
    let room = precision.saturating_sub(scale);
    let source = ours.field.data_type();
    if let Some(digits) = integer_digits(source) {
        let form = match source {
            DataType::UInt64 => WireForm::Decimal { precision: 20, scale: 0 },
            _ => WireForm::Integer,
        };
        return Some(Ok(Decision { form, checked: room < digits }));
    }
    let DataType::Decimal128(our_precision, our_scale) = source else { return None };
    let our_scale = u8::try_from(*our_scale).ok()?;
    let wide = our_precision.saturating_sub(our_scale) > room;
    let fine = our_scale > scale && !round;
    Some(Ok(Decision { form: WireForm::Decimal { precision, scale }, checked: wide || fine }))
}

fn timestamp(
    ours: &Ours<'_>,
    theirs: &TargetColumn,
    unit: TimeUnit,
    zoned: bool,
) -> Result<Decision, No> {
    let name = ours.field.name();
    let (scale, wall) = match theirs.data_type {
        SnowflakeType::TimestampNtz { scale } => (scale, true),
        SnowflakeType::TimestampLtz { scale } | SnowflakeType::TimestampTz { scale } => {
            (scale, false)
        }
        _ => return unfit(ours, theirs),
    };
    if wall && zoned {
        return Err(No {
            reason: "an instant would lose its zone in a wall-clock time".to_owned(),
            repair: format!("write CAST({name} AS TIMESTAMP) in the query if UTC is meant"),
        });
    }
    if !wall && !zoned {
        return Err(No {
            reason: "a wall-clock time is no instant without a zone".to_owned(),
            repair: format!("write CAST({name} AS TIMESTAMP WITH TIME ZONE) if UTC is meant"),
        });
    }
    let keeps_offset = matches!(theirs.data_type, SnowflakeType::TimestampTz { .. });
    let nanos = (ours.nanos || unit == TimeUnit::Nanosecond) && scale > 6;
    let form = match (wall, nanos || (ours.offset && keeps_offset)) {
        (true, false) => WireForm::WallMicros,
        (true, true) => WireForm::WallText,
        (false, false) => WireForm::InstantMicros,
        (false, true) => WireForm::OffsetText,
    };
    Ok(Decision { form, checked: true })
}
