//! Tables at the edges of what there can be, through the real binary, both sides compared.

use std::fmt::Write;

use serde_json::Value;

use crate::stage::{Stage, show};

fn pull(stage: &Stage) -> Vec<Value> {
    stage.json(&["pull", "acme"])["tables"].as_array().unwrap().clone()
}

/// Pulls and compares each table of the connection.
fn pulls_and_is_equal(stage: &Stage) {
    for run in pull(stage) {
        assert!(["loaded", "nothing_new"].contains(&run["outcome"].as_str().unwrap()), "{run}");
    }
    let both = stage.json(&["compare", "acme"]);
    for table in both["tables"].as_array().unwrap() {
        assert_eq!(table["equal"], true, "{table}");
    }
}

fn rows(stage: &Stage) -> Vec<u64> {
    let status = stage.json(&["status", "acme"]);
    let tables = status[0]["tables"].as_array().unwrap();
    tables.iter().map(|table| table["rows"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_table_of_1600_columns_is_pulled_and_followed() {
    let mut columns = String::from("ID NUMBER(38,0), AT TIMESTAMP_NTZ(9)");
    for number in 2..1600 {
        // Few of the kinds that are looked into before they are planned.
        let data_type = match number % 200 {
            5 => "NUMBER(38,0)",
            198 => "TIMESTAMP_TZ(9)",
            199 => "FLOAT",
            _ => "VARCHAR",
        };
        write!(columns, ", COLUMN_{number} {data_type}").unwrap();
    }
    let stage = Stage::with_sql(&format!(
        "CREATE DATABASE D; CREATE TABLE D.PUBLIC.WIDE ({columns});
         INSERT INTO D.PUBLIC.WIDE (ID, AT, COLUMN_4, COLUMN_5, COLUMN_1599)
         VALUES (1, '2026-01-02', 'a', 5, 1.5), (2, '2026-01-03', NULL, NULL, NULL);"
    ));
    stage.connect("    - { table: D.PUBLIC.WIDE, key: [ID], cursor: AT }\n");
    pulls_and_is_equal(&stage);
    stage
        .sql(
            "UPDATE D.PUBLIC.WIDE SET COLUMN_1598 = '2026-01-02 03:04:05.000000001 +01:00', \
             AT = '2026-01-04' WHERE ID = 1;
             INSERT INTO D.PUBLIC.WIDE (ID, AT) VALUES (3, '2026-01-04');",
        )
        .await;
    pulls_and_is_equal(&stage);
    assert_eq!(rows(&stage), [3]);
}

#[tokio::test]
async fn a_cell_of_16_mb_is_pulled() {
    let stage = Stage::with_sql(
        "CREATE DATABASE D; CREATE TABLE D.PUBLIC.BIG (ID NUMBER(38,0), N NUMBER(38,0), V VARCHAR);
         INSERT INTO D.PUBLIC.BIG SELECT 1, 1, REPEAT('x', 16777216);
         INSERT INTO D.PUBLIC.BIG SELECT 2, 1, REPEAT('日本', 2796202);
         INSERT INTO D.PUBLIC.BIG VALUES (3, 1, '');",
    );
    stage.connect("    - { table: D.PUBLIC.BIG, key: [ID], cursor: N }\n");
    pulls_and_is_equal(&stage);
    stage.sql("UPDATE D.PUBLIC.BIG SET N = 2, V = 'small' WHERE ID = 1;").await;
    pulls_and_is_equal(&stage);
    assert_eq!(rows(&stage), [3]);
}

#[tokio::test]
async fn tables_of_no_row_and_of_one_row_are_there_in_every_mode() {
    let mut sql = "CREATE DATABASE D;".to_owned();
    let mut tables = String::new();
    for (name, values) in [("NONE", ""), ("ONE", "INSERT INTO D.PUBLIC.ONE_X VALUES (1, 1);")] {
        for mode in ["KEYED", "APPENDED", "WHOLE", "ONCE"] {
            let table = format!("{name}_{mode}");
            write!(sql, "CREATE TABLE D.PUBLIC.{table} (ID NUMBER(38,0), N NUMBER(38,0));")
                .unwrap();
            sql.push_str(&values.replace("ONE_X", &table));
            let settings = match mode {
                "KEYED" => "key: [ID], cursor: N",
                "APPENDED" => "cursor: N",
                "WHOLE" => "mode: full",
                _ => "mode: once",
            };
            writeln!(tables, "    - {{ table: D.PUBLIC.{table}, {settings} }}").unwrap();
        }
    }
    let stage = Stage::with_sql(&sql);
    stage.connect(&tables);
    for _ in 0..2 {
        pulls_and_is_equal(&stage);
        assert_eq!(rows(&stage), [0, 0, 0, 0, 1, 1, 1, 1]);
    }
    for mode in ["KEYED", "APPENDED", "WHOLE"] {
        stage.sql(&format!("INSERT INTO D.PUBLIC.NONE_{mode} VALUES (7, 7);")).await;
    }
    stage.json(&["pull", "acme"]);
    assert_eq!(rows(&stage), [1, 1, 1, 0, 1, 1, 1, 1]);
}

#[tokio::test]
async fn names_with_quotes_and_of_any_script_or_case_stay_apart() {
    let stage = Stage::with_sql(
        r#"CREATE DATABASE "Dä""b"; CREATE SCHEMA "Dä""b"."s.c h";
           CREATE TABLE "Dä""b"."s.c h"."T" ("Id" NUMBER(38,0), "größe ""x"" 日本" NUMBER(38,0));
           CREATE TABLE "Dä""b"."s.c h"."t" ("Id" NUMBER(38,0), "größe ""x"" 日本" NUMBER(38,0));
           CREATE TABLE "Dä""b"."s.c h"."a/b\c:%_*?'" ("select" NUMBER(38,0), "__ns" NUMBER(38,0), "." VARCHAR, " " DATE);
           INSERT INTO "Dä""b"."s.c h"."T" VALUES (1, 1);
           INSERT INTO "Dä""b"."s.c h"."t" VALUES (2, 2), (3, 3);
           INSERT INTO "Dä""b"."s.c h"."a/b\c:%_*?'" VALUES (1, 1, 'x', '2026-01-02');"#,
    );
    stage.connect(
        r#"    - { table: '"Dä""b"."s.c h"."T"', key: ['"Id"'], cursor: '"größe ""x"" 日本"' }
    - { table: '"Dä""b"."s.c h"."t"', key: ['"Id"'], cursor: '"größe ""x"" 日本"' }
    - { table: '"Dä""b"."s.c h"."a/b\c:%_*?''"', key: ['"select"'], cursor: '"__ns"' }
"#,
    );
    let check = stage.json(&["check", "acme"]);
    assert_eq!(check["passed"], true, "{check}");
    pulls_and_is_equal(&stage);
    stage
        .sql(
            r#"INSERT INTO "Dä""b"."s.c h"."T" VALUES (9, 9);
               UPDATE "Dä""b"."s.c h"."a/b\c:%_*?'" SET "." = 'y', "__ns" = 2;"#,
        )
        .await;
    pulls_and_is_equal(&stage);
    assert_eq!(rows(&stage), [2, 2, 1]);
}

#[tokio::test]
async fn columns_that_differ_by_case_only_are_refused_and_can_be_renamed_by_a_query() {
    let stage = Stage::with_sql(
        r#"CREATE DATABASE D; CREATE TABLE D.PUBLIC.T ("Id" NUMBER(38,0), ID NUMBER(38,0), N NUMBER(38,0));
           INSERT INTO D.PUBLIC.T VALUES (1, 2, 3), (4, 5, 6);"#,
    );
    stage.connect("    - { table: D.PUBLIC.T, key: [ID], cursor: N }\n");
    let output = stage.run(&["pull", "acme"]);
    let text = show(&output);
    assert!(!output.status.success() && text.contains("differ by case only"), "{text}");
    assert!(text.contains("query"), "{text}");
    stage.connect(
        "    - table: D.PUBLIC.T\n      key: [ID]\n      cursor: N\n      \
         query: SELECT \"Id\" AS OTHER_ID, ID, N FROM D.PUBLIC.T\n",
    );
    pulls_and_is_equal(&stage);
    assert_eq!(rows(&stage), [2]);
    stage.connect(
        "    - { table: D.PUBLIC.T, key: [ID], cursor: N, columns: { exclude: ['\"Id\"'] } }\n",
    );
    pulls_and_is_equal(&stage);
}

/// How many rows share one cursor value: `SNOWFERRY_TIES`, 100,000 unless told.
fn ties() -> u64 {
    std::env::var("SNOWFERRY_TIES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

#[tokio::test]
async fn very_many_rows_of_one_cursor_value_are_read_once_each_in_three_runs() {
    let third = ties() / 3;
    let stage = Stage::with_sql(
        "CREATE DATABASE D; CREATE TABLE D.PUBLIC.TIES (ID NUMBER(38,0), N NUMBER(38,0), V VARCHAR);",
    );
    stage.connect("    - { table: D.PUBLIC.TIES, key: [ID], cursor: N }\n");
    for run in 0..3_u64 {
        let first = run * third;
        stage
            .sql(&format!(
                "INSERT INTO D.PUBLIC.TIES SELECT {first} + SEQ8(), 7, 'v' \
                 FROM TABLE(GENERATOR(ROWCOUNT => {third}));"
            ))
            .await;
        pulls_and_is_equal(&stage);
        assert_eq!(rows(&stage), [(run + 1) * third]);
    }
}
