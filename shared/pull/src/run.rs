//! One run over one table: lease, record, and the steps until nothing is left to do.

use std::hash::{Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use snowferry_checkpoint::{CheckpointError, LeaseOutcome, Stored};
use snowferry_database::DatabaseError;
use snowferry_model::drift::SchemaChange;
use snowferry_model::fault::{Fault, chain};
use snowferry_model::names::Identifier;
use snowferry_model::run::{Figures, Outcome, RUN_VERSION, RunRecord};
use snowferry_model::slice::Slice;
use snowferry_model::state::{StreamKey, StreamState};
use snowferry_snowflake::{QueryId, SnowflakeError};
use snowferry_staging::stored::{self, StoredForm};
use snowferry_staging::{ObjectKey, StagingError, keys};

use crate::commit::{Committed, commit, commit_empty, commit_up_to_date, drop_slice};
use crate::drift::{Learnt, Remedy, begin_anew, remedy};
use crate::error::PullError;
use crate::job::{RunContext, TableJob};
use crate::load::load;
use crate::pin::{Pinned, pin, read_plan};
use crate::ports::{Event, Ports};
use crate::stage::{Staged, stage};

/// How often a run looks again after other runs changed the state under it.
const MAX_ROUNDS: u32 = 32;

/// How many results may vanish under one run before it gives up until the next.
const MAX_RESULTS_GONE: u32 = 3;

/// Brings one table to the state of its source and returns what happened.
///
/// Never fails as such: a failure is [`Outcome::Failed`] in the record, with its code, blame and
/// repair. Dropping the future at any point is safe; the next run goes on from there.
pub async fn pull_table(ports: &Ports, run: &RunContext, job: &TableJob) -> RunRecord {
    let work = Work::new(ports, run, job);
    let mut record = RunRecord {
        version: RUN_VERSION,
        run_id: run.run_id.clone(),
        stream: work.stream.clone(),
        mode: job.mode.as_str().to_owned(),
        trigger: run.trigger.clone(),
        started_at: ports.clock.now(),
        ended_at: None,
        outcome: Outcome::Running,
        figures: Figures::default(),
    };
    record.outcome = match with_lease(&work, &record).await {
        Ok(outcome) => outcome,
        Err(error) => failed(&error),
    };
    record.ended_at = Some(ports.clock.now());
    record.figures = work.take_figures();
    if let Err(error) = ports.runs.record(&record).await {
        tracing::warn!(code = error.code(), run_id = %record.run_id, "write a run's record");
    }
    record
}

fn failed(error: &PullError) -> Outcome {
    Outcome::Failed {
        code: error.code().to_owned(),
        message: chain(error),
        blame: error.blame(),
        retry: error.retry(),
        hint: error.hint(),
    }
}

async fn with_lease(work: &Work<'_>, record: &RunRecord) -> Result<Outcome, PullError> {
    let leases = &work.ports.leases;
    let (now, ttl_ms) = (work.ports.clock.now(), work.run.limits.lease_ms);
    let lease = leases
        .acquire(&work.stream, &work.run.owner, now, ttl_ms)
        .await
        .map_err(|source| work.checkpoint(source))?;
    if let LeaseOutcome::Held { owner } = lease {
        return Ok(Outcome::Busy { owner });
    }
    let result = recorded(work, record).await;
    if let Err(error) = leases.release(&work.stream, &work.run.owner).await {
        tracing::warn!(code = error.code(), "release a lease");
    }
    result
}

/// Closes the records of runs that were killed, opens ours, and works.
async fn recorded(work: &Work<'_>, record: &RunRecord) -> Result<Outcome, PullError> {
    let runs = &work.ports.runs;
    let crashed = runs.unfinished(&work.stream).await.map_err(|source| work.checkpoint(source))?;
    for mut other in crashed {
        other.outcome = Outcome::Crashed;
        other.ended_at = Some(work.ports.clock.now());
        runs.record(&other).await.map_err(|source| work.checkpoint(source))?;
    }
    runs.record(record).await.map_err(|source| work.checkpoint(source))?;
    synchronise(work).await
}

/// Finishes what is begun, then pins and finishes one slice of this run's own.
async fn synchronise(work: &Work<'_>) -> Result<Outcome, PullError> {
    let mut loaded = false;
    let mut results_gone = 0;
    for _ in 0..MAX_ROUNDS {
        let Some(stored) = load_or_create(work).await? else { continue };
        match step(work, &stored).await? {
            Step::Loaded { ours: true } => return Ok(Outcome::Loaded),
            Step::Loaded { ours: false } => loaded = true,
            Step::Empty { ours: true } | Step::NothingNew => {
                return Ok(if loaded { Outcome::Loaded } else { Outcome::NothingNew });
            }
            Step::Deadline => return Ok(Outcome::Continued),
            Step::Gone(error) => {
                results_gone += 1;
                if results_gone >= MAX_RESULTS_GONE {
                    return Err(work.source(error));
                }
            }
            Step::Empty { ours: false } | Step::Again => {}
        }
    }
    Err(PullError::Contended { table: work.job.table.clone() })
}

/// What one look at the state led to. A slice is ours when this run pinned it, be it before a
/// deadline after which it goes on.
enum Step {
    /// A manifest is loaded and committed.
    Loaded { ours: bool },
    /// A window held no row, and the watermark has moved past it.
    Empty { ours: bool },
    /// There is nothing to read.
    NothingNew,
    /// The deadline came.
    Deadline,
    /// The result was lost; another slice will be pinned.
    Gone(SnowflakeError),
    /// Another run changed the state.
    Again,
}

async fn step(work: &Work<'_>, stored: &Stored) -> Result<Step, PullError> {
    let state = &stored.state;
    let next = keys::manifest(&work.stream, state.generation, state.sequence + 1);
    if let Some(manifest) = work.read_once(&next).await? {
        return finish(work, stored, &manifest).await;
    }
    if work.past_deadline() {
        return Ok(Step::Deadline);
    }
    let Some(slice) = &state.slice else {
        let started = work.ports.clock.now();
        let pinned = pin(work, stored).await;
        work.figures(|sum| sum.pin_ms += work.ports.clock.now().since_ms(started));
        return Ok(match pinned? {
            Pinned::Slice(slice) => {
                work.event(Event::Pinned { query_id: slice.query_id, resumed: false });
                Step::Again
            }
            Pinned::NothingNew => Step::NothingNew,
            Pinned::UpToDate => match commit_up_to_date(work, stored, started).await? {
                Committed::Yes => Step::NothingNew,
                Committed::Moved => Step::Again,
            },
            Pinned::Anew(changed) => {
                if !work.may_begin_anew() {
                    return Err(PullError::Contended { table: work.job.table.clone() });
                }
                work.note_changes(&changed);
                begin_anew(work, stored).await?;
                Step::Again
            }
            Pinned::Moved => Step::Again,
        });
    };
    let ours = slice.run_id == work.run.run_id;
    if !ours {
        work.event(Event::Pinned { query_id: slice.query_id.clone(), resumed: true });
    }
    let started = work.ports.clock.now();
    let staged = stage(work, state, slice).await;
    work.figures(|sum| sum.stage_ms += work.ports.clock.now().since_ms(started));
    match staged {
        Ok(Staged::Manifest(manifest)) => finish(work, stored, &manifest).await,
        Ok(Staged::Empty) => Ok(match commit_empty(work, stored, slice).await? {
            Committed::Yes => Step::Empty { ours },
            Committed::Moved => Step::Again,
        }),
        Ok(Staged::Deadline) => Ok(Step::Deadline),
        Ok(Staged::Gone) => {
            drop_slice(work, stored).await?;
            Ok(Step::Gone(SnowflakeError::ResultGone { query_id: slice.query_id.clone() }))
        }
        Err(error) => not_staged(work, stored, slice, error).await,
    }
}

/// Decides what to do about a result that could not be staged.
async fn not_staged(
    work: &Work<'_>,
    stored: &Stored,
    slice: &Slice,
    error: PullError,
) -> Result<Step, PullError> {
    if let PullError::Source { source: inexact @ SnowflakeError::Inexact { .. }, .. } = &error {
        let plan = read_plan(work, stored.state.generation, &slice.plan).await?;
        match remedy(work, &stored.state, &plan, inexact) {
            Some(Remedy::Companion) => {
                drop_slice(work, stored).await?;
                return Ok(Step::Again);
            }
            Some(Remedy::Anew) => {
                begin_anew(work, stored).await?;
                return Ok(Step::Again);
            }
            None => {}
        }
    }
    if spoils_slice(&error) {
        drop_slice(work, stored).await?;
    }
    Err(error)
}

/// Loads a manifest and moves the state past it.
async fn finish(
    work: &Work<'_>,
    stored: &Stored,
    manifest: &snowferry_model::manifest::Manifest,
) -> Result<Step, PullError> {
    // A load is not cut into parts: it begins with the time of a whole run before it.
    if work.past_deadline() {
        return Ok(Step::Deadline);
    }
    let started = work.ports.clock.now();
    let result = load(work, manifest).await;
    work.figures(|sum| sum.load_ms += work.ports.clock.now().since_ms(started));
    result?;
    let ours = stored.state.slice.as_ref().is_some_and(|slice| {
        slice.query_id == manifest.query_id && slice.run_id == work.run.run_id
    });
    Ok(match commit(work, stored, manifest).await? {
        Committed::Yes => Step::Loaded { ours },
        Committed::Moved => Step::Again,
    })
}

/// Returns whether the same result would fail in every run to come, so that a repair at the
/// source needs another statement.
fn spoils_slice(error: &PullError) -> bool {
    matches!(
        error,
        PullError::Source {
            source: SnowflakeError::Statement { .. }
                | SnowflakeError::NotFound { .. }
                | SnowflakeError::MissingColumn { .. }
                | SnowflakeError::NoWarehouse { .. }
                | SnowflakeError::Inexact { .. },
            ..
        }
    )
}

/// Loads the state, or stores the first one. `None`: another run was faster; look again.
async fn load_or_create(work: &Work<'_>) -> Result<Option<Stored>, PullError> {
    if let Some(stored) = work.load_state().await? {
        return Ok(Some(stored));
    }
    let state = StreamState::fresh(1);
    match work.ports.checkpoint.store(&work.stream, None, &state).await {
        Ok(revision) => Ok(Some(Stored { revision, state })),
        Err(CheckpointError::Moved { .. } | CheckpointError::Unknown { .. }) => Ok(None),
        Err(error) => Err(work.checkpoint(error)),
    }
}

/// One run over one table, with what it counts.
pub(crate) struct Work<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) run: &'a RunContext,
    pub(crate) job: &'a TableJob,
    pub(crate) stream: StreamKey,
    figures: Mutex<Figures>,
    learnt: Mutex<Learnt>,
    attempt: String,
    attempts: AtomicU32,
    renewed_at_ms: AtomicI64,
}

impl<'a> Work<'a> {
    pub(crate) fn new(ports: &'a Ports, run: &'a RunContext, job: &'a TableJob) -> Self {
        let stream = StreamKey { connection: run.connection.clone(), table: job.table.clone() };
        let renewed_at_ms = AtomicI64::new(ports.clock.now().0);
        let figures = Mutex::new(Figures::default());
        let mut hash = std::hash::DefaultHasher::new();
        (&run.owner, &run.run_id).hash(&mut hash);
        let attempt = format!("{:016x}", hash.finish());
        let attempts = AtomicU32::new(0);
        let learnt = Mutex::default();
        Self { ports, run, job, stream, figures, learnt, attempt, attempts, renewed_at_ms }
    }

    fn learnt<R>(&self, look: impl FnOnce(&mut Learnt) -> R) -> R {
        look(&mut self.learnt.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Returns the timestamps that this run found to need a companion.
    pub(crate) fn finer_columns(&self) -> Vec<Identifier> {
        self.learnt(|learnt| learnt.finer.iter().cloned().collect())
    }

    /// Notes that a timestamp needs a companion; `false` if that was known.
    pub(crate) fn need_companion(&self, column: Identifier) -> bool {
        self.learnt(|learnt| learnt.finer.insert(column))
    }

    /// Returns whether a new generation may begin: once in a run, so that a source that changes
    /// all the time cannot keep it busy for ever.
    pub(crate) fn may_begin_anew(&self) -> bool {
        self.learnt(|learnt| !std::mem::replace(&mut learnt.began_anew, true))
    }

    /// Tells changes of the source table in the run's record, each once.
    pub(crate) fn note_changes(&self, changes: &[SchemaChange]) {
        self.figures(|figures| {
            for change in changes {
                if !figures.schema_changes.contains(change) {
                    figures.schema_changes.push(change.clone());
                }
            }
        });
    }

    /// As [`Self::new`], for a worker without the lease: it is never renewed.
    pub(crate) fn helping(ports: &'a Ports, run: &'a RunContext, job: &'a TableJob) -> Self {
        Self { renewed_at_ms: AtomicI64::new(i64::MAX), ..Self::new(ports, run, job) }
    }

    /// Changes the figures.
    pub(crate) fn figures(&self, change: impl FnOnce(&mut Figures)) {
        change(&mut self.figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    pub(crate) fn take_figures(&self) -> Figures {
        self.figures.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(crate) fn count_statement(&self) {
        self.figures(|figures| figures.statements += 1);
    }

    pub(crate) fn note_query(&self, query: &QueryId) {
        self.figures(|figures| {
            if !figures.query_ids.contains(&query.0) {
                figures.query_ids.push(query.0.clone());
            }
        });
    }

    /// Returns a name that no other attempt to write a part has.
    pub(crate) fn next_attempt(&self) -> String {
        format!("{}-{}", self.attempt, self.attempts.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn event(&self, event: Event) {
        self.ports.progress.event(&self.stream, event);
    }

    pub(crate) fn past_deadline(&self) -> bool {
        self.run.deadline.is_some_and(|deadline| self.ports.clock.now() >= deadline)
    }

    /// Renews the lease when a third of its time is gone. A failure costs nothing but the chance
    /// that another run does the same work.
    pub(crate) async fn keep_lease(&self) {
        let now = self.ports.clock.now();
        let last = self.renewed_at_ms.load(Ordering::Relaxed);
        let due = i64::try_from(self.run.limits.lease_ms / 3).unwrap_or(i64::MAX);
        if now.0.saturating_sub(last) < due
            || self
                .renewed_at_ms
                .compare_exchange(last, now.0, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let ttl_ms = self.run.limits.lease_ms;
        match self.ports.leases.renew(&self.stream, &self.run.owner, now, ttl_ms).await {
            Ok(LeaseOutcome::Acquired) => {}
            Ok(LeaseOutcome::Held { owner }) => {
                tracing::warn!(%owner, "the lease was taken over by another run");
            }
            Err(error) => tracing::warn!(code = error.code(), "renew a lease"),
        }
    }

    pub(crate) async fn load_state(&self) -> Result<Option<Stored>, PullError> {
        self.ports.checkpoint.load(&self.stream).await.map_err(|source| self.checkpoint(source))
    }

    /// Deletes an object that nothing refers to. Failures are left to a later clean-up.
    pub(crate) async fn discard(&self, key: &ObjectKey) {
        if let Err(error) = self.ports.staging.delete(key).await {
            tracing::warn!(code = error.code(), "delete a staged object");
        }
    }

    pub(crate) fn source(&self, source: SnowflakeError) -> PullError {
        PullError::Source { table: self.job.table.clone(), source }
    }

    /// Reads an object that is created once; `None` when there is certainly none.
    pub(crate) async fn read_once<T: StoredForm>(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<T>, PullError> {
        let read = stored::read(self.ports.staging.as_ref(), key).await;
        read.map_err(|source| self.staging(source))
    }

    /// Creates an object unless there is one, and returns the one that is there afterwards.
    pub(crate) async fn create_once<T: StoredForm>(
        &self,
        key: &ObjectKey,
        value: T,
    ) -> Result<T, PullError> {
        let created = stored::create(self.ports.staging.as_ref(), key, value).await;
        created.map_err(|source| self.staging(source))
    }

    pub(crate) fn staging(&self, source: StagingError) -> PullError {
        PullError::Staging { table: self.job.table.clone(), source }
    }

    pub(crate) fn checkpoint(&self, source: CheckpointError) -> PullError {
        PullError::Checkpoint { table: self.job.table.clone(), source }
    }

    pub(crate) fn database(&self, source: DatabaseError) -> PullError {
        PullError::Database { table: self.job.table.clone(), source }
    }

    pub(crate) fn mismatch(&self, reason: String) -> PullError {
        PullError::PartsMismatch { table: self.job.table.clone(), reason }
    }
}
