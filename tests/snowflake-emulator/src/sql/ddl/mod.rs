//! CREATE, DROP and ALTER.

mod alter;
mod table;

use std::sync::Arc;

pub(crate) use alter::alter_table;
pub(crate) use table::create_table;

use super::command::ObjectKind;
use super::error::{compile, kind_missing, no_database};
use super::plan::Planning;
use super::rows::Rows;
use super::tokens::Tokens;
use crate::catalog::{Created, IfExists, Qualified, Relation, View, quoted_if_needed};
use crate::engine::{SessionContext, SqlError};

fn created(kind: &str, name: &str, created: Created) -> Rows {
    Rows::status(match created {
        Created::Yes => format!("{kind} {} successfully created.", quoted_if_needed(name)),
        Created::Existed => {
            format!("{} already exists, statement succeeded.", quoted_if_needed(name))
        }
    })
}

/// The database (and schema) that a name of a container means.
fn container(
    kind: ObjectKind,
    name: &[String],
    session: &SessionContext,
) -> Result<(String, Option<String>), SqlError> {
    match (kind, name) {
        (ObjectKind::Database, [database]) => Ok((database.clone(), None)),
        (ObjectKind::Schema, [schema]) => {
            let database = session.database.clone().ok_or_else(no_database)?;
            Ok((database, Some(schema.clone())))
        }
        (ObjectKind::Schema, [database, schema]) => Ok((database.clone(), Some(schema.clone()))),
        _ => Err(compile("001003", "42000", format!("invalid name {}", name.join(".")))),
    }
}

/// CREATE DATABASE or SCHEMA.
pub(crate) fn create_container(
    planning: &Planning<'_>,
    kind: ObjectKind,
    name: &[String],
    if_exists: IfExists,
    comment: Option<String>,
) -> Result<(Rows, String, Option<String>), SqlError> {
    let (database, schema) = container(kind, name, planning.session)?;
    let catalog = planning.catalog;
    match &schema {
        None => planning.authorize_account("CREATE DATABASE", &["SYSADMIN"])?,
        Some(_) => planning.authorize_container(&database, None, "CREATE SCHEMA")?,
    }
    let rows = match &schema {
        None => {
            let made = catalog.create_database(&database, comment, if_exists)?;
            created("Database", &database, made)
        }
        Some(schema) => {
            let made = catalog.create_schema(&database, schema, comment, if_exists)?;
            created("Schema", schema, made)
        }
    };
    planning.created_container(&database, schema.as_deref());
    Ok((rows, database, schema))
}

/// DROP of anything.
pub(crate) fn drop_object(
    planning: &Planning<'_>,
    kind: ObjectKind,
    name: &[String],
    if_exists: bool,
) -> Result<Rows, SqlError> {
    let shown = name.iter().map(|part| quoted_if_needed(part)).collect::<Vec<_>>().join(".");
    let dropped = match kind {
        ObjectKind::Database | ObjectKind::Schema => {
            let (database, schema) = container(kind, name, planning.session)?;
            planning.authorize_container(&database, schema.as_deref(), "OWNERSHIP")?;
            let container = [Some(&database), schema.as_ref()].into_iter().flatten();
            let container = container.cloned().collect::<Vec<_>>().join(".");
            planning.account.network.forget_rules_in(&container);
            match schema {
                None => planning.catalog.drop_database(&database)?,
                Some(schema) => planning.catalog.drop_schema(&database, &schema)?,
            }
        }
        _ => {
            let at = Qualified::resolve(name, planning.session)?;
            match planning.snapshot.relation(&at, planning.session) {
                Ok(relation) => {
                    planning.authorize(&at, &relation, &["OWNERSHIP"])?;
                    let is_view = matches!(relation, Relation::View(_));
                    if is_view != (kind == ObjectKind::View) {
                        let message = format!(
                            "Object found is of type '{}', not specified type '{}'.",
                            if is_view { "VIEW" } else { "TABLE" },
                            if is_view { "TABLE" } else { "VIEW" },
                        );
                        return Err(compile("002203", "02000", message));
                    }
                    planning.catalog.drop_relation(&at, planning.session)?.is_some()
                }
                Err(_) => false,
            }
        }
    };
    let last = name.last().map(|last| quoted_if_needed(last)).unwrap_or_default();
    match (dropped, if_exists) {
        (true, _) => Ok(Rows::status(format!("{last} successfully dropped."))),
        (false, true) => Ok(Rows::status(format!(
            "Drop statement executed successfully ({last} already dropped)."
        ))),
        (false, false) => Err(kind_missing(
            match kind {
                ObjectKind::Database => "Database",
                ObjectKind::Schema => "Schema",
                ObjectKind::View => "View",
                _ => "Table",
            },
            shown,
        )),
    }
}

/// RENAME of a database or schema.
pub(crate) fn rename_container(
    planning: &Planning<'_>,
    kind: ObjectKind,
    name: &[String],
    if_exists: bool,
    to: &[String],
) -> Result<Rows, SqlError> {
    let (database, schema) = container(kind, name, planning.session)?;
    let (to_database, to_schema) = container(kind, to, planning.session)?;
    planning.authorize_container(&database, schema.as_deref(), "OWNERSHIP")?;
    let target = to_schema.as_ref().unwrap_or(&to_database);
    match planning.catalog.rename_container(&database, schema.as_deref(), target) {
        Err(error) if if_exists && error.code == "002003" => {}
        result => result?,
    }
    Ok(Rows::status("Statement executed successfully."))
}

/// CREATE VIEW; the query is compiled first, so that a wrong one is refused now.
pub(crate) fn create_view(
    planning: &Planning<'_>,
    name: &[String],
    if_exists: IfExists,
    view: (Vec<String>, Option<String>, String, Tokens),
) -> Result<Rows, SqlError> {
    let (columns, comment, text, query) = view;
    let at = Qualified::resolve(name, planning.session)?;
    authorize_new(planning, &at, Some("CREATE VIEW"), if_exists)?;
    let compiled = planning.query(&query)?;
    if !columns.is_empty() && columns.len() != compiled.columns.len() {
        let message = format!(
            "Invalid column definition list: {} names for {} columns",
            columns.len(),
            compiled.columns.len()
        );
        return Err(compile("002026", "42601", message));
    }
    let view = View {
        id: planning.catalog.next_id(),
        name: at.name.clone(),
        created_ns: planning.catalog.tick(),
        comment,
        text,
        query: query.source(),
        columns,
    };
    let relation = Relation::View(Arc::new(view));
    let made = planning.catalog.create_relation(&at, relation, planning.session, if_exists)?;
    if made == Created::Yes {
        planning.created(&at);
    }
    Ok(created("View", &at.name, made))
}

/// Refuses to make a table or view without the privilege for it, or in the place of one that the
/// role does not own.
fn authorize_new(
    planning: &Planning<'_>,
    at: &Qualified,
    privilege: Option<&str>,
    if_exists: IfExists,
) -> Result<(), SqlError> {
    planning.authorize_in_schema(at, privilege)?;
    match planning.snapshot.relation(at, planning.session) {
        Ok(old) if if_exists == IfExists::Replace => planning.authorize(at, &old, &["OWNERSHIP"]),
        _ => Ok(()),
    }
}
