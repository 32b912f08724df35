//! What every worker does the same: its deadline, its messages, its sign-in.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use snowferry_model::fault::{Fault, Retry};
use snowferry_model::time::{Clock, UnixMillis};
use snowferry_snowflake::client::SnowflakeClient;
use uuid::Uuid;

use super::Cloud;
use super::event::{Message, Request};
use super::queue::Queue;
use crate::clock::{self, SystemClock};
use crate::config::Connection;
use crate::error::BootstrapError;

/// The code of a refused sign-in, after which secrets are read again.
const SIGN_IN: &str = "SNOWFLAKE_SIGN_IN";

/// The most of an invocation's time that is kept for finishing the part at work, storing what was
/// done and handing on.
const LONGEST_MARGIN: Duration = Duration::from_secs(120);

/// Which share of the time is kept when it is short: one in five.
const MARGIN_SHARE: u32 = 5;

/// Which share of the time a lease lasts without being renewed: one in twenty.
const LEASE_SHARE: u64 = 20;

/// What an invocation is given besides its event.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// When the process is stopped.
    pub deadline: SystemTime,
    /// The request's id; unique to the attempt together with the process.
    pub request_id: String,
}

impl Invocation {
    /// Returns when no more work is to be taken up.
    pub(super) fn last_start(&self) -> UnixMillis {
        let margin = (self.time_left() / MARGIN_SHARE).min(LONGEST_MARGIN);
        unix(self.deadline - margin)
    }

    /// Returns how long a lease lasts without being renewed. A killed worker's lease is over before
    /// its message comes again: in AWS 45 s after 900 s at most, and the message after 960 s.
    pub(super) fn lease_ms(&self) -> u64 {
        (millis(self.time_left()) / LEASE_SHARE).max(1)
    }

    /// Returns how this attempt names itself.
    pub(super) fn owner(&self) -> String {
        format!("{} of {}", self.request_id, clock::owner(SystemClock.now()))
    }

    fn time_left(&self) -> Duration {
        self.deadline.duration_since(SystemTime::now()).unwrap_or_default()
    }
}

/// Works on messages in order and returns what Lambda is answered: those that are to come back.
///
/// A FIFO queue keeps its order only if nothing behind a failure is worked off.
pub(super) async fn work_off_all(
    messages: &[Message],
    work_off: impl AsyncFn(&Message) -> bool,
) -> Value {
    let mut failed = Vec::new();
    for message in messages {
        if !failed.is_empty() || !work_off(message).await {
            failed.push(json!({ "itemIdentifier": message.id }));
        }
    }
    json!({ "batchItemFailures": failed })
}

/// Works on one message, unless it was worked off before; `false` when it is to come back.
///
/// `run` takes the request, the run's id and what started it. `comes_back` tells whether a record
/// is of a failure that may pass by itself.
pub(super) async fn work_off<R>(
    cloud: &Cloud,
    message: &Message,
    comes_back: impl Fn(&R) -> bool,
    run: impl AsyncFn(&Request, &str, &str) -> Result<Vec<R>, BootstrapError>,
) -> bool {
    let request = match &message.request {
        Ok(request) => request,
        Err(error) => {
            // It would be no better the next time; the dead-letter queue is not for misspellings.
            let (code, message_id) = (error.code(), message.id.as_str());
            tracing::error!(code, message_id, %error, "a message is refused");
            return true;
        }
    };
    let run_id = request.run_id.clone().unwrap_or_else(|| run_id_of(message));
    match run_once(cloud, request, &run_id, comes_back, run).await {
        Ok(is_done) => is_done,
        Err(error) => {
            let (code, run_id) = (error.code(), run_id.as_str());
            tracing::error!(code, run_id, %error, "a run could not start");
            error.retry() == Retry::AfterFix
        }
    }
}

/// Runs what a message asks for, unless that is done; returns whether it now is.
async fn run_once<R>(
    cloud: &Cloud,
    request: &Request,
    run_id: &str,
    comes_back: impl Fn(&R) -> bool,
    run: impl AsyncFn(&Request, &str, &str) -> Result<Vec<R>, BootstrapError>,
) -> Result<bool, BootstrapError> {
    let connection = &request.selection.connection;
    // A helper's message is neither looked for nor noted: it carries the task of the run it helps.
    let task = request.helper.is_none().then(|| task_of(request, run_id));
    if let Some(task) = &task
        && cloud.documents.is_done(connection, task).await?
    {
        tracing::info!(run_id, hop = request.hop, "a message came again and is done");
        return Ok(true);
    }
    let trigger = if request.hop == 0 { "schedule" } else { "continuation" };
    let records = run(request, run_id, trigger).await?;
    let is_done = !records.iter().any(comes_back);
    if is_done && let Some(task) = &task {
        cloud.documents.set_done(connection, task, SystemClock.now()).await?;
    }
    Ok(is_done)
}

/// Returns where a run goes on that is not done, and the number of that invocation.
///
/// # Errors
/// [`BootstrapError::Hops`] beyond `most_hops`; [`BootstrapError::Setting`] without a queue.
pub(super) fn next_hop<'a>(
    cloud: &'a Cloud,
    request: &Request,
    run_id: &str,
    most_hops: u32,
) -> Result<(&'a Queue, u32), BootstrapError> {
    let hop = request.hop.saturating_add(1);
    if hop > most_hops {
        return Err(BootstrapError::Hops { run_id: run_id.to_owned(), hops: request.hop });
    }
    let queue = cloud.queue.as_ref().ok_or_else(|| BootstrapError::Setting {
        setting: "SNOWFERRY_QUEUE_URL",
        reason: "a run met its deadline, and no queue is set to hand it on".to_owned(),
    })?;
    Ok((queue, hop))
}

/// Names what a message asks for: the same in each delivery, and another for each hop and part of
/// the selection.
fn task_of(request: &Request, run_id: &str) -> String {
    let tables = request.selection.tables.iter().flatten().map(ToString::to_string);
    let names = request.selection.names.iter().flatten().map(ToString::to_string);
    let parts: Vec<String> = tables.chain(names).collect();
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, parts.join("\n").as_bytes());
    format!("{run_id}#{}#{}", request.hop, hash.simple())
}

/// Makes a run id that is the same for each delivery of a message and sorts by its sending.
fn run_id_of(message: &Message) -> String {
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, message.id.as_bytes());
    let mut random = [0; 10];
    for (to, from) in random.iter_mut().zip(hash.as_bytes()) {
        *to = *from;
    }
    uuid::Builder::from_unix_timestamp_millis(message.sent_at_ms, &random).into_uuid().to_string()
}

/// A connection with its client, which may have to be made again with other secrets.
pub(super) struct Session<'a> {
    pub(super) cloud: &'a Cloud,
    pub(super) connection: &'a Connection,
    pub(super) client: Arc<SnowflakeClient>,
    refusals: u32,
}

impl<'a> Session<'a> {
    pub(super) fn begin(
        cloud: &'a Cloud,
        connection: &'a Connection,
    ) -> Result<Self, BootstrapError> {
        let client = cloud.client(connection)?;
        Ok(Self { cloud, connection, client, refusals: 0 })
    }

    /// After a refused sign-in: makes the client again, with secrets read anew, then with those
    /// that a rotation has staged. `false`: it was another failure, or nothing is left to try.
    pub(super) fn renew(&mut self, code: Option<&str>) -> Result<bool, BootstrapError> {
        match (code, self.refusals) {
            (Some(SIGN_IN), 0) => self.cloud.secrets.forget(&self.connection.name),
            (Some(SIGN_IN), 1) => self.cloud.secrets.prefer_pending(&self.connection.name),
            _ => return Ok(false),
        }
        self.refusals += 1;
        self.client = self.cloud.client(self.connection)?;
        Ok(true)
    }
}

fn unix(time: SystemTime) -> UnixMillis {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(millis(since)).unwrap_or(i64::MAX))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
