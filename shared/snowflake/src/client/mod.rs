//! The driver protocol over HTTPS: a [`Source`](crate::Source) that is a real Snowflake account.
//!
//! Reading order: [`account`](Account) (where requests go), `credential` and `oauth` (what they
//! prove), `http` (how often they are tried), `session` and `sign_in` (how long they are valid),
//! `sql` and `binds` (what they say), `statement` (what is answered), `conversation` (statements
//! that belong together), `upload` (files into a stage), `chunks` (the rows), `source` and `facts` (what others use).
//!
//! The protocol is what Snowflake's own open-source drivers speak. **Invariants:** one retry
//! layer; every status and every row count is checked; a statement is never run twice for one
//! result; secrets (password, key, tokens, presigned links) are in no message, log or `Debug`.

mod account;
mod answer;
mod binds;
mod chunks;
mod conversation;
mod credential;
mod facts;
mod gzip;
pub mod hostile;
mod http;
mod oauth;
mod resolver;
mod selection;
mod session;
mod sign_in;
mod source;
mod sql;
mod statement;
mod target;
mod upload;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use snowferry_model::names::TableName;

use crate::{QueryId, SnowflakeError};
use chunks::OpenResult;
use conversation::Conversation;
use session::{Session, WhenGone};

pub use account::{Account, Endpoint, Proxy};
pub use credential::{Credential, KeyPair, Secret};
pub use facts::{CursorCandidate, Grant, SessionFacts, TableSummary, cursor_candidates};
pub use http::RetryRules;
pub use oauth::OAuthClient;
pub use selection::{Columns, RowFilter, SALT_MIN_CHARS, Selection, SourceQuery};
pub use sql::Scope;
pub use sql::push::{SetupTable, push_setup};
pub use target::SnowflakeTarget;

/// Results whose links are kept for further reads.
const OPEN_RESULTS_KEPT: usize = 4;

/// A result that was opened, since when, and its links.
type KeptResult = (QueryId, Instant, Arc<OpenResult>);

/// Everything that a connection to an account needs.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The account.
    pub account: Account,
    /// Where it answers.
    pub endpoint: Endpoint,
    /// The proxy of all requests; the environment's (`HTTPS_PROXY`, `NO_PROXY`) if `None`.
    pub proxy: Option<Proxy>,
    /// The user.
    pub user: String,
    /// What the user proves itself with.
    pub credential: Credential,
    /// The role; the user's default if `None`.
    pub role: Option<String>,
    /// The warehouse; the user's default if `None`.
    pub warehouse: Option<String>,
    /// Marks the session's statements in the server's query history.
    pub query_tag: String,
    /// The server ends a statement that runs longer, its time in the queue included.
    pub statement_timeout: Duration,
    /// CLIENT_RESULT_CHUNK_SIZE, 16 to 160 MB; the server's default if `None`.
    pub chunk_size_mb: Option<u16>,
    /// Compressed and inflated bytes of chunks that one stream holds at once.
    pub download_budget_bytes: u64,
    /// The time one chunk may take.
    pub chunk_timeout: Duration,
    /// After this long without a request, a read tells the server that its session is in use. A
    /// session token lives for an hour, the master token that renews it for four.
    pub heartbeat_every: Duration,
    /// How requests are tried again.
    pub retry: RetryRules,
    /// What is read of tables that are not read whole.
    pub selections: BTreeMap<TableName, Selection>,
    /// What is put before each value that is hashed.
    pub hash_salt: Option<Secret>,
}

impl ClientOptions {
    /// Returns options with the defaults: own host, default role and warehouse, chunks of some 5 MB
    /// (so that a chunk, its inflated form and its rows fit into little memory), 64 MiB of them
    /// at once, statements of up to four hours.
    ///
    /// # Errors
    /// As [`Endpoint::of`].
    pub fn new(
        account: Account,
        user: impl Into<String>,
        credential: Credential,
    ) -> Result<Self, SnowflakeError> {
        Ok(Self {
            endpoint: Endpoint::of(&account)?,
            account,
            proxy: None,
            user: user.into(),
            credential,
            role: None,
            warehouse: None,
            query_tag: "snowferry".to_owned(),
            statement_timeout: Duration::from_secs(4 * 3600),
            chunk_size_mb: Some(48),
            download_budget_bytes: 64 << 20,
            chunk_timeout: Duration::from_secs(120),
            heartbeat_every: Duration::from_secs(900),
            retry: RetryRules::default(),
            selections: BTreeMap::new(),
            hash_salt: None,
        })
    }
}

/// One account, one user, one session. Clones share the session.
#[derive(Clone)]
pub struct SnowflakeClient {
    session: Arc<Session>,
    open_results: Arc<Mutex<Vec<KeptResult>>>,
    download_budget_bytes: u64,
    chunk_timeout: Duration,
    selections: Arc<BTreeMap<TableName, Selection>>,
    hash_salt: Option<Secret>,
}

impl SnowflakeClient {
    /// Prepares a client. Nothing is sent before the first request needs it.
    ///
    /// # Errors
    /// [`SnowflakeError::Unreachable`] when TLS cannot be set up.
    pub fn new(options: ClientOptions) -> Result<Self, SnowflakeError> {
        Ok(Self {
            open_results: Arc::default(),
            download_budget_bytes: options.download_budget_bytes,
            chunk_timeout: options.chunk_timeout,
            selections: Arc::new(options.selections.clone()),
            hash_salt: options.hash_salt.clone(),
            session: Arc::new(Session::new(options, WhenGone::BeginAnew)?),
        })
    }
}

impl SnowflakeClient {
    /// Begins a session of its own for statements that belong together; the sign-in happens with
    /// the first of them.
    fn converse(&self) -> Conversation {
        Conversation::new(self.session.beside(WhenGone::Fail))
    }
}

impl std::fmt::Debug for SnowflakeClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnowflakeClient").field("session", &self.session).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
