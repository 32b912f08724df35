//! AWS and a Snowflake on this machine, with a connection that is stored.

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
use snowferry_bootstrap::aws::documents::Documents;
use snowferry_checkpoint::dynamodb::DynamoCheckpoint;
use snowferry_database::Database;
use snowferry_database::delta::DeltaDatabase;
use snowferry_database::delta::bucket::BucketDelta;
use snowferry_lambda_emulator::source::Mischief;
use snowferry_lambda_emulator::stack::{self, BUCKET, TABLE};
use snowferry_lambda_emulator::{Answer, Function, FunctionOptions};
use snowferry_model::names::ConnectionName;
use snowferry_model::state::StreamKey;

use crate::stage::{Stage, binary, show};

/// How long an invocation may take: 900 s in AWS.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(8);

/// Enough for an invocation that nothing disturbs, on a busy machine too.
pub(crate) const PEACEFUL: Duration = Duration::from_secs(120);

/// Longer than an invocation, so that a killed worker's lease is over: 960 s in AWS.
const VISIBILITY: Duration = Duration::from_millis(8500);

/// AWS on this machine, and a Snowflake beside it.
pub(crate) struct Cloud {
    pub(crate) stage: Stage,
    pub(crate) s3: FakeS3,
    dynamodb: DynamoLocal,
    pub(crate) services: FakeServices,
}

impl Cloud {
    /// Starts everything and stores the connection `acme`; `None` without DynamoDB Local.
    pub(crate) async fn start(tpch_scale: &str, tables: &str) -> Option<Self> {
        let dynamodb = DynamoLocal::start().await.unwrap()?;
        dynamodb.create_table(TABLE).await.unwrap();
        Self::beside(dynamodb, Stage::with_samples(tpch_scale), tables).await
    }

    /// The same with what `sql` makes at the source.
    pub(crate) async fn with_sql(sql: &str, tables: &str) -> Option<Self> {
        let dynamodb = DynamoLocal::start().await.unwrap()?;
        dynamodb.create_table(TABLE).await.unwrap();
        Self::beside(dynamodb, Stage::with_sql(sql), tables).await
    }

    async fn beside(dynamodb: DynamoLocal, stage: Stage, tables: &str) -> Option<Self> {
        stage.connect(tables);
        let s3 = FakeS3::start(&[BUCKET], 0).await.unwrap();
        let services = FakeServices::start(FifoQueue::new(VISIBILITY, 20)).await.unwrap();
        let cloud = Self { stage, s3, dynamodb, services };
        let file = cloud.stage.path().join("connections/acme.yaml");
        let text = std::fs::read_to_string(file).unwrap();
        cloud.documents().replace(&acme(), None, &text).await.unwrap();
        cloud.put_secret("AWSCURRENT", &cloud.private_key());
        Some(cloud)
    }

    pub(crate) fn documents(&self) -> Documents {
        Documents::new(self.dynamodb.client(), TABLE)
    }

    /// Puts a text into the place of the stored connection's that is no connection.
    pub(crate) async fn spoil_stored_text(&self) {
        let client = self.dynamodb.client();
        let items = client.scan().table_name(TABLE).send().await.unwrap().items.unwrap();
        let item = items.iter().find(|item| item["sk"].as_s().unwrap() == "document").unwrap();
        let update = client.update_item().table_name(TABLE);
        let update = update.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
        update.update_expression("SET body = sk").send().await.unwrap();
    }

    pub(crate) fn dynamodb_endpoint(&self) -> &str {
        &self.dynamodb.endpoint
    }

    pub(crate) fn private_key(&self) -> String {
        std::fs::read_to_string(self.stage.text("private_key_path")).unwrap()
    }

    /// Stores a key of another connection under the name that the function will ask for.
    pub(crate) fn put_secret_of(&self, connection: &str, version: &str, text: &str) {
        let file = Path::new(self.stage.text("private_key_path")).file_name().unwrap();
        let name = format!("snowferry/{connection}/{}", file.to_str().unwrap());
        self.services.secrets.put(&name, version, text);
    }

    /// The table of states.
    pub(crate) fn checkpoint(&self) -> DynamoCheckpoint {
        DynamoCheckpoint::new(self.dynamodb.client(), TABLE)
    }

    /// Stores the connection's key under the name that the function will ask for.
    pub(crate) fn put_secret(&self, version: &str, text: &str) {
        self.put_secret_of("acme", version, text);
    }

    pub(crate) fn function(&self, name: &str) -> Arc<Function> {
        self.function_within(name, TIMEOUT)
    }

    /// The same with another time for each invocation.
    pub(crate) fn function_within(&self, name: &str, timeout: Duration) -> Arc<Function> {
        let common = stack::environment(&self.s3, &self.dynamodb, &self.services);
        let mut environment = stack::function_environment(&common, &self.services);
        environment.insert("SNOWFERRY_PART_MIB".to_owned(), "1".to_owned());
        Arc::new(Function::new(FunctionOptions {
            name: format!("snowferry-{name}"),
            binary: function_binary(name),
            environment,
            timeout,
        }))
    }

    /// Sends what a schedule sends.
    pub(crate) fn schedule(&self, slot: &str) {
        let body = json!({ "connection": "acme" }).to_string();
        self.services.queue.send("acme#0", slot, &body, &Value::Null);
    }

    pub(crate) fn lake(&self) -> BucketDelta {
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
    pub(crate) async fn equals_an_undisturbed_run(&self, tables: &[&str]) {
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

pub(crate) fn acme() -> ConnectionName {
    ConnectionName::new("acme").unwrap()
}

/// The function's binary, beside the command line's.
pub(crate) fn function_binary(name: &str) -> PathBuf {
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
pub(crate) struct Trouble(AtomicU64);

impl Trouble {
    pub(crate) fn new() -> Self {
        let seed = std::env::var("SNOWFERRY_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) | 1);
        println!("SNOWFERRY_SEED={seed} repeats this trouble");
        Self(AtomicU64::new(seed))
    }

    /// A number below `limit`.
    pub(crate) fn below(&self, limit: u64) -> u64 {
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

    fn ended(&self, _delivery: &Delivery) {}
}

/// Counts the answers of a kind.
pub(crate) fn count(answers: &[Answer], wanted: impl Fn(&Answer) -> bool) -> usize {
    answers.iter().filter(|answer| wanted(answer)).count()
}
