//! Runs statements by themselves, so that a client may come and go.
//!
//! A statement's task ends in exactly one of: rows stored, Snowflake's error, cancelled (000604),
//! timed out (000630). A task that dies otherwise is an internal error (000603), never silence.

use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use futures::StreamExt as _;

use super::app::{App, now, now_ms};
use crate::engine::{Bind, Ended, Outcome, SessionContext, SqlError};
use crate::results::cache::CacheKey;
use crate::results::format::Format;
use crate::results::queries::{Answer, Finished, Query, Submission};
use crate::results::stored::StoredResult;
use crate::results::writer::{ResultWriter, StoreError};
use crate::session::{Session, parameters};
use crate::types::{Column, SnowType};

/// The parent of a multi-statement request.
const MULTI_STATEMENT_TYPE: i64 = 0xA000;

/// Results of up to this many rows can be read by RESULT_SCAN with any projection and filter;
/// larger ones only as a whole.
const MOST_KEPT_ROWS: usize = 10_000;

/// What is to be run.
pub(crate) struct Job {
    /// The session, which the statement may change.
    pub(crate) session: Arc<Session>,
    /// The session's context with the statement's own parameters.
    pub(crate) context: SessionContext,
    /// One statement, or several.
    pub(crate) text: String,
    /// Values for its placeholders.
    pub(crate) binds: Vec<Bind>,
    /// How rows travel, where the statement leaves a choice.
    pub(crate) format: Format,
}

/// Starts `job`, whose outcome will be found in `query`.
pub(crate) fn start(app: &Arc<App>, query: &Arc<Query>, job: Job) {
    let app = Arc::clone(app);
    let query = Arc::clone(query);
    tokio::spawn(async move {
        let mut context = job.context.clone();
        context.query_id.clone_from(&query.id);
        let answer = supervise(&app, &query, job).await;
        if !matches!(&answer, Ok(answer) if !answer.children.is_empty()) {
            note_end(&app, &context, &query.submission.sql_text, &answer);
        }
        if let Err(error) = &answer {
            tracing::debug!(query = query.id, %error, "statement failed");
        }
        query.finish(Finished { ended_ms: now_ms(), answer });
    });
}

fn note_end(app: &App, context: &SessionContext, text: &str, answer: &Result<Answer, SqlError>) {
    let count = |answer: &Answer| u64::try_from(answer.result.total_rows).unwrap_or(u64::MAX);
    let rows = answer.as_ref().map(count);
    app.runner.statement_ended(&Ended { context, text, rows });
}

async fn supervise(app: &Arc<App>, query: &Arc<Query>, job: Job) -> Result<Answer, SqlError> {
    let limit = parameters::number(&job.context, "STATEMENT_TIMEOUT_IN_SECONDS");
    let limit = limit.and_then(|seconds| u64::try_from(seconds).ok()).filter(|limit| *limit > 0);
    let deadline = async {
        match limit {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let mut work = tokio::spawn(run(Arc::clone(app), Arc::clone(query), job));
    let stopped = tokio::select! {
        done = &mut work => return done.unwrap_or_else(|_| Err(internal("the statement's task ended"))),
        () = query.cancellation() => sql_error("000604", "57014", "SQL execution canceled"),
        () = deadline => sql_error("000630", "57014", format!(
            "Statement reached its statement or warehouse timeout of {} second(s) and was canceled.",
            limit.unwrap_or_default(),
        )),
    };
    work.abort();
    // A statement that was done before it could be stopped has happened; saying otherwise would
    // be a lie about its effects.
    match work.await {
        Ok(done) => done,
        Err(_) => Err(stopped),
    }
}

async fn run(app: Arc<App>, query: Arc<Query>, job: Job) -> Result<Answer, SqlError> {
    app.faults.passage().await;
    let parts = app.runner.statements(&job.text)?;
    let wanted = parameters::number(&job.context, "MULTI_STATEMENT_COUNT").unwrap_or(1);
    if parts.is_empty() {
        return Err(sql_error("000900", "42601", "SQL compilation error:\nEmpty SQL statement."));
    }
    if wanted != 0 && usize::try_from(wanted).ok() != Some(parts.len()) {
        return Err(sql_error(
            "000008",
            "0A000",
            format!(
                "Actual statement count {} did not match the desired statement count {wanted}.",
                parts.len()
            ),
        ));
    }
    if let [only] = parts.as_slice() {
        return one(&app, &query, &job, job.context.clone(), only).await;
    }
    several(&app, &query, &job, &parts).await
}

/// Runs the statements of a request one after the other; each has an id and a result of its own.
async fn several(
    app: &Arc<App>,
    query: &Query,
    job: &Job,
    parts: &[String],
) -> Result<Answer, SqlError> {
    let mut context = job.context.clone();
    let mut children = Vec::with_capacity(parts.len());
    for part in parts {
        let submission = Submission {
            request_id: uuid::Uuid::new_v4(),
            sql_text: part.clone(),
            started_ms: now_ms(),
            ..query.submission.clone()
        };
        let child = app.queries.add_child(submission, now());
        let answer = one(app, &child, job, context.clone(), part).await;
        let ran_in = SessionContext { query_id: child.id.clone(), ..context.clone() };
        note_end(app, &ran_in, part, &answer);
        child.finish(Finished { ended_ms: now_ms(), answer: answer.clone() });
        let answer = answer?;
        context = answer.context;
        children.push((child.id.clone(), answer.statement_type_id));
    }
    let column = Column {
        name: "multiple statement execution".to_owned(),
        data_type: SnowType::Text { length: 16_777_216 },
        nullable: false,
        origin: Default::default(),
    };
    let mut result = StoredResult::empty([column].into(), Format::Json);
    result.inline = bytes::Bytes::from_static(b"[\"Multiple statements executed successfully.\"]");
    result.total_rows = 1;
    Ok(Answer {
        result,
        statement_type_id: MULTI_STATEMENT_TYPE,
        context,
        children,
        transfer: None,
    })
}

async fn one(
    app: &Arc<App>,
    query: &Query,
    job: &Job,
    mut before: SessionContext,
    text: &str,
) -> Result<Answer, SqlError> {
    before.query_id.clone_from(&query.id);
    let mut text = text.to_owned();
    if let Some(id) = scanned_id(app, query, &text) {
        let answer = stored_answer(app, query, &id).await?;
        if answer.result.format == job.format {
            return Ok(Answer { context: before, ..answer });
        }
        // A JSON result that is wanted as Arrow was kept by the engine, which encodes it anew.
        text = format!("SELECT * FROM TABLE(RESULT_SCAN('{id}'))");
    }
    // The version is read before the data: a change in between makes the entry useless, not wrong.
    let data_version = app.runner.data_version();
    let shares = app.runner.shares_results(job.session.id);
    let key = CacheKey::of(&text, &job.binds, &before, job.format).filter(|_| shares);
    if let Some(answer) = key.as_ref().and_then(|key| app.cache.find(key, data_version)) {
        return Ok(Answer { context: before, ..answer });
    }
    let mut after = before.clone();
    let outcome = app.runner.execute(&mut after, &text, &job.binds).await?;
    job.session.apply(&before, &after);
    let statement_type_id = outcome.statement_type_id;
    let transfer = outcome.transfer.clone();
    let result = store(app, query, outcome, job.format, &after).await?;
    let answer =
        Answer { result, statement_type_id, context: after, children: Vec::new(), transfer };
    if let Some(key) = key {
        app.cache.keep(key, data_version, &answer);
    }
    Ok(answer)
}

/// Encodes the rows of `outcome` as they come, and lets the engine keep a small result.
async fn store(
    app: &App,
    query: &Query,
    outcome: Outcome,
    format: Format,
    context: &SessionContext,
) -> Result<StoredResult, SqlError> {
    let format = if outcome.json_only { Format::Json } else { format };
    let mut room = match parameters::number(context, "ROWS_PER_RESULTSET") {
        Some(most) if most > 0 => usize::try_from(most).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    let columns: Arc<[Column]> = outcome.columns.into();
    let sizes = app.part_sizes(context);
    let mut writer = ResultWriter::new(Arc::clone(&columns), format, sizes, &app.folder);
    let mut kept = Some(Vec::new());
    let mut kept_rows = 0;
    let mut rows = outcome.rows;
    while room > 0 {
        let Some(batch) = rows.next().await else { break };
        let batch = batch.map_err(stream_failed)?;
        let batch = batch.slice(0, batch.num_rows().min(room));
        room -= batch.num_rows();
        writer.push(&batch).await.map_err(store_failed)?;
        kept_rows += batch.num_rows();
        if kept_rows > MOST_KEPT_ROWS {
            kept = None;
        }
        if let Some(kept) = &mut kept {
            kept.push(batch);
        }
    }
    let result = writer.finish().await.map_err(store_failed)?;
    if let Some(kept) = kept {
        app.runner.register_result(&query.id, &columns, kept);
    }
    Ok(result)
}

/// Recognises `SELECT * FROM TABLE(RESULT_SCAN('<id>'))` and returns the id.
///
/// Anything more, such as a projection or a filter over RESULT_SCAN, is left to the engine.
fn scanned_id(app: &App, query: &Query, text: &str) -> Option<String> {
    let compact: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    let compact = compact.trim_end_matches(';').to_lowercase();
    let argument = compact.strip_prefix("select*fromtable(result_scan(")?.strip_suffix("))")?;
    if argument == "last_query_id()" {
        // The statement itself is registered already; the one before it is meant.
        return app.queries.before(query);
    }
    let id = argument.strip_prefix('\'')?.strip_suffix('\'')?;
    uuid::Uuid::try_parse(id).is_ok().then(|| id.to_owned())
}

/// Waits for a statement of the same user and returns its answer.
async fn stored_answer(app: &App, query: &Query, id: &str) -> Result<Answer, SqlError> {
    let target = app
        .queries
        .by_id(id, &query.submission.user)
        .filter(|target| target.id != query.id)
        .ok_or_else(|| unknown_statement(id))?;
    loop {
        if let Some(finished) = target.wait(Duration::from_secs(60)).await {
            return finished.answer.clone();
        }
    }
}

/// The service's words for a query id that it does not know or has forgotten.
pub(crate) fn unknown_statement(query_id: &str) -> SqlError {
    sql_error("000709", "02000", format!("Statement {query_id} not found"))
}

/// Finds Snowflake's own error inside DataFusion's.
fn stream_failed(error: DataFusionError) -> SqlError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<SqlError>() {
            return found.clone();
        }
        cause = match current.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            _ => current.source(),
        };
    }
    internal(error)
}

fn store_failed(error: StoreError) -> SqlError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    internal(text)
}

fn internal(what: impl std::fmt::Display) -> SqlError {
    sql_error("000603", "XX000", format!("SQL execution internal error:\n{what}"))
}

fn sql_error(code: &'static str, sql_state: &'static str, message: impl Into<String>) -> SqlError {
    SqlError { code, sql_state, message: message.into() }
}
