//! SHOW of databases, schemas, tables, views, columns and keys.

use super::{MOMENT, NUMBER, Scope, Show, TEXT, describe, kind_name};
use crate::account::Securable;
use crate::catalog::Relation;
use crate::engine::SqlError;
use crate::sql::authorize::securable_of;
use crate::sql::error::operation_impossible;
use crate::sql::information::columns_of;
use crate::sql::plan::Planning;
use crate::sql::rows::Rows;
use crate::sql::value::Value;

impl Show {
    pub(super) fn tables(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
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

    pub(super) fn views(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
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

    pub(super) fn objects(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
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

    pub(super) fn schemas(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
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

    pub(super) fn databases(&self, planning: &Planning<'_>) -> Rows {
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

    pub(super) fn columns(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
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

    pub(super) fn primary_keys(&self, planning: &Planning<'_>) -> Result<Rows, SqlError> {
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
