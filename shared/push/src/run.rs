//! One run of one push: lease, record, and the steps until nothing is left to do.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use snowferry_checkpoint::{CheckpointError, LeaseOutcome, StoredPush};
use snowferry_database::DatabaseError;
use snowferry_model::fault::{Fault, chain};
use snowferry_model::push::{
    ColumnVerdict, PUSH_RUN_VERSION, PushFigures, PushManifest, PushMode, PushOutcome,
    PushRunRecord, PushState,
};
use snowferry_model::state::StreamKey;
use snowferry_snowflake::SnowflakeError;
use snowferry_staging::stored::{self, StoredForm};
use snowferry_staging::{ObjectKey, StagingError, push_keys};

use crate::apply::{Finished, finish};
use crate::commit::{Moved, give_up};
use crate::error::PushError;
use crate::job::{PushContext, PushJob, target_lease};
use crate::pin::{Pinned, pin};
use crate::ports::{Event, Ports};
use crate::stage::{Staged, stage};

/// How often a run looks again after other runs changed the state under it.
const MAX_ROUNDS: u32 = 32;

/// How many snapshots may vanish under one run before it gives up until the next.
const MAX_SNAPSHOTS_GONE: u32 = 3;

/// Brings one target to what the query says and returns what happened.
///
/// Never fails as such: a failure is [`PushOutcome::Failed`] in the record, with its code, blame
/// and repair. Dropping the future at any point is safe; the next run goes on from there.
pub async fn push_table(ports: &Ports, run: &PushContext, job: &PushJob) -> PushRunRecord {
    let work = Work::new(ports, run, job);
    let mut record = PushRunRecord {
        version: PUSH_RUN_VERSION,
        run_id: run.run_id.clone(),
        push: job.push.clone(),
        target: job.target.clone(),
        mode: job.mode.as_str().to_owned(),
        trigger: run.trigger.clone(),
        started_at: ports.clock.now(),
        ended_at: None,
        outcome: PushOutcome::Running,
        figures: PushFigures::default(),
    };
    record.outcome = match with_lease(&work, &record).await {
        Ok(outcome) => outcome,
        Err(error) => failed(&error),
    };
    record.ended_at = Some(ports.clock.now());
    record.figures = work.take_figures();
    if let Err(error) = ports.pushes.record(&record).await {
        tracing::warn!(code = error.code(), run_id = %record.run_id, "write a run's record");
    }
    record
}

fn failed(error: &PushError) -> PushOutcome {
    PushOutcome::Failed {
        code: error.code().to_owned(),
        message: chain(error),
        blame: error.blame(),
        retry: error.retry(),
        hint: error.hint(),
    }
}

async fn with_lease(work: &Work<'_>, record: &PushRunRecord) -> Result<PushOutcome, PushError> {
    let name = |source| PushError::Name { push: work.job.push.to_string(), source };
    let key = target_lease(&work.job.account, &work.job.target).map_err(name)?;
    let leases = &work.ports.leases;
    let (now, ttl_ms) = (work.ports.clock.now(), work.run.limits.lease_ms);
    let lease = leases
        .acquire(&key, &work.run.owner, now, ttl_ms)
        .await
        .map_err(|source| work.checkpoint(source))?;
    if let LeaseOutcome::Held { owner } = lease {
        return Ok(PushOutcome::Busy { owner });
    }
    let result = recorded(work, record).await;
    if let Err(error) = leases.release(&key, &work.run.owner).await {
        tracing::warn!(code = error.code(), "release a lease");
    }
    result
}

/// Closes the records of runs that were killed, opens ours, and works.
async fn recorded(work: &Work<'_>, record: &PushRunRecord) -> Result<PushOutcome, PushError> {
    let pushes = &work.ports.pushes;
    let crashed =
        pushes.unfinished(&work.job.push).await.map_err(|source| work.checkpoint(source))?;
    for mut other in crashed {
        other.outcome = PushOutcome::Crashed;
        other.ended_at = Some(work.ports.clock.now());
        pushes.record(&other).await.map_err(|source| work.checkpoint(source))?;
    }
    pushes.record(record).await.map_err(|source| work.checkpoint(source))?;
    synchronise(work).await
}

/// Finishes what is begun, then pins and applies one slice of this run's own.
async fn synchronise(work: &Work<'_>) -> Result<PushOutcome, PushError> {
    let mut snapshots_gone = 0;
    for _ in 0..MAX_ROUNDS {
        let Some(stored) = load_or_create(work).await? else { continue };
        if stored.state.last_run.as_deref() == Some(work.run.run_id.as_str()) {
            return Ok(PushOutcome::Applied);
        }
        match step(work, &stored).await? {
            Step::Applied { last: true } => return Ok(PushOutcome::Applied),
            Step::Deadline => return Ok(PushOutcome::Continued),
            Step::Refused(verdicts) => return Ok(PushOutcome::Refused { verdicts }),
            Step::SnapshotGone(error) => {
                snapshots_gone += 1;
                if snapshots_gone >= MAX_SNAPSHOTS_GONE {
                    return Err(work.database(error));
                }
            }
            Step::Applied { last: false } | Step::Again => {}
        }
    }
    Err(PushError::Contended { push: work.job.push.to_string() })
}

/// What one look at the state led to.
enum Step {
    /// A manifest is applied and committed; `last`: nothing is left for this run.
    Applied { last: bool },
    /// The deadline came.
    Deadline,
    /// Target or data do not fit.
    Refused(Vec<ColumnVerdict>),
    /// The versions of our tables were lost; others will be pinned.
    SnapshotGone(DatabaseError),
    /// The state changed; look again.
    Again,
}

async fn step(work: &Work<'_>, stored: &StoredPush) -> Result<Step, PushError> {
    let state = &stored.state;
    let next = push_keys::manifest(&work.job.push, state.generation, state.next().sequence);
    if let Some(manifest) = work.read_once::<PushManifest>(&next).await? {
        return finished(work, stored, &manifest).await;
    }
    if work.past_deadline() {
        return Ok(Step::Deadline);
    }
    let Some(slice) = &state.slice else {
        let started = work.ports.clock.now();
        let pinned = pin(work, stored).await;
        work.figures(|sum| sum.pin_ms += work.ports.clock.now().since_ms(started));
        return Ok(match pinned? {
            Pinned::Slice => {
                work.event(Event::Pinned { resumed: false });
                Step::Again
            }
            Pinned::Refused(verdicts) => Step::Refused(verdicts),
            Pinned::Moved => Step::Again,
        });
    };
    if slice.run_id != work.run.run_id {
        work.event(Event::Pinned { resumed: true });
    }
    let started = work.ports.clock.now();
    let staged = stage(work, state, slice).await;
    work.figures(|sum| sum.stage_ms += work.ports.clock.now().since_ms(started));
    Ok(match staged? {
        Staged::Manifest(manifest) => return finished(work, stored, &manifest).await,
        Staged::Deadline => Step::Deadline,
        Staged::Refused(verdicts) => {
            give_up(work, stored, state.generation + 1).await?;
            Step::Refused(verdicts)
        }
        Staged::Gone(error) => {
            give_up(work, stored, state.generation + 1).await?;
            Step::SnapshotGone(error)
        }
    })
}

/// Applies a manifest and says what follows from it.
async fn finished(
    work: &Work<'_>,
    stored: &StoredPush,
    manifest: &PushManifest,
) -> Result<Step, PushError> {
    let started = work.ports.clock.now();
    let result = finish(work, stored, manifest).await;
    work.figures(|sum| sum.apply_ms += work.ports.clock.now().since_ms(started));
    let ours = manifest.plan.run_id == work.run.run_id;
    Ok(match result? {
        Finished::Committed(Moved::Yes) => {
            // Without a slice in the state the manifest is one that was applied long ago, and the
            // state, which was lost, only catches up.
            let interrupted = stored.state.slice.is_some();
            let append = manifest.plan.mode == PushMode::Append;
            Step::Applied { last: ours || (append && interrupted) }
        }
        Finished::Committed(Moved::Elsewhere) | Finished::Again => Step::Again,
        Finished::Refused(verdicts) => Step::Refused(verdicts),
    })
}

/// Loads the state, or stores the first one. `None`: another run was faster; look again.
async fn load_or_create(work: &Work<'_>) -> Result<Option<StoredPush>, PushError> {
    if let Some(stored) = work.load_state().await? {
        return Ok(Some(stored));
    }
    let state = PushState::fresh(1);
    match work.ports.pushes.store(&work.job.push, None, &state).await {
        Ok(revision) => Ok(Some(StoredPush { revision, state })),
        Err(CheckpointError::Moved { .. } | CheckpointError::Unknown { .. }) => Ok(None),
        Err(error) => Err(work.checkpoint(error)),
    }
}

/// One run of one push, with what it counts.
pub(crate) struct Work<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) run: &'a PushContext,
    pub(crate) job: &'a PushJob,
    figures: Mutex<PushFigures>,
    attempt: String,
    attempts: AtomicU32,
    renewed_at_ms: AtomicI64,
}

impl<'a> Work<'a> {
    pub(crate) fn new(ports: &'a Ports, run: &'a PushContext, job: &'a PushJob) -> Self {
        let renewed_at_ms = AtomicI64::new(ports.clock.now().0);
        let mut hash = std::hash::DefaultHasher::new();
        (&run.owner, &run.run_id).hash(&mut hash);
        let attempt = format!("{:016x}", hash.finish());
        let attempts = AtomicU32::new(0);
        Self { ports, run, job, figures: Mutex::default(), attempt, attempts, renewed_at_ms }
    }

    /// Changes the figures.
    pub(crate) fn figures(&self, change: impl FnOnce(&mut PushFigures)) {
        change(&mut self.figures.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn take_figures(&self) -> PushFigures {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns a name that no other attempt to stage a slice has.
    pub(crate) fn next_attempt(&self) -> String {
        format!("{}-{}", self.attempt, self.attempts.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn event(&self, event: Event) {
        self.ports.progress.event(&self.job.push, event);
    }

    pub(crate) fn past_deadline(&self) -> bool {
        self.run.deadline.is_some_and(|deadline| self.ports.clock.now() >= deadline)
    }

    fn lease_key(&self) -> Option<StreamKey> {
        target_lease(&self.job.account, &self.job.target).ok()
    }

    /// Renews the lease when a third of its time is gone. A failure costs nothing but the chance
    /// that another run does the same work.
    pub(crate) async fn keep_lease(&self) {
        let now = self.ports.clock.now();
        let last = self.renewed_at_ms.load(Ordering::Relaxed);
        let due = i64::try_from(self.run.limits.lease_ms / 3).unwrap_or(i64::MAX);
        let Some(key) = self.lease_key().filter(|_| now.0.saturating_sub(last) >= due) else {
            return;
        };
        self.renewed_at_ms.store(now.0, Ordering::Relaxed);
        let ttl_ms = self.run.limits.lease_ms;
        match self.ports.leases.renew(&key, &self.run.owner, now, ttl_ms).await {
            Ok(LeaseOutcome::Acquired) => {}
            Ok(LeaseOutcome::Held { owner }) => {
                tracing::warn!(%owner, "the lease was taken over by another run");
            }
            Err(error) => tracing::warn!(code = error.code(), "renew a lease"),
        }
    }

    pub(crate) async fn load_state(&self) -> Result<Option<StoredPush>, PushError> {
        self.ports.pushes.load(&self.job.push).await.map_err(|source| self.checkpoint(source))
    }

    /// Deletes an object that nothing refers to. Failures are left to a later clean-up.
    pub(crate) async fn discard(&self, key: &ObjectKey) {
        if let Err(error) = self.ports.staging.delete(key).await {
            tracing::warn!(code = error.code(), "delete a staged object");
        }
    }

    pub(crate) fn database(&self, source: DatabaseError) -> PushError {
        PushError::Database { push: self.job.push.to_string(), source }
    }

    pub(crate) fn target(&self, source: SnowflakeError) -> PushError {
        PushError::Target { table: self.job.target.clone(), source }
    }

    /// Reads an object that is created once; `None` when there is certainly none.
    pub(crate) async fn read_once<T: StoredForm>(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<T>, PushError> {
        let read = stored::read(self.ports.staging.as_ref(), key).await;
        read.map_err(|source| self.staging(source))
    }

    /// Creates an object unless there is one, and returns the one that is there afterwards.
    pub(crate) async fn create_once<T: StoredForm>(
        &self,
        key: &ObjectKey,
        value: T,
    ) -> Result<T, PushError> {
        let created = stored::create(self.ports.staging.as_ref(), key, value).await;
        created.map_err(|source| self.staging(source))
    }

    pub(crate) fn staging(&self, source: StagingError) -> PushError {
        PushError::Staging { push: self.job.push.to_string(), source }
    }

    pub(crate) fn checkpoint(&self, source: CheckpointError) -> PushError {
        PushError::Checkpoint { push: self.job.push.to_string(), source }
    }
}
