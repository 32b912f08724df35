//! One line of JSON for each table or push and run, in CloudWatch's embedded metric format: the
//! numbers become metrics of the function, everything else can be searched for.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use serde_json::{Value, json};
use snowferry_model::fault::Blame;
use snowferry_model::push::{ColumnVerdict, PushOutcome, PushRunRecord, Verdict};
use snowferry_model::run::{Outcome, RunRecord};
use snowferry_model::time::UnixMillis;

/// Metrics of both kinds of runs, and their units.
const METRICS: [(&str, &str); 7] = [
    ("Runs", "Count"),
    ("FailedRuns", "Count"),
    ("MismatchedRuns", "Count"),
    ("Rows", "Count"),
    ("StagedBytes", "Bytes"),
    ("PinMs", "Milliseconds"),
    ("StageMs", "Milliseconds"),
];

/// Those of a pull alone.
const PULL_METRICS: [(&str, &str); 2] = [("ReceivedBytes", "Bytes"), ("LoadMs", "Milliseconds")];

/// Those of a push alone.
const PUSH_METRICS: [(&str, &str); 1] = [("ApplyMs", "Milliseconds")];

/// Failures that say that the two sides' counts differ.
const MISMATCHES: [&str; 4] =
    ["PULL_PARTS_MISMATCH", "PUSH_COUNTS_DIFFER", "SNOWFLAKE_APPLIED_ROWS", "SNOWFLAKE_ROW_COUNT"];

/// The code of a push whose target or rows do not fit.
pub(super) const REFUSED: &str = "PUSH_REFUSED";

/// Returns the line of one run over one table. `synced_as_of` is the state's, after the run.
#[must_use]
pub fn line(
    function: &str,
    run: &RunRecord,
    synced_as_of: Option<UnixMillis>,
    now: UnixMillis,
) -> Value {
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
    if let Outcome::Failed { code, blame, hint, .. } = &run.outcome {
        add(&mut line, [("code", json!(code)), ("blame", json!(blame)), ("repair", json!(hint))]);
    }
    finish(line, &PULL_METRICS, synced_as_of, now)
}

/// Returns the line of one run of one push. `pushed_as_of` is the state's, after the run.
#[must_use]
pub fn push_line(
    function: &str,
    run: &PushRunRecord,
    pushed_as_of: Option<UnixMillis>,
    now: UnixMillis,
) -> Value {
    let figures = &run.figures;
    let failure = push_failure(&run.outcome);
    let mut line = json!({
        "function": function,
        "connection": run.push.connection,
        "push": run.push.name,
        "table": run.target.to_string(),
        "run_id": run.run_id,
        "mode": run.mode,
        "trigger": run.trigger,
        "outcome": push_word(&run.outcome),
        "Runs": 1,
        "FailedRuns": u8::from(failure.is_some()),
        "MismatchedRuns":
            u8::from(failure.as_ref().is_some_and(|told| MISMATCHES.contains(&told.code.as_str()))),
        "Rows": figures.rows_applied,
        "StagedBytes": figures.staged_bytes,
        "PinMs": figures.pin_ms,
        "StageMs": figures.stage_ms,
        "ApplyMs": figures.apply_ms,
    });
    if let Some(PushFailure { code, blame, repair, .. }) = failure {
        let told = [("code", json!(code)), ("blame", json!(blame)), ("repair", json!(repair))];
        add(&mut line, told);
    }
    finish(line, &PUSH_METRICS, pushed_as_of, now)
}

/// Adds the lag and the directive that makes metrics of the numbers.
fn finish(
    mut line: Value,
    own: &[(&str, &str)],
    as_of: Option<UnixMillis>,
    now: UnixMillis,
) -> Value {
    let metric = |(name, unit): &(&str, &str)| json!({ "Name": name, "Unit": unit });
    let mut metrics: Vec<Value> = METRICS.iter().chain(own).map(metric).collect();
    if let Some(as_of) = as_of {
        metrics.push(metric(&("LagSeconds", "Seconds")));
        add(&mut line, [("LagSeconds", json!(now.since_ms(as_of) / 1000))]);
    }
    let directive = json!({
        "Timestamp": now.0,
        "CloudWatchMetrics": [
            { "Namespace": "Snowferry", "Dimensions": [["function"]], "Metrics": metrics }
        ],
    });
    add(&mut line, [("_aws", directive)]);
    line
}

fn add<const N: usize>(line: &mut Value, told: [(&str, Value); N]) {
    if let Some(fields) = line.as_object_mut() {
        fields.extend(told.map(|(name, value)| (name.to_owned(), value)));
    }
}

/// What is told of a push that wrote nothing because of a failure.
#[derive(Clone, Debug)]
pub(super) struct PushFailure {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) blame: Blame,
    pub(super) repair: Option<String>,
}

/// Returns what went wrong: a failure, or everything that does not fit, in one text.
pub(super) fn push_failure(outcome: &PushOutcome) -> Option<PushFailure> {
    match outcome {
        PushOutcome::Failed { code, message, blame, hint, .. } => Some(PushFailure {
            code: code.clone(),
            message: message.clone(),
            blame: *blame,
            repair: hint.clone(),
        }),
        PushOutcome::Refused { verdicts } => {
            let refused: Vec<&ColumnVerdict> =
                verdicts.iter().filter(|verdict| verdict.verdict == Verdict::Refused).collect();
            let texts: Vec<String> = refused.iter().map(ToString::to_string).collect();
            let mut repairs: Vec<String> =
                refused.iter().filter_map(|verdict| verdict.repair.clone()).collect();
            repairs.dedup();
            Some(PushFailure {
                code: REFUSED.to_owned(),
                message: format!("nothing was written: {}", texts.join("; ")),
                blame: Blame::Operator,
                repair: (!repairs.is_empty()).then(|| repairs.join("; ")),
            })
        }
        _ => None,
    }
}

/// Returns the outcome of a push as one word.
#[must_use]
pub fn push_word(outcome: &PushOutcome) -> &'static str {
    match outcome {
        PushOutcome::Running => "running",
        PushOutcome::Applied => "applied",
        PushOutcome::Continued => "continued",
        PushOutcome::Busy { .. } => "busy",
        PushOutcome::Crashed => "crashed",
        PushOutcome::Refused { .. } => "refused",
        PushOutcome::Failed { .. } => "failed",
    }
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
