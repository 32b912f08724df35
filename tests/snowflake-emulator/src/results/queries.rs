//! Every statement by query id and by request id, running or finished.
//!
//! A request id that comes again finds the first statement, so it never runs twice. Results stay
//! for a day and may be read by any session of the same user.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use uuid::Uuid;

use super::stored::StoredResult;
use crate::engine::{SessionContext, SqlError, Transfer};

/// How long a result can be read by its query id: 24 hours at the real service.
const RETENTION: Duration = Duration::from_secs(24 * 3600);
/// Most statements remembered; the oldest finished ones go first.
const MOST_QUERIES: usize = 10_000;

/// Most bytes of all results; beyond it the oldest finished ones are forgotten early.
const MOST_BYTES: usize = 8 << 30;

/// What a statement gave.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Its rows.
    pub(crate) result: StoredResult,
    /// Snowflake's number for its kind.
    pub(crate) statement_type_id: i64,
    /// The session's context after it, with the statement's own parameters.
    pub(crate) context: SessionContext,
    /// For a multi-statement request: query id and kind of each child.
    pub(crate) children: Vec<(String, i64)>,
    /// For PUT and GET: what the client is to do.
    pub(crate) transfer: Option<Transfer>,
}

/// A statement that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Milliseconds since 1970.
    pub(crate) ended_ms: i64,
    /// Rows, or Snowflake's error.
    pub(crate) answer: Result<Answer, SqlError>,
}

/// Who sent a statement, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    /// The client's id of the request.
    pub(crate) request_id: Uuid,
    /// The session it came through.
    pub(crate) session_id: u64,
    /// The user, who alone may read the result.
    pub(crate) user: String,
    /// The text.
    pub(crate) sql_text: String,
    /// `QUERY_TAG`.
    pub(crate) tag: String,
    /// Submitted to run by itself: closing the session does not stop it.
    pub(crate) detached: bool,
    /// Milliseconds since 1970.
    pub(crate) started_ms: i64,
}

/// A statement, running or finished.
#[derive(Debug)]
pub(crate) struct Query {
    /// Its id.
    pub(crate) id: String,
    /// Where it came from.
    pub(crate) submission: Submission,
    born: Instant,
    finished: watch::Sender<Option<Arc<Finished>>>,
    cancelled: watch::Sender<bool>,
}

impl Query {
    /// Returns the outcome if there is one.
    pub(crate) fn finished(&self) -> Option<Arc<Finished>> {
        self.finished.borrow().clone()
    }

    fn stored_bytes(&self) -> usize {
        let finished = self.finished.borrow();
        let answer = finished.as_ref().and_then(|finished| finished.answer.as_ref().ok());
        answer.map_or(0, |answer| answer.result.stored_bytes())
    }

    /// Waits at most `patience` for the outcome.
    pub(crate) async fn wait(&self, patience: Duration) -> Option<Arc<Finished>> {
        let mut outcome = self.finished.subscribe();
        let ended = tokio::time::timeout(patience, outcome.wait_for(Option::is_some)).await;
        match ended {
            Ok(Ok(finished)) => finished.clone(),
            _ => None,
        }
    }

    /// Stores the outcome; the first one counts.
    pub(crate) fn finish(&self, finished: Finished) {
        self.finished.send_if_modified(|current| {
            if current.is_some() {
                return false;
            }
            *current = Some(Arc::new(finished));
            true
        });
    }

    /// Asks the statement to stop and returns whether it was still running.
    pub(crate) fn cancel(&self) -> bool {
        if self.finished.borrow().is_some() {
            return false;
        }
        self.cancelled.send_replace(true);
        true
    }

    /// Comes back when the statement has been asked to stop.
    pub(crate) async fn cancellation(&self) {
        let mut cancelled = self.cancelled.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = cancelled.wait_for(|asked| *asked).await;
    }
}

#[derive(Debug, Default)]
struct Inner {
    by_id: HashMap<String, Arc<Query>>,
    by_request: HashMap<(String, Uuid), String>,
    order: VecDeque<String>,
    submitted: u64,
}

/// All statements of the emulator.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    inner: Mutex<Inner>,
}

/// What [`Queries::submit`] found.
#[derive(Debug)]
pub(crate) enum Submitted {
    /// The request id is new; the caller runs the statement.
    New(Arc<Query>),
    /// The request id was seen; this is its statement.
    Known(Arc<Query>),
}

impl Queries {
    /// Registers a statement, unless its request id is known.
    pub(crate) fn submit(&self, submission: Submission, now: Instant) -> Submitted {
        let mut inner = self.lock();
        let request = (submission.user.clone(), submission.request_id);
        let known = inner.by_request.get(&request).and_then(|id| inner.by_id.get(id));
        if let Some(query) = known {
            return Submitted::Known(Arc::clone(query));
        }
        let query = inner.add(submission, now);
        inner.by_request.insert(request, query.id.clone());
        Submitted::New(query)
    }

    /// Registers one statement of a multi-statement request.
    pub(crate) fn add_child(&self, submission: Submission, now: Instant) -> Arc<Query> {
        self.lock().add(submission, now)
    }

    /// Finds a statement of `user` by its id.
    pub(crate) fn by_id(&self, id: &str, user: &str) -> Option<Arc<Query>> {
        let inner = self.lock();
        inner.by_id.get(id).filter(|query| query.submission.user == user).cloned()
    }

    /// Finds a statement by its id, whoever sent it; for presigned links.
    pub(crate) fn of_anyone(&self, id: &str) -> Option<Arc<Query>> {
        self.lock().by_id.get(id).cloned()
    }

    /// Finds a statement of `user` by the id of its request.
    pub(crate) fn by_request(&self, request_id: Uuid, user: &str) -> Option<Arc<Query>> {
        let inner = self.lock();
        let id = inner.by_request.get(&(user.to_owned(), request_id))?;
        inner.by_id.get(id).cloned()
    }

    /// Returns the id of the statement that the session of `query` submitted before it.
    pub(crate) fn before(&self, query: &Query) -> Option<String> {
        let inner = self.lock();
        let earlier = inner.order.iter().rev().skip_while(|id| **id != query.id).skip(1);
        earlier
            .filter_map(|id| inner.by_id.get(id))
            .find(|other| other.submission.session_id == query.submission.session_id)
            .map(|other| other.id.clone())
    }

    /// Forgets a statement and its result, and returns whether it was there.
    pub(crate) fn forget(&self, id: &str) -> bool {
        self.lock().remove(id)
    }

    /// Stops what a closing session still waits for.
    pub(crate) fn cancel_of_session(&self, session_id: u64) {
        let running: Vec<_> = {
            let inner = self.lock();
            let queries = inner.by_id.values();
            queries
                .filter(|query| query.submission.session_id == session_id)
                .filter(|query| !query.submission.detached)
                .cloned()
                .collect()
        };
        for query in running {
            query.cancel();
        }
    }

    /// Returns all remembered statements, oldest first.
    pub(crate) fn list(&self) -> Vec<Arc<Query>> {
        let inner = self.lock();
        inner.order.iter().filter_map(|id| inner.by_id.get(id)).cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn add(&mut self, submission: Submission, now: Instant) -> Arc<Query> {
        self.purge(now);
        self.submitted += 1;
        let query = Arc::new(Query {
            id: query_id(self.submitted, submission.started_ms),
            submission,
            born: now,
            finished: watch::Sender::new(None),
            cancelled: watch::Sender::new(false),
        });
        self.by_id.insert(query.id.clone(), Arc::clone(&query));
        self.order.push_back(query.id.clone());
        query
    }

    fn purge(&mut self, now: Instant) {
        let mut bytes: usize = self.by_id.values().map(|query| query.stored_bytes()).sum();
        while let Some(oldest) = self.order.front().and_then(|id| self.by_id.get(id)) {
            let old = now.saturating_duration_since(oldest.born) >= RETENTION;
            let crowded = self.order.len() >= MOST_QUERIES || bytes > MOST_BYTES;
            if oldest.finished().is_none() || !(old || crowded) {
                return;
            }
            bytes = bytes.saturating_sub(oldest.stored_bytes());
            let id = oldest.id.clone();
            self.remove(&id);
        }
    }

    fn remove(&mut self, id: &str) -> bool {
        let Some(query) = self.by_id.remove(id) else { return false };
        self.order.retain(|other| other != id);
        let request = (query.submission.user.clone(), query.submission.request_id);
        if self.by_request.get(&request).is_some_and(|known| known == id) {
            self.by_request.remove(&request);
        }
        true
    }
}

/// Makes an id in the shape of the real ones: time first, then a counter, then a constant tail.
fn query_id(count: u64, started_ms: i64) -> String {
    let minutes = u64::try_from(started_ms / 60_000).unwrap_or_default();
    let tail: u16 = rand::random();
    format!(
        "01{:06x}-{:04x}-{:04x}-{:04x}-{tail:04x}{:08x}",
        minutes & 0xff_ffff,
        (count >> 16) & 0xffff,
        count & 0xffff,
        rand::random::<u16>(),
        count & 0xffff_ffff,
    )
}
