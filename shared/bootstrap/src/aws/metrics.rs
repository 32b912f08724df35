//! One line of JSON for each table and run, in CloudWatch's embedded metric format: the numbers
//! become metrics of the function, everything else can be searched for.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use serde_json::{Value, json};
use snowferry_model::run::{Outcome, RunRecord};
use snowferry_model::time::UnixMillis;

/// Metrics and their units.
const METRICS: [(&str, &str); 9] = [
    ("Runs", "Count"),
    ("FailedRuns", "Count"),
    ("MismatchedRuns", "Count"),
    ("Rows", "Count"),
    ("ReceivedBytes", "Bytes"),
    ("StagedBytes", "Bytes"),
    ("PinMs", "Milliseconds"),
    ("StageMs", "Milliseconds"),
    ("LoadMs", "Milliseconds"),
];

/// Failures that say that the two sides' counts differ.
const MISMATCHES: [&str; 2] = ["PULL_PARTS_MISMATCH", "SNOWFLAKE_ROW_COUNT"];

/// Returns the line of one run over one table. `synced_as_of` is the state's, after the run.
#[must_use]
pub fn line(
    function: &str,
    run: &RunRecord,
    synced_as_of: Option<UnixMillis>,
    now: UnixMillis,
) -> Value {
    let mut metrics: Vec<Value> =
        METRICS.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
    let figures = &run.figures;
    let (code, failed) = match &run.outcome {
        Outcome::Failed { code, .. } => (Some(code.as_str()), true),
        _ => (None, false),
    };
    let mut line = json!({
        "function": function,
        "connection": run.stream.connection,
        "table": run.stream.table.to_string(),
        "run_id": run.run_id,
        "mode": run.mode,
        "trigger": run.trigger,
        "outcome": word(&run.outcome),
        "Runs": 1,
        "FailedRuns": u8::from(failed),
        "MismatchedRuns": u8::from(code.is_some_and(|code| MISMATCHES.contains(&code))),
        "Rows": figures.rows_loaded,
        "ReceivedBytes": figures.received_bytes,
        "StagedBytes": figures.staged_bytes,
        "PinMs": figures.pin_ms,
        "StageMs": figures.stage_ms,
        "LoadMs": figures.load_ms,
    });
    let Some(fields) = line.as_object_mut() else { return line };
    if let Some(synced) = synced_as_of {
        metrics.push(json!({ "Name": "LagSeconds", "Unit": "Seconds" }));
        fields.insert("LagSeconds".to_owned(), (now.since_ms(synced) / 1000).into());
    }
    if let Outcome::Failed { code, blame, hint, .. } = &run.outcome {
        fields.insert("code".to_owned(), code.as_str().into());
        fields.insert("blame".to_owned(), json!(blame));
        fields.insert("repair".to_owned(), json!(hint));
    }
    let directive = json!({
        "Timestamp": now.0,
        "CloudWatchMetrics": [
            { "Namespace": "Snowferry", "Dimensions": [["function"]], "Metrics": metrics }
        ],
    });
    fields.insert("_aws".to_owned(), directive);
    line
}

/// Returns an outcome as one word.
#[must_use]
pub fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Running => "running",
        Outcome::Loaded => "loaded",
        Outcome::NothingNew => "nothing_new",
        Outcome::Continued => "continued",
        Outcome::Busy { .. } => "busy",
        Outcome::Crashed => "crashed",
        Outcome::Failed { .. } => "failed",
    }
}
