//! UPDATE and DELETE, also with other tables that say which rows and which values.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, Update, UpdateTableFromKind,
};

use super::rewrite::{
    Action, Target, alone, assignments, collect, numbers, query_of, rewritten, several_changes,
};
use super::{Changed, count, deleted as deleted_table, parts_of};
use crate::catalog::{ColumnDef, Table};
use crate::engine::SqlError;
use crate::sql::error::{invalid_identifier, unsupported};
use crate::sql::plan::Planning;
use crate::sql::rows::Rows;

/// Computes an UPDATE.
pub(super) async fn run_update(
    planning: &Planning<'_>,
    mut update: Update,
    table: &Table,
) -> Result<Changed, SqlError> {
    let exotic = update.returning.is_some()
        || update.output.is_some()
        || update.or.is_some()
        || update.limit.is_some()
        || !update.order_by.is_empty()
        || !update.table.joins.is_empty();
    if exotic {
        return Err(unsupported("this clause of UPDATE"));
    }
    let target = Target::new(planning, &update.table.relation)?;
    target.shorten(&mut update);
    let columns = table.columns();
    let positions = assigned_positions(&update.assignments, &columns)?;
    let values = update.assignments.into_iter().map(|assignment| assignment.value);
    let items = std::iter::once(target.row()).chain(values).collect();
    let mut from = vec![alone(target.factor())];
    match update.from {
        None => {}
        Some(UpdateTableFromKind::BeforeSet(tables) | UpdateTableFromKind::AfterSet(tables)) => {
            from.extend(tables);
        }
    }
    let query = query_of(items, from, update.selection);
    let (batch, given) = collect(planning, table, query).await?;
    let values = assignments(planning, (&batch, &given), 1, &positions, &columns)?;
    let mut actions = BTreeMap::new();
    let mut joined_twice = BTreeSet::new();
    for (row, number) in numbers(&batch, 0)?.into_iter().enumerate() {
        let Some(number) = number else { continue };
        match actions.entry(number) {
            Entry::Vacant(free) => {
                free.insert(Action::Update { clause: 0, row });
            }
            Entry::Occupied(_) => {
                joined_twice.insert(number);
            }
        }
    }
    if let (true, Some(first)) =
        (is_set(planning, "ERROR_ON_NONDETERMINISTIC_UPDATE", false), joined_twice.first())
    {
        return Err(several_changes(planning, table, *first)?);
    }
    let delta = rewritten(table, &actions, &[values])?;
    let rows = updated(count(actions.len()), count(joined_twice.len()));
    Ok(Changed { statement_type_id: 0x3200, rows, delta: Some(delta) })
}

/// The counts of an UPDATE.
pub(super) fn updated(rows: u64, joined_twice: u64) -> Rows {
    Rows::counts(&[
        ("number of rows updated", rows),
        ("number of multi-joined rows updated", joined_twice),
    ])
}

/// Computes a DELETE.
pub(super) async fn run_delete(
    planning: &Planning<'_>,
    mut delete: Delete,
    table: &Table,
) -> Result<Changed, SqlError> {
    let exotic = delete.returning.is_some()
        || delete.output.is_some()
        || delete.limit.is_some()
        || !delete.order_by.is_empty()
        || !delete.tables.is_empty();
    if exotic {
        return Err(unsupported("this clause of DELETE"));
    }
    let target = Target::new(planning, deleted_table(&delete)?)?;
    target.shorten(&mut delete);
    let mut from = vec![alone(target.factor())];
    from.extend(delete.using.unwrap_or_default());
    let query = query_of(vec![target.row()], from, delete.selection);
    let (batch, _) = collect(planning, table, query).await?;
    let hit = numbers(&batch, 0)?.into_iter().flatten();
    let actions: BTreeMap<usize, Action> = hit.map(|row| (row, Action::Delete)).collect();
    let delta = rewritten(table, &actions, &[])?;
    let rows = deleted(count(actions.len()));
    Ok(Changed { statement_type_id: 0x3300, rows, delta: Some(delta) })
}

/// The count of a DELETE.
pub(super) fn deleted(rows: u64) -> Rows {
    Rows::counts(&[("number of rows deleted", rows)])
}

/// The places of the columns that SET names.
pub(super) fn assigned_positions(
    assignments: &[Assignment],
    columns: &[ColumnDef],
) -> Result<Vec<usize>, SqlError> {
    let mut positions = Vec::with_capacity(assignments.len());
    for assignment in assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(unsupported("this SET"));
        };
        let name = parts_of(name)?.pop().unwrap_or_default();
        let position = columns.iter().position(|column| column.name == name);
        positions.push(position.ok_or_else(|| invalid_identifier(&name))?);
        if matches!(&assignment.value, expr if super::insert::is_default(expr)) {
            return Err(unsupported("SET column = DEFAULT"));
        }
    }
    Ok(positions)
}

/// Whether a parameter of the session is true.
pub(super) fn is_set(planning: &Planning<'_>, name: &str, default: bool) -> bool {
    let set = planning.session.parameters.get(name);
    set.map_or(default, |value| value.eq_ignore_ascii_case("true"))
}

/// The condition that always holds.
pub(super) fn always() -> Expr {
    use datafusion::sql::sqlparser::ast::Value;
    Expr::Value(Value::Boolean(true).into())
}
