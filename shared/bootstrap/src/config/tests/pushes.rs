//! The `push` part: what it may say, and how every wrong one is refused.

use expect_test::{Expect, expect};
use snowferry_model::export::{ExportSource, Parameter};
use snowferry_model::push::{ConstantValue, Delivery, PushMode};

use super::{GOOD, read};

const PUSH: &str = "\
push:
  ledger: CRM.SNOWFERRY.LEDGER
  tables:
    - name: scores
      query: SELECT ID, SCORE FROM SCORES WHERE STAGE = $stage
      parameters: { stage: won, least: 3, on: true, none: null }
      target: CRM.PUBLIC.SCORES
      mode: upsert
      key: [ID]
      columns: { 'THEIR_ID': ID }
      constants: { LOADED_AT: $now, RUN: $run_id, SOURCE: ours, N: 1 }
      round: true
      max_shrink_percent: 20
";

fn with_push(push: &str) -> String {
    format!("{GOOD}{push}")
}

fn refuses(piece: &str, other: &str, message: Expect) {
    assert!(PUSH.contains(piece), "the good push holds no {piece:?}");
    let error = read(&with_push(&PUSH.replacen(piece, other, 1))).expect_err("it was accepted");
    message.assert_eq(&error.to_string());
}

#[test]
fn a_full_push_is_read() {
    let connection = read(&with_push(PUSH)).unwrap();
    let [push] = connection.pushes.as_slice() else { panic!("one push was written") };
    assert_eq!(push.push.to_string(), "acme/scores");
    assert_eq!(push.account, "myorg-acme");
    assert_eq!(push.target.to_string(), "CRM.PUBLIC.SCORES");
    assert!(matches!(&push.source, ExportSource::Sql(sql) if sql.starts_with("SELECT ID, SCORE")));
    assert_eq!(push.parameters["least"], Parameter::Integer(3));
    assert_eq!(push.parameters["none"], Parameter::Null);
    assert!(matches!(&push.mode, PushMode::Upsert { key } if key.len() == 1));
    assert!(matches!(&push.delivery, Delivery::Ledger { .. }));
    assert_eq!(push.mapping.len(), 1);
    assert_eq!(push.constants[0].value, ConstantValue::PinnedAt);
    assert_eq!(push.constants[1].value, ConstantValue::RunId);
    assert!(push.rules.round && !push.rules.create && !push.rules.allow_empty);
    assert_eq!(push.rules.max_shrink_percent, Some(20));
}

#[test]
fn a_connection_may_push_without_pulling() {
    let only_push = GOOD.split("pull:").next().unwrap().to_owned() + PUSH;
    let connection = read(&only_push).unwrap();
    assert_eq!((connection.tables.len(), connection.pushes.len()), (0, 1));
}

#[test]
fn a_whole_table_is_pushed_by_its_name() {
    let push = PUSH
        .replace("query: SELECT ID, SCORE FROM SCORES WHERE STAGE = $stage", "table: CRM.PUBLIC.A")
        .replace("      parameters: { stage: won, least: 3, on: true, none: null }\n", "");
    let connection = read(&with_push(&push)).unwrap();
    assert!(matches!(&connection.pushes[0].source, ExportSource::Table(stream)
        if stream.to_string() == "acme/CRM.PUBLIC.A"));
}

#[test]
fn a_push_without_a_word_about_the_ledger_is_refused() {
    refuses(
        "  ledger: CRM.SNOWFERRY.LEDGER\n",
        "",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:19:1: push.ledger: the field is missing
                repair: name the table that `snowferry setup-sql` makes for it, or write `ledger: none` and accept the weaker guarantee that `snowferry plan` tells"#]],
    );
}

#[test]
fn no_ledger_is_a_choice_that_is_written_out() {
    let push = PUSH.replace("CRM.SNOWFERRY.LEDGER", "none");
    assert_eq!(read(&with_push(&push)).unwrap().pushes[0].delivery, Delivery::NoLedger);
}

#[test]
fn an_upsert_without_a_key_and_a_key_without_an_upsert_are_refused() {
    refuses(
        "      key: [ID]\n",
        "",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:22:7: push.tables[0].key: mode upsert needs a key
                repair: name the columns that tell a row from every other"#]],
    );
    refuses(
        "mode: upsert",
        "mode: rewrite",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:27:7: push.tables[0].key: only mode upsert has a use for a key
                repair: remove `key`, or write `mode: upsert`"#]],
    );
}

#[test]
fn every_problem_of_a_push_is_told_at_its_place() {
    let push = PUSH
        .replace("name: scores", "name: My Scores")
        .replace("target: CRM.PUBLIC.SCORES", "target: SCORES")
        .replace("round: true", "round: maybe")
        .replace("max_shrink_percent: 20", "max_shrink_percent: 200")
        .replace("LOADED_AT: $now", "LOADED_AT: $today");
    let error = read(&with_push(&push)).expect_err("it was accepted");
    expect![[r#"
        connections/acme.yaml has 5 problems
          connections/acme.yaml:22:13: push.tables[0].name: found `My Scores`
            allowed: a push's name is lower-case letters, digits and hyphens, and starts with a letter
          connections/acme.yaml:25:15: push.tables[0].target: found `SCORES`: 1 parts where DATABASE.SCHEMA.TABLE is needed
            allowed: DATABASE.SCHEMA.TABLE; a name that is not plain upper case in double quotes
          connections/acme.yaml:29:20: push.tables[0].constants.LOADED_AT: found a text
            allowed: a text, an integer, true, false, $now (the run's time) or $run_id
          connections/acme.yaml:30:7: push.tables[0].round: found a text
            allowed: true or false
          connections/acme.yaml:31:7: push.tables[0].max_shrink_percent: found no percentage
            allowed: 0 to 100"#]]
    .assert_eq(&error.to_string());
}
