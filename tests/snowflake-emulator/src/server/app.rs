//! What all requests share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::faults::Faults;
use super::observe::Counters;
use super::options::EmulatorOptions;
use super::runner::Runner;
use crate::auth::Users;
use crate::engine::SessionContext;
use crate::results::cache::ResultCache;
use crate::results::links::Links;
use crate::results::queries::Queries;
use crate::results::writer::PartSizes;
use crate::session::{Lifetimes, Sessions, parameters};
use crate::stages::{S3Endpoint, Stages};

pub(crate) use crate::account::ACCOUNT;

/// The user that exists from the start.
pub(crate) const USER: &str = "SNOWFERRY";
/// The default role of that user.
pub(crate) const ROLE: &str = "SYSADMIN";
/// The default warehouse of that user.
pub(crate) const WAREHOUSE: &str = "COMPUTE_WH";
/// CLIENT_RESULT_CHUNK_SIZE of a session that has not set it; others scale chunks against it.
const DEFAULT_CHUNK_SIZE: usize = 160;
/// A master token outlives a session token this many times: 4 h to 1 h.
const MASTER_FACTOR: u64 = 4;

/// The state of a running emulator.
pub(crate) struct App {
    pub(crate) options: EmulatorOptions,
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) base_url: String,
    pub(crate) folder: PathBuf,
    pub(crate) users: Arc<Users>,
    pub(crate) sessions: Sessions,
    pub(crate) queries: Queries,
    pub(crate) cache: ResultCache,
    pub(crate) links: Links,
    pub(crate) faults: Faults,
    pub(crate) counters: Counters,
    pub(crate) stages: Arc<Stages>,
}

impl App {
    /// Puts the state together; nothing listens yet.
    pub(crate) fn new(
        options: EmulatorOptions,
        runner: Arc<dyn Runner>,
        base_url: String,
        folder: PathBuf,
    ) -> Self {
        let lifetimes = Lifetimes {
            session: Duration::from_secs(options.session_seconds),
            master: Duration::from_secs(options.session_seconds.saturating_mul(MASTER_FACTOR)),
        };
        let stages = runner.stages();
        stages.configure(folder.clone(), options.stage_bytes);
        if let Some(endpoint) = options.s3_endpoint.as_deref().and_then(S3Endpoint::parse) {
            stages.set_s3(endpoint);
        }
        Self {
            stages,
            links: Links::new(options.link_seconds),
            users: Arc::clone(&runner.account().users),
            options,
            runner,
            base_url,
            folder,
            sessions: Sessions::new(lifetimes),
            queries: Queries::default(),
            cache: ResultCache::default(),
            faults: Faults::default(),
            counters: Counters::default(),
        }
    }

    /// Returns the sizes of the parts of a result in `context`.
    pub(crate) fn part_sizes(&self, context: &SessionContext) -> PartSizes {
        let asked = parameters::number(context, "CLIENT_RESULT_CHUNK_SIZE")
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(DEFAULT_CHUNK_SIZE);
        let chunk_bytes = self.options.chunk_bytes.saturating_mul(asked) / DEFAULT_CHUNK_SIZE;
        PartSizes {
            inline_rows: self.options.inline_rows,
            chunk_bytes: chunk_bytes.max(1),
            batch_rows: self.options.batch_rows,
        }
    }
}

/// Returns milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Returns seconds since 1970.
pub(crate) fn now_s() -> i64 {
    now_ms().div_euclid(1000)
}

/// Returns the moment that token lifetimes are measured from.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the context in which scripts of the emulator's owner run.
pub(crate) fn owner_context() -> SessionContext {
    SessionContext {
        user: USER.to_owned(),
        account: ACCOUNT.to_owned(),
        role: Some("ACCOUNTADMIN".to_owned()),
        warehouse: Some(WAREHOUSE.to_owned()),
        ..SessionContext::default()
    }
}
