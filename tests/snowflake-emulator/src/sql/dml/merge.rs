//! MERGE: updates, deletes and inserts by one comparison of a target with a source.
//!
//! Two queries over one snapshot: the matching pairs with the number of the first clause that
//! takes each, and the rows of the source without a match, likewise. A row of the target that
//! several rows of the source would change is an error (ERROR_ON_NONDETERMINISTIC_MERGE), unless
//! all of them delete it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::take;
use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, Ident, Join, JoinConstraint, JoinOperator, Merge, MergeAction, MergeClause,
    MergeClauseKind, MergeInsertExpr, MergeInsertKind, TableFactor, TableWithJoins,
    Value as SqlValue, VisitMut, VisitorMut,
};

use super::assign::{assigned, check_assignable, complete};
use super::insert::{is_default, may_be_null_alone, positions, wrong_width};
use super::rewrite::{
    Action, Assignments, Target, alone, assignments, collect, numbers, query_of, rewritten,
    several_changes,
};
use super::update::{always, assigned_positions, is_set};
use super::{Changed, count};
use crate::catalog::{ColumnDef, Delta, Partition, Table};
use crate::engine::SqlError;
use crate::sql::error::unsupported;
use crate::sql::plan::Planning;
use crate::sql::rows::Rows;
use crate::sql::tokens::no_token;
use crate::types::Column;

/// Computes a MERGE.
pub(super) async fn run_merge(
    planning: &Planning<'_>,
    mut merge: Merge,
    table: &Table,
) -> Result<Changed, SqlError> {
    if merge.output.is_some() {
        return Err(unsupported("this clause of MERGE"));
    }
    let target = Target::new(planning, &merge.table)?;
    target.shorten(&mut merge);
    let mut matched = Vec::new();
    let mut absent = Vec::new();
    for clause in &merge.clauses {
        match (clause.clause_kind, &clause.action) {
            (MergeClauseKind::Matched, MergeAction::Update(_) | MergeAction::Delete { .. }) => {
                matched.push(clause);
            }
            (MergeClauseKind::NotMatched, MergeAction::Insert(_)) => absent.push(clause),
            _ => return Err(unsupported("this clause of MERGE")),
        }
    }
    let mut delta = Delta::insert(table, Vec::new());
    let mut counted = [0; 3];
    if !matched.is_empty() {
        let (change, updated, deleted) =
            change_matched(planning, &merge, &target, &matched, table).await?;
        delta = change;
        counted = [0, updated, deleted];
    }
    if !absent.is_empty() {
        let batches = insert_absent(planning, &merge, &target, &absent, table).await?;
        counted[0] = batches.iter().map(RecordBatch::num_rows).sum();
        let filled = batches.into_iter().filter(|batch| batch.num_rows() > 0);
        delta.added.extend(filled.map(Partition::new));
    }
    let rows = counts(&merge.clauses, counted);
    Ok(Changed { statement_type_id: 0x3400, rows, delta: Some(delta) })
}

/// The counts of rows inserted, updated and deleted, as far as there are clauses for them.
pub(super) fn counts(clauses: &[MergeClause], counted: [usize; 3]) -> Rows {
    let has =
        |wanted: fn(&MergeAction) -> bool| clauses.iter().any(|clause| wanted(&clause.action));
    let present = [
        has(|action| matches!(action, MergeAction::Insert(_))),
        has(|action| matches!(action, MergeAction::Update(_))),
        has(|action| matches!(action, MergeAction::Delete { .. })),
    ];
    let names = ["number of rows inserted", "number of rows updated", "number of rows deleted"];
    let shown: Vec<(&'static str, u64)> = names
        .into_iter()
        .zip(counted)
        .zip(present)
        .filter(|(_, present)| *present)
        .map(|((name, rows), _)| (name, count(rows)))
        .collect();
    Rows::counts(&shown)
}

/// The numbered target and the source, joined by the condition of the MERGE.
fn joined(
    merge: &Merge,
    target: &Target,
    operator: fn(JoinConstraint) -> JoinOperator,
) -> TableWithJoins {
    let join = Join {
        relation: target.factor(),
        global: false,
        join_operator: operator(JoinConstraint::On(merge.on.as_ref().clone())),
    };
    TableWithJoins { relation: merge.source.clone(), joins: vec![join] }
}

fn predicates(clauses: &[&MergeClause]) -> Vec<Expr> {
    clauses.iter().map(|clause| clause.predicate.clone().unwrap_or_else(always)).collect()
}

fn case(conditions: Vec<CaseWhen>) -> Expr {
    Expr::Case {
        case_token: no_token(),
        end_token: no_token(),
        operand: None,
        conditions,
        else_result: None,
    }
}

/// The number of the first clause whose predicate holds, NULL without one.
fn clause_number(predicates: &[Expr]) -> Expr {
    let numbered = predicates.iter().enumerate().map(|(index, predicate)| CaseWhen {
        condition: predicate.clone(),
        result: Expr::Value(SqlValue::Number(index.to_string(), false).into()),
    });
    case(numbered.collect())
}

/// A value that is computed only for the rows that clause `index` takes.
fn value_of_clause(predicates: &[Expr], index: usize, value: Expr) -> Expr {
    let null = || Expr::Value(SqlValue::Null.into());
    if matches!(&value, Expr::Value(value) if value.value == SqlValue::Null) {
        return value;
    }
    let earlier = predicates.iter().take(index);
    let mut conditions: Vec<CaseWhen> = earlier
        .map(|condition| CaseWhen { condition: condition.clone(), result: null() })
        .collect();
    if let Some(condition) = predicates.get(index) {
        conditions.push(CaseWhen { condition: condition.clone(), result: value });
    }
    case(conditions)
}

async fn change_matched(
    planning: &Planning<'_>,
    merge: &Merge,
    target: &Target,
    clauses: &[&MergeClause],
    table: &Table,
) -> Result<(Delta, usize, usize), SqlError> {
    let columns = table.columns();
    let predicates = predicates(clauses);
    let mut items = vec![target.row(), clause_number(&predicates)];
    // For each clause where its values begin and which columns they are for.
    let mut places: Vec<(usize, Vec<usize>)> = Vec::with_capacity(clauses.len());
    for (index, clause) in clauses.iter().enumerate() {
        let first = items.len();
        let MergeAction::Update(update) = &clause.action else {
            places.push((first, Vec::new()));
            continue;
        };
        if update.update_predicate.is_some() || update.delete_predicate.is_some() {
            return Err(unsupported("this clause of MERGE"));
        }
        places.push((first, assigned_positions(&update.assignments, &columns)?));
        let values = update.assignments.iter().map(|assignment| assignment.value.clone());
        items.extend(values.map(|value| value_of_clause(&predicates, index, value)));
    }
    let query = query_of(items, vec![joined(merge, target, JoinOperator::Inner)], None);
    let (batch, given) = collect(planning, table, query).await?;
    let mut values: Vec<Assignments> = Vec::with_capacity(places.len());
    for (first, positions) in &places {
        values.push(assignments(planning, (&batch, &given), *first, positions, &columns)?);
    }
    let actions = matched_actions(planning, &batch, clauses, table)?;
    let deleted = actions.values().filter(|action| **action == Action::Delete).count();
    let delta = rewritten(table, &actions, &values)?;
    Ok((delta, actions.len() - deleted, deleted))
}

fn matched_actions(
    planning: &Planning<'_>,
    batch: &RecordBatch,
    clauses: &[&MergeClause],
    table: &Table,
) -> Result<BTreeMap<usize, Action>, SqlError> {
    let strict = is_set(planning, "ERROR_ON_NONDETERMINISTIC_MERGE", true);
    let mut actions: BTreeMap<usize, Action> = BTreeMap::new();
    let pairs = numbers(batch, 0)?.into_iter().zip(numbers(batch, 1)?);
    for (row, pair) in pairs.enumerate() {
        let (Some(number), Some(clause)) = pair else { continue };
        let deletes = clauses
            .get(clause)
            .is_some_and(|clause| matches!(clause.action, MergeAction::Delete { .. }));
        let action = if deletes { Action::Delete } else { Action::Update { clause, row } };
        match actions.get(&number) {
            None => {
                actions.insert(number, action);
            }
            Some(Action::Delete) if deletes => {}
            Some(_) if strict => return Err(several_changes(planning, table, number)?),
            Some(_) => {}
        }
    }
    Ok(actions)
}

/// One WHEN NOT MATCHED: its columns and where their values begin.
struct Insertion {
    first: usize,
    positions: Vec<usize>,
}

/// Gives the columns of the source its name: a new row knows no others.
struct OfSource {
    name: Ident,
    columns: Vec<String>,
}

impl OfSource {
    fn new(planning: &Planning<'_>, source: &TableFactor) -> Result<Option<Self>, SqlError> {
        let name = match source {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. } => alias.name.clone(),
            TableFactor::Table { name, .. } => {
                let last = name.0.last().and_then(|part| part.as_ident());
                last.cloned().ok_or_else(|| unsupported("this source of a MERGE"))?
            }
            _ => return Ok(None),
        };
        let columns = planning.columns_of(vec![alone(source.clone())], None)?;
        Ok(Some(Self { name, columns: columns.into_iter().map(|column| column.name).collect() }))
    }
}

impl VisitorMut for OfSource {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(column) = expr
            && self.columns.contains(&column.value)
        {
            *expr = Expr::CompoundIdentifier(vec![self.name.clone(), column.clone()]);
        }
        ControlFlow::Continue(())
    }
}

async fn insert_absent(
    planning: &Planning<'_>,
    merge: &Merge,
    target: &Target,
    clauses: &[&MergeClause],
    table: &Table,
) -> Result<Vec<RecordBatch>, SqlError> {
    let columns = table.columns();
    let mut predicates = predicates(clauses);
    let mut of_source = OfSource::new(planning, &merge.source)?;
    if let Some(of_source) = &mut of_source {
        let _always_continues = predicates.visit(of_source);
    }
    let mut items = vec![clause_number(&predicates)];
    let mut insertions = Vec::with_capacity(clauses.len());
    for (index, clause) in clauses.iter().enumerate() {
        let MergeAction::Insert(insert) = &clause.action else { continue };
        let (positions, mut values) = inserted(insert, &columns)?;
        if let Some(of_source) = &mut of_source {
            let _always_continues = values.visit(of_source);
        }
        insertions.push(Insertion { first: items.len(), positions });
        items.extend(values.into_iter().map(|value| value_of_clause(&predicates, index, value)));
    }
    let no_match = Expr::IsNull(Box::new(target.row()));
    let from = vec![joined(merge, target, JoinOperator::Left)];
    let (batch, given) = collect(planning, table, query_of(items, from, Some(no_match))).await?;
    let chosen = numbers(&batch, 0)?;
    let mut batches = Vec::with_capacity(insertions.len());
    for (index, insertion) in insertions.iter().enumerate() {
        let rows = chosen.iter().enumerate().filter(|(_, chosen)| **chosen == Some(index));
        let rows: UInt64Array = rows.map(|(row, _)| u64::try_from(row).ok()).collect();
        batches.push(new_rows(planning, (&batch, &given), insertion, &rows, &columns)?);
    }
    Ok(batches)
}

/// The columns that an INSERT clause gives values for, and the values; DEFAULT is left out.
fn inserted(
    insert: &MergeInsertExpr,
    columns: &[ColumnDef],
) -> Result<(Vec<usize>, Vec<Expr>), SqlError> {
    let MergeInsertKind::Values(values) = &insert.kind else {
        return Err(unsupported("INSERT ROW"));
    };
    let ([row], None) = (values.rows.as_slice(), &insert.insert_predicate) else {
        return Err(unsupported("this INSERT of MERGE"));
    };
    let positions = positions(&insert.columns, columns)?;
    if row.content.len() != positions.len() {
        return Err(wrong_width(positions.len(), row.content.len()));
    }
    let given = positions.into_iter().zip(row.content.iter().cloned());
    Ok(given.filter(|(_, value)| !is_default(value)).unzip())
}

fn new_rows(
    planning: &Planning<'_>,
    (batch, given): (&RecordBatch, &[Column]),
    insertion: &Insertion,
    rows: &UInt64Array,
    columns: &[ColumnDef],
) -> Result<RecordBatch, SqlError> {
    let schema = batch.schema();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(insertion.positions.len());
    for (index, position) in insertion.positions.iter().enumerate() {
        let at = insertion.first + index;
        let (Some(array), Some(field), Some(given), Some(column)) = (
            batch.columns().get(at),
            schema.fields().get(at),
            given.get(at),
            columns.get(*position),
        ) else {
            return Err(unsupported("this column"));
        };
        if !may_be_null_alone(given) {
            check_assignable(&given.data_type, column)?;
        }
        let picked =
            take(array.as_ref(), rows, None).map_err(|error| unsupported(error.to_string()))?;
        arrays.push(assigned(planning, &picked, field, column)?);
    }
    let rows = arrow::array::Array::len(rows);
    complete(planning, arrays, rows, columns, &insertion.positions)
}
