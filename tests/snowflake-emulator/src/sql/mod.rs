//! Runs Snowflake SQL: one statement in, a stream of rows of [carriers](crate::types) out.
//!
//! The steps of a statement: tokens → (identifiers in upper case) → a statement of our own for
//! SHOW, USE, DDL and ALTER SESSION, or sqlparser's tree for queries and DML → the tree rewritten
//! into functions of which every one has Snowflake's types and results (`rewrite`, `functions`) →
//! a DataFusion plan in which all sides of all operators have equal types (`plan`) → rows.
//!
//! A statement sees what was committed when it began and what its own transaction did; a reader
//! keeps that however long its stream lives (`running`, `transaction`). A change of rows computes
//! partitions that go and come (`dml`); definitions change at once and commit first (`ddl`).
//!
//! **Invariant:** an expression that is not known to give Snowflake's answer is an error, never
//! another engine's answer.

mod account;
mod authorize;
mod carrier;
mod command;
mod convert;
mod copy;
mod datetime;
mod ddl;
mod dml;
pub(crate) mod error;
mod formats;
mod functions;
mod history;
mod information;
mod json;
mod number;
mod plan;
mod query_history;
mod results;
mod rewrite;
mod rows;
mod running;
mod session;
mod show;
pub(crate) mod stage;
#[cfg(test)]
mod tests;
mod tokens;
mod transaction;
mod value;

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use tokio::sync::Mutex;

use crate::account::Account;
use crate::catalog::Catalog;
use crate::engine::{Bind, Ended, Outcome, SessionContext, SqlError};
use crate::stages::Stages;
use crate::types::Column;
use command::Command;
use dml::Change;
use error::{compile, sql_error};
use history::History;
use results::Results;
use rows::Rows;
use tokens::{Tokens, split};
use transaction::Transactions;

/// What CURRENT_VERSION() says.
pub(crate) const SERVER_VERSION: &str = "9.30.1";

const DDL: i64 = 0x6000;

/// What an engine starts with.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Scale factor of `SNOWFLAKE_SAMPLE_DATA.TPCH_SF1`; 1.0 is six million line items.
    pub tpch_scale: f64,
    /// Whether the database `CRM` is created.
    pub crm: bool,
    /// A transaction without a statement for this long is rolled back when it is in the way of
    /// another; five minutes at the real service.
    pub idle_transaction: Duration,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { tpch_scale: 0.01, crm: true, idle_transaction: Duration::from_secs(300) }
    }
}

/// One account's data and the means to query it; clones share everything.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    catalog: Catalog,
    results: Results,
    history: History,
    transactions: Transactions,
    account: Arc<Account>,
    /// Held by each statement that changes definitions.
    writer: Mutex<()>,
}

impl Engine {
    /// Starts an engine with its samples.
    ///
    /// # Errors
    /// When a sample cannot be created.
    pub async fn new(options: EngineOptions) -> Result<Self, SqlError> {
        let catalog = Catalog::default();
        crate::samples::create_tpch(&catalog, options.tpch_scale)?;
        let inner = Inner {
            catalog,
            results: Results::default(),
            history: History::default(),
            transactions: Transactions::new(options.idle_transaction),
            account: Arc::default(),
            writer: Mutex::new(()),
        };
        let engine = Self { inner: Arc::new(inner) };
        engine.share_sample().await?;
        if options.crm {
            let mut session = SessionContext {
                role: Some("SYSADMIN".to_owned()),
                warehouse: Some("COMPUTE_WH".to_owned()),
                ..SessionContext::default()
            };
            Box::pin(engine.run_script(&mut session, crate::samples::crm::SCRIPT)).await?;
        }
        Ok(engine)
    }

    /// Runs one statement; USE, ALTER SESSION and CREATE DATABASE/SCHEMA change `session`.
    ///
    /// # Errors
    /// Snowflake's code, SQLSTATE and message. Nothing was changed.
    pub async fn execute(
        &self,
        session: &mut SessionContext,
        sql: &str,
        binds: &[Bind],
    ) -> Result<Outcome, SqlError> {
        if let Some(files) = stage::transfer::parse(sql, binds)? {
            return self.transfer(session, sql, &files).await;
        }
        let tokens = single(sql)?;
        Box::pin(self.run(session, tokens, binds)).await
    }

    /// Compiles only: the columns that the statement would give.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub async fn describe(
        &self,
        session: &SessionContext,
        sql: &str,
        binds: &[Bind],
    ) -> Result<Vec<Column>, SqlError> {
        let planning = self.planning(session, binds).await?;
        let rows = match command::parse(single(sql)?, binds)? {
            Command::Query(tokens) => return Ok(planning.query(&tokens)?.columns),
            Command::Show(show) => show.run(&planning)?,
            Command::Describe(name) => running::describe(&planning, &name)?,
            Command::Change(tokens) => {
                let change = Change::parse(&tokens)?;
                planning.snapshot.table(&change.target(session)?, session)?;
                change.columns()
            }
            _ => Rows::status(""),
        };
        Ok(rows.outcome(DDL, planning.now_ns)?.columns)
    }

    /// Runs statements separated by semicolons and returns how many ran.
    ///
    /// # Errors
    /// As [`Self::execute`]; the statements before the failing one stay done. A script without a
    /// session has one of its own, so a transaction that it leaves open is rolled back.
    pub async fn run_script(
        &self,
        session: &mut SessionContext,
        sql: &str,
    ) -> Result<usize, SqlError> {
        if session.session_id != 0 {
            return self.run_all(session, sql).await;
        }
        session.session_id = u64::MAX - self.inner.catalog.next_id();
        let ran = self.run_all(session, sql).await;
        self.end_session(session.session_id);
        session.session_id = 0;
        ran
    }

    async fn run_all(&self, session: &mut SessionContext, sql: &str) -> Result<usize, SqlError> {
        use futures::TryStreamExt;
        let mut ran = 0;
        for tokens in split(sql)? {
            let outcome = Box::pin(self.run(session, tokens, &[])).await?;
            outcome.rows.try_for_each(|_| async { Ok(()) }).await.map_err(plan::translate)?;
            ran += 1;
        }
        Ok(ran)
    }

    /// The statements of a text, cut at its semicolons.
    ///
    /// # Errors
    /// 001003 when the text cannot be cut into tokens.
    pub fn statements(&self, sql: &str) -> Result<Vec<String>, SqlError> {
        if stage::transfer::is_transfer(sql) {
            return Ok(vec![sql.to_owned()]);
        }
        Ok(split(sql)?.iter().map(Tokens::source).collect())
    }

    /// A number that grows with every change of any data or definition.
    pub fn data_version(&self) -> u64 {
        self.inner.catalog.changes() + self.inner.account.access.changes()
    }

    /// Users, roles and what they may do.
    pub(crate) fn account(&self) -> Arc<Account> {
        Arc::clone(&self.inner.account)
    }

    /// Lets everybody read the sample that every account has.
    async fn share_sample(&self) -> Result<(), SqlError> {
        let mut owner =
            SessionContext { role: Some("ACCOUNTADMIN".to_owned()), ..SessionContext::default() };
        let sql = "GRANT IMPORTED PRIVILEGES ON DATABASE SNOWFLAKE_SAMPLE_DATA TO ROLE PUBLIC";
        Box::pin(self.run_script(&mut owner, sql)).await.map(|_| ())
    }

    /// Keeps a statement's rows for `TABLE(RESULT_SCAN('<id>'))`; the last 100 are kept.
    pub fn register_result(&self, id: &str, columns: &[Column], batches: Vec<RecordBatch>) {
        self.inner.results.register(id, columns, batches);
    }

    /// Whether a session sees what others see, so that their results are its results: it has
    /// neither an open transaction nor temporary tables.
    pub fn shares_results(&self, session_id: u64) -> bool {
        self.inner.transactions.of(session_id).is_none()
            && !self.inner.catalog.snapshot().has_temporary(session_id)
    }

    /// Notes how a statement ended, for QUERY_HISTORY.
    pub fn statement_ended(&self, ended: &Ended<'_>) {
        running::note_end(&self.inner.history, self.inner.catalog.tick(), ended);
    }

    /// Rolls back and drops the temporary tables of a session that ended.
    pub fn end_session(&self, session_id: u64) {
        self.inner.transactions.end_session(session_id);
        // Nothing can be done about a failure, and nothing depends on it.
        let _ = self.inner.catalog.end_session(session_id);
    }

    /// Whether a database of that name exists.
    pub fn has_database(&self, name: &str) -> bool {
        self.inner.catalog.snapshot().read(|databases| databases.contains_key(name))
    }

    /// Whether a database has a schema of that name.
    pub fn has_schema(&self, database: &str, name: &str) -> bool {
        self.inner.catalog.snapshot().read(|databases| {
            databases.get(database).is_some_and(|found| found.schemas.contains_key(name))
        })
    }

    /// Whether a warehouse of that name exists.
    pub fn has_warehouse(&self, name: &str) -> bool {
        self.inner.account.warehouses.get(name).is_some()
    }

    /// Whether a role of that name exists.
    pub fn has_role(&self, name: &str) -> bool {
        self.inner.account.access.role(name).is_some()
    }

    /// The files of stages.
    pub(crate) fn stages(&self) -> &Arc<Stages> {
        &self.inner.catalog.stages
    }
}

fn single(sql: &str) -> Result<Tokens, SqlError> {
    let mut statements = split(sql)?;
    match (statements.pop(), statements.len()) {
        (Some(tokens), 0) => Ok(tokens),
        (None, _) => Err(compile("000900", "42601", "Empty SQL statement.")),
        (Some(_), others) => Err(sql_error(
            "000008",
            "0A000",
            format!(
                "Actual statement count {} did not match the desired statement count 1.",
                others + 1
            ),
        )),
    }
}
