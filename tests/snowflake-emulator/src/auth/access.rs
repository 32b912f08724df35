//! Access tokens: programmatic ones of a user, and those that the stub token endpoint issues.
//!
//! Both are random texts that mean something only here. They are kept as digests, so a dump of the
//! process's memory map or a `Debug` shows none.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};

use super::Refusal;

type Fingerprint = [u8; 32];

/// What a token opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// `AUTHENTICATOR = PROGRAMMATIC_ACCESS_TOKEN`, or in the place of a password.
    Programmatic,
    /// `AUTHENTICATOR = OAUTH`.
    OAuth,
}

#[derive(Debug)]
struct Issued {
    kind: TokenKind,
    user: String,
    /// The role that its sessions start with, if it names one.
    role: Option<String>,
    expires_s: i64,
}

/// A client of the token endpoint.
#[derive(Clone)]
pub(crate) struct OAuthClient {
    /// Digest of the secret.
    secret: Fingerprint,
    /// Whom its tokens speak for.
    user: String,
    /// Lifetime of its tokens in seconds.
    token_s: i64,
}

impl std::fmt::Debug for OAuthClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuthClient").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Whom a token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    /// The user's name, in upper case.
    pub(crate) user: String,
    /// The role that its sessions start with.
    pub(crate) role: Option<String>,
}

/// All access tokens and the clients that may ask for some.
#[derive(Debug, Default)]
pub(crate) struct AccessTokens {
    issued: Mutex<HashMap<Fingerprint, Issued>>,
    clients: Mutex<HashMap<String, OAuthClient>>,
}

impl AccessTokens {
    /// Makes a token that works until `expires_s` seconds since 1970.
    pub(crate) fn issue(
        &self,
        kind: TokenKind,
        user: &str,
        role: Option<String>,
        expires_s: i64,
    ) -> String {
        let mut bytes = [0; 48];
        rand::rng().fill_bytes(&mut bytes);
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let issued = Issued { kind, user: user.to_uppercase(), role, expires_s };
        let mut all = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(fingerprint(&token), issued);
        token
    }

    /// Makes all tokens of a kind expire now.
    pub(crate) fn expire(&self, kind: TokenKind) {
        let mut all = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        all.values_mut().filter(|issued| issued.kind == kind).for_each(|issued| {
            issued.expires_s = i64::MIN;
        });
    }

    /// Finds whom a token proves at `now_s`.
    ///
    /// # Errors
    /// [`Refusal`] in the words of the token's kind.
    pub(crate) fn prove(
        &self,
        kind: TokenKind,
        token: &str,
        login_name: Option<&str>,
        now_s: i64,
    ) -> Result<Proven, Refusal> {
        let all = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(&fingerprint(token)).filter(|issued| issued.kind == kind);
        let id = uuid::Uuid::new_v4();
        let Some(issued) = found else {
            return Err(match kind {
                TokenKind::Programmatic => {
                    Refusal::new("394400", "Programmatic access token is invalid.")
                }
                TokenKind::OAuth => {
                    Refusal::new("390303", format!("Invalid OAuth access token. [{id}]"))
                }
            });
        };
        if now_s >= issued.expires_s {
            return Err(match kind {
                TokenKind::Programmatic => {
                    Refusal::new("394400", "Programmatic access token is invalid.")
                }
                TokenKind::OAuth => {
                    Refusal::new("390318", format!("OAuth access token expired. [{id}]"))
                }
            });
        }
        let another = login_name
            .filter(|name| !name.is_empty())
            .is_some_and(|name| name.to_uppercase() != issued.user);
        if another {
            return Err(match kind {
                TokenKind::Programmatic => {
                    Refusal::new("394400", "Programmatic access token is invalid.")
                }
                TokenKind::OAuth => Refusal::new(
                    "390309",
                    "The user you were trying to authenticate as differs from the user tied to \
                     the access token.",
                ),
            });
        }
        Ok(Proven { user: issued.user.clone(), role: issued.role.clone() })
    }

    /// Registers a client of the token endpoint, or replaces the one of that id.
    pub(crate) fn put_client(&self, id: &str, secret: &str, user: &str, token_s: i64) {
        let client =
            OAuthClient { secret: fingerprint(secret), user: user.to_uppercase(), token_s };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.insert(id.to_owned(), client);
    }

    /// Grants a token to a client that proves itself: the token and its lifetime in seconds.
    pub(crate) fn grant(
        &self,
        id: &str,
        secret: &str,
        role: Option<String>,
        now_s: i64,
    ) -> Option<(String, i64)> {
        let client = {
            let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
            clients.get(id).filter(|client| client.secret == fingerprint(secret)).cloned()?
        };
        let expires_s = now_s.saturating_add(client.token_s);
        Some((self.issue(TokenKind::OAuth, &client.user, role, expires_s), client.token_s))
    }
}

fn fingerprint(text: &str) -> Fingerprint {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<Proven, Refusal>) -> String {
        result.map_or_else(|refusal| refusal.code.to_owned(), |proven| proven.user)
    }

    #[test]
    fn a_token_proves_its_user_until_it_expires_and_nobody_else() {
        let tokens = AccessTokens::default();
        for (kind, expired, another) in
            [(TokenKind::Programmatic, "394400", "394400"), (TokenKind::OAuth, "390318", "390309")]
        {
            let token = tokens.issue(kind, "anna", None, 100);
            assert_eq!(code(tokens.prove(kind, &token, Some("Anna"), 99)), "ANNA");
            assert_eq!(code(tokens.prove(kind, &token, None, 99)), "ANNA");
            assert_eq!(code(tokens.prove(kind, &token, Some("BEN"), 99)), another);
            assert_eq!(code(tokens.prove(kind, &token, None, 100)), expired);
            tokens.expire(kind);
            assert_eq!(code(tokens.prove(kind, &token, None, 0)), expired);
        }
        let token = tokens.issue(TokenKind::OAuth, "anna", None, 100);
        assert_eq!(code(tokens.prove(TokenKind::Programmatic, &token, None, 0)), "394400");
        assert_eq!(code(tokens.prove(TokenKind::OAuth, "made up", None, 0)), "390303");
    }

    #[test]
    fn only_a_client_with_its_secret_is_granted_a_token() {
        let tokens = AccessTokens::default();
        tokens.put_client("id", "secret", "anna", 600);
        assert_eq!(tokens.grant("id", "wrong", None, 0), None);
        assert_eq!(tokens.grant("other", "secret", None, 0), None);
        let (token, lifetime) = tokens.grant("id", "secret", Some("R".to_owned()), 0).unwrap();
        assert_eq!(lifetime, 600);
        let proven = tokens.prove(TokenKind::OAuth, &token, None, 599).unwrap();
        assert_eq!(proven, Proven { user: "ANNA".to_owned(), role: Some("R".to_owned()) });
    }
}
