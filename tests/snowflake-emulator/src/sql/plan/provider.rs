//! What DataFusion's planner asks for: tables, functions, options.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use datafusion::catalog::{TableProvider, view::ViewTable};
use datafusion::common::{SchemaError, TableReference};
use datafusion::config::ConfigOptions;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::functions_aggregate::{count, sum};
use datafusion::functions_window::{rank, row_number};
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};

use super::{Planning, aggregates, derived, options, planners};
use crate::catalog::{Qualified, Relation, View};
use crate::engine::SqlError;
use crate::sql::dml::TARGET;
use crate::sql::error::{compile, invalid_identifier, sql_error, unsupported};
use crate::sql::functions::external;
use crate::sql::information;
use crate::sql::query_history::query_history;
use crate::sql::rewrite::MARK;
use crate::sql::tokens::split;
use crate::sql::value::{Value, Writer};
use crate::types::SnowType;

/// Views may name views this deep.
const MOST_NESTED_VIEWS: usize = 20;
/// More generated rows than this are refused: they would be held in memory.
const MOST_GENERATED_ROWS: u64 = 10_000_000;

/// Answers the planner for one query.
#[derive(Debug)]
pub(crate) struct Provider<'a> {
    planning: Planning<'a>,
    moments: Vec<i128>,
    options: ConfigOptions,
    planners: Vec<Arc<dyn ExprPlanner>>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    scans: bool,
    tables: Vec<Qualified>,
}

impl<'a> Provider<'a> {
    /// For a query whose `AT(…)` marks stand for `moments`.
    pub(super) fn new(planning: Planning<'a>, moments: Vec<i128>) -> Self {
        let planners = planners(&planning.registry);
        Self { planning, moments, options: options(), planners, seen: Mutex::default() }
    }

    /// Whether a table was asked for.
    pub(super) fn scans(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).scans
    }

    /// Database, schema and table of a column's qualifier, if it is a table of this query.
    pub(super) fn origin(&self, qualifier: &TableReference) -> [String; 3] {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = seen.tables.iter().find(|table| {
            table.name == qualifier.table()
                && qualifier.schema().is_none_or(|schema| schema == table.schema)
                && qualifier.catalog().is_none_or(|database| database == table.database)
        });
        found
            .map(|table| [table.database.clone(), table.schema.clone(), table.name.clone()])
            .unwrap_or_default()
    }

    fn source(&self, reference: &TableReference) -> Result<Arc<dyn TableProvider>, SqlError> {
        if let Some(special) = reference.table().strip_prefix(MARK) {
            return self.special(special);
        }
        let mut parts: Vec<String> = [reference.catalog(), reference.schema()]
            .into_iter()
            .flatten()
            .map(ToOwned::to_owned)
            .collect();
        let (name, moment) = self.moment(reference.table())?;
        parts.push(name);
        let at = Qualified::resolve(&parts, self.planning.session)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.scans = true;
        drop(seen);
        if at.schema == information::SCHEMA {
            return information::table(&self.planning, &at);
        }
        self.planning.enter(&at)?;
        let relation = self.planning.snapshot.relation(&at, self.planning.session)?;
        self.planning.authorize(&at, &relation, &["SELECT"])?;
        match relation {
            Relation::Table(table) => {
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).tables.push(at);
                match (&table.generated, moment) {
                    (Some((generated, _)), _) => Ok(Arc::clone(generated)),
                    (None, Some(moment)) => table.at(moment)?.provider(),
                    (None, None) => table.current()?.provider(),
                }
            }
            Relation::View(_) if moment.is_some() => Err(unsupported("AT(…) of a view")),
            Relation::View(view) => self.view(&at, &view),
        }
    }

    /// Cuts the mark of `AT(…)` off a name.
    fn moment(&self, name: &str) -> Result<(String, Option<i128>), SqlError> {
        let Some((name, mark)) = name.split_once(MARK) else { return Ok((name.to_owned(), None)) };
        let index = mark.rsplit(MARK).next().and_then(|index| index.parse::<usize>().ok());
        let moment = index.and_then(|index| self.moments.get(index)).copied();
        moment
            .map(|moment| (name.to_owned(), Some(moment)))
            .ok_or_else(|| unsupported("this name of a table"))
    }

    fn special(&self, name: &str) -> Result<Arc<dyn TableProvider>, SqlError> {
        if name == TARGET {
            let target = self.planning.target.clone();
            return target.ok_or_else(|| unsupported("this name of a table"));
        }
        match name.split_once(MARK) {
            Some((derived::PLANNED, index)) => {
                let index = index.parse::<usize>().ok();
                let found = index.and_then(|index| self.planning.planned.tables.get(index));
                found.cloned().ok_or_else(|| unsupported("this name of a table"))
            }
            Some(("HISTORY", narrowed)) => query_history(&self.planning, narrowed),
            None if name == "HISTORY" => query_history(&self.planning, ""),
            Some(("RESULT", id)) => {
                let (schema, batches) = self.planning.results.get(id)?;
                memory(schema, batches)
            }
            Some(("GENERATOR", rows)) => {
                let rows = rows.parse::<u64>().ok().filter(|rows| *rows <= MOST_GENERATED_ROWS);
                let rows = rows.ok_or_else(|| unsupported("this ROWCOUNT"))?;
                let field = SnowType::INTEGER.field(&format!("{MARK}SEQ"), false);
                let mut writer = Writer::new(field.data_type(), 0)?;
                for row in 0..rows {
                    writer.push(Value::integer(row))?;
                }
                let schema = Arc::new(Schema::new(vec![field]));
                let batch = RecordBatch::try_new(Arc::clone(&schema), vec![writer.finish()])
                    .map_err(|error| unsupported(error.to_string()))?;
                memory(schema, vec![batch])
            }
            _ => Err(unsupported("this table function")),
        }
    }

    /// A view runs in the database and schema in which it lies.
    fn view(&self, at: &Qualified, view: &View) -> Result<Arc<dyn TableProvider>, SqlError> {
        let depth = self.planning.session.parameters.get(VIEW_DEPTH);
        let depth = depth.and_then(|depth| depth.parse().ok()).unwrap_or(0_usize) + 1;
        if depth > MOST_NESTED_VIEWS {
            return Err(unsupported("views nested this deeply"));
        }
        let mut session = self.planning.session.clone();
        session.database = Some(at.database.clone());
        session.schema = Some(at.schema.clone());
        session.role = Some(self.planning.owner_of(view));
        session.parameters.insert(VIEW_DEPTH.to_owned(), depth.to_string());
        let planning = Planning { session: &session, binds: &[], ..self.planning.clone() };
        let tokens = split(&view.query)?.into_iter().next();
        let tokens = tokens.ok_or_else(|| unsupported("an empty view"))?;
        let compiled = planning.query(&tokens)?;
        let names: Vec<String> = if view.columns.is_empty() {
            compiled.columns.iter().map(|column| column.name.clone()).collect()
        } else {
            view.columns.clone()
        };
        let plan = super::lower::renamed(compiled.plan, &names).map_err(translate)?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}

/// Counts how deep views are nested; no real parameter has such a name.
const VIEW_DEPTH: &str = "\u{0}VIEW_DEPTH";

/// A table of rows in memory.
pub(crate) fn memory(
    schema: Arc<Schema>,
    batches: Vec<RecordBatch>,
) -> Result<Arc<dyn TableProvider>, SqlError> {
    let table = MemTable::try_new(schema, vec![batches]).map_err(translate)?;
    Ok(Arc::new(table))
}

impl ContextProvider for Provider<'_> {
    fn get_table_source(&self, name: TableReference) -> DfResult<Arc<dyn TableSource>> {
        self.source(&name).map(provider_as_source).map_err(external)
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.planning.registry.get(name)
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        Some(match name {
            "count" => count::count_udaf(),
            "sum" => sum::sum_udaf(),
            "min" => aggregates::min(),
            "max" => aggregates::max(),
            "hash_sum" => aggregates::hash_sum(),
            _ => return None,
        })
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        Some(match name {
            "row_number" => row_number::row_number_udwf(),
            "rank" => rank::rank_udwf(),
            "dense_rank" => rank::dense_rank_udwf(),
            _ => return None,
        })
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Finds Snowflake's error in DataFusion's.
pub(super) fn translate(error: DataFusionError) -> SqlError {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<SqlError>() {
            Ok(error) => *error,
            Err(other) => sql_error("000603", "XX000", format!("internal error: {other}")),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            translate(*inner)
        }
        DataFusionError::Shared(inner) => shared(&inner),
        DataFusionError::ArrowError(inner, backtrace) => match *inner {
            arrow::error::ArrowError::ExternalError(inner) => {
                translate(DataFusionError::External(inner))
            }
            other => internal(&DataFusionError::ArrowError(Box::new(other), backtrace)),
        },
        DataFusionError::SchemaError(inner, _) => match *inner {
            SchemaError::FieldNotFound { field, .. } => {
                invalid_identifier(shown(&field.flat_name()))
            }
            SchemaError::AmbiguousReference { field } => compile(
                "002009",
                "42702",
                format!("error line 1 at position -1\nambiguous column name '{}'", field.name),
            ),
            other => compile("000904", "42000", other.to_string()),
        },
        DataFusionError::Collection(errors) => match errors.into_iter().next() {
            Some(first) => translate(first),
            None => sql_error("000603", "XX000", "internal error"),
        },
        DataFusionError::NotImplemented(text) => unsupported(text),
        DataFusionError::Plan(text) => compile("001003", "42000", text),
        other => internal(&other),
    }
}

/// An error that several streams share cannot be taken apart, only read.
fn shared(error: &Arc<DataFusionError>) -> SqlError {
    match error.find_root() {
        DataFusionError::External(inner) => inner
            .downcast_ref::<SqlError>()
            .cloned()
            .unwrap_or_else(|| sql_error("000603", "XX000", format!("internal error: {inner}"))),
        other => internal(other),
    }
}

fn internal(error: &DataFusionError) -> SqlError {
    sql_error("000603", "XX000", format!("internal error: {error}"))
}

/// A name without the quotes of another dialect.
fn shown(name: &str) -> String {
    name.replace('"', "")
}
