//! The `schedule` of a pull or a push: an expression of EventBridge Scheduler, a time zone, and how
//! much later than asked for a run may start.
//!
//! Scheduler itself accepts a day that no month has, and much that fires at another time than was
//! meant; so the whole grammar is tested here, before anything is stored. Years that are over pass,
//! as no clock is asked.
//! <https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html>

use std::collections::BTreeSet;
use std::str::FromStr;

use super::document::{Node, Position, Value};
use super::fields::{Problems, Section, Show, Spot, text};
use super::problem::Problem;

/// The runs of one schedule are at least so many minutes apart, the window included: the queue
/// takes an equal message within five minutes for the same one.
const LEAST_MINUTES: u32 = 5;

const DAY_MINUTES: u32 = 1440;

/// The days of the shortest month, and of four weeks.
const MONTH_DAYS: u32 = 28;

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
    let at = section
        .required(problems, "at", repair)
        .and_then(|spot| text(problems, spot, Show::Value))
        .and_then(|spot| spot.check(problems, |at| Ok((at.clone(), check_expression(at)?))));
    // Beside an expression that is wrong, a window is judged by itself.
    let pause = at.as_ref().map_or(u32::MAX, |(_, pause)| *pause);
    let time_zone = match section.field("time_zone") {
        Some(spot) => text(problems, spot, Show::Value)
            .and_then(|spot| spot.check(problems, |written| check_zone(written))),
        None => Some("UTC".to_owned()),
    };
    let window_minutes = match section.field("window") {
        Some(spot) => text(problems, spot, Show::Value)
            .and_then(|spot| spot.check(problems, |written| check_window(written, pause)))
            .map(Some),
        None => Some(None),
    };
    Some(Schedule { expression: at?.0, time_zone: time_zone?, window_minutes: window_minutes? })
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

/// Reads a window. Of two runs that are planned `pause` minutes apart, the first may begin late and
/// the second may not.
fn check_window(written: &str, pause: u32) -> Result<u16, Problem> {
    let minutes = match written.split_at_checked(written.len().saturating_sub(1)) {
        Some((number, "m")) => number.parse::<u16>().ok(),
        Some((number, "h")) => number.parse::<u16>().ok().and_then(|hours| hours.checked_mul(60)),
        _ => None,
    };
    let minutes = minutes
        .filter(|minutes| (1..=MOST_WINDOW_MINUTES).contains(minutes))
        .ok_or_else(|| problem(format!("found `{written}`")).allowed(WINDOWS))?;
    let most = pause.saturating_sub(LEAST_MINUTES);
    if u32::from(minutes) <= most {
        return Ok(minutes);
    }
    let found = format!(
        "runs could begin less than five minutes apart: they are planned {pause} minutes apart, \
         and one may begin {minutes} minutes late"
    );
    Err(problem(found).repair(match most {
        0 => "leave the window out".to_owned(),
        most => format!("write {most}m or less"),
    }))
}

/// Tests an expression and returns how many minutes lie at least between two of its runs.
fn check_expression(written: &str) -> Result<u32, Problem> {
    let inner = |kind: &str| {
        let rest = written.strip_prefix(kind)?.strip_prefix('(')?;
        rest.strip_suffix(')')
    };
    let pause = match (inner("cron"), inner("rate")) {
        (Some(fields), _) => check_cron(fields)?,
        (_, Some(rate)) => check_rate(rate)?,
        _ => return Err(problem(format!("`{written}` is no schedule")).allowed(EXPRESSIONS)),
    };
    if pause < LEAST_MINUTES { Err(too_often()) } else { Ok(pause) }
}

fn check_rate(rate: &str) -> Result<u32, Problem> {
    let allowed = "rate(5 minutes) and more, rate(1 hour), rate(6 hours), rate(1 day), …";
    let refuse = || problem(format!("`rate({rate})` is none")).allowed(allowed);
    let (number, unit) = rate.split_once(' ').ok_or_else(refuse)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refuse());
    }
    let number: u32 = number.parse().map_err(|_| refuse())?;
    let one = match (number, unit) {
        (1, "minute") | (2.., "minutes") => 1,
        (1, "hour") | (2.., "hours") => 60,
        (1, "day") | (2.., "days") => DAY_MINUTES,
        _ => return Err(refuse()),
    };
    Ok(number.saturating_mul(one))
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

fn check_cron(fields: &str) -> Result<u32, Problem> {
    let parts: Vec<&str> = fields.split_whitespace().collect();
    let [minutes, hours, day, month, weekday, year] = parts[..] else {
        let found = format!("`cron({fields})` has {} fields, six are needed", parts.len());
        return Err(problem(found).allowed(EXPRESSIONS));
    };
    let minutes = MINUTES.values(minutes)?;
    let hours = HOURS.values(hours)?;
    let months = MONTH.values(month)?;
    YEAR.values(year)?;
    let days = match (day, weekday) {
        ("?", "?") => Err(problem("both days are `?`")
            .repair("write `*` or a day in one of them; the other one stays `?`")),
        ("?", weekday) => check_weekday(weekday),
        (day, "?") => check_day(day, &months),
        _ => Err(problem("both days are given")
            .repair("write `?` for the day of the month or for the day of the week")),
    }?;
    let of_hour = |hour: &u32| minutes.iter().map(|minute| hour * 60 + minute).collect::<Vec<_>>();
    let times = hours.iter().flat_map(of_hour).collect();
    let next_day = days.saturating_mul(DAY_MINUTES);
    Ok(shortest_gap(times, Some(next_day)).unwrap_or(next_day))
}

/// Returns the shortest way from one of these numbers to the next, and from the last one to the
/// first of the next round, which begins `round` later.
fn shortest_gap(mut numbers: BTreeSet<u32>, round: Option<u32>) -> Option<u32> {
    let next = numbers.first().zip(round).map(|(first, round)| first.saturating_add(round));
    numbers.extend(next);
    numbers.iter().zip(numbers.iter().skip(1)).map(|(a, b)| b - a).min()
}

/// Tests a day of the week and returns how many days lie at least between two such days.
fn check_weekday(part: &str) -> Result<u32, Problem> {
    let last = part.strip_suffix('L').is_some_and(|day| WEEKDAY.value(day).is_some());
    let nth = part.split_once('#').is_some_and(|(day, nth)| {
        WEEKDAY.value(day).is_some() && matches!(nth, "1" | "2" | "3" | "4" | "5")
    });
    if last || nth {
        return Ok(MONTH_DAYS);
    }
    let days = WEEKDAY.values(part)?;
    Ok(shortest_gap(days, Some(7)).unwrap_or(7))
}

/// Tests a day of the month and returns how many days lie at least between two such days, but for
/// the two by which a `W` moves the one day of its month.
fn check_day(part: &str, months: &BTreeSet<u32>) -> Result<u32, Problem> {
    let days = match part.strip_suffix('W') {
        Some(day) => BTreeSet::from([DAY.value(day).ok_or_else(|| DAY.refuse(part))?]),
        None if part == "L" => return Ok(MONTH_DAYS),
        None => DAY.values(part)?,
    };
    let mut least = None;
    for month in months {
        for length in lengths(*month) {
            let here: BTreeSet<u32> = days.range(..=*length).copied().collect();
            let goes_on = months.contains(&(month % 12 + 1));
            if !here.is_empty() {
                let gap = shortest_gap(here, goes_on.then_some(*length)).unwrap_or(MONTH_DAYS);
                least = Some(gap.min(least.unwrap_or(MONTH_DAYS)));
            }
        }
    }
    least.ok_or_else(|| {
        problem(format!("no such month has the day {part}"))
            .repair("write L for the last day of the month")
    })
}

/// Returns the lengths that a month has, in days.
fn lengths(month: u32) -> &'static [u32] {
    match month {
        2 => &[28, 29],
        4 | 6 | 9 | 11 => &[30],
        _ => &[31],
    }
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
    fn expressions_of_the_documentation_are_accepted_with_the_minutes_between_their_runs() {
        const DAY: u32 = 24 * 60;
        for (expression, pause) in [
            ("rate(5 minutes)", 5),
            ("rate(1 hour)", 60),
            ("rate(1 day)", DAY),
            ("rate(12 hours)", 12 * 60),
            ("cron(0 3 * * ? *)", DAY),
            ("cron(15 10 ? * 6L 2022-2023)", 28 * DAY),
            ("cron(0/10 * ? * MON-FRI *)", 10),
            ("cron(0 18 ? * MON-FRI *)", DAY),
            ("cron(0 8 1 * ? *)", 28 * DAY),
            ("cron(0 9 ? * 2#1 *)", 28 * DAY),
            ("cron(0 0 L * ? *)", 28 * DAY),
            ("cron(0 0 15W * ? *)", 28 * DAY),
            ("cron(0 0 29 2 ? *)", 28 * DAY),
            ("cron(0,30 8-17 ? JAN,jul 2 *)", 30),
            ("cron(*/15 * * * ? *)", 15),
            ("cron(0,57 3 * * ? *)", 57),
        ] {
            assert_eq!(check_expression(expression), Ok(pause), "{expression}");
        }
    }

    #[test]
    fn hours_and_days_count_as_neighbours_only_if_they_are() {
        const DAY: u32 = 24 * 60;
        for (expression, pause) in [
            ("cron(0,57 3,9 * * ? *)", 57),
            ("cron(0,57 23,1 * * ? *)", 57),
            ("cron(0,57 23,0 ? * MON *)", 57),
            ("cron(0 3 ? * MON *)", 7 * DAY),
            ("cron(0 3 ? * SAT,SUN *)", DAY),
            ("cron(0 3 ? * MON,WED,FRI *)", 2 * DAY),
            ("cron(0 3 1,31 * ? *)", DAY),
            ("cron(0 3 1,31 1,3 ? *)", 28 * DAY),
            ("cron(0 3 2,30 4-5 ? *)", 2 * DAY),
            ("cron(0 3 1,29 2-3 ? *)", DAY),
            ("cron(0 3 1,30 2-3 ? *)", 28 * DAY),
            ("cron(0,30 0,23 1,31 12,1 ? *)", 30),
        ] {
            assert_eq!(check_expression(expression), Ok(pause), "{expression}");
        }
        for expression in [
            "cron(0,57 3,4 * * ? *)",
            "cron(0,57 23,0 * * ? *)",
            "cron(0,57 23,0 ? * MON-TUE *)",
            "cron(0,57 23,0 1,31 12,1 ? *)",
        ] {
            let refused = check_expression(expression).unwrap_err().to_string();
            assert!(refused.contains("less than five minutes"), "{expression}: {refused}");
        }
    }

    #[test]
    fn a_year_that_is_over_passes_as_no_clock_is_asked() {
        for expression in ["cron(0 3 * * ? 1999)", "cron(0 0 29 2 ? 2023)"] {
            assert!(check_expression(expression).is_ok(), "{expression}");
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
        assert_eq!(check_window("15m", u32::MAX), Ok(15));
        assert_eq!(check_window("24h", u32::MAX), Ok(1440));
        for window in ["", "m", "0m", "25h", "1441m", "15", "15s", "-1m", "2d", "ü"] {
            assert!(check_window(window, u32::MAX).is_err(), "{window}");
        }
    }

    #[test]
    fn a_window_leaves_five_minutes_between_two_runs() {
        let checked = |at: &str, window: &str| {
            check_window(window, check_expression(at).unwrap()).map_err(|told| told.to_string())
        };
        assert_eq!(checked("rate(10 minutes)", "5m"), Ok(5));
        assert_eq!(checked("cron(0 3 * * ? *)", "1435m"), Ok(1435));
        assert_eq!(checked("cron(0 3 ? * MON *)", "24h"), Ok(1440));
        for (at, window, repair) in [
            ("rate(10 minutes)", "6m", "write 5m or less"),
            ("rate(10 minutes)", "10m", "write 5m or less"),
            ("rate(5 minutes)", "1m", "leave the window out"),
            ("cron(0 3 * * ? *)", "24h", "write 1435m or less"),
            ("cron(0,30 8 * * ? *)", "1h", "write 25m or less"),
        ] {
            let refused = checked(at, window).unwrap_err();
            assert!(refused.contains(repair), "{at} {window}: {refused}");
        }
    }
}
