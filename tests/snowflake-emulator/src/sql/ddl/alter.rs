//! ALTER TABLE.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};

use super::table::check_columns;
use crate::catalog::{
    ColumnDef, IfExists, Qualified, Relation, Table, TableKind, Version, schema_of,
};
use crate::engine::SqlError;
use crate::sql::command::AlterTable;
use crate::sql::convert::Failure;
use crate::sql::dml::{constant_array, read_only};
use crate::sql::error::{compile, invalid_identifier, kind_missing, null_in_not_null, unsupported};
use crate::sql::plan::Planning;
use crate::sql::rows::Rows;
use crate::types::SnowType;

/// ALTER TABLE.
pub(crate) fn alter_table(
    planning: &Planning<'_>,
    name: &[String],
    if_exists: bool,
    change: AlterTable,
) -> Result<Rows, SqlError> {
    let done = || Rows::status("Statement executed successfully.");
    let at = Qualified::resolve(name, planning.session)?;
    let relation = match planning.snapshot.relation(&at, planning.session) {
        Err(error) if if_exists && error.code == "002003" => return Ok(done()),
        found => found?,
    };
    planning.authorize(&at, &relation, &["OWNERSHIP"])?;
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
    planning.authorize_in_schema(&target, Some("CREATE TABLE"))?;
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
    let second = planning.snapshot.table(&there, planning.session)?;
    planning.authorize(&there, &Relation::Table(Arc::clone(&second)), &["OWNERSHIP"])?;
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
                .batches()
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
    let batches = redeclared(version, &changed)?;
    Ok(Some(copy.with_version(planning.catalog.tick(), Arc::new(changed), batches)))
}

/// The same arrays under other declarations.
fn redeclared(version: &Version, columns: &[ColumnDef]) -> Result<Vec<RecordBatch>, SqlError> {
    let schema = schema_of(columns);
    let made = version.batches().map(|batch| {
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
        if column.identity.is_some() && version.rows() > 0 {
            return Err(unsupported("an identity column added to a table with rows"));
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
    for batch in version.batches() {
        let mut arrays = batch.columns().to_vec();
        for column in &new {
            arrays.push(match column.default {
                Some(_) => constant_array(planning, column, batch.num_rows())?,
                None => new_null_array(&column.data_type.carrier(), batch.num_rows()),
            });
        }
        batches.push(with_arrays(batch, &columns, arrays)?);
    }
    Ok(table.with_version(planning.catalog.tick(), Arc::new(columns), batches))
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
    for batch in version.batches() {
        let kept = stays.iter().filter_map(|index| batch.columns().get(*index)).cloned();
        batches.push(with_arrays(batch, &columns, kept.collect())?);
    }
    let mut changed = table.with_version(planning.catalog.tick(), Arc::new(columns), batches);
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
    for batch in version.batches() {
        let mut arrays = batch.columns().to_vec();
        let field = batch.schema().fields().get(index).cloned();
        if let (Some(array), Some(field)) = (arrays.get_mut(index), field) {
            *array = planning.conversion.array(array, &field, &to, Failure::Error)?;
        }
        batches.push(with_arrays(batch, &columns, arrays)?);
    }
    Ok(table.with_version(planning.catalog.tick(), Arc::new(columns), batches))
}
