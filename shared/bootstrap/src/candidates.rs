//! Which columns of a table could be its key and its cursor.
//!
//! Guesses by name, type and declaration, for `discover` to show and a person to decide. Nothing
//! is read from the table.

use serde::Serialize;
use snowferry_model::names::Identifier;
use snowferry_model::types::{ColumnDescription, SnowflakeType, TableDescription};
use snowferry_model::watermark::can_be_cursor;

/// A guess at how a table can be pulled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Candidates {
    /// The columns that probably tell a row from every other; empty when none stand out.
    pub key: Vec<Identifier>,
    /// Columns that could be the cursor, the likeliest first.
    pub cursors: Vec<Identifier>,
    /// What to look out for.
    pub warnings: Vec<String>,
}

/// Words that name the time of the last change, the likeliest first.
const CHANGED: &[&str] =
    &["UPDATED", "MODIFIED", "CHANGED", "LASTUPDATE", "LASTMODIFIED", "MODSTAMP", "SYNCED"];

/// Words that name the time of insertion: enough where rows never change.
const CREATED: &[&str] = &["INSERTED", "LOADED", "CREATED", "EVENTTIME", "OCCURRED", "TIMESTAMP"];

/// Guesses from a table's description.
#[must_use]
pub fn candidates(table: &TableDescription, name: &Identifier) -> Candidates {
    let key = key(table, name);
    let cursors = cursors(table, &key);
    let mut warnings = Vec::new();
    if let Some(cursor) = cursors.first() {
        let nullable = table.columns.iter().any(|c| c.name == *cursor && c.nullable);
        if nullable {
            warnings.push(format!("{cursor} may be NULL; a pull refuses rows without a cursor"));
        }
        if key.is_empty() {
            warnings.push("no key: rows would only be appended, updates would double".to_owned());
        }
    }
    Candidates { key, cursors, warnings }
}

fn key(table: &TableDescription, name: &Identifier) -> Vec<Identifier> {
    let declared: Vec<Identifier> =
        table.columns.iter().filter(|c| c.primary_key).map(|c| c.name.clone()).collect();
    if !declared.is_empty() {
        return declared;
    }
    // ACCOUNTS → ACCOUNT_ID, ACCOUNTS_ID, ACCOUNTID.
    let plural = squeezed(name);
    let singular = plural.strip_suffix('S').unwrap_or(&plural).to_owned();
    let wanted = ["ID".to_owned(), format!("{singular}ID"), format!("{plural}ID")];
    let fits = |column: &&ColumnDescription| {
        matches!(column.data_type, SnowflakeType::Number { scale: 0, .. } | SnowflakeType::Text)
            && wanted.contains(&squeezed(&column.name))
    };
    table.columns.iter().find(fits).map(|column| column.name.clone()).into_iter().collect()
}

/// Returns possible cursors: times of change, then times of insertion, then a growing number.
fn cursors(table: &TableDescription, key: &[Identifier]) -> Vec<Identifier> {
    let rank = |column: &ColumnDescription| -> Option<usize> {
        if !can_be_cursor(&column.data_type) {
            return None;
        }
        let name = squeezed(&column.name);
        let is_number = matches!(column.data_type, SnowflakeType::Number { .. });
        if is_number {
            return (key.len() == 1 && key.contains(&column.name)).then_some(1_000);
        }
        let position = |words: &[&str]| words.iter().position(|word| name.contains(word));
        position(CHANGED).or_else(|| position(CREATED).map(|index| 100 + index))
    };
    let mut ranked: Vec<(usize, &Identifier)> =
        table.columns.iter().filter_map(|c| Some((rank(c)?, &c.name))).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, name)| name.clone()).collect()
}

/// Returns a name in upper case without what separates words.
fn squeezed(name: &Identifier) -> String {
    name.as_str().chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: SnowflakeType) -> ColumnDescription {
        let name = Identifier::new(name).unwrap();
        ColumnDescription { name, data_type, nullable: false, primary_key: false }
    }

    fn guess(name: &str, columns: Vec<ColumnDescription>) -> (Vec<String>, Vec<String>) {
        let table =
            TableDescription { kind: "TABLE".to_owned(), identity: "1".to_owned(), columns };
        let found = candidates(&table, &Identifier::new(name).unwrap());
        let words = |names: &[Identifier]| names.iter().map(ToString::to_string).collect();
        (words(&found.key), words(&found.cursors))
    }

    const NUMBER: SnowflakeType = SnowflakeType::Number { precision: 38, scale: 0 };
    const TIME: SnowflakeType = SnowflakeType::TimestampNtz { scale: 9 };

    #[test]
    fn a_declared_primary_key_wins() {
        let declared =
            ColumnDescription { primary_key: true, ..column("CODE", SnowflakeType::Text) };
        let (key, _) = guess("COUNTRIES", vec![column("ID", NUMBER), declared]);
        assert_eq!(key, ["CODE"]);
    }

    #[test]
    fn a_key_is_guessed_from_the_table_s_name() {
        let (key, _) = guess(
            "ACCOUNTS",
            vec![column("NAME", SnowflakeType::Text), column("Account_Id", NUMBER)],
        );
        assert_eq!(key, ["\"Account_Id\""]);
    }

    #[test]
    fn the_time_of_change_comes_before_insertion_and_the_key() {
        let columns = vec![
            column("ID", NUMBER),
            column("CREATED_AT", TIME),
            column("LAST_MODIFIED", TIME),
            column("AMOUNT", NUMBER),
            column("UPDATED_BY", SnowflakeType::Text),
        ];
        let (_, cursors) = guess("ORDERS", columns);
        assert_eq!(cursors, ["LAST_MODIFIED", "CREATED_AT", "ID"]);
    }

    #[test]
    fn a_table_without_signs_has_no_candidates() {
        let (key, cursors) = guess("NOTES", vec![column("TEXT", SnowflakeType::Text)]);
        assert!(key.is_empty() && cursors.is_empty());
    }
}
