//! An account that is written to, in memory: the fake that the push engine is tested on.
//!
//! Tables hold rows as text, every committed content stays readable as a version, and `apply` is a
//! transaction of several steps with a hook before each, so that a harness can fail or stop it in
//! the middle. A transaction whose ledger row was moved by another one is rolled back at its
//! commit: of two transactions from one position, one wins. Clones share the account.
//!
//! [`Flaw`] puts in designs that are known to lose or double rows. They are here so that a harness
//! can prove that it would notice them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use snowferry_model::names::TableName;
use snowferry_model::push::{
    Privilege, PushKey, PushManifest, PushMode, TargetColumn, TargetDescription,
};
use snowferry_model::state::LedgerPosition;

use crate::{Applied, FileToUpload, LedgerMove, PartFiles, SnowflakeError, StagedRows, Target};

mod load;
#[cfg(test)]
mod tests;

/// One row; `None` is NULL.
pub type TextRow = Vec<Option<String>>;

/// The role that [`MemoryTarget`] names.
const ROLE: &str = "PUSHER";

/// Where uploaded files lie.
const STAGE: &str = "@~/";

/// A moment inside `apply`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Before the transaction begins.
    Begin,
    /// The ledger row is moved, not committed.
    LedgerMoved,
    /// Old rows are taken out, not committed.
    OldRowsGone,
    /// New rows are in, not committed.
    NewRowsIn,
    /// Committed; the answer is not yet out.
    Committed,
}

/// A design known to lose or double rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flaw {
    /// The right design.
    #[default]
    None,
    /// The ledger is written without looking at it.
    BlindLedger,
    /// Old rows are taken out in a transaction of their own.
    TwoTransactions,
    /// A statement that defines something stands between the ledger and the rows, and commits.
    DefinitionInside,
    /// A repeated load without a ledger does not look at the load metadata.
    ForcedLoad,
}

type Answer = Pin<Box<dyn Future<Output = Result<(), SnowflakeError>> + Send>>;

/// Called before each step of a transaction; an error ends the session, which rolls back.
pub type Hook = Arc<dyn Fn(Step) -> Answer + Send + Sync>;

/// An account in memory.
#[derive(Clone, Default)]
pub struct MemoryTarget {
    shared: Arc<Mutex<Shared>>,
    hook: Option<Hook>,
    flaw: Flaw,
}

impl std::fmt::Debug for MemoryTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryTarget").field("flaw", &self.flaw).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Shared {
    tables: BTreeMap<TableName, Table>,
    ledgers: BTreeMap<TableName, BTreeMap<PushKey, LedgerPosition>>,
    files: BTreeMap<String, File>,
    uploads: u64,
    staged: BTreeMap<String, Vec<TextRow>>,
    objects_made: u64,
}

/// A file of the stage; the server tells one that was brought again from the one before.
#[derive(Clone)]
struct File {
    body: Bytes,
    version: u64,
}

struct Table {
    kind: String,
    identity: String,
    privileges: Vec<Privilege>,
    columns: Vec<TargetColumn>,
    rows: Vec<TextRow>,
    versions: Vec<Vec<TextRow>>,
    loaded_files: BTreeSet<(String, u64)>,
}

impl MemoryTarget {
    /// Returns the same account behind a hook.
    #[must_use]
    pub fn with_hook(&self, hook: Hook) -> Self {
        Self { hook: Some(hook), ..self.clone() }
    }

    /// Returns the same account written to by a flawed design.
    #[must_use]
    pub fn with_flaw(&self, flaw: Flaw) -> Self {
        Self { flaw, ..self.clone() }
    }

    /// Makes a table, or makes it anew: then it has another identity and no rows.
    pub fn put_table(&self, name: &TableName, kind: &str, columns: Vec<TargetColumn>) {
        let mut shared = self.lock();
        shared.objects_made += 1;
        let table = Table {
            kind: kind.to_owned(),
            identity: format!("object {}", shared.objects_made),
            privileges: vec![Privilege::Ownership],
            columns,
            rows: Vec::new(),
            versions: vec![Vec::new()],
            loaded_files: BTreeSet::new(),
        };
        shared.tables.insert(name.clone(), table);
    }

    /// Makes a ledger table, or makes it anew.
    pub fn put_ledger(&self, name: &TableName) {
        self.lock().ledgers.insert(name.clone(), BTreeMap::new());
    }

    /// Changes the columns of a table, as ALTER TABLE does.
    pub fn alter(&self, name: &TableName, change: impl FnOnce(&mut Vec<TargetColumn>)) {
        if let Some(table) = self.lock().tables.get_mut(name) {
            change(&mut table.columns);
        }
    }

    /// Gives the role these privileges on a table, and no others.
    pub fn grant(&self, name: &TableName, privileges: &[Privilege]) {
        if let Some(table) = self.lock().tables.get_mut(name) {
            table.privileges = privileges.to_vec();
        }
    }

    /// Puts rows of the customer into a table, in one commit.
    pub fn put_rows(&self, name: &TableName, rows: Vec<TextRow>) {
        if let Some(table) = self.lock().tables.get_mut(name) {
            table.rows.extend(rows);
            table.commit();
        }
    }

    /// Ends all sessions: staging tables are gone.
    pub fn end_sessions(&self) {
        self.lock().staged.clear();
    }

    /// Takes away the files that were uploaded.
    pub fn lose_files(&self) {
        self.lock().files.clear();
    }

    /// Returns the names of the files that are there.
    #[must_use]
    pub fn file_names(&self) -> Vec<String> {
        self.lock().files.keys().cloned().collect()
    }

    /// Returns the rows of a table now, in no particular order.
    #[must_use]
    pub fn rows(&self, name: &TableName) -> Vec<TextRow> {
        self.lock().tables.get(name).map(|table| table.rows.clone()).unwrap_or_default()
    }

    /// Returns every content that a reader of a table could have seen, oldest first.
    #[must_use]
    pub fn versions(&self, name: &TableName) -> Vec<Vec<TextRow>> {
        self.lock().tables.get(name).map(|table| table.versions.clone()).unwrap_or_default()
    }

    async fn at(&self, step: Step) -> Result<(), SnowflakeError> {
        match &self.hook {
            Some(hook) => hook(step).await,
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic elsewhere leaves the maps whole: every change below is one step.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn commit(&mut self) {
        self.versions.push(self.rows.clone());
    }
}

impl Shared {
    fn table(&mut self, name: &TableName) -> Result<&mut Table, SnowflakeError> {
        self.tables.get_mut(name).ok_or_else(|| missing(name))
    }
}

/// What a look at a ledger shows of it.
fn ledger_table() -> TargetDescription {
    TargetDescription {
        kind: "TABLE".to_owned(),
        identity: "ledger".to_owned(),
        role: ROLE.to_owned(),
        privileges: vec![Privilege::Ownership],
        rows: None,
        columns: Vec::new(),
    }
}

fn missing(name: &TableName) -> SnowflakeError {
    SnowflakeError::NotFound { object: name.to_string(), role: ROLE.to_owned() }
}

#[async_trait]
impl Target for MemoryTarget {
    async fn inspect(&self, table: &TableName) -> Result<TargetDescription, SnowflakeError> {
        let mut shared = self.lock();
        if shared.ledgers.contains_key(table) {
            return Ok(ledger_table());
        }
        let found = shared.table(table)?;
        Ok(TargetDescription {
            kind: found.kind.clone(),
            identity: found.identity.clone(),
            role: ROLE.to_owned(),
            privileges: found.privileges.clone(),
            rows: Some(found.rows.len() as u64),
            columns: found.columns.clone(),
        })
    }

    async fn create(
        &self,
        table: &TableName,
        columns: &[TargetColumn],
    ) -> Result<(), SnowflakeError> {
        if !self.lock().tables.contains_key(table) {
            self.put_table(table, "TABLE", columns.to_vec());
        }
        Ok(())
    }

    async fn upload(
        &self,
        file: &FileToUpload,
        parts: &dyn PartFiles,
    ) -> Result<String, SnowflakeError> {
        let name = format!("{STAGE}{}", file.file);
        let body = parts.read(&file.object, 0..file.size_bytes).await.map_err(|source| {
            SnowflakeError::Unreachable {
                host: "memory".to_owned(),
                step: format!("upload {}", file.object),
                source,
            }
        })?;
        let mut shared = self.lock();
        shared.uploads += 1;
        let version = shared.uploads;
        shared.files.insert(name.clone(), File { body, version });
        Ok(name)
    }

    async fn files(&self, prefix: &str) -> Result<BTreeMap<String, String>, SnowflakeError> {
        let prefix = format!("{STAGE}{prefix}");
        let shared = self.lock();
        let names = shared.files.keys().filter(|name| name.starts_with(&prefix));
        let ours = |name: &String| Some((name.strip_prefix(STAGE)?.to_owned(), name.clone()));
        Ok(names.filter_map(ours).collect())
    }

    async fn remove(&self, prefix: &str) -> Result<(), SnowflakeError> {
        let prefix = format!("{STAGE}{prefix}");
        self.lock().files.retain(|name, _| !name.starts_with(&prefix));
        Ok(())
    }

    async fn ledger(
        &self,
        table: &TableName,
        push: &PushKey,
    ) -> Result<Option<LedgerPosition>, SnowflakeError> {
        let shared = self.lock();
        let ledger = shared.ledgers.get(table).ok_or_else(|| missing(table))?;
        Ok(ledger.get(push).copied())
    }

    async fn stage(&self, manifest: &PushManifest) -> Result<StagedRows, SnowflakeError> {
        let mut shared = self.lock();
        let rows = load::rows(&shared.files, manifest)?;
        shared.objects_made += 1;
        let name = format!("STAGING_{}", shared.objects_made);
        let staged = load::count(name.clone(), manifest, &rows);
        shared.staged.insert(name, rows);
        Ok(staged)
    }

    async fn apply(
        &self,
        manifest: &PushManifest,
        staged: &StagedRows,
        ledger: Option<&LedgerMove>,
    ) -> Result<Applied, SnowflakeError> {
        let plan = &manifest.plan;
        let gone = || SnowflakeError::StagingGone { table: plan.target.to_string() };
        let rows = self.lock().staged.get(&staged.name).cloned().ok_or_else(gone)?;
        self.at(Step::Begin).await?;
        if plan.relies_on_files() {
            return self.load_into_target(manifest, rows).await;
        }
        self.check_ledger(ledger)?;
        self.at(Step::LedgerMoved).await?;
        if self.flaw == Flaw::DefinitionInside {
            self.lock().commit_ledger(ledger);
        }
        self.at(Step::OldRowsGone).await?;
        if self.flaw == Flaw::TwoTransactions && plan.mode == PushMode::Rewrite {
            let mut shared = self.lock();
            let table = shared.table(&plan.target)?;
            table.rows.clear();
            table.commit();
        }
        self.at(Step::NewRowsIn).await?;
        let replaced = self.commit(manifest, rows, ledger)?;
        self.at(Step::Committed).await?;
        Ok(Applied::Now { replaced: Some(replaced) })
    }

    async fn discard(&self, staged: &StagedRows) -> Result<(), SnowflakeError> {
        self.lock().staged.remove(&staged.name);
        Ok(())
    }
}

impl Shared {
    fn commit_ledger(&mut self, ledger: Option<&LedgerMove>) {
        if let Some(moved) = ledger {
            let rows = self.ledgers.entry(moved.table.clone()).or_default();
            rows.insert(moved.push.clone(), moved.to);
        }
    }
}

impl MemoryTarget {
    /// One load of files, which the table remembers.
    async fn load_into_target(
        &self,
        manifest: &PushManifest,
        rows: Vec<TextRow>,
    ) -> Result<Applied, SnowflakeError> {
        {
            let mut shared = self.lock();
            let mut files = Vec::new();
            for part in &manifest.parts {
                let missing = || SnowflakeError::FileMissing { file: part.file.clone() };
                let file = shared.files.get(&part.file).ok_or_else(missing)?;
                files.push((part.file.clone(), file.version));
            }
            let table = shared.table(&manifest.plan.target)?;
            let all_known = files.iter().all(|file| table.loaded_files.contains(file));
            if self.flaw != Flaw::ForcedLoad && all_known {
                return Ok(Applied::Already);
            }
            load::append(table, manifest, rows)?;
            table.loaded_files.extend(files);
            table.commit();
        }
        self.at(Step::Committed).await?;
        Ok(Applied::Now { replaced: None })
    }

    fn check_ledger(&self, ledger: Option<&LedgerMove>) -> Result<(), SnowflakeError> {
        let Some(moved) = ledger else { return Ok(()) };
        if matches!(self.flaw, Flaw::BlindLedger | Flaw::DefinitionInside) {
            return Ok(());
        }
        let shared = self.lock();
        let rows = shared.ledgers.get(&moved.table).ok_or_else(|| missing(&moved.table))?;
        let found = rows.get(&moved.push).copied();
        if found == moved.from {
            return Ok(());
        }
        let place = |position: Option<LedgerPosition>| match position {
            Some(at) => format!("{}/{}", at.generation, at.sequence),
            None => "no row".to_owned(),
        };
        Err(SnowflakeError::Ledger {
            push: moved.push.to_string(),
            expected: place(moved.from),
            found: place(found),
        })
    }

    /// Moves ledger and rows in one step and returns how many rows gave way.
    fn commit(
        &self,
        manifest: &PushManifest,
        rows: Vec<TextRow>,
        ledger: Option<&LedgerMove>,
    ) -> Result<u64, SnowflakeError> {
        self.check_ledger(ledger)?;
        let mut shared = self.lock();
        let table = shared.table(&manifest.plan.target)?;
        let before = table.rows.clone();
        let replaced = match &manifest.plan.mode {
            PushMode::Append => 0,
            PushMode::Rewrite => std::mem::take(&mut table.rows).len(),
            PushMode::Upsert { key } => load::take_out(table, manifest, key, &rows)?,
        };
        if let Err(error) = load::append(table, manifest, rows) {
            // A transaction that fails takes its deletes back.
            table.rows = before;
            return Err(error);
        }
        table.commit();
        shared.commit_ledger(ledger);
        Ok(replaced as u64)
    }
}
