//! Keeping a session alive for any number of tasks at once.
//!
//! A session begins with the first request. Its parameters fix everything that could change what
//! a statement means or a text looks like: the zone, the timestamp formats, the result format.
//! A token that expired is renewed once, whoever notices first; a session that is gone is begun
//! anew, unless statements in it belong together ([`WhenGone::Fail`]). The request that noticed is
//! repeated with its own request id. A session that only its downloads keep busy is kept alive by
//! heartbeats, and one that is dropped is closed at the server.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::ClientOptions;
use super::answer::Answer;
use super::credential::Secret;
use super::http::{Body, Call, Http, status_error};
use super::oauth::TokenCache;
use crate::SnowflakeError;

/// The drivers give a key-pair sign-in 10 s, because its token lives for a minute.
pub(super) const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(10);

/// A statement's reply may take 45 s; the rest is for the way.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(90);

const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often one request may find its session expired.
const RENEWALS_MAX: u32 = 3;

/// A request within a session.
pub(super) struct Request<'a> {
    pub(super) step: &'static str,
    pub(super) method: Method,
    pub(super) path: &'a [&'a str],
    pub(super) accept: &'static str,
    pub(super) body: Option<Bytes>,
    pub(super) timeout: Duration,
    /// The same for a request that is sent once more to learn how it ended.
    pub(super) request_id: Uuid,
    /// Set while the request may have reached the server and no answer to it came.
    pub(super) unanswered: Option<&'a AtomicBool>,
}

impl<'a> Request<'a> {
    pub(super) fn new(step: &'static str, method: Method, path: &'a [&'a str]) -> Self {
        Self {
            step,
            method,
            path,
            accept: "application/snowflake",
            body: None,
            timeout: REPLY_TIMEOUT,
            request_id: Uuid::new_v4(),
            unanswered: None,
        }
    }
}

/// What happens to a request whose session the server has forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenGone {
    /// It is sent in a new session: every statement stands for itself.
    BeginAnew,
    /// It fails: an open transaction and temporary objects went with the session.
    Fail,
}

pub(super) struct Tokens {
    pub(super) session: Secret,
    pub(super) master: Secret,
}

/// What the server said when the session began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SignedIn {
    pub(super) version: String,
    pub(super) role: Option<String>,
    pub(super) warehouse: Option<String>,
    /// Server clock minus ours.
    pub(super) clock_difference_s: Option<i64>,
}

/// One session, shared by all tasks of a client.
pub(super) struct Session {
    pub(super) options: ClientOptions,
    pub(super) http: Http,
    when_gone: WhenGone,
    tokens: Mutex<Option<Arc<Tokens>>>,
    /// Lets one task at a time sign in or renew.
    gate: Semaphore,
    /// Seconds that the server's clock is ahead, once a token was refused for it.
    pub(super) skew_s: AtomicI64,
    /// Which of the credential's keys the server took last.
    pub(super) key_in_use: AtomicUsize,
    pub(super) oauth: TokenCache,
    pub(super) signed_in: Mutex<SignedIn>,
    last_request: Mutex<Instant>,
}

impl Session {
    pub(super) fn new(options: ClientOptions, when_gone: WhenGone) -> Result<Self, SnowflakeError> {
        let http = Http::new(&options)?;
        Ok(Self {
            options,
            http,
            when_gone,
            tokens: Mutex::new(None),
            gate: Semaphore::new(1),
            skew_s: AtomicI64::new(0),
            key_in_use: AtomicUsize::new(0),
            oauth: TokenCache::default(),
            signed_in: Mutex::default(),
            last_request: Mutex::new(Instant::now()),
        })
    }

    /// Prepares another session of the same user, which begins with its first request.
    pub(super) fn beside(&self, when_gone: WhenGone) -> Self {
        Self {
            options: self.options.clone(),
            http: self.http.clone(),
            when_gone,
            tokens: Mutex::new(None),
            gate: Semaphore::new(1),
            skew_s: AtomicI64::new(self.skew_s.load(Ordering::Relaxed)),
            key_in_use: AtomicUsize::new(self.key_in_use.load(Ordering::Relaxed)),
            oauth: self.oauth.clone(),
            signed_in: Mutex::default(),
            last_request: Mutex::new(Instant::now()),
        }
    }

    /// Returns whether statements of this session belong together.
    pub(super) fn is_pinned(&self) -> bool {
        self.when_gone == WhenGone::Fail
    }

    /// Returns what the server said at sign-in; signs in if that has not happened.
    pub(super) async fn signed_in(&self) -> Result<SignedIn, SnowflakeError> {
        self.tokens().await?;
        Ok(lock(&self.signed_in).clone())
    }

    /// Returns the role in use, as far as known.
    pub(super) fn role(&self) -> String {
        let current = lock(&self.signed_in).role.clone();
        let named = current.or_else(|| self.options.role.clone());
        named.unwrap_or_else(|| "the user's default role".to_owned())
    }

    /// Sends a request with the session's token; renews or begins the session as needed.
    ///
    /// # Errors
    /// [`SnowflakeError::SessionLost`] when the session must not be begun anew.
    pub(super) async fn call(&self, request: &Request<'_>) -> Result<Answer, SnowflakeError> {
        let mut renewals = 0;
        loop {
            let tokens = self.tokens().await?;
            let call = Call {
                step: request.step,
                method: request.method.clone(),
                path: request.path,
                query: &[],
                accept: request.accept,
                token: Some(&tokens.session),
                body: request.body.clone().map_or(Body::Empty, Body::Json),
                request_id: request.request_id,
                timeout: request.timeout,
                unanswered: request.unanswered,
            };
            *lock(&self.last_request) = Instant::now();
            let reply = self.http.send(&call).await?;
            let (status, answer) = (reply.status, reply.answer);
            if answer.is_none() && status != StatusCode::UNAUTHORIZED {
                return Err(status_error(request.step, status));
            }
            let code = answer.as_ref().map_or("390104", |answer| answer.code.as_str());
            let renew = code == "390112";
            if !renew && !is_session_gone(code) {
                return answer.ok_or_else(|| status_error(request.step, status));
            }
            renewals += 1;
            if renewals > RENEWALS_MAX {
                return Err(protocol(request.step, "the session expires again and again"));
            }
            self.replace(&tokens, renew, request.step).await?;
        }
    }

    /// Tells the server that the session is in use, if it has not heard of it for a while.
    ///
    /// A read whose chunks come from cloud storage sends the server nothing for hours. Failures
    /// do not matter: a session that is gone is noticed by its next request.
    pub(super) async fn keep_alive(&self) {
        {
            let mut last = lock(&self.last_request);
            if last.elapsed() < self.options.heartbeat_every {
                return;
            }
            *last = Instant::now();
        }
        let path = ["session", "heartbeat"];
        let mut request = Request::new("keep the session alive", Method::POST, &path);
        request.timeout = SIGN_IN_TIMEOUT;
        if self.call(&request).await.is_err() {
            tracing::debug!("the session was not kept alive");
        }
    }

    /// Ends the session; failures do not matter, the server ends it by itself after four hours.
    pub(super) async fn close(&self) {
        let tokens = lock(&self.tokens).take();
        if let Some(tokens) = tokens {
            close(&self.http, &tokens).await;
        }
    }

    async fn tokens(&self) -> Result<Arc<Tokens>, SnowflakeError> {
        if let Some(tokens) = lock(&self.tokens).clone() {
            return Ok(tokens);
        }
        let _turn = self.gate.acquire().await.map_err(|_| protocol("sign in", "shut down"))?;
        if let Some(tokens) = lock(&self.tokens).clone() {
            return Ok(tokens);
        }
        let tokens = Arc::new(self.sign_in().await?);
        *lock(&self.tokens) = Some(Arc::clone(&tokens));
        Ok(tokens)
    }

    /// Replaces tokens that failed, unless another task has done so.
    async fn replace(
        &self,
        failed: &Arc<Tokens>,
        renew: bool,
        step: &str,
    ) -> Result<(), SnowflakeError> {
        let _turn = self.gate.acquire().await.map_err(|_| protocol("renew", "shut down"))?;
        let current = lock(&self.tokens).clone();
        if current.is_some_and(|current| !Arc::ptr_eq(&current, failed)) {
            return Ok(());
        }
        let renewed = if renew { self.renew(failed).await? } else { None };
        let tokens = match renewed {
            Some(tokens) => tokens,
            None if self.when_gone == WhenGone::Fail => {
                return Err(SnowflakeError::SessionLost { step: step.to_owned() });
            }
            None => self.sign_in().await?,
        };
        *lock(&self.tokens) = Some(Arc::new(tokens));
        Ok(())
    }

    /// Asks for new tokens; `None` when a new session is needed.
    async fn renew(&self, failed: &Tokens) -> Result<Option<Tokens>, SnowflakeError> {
        const STEP: &str = "renew the session";
        let body =
            json!({"oldSessionToken": failed.session.expose(), "requestType": "RENEW"}).to_string();
        let call = Call {
            step: STEP,
            method: Method::POST,
            path: &["session", "token-request"],
            query: &[],
            accept: "application/json",
            token: Some(&failed.master),
            body: Body::Json(body.into()),
            request_id: Uuid::new_v4(),
            timeout: SIGN_IN_TIMEOUT,
            unanswered: None,
        };
        let reply = self.http.send(&call).await?;
        let Some(answer) = reply.answer.filter(|answer| answer.success) else { return Ok(None) };
        let data: RenewData = answer.data(STEP)?;
        tracing::debug!("session renewed");
        Ok(Some(Tokens {
            session: Secret::new(data.session_token),
            master: data.master_token.map_or_else(|| failed.master.clone(), Secret::new),
        }))
    }
}

async fn close(http: &Http, tokens: &Tokens) {
    let call = Call {
        step: "close the session",
        method: Method::POST,
        path: &["session"],
        query: &[("delete", "true")],
        accept: "application/json",
        token: Some(&tokens.session),
        body: Body::Empty,
        request_id: Uuid::new_v4(),
        timeout: CLOSE_TIMEOUT,
        unanswered: None,
    };
    if http.send_once(&call).await.is_err() {
        tracing::debug!("the session was not closed");
    }
}

impl Drop for Session {
    /// Closes the session at the server as far as a runtime is there to do it.
    fn drop(&mut self) {
        let Some(tokens) = lock(&self.tokens).take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let http = self.http.clone();
            runtime.spawn(async move { close(&http, &tokens).await });
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The answer to a renewal. Servers are seen with both spellings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RenewData {
    #[serde(alias = "token")]
    session_token: String,
    /// Absent where the old one stays valid.
    #[serde(default)]
    master_token: Option<String>,
}

/// Codes after which only a new session helps.
fn is_session_gone(code: &str) -> bool {
    matches!(code, "390104" | "390110" | "390111" | "390113" | "390114" | "390115" | "390400")
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn protocol(step: &str, reason: &str) -> SnowflakeError {
    SnowflakeError::Protocol { step: step.to_owned(), reason: reason.to_owned() }
}
