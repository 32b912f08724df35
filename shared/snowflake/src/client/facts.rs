//! What `check` and `discover` ask an account. Nothing here changes anything or reads rows.

use serde::Serialize;
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::types::{ColumnDescription, SnowflakeType};
use snowferry_model::watermark::can_be_cursor;

use super::SnowflakeClient;
use super::source::columns;
use super::sql::{self, Kind, Scope};
use super::statement::About;
use crate::SnowflakeError;
use crate::decode::DeclaredColumn;

/// Who and where a session is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionFacts {
    /// The server's version.
    pub version: String,
    /// The account locator.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The active role.
    pub role: Option<String>,
    /// The active warehouse.
    pub warehouse: Option<String>,
    /// Server clock minus ours in milliseconds, to the second; `None` if the server sent no date.
    pub clock_difference_ms: Option<i64>,
    /// Whether the base URL was given instead of built from the account.
    pub base_url_override: bool,
}

/// A table or view as SHOW lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableSummary {
    /// The name.
    pub table: TableName,
    /// `TABLE` or `VIEW`.
    pub kind: String,
    /// Rows, where the server keeps a count.
    pub rows: Option<u64>,
    /// Bytes, where the server keeps a count.
    pub bytes: Option<u64>,
    /// The comment, if any.
    pub comment: Option<String>,
}

/// A column that can be a cursor by its type, and how likely it is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CursorCandidate {
    /// The column.
    pub column: Identifier,
    /// Its type.
    pub data_type: SnowflakeType,
    /// Whether NULL is allowed; such rows are in no window.
    pub nullable: bool,
    /// Whether its name says when a row was changed or created, or counts rows.
    pub likely: bool,
}

/// One privilege of a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// `SELECT`, `USAGE`, …
    pub privilege: String,
    /// `TABLE`, `WAREHOUSE`, …
    pub on: String,
    /// The object.
    pub name: String,
}

/// Endings of the names that cursors usually have.
const LIKELY_NAMES: [&str; 12] = [
    "UPDATED_AT",
    "MODIFIED_AT",
    "CHANGED_AT",
    "LAST_UPDATED",
    "LAST_MODIFIED",
    "UPDATED_ON",
    "MODIFIED_ON",
    "UPDATE_TIME",
    "CREATED_AT",
    "CREATED_ON",
    "SEQ",
    "_TS",
];

impl SnowflakeClient {
    /// Reaches the host and signs in. Needs no warehouse.
    ///
    /// # Errors
    /// [`SnowflakeError::SignIn`], [`SnowflakeError::AddressBlocked`],
    /// [`SnowflakeError::NoWarehouse`] for a warehouse that the role may not use,
    /// [`SnowflakeError::Unreachable`].
    pub async fn sign_in(&self) -> Result<(), SnowflakeError> {
        self.session.signed_in().await.map(|_| ())
    }

    /// Returns who and where the session is.
    ///
    /// # Errors
    /// As [`SnowflakeClient::sign_in`].
    pub async fn session_facts(&self) -> Result<SessionFacts, SnowflakeError> {
        let signed_in = self.session.signed_in().await?;
        let about = About { object: "the session" };
        let texts = self.session.texts(&sql::session_facts(), about).await?;
        let row = texts.rows.into_iter().next().unwrap_or_default();
        let [version, account, region, user, role, warehouse] =
            <[Option<String>; 6]>::try_from(row).map_err(|_| SnowflakeError::Protocol {
                step: "ask for the session".to_owned(),
                reason: "not the six asked columns".to_owned(),
            })?;
        Ok(SessionFacts {
            version: version.unwrap_or(signed_in.version),
            account,
            region,
            user,
            role: role.or(signed_in.role),
            warehouse: warehouse.or(signed_in.warehouse),
            clock_difference_ms: signed_in.clock_difference_s.map(|s| s.saturating_mul(1000)),
            base_url_override: self.session.http.endpoint.is_override(),
        })
    }

    /// Lists tables and views that the role may see, in the order of their names. `pattern` is
    /// matched against `DATABASE.SCHEMA.TABLE` or its end, ignoring case; `*` and `%` stand for
    /// anything.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`] for a scope that does not exist.
    pub async fn list_tables(
        &self,
        scope: &Scope,
        pattern: Option<&str>,
    ) -> Result<Vec<TableSummary>, SnowflakeError> {
        let about = About { object: "the tables of the account" };
        let mut found = Vec::new();
        for (kind, word) in [(Kind::Tables, "TABLE"), (Kind::Views, "VIEW")] {
            let shown = self.session.texts(&sql::show_all(scope, kind), about).await?;
            for row in &shown.rows {
                let name = |column: &str| {
                    shown.get(row, column).and_then(|name| Identifier::new(name).ok())
                };
                let (Some(database), Some(schema), Some(table)) =
                    (name("database_name"), name("schema_name"), name("name"))
                else {
                    continue;
                };
                let table = TableName { database, schema, table };
                if table.schema.as_str() == "INFORMATION_SCHEMA"
                    || !pattern.is_none_or(|pattern| matches_name(pattern, &table))
                {
                    continue;
                }
                let number = |column: &str| shown.get(row, column)?.parse().ok();
                found.push(TableSummary {
                    table,
                    kind: word.to_owned(),
                    rows: number("rows"),
                    bytes: number("bytes"),
                    comment: shown.get(row, "comment").filter(|comment| !comment.is_empty()),
                });
            }
        }
        found.sort_by(|a, b| a.table.cmp(&b.table));
        Ok(found)
    }

    /// Returns the columns of a table. Needs no warehouse.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`].
    pub async fn table_columns(
        &self,
        table: &TableName,
    ) -> Result<Vec<ColumnDescription>, SnowflakeError> {
        let name = table.to_string();
        let described = self.session.texts(&sql::describe(table), About { object: &name }).await?;
        columns(&described)
    }

    /// Compiles a read of the named columns without running it: visible, selectable, spelt right.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`], [`SnowflakeError::MissingColumn`].
    pub async fn probe_select(
        &self,
        table: &TableName,
        columns: &[Identifier],
    ) -> Result<Vec<DeclaredColumn>, SnowflakeError> {
        let name = table.to_string();
        let probe = sql::probe(self.origin(table), columns)?;
        self.session.compile(&probe, About { object: &name }).await
    }

    /// Runs the smallest statement that needs a warehouse; it may wake the warehouse up.
    ///
    /// # Errors
    /// [`SnowflakeError::NoWarehouse`], [`SnowflakeError::NotFound`].
    pub async fn probe_warehouse(&self, table: &TableName) -> Result<(), SnowflakeError> {
        let name = table.to_string();
        let probe = sql::use_warehouse(table);
        self.session.texts(&probe, About { object: &name }).await.map(|_| ())
    }

    /// Returns what a role may do.
    ///
    /// # Errors
    /// [`SnowflakeError::NotFound`] for a role that is not visible.
    pub async fn grants(&self, role: &Identifier) -> Result<Vec<Grant>, SnowflakeError> {
        let object = format!("role {role}");
        let shown = self.session.texts(&sql::show_grants(role), About { object: &object }).await?;
        let grant = |row: &Vec<Option<String>>| {
            Some(Grant {
                privilege: shown.get(row, "privilege")?,
                on: shown.get(row, "granted_on")?,
                name: shown.get(row, "name")?,
            })
        };
        Ok(shown.rows.iter().filter_map(grant).collect())
    }

    /// Ends the session at the server. Detached statements go on.
    pub async fn close(&self) {
        self.session.close().await;
    }
}

/// Returns the columns that can be a cursor, likely ones first, in declared order.
#[must_use]
pub fn cursor_candidates(columns: &[ColumnDescription]) -> Vec<CursorCandidate> {
    let mut candidates: Vec<CursorCandidate> = columns
        .iter()
        .filter(|column| can_be_cursor(&column.data_type))
        .map(|column| {
            let upper = column.name.as_str().to_ascii_uppercase();
            CursorCandidate {
                column: column.name.clone(),
                data_type: column.data_type.clone(),
                nullable: column.nullable,
                likely: LIKELY_NAMES.iter().any(|ending| upper.ends_with(ending)),
            }
        })
        .collect();
    candidates.sort_by_key(|candidate| !candidate.likely);
    candidates
}

fn matches_name(pattern: &str, table: &TableName) -> bool {
    let full =
        format!("{}.{}.{}", table.database.as_str(), table.schema.as_str(), table.table.as_str());
    let full = full.to_uppercase();
    let pattern = pattern.to_uppercase();
    let ends = full.match_indices('.').map(|(at, _)| at + 1).filter_map(|at| full.get(at..));
    std::iter::once(full.as_str()).chain(ends).any(|name| matches_text(&pattern, name))
}

/// Matches with `*` and `%` for any run of characters.
fn matches_text(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split(['*', '%']);
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece).and_then(|at| rest.get(at + piece.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_whole_name_or_its_end() {
        let table: TableName = "CRM.PUBLIC.ACCOUNTS".parse().unwrap();
        for pattern in ["crm.public.accounts", "accounts", "acc*", "%UNTS", "public.*", "*", "c*s"]
        {
            assert!(matches_name(pattern, &table), "{pattern}");
        }
        for pattern in ["acc", "counts", "crm", "x*", "", "accounts*x"] {
            assert!(!matches_name(pattern, &table), "{pattern}");
        }
    }
}
