//! SHOW and DESCRIBE.

mod account;
mod describe;

pub(crate) use account::{locks, transactions};
pub(crate) use describe::describe;

use super::authorize::securable_of;
use super::command::{Container, GrantedOn};
use super::error::{operation_impossible, unsupported};
use super::functions::like_matches;
use super::information::{columns_of, visible};
use super::plan::Planning;
use super::rows::Rows;
use super::value::Value;
use crate::account::Securable;
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

    fn tables(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        let mut rows = Rows::new(vec![
            ("created_on", MOMENT),
            ("name", TEXT),
            ("database_name", TEXT),
            ("schema_name", TEXT),
            ("kind", TEXT),
            ("comment", TEXT),
            ("cluster_by", TEXT),
            ("rows", NUMBER),
            ("bytes", NUMBER),
            ("owner", TEXT),
            ("retention_time", TEXT),
            ("automatic_clustering", TEXT),
            ("change_tracking", TEXT),
            ("is_external", TEXT),
            ("owner_role_type", TEXT),
            ("is_event", TEXT),
            ("is_hybrid", TEXT),
            ("is_iceberg", TEXT),
            ("is_dynamic", TEXT),
        ]);
        let found = self.relations(planning, |database, schema, relation| {
            let Relation::Table(table) = relation else { return None };
            self.wanted(&table.name).then(|| {
                vec![
                    Value::Ltz(table.created_ns),
                    Value::text(&table.name),
                    Value::text(&database.name),
                    Value::text(&schema.name),
                    Value::text(kind_name(table.kind)),
                    Value::text(table.comment.clone().unwrap_or_default()),
                    Value::text(""),
                    Value::integer(table.rows()),
                    Value::integer(table.bytes()),
                    Value::text(planning.owner_shown(&securable_of(relation))),
                    Value::text("1"),
                    Value::text("OFF"),
                    Value::text("OFF"),
                    Value::text("N"),
                    Value::text("ROLE"),
                    Value::text("N"),
                    Value::text("N"),
                    Value::text("N"),
                    Value::text("N"),
                ]
            })
        })?;
        found.into_iter().for_each(|row| rows.push(row));
        Ok(rows)
    }

    fn views(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        let mut rows = Rows::new(vec![
            ("created_on", MOMENT),
            ("name", TEXT),
            ("reserved", TEXT),
            ("database_name", TEXT),
            ("schema_name", TEXT),
            ("owner", TEXT),
            ("comment", TEXT),
            ("text", TEXT),
            ("is_secure", TEXT),
            ("is_materialized", TEXT),
            ("owner_role_type", TEXT),
            ("change_tracking", TEXT),
        ]);
        let found = self.relations(planning, |database, schema, relation| {
            let Relation::View(view) = relation else { return None };
            self.wanted(&view.name).then(|| {
                vec![
                    Value::Ltz(view.created_ns),
                    Value::text(&view.name),
                    Value::text(""),
                    Value::text(&database.name),
                    Value::text(&schema.name),
                    Value::text(planning.owner_shown(&securable_of(relation))),
                    Value::text(view.comment.clone().unwrap_or_default()),
                    Value::text(&view.text),
                    Value::text("false"),
                    Value::text("false"),
                    Value::text("ROLE"),
                    Value::text("OFF"),
                ]
            })
        })?;
        found.into_iter().for_each(|row| rows.push(row));
        Ok(rows)
    }

    fn objects(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        let mut rows = Rows::new(vec![
            ("created_on", MOMENT),
            ("name", TEXT),
            ("database_name", TEXT),
            ("schema_name", TEXT),
            ("kind", TEXT),
            ("comment", TEXT),
            ("rows", NUMBER),
            ("bytes", NUMBER),
            ("owner", TEXT),
        ]);
        let found = self.relations(planning, |database, schema, relation| {
            let (created, kind, comment, counts) = match relation {
                Relation::Table(table) => (
                    table.created_ns,
                    kind_name(table.kind),
                    table.comment.clone(),
                    [Value::integer(table.rows()), Value::integer(table.bytes())],
                ),
                Relation::View(view) => {
                    (view.created_ns, "VIEW", view.comment.clone(), [Value::Null, Value::Null])
                }
            };
            self.wanted(relation.name()).then(|| {
                let [count, bytes] = counts;
                vec![
                    Value::Ltz(created),
                    Value::text(relation.name()),
                    Value::text(&database.name),
                    Value::text(&schema.name),
                    Value::text(kind),
                    Value::text(comment.unwrap_or_default()),
                    count,
                    bytes,
                    Value::text(planning.owner_shown(&securable_of(relation))),
                ]
            })
        })?;
        found.into_iter().for_each(|row| rows.push(row));
        Ok(rows)
    }

    fn schemas(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        let place = self.place(planning)?;
        let mut rows = Rows::new(vec![
            ("created_on", MOMENT),
            ("name", TEXT),
            ("is_default", TEXT),
            ("is_current", TEXT),
            ("database_name", TEXT),
            ("owner", TEXT),
            ("comment", TEXT),
            ("options", TEXT),
            ("retention_time", TEXT),
            ("owner_role_type", TEXT),
        ]);
        let current = (&planning.session.database, &planning.session.schema);
        planning.snapshot.read(|databases| {
            for database in databases.values() {
                if place.database.as_ref().is_some_and(|wanted| *wanted != database.name) {
                    continue;
                }
                if !planning.sees_database(database) {
                    continue;
                }
                let seen = database.schemas.values().filter(|found| planning.sees_schema(found));
                let names = seen.map(|schema| {
                    let owner = planning.owner_shown(&Securable::Schema(schema.id));
                    (schema.name.as_str(), schema.created_ns, schema.comment.clone(), owner)
                });
                let nobody = String::new();
                let information = ("INFORMATION_SCHEMA", database.created_ns, None, nobody);
                for (name, created, comment, owner) in names.chain([information]) {
                    if !self.wanted(name) {
                        continue;
                    }
                    let is_current = current.0.as_deref() == Some(&database.name)
                        && current.1.as_deref() == Some(name);
                    rows.push(vec![
                        Value::Ltz(created),
                        Value::text(name),
                        Value::text("N"),
                        Value::text(if is_current { "Y" } else { "N" }),
                        Value::text(&database.name),
                        Value::text(owner),
                        Value::text(comment.unwrap_or_default()),
                        Value::text(""),
                        Value::text("1"),
                        Value::text("ROLE"),
                    ]);
                }
            }
        });
        Ok(rows)
    }

    fn databases(&self, planning: &Planning<'_>) -> Rows {
        let mut rows = Rows::new(vec![
            ("created_on", MOMENT),
            ("name", TEXT),
            ("is_default", TEXT),
            ("is_current", TEXT),
            ("origin", TEXT),
            ("owner", TEXT),
            ("comment", TEXT),
            ("options", TEXT),
            ("retention_time", TEXT),
            ("kind", TEXT),
        ]);
        planning.snapshot.read(|databases| {
            let seen = databases.values().filter(|found| planning.sees_database(found));
            for database in seen.filter(|database| self.wanted(&database.name)) {
                let current = planning.session.database.as_deref() == Some(&database.name);
                rows.push(vec![
                    Value::Ltz(database.created_ns),
                    Value::text(&database.name),
                    Value::text("N"),
                    Value::text(if current { "Y" } else { "N" }),
                    Value::text(""),
                    Value::text(planning.owner_shown(&Securable::Database(database.id))),
                    Value::text(database.comment.clone().unwrap_or_default()),
                    Value::text(""),
                    Value::text("1"),
                    Value::text("STANDARD"),
                ]);
            }
        });
        rows
    }

    fn columns(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        let mut rows = Rows::new(vec![
            ("table_name", TEXT),
            ("schema_name", TEXT),
            ("column_name", TEXT),
            ("data_type", TEXT),
            ("null?", TEXT),
            ("default", TEXT),
            ("kind", TEXT),
            ("expression", TEXT),
            ("comment", TEXT),
            ("database_name", TEXT),
            ("autoincrement", TEXT),
        ]);
        let found = self.relations(planning, |database, schema, relation| {
            Some((database.name.clone(), schema.name.clone(), relation.clone()))
        })?;
        if found.is_empty() && matches!(self.scope, Scope::Table(_) | Scope::Some(_)) {
            return Err(operation_impossible());
        }
        for (database, schema, relation) in found {
            for column in columns_of(planning, &database, &schema, &relation) {
                if !self.wanted(&column.name) {
                    continue;
                }
                let identity = column.identity.as_ref().and_then(|_| column.default_text());
                rows.push(vec![
                    Value::text(relation.name()),
                    Value::text(&schema),
                    Value::text(&column.name),
                    Value::text(describe::type_json(&column.data_type, column.nullable)),
                    Value::text(if column.nullable { "true" } else { "NOT_NULL" }),
                    Value::text(column.default.as_ref().map_or("", |default| &default.text)),
                    Value::text("COLUMN"),
                    Value::text(""),
                    Value::text(column.comment.clone().unwrap_or_default()),
                    Value::text(&database),
                    Value::text(identity.unwrap_or_default()),
                ]);
            }
        }
        Ok(rows)
    }

    fn primary_keys(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
        let mut rows = Rows::new(vec![
            ("created_on", MOMENT),
            ("database_name", TEXT),
            ("schema_name", TEXT),
            ("table_name", TEXT),
            ("column_name", TEXT),
            ("key_sequence", NUMBER),
            ("constraint_name", TEXT),
            ("rely", TEXT),
            ("comment", TEXT),
        ]);
        let mut seen = false;
        let found = self.relations(planning, |database, schema, relation| {
            seen = true;
            let Relation::Table(table) = relation else { return None };
            let keys = table.primary_key.iter().enumerate().map(|(index, column)| {
                vec![
                    Value::Ltz(table.created_ns),
                    Value::text(&database.name),
                    Value::text(&schema.name),
                    Value::text(&table.name),
                    Value::text(column),
                    Value::integer(i128::try_from(index + 1).unwrap_or(0)),
                    Value::text(format!("SYS_CONSTRAINT_{}", table.id)),
                    Value::text("false"),
                    Value::Null,
                ]
            });
            Some(keys.collect::<Vec<_>>())
        })?;
        if !seen && matches!(self.scope, Scope::Table(_) | Scope::Some(_)) {
            return Err(operation_impossible());
        }
        found.into_iter().flatten().for_each(|row| rows.push(row));
        Ok(rows)
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
