use expect_test::expect;
use snowferry_bootstrap::app::TableStatus;
use snowferry_model::names::Identifier;
use snowferry_model::plan::IntegerPolicy;
use snowferry_model::state::StreamState;
use snowferry_model::time::UnixMillis;
use snowferry_model::types::SnowflakeType;
use snowferry_model::watermark::{Lookback, NullCursors, Watermark};
use snowferry_pull::{Mode, SchemaPolicy, TableJob};

use crate::commands::status::table_report;

fn job() -> TableJob {
    TableJob {
        table: "CRM.PUBLIC.ACCOUNTS".parse().unwrap(),
        mode: Mode::Incremental,
        key: vec![Identifier::new("ID").unwrap()],
        cursor: Some(Identifier::new("UPDATED_AT").unwrap()),
        lookback: Lookback::None,
        null_cursors: NullCursors::Error,
        integers: IntegerPolicy::Auto,
        schema: SchemaPolicy::Evolve,
        skip_unchanged: true,
    }
}

#[test]
fn a_table_that_was_never_pulled_says_so() {
    let report = table_report(&job(), TableStatus::default(), UnixMillis(0));
    expect![[r#"
        {
          "table": "CRM.PUBLIC.ACCOUNTS",
          "mode": "incremental",
          "guarantee": "one row for each key, the newest version; late rows are caught within the lookback; deletes are not seen",
          "state": "never",
          "synced_as_of": null,
          "synced_age_ms": null,
          "rows": null,
          "files": null,
          "size_bytes": null,
          "location": null,
          "cursor": "UPDATED_AT",
          "null_cursor": "error",
          "watermark_present": false,
          "generation": 0,
          "sequence": 0,
          "slice_in_work": false,
          "last_run": null,
          "trouble": null
        }"#]].assert_eq(&serde_json::to_string_pretty(&report).unwrap());
}

#[test]
fn a_synced_table_tells_its_age_but_not_the_value_of_its_watermark() {
    let watermark = Watermark {
        cursor: Identifier::new("UPDATED_AT").unwrap(),
        cursor_type: SnowflakeType::TimestampNtz { scale: 9 },
        text: "2026-01-02 03:04:05.000000000".to_owned(),
    };
    let state = StreamState {
        sequence: 3,
        watermark: Some(watermark),
        synced_as_of: Some(UnixMillis(1_000)),
        ..StreamState::fresh(2)
    };
    let status = TableStatus { state: Some(state), ..TableStatus::default() };
    let text = serde_json::to_string(&table_report(&job(), status, UnixMillis(61_000))).unwrap();
    assert!(text.contains(r#""state":"synced""#), "{text}");
    assert!(text.contains(r#""synced_age_ms":60000"#), "{text}");
    assert!(text.contains(r#""watermark_present":true"#), "{text}");
    assert!(!text.contains("2026-01-02"), "{text}");
}

#[test]
fn a_backfill_that_is_not_complete_is_not_called_synced() {
    let status = TableStatus { state: Some(StreamState::fresh(1)), ..TableStatus::default() };
    let report = table_report(&job(), status, UnixMillis(0));
    let value = serde_json::to_value(&report).unwrap();
    assert_eq!(value["state"], "backfilling");
}
