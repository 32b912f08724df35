//! The `pull` part: which tables, how each is kept in step, and what does not fit together.

use std::collections::BTreeMap;

use snowferry_model::names::{Identifier, NameError, TableName};
use snowferry_model::plan::IntegerPolicy;
use snowferry_model::watermark::Lookback;
use snowferry_pull::{Mode, SchemaPolicy, TableJob};

use super::document::{Node, Position, Value};
use super::fields::{Problems, Section, Show, Spot, choice, list, switch, text};
use super::problem::Problem;

const FIELDS: &[&str] =
    &["table", "mode", "key", "cursor", "lookback", "integers", "skip_unchanged"];
const MODES: &[(&str, Mode)] =
    &[("incremental", Mode::Incremental), ("full", Mode::Full), ("once", Mode::Once)];
const INTEGERS: &[(&str, IntegerPolicy)] = &[
    ("auto", IntegerPolicy::Auto),
    ("decimal", IntegerPolicy::Decimal),
    ("int64", IntegerPolicy::Int64),
];
const SCHEMA_CHANGES: &[(&str, SchemaPolicy)] = &[
    ("evolve", SchemaPolicy::Evolve),
    ("freeze", SchemaPolicy::Freeze),
    ("stop", SchemaPolicy::Stop),
];
const LOOKBACKS: &str = "a time like 90s, 15m, 6h or 2d (for dates and timestamps), \
                         or a whole number (for a NUMBER cursor)";

pub(super) fn read_all(problems: &mut Problems, spot: Spot<&Node>) -> Option<Vec<TableJob>> {
    let section = Section::open(problems, spot, &["schedule", "schema_changes", "tables"])?;
    let schema = match section.field("schema_changes") {
        Some(spot) => choice(problems, spot, SCHEMA_CHANGES).map(|spot| spot.value),
        None => Some(SchemaPolicy::default()),
    };
    let spot = section.required(problems, "tables", "list at least one table")?;
    let nodes = list(problems, &spot, "tables")?;
    let mut seen: BTreeMap<TableName, String> = BTreeMap::new();
    let mut jobs = Vec::with_capacity(nodes.len());
    let mut complete = true;
    for node in nodes {
        let (at, path) = (node.at, node.path.clone());
        let Some(job) = read(problems, node, schema.unwrap_or_default()) else {
            complete = false;
            continue;
        };
        if let Some(first) = seen.insert(job.table.clone(), path.clone()) {
            let found = format!("{} stands in {first} already", job.table);
            problems.add(Problem::new(at, path, found).repair("remove one of the two"));
        }
        jobs.push(job);
    }
    (complete && schema.is_some()).then_some(jobs)
}

fn read(problems: &mut Problems, spot: Spot<&Node>, schema: SchemaPolicy) -> Option<TableJob> {
    let section = Section::open(problems, spot, FIELDS)?;
    let table = read_table(problems, &section);
    let cursor = match section.field("cursor") {
        Some(spot) => identifier(problems, spot).map(Some),
        None => Some(None),
    };
    let key = match section.field("key") {
        Some(spot) => read_key(problems, &spot),
        None => Some(Vec::new()),
    };
    let lookback = match section.field("lookback") {
        Some(spot) => read_lookback(problems, &spot),
        None => Some(Lookback::None),
    };
    let integers = match section.field("integers") {
        Some(spot) => choice(problems, spot, INTEGERS).map(|spot| spot.value),
        None => Some(IntegerPolicy::Auto),
    };
    let skip_unchanged = match section.field("skip_unchanged") {
        Some(spot) => switch(problems, &spot),
        None => Some(true),
    };
    let mode = read_mode(problems, &section);
    if let Some(mode) = mode {
        check_combination(problems, &section, mode);
    }
    Some(TableJob {
        table: table?,
        mode: mode?,
        key: key?,
        cursor: cursor?,
        lookback: lookback?,
        integers: integers?,
        schema,
        skip_unchanged: skip_unchanged?,
    })
}

fn read_table(problems: &mut Problems, section: &Section<'_>) -> Option<TableName> {
    let spot = section.required(problems, "table", "name it as DATABASE.SCHEMA.TABLE")?;
    text(problems, spot, Show::Value)?.check(problems, |written| {
        written.parse::<TableName>().map_err(|error| {
            Problem::new(Position::START, "", format!("found `{written}`: {error}")).allowed(
                "DATABASE.SCHEMA.TABLE; a name that is not plain upper case in double quotes",
            )
        })
    })
}

/// Returns the mode as written, or `incremental` where a cursor is named.
fn read_mode(problems: &mut Problems, section: &Section<'_>) -> Option<Mode> {
    if let Some(spot) = section.field("mode") {
        return choice(problems, spot, MODES).map(|spot| spot.value);
    }
    if section.field("cursor").is_some() {
        return Some(Mode::Incremental);
    }
    problems.add(
        Problem::new(section.at, format!("{}.mode", section.path), "no mode and no cursor")
            .allowed("full, once, or incremental with a cursor")
            .repair(
                "name the column that grows with each change as `cursor`, \
                 or write `mode: full` to read the whole table on each run",
            ),
    );
    None
}

/// Refuses fields that the mode has no use for, so that nobody relies on them.
fn check_combination(problems: &mut Problems, section: &Section<'_>, mode: Mode) {
    if mode != Mode::Incremental {
        let mode = mode.as_str();
        for name in ["cursor", "key", "lookback"] {
            if let Some(spot) = section.field(name) {
                let found =
                    format!("mode {mode} reads the whole table and has no use for a {name}");
                problems.add(
                    spot.problem(found)
                        .repair(format!("remove `{name}`, or write `mode: incremental`")),
                );
            }
        }
        return;
    }
    if section.field("cursor").is_none() {
        let at = section.field("mode").map_or(section.at, |spot| spot.at);
        let path = format!("{}.cursor", section.path);
        problems.add(Problem::new(at, path, "mode incremental needs a cursor").repair(
            "name the column that grows with each insert or update \
                 (`snowferry discover` shows candidates), or write `mode: full`",
        ));
    }
    if let (Some(spot), None) = (section.field("lookback"), section.field("key")) {
        problems.add(
            spot.problem("without a key, rows that are read again would be there twice").repair(
                "name the columns that tell a row from every other as `key`, or remove `lookback`",
            ),
        );
    }
}

fn read_key(problems: &mut Problems, spot: &Spot<&Node>) -> Option<Vec<Identifier>> {
    let nodes = list(problems, spot, "columns")?;
    let mut key = Vec::with_capacity(nodes.len());
    let mut complete = true;
    for node in nodes {
        let (at, path) = (node.at, node.path.clone());
        match identifier(problems, node) {
            Some(column) if key.contains(&column) => {
                let found = format!("{column} stands in the key already");
                problems.add(Problem::new(at, path, found).repair("remove one of the two"));
            }
            Some(column) => key.push(column),
            None => complete = false,
        }
    }
    complete.then_some(key)
}

fn identifier(problems: &mut Problems, spot: Spot<&Node>) -> Option<Identifier> {
    text(problems, spot, Show::Value)?.check(problems, |written| {
        Identifier::parse(written).map_err(|error| {
            let found = match error {
                NameError::Parts { .. } => format!("found `{written}`, which is no single name"),
                error => format!("found `{written}`: {error}"),
            };
            Problem::new(Position::START, "", found)
                .allowed("one column's name; one that is not plain upper case in double quotes")
        })
    })
}

fn read_lookback(problems: &mut Problems, spot: &Spot<&Node>) -> Option<Lookback> {
    let read = match &spot.value.value {
        Value::Integer(units) => u64::try_from(*units).ok().map(Lookback::Units),
        Value::Text(written) => seconds(written).map(Lookback::Seconds),
        _ => None,
    };
    if read.is_none() {
        let found = match &spot.value.value {
            Value::Integer(number) => format!("found {number}"),
            Value::Text(written) => format!("found `{written}`"),
            other => format!("found {}", other.kind()),
        };
        let problem = Problem::new(spot.value.at, spot.path.clone(), found);
        problems.add(problem.allowed(LOOKBACKS));
    }
    read
}

/// Reads `90s`, `15m`, `6h` or `2d`; at most 100 years.
fn seconds(written: &str) -> Option<u64> {
    const HUNDRED_YEARS_S: u64 = 100 * 366 * 86_400;
    let unit = written.chars().last()?;
    let number: u64 = written.strip_suffix(unit)?.parse().ok()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(factor).filter(|seconds| *seconds <= HUNDRED_YEARS_S)
}
