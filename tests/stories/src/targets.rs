//! Wrong targets by the dozen, end to end: each is refused with the reason and a repair before a
//! file is in the stage, everything that is wrong with one at once, and the table is as before.

use serde_json::Value;

use crate::pushes::{number, rows};
use crate::stage::{Stage, show};

const SQL: &str = "
CREATE DATABASE CRM; CREATE SCHEMA CRM.SNOWFERRY;
CREATE TABLE CRM.PUBLIC.ACCOUNTS (ID NUMBER(38,0), NAME VARCHAR, AMOUNT NUMBER(12,2));
INSERT INTO CRM.PUBLIC.ACCOUNTS
  SELECT N + 1, 'account ' || N, (N + 1) * 1.25
  FROM (SELECT SEQ8() AS N FROM TABLE(GENERATOR(ROWCOUNT => 1000)));
CREATE ROLE PUSHER;
GRANT USAGE ON DATABASE CRM TO ROLE PUSHER;
GRANT USAGE ON SCHEMA CRM.PUBLIC TO ROLE PUSHER;
GRANT USAGE ON SCHEMA CRM.SNOWFERRY TO ROLE PUSHER;
GRANT SELECT ON TABLE CRM.PUBLIC.ACCOUNTS TO ROLE PUSHER;
";

const LEDGER: &str = "
CREATE OR REPLACE TABLE CRM.SNOWFERRY.LEDGER (PUSH VARCHAR NOT NULL,
  GENERATION NUMBER(38,0) NOT NULL, SEQUENCE NUMBER(38,0) NOT NULL, RUN_ID VARCHAR, TARGET VARCHAR,
  ROWS_APPLIED NUMBER(38,0), APPLIED_AT TIMESTAMP_LTZ(9));
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE CRM.SNOWFERRY.LEDGER TO ROLE PUSHER;
GRANT USAGE ON SCHEMA CRM.PUBLIC TO ROLE PUSHER;
";

const GRANTS: &str =
    "GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE CRM.PUBLIC.SCORES TO ROLE PUSHER;";

/// The right columns, each with its type.
const RIGHT: [(&str, &str); 6] = [
    ("ID", "NUMBER(38,0)"),
    ("NAME", "VARCHAR(100)"),
    ("SCORE", "NUMBER(20,4)"),
    ("DAY", "DATE"),
    ("SEEN", "TIMESTAMP_NTZ(9)"),
    ("RUN", "VARCHAR"),
];

const PUSH: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, mode: full }
push:
  ledger: CRM.SNOWFERRY.LEDGER
  tables:
    - name: scores
      query: SELECT ID, NAME, AMOUNT * 2 AS SCORE, DATE '2026-01-31' AS DAY,
        TIMESTAMP '2026-01-31T01:02:03' AS SEEN FROM ACCOUNTS
      target: CRM.PUBLIC.SCORES
      mode: MODE
      constants: { RUN: $run_id }
      max_shrink_percent: 100
";

const REWRITE: &str = "rewrite";
const UPSERT: &str = "upsert\n      key: [ID]";

/// A wrong target.
struct Wrong {
    mode: &'static str,
    /// Makes it.
    sql: String,
    /// What the refusal says, each in a verdict of its own.
    words: Vec<&'static str>,
}

fn wrong(sql: impl Into<String>, words: &[&'static str]) -> Wrong {
    Wrong { mode: REWRITE, sql: sql.into(), words: words.to_vec() }
}

/// The right table with some columns as `changed` says; an empty definition leaves a column out.
fn table(changed: &[(&str, &str)]) -> String {
    let right = RIGHT.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    let right = right.map(|(name, declared)| format!("{name} {declared}"));
    let changed = changed.iter().filter(|(_, declared)| !declared.is_empty());
    let columns: Vec<_> =
        right.chain(changed.map(|(_, declared)| (*declared).to_owned())).collect();
    format!("CREATE OR REPLACE TABLE CRM.PUBLIC.SCORES ({}); {GRANTS}", columns.join(", "))
}

fn one(name: &str, declared: &str, word: &'static str) -> Wrong {
    wrong(table(&[(name, declared)]), &[word])
}

/// Columns that are missing, named otherwise, or not for us to write.
fn columns() -> Vec<Wrong> {
    let mut cases: Vec<Wrong> =
        ["ID", "NAME", "SCORE", "DAY", "SEEN"].map(|name| one(name, "", "no such column")).into();
    cases.extend([
        one("RUN", "", "no such column for the constant"),
        one("ID", "\"id\" NUMBER(38,0)", "no such column"),
        one("NAME", "\"name\" VARCHAR", "no such column"),
        one("SCORE", "\"Score\" NUMBER(20,4)", "no such column"),
        one("NAME", "\"SELECT\" VARCHAR", "no such column"),
        one("NAME", "\"NAME \" VARCHAR", "no such column"),
        one("RUN", "\"run\" VARCHAR", "no such column for the constant"),
        one("ID", "ID NUMBER(38,0) AUTOINCREMENT", "numbers this column itself"),
        one("ID", "ID NUMBER(38,0) IDENTITY(1, 1)", "numbers this column itself"),
        one("MORE", "MORE VARCHAR NOT NULL", "takes no NULL"),
        one("MORE", "MORE NUMBER(38,0) NOT NULL", "takes no NULL"),
    ]);
    cases
}

/// Columns of a type that ours does not go into.
fn types() -> Vec<Wrong> {
    let mut cases = Vec::new();
    for (name, types) in [
        ("ID", &["VARCHAR", "BOOLEAN", "DATE", "TIMESTAMP_NTZ", "BINARY", "VARIANT"][..]),
        ("NAME", &["NUMBER(38,0)", "FLOAT", "BOOLEAN", "DATE", "TIME", "BINARY"]),
        ("SCORE", &["VARCHAR", "BOOLEAN", "DATE", "TIMESTAMP_LTZ", "BINARY", "ARRAY"]),
        ("DAY", &["VARCHAR", "NUMBER(8,0)", "TIMESTAMP_NTZ", "TIME"]),
        ("SEEN", &["VARCHAR", "NUMBER(38,0)", "DATE"]),
    ] {
        for declared in types {
            cases.push(one(name, &format!("{name} {declared}"), "does not go into"));
        }
    }
    cases.extend([
        one("SEEN", "SEEN TIMESTAMP_LTZ(9)", "no instant without a zone"),
        one("SEEN", "SEEN TIMESTAMP_TZ(9)", "no instant without a zone"),
        one("RUN", "RUN NUMBER(38,0)", "the constant does not fit"),
        one("RUN", "RUN BOOLEAN", "the constant does not fit"),
        one("RUN", "RUN DATE", "the constant does not fit"),
    ]);
    cases
}

/// Columns that some value does not go into.
fn values() -> Vec<Wrong> {
    vec![
        one("ID", "ID NUMBER(2,0)", "too large"),
        one("ID", "ID NUMBER(38,37)", "too large"),
        one("NAME", "NAME VARCHAR(5)", "too long"),
        one("SCORE", "SCORE NUMBER(20,0)", "digits after the point"),
        one("SCORE", "SCORE NUMBER(5,4)", "too large"),
        one("NAME", "NAME VARIANT", "JSON"),
        wrong(
            table(&[("NAME", "NAME VARCHAR(3)"), ("SCORE", "SCORE NUMBER(20,0)")]),
            &["too long", "digits after the point"],
        ),
    ]
}

/// Tables that are none, or that we may not do with as we must.
fn tables() -> Vec<Wrong> {
    let right = table(&[]);
    let revoke = |privilege: &str| {
        format!("{right} REVOKE {privilege} ON TABLE CRM.PUBLIC.SCORES FROM ROLE PUSHER;")
    };
    let upsert = |sql: String, word| Wrong { mode: UPSERT, sql, words: vec![word] };
    vec![
        wrong("DROP TABLE CRM.PUBLIC.SCORES", &["does not exist"]),
        wrong(
            "ALTER TABLE CRM.PUBLIC.SCORES RENAME TO CRM.PUBLIC.BASE;
             CREATE VIEW CRM.PUBLIC.SCORES AS SELECT * FROM CRM.PUBLIC.BASE;
             GRANT SELECT ON VIEW CRM.PUBLIC.SCORES TO ROLE PUSHER;",
            &["is a VIEW"],
        ),
        wrong(
            format!("{right} ALTER TABLE CRM.PUBLIC.SCORES RENAME TO CRM.PUBLIC.\"scores\""),
            &["does not exist"],
        ),
        wrong(revoke("INSERT"), &["may not INSERT"]),
        wrong(revoke("DELETE"), &["may not DELETE"]),
        wrong(revoke("INSERT, DELETE"), &["may not INSERT, DELETE"]),
        wrong(revoke("SELECT, INSERT, UPDATE, DELETE"), &["does not exist"]),
        wrong(
            format!("{right} REVOKE USAGE ON SCHEMA CRM.PUBLIC FROM ROLE PUSHER;"),
            &["does not exist"],
        ),
        upsert(revoke("UPDATE"), "may not UPDATE"),
        upsert(revoke("SELECT"), "may not SELECT"),
        wrong("DROP TABLE CRM.SNOWFERRY.LEDGER", &["ledger table"]),
        wrong(
            "REVOKE SELECT, INSERT, UPDATE, DELETE ON TABLE CRM.SNOWFERRY.LEDGER FROM ROLE PUSHER",
            &["ledger table"],
        ),
        wrong(
            "REVOKE UPDATE, DELETE ON TABLE CRM.SNOWFERRY.LEDGER FROM ROLE PUSHER",
            &["may not UPDATE, DELETE"],
        ),
    ]
}

/// Targets with which several things are wrong.
fn several() -> Vec<Wrong> {
    vec![
        wrong(
            table(&[("ID", ""), ("NAME", "NAME BOOLEAN"), ("MORE", "MORE DATE NOT NULL")]),
            &["no such column", "does not go into", "takes no NULL"],
        ),
        wrong(
            format!(
                "{} REVOKE DELETE ON TABLE CRM.PUBLIC.SCORES FROM ROLE PUSHER; \
                 DROP TABLE CRM.SNOWFERRY.LEDGER;",
                table(&[("SCORE", "SCORE DATE"), ("RUN", "RUN BOOLEAN")])
            ),
            &["may not DELETE", "does not go into", "constant does not fit", "ledger table"],
        ),
        wrong(
            table(&[("ID", "ID NUMBER(38,0) AUTOINCREMENT"), ("SEEN", "SEEN TIMESTAMP_TZ")]),
            &["numbers this column itself", "no instant without a zone"],
        ),
    ]
}

#[tokio::test]
async fn sixty_wrong_targets_are_refused_before_a_file_is_staged() {
    let cases: Vec<_> =
        [columns(), types(), values(), tables(), several()].into_iter().flatten().collect();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let stage = Stage::with_sql(SQL);
    let warehouse = stage.text("warehouse");
    let user = stage.text("user");
    stage
        .sql(&format!(
            "GRANT ROLE PUSHER TO USER {user}; GRANT USAGE ON WAREHOUSE {warehouse} TO ROLE PUSHER;"
        ))
        .await;
    connect(&stage, REWRITE);
    stage.json(&["pull", "acme"]);

    let mut wrong = Vec::new();
    for case in &cases {
        let reset = format!("{} {} {LEDGER}", unview(&stage).await, table(&[]));
        stage.sql(&reset).await;
        stage.sql(&case.sql).await;
        connect(&stage, case.mode);
        if let Err(error) = refused(&stage, case).await {
            wrong.push(format!("{}\n  {error}", case.sql));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));

    // The right target takes the rows.
    stage.sql(&format!("{} {LEDGER}", table(&[]))).await;
    connect(&stage, REWRITE);
    stage.json(&["push", "acme"]);
    assert_eq!(number(&stage, "SELECT COUNT(*) FROM CRM.PUBLIC.SCORES").await, 1000);
}

/// What takes a view out of the way, if there is one.
async fn unview(stage: &Stage) -> &'static str {
    let shown = rows(stage, "SHOW VIEWS LIKE 'SCORES' IN SCHEMA CRM.PUBLIC").await;
    if shown.is_empty() { "" } else { "DROP VIEW CRM.PUBLIC.SCORES;" }
}

fn connect(stage: &Stage, mode: &str) {
    stage.connect(&PUSH.replace("MODE", mode));
    let file = stage.path().join("connections/acme.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    let role = format!("role: {}\n", stage.text("role"));
    std::fs::write(file, yaml.replacen(&role, "role: PUSHER\n", 1)).unwrap();
}

/// Pushes, and looks at what was said and what is there.
async fn refused(stage: &Stage, case: &Wrong) -> Result<(), String> {
    let output = stage.run(&["push", "acme", "--json"]);
    let text = show(&output);
    let report: Value = serde_json::from_slice(&output.stdout).map_err(|_| text.clone())?;
    let push = &report["pushes"][0];
    if output.status.success() || push["outcome"] != "refused" {
        return Err(text);
    }
    let verdicts = push["verdicts"].as_array().cloned().unwrap_or_default();
    let refusals: Vec<_> =
        verdicts.iter().filter(|verdict| verdict["verdict"] == "refused").collect();
    for word in &case.words {
        let says = |verdict: &&&Value| verdict["reason"].as_str().unwrap_or("").contains(word);
        let Some(verdict) = refusals.iter().find(says) else {
            return Err(format!("no word of {word:?}: {verdicts:?}"));
        };
        if !word.contains("constant") && verdict["repair"].is_null() {
            return Err(format!("no repair: {verdict}"));
        }
    }
    if refusals.len() != case.words.len() {
        return Err(format!("{} refusals: {refusals:?}", refusals.len()));
    }
    let staged = rows(stage, "LIST @~").await;
    if !staged.is_empty() {
        return Err(format!("files are staged: {staged:?}"));
    }
    for table in rows(stage, "SHOW TERSE TABLES LIKE 'SCORES' IN SCHEMA CRM.PUBLIC").await {
        let name = table[1].clone().unwrap();
        let found = number(stage, &format!("SELECT COUNT(*) FROM CRM.PUBLIC.\"{name}\"")).await;
        if found != 0 {
            return Err(format!("{found} rows were written"));
        }
    }
    Ok(())
}
