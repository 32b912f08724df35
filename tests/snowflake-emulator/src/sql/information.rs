//! INFORMATION_SCHEMA: the catalogue of one database as tables.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::authorize::securable_of;
use super::error::{kind_missing, object_missing};
use super::plan::Planning;
use super::rows::{Rows, optional};
use super::value::Value;
use crate::account::Securable;
use crate::catalog::{
    ColumnDef, Database, Qualified, Relation, Schema, Table, TableKind, quoted_if_needed,
};
use crate::engine::SqlError;
use crate::types::SnowType;

/// The name of the schema that every database has.
pub(crate) const SCHEMA: &str = "INFORMATION_SCHEMA";

const NUMBER: SnowType = SnowType::Number { precision: 38, scale: 0 };
const TEXT: SnowType = SnowType::TEXT;
/// Moments of the catalogue are shown to milliseconds.
const MOMENT: SnowType = SnowType::TimestampLtz { scale: 3 };

/// A table of INFORMATION_SCHEMA as a query scans it.
pub(crate) fn table(
    planning: &Planning<'_>,
    at: &Qualified,
) -> Result<Arc<dyn TableProvider>, SqlError> {
    let databases = planning.snapshot.databases();
    let database = databases
        .get(&at.database)
        .filter(|found| planning.sees_database(found))
        .ok_or_else(|| kind_missing("Database", quoted_if_needed(&at.database)))?;
    let rows = match at.name.as_str() {
        "TABLES" => tables(database, planning),
        "COLUMNS" => columns(database, planning),
        "SCHEMATA" => schemata(database, planning),
        "VIEWS" => views(database, planning),
        "DATABASES" => {
            let mut rows = Rows::new(vec![
                ("DATABASE_NAME", TEXT),
                ("DATABASE_OWNER", TEXT),
                ("IS_TRANSIENT", TEXT),
                ("COMMENT", TEXT),
                ("CREATED", MOMENT),
            ]);
            for found in databases.values().filter(|found| planning.sees_database(found)) {
                rows.push(vec![
                    Value::text(&found.name),
                    Value::text(planning.owner_shown(&Securable::Database(found.id))),
                    Value::text("NO"),
                    optional(found.comment.as_deref()),
                    Value::Ltz(found.created_ns),
                ]);
            }
            rows
        }
        _ => return Err(object_missing(at.shown())),
    };
    super::plan::memory(rows.schema(), vec![rows.batch()?])
}

/// The tables and views of a schema that exist for a session: its temporary ones hide others, and
/// its role must have something on them.
pub(crate) fn visible(planning: &Planning<'_>, schema: &Schema) -> Vec<Relation> {
    let mut found = schema.relations.clone();
    found.retain(|_, relation| planning.sees(relation));
    for ((owner, name), table) in &schema.temporary {
        if *owner == planning.session.session_id {
            found.insert(name.clone(), Relation::Table(Arc::clone(table)));
        }
    }
    found.into_values().collect()
}

fn yes_no(flag: bool) -> Value {
    Value::text(if flag { "YES" } else { "NO" })
}

fn tables(database: &Database, planning: &Planning<'_>) -> Rows {
    let mut rows = Rows::new(vec![
        ("TABLE_CATALOG", TEXT),
        ("TABLE_SCHEMA", TEXT),
        ("TABLE_NAME", TEXT),
        ("TABLE_OWNER", TEXT),
        ("TABLE_TYPE", TEXT),
        ("IS_TRANSIENT", TEXT),
        ("CLUSTERING_KEY", TEXT),
        ("ROW_COUNT", NUMBER),
        ("BYTES", NUMBER),
        ("RETENTION_TIME", NUMBER),
        ("CREATED", MOMENT),
        ("LAST_ALTERED", MOMENT),
        ("LAST_DDL", MOMENT),
        ("AUTO_CLUSTERING_ON", TEXT),
        ("COMMENT", TEXT),
        ("IS_ICEBERG", TEXT),
        ("IS_DYNAMIC", TEXT),
        ("IS_HYBRID", TEXT),
    ]);
    for schema in database.schemas.values().filter(|found| planning.sees_schema(found)) {
        for relation in visible(planning, schema) {
            let (kind, transient, count, bytes, created, altered, comment) = match &relation {
                Relation::Table(table) => (
                    table_type(table),
                    yes_no(table.kind == TableKind::Transient),
                    Value::integer(table.rows()),
                    Value::integer(table.bytes()),
                    table.created_ns,
                    table.altered_ns(),
                    table.comment.clone(),
                ),
                Relation::View(view) => (
                    "VIEW",
                    Value::Null,
                    Value::Null,
                    Value::Null,
                    view.created_ns,
                    view.created_ns,
                    view.comment.clone(),
                ),
            };
            rows.push(vec![
                Value::text(&database.name),
                Value::text(&schema.name),
                Value::text(relation.name()),
                Value::text(planning.owner_shown(&securable_of(&relation))),
                Value::text(kind),
                transient,
                Value::Null,
                count,
                bytes,
                Value::integer(1),
                Value::Ltz(created),
                Value::Ltz(altered),
                Value::Ltz(created),
                Value::text("NO"),
                optional(comment.as_deref()),
                Value::text("NO"),
                Value::text("NO"),
                Value::text("NO"),
            ]);
        }
    }
    rows
}

fn table_type(table: &Table) -> &'static str {
    match table.kind {
        TableKind::Temporary => "LOCAL TEMPORARY",
        TableKind::Permanent | TableKind::Transient => "BASE TABLE",
    }
}

/// The columns of a relation: declared ones of a table, compiled ones of a view.
pub(crate) fn columns_of(
    planning: &Planning<'_>,
    database: &str,
    schema: &str,
    relation: &Relation,
) -> Vec<ColumnDef> {
    let view = match relation {
        Relation::Table(table) => return table.columns().as_ref().clone(),
        Relation::View(view) => view,
    };
    let session = crate::engine::SessionContext {
        database: Some(database.to_owned()),
        schema: Some(schema.to_owned()),
        ..planning.session.clone()
    };
    let inner = Planning { session: &session, binds: &[], ..planning.clone() };
    let compiled = super::tokens::split(&view.query)
        .ok()
        .and_then(|statements| statements.into_iter().next())
        .and_then(|tokens| inner.query(&tokens).ok());
    // A view whose tables are gone has no columns to show.
    let compiled = compiled.map(|compiled| compiled.columns).unwrap_or_default();
    let names = view.columns.iter().map(Some).chain(std::iter::repeat(None));
    let columns = compiled.into_iter().zip(names).map(|(column, name)| {
        let name = name.cloned().unwrap_or(column.name);
        ColumnDef::new(name, column.data_type, column.nullable)
    });
    columns.collect()
}

fn columns(database: &Database, planning: &Planning<'_>) -> Rows {
    let mut rows = Rows::new(vec![
        ("TABLE_CATALOG", TEXT),
        ("TABLE_SCHEMA", TEXT),
        ("TABLE_NAME", TEXT),
        ("COLUMN_NAME", TEXT),
        ("ORDINAL_POSITION", NUMBER),
        ("COLUMN_DEFAULT", TEXT),
        ("IS_NULLABLE", TEXT),
        ("DATA_TYPE", TEXT),
        ("CHARACTER_MAXIMUM_LENGTH", NUMBER),
        ("CHARACTER_OCTET_LENGTH", NUMBER),
        ("NUMERIC_PRECISION", NUMBER),
        ("NUMERIC_PRECISION_RADIX", NUMBER),
        ("NUMERIC_SCALE", NUMBER),
        ("DATETIME_PRECISION", NUMBER),
        ("IS_IDENTITY", TEXT),
        ("IDENTITY_START", TEXT),
        ("IDENTITY_INCREMENT", TEXT),
        ("COMMENT", TEXT),
    ]);
    for schema in database.schemas.values().filter(|found| planning.sees_schema(found)) {
        for relation in visible(planning, schema) {
            let found = columns_of(planning, &database.name, &schema.name, &relation);
            for (index, column) in found.iter().enumerate() {
                let sizes = sizes(&column.data_type);
                let mut row = vec![
                    Value::text(&database.name),
                    Value::text(&schema.name),
                    Value::text(relation.name()),
                    Value::text(&column.name),
                    Value::integer(i128::try_from(index + 1).unwrap_or(0)),
                    optional(column.default.as_ref().map(|default| default.text.as_str())),
                    yes_no(column.nullable),
                    Value::text(column.data_type.name()),
                ];
                row.extend(sizes.map(|size| size.map_or(Value::Null, Value::integer)));
                let identity = column.identity.as_ref();
                let number =
                    |of: Option<i64>| of.map_or(Value::Null, |n| Value::text(n.to_string()));
                row.push(yes_no(identity.is_some()));
                row.push(number(identity.map(|identity| identity.start)));
                row.push(number(identity.map(|identity| identity.step)));
                row.push(optional(column.comment.as_deref()));
                rows.push(row);
            }
        }
    }
    rows
}

/// Characters, bytes, precision, radix, scale, digits of the second.
fn sizes(data_type: &SnowType) -> [Option<i64>; 6] {
    match data_type {
        SnowType::Text { length } => {
            let characters = i64::from(*length);
            let bytes =
                (characters * 4).min(i64::from(super::carrier::TEXT_LENGTH).max(characters));
            [Some(characters), Some(bytes), None, None, None, None]
        }
        SnowType::Binary { length } => {
            [Some(i64::from(*length)), Some(i64::from(*length)), None, None, None, None]
        }
        SnowType::Number { precision, scale } => {
            [None, None, Some(i64::from(*precision)), Some(10), Some(i64::from(*scale)), None]
        }
        SnowType::Time { scale }
        | SnowType::TimestampNtz { scale }
        | SnowType::TimestampLtz { scale }
        | SnowType::TimestampTz { scale } => {
            [None, None, None, None, None, Some(i64::from(*scale))]
        }
        _ => [None; 6],
    }
}

fn schemata(database: &Database, planning: &Planning<'_>) -> Rows {
    let mut rows = Rows::new(vec![
        ("CATALOG_NAME", TEXT),
        ("SCHEMA_NAME", TEXT),
        ("SCHEMA_OWNER", TEXT),
        ("IS_TRANSIENT", TEXT),
        ("CREATED", MOMENT),
        ("COMMENT", TEXT),
    ]);
    for schema in database.schemas.values().filter(|found| planning.sees_schema(found)) {
        rows.push(vec![
            Value::text(&database.name),
            Value::text(&schema.name),
            Value::text(planning.owner_shown(&Securable::Schema(schema.id))),
            Value::text("NO"),
            Value::Ltz(schema.created_ns),
            optional(schema.comment.as_deref()),
        ]);
    }
    rows.push(vec![
        Value::text(&database.name),
        Value::text(SCHEMA),
        Value::Null,
        Value::text("NO"),
        Value::Ltz(database.created_ns),
        Value::text("Views describing the contents of schemas in this database"),
    ]);
    rows
}

fn views(database: &Database, planning: &Planning<'_>) -> Rows {
    let mut rows = Rows::new(vec![
        ("TABLE_CATALOG", TEXT),
        ("TABLE_SCHEMA", TEXT),
        ("TABLE_NAME", TEXT),
        ("TABLE_OWNER", TEXT),
        ("VIEW_DEFINITION", TEXT),
        ("CREATED", MOMENT),
        ("COMMENT", TEXT),
    ]);
    for schema in database.schemas.values().filter(|found| planning.sees_schema(found)) {
        for relation in visible(planning, schema) {
            let Relation::View(view) = &relation else { continue };
            rows.push(vec![
                Value::text(&database.name),
                Value::text(&schema.name),
                Value::text(&view.name),
                Value::text(planning.owner_shown(&securable_of(&relation))),
                Value::text(&view.text),
                Value::Ltz(view.created_ns),
                optional(view.comment.as_deref()),
            ]);
        }
    }
    rows
}
