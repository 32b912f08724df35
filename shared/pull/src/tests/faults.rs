//! Ports that fail, stall or die at the k-th call.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use snowferry_checkpoint::memory::MemoryCheckpoint;
use snowferry_checkpoint::{
    CheckpointError, CheckpointStore, LeaseOutcome, LeaseStore, Revision, RunStore, Stored,
};
use snowferry_database::memory::MemoryDatabase;
use snowferry_database::{Database, DatabaseError, LoadRequest, Loaded, StagedParts, TableSummary};
use snowferry_model::names::{ConnectionName, TableName};
use snowferry_model::plan::TablePlan;
use snowferry_model::run::RunRecord;
use snowferry_model::state::{LedgerPosition, StreamKey, StreamState};
use snowferry_model::time::UnixMillis;
use snowferry_model::types::TableDescription;
use snowferry_snowflake::memory::MemorySource;
use snowferry_snowflake::{
    BatchStream, Profile, ProfileRequest, QueryId, ReadRequest, ResultState, SnowflakeError, Source,
};
use snowferry_staging::memory::MemoryStaging;
use snowferry_staging::{ObjectInfo, ObjectKey, PutOutcome, Staging, StagingError, Upload};
use tokio::sync::Notify;

use crate::tests::world::World;

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

/// Faults by the number of the call they strike.
#[derive(Debug)]
pub(super) struct Faults {
    plan: BTreeMap<u64, Fault>,
    calls: AtomicU64,
    hit: AtomicBool,
    killed: Notify,
    stalled: Notify,
    resumed: Notify,
}

impl Faults {
    pub(super) fn at(call: u64, fault: Fault) -> Arc<Self> {
        Self::plan([(call, fault)])
    }

    pub(super) fn plan(plan: impl IntoIterator<Item = (u64, Fault)>) -> Arc<Self> {
        Arc::new(Self {
            plan: plan.into_iter().collect(),
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

    /// Lets the stalled calls go on: two parts that are staged at once may both stall.
    pub(super) fn resume(&self) {
        self.resumed.notify_waiters();
    }

    async fn around<T: Send, E: Send>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
        error: impl FnOnce() -> E + Send,
    ) -> Result<T, E> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(fault) = self.plan.get(&number) else { return call.await };
        self.hit.store(true, Ordering::Relaxed);
        match fault {
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
    source: MemorySource,
    staging: MemoryStaging,
    checkpoint: MemoryCheckpoint,
    database: MemoryDatabase,
    faults: Arc<Faults>,
}

impl Faulty {
    pub(super) fn new(world: &World, faults: Option<Arc<Faults>>) -> Arc<Self> {
        Arc::new(Self {
            source: world.source.clone(),
            staging: world.staging.clone(),
            checkpoint: world.checkpoint.clone(),
            database: world.database.clone(),
            faults: faults.unwrap_or_else(|| Faults::plan([])),
        })
    }
}

fn away() -> SnowflakeError {
    SnowflakeError::Status { step: "a test".to_owned(), status: 503 }
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
impl Source for Faulty {
    async fn describe(&self, table: &TableName) -> Result<TableDescription, SnowflakeError> {
        self.faults.around(self.source.describe(table), away).await
    }

    async fn profile(&self, request: &ProfileRequest) -> Result<Profile, SnowflakeError> {
        self.faults.around(self.source.profile(request), away).await
    }

    async fn submit(&self, request: &ReadRequest) -> Result<QueryId, SnowflakeError> {
        self.faults.around(self.source.submit(request), away).await
    }

    async fn open(&self, query: &QueryId) -> Result<ResultState, SnowflakeError> {
        self.faults.around(self.source.open(query), away).await
    }

    async fn read(
        &self,
        query: &QueryId,
        range: Range<usize>,
        plan: &TablePlan,
    ) -> Result<BatchStream, SnowflakeError> {
        self.faults.around(self.source.read(query, range, plan), away).await
    }

    async fn cancel(&self, query: &QueryId) -> Result<(), SnowflakeError> {
        self.faults.around(self.source.cancel(query), away).await
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
impl CheckpointStore for Faulty {
    async fn load(&self, key: &StreamKey) -> Result<Option<Stored>, CheckpointError> {
        self.faults.around(self.checkpoint.load(key), checkpoint_unknown).await
    }

    async fn store(
        &self,
        key: &StreamKey,
        expected: Option<Revision>,
        state: &StreamState,
    ) -> Result<Revision, CheckpointError> {
        self.faults.around(self.checkpoint.store(key, expected, state), checkpoint_unknown).await
    }

    async fn list(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Result<Vec<(StreamKey, Stored)>, CheckpointError> {
        self.faults
            .around(CheckpointStore::list(&self.checkpoint, connection), checkpoint_unknown)
            .await
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
        let call = self.checkpoint.acquire(key, owner, now, ttl_ms);
        self.faults.around(call, checkpoint_unknown).await
    }

    async fn renew(
        &self,
        key: &StreamKey,
        owner: &str,
        now: UnixMillis,
        ttl_ms: u64,
    ) -> Result<LeaseOutcome, CheckpointError> {
        let call = self.checkpoint.renew(key, owner, now, ttl_ms);
        self.faults.around(call, checkpoint_unknown).await
    }

    async fn release(&self, key: &StreamKey, owner: &str) -> Result<(), CheckpointError> {
        self.faults.around(self.checkpoint.release(key, owner), checkpoint_unknown).await
    }
}

#[async_trait]
impl RunStore for Faulty {
    async fn record(&self, run: &RunRecord) -> Result<(), CheckpointError> {
        self.faults.around(self.checkpoint.record(run), checkpoint_unknown).await
    }

    async fn runs(
        &self,
        connection: Option<&ConnectionName>,
        limit: usize,
    ) -> Result<Vec<RunRecord>, CheckpointError> {
        self.faults.around(self.checkpoint.runs(connection, limit), checkpoint_unknown).await
    }

    async fn unfinished(&self, key: &StreamKey) -> Result<Vec<RunRecord>, CheckpointError> {
        self.faults.around(self.checkpoint.unfinished(key), checkpoint_unknown).await
    }
}

#[async_trait]
impl Database for Faulty {
    async fn ledger(&self, stream: &StreamKey) -> Result<Option<LedgerPosition>, DatabaseError> {
        self.faults.around(self.database.ledger(stream), database_unknown).await
    }

    async fn load(
        &self,
        request: LoadRequest<'_>,
        parts: &dyn StagedParts,
    ) -> Result<Loaded, DatabaseError> {
        self.faults.around(self.database.load(request, parts), database_unknown).await
    }

    async fn summary(&self, stream: &StreamKey) -> Result<Option<TableSummary>, DatabaseError> {
        self.faults.around(self.database.summary(stream), database_unknown).await
    }

    async fn scan(
        &self,
        stream: &StreamKey,
    ) -> Result<snowferry_database::BatchStream, DatabaseError> {
        self.faults.around(self.database.scan(stream), database_unknown).await
    }
}
