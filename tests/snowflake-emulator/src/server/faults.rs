//! Faults on order: what a network, a load balancer or an object store does on a bad day.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt as _;
use serde::Deserialize;
use tokio::sync::watch;

use super::app::{App, now};
use super::observe::Endpoint;

/// What `POST /faults` takes.
#[derive(Debug, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Order {
    /// Session tokens expire now; they can be renewed.
    ExpireSessions {},
    /// Master tokens expire now; clients must log in again.
    ExpireMasters {},
    /// Links to chunks expire now; the result can be fetched again.
    ExpireLinks {},
    /// Requests are answered with an HTTP status.
    Status {
        /// Which requests.
        endpoint: Endpoint,
        /// The status.
        status: u16,
        /// How many requests.
        #[serde(default = "once")]
        count: usize,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// Requests wait before they are handled.
    Delay {
        /// Which requests.
        endpoint: Endpoint,
        /// How long.
        millis: u64,
        /// How many requests.
        #[serde(default = "once")]
        count: usize,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// Bodies end early, as if that were all.
    CutBody {
        /// Which requests.
        endpoint: Endpoint,
        /// Bytes that arrive.
        after_bytes: usize,
        /// How many requests.
        #[serde(default = "once")]
        count: usize,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// Connections break in the middle of a body.
    KillConnection {
        /// Which requests.
        endpoint: Endpoint,
        /// Bytes that arrive.
        after_bytes: usize,
        /// How many requests.
        #[serde(default = "once")]
        count: usize,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// A result is forgotten, as after a day.
    LoseResult {
        /// Which.
        query_id: String,
    },
    /// Answers announce more rows than they have.
    WrongRowCount {
        /// How many more.
        by: usize,
        /// How many answers.
        #[serde(default = "once")]
        count: usize,
    },
    /// Statements do not start until they are released.
    HoldStatements {},
    /// Held statements go on.
    ReleaseStatements {},
}

fn once() -> usize {
    1
}

/// How a body ends early.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    after_bytes: usize,
    ending: Ending,
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    /// Complete by HTTP, short in content.
    Clean,
    /// The connection breaks.
    Broken,
}

/// What strikes one request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effect {
    /// Answer with this status.
    Status(u16),
    /// Wait first.
    Delay(Duration),
    /// End the body early.
    Shorten(Cut),
}

#[derive(Debug)]
struct Planned {
    endpoint: Endpoint,
    effect: Effect,
    skip: usize,
    count: usize,
}

/// Faults that are planned.
#[derive(Debug)]
pub(crate) struct Faults {
    planned: Mutex<Vec<Planned>>,
    extra_rows: Mutex<Vec<(usize, usize)>>,
    held: watch::Sender<bool>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            planned: Mutex::default(),
            extra_rows: Mutex::default(),
            held: watch::Sender::new(false),
        }
    }
}

impl Faults {
    /// Returns what strikes this request, and counts it.
    pub(crate) fn strike(&self, endpoint: Endpoint) -> Option<Effect> {
        if endpoint == Endpoint::Admin {
            return None;
        }
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        let mut effect = None;
        for fault in planned.iter_mut().filter(|fault| fault.endpoint == endpoint) {
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            fault.count -= 1;
            effect = Some(fault.effect);
            break;
        }
        planned.retain(|fault| fault.count > 0);
        effect
    }

    /// Returns how many rows too many the next answer announces.
    pub(crate) fn extra_rows(&self) -> usize {
        let mut orders = self.extra_rows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((by, count)) = orders.first_mut() else { return 0 };
        let by = *by;
        *count = count.saturating_sub(1);
        orders.retain(|(_, count)| *count > 0);
        by
    }

    /// Comes back when statements may run.
    pub(crate) async fn passage(&self) {
        let mut held = self.held.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = held.wait_for(|held| !held).await;
    }

    /// Forgets all planned faults and releases held statements.
    pub(crate) fn clear(&self) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.extra_rows.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.held.send_replace(false);
    }

    fn plan(&self, endpoint: Endpoint, effect: Effect, skip: usize, count: usize) {
        if count == 0 {
            return;
        }
        let mut planned = self.planned.lock().unwrap_or_else(PoisonError::into_inner);
        planned.push(Planned { endpoint, effect, skip, count });
    }
}

/// Carries out an order and returns whether it found what it speaks of.
pub(crate) fn obey(app: &App, order: Order) -> bool {
    let faults = &app.faults;
    match order {
        Order::ExpireSessions {} => app.sessions.expire_session_tokens(now()),
        Order::ExpireMasters {} => app.sessions.expire_master_tokens(now()),
        Order::ExpireLinks {} => app.links.expire_all(),
        Order::Status { endpoint, status, count, skip } => {
            faults.plan(endpoint, Effect::Status(status), skip, count);
        }
        Order::Delay { endpoint, millis, count, skip } => {
            faults.plan(endpoint, Effect::Delay(Duration::from_millis(millis)), skip, count);
        }
        Order::CutBody { endpoint, after_bytes, count, skip } => {
            let cut = Cut { after_bytes, ending: Ending::Clean };
            faults.plan(endpoint, Effect::Shorten(cut), skip, count);
        }
        Order::KillConnection { endpoint, after_bytes, count, skip } => {
            let cut = Cut { after_bytes, ending: Ending::Broken };
            faults.plan(endpoint, Effect::Shorten(cut), skip, count);
        }
        Order::LoseResult { query_id } => return app.queries.forget(&query_id),
        Order::WrongRowCount { by, count } => {
            let mut orders = faults.extra_rows.lock().unwrap_or_else(PoisonError::into_inner);
            orders.push((by, count));
        }
        Order::HoldStatements {} => {
            faults.held.send_replace(true);
        }
        Order::ReleaseStatements {} => {
            faults.held.send_replace(false);
        }
    }
    true
}

/// Ends the body of `response` early.
pub(crate) fn shorten(response: Response, cut: Cut) -> Response {
    let (mut parts, body) = response.into_parts();
    if matches!(cut.ending, Ending::Clean) {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    let mut left = cut.after_bytes;
    let kept = body.into_data_stream().filter_map(move |piece| {
        let kept = piece.map(|bytes: Bytes| {
            let part = bytes.slice(..bytes.len().min(left));
            left -= part.len();
            part
        });
        futures::future::ready(match kept {
            Ok(part) if part.is_empty() => None,
            Ok(part) => Some(Ok(part)),
            Err(error) => Some(Err(std::io::Error::other(error))),
        })
    });
    let body = match cut.ending {
        Ending::Clean => Body::from_stream(kept),
        Ending::Broken => {
            let error = Err(std::io::Error::other("planned fault"));
            Body::from_stream(kept.chain(futures::stream::iter([error])))
        }
    };
    Response::from_parts(parts, body)
}
