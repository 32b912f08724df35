//! Compares a table at its source with ours: by count, and by a hash over all values.
//!
//! Each row becomes bytes that differ whenever a value does, the bytes a SHA-256, and the sum of
//! all of them does not depend on the order of the rows. Both sides are read anew for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int16Array, RecordBatch};
use arrow::datatypes::{DataType, Int16Type, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use futures::StreamExt;
use sha2::{Digest as _, Sha256};
use snowferry_bootstrap::{ReadRequest, ResultState};
use snowferry_model::fault::Fault;
use snowferry_model::plan::{ColumnFacts, IntegerPolicy, NANOS_SUFFIX, OFFSET_SUFFIX, TablePlan};
use snowferry_model::state::StreamKey;
use snowferry_model::types::TableDescription;
use snowferry_model::watermark::{NullCursors, Watermark, Window};
use snowferry_pull::{Mode, Ports, TableJob};

use crate::failure::Failure;

/// Count and hash of a whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Rows.
    pub(crate) rows: u64,
    /// The sum of the rows' hashes.
    pub(crate) sum: u128,
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.sum)
    }
}

/// Adds rows up, whatever their order.
struct Summer {
    schema: SchemaRef,
    converter: RowConverter,
    digest: Digest,
}

impl Summer {
    fn new(schema: SchemaRef) -> Result<Self, Failure> {
        let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone()));
        let converter = RowConverter::new(fields.collect()).map_err(broken)?;
        Ok(Self { schema, converter, digest: Digest { rows: 0, sum: 0 } })
    }

    /// Adds a batch that has the columns of the schema, in any order.
    fn add(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            match batch.column_by_name(field.name()) {
                Some(column) if column.data_type() == field.data_type() => {
                    columns.push(with_zeros(batch, field.name(), column)?);
                }
                _ => {
                    let wanted = format!("{} {}", field.name(), field.data_type());
                    return Err(Failure::ours("DEMO_COLUMNS", format!("one side has no {wanted}")));
                }
            }
        }
        let rows = self.converter.convert_columns(&columns).map_err(broken)?;
        for row in &rows {
            let hash = Sha256::digest(row.as_ref());
            let mut first = [0; 16];
            first.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
            self.digest.sum = self.digest.sum.wrapping_add(u128::from_be_bytes(first));
        }
        self.digest.rows += rows.num_rows() as u64;
        Ok(())
    }
}

/// Returns a column as it is compared. A companion that came later than a row is NULL in it, which
/// means zero nanoseconds.
fn with_zeros(batch: &RecordBatch, name: &str, column: &ArrayRef) -> Result<ArrayRef, Failure> {
    let value = name.strip_suffix(NANOS_SUFFIX).and_then(|name| batch.column_by_name(name));
    let Some(value) = value.filter(|_| *column.data_type() == DataType::Int16) else {
        return Ok(ArrayRef::clone(column));
    };
    let nanos = column.as_primitive::<Int16Type>();
    let filled = nanos
        .iter()
        .enumerate()
        .map(|(row, nanos)| nanos.or_else(|| value.is_valid(row).then_some(0)));
    Ok(Arc::new(filled.collect::<Int16Array>()))
}

fn broken(error: arrow::error::ArrowError) -> Failure {
    Failure::ours("DEMO_DIGEST", format!("hash the rows of a table: {error}"))
}

fn fault<E: Fault>(error: E) -> Failure {
    Failure::of(&error, &error)
}

/// Returns the digest of a table of our database, and the columns it is over: those that the
/// source has too. A column that was dropped there keeps its old values here.
pub(crate) async fn of_table(
    ports: &Ports,
    stream: &StreamKey,
) -> Result<(Digest, SchemaRef), Failure> {
    let Some(summary) = ports.database.summary(stream).await.map_err(fault)? else {
        return Err(Failure::ours("DEMO_NO_TABLE", format!("{stream} was not loaded")));
    };
    let description = ports.source.describe(&stream.table).await.map_err(fault)?;
    let schema = shared_columns(&summary.schema, &description);
    let mut summer = Summer::new(SchemaRef::clone(&schema))?;
    let mut batches = ports.database.scan(stream).await.map_err(fault)?;
    while let Some(batch) = batches.next().await {
        summer.add(&batch.map_err(fault)?)?;
    }
    Ok((summer.digest, schema))
}

fn shared_columns(ours: &Schema, description: &TableDescription) -> SchemaRef {
    let source: BTreeSet<&str> = description.columns.iter().map(|c| c.name.as_str()).collect();
    let is_shared = |name: &str| {
        let companion = [NANOS_SUFFIX, OFFSET_SUFFIX].iter().find_map(|s| name.strip_suffix(*s));
        source.contains(name) || companion.is_some_and(|of| source.contains(of))
    };
    let fields = ours.fields().iter().filter(|field| is_shared(field.name())).cloned();
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Returns the digest of a table at its source, read anew in the columns that our table has. Rows
/// that the job leaves out for want of a cursor are left out here too.
pub(crate) async fn of_source(
    ports: &Ports,
    job: &TableJob,
    schema: SchemaRef,
) -> Result<Digest, Failure> {
    let source = &ports.source;
    let description = source.describe(&job.table).await.map_err(fault)?;
    let plan = plan_like(&description, &schema)?;
    let request = ReadRequest {
        table: job.table.clone(),
        plan: plan.clone(),
        window: compared(job, &description),
        tag: "snowferry demo: comparison".to_owned(),
    };
    let query = source.submit(&request).await.map_err(fault)?;
    let layout = loop {
        if let ResultState::Ready(layout) = source.open(&query).await.map_err(fault)? {
            break layout;
        }
    };
    let mut summer = Summer::new(schema)?;
    let pieces = 0..layout.pieces.len();
    let mut batches = source.read(&query, pieces, &plan).await.map_err(fault)?;
    while let Some(batch) = batches.next().await {
        summer.add(&batch.map_err(fault)?)?;
    }
    Ok(summer.digest)
}

/// Returns the rows of the source that our table is to hold.
fn compared(job: &TableJob, description: &TableDescription) -> Window {
    let ignores = job.mode == Mode::Incremental && job.null_cursors == NullCursors::Ignore;
    let cursor = job.cursor.as_ref().filter(|_| ignores);
    let column = cursor.and_then(|name| description.columns.iter().find(|c| c.name == *name));
    match column {
        // A window without bounds looks at no bound's text.
        Some(column) => Window::Unbounded {
            to: Watermark {
                cursor: column.name.clone(),
                cursor_type: column.data_type.clone(),
                text: String::new(),
            },
        },
        None => Window::Whole,
    }
}

/// Returns the plan by which the source's rows have the columns of our table.
fn plan_like(description: &TableDescription, schema: &SchemaRef) -> Result<TablePlan, Failure> {
    let mut facts = BTreeMap::new();
    for column in &description.columns {
        let name = column.name.as_str();
        let narrow =
            schema.field_with_name(name).is_ok_and(|field| *field.data_type() == DataType::Int64);
        let nanos = format!("{name}{NANOS_SUFFIX}");
        let bound = (!narrow).then(|| "beyond 64 bits".to_owned());
        let fact = ColumnFacts {
            min: bound.clone(),
            max: bound,
            below_microseconds: schema.field_with_name(&nanos).is_ok(),
        };
        facts.insert(column.name.clone(), fact);
    }
    TablePlan::decide(description, &facts, IntegerPolicy::Auto)
        .map_err(|error| Failure::ours("DEMO_PLAN", format!("plan the comparison: {error}")))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::Field;

    use super::*;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("ID", DataType::Int64, true),
            Field::new("NAME", DataType::Utf8, true),
        ]))
    }

    fn digest(batches: &[&[(i64, Option<&str>)]]) -> Digest {
        let mut summer = Summer::new(schema()).unwrap();
        for rows in batches {
            let ids = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
            let names: StringArray = rows.iter().map(|row| row.1).collect();
            let columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(names)];
            summer.add(&RecordBatch::try_new(schema(), columns).unwrap()).unwrap();
        }
        summer.digest
    }

    #[test]
    fn the_order_and_the_cut_of_the_rows_do_not_matter() {
        let one = digest(&[&[(1, Some("a")), (2, None), (3, Some("c"))]]);
        let other = digest(&[&[(3, Some("c"))], &[(1, Some("a")), (2, None)]]);
        assert_eq!(one, other);
        assert_eq!(one.rows, 3);
    }

    #[test]
    fn every_value_matters() {
        let one = digest(&[&[(1, Some("a")), (2, None)]]);
        assert_ne!(one.sum, digest(&[&[(1, Some("a")), (2, Some(""))]]).sum);
        assert_ne!(one.sum, digest(&[&[(1, None), (2, Some("a"))]]).sum);
        assert_ne!(one.sum, digest(&[&[(1, Some("a")), (2, None), (2, None)]]).sum);
        assert_ne!(one.sum, digest(&[&[(1, Some("a"))]]).sum);
    }

    #[test]
    fn a_missing_column_is_refused() {
        let mut summer = Summer::new(schema()).unwrap();
        let narrow = Arc::new(Schema::new(vec![Field::new("ID", DataType::Int64, true)]));
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let batch = RecordBatch::try_new(narrow, vec![ids]).unwrap();
        assert!(summer.add(&batch).is_err());
    }
}
