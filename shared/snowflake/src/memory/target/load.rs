//! What the account in memory does with rows: reads files, counts, checks, and adds them.

use std::collections::{BTreeMap, BTreeSet};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use snowferry_model::names::Identifier;
use snowferry_model::push::{ConstantValue, PushManifest, TargetColumn};
use snowferry_model::types::SnowflakeType;

use super::{File, Table, TextRow};
use crate::{SnowflakeError, StagedRows};

/// Reads the rows of all files; constants stand behind the columns.
pub(super) fn rows(
    files: &BTreeMap<String, File>,
    manifest: &PushManifest,
) -> Result<Vec<TextRow>, SnowflakeError> {
    let mut rows = Vec::new();
    let constants = constants(manifest);
    for part in &manifest.parts {
        let missing = || SnowflakeError::FileMissing { file: part.file.clone() };
        let body = files.get(&part.file).ok_or_else(missing)?.body.clone();
        let unreadable = |reason: String| SnowflakeError::RowsRefused {
            table: manifest.plan.target.to_string(),
            code: "100016".to_owned(),
            reason,
        };
        let reader = ParquetRecordBatchReaderBuilder::try_new(body)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|error| unreadable(error.to_string()))?;
        let options = FormatOptions::default();
        for batch in reader {
            let batch = batch.map_err(|error| unreadable(error.to_string()))?;
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| Ok((column, ArrayFormatter::try_new(column, &options)?)))
                .collect::<Result<_, arrow::error::ArrowError>>()
                .map_err(|error| unreadable(error.to_string()))?;
            for row in 0..batch.num_rows() {
                let cell = |(column, text): &(&arrow::array::ArrayRef, ArrayFormatter<'_>)| {
                    column.is_valid(row).then(|| text.value(row).to_string())
                };
                rows.push(columns.iter().map(cell).chain(constants.clone()).collect());
            }
        }
    }
    Ok(rows)
}

fn constants(manifest: &PushManifest) -> Vec<Option<String>> {
    let text = |value: &ConstantValue| match value {
        ConstantValue::RunId => manifest.plan.run_id.clone(),
        ConstantValue::PinnedAt => manifest.plan.pinned_at.to_string(),
        ConstantValue::Text(text) => text.clone(),
        ConstantValue::Integer(number) => number.to_string(),
        ConstantValue::Boolean(truth) => truth.to_string(),
    };
    manifest.plan.constants.iter().map(|constant| Some(text(&constant.value))).collect()
}

/// The target's columns in the order of staged rows.
fn names(manifest: &PushManifest) -> Vec<&Identifier> {
    let columns = manifest.plan.columns.iter().map(|column| &column.target);
    columns.chain(manifest.plan.constants.iter().map(|constant| &constant.target)).collect()
}

/// Counts staged rows the way a server does.
pub(super) fn count(name: String, manifest: &PushManifest, rows: &[TextRow]) -> StagedRows {
    let names = names(manifest);
    let values = (0..names.len())
        .map(|at| rows.iter().filter(|row| matches!(row.get(at), Some(Some(_)))).count() as u64)
        .collect();
    let key = key_positions(&names, manifest.plan.mode.key());
    let mut seen: BTreeMap<Vec<&Option<String>>, u64> = BTreeMap::new();
    let mut null_keys = 0;
    if !key.is_empty() {
        for row in rows {
            let cells: Vec<_> = key.iter().filter_map(|at| row.get(*at)).collect();
            null_keys += u64::from(cells.iter().any(|cell| cell.is_none()));
            *seen.entry(cells).or_default() += 1;
        }
    }
    let duplicate_keys = seen.values().filter(|rows| **rows > 1).count() as u64;
    StagedRows { name, rows: rows.len() as u64, values, duplicate_keys, null_keys }
}

fn key_positions(names: &[&Identifier], key: &[Identifier]) -> Vec<usize> {
    key.iter().filter_map(|column| names.iter().position(|name| *name == column)).collect()
}

/// Takes the rows out that have a key of `incoming` and returns how many.
pub(super) fn take_out(
    table: &mut Table,
    manifest: &PushManifest,
    key: &[Identifier],
    incoming: &[TextRow],
) -> Result<usize, SnowflakeError> {
    let ours = key_positions(&names(manifest), key);
    let declared: Vec<_> = table.columns.iter().map(|column| &column.name).collect();
    let theirs = key_positions(&declared, key);
    if ours.len() != key.len() || theirs.len() != key.len() {
        return Err(refused(manifest, "000904", "a key column is missing"));
    }
    let cells = |row: &TextRow, at: &[usize]| -> Vec<Option<String>> {
        at.iter().filter_map(|at| row.get(*at).cloned()).collect()
    };
    let keys: BTreeSet<_> = incoming.iter().map(|row| cells(row, &ours)).collect();
    if keys.len() != incoming.len() {
        return Err(refused(manifest, "100090", "several rows have one key"));
    }
    let before = table.rows.len();
    table.rows.retain(|row| !keys.contains(&cells(row, &theirs)));
    Ok(before - table.rows.len())
}

/// Adds rows, each value checked against the table as it is declared now.
pub(super) fn append(
    table: &mut Table,
    manifest: &PushManifest,
    rows: Vec<TextRow>,
) -> Result<(), SnowflakeError> {
    let names = names(manifest);
    if names.iter().any(|name| !table.columns.iter().any(|column| column.name == **name)) {
        return Err(refused(manifest, "000904", "a column is missing"));
    }
    let positions: Vec<_> = table
        .columns
        .iter()
        .map(|column| names.iter().position(|name| **name == column.name))
        .collect();
    let mut added = Vec::with_capacity(rows.len());
    for row in rows {
        let mut full = Vec::with_capacity(table.columns.len());
        for (column, position) in table.columns.iter().zip(&positions) {
            let cell = position.and_then(|at| row.get(at).cloned().flatten());
            check(manifest, column, cell.as_deref())?;
            full.push(cell);
        }
        added.push(full);
    }
    table.rows.extend(added);
    Ok(())
}

fn check(
    manifest: &PushManifest,
    column: &TargetColumn,
    cell: Option<&str>,
) -> Result<(), SnowflakeError> {
    let Some(text) = cell else {
        return match column.nullable || column.default.is_some() {
            true => Ok(()),
            false => Err(refused(manifest, "100072", "NULL in a column without NULL")),
        };
    };
    if column.max_chars.is_some_and(|max| text.chars().count() as u64 > max) {
        return Err(refused(manifest, "100078", "a text is too long"));
    }
    if let SnowflakeType::Number { precision, scale } = column.data_type {
        let digits = text.trim_start_matches('-').split('.').next().unwrap_or_default();
        if digits.trim_start_matches('0').len() > usize::from(precision.saturating_sub(scale)) {
            return Err(refused(manifest, "100039", "a number is out of range"));
        }
    }
    Ok(())
}

fn refused(manifest: &PushManifest, code: &str, reason: &str) -> SnowflakeError {
    SnowflakeError::RowsRefused {
        table: manifest.plan.target.to_string(),
        code: code.to_owned(),
        reason: reason.to_owned(),
    }
}
