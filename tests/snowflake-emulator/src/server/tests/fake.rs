//! An engine of a few statements, so that the protocol can be tested without SQL.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{Decimal128Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use super::super::runner::Runner;
use crate::account::Account;
use crate::engine::{Bind, Download, Ended, Outcome, SessionContext, SqlError, Transfer, Upload};
use crate::stages::Stages;
use crate::types::{Column, SnowType};

/// Understands `ROWS n` (a SELECT of n rows), `PUT name`, `GET name`, `INSERT`, `ECHO` (its binds), `USE`, `SET k v`,
/// `FAIL` and `PANIC`.
#[derive(Debug, Default)]
pub(super) struct FakeRunner {
    runs: AtomicU64,
    version: AtomicU64,
    /// Rows that `RESULT_SCAN` may read, by query id.
    pub(super) kept: Mutex<BTreeMap<String, usize>>,
    /// The last statement and its binds.
    pub(super) last: Mutex<(String, Vec<Bind>)>,
    account: Arc<Account>,
    /// Files of stages.
    pub(super) stages: Arc<Stages>,
    /// Sessions that have ended.
    pub(super) ended: Mutex<Vec<u64>>,
}

impl FakeRunner {
    /// How many statements have run.
    pub(super) fn runs(&self) -> u64 {
        self.runs.load(Ordering::SeqCst)
    }
}

/// Rows in one batch of the fake.
const BATCH_ROWS: usize = 1000;

fn error(code: &'static str, sql_state: &'static str, message: &str) -> SqlError {
    SqlError { code, sql_state, message: message.to_owned() }
}

fn columns(origin: &str) -> Vec<Column> {
    let column = |name: &str, data_type, nullable| Column {
        name: name.to_owned(),
        data_type,
        nullable,
        origin: [origin.to_owned(), origin.to_owned(), origin.to_owned()],
    };
    vec![
        column("N", SnowType::Number { precision: 38, scale: 0 }, false),
        column("T", SnowType::Text { length: 20 }, true),
    ]
}

/// Row i is the number i and the text `row i`, or NULL for every tenth row.
fn batch(from: usize, to: usize) -> RecordBatch {
    let numbers = (from..to).map(|row| row as i128);
    let numbers =
        Decimal128Array::from_iter_values(numbers).with_precision_and_scale(38, 0).expect("fits");
    let texts: StringArray =
        (from..to).map(|row| (row % 10 != 9).then(|| format!("row {row}"))).collect();
    let schema = Schema::new(vec![
        Field::new("N", DataType::Decimal128(38, 0), false),
        Field::new("T", DataType::Utf8, true),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(numbers), Arc::new(texts)]).expect("fits")
}

fn outcome(columns: Vec<Column>, batches: Vec<RecordBatch>, kind: i64, json_only: bool) -> Outcome {
    let schema = batches.first().map_or_else(|| batch(0, 0).schema(), RecordBatch::schema);
    let stream = futures::stream::iter(batches.into_iter().map(Ok));
    Outcome {
        statement_type_id: kind,
        columns,
        rows: Box::pin(RecordBatchStreamAdapter::new(schema, stream)),
        json_only,
        snapshot_ns: 0,
        transfer: None,
    }
}

fn texts(name: &str, values: Vec<Option<String>>, kind: i64) -> Outcome {
    let column = Column {
        name: name.to_owned(),
        data_type: SnowType::Text { length: 16_777_216 },
        nullable: true,
        origin: Default::default(),
    };
    let schema = Arc::new(Schema::new(vec![Field::new(name, DataType::Utf8, true)]));
    let array = Arc::new(StringArray::from(values));
    let batch = RecordBatch::try_new(schema, vec![array]).expect("fits");
    outcome(vec![column], vec![batch], kind, true)
}

fn moving(transfer: Transfer) -> Outcome {
    Outcome { transfer: Some(transfer), ..texts("status", Vec::new(), 0x7102) }
}

#[async_trait]
impl Runner for FakeRunner {
    async fn execute(
        &self,
        session: &mut SessionContext,
        sql: &str,
        binds: &[Bind],
    ) -> Result<Outcome, SqlError> {
        let words: Vec<&str> = sql.split_whitespace().collect();
        if words.first() != Some(&"USE") {
            self.runs.fetch_add(1, Ordering::SeqCst);
        }
        *self.last.lock().expect("no panic") = (sql.to_owned(), binds.to_vec());
        match words.as_slice() {
            ["PUT", name] => Ok(moving(Transfer::Upload(Upload {
                stage: 1,
                prefix: String::new(),
                source: format!("/tmp/{name}"),
                parallel: 4,
                auto_compress: false,
                overwrite: true,
                source_compression: "none".to_owned(),
                master_key: Some("a2V5".to_owned()),
            }))),
            ["GET", name] => Ok(moving(Transfer::Download(Download {
                stage: 1,
                files: vec![(*name).to_owned()],
                target: "/tmp".to_owned(),
                parallel: 4,
                master_key: None,
            }))),
            ["insert", "into", ..] => {
                Ok(texts("number of rows inserted", vec![Some("1".to_owned())], 0x3100))
            }
            ["ROWS", count, ..] => {
                let count: usize = count.parse().expect("a count");
                let batches = (0..count)
                    .step_by(BATCH_ROWS)
                    .map(|from| batch(from, (from + BATCH_ROWS).min(count)))
                    .collect();
                Ok(outcome(columns("O"), batches, 0x1000, false))
            }
            ["INSERT", ..] => {
                self.version.fetch_add(1, Ordering::SeqCst);
                Ok(texts("number of rows inserted", vec![Some("1".to_owned())], 0x3100))
            }
            ["ECHO", ..] => {
                let values = binds
                    .iter()
                    .map(|bind| bind.value.as_ref().map(|value| format!("{} {value}", bind.kind)));
                Ok(texts("bind", values.collect(), 0x4400))
            }
            ["USE", kind, name] => {
                let name = name.trim_matches('"').to_owned();
                if name.starts_with("MISSING") {
                    return Err(error("002043", "02000", "does not exist"));
                }
                match *kind {
                    "ROLE" => session.role = Some(name),
                    "WAREHOUSE" => session.warehouse = Some(name),
                    "DATABASE" => session.database = Some(name),
                    _ => session.schema = Some(name),
                }
                Ok(texts("status", vec![Some("done".to_owned())], 0x4300))
            }
            ["SET", name, value] => {
                session.parameters.insert((*name).to_owned(), (*value).to_owned());
                Ok(texts("status", vec![Some("done".to_owned())], 0x4100))
            }
            ["SELECT", "*", "FROM", _] => {
                Ok(outcome(columns("O"), vec![batch(0, 1)], 0x1000, false))
            }
            ["PANIC"] => panic!("on demand"),
            _ => Err(error("002003", "42S02", "Object 'X' does not exist or not authorized.")),
        }
    }

    async fn describe(
        &self,
        _session: &SessionContext,
        sql: &str,
        _binds: &[Bind],
    ) -> Result<Vec<Column>, SqlError> {
        if sql.starts_with("ROWS") {
            return Ok(columns("O"));
        }
        Err(error("001003", "42000", "syntax error"))
    }

    async fn run_script(
        &self,
        _session: &mut SessionContext,
        sql: &str,
    ) -> Result<usize, SqlError> {
        if sql.contains("FAIL") {
            return Err(error("001003", "42000", "syntax error"));
        }
        self.version.fetch_add(1, Ordering::SeqCst);
        Ok(sql.matches(';').count())
    }

    fn statements(&self, sql: &str) -> Result<Vec<String>, SqlError> {
        let parts = sql.split(';').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty() && !part.starts_with("--"));
        Ok(parts.map(str::to_owned).collect())
    }

    fn register_result(&self, query_id: &str, _columns: &[Column], batches: Vec<RecordBatch>) {
        let rows = batches.iter().map(RecordBatch::num_rows).sum();
        self.kept.lock().expect("no panic").insert(query_id.to_owned(), rows);
    }

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }

    fn shares_results(&self, _session_id: u64) -> bool {
        true
    }

    fn statement_ended(&self, _ended: &Ended<'_>) {}

    fn stages(&self) -> Arc<Stages> {
        Arc::clone(&self.stages)
    }

    fn end_session(&self, session_id: u64) {
        self.ended.lock().expect("no panic").push(session_id);
    }

    fn data_version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }
}
