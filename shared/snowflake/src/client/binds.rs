//! Values as binds: typed text that the server reads exactly, never a part of the SQL.

use serde_json::{Map, Value, json};

/// One value for a question mark.
///
/// Numbers with digits after the point and timestamps are texts in base ten, so nothing is
/// rounded on the way.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(not(test), expect(dead_code, reason = "not every kind is needed by a statement yet"))]
pub(super) enum Bind {
    /// NULL of any type.
    Null,
    /// A decimal number, as text.
    Fixed(String),
    /// A float; NaN and infinities included.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A truth value.
    Boolean(bool),
    /// Days since 1970-01-01.
    Date(i32),
    /// Nanoseconds since midnight.
    Time(u64),
    /// Nanoseconds of the wall clock since 1970-01-01.
    TimestampNtz(i128),
    /// Nanoseconds since 1970-01-01 UTC.
    TimestampLtz(i128),
    /// Nanoseconds since 1970-01-01 UTC, and the offset from UTC in minutes.
    TimestampTz(i128, i32),
}

impl From<String> for Bind {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Milliseconds of a day: dates are bound in milliseconds, though results come in days.
const DAY_MS: i64 = 86_400_000;

/// What is added to the offset of a zone, so that it is never negative.
const OFFSET_BASE: i32 = 1440;

impl Bind {
    fn wire(&self) -> (&'static str, Value) {
        match self {
            Self::Null => ("TEXT", Value::Null),
            Self::Fixed(digits) => ("FIXED", digits.as_str().into()),
            Self::Real(number) => ("REAL", real(*number).into()),
            Self::Text(text) => ("TEXT", text.as_str().into()),
            Self::Binary(bytes) => ("BINARY", hex(bytes).into()),
            Self::Boolean(flag) => ("BOOLEAN", flag.to_string().into()),
            Self::Date(days) => ("DATE", (i64::from(*days) * DAY_MS).to_string().into()),
            Self::Time(nanos) => ("TIME", nanos.to_string().into()),
            Self::TimestampNtz(nanos) => ("TIMESTAMP_NTZ", nanos.to_string().into()),
            Self::TimestampLtz(nanos) => ("TIMESTAMP_LTZ", nanos.to_string().into()),
            Self::TimestampTz(nanos, offset) => {
                let text = format!("{nanos} {}", offset.saturating_add(OFFSET_BASE));
                ("TIMESTAMP_TZ", text.into())
            }
        }
    }
}

/// Returns the request's `bindings`, by position from 1.
pub(super) fn bindings(binds: &[Bind]) -> Map<String, Value> {
    let entry = |(position, bind): (usize, &Bind)| {
        let (kind, value) = bind.wire();
        (position.to_string(), json!({"type": kind, "value": value}))
    };
    (1_usize..).zip(binds).map(entry).collect()
}

/// The shortest text that reads back as the same float.
fn real(number: f64) -> String {
    match number {
        number if number.is_nan() => "NaN".to_owned(),
        number if number == f64::INFINITY => "inf".to_owned(),
        number if number == f64::NEG_INFINITY => "-inf".to_owned(),
        number => format!("{number:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_value_is_bound_in_the_units_of_the_protocol() {
        let cases = [
            (Bind::Null, json!({"type": "TEXT", "value": null})),
            (
                Bind::Fixed("-12345678901234567890.5".into()),
                json!({"type": "FIXED", "value": "-12345678901234567890.5"}),
            ),
            (Bind::Real(0.1), json!({"type": "REAL", "value": "0.1"})),
            (Bind::Real(-0.0), json!({"type": "REAL", "value": "-0.0"})),
            (Bind::Real(f64::NAN), json!({"type": "REAL", "value": "NaN"})),
            (Bind::Real(f64::NEG_INFINITY), json!({"type": "REAL", "value": "-inf"})),
            (Bind::Real(1e300), json!({"type": "REAL", "value": "1e300"})),
            (Bind::Text("a'; drop".into()), json!({"type": "TEXT", "value": "a'; drop"})),
            (Bind::Binary(vec![0, 0xab, 0xff]), json!({"type": "BINARY", "value": "00ABFF"})),
            (Bind::Boolean(true), json!({"type": "BOOLEAN", "value": "true"})),
            (Bind::Date(-1), json!({"type": "DATE", "value": "-86400000"})),
            (Bind::Time(86_399_999_999_999), json!({"type": "TIME", "value": "86399999999999"})),
            (Bind::TimestampNtz(-1), json!({"type": "TIMESTAMP_NTZ", "value": "-1"})),
            (
                // 9999-12-31: beyond what 64 bits of nanoseconds hold.
                Bind::TimestampLtz(253_402_300_799_999_999_999),
                json!({"type": "TIMESTAMP_LTZ", "value": "253402300799999999999"}),
            ),
            (Bind::TimestampTz(7, -480), json!({"type": "TIMESTAMP_TZ", "value": "7 960"})),
        ];
        for (bind, wanted) in cases {
            assert_eq!(bindings(std::slice::from_ref(&bind))["1"], wanted, "{bind:?}");
        }
    }

    #[test]
    fn binds_are_numbered_from_one_in_their_order() {
        let bound = bindings(&[Bind::Text("a".into()), Bind::Null, Bind::Text("c".into())]);
        assert_eq!(bound.keys().collect::<Vec<_>>(), ["1", "2", "3"]);
        assert_eq!(bound["3"]["value"], "c");
    }
}
