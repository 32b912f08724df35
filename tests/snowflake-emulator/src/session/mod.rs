//! Sessions and their tokens: made at login, renewed with the master token, closed or expired.
//!
//! A session lives as long as its master token. Session tokens come and go inside it; an old one
//! stays known, so that a late request learns "expired" (renew) and not "never seen" (log in).

pub(crate) mod parameters;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use rand::RngCore as _;

use crate::engine::SessionContext;

/// Tokens live this long from the moment they are issued.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    /// Session token; 3,600 s at the real service.
    pub(crate) session: Duration,
    /// Master token; 14,400 s at the real service.
    pub(crate) master: Duration,
}

/// What kind of token a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenKind {
    Session,
    Master,
}

#[derive(Debug)]
struct Token {
    session_id: u64,
    kind: TokenKind,
    expires: Instant,
}

/// A pair of fresh tokens.
#[derive(Clone, Debug)]
pub(crate) struct TokenPair {
    /// For requests.
    pub(crate) session: String,
    /// For renewal.
    pub(crate) master: String,
}

/// Why a token does not open its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenRefusal {
    /// The session token is none of ours.
    SessionInvalid,
    /// The session was closed.
    SessionGone,
    /// The session token is too old: renew.
    SessionExpired,
    /// There was no master token.
    MasterMissing,
    /// The master token is too old: log in again.
    MasterExpired,
    /// The master token is none of ours.
    MasterInvalid,
    /// The old session token is not one of this session.
    WrongOldToken,
}

impl TokenRefusal {
    /// Returns the service's code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::SessionInvalid => "390104",
            Self::SessionGone => "390111",
            Self::SessionExpired => "390112",
            Self::MasterMissing => "390113",
            Self::MasterExpired => "390114",
            Self::MasterInvalid => "390115",
            Self::WrongOldToken => "390400",
        }
    }

    /// Returns the service's words.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::SessionInvalid => "Session token is invalid.",
            Self::SessionGone => {
                "Session no longer exists. New login required to access the service."
            }
            Self::SessionExpired => {
                "Authentication token has expired. The user must authenticate again."
            }
            Self::MasterMissing => "Master token not found.",
            Self::MasterExpired => {
                "Authentication token has expired. The user must authenticate again."
            }
            Self::MasterInvalid => "Master token is invalid.",
            Self::WrongOldToken => "Bad request: the old session token is not one of this session.",
        }
    }
}

/// One signed-in client.
#[derive(Debug)]
pub(crate) struct Session {
    /// The number in every answer.
    pub(crate) id: u64,
    /// The user's name.
    pub(crate) user: String,
    /// `CLIENT_APP_ID`, which governs the result format.
    pub(crate) client: String,
    /// Role, warehouse, database, schema and parameters.
    context: Mutex<SessionContext>,
}

impl Session {
    /// Returns the context as it is now.
    pub(crate) fn context(&self) -> SessionContext {
        self.context.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Applies what a statement changed between `before` and `after`, and nothing else, so that
    /// statements running side by side do not undo each other's USE and ALTER SESSION.
    pub(crate) fn apply(&self, before: &SessionContext, after: &SessionContext) {
        let mut guard = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        let context = &mut *guard;
        let fields = [
            (&before.role, &after.role, &mut context.role),
            (&before.warehouse, &after.warehouse, &mut context.warehouse),
            (&before.database, &after.database, &mut context.database),
            (&before.schema, &after.schema, &mut context.schema),
        ];
        for (old, new, current) in fields {
            if old != new {
                current.clone_from(new);
            }
        }
        for (name, value) in &after.parameters {
            if before.parameters.get(name) != Some(value) {
                context.parameters.insert(name.clone(), value.clone());
            }
        }
        for name in before.parameters.keys() {
            if !after.parameters.contains_key(name) {
                context.parameters.remove(name);
            }
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    next_id: u64,
    sessions: HashMap<u64, Arc<Session>>,
    tokens: HashMap<String, Token>,
}

/// All sessions of the emulator.
#[derive(Debug)]
pub(crate) struct Sessions {
    lifetimes: Lifetimes,
    inner: Mutex<Inner>,
}

impl Sessions {
    /// Starts without a session.
    pub(crate) fn new(lifetimes: Lifetimes) -> Self {
        Self { lifetimes, inner: Mutex::default() }
    }

    /// Returns how long fresh tokens live.
    pub(crate) fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// Opens a session for a user who has proven who he is.
    pub(crate) fn open(
        &self,
        mut context: SessionContext,
        client: &str,
        now: Instant,
    ) -> (Arc<Session>, TokenPair) {
        let mut inner = self.lock();
        inner.next_id += 1;
        // Real ids are large; what a client may not do is to keep them in 32 bits.
        let id = 1_172_562_000_000 + inner.next_id * 4;
        context.session_id = id;
        let session = Arc::new(Session {
            id,
            user: context.user.clone(),
            client: client.to_owned(),
            context: Mutex::new(context),
        });
        inner.sessions.insert(id, Arc::clone(&session));
        let tokens = self.issue(&mut inner, id, now);
        (session, tokens)
    }

    /// Returns the session that `token` opens.
    ///
    /// # Errors
    /// [`TokenRefusal`] with the code a client acts on.
    pub(crate) fn find(&self, token: &str, now: Instant) -> Result<Arc<Session>, TokenRefusal> {
        let inner = self.lock();
        let entry = inner.tokens.get(token).ok_or(TokenRefusal::SessionInvalid)?;
        if entry.kind != TokenKind::Session {
            return Err(TokenRefusal::SessionInvalid);
        }
        let session = inner.sessions.get(&entry.session_id).ok_or(TokenRefusal::SessionGone)?;
        if now >= entry.expires {
            return Err(TokenRefusal::SessionExpired);
        }
        Ok(Arc::clone(session))
    }

    /// Issues new tokens to whoever holds the master token and a session token, old or current.
    ///
    /// # Errors
    /// [`TokenRefusal`]; nothing changed.
    pub(crate) fn renew(
        &self,
        master: Option<&str>,
        old_session_token: &str,
        now: Instant,
    ) -> Result<(u64, TokenPair), TokenRefusal> {
        let mut inner = self.lock();
        let master = master.ok_or(TokenRefusal::MasterMissing)?;
        let entry = inner.tokens.get(master).ok_or(TokenRefusal::MasterInvalid)?;
        if entry.kind != TokenKind::Master {
            return Err(TokenRefusal::MasterInvalid);
        }
        let id = entry.session_id;
        if !inner.sessions.contains_key(&id) {
            return Err(TokenRefusal::SessionGone);
        }
        if now >= entry.expires {
            return Err(TokenRefusal::MasterExpired);
        }
        let old = inner.tokens.get(old_session_token);
        if !old.is_some_and(|old| old.session_id == id && old.kind == TokenKind::Session) {
            return Err(TokenRefusal::WrongOldToken);
        }
        Ok((id, self.issue(&mut inner, id, now)))
    }

    /// Ends a session. Its tokens answer "gone" from now on.
    pub(crate) fn close(&self, id: u64) {
        self.lock().sessions.remove(&id);
    }

    /// Makes every session token expire now; master tokens stay.
    pub(crate) fn expire_session_tokens(&self, now: Instant) {
        self.expire(TokenKind::Session, now);
    }

    /// Makes every master token expire now, so that clients must log in again.
    pub(crate) fn expire_master_tokens(&self, now: Instant) {
        self.expire(TokenKind::Master, now);
    }

    /// Returns the open sessions, oldest first.
    pub(crate) fn list(&self) -> Vec<Arc<Session>> {
        let mut list: Vec<_> = self.lock().sessions.values().cloned().collect();
        list.sort_by_key(|session| session.id);
        list
    }

    fn expire(&self, kind: TokenKind, now: Instant) {
        let mut inner = self.lock();
        for token in inner.tokens.values_mut().filter(|token| token.kind == kind) {
            token.expires = token.expires.min(now);
        }
    }

    fn issue(&self, inner: &mut Inner, session_id: u64, now: Instant) -> TokenPair {
        // Tokens that nobody can renew any more are forgotten, and sessions with them.
        let master = self.lifetimes.master;
        inner.tokens.retain(|_, token| now < token.expires + master);
        let live: std::collections::HashSet<u64> =
            inner.tokens.values().map(|token| token.session_id).chain([session_id]).collect();
        inner.sessions.retain(|id, _| live.contains(id));
        let pair =
            TokenPair { session: random_token(session_id), master: random_token(session_id) };
        for (text, kind, lifetime) in [
            (&pair.session, TokenKind::Session, self.lifetimes.session),
            (&pair.master, TokenKind::Master, self.lifetimes.master),
        ] {
            inner.tokens.insert(text.clone(), Token { session_id, kind, expires: now + lifetime });
        }
        pair
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random_token(session_id: u64) -> String {
    format!("ver:1-hint:{session_id}-{}", random_text(48))
}

/// Returns `bytes` random bytes as base64.
pub(crate) fn random_text(bytes: usize) -> String {
    let mut random = vec![0_u8; bytes];
    rand::rng().fill_bytes(&mut random);
    base64::engine::general_purpose::STANDARD.encode(random)
}
