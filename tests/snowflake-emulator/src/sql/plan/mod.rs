//! Makes a DataFusion plan of a rewritten query, with equal types on all sides of all operators.
//!
//! DataFusion's own type coercion then finds nothing to do, so none of its rules (which are not
//! Snowflake's) decides a result. What it would still have to decide is refused by `verify`.

mod aggregates;
mod changes;
mod derived;
mod lower;
mod operators;
mod provider;
mod verify;
mod wildcards;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::DFSchema;
use datafusion::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionConfig;
use datafusion::sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast::{Expr as SqlExpr, Query, Statement};
use datafusion::sql::sqlparser::dialect::SnowflakeDialect;
use datafusion::sql::sqlparser::parser::Parser;
use futures::StreamExt;

pub(crate) use provider::{Provider, memory};

use super::convert::Conversion;
use super::datetime;
use super::error::{syntax, unsupported};
use super::formats::Formats;
use super::functions::{Registry, external};
use super::history::History;
use super::results::Results;
use super::rewrite::{Facts, MARK, Rewriter, Side, TWIN, TimeTravel};
use super::tokens::Tokens;
use super::value::{Reader, Value};
use crate::account::Account;
use crate::catalog::{Catalog, Snapshot};
use crate::engine::{Bind, SessionContext, SqlError};
use crate::types::{Column, SnowType};

/// Rows of a batch on its way through a plan.
const BATCH_ROWS: usize = 8192;

/// What all plans of one statement share.
#[derive(Clone, Debug)]
pub(crate) struct Planning<'a> {
    /// Where definitions are changed; what exists is read from the snapshot.
    pub catalog: &'a Catalog,
    /// All that the statement sees.
    pub snapshot: Snapshot,
    /// CURRENT_TRANSACTION().
    pub transaction: Option<u64>,
    pub results: &'a Results,
    pub history: &'a History,
    pub account: &'a Account,
    pub session: &'a SessionContext,
    pub binds: &'a [Bind],
    /// The statement's moment: CURRENT_TIMESTAMP and the snapshot.
    pub now_ns: i128,
    /// The table that a change rewrites, with numbered rows.
    pub target: Option<Arc<dyn TableProvider>>,
    /// What stands for the subqueries of the present query that were planned before it.
    pub planned: derived::Planned,
    pub conversion: Arc<Conversion>,
    pub registry: Arc<Registry>,
}

/// What all statements share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stores<'a> {
    pub catalog: &'a Catalog,
    pub results: &'a Results,
    pub history: &'a History,
    pub account: &'a Account,
}

/// What one statement has of its own.
#[derive(Debug)]
pub(crate) struct StatementFacts<'a> {
    pub snapshot: Snapshot,
    pub transaction: Option<u64>,
    pub session: &'a SessionContext,
    pub binds: &'a [Bind],
}

/// A query ready to run.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub plan: LogicalPlan,
    pub columns: Vec<Column>,
    /// Whether it reads a table, for which Snowflake needs a warehouse.
    pub scans: bool,
}

impl<'a> Planning<'a> {
    /// Takes zone and formats from the session.
    pub(crate) fn new(stores: Stores<'a>, statement: StatementFacts<'a>) -> Result<Self, SqlError> {
        let conversion = Arc::new(conversion_of(statement.session)?);
        let registry = Arc::new(Registry::new(&conversion));
        Ok(Self {
            catalog: stores.catalog,
            results: stores.results,
            history: stores.history,
            account: stores.account,
            now_ns: statement.snapshot.moment_ns,
            snapshot: statement.snapshot,
            transaction: statement.transaction,
            session: statement.session,
            binds: statement.binds,
            target: None,
            planned: derived::Planned::default(),
            conversion,
            registry,
        })
    }

    /// Compiles the query that the tokens hold.
    pub(crate) fn query(&self, tokens: &Tokens) -> Result<Compiled, SqlError> {
        match parse(tokens)? {
            Statement::Query(query) => self.compile(*query, Some(tokens.select_items())),
            _ => Err(unsupported("this statement")),
        }
    }

    /// Compiles a parsed query; `names` are the source texts of its items.
    pub(crate) fn compile(
        &self,
        query: Query,
        names: Option<Vec<String>>,
    ) -> Result<Compiled, SqlError> {
        let mut rewriter = self.rewriter();
        if let Some(names) = names {
            rewriter = rewriter.with_names(names);
        }
        let mut query = query;
        wildcards::expand(self, &mut query)?;
        let planned = derived::plan(self, &mut query)?;
        let mut statement = Statement::Query(Box::new(query));
        rewriter.statement(&mut statement)?;
        let moments = self.moments(&rewriter.travels)?;
        let planned_scans = planned.scans;
        let provider = Provider::new(Self { planned, ..self.clone() }, moments);
        let plan = SqlToRel::new_with_options(&provider, parser_options())
            .sql_statement_to_plan(statement)
            .map_err(translate)?;
        let plan = lower::lower(plan, &self.registry).map_err(translate)?;
        verify::verify(&plan)?;
        let columns = columns_of(plan.schema(), &provider)?;
        Ok(Compiled { plan, columns, scans: planned_scans || provider.scans() })
    }

    /// The value of an expression without columns.
    pub(crate) fn constant(&self, expr: SqlExpr) -> Result<(Value, Option<SnowType>), SqlError> {
        let mut expr = expr;
        self.rewriter().expression(&mut expr)?;
        self.rewritten_constant(expr)
    }

    fn rewriter(&self) -> Rewriter<'_> {
        Rewriter::new(Facts {
            session: self.session,
            binds: self.binds,
            history: self.history,
            transaction: self.transaction,
            now_ns: self.now_ns,
            changes: self,
        })
    }

    fn rewritten_constant(&self, expr: SqlExpr) -> Result<(Value, Option<SnowType>), SqlError> {
        let provider = Provider::new(self.clone(), Vec::new());
        let schema = DFSchema::empty();
        let expr = SqlToRel::new_with_options(&provider, parser_options())
            .sql_to_expr(expr, &schema, &mut PlannerContext::new())
            .map_err(translate)?;
        let expr = lower::expression(expr, &schema, &self.registry).map_err(translate)?;
        let state = state();
        let physical = state.create_physical_expr(expr, &schema).map_err(translate)?;
        let batch = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            Vec::new(),
            &arrow::array::RecordBatchOptions::new().with_row_count(Some(1)),
        )
        .map_err(|error| unsupported(error.to_string()))?;
        let field = physical.return_field(&Schema::empty()).map_err(translate)?;
        let array =
            physical.evaluate(&batch).and_then(|value| value.into_array(1)).map_err(translate)?;
        Ok((Reader::new(&array, &field).get(0)?, SnowType::of(&field)))
    }

    /// The moments of AT(…) in nanoseconds.
    fn moments(&self, travels: &[(TimeTravel, Side)]) -> Result<Vec<i128>, SqlError> {
        let moment = |(travel, side): &(TimeTravel, Side)| {
            let moment = self.moment(travel)?;
            Ok(if *side == Side::Before { moment - 1 } else { moment })
        };
        travels.iter().map(moment).collect()
    }

    /// The moment that `AT(…)` or `BEFORE(…)` alone names.
    pub(crate) fn moment_of(&self, tokens: &Tokens) -> Result<i128, SqlError> {
        let mut expr = parse_expression(tokens)?;
        let mut rewriter = self.rewriter();
        let travel = rewriter.moment(&mut expr)?;
        self.moments(&[travel])?.pop().ok_or_else(|| unsupported("this moment"))
    }

    fn moment(&self, travel: &TimeTravel) -> Result<i128, SqlError> {
        let at = SnowType::TimestampLtz { scale: 9 };
        match travel {
            TimeTravel::At(expr) => {
                let (value, _) = self.rewritten_constant(expr.clone())?;
                let value = self.conversion.value(value, &at)?;
                self.conversion.instant(&value).ok_or_else(|| unsupported("AT(TIMESTAMP => NULL)"))
            }
            TimeTravel::Statement(expr) => {
                let (value, _) = self.rewritten_constant(expr.clone())?;
                match value {
                    Value::Text(id) => self.history.moment(&id),
                    _ => Err(unsupported("AT(STATEMENT => …) of this value")),
                }
            }
            TimeTravel::Offset(expr) => {
                let (value, _) = self.rewritten_constant(expr.clone())?;
                let nanos =
                    self.conversion.value(value, &SnowType::Number { precision: 38, scale: 9 })?;
                match nanos {
                    Value::Number(nanos, _) => Ok(self.now_ns + nanos.to_i128().unwrap_or(0)),
                    _ => Err(unsupported("AT(OFFSET => NULL)")),
                }
            }
        }
    }
}

/// The zone and formats of a session.
pub(crate) fn conversion_of(session: &SessionContext) -> Result<Conversion, SqlError> {
    let name = session.parameters.get("TIMEZONE").map_or("UTC", String::as_str);
    let zone = datetime::zone(name).ok_or_else(|| unsupported(format!("time zone {name}")))?;
    Ok(Conversion { zone, formats: Formats::of(&session.parameters)? })
}

/// Reads one statement with sqlparser.
pub(crate) fn parse(tokens: &Tokens) -> Result<Statement, SqlError> {
    let dialect = SnowflakeDialect;
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(200)
        .with_tokens_with_locations(tokens.for_parser());
    let statement = parser.parse_statement().map_err(|error| parse_error(&error))?;
    match parser.peek_token_ref().token {
        datafusion::sql::sqlparser::tokenizer::Token::EOF => Ok(statement),
        ref token => Err(syntax(format!("unexpected '{token}'."))),
    }
}

/// Reads one expression with sqlparser.
pub(crate) fn parse_expression(tokens: &Tokens) -> Result<SqlExpr, SqlError> {
    let dialect = SnowflakeDialect;
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens.for_parser());
    parser.parse_expr().map_err(|error| parse_error(&error))
}

fn parse_error(error: &datafusion::sql::sqlparser::parser::ParserError) -> SqlError {
    let text = error.to_string();
    syntax(text.strip_prefix("sql parser error: ").unwrap_or(&text))
}

fn parser_options() -> ParserOptions {
    ParserOptions::new()
        .with_enable_ident_normalization(false)
        .with_map_string_types_to_utf8view(false)
        .with_default_null_ordering(NullOrdering::NullsMax)
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new().with_batch_size(BATCH_ROWS).with_target_partitions(1);
    let options = config.options_mut();
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.optimizer.max_passes = 3;
    config
}

/// A state in which plans run.
pub(crate) fn state() -> SessionState {
    SessionStateBuilder::new()
        .with_config(config())
        .with_runtime_env(Arc::new(RuntimeEnv::default()))
        .build()
}

/// The options under which plans are made.
pub(crate) fn options() -> ConfigOptions {
    config().options().as_ref().clone()
}

/// The planners of operators.
pub(crate) fn planners(registry: &Arc<Registry>) -> Vec<Arc<dyn ExprPlanner>> {
    vec![Arc::new(operators::Operators::new(Arc::clone(registry)))]
}

/// Starts a plan and gives its rows as carriers.
pub(crate) async fn run(compiled: Compiled) -> Result<SendableRecordBatchStream, SqlError> {
    let state = state();
    let physical = state.create_physical_plan(&compiled.plan).await.map_err(translate)?;
    let context: Arc<TaskContext> = state.task_ctx();
    let stream = execute_stream(physical, context).map_err(translate)?;
    let schema = carrier_schema(&compiled.columns);
    let shaped = Arc::clone(&schema);
    let stream = stream.map(move |batch| {
        let batch = batch.map_err(|error| external(translate(error)))?;
        shape(&batch, &shaped)
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
}

/// The schema that rows have when they leave.
pub(crate) fn carrier_schema(columns: &[Column]) -> SchemaRef {
    let fields: Vec<FieldRef> = columns
        .iter()
        .map(|column| column.data_type.field(&column.name, column.nullable))
        .collect();
    Arc::new(Schema::new(fields))
}

fn shape(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataFusionError> {
    let mut arrays = Vec::with_capacity(batch.num_columns());
    for (array, field) in batch.columns().iter().zip(schema.fields()) {
        arrays.push(if array.data_type() == field.data_type() {
            Arc::clone(array)
        } else {
            cast(array, field.data_type())?
        });
    }
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)?)
}

fn columns_of(schema: &DFSchema, provider: &Provider<'_>) -> Result<Vec<Column>, SqlError> {
    let columns = schema.iter().map(|(qualifier, field)| {
        let name = field.name().split(TWIN).next().unwrap_or_default().to_owned();
        let origin = qualifier
            .filter(|_| !name.contains(MARK))
            .map(|table| provider.origin(table))
            .unwrap_or_default();
        let data_type = output_type(field)?;
        Ok(Column { name, data_type, nullable: field.is_nullable(), origin })
    });
    columns.collect()
}

/// NULL without a type leaves as text.
fn output_type(field: &Field) -> Result<SnowType, SqlError> {
    match field.data_type() {
        DataType::Null => Ok(SnowType::TEXT),
        other => SnowType::of(field).ok_or_else(|| unsupported(format!("result type {other}"))),
    }
}

/// Finds Snowflake's error in DataFusion's.
pub(crate) fn translate(error: DataFusionError) -> SqlError {
    provider::translate(error)
}
