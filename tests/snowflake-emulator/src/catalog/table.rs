//! One table: its columns, its kind and its versions.

use std::sync::Arc;

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
/// More batches than this are joined into one, so that many small inserts stay cheap to read.
const MOST_BATCHES: usize = 64;

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

/// A declared column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnDef {
    pub name: String,
    pub data_type: SnowType,
    pub nullable: bool,
    pub default: Option<Default>,
    pub comment: Option<String>,
}

/// The rows of a table since one commit.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    /// When it was committed, nanoseconds since 1970.
    pub commit_ns: i128,
    pub columns: Arc<Vec<ColumnDef>>,
    pub batches: Arc<Vec<RecordBatch>>,
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
    versions: Vec<Arc<Version>>,
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
        let version =
            Version { commit_ns, columns: Arc::new(columns), batches: Arc::new(Vec::new()) };
        Self {
            id,
            name: name.to_owned(),
            kind,
            primary_key: Vec::new(),
            comment: None,
            created_ns: commit_ns,
            generated: None,
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

    /// A copy with one more version.
    pub(crate) fn with_version(
        &self,
        commit_ns: i128,
        columns: Arc<Vec<ColumnDef>>,
        batches: Vec<RecordBatch>,
    ) -> Result<Self, SqlError> {
        let mut batches: Vec<RecordBatch> =
            batches.into_iter().filter(|batch| batch.num_rows() > 0).collect();
        if let (true, Some(first)) = (batches.len() > MOST_BATCHES, batches.first()) {
            let joined = concat_batches(&first.schema(), &batches)
                .map_err(|error| unsupported(format!("a table this large: {error}")))?;
            batches = vec![joined];
        }
        let mut changed = self.clone();
        let version = Version { commit_ns, columns, batches: Arc::new(batches) };
        changed.versions.push(Arc::new(version));
        let excess = changed.versions.len().saturating_sub(KEPT_VERSIONS);
        changed.versions.drain(..excess);
        Ok(changed)
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
            let batches = version.batches.iter();
            batches.map(RecordBatch::get_array_memory_size).sum::<usize>()
        });
        u64::try_from(sizes.unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

impl Version {
    /// The Arrow schema of the rows.
    pub(crate) fn schema(&self) -> SchemaRef {
        schema_of(&self.columns)
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> u64 {
        let rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        u64::try_from(rows).unwrap_or(u64::MAX)
    }

    /// The rows as a table that queries can scan.
    pub(crate) fn provider(&self) -> Result<Arc<dyn TableProvider>, SqlError> {
        let table = MemTable::try_new(self.schema(), vec![self.batches.as_ref().clone()])
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
