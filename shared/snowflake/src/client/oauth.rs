//! OAuth client credentials: an access token of the customer's identity provider, fetched before
//! the old one ends (RFC 6749, section 4.4).
//!
//! The client authenticates by HTTP Basic, which every provider must support; one that refuses it
//! all the same is asked once more with the credentials in the form.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::account::is_token_host;
use super::credential::Secret;
use super::http::Http;
use super::session::lock;
use crate::SnowflakeError;

const STEP: &str = "fetch an access token";

/// A token is replaced this long before it ends: a sign-in may be tried for some minutes.
const RENEW_BEFORE: Duration = Duration::from_secs(120);

/// How long a token is used whose lifetime the provider does not tell (it only recommends to).
const LIFE_UNSAID: Duration = Duration::from_secs(300);

/// A confidential client at the customer's identity provider.
#[derive(Clone)]
pub struct OAuthClient {
    endpoint: Url,
    id: String,
    secret: Secret,
    scope: Option<String>,
}

impl OAuthClient {
    /// Takes the token endpoint and the client. The secret is sent to that endpoint only.
    ///
    /// # Errors
    /// [`SnowflakeError::Request`] for an endpoint that is not a plain `https` URL (`http` only on
    /// loopback), or one at an address that belongs to no server.
    pub fn new(
        endpoint: &str,
        id: impl Into<String>,
        secret: Secret,
        scope: Option<String>,
    ) -> Result<Self, SnowflakeError> {
        let endpoint = Url::parse(endpoint).ok().filter(is_token_host).ok_or_else(|| {
            SnowflakeError::Request {
                object: "the token endpoint".to_owned(),
                reason: "it must be https://HOST/PATH without user and fragment".to_owned(),
            }
        })?;
        Ok(Self { endpoint, id: id.into(), secret, scope })
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    fn form(&self, with_client: bool) -> Secret {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        if with_client {
            form.append_pair("client_id", &self.id);
            form.append_pair("client_secret", self.secret.expose());
        }
        Secret::new(form.finish())
    }

    fn basic(&self) -> Option<HeaderMap> {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encoded(&self.id), encoded(self.secret.expose()));
        let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
        value.set_sensitive(true);
        Some(HeaderMap::from_iter([(AUTHORIZATION, value)]))
    }
}

impl std::fmt::Debug for OAuthClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuthClient")
            .field("host", &self.endpoint.host_str())
            .finish_non_exhaustive()
    }
}

struct Held {
    token: Secret,
    until: Instant,
}

/// The token in use, shared by the sessions of one client.
#[derive(Clone, Default)]
pub(super) struct TokenCache(Arc<Mutex<Option<Held>>>);

impl TokenCache {
    /// Returns a token that is valid for a while, fetching one if need be.
    pub(super) async fn token(
        &self,
        http: &Http,
        client: &OAuthClient,
    ) -> Result<Secret, SnowflakeError> {
        let now = Instant::now();
        if let Some(held) = lock(&self.0).as_ref().filter(|held| held.until > now) {
            return Ok(held.token.clone());
        }
        let granted = fetch(http, client).await?;
        let life = granted.expires_in.map_or(LIFE_UNSAID, Duration::from_secs);
        let until = now + life.saturating_sub(RENEW_BEFORE.min(life / 2));
        let token = Secret::new(granted.access_token);
        *lock(&self.0) = Some(Held { token: token.clone(), until });
        Ok(token)
    }

    pub(super) fn held(&self) -> Option<Secret> {
        lock(&self.0).as_ref().map(|held| held.token.clone())
    }

    pub(super) fn forget(&self) {
        lock(&self.0).take();
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

async fn fetch(http: &Http, client: &OAuthClient) -> Result<Granted, SnowflakeError> {
    let refuse = |reason: String| SnowflakeError::Credential {
        name: format!("of the OAuth client at {}", client.endpoint.host_str().unwrap_or_default()),
        reason,
    };
    let basic = client.basic().ok_or_else(|| refuse("its id or secret is unusable".to_owned()))?;
    let url = &client.endpoint;
    let first = http.post_form(STEP, url, basic, client.form(false)).await?;
    let (status, body) = match first.0.as_u16() {
        400 | 401 => http.post_form(STEP, url, HeaderMap::new(), client.form(true)).await?,
        _ => first,
    };
    if !status.is_success() {
        // The provider's words stay out: some repeat what they were sent.
        let error =
            serde_json::from_slice::<Refusal>(&body).ok().and_then(|refusal| refusal.known());
        let word = error.map(|word| format!(" ({word})")).unwrap_or_default();
        return Err(refuse(format!("the token endpoint answered {}{word}", status.as_u16())));
    }
    serde_json::from_slice(&body)
        .map_err(|_| refuse("the token endpoint's answer holds no access token".to_owned()))
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Refusal {
    /// Returns the error if it is one of RFC 6749, section 5.2.
    fn known(&self) -> Option<&'static str> {
        const WORDS: [&str; 6] = [
            "invalid_request",
            "invalid_client",
            "invalid_grant",
            "unauthorized_client",
            "unsupported_grant_type",
            "invalid_scope",
        ];
        WORDS.into_iter().find(|word| *word == self.error)
    }
}
