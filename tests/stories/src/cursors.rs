//! Rows without a cursor and with one of the far future, through the real binary.

use serde_json::Value;

use crate::stage::{Stage, show};

const SQL: &str = "CREATE DATABASE D;
    CREATE TABLE D.PUBLIC.T (ID NUMBER(38,0), AT TIMESTAMP_NTZ(9), V VARCHAR);
    INSERT INTO D.PUBLIC.T VALUES (1, '2026-01-02', 'a'), (2, NULL, 'b'), (3, NULL, 'c');";

fn table(setting: &str) -> String {
    format!("    - {{ table: D.PUBLIC.T, key: [ID], cursor: AT{setting} }}\n")
}

fn pull(stage: &Stage) -> Value {
    stage.json(&["pull", "acme"])["tables"][0].clone()
}

fn is_equal(stage: &Stage) {
    let both = stage.json(&["compare", "acme"]);
    assert_eq!(both["tables"][0]["equal"], true, "{both}");
}

fn status(stage: &Stage) -> Value {
    stage.json(&["status", "acme"])[0]["tables"][0].clone()
}

#[tokio::test]
async fn rows_without_a_cursor_are_refused_reloaded_or_left_out_as_the_table_says() {
    let stage = Stage::with_sql(SQL);
    stage.connect(&table(""));
    let output = stage.run(&["pull", "acme"]);
    let text = show(&output);
    assert!(!output.status.success() && text.contains("PULL_NULL_CURSOR"), "{text}");
    assert!(
        text.contains("2 rows of D.PUBLIC.T") && text.contains("null_cursor: reload"),
        "{text}"
    );

    stage.connect(&table(", null_cursor: reload"));
    assert_eq!(pull(&stage)["rows_loaded"], 3);
    is_equal(&stage);
    stage
        .sql(
            "UPDATE D.PUBLIC.T SET V = 'changed' WHERE ID = 2;
             UPDATE D.PUBLIC.T SET AT = NULL, V = 'lost its cursor' WHERE ID = 1;
             UPDATE D.PUBLIC.T SET AT = '2026-02-03' WHERE ID = 3;",
        )
        .await;
    pull(&stage);
    is_equal(&stage);
    let run = pull(&stage);
    assert_eq!((run["null_cursors"].clone(), run["rows_loaded"].clone()), (2.into(), 0.into()));
    assert_eq!(status(&stage)["last_run"]["null_cursors"], 2);

    stage.connect(&table(", null_cursor: ignore"));
    stage.json(&["reset", "acme", "--table", "D.PUBLIC.T", "--yes"]);
    assert_eq!(pull(&stage)["rows_loaded"], 1);
    is_equal(&stage);
    let told = show(&stage.run(&["status", "acme"]));
    assert!(told.contains("2 rows without a cursor in the source"), "{told}");
}

#[tokio::test]
async fn a_row_of_the_year_2999_keeps_no_later_row_from_being_read() {
    for data_type in ["TIMESTAMP_NTZ(9)", "TIMESTAMP_LTZ(9)", "TIMESTAMP_TZ(9)", "DATE"] {
        let stage = Stage::with_sql(&format!(
            "CREATE DATABASE D; CREATE TABLE D.PUBLIC.T (ID NUMBER(38,0), AT {data_type});
             INSERT INTO D.PUBLIC.T VALUES (1, '2026-01-02'), (2, '2999-12-31');"
        ));
        stage.connect(&table(""));
        assert_eq!(pull(&stage)["future_cursors"], 1, "{data_type}");
        is_equal(&stage);
        stage.sql("INSERT INTO D.PUBLIC.T VALUES (3, '2026-02-03');").await;
        pull(&stage);
        is_equal(&stage);
        let told = show(&stage.run(&["status", "acme"]));
        assert!(told.contains("1 row with a cursor of the future in the source"), "{told}");
    }
}
