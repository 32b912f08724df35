//! A whole world in memory, and the checks that hold whenever it is quiet.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use snowferry_checkpoint::memory::MemoryCheckpoint;
use snowferry_checkpoint::{CheckpointStore, Stored};
use snowferry_database::memory::MemoryDatabase;
use snowferry_model::names::{ConnectionName, Identifier, TableName};
use snowferry_model::plan::IntegerPolicy;
use snowferry_model::run::{Outcome, RunRecord};
use snowferry_model::state::StreamKey;
use snowferry_model::time::{Clock, UnixMillis};
use snowferry_model::types::{ColumnDescription, SnowflakeType};
use snowferry_model::watermark::{Lookback, NullCursors};
use snowferry_snowflake::memory::{MemoryOptions, MemorySource, MemoryValue};
use snowferry_staging::memory::MemoryStaging;

use crate::ports::{Ports, Silent};
use crate::tests::faults::{Faults, Faulty};
use crate::{Limits, Mode, RunContext, SchemaPolicy, TableJob, pull_table};

/// The columns of the table under test.
const COLUMNS: [&str; 3] = ["ID", "V", "SEQ"];

/// A clock that moves a millisecond whenever it is looked at.
#[derive(Debug, Default)]
pub(super) struct TestClock(AtomicI64);

impl TestClock {
    pub(super) fn peek(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// One connection with one table `T(ID, V, SEQ)`, where SEQ is the number of the commit.
#[derive(Clone)]
pub(super) struct World {
    pub(super) source: MemorySource,
    pub(super) staging: MemoryStaging,
    pub(super) checkpoint: MemoryCheckpoint,
    pub(super) database: MemoryDatabase,
    pub(super) clock: Arc<TestClock>,
    pub(super) job: TableJob,
    pub(super) limits: Limits,
    runs: Arc<AtomicU64>,
    /// Rows of the source after each commit, rendered: the states a reader may see.
    snapshots: Arc<Mutex<Vec<Vec<String>>>>,
    highest: Arc<Mutex<(u64, u64, i128)>>,
}

impl World {
    pub(super) fn new(mode: Mode, key: &[&str]) -> Self {
        let options = MemoryOptions { rows_per_piece: 5, opens_while_running: 1 };
        let source = MemorySource::with_options(options);
        source.create_table(table(), columns()).unwrap();
        let job = TableJob {
            table: table(),
            mode,
            key: key.iter().map(|name| identifier(name)).collect(),
            cursor: Some(identifier("SEQ")),
            lookback: Lookback::None,
            null_cursors: NullCursors::Error,
            integers: IntegerPolicy::Auto,
            schema: SchemaPolicy::Evolve,
            skip_unchanged: true,
        };
        Self {
            source,
            staging: MemoryStaging::default(),
            checkpoint: MemoryCheckpoint::default(),
            database: MemoryDatabase::new(),
            clock: Arc::default(),
            job,
            limits: Limits { part_bytes: 1, parallel_parts: 1, lease_ms: 1_000_000 },
            runs: Arc::default(),
            snapshots: Arc::default(),
            highest: Arc::default(),
        }
    }

    /// Inserts rows `ids` in one commit.
    pub(super) fn insert(&self, ids: std::ops::Range<i128>, seq: i128) {
        self.change(|tx| {
            for id in ids.clone() {
                tx.insert(&table(), row(id, "new", seq))?;
            }
            Ok(())
        });
    }

    /// Updates rows `ids` in one commit.
    pub(super) fn update(&self, ids: std::ops::Range<i128>, seq: i128) {
        self.change(|tx| {
            let hit = |row: &[MemoryValue]| matches!(row[0], MemoryValue::Number(id) if ids.contains(&id));
            tx.update(&table(), hit, |row| {
                row[1] = MemoryValue::text_of(&format!("changed at {seq}"));
                row[2] = MemoryValue::Number(seq);
            })?;
            Ok(())
        });
    }

    pub(super) fn change(
        &self,
        work: impl FnOnce(
            &mut snowferry_snowflake::memory::Transaction,
        ) -> Result<(), snowferry_snowflake::SnowflakeError>,
    ) {
        self.source.commit(work).unwrap();
        self.snapshots.lock().unwrap().push(self.source_rows());
    }

    pub(super) fn ports(&self, faults: Option<Arc<Faults>>) -> Ports {
        let faulty = Faulty::new(self, faults);
        Ports {
            source: faulty.clone(),
            staging: faulty.clone(),
            checkpoint: faulty.clone(),
            leases: faulty.clone(),
            runs: faulty.clone(),
            database: faulty,
            clock: self.clock.clone(),
            progress: Arc::new(Silent),
        }
    }

    pub(super) fn context(&self) -> RunContext {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        RunContext {
            connection: ConnectionName::new("acme").unwrap(),
            run_id: format!("run-{number:04}"),
            trigger: "test".to_owned(),
            owner: format!("process {number}"),
            deadline: None,
            limits: self.limits,
        }
    }

    /// One run without faults.
    pub(super) async fn pull(&self) -> RunRecord {
        pull_table(&self.ports(None), &self.context(), &self.job).await
    }

    /// One run with a fault; a killed run leaves its lease behind, as a dead process does.
    pub(super) async fn pull_with(&self, faults: &Arc<Faults>) {
        let (ports, context) = (self.ports(Some(Arc::clone(faults))), self.context());
        tokio::select! {
            _ = pull_table(&ports, &context, &self.job) => {}
            () = faults.killed() => {}
        }
        self.observe().await;
    }

    /// The next run after all faults stopped: it must bring everything in order.
    pub(super) async fn quiet_pull(&self, story: &str) -> RunRecord {
        self.clock.advance_ms(2_000_000); // past the lease of a dead owner
        let record = self.pull().await;
        self.observe().await;
        assert!(
            matches!(record.outcome, Outcome::Loaded | Outcome::NothingNew),
            "{story}: the quiet run ended with {:?}",
            record.outcome
        );
        record
    }

    /// Neither lost nor doubled; every state that readers saw was whole; nothing left behind.
    pub(super) async fn check(&self, story: &str) {
        assert_eq!(self.our_rows(), self.source_rows(), "{story}: rows differ");
        let snapshots: BTreeSet<_> = self.snapshots.lock().unwrap().iter().cloned().collect();
        for version in self.database.versions(&self.stream()) {
            assert!(snapshots.contains(&render(&version)), "{story}: a reader saw a half state");
        }
        let state = self.state().await;
        assert_eq!(state.state.slice, None, "{story}: a slice is left");
        let unfinished: Vec<_> = self
            .checkpoint
            .all_runs()
            .into_iter()
            .filter(|run| run.outcome == Outcome::Running)
            .collect();
        assert_eq!(unfinished, [], "{story}: runs without an end");
        assert_eq!(self.staging.open_uploads(), 0, "{story}: uploads left open");
    }

    /// Fails when generation, sequence or watermark ever went back.
    pub(super) async fn observe(&self) {
        let Some(stored) = self.load().await else { return };
        let mark = stored.state.watermark.as_ref().map_or(-1, |mark| mark.text.parse().unwrap());
        let now = (stored.state.generation, stored.state.sequence, mark);
        let mut highest = self.highest.lock().unwrap();
        assert!(now >= *highest, "the state went from {highest:?} back to {now:?}");
        *highest = now;
    }

    pub(super) async fn load(&self) -> Option<Stored> {
        CheckpointStore::load(&self.checkpoint, &self.stream()).await.unwrap()
    }

    pub(super) async fn state(&self) -> Stored {
        self.load().await.expect("a state")
    }

    pub(super) fn stream(&self) -> StreamKey {
        StreamKey { connection: ConnectionName::new("acme").unwrap(), table: table() }
    }

    pub(super) fn source_rows(&self) -> Vec<String> {
        let mut rows: Vec<_> = self
            .source
            .contents(&table())
            .unwrap()
            .iter()
            .map(|row| row.iter().map(show).collect::<Vec<_>>().join("|"))
            .collect();
        rows.sort();
        rows
    }

    pub(super) fn our_rows(&self) -> Vec<String> {
        render(self.database.versions(&self.stream()).last().unwrap_or(&Vec::new()))
    }

    /// Staged objects that hold rows.
    pub(super) fn staged_data(&self) -> Vec<String> {
        self.staging.keys().into_iter().filter(|key| key.ends_with(".parquet")).collect()
    }
}

pub(super) fn table() -> TableName {
    "DB.SC.T".parse().unwrap()
}

pub(super) fn identifier(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

pub(super) fn columns() -> Vec<ColumnDescription> {
    let number = SnowflakeType::Number { precision: 38, scale: 0 };
    [number.clone(), SnowflakeType::Text, number]
        .into_iter()
        .zip(COLUMNS)
        .map(|(data_type, name)| ColumnDescription {
            name: identifier(name),
            data_type,
            nullable: true,
            primary_key: name == "ID",
        })
        .collect()
}

pub(super) fn row(id: i128, text: &str, seq: i128) -> Vec<MemoryValue> {
    vec![MemoryValue::Number(id), MemoryValue::text_of(text), MemoryValue::Number(seq)]
}

fn show(value: &MemoryValue) -> String {
    match value {
        MemoryValue::Number(number) => number.to_string(),
        MemoryValue::Text(text) => text.clone(),
        MemoryValue::Null => "NULL".to_owned(),
        other => format!("{other:?}"),
    }
}

fn render(batches: &[RecordBatch]) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<_> =
                columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(cells.join("|"));
        }
    }
    rows.sort();
    rows
}
