//! State and run records of pushes in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use snowferry_model::names::ConnectionName;
use snowferry_model::push::{PushKey, PushRunRecord, PushState};
use snowferry_model::time::UnixMillis;

use crate::{CheckpointError, PushStore, Revision, StoredPush};

/// State and run records of pushes in memory. Clones share what they hold.
#[derive(Clone, Debug, Default)]
pub struct MemoryPushes {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    states: BTreeMap<PushKey, StoredPush>,
    /// By start, run id and push, so that the last is the newest.
    runs: BTreeMap<(UnixMillis, String, PushKey), PushRunRecord>,
}

impl MemoryPushes {
    /// Returns all run records, oldest first.
    #[must_use]
    pub fn all_runs(&self) -> Vec<PushRunRecord> {
        self.lock().runs.values().cloned().collect()
    }

    /// Forgets a state, as a lost or restored store does.
    pub fn lose(&self, key: &PushKey) {
        self.lock().states.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic elsewhere leaves the maps whole: every change below is one step.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PushStore for MemoryPushes {
    async fn load(&self, key: &PushKey) -> Result<Option<StoredPush>, CheckpointError> {
        Ok(self.lock().states.get(key).cloned())
    }

    async fn store(
        &self,
        key: &PushKey,
        expected: Option<Revision>,
        state: &PushState,
    ) -> Result<Revision, CheckpointError> {
        let mut shared = self.lock();
        let found = shared.states.get(key).map(|stored| stored.revision);
        if found != expected {
            return Err(CheckpointError::Moved { key: key.to_string() });
        }
        let revision = Revision(found.map_or(1, |revision| revision.0.saturating_add(1)));
        shared.states.insert(key.clone(), StoredPush { revision, state: state.clone() });
        Ok(revision)
    }

    async fn list(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Result<Vec<(PushKey, StoredPush)>, CheckpointError> {
        let shared = self.lock();
        let wanted = |key: &PushKey| connection.is_none_or(|name| key.connection == *name);
        let states = shared.states.iter().filter(|(key, _)| wanted(key));
        Ok(states.map(|(key, stored)| (key.clone(), stored.clone())).collect())
    }

    async fn record(&self, run: &PushRunRecord) -> Result<(), CheckpointError> {
        let mut shared = self.lock();
        shared.runs.retain(|(_, run_id, push), _| *run_id != run.run_id || *push != run.push);
        let place = (run.started_at, run.run_id.clone(), run.push.clone());
        shared.runs.insert(place, run.clone());
        Ok(())
    }

    async fn runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<PushRunRecord>, CheckpointError> {
        let shared = self.lock();
        let wanted =
            |run: &&PushRunRecord| connection.is_none_or(|name| run.push.connection == *name);
        Ok(shared.runs.values().rev().filter(wanted).take(limit).cloned().collect())
    }

    async fn unfinished(&self, key: &PushKey) -> Result<Vec<PushRunRecord>, CheckpointError> {
        let shared = self.lock();
        let open = |run: &&PushRunRecord| run.push == *key && run.ended_at.is_none();
        Ok(shared.runs.values().filter(open).cloned().collect())
    }
}
