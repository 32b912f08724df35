use expect_test::expect;
use snowferry_model::names::Identifier;
use snowferry_snowflake::client::Columns;

use super::{read_with, refuses_with};
use crate::config::SecretSource;

const LAST: &str = "      integers: auto\n";
const TABLES: &str = "  tables:\n";

fn id(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

#[test]
fn columns_a_filter_and_a_salt_are_read() {
    let text = "      columns: { exclude: [phone, '\"odd\"'], hash: [ID] }\n      filter: region = 'EU' -- x\n";
    assert!(read_with(LAST, text).is_err(), "without a salt");
    let good = super::GOOD.replace(TABLES, "  hash_salt: { env: SALT }\n  tables:\n");
    let connection = super::read(&good.replace(LAST, text)).unwrap();
    let selection = connection.selections.values().next().unwrap();
    assert_eq!(selection.columns, Columns::Without(vec![id("PHONE"), id("odd")]));
    assert_eq!(selection.hash, [id("ID")]);
    assert_eq!(selection.filter.as_ref().unwrap().text(), "region = 'EU'");
    assert_eq!(connection.hash_salt, Some(SecretSource::Variable("SALT".to_owned())));
    assert!(connection.secrets().pop().unwrap().is_guessable, "the salt");
}

#[test]
fn a_query_is_read_with_the_tables_that_it_names() {
    let text = "      query: |\n        select id, updated_at\n        from a.b.c -- all of it\n";
    let connection = read_with(LAST, text).unwrap();
    let selection = connection.selections.values().next().unwrap();
    let query = selection.query.as_ref().unwrap();
    assert_eq!(query.text(), "SELECT id, updated_at FROM a.b.c");
    assert_eq!(query.tables(), ["A.B.C".parse().unwrap()]);
}

#[test]
fn a_table_that_is_read_whole_has_no_selection() {
    assert!(read_with(LAST, LAST).unwrap().selections.is_empty());
}

#[test]
fn key_and_cursor_are_always_read_and_the_cursor_is_never_hashed() {
    refuses_with(
        LAST,
        "      columns: { include: [NAME, EMAIL], hash: [UPDATED_AT, PHONE] }\n",
        expect![[r#"
            connections/acme.yaml has 6 problems
              connections/acme.yaml:18:18: pull.tables[0].columns.include: the key ID is missing
                repair: add ID
              connections/acme.yaml:18:18: pull.tables[0].columns.include: the cursor UPDATED_AT is missing
                repair: add UPDATED_AT
              connections/acme.yaml:18:42: pull.tables[0].columns.hash: UPDATED_AT is the cursor, and a hash has no order
                repair: take UPDATED_AT out of the list
              connections/acme.yaml:18:42: pull.tables[0].columns.hash: UPDATED_AT is not read at all
                repair: take UPDATED_AT out of one of the lists, or include it
              connections/acme.yaml:18:42: pull.tables[0].columns.hash: PHONE is not read at all
                repair: take PHONE out of one of the lists, or include it
              connections/acme.yaml:18:42: pull.tables[0].columns.hash: a hash without a salt is found by trying
                repair: write `hash_salt: { file: PATH }` into the `pull` part, a secret of 16 or more characters"#]],
    );
    refuses_with(
        LAST,
        "      columns: { exclude: [ID, UPDATED_AT] }\n",
        expect![[r#"
        connections/acme.yaml has 2 problems
          connections/acme.yaml:18:18: pull.tables[0].columns.exclude: ID is the key, which is needed
            repair: take ID out of the list
          connections/acme.yaml:18:18: pull.tables[0].columns.exclude: UPDATED_AT is the cursor, which is needed
            repair: take UPDATED_AT out of the list"#]],
    );
}

#[test]
fn including_and_excluding_at_once_is_refused() {
    refuses_with(
        LAST,
        "      columns: { include: [ID, UPDATED_AT], exclude: [NAME] }\n",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:18:45: pull.tables[0].columns.exclude: found both include and exclude
                repair: keep one"#]],
    );
}

#[test]
fn a_filter_that_is_more_than_a_condition_is_refused_without_its_text() {
    refuses_with(
        LAST,
        "      filter: \"a = 'secret'; drop table t\"\n",
        expect![[r#"
        connections/acme.yaml has one problem
          connections/acme.yaml:18:15: pull.tables[0].filter: it goes on after a semicolon
            allowed: one condition over columns"#]],
    );
    refuses_with(
        LAST,
        "      filter: \"a = = 'secret'\"\n",
        expect![[r#"
        connections/acme.yaml has one problem
          connections/acme.yaml:18:15: pull.tables[0].filter: it cannot be read from line 1, Column: 5 on
            allowed: one condition over columns"#]],
    );
    refuses_with(
        LAST,
        "      filter: 1\n",
        expect![[r#"
        connections/acme.yaml has one problem
          connections/acme.yaml:18:15: pull.tables[0].filter: found a number where a text is needed
            repair: put it in quotes if the text is meant"#]],
    );
}

#[test]
fn a_filter_beside_a_query_is_refused() {
    refuses_with(
        LAST,
        "      filter: a = 1\n      query: select id, updated_at from c.b.a\n",
        expect![[r#"
            connections/acme.yaml has one problem
              connections/acme.yaml:19:7: pull.tables[0].query: a query has its own WHERE, and no use for a filter beside it
                repair: move the filter into the query"#]],
    );
}

#[test]
fn a_salt_in_the_file_is_refused_without_being_shown() {
    refuses_with(
        TABLES,
        "  hash_salt: 0123456789abcdef\n  tables:\n",
        expect![[r#"
        connections/acme.yaml has one problem
          connections/acme.yaml:12:3: pull.hash_salt: a secret is never written into this file
            allowed: { file: PATH } or { env: NAME }"#]],
    );
}
