//! How one statement runs: what it sees, what it locks, when it commits.

use std::sync::Arc;

use super::command::{AlterTable, Command, ObjectKind};
use super::dml::{Change, read_only};
use super::error::{operation_impossible, unsupported};
use super::history::{History, Record};
use super::plan::{Planning, StatementFacts, Stores};
use super::rows::Rows;
use super::stage::transfer::{Direction, MoveFiles};
use super::tokens::Tokens;
use super::transaction::{Extent, Mode, Transaction, Work};
use super::{DDL, Engine, account, copy, ddl, plan, session, show};
use crate::catalog::{Qualified, Relation, Snapshot};
use crate::engine::{Bind, Ended, Outcome, SessionContext, SqlError};

/// BEGIN, COMMIT and ROLLBACK.
const TRANSACTION_CONTROL: i64 = 0x5000;

/// SELECT.
const QUERY: i64 = 0x1000;

/// COPY INTO a location.
const UNLOAD: i64 = 0x3700;

/// What a statement gave, and the moment of its snapshot or commit; no moment as long as its
/// changes wait for COMMIT.
type Ran = (Outcome, Option<i128>);

impl Engine {
    /// Runs one statement and notes it in the history.
    pub(super) async fn run(
        &self,
        session: &mut SessionContext,
        tokens: Tokens,
        binds: &[Bind],
    ) -> Result<Outcome, SqlError> {
        let context = session.clone();
        let text = tokens.source();
        let command = super::command::parse(tokens, binds);
        let kind = command.as_ref().map_or("UNKNOWN", Command::kind);
        let followed = !context.query_id.is_empty();
        if followed {
            let started_ns = self.inner.catalog.tick();
            self.inner.history.begin(record(&context, text, kind, started_ns));
        }
        let ran = self.run_command(session, &context, command?, binds).await;
        let now_ns = self.inner.catalog.tick();
        self.inner.history.note(&context.query_id, |record| match &ran {
            Ok((_, moment_ns)) => record.moment_ns = *moment_ns,
            Err(error) => {
                record.failure = Some(error.clone());
                record.ended_ns = Some(now_ns);
            }
        });
        ran.map(|(outcome, _)| outcome)
    }

    /// PUT and GET, whose work is the client's.
    pub(super) async fn transfer(
        &self,
        session: &SessionContext,
        text: &str,
        files: &MoveFiles,
    ) -> Result<Outcome, SqlError> {
        let (id, kind) = match files.direction {
            Direction::Put => (0x7102, "PUT_FILES"),
            Direction::Get => (0x7101, "GET_FILES"),
        };
        let planning = self.planning(session, &[]).await?;
        if !session.query_id.is_empty() {
            let begun = record(session, text.to_owned(), kind, planning.now_ns);
            self.inner.history.begin(begun);
        }
        let transfer = files.plan(&planning)?;
        let outcome = Rows::new(Vec::new()).outcome(id, planning.now_ns)?;
        Ok(Outcome { transfer: Some(transfer), ..outcome })
    }

    /// What a statement of a session is planned with.
    pub(super) async fn planning<'a>(
        &'a self,
        session: &'a SessionContext,
        binds: &'a [Bind],
    ) -> Result<Planning<'a>, SqlError> {
        let inner = &self.inner;
        let (snapshot, transaction) =
            inner.transactions.snapshot(&inner.catalog, session.session_id).await?;
        self.planning_of(StatementFacts { snapshot, transaction, session, binds })
    }

    fn planning_of<'a>(&'a self, facts: StatementFacts<'a>) -> Result<Planning<'a>, SqlError> {
        let inner = &self.inner;
        let stores = Stores {
            catalog: &inner.catalog,
            results: &inner.results,
            history: &inner.history,
            account: &inner.account,
        };
        Planning::new(stores, facts)
    }

    async fn run_command(
        &self,
        session: &mut SessionContext,
        context: &SessionContext,
        command: Command,
        binds: &[Bind],
    ) -> Result<Ran, SqlError> {
        match command {
            Command::Query(tokens) => {
                let planning = self.planning(context, binds).await?;
                query(&planning, &tokens).await
            }
            Command::Show(show) => {
                let planning = self.planning(context, binds).await?;
                let rows = match show.kind {
                    show::ShowKind::Transactions => {
                        show::transactions(&planning, &self.inner.transactions, &show.scope)
                    }
                    show::ShowKind::Locks => show::locks(&self.inner.transactions),
                    _ => show.run(&planning)?,
                };
                answer(rows, 0x4400, planning.now_ns)
            }
            Command::Describe(name) => {
                let planning = self.planning(context, binds).await?;
                answer(describe(&planning, &name)?, 0x4500, planning.now_ns)
            }
            Command::Use(kind, name) => {
                let planning = self.planning(context, binds).await?;
                session::use_object(&planning, session, kind, &name)?;
                done(use_type(kind), planning.now_ns)
            }
            Command::AlterSessionSet(pairs) => {
                session::set(session, pairs)?;
                done(0x4100, self.inner.catalog.tick())
            }
            Command::AlterSessionUnset(names) => {
                session::unset(session, &names);
                done(0x4100, self.inner.catalog.tick())
            }
            Command::Begin(name) => {
                self.inner.transactions.begin(&self.inner.catalog, context, name);
                done(TRANSACTION_CONTROL, self.inner.catalog.tick())
            }
            Command::Commit => {
                self.commit(context.session_id).await?;
                done(TRANSACTION_CONTROL, self.inner.catalog.tick())
            }
            Command::RollBack => {
                self.inner.transactions.roll_back(context.session_id).await;
                done(TRANSACTION_CONTROL, self.inner.catalog.tick())
            }
            Command::Abort(id) => {
                let planning = self.planning(context, binds).await?;
                let may = |user: &str| planning.may_end_transactions_of(user);
                let ended = self.inner.transactions.abort(id, may).await?;
                answer(show::aborted(id, ended), QUERY, planning.now_ns)
            }
            Command::SetContainerProperties => {
                self.commit(context.session_id).await?;
                done(DDL, self.inner.catalog.tick())
            }
            Command::Stage(command) => {
                if command.is_ddl() {
                    self.commit(context.session_id).await?;
                }
                let id = command.statement_type();
                let planning = self.planning(context, binds).await?;
                answer(command.run(&planning)?, id, planning.now_ns)
            }
            Command::Unload(unload) => {
                let planning = self.planning(context, binds).await?;
                answer(unload.run(&planning).await?, UNLOAD, planning.now_ns)
            }
            Command::Copy(copy) => self.change(context, Change::Copy(copy), binds).await,
            Command::Change(tokens) => self.change(context, Change::parse(&tokens)?, binds).await,
            Command::Truncate { name, if_exists } => {
                self.change(context, Change::Truncate { name, if_exists }, binds).await
            }
            defining => self.define(session, context, defining, binds).await,
        }
    }

    /// Commits what the session has open; the statements of it have their moment then.
    async fn commit(&self, session_id: u64) -> Result<(), SqlError> {
        let committed = self.inner.transactions.commit(&self.inner.catalog, session_id).await?;
        if let Some((moment_ns, ids)) = committed {
            self.inner.history.committed(&ids, moment_ns);
        }
        Ok(())
    }

    /// Runs a change of rows in the session's transaction, or commits it at once.
    async fn change(
        &self,
        context: &SessionContext,
        change: Change,
        binds: &[Bind],
    ) -> Result<Ran, SqlError> {
        if change.needs_warehouse() {
            self.planning(context, binds).await?.warehouse()?;
        }
        let at = change.target(context)?;
        let transactions = &self.inner.transactions;
        loop {
            let (transaction, extent) = transactions.for_change(&self.inner.catalog, context);
            // One that ended while we waited for it is not ours any more.
            let Some(mut work) = transaction.work().await else { continue };
            let found = self.locked(&transaction, &mut work, context, (&at, change.mode())).await;
            let snapshot = match found {
                Err(error) if change.may_miss() && error.code == "002003" => {
                    let nothing = Change::nothing();
                    let now_ns = self.inner.catalog.tick();
                    return answer(nothing.rows, nothing.statement_type_id, now_ns);
                }
                found => found?,
            };
            let table = snapshot.table(&at, context)?;
            let open = (extent == Extent::Several).then_some(transaction.id);
            let facts = StatementFacts { snapshot, transaction: open, session: context, binds };
            let planning = self.planning_of(facts)?;
            let relation = Relation::Table(Arc::clone(&table));
            planning.authorize(&at, &relation, &change.privileges())?;
            let changed = change.run(&planning, &table).await?;
            if let Some(delta) = changed.delta {
                work.add(delta);
            }
            let moment_ns = match extent {
                Extent::Statement => {
                    Some(transactions.commit_work(&self.inner.catalog, &transaction, &mut work)?)
                }
                Extent::Several => {
                    work.query_ids.push(context.query_id.clone());
                    None
                }
            };
            let now_ns = moment_ns.unwrap_or_else(|| self.inner.catalog.tick());
            return Ok((changed.rows.outcome(changed.statement_type_id, now_ns)?, moment_ns));
        }
    }

    /// What is committed once the lock is held, with the transaction's own changes.
    async fn locked(
        &self,
        transaction: &Transaction,
        work: &mut Work,
        context: &SessionContext,
        (at, mode): (&Qualified, Mode),
    ) -> Result<Snapshot, SqlError> {
        let catalog = &self.inner.catalog;
        loop {
            let table = catalog.snapshot().table(at, context)?;
            read_only(&table)?;
            self.inner.transactions.lock(transaction, work, context, (&table, mode)).await?;
            let snapshot = catalog.snapshot().with(&work.deltas())?;
            // Another table may have got the name while we waited.
            if snapshot.table(at, context)?.id == table.id {
                return Ok(snapshot);
            }
        }
    }

    /// Runs a change of definitions, which commits what was open before and itself.
    async fn define(
        &self,
        session: &mut SessionContext,
        context: &SessionContext,
        command: Command,
        binds: &[Bind],
    ) -> Result<Ran, SqlError> {
        self.commit(context.session_id).await?;
        let alone = self.inner.transactions.alone(&self.inner.catalog, context);
        let Some(mut work) = alone.work().await else {
            return Err(unsupported("a transaction that ended by itself"));
        };
        for name in altered(&command) {
            let at = Qualified::resolve(name, context)?;
            if let Ok(table) = self.inner.catalog.snapshot().table(&at, context) {
                let wanted = (table.as_ref(), Mode::Define);
                self.inner.transactions.lock(&alone, &mut work, context, wanted).await?;
            }
        }
        let _writer = self.inner.writer.lock().await;
        let snapshot = self.inner.catalog.snapshot();
        let facts = StatementFacts { snapshot, transaction: None, session: context, binds };
        let rows = self.write(session, &self.planning_of(facts)?, command).await?;
        answer(rows, DDL, self.inner.catalog.tick())
    }

    async fn write(
        &self,
        session: &mut SessionContext,
        planning: &Planning<'_>,
        command: Command,
    ) -> Result<Rows, SqlError> {
        Ok(match command {
            Command::CreateContainer { kind, name, if_exists, comment } => {
                let (rows, database, schema) =
                    ddl::create_container(planning, kind, &name, if_exists, comment)?;
                session.schema = Some(schema.unwrap_or_else(|| "PUBLIC".to_owned()));
                session.database = Some(database);
                rows
            }
            Command::Account(command) => account::run(planning, session, command)?,
            Command::CreateTable(table) => ddl::create_table(planning, *table).await?,
            Command::CreateView { name, if_exists, columns, comment, text, query } => {
                ddl::create_view(planning, &name, if_exists, (columns, comment, text, query))?
            }
            Command::Drop { kind, name, if_exists } => {
                let rows = ddl::drop_object(planning, kind, &name, if_exists)?;
                self.forget_dropped(session);
                rows
            }
            Command::AlterTable { name, if_exists, change } => {
                ddl::alter_table(planning, &name, if_exists, change)?
            }
            Command::RenameContainer { kind, name, if_exists, to } => {
                let rows = ddl::rename_container(planning, kind, &name, if_exists, &to)?;
                self.forget_dropped(session);
                rows
            }
            Command::CommentOn { kind: ObjectKind::Table, name, comment } => {
                let change = AlterTable::SetComment(Some(comment));
                ddl::alter_table(planning, &name, false, change)?
            }
            Command::CommentOn { kind, .. } => {
                return Err(unsupported(format!("COMMENT ON {kind:?}")));
            }
            _ => return Err(unsupported("this statement")),
        })
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

async fn query(planning: &Planning<'_>, tokens: &Tokens) -> Result<Ran, SqlError> {
    let compiled = match copy::staged(planning, tokens).await? {
        None => planning.query(tokens)?,
        Some(staged) => {
            let compiled = planning.query(&staged.tokens);
            planning.results.forget(&staged.result);
            compiled?
        }
    };
    if compiled.scans {
        planning.warehouse()?;
    }
    let outcome = Outcome {
        statement_type_id: QUERY,
        columns: compiled.columns.clone(),
        rows: plan::run(compiled).await?,
        json_only: false,
        snapshot_ns: planning.now_ns,
        transfer: None,
    };
    Ok((outcome, Some(planning.now_ns)))
}

/// The tables whose rows nobody may change while a definition changes.
fn altered(command: &Command) -> Vec<&Vec<String>> {
    match command {
        Command::AlterTable { name, change: AlterTable::SwapWith(other), .. } => vec![name, other],
        Command::AlterTable { name, .. }
        | Command::CommentOn { kind: ObjectKind::Table, name, .. } => vec![name],
        _ => Vec::new(),
    }
}

/// DESCRIBE TABLE or VIEW.
pub(super) fn describe(planning: &Planning<'_>, name: &[String]) -> Result<Rows, SqlError> {
    show::describe(planning, name).map_err(|error| match error.code {
        "002003" => operation_impossible(),
        _ => error,
    })
}

/// Notes how a statement ended that a client sent.
pub(super) fn note_end(history: &History, now_ns: i128, ended: &Ended<'_>) {
    let id = &ended.context.query_id;
    if id.is_empty() {
        return;
    }
    if !history.knows(id) {
        // Its result was there already, or it never came to run.
        let mut found = record(ended.context, ended.text.to_owned(), "SELECT", now_ns);
        found.moment_ns = ended.rows.is_ok().then_some(now_ns);
        history.begin(found);
    }
    history.note(id, |record| {
        record.ended_ns = Some(now_ns);
        match &ended.rows {
            Ok(rows) => record.rows = Some(*rows),
            Err(error) => record.failure = Some((*error).clone()),
        }
    });
}

fn record(context: &SessionContext, text: String, kind: &'static str, started_ns: i128) -> Record {
    Record {
        id: context.query_id.clone(),
        text,
        kind,
        context: context.clone(),
        started_ns,
        ended_ns: None,
        rows: None,
        failure: None,
        moment_ns: None,
    }
}

fn use_type(kind: ObjectKind) -> i64 {
    match kind {
        ObjectKind::Database => 0x4301,
        ObjectKind::Schema => 0x4302,
        ObjectKind::Warehouse => 0x4303,
        _ => 0x4300,
    }
}

fn answer(rows: Rows, statement_type_id: i64, moment_ns: i128) -> Result<Ran, SqlError> {
    Ok((rows.outcome(statement_type_id, moment_ns)?, Some(moment_ns)))
}

fn done(statement_type_id: i64, moment_ns: i128) -> Result<Ran, SqlError> {
    answer(Rows::status("Statement executed successfully."), statement_type_id, moment_ns)
}
