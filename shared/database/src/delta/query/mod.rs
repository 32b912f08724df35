//! Answers queries over Delta tables with DataFusion, in bounded memory.
//!
//! 1. [`text`]: the query is read under Snowflake's rules for names;
//! 2. the names are resolved, and the newest (or the pinned) version of each table is opened;
//! 3. the plan is made, its parameters are bound, functions that answer differently from call to
//!    call are refused (`now()` is the moment of the question), and integers are kept from
//!    wrapping ([`exact`]);
//! 4. the rows come as a stream, cast to the few types of an answer ([`answer`]).
//!
//! One partition, files in a fixed order and a memory pool for each query make the order of rows
//! repeatable. What does not fit into the pool is spilled into a folder; a hash join's smaller
//! side cannot be spilled, and ends in [`DatabaseError::Memory`].
//!
//! The tables are read by our own reader ([`source`]), never by the library's provider: that one
//! skips files by inexact bounds, where other programs have written them.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::sql::planner::{NullOrdering, ParserOptions, SqlToRel};
use futures::StreamExt;
use snowferry_model::export::{
    EXPORT_VERSION, ExportColumn, ExportQuery, ExportSnapshot, ExportSource, PinnedTable,
};
use snowferry_model::state::StreamKey;

use super::scan::Reading;
use super::{DeltaDatabase, store_error};
use crate::meaning::resolve;
use crate::{BatchStream, DatabaseError, Description, Export};

mod answer;
mod exact;
mod parameters;
mod provider;
mod source;
mod tables;
mod text;

use provider::Provider;
use source::PinnedSource;
use tables::Tables;

/// Rows of one batch.
const BATCH_ROWS: usize = 8192;

/// What queries may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryOptions {
    /// Memory for sorting, grouping and joining, in bytes, for each query.
    pub memory_bytes: u64,
    /// Disk for what does not fit into memory, in bytes, for each query.
    pub spill_bytes: u64,
    /// Where that goes; `None`: where this machine keeps temporary files.
    pub spill_folder: Option<PathBuf>,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self {
            memory_bytes: 512 * 1024 * 1024,
            spill_bytes: 100 * 1024 * 1024 * 1024,
            spill_folder: None,
        }
    }
}

/// Queries over Delta tables, in a folder or in a bucket.
#[derive(Clone, Debug)]
pub struct DeltaExport {
    tables: Tables,
    options: QueryOptions,
}

impl DeltaExport {
    /// Reads the tables of a database.
    #[must_use]
    pub fn new(database: DeltaDatabase, options: QueryOptions) -> Self {
        Self { tables: Tables::Folder(database), options }
    }

    /// Reads the tables of a bucket: their logs for a question, their files for its answer.
    #[cfg(feature = "s3")]
    #[must_use]
    pub fn of_bucket(bucket: super::bucket::BucketDelta, options: QueryOptions) -> Self {
        Self { tables: Tables::Bucket(bucket), options }
    }

    /// Plans a query over these versions, or over the newest where `pinned` is `None`.
    async fn plan(
        &self,
        query: &ExportQuery,
        pinned: Option<&[PinnedTable]>,
    ) -> Result<Planned, DatabaseError> {
        let statement = text::parse(&sql_of(&query.source))?;
        let names = text::tables(&statement)?;
        let streams: Vec<StreamKey> = match pinned {
            Some(pinned) => pinned.iter().map(|table| table.stream.clone()).collect(),
            None => self.tables.streams(tables::connections(&names, query).as_ref()).await?,
        };
        let mut opened: BTreeMap<StreamKey, Opened> = BTreeMap::new();
        let mut tables: HashMap<_, Arc<dyn TableProvider>> = HashMap::new();
        for name in names {
            let stream = resolve(&text::parts(&name), &streams, query.connection.as_ref())?;
            if !opened.contains_key(stream) {
                let pinned = pinned.into_iter().flatten().find(|table| table.stream == *stream);
                opened.insert(stream.clone(), self.open_table(stream, pinned).await?);
            }
            if let Some(opened) = opened.get(stream) {
                tables.insert(name, Arc::clone(&opened.source) as Arc<dyn TableProvider>);
            }
        }
        let state = self.state(query)?;
        let provider = Provider { state: &state, tables };
        let plan = SqlToRel::new_with_options(&provider, parser_options())
            .sql_statement_to_plan(statement)
            .map_err(answer::planning)?;
        let plan = parameters::bind(plan, &query.parameters)?;
        refuse_changing_answers(&plan)?;
        let plan = exact::exact(plan).map_err(answer::planning)?;
        let physical = state.create_physical_plan(&plan).await.map_err(answer::planning)?;
        let schema = answer::columns(&physical.schema())?;
        let tables = opened.into_values().map(|opened| opened.pinned).collect();
        Ok(Planned { state, physical, schema, tables })
    }

    async fn open_table(
        &self,
        stream: &StreamKey,
        pinned: Option<&PinnedTable>,
    ) -> Result<Opened, DatabaseError> {
        let table = stream.to_string();
        let number = pinned.map(|pinned| pinned.table_version);
        let gone = |number: u64| DatabaseError::SnapshotGone {
            table: table.clone(),
            table_version: number,
            source: "another table is in its place, or none".into(),
        };
        let Some((version, fetch)) = self.tables.open(stream, number).await? else {
            return Err(match number {
                Some(number) => gone(number),
                None => store_error("read", &table, "the table was removed meanwhile"),
            });
        };
        if let Some(pinned) = pinned
            && pinned.table_id != version.table_id()
        {
            return Err(gone(pinned.table_version));
        }
        let pinned = PinnedTable {
            stream: stream.clone(),
            table_id: version.table_id().to_owned(),
            table_version: version.number(),
            ledger: version.ledger,
        };
        let rows = version.files.iter().map(|file| file.rows_told).sum();
        let mut reading = Reading::whole(version);
        reading.paths.sort();
        reading.fetch = fetch;
        Ok(Opened { pinned, source: Arc::new(PinnedSource { reading, rows }) })
    }

    /// Makes the surroundings of one query.
    fn state(&self, query: &ExportQuery) -> Result<SessionState, DatabaseError> {
        let memory = usize::try_from(self.options.memory_bytes).unwrap_or(usize::MAX);
        let mode = match &self.options.spill_folder {
            Some(folder) => DiskManagerMode::Directories(vec![folder.clone()]),
            None => DiskManagerMode::OsTmpDirectory,
        };
        let disk = DiskManagerBuilder::default()
            .with_mode(mode)
            .with_max_temp_directory_size(self.options.spill_bytes);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| store_error("query", "our database", error))?;
        let mut config = SessionConfig::new().with_batch_size(BATCH_ROWS).with_target_partitions(1);
        config.options_mut().sql_parser.parse_float_as_decimal = true;
        config.options_mut().sql_parser.enable_ident_normalization = false;
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        // The default wants ten megabytes for merging, whatever the pool.
        let execution = &mut config.options_mut().execution;
        execution.sort_spill_reservation_bytes =
            execution.sort_spill_reservation_bytes.min(memory / 16);
        let now = DateTime::from_timestamp_millis(query.now.0).ok_or_else(|| {
            DatabaseError::Query { reason: "its time is out of range".to_owned(), hint: None }
        })?;
        let properties = ExecutionProps::new().with_query_execution_start_time(now);
        Ok(SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .with_execution_props(properties)
            .build())
    }
}

/// A query that is ready to run.
struct Planned {
    state: SessionState,
    physical: Arc<dyn ExecutionPlan>,
    schema: SchemaRef,
    tables: Vec<PinnedTable>,
}

/// A table of a query.
struct Opened {
    pinned: PinnedTable,
    source: Arc<PinnedSource>,
}

#[async_trait]
impl Export for DeltaExport {
    async fn tables(&self) -> Result<Vec<StreamKey>, DatabaseError> {
        self.tables.streams(None).await
    }

    async fn describe(&self, query: &ExportQuery) -> Result<Description, DatabaseError> {
        let planned = self.plan(query, None).await?;
        let snapshot = ExportSnapshot {
            version: EXPORT_VERSION,
            query: query.clone(),
            tables: planned.tables,
            columns: columns_of(&planned.schema),
        };
        Ok(Description { schema: planned.schema, snapshot })
    }

    async fn open(&self, snapshot: &ExportSnapshot) -> Result<BatchStream, DatabaseError> {
        let planned = self.plan(&snapshot.query, Some(&snapshot.tables)).await?;
        let schema = planned.schema;
        if snapshot.version > EXPORT_VERSION || columns_of(&schema) != snapshot.columns {
            return Err(DatabaseError::Query {
                reason: "another version of the program asked it, and meant other columns"
                    .to_owned(),
                hint: Some("run it again with a new snapshot".to_owned()),
            });
        }
        let limit = self.options.memory_bytes;
        let stream = execute_stream(planned.physical, planned.state.task_ctx())
            .map_err(|error| answer::running(error, limit))?;
        Ok(Box::pin(stream.map(move |batch| {
            answer::shape(&batch.map_err(|error| answer::running(error, limit))?, &schema)
        })))
    }
}

fn sql_of(source: &ExportSource) -> String {
    match source {
        ExportSource::Sql(sql) => sql.clone(),
        ExportSource::Table(stream) => {
            format!("SELECT * FROM \"{}\".{}", stream.connection, stream.table.quoted())
        }
    }
}

fn parser_options() -> ParserOptions {
    ParserOptions::new()
        .with_enable_ident_normalization(false)
        .with_map_string_types_to_utf8view(false)
        .with_parse_float_as_decimal(true)
        .with_default_null_ordering(NullOrdering::NullsMax)
}

fn columns_of(schema: &SchemaRef) -> Vec<ExportColumn> {
    let column = |field: &Arc<arrow::datatypes::Field>| ExportColumn {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
    };
    schema.fields().iter().map(column).collect()
}

/// Refuses functions such as `random()`: a repeated query would send other rows.
fn refuse_changing_answers(plan: &LogicalPlan) -> Result<(), DatabaseError> {
    let mut found = None;
    plan.apply_with_subqueries(|plan| {
        plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr
                    && call.func.signature().volatility == Volatility::Volatile
                {
                    found = Some(call.func.name().to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .map_err(answer::planning)?;
    match found {
        None => Ok(()),
        Some(name) => Err(DatabaseError::Query {
            reason: format!("{name}() gives another value each time it is called"),
            hint: Some("a repeated push must send the same rows: leave it out".to_owned()),
        }),
    }
}
