//! Dates, times and timestamps: text in, text out, calendar arithmetic, zones.
//!
//! All moments are nanoseconds in 128 bits, so the years 0001 to 9999 fit without loss, before
//! 1970 as well as after.

use chrono::{Offset, TimeZone};
use chrono_tz::Tz;

/// Nanoseconds of a second.
pub(crate) const SECOND: i128 = 1_000_000_000;
/// Nanoseconds of a day.
pub(crate) const DAY: i128 = 86_400 * SECOND;
/// 0001-01-01 in days since 1970.
pub(crate) const FIRST_DAY: i64 = -719_162;
/// 9999-12-31 in days since 1970.
pub(crate) const LAST_DAY: i64 = 2_932_896;

/// Days since 1970-01-01 of a proleptic Gregorian date.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of days since 1970-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Days of a month.
pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The same day `months` later, or the last day of that month.
pub(crate) fn add_months(days: i64, months: i64) -> i64 {
    let (year, month, day) = civil_from_days(days);
    let index = year * 12 + month - 1 + months;
    let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
    days_from_civil(year, month, day.min(days_in_month(year, month)))
}

/// Whether days lie in the years that Snowflake documents for DATE.
pub(crate) fn day_in_range(days: i64) -> bool {
    (FIRST_DAY..=LAST_DAY).contains(&days)
}

/// Cuts (not rounds) nanoseconds to `scale` digits, towards the past.
pub(crate) fn cut(nanos: i128, scale: u8) -> i128 {
    let unit = 10_i128.pow(u32::from(9_u8.saturating_sub(scale)));
    nanos.div_euclid(unit) * unit
}

/// A timestamp as text gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Wall-clock nanoseconds since 1970.
    pub wall: i128,
    /// Offset in minutes, if the text had one.
    pub offset: Option<i32>,
}

/// Reads ISO dates and timestamps, with `T` or blank, up to nine digits, and an offset.
pub(crate) fn parse_timestamp(text: &str) -> Option<Parsed> {
    let text = text.trim();
    let mut scan = Scan { rest: text.as_bytes() };
    let days = scan.date()?;
    if scan.rest.is_empty() {
        return Some(Parsed { wall: i128::from(days) * DAY, offset: None });
    }
    if !scan.eat(b'T') && !scan.eat(b't') && !scan.eat(b' ') {
        return None;
    }
    let time = scan.time()?;
    let wall = i128::from(days) * DAY + time;
    let offset = scan.offset()?;
    scan.rest.is_empty().then_some(Parsed { wall, offset })
}

/// Reads a time of day, `HH:MI`, `HH:MI:SS` or with up to nine digits after the second.
pub(crate) fn parse_time(text: &str) -> Option<i128> {
    let mut scan = Scan { rest: text.trim().as_bytes() };
    let time = scan.time()?;
    scan.rest.is_empty().then_some(time)
}

struct Scan<'a> {
    rest: &'a [u8],
}

impl Scan<'_> {
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        found
    }

    fn number(&mut self, least: usize, most: usize) -> Option<i64> {
        let digits = self.rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        if digits < least {
            return None;
        }
        let (head, tail) = self.rest.split_at(digits);
        self.rest = tail;
        std::str::from_utf8(head).ok()?.parse().ok()
    }

    fn date(&mut self) -> Option<i64> {
        let year = self.number(4, 4)?;
        self.eat(b'-').then_some(())?;
        let month = self.number(1, 2)?;
        self.eat(b'-').then_some(())?;
        let day = self.number(1, 2)?;
        let valid = (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
        let days = days_from_civil(year, month, day);
        (valid && day_in_range(days)).then_some(days)
    }

    fn time(&mut self) -> Option<i128> {
        let hour = self.number(1, 2)?;
        self.eat(b':').then_some(())?;
        let minute = self.number(1, 2)?;
        let second = if self.eat(b':') { self.number(1, 2)? } else { 0 };
        let mut fraction = 0;
        if self.eat(b'.') {
            let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let value = self.number(1, 9)?;
            fraction = i128::from(value) * 10_i128.pow(9 - u32::try_from(digits).ok()?.min(9));
        }
        let valid = hour < 24 && minute < 60 && second < 60;
        let seconds = i128::from(hour * 3600 + minute * 60 + second);
        valid.then_some(seconds * SECOND + fraction)
    }

    /// The outer `None` is a bad offset, the inner one no offset.
    fn offset(&mut self) -> Option<Option<i32>> {
        while self.eat(b' ') {}
        if self.rest.is_empty() {
            return Some(None);
        }
        if self.eat(b'Z') || self.eat(b'z') {
            return Some(Some(0));
        }
        let sign = if self.eat(b'+') {
            1
        } else if self.eat(b'-') {
            -1
        } else {
            return None;
        };
        let hours = self.number(1, 2)?;
        let minutes = if self.eat(b':') || !self.rest.is_empty() { self.number(2, 2)? } else { 0 };
        let total = i32::try_from(hours * 60 + minutes).ok()?;
        (total <= 1440 && minutes < 60).then_some(Some(sign * total))
    }
}

/// `+HHMM` or, with a colon, `+HH:MM`.
pub(crate) fn format_offset(minutes: i32, colon: &str) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}{colon}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// Offset in minutes of a zone at an instant (UTC nanoseconds).
///
/// Zones before standard time had offsets with seconds; they are cut to minutes, as the wire has
/// only minutes.
pub(crate) fn offset_at(zone: Tz, utc: i128) -> i32 {
    let seconds = i64::try_from(utc.div_euclid(SECOND)).unwrap_or(0);
    match zone.timestamp_opt(seconds, 0) {
        chrono::MappedLocalTime::Single(moment) => {
            moment.offset().fix().local_minus_utc().div_euclid(60)
        }
        _ => 0,
    }
}

/// UTC nanoseconds of a wall-clock moment in a zone; the earlier of two, the later side of a gap.
pub(crate) fn utc_of(zone: Tz, wall: i128) -> i128 {
    let first = offset_at(zone, wall - DAY);
    let second = offset_at(zone, wall + DAY);
    for offset in [first.max(second), first.min(second)] {
        let utc = wall - i128::from(offset) * 60 * SECOND;
        if offset_at(zone, utc) == offset {
            return utc;
        }
    }
    wall - i128::from(first) * 60 * SECOND
}

/// The zone of a session parameter.
pub(crate) fn zone(name: &str) -> Option<Tz> {
    name.parse().ok()
}
