//! Signing in, and keeping a session alive for any number of tasks at once.
//!
//! A session begins with the first request. Its parameters fix everything that could change what
//! a statement means or a text looks like: the zone, the timestamp formats, the result format.
//! A token that expired is renewed once, whoever notices first; a session that is gone is begun
//! anew. The request that noticed is repeated with its own request id.
//!
//! `CLIENT_APP_ID` is `Go`: the server chooses Arrow results by the id of a known client, and what
//! an unknown id gets is stated nowhere. `APPLICATION` says who we are.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::credential::{Credential, Secret};
use super::http::{Body, Call, Http, Reply, status_error};
use super::{ClientOptions, sql};
use crate::SnowflakeError;

/// The client that we present as, see the module's words.
const CLIENT_APP_ID: &str = "Go";
const CLIENT_APP_VERSION: &str = "2.1.0";

/// The drivers give a key-pair sign-in 10 s, because its token lives for a minute.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(10);

/// A statement's reply may take 45 s; the rest is for the way.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(90);

const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A clock that differs by less is not why a token was refused.
const SKEW_MIN_S: i64 = 5;

/// How often one request may find its session expired.
const RENEWALS_MAX: u32 = 3;

/// The reply to a request: envelope read, data still as text.
pub(super) struct Answer {
    body: Bytes,
    data: Range<usize>,
    pub(super) success: bool,
    /// Six digits, or empty.
    pub(super) code: String,
    pub(super) message: String,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(default)]
    success: bool,
}

impl Answer {
    fn parse(reply: Reply, step: &str) -> Result<Self, SnowflakeError> {
        let body = reply.body;
        let envelope: Envelope<'_> = serde_json::from_slice(&body).map_err(|error| {
            protocol(step, &format!("no JSON envelope: {:?} error", error.classify()))
        })?;
        let data = envelope.data.map_or("", RawValue::get);
        // The data stay where they are in the body; only their place is kept.
        let start = (data.as_ptr() as usize).checked_sub(body.as_ptr() as usize);
        let start = start.filter(|_| !data.is_empty()).unwrap_or(0);
        let range = start..start + data.len();
        let code = envelope.code.map_or("", RawValue::get).trim_matches('"').to_owned();
        let message = envelope.message.map(Cow::into_owned).unwrap_or_default();
        let success = envelope.success;
        Ok(Self { data: range, success, code, message, body })
    }

    /// Reads the data, borrowing from the reply.
    pub(super) fn data<'a, T: Deserialize<'a>>(&'a self, step: &str) -> Result<T, SnowflakeError> {
        let data = self.body.get(self.data.clone()).filter(|data| !data.is_empty());
        serde_json::from_slice(data.unwrap_or(b"null")).map_err(|error| {
            // The column of the error is enough to find it; its text could hold values.
            let place = (error.line(), error.column());
            protocol(step, &format!("unexpected data ({:?} error at {place:?})", error.classify()))
        })
    }

    /// Returns a part of the reply that `part`, borrowed from it, covers.
    pub(super) fn shared(&self, part: &str) -> Bytes {
        self.body.slice_ref(part.as_bytes())
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.code.as_str(), "333333" | "333334")
    }
}

/// A request within a session.
pub(super) struct Request<'a> {
    pub(super) step: &'static str,
    pub(super) method: Method,
    pub(super) path: &'a [&'a str],
    pub(super) body: Option<Bytes>,
    pub(super) timeout: Duration,
}

struct Tokens {
    session: Secret,
    master: Secret,
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
    options: ClientOptions,
    pub(super) http: Http,
    tokens: Mutex<Option<Arc<Tokens>>>,
    /// Lets one task at a time sign in or renew.
    gate: Semaphore,
    /// Seconds that the server's clock is ahead, once a token was refused for it.
    skew_s: AtomicI64,
    signed_in: Mutex<SignedIn>,
}

impl Session {
    pub(super) fn new(options: ClientOptions) -> Result<Self, SnowflakeError> {
        let http = Http::new(options.endpoint.clone(), options.retry.clone())?;
        Ok(Self {
            options,
            http,
            tokens: Mutex::new(None),
            gate: Semaphore::new(1),
            skew_s: AtomicI64::new(0),
            signed_in: Mutex::default(),
        })
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
    pub(super) async fn call(&self, request: &Request<'_>) -> Result<Answer, SnowflakeError> {
        let request_id = Uuid::new_v4();
        let mut renewals = 0;
        loop {
            let tokens = self.tokens().await?;
            let call = Call {
                step: request.step,
                method: request.method.clone(),
                path: request.path,
                query: &[],
                accept: "application/snowflake",
                token: Some(&tokens.session),
                body: request.body.clone().map_or(Body::Empty, Body::Json),
                request_id,
                timeout: request.timeout,
            };
            let reply = self.http.send(&call).await?;
            let status = reply.status;
            if status != StatusCode::OK && status != StatusCode::UNAUTHORIZED {
                return Err(status_error(request.step, status));
            }
            let answer = match status {
                StatusCode::OK => Some(Answer::parse(reply, request.step)?),
                _ => None,
            };
            let code = answer.as_ref().map_or("390104", |answer| answer.code.as_str());
            let renew = code == "390112";
            if !renew && !is_session_gone(code) {
                return answer.ok_or_else(|| status_error(request.step, status));
            }
            renewals += 1;
            if renewals > RENEWALS_MAX {
                return Err(protocol(request.step, "the session expires again and again"));
            }
            self.replace(&tokens, renew).await?;
        }
    }

    /// Ends the session; failures do not matter, the server ends it by itself after four hours.
    pub(super) async fn close(&self) {
        let Some(tokens) = lock(&self.tokens).take() else { return };
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
        };
        if self.http.send_once(&call).await.is_err() {
            tracing::debug!("the session was not closed");
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
    async fn replace(&self, failed: &Arc<Tokens>, renew: bool) -> Result<(), SnowflakeError> {
        let _turn = self.gate.acquire().await.map_err(|_| protocol("renew", "shut down"))?;
        let current = lock(&self.tokens).clone();
        if current.is_some_and(|current| !Arc::ptr_eq(&current, failed)) {
            return Ok(());
        }
        let renewed = if renew { self.renew(failed).await? } else { None };
        let tokens = match renewed {
            Some(tokens) => tokens,
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
        };
        let reply = self.http.send(&call).await?;
        if reply.status != StatusCode::OK {
            return Ok(None);
        }
        let answer = Answer::parse(reply, STEP)?;
        if !answer.success {
            return Ok(None);
        }
        let data: RenewData = answer.data(STEP)?;
        tracing::debug!("session renewed");
        Ok(Some(Tokens {
            session: Secret::new(data.session_token),
            master: Secret::new(data.master_token),
        }))
    }

    async fn sign_in(&self) -> Result<Tokens, SnowflakeError> {
        const STEP: &str = "sign in";
        let mut corrected = false;
        loop {
            let make = || self.sign_in_body();
            let query: Vec<(&str, &str)> =
                [("warehouse", &self.options.warehouse), ("roleName", &self.options.role)]
                    .into_iter()
                    .filter_map(|(key, value)| Some((key, value.as_deref()?)))
                    .collect();
            let call = Call {
                step: STEP,
                method: Method::POST,
                path: &["session", "v1", "login-request"],
                query: &query,
                accept: "application/snowflake",
                token: None,
                body: Body::Fresh(&make),
                request_id: Uuid::new_v4(),
                timeout: SIGN_IN_TIMEOUT,
            };
            let reply = self.http.send(&call).await?;
            let difference_s = reply.date_s.map(|server_s| server_s - now_s());
            if reply.status == StatusCode::FORBIDDEN {
                return Err(self.refused("403", "the host knows no such account"));
            }
            if reply.status != StatusCode::OK {
                return Err(status_error(STEP, reply.status));
            }
            let answer = Answer::parse(reply, STEP)?;
            if answer.success {
                return self.begun(&answer, difference_s);
            }
            let skewed = difference_s.filter(|difference| difference.abs() >= SKEW_MIN_S);
            match skewed {
                Some(difference) if answer.code == "390144" && !corrected => {
                    tracing::warn!(difference_s = difference, "the clock is wrong; corrected");
                    self.skew_s.store(difference, Ordering::Relaxed);
                    corrected = true;
                }
                _ => return Err(self.refused(&answer.code, &answer.message)),
            }
        }
    }

    fn sign_in_body(&self) -> Result<Bytes, SnowflakeError> {
        let options = &self.options;
        let mut data = json!({
            "CLIENT_APP_ID": CLIENT_APP_ID,
            "CLIENT_APP_VERSION": CLIENT_APP_VERSION,
            "SVN_REVISION": "",
            "ACCOUNT_NAME": options.account.name(),
            "LOGIN_NAME": options.user,
            "SESSION_PARAMETERS": sql::session_parameters(options),
            "CLIENT_ENVIRONMENT": {
                "APPLICATION": "Snowferry",
                "OS": std::env::consts::OS,
                "OS_VERSION": std::env::consts::ARCH,
            },
        });
        let proof = match &options.credential {
            Credential::Password(password) => json!({"PASSWORD": password.expose()}),
            Credential::KeyPair(pair) => {
                let now_s = now_s() + self.skew_s.load(Ordering::Relaxed);
                let token = pair.token(&options.account, &options.user, now_s)?;
                json!({"AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": token.expose()})
            }
        };
        if let (Value::Object(data), Value::Object(proof)) = (&mut data, proof) {
            data.extend(proof);
        }
        Ok(json!({ "data": data }).to_string().into())
    }

    fn begun(&self, answer: &Answer, difference_s: Option<i64>) -> Result<Tokens, SnowflakeError> {
        let data: SignInData = answer.data("sign in")?;
        let info = data.session_info.unwrap_or_default();
        *lock(&self.signed_in) = SignedIn {
            version: data.server_version.unwrap_or_default(),
            role: info.role_name,
            warehouse: info.warehouse_name,
            clock_difference_s: difference_s,
        };
        tracing::debug!("signed in");
        Ok(Tokens { session: Secret::new(data.token), master: Secret::new(data.master_token) })
    }

    fn refused(&self, code: &str, message: &str) -> SnowflakeError {
        let account = self.options.account.to_string();
        match code {
            "390422" => SnowflakeError::AddressBlocked { account, address: address_in(message) },
            "390201" => SnowflakeError::NoWarehouse { role: self.role() },
            _ => SnowflakeError::SignIn {
                account,
                user: self.options.user.clone(),
                code: code.to_owned(),
                reason: message.to_owned(),
            },
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("options", &self.options).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignInData {
    token: String,
    master_token: String,
    #[serde(default)]
    server_version: Option<String>,
    #[serde(default)]
    session_info: Option<SessionInfo>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SessionInfo {
    warehouse_name: Option<String>,
    role_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RenewData {
    session_token: String,
    master_token: String,
}

/// Codes after which only a new session helps.
fn is_session_gone(code: &str) -> bool {
    matches!(code, "390104" | "390110" | "390111" | "390113" | "390114" | "390115" | "390400")
}

/// `Incoming request with IP/Token 203.0.113.9 is not allowed to access Snowflake. …`
fn address_in(message: &str) -> String {
    let after = message.split_once("IP/Token ").map_or(message, |(_, after)| after);
    let word = after.split_whitespace().next().unwrap_or_default().trim_end_matches(['.', ',']);
    match word.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => "of this machine".to_owned(),
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn protocol(step: &str, reason: &str) -> SnowflakeError {
    SnowflakeError::Protocol { step: step.to_owned(), reason: reason.to_owned() }
}
