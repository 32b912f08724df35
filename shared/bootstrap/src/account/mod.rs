//! A customer's account as `check` and `discover` see it, and the client that stands for it.

use async_trait::async_trait;
use serde::Serialize;
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::types::TableDescription;
use snowferry_snowflake::SnowflakeError;

mod client;

pub(crate) use client::{client, key_pair};

/// What a session says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionFacts {
    /// The server's version.
    pub version: String,
    /// The region, as far as the server tells.
    pub region: Option<String>,
    /// The user that is signed in.
    pub user: Option<String>,
    /// The role in effect.
    pub role: Option<String>,
    /// The warehouse in effect.
    pub warehouse: Option<String>,
    /// How far this machine's clock is ahead of the server's, to the second; negative when it is
    /// behind; `None` when the server does not tell its time.
    pub clock_ahead_ms: Option<i64>,
}

/// One table or view that the role can see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedTable {
    /// Its name.
    pub table: TableName,
    /// `TABLE`, `VIEW`, … as Snowflake says.
    pub kind: String,
    /// Rows, where Snowflake knows them without a scan.
    pub rows: Option<u64>,
    /// Bytes at the source, where Snowflake knows them.
    pub size_bytes: Option<u64>,
}

/// A customer's account. Nothing here reads a row or changes anything.
#[async_trait]
pub trait Account: Send + Sync {
    /// Signs in and returns what the session says about itself.
    ///
    /// # Errors
    /// Everything that can keep a user out.
    async fn facts(&self) -> Result<SessionFacts, SnowflakeError>;

    /// Lists tables and views whose `DATABASE.SCHEMA.TABLE`, or the end of it from a dot on,
    /// matches a pattern in which `*` stands for any text, whatever the case.
    ///
    /// # Errors
    /// As a statement's.
    async fn tables(&self, pattern: &str) -> Result<Vec<ListedTable>, SnowflakeError>;

    /// Returns a table's kind, identity and columns, as the connection selects them.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`] when it is missing or the role may not see it.
    async fn describe(&self, table: &TableName) -> Result<TableDescription, SnowflakeError>;

    /// As [`Account::describe`], whatever the connection selects.
    ///
    /// # Errors
    /// As there.
    async fn describe_whole(&self, table: &TableName) -> Result<TableDescription, SnowflakeError>;

    /// Compiles a SELECT of these columns without running it.
    ///
    /// # Errors
    /// What keeps the role from reading.
    async fn may_select(
        &self,
        table: &TableName,
        columns: &[Identifier],
    ) -> Result<(), SnowflakeError>;
}
