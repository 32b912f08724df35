//! Databases, schemas, tables and views of the one account, and every version of every table.
//!
//! Everything is immutable: a change makes a new catalogue in the place of the old, so a reader
//! that took a [`Snapshot`] keeps one consistent state of all tables for as long as it likes.
//! Readers wait for nobody. A transaction becomes visible by one call of [`Catalog::commit`].
//!
//! **Invariants:** commit times grow strictly, so "as of time T" names exactly one version of each
//! table; a snapshot holds exactly what was committed before its moment.

mod name;
mod snapshot;
mod table;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use name::{Qualified, quoted_if_needed};
pub(crate) use snapshot::{Databases, Snapshot};
pub(crate) use table::{
    ColumnDef, Default, Delta, Identity, Load, Partition, Table, TableKind, Version, schema_of,
};

use crate::engine::{SessionContext, SqlError};
use crate::sql::error::{kind_missing, object_exists, object_missing, shared_database};
use crate::stages::Stages;

/// A stored query.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Changes with CREATE OR REPLACE.
    pub id: u64,
    pub name: String,
    pub created_ns: i128,
    pub comment: Option<String>,
    /// The whole CREATE VIEW statement.
    pub text: String,
    /// The query alone.
    pub query: String,
    /// Names for the query's columns, if the view gives them.
    pub columns: Vec<String>,
}

/// What a name in a schema stands for.
#[derive(Clone, Debug)]
pub(crate) enum Relation {
    Table(Arc<Table>),
    View(Arc<View>),
}

impl Relation {
    /// The name without qualifiers.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Table(table) => &table.name,
            Self::View(view) => &view.name,
        }
    }
}

/// A schema and its relations.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub id: u64,
    pub name: String,
    pub created_ns: i128,
    pub comment: Option<String>,
    pub relations: BTreeMap<String, Relation>,
    /// Temporary tables by session; they hide permanent ones of the same name.
    pub temporary: BTreeMap<(u64, String), Arc<Table>>,
}

/// A database and its schemas.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub id: u64,
    pub name: String,
    pub created_ns: i128,
    pub comment: Option<String>,
    /// Shared by another account: nothing in it can be changed.
    pub shared: bool,
    pub schemas: BTreeMap<String, Schema>,
}

/// The catalogue of the account.
#[derive(Debug, std::default::Default)]
pub(crate) struct Catalog {
    /// Stages and file formats.
    pub(crate) stages: Arc<Stages>,
    databases: RwLock<Arc<Databases>>,
    changes: AtomicU64,
    ids: AtomicU64,
    last_commit_ns: Mutex<i128>,
}

/// What happens when an object of that name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfExists {
    Fail,
    Replace,
    Keep,
}

/// Whether a statement made something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Created {
    Yes,
    Existed,
}

impl Catalog {
    /// A moment after every earlier one: the wall clock, or a nanosecond more than the last.
    pub(crate) fn tick(&self) -> i128 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0));
        let mut last = self.last_commit_ns.lock().unwrap_or_else(PoisonError::into_inner);
        *last = now.max(*last + 1);
        *last
    }

    /// Counts changes of any kind.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// A number that no object had before.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// What is committed now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let databases = self.databases.read().unwrap_or_else(PoisonError::into_inner);
        // The moment is taken while nobody can commit: it divides the commits exactly.
        Snapshot::new(Arc::clone(&databases), self.tick())
    }

    /// Changes the catalogue, or leaves it as it was.
    fn write<T>(
        &self,
        change: impl FnOnce(&mut Databases) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let mut databases = self.databases.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = databases.as_ref().clone();
        let result = change(&mut changed)?;
        *databases = Arc::new(changed);
        self.changes.fetch_add(1, Ordering::SeqCst);
        Ok(result)
    }

    /// Makes the changes of a transaction visible at one moment, which is returned.
    ///
    /// `may_join` tells whether nobody else is rewriting a table, so that its small partitions may
    /// be joined.
    ///
    /// # Errors
    /// When a table is gone or has other columns by now; nothing was changed.
    pub(crate) fn commit(
        &self,
        deltas: &[Delta],
        may_join: impl Fn(u64) -> bool,
    ) -> Result<i128, SqlError> {
        if deltas.is_empty() {
            return Ok(self.tick());
        }
        self.write(|databases| {
            let commit_ns = self.tick();
            for delta in deltas {
                let table = snapshot::table_mut(databases, delta)?;
                let mut changed = table.with_delta(delta, commit_ns)?;
                if may_join(delta.table) {
                    changed.join_small_partitions()?;
                }
                *table = Arc::new(changed);
            }
            Ok(commit_ns)
        })
    }

    /// Makes a database with its schema PUBLIC.
    pub(crate) fn create_database(
        &self,
        name: &str,
        comment: Option<String>,
        if_exists: IfExists,
    ) -> Result<Created, SqlError> {
        let created_ns = self.tick();
        self.write(|databases| {
            if databases.contains_key(name) {
                match if_exists {
                    IfExists::Fail => return Err(object_exists(name)),
                    IfExists::Keep => return Ok(Created::Existed),
                    IfExists::Replace => {}
                }
            }
            let public = empty_schema(self.next_id(), "PUBLIC", (created_ns, None));
            let database = Database {
                id: self.next_id(),
                name: name.to_owned(),
                created_ns,
                comment,
                shared: false,
                schemas: BTreeMap::from([("PUBLIC".to_owned(), public)]),
            };
            databases.insert(name.to_owned(), database);
            Ok(Created::Yes)
        })
    }

    /// Refuses changes of a database from now on, as of one that another account shares.
    pub(crate) fn share_database(&self, name: &str) -> Result<(), SqlError> {
        self.write(|databases| {
            if let Some(found) = databases.get_mut(name) {
                found.shared = true;
            }
            Ok(())
        })
    }

    /// Makes a schema.
    pub(crate) fn create_schema(
        &self,
        database: &str,
        name: &str,
        comment: Option<String>,
        if_exists: IfExists,
    ) -> Result<Created, SqlError> {
        let created_ns = self.tick();
        self.write(|databases| {
            let found = database_mut(databases, database)?;
            if found.schemas.contains_key(name) {
                match if_exists {
                    IfExists::Fail => return Err(object_exists(name)),
                    IfExists::Keep => return Ok(Created::Existed),
                    IfExists::Replace => {}
                }
            }
            found
                .schemas
                .insert(name.to_owned(), empty_schema(self.next_id(), name, (created_ns, comment)));
            Ok(Created::Yes)
        })
    }

    /// Removes a database; false when there was none.
    pub(crate) fn drop_database(&self, name: &str) -> Result<bool, SqlError> {
        self.write(|databases| Ok(databases.remove(name).is_some()))
    }

    /// Removes a schema; false when there was none.
    pub(crate) fn drop_schema(&self, database: &str, name: &str) -> Result<bool, SqlError> {
        self.write(|databases| {
            if !databases.contains_key(database) {
                return Ok(false);
            }
            Ok(database_mut(databases, database)?.schemas.remove(name).is_some())
        })
    }

    /// Renames a database or, with `schema`, a schema.
    pub(crate) fn rename_container(
        &self,
        database: &str,
        schema: Option<&str>,
        to: &str,
    ) -> Result<(), SqlError> {
        self.write(|databases| {
            let Some(schema) = schema else {
                if databases.contains_key(to) {
                    return Err(object_exists(to));
                }
                let mut moved = databases
                    .remove(database)
                    .ok_or_else(|| kind_missing("Database", quoted_if_needed(database)))?;
                to.clone_into(&mut moved.name);
                databases.insert(to.to_owned(), moved);
                return Ok(());
            };
            let found = database_mut(databases, database)?;
            if found.schemas.contains_key(to) {
                return Err(object_exists(to));
            }
            let mut moved = found
                .schemas
                .remove(schema)
                .ok_or_else(|| kind_missing("Schema", quoted_if_needed(schema)))?;
            to.clone_into(&mut moved.name);
            found.schemas.insert(to.to_owned(), moved);
            Ok(())
        })
    }

    /// Puts a relation into its schema.
    pub(crate) fn create_relation(
        &self,
        at: &Qualified,
        relation: Relation,
        session: &SessionContext,
        if_exists: IfExists,
    ) -> Result<Created, SqlError> {
        self.write(|databases| {
            let schema = find_schema_mut(databases, at)?;
            let temporary =
                matches!(&relation, Relation::Table(table) if table.kind == TableKind::Temporary);
            let key = (session.session_id, at.name.clone());
            let exists = if temporary {
                schema.temporary.contains_key(&key)
            } else {
                schema.relations.contains_key(&at.name)
            };
            match (exists, if_exists) {
                (true, IfExists::Fail) => return Err(object_exists(&at.name)),
                (true, IfExists::Keep) => return Ok(Created::Existed),
                _ => {}
            }
            match relation {
                Relation::Table(table) if temporary => {
                    schema.temporary.insert(key, table);
                }
                other => {
                    schema.relations.insert(at.name.clone(), other);
                }
            }
            Ok(Created::Yes)
        })
    }

    /// Puts a changed table in the place of its former self.
    pub(crate) fn replace_table(
        &self,
        at: &Qualified,
        table: Table,
        session: &SessionContext,
    ) -> Result<(), SqlError> {
        self.write(|databases| {
            let schema = find_schema_mut(databases, at)?;
            if table.kind == TableKind::Temporary {
                let key = (session.session_id, at.name.clone());
                schema.temporary.insert(key, Arc::new(table));
            } else {
                schema.relations.insert(at.name.clone(), Relation::Table(Arc::new(table)));
            }
            Ok(())
        })
    }

    /// Removes a relation and returns it.
    pub(crate) fn drop_relation(
        &self,
        at: &Qualified,
        session: &SessionContext,
    ) -> Result<Option<Relation>, SqlError> {
        self.write(|databases| {
            let schema = find_schema_mut(databases, at)?;
            let key = (session.session_id, at.name.clone());
            if let Some(table) = schema.temporary.remove(&key) {
                return Ok(Some(Relation::Table(table)));
            }
            Ok(schema.relations.remove(&at.name))
        })
    }

    /// Drops the temporary tables of a session that ended.
    pub(crate) fn end_session(&self, session_id: u64) -> Result<(), SqlError> {
        self.stages.end_session(session_id);
        if !self.snapshot().has_temporary(session_id) {
            return Ok(());
        }
        self.write(|databases| {
            for schema in databases.values_mut().flat_map(|found| found.schemas.values_mut()) {
                schema.temporary.retain(|(owner, _), _| *owner != session_id);
            }
            Ok(())
        })
    }
}

fn empty_schema(id: u64, name: &str, (created_ns, comment): (i128, Option<String>)) -> Schema {
    Schema {
        id,
        name: name.to_owned(),
        created_ns,
        comment,
        relations: BTreeMap::new(),
        temporary: BTreeMap::new(),
    }
}

fn find_schema_mut<'a>(
    databases: &'a mut Databases,
    name: &Qualified,
) -> Result<&'a mut Schema, SqlError> {
    snapshot::find_schema(databases, name)?;
    let schema = database_mut(databases, &name.database)?.schemas.get_mut(&name.schema);
    schema.ok_or_else(|| object_missing(name.shown()))
}

/// A database of which something will be changed.
fn database_mut<'a>(
    databases: &'a mut Databases,
    name: &str,
) -> Result<&'a mut Database, SqlError> {
    match databases.get_mut(name) {
        None => Err(kind_missing("Database", quoted_if_needed(name))),
        Some(found) if found.shared => Err(shared_database(name)),
        Some(found) => Ok(found),
    }
}
