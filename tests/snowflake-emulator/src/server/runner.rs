//! The seam between the protocol and SQL, so that protocol tests need no SQL engine.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;

use crate::account::Account;
use crate::engine::{Bind, Ended, Outcome, SessionContext, SqlError};
use crate::sql::Engine;
use crate::stages::Stages;
use crate::types::Column;

/// Runs statements. [`Engine`] does; so does the fake of the protocol tests.
#[async_trait]
pub(crate) trait Runner: Send + Sync {
    /// Runs one statement in `session`, which it may change.
    async fn execute(
        &self,
        session: &mut SessionContext,
        sql: &str,
        binds: &[Bind],
    ) -> Result<Outcome, SqlError>;

    /// Returns the columns a statement would give.
    async fn describe(
        &self,
        session: &SessionContext,
        sql: &str,
        binds: &[Bind],
    ) -> Result<Vec<Column>, SqlError>;

    /// Runs statements separated by semicolons and returns how many ran.
    async fn run_script(&self, session: &mut SessionContext, sql: &str) -> Result<usize, SqlError>;

    /// Returns the statements of a text.
    fn statements(&self, sql: &str) -> Result<Vec<String>, SqlError>;

    /// Keeps the rows of a statement for `RESULT_SCAN`.
    fn register_result(&self, query_id: &str, columns: &[Column], batches: Vec<RecordBatch>);

    /// Returns the users, roles and network policies.
    fn account(&self) -> Arc<Account>;

    /// Returns whether results of others with the same text are results of this session.
    fn shares_results(&self, session_id: u64) -> bool;

    /// Learns how a statement ended.
    fn statement_ended(&self, ended: &Ended<'_>);

    /// Returns the files of stages.
    fn stages(&self) -> Arc<Stages>;

    /// Drops what belongs to a session alone.
    fn end_session(&self, session_id: u64);

    /// Returns a number that grows with every change of data or definitions.
    fn data_version(&self) -> u64;
}

#[async_trait]
impl Runner for Engine {
    async fn execute(
        &self,
        session: &mut SessionContext,
        sql: &str,
        binds: &[Bind],
    ) -> Result<Outcome, SqlError> {
        Box::pin(Self::execute(self, session, sql, binds)).await
    }

    async fn describe(
        &self,
        session: &SessionContext,
        sql: &str,
        binds: &[Bind],
    ) -> Result<Vec<Column>, SqlError> {
        Box::pin(Self::describe(self, session, sql, binds)).await
    }

    async fn run_script(&self, session: &mut SessionContext, sql: &str) -> Result<usize, SqlError> {
        Box::pin(Self::run_script(self, session, sql)).await
    }

    fn statements(&self, sql: &str) -> Result<Vec<String>, SqlError> {
        Self::statements(self, sql)
    }

    fn register_result(&self, query_id: &str, columns: &[Column], batches: Vec<RecordBatch>) {
        Self::register_result(self, query_id, columns, batches);
    }

    fn account(&self) -> Arc<Account> {
        Self::account(self)
    }

    fn shares_results(&self, session_id: u64) -> bool {
        Self::shares_results(self, session_id)
    }

    fn statement_ended(&self, ended: &Ended<'_>) {
        Self::statement_ended(self, ended);
    }

    fn stages(&self) -> Arc<Stages> {
        Arc::clone(Self::stages(self))
    }

    fn end_session(&self, session_id: u64) {
        Self::end_session(self, session_id);
    }

    fn data_version(&self) -> u64 {
        Self::data_version(self)
    }
}
