//! Locks of tables: who may change one now, and who waits.
//!
//! | held by another | INSERT, COPY | UPDATE, DELETE, MERGE, TRUNCATE, INSERT OVERWRITE | ALTER |
//! |---|---|---|---|
//! | Add | goes on | goes on | waits |
//! | Rewrite | goes on | waits | waits |
//! | Define | waits | waits | waits |
//!
//! A wait ends when the lock is free, after a while, or at once when it would never end because
//! the waiting transactions wait for each other. Dropping a guard frees its lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// What a lock allows its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// Adding rows.
    Add,
    /// Taking rows away, too.
    Rewrite,
    /// Changing the columns or the name.
    Define,
}

impl Mode {
    fn goes_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Define, _) | (_, Self::Define) => false,
            (Self::Add, _) | (_, Self::Add) => true,
            (Self::Rewrite, Self::Rewrite) => false,
        }
    }

    /// As SHOW LOCKS names it.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Add | Self::Rewrite => "PARTITIONS",
            Self::Define => "TABLE",
        }
    }
}

/// A lock that is held or waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The table's id.
    pub table: u64,
    /// Its name, for messages and SHOW LOCKS.
    pub name: String,
    /// The transaction's id.
    pub owner: u64,
    /// The session of the transaction.
    pub session_id: u64,
    pub mode: Mode,
}

/// All locks of the account.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    held: Vec<Entry>,
    /// What each waiting transaction waits for.
    waiting: BTreeMap<u64, Entry>,
}

/// Frees its lock when it is dropped.
#[derive(Debug)]
pub(crate) struct Guard {
    locks: Arc<Locks>,
    entry: Entry,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = self.locks.lock();
        if let Some(at) = state.held.iter().position(|held| *held == self.entry) {
            state.held.swap_remove(at);
        }
        drop(state);
        self.locks.freed.notify_waiters();
    }
}

/// Stops waiting when it is dropped, also because the statement was cancelled.
struct Waiting<'a> {
    locks: &'a Locks,
    owner: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.locks.lock().waiting.remove(&self.owner);
    }
}

/// Why a lock was not given; the entry is the one in the way.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is held, and was not freed in time.
    Busy(Entry),
    /// It will never be free: its holder waits for the one who asks.
    Deadlock(Entry),
}

impl Locks {
    /// Takes a lock, waiting at most `patience`.
    ///
    /// # Errors
    /// [`Refusal`]; nothing is held then.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        entry: &Entry,
        patience: Duration,
    ) -> Result<Guard, Refusal> {
        let deadline = tokio::time::Instant::now().checked_add(patience);
        let _waiting = Waiting { locks: self, owner: entry.owner };
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            // Registered before the look, so that no notice is missed.
            freed.as_mut().enable();
            let holder = match self.attempt(entry) {
                Ok(()) => return Ok(Guard { locks: Arc::clone(self), entry: entry.clone() }),
                Err(Refusal::Busy(holder)) if !patience.is_zero() => holder,
                Err(refusal) => return Err(refusal),
            };
            match deadline {
                None => freed.await,
                Some(deadline) => {
                    if tokio::time::timeout_at(deadline, freed).await.is_err() {
                        return Err(Refusal::Busy(holder));
                    }
                }
            }
        }
    }

    /// Whether no transaction but `owner` takes rows of a table away.
    pub(crate) fn nobody_else_rewrites(&self, table: u64, owner: u64) -> bool {
        let state = self.lock();
        !state
            .held
            .iter()
            .any(|held| held.table == table && held.owner != owner && held.mode >= Mode::Rewrite)
    }

    /// The locks that are held, then those that are waited for.
    pub(crate) fn list(&self) -> (Vec<Entry>, Vec<Entry>) {
        let state = self.lock();
        (state.held.clone(), state.waiting.values().cloned().collect())
    }

    fn attempt(&self, entry: &Entry) -> Result<(), Refusal> {
        let mut state = self.lock();
        let Some(holder) = state.blocker(entry).cloned() else {
            state.waiting.remove(&entry.owner);
            state.held.push(entry.clone());
            return Ok(());
        };
        if state.waits_for(holder.owner, entry.owner) {
            return Err(Refusal::Deadlock(holder));
        }
        state.waiting.insert(entry.owner, entry.clone());
        Err(Refusal::Busy(holder))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn blocker(&self, wanted: &Entry) -> Option<&Entry> {
        self.held.iter().find(|held| {
            held.table == wanted.table
                && held.owner != wanted.owner
                && !held.mode.goes_with(wanted.mode)
        })
    }

    /// Whether one transaction waits, directly or through others, for another.
    fn waits_for(&self, from: u64, to: u64) -> bool {
        let mut current = from;
        // A chain cannot be longer than the number of those who wait.
        for _ in 0..=self.waiting.len() {
            if current == to {
                return true;
            }
            let next = self.waiting.get(&current).and_then(|wanted| self.blocker(wanted));
            match next {
                Some(next) => current = next.owner,
                None => return false,
            }
        }
        false
    }
}
