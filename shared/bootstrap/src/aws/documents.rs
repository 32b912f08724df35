//! Stored connections: the text of the connection file, with a version and a status, in the table
//! of states.
//!
//! ```text
//! pk                  sk           attributes
//! connection#{name}   document     body (YAML), version, status: active | paused | closed
//! connection#{name}   done#{task}  what a message asked for and is done; expires
//! ```

use std::path::PathBuf;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use snowferry_model::names::ConnectionName;
use snowferry_model::time::UnixMillis;

use crate::config::{self, Connection};
use crate::error::BootstrapError;

/// How long it is remembered that a message was worked off. A queue keeps a message for two weeks.
const DONE_DAYS: i64 = 15;

/// The sort key of a connection's document.
const DOCUMENT: &str = "document";

/// Whether runs may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Runs start.
    Active,
    /// Runs end at once, until the connection is resumed.
    Paused,
    /// Runs end at once, for good.
    Closed,
}

/// The table, as far as connections and messages are concerned.
#[derive(Clone, Debug)]
pub struct Documents {
    client: Client,
    table: String,
}

impl Documents {
    /// Takes a client and the table's name. Sends nothing.
    #[must_use]
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Stores the text of a connection file and returns its version.
    ///
    /// # Errors
    /// [`BootstrapError::Config`] for a text that is no connection of that name;
    /// [`BootstrapError::Cloud`].
    pub async fn put(&self, name: &ConnectionName, text: &str) -> Result<u64, BootstrapError> {
        config::parse(&place(name), text)?;
        let stored = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", partition(name))
            .key("sk", AttributeValue::S(DOCUMENT.to_owned()))
            .update_expression("SET body = :body, #status = :active ADD version :one")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":body", AttributeValue::S(text.to_owned()))
            .expression_attribute_values(":active", AttributeValue::S("active".to_owned()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(|error| cloud(format!("store the connection {name}"), error))?;
        let version =
            stored.attributes.and_then(|item| item.get("version")?.as_n().ok()?.parse().ok());
        Ok(version.unwrap_or_default())
    }

    /// Pauses, resumes or closes a connection.
    ///
    /// # Errors
    /// [`BootstrapError::Cloud`]; a connection that is not stored is an error as well.
    pub async fn set_status(
        &self,
        name: &ConnectionName,
        status: Status,
    ) -> Result<(), BootstrapError> {
        let word = match status {
            Status::Active => "active",
            Status::Paused => "paused",
            Status::Closed => "closed",
        };
        let updated = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", partition(name))
            .key("sk", AttributeValue::S(DOCUMENT.to_owned()))
            .condition_expression("attribute_exists(pk)")
            .update_expression("SET #status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", AttributeValue::S(word.to_owned()));
        updated
            .send()
            .await
            .map_err(|error| cloud(format!("change the status of {name}"), error))?;
        Ok(())
    }

    /// Reads a stored connection.
    ///
    /// # Errors
    /// - [`BootstrapError::NoConnection`] when there is none of that name.
    /// - [`BootstrapError::Paused`] when it is paused or closed.
    /// - [`BootstrapError::Config`] when this version of the program does not accept it.
    pub async fn connection(&self, name: &ConnectionName) -> Result<Connection, BootstrapError> {
        let step = || format!("read the connection {name}");
        let read = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", partition(name))
            .key("sk", AttributeValue::S(DOCUMENT.to_owned()))
            .consistent_read(true);
        let found = read.send().await.map_err(|error| cloud(step(), error))?;
        let text = |field: &str| {
            let item = found.item.as_ref()?;
            item.get(field)?.as_s().ok().cloned()
        };
        let Some(body) = text("body") else {
            let (name, file, known) = (name.to_string(), place(name), Vec::new());
            return Err(BootstrapError::NoConnection { name, file, known });
        };
        match text("status").as_deref() {
            Some("active") => config::parse(&place(name), &body),
            other => {
                let status = other.unwrap_or("closed").to_owned();
                Err(BootstrapError::Paused { connection: name.to_string(), status })
            }
        }
    }

    /// Returns whether what a message asks for was done before.
    ///
    /// # Errors
    /// [`BootstrapError::Cloud`].
    pub async fn is_done(&self, name: &ConnectionName, task: &str) -> Result<bool, BootstrapError> {
        let read = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", partition(name))
            .key("sk", done(task))
            .consistent_read(true);
        let found =
            read.send().await.map_err(|error| cloud(format!("look for task {task}"), error))?;
        Ok(found.item.is_some())
    }

    /// Notes that what a message asked for is done.
    ///
    /// # Errors
    /// [`BootstrapError::Cloud`].
    pub async fn set_done(
        &self,
        name: &ConnectionName,
        task: &str,
        now: UnixMillis,
    ) -> Result<(), BootstrapError> {
        let expires_at = now.0 / 1000 + DONE_DAYS * 86_400;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", partition(name))
            .item("sk", done(task))
            .item("expires_at", AttributeValue::N(expires_at.to_string()));
        put.send().await.map_err(|error| cloud(format!("note that task {task} is done"), error))?;
        Ok(())
    }
}

/// Names a stored connection in messages, as if it lay in a file.
fn place(name: &ConnectionName) -> PathBuf {
    PathBuf::from(format!("stored/{name}.yaml"))
}

fn partition(name: &ConnectionName) -> AttributeValue {
    AttributeValue::S(format!("connection#{name}"))
}

fn done(task: &str) -> AttributeValue {
    AttributeValue::S(format!("done#{task}"))
}

/// Keeps the code and the message of an answer; the SDK's own form may print whole headers.
pub(super) fn cloud<E>(step: String, error: aws_sdk_dynamodb::error::SdkError<E>) -> BootstrapError
where
    E: std::error::Error + aws_sdk_dynamodb::error::ProvideErrorMetadata + Send + Sync + 'static,
{
    use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
    let source = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("AWS answered {code}: {message}").into(),
        (Some(code), None) => format!("AWS answered {code}").into(),
        (None, _) => error.into(),
    };
    BootstrapError::Cloud { step, source }
}
