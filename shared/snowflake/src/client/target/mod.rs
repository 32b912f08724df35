//! [`Target`] over the driver protocol.
//!
//! A staging table is temporary: it needs no privilege but USAGE on its schema, and is gone with
//! its session. Therefore the conversation in which it was made is kept until the rows are applied
//! or given up; when it is lost, so is the staging table, and the engine stages again.

mod inspect;
mod load;
mod transaction;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::push::{Delivery, PushKey, PushManifest, TargetColumn, TargetDescription};
use snowferry_model::state::LedgerPosition;
use tokio::sync::Mutex as AsyncMutex;

use super::SnowflakeClient;
use super::conversation::{Conversation, Done};
use super::sql::push as sql;
use super::sql::{Stage, StageFile, Statement};
use super::statement::About;
use super::upload::{Content, Upload};
use crate::{Applied, FileToUpload, LedgerMove, PartFiles, SnowflakeError, StagedRows, Target};

/// Folder of the user's own stage, which needs no privilege, under which all our files lie.
const STAGE_FOLDER: &str = "snowferry";

/// A customer's account as a push writes to it. Clones share sessions and staging tables.
#[derive(Clone)]
pub struct SnowflakeTarget {
    client: Arc<SnowflakeClient>,
    staged: Arc<Mutex<BTreeMap<String, Staged>>>,
}

/// A staging table and the conversation that it lives in.
#[derive(Clone)]
struct Staged {
    table: TableName,
    conversation: Arc<AsyncMutex<Conversation>>,
}

impl std::fmt::Debug for SnowflakeTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnowflakeTarget").field("client", &self.client).finish_non_exhaustive()
    }
}

impl SnowflakeTarget {
    /// Writes through the client's account and user, in sessions beside the client's own.
    #[must_use]
    pub fn new(client: Arc<SnowflakeClient>) -> Self {
        Self { client, staged: Arc::default() }
    }

    fn staged(&self, rows: &StagedRows) -> Option<Staged> {
        let staged = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        staged.get(&rows.name).cloned()
    }

    fn keep(&self, name: &str, staged: Staged) {
        let mut kept = self.staged.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(name.to_owned(), staged);
    }

    fn forget(&self, name: &str) -> Option<Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner).remove(name)
    }
}

/// Runs one statement about an object.
async fn run(
    conversation: &mut Conversation,
    statement: &Statement,
    object: &str,
) -> Result<Done, SnowflakeError> {
    conversation.execute(statement, About { object }).await
}

/// A staged object as an upload reads it.
struct Part<'a> {
    object: &'a str,
    parts: &'a dyn PartFiles,
}

#[async_trait]
impl Content for Part<'_> {
    async fn read(
        &self,
        range: Range<u64>,
    ) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
        self.parts.read(self.object, range).await
    }
}

/// Reads the 64 hexadecimal digits of a SHA-256.
fn digest(hex: &str) -> Result<[u8; 32], SnowflakeError> {
    let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
    bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).ok_or_else(|| {
        SnowflakeError::Request {
            object: "the digest of a part".to_owned(),
            reason: "it is no SHA-256 in hexadecimal".to_owned(),
        }
    })
}

/// Returns the path of a folder of ours in the user's stage; plain, so that it needs no quoting.
fn stage_folder(prefix: &str) -> Result<String, SnowflakeError> {
    let folder = format!("{STAGE_FOLDER}/{}", prefix.trim_end_matches('/'));
    StageFile::new(Stage::User, &folder, "all")?;
    Ok(format!("@~/{folder}/"))
}

/// Returns a name for a staging table that no other has, in a schema where we may make one.
fn staging_table(manifest: &PushManifest) -> Result<TableName, SnowflakeError> {
    let plan = &manifest.plan;
    let place = match &plan.delivery {
        Delivery::Ledger { table } => table,
        Delivery::NoLedger => &plan.target,
    };
    let name = format!("SNOWFERRY_STAGING_{}", uuid::Uuid::new_v4().simple());
    let table = Identifier::new(name.to_uppercase()).map_err(|error| SnowflakeError::Request {
        object: "a staging table".to_owned(),
        reason: error.to_string(),
    })?;
    Ok(TableName { database: place.database.clone(), schema: place.schema.clone(), table })
}

#[async_trait]
impl Target for SnowflakeTarget {
    async fn inspect(&self, table: &TableName) -> Result<TargetDescription, SnowflakeError> {
        inspect::inspect(&self.client, table).await
    }

    async fn create(
        &self,
        table: &TableName,
        columns: &[TargetColumn],
    ) -> Result<(), SnowflakeError> {
        let name = table.to_string();
        let mut conversation = self.client.converse();
        let created = sql::create_table(table, columns);
        conversation.execute(&created, About { object: &name }).await?;
        conversation.close().await;
        Ok(())
    }

    async fn upload(
        &self,
        file: &FileToUpload,
        parts: &dyn PartFiles,
    ) -> Result<String, SnowflakeError> {
        let (folder, name) = file.file.rsplit_once('/').unwrap_or(("", &file.file));
        let folder = format!("{STAGE_FOLDER}/{folder}");
        let staged = StageFile::new(Stage::User, &folder, name)?;
        let content = Part { object: &file.object, parts };
        let upload = Upload {
            file: &staged,
            size_bytes: file.size_bytes,
            sha256: digest(&file.sha256)?,
            content: &content,
        };
        self.client.upload(&upload).await?;
        Ok(format!("@~/{folder}/{name}"))
    }

    async fn files(&self, prefix: &str) -> Result<BTreeMap<String, String>, SnowflakeError> {
        let folder = stage_folder(prefix)?;
        let mut conversation = self.client.converse();
        let listed = conversation.execute(&sql::list(&folder), About { object: &folder }).await?;
        conversation.close().await;
        let rows = listed.rows;
        let ours = |name: String| {
            // Stages are named in front of the path in some answers, and not in others.
            let at = name.find(&format!("{STAGE_FOLDER}/{prefix}"))?;
            let path = name.get(at..)?.to_owned();
            let file = path.strip_prefix(&format!("{STAGE_FOLDER}/"))?.to_owned();
            Some((file, format!("@~/{path}")))
        };
        Ok(rows.rows.iter().filter_map(|row| ours(rows.get(row, "name")?)).collect())
    }

    async fn remove(&self, prefix: &str) -> Result<(), SnowflakeError> {
        let folder = stage_folder(prefix)?;
        let mut conversation = self.client.converse();
        conversation.execute(&sql::remove(&folder), About { object: &folder }).await?;
        conversation.close().await;
        Ok(())
    }

    async fn ledger(
        &self,
        table: &TableName,
        push: &PushKey,
    ) -> Result<Option<LedgerPosition>, SnowflakeError> {
        let mut conversation = self.client.converse();
        let rows = load::ledger_rows(&mut conversation, table, push).await?;
        conversation.close().await;
        Ok(load::newest(&rows))
    }

    async fn stage(&self, manifest: &PushManifest) -> Result<StagedRows, SnowflakeError> {
        let table = staging_table(manifest)?;
        let mut conversation = self.client.converse();
        let staged = load::stage(&mut conversation, &table, manifest).await?;
        let conversation = Arc::new(AsyncMutex::new(conversation));
        self.keep(&staged.name, Staged { table, conversation });
        Ok(staged)
    }

    async fn apply(
        &self,
        manifest: &PushManifest,
        staged: &StagedRows,
        ledger: Option<&LedgerMove>,
    ) -> Result<Applied, SnowflakeError> {
        let target = manifest.plan.target.to_string();
        let gone = || SnowflakeError::StagingGone { table: target.clone() };
        let kept = self.staged(staged).ok_or_else(gone)?;
        let mut conversation = kept.conversation.lock().await;
        let plan = &manifest.plan;
        if plan.relies_on_files() {
            return load::load_into_target(&mut conversation, manifest).await;
        }
        let applied = load::apply(&mut conversation, &kept.table, manifest, ledger).await;
        if let Err(SnowflakeError::SessionLost { .. }) = applied {
            self.forget(&staged.name);
            return Err(gone());
        }
        applied
    }

    async fn discard(&self, staged: &StagedRows) -> Result<(), SnowflakeError> {
        if let Some(kept) = self.forget(&staged.name)
            && let Ok(conversation) = Arc::try_unwrap(kept.conversation)
        {
            // The staging table goes with its session.
            conversation.into_inner().close().await;
        }
        Ok(())
    }
}
