//! What Snowflake's connector reads from the source and what independent readers read from our
//! tables are the same rows, value by value, for every type.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::stage::{Stage, judge, show};

const CRM: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: UPDATED_AT }
    - { table: CRM.PUBLIC.OPPORTUNITIES, key: [ID], cursor: UPDATED_AT }
    - { table: CRM.PUBLIC.USERS, key: [ID], cursor: UPDATED_AT }
    - { table: CRM.PUBLIC.EVENTS, key: [ID], cursor: ID }
    - { table: CRM.PUBLIC.NOTHING, mode: full }
    - { table: CRM.PUBLIC.KEYS, key: [K], cursor: N }
    - { table: SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM, mode: once }
";

const TABLES: [&str; 7] = [
    "CRM.PUBLIC.ACCOUNTS",
    "CRM.PUBLIC.OPPORTUNITIES",
    "CRM.PUBLIC.USERS",
    "CRM.PUBLIC.EVENTS",
    "CRM.PUBLIC.NOTHING",
    "CRM.PUBLIC.KEYS",
    "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM",
];

const BEFORE: &str = "
CREATE TABLE CRM.PUBLIC.NOTHING (A NUMBER(38,0), B VARCHAR, C TIMESTAMP_TZ(9));
CREATE TABLE CRM.PUBLIC.KEYS (K NUMBER(38,0) NOT NULL, V VARCHAR, N NUMBER(10,0) NOT NULL);
INSERT INTO CRM.PUBLIC.KEYS VALUES
    (9007199254740992, 'two to the 53', 1), (9007199254740993, 'and one', 1),
    (9223372036854775807, 'the greatest of 64 bits', 1), (9223372036854775808, 'one more', 1),
    (-9223372036854775809, 'one less', 1), (0, 'zero', 1),
    (99999999999999999999999999999999999999, 'nines', 1),
    (-99999999999999999999999999999999999999, 'minus nines', 1);
";

const CHANGES: &str = "
UPDATE CRM.PUBLIC.KEYS SET V = 'changed', N = 2 WHERE K IN
    (9007199254740993, 9223372036854775808, 99999999999999999999999999999999999999);
INSERT INTO CRM.PUBLIC.KEYS VALUES (9007199254740994, 'new', 2);
UPDATE CRM.PUBLIC.USERS SET ROLE = 'owner', UPDATED_AT = '2026-02-03 04:05:06.789 +09:00'::TIMESTAMP_TZ(9)
    WHERE MOD(ID, 10) = 0;
INSERT INTO CRM.PUBLIC.ACCOUNTS (ID, NAME, UPDATED_AT)
    VALUES (1000001, 'late', '2026-02-03 04:05:06.000000001'::TIMESTAMP_NTZ(9));
UPDATE CRM.PUBLIC.OPPORTUNITIES SET AMOUNT = -0.01, UPDATED_AT = '2026-02-03 00:00:00 +00:00'::TIMESTAMP_LTZ(6)
    WHERE ID <= 100;
";

#[tokio::test]
async fn independent_readers_see_the_same_values_at_both_ends() {
    let (Some(connector), Some(readers)) = (judge("CONNECTOR5"), judge("READERS")) else { return };
    let stage = Stage::with_samples("0.01");
    stage.sql(BEFORE).await;
    stage.connect(CRM);
    for (round, changes) in [("backfill", ""), ("increment", CHANGES)] {
        if !changes.is_empty() {
            stage.sql(changes).await;
        }
        let pulled = stage.run(&["pull", "acme"]);
        assert!(pulled.status.success(), "{round}: {}", show(&pulled));
        for table in TABLES {
            same_rows(&stage, &connector, &readers, round, table);
        }
    }
    keys_are_found(&stage, &readers);
}

fn same_rows(stage: &Stage, connector: &Path, readers: &Path, round: &str, table: &str) {
    let ready = stage.path().join("ready.json");
    std::fs::write(&ready, stage.ready.to_string()).unwrap();
    let ready = ready.to_str().unwrap();
    let source = python(connector, "source_rows.py", &[ready, table], "");
    let (columns, rows) = source.split_once('\n').unwrap_or_else(|| panic!("{source}"));
    let wanted = multiset(rows);
    let folder = stage.table(table);
    for reader in ["polars", "deltalake"] {
        let arguments = [reader, folder.to_str().unwrap()];
        let found = python(readers, "table_rows.py", &arguments, &format!("{columns}\n"));
        let found = multiset(&found);
        if found == wanted {
            continue;
        }
        let absent = |rows: &[String], from: &[String]| {
            let absent = rows.iter().filter(|row| from.binary_search(row).is_err());
            absent.take(3).cloned().collect::<Vec<_>>()
        };
        panic!(
            "{round}, {table}, {reader}: {} rows of {}; missing {:?}; surplus {:?}",
            found.len(),
            wanted.len(),
            absent(&wanted, &found),
            absent(&found, &wanted)
        );
    }
}

/// Rows in the order of their text, each as often as it is there.
fn multiset(lines: &str) -> Vec<String> {
    let mut rows: Vec<String> = lines.lines().map(ToOwned::to_owned).collect();
    rows.sort();
    rows
}

/// Point and range queries by key find what a whole read shows, with file skipping at work.
fn keys_are_found(stage: &Stage, readers: &Path) {
    let folder = stage.table("CRM.PUBLIC.KEYS");
    let printed =
        python(readers, "delta_readers.py", &[folder.to_str().unwrap(), "--key", "K"], "");
    let mut keys: BTreeMap<String, Vec<i128>> = BTreeMap::new();
    let mut checked = 0;
    let lines: Vec<serde_json::Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        if let Some(key) = line["row"]["K"].as_str() {
            let reader = line["reader"].as_str().unwrap().to_owned();
            keys.entry(reader).or_default().push(key.parse().unwrap());
        }
    }
    for line in &lines {
        let Some(key) = line["key"].as_str() else { continue };
        let key: i128 = key.parse().unwrap();
        let all = &keys[line["reader"].as_str().unwrap()];
        let count = |matches: &dyn Fn(i128) -> bool| all.iter().filter(|k| matches(**k)).count();
        assert_eq!(line["eq"], count(&|k| k == key), "{line}");
        assert_eq!(line["ge"], count(&|k| k >= key), "{line}");
        assert_eq!(line["le"], count(&|k| k <= key), "{line}");
        checked += 1;
    }
    assert_eq!(checked, 18, "nine keys, each by two readers: {printed}");
}

fn python(python: &Path, script: &str, arguments: &[&str], input: &str) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../judges").join(script);
    let mut child = Command::new(python)
        .arg(&script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}: {}", script.display(), show(&output));
    String::from_utf8(output.stdout).unwrap()
}
