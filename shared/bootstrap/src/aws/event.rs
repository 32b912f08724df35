//! What a function is asked for: `infra/events/event.schema.json` in Rust.
//!
//! An event is a selection by itself (from a person or a direct call), or messages of a queue
//! whose bodies are selections. What a hop of a long run needs to know of the hops before (its run
//! id, their number) travels beside the body, in the message's attributes: the selection stays the
//! same in all of them.

use serde::Deserialize;
use serde_json::Value;
use snowferry_model::names::{ConnectionName, TableName};
use snowferry_model::push::PushName;
use snowferry_pull::Mode;

use crate::error::BootstrapError;

/// How much of a piece of text is shown in a message.
const SHOWN_CHARS: usize = 200;

/// The attribute of a message that names the run it goes on with.
pub const RUN_ID: &str = "run_id";

/// The attribute of a message that counts the hops before it.
pub const HOP: &str = "hop";

/// The attribute of a message that asks to help with a run instead of running.
pub const HELPER: &str = "helper";

/// Which tables or pushes of which connection, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The connection.
    pub connection: ConnectionName,
    /// Only these tables; `None` for all.
    pub tables: Option<Vec<TableName>>,
    /// Only these pushes; `None` for all.
    pub names: Option<Vec<PushName>>,
    /// Another mode than the connection says, for a pull.
    pub mode: Option<Mode>,
}

/// One selection and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub selection: Selection,
    /// The run that goes on, as its message says; `None` for a new one.
    pub run_id: Option<String>,
    /// How many invocations the run has had before.
    pub hop: u32,
    /// The number of the helper that is asked for; `None` for a run.
    pub helper: Option<u32>,
}

/// A message of a queue, whose body may be none of ours.
#[derive(Debug)]
pub struct Message {
    /// Its id, by which a failure is reported.
    pub id: String,
    /// When it was sent, in milliseconds since 1970; 0 when the queue does not tell.
    pub sent_at_ms: u64,
    /// What it asks for.
    pub request: Result<Request, BootstrapError>,
}

/// An event.
#[derive(Debug)]
pub enum Event {
    /// One selection.
    Direct(Request),
    /// Messages of a queue, in order.
    Queue(Vec<Message>),
}

/// Understands an event.
///
/// # Errors
/// [`BootstrapError::Event`] when it is neither a selection nor messages of a queue.
pub fn parse(event: Value) -> Result<Event, BootstrapError> {
    match event.get("Records") {
        Some(records) => {
            let records = Vec::<Record>::deserialize(records)
                .map_err(|error| refused(&format!("the records are not those of SQS: {error}")))?;
            Ok(Event::Queue(records.into_iter().map(Record::message).collect()))
        }
        None => {
            let selection = selection(event)?;
            Ok(Event::Direct(Request { selection, run_id: None, hop: 0, helper: None }))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectionForm {
    connection: String,
    tables: Option<Vec<String>>,
    names: Option<Vec<String>>,
    mode: Option<Mode>,
}

fn selection(value: Value) -> Result<Selection, BootstrapError> {
    let form: SelectionForm =
        serde_json::from_value(value).map_err(|error| refused(&error.to_string()))?;
    let connection =
        ConnectionName::new(form.connection).map_err(|error| refused(&error.to_string()))?;
    let tables = match form.tables {
        Some(names) if names.is_empty() => {
            return Err(refused("`tables` is empty; leave it out for all tables"));
        }
        Some(names) => Some(tables(&names)?),
        None => None,
    };
    let names = match form.names {
        Some(names) if names.is_empty() => {
            return Err(refused("`names` is empty; leave it out for all pushes"));
        }
        Some(names) => Some(pushes(names)?),
        None => None,
    };
    Ok(Selection { connection, tables, names, mode: form.mode })
}

fn pushes(names: Vec<String>) -> Result<Vec<PushName>, BootstrapError> {
    let mut pushes = Vec::with_capacity(names.len());
    for name in names {
        let shown: String = name.chars().take(SHOWN_CHARS).collect();
        let push = PushName::new(name)
            .map_err(|error| refused(&format!("`{shown}` is no push's name: {error}")))?;
        if pushes.contains(&push) {
            return Err(refused(&format!("`names` names {push} twice")));
        }
        pushes.push(push);
    }
    Ok(pushes)
}

fn tables(names: &[String]) -> Result<Vec<TableName>, BootstrapError> {
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let table: TableName = name.parse().map_err(|error| {
            let shown: String = name.chars().take(SHOWN_CHARS).collect();
            refused(&format!("`{shown}` is no table's name: {error}"))
        })?;
        if tables.contains(&table) {
            return Err(refused(&format!("`tables` names {table} twice")));
        }
        tables.push(table);
    }
    Ok(tables)
}

fn refused(reason: &str) -> BootstrapError {
    BootstrapError::Event { reason: reason.chars().take(4 * SHOWN_CHARS).collect() }
}

/// A message as SQS hands it to a function; what we do not need is left unread.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    body: String,
    #[serde(default)]
    attributes: Attributes,
    #[serde(default)]
    message_attributes: std::collections::BTreeMap<String, MessageAttribute>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes {
    sent_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageAttribute {
    string_value: Option<String>,
}

impl Record {
    fn message(self) -> Message {
        let attribute = |name: &str| {
            let found = self.message_attributes.get(name);
            found.and_then(|attribute| attribute.string_value.clone())
        };
        let request = serde_json::from_str::<Value>(&self.body)
            .map_err(|error| refused(&format!("the body is not JSON: {error}")))
            .and_then(selection)
            .and_then(|selection| {
                let number = |name: &str| {
                    let text = attribute(name);
                    let number = text.map(|text| text.parse::<u32>()).transpose();
                    number.map_err(|_| refused(&format!("the attribute {name} is no number")))
                };
                let (hop, helper) = (number(HOP)?.unwrap_or(0), number(HELPER)?);
                Ok(Request { selection, run_id: attribute(RUN_ID), hop, helper })
            });
        let sent_at_ms = self.attributes.sent_timestamp.and_then(|text| text.parse().ok());
        Message { id: self.message_id, sent_at_ms: sent_at_ms.unwrap_or(0), request }
    }
}
