//! The Lambda `pull` as Lambda runs it: its own binary, deadlines of seconds, frozen processes,
//! the queue that hands a backfill on, kills, and events that come twice.
//!
//! `SNOWFERRY_FUNCTIONS` names the folder of the functions' binaries; without it they lie beside
//! the command line's.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a story fails by panicking"
)]

#[path = "../../stories/src/stage.rs"]
#[expect(dead_code, reason = "the stage has more than these stories need")]
mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use futures::TryStreamExt;
use serde_json::{Value, json};
use snowferry_aws_fakes::dynamodb::DynamoLocal;
use snowferry_aws_fakes::s3::{ACCESS_KEY, FakeS3, SECRET_KEY};
use snowferry_aws_fakes::services::FakeServices;
use snowferry_aws_fakes::services::queue::{Delivery, FifoQueue};
use snowferry_bootstrap::aws::documents::{Documents, Status};
use snowferry_database::Database;
use snowferry_database::delta::DeltaDatabase;
use snowferry_database::delta::bucket::BucketDelta;
use snowferry_lambda_emulator::source::{Mischief, Peace, drain};
use snowferry_lambda_emulator::{Answer, Function, FunctionOptions};
use snowferry_model::names::ConnectionName;
use snowferry_model::state::StreamKey;

use stage::{Stage, binary, show};

const BUCKET: &str = "snowferry";
const TABLE: &str = "snowferry";

/// How long an invocation may take: 900 s in AWS.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Longer than an invocation, so that a killed worker's lease is over: 960 s in AWS.
const VISIBILITY: Duration = Duration::from_millis(8500);

const TABLES: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: UPDATED_AT }
    - { table: CRM.PUBLIC.EVENTS, key: [ID], cursor: ID }
    - { table: SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM, mode: once }
";

/// AWS on this machine, and a Snowflake beside it.
struct Cloud {
    stage: Stage,
    s3: FakeS3,
    dynamodb: DynamoLocal,
    services: FakeServices,
}

impl Cloud {
    /// Starts everything and stores the connection `acme`; `None` without DynamoDB Local.
    async fn start(tpch_scale: &str, tables: &str) -> Option<Self> {
        let dynamodb = DynamoLocal::start().await.unwrap()?;
        dynamodb.create_table(TABLE).await.unwrap();
        let stage = Stage::with_samples(tpch_scale);
        stage.connect(tables);
        let s3 = FakeS3::start(&[BUCKET], 0).await.unwrap();
        let services = FakeServices::start(FifoQueue::new(VISIBILITY, 20)).await.unwrap();
        let cloud = Self { stage, s3, dynamodb, services };
        let file = cloud.stage.path().join("connections/acme.yaml");
        let text = std::fs::read_to_string(file).unwrap();
        cloud.documents().put(&acme(), &text).await.unwrap();
        cloud.put_secret("AWSCURRENT", &cloud.private_key());
        Some(cloud)
    }

    fn documents(&self) -> Documents {
        Documents::new(self.dynamodb.client(), TABLE)
    }

    fn private_key(&self) -> String {
        std::fs::read_to_string(self.stage.text("private_key_path")).unwrap()
    }

    /// Stores the connection's key under the name that the function will ask for.
    fn put_secret(&self, version: &str, text: &str) {
        let file = Path::new(self.stage.text("private_key_path")).file_name().unwrap();
        let name = format!("snowferry/acme/{}", file.to_str().unwrap());
        self.services.secrets.put(&name, version, text);
    }

    fn function(&self, name: &str) -> Arc<Function> {
        let environment = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_ENDPOINT_URL_S3", &self.s3.endpoint),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamodb.endpoint),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", &self.services.endpoint),
            ("AWS_ENDPOINT_URL_SQS", &self.services.endpoint),
            ("SNOWFERRY_TABLE", TABLE),
            ("SNOWFERRY_BUCKET", BUCKET),
            ("SNOWFERRY_LAKE_URI", "s3://snowferry/lake"),
            ("SNOWFERRY_QUEUE_URL", &self.services.queue_url()),
            ("SNOWFERRY_PART_MIB", "1"),
            ("SNOWFERRY_LOG", "warn"),
        ];
        let environment: BTreeMap<String, String> = environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Arc::new(Function::new(FunctionOptions {
            name: format!("snowferry-{name}"),
            binary: function_binary(name),
            environment,
            timeout: TIMEOUT,
        }))
    }

    /// Sends what a schedule sends.
    fn schedule(&self, slot: &str) {
        let body = json!({ "connection": "acme" }).to_string();
        self.services.queue.send("acme#0", slot, &body, &Value::Null);
    }

    fn lake(&self) -> BucketDelta {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.s3.endpoint)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "test"))
            .force_path_style(true);
        let client = aws_sdk_s3::Client::from_conf(config.build());
        BucketDelta::new(client, BUCKET, "lake")
    }

    /// Pulls the same tables with the command line, undisturbed, and compares row by row.
    async fn equals_an_undisturbed_run(&self, tables: &[&str]) {
        let quiet = self.stage.run(&["pull", "acme", "--json"]);
        assert!(quiet.status.success(), "{}", show(&quiet));
        let ours = DeltaDatabase::open(self.stage.path().join("snowferry-data/tables")).unwrap();
        for table in tables {
            let undisturbed = rows(&ours, table).await;
            let cloud = rows(&self.lake(), table).await;
            assert!(!undisturbed.is_empty(), "{table} is empty");
            assert_eq!(cloud.len(), undisturbed.len(), "rows of {table}");
            assert!(cloud == undisturbed, "{table} differs");
        }
    }
}

fn acme() -> ConnectionName {
    ConnectionName::new("acme").unwrap()
}

/// The function's binary, beside the command line's.
fn function_binary(name: &str) -> PathBuf {
    let folder = std::env::var_os("SNOWFERRY_FUNCTIONS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| binary().parent().unwrap().to_owned());
    let binary = folder.join(format!("snowferry-fn-{name}"));
    assert!(binary.exists(), "{} is missing: run `cargo build --workspace`", binary.display());
    binary
}

/// All rows of a table as text, sorted.
async fn rows(database: &dyn Database, table: &str) -> Vec<String> {
    let stream = StreamKey { connection: acme(), table: table.parse().unwrap() };
    let mut rows = Vec::new();
    let mut batches = database.scan(&stream).await.unwrap();
    while let Some(batch) = batches.try_next().await.unwrap() {
        let options = FormatOptions::default().with_null("NULL");
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> =
                columns.iter().map(|column| column.value(row).to_string()).collect();
            rows.push(cells.join("|"));
        }
    }
    rows.sort();
    rows
}

/// Kills one delivery in three at a random moment and doubles one in three.
struct Trouble(AtomicU64);

impl Trouble {
    fn new() -> Self {
        let seed = std::env::var("SNOWFERRY_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) | 1);
        println!("SNOWFERRY_SEED={seed} repeats this trouble");
        Self(AtomicU64::new(seed))
    }

    /// A number below `limit`.
    fn below(&self, limit: u64) -> u64 {
        let mut dice = self.0.load(Ordering::Relaxed);
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        self.0.store(dice, Ordering::Relaxed);
        (dice >> 16) % limit
    }
}

impl Mischief for Trouble {
    fn kill_after(&self, _delivery: &Delivery) -> Option<Duration> {
        let whole = u64::try_from(TIMEOUT.as_millis()).unwrap();
        (self.below(3) == 0).then(|| Duration::from_millis(self.below(whole)))
    }

    fn doubles(&self, _delivery: &Delivery) -> bool {
        self.below(3) == 0
    }
}

fn count(answers: &[Answer], wanted: impl Fn(&Answer) -> bool) -> usize {
    answers.iter().filter(|answer| wanted(answer)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backfill_over_many_invocations_killed_and_doubled_equals_an_undisturbed_one() {
    let Some(cloud) = Cloud::start("0.05", TABLES).await else { return };
    let tables =
        ["CRM.PUBLIC.ACCOUNTS", "CRM.PUBLIC.EVENTS", "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM"];
    let slow = json!({ "fault": "delay", "endpoint": "chunk", "millis": 1500, "count": 100_000 });
    cloud.stage.fault(slow).await;
    let function = cloud.function("pull");
    cloud.schedule("first slot");
    let answers = drain(&cloud.services.queue, &function, 3, &Trouble::new()).await.unwrap();
    let killed = count(&answers, |answer| *answer == Answer::Killed);
    println!(
        "{} invocations, {killed} killed, {} timed out, {} cold starts",
        function.invocations(),
        count(&answers, |answer| *answer == Answer::TimedOut),
        function.starts(),
    );
    assert_eq!(cloud.services.queue.dead_letters(), Vec::<String>::new());
    assert!(function.invocations() >= 4, "only {} invocations", function.invocations());
    assert!(cloud.services.queue.sent().len() > 3, "{:?}", cloud.services.queue.sent());
    cloud.equals_an_undisturbed_run(&tables).await;

    // Rows are changed and added; the next slot comes twice.
    cloud
        .stage
        .sql(
            "INSERT INTO CRM.PUBLIC.ACCOUNTS (ID, NAME, UPDATED_AT) VALUES \
             (9007199254740993, 'new', '2026-02-03 04:05:06.789'::TIMESTAMP_NTZ(9));
             UPDATE CRM.PUBLIC.ACCOUNTS SET NAME = 'changed', \
             UPDATED_AT = '2026-02-03 04:05:07'::TIMESTAMP_NTZ(9) WHERE MOD(ID, 50) = 7;",
        )
        .await;
    cloud.schedule("second slot");
    cloud.schedule("second slot, from another schedule");
    drain(&cloud.services.queue, &function, 2, &Peace).await.unwrap();
    cloud.equals_an_undisturbed_run(&tables).await;
    assert_eq!(cloud.s3.store.open_uploads(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_process_that_was_frozen_goes_on_with_the_next_event() {
    let Some(cloud) =
        Cloud::start("0.001", "    - { table: CRM.PUBLIC.ACCOUNTS, mode: full }\n").await
    else {
        return;
    };
    let function = cloud.function("pull");
    let event = json!({ "connection": "acme" });
    for _ in 0..3 {
        let answer = function.invoke(&event).await.unwrap();
        let Answer::Done(report) = answer else { panic!("{answer:?}") };
        assert_eq!(report["tables"][0]["outcome"], "loaded", "{report}");
    }
    assert_eq!((function.invocations(), function.starts()), (3, 1));
    let lines: Vec<Value> =
        function.output().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "one line for each table and run");
    for line in &lines {
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Snowferry");
        assert!(line["Rows"].as_u64().unwrap() > 0 && line["LagSeconds"].is_u64(), "{line}");
    }
    assert_eq!(cloud.services.secrets.reads(), 1, "a secret is kept for some minutes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotated_key_is_read_again_and_a_pending_one_is_tried() {
    let Some(cloud) =
        Cloud::start("0.001", "    - { table: CRM.PUBLIC.ACCOUNTS, mode: full }\n").await
    else {
        return;
    };
    let function = cloud.function("pull");
    let event = json!({ "connection": "acme" });
    // The current version is a key that the user no longer has; the rotation has staged the other.
    let elsewhere = Stage::with_sql("CREATE DATABASE ELSEWHERE;");
    let stale = std::fs::read_to_string(elsewhere.text("private_key_path")).unwrap();
    cloud.put_secret("AWSCURRENT", &stale);
    let refused = function.invoke(&event).await.unwrap();
    let Answer::Failed(told) = refused else { panic!("{refused:?}") };
    assert_eq!(told["errorType"], "SNOWFLAKE_SIGN_IN", "{told}");
    cloud.put_secret("AWSPENDING", &cloud.private_key());
    let pending = function.invoke(&event).await.unwrap();
    assert!(matches!(pending, Answer::Done(_)), "{pending:?}");
    // The rotation is finished: the current version is read anew after one refusal.
    cloud.put_secret("AWSPENDING", &stale);
    cloud.put_secret("AWSCURRENT", &cloud.private_key());
    let current = function.invoke(&event).await.unwrap();
    assert!(matches!(current, Answer::Done(_)), "{current:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_cannot_be_run_is_told_by_its_code() {
    let Some(cloud) =
        Cloud::start("0.001", "    - { table: CRM.PUBLIC.ACCOUNTS, mode: full }\n").await
    else {
        return;
    };
    let function = cloud.function("pull");
    for (event, code) in [
        (json!({ "connection": "acme", "table": "X" }), "EVENT_INVALID"),
        (json!({ "connection": "acme", "tables": ["A.B.C"] }), "EVENT_INVALID"),
        (json!({ "connection": "nobody" }), "CONFIG_NO_CONNECTION"),
    ] {
        let answer = function.invoke(&event).await.unwrap();
        let Answer::Failed(told) = answer else { panic!("{event}: {answer:?}") };
        assert_eq!(told["errorType"], code, "{event}: {told}");
    }
    cloud.documents().set_status(&acme(), Status::Paused).await.unwrap();
    let answers =
        function.invoke_async(&json!({ "connection": "acme" }), Duration::ZERO).await.unwrap();
    assert_eq!(answers.len(), 3, "an asynchronous call is tried three times");
    let Answer::Failed(told) = &answers[2] else { panic!("{answers:?}") };
    assert_eq!(told["errorType"], "CONNECTION_PAUSED", "{told}");
    // From the queue it is worked off: no later delivery would fare better.
    cloud.schedule("slot");
    drain(&cloud.services.queue, &function, 1, &Peace).await.unwrap();
    assert_eq!(cloud.services.queue.dead_letters(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_check_from_the_cloud_tells_all_that_is_wrong() {
    let tables = "    - { table: CRM.PUBLIC.ACCOUNTS, mode: full }
    - { table: CRM.PUBLIC.NOT_THERE, mode: full }\n";
    let Some(cloud) = Cloud::start("0.001", tables).await else { return };
    let answer = cloud.function("check").invoke(&json!({ "connection": "acme" })).await.unwrap();
    let Answer::Done(report) = answer else { panic!("{answer:?}") };
    assert_eq!(report["passed"], false, "{report}");
    let failed: Vec<&Value> = report["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|item| item["verdict"] == "failed")
        .collect();
    assert_eq!(failed.len(), 1, "{report}");
    assert!(failed[0]["subject"].as_str().unwrap().contains("NOT_THERE"), "{report}");
}
