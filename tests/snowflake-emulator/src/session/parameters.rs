//! Session parameters that clients see, their defaults, and a statement's own values on top.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::engine::SessionContext;

/// A parameter's value when nobody has set it.
#[derive(Clone, Copy)]
enum Preset {
    Flag(bool),
    Number(i64),
    Text(&'static str),
}

use Preset::{Flag, Number, Text};

/// The parameters that every answer carries, in the order of their names.
const DEFAULTS: &[(&str, Preset)] = &[
    ("ABORT_DETACHED_QUERY", Flag(false)),
    ("AUTOCOMMIT", Flag(true)),
    ("BINARY_INPUT_FORMAT", Text("HEX")),
    ("BINARY_OUTPUT_FORMAT", Text("HEX")),
    ("CLIENT_CONSENT_CACHE_ID_TOKEN", Flag(false)),
    ("CLIENT_DISABLE_INCIDENTS", Flag(true)),
    ("CLIENT_ENABLE_LOG_INFO_STATEMENT_PARAMETERS", Flag(false)),
    ("CLIENT_FORCE_PROTECT_ID_TOKEN", Flag(true)),
    ("CLIENT_MEMORY_LIMIT", Number(1536)),
    ("CLIENT_METADATA_REQUEST_USE_CONNECTION_CTX", Flag(false)),
    ("CLIENT_PREFETCH_THREADS", Number(4)),
    ("CLIENT_RESULT_CHUNK_SIZE", Number(160)),
    ("CLIENT_RESULT_COLUMN_CASE_INSENSITIVE", Flag(false)),
    ("CLIENT_SESSION_CLONE", Flag(false)),
    ("CLIENT_SESSION_KEEP_ALIVE", Flag(false)),
    ("CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY", Number(3600)),
    ("CLIENT_STAGE_ARRAY_BINDING_THRESHOLD", Number(65280)),
    ("CLIENT_TELEMETRY_ENABLED", Flag(false)),
    ("CLIENT_TELEMETRY_SESSIONLESS_ENABLED", Flag(false)),
    ("CLIENT_TIMESTAMP_TYPE_MAPPING", Text("TIMESTAMP_LTZ")),
    ("CLIENT_USE_V1_QUERY_API", Flag(true)),
    ("DATE_INPUT_FORMAT", Text("AUTO")),
    ("DATE_OUTPUT_FORMAT", Text("YYYY-MM-DD")),
    ("ENABLE_STAGE_S3_PRIVATELINK_FOR_US_EAST_1", Flag(false)),
    ("GEOGRAPHY_OUTPUT_FORMAT", Text("GeoJSON")),
    ("GEOMETRY_OUTPUT_FORMAT", Text("GeoJSON")),
    ("JSON_INDENT", Number(2)),
    ("LOCK_TIMEOUT", Number(43200)),
    ("MULTI_STATEMENT_COUNT", Number(1)),
    ("QUERY_CONTEXT_CACHE_SIZE", Number(5)),
    ("QUERY_TAG", Text("")),
    ("QUOTED_IDENTIFIERS_IGNORE_CASE", Flag(false)),
    ("ROWS_PER_RESULTSET", Number(0)),
    ("SERVICE_NAME", Text("")),
    ("SNOWPARK_LAZY_ANALYSIS", Flag(true)),
    ("STATEMENT_QUEUED_TIMEOUT_IN_SECONDS", Number(0)),
    ("STATEMENT_TIMEOUT_IN_SECONDS", Number(172_800)),
    ("STRICT_JSON_OUTPUT", Flag(false)),
    ("TIMESTAMP_DAY_IS_ALWAYS_24H", Flag(false)),
    ("TIMESTAMP_INPUT_FORMAT", Text("AUTO")),
    ("TIMESTAMP_LTZ_OUTPUT_FORMAT", Text("")),
    ("TIMESTAMP_NTZ_OUTPUT_FORMAT", Text("YYYY-MM-DD HH24:MI:SS.FF3")),
    ("TIMESTAMP_OUTPUT_FORMAT", Text("YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM")),
    ("TIMESTAMP_TYPE_MAPPING", Text("TIMESTAMP_NTZ")),
    ("TIMESTAMP_TZ_OUTPUT_FORMAT", Text("")),
    ("TIMEZONE", Text("UTC")),
    ("TIME_INPUT_FORMAT", Text("AUTO")),
    ("TIME_OUTPUT_FORMAT", Text("HH24:MI:SS")),
    ("TRANSACTION_ABORT_ON_ERROR", Flag(false)),
    ("UNSUPPORTED_DDL_ACTION", Text("ignore")),
    ("USE_CACHED_RESULT", Flag(true)),
    ("WEEK_OF_YEAR_POLICY", Number(0)),
    ("WEEK_START", Number(0)),
];

/// Returns the `parameters` array of an answer: what is in force for `context`.
pub(crate) fn in_force(context: &SessionContext) -> Value {
    let entries = DEFAULTS.iter().map(|(name, default)| {
        let set = context.parameters.get(*name);
        let value = match (default, set) {
            (Flag(value), None) => json!(value),
            (Number(value), None) => json!(value),
            (Text(value), None) => json!(value),
            (Flag(_), Some(text)) => json!(is_true(text)),
            (Number(_), Some(text)) => {
                text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number))
            }
            (Text(_), Some(text)) => json!(text),
        };
        json!({"name": name, "value": value})
    });
    Value::Array(entries.collect())
}

/// Returns the number a parameter has in `context`, or its default.
pub(crate) fn number(context: &SessionContext, name: &str) -> Option<i64> {
    if let Some(text) = context.parameters.get(name) {
        return text.trim().parse().ok();
    }
    DEFAULTS.iter().find(|(known, _)| *known == name).and_then(|(_, default)| match default {
        Number(value) => Some(*value),
        _ => None,
    })
}

/// Returns whether a flag is on in `context`, or by default.
pub(crate) fn flag(context: &SessionContext, name: &str) -> bool {
    if let Some(text) = context.parameters.get(name) {
        return is_true(text);
    }
    DEFAULTS.iter().any(|(known, default)| *known == name && matches!(default, Flag(true)))
}

/// Adds parameters as a client sends them, names in upper case, values as text.
pub(crate) fn overlay(
    parameters: &mut BTreeMap<String, String>,
    sent: &serde_json::Map<String, Value>,
) {
    for (name, value) in sent {
        let name = name.to_uppercase();
        let text = match value {
            Value::Null => {
                parameters.remove(&name);
                continue;
            }
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        parameters.insert(name, text);
    }
}

/// Whether a client's text for a flag means yes.
pub(crate) fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text == "1"
}
