//! Names of objects: how a session completes them and how messages show them.

use crate::engine::{SessionContext, SqlError};
use crate::sql::error::{no_database, no_schema, syntax};

/// A complete name of a table or view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Qualified {
    pub database: String,
    pub schema: String,
    pub name: String,
    /// How many parts the statement gave; messages show as many.
    given: usize,
}

impl Qualified {
    /// Completes a name of one to three parts from the session.
    ///
    /// # Errors
    /// 090105 or 090106 when the session lacks a current database or schema.
    pub(crate) fn resolve(parts: &[String], session: &SessionContext) -> Result<Self, SqlError> {
        let database = || session.database.clone().ok_or_else(no_database);
        let (database, schema, name) = match parts {
            [name] => {
                let database = database()?;
                (database, session.schema.clone().ok_or_else(no_schema)?, name.clone())
            }
            [schema, name] => (database()?, schema.clone(), name.clone()),
            [database, schema, name] => (database.clone(), schema.clone(), name.clone()),
            _ => return Err(syntax(format!("unexpected name '{}'", parts.join(".")))),
        };
        // `db..table` means the schema PUBLIC.
        let schema = if schema.is_empty() { "PUBLIC".to_owned() } else { schema };
        Ok(Self { database, schema, name, given: parts.len() })
    }

    /// A complete name given in full.
    pub(crate) fn new(database: &str, schema: &str, name: &str) -> Self {
        let [database, schema, name] = [database, schema, name].map(ToOwned::to_owned);
        Self { database, schema, name, given: 3 }
    }

    /// The name as messages show it: with the parts that the statement gave.
    pub(crate) fn shown(&self) -> String {
        let parts = [&self.database, &self.schema, &self.name];
        let shown: Vec<String> = parts
            .iter()
            .skip(3_usize.saturating_sub(self.given))
            .map(|part| quoted_if_needed(part))
            .collect();
        shown.join(".")
    }
}

/// The identifier as one would have to write it.
pub(crate) fn quoted_if_needed(identifier: &str) -> String {
    let plain = |c: char| c.is_ascii_uppercase() || c == '_' || c == '$' || c.is_ascii_digit();
    let starts_well = identifier.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    if starts_well && identifier.chars().all(plain) {
        return identifier.to_owned();
    }
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
