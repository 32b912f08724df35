//! Transactions of several statements, and the one that every other change is by itself.
//!
//! Until its COMMIT a transaction keeps its changes as [`Delta`]s by table; its own statements see
//! them on top of what is committed (READ COMMITTED), others do not. COMMIT puts all of them into
//! the catalogue by one call, so readers see all or nothing. A session that ends drops its
//! transaction, which rolls it back and frees its locks. So does a transaction that stands in
//! somebody's way and has not run a statement for a while: its client may be gone.

mod locks;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use locks::Refusal;
pub(crate) use locks::{Entry, Locks, Mode};

use crate::catalog::{Catalog, Delta, Snapshot, Table};
use crate::engine::{SessionContext, SqlError};
use crate::sql::error::sql_error;

/// LOCK_TIMEOUT of a session that has not set it: 12 hours.
const LOCK_TIMEOUT_S: u64 = 43_200;

/// How long a waiter waits at least before it looks at the holder again.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// A transaction that is open, or a statement that is one by itself.
#[derive(Debug)]
pub(crate) struct Transaction {
    /// What CURRENT_TRANSACTION() says.
    pub id: u64,
    pub name: Option<String>,
    pub session_id: u64,
    pub user: String,
    pub started_ns: i128,
    /// Held by a statement for as long as it runs: a session's changes follow each other.
    work: tokio::sync::Mutex<Work>,
}

/// What a transaction has done so far.
#[derive(Debug, Default)]
pub(crate) struct Work {
    deltas: BTreeMap<u64, Delta>,
    locks: Vec<locks::Guard>,
    held: Vec<(u64, Mode)>,
    /// When the last statement ended.
    touched: Option<Instant>,
    /// Statements whose changes wait for COMMIT.
    pub query_ids: Vec<String>,
    ended: bool,
}

impl Work {
    /// The changes in the order of tables.
    pub(crate) fn deltas(&self) -> Vec<Delta> {
        self.deltas.values().cloned().collect()
    }

    /// Adds the change of one statement.
    pub(crate) fn add(&mut self, delta: Delta) {
        self.touched = Some(Instant::now());
        match self.deltas.get_mut(&delta.table) {
            Some(earlier) => earlier.merge(delta),
            None => {
                self.deltas.insert(delta.table, delta);
            }
        }
    }
}

/// The open transactions by session, and the locks of all.
#[derive(Debug)]
pub(crate) struct Transactions {
    open: Mutex<HashMap<u64, Arc<Transaction>>>,
    pub locks: Arc<Locks>,
    /// A transaction without a statement for this long may be in nobody's way: 5 minutes at the
    /// real service (page "Transactions", section "Aborting transactions").
    idle: Duration,
}

impl Transactions {
    /// None is open.
    pub(crate) fn new(idle: Duration) -> Self {
        Self { open: Mutex::default(), locks: Arc::default(), idle }
    }

    /// The open transaction of a session.
    pub(crate) fn of(&self, session_id: u64) -> Option<Arc<Transaction>> {
        self.open().get(&session_id).cloned()
    }

    /// All open transactions, oldest first.
    pub(crate) fn list(&self) -> Vec<Arc<Transaction>> {
        let mut list: Vec<_> = self.open().values().cloned().collect();
        list.sort_by_key(|transaction| transaction.id);
        list
    }

    /// Opens a transaction; one that is open already goes on.
    pub(crate) fn begin(
        &self,
        catalog: &Catalog,
        session: &SessionContext,
        name: Option<String>,
    ) -> Arc<Transaction> {
        let mut open = self.open();
        let found = open
            .entry(session.session_id)
            .or_insert_with(|| Arc::new(transaction(catalog, session, name)));
        Arc::clone(found)
    }

    /// The transaction that a change belongs to: the open one, a new one when AUTOCOMMIT is off,
    /// or one for this statement alone.
    pub(crate) fn for_change(
        &self,
        catalog: &Catalog,
        session: &SessionContext,
    ) -> (Arc<Transaction>, Extent) {
        if let Some(open) = self.of(session.session_id) {
            return (open, Extent::Several);
        }
        if !autocommit(session) {
            return (self.begin(catalog, session, None), Extent::Several);
        }
        (self.alone(catalog, session), Extent::Statement)
    }

    /// A transaction of one statement, which nobody else finds.
    pub(crate) fn alone(&self, catalog: &Catalog, session: &SessionContext) -> Arc<Transaction> {
        Arc::new(transaction(catalog, session, None))
    }

    /// What a statement of a session sees, and the id of its open transaction.
    pub(crate) async fn snapshot(
        &self,
        catalog: &Catalog,
        session_id: u64,
    ) -> Result<(Snapshot, Option<u64>), SqlError> {
        if let Some(transaction) = self.of(session_id) {
            let mut work = transaction.work.lock().await;
            if !work.ended {
                work.touched = Some(Instant::now());
                return Ok((catalog.snapshot().with(&work.deltas())?, Some(transaction.id)));
            }
        }
        Ok((catalog.snapshot(), None))
    }

    /// Commits the open transaction of a session, if any; the moment and what was waiting for it.
    ///
    /// # Errors
    /// When a changed table is gone or altered; the transaction is rolled back then.
    pub(crate) async fn commit(
        &self,
        catalog: &Catalog,
        session_id: u64,
    ) -> Result<Option<(i128, Vec<String>)>, SqlError> {
        let Some(transaction) = self.of(session_id) else { return Ok(None) };
        let mut work = transaction.work.lock().await;
        self.forget(&transaction);
        if work.ended {
            return Ok(None);
        }
        let committed = self.commit_work(catalog, &transaction, &mut work);
        let ended = std::mem::replace(&mut *work, Work { ended: true, ..Work::default() });
        Ok(Some((committed?, ended.query_ids)))
    }

    /// Commits what a statement did that is a transaction by itself.
    pub(crate) fn commit_work(
        &self,
        catalog: &Catalog,
        transaction: &Transaction,
        work: &mut Work,
    ) -> Result<i128, SqlError> {
        let deltas = work.deltas();
        catalog.commit(&deltas, |table| self.locks.nobody_else_rewrites(table, transaction.id))
    }

    /// Drops what the open transaction of a session has done.
    pub(crate) async fn roll_back(&self, session_id: u64) {
        let Some(transaction) = self.of(session_id) else { return };
        let mut work = transaction.work.lock().await;
        self.forget(&transaction);
        *work = Work { ended: true, ..Work::default() };
    }

    /// Rolls back an open transaction of any session, which goes on without one; whether there was
    /// such a transaction.
    ///
    /// # Errors
    /// When it belongs to a user that the caller may not act for.
    pub(crate) async fn abort(
        &self,
        id: u64,
        may: impl Fn(&str) -> bool + Send,
    ) -> Result<bool, SqlError> {
        let Some(transaction) = self.list().into_iter().find(|one| one.id == id) else {
            return Ok(false);
        };
        if !may(&transaction.user) {
            let message = format!(
                "SQL access control error:\nInsufficient privileges to operate on transaction '{id}'."
            );
            return Err(sql_error("003001", "42501", message));
        }
        let mut work = transaction.work.lock().await;
        self.forget(&transaction);
        let was_open = !work.ended;
        *work = Work { ended: true, ..Work::default() };
        Ok(was_open)
    }

    /// Rolls back the transaction of a session that is gone; its locks are free once the last of
    /// its statements has stopped.
    pub(crate) fn end_session(&self, session_id: u64) {
        self.open().remove(&session_id);
    }

    /// Takes a lock for a transaction, unless it has it.
    ///
    /// # Errors
    /// 000625 when it is not free in time.
    pub(crate) async fn lock(
        &self,
        transaction: &Transaction,
        work: &mut Work,
        session: &SessionContext,
        (table, mode): (&Table, Mode),
    ) -> Result<(), SqlError> {
        if work.held.iter().any(|(held, held_mode)| *held == table.id && *held_mode >= mode) {
            return Ok(());
        }
        let entry = Entry {
            table: table.id,
            name: table.name.clone(),
            owner: transaction.id,
            session_id: transaction.session_id,
            mode,
        };
        let patience = lock_timeout(session);
        let deadline = Instant::now().checked_add(patience);
        let mut wait = Duration::ZERO;
        loop {
            let holder = match self.locks.acquire(&entry, wait).await {
                Ok(guard) => {
                    work.locks.push(guard);
                    work.held.push((table.id, mode));
                    return Ok(());
                }
                Err(Refusal::Deadlock(holder)) => return Err(deadlock(&entry, &holder)),
                Err(Refusal::Busy(holder)) => holder,
            };
            let idle_in = self.idle_in(holder.owner);
            if idle_in.is_some_and(|left| left.is_zero()) {
                continue;
            }
            let now = Instant::now();
            let left = deadline.map_or(patience, |deadline| deadline.duration_since(now));
            if left.is_zero() {
                return Err(timed_out(&entry, &holder));
            }
            // Looked at again also while a statement of the holder runs, for it may be the last one
            // of a session that is gone, and while waiting the lock may pass to another.
            wait = idle_in.unwrap_or(self.idle).max(SHORTEST_WAIT).min(left);
        }
    }

    /// How long until a transaction counts as left behind; zero when it was and is rolled back
    /// now, `None` while one of its statements runs.
    fn idle_in(&self, id: u64) -> Option<Duration> {
        let transaction = self.list().into_iter().find(|transaction| transaction.id == id)?;
        let mut work = transaction.work.try_lock().ok()?;
        let left = self.idle.saturating_sub(work.touched?.elapsed());
        if left.is_zero() {
            self.forget(&transaction);
            *work = Work { ended: true, ..Work::default() };
        }
        Some(left)
    }

    fn forget(&self, transaction: &Arc<Transaction>) {
        let mut open = self.open();
        if open.get(&transaction.session_id).is_some_and(|found| Arc::ptr_eq(found, transaction)) {
            open.remove(&transaction.session_id);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Arc<Transaction>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a transaction reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// It ends with the statement.
    Statement,
    /// It ends with COMMIT or ROLLBACK.
    Several,
}

impl Transaction {
    /// Waits until the transaction's earlier statements are done; `None` when it has ended.
    pub(crate) async fn work(&self) -> Option<tokio::sync::MutexGuard<'_, Work>> {
        let work = self.work.lock().await;
        (!work.ended).then_some(work)
    }
}

fn transaction(catalog: &Catalog, session: &SessionContext, name: Option<String>) -> Transaction {
    let started_ns = catalog.tick();
    Transaction {
        // Unique because the catalogue's moments are, and in the range of the real ids.
        id: u64::try_from(started_ns).unwrap_or_default(),
        name,
        session_id: session.session_id,
        user: session.user.clone(),
        started_ns,
        work: tokio::sync::Mutex::default(),
    }
}

/// Whether each change of a session without an open transaction commits by itself.
fn autocommit(session: &SessionContext) -> bool {
    !session.parameters.get("AUTOCOMMIT").is_some_and(|value| value.eq_ignore_ascii_case("false"))
}

fn lock_timeout(session: &SessionContext) -> Duration {
    let set = session.parameters.get("LOCK_TIMEOUT");
    let seconds = set.and_then(|text| text.trim().parse().ok()).unwrap_or(LOCK_TIMEOUT_S);
    Duration::from_secs(seconds)
}

fn timed_out(wanted: &Entry, holder: &Entry) -> SqlError {
    let message = format!(
        "A statement of session {} has locked table '{}' in transaction {} and this lock has not \
         yet been released.",
        holder.session_id, wanted.name, holder.owner
    );
    sql_error("000625", "57014", message)
}

fn deadlock(wanted: &Entry, holder: &Entry) -> SqlError {
    let message = format!(
        "The statement was aborted because of a deadlock: transaction {} waits for table '{}', \
         which transaction {} has locked.",
        wanted.owner, wanted.name, holder.owner
    );
    sql_error("000625", "57014", message)
}
