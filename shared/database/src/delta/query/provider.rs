//! What the planner asks for: the pinned tables, DataFusion's functions, Snowflake's type names.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::catalog::TableProvider;
use datafusion::common::TableReference;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion::sql::sqlparser::ast::{DataType as SqlType, ExactNumberInfo, TimezoneInfo};

/// Answers the planner for one query.
pub(super) struct Provider<'a> {
    /// DataFusion's functions and options.
    pub(super) state: &'a SessionState,
    /// The tables by the names that the query gives them.
    pub(super) tables: HashMap<TableReference, Arc<dyn TableProvider>>,
}

impl ContextProvider for Provider<'_> {
    fn get_table_source(&self, name: TableReference) -> DfResult<Arc<dyn TableSource>> {
        match self.tables.get(&name) {
            Some(table) => Ok(provider_as_source(Arc::clone(table))),
            None => Err(DataFusionError::Plan(format!("{name} is no pulled table"))),
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(Types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

/// Reads type names as Snowflake does, into the types that tables are staged in.
///
/// Timestamps are in microseconds: in nanoseconds, as DataFusion has it, they would end in 2262.
#[derive(Debug)]
struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &SqlType) -> DfResult<Option<FieldRef>> {
        let timestamp =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        let data_type = match sql_type {
            SqlType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
                timestamp(Some("UTC"))
            }
            SqlType::Timestamp(..) | SqlType::TimestampNtz(..) | SqlType::Datetime(_) => {
                timestamp(None)
            }
            SqlType::Decimal(ExactNumberInfo::None) | SqlType::Numeric(ExactNumberInfo::None) => {
                DataType::Decimal128(38, 0)
            }
            SqlType::Custom(name, arguments) => {
                match (name.to_string().to_uppercase().as_str(), arguments.as_slice()) {
                    ("TIMESTAMP_LTZ" | "TIMESTAMP_TZ", _) => timestamp(Some("UTC")),
                    ("NUMBER", []) => DataType::Decimal128(38, 0),
                    ("NUMBER", [precision]) => decimal(precision, "0")?,
                    ("NUMBER", [precision, scale]) => decimal(precision, scale)?,
                    _ => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}

fn decimal(precision: &str, scale: &str) -> DfResult<DataType> {
    match (precision.parse(), scale.parse()) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale >= 0 && scale <= precision as i8 => {
            Ok(DataType::Decimal128(precision, scale))
        }
        _ => Err(DataFusionError::Plan(format!("NUMBER({precision},{scale}) is no type"))),
    }
}
