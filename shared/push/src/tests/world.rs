//! A whole world in memory, and the checks that hold whenever it is quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use snowferry_checkpoint::PushStore;
use snowferry_checkpoint::memory::{MemoryCheckpoint, MemoryPushes};
use snowferry_database::{BatchStream, DatabaseError, Description, Export};
use snowferry_model::export::{
    EXPORT_VERSION, ExportQuery, ExportSnapshot, ExportSource, PinnedTable,
};
use snowferry_model::names::{ConnectionName, Identifier, TableName};
use snowferry_model::push::{
    Delivery, PushKey, PushMode, PushName, PushOutcome, PushRunRecord, TargetColumn,
};
use snowferry_model::state::StreamKey;
use snowferry_model::time::{Clock, UnixMillis};
use snowferry_model::types::SnowflakeType;
use snowferry_snowflake::Target;
use snowferry_snowflake::memory::target::{Flaw, MemoryTarget, TextRow};
use snowferry_staging::memory::MemoryStaging;

use crate::ports::{Ports, Silent};
use crate::tests::faults::{Faults, Faulty};
use crate::{Limits, PushContext, PushJob, Rules, push_table};

/// Rows that the customer's table has before the first push.
pub(super) const CUSTOMER_ROWS: usize = 3;

/// Ids that every version of our rows has.
const COMMON: std::ops::Range<i64> = 0..7;

/// A clock that moves a millisecond whenever it is looked at.
#[derive(Debug, Default)]
pub(super) struct TestClock(AtomicI64);

impl TestClock {
    pub(super) fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    pub(super) fn peek(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Our database: versions of the rows of one query, each readable as long as it is not lost.
#[derive(Clone, Debug, Default)]
pub(super) struct TestExport {
    versions: Arc<Mutex<BTreeMap<u64, Vec<RecordBatch>>>>,
}

impl TestExport {
    pub(super) fn put(&self, batches: Vec<RecordBatch>) -> u64 {
        let mut versions = self.versions.lock().unwrap();
        let next = versions.keys().last().map_or(1, |last| last + 1);
        versions.insert(next, batches);
        next
    }

    /// Takes all versions but the newest away.
    pub(super) fn vacuum(&self) {
        let mut versions = self.versions.lock().unwrap();
        let newest = *versions.keys().last().unwrap();
        versions.retain(|version, _| *version == newest);
    }
}

#[async_trait]
impl Export for TestExport {
    async fn tables(&self) -> Result<Vec<StreamKey>, DatabaseError> {
        Ok(vec![our_table()])
    }

    async fn describe(&self, query: &ExportQuery) -> Result<Description, DatabaseError> {
        let versions = self.versions.lock().unwrap();
        let (version, batches) = versions.iter().next_back().expect("a version");
        let snapshot = ExportSnapshot {
            version: EXPORT_VERSION,
            query: query.clone(),
            tables: vec![PinnedTable {
                stream: our_table(),
                table_id: "test".to_owned(),
                table_version: *version,
                ledger: None,
            }],
            columns: Vec::new(),
        };
        let schema = batches.first().map_or_else(our_schema, RecordBatch::schema);
        Ok(Description { schema, snapshot })
    }

    async fn open(&self, snapshot: &ExportSnapshot) -> Result<BatchStream, DatabaseError> {
        let version = snapshot.tables[0].table_version;
        let versions = self.versions.lock().unwrap();
        let batches = versions.get(&version).cloned().ok_or(DatabaseError::SnapshotGone {
            table: our_table().to_string(),
            table_version: version,
            source: "vacuumed".into(),
        })?;
        Ok(Box::pin(futures::stream::iter(batches.into_iter().map(Ok))))
    }
}

fn our_table() -> StreamKey {
    let connection = ConnectionName::new("acme").unwrap();
    StreamKey { connection, table: "DB.SC.OURS".parse().unwrap() }
}

/// One push of `(ID, V, SCORE)` into a customer's table `T(ID, V, SCORE, NOTE)`.
#[derive(Clone)]
pub(super) struct World {
    pub(super) export: TestExport,
    pub(super) target: MemoryTarget,
    pub(super) staging: MemoryStaging,
    pub(super) pushes: MemoryPushes,
    pub(super) leases: MemoryCheckpoint,
    pub(super) clock: Arc<TestClock>,
    pub(super) job: PushJob,
    pub(super) limits: Limits,
    pub(super) commit_first: bool,
    runs: Arc<AtomicU64>,
    highest: Arc<Mutex<(u64, u64)>>,
}

impl World {
    pub(super) fn new(mode: PushMode, delivery: Delivery) -> Self {
        let target = MemoryTarget::default();
        target.put_table(&table(), "TABLE", columns());
        target.put_ledger(&ledger_table());
        let note = |n: i64| vec![Some((-n).to_string()), None, None, Some("theirs".to_owned())];
        target.put_rows(&table(), (1..=CUSTOMER_ROWS as i64).map(note).collect());
        let job = PushJob {
            push: push_key(),
            account: "org-acme".to_owned(),
            source: ExportSource::Sql("SELECT ID, V, SCORE FROM OURS".to_owned()),
            parameters: BTreeMap::new(),
            target: table(),
            mode,
            delivery,
            mapping: BTreeMap::new(),
            constants: Vec::new(),
            rules: Rules { max_shrink_percent: Some(100), ..Rules::default() },
        };
        let world = Self {
            export: TestExport::default(),
            target,
            staging: MemoryStaging::default(),
            pushes: MemoryPushes::default(),
            leases: MemoryCheckpoint::default(),
            clock: Arc::default(),
            job,
            limits: Limits { part_bytes: 1, lease_ms: 1_000_000 },
            commit_first: false,
            runs: Arc::default(),
            highest: Arc::default(),
        };
        world.next_version();
        world
    }

    pub(super) fn with_ledger(mode: PushMode) -> Self {
        Self::new(mode, Delivery::Ledger { table: ledger_table() })
    }

    pub(super) fn with_flaw(mut self, flaw: Flaw) -> Self {
        self.target = self.target.with_flaw(flaw);
        self
    }

    pub(super) fn with_state_first(mut self) -> Self {
        self.commit_first = true;
        self
    }

    /// Changes our rows: common ids get new values, three ids are of this version only.
    pub(super) fn next_version(&self) {
        let version = self.export.versions.lock().unwrap().len() as i64 + 1;
        let own = version * 100..version * 100 + 3;
        let ids: Vec<i64> = match self.job.mode {
            // An append of rows that were there before could not be told from a doubled one.
            PushMode::Append => own.collect(),
            _ => COMMON.chain(own).collect(),
        };
        let halves = ids.chunks(ids.len().div_ceil(2));
        self.export.put(halves.map(|ids| batch(ids, version)).collect());
    }

    pub(super) fn ports(&self, faults: Option<Arc<Faults>>) -> Ports {
        let faulty = Faulty::new(self, faults);
        Ports {
            export: faulty.clone(),
            target: faulty.clone(),
            staging: faulty.clone(),
            pushes: faulty.clone(),
            leases: faulty,
            clock: self.clock.clone(),
            progress: Arc::new(Silent),
        }
    }

    pub(super) fn context(&self) -> PushContext {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        PushContext {
            run_id: format!("run-{number:04}"),
            trigger: "test".to_owned(),
            owner: format!("process {number}"),
            deadline: None,
            limits: self.limits,
        }
    }

    /// One run without faults.
    pub(super) async fn push(&self) -> PushRunRecord {
        push_table(&self.ports(None), &self.context(), &self.job).await
    }

    /// One run with a fault; a killed run leaves its lease and its staging table behind.
    pub(super) async fn push_with(&self, faults: &Arc<Faults>) {
        let (ports, context) = (self.ports(Some(Arc::clone(faults))), self.context());
        tokio::select! {
            _ = push_table(&ports, &context, &self.job) => {}
            () = faults.killed() => self.target.end_sessions(),
        }
    }

    /// The next run after all faults stopped.
    pub(super) async fn quiet_push(&self) -> Result<(), String> {
        self.clock.advance_ms(2_000_000); // past the lease of a dead owner
        let record = self.push().await;
        match record.outcome {
            PushOutcome::Applied if !self.target.file_names().is_empty() => {
                Err(format!("uploaded files are left: {:?}", self.target.file_names()))
            }
            PushOutcome::Applied => self.check().await,
            other => Err(format!("the quiet run ended with {other:?}")),
        }
    }

    /// Nothing lost or doubled, every content that readers saw was whole, the state never went
    /// back, nothing is left behind.
    pub(super) async fn check(&self) -> Result<(), String> {
        // The first is that of a table just made, before the customer's rows.
        for version in self.target.versions(&table()).iter().skip(1) {
            self.is_whole(version)?;
        }
        let state = PushStore::load(&self.pushes, &push_key()).await.unwrap().unwrap().state;
        let now = (state.generation, state.sequence);
        {
            let mut highest = self.highest.lock().unwrap();
            if now < *highest {
                return Err(format!("the state went from {highest:?} back to {now:?}"));
            }
            *highest = now;
        }
        if state.slice.is_some() {
            return Err("a slice is left".to_owned());
        }
        let pushed = self.pushed_versions();
        if self.job.mode == PushMode::Append && state.generation == 1 && pushed != state.sequence {
            let sequence = state.sequence;
            return Err(format!("lost rows: {pushed} versions after {sequence} commits"));
        }
        let open = |run: &PushRunRecord| run.outcome == PushOutcome::Running;
        match self.pushes.all_runs().iter().find(|run| open(run)) {
            Some(run) => Err(format!("{} has no end", run.run_id)),
            None => Ok(()),
        }
    }

    /// The state is never ahead of the ledger.
    pub(super) async fn in_step(&self) -> Result<(), String> {
        let stored = PushStore::load(&self.pushes, &push_key()).await.unwrap();
        let Delivery::Ledger { table } = &self.job.delivery else { return Ok(()) };
        let ledger = self.target.ledger(table, &push_key()).await.unwrap();
        let ledger = ledger.map_or((0, 0), |at| (at.generation, at.sequence));
        match stored.map(|stored| (stored.state.generation, stored.state.sequence)) {
            Some((generation, sequence)) if sequence > 0 && (generation, sequence) > ledger => {
                Err(format!("the state is at {sequence}, the ledger at {ledger:?}"))
            }
            _ => Ok(()),
        }
    }

    /// How many versions have rows of their own in the target.
    fn pushed_versions(&self) -> u64 {
        let rows = self.target.rows(&table());
        let ids = rows.iter().map(|row| row[0].as_ref().unwrap().parse::<i64>().unwrap());
        ids.filter(|id| *id >= 100).map(|id| id / 100).collect::<BTreeSet<_>>().len() as u64
    }

    /// What a reader may see: the customer's rows, and each version's own rows all or none.
    fn is_whole(&self, rows: &[TextRow]) -> Result<(), String> {
        let mut ids: Vec<i64> =
            rows.iter().map(|row| row[0].as_ref().unwrap().parse().unwrap()).collect();
        ids.sort_unstable();
        let distinct: BTreeSet<_> = ids.iter().copied().collect();
        if distinct.len() != ids.len() {
            return Err(format!("doubled rows: {ids:?}"));
        }
        let theirs = ids.iter().filter(|id| **id < 0).count();
        let mut groups: BTreeMap<i64, usize> = BTreeMap::new();
        for id in ids.iter().filter(|id| **id >= 100) {
            *groups.entry(id / 100).or_default() += 1;
        }
        if groups.values().any(|rows| *rows != 3) {
            return Err(format!("half a version: {ids:?}"));
        }
        let common = rows
            .iter()
            .filter(|row| COMMON.contains(&row[0].as_ref().unwrap().parse::<i64>().unwrap()));
        let values: Vec<_> = common.map(|row| row[1].clone()).collect();
        let one_version = values.windows(2).all(|pair| pair[0] == pair[1]);
        let pushed = !groups.is_empty();
        let fits = match self.job.mode {
            PushMode::Append => theirs == CUSTOMER_ROWS && values.is_empty(),
            PushMode::Rewrite if pushed => {
                theirs == 0 && groups.len() == 1 && values.len() == COMMON.count()
            }
            PushMode::Rewrite => theirs == CUSTOMER_ROWS && values.is_empty(),
            PushMode::Upsert { .. } => {
                let all = if pushed { COMMON.count() } else { 0 };
                theirs == CUSTOMER_ROWS && values.len() == all
            }
        };
        if fits && one_version { Ok(()) } else { Err(format!("a half content: {ids:?}")) }
    }

    /// Whether the newest version's rows are in the target.
    pub(super) fn shows_newest(&self) -> bool {
        let newest = self.export.versions.lock().unwrap().len() as i64;
        let wanted = format!("version {newest}");
        let newest = |row: &&TextRow| row[1].as_deref() == Some(wanted.as_str());
        let rows = self.target.rows(&table()).iter().filter(newest).count();
        let all = match self.job.mode {
            PushMode::Append => 3,
            _ => 3 + COMMON.count(),
        };
        rows == all
    }
}

pub(super) fn push_key() -> PushKey {
    let connection = ConnectionName::new("acme").unwrap();
    PushKey { connection, name: PushName::new("scores").unwrap() }
}

pub(super) fn table() -> TableName {
    "CRM.PUBLIC.T".parse().unwrap()
}

pub(super) fn ledger_table() -> TableName {
    "CRM.SNOWFERRY.LEDGER".parse().unwrap()
}

pub(super) fn identifier(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

pub(super) fn upsert() -> PushMode {
    PushMode::Upsert { key: vec![identifier("ID")] }
}

pub(super) fn columns() -> Vec<TargetColumn> {
    let number = |precision, scale| SnowflakeType::Number { precision, scale };
    let plain =
        |name, data_type, nullable| TargetColumn::plain(identifier(name), data_type, nullable);
    vec![
        plain("ID", number(38, 0), false),
        TargetColumn { max_chars: Some(50), ..plain("V", SnowflakeType::Text, true) },
        plain("SCORE", number(12, 2), true),
        plain("NOTE", SnowflakeType::Text, true),
    ]
}

fn our_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("ID", DataType::Int64, true),
        Field::new("V", DataType::Utf8, true),
        Field::new("SCORE", DataType::Decimal128(10, 2), true),
    ]))
}

fn batch(ids: &[i64], version: i64) -> RecordBatch {
    let scores = Decimal128Array::from_iter_values(ids.iter().map(|id| i128::from(*id) * 10));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(ids.iter().copied())),
        Arc::new(StringArray::from_iter_values(ids.iter().map(|_| format!("version {version}")))),
        Arc::new(scores.with_precision_and_scale(10, 2).unwrap()),
    ];
    RecordBatch::try_new(our_schema(), columns).unwrap()
}
