//! SHOW and DESCRIBE.

mod account;
mod catalog;
mod describe;

pub(crate) use account::{aborted, locks, transactions};
pub(crate) use describe::describe;

use super::command::{Container, GrantedOn};
use super::error::{operation_impossible, unsupported};
use super::functions::like_matches;
use super::information::visible;
use super::plan::Planning;
use super::rows::Rows;
use crate::catalog::{Database, Qualified, Relation, Schema, TableKind};
use crate::engine::SqlError;
use crate::types::SnowType;

const TEXT: SnowType = SnowType::TEXT;
const NUMBER: SnowType = SnowType::Number { precision: 38, scale: 0 };
const MOMENT: SnowType = SnowType::TimestampLtz { scale: 3 };

/// What SHOW lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShowKind {
    Tables,
    Views,
    Objects,
    Schemas,
    Databases,
    Columns,
    PrimaryKeys,
    Warehouses,
    Roles,
    Parameters,
    Grants,
    Transactions,
    Locks,
    Users,
    NetworkPolicies,
}

/// Where SHOW looks.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// The current schema or database, or the account without one.
    Current,
    Account,
    Database(Option<Vec<String>>),
    Schema(Option<Vec<String>>),
    Table(Vec<String>),
    /// A name of which the kind follows from what is shown.
    Some(Vec<String>),
    /// SHOW GRANTS TO USER.
    User(String),
    /// SHOW GRANTS OF ROLE.
    OfRole(String),
    /// SHOW GRANTS ON an object.
    On(GrantedOn),
    /// SHOW FUTURE GRANTS IN a schema or database.
    Future(Container, Vec<String>),
}

/// A SHOW statement.
#[derive(Clone, Debug)]
pub(crate) struct Show {
    pub kind: ShowKind,
    pub scope: Scope,
    /// Matches without regard to case.
    pub like: Option<String>,
    pub starts_with: Option<String>,
    pub limit: Option<u64>,
    /// Names after this one.
    pub from: Option<String>,
}

/// The databases, schemas and relation to look into.
struct Place {
    database: Option<String>,
    schema: Option<String>,
    table: Option<String>,
}

impl Show {
    pub(crate) fn new(kind: ShowKind) -> Self {
        Self { kind, scope: Scope::Current, like: None, starts_with: None, limit: None, from: None }
    }

    /// The rows.
    pub(crate) fn run(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        let mut rows = match self.kind {
            ShowKind::Tables => self.tables(planning)?,
            ShowKind::Views => self.views(planning)?,
            ShowKind::Objects => self.objects(planning)?,
            ShowKind::Schemas => self.schemas(planning)?,
            ShowKind::Databases => self.databases(planning),
            ShowKind::Columns => self.columns(planning)?,
            ShowKind::PrimaryKeys => self.primary_keys(planning)?,
            ShowKind::Warehouses => self.warehouses(planning),
            ShowKind::Roles => self.roles(planning),
            ShowKind::Parameters => self.parameters(planning),
            ShowKind::Grants => self.grants(planning)?,
            ShowKind::Users => self.users(planning)?,
            ShowKind::NetworkPolicies => self.network_policies(planning)?,
            // Not in the catalogue: the engine answers them.
            ShowKind::Transactions | ShowKind::Locks => {
                return Err(unsupported("this SHOW here"));
            }
        };
        if let Some(limit) = self.limit {
            rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(rows)
    }

    fn wanted(&self, name: &str) -> bool {
        let like = self.like.as_ref().is_none_or(|pattern| {
            like_matches(&name.to_lowercase(), &pattern.to_lowercase(), Some('\\'))
        });
        let starts = self.starts_with.as_ref().is_none_or(|start| name.starts_with(start.as_str()));
        let after = self.from.as_ref().is_none_or(|from| name > from.as_str());
        like && starts && after
    }

    /// Resolves the scope against the session and checks that it exists.
    fn place(&self, planning: &Planning<'_>) -> Result<Place, SqlError> {
        let session = planning.session;
        let (database, schema, table) = match &self.scope {
            Scope::Account => (None, None, None),
            Scope::Current => (session.database.clone(), session.schema.clone(), None),
            Scope::Database(None) => (session.database.clone(), None, None),
            Scope::Database(Some(name)) => (name.last().cloned(), None, None),
            Scope::Schema(None) => (session.database.clone(), session.schema.clone(), None),
            Scope::Schema(Some(name)) => schema_name(name, planning),
            Scope::Some(name) if matches!(self.kind, ShowKind::Columns | ShowKind::PrimaryKeys) => {
                table_name(name, planning)?
            }
            Scope::Some(name) if self.kind == ShowKind::Schemas => {
                (name.last().cloned(), None, None)
            }
            Scope::Some(name) => schema_name(name, planning),
            Scope::Table(name) => table_name(name, planning)?,
            Scope::User(_) | Scope::OfRole(_) | Scope::On(_) | Scope::Future(..) => {
                (None, None, None)
            }
        };
        let place = Place { database, schema, table };
        planning.snapshot.read(|databases| {
            let Some(name) = &place.database else { return Ok(()) };
            let database = databases.get(name).filter(|found| planning.sees_database(found));
            let database = database.ok_or_else(operation_impossible)?;
            let Some(schema) = &place.schema else { return Ok(()) };
            let inner = database.schemas.get(schema).filter(|found| planning.sees_schema(found));
            inner.map(|_| ()).ok_or_else(operation_impossible)
        })?;
        Ok(place)
    }

    fn relations<T>(
        &self,
        planning: &Planning<'_>,
        mut each: impl FnMut(&Database, &Schema, &Relation) -> Option<T>,
    ) -> Result<Vec<T>, SqlError> {
        let place = self.place(planning)?;
        Ok(planning.snapshot.read(|databases| {
            let mut found = Vec::new();
            for database in databases.values() {
                if place.database.as_ref().is_some_and(|wanted| *wanted != database.name) {
                    continue;
                }
                if !planning.sees_database(database) {
                    continue;
                }
                for schema in database.schemas.values().filter(|found| planning.sees_schema(found))
                {
                    if place.schema.as_ref().is_some_and(|wanted| *wanted != schema.name) {
                        continue;
                    }
                    for relation in visible(planning, schema) {
                        if place.table.as_ref().is_some_and(|name| name != relation.name()) {
                            continue;
                        }
                        found.extend(each(database, schema, &relation));
                    }
                }
            }
            found
        }))
    }
}

fn schema_name(
    name: &[String],
    planning: &Planning<'_>,
) -> (Option<String>, Option<String>, Option<String>) {
    match name {
        [database, schema] => (Some(database.clone()), Some(schema.clone()), None),
        // A lone name is a schema of the current database, or else a database.
        [one] => {
            let current = planning.session.database.clone();
            let is_schema = current.as_ref().is_some_and(|database| {
                planning.snapshot.read(|databases| {
                    databases.get(database).is_some_and(|found| found.schemas.contains_key(one))
                })
            });
            if is_schema {
                (current, Some(one.clone()), None)
            } else {
                (Some(one.clone()), None, None)
            }
        }
        _ => (None, None, None),
    }
}

/// Database, schema and name as far as they are given.
type NameParts = (Option<String>, Option<String>, Option<String>);

fn table_name(name: &[String], planning: &Planning<'_>) -> Result<NameParts, SqlError> {
    let at = Qualified::resolve(name, planning.session)?;
    Ok((Some(at.database), Some(at.schema), Some(at.name)))
}

fn kind_name(kind: TableKind) -> &'static str {
    match kind {
        TableKind::Permanent => "TABLE",
        TableKind::Transient => "TRANSIENT",
        TableKind::Temporary => "TEMPORARY",
    }
}
