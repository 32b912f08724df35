//! A pinned table as DataFusion sees it: its files one after the other, in a fixed order.
//!
//! The files are read by our own reader, as one partition. No statistics of values are told, so
//! nothing is decided by a bound; the number of rows is told as an estimate, for joins.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result as DfResult, Statistics};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::TryStreamExt;

use super::super::scan::Reading;

/// A table of which a query reads one version.
#[derive(Debug)]
pub(super) struct PinnedSource {
    /// All columns of all files.
    pub(super) reading: Reading,
    /// How many rows there are, if the log tells.
    pub(super) rows: Option<u64>,
}

#[async_trait]
impl TableProvider for PinnedSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.reading.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let mut reading = self.reading.clone();
        if let Some(projection) = projection {
            reading.schema = Arc::new(reading.schema.project(projection)?);
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&reading.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(PinnedScan { reading, rows: self.rows, properties: Arc::new(properties) }))
    }
}

/// The reading of a pinned table.
#[derive(Clone, Debug)]
struct PinnedScan {
    reading: Reading,
    rows: Option<u64>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for PinnedScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (table, files) = (&self.reading.table, self.reading.paths.len());
        write!(f, "PinnedScan: {table}, version {}, {files} files", self.reading.table_version)
    }
}

impl ExecutionPlan for PinnedScan {
    fn name(&self) -> &str {
        "PinnedScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        _partition: usize,
        _context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let stream = self.reading.clone().stream();
        let stream = stream.map_err(|error| DataFusionError::External(Box::new(error)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.reading.schema), stream)))
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> DfResult<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.reading.schema);
        if let Some(rows) = self.rows.and_then(|rows| usize::try_from(rows).ok()) {
            statistics.num_rows = Precision::Inexact(rows);
        }
        Ok(Arc::new(statistics))
    }
}
