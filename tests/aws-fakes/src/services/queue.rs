//! A FIFO queue: one message of a group at a time, in order, each until it is deleted.
//!
//! As in SQS: a deduplication id counts for five minutes; a message that is not deleted within its
//! visibility timeout comes again, in its place; one that was received too often becomes a dead
//! letter. Time is the caller's, so a test may let it pass.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use serde_json::{Value, json};

/// How long a deduplication id counts.
const DEDUPLICATION: Duration = Duration::from_secs(300);

/// A message in flight.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message's id.
    pub id: String,
    /// What deletes it, until its visibility timeout is over.
    pub receipt: u64,
    /// Its group.
    pub group: String,
    /// The event that Lambda makes of it.
    pub event: Value,
}

#[derive(Debug)]
struct Message {
    id: String,
    group: String,
    body: String,
    attributes: Value,
    sent_at_ms: u64,
    receives: u32,
    /// The receipt and the end of the time for which it is in flight.
    flight: Option<(u64, Instant)>,
}

#[derive(Debug, Default)]
struct Held {
    messages: BTreeMap<u64, Message>,
    known: BTreeMap<(String, String), Instant>,
    dead: Vec<String>,
    sent: Vec<String>,
    next: u64,
}

/// A FIFO queue with its dead letters.
#[derive(Debug)]
pub struct FifoQueue {
    visibility: Duration,
    most_receives: u32,
    held: Mutex<Held>,
}

impl FifoQueue {
    /// Makes an empty queue.
    #[must_use]
    pub fn new(visibility: Duration, most_receives: u32) -> Self {
        Self { visibility, most_receives, held: Mutex::default() }
    }

    /// Takes a message; one whose deduplication id is known is forgotten.
    pub fn send(&self, group: &str, deduplication: &str, body: &str, attributes: &Value) -> String {
        let mut held = self.held();
        let now = Instant::now();
        held.next += 1;
        let (place, id) = (held.next, format!("message-{}", held.next));
        held.known.retain(|_, since| now.duration_since(*since) < DEDUPLICATION);
        if held.known.insert((group.to_owned(), deduplication.to_owned()), now).is_some() {
            return id;
        }
        held.sent.push(body.to_owned());
        let message = Message {
            id: id.clone(),
            group: group.to_owned(),
            body: body.to_owned(),
            attributes: attributes.clone(),
            sent_at_ms: unix_ms(),
            receives: 0,
            flight: None,
        };
        held.messages.insert(place, message);
        id
    }

    /// Returns the first message that may be worked off, and takes it into flight.
    pub fn receive(&self) -> Option<Delivery> {
        let mut held = self.held();
        let now = Instant::now();
        let mut busy: BTreeSet<String> = BTreeSet::new();
        let mut dead = Vec::new();
        let mut found = None;
        held.next += 1;
        let receipt = held.next;
        for (place, message) in &mut held.messages {
            let in_flight = message.flight.is_some_and(|(_, until)| until > now);
            if busy.contains(&message.group) || in_flight {
                busy.insert(message.group.clone());
                continue;
            }
            if message.receives >= self.most_receives {
                dead.push(*place);
                continue;
            }
            message.receives += 1;
            message.flight = Some((receipt, now + self.visibility));
            found = Some(Delivery {
                id: message.id.clone(),
                receipt,
                group: message.group.clone(),
                event: event(message),
            });
            break;
        }
        for place in dead {
            if let Some(message) = held.messages.remove(&place) {
                held.dead.push(message.body);
            }
        }
        found
    }

    /// Deletes a message in flight; a receipt that is over does nothing.
    pub fn delete(&self, receipt: u64) {
        let now = Instant::now();
        self.held().messages.retain(|_, message| {
            !message.flight.is_some_and(|(ours, until)| ours == receipt && until > now)
        });
    }

    /// Gives a message in flight back at once.
    pub fn give_back(&self, receipt: u64) {
        for message in self.held().messages.values_mut() {
            if message.flight.is_some_and(|(ours, _)| ours == receipt) {
                message.flight = None;
            }
        }
    }

    /// Returns whether there is no message, in flight or not.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held().messages.is_empty()
    }

    /// Returns the bodies of the dead letters.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<String> {
        self.held().dead.clone()
    }

    /// Returns the bodies of all messages that were ever taken.
    #[must_use]
    pub fn sent(&self) -> Vec<String> {
        self.held().sent.clone()
    }

    pub(super) fn answer_send(&self, body: &Value) -> Result<Value, (&'static str, String)> {
        let field = |name: &'static str| {
            body[name].as_str().ok_or_else(|| ("InvalidParameterValue", format!("no {name}")))
        };
        let text = field("MessageBody")?;
        let group = field("MessageGroupId")?;
        let once = field("MessageDeduplicationId")?;
        let id = self.send(group, once, text, &body["MessageAttributes"]);
        let digest: String = Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(json!({ "MessageId": id, "MD5OfMessageBody": digest }))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message as the event source hands it to a function.
fn event(message: &Message) -> Value {
    let mut attributes = serde_json::Map::new();
    for (name, attribute) in message.attributes.as_object().into_iter().flatten() {
        let form = json!({
            "stringValue": attribute["StringValue"], "dataType": attribute["DataType"],
        });
        attributes.insert(name.clone(), form);
    }
    json!({ "Records": [{
        "messageId": message.id,
        "receiptHandle": message.id,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": message.receives.to_string(),
            "SentTimestamp": message.sent_at_ms.to_string(),
            "MessageGroupId": message.group,
        },
        "messageAttributes": attributes,
        "eventSource": "aws:sqs",
    }] })
}

fn unix_ms() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(visibility: Duration) -> FifoQueue {
        FifoQueue::new(visibility, 2)
    }

    fn groups_in_flight(queue: &FifoQueue) -> Vec<String> {
        std::iter::from_fn(|| queue.receive()).map(|delivery| delivery.group).collect()
    }

    #[test]
    fn one_message_of_a_group_is_in_flight_at_a_time() {
        let queue = queue(Duration::from_secs(60));
        for (group, once) in [("a", "1"), ("a", "2"), ("b", "3"), ("b", "3"), ("c", "4")] {
            queue.send(group, once, once, &Value::Null);
        }
        assert_eq!(groups_in_flight(&queue), ["a", "b", "c"]);
        assert_eq!(queue.sent(), ["1", "2", "3", "4"], "a repeated id is forgotten");
    }

    #[test]
    fn a_message_comes_again_in_its_place_until_it_is_deleted_or_dead() {
        let queue = queue(Duration::ZERO);
        queue.send("a", "1", "first", &Value::Null);
        queue.send("a", "2", "second", &Value::Null);
        let body = |delivery: Delivery| delivery.event["Records"][0]["body"].to_string();
        assert_eq!(body(queue.receive().unwrap()), "\"first\"");
        assert_eq!(body(queue.receive().unwrap()), "\"first\"");
        // Received twice without success: the next message's turn.
        assert_eq!(body(queue.receive().unwrap()), "\"second\"");
        assert_eq!(queue.dead_letters(), ["first"]);
        assert!(!queue.is_empty());
    }
}
