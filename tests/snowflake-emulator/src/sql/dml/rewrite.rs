//! What UPDATE, DELETE and MERGE share: a target whose rows are numbered, and new partitions in
//! the place of those that lose or change rows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{concat_batches, interleave};
use arrow::datatypes::{Decimal128Type, FieldRef, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, SetExpr, TableAlias, TableFactor, TableWithJoins,
    VisitMut, VisitorMut,
};
use futures::TryStreamExt;

use super::assign::{assigned, batch_of, check_assignable};
use super::insert::may_be_null_alone;
use crate::catalog::{ColumnDef, Delta, Partition, Qualified, Table};
use crate::engine::SqlError;
use crate::sql::error::{sql_error, unsupported};
use crate::sql::plan::{Planning, run, translate};
use crate::sql::rewrite::{MARK, empty_select, table_named};
use crate::sql::value::{Reader, Value, Writer};
use crate::types::{Column, SnowType};

/// What happens to one row of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Delete,
    /// Takes the values of a clause from a row of the query's result.
    Update {
        clause: usize,
        row: usize,
    },
}

/// The new values of an UPDATE: for each assigned column its place and its values.
pub(super) type Assignments = Vec<(usize, ArrayRef)>;

/// The target of a change under the name that its expressions use.
pub(super) struct Target {
    /// The alias.
    name: Ident,
    at: Qualified,
    aliased: bool,
}

impl Target {
    /// The target of a statement of a session.
    pub(super) fn new(planning: &Planning<'_>, factor: &TableFactor) -> Result<Self, SqlError> {
        let TableFactor::Table { name, alias, .. } = factor else {
            return Err(unsupported("this target of a change"));
        };
        let at = Qualified::resolve(&super::parts_of(name)?, planning.session)?;
        let aliased = alias.is_some();
        let name = match alias {
            Some(alias) => alias.name.clone(),
            None => Ident::with_quote('"', &at.name),
        };
        Ok(Self { name, at, aliased })
    }

    /// Makes `schema.table.column` into `table.column`, which is what the numbered target has.
    pub(super) fn shorten<V: VisitMut>(&self, node: &mut V) {
        if !self.aliased {
            let _always_continues = node.visit(&mut Shorten(self));
        }
    }

    /// The numbered target in FROM.
    pub(super) fn factor(&self) -> TableFactor {
        let alias =
            TableAlias { explicit: true, name: self.name.clone(), columns: Vec::new(), at: None };
        let marked = Ident::with_quote('"', format!("{MARK}{TARGET}"));
        table_named(marked.into(), Some(alias))
    }

    /// The number of a row.
    pub(super) fn row(&self) -> Expr {
        let column = Ident::with_quote('"', format!("{MARK}ROW"));
        Expr::CompoundIdentifier(vec![self.name.clone(), column])
    }
}

struct Shorten<'a>(&'a Target);

impl VisitorMut for Shorten<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::CompoundIdentifier(parts) = expr else { return ControlFlow::Continue(()) };
        let Some((column, qualifier)) = parts.split_last() else {
            return ControlFlow::Continue(());
        };
        let at = &self.0.at;
        let full = [&at.database, &at.schema, &at.name];
        let given = qualifier.iter().rev().map(|part| &part.value);
        let same = given.zip(full.into_iter().rev()).all(|(given, full)| given == full);
        if (2..=3).contains(&qualifier.len()) && same {
            *expr = Expr::CompoundIdentifier(vec![self.0.name.clone(), column.clone()]);
        }
        ControlFlow::Continue(())
    }
}

/// The name behind the mark by which a query reads the numbered target.
pub(crate) const TARGET: &str = "TARGET";

/// The rows of a table with a number each, counted over all partitions.
pub(super) fn numbered(table: &Table) -> Result<Arc<dyn TableProvider>, SqlError> {
    let version = table.current()?;
    let number = SnowType::INTEGER.field(&format!("{MARK}ROW"), true);
    let own = version.schema();
    let fields: Vec<FieldRef> = own.fields().iter().cloned().chain([Arc::clone(&number)]).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut batches = Vec::with_capacity(version.partitions.len());
    let mut next: i128 = 0;
    for batch in version.batches() {
        let mut writer = Writer::new(number.data_type(), batch.num_rows())?;
        for _ in 0..batch.num_rows() {
            writer.push(Value::integer(next))?;
            next += 1;
        }
        let arrays = batch.columns().iter().cloned().chain([writer.finish()]).collect();
        let numbered = RecordBatch::try_new(Arc::clone(&schema), arrays)
            .map_err(|error| unsupported(error.to_string()))?;
        batches.push(numbered);
    }
    let table = MemTable::try_new(schema, vec![batches]).map_err(translate)?;
    Ok(Arc::new(table))
}

/// `SELECT <items> FROM <tables> WHERE <selection>`.
pub(crate) fn query_of(
    items: Vec<Expr>,
    from: Vec<TableWithJoins>,
    selection: Option<Expr>,
) -> Query {
    let projection = items.into_iter().enumerate().map(|(index, expr)| {
        let alias = Ident::with_quote('"', format!("{MARK}{index}"));
        SelectItem::ExprWithAlias { expr, alias }
    });
    let select = Select { projection: projection.collect(), from, selection, ..empty_select() };
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

/// The whole result of a query over the numbered target.
pub(super) async fn collect(
    planning: &Planning<'_>,
    table: &Table,
    query: Query,
) -> Result<(RecordBatch, Vec<Column>), SqlError> {
    let planning = Planning { target: Some(numbered(table)?), ..planning.clone() };
    let compiled = planning.compile(query, None)?;
    let columns = compiled.columns.clone();
    let stream = run(compiled).await?;
    let schema = stream.schema();
    let batches: Vec<RecordBatch> = stream.try_collect().await.map_err(translate)?;
    let joined = concat_batches(&schema, &batches)
        .map_err(|error| unsupported(format!("a change this large: {error}")))?;
    Ok((joined, columns))
}

/// The whole numbers in a column of a result; NULL is `None`.
pub(super) fn numbers(batch: &RecordBatch, at: usize) -> Result<Vec<Option<usize>>, SqlError> {
    let array = batch.columns().get(at).ok_or_else(|| unsupported("this change"))?;
    if array.null_count() == array.len() {
        return Ok(vec![None; array.len()]);
    }
    let numbers = array.as_primitive_opt::<Decimal128Type>();
    let numbers = numbers.ok_or_else(|| unsupported("this change"))?;
    Ok(numbers.iter().map(|number| number.and_then(|n| usize::try_from(n).ok())).collect())
}

/// The values of assigned columns, converted: result column `first + i` goes to `positions[i]`.
pub(super) fn assignments(
    planning: &Planning<'_>,
    (batch, given): (&RecordBatch, &[Column]),
    first: usize,
    positions: &[usize],
    columns: &[ColumnDef],
) -> Result<Assignments, SqlError> {
    let schema = batch.schema();
    let mut converted = Vec::with_capacity(positions.len());
    for (index, position) in positions.iter().enumerate() {
        let at = first + index;
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
        converted.push((*position, assigned(planning, array, field, column)?));
    }
    Ok(converted)
}

/// The change that does to each numbered row its action.
pub(super) fn rewritten(
    table: &Table,
    actions: &BTreeMap<usize, Action>,
    clauses: &[Assignments],
) -> Result<Delta, SqlError> {
    let version = table.current()?;
    let mut delta = Delta::insert(table, Vec::new());
    let mut first = 0;
    for partition in version.partitions.iter() {
        let end = first + partition.rows.num_rows();
        if actions.range(first..end).next().is_some() {
            delta.removed.insert(partition.id);
            let batch = replaced(&partition.rows, first, actions, clauses, &version.columns)?;
            if batch.num_rows() > 0 {
                delta.added.push(Partition::new(batch));
            }
        }
        first = end;
    }
    Ok(delta)
}

fn replaced(
    batch: &RecordBatch,
    first: usize,
    actions: &BTreeMap<usize, Action>,
    clauses: &[Assignments],
    columns: &[ColumnDef],
) -> Result<RecordBatch, SqlError> {
    let kept: Vec<(usize, Option<&Action>)> = (0..batch.num_rows())
        .map(|row| (row, actions.get(&(first + row))))
        .filter(|(_, action)| *action != Some(&Action::Delete))
        .collect();
    let mut arrays = Vec::with_capacity(columns.len());
    for (index, old) in batch.columns().iter().enumerate() {
        let mut sources: Vec<&dyn Array> = vec![old.as_ref()];
        // For each clause the number of its values of this column among the sources.
        let mut places: Vec<Option<usize>> = Vec::with_capacity(clauses.len());
        for clause in clauses {
            let values = clause.iter().find(|(position, _)| *position == index);
            places.push(values.map(|(_, values)| {
                sources.push(values.as_ref());
                sources.len() - 1
            }));
        }
        let picks: Vec<(usize, usize)> = kept
            .iter()
            .map(|(row, action)| match action {
                Some(Action::Update { clause, row: new }) => {
                    places.get(*clause).copied().flatten().map_or((0, *row), |at| (at, *new))
                }
                _ => (0, *row),
            })
            .collect();
        let array = interleave(&sources, &picks).map_err(|error| unsupported(error.to_string()))?;
        arrays.push(array);
    }
    batch_of(columns, arrays, kept.len())
}

/// The error of a row that several rows of a source would change.
pub(super) fn several_changes(
    planning: &Planning<'_>,
    table: &Table,
    row: usize,
) -> Result<SqlError, SqlError> {
    let version = table.current()?;
    let mut first = 0;
    for batch in version.batches() {
        if row < first + batch.num_rows() {
            let schema = batch.schema();
            let mut shown = Vec::with_capacity(batch.num_columns());
            for (array, field) in batch.columns().iter().zip(schema.fields()) {
                shown.push(match Reader::new(array, field).get(row - first)? {
                    Value::Null => "NULL".to_owned(),
                    Value::Text(text) => format!("\"{text}\""),
                    other => planning.conversion.text(&other),
                });
            }
            let message = format!(
                "Duplicate row detected during DML action\nRow Values: [{}]",
                shown.join(", ")
            );
            return Ok(sql_error("100090", "42P18", message));
        }
        first += batch.num_rows();
    }
    Ok(sql_error("100090", "42P18", "Duplicate row detected during DML action"))
}

/// A table without joins in FROM.
pub(crate) fn alone(relation: TableFactor) -> TableWithJoins {
    TableWithJoins { relation, joins: Vec::new() }
}
