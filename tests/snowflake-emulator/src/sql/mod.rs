//! Runs Snowflake SQL: one statement in, a stream of rows of [carriers](crate::types) out.
//!
//! The steps of a statement: tokens → (identifiers in upper case) → a statement of our own for
//! SHOW, USE, DDL and ALTER SESSION, or sqlparser's tree for queries and DML → the tree rewritten
//! into functions of which every one has Snowflake's types and results (`rewrite`, `functions`) →
//! a DataFusion plan in which all sides of all operators have equal types (`plan`) → rows.
//!
//! Every statement is one transaction. A reader keeps the snapshot at its start, however long its
//! stream lives; writers wait for each other. Transactions of several statements are refused.
//!
//! **Invariant:** an expression that is not known to give Snowflake's answer is an error, never
//! another engine's answer.

mod carrier;
mod command;
mod convert;
mod datetime;
mod ddl;
mod dml;
pub(crate) mod error;
mod formats;
mod functions;
mod information;
mod json;
mod number;
mod plan;
mod results;
mod rewrite;
mod rows;
mod session;
mod show;
#[cfg(test)]
mod tests;
mod tokens;
mod value;

use std::sync::Arc;

use arrow::array::RecordBatch;
use tokio::sync::Mutex;

use crate::catalog::Catalog;
use crate::engine::{Bind, Outcome, SessionContext, SqlError};
use crate::types::Column;
use command::{Command, ObjectKind};
use error::{compile, no_warehouse, operation_impossible, sql_error};
use plan::Planning;
use results::Results;
use rows::Rows;
use tokens::{Tokens, split};

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
    /// Held by each statement that changes data or definitions.
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
        let inner = Inner { catalog, results: Results::default(), writer: Mutex::new(()) };
        let engine = Self { inner: Arc::new(inner) };
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
        let now_ns = self.inner.catalog.tick();
        let planning = self.planning(session, binds, now_ns)?;
        let rows = match command::parse(single(sql)?)? {
            Command::Query(tokens) => return Ok(planning.query(&tokens)?.columns),
            Command::Show(show) => show.run(&planning)?,
            Command::Describe(name) => describe(&planning, &name)?,
            Command::Change(tokens) => dml::columns(&planning, &tokens)?,
            _ => Rows::status(""),
        };
        Ok(rows.outcome(DDL, now_ns)?.columns)
    }

    /// Runs statements separated by semicolons and returns how many ran.
    ///
    /// # Errors
    /// As [`Self::execute`]; the statements before the failing one stay done.
    pub async fn run_script(
        &self,
        session: &mut SessionContext,
        sql: &str,
    ) -> Result<usize, SqlError> {
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
        Ok(split(sql)?.iter().map(Tokens::source).collect())
    }

    /// A number that grows with every change of any data or definition.
    pub fn data_version(&self) -> u64 {
        self.inner.catalog.changes()
    }

    /// Keeps a statement's rows for `TABLE(RESULT_SCAN('<id>'))`; the last 100 are kept.
    pub fn register_result(&self, id: &str, columns: &[Column], batches: Vec<RecordBatch>) {
        self.inner.results.register(id, columns, batches);
    }

    /// Drops the temporary tables of a session that ended.
    pub fn end_session(&self, session_id: u64) {
        // Nothing can be done about a failure, and nothing depends on it.
        let _ = self.inner.catalog.end_session(session_id);
    }

    /// Whether a database of that name exists.
    pub fn has_database(&self, name: &str) -> bool {
        self.inner.catalog.read(|databases| databases.contains_key(name))
    }

    /// Whether a database has a schema of that name.
    pub fn has_schema(&self, database: &str, name: &str) -> bool {
        self.inner.catalog.read(|databases| {
            databases.get(database).is_some_and(|found| found.schemas.contains_key(name))
        })
    }

    /// Whether a warehouse of that name exists.
    pub fn has_warehouse(&self, name: &str) -> bool {
        show::WAREHOUSES.contains(&name)
    }

    /// Whether a role of that name exists.
    pub fn has_role(&self, name: &str) -> bool {
        show::ROLES.contains(&name)
    }

    fn planning<'a>(
        &'a self,
        session: &'a SessionContext,
        binds: &'a [Bind],
        now_ns: i128,
    ) -> Result<Planning<'a>, SqlError> {
        Planning::new(&self.inner.catalog, &self.inner.results, session, binds, now_ns)
    }

    async fn run(
        &self,
        session: &mut SessionContext,
        tokens: Tokens,
        binds: &[Bind],
    ) -> Result<Outcome, SqlError> {
        let command = command::parse(tokens)?;
        let now_ns = self.inner.catalog.tick();
        let context = session.clone();
        match command {
            Command::Query(tokens) => {
                let compiled = self.planning(&context, binds, now_ns)?.query(&tokens)?;
                if compiled.scans && context.warehouse.is_none() {
                    return Err(no_warehouse());
                }
                let columns = compiled.columns.clone();
                Ok(Outcome {
                    statement_type_id: 0x1000,
                    columns,
                    rows: plan::run(compiled).await?,
                    json_only: false,
                    snapshot_ns: now_ns,
                })
            }
            Command::Show(show) => {
                show.run(&self.planning(&context, binds, now_ns)?)?.outcome(0x4400, now_ns)
            }
            Command::Describe(name) => {
                describe(&self.planning(&context, binds, now_ns)?, &name)?.outcome(0x4500, now_ns)
            }
            Command::Use(kind, name) => {
                session::use_object(&self.inner.catalog, session, kind, &name)?;
                done(use_type(kind), now_ns)
            }
            Command::AlterSessionSet(pairs) => {
                session::set(session, pairs)?;
                done(0x4100, now_ns)
            }
            Command::AlterSessionUnset(names) => {
                session::unset(session, &names);
                done(0x4100, now_ns)
            }
            // Every statement has committed by itself, so there is nothing to end.
            Command::EndTransaction => done(0x5000, now_ns),
            Command::SetContainerProperties => done(DDL, now_ns),
            changing => {
                let _writer = self.inner.writer.lock().await;
                let (id, rows) = self.write(session, &context, changing, binds).await?;
                rows.outcome(id, self.inner.catalog.tick())
            }
        }
    }

    async fn write(
        &self,
        session: &mut SessionContext,
        context: &SessionContext,
        command: Command,
        binds: &[Bind],
    ) -> Result<(i64, Rows), SqlError> {
        let planning = self.planning(context, binds, self.inner.catalog.tick())?;
        let rows = match command {
            Command::Change(tokens) => return dml::change(&planning, &tokens).await,
            Command::Truncate { name, if_exists } => dml::truncate(&planning, &name, if_exists)?,
            Command::CreateContainer { kind, name, if_exists, comment } => {
                let (rows, database, schema) =
                    ddl::create_container(&planning, kind, &name, if_exists, comment)?;
                session.schema = Some(schema.unwrap_or_else(|| "PUBLIC".to_owned()));
                session.database = Some(database);
                rows
            }
            Command::CreateTable(table) => ddl::create_table(&planning, *table).await?,
            Command::CreateView { name, if_exists, columns, comment, text, query } => {
                ddl::create_view(&planning, &name, if_exists, (columns, comment, text, query))?
            }
            Command::Drop { kind, name, if_exists } => {
                let rows = ddl::drop_object(&planning, kind, &name, if_exists)?;
                self.forget_dropped(session);
                rows
            }
            Command::AlterTable { name, if_exists, change } => {
                ddl::alter_table(&planning, &name, if_exists, change)?
            }
            Command::RenameContainer { kind, name, if_exists, to } => {
                let rows = ddl::rename_container(&planning, kind, &name, if_exists, &to)?;
                self.forget_dropped(session);
                rows
            }
            Command::CommentOn { kind: ObjectKind::Table, name, comment } => {
                let change = command::AlterTable::SetComment(Some(comment));
                ddl::alter_table(&planning, &name, false, change)?
            }
            Command::CommentOn { kind, .. } => {
                return Err(error::unsupported(format!("COMMENT ON {kind:?}")));
            }
            _ => return Err(error::unsupported("this statement")),
        };
        Ok((DDL, rows))
    }

    /// A session whose database or schema is gone has none.
    fn forget_dropped(&self, session: &mut SessionContext) {
        let database = session.database.clone().filter(|name| self.has_database(name));
        let schema = session
            .schema
            .clone()
            .filter(|name| database.as_ref().is_some_and(|found| self.has_schema(found, name)));
        session.database = database;
        session.schema = schema;
    }
}

fn describe(planning: &Planning<'_>, name: &[String]) -> Result<Rows, SqlError> {
    show::describe(planning, name).map_err(|error| match error.code {
        "002003" => operation_impossible(),
        _ => error,
    })
}

fn use_type(kind: ObjectKind) -> i64 {
    match kind {
        ObjectKind::Database => 0x4301,
        ObjectKind::Schema => 0x4302,
        ObjectKind::Warehouse => 0x4303,
        _ => 0x4300,
    }
}

fn done(statement_type_id: i64, now_ns: i128) -> Result<Outcome, SqlError> {
    Rows::status("Statement executed successfully.").outcome(statement_type_id, now_ns)
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
