//! Statements that belong together: one session of their own, one statement after another.
//!
//! An open transaction and temporary tables live in a session, so this session is never begun
//! anew behind the caller's back. How a statement can end:
//!
//! - `Ok`: the server answered that it is done, exactly once, however often it was sent: all
//!   attempts carry one `requestId`, by which the server recognises a statement it has run.
//! - An error with the server's code: it answered that the statement failed. Inside an explicit
//!   transaction the earlier statements still stand until COMMIT or ROLLBACK.
//! - [`SnowflakeError::SessionLost`]: the statement did not run, and what was not committed is
//!   rolled back. Begin again from the first statement, in a new conversation.
//! - [`SnowflakeError::Cancelled`]: it was stopped at the deadline and changed nothing.
//! - [`SnowflakeError::Unknown`]: no answer came. The statement, COMMIT above all, may have had its
//!   effect; read back before deciding, in another session. Never taken for a failure.
//! - [`SnowflakeError::Unreachable`] and other errors before anything was sent: nothing happened.
//!
//! A conversation that is dropped closes its session: the server rolls an open transaction back.
//! A process that dies without it leaves a statement that the server ends by itself, because the
//! session has `ABORT_DETACHED_QUERY` on.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::answer::Answer;
use super::session::{Request, Session, lock};
use super::sql::Statement;
use super::statement::{
    About, SUBMIT, SUBMIT_PATH, Submission, TextRows, small_result, submission_body,
};
use crate::{QueryId, SnowflakeError};

/// How long the server may take to tell how a cancelled statement ended.
const AFTER_CANCEL: Duration = Duration::from_secs(30);

/// What the server did for one statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) query_id: String,
    /// The rows of a small result: of a SELECT as texts, of a COPY one for each file, of a DML
    /// statement its counts.
    pub(super) rows: TextRows,
    /// Rows that a DML statement inserted, updated or deleted; `None` for other statements.
    pub(super) affected: Option<u64>,
}

/// One session, see the module's words.
#[derive(Debug)]
pub(super) struct Conversation {
    session: Session,
    deadline: Option<Instant>,
}

impl Conversation {
    pub(super) fn new(session: Session) -> Self {
        Self { session, deadline: None }
    }

    /// Has statements cancelled that are not done by then.
    #[cfg_attr(not(test), expect(dead_code, reason = "a push waits for its statements"))]
    pub(super) fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Returns the role in use, as far as known.
    #[expect(dead_code, reason = "for statements that name the role")]
    pub(super) fn role(&self) -> String {
        self.session.role()
    }

    /// Runs one statement to its end.
    ///
    /// # Errors
    /// As the module's words tell.
    pub(super) async fn execute(
        &mut self,
        statement: &Statement,
        about: About<'_>,
    ) -> Result<Done, SnowflakeError> {
        let progress = Progress::default();
        let mut request = Request::new(SUBMIT, Method::POST, &SUBMIT_PATH);
        request.body = Some(submission_body(statement, Submission::Small));
        request.unanswered = Some(&progress.unanswered);
        let Some(deadline) = self.deadline else {
            return self.ask(&request, &progress, about).await;
        };
        let asked = self.ask(&request, &progress, about);
        match tokio::time::timeout_at(deadline.into(), asked).await {
            Ok(done) => done,
            Err(_) => self.cancel(&request, &progress, about).await,
        }
    }

    /// Ends the session; an open transaction is rolled back.
    pub(super) async fn close(self) {
        self.session.close().await;
    }

    async fn ask(
        &self,
        request: &Request<'_>,
        progress: &Progress,
        about: About<'_>,
    ) -> Result<Done, SnowflakeError> {
        let answer = match self.session.call(request).await {
            Ok(answer) => answer,
            // A reply that cannot be read is an answer that was lost.
            Err(error)
                if progress.is_unanswered() || matches!(error, SnowflakeError::Protocol { .. }) =>
            {
                return Err(unknown(error));
            }
            Err(error) => return Err(error),
        };
        if !answer.is_running() {
            return done(&self.session.finish(answer, about).await?).map_err(unknown);
        }
        let data: DoneData = answer.data(SUBMIT).map_err(unknown)?;
        *lock(&progress.query_id) = Some(data.query_id);
        self.end_of(self.session.finish(answer, about).await)
    }

    /// Reads how a statement that ran for a while has ended.
    fn end_of(&self, ended: Result<Answer, SnowflakeError>) -> Result<Done, SnowflakeError> {
        match ended {
            // A result that cannot be read is no failure of its statement.
            Ok(answer) => done(&answer).map_err(unknown),
            Err(
                refused @ (SnowflakeError::Statement { .. }
                | SnowflakeError::NotFound { .. }
                | SnowflakeError::MissingColumn { .. }
                | SnowflakeError::NoWarehouse { .. }),
            ) => Err(refused),
            Err(lost) => Err(unknown(lost)),
        }
    }

    /// Asks the server to stop a statement, then how it ended. A statement whose id is not known
    /// is never sent again to learn that: it could begin to run.
    async fn cancel(
        &self,
        request: &Request<'_>,
        progress: &Progress,
        about: About<'_>,
    ) -> Result<Done, SnowflakeError> {
        tracing::warn!("a statement is cancelled at the deadline");
        let query_id = lock(&progress.query_id).clone();
        let Some(query_id) = query_id else {
            if !progress.is_unanswered() {
                return Err(SnowflakeError::Cancelled { query_id: "that was not sent".to_owned() });
            }
            let path = ["queries", "v1", "abort-request"];
            let mut abort = Request::new("cancel a statement", Method::POST, &path);
            let body = json!({"requestId": request.request_id.to_string()});
            abort.body = Some(body.to_string().into());
            // Whether it succeeds or not: how the statement ended stays unknown.
            let _ = tokio::time::timeout(AFTER_CANCEL, self.session.call(&abort)).await;
            return Err(late());
        };
        let query = QueryId(query_id);
        let ended = async {
            self.session.abort(&query).await?;
            self.session.wait_for(&query, about).await
        };
        match tokio::time::timeout(AFTER_CANCEL, ended).await {
            Err(_) => Err(late()),
            Ok(ended) => self.end_of(ended).map_err(|error| match error {
                SnowflakeError::Statement { code, query_id, .. } if code == "000604" => {
                    SnowflakeError::Cancelled { query_id }
                }
                error => error,
            }),
        }
    }
}

/// How far a statement has come.
#[derive(Default)]
struct Progress {
    unanswered: AtomicBool,
    query_id: Mutex<Option<String>>,
}

impl Progress {
    fn is_unanswered(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed)
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DoneData {
    query_id: String,
    statement_type_id: Option<u64>,
}

/// INSERT, UPDATE, DELETE, MERGE and multi-table INSERT; COPY answers with rows of its own.
const DML_TYPES: [u64; 6] = [0x3000, 0x3100, 0x3200, 0x3300, 0x3400, 0x3500];

fn done(answer: &Answer) -> Result<Done, SnowflakeError> {
    let data: DoneData = answer.data(SUBMIT)?;
    let rows = small_result(answer)?;
    let dml = data.statement_type_id.is_some_and(|id| DML_TYPES.contains(&id));
    let affected = if dml { Some(sum_of_counts(&rows)?) } else { None };
    Ok(Done { query_id: data.query_id, rows, affected })
}

/// Adds the counts of a DML statement up. Rows that several rows would have updated
/// (`multi-joined`) are a remark, no rows of their own.
fn sum_of_counts(rows: &TextRows) -> Result<u64, SnowflakeError> {
    let unreadable = || SnowflakeError::Protocol {
        step: SUBMIT.to_owned(),
        reason: "a count of rows is no number".to_owned(),
    };
    let mut sum = 0_u64;
    for row in &rows.rows {
        for (column, cell) in rows.columns().iter().zip(row) {
            if column.contains("multi-joined") {
                continue;
            }
            let count: u64 = cell.as_deref().unwrap_or("0").parse().map_err(|_| unreadable())?;
            sum = sum.saturating_add(count);
        }
    }
    Ok(sum)
}

fn late() -> SnowflakeError {
    let source = "the deadline passed before the server said how it ended".into();
    SnowflakeError::Unknown { step: SUBMIT.to_owned(), source }
}

fn unknown(error: SnowflakeError) -> SnowflakeError {
    match error {
        unknown @ SnowflakeError::Unknown { .. } => unknown,
        error => SnowflakeError::Unknown { step: SUBMIT.to_owned(), source: Box::new(error) },
    }
}
