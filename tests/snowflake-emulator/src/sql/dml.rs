//! INSERT, UPDATE, DELETE and TRUNCATE.
//!
//! Each is one commit: the rows after it are computed from the snapshot at its start, then become
//! the table's next version. A failure before that leaves the table as it was.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array,
};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{filter_record_batch, not, prep_null_mask_filter};
use datafusion::sql::sqlparser::ast::{
    AssignmentTarget, Delete, Expr, FromTable, Ident, Insert, ObjectName, Query, Select,
    SelectItem, SetExpr, Statement, TableFactor, TableObject, TableWithJoins, Update,
    Value as SqlValue,
};
use datafusion::sql::sqlparser::ast::{CaseWhen, UnaryOperator};
use futures::TryStreamExt;

use super::convert::{Failure, assignable};
use super::error::{
    compile, invalid_identifier, no_warehouse, null_in_not_null, sql_error, syntax, unsupported,
};
use super::number;
use super::plan::{Planning, parse, parse_expression, run, translate};
use super::rewrite::{MARK, empty_select};
use super::rows::Rows;
use super::tokens::{Tokens, no_token, split};
use super::value::{Value, Writer};
use crate::catalog::{ColumnDef, Qualified, Table, schema_of};
use crate::engine::SqlError;
use crate::types::SnowType;

/// Runs a change and gives its counts and statement type.
pub(crate) async fn change(
    planning: &Planning<'_>,
    tokens: &Tokens,
) -> Result<(i64, Rows), SqlError> {
    let statement = parse(tokens)?;
    if planning.session.warehouse.is_none() {
        return Err(no_warehouse());
    }
    match statement {
        Statement::Insert(insert) => insert_rows(planning, insert).await.map(|rows| (0x3100, rows)),
        Statement::Update(update) => update_rows(planning, update).await.map(|rows| (0x3200, rows)),
        Statement::Delete(delete) => delete_rows(planning, delete).await.map(|rows| (0x3300, rows)),
        Statement::Merge(_) => Err(unsupported("MERGE")),
        _ => Err(unsupported("this statement")),
    }
}

/// Refuses changes of the shared samples, of which the rows are computed at each scan.
pub(crate) fn read_only(table: &Table) -> Result<(), SqlError> {
    if table.generated.is_none() {
        return Ok(());
    }
    let message = format!(
        "SQL access control error:\nInsufficient privileges to operate on table '{}'",
        table.name
    );
    Err(sql_error("003001", "42501", message))
}

fn parts_of(name: &ObjectName) -> Result<Vec<String>, SqlError> {
    let parts = name.0.iter().map(|part| {
        let identifier = part.as_ident().ok_or_else(|| unsupported("this table name"))?;
        Ok(identifier.value.clone())
    });
    parts.collect()
}

fn target(planning: &Planning<'_>, name: &ObjectName) -> Result<(Qualified, Arc<Table>), SqlError> {
    let at = Qualified::resolve(&parts_of(name)?, planning.session)?;
    let table = planning.catalog.table(&at, planning.session)?;
    read_only(&table)?;
    Ok((at, table))
}

/// Converts one array to a column's type, as assignment does.
fn assigned(
    planning: &Planning<'_>,
    array: &ArrayRef,
    field: &arrow::datatypes::Field,
    column: &ColumnDef,
) -> Result<ArrayRef, SqlError> {
    if array.null_count() == array.len() {
        return Ok(new_null_array(&column.data_type.carrier(), array.len()));
    }
    let from = SnowType::of(field).ok_or_else(|| unsupported("this type in a table"))?;
    check_assignable(&from, column)?;
    planning.conversion.array(array, field, &column.data_type, Failure::Error)
}

fn check_assignable(from: &SnowType, column: &ColumnDef) -> Result<(), SqlError> {
    if assignable(from, &column.data_type) {
        return Ok(());
    }
    let message = format!(
        "Expression type does not match column data type, expecting {} but got {from} for column {}",
        column.data_type, column.name
    );
    Err(compile("002023", "22000", message))
}

fn check_null(array: &dyn Array, column: &ColumnDef) -> Result<(), SqlError> {
    if !column.nullable && array.null_count() > 0 {
        return Err(null_in_not_null(&column.name));
    }
    Ok(())
}

fn batch_of(
    columns: &[ColumnDef],
    arrays: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, SqlError> {
    for (array, column) in arrays.iter().zip(columns) {
        check_null(array, column)?;
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema_of(columns), arrays, &options)
        .map_err(|error| unsupported(error.to_string()))
}

/// Converts a batch to declared columns, position by position.
pub(crate) fn to_columns(
    planning: &Planning<'_>,
    batch: &RecordBatch,
    columns: &[ColumnDef],
) -> Result<RecordBatch, SqlError> {
    let schema = batch.schema();
    let mut arrays = Vec::with_capacity(columns.len());
    for ((array, field), column) in batch.columns().iter().zip(schema.fields()).zip(columns) {
        arrays.push(assigned(planning, array, field, column)?);
    }
    batch_of(columns, arrays, batch.num_rows())
}

/// The default of a column, for a number of rows.
pub(crate) fn constant_array(
    planning: &Planning<'_>,
    column: &ColumnDef,
    rows: usize,
) -> Result<ArrayRef, SqlError> {
    let value = match &column.default {
        None => Value::Null,
        Some(default) => {
            let tokens = split(&default.text)?.into_iter().next();
            let tokens = tokens.ok_or_else(|| syntax("empty default"))?;
            cell(planning, parse_expression(&tokens)?, column)?
        }
    };
    let mut writer = Writer::new(&column.data_type.carrier(), rows)?;
    for _ in 0..rows {
        writer.push(value.clone())?;
    }
    Ok(writer.finish())
}

/// One value of VALUES, converted to its column's type; literals take a short way.
fn cell(planning: &Planning<'_>, expr: Expr, column: &ColumnDef) -> Result<Value, SqlError> {
    let (value, data_type) = match literal(&expr) {
        Some(found) => found,
        None => {
            let (value, data_type) = planning.constant(expr)?;
            if value == Value::Null {
                return Ok(Value::Null);
            }
            (value, data_type.ok_or_else(|| unsupported("this value"))?)
        }
    };
    if value == Value::Null {
        return Ok(Value::Null);
    }
    check_assignable(&data_type, column)?;
    planning.conversion.value(value, &column.data_type)
}

fn literal(expr: &Expr) -> Option<(Value, SnowType)> {
    let number = |digits: &str, negative: bool| {
        let decimal = number::parse(digits).filter(|_| !digits.contains(['e', 'E']))?;
        let scale = i8::try_from(decimal.scale).ok().filter(|scale| *scale <= 37)?;
        if number::digits(decimal.unscaled) > number::MAX_DIGITS {
            return None;
        }
        let unscaled = if negative { decimal.unscaled.checked_neg()? } else { decimal.unscaled };
        let data_type = SnowType::Number { precision: number::MAX_DIGITS, scale };
        Some((Value::Number(unscaled, scale), data_type))
    };
    match expr {
        Expr::Value(value) => match &value.value {
            SqlValue::SingleQuotedString(text) => Some((Value::text(text), SnowType::TEXT)),
            SqlValue::Number(digits, _) => number(digits, false),
            SqlValue::Null => Some((Value::Null, SnowType::TEXT)),
            SqlValue::Boolean(flag) => Some((Value::Bool(*flag), SnowType::Boolean)),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                SqlValue::Number(digits, _) => number(digits, true),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

async fn insert_rows(planning: &Planning<'_>, insert: Insert) -> Result<Rows, SqlError> {
    let exotic = insert.on.is_some()
        || insert.returning.is_some()
        || insert.partitioned.is_some()
        || insert.multi_table_insert_type.is_some()
        || !insert.assignments.is_empty();
    let (TableObject::TableName(name), false) = (&insert.table, exotic) else {
        return Err(unsupported("this INSERT"));
    };
    let (at, table) = target(planning, name)?;
    let columns = table.columns();
    let mut positions = Vec::new();
    for column in &insert.columns {
        let name = parts_of(column)?.pop().unwrap_or_default();
        let position = columns.iter().position(|column| column.name == name);
        let position = position.ok_or_else(|| invalid_identifier(&name))?;
        if positions.contains(&position) {
            let message = format!("duplicate column name '{name}'");
            return Err(compile("002025", "42S21", message));
        }
        positions.push(position);
    }
    if insert.columns.is_empty() {
        positions = (0..columns.len()).collect();
    }
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
    let version = table.current()?;
    let mut all = if insert.overwrite { Vec::new() } else { version.batches.as_ref().clone() };
    all.extend(batches);
    let changed = table.with_version(planning.catalog.tick(), columns, all)?;
    planning.catalog.replace_table(&at, changed, planning.session)?;
    Ok(Rows::counts(&[("number of rows inserted", count(inserted))]))
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

fn wrong_width(expected: usize, got: usize) -> SqlError {
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
            let is_default = matches!(&expr, Expr::Identifier(word)
                if word.value == "DEFAULT" && word.quote_style.is_none());
            if is_default {
                let array = constant_array(planning, column, 1)?;
                let field = column.data_type.field(&column.name, true);
                writer.push(super::value::Reader::new(&array, &field).get(0)?)?;
            } else {
                writer.push(cell(planning, expr, column)?)?;
            }
        }
    }
    let arrays: Vec<ArrayRef> = writers.into_iter().map(|(writer, _)| writer.finish()).collect();
    complete(planning, arrays, count, columns, positions)
}

/// Puts arrays in their places and defaults in the others.
fn complete(
    planning: &Planning<'_>,
    arrays: Vec<ArrayRef>,
    rows: usize,
    columns: &[ColumnDef],
    positions: &[usize],
) -> Result<RecordBatch, SqlError> {
    let mut all = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let given = positions.iter().position(|position| *position == index);
        all.push(match given.and_then(|given| arrays.get(given)) {
            Some(array) => Arc::clone(array),
            None => constant_array(planning, column, rows)?,
        });
    }
    batch_of(columns, all, rows)
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
        let untyped = given.data_type == SnowType::TEXT && given.nullable;
        if !untyped {
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

/// `SELECT <all columns>, <condition>, <more> FROM <table>`.
fn scan_of(
    table: &TableWithJoins,
    columns: &[ColumnDef],
    condition: &Expr,
    more: Vec<Expr>,
) -> Query {
    let qualifier = match &table.relation {
        TableFactor::Table { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, .. } => name.0.last().and_then(|part| part.as_ident()).cloned(),
        _ => None,
    };
    let own = columns.iter().map(|column| {
        let name = Ident::with_quote('"', &column.name);
        SelectItem::UnnamedExpr(match &qualifier {
            Some(qualifier) => Expr::CompoundIdentifier(vec![qualifier.clone(), name]),
            None => Expr::Identifier(name),
        })
    });
    let extra = std::iter::once(condition.clone()).chain(more).enumerate().map(|(index, expr)| {
        let alias = Ident::with_quote('"', format!("{MARK}{index}"));
        SelectItem::ExprWithAlias { expr, alias }
    });
    let projection = own.chain(extra).collect();
    let select = Select { projection, from: vec![table.clone()], ..empty_select() };
    Query {
        with: None,
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

fn always() -> Expr {
    Expr::Value(SqlValue::Boolean(true).into())
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == SqlValue::Null)
}

fn name_of(table: &TableWithJoins) -> Result<&ObjectName, SqlError> {
    match (&table.relation, table.joins.is_empty()) {
        (TableFactor::Table { name, version: None, .. }, true) => Ok(name),
        _ => Err(unsupported("this target of a change")),
    }
}

/// Rows for which the condition is true, not NULL.
fn hits(batch: &RecordBatch, at: usize) -> Result<BooleanArray, SqlError> {
    let array = batch.columns().get(at).ok_or_else(|| unsupported("this condition"))?;
    match array.as_boolean_opt() {
        Some(flags) if flags.null_count() > 0 => Ok(prep_null_mask_filter(flags)),
        Some(flags) => Ok(flags.clone()),
        None if array.null_count() == array.len() => {
            Ok(BooleanArray::from(vec![false; array.len()]))
        }
        None => Err(compile("001044", "42P13", "Invalid data type for predicate")),
    }
}

async fn update_rows(planning: &Planning<'_>, update: Update) -> Result<Rows, SqlError> {
    if update.from.is_some() || update.returning.is_some() || update.limit.is_some() {
        return Err(unsupported("UPDATE with FROM"));
    }
    let (at, table) = target(planning, name_of(&update.table)?)?;
    let columns = table.columns();
    let condition = update.selection.clone().unwrap_or_else(always);
    let mut positions = Vec::new();
    let mut values = Vec::new();
    for assignment in &update.assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(unsupported("this SET"));
        };
        let name = parts_of(name)?.pop().unwrap_or_default();
        let position = columns.iter().position(|column| column.name == name);
        positions.push(position.ok_or_else(|| invalid_identifier(&name))?);
        values.push(Expr::Case {
            case_token: no_token(),
            end_token: no_token(),
            operand: None,
            conditions: vec![CaseWhen {
                condition: condition.clone(),
                result: assignment.value.clone(),
            }],
            else_result: None,
        });
    }
    let nulls: Vec<bool> =
        update.assignments.iter().map(|assignment| is_null(&assignment.value)).collect();
    let compiled = planning.compile(scan_of(&update.table, &columns, &condition, values), None)?;
    let types: Vec<SnowType> =
        compiled.columns.iter().skip(columns.len() + 1).map(|c| c.data_type.clone()).collect();
    for ((position, data_type), null) in positions.iter().zip(&types).zip(&nulls) {
        if let (Some(column), false) = (columns.get(*position), null) {
            check_assignable(data_type, column)?;
        }
    }
    let mut updated = 0;
    let mut batches = Vec::new();
    let mut stream = run(compiled).await?;
    while let Some(batch) = stream.try_next().await.map_err(translate)? {
        let hit = hits(&batch, columns.len())?;
        updated += hit.true_count();
        batches.push(replaced(planning, &batch, &hit, &columns, &positions)?);
    }
    let changed = table.with_version(planning.catalog.tick(), columns, batches)?;
    planning.catalog.replace_table(&at, changed, planning.session)?;
    Ok(Rows::counts(&[
        ("number of rows updated", count(updated)),
        ("number of multi-joined rows updated", 0),
    ]))
}

/// The batch with new values where the condition hit.
fn replaced(
    planning: &Planning<'_>,
    batch: &RecordBatch,
    hit: &BooleanArray,
    columns: &[ColumnDef],
    positions: &[usize],
) -> Result<RecordBatch, SqlError> {
    let mut arrays: Vec<ArrayRef> = batch.columns().iter().take(columns.len()).cloned().collect();
    let schema = batch.schema();
    let fields = schema.fields().iter().skip(columns.len() + 1);
    let values = batch.columns().iter().skip(columns.len() + 1).zip(fields);
    for ((value, field), position) in values.zip(positions) {
        let (Some(column), Some(old)) = (columns.get(*position), arrays.get_mut(*position)) else {
            return Err(unsupported("this column"));
        };
        let new = assigned(planning, value, field, column)?;
        *old = zip(hit, &new, old).map_err(|error| unsupported(error.to_string()))?;
    }
    batch_of(columns, arrays, batch.num_rows())
}

async fn delete_rows(planning: &Planning<'_>, delete: Delete) -> Result<Rows, SqlError> {
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    let [table_ref] = tables.as_slice() else { return Err(unsupported("this DELETE")) };
    if delete.using.is_some() || delete.returning.is_some() || delete.limit.is_some() {
        return Err(unsupported("DELETE with USING"));
    }
    let (at, table) = target(planning, name_of(table_ref)?)?;
    let columns = table.columns();
    let condition = delete.selection.clone().unwrap_or_else(always);
    let compiled = planning.compile(scan_of(table_ref, &columns, &condition, Vec::new()), None)?;
    let mut deleted = 0;
    let mut batches = Vec::new();
    let mut stream = run(compiled).await?;
    while let Some(batch) = stream.try_next().await.map_err(translate)? {
        let hit = hits(&batch, columns.len())?;
        deleted += hit.true_count();
        let internal = |error: arrow::error::ArrowError| unsupported(error.to_string());
        let kept = filter_record_batch(&batch, &not(&hit).map_err(internal)?).map_err(internal)?;
        let arrays = kept.columns().iter().take(columns.len()).cloned().collect();
        batches.push(batch_of(&columns, arrays, kept.num_rows())?);
    }
    let changed = table.with_version(planning.catalog.tick(), columns, batches)?;
    planning.catalog.replace_table(&at, changed, planning.session)?;
    Ok(Rows::counts(&[("number of rows deleted", count(deleted))]))
}

/// TRUNCATE TABLE.
pub(crate) fn truncate(
    planning: &Planning<'_>,
    name: &[String],
    if_exists: bool,
) -> Result<Rows, SqlError> {
    let at = Qualified::resolve(name, planning.session)?;
    let table = match planning.catalog.table(&at, planning.session) {
        Err(error) if if_exists && error.code == "002003" => {
            return Ok(Rows::status("Statement executed successfully."));
        }
        found => found?,
    };
    read_only(&table)?;
    let emptied = table.with_version(planning.catalog.tick(), table.columns(), Vec::new())?;
    planning.catalog.replace_table(&at, emptied, planning.session)?;
    Ok(Rows::status("Statement executed successfully."))
}

/// The columns that a change's answer has.
pub(crate) fn columns(planning: &Planning<'_>, tokens: &Tokens) -> Result<Rows, SqlError> {
    match parse(tokens)? {
        Statement::Insert(insert) => {
            if let TableObject::TableName(name) = &insert.table {
                target(planning, name)?;
            }
            Ok(Rows::counts(&[("number of rows inserted", 0)]))
        }
        Statement::Update(_) => Ok(Rows::counts(&[
            ("number of rows updated", 0),
            ("number of multi-joined rows updated", 0),
        ])),
        Statement::Delete(_) => Ok(Rows::counts(&[("number of rows deleted", 0)])),
        _ => Err(unsupported("this statement")),
    }
}
