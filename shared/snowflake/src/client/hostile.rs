//! Entry points for hostile bytes: what a server, a proxy or a storage could send, handed to the
//! code that reads it, without a network.
//!
//! The fuzz targets in `tests/fuzz` and the test `hostile` call these. Whatever the bytes are, each
//! returns: no panic, no hang, memory of at most 64 MB and four times the input.

use std::collections::BTreeMap;

use bytes::Bytes;
use snowferry_model::names::Identifier;
use snowferry_model::plan::{IntegerPolicy, TablePlan};
use snowferry_model::types::{ColumnDescription, SnowflakeType, TableDescription};

use super::answer::Answer;
use super::chunks::decoded_rows;
use super::sign_in::signed_in_as;
use super::statement::{finished_rows, small_result};
use crate::SnowflakeError;
use crate::decode::{DeclaredColumn, Decoder};

/// The declared types that the first byte of a chunk chooses from.
fn types() -> Vec<SnowflakeType> {
    vec![
        SnowflakeType::Number { precision: 38, scale: 0 },
        SnowflakeType::Number { precision: 38, scale: 9 },
        SnowflakeType::Float,
        SnowflakeType::Decfloat,
        SnowflakeType::Text,
        SnowflakeType::Binary,
        SnowflakeType::Boolean,
        SnowflakeType::Date,
        SnowflakeType::Time { scale: 9 },
        SnowflakeType::TimestampNtz { scale: 9 },
        SnowflakeType::TimestampTz { scale: 3 },
        SnowflakeType::Variant,
        SnowflakeType::VectorFloat { dimension: 3 },
    ]
}

fn decoder(choice: u8) -> Result<Decoder, SnowflakeError> {
    let types = types();
    let chosen = usize::from(choice) % types.len().max(1);
    let data_type = types.get(chosen).cloned().unwrap_or(SnowflakeType::Text);
    let declared = DeclaredColumn { name: "V".to_owned(), data_type, nullable: true };
    let unusable = |reason: String| SnowflakeError::Request { object: "a plan".to_owned(), reason };
    let column = ColumnDescription {
        name: Identifier::new("V").map_err(|error| unusable(error.to_string()))?,
        data_type: declared.data_type.clone(),
        nullable: true,
        primary_key: false,
    };
    let table = TableDescription {
        kind: "TABLE".to_owned(),
        identity: String::new(),
        columns: vec![column],
    };
    let plan = TablePlan::decide(&table, &BTreeMap::new(), IntegerPolicy::Auto)
        .map_err(|error| unusable(error.to_string()))?;
    Decoder::new(&[declared], &plan)
}

/// Reads a chunk of Arrow, gzip or not. The first byte chooses the declared type.
///
/// # Errors
/// Whatever the bytes deserve.
pub fn arrow_chunk(bytes: &[u8]) -> Result<usize, SnowflakeError> {
    let (choice, body) = bytes.split_first().unwrap_or((&0, &[]));
    decoded_rows(true, decoder(*choice)?, Bytes::copy_from_slice(body))
}

/// Reads a chunk of JSON rows, gzip or not. The first byte chooses the declared type.
///
/// # Errors
/// As [`arrow_chunk`].
pub fn json_chunk(bytes: &[u8]) -> Result<usize, SnowflakeError> {
    let (choice, body) = bytes.split_first().unwrap_or((&0, &[]));
    decoded_rows(false, decoder(*choice)?, Bytes::copy_from_slice(body))
}

/// Reads the reply to a statement: envelope, row types, inline rows, links, and the rows as texts.
///
/// # Errors
/// As [`arrow_chunk`].
pub fn statement_reply(bytes: &[u8]) -> Result<usize, SnowflakeError> {
    let answer = answer(bytes)?;
    let rows = finished_rows(&answer)?;
    // A result in chunks is refused here, after its inline rows were parsed like any other's.
    let _ = small_result(&answer);
    Ok(rows)
}

/// Reads the reply to a sign-in.
///
/// # Errors
/// As [`arrow_chunk`].
pub fn sign_in_reply(bytes: &[u8]) -> Result<usize, SnowflakeError> {
    signed_in_as(&answer(bytes)?)
}

fn answer(bytes: &[u8]) -> Result<Answer, SnowflakeError> {
    Answer::parse(Bytes::copy_from_slice(bytes)).map_err(|unreadable| SnowflakeError::Protocol {
        step: "read a reply".to_owned(),
        reason: format!("{unreadable:?}"),
    })
}
