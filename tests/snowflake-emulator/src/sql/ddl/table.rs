//! CREATE TABLE.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;

use super::{authorize_new, created};
use crate::catalog::{
    ColumnDef, Created, Identity, IfExists, Qualified, Relation, Table, TableKind,
};
use crate::engine::SqlError;
use crate::sql::authorize::securable_of;
use crate::sql::command::{CreateTable, Source};
use crate::sql::dml::{constant_array, to_columns};
use crate::sql::error::{compile, invalid_identifier};
use crate::sql::plan::{Planning, run, translate};
use crate::sql::rows::Rows;
use crate::sql::tokens::Tokens;

/// CREATE TABLE in all its forms.
pub(crate) async fn create_table(
    planning: &Planning<'_>,
    statement: CreateTable,
) -> Result<Rows, SqlError> {
    let at = Qualified::resolve(&statement.name, planning.session)?;
    if statement.if_exists == IfExists::Keep
        && planning.snapshot.relation(&at, planning.session).is_ok()
    {
        return Ok(created("Table", &at.name, Created::Existed));
    }
    // A temporary table is the session's own and needs no more than the way to its schema.
    let privilege = (statement.kind != TableKind::Temporary).then_some("CREATE TABLE");
    authorize_new(planning, &at, privilege, statement.if_exists)?;
    let old = planning.snapshot.relation(&at, planning.session).ok();
    let declared: Vec<ColumnDef> =
        statement.columns.iter().filter_map(|(_, column)| column.clone()).collect();
    let (mut columns, batches, mut primary_key) = match statement.source {
        Source::Nothing => (declared, Vec::new(), statement.primary_key.clone()),
        Source::Like(name) => {
            let like = source_table(planning, &name)?;
            let columns = like.columns();
            (columns.iter().map(restarted).collect(), Vec::new(), like.primary_key.clone())
        }
        Source::Clone(name, moment) => clone_of(planning, &name, moment)?,
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
        table = table.with_version(planning.catalog.tick(), columns, batches);
    }
    let relation = Relation::Table(Arc::new(table));
    let made =
        planning.catalog.create_relation(&at, relation, planning.session, statement.if_exists)?;
    if made == Created::Yes {
        planning.created(&at);
        if let (true, Some(old), Ok(new)) = (
            statement.copy_grants,
            old,
            planning.catalog.snapshot().relation(&at, planning.session),
        ) {
            planning.account.access.copy_grants(&securable_of(&old), &securable_of(&new));
        }
    }
    Ok(created("Table", &at.name, made))
}

fn source_table(planning: &Planning<'_>, name: &[String]) -> Result<Arc<Table>, SqlError> {
    let at = Qualified::resolve(name, planning.session)?;
    planning.enter(&at)?;
    let table = planning.snapshot.table(&at, planning.session)?;
    planning.authorize(&at, &Relation::Table(Arc::clone(&table)), &["SELECT"])?;
    Ok(table)
}

/// A column whose numbers start anew.
fn restarted(column: &ColumnDef) -> ColumnDef {
    let identity = column.identity.as_ref();
    let identity = identity.map(|identity| Identity::new(identity.start, identity.step));
    ColumnDef { identity, ..column.clone() }
}

/// Columns, rows and primary key.
type Content = (Vec<ColumnDef>, Vec<RecordBatch>, Vec<String>);

/// What a clone starts with: the same rows, and numbers that go on by themselves.
fn clone_of(
    planning: &Planning<'_>,
    name: &[String],
    moment: Option<Tokens>,
) -> Result<Content, SqlError> {
    let source = source_table(planning, name)?;
    if source.generated.is_some() {
        let message = "Cloning of a table in a shared database is not allowed.";
        return Err(compile("003540", "42501", message));
    }
    let version = match moment {
        None => source.current()?,
        Some(tokens) => source.at(planning.moment_of(&tokens)?)?,
    };
    let forked = version.columns.iter().map(|column| {
        let identity = column.identity.as_ref().map(Identity::fork);
        ColumnDef { identity, ..column.clone() }
    });
    Ok((forked.collect(), version.batches().cloned().collect(), source.primary_key.clone()))
}

/// Refuses columns of one name, keys that are no columns and defaults that do not compile.
pub(super) fn check_columns(
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
            other => {
                let name = other.map_or_else(|| column.name.clone(), |(name, _)| name.clone());
                ColumnDef::new(name, column.data_type.clone(), column.nullable)
            }
        })
        .collect();
    let batches: Vec<RecordBatch> = run(compiled).await?.try_collect().await.map_err(translate)?;
    let batches = batches
        .iter()
        .map(|batch| to_columns(planning, batch, &columns))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((columns, batches))
}
