//! Which columns and rows of a table a connection reads: left out, hashed, filtered, or given by
//! a query of its own.
//!
//! A [`Selection`] belongs to a table's name in [`ClientOptions`](super::ClientOptions). The
//! client applies it to everything it says about that table (its columns, its profile, its rows),
//! so an engine sees the selected table and nothing else. Another selection is another identity:
//! rows of two selections never mix.
//!
//! A column that is hashed never leaves the account in plain text: Snowflake computes
//! `SHA2(salt || value, 256)` within the statement, and the salt is a bind. NULL stays NULL.
//!
//! **Invariant:** the text of a filter or a query is never sent as it was written. It is parsed,
//! judged, and printed back from the tree (`parse`).

use sha2::{Digest, Sha256};
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::types::{
    ColumnDescription, SnowflakeType, TableDescription, selected_identity,
};

use super::Secret;
use crate::SnowflakeError;

mod parse;

/// Characters that a salt must have, so that nobody finds it by trying.
pub const SALT_MIN_CHARS: usize = 16;

/// Which columns are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// All that the role can see, also those that come later.
    #[default]
    All,
    /// These.
    Only(Vec<Identifier>),
    /// All but these.
    Without(Vec<Identifier>),
}

/// What is read of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The columns.
    pub columns: Columns,
    /// Those of them of which only a hash leaves the account.
    pub hash: Vec<Identifier>,
    /// The rows; all if `None`.
    pub filter: Option<RowFilter>,
    /// What is read in place of an object of the table's name.
    pub query: Option<SourceQuery>,
}

/// One boolean expression over the columns of a table, as it was printed from its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFilter {
    text: String,
    columns: Vec<Identifier>,
}

impl RowFilter {
    /// Reads an expression of Snowflake's SQL: comparisons, AND, OR, NOT, IN, BETWEEN, LIKE, CASE,
    /// casts, Snowflake's own functions, paths into a VARIANT.
    ///
    /// # Errors
    /// [`SnowflakeError::Request`] for anything else: a subquery, a second statement, a bind, a
    /// variable, a function of the account, an expression that is no condition.
    pub fn parse(written: &str) -> Result<Self, SnowflakeError> {
        let (text, columns) = parse::filter(written).map_err(|reason| refuse("filter", reason))?;
        Ok(Self { text, columns })
    }

    /// Returns the printed expression.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the columns that it names.
    #[must_use]
    pub fn columns(&self) -> &[Identifier] {
        &self.columns
    }
}

/// One SELECT, as it was printed from its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceQuery {
    text: String,
    tables: Vec<TableName>,
}

impl SourceQuery {
    /// Reads one SELECT of Snowflake's SQL; every table is named as DATABASE.SCHEMA.TABLE.
    ///
    /// # Errors
    /// [`SnowflakeError::Request`] for anything else.
    pub fn parse(written: &str) -> Result<Self, SnowflakeError> {
        let (text, tables) = parse::query(written).map_err(|reason| refuse("query", reason))?;
        Ok(Self { text, tables })
    }

    /// Returns the printed query.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the tables and views that it reads.
    #[must_use]
    pub fn tables(&self) -> &[TableName] {
        &self.tables
    }
}

fn refuse(object: &str, reason: String) -> SnowflakeError {
    SnowflakeError::Request { object: object.to_owned(), reason }
}

impl Selection {
    /// Returns whether a column is hashed.
    pub(super) fn hashes(&self, column: &Identifier) -> bool {
        self.hash.contains(column)
    }

    /// Returns a table as this selection shows it.
    ///
    /// # Errors
    /// [`SnowflakeError::Request`] for a column that is named and not there, or that cannot be
    /// hashed. A misspelt column to leave out must not be read after all.
    pub(super) fn apply(
        &self,
        table: &TableName,
        described: TableDescription,
        salt: Option<&Secret>,
    ) -> Result<TableDescription, SnowflakeError> {
        let there = |name: &Identifier| described.columns.iter().any(|c| c.name == *name);
        let named = match &self.columns {
            Columns::All => ("columns", &[][..]),
            Columns::Only(names) => ("columns.include", names.as_slice()),
            Columns::Without(names) => ("columns.exclude", names.as_slice()),
        };
        let filtered = self.filter.as_ref().map_or(&[][..], RowFilter::columns);
        for (field, names) in [named, ("columns.hash", &self.hash), ("filter", filtered)] {
            if let Some(missing) = names.iter().find(|name| !there(name)) {
                let found: Vec<_> = described.columns.iter().map(|c| c.name.to_string()).collect();
                let found = found.join(", ");
                let reason =
                    format!("{field} names the column {missing}, which is none of {found}");
                return Err(refuse(&table.to_string(), reason));
            }
        }
        let kept = |column: &ColumnDescription| match &self.columns {
            Columns::All => true,
            Columns::Only(names) => names.contains(&column.name),
            Columns::Without(names) => !names.contains(&column.name),
        };
        let columns: Vec<ColumnDescription> = described.columns.into_iter().filter(kept).collect();
        let columns = columns.into_iter().map(|column| self.shown(table, column));
        Ok(TableDescription {
            columns: columns.collect::<Result<_, _>>()?,
            identity: selected_identity(&described.identity, &self.print(salt)),
            // A filter may look at the clock, so an unchanged table does not mean unchanged rows.
            kind: match (&self.filter, described.kind.as_str()) {
                (Some(_), "TABLE") => "FILTERED TABLE".to_owned(),
                _ => described.kind,
            },
        })
    }

    fn shown(
        &self,
        table: &TableName,
        column: ColumnDescription,
    ) -> Result<ColumnDescription, SnowflakeError> {
        if !self.hashes(&column.name) {
            return Ok(column);
        }
        // Types whose text is one for each value; a float's or a VARIANT's is not.
        match column.data_type {
            SnowflakeType::Text
            | SnowflakeType::Number { .. }
            | SnowflakeType::Boolean
            | SnowflakeType::Date
            | SnowflakeType::TimestampNtz { .. }
            | SnowflakeType::TimestampLtz { .. }
            | SnowflakeType::TimestampTz { .. } => {
                Ok(ColumnDescription { data_type: SnowflakeType::Text, ..column })
            }
            other => {
                let reason = format!(
                    "columns.hash names {}, and a {other} has no one text that could be hashed",
                    column.name
                );
                Err(refuse(&table.to_string(), reason))
            }
        }
    }

    /// Returns a short hash of all that the selection says, and of the salt if it is used.
    fn print(&self, salt: Option<&Secret>) -> String {
        let mut hash = Sha256::new();
        let sorted = |names: &[Identifier]| {
            let mut names = names.to_vec();
            names.sort();
            names
        };
        let columns = match &self.columns {
            Columns::All => ("all", Vec::new()),
            Columns::Only(names) => ("only", sorted(names)),
            Columns::Without(names) => ("without", sorted(names)),
        };
        let filter = self.filter.as_ref().map(RowFilter::text);
        let query = self.query.as_ref().map(SourceQuery::text);
        hash.update(format!("{:?}", (columns, sorted(&self.hash), filter, query)));
        if let Some(salt) = salt.filter(|_| !self.hash.is_empty()) {
            hash.update(salt.expose());
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests;
