//! The FIFO queue by which a run that met its deadline goes on.
//!
//! Each table or push that is left goes on by a message of its own. The message group is a slot of
//! the connection, `acme#0` to `acme#3`: the messages of a slot are worked off one after the other,
//! so a connection has no more workers than slots and cannot take those of another. A table keeps
//! its slot, and its helpers come in those beside it. A message's deduplication id is made of the
//! run, its hop, its part and its helper, so that handing on twice sends once.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageAttributeValue;
use serde_json::json;
use sha2::{Digest, Sha256};
use snowferry_model::names::TableName;
use snowferry_model::push::PushName;

use super::event::{HELPER, HOP, RUN_ID, Selection};
use super::failure::cloud;
use crate::error::BootstrapError;

/// The most invocations of one run: a day and a half of the longest ones. AWS's own detection of
/// circles is told that this one is meant, so the bound is ours.
pub const MOST_HOPS: u32 = 150;

/// The most invocations of one push. Its rows are staged in one invocation or not at all, so one
/// that needed many would need ever more.
#[cfg(feature = "query")]
pub(super) const MOST_PUSH_HOPS: u32 = 12;

/// How many workers a connection may have at once. A schedule's messages go to slot 0.
const SLOTS: usize = 4;

/// Of these, how many help with one table.
pub const HELPERS: u32 = 2;

/// A part of a selection that goes on by itself.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// A table to pull.
    Table(&'a TableName),
    /// A push.
    Push(&'a PushName),
}

/// One message to send.
#[derive(Clone, Copy, Debug)]
pub struct Next<'a> {
    /// What was asked for; the mode goes on with it.
    pub selection: &'a Selection,
    /// What of it goes on.
    pub part: Part<'a>,
    /// Its place in the connection; it chooses the slot.
    pub position: usize,
    /// The run that goes on.
    pub run_id: &'a str,
    /// How many invocations it has had.
    pub hop: u32,
    /// The number of a helper; `None` for the run itself.
    pub helper: Option<u32>,
}

/// The queue that a function's own messages go to.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// Takes a client and the address of a FIFO queue. Sends nothing.
    #[must_use]
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// Hands a part of a run on.
    ///
    /// # Errors
    /// [`BootstrapError::Cloud`]; the message may have been sent all the same, which is harmless.
    pub async fn hand_on(&self, next: Next<'_>) -> Result<(), BootstrapError> {
        let Next { selection, run_id, hop, helper, .. } = next;
        let mut body = match next.part {
            Part::Table(table) => {
                json!({ "connection": selection.connection, "tables": [table.to_string()] })
            }
            Part::Push(name) => json!({ "connection": selection.connection, "names": [name] }),
        };
        if let (Some(mode), Some(fields)) = (selection.mode, body.as_object_mut()) {
            fields.insert("mode".to_owned(), mode.as_str().into());
        }
        let body = body.to_string();
        let digest = Sha256::digest(format!("{run_id}\n{hop}\n{helper:?}\n{body}"));
        let once: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let helpers = helper.and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
        let slot = (next.position + helpers) % SLOTS;
        let send = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_group_id(format!("{}#{slot}", selection.connection))
            .message_deduplication_id(once)
            .message_attributes(RUN_ID, attribute("String", run_id)?)
            .message_attributes(HOP, attribute("Number", &hop.to_string())?)
            .message_body(body);
        let send = match helper {
            Some(number) => {
                send.message_attributes(HELPER, attribute("Number", &number.to_string())?)
            }
            None => send,
        };
        send.send().await.map_err(|error| cloud(format!("hand run {run_id} on"), error))?;
        Ok(())
    }
}

fn attribute(kind: &str, value: &str) -> Result<MessageAttributeValue, BootstrapError> {
    let built = MessageAttributeValue::builder().data_type(kind).string_value(value).build();
    built.map_err(|source| BootstrapError::Cloud {
        step: "make a message".to_owned(),
        source: source.into(),
    })
}
