use expect_test::expect;
use snowferry_model::fault::{Blame, Retry};
use snowferry_model::names::ConnectionName;
use snowferry_model::run::{Figures, Outcome, RUN_VERSION, RunRecord};
use snowferry_model::state::StreamKey;
use snowferry_model::time::UnixMillis;

use crate::report::TableRun;

fn record(outcome: Outcome) -> RunRecord {
    RunRecord {
        version: RUN_VERSION,
        run_id: "0199".to_owned(),
        stream: StreamKey {
            connection: ConnectionName::new("acme").unwrap(),
            table: "CRM.PUBLIC.ACCOUNTS".parse().unwrap(),
        },
        mode: "incremental".to_owned(),
        trigger: "manual".to_owned(),
        started_at: UnixMillis(0),
        ended_at: Some(UnixMillis(1500)),
        outcome,
        figures: Figures {
            rows_announced: 3,
            query_ids: vec!["01a".to_owned()],
            ..Figures::default()
        },
    }
}

fn failed() -> Outcome {
    Outcome::Failed {
        code: "PULL_RECREATED".to_owned(),
        message: "CRM.PUBLIC.ACCOUNTS was created anew since its backfill".to_owned(),
        blame: Blame::Customer,
        retry: Retry::AfterFix,
        hint: Some("`snowferry reset CONNECTION --table CRM.PUBLIC.ACCOUNTS`".to_owned()),
    }
}

#[test]
fn a_table_s_run_has_the_same_fields_whatever_its_outcome() {
    let text = |outcome| serde_json::to_value(TableRun::of(&record(outcome))).unwrap();
    let keys =
        |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let loaded = text(Outcome::Loaded);
    for other in [
        Outcome::Running,
        Outcome::NothingNew,
        Outcome::Continued,
        Outcome::Crashed,
        Outcome::Busy { owner: "host".to_owned() },
        failed(),
    ] {
        assert_eq!(keys(&text(other)), keys(&loaded));
    }
    expect![[r#"
        {
          "connection": "acme",
          "duration_ms": 1500,
          "ended_at": "1970-01-01T00:00:01.500Z",
          "error": null,
          "future_cursors": 0,
          "held_by": null,
          "load_ms": 0,
          "mode": "incremental",
          "null_cursors": 0,
          "outcome": "loaded",
          "parts_reused": 0,
          "parts_staged": 0,
          "pin_ms": 0,
          "query_ids": [
            "01a"
          ],
          "received_bytes": 0,
          "rows_loaded": 0,
          "rows_read": 3,
          "rows_replaced": 0,
          "rows_superseded": 0,
          "run_id": "0199",
          "schema_changes": [],
          "slices_loaded": 0,
          "stage_ms": 0,
          "staged_bytes": 0,
          "started_at": "1970-01-01T00:00:00.000Z",
          "statements": 0,
          "table": "CRM.PUBLIC.ACCOUNTS",
          "trigger": "manual"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&loaded).unwrap());
}

#[test]
fn a_failed_run_carries_code_blame_and_a_hint_with_the_connection_s_name() {
    let run = TableRun::of(&record(failed()));
    expect![[r#"
        {
          "code": "PULL_RECREATED",
          "message": "CRM.PUBLIC.ACCOUNTS was created anew since its backfill",
          "blame": "customer",
          "retry": "after_fix",
          "hint": "`snowferry reset acme --table CRM.PUBLIC.ACCOUNTS`"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&run.error).unwrap());
    expect![[r#"
        error: CRM.PUBLIC.ACCOUNTS was created anew since its backfill
          code: PULL_RECREATED (for the customer's administrator to repair)
          repair: `snowferry reset acme --table CRM.PUBLIC.ACCOUNTS`"#]]
    .assert_eq(&run.remark().unwrap());
}

#[test]
fn a_busy_table_is_told_with_its_holder() {
    let run = TableRun::of(&record(Outcome::Busy { owner: "host, process 7".to_owned() }));
    expect!["CRM.PUBLIC.ACCOUNTS: another run holds this table (host, process 7); nothing was done here, and nothing is lost: it brings the table up to date"].assert_eq(&run.remark().unwrap());
}
