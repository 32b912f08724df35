//! What fails says so once: what, where, whose fault, the repair. Nothing is changed by it, and
//! the next run after the repair succeeds.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::stage::{Stage, binary, show};

const ACCOUNTS: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: UPDATED_AT }\n";
const LINEITEM: &str = "    - { table: SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM, mode: full }\n";

/// How far the tables are, without what a failed run may add (its record).
fn progress(stage: &Stage) -> Vec<Value> {
    let status = stage.json(&["status", "acme"]);
    let connections = status.as_array().cloned().unwrap_or_else(|| vec![status.clone()]);
    connections
        .iter()
        .flat_map(|connection| connection["tables"].as_array().unwrap().clone())
        .map(|table| {
            json!([
                table["table"],
                table["sequence"],
                table["rows"],
                table["watermark_present"],
                table["synced_as_of"]
            ])
        })
        .collect()
}

/// Pulls, and checks that it failed with this code, one message and a repair.
fn refused(stage: &Stage, code: &str, words: &[&str]) {
    let output = stage.run(&["pull", "acme"]);
    told(&output, code, words);
}

fn told(output: &Output, code: &str, words: &[&str]) {
    let text = show(output);
    assert!(!output.status.success(), "expected {code}: {text}");
    assert!(text.contains(code), "expected {code}: {text}");
    let is_message = |line: &&str| line.trim_start_matches("stderr: ").starts_with("error: ");
    assert_eq!(text.lines().filter(is_message).count(), 1, "not one message: {text}");
    assert!(text.contains("repair:") || text.contains("run again"), "no repair: {text}");
    assert!(!text.contains("panicked"), "{text}");
    for word in words {
        assert!(text.contains(word), "no word of {word}: {text}");
    }
}

fn succeeds(stage: &Stage) {
    let output = stage.run(&["pull", "acme"]);
    assert!(output.status.success(), "{}", show(&output));
    let both = stage.json(&["compare", "acme"]);
    for table in both["tables"].as_array().unwrap() {
        assert_eq!(table["equal"], true, "{table}");
    }
}

#[test]
fn a_wrong_password_or_key_is_refused_and_the_right_one_goes_on() {
    let stage = Stage::with_samples("0.01");
    stage.connect(ACCOUNTS);
    succeeds(&stage);
    let before = progress(&stage);

    std::fs::write(stage.path().join("password"), "not the password").unwrap();
    stage.connect_with("password: { file: ../password }", ACCOUNTS);
    refused(&stage, "SNOWFLAKE_SIGN_IN", &["SNOWFERRY"]);

    let other = Stage::with_samples("0.01");
    let key = other.text("private_key_path");
    stage.connect_with(&format!("key_pair: {{ private_key_file: {key} }}"), ACCOUNTS);
    refused(&stage, "SNOWFLAKE_SIGN_IN", &["RSA_PUBLIC_KEY"]);

    std::fs::write(stage.path().join("nonsense.p8"), "no key at all").unwrap();
    stage.connect_with("key_pair: { private_key_file: ../nonsense.p8 }", ACCOUNTS);
    refused(&stage, "SNOWFLAKE_CREDENTIAL", &["nonsense.p8"]);

    assert_eq!(progress(&stage), before);
    std::fs::write(stage.path().join("password"), stage.text("password")).unwrap();
    stage.connect_with("password: { file: ../password }", ACCOUNTS);
    succeeds(&stage);
}

#[tokio::test]
async fn a_missing_table_or_column_is_named_with_what_is_there() {
    let stage = Stage::with_samples("0.01");
    stage.connect("    - { table: CRM.PUBLIC.NO_SUCH, mode: full }\n");
    refused(&stage, "SNOWFLAKE_NOT_FOUND", &["NO_SUCH", "GRANT SELECT"]);
    stage.connect("    - { table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: CHANGED_AT }\n");
    refused(&stage, "PULL_NO_SUCH_COLUMN", &["CHANGED_AT", "UPDATED_AT"]);

    stage.connect_keeping("schema_changes: stop", ACCOUNTS);
    succeeds(&stage);
    let before = progress(&stage);
    stage.sql("ALTER TABLE CRM.PUBLIC.ACCOUNTS DROP COLUMN NOTES;").await;
    refused(&stage, "PULL_SCHEMA_CHANGED", &["NOTES is gone", "reset"]);
    assert_eq!(progress(&stage), before);
    stage.json(&["reset", "acme", "--table", "CRM.PUBLIC.ACCOUNTS", "--yes"]);
    succeeds(&stage);
}

#[tokio::test]
async fn a_value_that_cannot_be_held_exactly_is_refused_with_the_setting() {
    let stage = Stage::with_sql(
        "CREATE DATABASE D; CREATE TABLE D.PUBLIC.T (K NUMBER(38,0) NOT NULL, N NUMBER(38,0) NOT NULL);
         INSERT INTO D.PUBLIC.T VALUES (1, 1);",
    );
    let table = "    - { table: D.PUBLIC.T, key: [K], cursor: N, integers: int64 }\n";
    stage.connect(table);
    succeeds(&stage);
    let before = progress(&stage);
    stage.sql("INSERT INTO D.PUBLIC.T VALUES (9223372036854775808, 2);").await;
    refused(&stage, "SNOWFLAKE_INEXACT", &["column K", "integers: decimal"]);
    assert_eq!(progress(&stage), before);
    stage.connect(&table.replace("int64", "decimal"));
    stage.json(&["reset", "acme", "--table", "D.PUBLIC.T", "--yes"]);
    succeeds(&stage);
}

#[test]
fn an_unreadable_state_file_is_named_and_left_as_it_is() {
    let stage = Stage::with_samples("0.01");
    stage.connect(ACCOUNTS);
    succeeds(&stage);
    let file = stage.path().join("snowferry-data/state/state.db");
    let good = std::fs::read(&file).unwrap();
    let leftovers: Vec<PathBuf> =
        ["state.db-wal", "state.db-shm"].map(|name| file.with_file_name(name)).into();
    leftovers.iter().for_each(|file| drop(std::fs::remove_file(file)));
    std::fs::write(&file, b"this is no database, but something of somebody").unwrap();
    refused(&stage, "CHECKPOINT_CORRUPT", &["state.db"]);
    assert!(std::fs::read(&file).unwrap().starts_with(b"this is no database"));
    std::fs::write(&file, good).unwrap();
    succeeds(&stage);
}

#[test]
fn a_full_disk_is_told_and_costs_nothing() {
    let stage = Stage::with_samples("0.05");
    stage.connect(ACCOUNTS);
    succeeds(&stage);
    stage.connect(&format!("{ACCOUNTS}{LINEITEM}"));
    let before = progress(&stage).last().cloned();
    // No file may grow beyond 1 MiB: what a process meets on a full disk, but for its name.
    let command = format!("ulimit -f 1024; trap '' XFSZ; exec {} pull acme", binary().display());
    let limited =
        Command::new("bash").args(["-c", &command]).current_dir(stage.path()).output().unwrap();
    told(&limited, "STAGING_FULL", &["LINEITEM", "free space"]);
    assert_eq!(progress(&stage).last().cloned(), before);
    succeeds(&stage);
}

#[tokio::test]
async fn a_bad_day_of_the_network_is_lived_through() {
    let stage = Stage::with_samples("0.05");
    stage.connect(LINEITEM);
    for order in [
        json!({"fault": "cut_body", "endpoint": "chunk", "after_bytes": 100, "skip": 1}),
        json!({"fault": "kill_connection", "endpoint": "chunk", "after_bytes": 1000}),
        json!({"fault": "status", "endpoint": "chunk", "status": 503, "count": 2}),
        json!({"fault": "status", "endpoint": "query", "status": 503}),
        json!({"fault": "expire_links"}),
        json!({"fault": "expire_sessions"}),
    ] {
        stage.fault(order).await;
        succeeds(&stage);
    }
}

#[tokio::test]
async fn a_server_that_goes_away_fails_the_pull_and_the_next_one_goes_on() {
    let mut stage = Stage::with_samples("0.05");
    stage.connect(&format!("{ACCOUNTS}{LINEITEM}"));
    stage
        .fault(json!({"fault": "delay", "endpoint": "chunk", "millis": 600_000, "count": 50}))
        .await;
    let pull = stage
        .command(&["pull", "acme"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The chunks are asked for and never come: now the server dies.
    while stage.requests("chunk").await == 0 {
        tokio::task::yield_now().await;
    }
    stage.kill_emulator();
    let output = pull.wait_with_output().unwrap();
    told(&output, "SNOWFLAKE_UNREACHABLE", &["LINEITEM"]);
    let status = stage.json(&["status", "acme"]).to_string();
    assert!(status.contains("\"sequence\":1") || status.contains("\"rows\":1000"), "{status}");
}
