//! The `schedule` of a pull or a push: an expression of EventBridge Scheduler, a time zone, and how
//! much later than asked for a run may start.
//!
//! Scheduler itself accepts what never fires, or fires at another time than was meant; so the whole
//! grammar is tested here, before anything is stored.
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>

use std::collections::BTreeSet;
use std::str::FromStr;

use super::document::{Node, Position, Value};
use super::fields::{Problems, Section, Show, Spot, text};
use super::problem::Problem;

/// Runs of one connection are at least so many minutes apart: its queue takes an equal message
/// within five minutes for the same one.
const LEAST_MINUTES: u32 = 5;

/// The longest flexible window that Scheduler has: a day.
const MOST_WINDOW_MINUTES: u16 = 1440;

const EXPRESSIONS: &str = "cron(MINUTES HOURS DAY MONTH WEEKDAY YEAR), e.g. cron(0 3 * * ? *), or \
                           rate(NUMBER minutes|hours|days), e.g. rate(6 hours)";
const WINDOWS: &str = "1m to 1440m, or 1h to 24h";

/// When runs begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// `cron(…)` or `rate(…)`.
    pub expression: String,
    /// The zone that `cron(…)` is read in, by its IANA name.
    pub time_zone: String,
    /// Within how many minutes after that a run begins; `None`: at once.
    pub window_minutes: Option<u16>,
}

/// The schedules of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedules {
    /// Of its pulls; `None`: only by hand.
    pub pull: Option<Schedule>,
    /// Of its pushes.
    pub push: Option<Schedule>,
}

/// Reads the `schedule` of a part of the file. The part's other fields are for its own reader.
pub(super) fn read_in(problems: &mut Problems, part: &Spot<&Node>) -> Option<Option<Schedule>> {
    let Value::Map(entries) = &part.value.value else { return Some(None) };
    let Some((key, node)) = entries.iter().find(|(key, _)| key.name == "schedule") else {
        return Some(None);
    };
    let spot = Spot { at: key.at, path: format!("{}.schedule", part.path), value: node };
    read(problems, spot).map(Some)
}

fn read(problems: &mut Problems, spot: Spot<&Node>) -> Option<Schedule> {
    let section = Section::open(problems, spot, &["at", "time_zone", "window"])?;
    let repair = "say when, e.g. `at: cron(0 3 * * ? *)` for every day at three";
    let expression = section
        .required(problems, "at", repair)
        .and_then(|spot| text(problems, spot, Show::Value))
        .and_then(|spot| spot.check(problems, |written| check_expression(written)))
        .map(|written: String| written);
    let time_zone = match section.field("time_zone") {
        Some(spot) => text(problems, spot, Show::Value)
            .and_then(|spot| spot.check(problems, |written| check_zone(written))),
        None => Some("UTC".to_owned()),
    };
    let window_minutes = match section.field("window") {
        Some(spot) => text(problems, spot, Show::Value)
            .and_then(|spot| spot.check(problems, |written| check_window(written)))
            .map(Some),
        None => Some(None),
    };
    Some(Schedule {
        expression: expression?,
        time_zone: time_zone?,
        window_minutes: window_minutes?,
    })
}

fn problem(found: impl Into<String>) -> Problem {
    Problem::new(Position::START, "", found)
}

fn check_zone(written: &str) -> Result<String, Problem> {
    match chrono_tz::Tz::from_str(written) {
        Ok(_) => Ok(written.to_owned()),
        Err(_) => Err(problem(format!("`{written}` is no time zone"))
            .allowed("an IANA name like UTC or Europe/Berlin")),
    }
}

fn check_window(written: &str) -> Result<u16, Problem> {
    let minutes = match written.split_at_checked(written.len().saturating_sub(1)) {
        Some((number, "m")) => number.parse::<u16>().ok(),
        Some((number, "h")) => number.parse::<u16>().ok().and_then(|hours| hours.checked_mul(60)),
        _ => None,
    };
    minutes
        .filter(|minutes| (1..=MOST_WINDOW_MINUTES).contains(minutes))
        .ok_or_else(|| problem(format!("found `{written}`")).allowed(WINDOWS))
}

fn check_expression(written: &str) -> Result<String, Problem> {
    let inner = |kind: &str| {
        let rest = written.strip_prefix(kind)?.strip_prefix('(')?;
        rest.strip_suffix(')')
    };
    match (inner("cron"), inner("rate")) {
        (Some(fields), _) => check_cron(fields)?,
        (_, Some(rate)) => check_rate(rate)?,
        _ => return Err(problem(format!("`{written}` is no schedule")).allowed(EXPRESSIONS)),
    }
    Ok(written.to_owned())
}

fn check_rate(rate: &str) -> Result<(), Problem> {
    let allowed = "rate(5 minutes) and more, rate(1 hour), rate(6 hours), rate(1 day), …";
    let refuse = || problem(format!("`rate({rate})` is none")).allowed(allowed);
    let (number, unit) = rate.split_once(' ').ok_or_else(refuse)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refuse());
    }
    let number: u32 = number.parse().map_err(|_| refuse())?;
    let known = match number {
        0 => false,
        1 => ["minute", "hour", "day"].contains(&unit),
        _ => ["minutes", "hours", "days"].contains(&unit),
    };
    if !known {
        return Err(refuse());
    }
    if unit.starts_with("minute") && number < LEAST_MINUTES {
        return Err(too_often());
    }
    Ok(())
}

fn too_often() -> Problem {
    problem("runs would be less than five minutes apart").repair(
        "let five minutes lie between two runs: an equal message within five minutes is taken for \
         the same one",
    )
}

/// A field of `cron(…)`.
struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const NO_NAMES: &[&str] = &[];
const MONTHS: &[&str] =
    &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const MINUTES: Field = Field { name: "minutes", least: 0, most: 59, names: NO_NAMES };
const HOURS: Field = Field { name: "hours", least: 0, most: 23, names: NO_NAMES };
const DAY: Field = Field { name: "day of the month", least: 1, most: 31, names: NO_NAMES };
const MONTH: Field = Field { name: "month", least: 1, most: 12, names: MONTHS };
const WEEKDAY: Field = Field { name: "day of the week", least: 1, most: 7, names: DAYS };
const YEAR: Field = Field { name: "year", least: 1970, most: 2199, names: NO_NAMES };

fn check_cron(fields: &str) -> Result<(), Problem> {
    let parts: Vec<&str> = fields.split_whitespace().collect();
    let [minutes, hours, day, month, weekday, year] = parts[..] else {
        let found = format!("`cron({fields})` has {} fields, six are needed", parts.len());
        return Err(problem(found).allowed(EXPRESSIONS));
    };
    let minutes = MINUTES.values(minutes)?;
    let hours = HOURS.values(hours)?;
    if shortest_pause(&minutes, hours.len() > 1).is_some_and(|pause| pause < LEAST_MINUTES) {
        return Err(too_often());
    }
    let months = MONTH.values(month)?;
    YEAR.values(year)?;
    match (day, weekday) {
        ("?", "?") => Err(problem("both days are `?`")
            .repair("write `*` or a day in one of them; the other one stays `?`")),
        ("?", weekday) => check_weekday(weekday),
        (day, "?") => check_day(day, &months),
        _ => Err(problem("both days are given")
            .repair("write `?` for the day of the month or for the day of the week")),
    }
}

/// Returns the shortest time between two of these minutes; `None` when there is one an hour at
/// most.
fn shortest_pause(minutes: &BTreeSet<u32>, every_hour: bool) -> Option<u32> {
    let pairs = minutes.iter().zip(minutes.iter().skip(1)).map(|(a, b)| b - a);
    let wrap = match (minutes.first(), minutes.last()) {
        (Some(first), Some(last)) if every_hour && minutes.len() > 1 => Some(first + 60 - last),
        _ => None,
    };
    pairs.chain(wrap).min()
}

fn check_weekday(part: &str) -> Result<(), Problem> {
    let last = part.strip_suffix('L').is_some_and(|day| WEEKDAY.value(day).is_some());
    let nth = part.split_once('#').is_some_and(|(day, nth)| {
        WEEKDAY.value(day).is_some() && matches!(nth, "1" | "2" | "3" | "4" | "5")
    });
    if last || nth { Ok(()) } else { WEEKDAY.values(part).map(|_| ()) }
}

fn check_day(part: &str, months: &BTreeSet<u32>) -> Result<(), Problem> {
    let days = match part.strip_suffix('W') {
        Some(day) => BTreeSet::from([DAY.value(day).ok_or_else(|| DAY.refuse(part))?]),
        None if part == "L" => return Ok(()),
        None => DAY.values(part)?,
    };
    let longest = |month: &u32| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let most = months.iter().map(longest).max().unwrap_or(31);
    if days.first().is_some_and(|day| *day > most) {
        return Err(problem(format!("no such month has the day {part}"))
            .repair("write L for the last day of the month"));
    }
    Ok(())
}

impl Field {
    fn refuse(&self, part: &str) -> Problem {
        let (name, least, most) = (self.name, self.least, self.most);
        problem(format!("`{part}` is not understood as {name}"))
            .allowed(format!("*, {least} to {most}, A-B, A/N, A,B"))
    }

    /// Returns the values that a part means.
    fn values(&self, part: &str) -> Result<BTreeSet<u32>, Problem> {
        let mut all = BTreeSet::new();
        for item in part.split(',') {
            all.extend(self.item(item).ok_or_else(|| self.refuse(part))?);
        }
        Ok(all)
    }

    /// A value, a range, `*`, or one of them with a step.
    fn item(&self, item: &str) -> Option<Vec<u32>> {
        let (base, step) = match item.split_once('/') {
            Some((base, step)) => (base, Some(number(step).filter(|step| *step > 0)?)),
            None => (item, None),
        };
        let (from, to) = match base.split_once('-') {
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            None if base == "*" => (self.least, self.most),
            // With a step, a single value is where counting begins.
            None => (self.value(base)?, if step.is_some() { self.most } else { self.value(base)? }),
        };
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        (from <= to).then(|| (from..=to).step_by(step).collect())
    }

    fn value(&self, text: &str) -> Option<u32> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let value = match named {
            Some(position) => u32::try_from(position).ok()? + self.least,
            None => number(text)?,
        };
        (self.least..=self.most).contains(&value).then_some(value)
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_the_documentation_are_accepted() {
        for expression in [
            "rate(5 minutes)",
            "rate(1 hour)",
            "rate(1 day)",
            "rate(12 hours)",
            "cron(0 3 * * ? *)",
            "cron(15 10 ? * 6L 2022-2023)",
            "cron(0/10 * ? * MON-FRI *)",
            "cron(0 18 ? * MON-FRI *)",
            "cron(0 8 1 * ? *)",
            "cron(0 9 ? * 2#1 *)",
            "cron(0 0 L * ? *)",
            "cron(0 0 15W * ? *)",
            "cron(0 0 29 2 ? *)",
            "cron(0,30 8-17 ? JAN,jul 2 *)",
            "cron(*/15 * * * ? *)",
            "cron(0,57 3 * * ? *)",
        ] {
            assert_eq!(check_expression(expression).as_deref(), Ok(expression));
        }
    }

    #[test]
    fn what_scheduler_would_take_and_never_or_wrongly_fire_is_refused() {
        for (expression, told) in [
            ("", "is no schedule"),
            ("daily", "is no schedule"),
            ("0 3 * * ? *", "is no schedule"),
            ("at(2026-01-01T00:00:00)", "is no schedule"),
            ("rate(0 minutes)", "is none"),
            ("rate(1 minutes)", "is none"),
            ("rate(5 minute)", "is none"),
            ("rate(+5 minutes)", "is none"),
            ("rate(five minutes)", "is none"),
            ("rate(5 seconds)", "is none"),
            ("rate(1 minute)", "less than five minutes"),
            ("rate(4 minutes)", "less than five minutes"),
            ("cron(* * * * ? *)", "less than five minutes"),
            ("cron(0/3 8 * * ? *)", "less than five minutes"),
            ("cron(0,58 * * * ? *)", "less than five minutes"),
            ("cron(0 3 * * ?)", "has 5 fields"),
            ("cron(0 3 * * * *)", "both days are given"),
            ("cron(0 3 ? * ? *)", "both days are `?`"),
            ("cron(60 3 * * ? *)", "`60` is not understood as minutes"),
            ("cron(0 24 * * ? *)", "`24` is not understood as hours"),
            ("cron(0 3 32 * ? *)", "`32`"),
            ("cron(0 3 31 2,4 ? *)", "no such month has the day 31"),
            ("cron(0 3 30W 2 ? *)", "no such month"),
            ("cron(0 3 * 13 ? *)", "`13`"),
            ("cron(0 3 ? * 8 *)", "`8`"),
            ("cron(0 3 ? * FUN *)", "`FUN`"),
            ("cron(0 3 * * ? 1969)", "`1969`"),
            ("cron(0 17-8 * * ? *)", "`17-8`"),
            ("cron(0/0 3 * * ? *)", "`0/0`"),
            ("cron(0 3 ? * 2#6 *)", "`2#6`"),
            ("cron(? 3 * * ? *)", "`?` is not understood as minutes"),
            ("cron(+1 3 * * ? *)", "`+1`"),
        ] {
            let refused = check_expression(expression).unwrap_err().to_string();
            assert!(refused.contains(told), "{expression}: {refused}");
        }
    }

    #[test]
    fn a_zone_is_an_iana_name() {
        for zone in ["UTC", "Europe/Berlin", "Asia/Kathmandu"] {
            assert!(check_zone(zone).is_ok(), "{zone}");
        }
        for zone in ["", "CEST", "Europe/Nowhere", "+02:00"] {
            assert!(check_zone(zone).is_err(), "{zone}");
        }
    }

    #[test]
    fn a_window_is_a_minute_to_a_day() {
        assert_eq!(check_window("15m"), Ok(15));
        assert_eq!(check_window("24h"), Ok(1440));
        for window in ["", "m", "0m", "25h", "1441m", "15", "15s", "-1m", "2d", "ü"] {
            assert!(check_window(window).is_err(), "{window}");
        }
    }
}
