//! Designs known to lose or double rows, put in on purpose: each must be caught.
//!
//! A broken design is a port that behaves as the careless version of the protocol would make it
//! behave. Each is looked for with at most [`BUDGET`] random schedules; the good design passes as
//! many of them as the machine has time for (see [`super::schedules`]).

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use snowferry_checkpoint::{CheckpointError, CheckpointStore, Revision, Stored};
use snowferry_database::{
    Database, DatabaseError, LoadFigures, LoadRequest, Loaded, StagedParts, TableSummary,
};
use snowferry_model::manifest::Manifest;
use snowferry_model::names::{ConnectionName, TableName};
use snowferry_model::plan::TablePlan;
use snowferry_model::state::{LedgerPosition, StreamKey, StreamState};
use snowferry_model::types::TableDescription;
use snowferry_model::watermark::{Lookback, LowerEdge, Window};
use snowferry_snowflake::{
    BatchStream, Profile, ProfileRequest, QueryId, ReadRequest, ResultState, SnowflakeError, Source,
};
use snowferry_staging::{ObjectInfo, ObjectKey, PutOutcome, Staging, StagingError, Upload};

use crate::load::Parts;
use crate::ports::Ports;
use crate::tests::schedules::{Play, Shape, search, silence, two_runs};

/// Schedules within which a broken design must show.
const BUDGET: u64 = 20_000;

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Design {
    /// The watermark moves before the rows are loaded.
    CommitBeforeLoad,
    /// The database has no ledger: a manifest is applied whenever it is given.
    NoLedger,
    /// The state is written whatever its revision is.
    UnconditionalState,
    /// A manifest or a record may be overwritten.
    OverwrittenManifest,
    /// Attempts and statements share the keys of their data.
    SharedKeys,
    /// A failed read of the state counts as no state.
    UnknownStateIsAbsent,
    /// The bound is ahead of what the server has seen, as a skewed clock would put it.
    BoundFromSkewedClock,
    /// The bound moves up to a coarser unit.
    BoundRoundedUp,
    /// Rows that changed after the bound was fixed are left out.
    BoundedRead,
    /// `cursor > max(seen)` although ties at the bound may come later.
    OpenEdgeWithTies,
    /// `cursor >= max(seen)` without a key that removes what was read before.
    ClosedEdgeAppend,
    /// Rows that commit late are not looked for.
    NoLookback,
    /// Each part executes the statement again instead of reading the one result.
    StatementForEachPart,
    /// A lost result is followed by another statement whose parts mix with the old ones.
    MixedStatements,
    /// A reset uses the numbers of the old generation again.
    ReusedGeneration,
    /// A failed load is taken for one that had no effect, and its rows are loaded as new ones.
    RetryUnderNewNumber,
}

impl Design {
    fn wrap(self, ports: Ports) -> Ports {
        let pending = Arc::default();
        let database_itself = Arc::clone(&ports.database);
        let staging: Arc<dyn Staging> =
            Arc::new(BrokenStaging { inner: ports.staging, design: self });
        let database: Arc<dyn Database> = Arc::new(BrokenDatabase {
            inner: ports.database,
            design: self,
            pending: Arc::clone(&pending),
        });
        let checkpoint = Arc::new(BrokenCheckpoint {
            inner: ports.checkpoint,
            design: self,
            pending,
            database: database_itself,
            staging: Arc::clone(&staging),
        });
        let source =
            Arc::new(BrokenSource { inner: ports.source, design: self, again: Mutex::default() });
        Ports { source, staging, checkpoint, database, ..ports }
    }
}

/// Loads that were only promised.
type Pending = Arc<Mutex<Vec<(StreamKey, TablePlan, Manifest)>>>;

struct BrokenDatabase {
    inner: Arc<dyn Database>,
    design: Design,
    pending: Pending,
}

impl BrokenDatabase {
    /// Gives the manifest the number that the ledger waits for, so that it is always applied.
    async fn renumber(&self, request: LoadRequest<'_>) -> Result<Manifest, DatabaseError> {
        let mut manifest = request.manifest.clone();
        if let Some(at) = self.inner.ledger(request.stream).await?
            && at.generation == manifest.generation
        {
            manifest.sequence = at.sequence + 1;
        }
        Ok(manifest)
    }
}

#[async_trait]
impl Database for BrokenDatabase {
    async fn ledger(&self, stream: &StreamKey) -> Result<Option<LedgerPosition>, DatabaseError> {
        self.inner.ledger(stream).await
    }

    async fn load(
        &self,
        request: LoadRequest<'_>,
        parts: &dyn StagedParts,
    ) -> Result<Loaded, DatabaseError> {
        match self.design {
            Design::CommitBeforeLoad => {
                let promised =
                    (request.stream.clone(), request.plan.clone(), request.manifest.clone());
                self.pending.lock().unwrap().push(promised);
                Ok(Loaded::Now(LoadFigures::default()))
            }
            Design::NoLedger => {
                let manifest = self.renumber(request).await?;
                self.inner.load(LoadRequest { manifest: &manifest, ..request }, parts).await
            }
            Design::RetryUnderNewNumber => match self.inner.load(request, parts).await {
                Err(DatabaseError::Unknown { .. }) => {
                    let manifest = self.renumber(request).await?;
                    self.inner.load(LoadRequest { manifest: &manifest, ..request }, parts).await
                }
                other => other,
            },
            _ => self.inner.load(request, parts).await,
        }
    }

    async fn summary(&self, stream: &StreamKey) -> Result<Option<TableSummary>, DatabaseError> {
        self.inner.summary(stream).await
    }

    async fn scan(
        &self,
        stream: &StreamKey,
    ) -> Result<snowferry_database::BatchStream, DatabaseError> {
        self.inner.scan(stream).await
    }
}

struct BrokenCheckpoint {
    inner: Arc<dyn CheckpointStore>,
    design: Design,
    pending: Pending,
    database: Arc<dyn Database>,
    staging: Arc<dyn Staging>,
}

impl BrokenCheckpoint {
    /// Makes promised loads come true.
    async fn settle(&self) {
        let promised = std::mem::take(&mut *self.pending.lock().unwrap());
        for (stream, plan, manifest) in promised {
            let request = LoadRequest { stream: &stream, plan: &plan, manifest: &manifest };
            let parts = Parts(Arc::clone(&self.staging));
            let _ = self.database.load(request, &parts).await;
        }
    }
}

#[async_trait]
impl CheckpointStore for BrokenCheckpoint {
    async fn load(&self, key: &StreamKey) -> Result<Option<Stored>, CheckpointError> {
        match self.inner.load(key).await {
            Err(_) if self.design == Design::UnknownStateIsAbsent => Ok(None),
            other => other,
        }
    }

    async fn store(
        &self,
        key: &StreamKey,
        expected: Option<Revision>,
        state: &StreamState,
    ) -> Result<Revision, CheckpointError> {
        let mut state = state.clone();
        let mut expected = expected;
        let now = self.inner.load(key).await?;
        match self.design {
            Design::UnconditionalState | Design::UnknownStateIsAbsent => {
                expected = now.map(|now| now.revision);
            }
            Design::ReusedGeneration => state.generation = 1,
            _ => {}
        }
        let revision = self.inner.store(key, expected, &state).await?;
        self.settle().await;
        Ok(revision)
    }

    async fn list(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Result<Vec<(StreamKey, Stored)>, CheckpointError> {
        self.inner.list(connection).await
    }
}

struct BrokenStaging {
    inner: Arc<dyn Staging>,
    design: Design,
}

impl BrokenStaging {
    /// The key without what makes it unique.
    fn key(&self, key: &ObjectKey) -> ObjectKey {
        let segments: Vec<_> = key.0.split('/').collect();
        match (self.design, segments.as_slice()) {
            (Design::SharedKeys, [stream @ .., _query, file]) if file.ends_with(".parquet") => {
                let part = file.split('.').next().unwrap_or_default();
                ObjectKey(format!("{}/{part}.x.parquet", stream.join("/")))
            }
            (Design::MixedStatements, [stream @ .., _query, file]) if file.starts_with("part-") => {
                ObjectKey(format!("{}/q/{file}", stream.join("/")))
            }
            _ => key.clone(),
        }
    }
}

#[async_trait]
impl Staging for BrokenStaging {
    async fn begin(&self, key: &ObjectKey) -> Result<Box<dyn Upload>, StagingError> {
        let key = self.key(key);
        if self.design == Design::SharedKeys {
            self.inner.delete(&key).await?;
        }
        self.inner.begin(&key).await
    }

    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        body: Bytes,
    ) -> Result<PutOutcome, StagingError> {
        let key = self.key(key);
        if self.design == Design::OverwrittenManifest {
            self.inner.delete(&key).await?;
        }
        self.inner.put_if_absent(&key, body).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StagingError> {
        self.inner.get(&self.key(key)).await
    }

    async fn read(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StagingError> {
        self.inner.read(&self.key(key), range).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StagingError> {
        if self.design != Design::MixedStatements {
            return self.inner.list(prefix).await;
        }
        let probe = self.key(&ObjectKey(format!("{prefix}part-")));
        let mixed = probe.0.trim_end_matches("part-").to_owned();
        let mut objects = self.inner.list(&mixed).await?;
        for object in &mut objects {
            object.key = ObjectKey(object.key.0.replacen(&mixed, prefix, 1));
        }
        Ok(objects)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StagingError> {
        self.inner.delete(&self.key(key)).await
    }

    fn local_path(&self, key: &ObjectKey) -> Option<PathBuf> {
        self.inner.local_path(&self.key(key))
    }
}

struct BrokenSource {
    inner: Arc<dyn Source>,
    design: Design,
    /// How to execute a statement again.
    again: Mutex<BTreeMap<QueryId, ReadRequest>>,
}

impl BrokenSource {
    fn window(&self, window: &mut Window) {
        let plain = window.clone();
        match (self.design, &mut *window) {
            (Design::BoundedRead, _) => match plain {
                Window::Unbounded { to } => *window = Window::UpTo { to },
                Window::Since { from, lookback, to } => {
                    *window = Window::Between { from, edge: LowerEdge::Closed, lookback, to };
                }
                _ => {}
            },
            (Design::OpenEdgeWithTies, Window::Since { from, lookback, to }) => {
                *window = Window::Between {
                    from: from.clone(),
                    edge: LowerEdge::Open,
                    lookback: *lookback,
                    to: to.clone(),
                };
            }
            (Design::NoLookback, Window::Since { lookback, .. }) => *lookback = Lookback::None,
            (Design::ClosedEdgeAppend, Window::Between { edge, .. }) => *edge = LowerEdge::Closed,
            _ => {}
        }
    }
}

#[async_trait]
impl Source for BrokenSource {
    async fn describe(&self, table: &TableName) -> Result<TableDescription, SnowflakeError> {
        self.inner.describe(table).await
    }

    async fn profile(&self, request: &ProfileRequest) -> Result<Profile, SnowflakeError> {
        let mut profile = self.inner.profile(request).await?;
        let shift = |max: i128| match self.design {
            Design::BoundFromSkewedClock => max + 1,
            Design::BoundRoundedUp => (max + 3) / 4 * 4,
            _ => max,
        };
        profile.cursor_max = profile.cursor_max.map(|max| {
            let number: i128 = max.parse().unwrap();
            shift(number).to_string()
        });
        Ok(profile)
    }

    async fn submit(&self, request: &ReadRequest) -> Result<QueryId, SnowflakeError> {
        let mut request = request.clone();
        self.window(&mut request.window);
        let query = self.inner.submit(&request).await?;
        self.again.lock().unwrap().insert(query.clone(), request);
        Ok(query)
    }

    async fn open(&self, query: &QueryId) -> Result<ResultState, SnowflakeError> {
        self.inner.open(query).await
    }

    async fn read(
        &self,
        query: &QueryId,
        range: Range<usize>,
        plan: &TablePlan,
    ) -> Result<BatchStream, SnowflakeError> {
        let again = self.again.lock().unwrap().get(query).cloned();
        if let (Design::StatementForEachPart, Some(request)) = (self.design, again) {
            let fresh = self.inner.submit(&request).await?;
            while self.inner.open(&fresh).await? == ResultState::Running {}
            return self.inner.read(&fresh, range, plan).await;
        }
        self.inner.read(query, range, plan).await
    }

    async fn cancel(&self, query: &QueryId) -> Result<(), SnowflakeError> {
        self.inner.cancel(query).await
    }
}

/// Panics when no schedule shows what is wrong with the design.
fn is_caught(design: Design, shapes: &[Shape]) {
    let found = search(1, BUDGET, shapes, Play::Rough, &|ports| design.wrap(ports));
    assert!(found.is_some(), "{design:?} passed {BUDGET} schedules");
    println!("{design:?} is caught by seed {}", found.unwrap_or_default());
}

#[test]
fn moving_the_watermark_before_the_load_is_caught() {
    is_caught(Design::CommitBeforeLoad, &[Shape::Append, Shape::Upsert]);
}

#[test]
fn a_database_without_a_ledger_is_caught() {
    is_caught(Design::NoLedger, &[Shape::Append]);
}

#[test]
fn a_state_written_whatever_its_revision_is_caught() {
    is_caught(Design::UnconditionalState, &[Shape::Append, Shape::Upsert]);
}

#[test]
fn a_manifest_that_may_be_overwritten_is_caught() {
    // It shows at few pairs of calls only, so all pairs are tried.
    silence();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = (1..60).flat_map(|stall| (1..60).map(move |kill| (stall, kill))).find(|pair| {
        let wrap = |ports| Design::OverwrittenManifest.wrap(ports);
        let played = AssertUnwindSafe(|| runtime.block_on(two_runs(pair.0, pair.1, &wrap)));
        catch_unwind(played).is_err()
    });
    assert!(found.is_some(), "no pair of calls shows it");
}

#[test]
fn keys_shared_between_attempts_is_caught() {
    is_caught(Design::SharedKeys, &[Shape::Append, Shape::Full]);
}

#[test]
fn a_failed_read_of_the_state_taken_for_no_state_is_caught() {
    is_caught(Design::UnknownStateIsAbsent, &[Shape::Append]);
}

#[test]
fn a_bound_from_a_skewed_clock_is_caught() {
    is_caught(Design::BoundFromSkewedClock, &[Shape::Append, Shape::Upsert]);
}

#[test]
fn a_bound_rounded_up_is_caught() {
    is_caught(Design::BoundRoundedUp, &[Shape::Append, Shape::Upsert]);
}

#[test]
fn leaving_out_rows_that_changed_after_the_bound_is_caught() {
    is_caught(Design::BoundedRead, &[Shape::Upsert]);
}

#[test]
fn an_open_edge_where_ties_come_later_is_caught() {
    is_caught(Design::OpenEdgeWithTies, &[Shape::Upsert]);
}

#[test]
fn a_closed_edge_without_a_key_is_caught() {
    is_caught(Design::ClosedEdgeAppend, &[Shape::Append]);
}

#[test]
fn late_rows_without_a_lookback_is_caught() {
    is_caught(Design::NoLookback, &[Shape::Late]);
}

#[test]
fn executing_the_statement_again_for_each_part_is_caught() {
    is_caught(Design::StatementForEachPart, &[Shape::Full, Shape::Upsert]);
}

#[test]
fn parts_of_two_statements_in_one_folder_is_caught() {
    is_caught(Design::MixedStatements, &[Shape::Full, Shape::Upsert]);
}

#[test]
fn a_reset_that_uses_the_old_numbers_is_caught() {
    is_caught(Design::ReusedGeneration, &[Shape::Append, Shape::Full]);
}

#[test]
fn a_load_repeated_under_a_new_number_is_caught() {
    is_caught(Design::RetryUnderNewNumber, &[Shape::Append]);
}
