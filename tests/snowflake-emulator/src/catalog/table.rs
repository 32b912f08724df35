//! One table: its columns, its kind and its versions.
//!
//! A version is a list of partitions, which never change. A change of rows takes partitions away
//! and adds others ([`Delta`]), so an INSERT and an UPDATE of one table can run side by side and
//! both keep what the other did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;

use crate::engine::SqlError;
use crate::sql::error::{sql_error, unsupported};
use crate::types::SnowType;

/// Versions that a table keeps for AT(…); older ones are forgotten, like beyond a retention time.
const KEPT_VERSIONS: usize = 200;
/// Most memory of a table's rows that only older versions have. Beyond it the oldest versions are
/// forgotten, so that rewriting a large table again and again does not fill the memory.
const MOST_SUPERSEDED_BYTES: usize = 512 << 20;
/// More small partitions than this are joined into one, so that many small inserts stay cheap to
/// read.
const MOST_SMALL_PARTITIONS: usize = 64;
/// Partitions of fewer rows are small.
const SMALL_PARTITION_ROWS: usize = 8192;

/// How long a table lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableKind {
    Permanent,
    Transient,
    /// Until its session ends, and visible only there.
    Temporary,
}

/// What a column gets when an INSERT does not name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Default {
    /// The expression as DESCRIBE shows it and as it is run.
    pub text: String,
}

/// AUTOINCREMENT: numbers for rows that name no value. They are not given back by a rollback.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub start: i64,
    pub step: i64,
    taken: Arc<AtomicI64>,
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        (self.start, self.step) == (other.start, other.step)
    }
}

impl Eq for Identity {}

impl Identity {
    /// A counter of which no number is taken.
    pub(crate) fn new(start: i64, step: i64) -> Self {
        Self { start, step, taken: Arc::default() }
    }

    /// A counter that goes on from here without this one noticing.
    pub(crate) fn fork(&self) -> Self {
        let taken = self.taken.load(Ordering::SeqCst);
        Self { start: self.start, step: self.step, taken: Arc::new(AtomicI64::new(taken)) }
    }

    /// Takes the next numbers.
    pub(crate) fn take(&self, rows: usize) -> impl Iterator<Item = i128> + use<> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let first = self.taken.fetch_add(rows, Ordering::SeqCst);
        let (start, step) = (i128::from(self.start), i128::from(self.step));
        (first..first.saturating_add(rows)).map(move |row| start + step * i128::from(row))
    }
}

/// A declared column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnDef {
    pub name: String,
    pub data_type: SnowType,
    pub nullable: bool,
    pub default: Option<Default>,
    pub identity: Option<Identity>,
    pub comment: Option<String>,
}

impl ColumnDef {
    /// A column of a type, with nothing else declared.
    pub(crate) fn new(name: impl Into<String>, data_type: SnowType, nullable: bool) -> Self {
        let name = name.into();
        Self { name, data_type, nullable, default: None, identity: None, comment: None }
    }

    /// The default as DESCRIBE shows it.
    pub(crate) fn default_text(&self) -> Option<String> {
        match &self.identity {
            Some(Identity { start, step, .. }) => {
                Some(format!("IDENTITY START {start} INCREMENT {step} NOORDER"))
            }
            None => self.default.as_ref().map(|default| default.text.clone()),
        }
    }
}

/// Rows that were stored together; never changed.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    /// Told apart by this number from all others of the process.
    pub id: u64,
    pub rows: RecordBatch,
}

impl Partition {
    /// Rows under a fresh number.
    pub(crate) fn new(rows: RecordBatch) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Self { id: NUMBERS.fetch_add(1, Ordering::SeqCst), rows }
    }
}

/// A change of a table's rows.
#[derive(Clone, Debug)]
pub(crate) struct Delta {
    /// The table by its id, so that a rename does not matter.
    pub table: u64,
    /// Its name when the change was made, for messages.
    pub name: String,
    /// The columns that the added rows have.
    pub columns: Arc<Vec<ColumnDef>>,
    /// Partitions that are no longer there.
    pub removed: BTreeSet<u64>,
    /// Partitions that are new.
    pub added: Vec<Partition>,
    /// Files that COPY loaded.
    pub loads: BTreeMap<String, Load>,
    /// Whether what was loaded before is forgotten, as by TRUNCATE.
    pub forgets_loads: bool,
}

impl Delta {
    /// New rows, all others stay.
    pub(crate) fn insert(table: &Table, batches: Vec<RecordBatch>) -> Self {
        let filled = batches.into_iter().filter(|batch| batch.num_rows() > 0);
        Self {
            table: table.id,
            name: table.name.clone(),
            columns: table.columns(),
            removed: BTreeSet::new(),
            added: filled.map(Partition::new).collect(),
            loads: BTreeMap::new(),
            forgets_loads: false,
        }
    }

    /// New rows in the place of all that `table` has.
    pub(crate) fn overwrite(table: &Table, batches: Vec<RecordBatch>) -> Result<Self, SqlError> {
        let mut delta = Self::insert(table, batches);
        delta.removed = table.current()?.partitions.iter().map(|found| found.id).collect();
        Ok(delta)
    }

    /// Adds a later change of the same table.
    pub(crate) fn merge(&mut self, later: Self) {
        let mut removed = later.removed;
        self.added.retain(|partition| !removed.remove(&partition.id));
        self.removed.append(&mut removed);
        self.added.extend(later.added);
        self.columns = later.columns;
        if later.forgets_loads {
            self.loads.clear();
            self.forgets_loads = true;
        }
        self.loads.extend(later.loads);
    }
}

/// The rows of a table since one commit.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// When it was committed, nanoseconds since 1970.
    pub commit_ns: i128,
    pub columns: Arc<Vec<ColumnDef>>,
    pub partitions: Arc<Vec<Partition>>,
    /// Memory of the partitions that the version before had and this one has not.
    superseded_bytes: usize,
}

/// A table with its newest version last.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// Changes with CREATE OR REPLACE.
    pub id: u64,
    pub name: String,
    pub kind: TableKind,
    pub primary_key: Vec<String>,
    pub comment: Option<String>,
    pub created_ns: i128,
    /// Rows that are computed at each scan instead of stored, and their number.
    pub generated: Option<(Arc<dyn TableProvider>, u64)>,
    /// What COPY has loaded, by file; gone with TRUNCATE and CREATE OR REPLACE.
    pub loads: Arc<BTreeMap<String, Load>>,
    versions: Vec<Arc<Version>>,
}

/// A file that a table has loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Of the content.
    pub etag: String,
    /// When, nanoseconds since 1970.
    pub loaded_ns: i128,
}

impl Table {
    /// A table with its first version.
    pub(crate) fn new(
        id: u64,
        name: &str,
        kind: TableKind,
        commit_ns: i128,
        columns: Vec<ColumnDef>,
    ) -> Self {
        let version = Version {
            commit_ns,
            columns: Arc::new(columns),
            partitions: Arc::default(),
            superseded_bytes: 0,
        };
        Self {
            id,
            name: name.to_owned(),
            kind,
            primary_key: Vec::new(),
            comment: None,
            created_ns: commit_ns,
            generated: None,
            loads: Arc::default(),
            versions: vec![Arc::new(version)],
        }
    }

    /// The newest version.
    pub(crate) fn current(&self) -> Result<&Arc<Version>, SqlError> {
        self.versions.last().ok_or_else(|| unsupported("a table without versions"))
    }

    /// The columns of the newest version.
    pub(crate) fn columns(&self) -> Arc<Vec<ColumnDef>> {
        self.versions.last().map(|version| Arc::clone(&version.columns)).unwrap_or_default()
    }

    /// The version that was the newest at a moment.
    pub(crate) fn at(&self, moment_ns: i128) -> Result<&Arc<Version>, SqlError> {
        let found = self.versions.iter().rev().find(|version| version.commit_ns <= moment_ns);
        found.ok_or_else(|| {
            let message = format!(
                "Time travel data is not available for table {}. The requested time is either \
                 beyond the allowed time travel period or before the object creation time.",
                self.name
            );
            sql_error("000707", "02000", message)
        })
    }

    /// A copy with one more version, of other rows.
    pub(crate) fn with_version(
        &self,
        commit_ns: i128,
        columns: Arc<Vec<ColumnDef>>,
        batches: Vec<RecordBatch>,
    ) -> Self {
        let filled = batches.into_iter().filter(|batch| batch.num_rows() > 0);
        self.push_version(commit_ns, columns, filled.map(Partition::new).collect())
    }

    /// A copy with one more version, changed by `delta`.
    ///
    /// # Errors
    /// When the table has other columns than the change, or lacks what it takes away.
    pub(crate) fn with_delta(&self, delta: &Delta, commit_ns: i128) -> Result<Self, SqlError> {
        let version = self.current()?;
        if version.columns != delta.columns {
            let message =
                format!("Table '{}' was altered while a transaction changed it.", self.name);
            return Err(sql_error("000625", "57014", message));
        }
        let mut partitions = Vec::with_capacity(version.partitions.len() + delta.added.len());
        let mut removed = 0;
        for partition in version.partitions.iter() {
            if delta.removed.contains(&partition.id) {
                removed += 1;
            } else {
                partitions.push(partition.clone());
            }
        }
        if removed != delta.removed.len() {
            return Err(sql_error("000603", "XX000", "a changed partition is not there any more"));
        }
        partitions.extend(delta.added.iter().cloned());
        let mut changed = self.push_version(commit_ns, Arc::clone(&version.columns), partitions);
        if delta.forgets_loads {
            changed.loads = Arc::default();
        }
        if !delta.loads.is_empty() {
            Arc::make_mut(&mut changed.loads).extend(delta.loads.clone());
        }
        Ok(changed)
    }

    fn push_version(
        &self,
        commit_ns: i128,
        columns: Arc<Vec<ColumnDef>>,
        partitions: Vec<Partition>,
    ) -> Self {
        let mut changed = self.clone();
        let kept: BTreeSet<u64> = partitions.iter().map(|partition| partition.id).collect();
        let before = self.versions.last().map(|version| Arc::clone(&version.partitions));
        let superseded_bytes = before
            .iter()
            .flat_map(|partitions| partitions.iter())
            .filter(|partition| !kept.contains(&partition.id))
            .map(|partition| partition.rows.get_array_memory_size())
            .sum();
        let partitions = Arc::new(partitions);
        changed.versions.push(Arc::new(Version {
            commit_ns,
            columns,
            partitions,
            superseded_bytes,
        }));
        changed.forget_old_versions(MOST_SUPERSEDED_BYTES);
        changed
    }

    /// Forgets the oldest versions, as far as they are too many or hold too much memory.
    fn forget_old_versions(&mut self, most_bytes: usize) {
        let mut kept = 0;
        let mut bytes: usize = 0;
        // What a version superseded is held by the versions before it.
        for version in self.versions.iter().rev() {
            if kept == KEPT_VERSIONS || bytes > most_bytes {
                break;
            }
            kept += 1;
            bytes = bytes.saturating_add(version.superseded_bytes);
        }
        self.versions.drain(..self.versions.len() - kept);
    }

    /// Joins the newest version's small partitions if they are many.
    pub(crate) fn join_small_partitions(&mut self) -> Result<(), SqlError> {
        let Some(newest) = self.versions.last_mut() else { return Ok(()) };
        let is_small = |partition: &&Partition| partition.rows.num_rows() < SMALL_PARTITION_ROWS;
        let small: Vec<&RecordBatch> =
            newest.partitions.iter().filter(is_small).map(|partition| &partition.rows).collect();
        if small.len() <= MOST_SMALL_PARTITIONS {
            return Ok(());
        }
        let joined = concat_batches(&newest.schema(), small)
            .map_err(|error| unsupported(format!("a table this large: {error}")))?;
        let large = newest.partitions.iter().filter(|partition| !is_small(partition));
        let partitions = large.cloned().chain([Partition::new(joined)]).collect();
        let mut version = newest.as_ref().clone();
        version.partitions = Arc::new(partitions);
        *newest = Arc::new(version);
        Ok(())
    }

    /// When the newest version was committed.
    pub(crate) fn altered_ns(&self) -> i128 {
        self.versions.last().map_or(self.created_ns, |version| version.commit_ns)
    }

    /// Number of rows of the newest version.
    pub(crate) fn rows(&self) -> u64 {
        if let Some((_, rows)) = &self.generated {
            return *rows;
        }
        self.versions.last().map_or(0, |version| version.rows())
    }

    /// Memory of the newest version's rows.
    pub(crate) fn bytes(&self) -> u64 {
        let sizes = self.versions.last().map(|version| {
            version.batches().map(RecordBatch::get_array_memory_size).sum::<usize>()
        });
        u64::try_from(sizes.unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

impl Version {
    /// The Arrow schema of the rows.
    pub(crate) fn schema(&self) -> SchemaRef {
        schema_of(&self.columns)
    }

    /// The rows, partition by partition.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.partitions.iter().map(|partition| &partition.rows)
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> u64 {
        let rows: usize = self.batches().map(RecordBatch::num_rows).sum();
        u64::try_from(rows).unwrap_or(u64::MAX)
    }

    /// The rows as a table that queries can scan.
    pub(crate) fn provider(&self) -> Result<Arc<dyn TableProvider>, SqlError> {
        let batches = self.batches().cloned().collect();
        let table = MemTable::try_new(self.schema(), vec![batches])
            .map_err(|error| unsupported(format!("this table: {error}")))?;
        Ok(Arc::new(table))
    }
}

/// The Arrow schema of declared columns.
pub(crate) fn schema_of(columns: &[ColumnDef]) -> SchemaRef {
    let fields: Vec<_> = columns
        .iter()
        .map(|column| column.data_type.field(&column.name, column.nullable))
        .collect();
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use arrow::array::Decimal128Array;

    use super::*;

    fn rows(from: i128, count: i128) -> RecordBatch {
        let schema = schema_of(&columns());
        let numbers = Decimal128Array::from_iter_values(from..from + count);
        let numbers = numbers.with_precision_and_scale(38, 0).expect("fits");
        RecordBatch::try_new(schema, vec![Arc::new(numbers)]).expect("fits")
    }

    fn columns() -> Vec<ColumnDef> {
        vec![ColumnDef::new("A", SnowType::INTEGER, true)]
    }

    #[test]
    fn versions_that_hold_too_much_memory_are_forgotten() {
        let mut table = Table::new(1, "T", TableKind::Permanent, 1, columns());
        for commit in 2..8 {
            let overwritten = Delta::overwrite(&table, vec![rows(commit, 1000)]).expect("a delta");
            table = table.with_delta(&overwritten, commit).expect("applies");
        }
        assert_eq!(table.at(2).expect("kept").rows(), 1000);
        let one = rows(0, 1000).get_array_memory_size();
        table.forget_old_versions(2 * one);
        assert_eq!(table.rows(), 1000);
        assert!(table.at(5).is_ok());
        assert_eq!(table.at(4).expect_err("forgotten").code, "000707");
    }

    #[test]
    fn an_insert_and_a_rewrite_of_the_same_rows_keep_both_changes() {
        let empty = Table::new(1, "T", TableKind::Permanent, 1, columns());
        let first = empty.with_delta(&Delta::insert(&empty, vec![rows(0, 3)]), 2).expect("applies");
        let rewrite = Delta::overwrite(&first, vec![rows(100, 2)]).expect("a delta");
        let insert = Delta::insert(&first, vec![rows(200, 4)]);
        let both = first.with_delta(&insert, 3).expect("applies");
        let both = both.with_delta(&rewrite, 4).expect("applies");
        assert_eq!(both.rows(), 6);
        // The same partitions cannot be taken away twice.
        assert!(both.with_delta(&rewrite, 5).is_err());
    }

    #[test]
    fn later_changes_of_a_transaction_take_away_what_earlier_ones_added() {
        let empty = Table::new(1, "T", TableKind::Permanent, 1, columns());
        let base = empty.with_delta(&Delta::insert(&empty, vec![rows(0, 3)]), 2).expect("applies");
        let mut all = Delta::insert(&base, vec![rows(10, 2)]);
        let seen = base.with_delta(&all, 3).expect("applies");
        all.merge(Delta::overwrite(&seen, vec![rows(50, 1)]).expect("a delta"));
        assert_eq!((all.removed.len(), all.added.len()), (1, 1));
        assert_eq!(base.with_delta(&all, 4).expect("applies").rows(), 1);
    }

    #[test]
    fn many_small_partitions_become_one_and_large_ones_stay() {
        let mut table = Table::new(1, "T", TableKind::Permanent, 1, columns());
        let large = Delta::insert(&table, vec![rows(0, 10_000)]);
        table = table.with_delta(&large, 2).expect("applies");
        for commit in 3..100 {
            let small = Delta::insert(&table, vec![rows(commit, 1)]);
            table = table.with_delta(&small, commit).expect("applies");
            table.join_small_partitions().expect("joins");
        }
        let newest = table.current().expect("a version");
        assert!(newest.partitions.len() < 70, "{}", newest.partitions.len());
        assert!(newest.partitions.iter().any(|found| found.id == large.added[0].id));
        assert_eq!(table.rows(), 10_097);
    }
}
