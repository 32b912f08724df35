//! Array binds: one INSERT with a list of values for each placeholder.
//!
//! `INSERT … VALUES (?, ?)` with lists of n values becomes one INSERT of n rows, so that it is
//! still one statement and one transaction. Other statements with lists are refused.

use serde_json::Value;

use super::statements::{Binding, bind_problem, scalar};
use crate::engine::{Bind, SqlError};

/// Returns the text and the binds of a statement whose `bindings`, in order, are lists.
///
/// # Errors
/// 002049 if the statement is no `INSERT … VALUES (…)`, its placeholders do not match the lists,
/// or the lists differ in length.
pub(crate) fn expand(text: &str, bindings: &[&Binding]) -> Result<(String, Vec<Bind>), SqlError> {
    let columns = bindings
        .iter()
        .map(|binding| match &binding.value {
            Value::Array(values) => Ok((binding.kind.to_uppercase(), values)),
            _ => Err(bind_problem("lists and single values cannot be mixed")),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    if rows == 0 || columns.iter().any(|(_, values)| values.len() != rows) {
        return Err(bind_problem("the lists differ in length or are empty"));
    }
    let (head, tuple) = split_values(text, columns.len())
        .ok_or_else(|| bind_problem("lists are taken by INSERT ... VALUES (?, ...) only"))?;
    let mut binds = Vec::with_capacity(rows * columns.len());
    for row in 0..rows {
        for (kind, values) in &columns {
            let value = scalar(values.get(row).unwrap_or(&Value::Null))?;
            binds.push(Bind { kind: kind.clone(), value });
        }
    }
    let tuples = vec![tuple; rows].join(", ");
    Ok((format!("{head}{tuples}"), binds))
}

/// Cuts the text before the only tuple after VALUES, which must hold all placeholders.
fn split_values(text: &str, placeholders: usize) -> Option<(&str, &str)> {
    let text = text.trim().trim_end_matches(';').trim_end();
    // ASCII case only, so that positions are those of `text`.
    let upper = text.to_ascii_uppercase();
    if !upper.starts_with("INSERT") {
        return None;
    }
    let at = upper.rfind("VALUES")? + "VALUES".len();
    let (head, tuple) = text.split_at_checked(at)?;
    let plain = tuple.trim();
    let is_one_tuple = closes_at_its_end(plain)
        && !plain.contains(['\'', '"'])
        && plain.matches('?').count() == placeholders
        && !head.contains('?');
    is_one_tuple.then_some((head, tuple))
}

/// Whether the text is one pair of parentheses with whatever is in it.
fn closes_at_its_end(text: &str) -> bool {
    let mut depth = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 1 => return at + 1 == text.len(),
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => return false,
            _ => {}
        }
    }
    false
}
