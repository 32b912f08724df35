//! From nothing to a pull as a customer and an operator do it together: a key, the script, the
//! administrator who runs it, a check, an exchange of keys.

use std::path::Path;

use serde_json::Value;

use crate::stage::{Stage, show};

const TABLES: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: UPDATED_AT }\n    \
                      - { table: CRM.PUBLIC.USERS, mode: full }\n";

/// Writes a connection that signs in as a user, a role and a warehouse that are not there yet.
fn connect(stage: &Stage) {
    let yaml = format!(
        "version: 1\nconnection: acme\nsnowflake:\n  account: {}\n  base_url: {}\n  \
         user: SVC_SNOWFERRY\n  role: SNOWFERRY_PULL\n  warehouse: SNOWFERRY_WH\n  \
         auth: {{ key_pair: {{ private_key_file: ../keys/acme.p8 }} }}\npull:\n  tables:\n{TABLES}",
        stage.text("account"),
        stage.text("base_url"),
    );
    std::fs::create_dir_all(stage.path().join("connections")).unwrap();
    std::fs::write(stage.path().join("connections/acme.yaml"), yaml).unwrap();
}

/// What the customer's administrator does with statements that were sent.
async fn run_by_the_administrator(stage: &Stage, statements: &[String]) {
    for statement in statements {
        stage.sql(&format!("{statement};")).await;
    }
}

fn script(stage: &Stage, options: &[&str]) -> Vec<String> {
    let script = stage.json(&[&["setup-sql", "acme"], options].concat());
    let sections = script["sections"].as_array().unwrap();
    let statements = sections.iter().flat_map(|section| section["statements"].as_array().unwrap());
    statements.map(|statement| text(&statement["sql"])).collect()
}

fn sql(answer: &Value) -> Vec<String> {
    answer["sql"].as_array().unwrap().iter().map(text).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn passes(stage: &Stage, arguments: &[&str]) -> bool {
    stage.run(arguments).status.success()
}

fn key(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("keys/acme.p8")).unwrap()
}

#[tokio::test]
async fn the_script_is_all_that_a_customer_needs_to_run() {
    let stage = Stage::with_samples("0.01");
    connect(&stage);
    stage.json(&["keygen", "acme"]);
    assert!(!passes(&stage, &["check", "acme"]), "nobody knows the user yet");

    run_by_the_administrator(&stage, &script(&stage, &["--egress", "127.0.0.1"])).await;
    let checked = stage.run(&["check", "acme"]);
    assert!(checked.status.success(), "{}", show(&checked));
    let pulled = stage.run(&["pull", "acme"]);
    assert!(pulled.status.success(), "{}", show(&pulled));

    run_by_the_administrator(&stage, &script(&stage, &["--remove"])).await;
    assert!(!passes(&stage, &["check", "acme"]), "the user is gone");
}

#[tokio::test]
async fn a_user_cannot_sign_in_from_an_address_that_is_not_named() {
    let stage = Stage::with_samples("0.01");
    connect(&stage);
    stage.json(&["keygen", "acme"]);
    run_by_the_administrator(&stage, &script(&stage, &["--egress", "203.0.113.7"])).await;
    let checked = show(&stage.run(&["check", "acme"]));
    assert!(checked.contains("the address 127.0.0.1 is not allowed"), "{checked}");
}

#[tokio::test]
async fn a_key_is_exchanged_without_a_moment_in_which_none_works() {
    let stage = Stage::with_samples("0.01");
    connect(&stage);
    stage.json(&["keygen", "acme"]);
    run_by_the_administrator(&stage, &script(&stage, &[])).await;
    let old = key(stage.path());

    let offered = stage.json(&["rotate-key", "acme"]);
    let early = stage.run(&["rotate-key", "acme", "--finish"]);
    assert!(!early.status.success(), "the customer has not run the statement: {}", show(&early));
    assert_eq!(key(stage.path()), old, "nothing was changed");
    assert!(passes(&stage, &["check", "acme"]));

    run_by_the_administrator(&stage, &sql(&offered)).await;
    assert!(passes(&stage, &["check", "acme"]), "the old key works");
    let finished = stage.json(&["rotate-key", "acme", "--finish"]);
    assert_ne!(key(stage.path()), old);
    assert!(passes(&stage, &["check", "acme"]), "the new key works");

    run_by_the_administrator(&stage, &sql(&finished)).await;
    assert!(passes(&stage, &["check", "acme"]), "the new key works still");
    std::fs::write(stage.path().join("keys/acme.p8"), &old).unwrap();
    assert!(!passes(&stage, &["check", "acme"]), "the old key opens nothing more");
}
