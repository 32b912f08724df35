use std::path::Path;

use snowferry_bootstrap::config::{Connection, parse};
use snowferry_pull::Mode;

use crate::commands::pull::{ModeArg, select};

fn connection() -> Connection {
    let text = "version: 1\nconnection: acme\nsnowflake: { account: org-x, user: U, role: R, \
        warehouse: W, auth: { password: { env: P } } }\npull:\n  tables:\n    \
        - { table: A.B.ORDERS, key: [ID], cursor: AT }\n    - { table: A.B.KINDS, mode: full }\n";
    parse(Path::new("acme.yaml"), text).unwrap()
}

fn selected(tables: &[&str], mode: Option<ModeArg>) -> Result<Vec<(String, Mode)>, String> {
    let tables: Vec<_> = tables.iter().map(|table| table.parse().unwrap()).collect();
    match select(&connection(), &tables, mode) {
        Ok(jobs) => Ok(jobs.iter().map(|job| (job.table.to_string(), job.mode)).collect()),
        Err(failure) => Err(format!("{failure:?}")),
    }
}

fn pair(table: &str, mode: Mode) -> (String, Mode) {
    (table.to_owned(), mode)
}

#[test]
fn all_tables_are_pulled_in_the_order_of_the_file() {
    let all = [pair("A.B.ORDERS", Mode::Incremental), pair("A.B.KINDS", Mode::Full)];
    assert_eq!(selected(&[], None).unwrap(), all);
}

#[test]
fn named_tables_alone_are_pulled_whatever_the_case_they_are_typed_in() {
    assert_eq!(selected(&["a.b.kinds"], None).unwrap(), [pair("A.B.KINDS", Mode::Full)]);
}

#[test]
fn a_table_that_the_file_does_not_name_is_refused_with_those_it_does() {
    let refusal = selected(&["A.B.OTHER"], None).unwrap_err();
    assert!(refusal.contains("names no table A.B.OTHER"), "{refusal}");
    assert!(refusal.contains("A.B.ORDERS, A.B.KINDS"), "{refusal}");
}

#[test]
fn another_mode_holds_for_every_selected_table() {
    let full = [pair("A.B.ORDERS", Mode::Full), pair("A.B.KINDS", Mode::Full)];
    assert_eq!(selected(&[], Some(ModeArg::Full)).unwrap(), full);
}

#[test]
fn incremental_is_refused_for_a_table_without_a_cursor() {
    let refusal = selected(&[], Some(ModeArg::Incremental)).unwrap_err();
    assert!(refusal.contains("A.B.KINDS has no cursor"), "{refusal}");
    let orders = [pair("A.B.ORDERS", Mode::Incremental)];
    assert_eq!(selected(&["A.B.ORDERS"], Some(ModeArg::Incremental)).unwrap(), orders);
}
