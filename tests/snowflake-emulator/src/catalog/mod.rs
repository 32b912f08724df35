//! Databases, schemas, tables and views of the one account, and every version of every table.
//!
//! A table is immutable: a change makes a new one with one more version and puts it in the place
//! of the old, so a reader that took a table keeps one consistent snapshot for as long as it
//! likes. Writers are serialised by the engine; readers wait for nobody.
//!
//! **Invariant:** commit times grow strictly, so "as of time T" names exactly one version.

mod name;
mod table;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use name::{Qualified, quoted_if_needed};
pub(crate) use table::{ColumnDef, Default, Table, TableKind, schema_of};

use crate::engine::{SessionContext, SqlError};
use crate::sql::error::{kind_missing, object_exists, object_missing};

/// A stored query.
#[derive(Clone, Debug)]
pub(crate) struct View {
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
    pub name: String,
    pub created_ns: i128,
    pub comment: Option<String>,
    pub schemas: BTreeMap<String, Schema>,
}

/// The catalogue of the account.
#[derive(Debug, std::default::Default)]
pub(crate) struct Catalog {
    databases: RwLock<BTreeMap<String, Database>>,
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

    /// A number that no table had before.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Reads the databases.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&BTreeMap<String, Database>) -> T) -> T {
        look(&self.databases.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Database>) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let mut databases = self.databases.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut databases)?;
        self.changes.fetch_add(1, Ordering::SeqCst);
        Ok(result)
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
            let public = empty_schema("PUBLIC", created_ns, None);
            let database = Database {
                name: name.to_owned(),
                created_ns,
                comment,
                schemas: BTreeMap::from([("PUBLIC".to_owned(), public)]),
            };
            databases.insert(name.to_owned(), database);
            Ok(Created::Yes)
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
            let found = databases
                .get_mut(database)
                .ok_or_else(|| kind_missing("Database", quoted_if_needed(database)))?;
            if found.schemas.contains_key(name) {
                match if_exists {
                    IfExists::Fail => return Err(object_exists(name)),
                    IfExists::Keep => return Ok(Created::Existed),
                    IfExists::Replace => {}
                }
            }
            found.schemas.insert(name.to_owned(), empty_schema(name, created_ns, comment));
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
            let found = databases.get_mut(database);
            Ok(found.is_some_and(|database| database.schemas.remove(name).is_some()))
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
            let found = databases
                .get_mut(database)
                .ok_or_else(|| kind_missing("Database", quoted_if_needed(database)))?;
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

    /// Finds a table or view; a temporary table of the session comes first.
    pub(crate) fn relation(
        &self,
        name: &Qualified,
        session: &SessionContext,
    ) -> Result<Relation, SqlError> {
        self.read(|databases| {
            let schema = find_schema(databases, name)?;
            let temporary = schema.temporary.get(&(session.session_id, name.name.clone()));
            temporary
                .map(|table| Relation::Table(Arc::clone(table)))
                .or_else(|| schema.relations.get(&name.name).cloned())
                .ok_or_else(|| object_missing(name.shown()))
        })
    }

    /// Finds a table.
    pub(crate) fn table(
        &self,
        name: &Qualified,
        session: &SessionContext,
    ) -> Result<Arc<Table>, SqlError> {
        match self.relation(name, session)? {
            Relation::Table(table) => Ok(table),
            Relation::View(_) => Err(kind_missing("Table", name.shown())),
        }
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
        let any = self.read(|databases| {
            let mut schemas = databases.values().flat_map(|database| database.schemas.values());
            schemas.any(|schema| schema.temporary.keys().any(|(owner, _)| *owner == session_id))
        });
        if !any {
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

fn empty_schema(name: &str, created_ns: i128, comment: Option<String>) -> Schema {
    Schema {
        name: name.to_owned(),
        created_ns,
        comment,
        relations: BTreeMap::new(),
        temporary: BTreeMap::new(),
    }
}

fn find_schema<'a>(
    databases: &'a BTreeMap<String, Database>,
    name: &Qualified,
) -> Result<&'a Schema, SqlError> {
    let database = databases
        .get(&name.database)
        .ok_or_else(|| kind_missing("Database", quoted_if_needed(&name.database)))?;
    database.schemas.get(&name.schema).ok_or_else(|| {
        let shown =
            format!("{}.{}", quoted_if_needed(&name.database), quoted_if_needed(&name.schema));
        kind_missing("Schema", shown)
    })
}

fn find_schema_mut<'a>(
    databases: &'a mut BTreeMap<String, Database>,
    name: &Qualified,
) -> Result<&'a mut Schema, SqlError> {
    find_schema(databases, name)?;
    databases
        .get_mut(&name.database)
        .and_then(|database| database.schemas.get_mut(&name.schema))
        .ok_or_else(|| object_missing(name.shown()))
}
