//! Functions of dates and times.

use super::{Arg, Eval, Spec, arg, shown, text_type, whole};
use crate::engine::SqlError;
use crate::sql::datetime::{self, DAY, SECOND};
use crate::sql::error::{compile, invalid_types, not_recognized};
use crate::sql::formats::Format;
use crate::sql::value::Value;
use crate::types::SnowType;

pub(super) const FUNCTIONS: &[Spec] = &[
    Spec::strict("dateadd", 3..=3, dateadd_type, dateadd),
    Spec::strict("datediff", 3..=3, datediff_type, datediff),
    Spec::strict("date_part", 2..=2, date_part_type, date_part),
    Spec::strict("date_trunc", 2..=2, date_trunc_type, date_trunc),
    Spec::strict("last_day", 1..=1, date_type, last_day),
    Spec::strict("dayname", 1..=1, name_type, dayname),
    Spec::strict("monthname", 1..=1, name_type, monthname),
    Spec::strict("to_varchar", 2..=2, formatted_type, to_varchar),
    Spec::strict("epoch_timestamp", 3..=3, epoch_type, epoch_timestamp),
    Spec::strict("convert_timezone", 2..=3, convert_type, convert_timezone),
];

/// The canonical name of a part and of its abbreviations.
pub(crate) fn part_name(text: &str) -> Option<&'static str> {
    Some(match text.to_ascii_lowercase().as_str() {
        "year" | "y" | "yy" | "yyy" | "yyyy" | "yr" | "years" | "yrs" => "year",
        "quarter" | "q" | "qtr" | "qtrs" | "quarters" => "quarter",
        "month" | "mm" | "mon" | "mons" | "months" => "month",
        "week" | "w" | "wk" | "weekofyear" | "woy" | "wy" | "weeks" => "week",
        "day" | "d" | "dd" | "days" | "dayofmonth" => "day",
        "dayofweek" | "weekday" | "dow" | "dw" => "dayofweek",
        "dayofweekiso" | "weekday_iso" | "dow_iso" | "dw_iso" => "dayofweekiso",
        "dayofyear" | "yearday" | "doy" | "dy" => "dayofyear",
        "hour" | "h" | "hh" | "hr" | "hours" | "hrs" => "hour",
        "minute" | "m" | "mi" | "min" | "minutes" | "mins" => "minute",
        "second" | "s" | "sec" | "seconds" | "secs" => "second",
        "millisecond" | "ms" | "msec" | "milliseconds" => "millisecond",
        "microsecond" | "us" | "usec" | "microseconds" => "microsecond",
        "nanosecond" | "ns" | "nsec" | "nanosec" | "nsecond" | "nanoseconds" | "nanosecs"
        | "nseconds" => "nanosecond",
        "epoch_second" | "epoch" | "epoch_seconds" => "epoch_second",
        "epoch_millisecond" | "epoch_milliseconds" => "epoch_millisecond",
        "epoch_microsecond" | "epoch_microseconds" => "epoch_microsecond",
        "epoch_nanosecond" | "epoch_nanoseconds" => "epoch_nanosecond",
        "timezone_hour" | "tzh" => "timezone_hour",
        "timezone_minute" | "tzm" => "timezone_minute",
        _ => return None,
    })
}

fn part<'a>(args: &[Arg<'a>]) -> Result<&'static str, SqlError> {
    let text = args.first().and_then(|arg| arg.literal).unwrap_or_default();
    part_name(text).ok_or_else(|| unknown_part(text))
}

fn part_of(values: &[Value]) -> Result<&'static str, SqlError> {
    match arg(values, 0) {
        Value::Text(text) => part_name(text).ok_or_else(|| unknown_part(text)),
        other => Err(unknown_part(&format!("{other:?}"))),
    }
}

fn unknown_part(text: &str) -> SqlError {
    compile("001033", "42601", format!("'{text}' is not a valid date/time component."))
}

/// Nanoseconds of a part of fixed length.
fn unit(part: &str) -> Option<i128> {
    Some(match part {
        "week" => 7 * DAY,
        "day" => DAY,
        "hour" => 3600 * SECOND,
        "minute" => 60 * SECOND,
        "second" => SECOND,
        "millisecond" => 1_000_000,
        "microsecond" => 1000,
        "nanosecond" => 1,
        _ => return None,
    })
}

fn months(part: &str) -> Option<i64> {
    Some(match part {
        "year" => 12,
        "quarter" => 3,
        "month" => 1,
        _ => return None,
    })
}

fn dateadd_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let part = part(args)?;
    if unit(part).is_none() && months(part).is_none() {
        return Err(unknown_part(part));
    }
    let small = unit(part).is_some_and(|unit| unit < DAY);
    match args.get(2).and_then(|arg| arg.data_type.clone()) {
        Some(SnowType::Date) if small => Ok(SnowType::TimestampNtz { scale: 9 }),
        Some(time @ SnowType::Time { .. }) if small => Ok(time),
        Some(SnowType::Text { .. }) | None => Ok(SnowType::TimestampNtz { scale: 9 }),
        Some(SnowType::Date) => Ok(SnowType::Date),
        Some(timestamp) if timestamp.is_timestamp() => Ok(with_full_scale(&timestamp, small)),
        Some(_) => Err(invalid_types("DATEADD", shown(args))),
    }
}

/// Sub-second steps may need all nine digits.
fn with_full_scale(timestamp: &SnowType, small: bool) -> SnowType {
    match timestamp {
        SnowType::TimestampNtz { .. } if small => SnowType::TimestampNtz { scale: 9 },
        SnowType::TimestampLtz { .. } if small => SnowType::TimestampLtz { scale: 9 },
        SnowType::TimestampTz { .. } if small => SnowType::TimestampTz { scale: 9 },
        other => other.clone(),
    }
}

fn dateadd(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let part = part_of(values)?;
    let count = whole(arg(values, 1))?;
    let target = match eval.out {
        SnowType::Time { .. } => arg(values, 2).clone(),
        out => eval.conversion.value(arg(values, 2).clone(), out)?,
    };
    let step = unit(part).map(|unit| i128::from(count) * unit);
    let add_months = |wall: i128| -> Result<i128, SqlError> {
        let total = months(part).and_then(|each| each.checked_mul(count));
        let total = total.filter(|months| months.abs() < 200_000).ok_or_else(out_of_range)?;
        let days = i64::try_from(wall.div_euclid(DAY)).map_err(|_| out_of_range())?;
        Ok(i128::from(datetime::add_months(days, total)) * DAY + wall.rem_euclid(DAY))
    };
    let moved = |wall: i128| match step {
        Some(step) => Ok(wall + step),
        None => add_months(wall),
    };
    let day_step = step.is_none_or(|_| unit(part).is_some_and(|unit| unit >= DAY));
    let result = match target {
        Value::Date(days) => {
            let wall = moved(i128::from(days) * DAY)?.div_euclid(DAY);
            Value::Date(i32::try_from(wall).map_err(|_| out_of_range())?)
        }
        Value::Time(nanos) => {
            let moved = moved(i128::from(nanos))?.rem_euclid(DAY);
            Value::Time(i64::try_from(moved).map_err(|_| out_of_range())?)
        }
        Value::Ntz(wall) => Value::Ntz(moved(wall)?),
        Value::Ltz(utc) if !day_step => Value::Ltz(moved(utc)?),
        Value::Ltz(utc) => {
            let zone = eval.conversion.zone;
            let wall = utc + minutes(datetime::offset_at(zone, utc));
            Value::Ltz(datetime::utc_of(zone, moved(wall)?))
        }
        Value::Tz(utc, offset) => {
            Value::Tz(moved(utc + minutes(offset))? - minutes(offset), offset)
        }
        other => return Err(invalid_types("DATEADD", format!("{other:?}"))),
    };
    in_range(eval, result)
}

fn minutes(offset: i32) -> i128 {
    i128::from(offset) * 60 * SECOND
}

fn out_of_range() -> SqlError {
    not_recognized("Timestamp", "out of range")
}

fn in_range(eval: &Eval<'_>, value: Value) -> Result<Value, SqlError> {
    let Some(wall) = eval.conversion.wall(&value) else { return Ok(value) };
    let days = i64::try_from(wall.div_euclid(DAY)).map_err(|_| out_of_range())?;
    if datetime::day_in_range(days) { Ok(value) } else { Err(out_of_range()) }
}

fn datediff_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let part = part(args)?;
    if unit(part).is_none() && months(part).is_none() {
        return Err(unknown_part(part));
    }
    Ok(SnowType::Number { precision: 38, scale: 0 })
}

/// How many borders of the part lie between two moments.
fn datediff(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let part = part_of(values)?;
    let wall = |value: &Value| -> Result<i128, SqlError> { wall_of(eval, value, "DATEDIFF") };
    let (from, to) = (wall(arg(values, 1))?, wall(arg(values, 2))?);
    if let Some(each) = months(part) {
        let index = |wall: i128| {
            let (year, month, _) = civil(wall);
            (year * 12 + month - 1).div_euclid(each)
        };
        return Ok(Value::integer(index(to) - index(from)));
    }
    let unit = unit(part).unwrap_or(1);
    // Weeks start on Monday; 1970-01-01 was a Thursday.
    let shift = if part == "week" { 3 * DAY } else { 0 };
    Ok(Value::integer((to + shift).div_euclid(unit) - (from + shift).div_euclid(unit)))
}

/// The wall-clock moment of a date, time, timestamp or text.
fn wall_of(eval: &Eval<'_>, value: &Value, function: &str) -> Result<i128, SqlError> {
    match value {
        Value::Time(nanos) => Ok(i128::from(*nanos)),
        Value::Text(text) => datetime::parse_timestamp(text)
            .map(|parsed| parsed.wall)
            .ok_or_else(|| not_recognized("Timestamp", text)),
        other => {
            eval.conversion.wall(other).ok_or_else(|| invalid_types(function, format!("{other:?}")))
        }
    }
}

fn civil(wall: i128) -> (i64, i64, i64) {
    datetime::civil_from_days(i64::try_from(wall.div_euclid(DAY)).unwrap_or(0))
}

fn date_part_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let long = part(args)?.starts_with("epoch");
    Ok(SnowType::Number { precision: if long { 38 } else { 9 }, scale: 0 })
}

fn date_part(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let part = part_of(values)?;
    let value = arg(values, 1);
    let wall = wall_of(eval, value, "DATE_PART")?;
    let nanos = wall.rem_euclid(DAY);
    let days = i64::try_from(wall.div_euclid(DAY)).unwrap_or(0);
    let (year, month, day) = datetime::civil_from_days(days);
    let offset = || match value {
        Value::Tz(_, offset) => *offset,
        Value::Ltz(utc) => datetime::offset_at(eval.conversion.zone, *utc),
        _ => 0,
    };
    let utc = match value {
        Value::Ltz(utc) | Value::Tz(utc, _) => *utc,
        _ => wall,
    };
    Ok(Value::integer(match part {
        "year" => i128::from(year),
        "quarter" => i128::from((month + 2) / 3),
        "month" => i128::from(month),
        "day" => i128::from(day),
        "week" => i128::from(iso_week(days)),
        "dayofweek" => i128::from((days + 4).rem_euclid(7)),
        "dayofweekiso" => i128::from((days + 3).rem_euclid(7) + 1),
        "dayofyear" => i128::from(days - datetime::days_from_civil(year, 1, 1) + 1),
        "hour" => nanos / (3600 * SECOND),
        "minute" => nanos / (60 * SECOND) % 60,
        "second" => nanos / SECOND % 60,
        "nanosecond" => nanos % SECOND,
        "epoch_second" => utc.div_euclid(SECOND),
        "epoch_millisecond" => utc.div_euclid(1_000_000),
        "epoch_microsecond" => utc.div_euclid(1000),
        "epoch_nanosecond" => utc,
        "timezone_hour" => i128::from(offset() / 60),
        "timezone_minute" => i128::from(offset() % 60),
        other => return Err(unknown_part(other)),
    }))
}

/// The week of the year that holds the Thursday of this week.
fn iso_week(days: i64) -> i64 {
    let thursday = days - (days + 3).rem_euclid(7) + 3;
    let (year, _, _) = datetime::civil_from_days(thursday);
    (thursday - datetime::days_from_civil(year, 1, 1)) / 7 + 1
}

fn date_trunc_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let part = part(args)?;
    if unit(part).is_none() && months(part).is_none() {
        return Err(unknown_part(part));
    }
    match args.get(1).and_then(|arg| arg.data_type.clone()) {
        Some(found @ (SnowType::Date | SnowType::Time { .. })) => Ok(found),
        Some(found) if found.is_timestamp() => Ok(found),
        _ => Err(invalid_types("DATE_TRUNC", shown(args))),
    }
}

fn date_trunc(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let part = part_of(values)?;
    let value = arg(values, 1);
    let wall = wall_of(eval, value, "DATE_TRUNC")?;
    let cut = if let Some(each) = months(part) {
        let (year, month, _) = civil(wall);
        let index = (year * 12 + month - 1).div_euclid(each) * each;
        let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
        i128::from(datetime::days_from_civil(year, month, 1)) * DAY
    } else {
        let unit = unit(part).unwrap_or(1);
        let shift = if part == "week" { 3 * DAY } else { 0 };
        (wall + shift).div_euclid(unit) * unit - shift
    };
    Ok(match value {
        Value::Date(_) => Value::Date(i32::try_from(cut.div_euclid(DAY)).unwrap_or(0)),
        Value::Time(_) => Value::Time(i64::try_from(cut.rem_euclid(DAY)).unwrap_or(0)),
        Value::Ltz(_) => Value::Ltz(datetime::utc_of(eval.conversion.zone, cut)),
        Value::Tz(_, offset) => Value::Tz(cut - minutes(*offset), *offset),
        _ => Value::Ntz(cut),
    })
}

fn date_type(_args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    Ok(SnowType::Date)
}

fn last_day(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (year, month, _) = civil(wall_of(eval, arg(values, 0), "LAST_DAY")?);
    let last = datetime::days_from_civil(year, month, datetime::days_in_month(year, month));
    Ok(Value::Date(i32::try_from(last).map_err(|_| out_of_range())?))
}

fn name_type(_args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    Ok(SnowType::Text { length: 3 })
}

fn name_of(names: &[&str], index: i64) -> Value {
    let name = usize::try_from(index).ok().and_then(|index| names.get(index));
    Value::text(name.copied().unwrap_or_default())
}

fn dayname(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let wall = wall_of(eval, arg(values, 0), "DAYNAME")?;
    let days = i64::try_from(wall.div_euclid(DAY)).unwrap_or(0);
    Ok(name_of(&["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"], (days + 4).rem_euclid(7)))
}

fn monthname(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let (_, month, _) = civil(wall_of(eval, arg(values, 0), "MONTHNAME")?);
    let names =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    Ok(name_of(&names, month - 1))
}

/// TO_VARCHAR with a format: of dates and times, and HEX and UTF-8 of BINARY.
fn formatted_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    match args.first().and_then(|arg| arg.data_type.as_ref()) {
        Some(SnowType::Date | SnowType::Time { .. } | SnowType::Binary { .. }) | None => {}
        Some(timestamp) if timestamp.is_timestamp() => {}
        Some(_) => return Err(invalid_types("TO_VARCHAR", shown(args))),
    }
    text_type(args)
}

fn to_varchar(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let format = eval.conversion.text(arg(values, 1));
    let value = arg(values, 0);
    if let Value::Bytes(bytes) = value {
        return match format.to_ascii_uppercase().as_str() {
            "HEX" => Ok(Value::Text(crate::sql::convert::hex(bytes))),
            "UTF-8" | "UTF8" => String::from_utf8(bytes.clone()).map(Value::Text).map_err(|_| {
                crate::sql::error::sql_error("100143", "22000", "Invalid UTF8 detected")
            }),
            _ => Err(crate::sql::error::unsupported(format!("binary format {format}"))),
        };
    }
    let offset = match value {
        Value::Ltz(utc) => Some(datetime::offset_at(eval.conversion.zone, *utc)),
        Value::Tz(_, offset) => Some(*offset),
        _ => None,
    };
    let wall = wall_of(eval, value, "TO_VARCHAR")?;
    Ok(Value::Text(Format::parse(&format)?.format(wall, offset)))
}

/// TO_TIMESTAMP_…(number, scale): the third argument names the type.
fn epoch_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    let numeric = matches!(
        args.first().and_then(|arg| arg.data_type.as_ref()),
        Some(SnowType::Number { .. }) | None
    );
    match args.get(2).and_then(|arg| arg.literal) {
        Some(name) if numeric => crate::sql::tokens::parse_type(name),
        _ => Err(invalid_types("TO_TIMESTAMP", shown(args))),
    }
}

fn epoch_timestamp(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let scale = whole(arg(values, 1))?;
    let digits = i8::try_from(scale).ok().filter(|digits| (0..=9).contains(digits));
    let digits = digits.ok_or_else(|| invalid_types("TO_TIMESTAMP", scale))?;
    let Value::Number(unscaled, own) = arg(values, 0) else { return Ok(Value::Null) };
    eval.conversion.value(Value::Number(*unscaled, own + digits), eval.out)
}

/// CONVERT_TIMEZONE(target, timestamp) gives a TZ; with a source zone an NTZ.
fn convert_type(args: &[Arg<'_>]) -> Result<SnowType, SqlError> {
    Ok(match args.len() {
        2 => SnowType::TimestampTz { scale: 9 },
        _ => SnowType::TimestampNtz { scale: 9 },
    })
}

fn convert_timezone(eval: &Eval<'_>, values: &[Value]) -> Result<Value, SqlError> {
    let zone = |value: &Value| -> Result<chrono_tz::Tz, SqlError> {
        let name = eval.conversion.text(value);
        datetime::zone(&name).ok_or_else(|| {
            crate::sql::error::sql_error("100036", "22023", format!("Unknown timezone: '{name}'"))
        })
    };
    if let [target, value] = values {
        let zone = zone(target)?;
        let at = eval.conversion.value(value.clone(), &SnowType::TimestampLtz { scale: 9 })?;
        let utc = eval.conversion.instant(&at).unwrap_or(0);
        return Ok(Value::Tz(utc, datetime::offset_at(zone, utc)));
    }
    let (source, target) = (zone(arg(values, 0))?, zone(arg(values, 1))?);
    let utc = datetime::utc_of(source, wall_of(eval, arg(values, 2), "CONVERT_TIMEZONE")?);
    Ok(Value::Ntz(utc + minutes(datetime::offset_at(target, utc))))
}
