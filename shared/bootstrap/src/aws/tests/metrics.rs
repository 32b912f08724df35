use serde_json::json;
use snowferry_model::fault::{Blame, Retry};
use snowferry_model::push::{
    ColumnVerdict, PUSH_RUN_VERSION, PushFigures, PushKey, PushName, PushOutcome, PushRunRecord,
    Verdict,
};
use snowferry_model::run::{Figures, Outcome, RUN_VERSION, RunRecord};
use snowferry_model::state::StreamKey;
use snowferry_model::time::UnixMillis;

use crate::aws::metrics::{line, push_line};

fn push(outcome: PushOutcome) -> PushRunRecord {
    PushRunRecord {
        version: PUSH_RUN_VERSION,
        run_id: "r1".to_owned(),
        push: PushKey {
            connection: "acme".to_owned().try_into().unwrap(),
            name: PushName::new("scores").unwrap(),
        },
        target: "DB.S.T".parse().unwrap(),
        mode: "append".to_owned(),
        trigger: "schedule".to_owned(),
        started_at: UnixMillis(0),
        ended_at: Some(UnixMillis(1)),
        outcome,
        figures: PushFigures { rows_applied: 7, apply_ms: 12, ..PushFigures::default() },
    }
}

#[test]
fn a_push_has_a_line_of_the_same_form() {
    let run = push(PushOutcome::Applied);
    let line = push_line("f", &run, Some(UnixMillis(5_000)), UnixMillis(65_000));
    for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap() {
        let name = metric["Name"].as_str().unwrap();
        assert!(line[name].is_number(), "{name}: {line}");
    }
    assert_eq!((&line["Rows"], &line["LagSeconds"]), (&json!(7), &json!(60)));
    assert_eq!((&line["push"], &line["ApplyMs"]), (&json!("scores"), &json!(12)));
    assert_eq!((&line["FailedRuns"], &line["outcome"]), (&json!(0), &json!("applied")));
}

#[test]
fn a_refused_push_is_a_failed_run_with_every_repair() {
    let verdict = |column: &str, verdict, repair: &str| ColumnVerdict {
        column: column.to_owned(),
        ours: "BIGINT".to_owned(),
        theirs: "NUMBER(2,0)".to_owned(),
        verdict,
        reason: "too narrow".to_owned(),
        repair: Some(repair.to_owned()),
    };
    let verdicts = vec![
        verdict("A", Verdict::Fits, "nothing"),
        verdict("B", Verdict::Refused, "widen B"),
        verdict("C", Verdict::Refused, "widen C"),
    ];
    let line = push_line("f", &push(PushOutcome::Refused { verdicts }), None, UnixMillis(0));
    assert_eq!((&line["FailedRuns"], &line["MismatchedRuns"]), (&json!(1), &json!(0)));
    assert_eq!(
        (&line["code"], &line["repair"]),
        (&json!("PUSH_REFUSED"), &json!("widen B; widen C"))
    );
}

fn run(outcome: Outcome) -> RunRecord {
    RunRecord {
        version: RUN_VERSION,
        run_id: "r1".to_owned(),
        stream: StreamKey {
            connection: "acme".to_owned().try_into().unwrap(),
            table: "DB.S.T".parse().unwrap(),
        },
        mode: "incremental".to_owned(),
        trigger: "schedule".to_owned(),
        started_at: UnixMillis(0),
        ended_at: Some(UnixMillis(1)),
        outcome,
        figures: Figures { rows_loaded: 7, stage_ms: 12, ..Figures::default() },
    }
}

#[test]
fn a_line_names_its_metrics_and_holds_a_number_for_each() {
    let line = line("f", &run(Outcome::Loaded), Some(UnixMillis(5_000)), UnixMillis(65_000));
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Namespace"], "Snowferry");
    assert_eq!(directive["Dimensions"], json!([["function"]]));
    for metric in directive["Metrics"].as_array().unwrap() {
        let name = metric["Name"].as_str().unwrap();
        assert!(line[name].is_number(), "{name}: {line}");
    }
    assert_eq!((&line["Rows"], &line["LagSeconds"]), (&json!(7), &json!(60)));
    assert_eq!((&line["FailedRuns"], &line["outcome"]), (&json!(0), &json!("loaded")));
    assert_eq!((&line["connection"], &line["table"]), (&json!("acme"), &json!("DB.S.T")));
}

#[test]
fn a_failure_tells_code_blame_and_repair_and_never_its_message() {
    let failed = Outcome::Failed {
        code: "PULL_PARTS_MISMATCH".to_owned(),
        message: "a message that may quote the server".to_owned(),
        blame: Blame::Customer,
        retry: Retry::NextRun,
        hint: Some("run again".to_owned()),
    };
    let line = line("f", &run(failed), None, UnixMillis(0));
    assert_eq!((&line["FailedRuns"], &line["MismatchedRuns"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&line["code"], &line["repair"]),
        (&json!("PULL_PARTS_MISMATCH"), &json!("run again"))
    );
    assert!(line.get("LagSeconds").is_none());
    assert!(!line.to_string().contains("quote"), "{line}");
}
