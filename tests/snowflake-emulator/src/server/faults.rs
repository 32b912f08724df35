//! Faults on order: what a network, a load balancer or an object store does on a bad day.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Deserialize;
use tokio::sync::watch;

use super::app::{App, now};
use super::effects::{Cut, Effect, Ending, end_all_sessions};
use super::observe::Endpoint;
use crate::auth::TokenKind;

/// What a bomb unpacks to unless the order says otherwise: 4 GiB.
const BOMB_BYTES: u64 = 4 << 30;
/// The longest pause of the random mode.
const RANDOM_PAUSE_MS: u64 = 50;

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
        /// Seconds in the header `Retry-After`.
        retry_after: Option<u32>,
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
    /// Requests are handled, but the connection breaks in the place of the answer.
    LoseAnswer {
        /// Which requests.
        endpoint: Endpoint,
        /// How many requests.
        #[serde(default = "once")]
        count: usize,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// Requests are answered 200 with a web page.
    Page {
        /// Which requests.
        endpoint: Endpoint,
        /// How many requests.
        #[serde(default = "once")]
        count: usize,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// Requests are answered with gzip that unpacks to very much.
    Bomb {
        /// Which requests.
        endpoint: Endpoint,
        /// Bytes after unpacking.
        #[serde(default = "bomb_bytes")]
        bytes: u64,
        /// How many requests.
        #[serde(default = "once")]
        count: usize,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// Bytes of answers change on the way.
    Corrupt {
        /// Which requests.
        endpoint: Endpoint,
        /// How many requests.
        #[serde(default = "once")]
        count: usize,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// Requests are sent elsewhere (HTTP 307).
    Redirect {
        /// Which requests.
        endpoint: Endpoint,
        /// Where to.
        to: String,
        /// How many requests.
        #[serde(default = "once")]
        count: usize,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// Connections break while the client sends.
    CutUpload {
        /// Which requests.
        endpoint: Endpoint,
        /// Bytes that are taken.
        after_bytes: usize,
        /// How many requests.
        #[serde(default = "once")]
        count: usize,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// Session tokens expire just before a request; they can be renewed.
    ExpireSessionsBefore {
        /// Which request.
        endpoint: Endpoint,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// Sessions end just before a request, with what they have open.
    LoseSessionsBefore {
        /// Which request.
        endpoint: Endpoint,
        /// How many pass first.
        #[serde(default)]
        skip: usize,
    },
    /// Sessions end now, with what they have open.
    LoseSessions {},
    /// Programmatic access tokens expire now.
    ExpireAccessTokens {},
    /// OAuth access tokens expire now.
    ExpireOauthTokens {},
    /// Requests fail at random, the same way for the same seed and the same order of requests.
    Random {
        /// Where the sequence starts.
        seed: u64,
        /// Of a thousand requests, this many fail.
        per_mille: u16,
        /// Which requests; statements, results, chunks and staged files if not given.
        #[serde(default = "busy_endpoints")]
        endpoints: Vec<Endpoint>,
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

fn bomb_bytes() -> u64 {
    BOMB_BYTES
}

fn busy_endpoints() -> Vec<Endpoint> {
    vec![Endpoint::Query, Endpoint::Result, Endpoint::Chunk, Endpoint::Stage]
}

#[derive(Debug)]
struct Planned {
    endpoint: Endpoint,
    effect: Effect,
    skip: usize,
    count: usize,
}

/// Faults by chance.
#[derive(Debug)]
struct Chance {
    random: StdRng,
    per_mille: u16,
    endpoints: Vec<Endpoint>,
}

impl Chance {
    fn strike(&mut self, endpoint: Endpoint) -> Option<Effect> {
        if !self.endpoints.contains(&endpoint) {
            return None;
        }
        if self.random.random_range(0..1000) >= self.per_mille {
            return None;
        }
        let after_bytes = self.random.random_range(0..4096);
        Some(match self.random.random_range(0..8) {
            0 => Effect::Status(503, None),
            1 => Effect::Status(429, Some(0)),
            2 => Effect::LoseAnswer,
            3 => Effect::Shorten(Cut { after_bytes, ending: Ending::Clean }),
            4 => Effect::Shorten(Cut { after_bytes, ending: Ending::Broken }),
            5 => Effect::Page,
            // A changed byte is found by a checksum, which only packed bodies have.
            6 if endpoint == Endpoint::Chunk => Effect::Corrupt,
            6 => Effect::ExpireSessions,
            _ => Effect::Delay(Duration::from_millis(self.random.random_range(0..RANDOM_PAUSE_MS))),
        })
    }
}

/// Faults that are planned.
#[derive(Debug)]
pub(crate) struct Faults {
    chance: Mutex<Option<Chance>>,
    planned: Mutex<Vec<Planned>>,
    extra_rows: Mutex<Vec<(usize, usize)>>,
    held: watch::Sender<bool>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            chance: Mutex::default(),
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
            effect = Some(fault.effect.clone());
            break;
        }
        planned.retain(|fault| fault.count > 0);
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        effect.or_else(|| chance.as_mut().and_then(|chance| chance.strike(endpoint)))
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
        *self.chance.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
        Order::Status { endpoint, status, retry_after, count, skip } => {
            faults.plan(endpoint, Effect::Status(status, retry_after), skip, count);
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
        Order::LoseAnswer { endpoint, count, skip } => {
            faults.plan(endpoint, Effect::LoseAnswer, skip, count);
        }
        Order::Page { endpoint, count, skip } => faults.plan(endpoint, Effect::Page, skip, count),
        Order::Bomb { endpoint, bytes, count, skip } => {
            faults.plan(endpoint, Effect::Bomb(bytes), skip, count);
        }
        Order::Corrupt { endpoint, count, skip } => {
            faults.plan(endpoint, Effect::Corrupt, skip, count);
        }
        Order::Redirect { endpoint, to, count, skip } => {
            faults.plan(endpoint, Effect::Redirect(to), skip, count);
        }
        Order::CutUpload { endpoint, after_bytes, count, skip } => {
            faults.plan(endpoint, Effect::CutUpload(after_bytes), skip, count);
        }
        Order::ExpireSessionsBefore { endpoint, skip } => {
            faults.plan(endpoint, Effect::ExpireSessions, skip, 1);
        }
        Order::LoseSessionsBefore { endpoint, skip } => {
            faults.plan(endpoint, Effect::LoseSessions, skip, 1);
        }
        other => return obey_at_once(app, other),
    }
    true
}

/// Orders that do something now, or to more than one endpoint.
fn obey_at_once(app: &App, order: Order) -> bool {
    let faults = &app.faults;
    match order {
        Order::ExpireSessions {} => app.sessions.expire_session_tokens(now()),
        Order::ExpireMasters {} => app.sessions.expire_master_tokens(now()),
        Order::ExpireLinks {} => app.links.expire_all(),
        Order::LoseSessions {} => end_all_sessions(app),
        Order::ExpireAccessTokens {} => app.users.access.expire(TokenKind::Programmatic),
        Order::ExpireOauthTokens {} => app.users.access.expire(TokenKind::OAuth),
        Order::Random { seed, per_mille, endpoints } => {
            let random = StdRng::seed_from_u64(seed);
            let chance = Chance { random, per_mille, endpoints };
            *faults.chance.lock().unwrap_or_else(PoisonError::into_inner) = Some(chance);
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
        // The others are planned for one endpoint and never come here.
        _ => return false,
    }
    true
}
