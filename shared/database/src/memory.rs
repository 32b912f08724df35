//! A database in memory; the fake.
//!
//! It applies manifests by the same rules as the vendor adapters and moves the ledger in the same
//! critical section. Every committed state is kept, so that a test can assert that readers only
//! ever saw whole states ([`MemoryDatabase::versions`]). Nothing here is bounded: it is for tests.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use snowferry_model::manifest::PartRecord;
use snowferry_model::slice::{Apply, UniqueBy};
use snowferry_model::state::{LedgerPosition, StreamKey};

use crate::columns::{conform, extended};
use crate::keys::{KeyEncoder, UniqueColumns, is_null_cursor, whole_rows};
use crate::position::{self, Step};
use crate::{
    BatchStream, Database, DatabaseError, LoadFigures, LoadRequest, Loaded, StagedParts,
    TableSummary,
};

mod export;

/// A database in memory. Clones share their tables.
#[derive(Clone, Debug, Default)]
pub struct MemoryDatabase {
    tables: Arc<Mutex<HashMap<StreamKey, Table>>>,
}

#[derive(Clone, Debug)]
struct Table {
    schema: SchemaRef,
    ledger: LedgerPosition,
    rows: Vec<RecordBatch>,
    versions: Vec<TableVersion>,
}

/// A committed state.
#[derive(Clone, Debug)]
struct TableVersion {
    schema: SchemaRef,
    ledger: LedgerPosition,
    rows: Vec<RecordBatch>,
}

impl MemoryDatabase {
    /// Makes a database without tables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns every state that a reader of the table could have seen, oldest first.
    #[must_use]
    pub fn versions(&self, stream: &StreamKey) -> Vec<Vec<RecordBatch>> {
        let tables = self.locked();
        let Some(table) = tables.get(stream) else { return Vec::new() };
        table.versions.iter().map(|version| version.rows.clone()).collect()
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<StreamKey, Table>> {
        // Tables are replaced whole, so a panic elsewhere leaves them as they were.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(
        &self,
        request: LoadRequest<'_>,
        incoming: Vec<RecordBatch>,
    ) -> Result<Loaded, DatabaseError> {
        let name = request.stream.to_string();
        let mut tables = self.locked();
        let before = tables.get(request.stream);
        let found = before.map(|table| table.ledger);
        if position::step(&name, found, request.manifest)? == Step::Already {
            return Ok(Loaded::Already);
        }
        let mut schema: SchemaRef = Arc::new(request.plan.schema());
        let replaces = matches!(request.manifest.apply, Apply::Replace { .. });
        let mut standing = before.map(|table| table.rows.clone()).unwrap_or_default();
        if let Some(table) = before.filter(|_| !replaces) {
            schema = extended(&name, &table.schema, &schema)?;
            standing = conform_all(&name, &schema, &standing)?;
        }
        let incoming = conform_all(&name, &schema, &incoming)?;
        let (rows, figures) = apply(&name, &schema, request, standing, incoming)?;
        let mut versions = before.map(|table| table.versions.clone()).unwrap_or_default();
        let ledger = position::wanted(request.manifest);
        versions.push(TableVersion { schema: Arc::clone(&schema), ledger, rows: rows.clone() });
        tables.insert(request.stream.clone(), Table { schema, ledger, rows, versions });
        Ok(Loaded::Now(figures))
    }
}

#[async_trait]
impl Database for MemoryDatabase {
    async fn ledger(&self, stream: &StreamKey) -> Result<Option<LedgerPosition>, DatabaseError> {
        Ok(self.locked().get(stream).map(|table| table.ledger))
    }

    async fn load(
        &self,
        request: LoadRequest<'_>,
        parts: &dyn StagedParts,
    ) -> Result<Loaded, DatabaseError> {
        let name = request.stream.to_string();
        let found = self.ledger(request.stream).await?;
        if position::step(&name, found, request.manifest)? == Step::Already {
            return Ok(Loaded::Already);
        }
        let schema: SchemaRef = Arc::new(request.plan.schema());
        let mut incoming = Vec::new();
        for part in &request.manifest.parts {
            incoming.extend(read_part(&name, &schema, part, parts).await?);
        }
        self.commit(request, incoming)
    }

    async fn summary(&self, stream: &StreamKey) -> Result<Option<TableSummary>, DatabaseError> {
        Ok(self.locked().get(stream).map(|table| TableSummary {
            schema: Arc::clone(&table.schema),
            rows: rows_of(&table.rows),
            files: table.rows.len() as u64,
            size_bytes: table.rows.iter().map(|b| b.get_array_memory_size() as u64).sum(),
            location: format!("memory:{stream}"),
        }))
    }

    async fn scan(&self, stream: &StreamKey) -> Result<BatchStream, DatabaseError> {
        let Some(table) = self.locked().get(stream).cloned() else {
            return Err(DatabaseError::Store {
                step: "read",
                table: stream.to_string(),
                source: "there is no such table".into(),
            });
        };
        Ok(Box::pin(futures::stream::iter(table.rows.into_iter().map(Ok))))
    }
}

fn conform_all(
    table: &str,
    schema: &SchemaRef,
    batches: &[RecordBatch],
) -> Result<Vec<RecordBatch>, DatabaseError> {
    let conformed: Result<Vec<_>, _> = batches.iter().map(|batch| conform(batch, schema)).collect();
    conformed.map_err(|error| DatabaseError::Store {
        step: "load",
        table: table.to_owned(),
        source: error.into(),
    })
}

fn rows_of(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

/// Reads a staged part whole and checks it against its record.
async fn read_part(
    table: &str,
    schema: &SchemaRef,
    part: &PartRecord,
    parts: &dyn StagedParts,
) -> Result<Vec<RecordBatch>, DatabaseError> {
    let broken =
        |source| DatabaseError::Part { table: table.to_owned(), part: part.object.clone(), source };
    let bytes = parts.read(part, 0..part.size_bytes).await.map_err(broken)?;
    let options = ArrowReaderOptions::new().with_schema(Arc::clone(schema));
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| broken(error.into()))?;
    let batches: Vec<_> = reader.collect::<Result<_, _>>().map_err(|e| broken(e.into()))?;
    let rows = rows_of(&batches);
    if rows != part.rows {
        return Err(broken(format!("it holds {rows} rows, its record says {}", part.rows).into()));
    }
    Ok(batches)
}

/// Returns the rows of the table after the load.
fn apply(
    table: &str,
    schema: &SchemaRef,
    request: LoadRequest<'_>,
    mut standing: Vec<RecordBatch>,
    incoming: Vec<RecordBatch>,
) -> Result<(Vec<RecordBatch>, LoadFigures), DatabaseError> {
    let offered = rows_of(&incoming);
    let removed = match request.manifest.apply {
        Apply::Replace { .. } => rows_of(&std::mem::take(&mut standing)),
        Apply::Append | Apply::Upsert { .. } => 0,
    };
    let mut figures = LoadFigures { inserted: offered, replaced: removed, superseded: 0 };
    let Some(unique) = request.manifest.apply.unique() else {
        standing.extend(incoming);
        standing.retain(|batch| batch.num_rows() > 0);
        return Ok((standing, figures));
    };
    let verdict = Verdict::reach(table, schema, request, &unique, &standing, &incoming)?;
    let broken = |error: arrow::error::ArrowError| DatabaseError::Store {
        step: "load",
        table: table.to_owned(),
        source: Box::new(error),
    };
    let mut rows = Vec::new();
    for (batch, keep) in standing.iter().zip(&verdict.standing) {
        let kept = filter_record_batch(batch, &BooleanArray::from(keep.clone())).map_err(broken)?;
        figures.replaced += (batch.num_rows() - kept.num_rows()) as u64;
        rows.push(kept);
    }
    for (batch, keep) in incoming.iter().zip(&verdict.incoming) {
        let kept = filter_record_batch(batch, &BooleanArray::from(keep.clone())).map_err(broken)?;
        let lost = (batch.num_rows() - kept.num_rows()) as u64;
        figures.inserted -= lost;
        figures.superseded += lost;
        rows.push(kept);
    }
    rows.retain(|batch| batch.num_rows() > 0);
    Ok((rows, figures))
}

/// Which rows stay, by batch and row.
struct Verdict {
    standing: Vec<Vec<bool>>,
    incoming: Vec<Vec<bool>>,
}

/// What an incoming row meets in the table.
#[derive(Default)]
struct Met {
    /// Whether the incoming row loses.
    loses: bool,
    /// The rows of its key, by batch and row.
    places: Vec<(usize, usize)>,
}

/// Where a row is, and its cursor.
struct Best {
    batch: usize,
    row: usize,
    cursor: Vec<u8>,
}

impl Verdict {
    fn reach(
        table: &str,
        schema: &SchemaRef,
        request: LoadRequest<'_>,
        unique: &UniqueBy,
        standing: &[RecordBatch],
        incoming: &[RecordBatch],
    ) -> Result<Self, DatabaseError> {
        let encoder = UniqueColumns::resolve(table, request.plan, unique)?.encoder()?;
        let best = best_of(&encoder, incoming)?;
        let whole = whole_rows(table, schema)?;
        let broken = |error: arrow::error::ArrowError| DatabaseError::Store {
            step: "compare rows of",
            table: table.to_owned(),
            source: Box::new(error),
        };
        // The rows of the table that have an incoming key, and whether the incoming row loses.
        let mut met: HashMap<&[u8], Met> = HashMap::new();
        for (index, batch) in standing.iter().enumerate() {
            let encoded = encoder.encode(batch)?;
            for row in 0..batch.num_rows() {
                let Some((key, best)) = best.get_key_value(encoded.keys.row(row).data()) else {
                    continue;
                };
                let cursor = encoded.cursors.row(row);
                let mut loses =
                    cursor.data() > best.cursor.as_slice() && !is_null_cursor(&best.cursor);
                if cursor.data() == best.cursor.as_slice()
                    && let Some(winner) = incoming.get(best.batch)
                {
                    let ours = whole.convert_columns(batch.slice(row, 1).columns());
                    let theirs = whole.convert_columns(winner.slice(best.row, 1).columns());
                    loses = ours.map_err(broken)?.row(0) == theirs.map_err(broken)?.row(0);
                }
                let met = met.entry(key.as_slice()).or_default();
                met.loses |= loses;
                met.places.push((index, row));
            }
        }
        let mut verdict = Self {
            standing: standing.iter().map(|batch| vec![true; batch.num_rows()]).collect(),
            incoming: incoming.iter().map(|batch| vec![false; batch.num_rows()]).collect(),
        };
        for (key, best) in &best {
            let (loses, places) = met
                .get(key.as_slice())
                .map_or((false, &[][..]), |met| (met.loses, &met.places[..]));
            if loses {
                continue;
            }
            mark(&mut verdict.incoming, best.batch, best.row, true);
            for (batch, row) in places {
                mark(&mut verdict.standing, *batch, *row, false);
            }
        }
        Ok(verdict)
    }
}

fn mark(flags: &mut [Vec<bool>], batch: usize, row: usize, value: bool) {
    if let Some(flag) = flags.get_mut(batch).and_then(|rows| rows.get_mut(row)) {
        *flag = value;
    }
}

/// Returns the row that stays for each key among the incoming ones.
fn best_of(
    encoder: &KeyEncoder,
    incoming: &[RecordBatch],
) -> Result<HashMap<Vec<u8>, Best>, DatabaseError> {
    let mut best: HashMap<Vec<u8>, Best> = HashMap::new();
    for (index, batch) in incoming.iter().enumerate() {
        let encoded = encoder.encode(batch)?;
        for row in 0..batch.num_rows() {
            let cursor = encoded.cursors.row(row).data().to_vec();
            match best.entry(encoded.keys.row(row).data().to_vec()) {
                Entry::Vacant(place) => {
                    place.insert(Best { batch: index, row, cursor });
                }
                Entry::Occupied(mut place) if cursor >= place.get().cursor => {
                    place.insert(Best { batch: index, row, cursor });
                }
                Entry::Occupied(_) => {}
            }
        }
    }
    Ok(best)
}
