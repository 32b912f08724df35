//! CREATE, DROP and ALTER.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use futures::TryStreamExt;

use super::command::{AlterTable, CreateTable, ObjectKind, Source};
use super::convert::Failure;
use super::dml::{constant_array, read_only};
use super::error::{
    compile, invalid_identifier, kind_missing, no_database, null_in_not_null, unsupported,
};
use super::plan::{Planning, run, translate};
use super::rows::Rows;
use super::tokens::Tokens;
use crate::catalog::schema_of;
use crate::catalog::{
    ColumnDef, Created, IfExists, Qualified, Relation, Table, TableKind, View, quoted_if_needed,
};
use crate::engine::{SessionContext, SqlError};
use crate::types::SnowType;

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
            match schema {
                None => planning.catalog.drop_database(&database)?,
                Some(schema) => planning.catalog.drop_schema(&database, &schema)?,
            }
        }
        _ => {
            let at = Qualified::resolve(name, planning.session)?;
            match planning.catalog.relation(&at, planning.session) {
                Ok(relation) => {
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
        name: at.name.clone(),
        created_ns: planning.catalog.tick(),
        comment,
        text,
        query: query.source(),
        columns,
    };
    let relation = Relation::View(Arc::new(view));
    let made = planning.catalog.create_relation(&at, relation, planning.session, if_exists)?;
    Ok(created("View", &at.name, made))
}

/// CREATE TABLE in all its forms.
pub(crate) async fn create_table(
    planning: &Planning<'_>,
    statement: CreateTable,
) -> Result<Rows, SqlError> {
    let at = Qualified::resolve(&statement.name, planning.session)?;
    if statement.if_exists == IfExists::Keep
        && planning.catalog.relation(&at, planning.session).is_ok()
    {
        return Ok(created("Table", &at.name, Created::Existed));
    }
    let declared: Vec<ColumnDef> =
        statement.columns.iter().filter_map(|(_, column)| column.clone()).collect();
    let (mut columns, batches, mut primary_key) = match statement.source {
        Source::Nothing => (declared, Vec::new(), statement.primary_key.clone()),
        Source::Like(name) | Source::Clone(name) if name.is_empty() => {
            return Err(unsupported("an empty name"));
        }
        Source::Like(name) => {
            let like = planning
                .catalog
                .table(&Qualified::resolve(&name, planning.session)?, planning.session)?;
            (like.columns().as_ref().clone(), Vec::new(), like.primary_key.clone())
        }
        Source::Clone(name) => {
            let source = planning
                .catalog
                .table(&Qualified::resolve(&name, planning.session)?, planning.session)?;
            if source.generated.is_some() {
                return Err(unsupported("CLONE of a generated table"));
            }
            let version = source.current()?;
            (
                version.columns.as_ref().clone(),
                version.batches.as_ref().clone(),
                source.primary_key.clone(),
            )
        }
        Source::Query(query) => {
            let (columns, batches) = select_into(planning, &query, &statement.columns).await?;
            (columns, batches, statement.primary_key.clone())
        }
    };
    check_columns(planning, &mut columns, &mut primary_key)?;
    let now = planning.catalog.tick();
    let id = planning.catalog.next_id();
    let mut table = Table::new(id, &at.name, statement.kind, now, columns);
    table.primary_key = primary_key;
    table.comment = statement.comment;
    if !batches.is_empty() {
        let columns = table.columns();
        table = table.with_version(planning.catalog.tick(), columns, batches)?;
    }
    let relation = Relation::Table(Arc::new(table));
    let made =
        planning.catalog.create_relation(&at, relation, planning.session, statement.if_exists)?;
    Ok(created("Table", &at.name, made))
}

/// Refuses columns of one name, keys that are no columns and defaults that do not compile.
fn check_columns(
    planning: &Planning<'_>,
    columns: &mut [ColumnDef],
    primary_key: &mut [String],
) -> Result<(), SqlError> {
    for (index, column) in columns.iter().enumerate() {
        if columns.iter().take(index).any(|other| other.name == column.name) {
            let message = format!("duplicate column name '{}'", column.name);
            return Err(compile("002025", "42S21", message));
        }
        if column.default.is_some() {
            constant_array(planning, column, 0)?;
        }
    }
    for key in primary_key.iter() {
        let column = columns.iter_mut().find(|column| column.name == *key);
        column.ok_or_else(|| invalid_identifier(key))?.nullable = false;
    }
    Ok(())
}

/// Runs the query of CREATE TABLE AS and converts its rows to the declared types.
async fn select_into(
    planning: &Planning<'_>,
    query: &Tokens,
    declared: &[(String, Option<ColumnDef>)],
) -> Result<(Vec<ColumnDef>, Vec<RecordBatch>), SqlError> {
    let compiled = planning.query(query)?;
    if !declared.is_empty() && declared.len() != compiled.columns.len() {
        let message = format!(
            "Invalid column definition list: {} columns for {} values",
            declared.len(),
            compiled.columns.len()
        );
        return Err(compile("002026", "42601", message));
    }
    let given = declared.iter().map(Some).chain(std::iter::repeat(None));
    let columns: Vec<ColumnDef> = compiled
        .columns
        .iter()
        .zip(given)
        .map(|(column, given)| match given {
            Some((_, Some(full))) => full.clone(),
            other => ColumnDef {
                name: other.map_or_else(|| column.name.clone(), |(name, _)| name.clone()),
                data_type: column.data_type.clone(),
                nullable: column.nullable,
                default: None,
                comment: None,
            },
        })
        .collect();
    let batches: Vec<RecordBatch> = run(compiled).await?.try_collect().await.map_err(translate)?;
    let batches = batches
        .iter()
        .map(|batch| super::dml::to_columns(planning, batch, &columns))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((columns, batches))
}

/// ALTER TABLE.
pub(crate) fn alter_table(
    planning: &Planning<'_>,
    name: &[String],
    if_exists: bool,
    change: AlterTable,
) -> Result<Rows, SqlError> {
    let done = || Rows::status("Statement executed successfully.");
    let at = Qualified::resolve(name, planning.session)?;
    let relation = match planning.catalog.relation(&at, planning.session) {
        Err(error) if if_exists && error.code == "002003" => return Ok(done()),
        found => found?,
    };
    if let AlterTable::RenameTo(to) = &change {
        rename(planning, &at, relation, to)?;
        return Ok(done());
    }
    let Relation::Table(table) = relation else {
        return Err(kind_missing("Table", at.shown()));
    };
    read_only(&table)?;
    if let AlterTable::SwapWith(other) = &change {
        swap(planning, &at, &table, other)?;
        return Ok(done());
    }
    if let Some(changed) = altered(planning, &table, change)? {
        planning.catalog.replace_table(&at, changed, planning.session)?;
    }
    Ok(done())
}

fn rename(
    planning: &Planning<'_>,
    at: &Qualified,
    relation: Relation,
    to: &[String],
) -> Result<(), SqlError> {
    let target = match to {
        [one] => Qualified::new(&at.database, &at.schema, one),
        other => Qualified::resolve(other, planning.session)?,
    };
    let renamed = match relation {
        Relation::Table(table) => {
            read_only(&table)?;
            let mut table = table.as_ref().clone();
            table.name.clone_from(&target.name);
            Relation::Table(Arc::new(table))
        }
        Relation::View(view) => {
            let mut view = view.as_ref().clone();
            view.name.clone_from(&target.name);
            Relation::View(Arc::new(view))
        }
    };
    planning.catalog.create_relation(&target, renamed, planning.session, IfExists::Fail)?;
    planning.catalog.drop_relation(at, planning.session).map(|_| ())
}

fn swap(
    planning: &Planning<'_>,
    at: &Qualified,
    table: &Table,
    other: &[String],
) -> Result<(), SqlError> {
    let there = Qualified::resolve(other, planning.session)?;
    let second = planning.catalog.table(&there, planning.session)?;
    read_only(&second)?;
    if (table.kind == TableKind::Temporary) != (second.kind == TableKind::Temporary) {
        return Err(unsupported("SWAP WITH a temporary table"));
    }
    let mut first = table.clone();
    first.name.clone_from(&there.name);
    let mut second = second.as_ref().clone();
    second.name.clone_from(&at.name);
    planning.catalog.replace_table(at, second, planning.session)?;
    planning.catalog.replace_table(&there, first, planning.session)
}

/// The changed table; `None` when nothing changes.
fn altered(
    planning: &Planning<'_>,
    table: &Table,
    change: AlterTable,
) -> Result<Option<Table>, SqlError> {
    let columns = table.columns();
    let position = |name: &str| {
        let found = columns.iter().position(|column| column.name == name);
        found.ok_or_else(|| {
            compile(
                "000904",
                "42000",
                format!("error line 1 at position -1\ninvalid identifier '{name}'"),
            )
        })
    };
    let mut changed = columns.as_ref().clone();
    let mut copy = table.clone();
    match change {
        AlterTable::AddColumns(added, mode) => {
            return add_columns(planning, table, added, mode).map(Some);
        }
        AlterTable::DropColumns(names, if_exists) => {
            return drop_columns(planning, table, &names, if_exists).map(Some);
        }
        AlterTable::SetType(name, to) => {
            return set_type(planning, table, position(&name)?, to).map(Some);
        }
        AlterTable::RenameColumn(from, to) => {
            let index = position(&from)?;
            if columns.iter().any(|column| column.name == to) {
                return Err(compile("002028", "42710", format!("ambiguous column name '{to}'")));
            }
            for key in &mut copy.primary_key {
                if *key == from {
                    key.clone_from(&to);
                }
            }
            if let Some(column) = changed.get_mut(index) {
                column.name = to;
            }
        }
        AlterTable::SetNotNull(name) => {
            let index = position(&name)?;
            let version = table.current()?;
            let nulls: usize = version
                .batches
                .iter()
                .filter_map(|batch| batch.columns().get(index))
                .map(|array| array.null_count())
                .sum();
            if nulls > 0 {
                return Err(null_in_not_null(&name));
            }
            if let Some(column) = changed.get_mut(index) {
                column.nullable = false;
            }
        }
        AlterTable::DropNotNull(name) => {
            if let Some(column) = changed.get_mut(position(&name)?) {
                column.nullable = true;
            }
        }
        AlterTable::SetDefault(name, default) => {
            if let Some(column) = changed.get_mut(position(&name)?) {
                column.default = default;
            }
        }
        AlterTable::SetColumnComment(name, comment) => {
            if let Some(column) = changed.get_mut(position(&name)?) {
                column.comment = comment;
            }
        }
        AlterTable::SetComment(comment) => {
            copy.comment = comment;
            return Ok(Some(copy));
        }
        AlterTable::AddPrimaryKey(mut names) => {
            check_columns(planning, &mut changed, &mut names)?;
            copy.primary_key = names;
        }
        AlterTable::DropPrimaryKey => copy.primary_key.clear(),
        AlterTable::Properties => return Ok(None),
        AlterTable::RenameTo(_) | AlterTable::SwapWith(_) => return Ok(None),
    }
    let version = table.current()?;
    let batches = redeclared(&version.batches, &changed)?;
    copy.with_version(planning.catalog.tick(), Arc::new(changed), batches).map(Some)
}

/// The same arrays under other declarations.
fn redeclared(
    batches: &[RecordBatch],
    columns: &[ColumnDef],
) -> Result<Vec<RecordBatch>, SqlError> {
    let schema = schema_of(columns);
    let made = batches.iter().map(|batch| {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let arrays = batch.columns().to_vec();
        RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)
            .map_err(|error| unsupported(error.to_string()))
    });
    made.collect()
}

fn with_arrays(
    batch: &RecordBatch,
    columns: &[ColumnDef],
    arrays: Vec<ArrayRef>,
) -> Result<RecordBatch, SqlError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema_of(columns), arrays, &options)
        .map_err(|error| unsupported(error.to_string()))
}

fn add_columns(
    planning: &Planning<'_>,
    table: &Table,
    added: Vec<ColumnDef>,
    mode: IfExists,
) -> Result<Table, SqlError> {
    let version = table.current()?;
    let mut columns = version.columns.as_ref().clone();
    let mut new = Vec::new();
    for column in added {
        if columns.iter().any(|other| other.name == column.name) {
            if mode == IfExists::Keep {
                continue;
            }
            let message = format!("column '{}' already exists", column.name);
            return Err(compile("001430", "42601", message));
        }
        if !column.nullable && column.default.is_none() && version.rows() > 0 {
            let message = format!(
                "Non-nullable column '{}' cannot be added to non-empty table '{}' unless it has a \
                 non-null default value.",
                column.name, table.name
            );
            return Err(compile("002051", "22000", message));
        }
        columns.push(column.clone());
        new.push(column);
    }
    let mut batches = Vec::new();
    for batch in version.batches.iter() {
        let mut arrays = batch.columns().to_vec();
        for column in &new {
            arrays.push(match column.default {
                Some(_) => constant_array(planning, column, batch.num_rows())?,
                None => new_null_array(&column.data_type.carrier(), batch.num_rows()),
            });
        }
        batches.push(with_arrays(batch, &columns, arrays)?);
    }
    table.with_version(planning.catalog.tick(), Arc::new(columns), batches)
}

fn drop_columns(
    planning: &Planning<'_>,
    table: &Table,
    names: &[String],
    if_exists: bool,
) -> Result<Table, SqlError> {
    let version = table.current()?;
    let known = |name: &String| version.columns.iter().any(|column| column.name == *name);
    if let Some(missing) = names.iter().find(|name| !known(name))
        && !if_exists
    {
        return Err(invalid_identifier(missing));
    }
    let stays: Vec<usize> = version
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !names.contains(&column.name))
        .map(|(index, _)| index)
        .collect();
    if stays.is_empty() {
        return Err(compile("002033", "42601", "a table must have at least one column"));
    }
    let columns: Vec<ColumnDef> =
        stays.iter().filter_map(|index| version.columns.get(*index)).cloned().collect();
    let mut batches = Vec::new();
    for batch in version.batches.iter() {
        let kept = stays.iter().filter_map(|index| batch.columns().get(*index)).cloned();
        batches.push(with_arrays(batch, &columns, kept.collect())?);
    }
    let mut changed = table.with_version(planning.catalog.tick(), Arc::new(columns), batches)?;
    changed.primary_key.retain(|key| !names.contains(key));
    Ok(changed)
}

/// Whether a column may change its type in place: longer text, more digits before the point.
fn widens(from: &SnowType, to: &SnowType) -> bool {
    match (from, to) {
        (SnowType::Text { length: a }, SnowType::Text { length: b })
        | (SnowType::Binary { length: a }, SnowType::Binary { length: b }) => a <= b,
        (
            SnowType::Number { precision: p1, scale: s1 },
            SnowType::Number { precision: p2, scale: s2 },
        ) => s1 == s2 && p1 <= p2,
        (a, b) => a == b,
    }
}

fn set_type(
    planning: &Planning<'_>,
    table: &Table,
    index: usize,
    to: SnowType,
) -> Result<Table, SqlError> {
    let version = table.current()?;
    let mut columns = version.columns.as_ref().clone();
    let Some(column) = columns.get_mut(index) else { return Err(unsupported("this column")) };
    if !widens(&column.data_type, &to) {
        let message =
            format!("cannot change column {} from type {} to {to}", column.name, column.data_type);
        return Err(compile("002108", "22000", message));
    }
    column.data_type = to.clone();
    let mut batches = Vec::new();
    for batch in version.batches.iter() {
        let mut arrays = batch.columns().to_vec();
        let field = batch.schema().fields().get(index).cloned();
        if let (Some(array), Some(field)) = (arrays.get_mut(index), field) {
            *array = planning.conversion.array(array, &field, &to, Failure::Error)?;
        }
        batches.push(with_arrays(batch, &columns, arrays)?);
    }
    table.with_version(planning.catalog.tick(), Arc::new(columns), batches)
}
