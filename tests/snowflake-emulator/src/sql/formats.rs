//! Output formats of dates and times, as the session parameters and TO_VARCHAR give them.

use std::collections::BTreeMap;

use super::datetime::{self, DAY, SECOND};
use super::error::unsupported;
use crate::engine::SqlError;

/// One piece of a format.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Piece {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Fraction(u8),
    Offset(&'static str),
    Literal(String),
}

/// A format such as `YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Format(Vec<Piece>);

const ELEMENTS: [(&str, Piece); 19] = [
    ("YYYY", Piece::Year),
    ("MM", Piece::Month),
    ("DD", Piece::Day),
    ("HH24", Piece::Hour),
    ("MI", Piece::Minute),
    ("SS", Piece::Second),
    ("FF0", Piece::Fraction(0)),
    ("FF1", Piece::Fraction(1)),
    ("FF2", Piece::Fraction(2)),
    ("FF3", Piece::Fraction(3)),
    ("FF4", Piece::Fraction(4)),
    ("FF5", Piece::Fraction(5)),
    ("FF6", Piece::Fraction(6)),
    ("FF7", Piece::Fraction(7)),
    ("FF8", Piece::Fraction(8)),
    ("FF9", Piece::Fraction(9)),
    ("FF", Piece::Fraction(9)),
    ("TZHTZM", Piece::Offset("")),
    ("TZH:TZM", Piece::Offset(":")),
];

impl Format {
    /// Reads a format; an element that is not known here is an error.
    pub(crate) fn parse(text: &str) -> Result<Self, SqlError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let upper = rest.to_ascii_uppercase();
            if let Some((name, piece)) = ELEMENTS.iter().find(|(name, _)| upper.starts_with(name)) {
                pieces.push(piece.clone());
                rest = rest.get(name.len()..).unwrap_or_default();
                continue;
            }
            if first == '"' {
                let inner = rest.get(1..).unwrap_or_default();
                let end = inner.find('"').unwrap_or(inner.len());
                pieces.push(Piece::Literal(inner.get(..end).unwrap_or_default().to_owned()));
                rest = inner.get(end + 1..).unwrap_or_default();
                continue;
            }
            if first.is_ascii_alphabetic() && first != 'T' {
                return Err(unsupported(format!("date and time format {text}")));
            }
            pieces.push(Piece::Literal(first.to_string()));
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
        Ok(Self(pieces))
    }

    /// The text of a wall-clock moment; without an offset the offset is shown as UTC.
    pub(crate) fn format(&self, wall: i128, offset: Option<i32>) -> String {
        let days = i64::try_from(wall.div_euclid(DAY)).unwrap_or_default();
        let (year, month, day) = datetime::civil_from_days(days);
        let nanos = wall.rem_euclid(DAY);
        let seconds = nanos / SECOND;
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Year => out.push_str(&format!("{year:04}")),
                Piece::Month => out.push_str(&format!("{month:02}")),
                Piece::Day => out.push_str(&format!("{day:02}")),
                Piece::Hour => out.push_str(&format!("{:02}", seconds / 3600)),
                Piece::Minute => out.push_str(&format!("{:02}", seconds / 60 % 60)),
                Piece::Second => out.push_str(&format!("{:02}", seconds % 60)),
                Piece::Fraction(digits) => {
                    let all = format!("{:09}", nanos % SECOND);
                    out.push_str(all.get(..usize::from(*digits)).unwrap_or_default());
                }
                Piece::Offset(colon) => {
                    out.push_str(&datetime::format_offset(offset.unwrap_or(0), colon));
                }
                Piece::Literal(text) => out.push_str(text),
            }
        }
        out
    }
}

/// The formats of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Formats {
    date: Format,
    time: Format,
    ntz: Format,
    ltz: Format,
    tz: Format,
}

/// Snowflake's defaults; LTZ and TZ fall back to TIMESTAMP_OUTPUT_FORMAT.
pub(crate) const DEFAULTS: [(&str, &str); 6] = [
    ("DATE_OUTPUT_FORMAT", "YYYY-MM-DD"),
    ("TIME_OUTPUT_FORMAT", "HH24:MI:SS"),
    ("TIMESTAMP_OUTPUT_FORMAT", "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM"),
    ("TIMESTAMP_NTZ_OUTPUT_FORMAT", "YYYY-MM-DD HH24:MI:SS.FF3"),
    ("TIMESTAMP_LTZ_OUTPUT_FORMAT", ""),
    ("TIMESTAMP_TZ_OUTPUT_FORMAT", ""),
];

impl Formats {
    /// The formats that session parameters give.
    pub(crate) fn of(parameters: &BTreeMap<String, String>) -> Result<Self, SqlError> {
        let text = |name: &str| {
            let default = DEFAULTS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
            parameters.get(name).map(String::as_str).or(default).unwrap_or_default()
        };
        let or_general = |name: &str| match text(name) {
            "" => Format::parse(text("TIMESTAMP_OUTPUT_FORMAT")),
            own => Format::parse(own),
        };
        Ok(Self {
            date: Format::parse(text("DATE_OUTPUT_FORMAT"))?,
            time: Format::parse(text("TIME_OUTPUT_FORMAT"))?,
            ntz: or_general("TIMESTAMP_NTZ_OUTPUT_FORMAT")?,
            ltz: or_general("TIMESTAMP_LTZ_OUTPUT_FORMAT")?,
            tz: or_general("TIMESTAMP_TZ_OUTPUT_FORMAT")?,
        })
    }

    pub(crate) fn date(&self, days: i32) -> String {
        self.date.format(i128::from(days) * DAY, None)
    }

    pub(crate) fn time(&self, nanos: i64) -> String {
        self.time.format(i128::from(nanos), None)
    }

    pub(crate) fn ntz(&self, wall: i128) -> String {
        self.ntz.format(wall, None)
    }

    pub(crate) fn ltz(&self, utc: i128, offset: i32) -> String {
        self.ltz.format(utc + i128::from(offset) * 60 * SECOND, Some(offset))
    }

    pub(crate) fn tz(&self, utc: i128, offset: i32) -> String {
        self.tz.format(utc + i128::from(offset) * 60 * SECOND, Some(offset))
    }
}
