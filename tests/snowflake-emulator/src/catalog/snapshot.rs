//! One consistent state of all tables, as a statement sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::table::Delta;
use super::{Database, Qualified, Relation, Schema, Table, quoted_if_needed};
use crate::engine::{SessionContext, SqlError};
use crate::sql::error::{kind_missing, object_missing};

/// The databases by name.
pub(crate) type Databases = BTreeMap<String, Database>;

/// What is committed at a moment, with the uncommitted changes of the own transaction.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    databases: Arc<Databases>,
    /// After the last commit that is in it, before the first that is not.
    pub(crate) moment_ns: i128,
}

impl Snapshot {
    pub(super) fn new(databases: Arc<Databases>, moment_ns: i128) -> Self {
        Self { databases, moment_ns }
    }

    /// The same with changes that are not committed.
    ///
    /// # Errors
    /// When a changed table is gone or has other columns by now.
    pub(crate) fn with(mut self, deltas: &[Delta]) -> Result<Self, SqlError> {
        if deltas.is_empty() {
            return Ok(self);
        }
        let databases = Arc::make_mut(&mut self.databases);
        for delta in deltas {
            let table = table_mut(databases, delta)?;
            *table = Arc::new(table.with_delta(delta, self.moment_ns)?);
        }
        Ok(self)
    }

    /// The databases.
    pub(crate) fn databases(&self) -> &Databases {
        &self.databases
    }

    /// Reads the databases.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Databases) -> T) -> T {
        look(&self.databases)
    }

    /// When the schema of a name was created, which tells it from every other schema.
    pub(crate) fn schema_ns(&self, name: &Qualified) -> Result<i128, SqlError> {
        find_schema(&self.databases, name).map(|schema| schema.created_ns)
    }

    /// Finds a table or view; a temporary table of the session comes first.
    pub(crate) fn relation(
        &self,
        name: &Qualified,
        session: &SessionContext,
    ) -> Result<Relation, SqlError> {
        let schema = find_schema(&self.databases, name)?;
        let temporary = schema.temporary.get(&(session.session_id, name.name.clone()));
        temporary
            .map(|table| Relation::Table(Arc::clone(table)))
            .or_else(|| schema.relations.get(&name.name).cloned())
            .ok_or_else(|| object_missing(name.shown()))
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

    /// Whether a session has temporary tables.
    pub(crate) fn has_temporary(&self, session_id: u64) -> bool {
        let mut schemas = self.databases.values().flat_map(|database| database.schemas.values());
        schemas.any(|schema| schema.temporary.keys().any(|(owner, _)| *owner == session_id))
    }
}

/// The schema that a name lies in.
pub(super) fn find_schema<'a>(
    databases: &'a Databases,
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

/// The table that a change is for, wherever it was moved or renamed to.
pub(super) fn table_mut<'a>(
    databases: &'a mut Databases,
    delta: &Delta,
) -> Result<&'a mut Arc<Table>, SqlError> {
    let schemas = databases.values_mut().flat_map(|database| database.schemas.values_mut());
    for schema in schemas {
        let permanent = schema.relations.values_mut().filter_map(|relation| match relation {
            Relation::Table(table) => Some(table),
            Relation::View(_) => None,
        });
        let mut tables = permanent.chain(schema.temporary.values_mut());
        if let Some(found) = tables.find(|table| table.id == delta.table) {
            return Ok(found);
        }
    }
    Err(object_missing(&delta.name))
}
