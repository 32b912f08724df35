//! INSERT, with VALUES or a query, adding to a table or overwriting it.

use arrow::array::{ArrayRef, RecordBatch};
use datafusion::sql::sqlparser::ast::{Expr, Insert, ObjectName, Query, SetExpr, TableObject};
use futures::TryStreamExt;

use super::assign::{assigned, cell, check_assignable, complete, constant_array};
use super::{Changed, count, parts_of};
use crate::catalog::{ColumnDef, Delta, Table};
use crate::engine::SqlError;
use crate::sql::error::{compile, invalid_identifier, unsupported};
use crate::sql::plan::{Planning, run, translate};
use crate::sql::rows::Rows;
use crate::sql::value::{Reader, Writer};
use crate::types::{Column, SnowType};

/// The table that an INSERT means.
///
/// # Errors
/// 000002 when it is an INSERT of a kind that this emulator does not have.
pub(super) fn target(insert: &Insert) -> Result<&ObjectName, SqlError> {
    let exotic = insert.on.is_some()
        || insert.returning.is_some()
        || insert.partitioned.is_some()
        || insert.multi_table_insert_type.is_some()
        || !insert.assignments.is_empty();
    match (&insert.table, exotic) {
        (TableObject::TableName(name), false) => Ok(name),
        _ => Err(unsupported("this INSERT")),
    }
}

/// Computes the rows that an INSERT adds.
pub(super) async fn run_insert(
    planning: &Planning<'_>,
    insert: Insert,
    table: &Table,
) -> Result<Changed, SqlError> {
    let columns = table.columns();
    let positions = positions(&insert.columns, &columns)?;
    let source = *insert.source.ok_or_else(|| unsupported("INSERT without rows"))?;
    let batches = match *source.body {
        SetExpr::Values(values) if source.with.is_none() && source.order_by.is_none() => {
            let rows = values.rows.into_iter().map(|row| row.content).collect();
            vec![insert_values(planning, rows, &columns, &positions)?]
        }
        body => {
            let query = Query { body: Box::new(body), ..source };
            insert_query(planning, query, &columns, &positions).await?
        }
    };
    let inserted: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let delta = if insert.overwrite {
        Delta::overwrite(table, batches)?
    } else {
        Delta::insert(table, batches)
    };
    let rows = Rows::counts(&[("number of rows inserted", count(inserted))]);
    Ok(Changed { statement_type_id: 0x3100, rows, delta: Some(delta) })
}

/// The places of the named columns; of all when none is named.
pub(super) fn positions(
    names: &[ObjectName],
    columns: &[ColumnDef],
) -> Result<Vec<usize>, SqlError> {
    if names.is_empty() {
        return Ok((0..columns.len()).collect());
    }
    let mut positions = Vec::with_capacity(names.len());
    for name in names {
        let name = parts_of(name)?.pop().unwrap_or_default();
        let position = columns.iter().position(|column| column.name == name);
        let position = position.ok_or_else(|| invalid_identifier(&name))?;
        if positions.contains(&position) {
            let message = format!("duplicate column name '{name}'");
            return Err(compile("002025", "42S21", message));
        }
        positions.push(position);
    }
    Ok(positions)
}

pub(super) fn wrong_width(expected: usize, got: usize) -> SqlError {
    let message =
        format!("Insert value list does not match column list expecting {expected} but got {got}");
    compile("002057", "42601", message)
}

fn insert_values(
    planning: &Planning<'_>,
    rows: Vec<Vec<Expr>>,
    columns: &[ColumnDef],
    positions: &[usize],
) -> Result<RecordBatch, SqlError> {
    let count = rows.len();
    let mut writers = Vec::with_capacity(positions.len());
    for position in positions {
        let column = columns.get(*position).ok_or_else(|| unsupported("this column"))?;
        writers.push((Writer::new(&column.data_type.carrier(), count)?, column));
    }
    for row in rows {
        if row.len() != positions.len() {
            return Err(wrong_width(positions.len(), row.len()));
        }
        for (expr, (writer, column)) in row.into_iter().zip(&mut writers) {
            if is_default(&expr) {
                let array = constant_array(planning, column, 1)?;
                let field = column.data_type.field(&column.name, true);
                writer.push(Reader::new(&array, &field).get(0)?)?;
            } else {
                writer.push(cell(planning, expr, column)?)?;
            }
        }
    }
    let arrays: Vec<ArrayRef> = writers.into_iter().map(|(writer, _)| writer.finish()).collect();
    complete(planning, arrays, count, columns, positions)
}

/// Whether a value is the word DEFAULT.
pub(super) fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(word) if word.value == "DEFAULT" && word.quote_style.is_none())
}

async fn insert_query(
    planning: &Planning<'_>,
    query: Query,
    columns: &[ColumnDef],
    positions: &[usize],
) -> Result<Vec<RecordBatch>, SqlError> {
    let compiled = planning.compile(query, None)?;
    if compiled.columns.len() != positions.len() {
        return Err(wrong_width(positions.len(), compiled.columns.len()));
    }
    for (given, position) in compiled.columns.iter().zip(positions) {
        let column = columns.get(*position).ok_or_else(|| unsupported("this column"))?;
        if !may_be_null_alone(given) {
            check_assignable(&given.data_type, column)?;
        }
    }
    let mut stream = run(compiled).await?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await.map_err(translate)? {
        let schema = batch.schema();
        let mut arrays = Vec::with_capacity(positions.len());
        for ((array, field), position) in batch.columns().iter().zip(schema.fields()).zip(positions)
        {
            let column = columns.get(*position).ok_or_else(|| unsupported("this column"))?;
            arrays.push(assigned(planning, array, field, column)?);
        }
        batches.push(complete(planning, arrays, batch.num_rows(), columns, positions)?);
    }
    Ok(batches)
}

/// Whether a column of a query may be NULL without a type, which every column takes.
pub(super) fn may_be_null_alone(given: &Column) -> bool {
    given.data_type == SnowType::TEXT && given.nullable
}
