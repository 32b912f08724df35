//! Ports that fail, stall or die at the k-th call, or at the k-th step inside a transaction.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use snowferry_checkpoint::memory::{MemoryCheckpoint, MemoryPushes};
use snowferry_checkpoint::{
    CheckpointError, LeaseOutcome, LeaseStore, PushStore, Revision, StoredPush,
};
use snowferry_database::{BatchStream, DatabaseError, Description, Export};
use snowferry_model::export::{ExportQuery, ExportSnapshot};
use snowferry_model::names::{ConnectionName, TableName};
use snowferry_model::push::{
    PushKey, PushManifest, PushRunRecord, PushState, TargetColumn, TargetDescription,
};
use snowferry_model::state::{LedgerPosition, StreamKey};
use snowferry_model::time::UnixMillis;
use snowferry_snowflake::memory::target::MemoryTarget;
use snowferry_snowflake::{
    Applied, FileToUpload, LedgerMove, PartFiles, SnowflakeError, StagedRows, Target,
};
use snowferry_staging::memory::MemoryStaging;
use snowferry_staging::{ObjectInfo, ObjectKey, PutOutcome, Staging, StagingError, Upload};
use tokio::sync::Notify;

use crate::tests::world::{TestExport, World, push_key};

/// What happens at the chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process dies before the call has an effect.
    KillBefore,
    /// The process dies after the effect, without the answer.
    KillAfter,
    /// The call fails without effect, and nobody can tell.
    ErrorBefore,
    /// The call fails after its effect, and nobody can tell.
    ErrorAfter,
    /// The call stalls before its effect until somebody resumes it.
    StallBefore,
    /// The call stalls after its effect until somebody resumes it.
    StallAfter,
}

/// One fault at one call.
#[derive(Debug)]
pub(super) struct Faults {
    at: u64,
    fault: Fault,
    calls: AtomicU64,
    hit: AtomicBool,
    killed: Notify,
    stalled: Notify,
    resumed: Notify,
}

impl Faults {
    pub(super) fn at(call: u64, fault: Fault) -> Arc<Self> {
        Arc::new(Self {
            at: call,
            fault,
            calls: AtomicU64::new(0),
            hit: AtomicBool::new(false),
            killed: Notify::new(),
            stalled: Notify::new(),
            resumed: Notify::new(),
        })
    }

    /// Whether the chosen call was reached.
    pub(super) fn was_hit(&self) -> bool {
        self.hit.load(Ordering::Relaxed)
    }

    /// Returns when the process is to die.
    pub(super) async fn killed(&self) {
        self.killed.notified().await;
    }

    /// Returns when the chosen call stalls.
    pub(super) async fn stalled(&self) {
        self.stalled.notified().await;
    }

    /// Lets the stalled call go on.
    pub(super) fn resume(&self) {
        self.resumed.notify_one();
    }

    async fn around<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
        error: impl FnOnce() -> E + Send,
    ) -> Result<T, E> {
        if self.calls.fetch_add(1, Ordering::Relaxed) + 1 != self.at {
            return call.await;
        }
        self.hit.store(true, Ordering::Relaxed);
        match self.fault {
            Fault::KillBefore => self.die().await,
            Fault::KillAfter => {
                let _ = call.await;
                self.die().await
            }
            Fault::ErrorBefore => Err(error()),
            Fault::ErrorAfter => {
                let _ = call.await;
                Err(error())
            }
            Fault::StallBefore => {
                self.stall().await;
                call.await
            }
            Fault::StallAfter => {
                let result = call.await;
                self.stall().await;
                result
            }
        }
    }

    async fn die<T>(&self) -> T {
        self.killed.notify_one();
        std::future::pending().await
    }

    async fn stall(&self) {
        self.stalled.notify_one();
        self.resumed.notified().await;
    }
}

/// All ports of a world, with one fault in their calls.
pub(super) struct Faulty {
    export: TestExport,
    target: MemoryTarget,
    staging: MemoryStaging,
    pushes: MemoryPushes,
    leases: MemoryCheckpoint,
    commit_first: bool,
    faults: Arc<Faults>,
}

impl Faulty {
    pub(super) fn new(world: &World, faults: Option<Arc<Faults>>) -> Arc<Self> {
        let faults = faults.unwrap_or_else(|| Faults::at(u64::MAX, Fault::KillBefore));
        let inside = Arc::clone(&faults);
        let target = world.target.with_hook(Arc::new(move |_step| {
            let faults = Arc::clone(&inside);
            Box::pin(async move { faults.around(async { Ok(()) }, target_unknown).await })
        }));
        Arc::new(Self {
            export: world.export.clone(),
            target,
            staging: world.staging.clone(),
            pushes: world.pushes.clone(),
            leases: world.leases.clone(),
            commit_first: world.commit_first,
            faults,
        })
    }

    /// The wrong order: our state moves before the rows do.
    async fn commit_state(&self, manifest: &PushManifest) {
        let Ok(Some(stored)) = PushStore::load(&self.pushes, &push_key()).await else { return };
        let after = PushState { sequence: manifest.sequence, slice: None, ..stored.state.clone() };
        let _ = PushStore::store(&self.pushes, &push_key(), Some(stored.revision), &after).await;
    }
}

fn target_unknown() -> SnowflakeError {
    SnowflakeError::Unknown { step: "test".to_owned(), source: "lost answer".into() }
}

fn staging_unknown() -> StagingError {
    StagingError::Unknown { step: "test", key: String::new(), source: "lost answer".into() }
}

fn checkpoint_unknown() -> CheckpointError {
    CheckpointError::Unknown { step: "test".to_owned(), source: "lost answer".into() }
}

fn database_unknown() -> DatabaseError {
    DatabaseError::Unknown { table: String::new(), source: "lost answer".into() }
}

#[async_trait]
impl Export for Faulty {
    async fn tables(&self) -> Result<Vec<StreamKey>, DatabaseError> {
        self.faults.around(self.export.tables(), database_unknown).await
    }

    async fn describe(&self, query: &ExportQuery) -> Result<Description, DatabaseError> {
        self.faults.around(self.export.describe(query), database_unknown).await
    }

    async fn open(&self, snapshot: &ExportSnapshot) -> Result<BatchStream, DatabaseError> {
        self.faults.around(self.export.open(snapshot), database_unknown).await
    }
}

#[async_trait]
impl Target for Faulty {
    async fn inspect(&self, table: &TableName) -> Result<TargetDescription, SnowflakeError> {
        self.faults.around(self.target.inspect(table), target_unknown).await
    }

    async fn create(
        &self,
        table: &TableName,
        columns: &[TargetColumn],
    ) -> Result<(), SnowflakeError> {
        self.faults.around(self.target.create(table, columns), target_unknown).await
    }

    async fn upload(
        &self,
        file: &FileToUpload,
        parts: &dyn PartFiles,
    ) -> Result<String, SnowflakeError> {
        self.faults.around(self.target.upload(file, parts), target_unknown).await
    }

    async fn ledger(
        &self,
        table: &TableName,
        push: &PushKey,
    ) -> Result<Option<LedgerPosition>, SnowflakeError> {
        self.faults.around(self.target.ledger(table, push), target_unknown).await
    }

    async fn stage(&self, manifest: &PushManifest) -> Result<StagedRows, SnowflakeError> {
        self.faults.around(self.target.stage(manifest), target_unknown).await
    }

    async fn apply(
        &self,
        manifest: &PushManifest,
        staged: &StagedRows,
        ledger: Option<&LedgerMove>,
    ) -> Result<Applied, SnowflakeError> {
        if self.commit_first {
            self.commit_state(manifest).await;
        }
        let call = self.target.apply(manifest, staged, ledger);
        self.faults.around(call, target_unknown).await
    }

    async fn files(&self, prefix: &str) -> Result<BTreeMap<String, String>, SnowflakeError> {
        self.faults.around(self.target.files(prefix), target_unknown).await
    }

    async fn remove(&self, prefix: &str) -> Result<(), SnowflakeError> {
        self.faults.around(self.target.remove(prefix), target_unknown).await
    }

    async fn discard(&self, staged: &StagedRows) -> Result<(), SnowflakeError> {
        self.faults.around(self.target.discard(staged), target_unknown).await
    }
}

#[async_trait]
impl Staging for Faulty {
    async fn begin(&self, key: &ObjectKey) -> Result<Box<dyn Upload>, StagingError> {
        let upload = self.faults.around(self.staging.begin(key), staging_unknown).await?;
        Ok(Box::new(FaultyUpload { upload, faults: Arc::clone(&self.faults) }))
    }

    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        body: Bytes,
    ) -> Result<PutOutcome, StagingError> {
        self.faults.around(self.staging.put_if_absent(key, body), staging_unknown).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StagingError> {
        self.faults.around(self.staging.get(key), staging_unknown).await
    }

    async fn read(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StagingError> {
        self.faults.around(self.staging.read(key, range), staging_unknown).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StagingError> {
        self.faults.around(self.staging.list(prefix), staging_unknown).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StagingError> {
        self.faults.around(self.staging.delete(key), staging_unknown).await
    }

    fn local_path(&self, key: &ObjectKey) -> Option<PathBuf> {
        self.staging.local_path(key)
    }
}

struct FaultyUpload {
    upload: Box<dyn Upload>,
    faults: Arc<Faults>,
}

#[async_trait]
impl Upload for FaultyUpload {
    async fn write(&mut self, body: Bytes) -> Result<(), StagingError> {
        self.faults.around(self.upload.write(body), staging_unknown).await
    }

    async fn finish(self: Box<Self>) -> Result<(), StagingError> {
        self.faults.around(self.upload.finish(), staging_unknown).await
    }
}

#[async_trait]
impl PushStore for Faulty {
    async fn load(&self, key: &PushKey) -> Result<Option<StoredPush>, CheckpointError> {
        self.faults.around(self.pushes.load(key), checkpoint_unknown).await
    }

    async fn store(
        &self,
        key: &PushKey,
        expected: Option<Revision>,
        state: &PushState,
    ) -> Result<Revision, CheckpointError> {
        self.faults.around(self.pushes.store(key, expected, state), checkpoint_unknown).await
    }

    async fn list(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Result<Vec<(PushKey, StoredPush)>, CheckpointError> {
        self.faults.around(self.pushes.list(connection), checkpoint_unknown).await
    }

    async fn record(&self, run: &PushRunRecord) -> Result<(), CheckpointError> {
        self.faults.around(self.pushes.record(run), checkpoint_unknown).await
    }

    async fn runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<PushRunRecord>, CheckpointError> {
        self.faults.around(self.pushes.runs(connection, limit), checkpoint_unknown).await
    }

    async fn unfinished(&self, key: &PushKey) -> Result<Vec<PushRunRecord>, CheckpointError> {
        self.faults.around(self.pushes.unfinished(key), checkpoint_unknown).await
    }
}

#[async_trait]
impl LeaseStore for Faulty {
    async fn acquire(
        &self,
        key: &StreamKey,
        owner: &str,
        now: UnixMillis,
        ttl_ms: u64,
    ) -> Result<LeaseOutcome, CheckpointError> {
        let call = self.leases.acquire(key, owner, now, ttl_ms);
        self.faults.around(call, checkpoint_unknown).await
    }

    async fn renew(
        &self,
        key: &StreamKey,
        owner: &str,
        now: UnixMillis,
        ttl_ms: u64,
    ) -> Result<LeaseOutcome, CheckpointError> {
        let call = self.leases.renew(key, owner, now, ttl_ms);
        self.faults.around(call, checkpoint_unknown).await
    }

    async fn release(&self, key: &StreamKey, owner: &str) -> Result<(), CheckpointError> {
        self.faults.around(self.leases.release(key, owner), checkpoint_unknown).await
    }
}
