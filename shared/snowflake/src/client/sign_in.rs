//! Signing in: one attempt after another, each with a proof that is made for it.
//!
//! A sign-in token lives for a minute and is signed anew for every attempt. A refused token has
//! three causes that pass without anybody: our clock is wrong (corrected once, from the date of
//! the server's reply), the user's key was rotated (the second key is tried), or an access token
//! ended early (a new one is fetched once). Every other refusal stays; a 403 is never tried again.
//!
//! `CLIENT_APP_ID` is `Go`: the server chooses Arrow results by the id of a known client, and what
//! an unknown id gets is stated nowhere. `APPLICATION` says who we are.

use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::Answer;
use super::credential::{Credential, Secret};
use super::http::{Body, Call, status_error};
use super::session::{SIGN_IN_TIMEOUT, Session, SignedIn, Tokens, lock};
use super::sql;
use crate::SnowflakeError;

/// The client that we present as, see the module's words.
const CLIENT_APP_ID: &str = "Go";
const CLIENT_APP_VERSION: &str = "2.1.0";

const STEP: &str = "sign in";

/// A clock that differs by less is not why a token was refused.
const SKEW_MIN_S: i64 = 5;

/// What was already tried in one sign-in; each remedy is applied once.
#[derive(Default)]
struct Remedies {
    clock: bool,
    other_key: bool,
    new_token: bool,
}

impl Session {
    pub(super) async fn sign_in(&self) -> Result<Tokens, SnowflakeError> {
        let mut tried = Remedies::default();
        loop {
            let access_token = match &self.options.credential {
                Credential::OAuth(client) => Some(self.oauth.token(&self.http, client).await?),
                _ => None,
            };
            let make = || self.sign_in_body(access_token.as_ref());
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
                unanswered: None,
            };
            let reply = self.http.send(&call).await?;
            let difference_s = reply.date_s.map(|server_s| server_s - now_s());
            if reply.status == StatusCode::FORBIDDEN {
                return Err(self.refused("403", "the host knows no such account"));
            }
            let Some(answer) = reply.answer else {
                return Err(status_error(STEP, reply.status));
            };
            if answer.success {
                return self.begun(&answer, difference_s);
            }
            if !self.remedied(&answer.code, difference_s, &mut tried) {
                return Err(self.refused(&answer.code, &answer.message));
            }
        }
    }

    /// Takes away what may have caused a refusal; `false` when nothing is left to try.
    fn remedied(&self, code: &str, difference_s: Option<i64>, tried: &mut Remedies) -> bool {
        match (&self.options.credential, code) {
            (Credential::KeyPair(pair), "390144") => {
                let skewed = difference_s.filter(|difference| difference.abs() >= SKEW_MIN_S);
                if let Some(difference) = skewed.filter(|_| !tried.clock) {
                    tracing::warn!(difference_s = difference, "the clock is wrong; corrected");
                    self.skew_s.store(difference, Ordering::Relaxed);
                    tried.clock = true;
                    return true;
                }
                if pair.next().is_some() && !tried.other_key {
                    tracing::info!("the key was refused; trying the connection's other key");
                    self.key_in_use.fetch_xor(1, Ordering::Relaxed);
                    tried.other_key = true;
                    return true;
                }
                false
            }
            (Credential::OAuth(_), "390303" | "390318") if !tried.new_token => {
                self.oauth.forget();
                tried.new_token = true;
                true
            }
            _ => false,
        }
    }

    fn sign_in_body(&self, access_token: Option<&Secret>) -> Result<Bytes, SnowflakeError> {
        let options = &self.options;
        let mut data = json!({
            "CLIENT_APP_ID": CLIENT_APP_ID,
            "CLIENT_APP_VERSION": CLIENT_APP_VERSION,
            "SVN_REVISION": "",
            "ACCOUNT_NAME": options.account.name(),
            "LOGIN_NAME": options.user,
            "SESSION_PARAMETERS": sql::session_parameters(options, self.is_pinned()),
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
                let pair = match (self.key_in_use.load(Ordering::Relaxed), pair.next()) {
                    (1, Some(next)) => next,
                    _ => pair,
                };
                let token = pair.token(&options.account, &options.user, now_s)?;
                json!({"AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": token.expose()})
            }
            Credential::AccessToken(token) => {
                json!({"AUTHENTICATOR": "PROGRAMMATIC_ACCESS_TOKEN", "TOKEN": token.expose()})
            }
            Credential::OAuth(_) => {
                let token = access_token.map(Secret::expose);
                json!({"AUTHENTICATOR": "OAUTH", "TOKEN": token})
            }
        };
        if let (Value::Object(data), Value::Object(proof)) = (&mut data, proof) {
            data.extend(proof);
        }
        Ok(json!({ "data": data }).to_string().into())
    }

    fn begun(&self, answer: &Answer, difference_s: Option<i64>) -> Result<Tokens, SnowflakeError> {
        let data: SignInData = answer.data(STEP)?;
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
                reason: self.without_secrets(message),
            },
        }
    }

    /// Repeats the server's sentence unless it holds what the user proves itself with.
    fn without_secrets(&self, message: &str) -> String {
        let holds = |secret: &Secret| message.contains(secret.expose());
        let leaks = match &self.options.credential {
            Credential::Password(secret) | Credential::AccessToken(secret) => holds(secret),
            Credential::OAuth(client) => {
                holds(client.secret()) || self.oauth.held().is_some_and(|token| holds(&token))
            }
            // The server names a refused token by an id, never by itself.
            Credential::KeyPair(_) => message.contains("eyJ"),
        };
        if leaks { String::new() } else { message.to_owned() }
    }
}

/// Reads the reply to a sign-in and returns the length of its token.
pub(super) fn signed_in_as(answer: &Answer) -> Result<usize, SnowflakeError> {
    answer.data::<SignInData>(STEP).map(|data| data.token.len())
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
