//! The source table changes under the pull: columns come and go, tables are created anew.

use serde_json::Value;

use crate::stage::{Stage, show};

const TABLE: &str = "    - { table: D.PUBLIC.T, key: [ID], cursor: N }\n";

fn stage() -> Stage {
    Stage::with_sql(
        "CREATE DATABASE D; CREATE TABLE D.PUBLIC.T (ID NUMBER(38,0), N NUMBER(38,0), V VARCHAR);
         INSERT INTO D.PUBLIC.T VALUES (1, 1, 'a'), (2, 1, 'b');",
    )
}

/// Pulls, and returns what the run of the table tells.
fn pull(stage: &Stage) -> Value {
    stage.json(&["pull", "acme"])["tables"][0].clone()
}

fn is_equal(stage: &Stage) {
    let both = stage.json(&["compare", "acme"]);
    assert_eq!(both["tables"][0]["equal"], true, "{both}");
}

fn ask(stage: &Stage, query: &str) -> String {
    let output = stage.run(&["query", query, "--csv"]);
    assert!(output.status.success(), "{}", show(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_changed_table_is_followed_and_told() {
    let stage = stage();
    stage.connect(TABLE);
    pull(&stage);
    stage.sql("ALTER TABLE D.PUBLIC.T ADD COLUMN EXTRA DATE;").await;
    stage.sql("INSERT INTO D.PUBLIC.T VALUES (3, 2, 'c', '2026-01-02');").await;
    let run = pull(&stage);
    assert_eq!(run["schema_changes"], serde_json::json!(["EXTRA (DATE) is new"]));
    is_equal(&stage);
    assert_eq!(
        ask(&stage, "select id, extra from t order by id"),
        "ID,EXTRA\n1,\n2,\n3,2026-01-02\n"
    );
    stage.sql("ALTER TABLE D.PUBLIC.T DROP COLUMN V;").await;
    stage.sql("INSERT INTO D.PUBLIC.T VALUES (4, 3, NULL);").await;
    pull(&stage);
    is_equal(&stage);
    assert_eq!(
        ask(&stage, "select id, v from t where id in (1, 4) order by id"),
        "ID,V\n1,a\n4,\n"
    );
    let status = stage.json(&["status", "acme"]);
    assert_eq!(status[0]["tables"][0]["generation"], 1);
}

#[tokio::test]
async fn a_table_that_was_created_anew_takes_the_old_ones_place() {
    let stage = stage();
    stage.connect(TABLE);
    pull(&stage);
    stage
        .sql(
            "CREATE OR REPLACE TABLE D.PUBLIC.T (ID NUMBER(38,0), N NUMBER(38,0), W VARCHAR);
             INSERT INTO D.PUBLIC.T VALUES (7, 1, 'anew');",
        )
        .await;
    assert_eq!(ask(&stage, "select v from t order by id"), "V\na\nb\n");
    let run = pull(&stage);
    assert_eq!(run["schema_changes"], serde_json::json!(["the table was created anew"]));
    is_equal(&stage);
    assert_eq!(ask(&stage, "select * from acme.d.public.t"), "ID,N,W\n7,1,anew\n");
}

#[tokio::test]
async fn nanoseconds_and_wide_numbers_that_show_up_later_are_held_exactly() {
    let stage = Stage::with_sql(
        "CREATE DATABASE D; CREATE TABLE D.PUBLIC.T (ID NUMBER(38,0), N NUMBER(38,0), T TIMESTAMP_NTZ(9));
         INSERT INTO D.PUBLIC.T VALUES (1, 1, '2026-01-02 03:04:05.000001');",
    );
    stage.connect(TABLE);
    pull(&stage);
    stage.sql("INSERT INTO D.PUBLIC.T VALUES (2, 2, '2026-01-02 03:04:05.000001007');").await;
    let run = pull(&stage);
    let finer = "T has digits below the microsecond for the first time";
    assert_eq!(run["schema_changes"], serde_json::json!([finer]));
    is_equal(&stage);
    stage.sql("INSERT INTO D.PUBLIC.T VALUES (9223372036854775808, 3, NULL);").await;
    let run = pull(&stage);
    let wider = "ID has values beyond 64 bits for the first time";
    assert_eq!(run["schema_changes"], serde_json::json!([wider]));
    is_equal(&stage);
    assert_eq!(ask(&stage, "select max(id) as m from t"), "M\n9223372036854775808\n");
}
