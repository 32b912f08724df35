//! TABLE(INFORMATION_SCHEMA.QUERY_HISTORY…): the statements of the account as a table.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::error::unsupported;
use super::history::Record;
use super::plan::{Planning, memory};
use super::rewrite::MARK;
use super::rows::{Rows, optional};
use super::value::Value;
use crate::engine::SqlError;
use crate::types::SnowType;

const NUMBER: SnowType = SnowType::Number { precision: 38, scale: 0 };
const TEXT: SnowType = SnowType::TEXT;
const MOMENT: SnowType = SnowType::TimestampLtz { scale: 3 };

/// RESULT_LIMIT when it is not given (page "QUERY_HISTORY").
const DEFAULT_LIMIT: usize = 100;

/// The newest statements that `narrowed` (`NAME=value` joined by marks) lets through.
pub(crate) fn query_history(
    planning: &Planning<'_>,
    narrowed: &str,
) -> Result<Arc<dyn TableProvider>, SqlError> {
    let mut limit = DEFAULT_LIMIT;
    let mut wanted: Vec<(&str, &str)> = Vec::new();
    for pair in narrowed.split(MARK).filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("RESULT_LIMIT", rows)) => {
                let rows = rows.parse().ok().filter(|rows| (1..=10_000).contains(rows));
                limit = rows.ok_or_else(|| unsupported("this RESULT_LIMIT"))?;
            }
            Some(found) => wanted.push(found),
            None => return Err(unsupported("these arguments of QUERY_HISTORY")),
        }
    }
    let mut rows = Rows::new(vec![
        ("QUERY_ID", TEXT),
        ("QUERY_TEXT", TEXT),
        ("DATABASE_NAME", TEXT),
        ("SCHEMA_NAME", TEXT),
        ("QUERY_TYPE", TEXT),
        ("SESSION_ID", NUMBER),
        ("USER_NAME", TEXT),
        ("ROLE_NAME", TEXT),
        ("WAREHOUSE_NAME", TEXT),
        ("QUERY_TAG", TEXT),
        ("EXECUTION_STATUS", TEXT),
        ("ERROR_CODE", TEXT),
        ("ERROR_MESSAGE", TEXT),
        ("START_TIME", MOMENT),
        ("END_TIME", MOMENT),
        ("TOTAL_ELAPSED_TIME", NUMBER),
        ("ROWS_PRODUCED", NUMBER),
    ]);
    let found = planning.history.list().into_iter();
    let found = found.filter(|record| wanted.iter().all(|(name, value)| is(record, name, value)));
    found.take(limit).for_each(|record| rows.push(row(planning, &record)));
    memory(rows.schema(), vec![rows.batch()?])
}

fn is(record: &Record, name: &str, value: &str) -> bool {
    match name {
        "SESSION_ID" => record.context.session_id.to_string() == value,
        "USER_NAME" => record.context.user == value,
        _ => record.context.warehouse.as_deref() == Some(value),
    }
}

fn row(planning: &Planning<'_>, record: &Record) -> Vec<Value> {
    let context = &record.context;
    let status = match (&record.failure, record.ended_ns) {
        (Some(_), _) => "FAILED_WITH_ERROR",
        (None, Some(_)) => "SUCCESS",
        (None, None) => "RUNNING",
    };
    let until = record.ended_ns.unwrap_or(planning.now_ns);
    let rows = record.rows.map_or(Value::Null, Value::integer);
    vec![
        Value::text(&record.id),
        Value::text(&record.text),
        optional(context.database.as_deref()),
        optional(context.schema.as_deref()),
        Value::text(record.kind),
        Value::integer(context.session_id),
        Value::text(&context.user),
        optional(context.role.as_deref()),
        optional(context.warehouse.as_deref()),
        Value::text(context.parameters.get("QUERY_TAG").cloned().unwrap_or_default()),
        Value::text(status),
        optional(record.failure.as_ref().map(|failure| failure.code)),
        optional(record.failure.as_ref().map(|failure| failure.message.as_str())),
        Value::Ltz(record.started_ns),
        record.ended_ns.map_or(Value::Null, Value::Ltz),
        Value::integer((until - record.started_ns).max(0) / 1_000_000),
        rows,
    ]
}
