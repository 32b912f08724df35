//! INSERT, UPDATE, DELETE, MERGE, TRUNCATE and COPY INTO a table.
//!
//! A change names its table and the lock that it needs, and then computes, from one snapshot,
//! which partitions go and which come. It stores nothing: the caller adds the [`Delta`] to the
//! transaction. A failure therefore leaves everything as it was.

mod assign;
mod insert;
mod merge;
mod rewrite;
mod update;

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    Delete, FromTable, MergeAction, ObjectName, Statement, TableFactor,
};

pub(crate) use assign::{complete, constant_array, to_columns};
pub(crate) use rewrite::{TARGET, alone, query_of};

use super::copy::CopyInto;
use super::error::{sql_error, unsupported};
use super::plan::{Planning, parse};
use super::rows::Rows;
use super::tokens::Tokens;
use super::transaction::Mode;
use crate::catalog::{Delta, Qualified, Table};
use crate::engine::{SessionContext, SqlError};

/// A statement that changes the rows of one table.
#[derive(Debug)]
pub(crate) enum Change {
    /// INSERT, UPDATE, DELETE or MERGE.
    Statement(Box<Statement>),
    /// TRUNCATE TABLE, which is a change of rows here as the documentation says.
    Truncate { name: Vec<String>, if_exists: bool },
    /// COPY INTO a table.
    Copy(Box<CopyInto>),
}

/// What a change gave.
#[derive(Debug)]
pub(crate) struct Changed {
    pub statement_type_id: i64,
    /// The counts.
    pub rows: Rows,
    /// `None` when nothing changed.
    pub delta: Option<Delta>,
}

impl Change {
    /// Reads a statement.
    ///
    /// # Errors
    /// 001003 when it is none, 000002 when this emulator does not have it.
    pub(crate) fn parse(tokens: &Tokens) -> Result<Self, SqlError> {
        match parse(tokens)? {
            statement @ (Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_)) => Ok(Self::Statement(Box::new(statement))),
            _ => Err(unsupported("this statement")),
        }
    }

    /// The table that changes.
    ///
    /// # Errors
    /// When the statement names none, or the session lacks a database or schema for it.
    pub(crate) fn target(&self, session: &SessionContext) -> Result<Qualified, SqlError> {
        let parts = match self {
            Self::Truncate { name, .. } => name.clone(),
            Self::Copy(copy) => copy.table.clone(),
            Self::Statement(statement) => parts_of(match statement.as_ref() {
                Statement::Insert(insert) => insert::target(insert)?,
                Statement::Update(update) => name_of(&update.table.relation)?,
                Statement::Delete(delete) => name_of(deleted(delete)?)?,
                Statement::Merge(merge) => name_of(&merge.table)?,
                _ => return Err(unsupported("this statement")),
            })?,
        };
        Qualified::resolve(&parts, session)
    }

    /// The lock that it takes.
    pub(crate) fn mode(&self) -> Mode {
        match self {
            Self::Statement(statement) => match statement.as_ref() {
                Statement::Insert(insert) if !insert.overwrite => Mode::Add,
                _ => Mode::Rewrite,
            },
            // Two loads of the same files at once must not both find them new.
            Self::Truncate { .. } | Self::Copy(_) => Mode::Rewrite,
        }
    }

    /// The privileges that it takes on its table.
    pub(crate) fn privileges(&self) -> Vec<&'static str> {
        let statement = match self {
            Self::Statement(statement) => statement,
            Self::Truncate { .. } => return vec!["TRUNCATE"],
            Self::Copy(_) => return vec!["INSERT"],
        };
        match statement.as_ref() {
            Statement::Insert(insert) if insert.overwrite => vec!["INSERT", "DELETE"],
            Statement::Insert(_) => vec!["INSERT"],
            Statement::Update(_) => vec!["UPDATE"],
            Statement::Delete(_) => vec!["DELETE"],
            Statement::Merge(merge) => {
                let actions = merge.clauses.iter().map(|clause| match &clause.action {
                    MergeAction::Insert(_) => "INSERT",
                    MergeAction::Update(_) => "UPDATE",
                    MergeAction::Delete { .. } => "DELETE",
                });
                actions.chain(["SELECT"]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether it is an UPDATE, DELETE, … that runs on a warehouse.
    pub(crate) fn needs_warehouse(&self) -> bool {
        matches!(self, Self::Statement(_) | Self::Copy(_))
    }

    /// Whether a missing table makes it do nothing.
    pub(crate) fn may_miss(&self) -> bool {
        matches!(self, Self::Truncate { if_exists: true, .. })
    }

    /// What it answers when it did nothing.
    pub(crate) fn nothing() -> Changed {
        let rows = Rows::status("Statement executed successfully.");
        Changed { statement_type_id: super::DDL, rows, delta: None }
    }

    /// Computes the change of `table`.
    ///
    /// # Errors
    /// Snowflake's; nothing was changed.
    pub(crate) async fn run(
        self,
        planning: &Planning<'_>,
        table: &Arc<Table>,
    ) -> Result<Changed, SqlError> {
        read_only(table)?;
        let statement = match self {
            Self::Truncate { .. } => {
                let mut delta = Delta::overwrite(table, Vec::new())?;
                delta.forgets_loads = true;
                return Ok(Changed { delta: Some(delta), ..Self::nothing() });
            }
            Self::Copy(copy) => return copy.change(planning, table).await,
            Self::Statement(statement) => *statement,
        };
        match statement {
            Statement::Insert(insert) => insert::run_insert(planning, insert, table).await,
            Statement::Update(update) => update::run_update(planning, update, table).await,
            Statement::Delete(delete) => update::run_delete(planning, delete, table).await,
            Statement::Merge(merge) => merge::run_merge(planning, merge, table).await,
            _ => Err(unsupported("this statement")),
        }
    }

    /// The columns that the answer has.
    pub(crate) fn columns(&self) -> Rows {
        let Self::Statement(statement) = self else { return Rows::status("") };
        match statement.as_ref() {
            Statement::Update(_) => update::updated(0, 0),
            Statement::Delete(_) => update::deleted(0),
            Statement::Merge(merge) => merge::counts(&merge.clauses, [0; 3]),
            _ => Rows::counts(&[("number of rows inserted", 0)]),
        }
    }
}

/// Refuses changes of the shared samples, of which the rows are computed at each scan.
pub(crate) fn read_only(table: &Table) -> Result<(), SqlError> {
    if table.generated.is_none() {
        return Ok(());
    }
    let message = format!(
        "SQL access control error:\nInsufficient privileges to operate on table '{}'",
        table.name
    );
    Err(sql_error("003001", "42501", message))
}

fn parts_of(name: &ObjectName) -> Result<Vec<String>, SqlError> {
    let parts = name.0.iter().map(|part| {
        let identifier = part.as_ident().ok_or_else(|| unsupported("this table name"))?;
        Ok(identifier.value.clone())
    });
    parts.collect()
}

fn name_of(factor: &TableFactor) -> Result<&ObjectName, SqlError> {
    match factor {
        TableFactor::Table { name, version: None, .. } => Ok(name),
        _ => Err(unsupported("this target of a change")),
    }
}

fn deleted(delete: &Delete) -> Result<&TableFactor, SqlError> {
    let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
    match tables.as_slice() {
        [one] if one.joins.is_empty() => Ok(&one.relation),
        _ => Err(unsupported("this DELETE")),
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
