//! State, leases and run records in memory: the fake that engines are tested with.
//!
//! It keeps every promise of the three traits, so it passes the same contract suites as the
//! stores that outlive the process. Clones share what they hold. A lease ends when the `now` that
//! a caller gives has reached its end; there is no clock inside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use snowferry_model::names::ConnectionName;
use snowferry_model::run::RunRecord;
use snowferry_model::state::{StreamKey, StreamState};
use snowferry_model::time::UnixMillis;

mod pushes;

pub use pushes::MemoryPushes;

use crate::{
    CheckpointError, CheckpointStore, LeaseOutcome, LeaseStore, Revision, RunStore, Stored,
};

/// State, leases and run records in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryCheckpoint {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    states: BTreeMap<StreamKey, Stored>,
    leases: BTreeMap<StreamKey, Lease>,
    /// By start, run id and table, so that the last is the newest.
    runs: BTreeMap<(UnixMillis, String, StreamKey), RunRecord>,
}

#[derive(Clone, Debug)]
struct Lease {
    owner: String,
    /// The first moment at which another owner may take it.
    ends_at: UnixMillis,
}

impl MemoryCheckpoint {
    /// Returns the owner of a lease, whether or not it has run out.
    #[must_use]
    pub fn lease_owner(&self, key: &StreamKey) -> Option<String> {
        self.lock().leases.get(key).map(|lease| lease.owner.clone())
    }

    /// Returns all run records, oldest first.
    #[must_use]
    pub fn all_runs(&self) -> Vec<RunRecord> {
        self.lock().runs.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic elsewhere leaves the maps whole: every change below is one step.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CheckpointStore for MemoryCheckpoint {
    async fn load(&self, key: &StreamKey) -> Result<Option<Stored>, CheckpointError> {
        Ok(self.lock().states.get(key).cloned())
    }

    async fn store(
        &self,
        key: &StreamKey,
        expected: Option<Revision>,
        state: &StreamState,
    ) -> Result<Revision, CheckpointError> {
        let mut shared = self.lock();
        let found = shared.states.get(key).map(|stored| stored.revision);
        if found != expected {
            return Err(CheckpointError::Moved { key: key.to_string() });
        }
        let revision = Revision(found.map_or(1, |revision| revision.0 + 1));
        shared.states.insert(key.clone(), Stored { revision, state: state.clone() });
        Ok(revision)
    }

    async fn list(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Result<Vec<(StreamKey, Stored)>, CheckpointError> {
        let shared = self.lock();
        let wanted = |key: &StreamKey| connection.is_none_or(|name| key.connection == *name);
        let states = shared.states.iter().filter(|(key, _)| wanted(key));
        Ok(states.map(|(key, stored)| (key.clone(), stored.clone())).collect())
    }
}

#[async_trait]
impl LeaseStore for MemoryCheckpoint {
    async fn acquire(
        &self,
        key: &StreamKey,
        owner: &str,
        now: UnixMillis,
        ttl_ms: u64,
    ) -> Result<LeaseOutcome, CheckpointError> {
        let mut shared = self.lock();
        if let Some(lease) = shared.leases.get(key)
            && lease.owner != owner
            && now < lease.ends_at
        {
            return Ok(LeaseOutcome::Held { owner: lease.owner.clone() });
        }
        let lease = Lease { owner: owner.to_owned(), ends_at: now.plus_ms(ttl_ms) };
        shared.leases.insert(key.clone(), lease);
        Ok(LeaseOutcome::Acquired)
    }

    async fn renew(
        &self,
        key: &StreamKey,
        owner: &str,
        now: UnixMillis,
        ttl_ms: u64,
    ) -> Result<LeaseOutcome, CheckpointError> {
        let mut shared = self.lock();
        match shared.leases.get_mut(key) {
            // Even one that ran out is still ours while nobody took it.
            Some(lease) if lease.owner == owner => {
                lease.ends_at = now.plus_ms(ttl_ms);
                Ok(LeaseOutcome::Acquired)
            }
            Some(lease) => Ok(LeaseOutcome::Held { owner: lease.owner.clone() }),
            None => Ok(LeaseOutcome::Held { owner: "nobody".to_owned() }),
        }
    }

    async fn release(&self, key: &StreamKey, owner: &str) -> Result<(), CheckpointError> {
        let mut shared = self.lock();
        if shared.leases.get(key).is_some_and(|lease| lease.owner == owner) {
            shared.leases.remove(key);
        }
        Ok(())
    }
}

#[async_trait]
impl RunStore for MemoryCheckpoint {
    async fn record(&self, run: &RunRecord) -> Result<(), CheckpointError> {
        let mut shared = self.lock();
        shared.runs.retain(|(_, run_id, stream), _| *run_id != run.run_id || *stream != run.stream);
        let place = (run.started_at, run.run_id.clone(), run.stream.clone());
        shared.runs.insert(place, run.clone());
        Ok(())
    }

    async fn runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, CheckpointError> {
        let shared = self.lock();
        let wanted =
            |run: &&RunRecord| connection.is_none_or(|name| run.stream.connection == *name);
        Ok(shared.runs.values().rev().filter(wanted).take(limit).cloned().collect())
    }

    async fn unfinished(&self, key: &StreamKey) -> Result<Vec<RunRecord>, CheckpointError> {
        let shared = self.lock();
        let open = |run: &&RunRecord| run.stream == *key && run.ended_at.is_none();
        Ok(shared.runs.values().filter(open).cloned().collect())
    }
}
