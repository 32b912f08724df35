//! What a connection file may say, and how every wrong one is refused.

use std::path::Path;

use expect_test::Expect;

use super::{Connection, parse};
use crate::error::BootstrapError;

mod accepted;
mod account;
mod pushes;
mod selections;
mod shape;
mod tables;

/// A file with everything in it. Tests change one piece of it.
const GOOD: &str = "\
version: 1
connection: acme
snowflake:
  account: myorg-acme
  base_url: http://127.0.0.1:8080
  user: SNOWFERRY
  role: SNOWFERRY_PULL
  warehouse: SNOWFERRY_WH
  auth: { key_pair: { private_key_file: keys/acme.p8 } }
database: { delta: { folder: ../tables } }
pull:
  tables:
    - table: CRM.PUBLIC.ACCOUNTS
      mode: incremental
      key: [ID]
      cursor: UPDATED_AT
      lookback: 15m
      integers: auto
";

/// Reads a text as `connections/acme.yaml`.
fn read(text: &str) -> Result<Connection, BootstrapError> {
    parse(Path::new("connections/acme.yaml"), text)
}

/// Reads [`GOOD`] with one piece exchanged; the piece must be there.
fn read_with(piece: &str, other: &str) -> Result<Connection, BootstrapError> {
    assert!(GOOD.contains(piece), "the good file holds no {piece:?}");
    read(&GOOD.replacen(piece, other, 1))
}

/// Compares the refusal of a text with what is expected.
fn refuses(text: &str, message: Expect) {
    let error = read(text).expect_err("the text was accepted");
    message.assert_eq(&error.to_string());
}

/// Compares the refusal of [`GOOD`] with one piece exchanged.
fn refuses_with(piece: &str, other: &str, message: Expect) {
    let error = read_with(piece, other).expect_err("the text was accepted");
    message.assert_eq(&error.to_string());
}
