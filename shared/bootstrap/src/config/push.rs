//! The `push` part: which queries go into which tables of the customer.

use std::collections::{BTreeMap, BTreeSet};

use snowferry_model::export::{ExportSource, Parameter};
use snowferry_model::names::{ConnectionName, Identifier, NameError, TableName};
use snowferry_model::push::{Constant, ConstantValue, Delivery, PushKey, PushMode, PushName};
use snowferry_model::state::StreamKey;
use snowferry_push::{PushJob, Rules};

use super::document::{Node, Position, Value};
use super::fields::{Problems, Section, Show, Spot, choice, list, text};
use super::problem::Problem;

const FIELDS: &[&str] = &[
    "name",
    "query",
    "table",
    "parameters",
    "target",
    "mode",
    "key",
    "columns",
    "constants",
    "create",
    "round",
    "allow_empty",
    "max_shrink_percent",
];

/// Modes as they are written; an upsert gets its key afterwards.
const MODES: &[(&str, Word)] =
    &[("append", Word::Append), ("rewrite", Word::Rewrite), ("upsert", Word::Upsert)];

const TABLE_NAME: &str =
    "DATABASE.SCHEMA.TABLE; a name that is not plain upper case in double quotes";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Append,
    Rewrite,
    Upsert,
}

/// Reads all pushes of a connection. `account` and `connection` go into each of them.
pub(super) fn read_all(
    problems: &mut Problems,
    spot: Spot<&Node>,
    connection: Option<&ConnectionName>,
    account: Option<&str>,
) -> Option<Vec<PushJob>> {
    let section = Section::open(problems, spot, &["ledger", "schedule", "tables"])?;
    let delivery = read_delivery(problems, &section);
    let spot = section.required(problems, "tables", "list at least one push")?;
    let nodes = list(problems, &spot, "pushes")?;
    let mut names = BTreeSet::new();
    let mut jobs = Vec::with_capacity(nodes.len());
    let mut complete = true;
    for node in nodes {
        let (at, path) = (node.at, node.path.clone());
        let Some(entry) = read(problems, node, connection) else {
            complete = false;
            continue;
        };
        if !names.insert(entry.name.clone()) {
            let found = format!("another push is called {} already", entry.name);
            let repair = "give each push a name of its own";
            problems.add(Problem::new(at, path, found).repair(repair));
        }
        jobs.push(entry);
    }
    let (connection, account, delivery) = (connection?, account?, delivery?);
    let job = |entry: Entry| PushJob {
        push: PushKey { connection: connection.clone(), name: entry.name },
        account: account.to_owned(),
        source: entry.source,
        parameters: entry.parameters,
        target: entry.target,
        mode: entry.mode,
        delivery: delivery.clone(),
        mapping: entry.mapping,
        constants: entry.constants,
        rules: entry.rules,
    };
    complete.then(|| jobs.into_iter().map(job).collect())
}

/// `ledger: DATABASE.SCHEMA.TABLE`, or `ledger: none`.
fn read_delivery(problems: &mut Problems, section: &Section<'_>) -> Option<Delivery> {
    let repair = "name the table that `snowferry setup-sql` makes for it, or write `ledger: none` \
                  and accept the weaker guarantee that `snowferry plan` tells";
    let spot = section.required(problems, "ledger", repair)?;
    text(problems, spot, Show::Value)?.check(problems, |written| {
        if written == "none" {
            return Ok(Delivery::NoLedger);
        }
        let table = parse_table(written)?;
        Ok(Delivery::Ledger { table })
    })
}

/// One push before the connection's own facts are added.
struct Entry {
    name: PushName,
    source: ExportSource,
    parameters: BTreeMap<String, Parameter>,
    target: TableName,
    mode: PushMode,
    mapping: BTreeMap<Identifier, String>,
    constants: Vec<Constant>,
    rules: Rules,
}

fn read(
    problems: &mut Problems,
    spot: Spot<&Node>,
    connection: Option<&ConnectionName>,
) -> Option<Entry> {
    let section = Section::open(problems, spot, FIELDS)?;
    let name = section
        .required(problems, "name", "give the push a name, e.g. `name: scores`")
        .and_then(|spot| text(problems, spot, Show::Value))
        .and_then(|spot| {
            spot.check(problems, |written| {
                PushName::new(written.clone()).map_err(|error| {
                    Problem::new(Position::START, "", format!("found `{written}`"))
                        .allowed(error.to_string())
                })
            })
        });
    let source = read_source(problems, &section, connection);
    let target = section
        .required(problems, "target", "name the table as DATABASE.SCHEMA.TABLE")
        .and_then(|spot| text(problems, spot, Show::Value))
        .and_then(|spot| spot.check(problems, |written| parse_table(written)));
    let mode = read_mode(problems, &section);
    let parameters = optional(&section, "parameters", |spot| read_parameters(problems, spot));
    let mapping = optional(&section, "columns", |spot| read_mapping(problems, spot));
    let constants = optional(&section, "constants", |spot| read_constants(problems, spot));
    let rules = read_rules(problems, &section);
    Some(Entry {
        name: name?,
        source: source?,
        parameters: parameters?,
        target: target?,
        mode: mode?,
        mapping: mapping?,
        constants: constants?,
        rules: rules?,
    })
}

fn optional<T: Default>(
    section: &Section<'_>,
    name: &str,
    read: impl FnOnce(Spot<&Node>) -> Option<T>,
) -> Option<T> {
    section.field(name).map_or_else(|| Some(T::default()), read)
}

/// Either a query or the name of a pulled table.
fn read_source(
    problems: &mut Problems,
    section: &Section<'_>,
    connection: Option<&ConnectionName>,
) -> Option<ExportSource> {
    match (section.field("query"), section.field("table")) {
        (Some(spot), None) => {
            let spot = text(problems, spot, Show::Value)?;
            Some(ExportSource::Sql(spot.value))
        }
        (None, Some(spot)) => {
            let spot = text(problems, spot, Show::Value)?;
            let table = spot.check(problems, |written| parse_table(written))?;
            let connection = connection?.clone();
            Some(ExportSource::Table(StreamKey { connection, table }))
        }
        (both, _) => {
            let found = match both {
                Some(_) => "found both a query and a table",
                None => "found neither a query nor a table",
            };
            let path = format!("{}.query", section.path);
            let repair = "write the SQL as `query`, or a pulled table's name as `table`";
            problems.add(Problem::new(section.at, path, found).repair(repair));
            None
        }
    }
}

fn read_mode(problems: &mut Problems, section: &Section<'_>) -> Option<PushMode> {
    let repair = "write append, rewrite, or upsert with a key";
    let spot = section.required(problems, "mode", repair)?;
    let word = choice(problems, spot, MODES)?.value;
    let key = section.field("key");
    match (word, key) {
        (Word::Upsert, Some(spot)) => {
            let key = read_key(problems, &spot)?;
            Some(PushMode::Upsert { key })
        }
        (Word::Upsert, None) => {
            let path = format!("{}.key", section.path);
            let problem = Problem::new(section.at, path, "mode upsert needs a key");
            problems.add(problem.repair("name the columns that tell a row from every other"));
            None
        }
        (_, Some(spot)) => {
            let problem = spot.problem("only mode upsert has a use for a key");
            problems.add(problem.repair("remove `key`, or write `mode: upsert`"));
            None
        }
        (Word::Append, None) => Some(PushMode::Append),
        (Word::Rewrite, None) => Some(PushMode::Rewrite),
    }
}

fn read_key(problems: &mut Problems, spot: &Spot<&Node>) -> Option<Vec<Identifier>> {
    let mut key = Vec::new();
    let mut complete = true;
    for node in list(problems, spot, "columns")? {
        match text(problems, node, Show::Value).and_then(|spot| column(problems, spot)) {
            Some(column) => key.push(column),
            None => complete = false,
        }
    }
    complete.then_some(key)
}

fn column(problems: &mut Problems, spot: Spot<String>) -> Option<Identifier> {
    spot.check(problems, |written| parse_column(written))
}

fn parse_column(written: &str) -> Result<Identifier, Problem> {
    Identifier::parse(written).map_err(|error| {
        let found = match error {
            NameError::Parts { .. } => format!("found `{written}`, which is no single name"),
            error => format!("found `{written}`: {error}"),
        };
        Problem::new(Position::START, "", found)
            .allowed("one column's name; one that is not plain upper case in double quotes")
    })
}

fn parse_table(written: &str) -> Result<TableName, Problem> {
    written.parse::<TableName>().map_err(|error| {
        Problem::new(Position::START, "", format!("found `{written}`: {error}")).allowed(TABLE_NAME)
    })
}

/// Takes a node as `name: value` pairs.
fn pairs<'d>(
    problems: &mut Problems,
    spot: &Spot<&'d Node>,
) -> Option<Vec<(&'d str, Spot<&'d Node>)>> {
    let Value::Map(entries) = &spot.value.value else {
        let found = format!("found {} where names and values are needed", spot.value.value.kind());
        problems.add(spot.problem(found).repair("write it as { NAME: value }"));
        return None;
    };
    let pair = |(key, node): &'d (super::document::Key, Node)| {
        let path = format!("{}.{}", spot.path, key.name);
        (key.name.as_str(), Spot { at: key.at, path, value: node })
    };
    Some(entries.iter().map(pair).collect())
}

/// Columns of the target whose column of the query has another name.
fn read_mapping(
    problems: &mut Problems,
    spot: Spot<&Node>,
) -> Option<BTreeMap<Identifier, String>> {
    let mut mapping = BTreeMap::new();
    let mut complete = true;
    for (name, spot) in pairs(problems, &spot)? {
        let target = Spot { at: spot.at, path: spot.path.clone(), value: name.to_owned() };
        let target = column(problems, target);
        let source = text(problems, spot, Show::Value);
        match target.zip(source) {
            Some((target, source)) => {
                mapping.insert(target, source.value);
            }
            None => complete = false,
        }
    }
    complete.then_some(mapping)
}

/// `now`, `run_id`, or a value as it is written.
fn read_constants(problems: &mut Problems, spot: Spot<&Node>) -> Option<Vec<Constant>> {
    let mut constants = Vec::new();
    let mut complete = true;
    for (name, spot) in pairs(problems, &spot)? {
        let target = Spot { at: spot.at, path: spot.path.clone(), value: name.to_owned() };
        let target = column(problems, target);
        let value = match &spot.value.value {
            Value::Text(word) if word == "$now" => Some(ConstantValue::PinnedAt),
            Value::Text(word) if word == "$run_id" => Some(ConstantValue::RunId),
            Value::Text(word) if word.starts_with('$') => None,
            Value::Text(text) => Some(ConstantValue::Text(text.clone())),
            Value::Integer(number) => i64::try_from(*number).ok().map(ConstantValue::Integer),
            Value::Boolean(truth) => Some(ConstantValue::Boolean(*truth)),
            _ => None,
        };
        if value.is_none() {
            let found = format!("found {}", spot.value.value.kind());
            problems.add(
                spot.problem(found)
                    .allowed("a text, an integer, true, false, $now (the run's time) or $run_id"),
            );
        }
        match target.zip(value) {
            Some((target, value)) => constants.push(Constant { target, value }),
            None => complete = false,
        }
    }
    complete.then_some(constants)
}

/// Values of the query's parameters; a decimal number is written in quotes and cast in the query.
fn read_parameters(
    problems: &mut Problems,
    spot: Spot<&Node>,
) -> Option<BTreeMap<String, Parameter>> {
    let mut parameters = BTreeMap::new();
    let mut complete = true;
    for (name, spot) in pairs(problems, &spot)? {
        let value = match &spot.value.value {
            Value::Null => Some(Parameter::Null),
            Value::Boolean(truth) => Some(Parameter::Boolean(*truth)),
            Value::Integer(number) => i64::try_from(*number).ok().map(Parameter::Integer),
            Value::Text(text) => Some(Parameter::Text(text.clone())),
            _ => None,
        };
        match value {
            Some(value) => {
                parameters.insert(name.to_owned(), value);
            }
            None => {
                let found = format!("found {}", spot.value.value.kind());
                problems.add(
                    spot.problem(found)
                        .allowed("a text, an integer of 64 bits, true, false or null"),
                );
                complete = false;
            }
        }
    }
    complete.then_some(parameters)
}

fn read_rules(problems: &mut Problems, section: &Section<'_>) -> Option<Rules> {
    let mut switch = |name: &str| match section.field(name) {
        None => Some(false),
        Some(spot) => super::fields::switch(problems, &spot),
    };
    let (create, round) = (switch("create"), switch("round"));
    let allow_empty = switch("allow_empty");
    let max_shrink_percent = match section.field("max_shrink_percent") {
        None => Some(None),
        Some(spot) => {
            let percent = match &spot.value.value {
                Value::Integer(number) => u8::try_from(*number).ok().filter(|n| *n <= 100),
                _ => None,
            };
            if percent.is_none() {
                problems.add(spot.problem("found no percentage").allowed("0 to 100"));
            }
            percent.map(Some)
        }
    };
    Some(Rules {
        create: create?,
        round: round?,
        allow_empty: allow_empty?,
        max_shrink_percent: max_shrink_percent?,
    })
}
