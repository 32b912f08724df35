//! A connection reads some columns, some rows, hashes in place of values, or a query.

use std::path::Path;

use serde_json::Value;

use crate::stage::{Stage, show};

const SQL: &str = "CREATE DATABASE D;
    CREATE TABLE D.PUBLIC.PEOPLE (EMAIL VARCHAR, PHONE VARCHAR, BORN DATE, REGION VARCHAR, N NUMBER(38,0));
    INSERT INTO D.PUBLIC.PEOPLE VALUES
      ('ann@x.example', '123', '1999-01-02', 'EU', 1), ('bob@x.example', NULL, NULL, 'EU', 2),
      ('cy@x.example', '456', '2001-02-03', 'US', 3), (NULL, '789', '2001-02-03', 'O''Hara\\\\', 4);";

const SALT: &str = "a salt of the tests";

fn stage(tables: &str) -> Stage {
    let stage = Stage::with_sql(SQL);
    connect(&stage, tables);
    stage
}

fn connect(stage: &Stage, tables: &str) {
    std::fs::write(stage.path().join("salt"), format!("{SALT}\n")).unwrap();
    stage.connect_keeping("hash_salt: { file: ../salt }", tables);
}

fn pull(stage: &Stage) -> Value {
    stage.json(&["pull", "acme"])["tables"][0].clone()
}

fn ask(stage: &Stage, query: &str) -> String {
    let output = stage.run(&["query", query, "--csv"]);
    assert!(output.status.success(), "{}", show(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn is_equal(stage: &Stage) {
    let both = stage.json(&["compare", "acme"]);
    assert_eq!(both["tables"][0]["equal"], true, "{both}");
}

/// Tests whether a text stands in any file below a folder.
fn is_written(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().flatten().any(|entry| match entry.path() {
        path if path.is_dir() => is_written(&path, text),
        path => {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        }
    })
}

#[tokio::test]
async fn only_hashes_of_selected_columns_of_selected_rows_leave_the_account() {
    let stage = stage(
        "    - table: D.PUBLIC.PEOPLE\n      cursor: N\n      columns: { exclude: [PHONE], hash: [EMAIL, BORN] }\n      \
         filter: \"region = 'EU' or region = 'O''Hara\\\\\\\\' -- both\"\n",
    );
    let check = stage.json(&["check", "acme"]);
    assert_eq!(check["passed"], true, "{check}");
    pull(&stage);
    is_equal(&stage);
    // printf '%s' 'a salt of the testsann@x.example' | sha256sum, and so on.
    assert_eq!(
        ask(&stage, "select n, email, born, region from people order by n"),
        "N,EMAIL,BORN,REGION\n\
         1,@ANN,@BORN,EU\n\
         2,@BOB,,EU\n\
         4,,@BORN2,O'Hara\\\n"
            .replace("@ANN", &sha256("ann@x.example"))
            .replace("@BOB", &sha256("bob@x.example"))
            .replace("@BORN2", &sha256("2001-02-03"))
            .replace("@BORN", &sha256("1999-01-02"))
    );
    assert!(!ask(&stage, "select * from people").contains("PHONE"));
    let data = stage.path().join("snowferry-data");
    for secret in ["ann@x.example", "cy@x.example", "PHONE", SALT] {
        assert!(!is_written(&data, secret), "{secret} was written");
    }
    stage.sql("INSERT INTO D.PUBLIC.PEOPLE VALUES ('d', 'e', NULL, 'US', 5), ('f', 'g', NULL, 'EU', 6);").await;
    assert_eq!(pull(&stage)["rows_loaded"], 1);
    is_equal(&stage);
}

fn sha256(value: &str) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(format!("{SALT}{value}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn another_selection_is_a_new_backfill_or_a_stop() {
    let stage = stage("    - { table: D.PUBLIC.PEOPLE, cursor: N, key: [N] }\n");
    pull(&stage);
    let narrow = "    - { table: D.PUBLIC.PEOPLE, cursor: N, key: [N], columns: { include: [N, REGION] } }\n";
    connect(&stage, narrow);
    let run = pull(&stage);
    assert_eq!(run["schema_changes"], serde_json::json!(["other columns or rows are selected"]));
    is_equal(&stage);
    assert_eq!(ask(&stage, "select * from people where n = 1"), "REGION,N\nEU,1\n");
    assert_eq!(pull(&stage)["schema_changes"], serde_json::json!([]));
    let status = stage.json(&["status", "acme"]);
    assert_eq!(status[0]["tables"][0]["generation"], 2);

    stage.connect_keeping(
        "schema_changes: freeze",
        "    - { table: D.PUBLIC.PEOPLE, cursor: N, key: [N], filter: n < 3 }\n",
    );
    let output = stage.run(&["pull", "acme"]);
    let text = show(&output);
    assert!(!output.status.success() && text.contains("PULL_SELECTION_CHANGED"), "{text}");
    assert!(text.contains("snowferry reset"), "{text}");
}

#[tokio::test]
async fn a_query_is_a_source_with_key_and_cursor() {
    let stage = stage(
        "    - table: D.REPORTS.BY_REGION\n      key: [REGION]\n      cursor: LATEST\n      query: |\n        \
         with e as (select * from d.public.people where region is not null) -- all\n        \
         select region, max(n) as latest, count(*) as people from e group by region\n",
    );
    let check = stage.json(&["check", "acme"]);
    assert_eq!(check["passed"], true, "{check}");
    pull(&stage);
    is_equal(&stage);
    let rows = "select people, latest from by_region order by latest";
    assert_eq!(ask(&stage, rows), "PEOPLE,LATEST\n2,2\n1,3\n1,4\n");
    stage.sql("INSERT INTO D.PUBLIC.PEOPLE VALUES ('e', 'f', NULL, 'US', 9);").await;
    pull(&stage);
    is_equal(&stage);
    assert_eq!(ask(&stage, rows), "PEOPLE,LATEST\n2,2\n1,4\n2,9\n");
    let script = stage.json(&["setup-sql", "acme"]).to_string();
    assert!(script.contains(r#"ON TABLE \"D\".\"PUBLIC\".\"PEOPLE\""#), "{script}");
    assert!(!script.contains("REPORTS"), "{script}");
}

#[tokio::test]
async fn a_misspelt_column_to_leave_out_is_not_read_after_all() {
    let stage =
        stage("    - { table: D.PUBLIC.PEOPLE, mode: full, columns: { exclude: [FONE] } }\n");
    let check = stage.run(&["check", "acme"]);
    assert!(!check.status.success() && show(&check).contains("FONE"), "{}", show(&check));
    let output = stage.run(&["pull", "acme"]);
    let text = show(&output);
    assert!(!output.status.success() && text.contains("columns.exclude"), "{text}");
    assert!(!stage.table("D.PUBLIC.PEOPLE").exists());
}
