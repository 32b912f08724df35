//! Who may sign in: users, passwords, public keys, and the check of a key-pair token.
//!
//! A refusal carries the code that the real service gives to a client and nothing more; what
//! exactly was wrong stays in the log, as it does there.

mod access;
mod jwt;
mod key_pair;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

pub(crate) use access::{AccessTokens, Proven, TokenKind};
pub(crate) use key_pair::{KeyPair, PublicKey};

/// Why a sign-in was refused, as the client learns it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Six digits, `390100` and the like.
    pub(crate) code: &'static str,
    /// The message as the service words it.
    pub(crate) message: String,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    fn password() -> Self {
        Self::new("390100", "Incorrect username or password was specified.")
    }
}

/// Which of a user's two public keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeySlot {
    /// `RSA_PUBLIC_KEY`.
    First,
    /// `RSA_PUBLIC_KEY_2`.
    Second,
}

/// A user of the account.
#[derive(Clone)]
pub(crate) struct User {
    /// The name in upper case.
    pub(crate) name: String,
    /// `None` for a user that signs in with keys only.
    pub(crate) password: Option<String>,
    /// `RSA_PUBLIC_KEY` and `RSA_PUBLIC_KEY_2`.
    pub(crate) public_keys: [Option<PublicKey>; 2],
    /// The role of a session that names none.
    pub(crate) default_role: String,
    /// The warehouse of a session that names none.
    pub(crate) default_warehouse: String,
}

impl User {
    /// One of the two public keys.
    pub(crate) fn key_mut(&mut self, slot: KeySlot) -> &mut Option<PublicKey> {
        let [first, second] = &mut self.public_keys;
        match slot {
            KeySlot::First => first,
            KeySlot::Second => second,
        }
    }
}

/// What a client sent to sign in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credentials<'a> {
    /// `LOGIN_NAME`, which some drivers leave out with a key-pair token.
    pub(crate) login_name: Option<&'a str>,
    /// `PASSWORD`.
    pub(crate) password: Option<&'a str>,
    /// `AUTHENTICATOR`; none means password.
    pub(crate) authenticator: Option<&'a str>,
    /// `TOKEN`.
    pub(crate) token: Option<&'a str>,
}

/// The users of one account.
pub(crate) struct Users {
    account: String,
    by_name: RwLock<BTreeMap<String, User>>,
    /// Tokens that prove a user.
    pub(crate) access: AccessTokens,
}

impl Users {
    /// Starts with no user.
    pub(crate) fn new(account: &str) -> Self {
        Self {
            account: account.to_uppercase(),
            by_name: RwLock::default(),
            access: AccessTokens::default(),
        }
    }

    /// Adds `user`, or replaces the one of that name.
    pub(crate) fn put(&self, user: User) {
        let mut users = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        users.insert(user.name.clone(), user);
    }

    /// Sets or clears a public key and returns whether the user exists.
    pub(crate) fn set_public_key(&self, name: &str, slot: KeySlot, key: Option<PublicKey>) -> bool {
        let mut users = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let Some(user) = users.get_mut(&name.to_uppercase()) else { return false };
        *user.key_mut(slot) = key;
        true
    }

    /// Finds the user that `credentials` prove, at `now_s` seconds since 1970.
    ///
    /// # Errors
    /// [`Refusal`] with 390100 for a password, 390144 for a key-pair token, and the code of the
    /// method for what this emulator does not offer.
    pub(crate) fn sign_in(
        &self,
        credentials: Credentials<'_>,
        now_s: i64,
    ) -> Result<User, Refusal> {
        let authenticator = credentials.authenticator.unwrap_or("SNOWFLAKE").to_uppercase();
        match authenticator.as_str() {
            "SNOWFLAKE" => self.by_password(credentials, now_s),
            "SNOWFLAKE_JWT" => self.by_key_pair(credentials, now_s),
            "PROGRAMMATIC_ACCESS_TOKEN" => {
                self.by_token(TokenKind::Programmatic, credentials, now_s)
            }
            "OAUTH" => self.by_token(TokenKind::OAuth, credentials, now_s),
            other => Err(Refusal::new(
                "390400",
                format!("Authenticator {other} is not offered by this emulator."),
            )),
        }
    }

    fn by_token(
        &self,
        kind: TokenKind,
        credentials: Credentials<'_>,
        now_s: i64,
    ) -> Result<User, Refusal> {
        let token = credentials.token.or(credentials.password).unwrap_or_default();
        let proven = self.access.prove(kind, token, credentials.login_name, now_s)?;
        self.proven(proven)
    }

    /// The user of a token, with the role that the token names.
    fn proven(&self, proven: Proven) -> Result<User, Refusal> {
        let mut user = self.find(&proven.user).ok_or_else(Refusal::password)?;
        if let Some(role) = proven.role {
            user.default_role = role;
        }
        Ok(user)
    }

    /// A password, or a programmatic access token in its place.
    fn by_password(&self, credentials: Credentials<'_>, now_s: i64) -> Result<User, Refusal> {
        let name = credentials.login_name.ok_or_else(Refusal::password)?;
        let given = credentials.password.ok_or_else(Refusal::password)?;
        let user = self.find(name).ok_or_else(Refusal::password)?;
        if user.password.as_deref() == Some(given) {
            return Ok(user);
        }
        let proven = self.access.prove(TokenKind::Programmatic, given, Some(name), now_s);
        self.proven(proven.map_err(|_| Refusal::password())?)
    }

    fn by_key_pair(&self, credentials: Credentials<'_>, now_s: i64) -> Result<User, Refusal> {
        let refusal = |reason: &'static str| {
            let id = uuid::Uuid::new_v4();
            tracing::info!(%id, reason, "key-pair token refused");
            Refusal::new("390144", format!("JWT token is invalid. [{id}]"))
        };
        let token = credentials.token.ok_or_else(|| refusal("no token"))?;
        let claimed = jwt::claimed_user(token, &self.account).map_err(refusal)?;
        if credentials.login_name.is_some_and(|name| name.to_uppercase() != claimed) {
            return Err(refusal("token of another user"));
        }
        let user = self.find(&claimed).ok_or_else(|| refusal("unknown user"))?;
        jwt::verify(token, &self.account, &user, now_s).map_err(refusal)?;
        Ok(user)
    }

    /// Whether there is a user of that name.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// All users.
    pub(crate) fn list(&self) -> Vec<User> {
        let users = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        users.values().cloned().collect()
    }

    /// Drops a user and returns whether there was one.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut users = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        users.remove(name).is_some()
    }

    /// The user of a name, in any case.
    pub(crate) fn find(&self, name: &str) -> Option<User> {
        let users = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        users.get(&name.to_uppercase()).cloned()
    }
}
