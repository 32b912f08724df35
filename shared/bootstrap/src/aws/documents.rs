//! Stored connections: the text of the connection file, with a version and a status, in the table
//! of states.
//!
//! ```text
//! pk                  sk           attributes
//! connection#{name}   document     body (YAML), version, status: active | paused | closed
//! connection#{name}   document-vN  an earlier body, by its version
//! connection#{name}   done#{task}  what a message asked for and is done; expires
//! ```

use std::path::PathBuf;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use snowferry_model::names::ConnectionName;
use snowferry_model::time::UnixMillis;

use super::failure::cloud;
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

impl Status {
    /// Returns the status as it is stored.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Closed => "closed",
        }
    }

    /// What is not understood runs nothing.
    fn of(word: Option<&str>) -> Self {
        match word {
            Some("active") => Self::Active,
            Some("paused") => Self::Paused,
            _ => Self::Closed,
        }
    }
}

/// A connection as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredConnection {
    /// The text of its file.
    pub body: String,
    /// Counts the texts.
    pub version: u64,
    /// Whether its runs may start.
    pub status: Status,
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

    /// Stores the text of a connection file in the place of what was read, and returns its version.
    /// A paused connection stays paused, a closed one is opened.
    ///
    /// # Errors
    /// [`BootstrapError::Config`] for a text that is no connection of that name;
    /// [`BootstrapError::Changed`] when another text was stored meanwhile, or the connection was
    /// paused, resumed or closed; [`BootstrapError::Cloud`].
    pub async fn replace(
        &self,
        name: &ConnectionName,
        stored: Option<&StoredConnection>,
        text: &str,
    ) -> Result<u64, BootstrapError> {
        config::parse(&place(name), text)?;
        if let Some(stored) = stored {
            self.keep_version(name, stored).await?;
        }
        let version = stored.map_or(0, |stored| stored.version).saturating_add(1);
        let status = match stored.map(|stored| stored.status) {
            Some(Status::Paused) => Status::Paused,
            _ => Status::Active,
        };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", partition(name))
            .key("sk", AttributeValue::S(DOCUMENT.to_owned()))
            .update_expression("SET body = :body, #status = :status, version = :version")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":body", AttributeValue::S(text.to_owned()))
            .expression_attribute_values(":status", AttributeValue::S(status.word().to_owned()))
            .expression_attribute_values(":version", AttributeValue::N(version.to_string()));
        let update = match stored {
            None => update.condition_expression("attribute_not_exists(pk)"),
            // A status changes without a new version; what was seen of both must still be so.
            Some(StoredConnection { version, status, .. }) => update
                .condition_expression("version = :before AND #status = :seen")
                .expression_attribute_values(":before", AttributeValue::N(version.to_string()))
                .expression_attribute_values(":seen", AttributeValue::S(status.word().to_owned())),
        };
        let Err(error) = update.send().await else { return Ok(version) };
        // An answer may have been lost before a retry that was refused: ours may be there.
        match self.stored(name).await? {
            Some(now) if now.version == version && now.body == text => Ok(version),
            _ if is_refused(&error) => Err(BootstrapError::Changed { name: name.to_string() }),
            _ => Err(cloud(format!("store the connection {name}"), error)),
        }
    }

    /// Keeps a text that is about to be replaced, by its version. All writers of one version write
    /// the same.
    async fn keep_version(
        &self,
        name: &ConnectionName,
        stored: &StoredConnection,
    ) -> Result<(), BootstrapError> {
        let sk = format!("{DOCUMENT}-v{:08}", stored.version);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", partition(name))
            .item("sk", AttributeValue::S(sk))
            .item("body", AttributeValue::S(stored.body.clone()))
            .item("version", AttributeValue::N(stored.version.to_string()));
        let step = || format!("keep version {} of the connection {name}", stored.version);
        put.send().await.map_err(|error| cloud(step(), error))?;
        Ok(())
    }

    /// Reads what is stored of a connection, whatever its status; `None` when there is nothing.
    ///
    /// # Errors
    /// [`BootstrapError::Cloud`].
    pub async fn stored(
        &self,
        name: &ConnectionName,
    ) -> Result<Option<StoredConnection>, BootstrapError> {
        let read = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", partition(name))
            .key("sk", AttributeValue::S(DOCUMENT.to_owned()))
            .consistent_read(true);
        let found = read
            .send()
            .await
            .map_err(|error| cloud(format!("read the connection {name}"), error))?;
        let Some(item) = found.item else { return Ok(None) };
        let text = |field: &str| item.get(field).and_then(|value| value.as_s().ok());
        let Some(body) = text("body") else { return Ok(None) };
        let version = item.get("version").and_then(|value| value.as_n().ok()?.parse().ok());
        Ok(Some(StoredConnection {
            body: body.clone(),
            version: version.unwrap_or(0),
            status: Status::of(text("status").map(String::as_str)),
        }))
    }

    /// Pauses, resumes or closes a connection. A closed one stays closed.
    ///
    /// # Errors
    /// - [`BootstrapError::NoConnection`] when there is none of that name.
    /// - [`BootstrapError::Paused`] when it is closed and is not to be.
    /// - [`BootstrapError::Cloud`].
    pub async fn set_status(
        &self,
        name: &ConnectionName,
        status: Status,
    ) -> Result<(), BootstrapError> {
        let word = |status: Status| AttributeValue::S(status.word().to_owned());
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", partition(name))
            .key("sk", AttributeValue::S(DOCUMENT.to_owned()))
            .update_expression("SET #status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", word(status));
        let update = match status {
            Status::Closed => update.condition_expression("attribute_exists(pk)"),
            // Named one by one, so that a status which is not understood is left alone.
            Status::Active | Status::Paused => update
                .condition_expression("#status IN (:active, :paused)")
                .expression_attribute_values(":active", word(Status::Active))
                .expression_attribute_values(":paused", word(Status::Paused)),
        };
        match update.send().await {
            Ok(_) => Ok(()),
            Err(error) if is_refused(&error) => match self.stored(name).await? {
                None => Err(no_connection(name)),
                Some(_) => Err(at_rest(name, Status::Closed)),
            },
            Err(error) => Err(cloud(format!("change the status of {name}"), error)),
        }
    }

    /// Reads a stored connection.
    ///
    /// # Errors
    /// - [`BootstrapError::NoConnection`] when there is none of that name.
    /// - [`BootstrapError::Paused`] when it is paused or closed.
    /// - [`BootstrapError::Config`] when this version of the program does not accept it.
    pub async fn connection(&self, name: &ConnectionName) -> Result<Connection, BootstrapError> {
        let stored = self.stored(name).await?.ok_or_else(|| no_connection(name))?;
        match stored.status {
            Status::Active => config::parse(&place(name), &stored.body),
            other => Err(at_rest(name, other)),
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
pub(super) fn place(name: &ConnectionName) -> PathBuf {
    PathBuf::from(format!("stored/{name}.yaml"))
}

/// Says that a stack has no connection of that name.
pub(super) fn no_connection(name: &ConnectionName) -> BootstrapError {
    BootstrapError::NoConnection { name: name.to_string(), file: None, known: Vec::new() }
}

/// Says that a connection's runs do not start.
fn at_rest(name: &ConnectionName, status: Status) -> BootstrapError {
    let (connection, status) = (name.to_string(), status.word().to_owned());
    BootstrapError::Paused { connection, status }
}

fn partition(name: &ConnectionName) -> AttributeValue {
    AttributeValue::S(format!("connection#{name}"))
}

fn done(task: &str) -> AttributeValue {
    AttributeValue::S(format!("done#{task}"))
}

/// Returns whether a condition did not hold.
fn is_refused(
    error: &aws_sdk_dynamodb::error::SdkError<
        aws_sdk_dynamodb::operation::update_item::UpdateItemError,
    >,
) -> bool {
    error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception())
}
