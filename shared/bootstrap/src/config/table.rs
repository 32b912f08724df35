//! The `pull` part: which tables, how each is kept in step, and what does not fit together.

use std::collections::BTreeMap;
use std::path::Path;

use snowferry_model::names::{Identifier, NameError, TableName};
use snowferry_model::plan::IntegerPolicy;
use snowferry_model::watermark::{Lookback, NullCursors};
use snowferry_pull::{Mode, SchemaPolicy, TableJob};
use snowferry_snowflake::client::Selection;

use super::auth::{SecretSource, read_secret};
use super::document::{Node, Position, Value};
use super::fields::{Problems, Section, Show, Spot, choice, list, switch, text};
use super::problem::Problem;
use super::selection::{self, Needed, Salt};

const FIELDS: &[&str] = &[
    "table",
    "mode",
    "key",
    "cursor",
    "lookback",
    "null_cursor",
    "integers",
    "skip_unchanged",
    "columns",
    "filter",
    "query",
];
const MODES: &[(&str, Mode)] =
    &[("incremental", Mode::Incremental), ("full", Mode::Full), ("once", Mode::Once)];
const INTEGERS: &[(&str, IntegerPolicy)] = &[
    ("auto", IntegerPolicy::Auto),
    ("decimal", IntegerPolicy::Decimal),
    ("int64", IntegerPolicy::Int64),
];
const NULL_CURSORS: &[(&str, NullCursors)] = &[
    ("error", NullCursors::Error),
    ("reload", NullCursors::Reload),
    ("ignore", NullCursors::Ignore),
];
const SCHEMA_CHANGES: &[(&str, SchemaPolicy)] = &[
    ("evolve", SchemaPolicy::Evolve),
    ("freeze", SchemaPolicy::Freeze),
    ("stop", SchemaPolicy::Stop),
];
const LOOKBACKS: &str = "a time like 90s, 15m, 6h or 2d (for dates and timestamps), \
                         or a whole number (for a NUMBER cursor)";

/// The `pull` part as it is read.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) jobs: Vec<TableJob>,
    pub(super) selections: BTreeMap<TableName, Selection>,
    pub(super) hash_salt: Option<SecretSource>,
}

pub(super) fn read_all(
    problems: &mut Problems,
    spot: Spot<&Node>,
    folder: &Path,
) -> Option<Tables> {
    let section =
        Section::open(problems, spot, &["schedule", "schema_changes", "hash_salt", "tables"])?;
    let schema = match section.field("schema_changes") {
        Some(spot) => choice(problems, spot, SCHEMA_CHANGES).map(|spot| spot.value),
        None => Some(SchemaPolicy::default()),
    };
    let (salt, hash_salt) = match section.field("hash_salt") {
        Some(spot) => (Salt::Named, read_secret(problems, spot, folder).map(Some)),
        None => (Salt::Missing, Some(None)),
    };
    let spot = section.required(problems, "tables", "list at least one table")?;
    let nodes = list(problems, &spot, "tables")?;
    let mut seen: BTreeMap<TableName, String> = BTreeMap::new();
    let mut tables = Tables::default();
    let mut complete = true;
    for node in nodes {
        let (at, path) = (node.at, node.path.clone());
        let Some((job, selection)) = read(problems, node, schema.unwrap_or_default(), salt) else {
            complete = false;
            continue;
        };
        if let Some(first) = seen.insert(job.table.clone(), path.clone()) {
            let found = format!("{} stands in {first} already", job.table);
            problems.add(Problem::new(at, path, found).repair("remove one of the two"));
        }
        tables.selections.extend(selection.map(|selection| (job.table.clone(), selection)));
        tables.jobs.push(job);
    }
    tables.hash_salt = hash_salt?;
    (complete && schema.is_some()).then_some(tables)
}

fn read(
    problems: &mut Problems,
    spot: Spot<&Node>,
    schema: SchemaPolicy,
    salt: Salt,
) -> Option<(TableJob, Option<Selection>)> {
    let section = Section::open(problems, spot, FIELDS)?;
    let table = read_table(problems, &section);
    let cursor = match section.field("cursor") {
        Some(spot) => identifier(problems, spot).map(Some),
        None => Some(None),
    };
    let key = match section.field("key") {
        Some(spot) => names(problems, &spot, "key"),
        None => Some(Vec::new()),
    };
    let lookback = match section.field("lookback") {
        Some(spot) => read_lookback(problems, &spot),
        None => Some(Lookback::None),
    };
    let null_cursors = match section.field("null_cursor") {
        Some(spot) => choice(problems, spot, NULL_CURSORS).map(|spot| spot.value),
        None => Some(NullCursors::default()),
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
    let needed = Needed {
        key: key.as_deref().unwrap_or_default(),
        cursor: cursor.as_ref().and_then(Option::as_ref),
    };
    let selection = selection::read(problems, &section, &needed, salt);
    let job = TableJob {
        table: table?,
        mode: mode?,
        key: key?,
        cursor: cursor?,
        lookback: lookback?,
        null_cursors: null_cursors?,
        integers: integers?,
        schema,
        skip_unchanged: skip_unchanged?,
    };
    Some((job, selection?))
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
        for name in ["cursor", "key", "lookback", "null_cursor"] {
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
    if let (Some(spot), None) = (section.field("null_cursor"), section.field("key"))
        && matches!(&spot.value.value, Value::Text(written) if written == "reload")
    {
        problems.add(
            spot.problem("without a key, rows that are read again would be there twice").repair(
                "name the columns that tell a row from every other as `key`, or write \
                 `null_cursor: ignore`",
            ),
        );
    }
    if let (Some(spot), None) = (section.field("lookback"), section.field("key")) {
        problems.add(
            spot.problem("without a key, rows that are read again would be there twice").repair(
                "name the columns that tell a row from every other as `key`, or remove `lookback`",
            ),
        );
    }
}

/// Reads columns' names; `list_name` is what holds them.
pub(super) fn names(
    problems: &mut Problems,
    spot: &Spot<&Node>,
    list_name: &str,
) -> Option<Vec<Identifier>> {
    let nodes = list(problems, spot, "columns")?;
    let mut names = Vec::with_capacity(nodes.len());
    let mut complete = true;
    for node in nodes {
        let (at, path) = (node.at, node.path.clone());
        match identifier(problems, node) {
            Some(column) if names.contains(&column) => {
                let found = format!("{column} stands in the {list_name} already");
                problems.add(Problem::new(at, path, found).repair("remove one of the two"));
            }
            Some(column) => names.push(column),
            None => complete = false,
        }
    }
    complete.then_some(names)
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
