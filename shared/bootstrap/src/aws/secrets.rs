//! Secrets from Secrets Manager.
//!
//! What a connection file names as a file or a variable is, in AWS, the secret
//! `{prefix}{connection}/{file name or variable}`: `keys/acme.p8` of the connection `acme` is
//! `snowferry/acme/acme.p8`. A value is kept for five minutes. When a sign-in fails, the value is
//! read again, once; if it is the same, the version that a rotation has staged (`AWSPENDING`) is
//! tried: Snowflake takes a new key before the secret's current version is moved.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_secretsmanager::Client;
use snowferry_model::names::ConnectionName;
use snowferry_snowflake::client::Secret;

use crate::config::SecretSource;
use crate::error::BootstrapError;
use crate::secrets::{SecretReader, trimmed};

/// How long a value is used without asking again.
const CACHE_TIME: Duration = Duration::from_secs(300);

/// Which version of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Version {
    /// The one in use.
    Current,
    /// The one that a rotation is about to bring into use.
    Pending,
}

impl Version {
    fn stage(self) -> &'static str {
        match self {
            Self::Current => "AWSCURRENT",
            Self::Pending => "AWSPENDING",
        }
    }
}

#[derive(Debug)]
struct Held {
    secret: Secret,
    read_at: Instant,
}

#[derive(Debug, Default)]
struct Cache {
    held: HashMap<String, Held>,
    /// Connections whose pending versions are to be used, and until when.
    pending: HashMap<ConnectionName, Instant>,
}

/// Secrets of all connections below one prefix.
#[derive(Debug)]
pub struct CloudSecrets {
    client: Client,
    prefix: String,
    cache: Mutex<Cache>,
}

impl CloudSecrets {
    /// Takes a client and the prefix of names. Sends nothing.
    #[must_use]
    pub fn new(client: Client, prefix: impl Into<String>) -> Self {
        Self { client, prefix: prefix.into(), cache: Mutex::default() }
    }

    /// Forgets what was read for a connection, so that the next client reads it again.
    pub(super) fn forget(&self, connection: &ConnectionName) {
        let prefix = format!("{}{connection}/", self.prefix);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.held.retain(|name, _| !name.starts_with(&prefix));
        cache.pending.remove(connection);
    }

    /// As [`Self::forget`], and takes the pending versions, where there are any, for a while.
    pub(super) fn prefer_pending(&self, connection: &ConnectionName) {
        self.forget(connection);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.pending.insert(connection.clone(), Instant::now());
    }

    fn held(&self, name: &str, connection: &ConnectionName) -> (Option<Secret>, Version) {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |since: &Instant| since.elapsed() < CACHE_TIME;
        let held = cache.held.get(name).filter(|held| fresh(&held.read_at));
        let pending = cache.pending.get(connection).is_some_and(fresh);
        let version = if pending { Version::Pending } else { Version::Current };
        (held.map(|held| held.secret.clone()), version)
    }

    async fn fetch(
        &self,
        what: &'static str,
        name: &str,
        version: Version,
    ) -> Result<Option<Secret>, BootstrapError> {
        let read = self.client.get_secret_value().secret_id(name).version_stage(version.stage());
        let refuse = |reason: String| BootstrapError::Secret {
            what,
            place: format!("the secret {name}"),
            reason,
        };
        match read.send().await {
            Ok(found) => match found.secret_string {
                Some(text) => Ok(Some(Secret::new(text))),
                None => Err(refuse("it is binary; store it as text".to_owned())),
            },
            Err(error) => {
                let missing = error
                    .as_service_error()
                    .is_some_and(|error| error.is_resource_not_found_exception());
                if missing {
                    return Ok(None);
                }
                let code = aws_sdk_secretsmanager::error::ProvideErrorMetadata::code(&error);
                Err(refuse(match code {
                    Some(code) => format!("AWS answered {code}"),
                    None => "AWS does not answer".to_owned(),
                }))
            }
        }
    }

    async fn get(
        &self,
        what: &'static str,
        name: &str,
        version: Version,
    ) -> Result<Secret, BootstrapError> {
        let mut found = self.fetch(what, name, version).await?;
        if found.is_none() && version == Version::Pending {
            found = self.fetch(what, name, Version::Current).await?;
        }
        let place = format!("the secret {name}");
        let Some(secret) = found else {
            let reason = "there is no such secret".to_owned();
            return Err(BootstrapError::Secret { what, place, reason });
        };
        let secret = trimmed(what, &place, &secret)?;
        let held = Held { secret: secret.clone(), read_at: Instant::now() };
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.held.insert(name.to_owned(), held);
        Ok(secret)
    }
}

/// Returns the name of a secret.
#[must_use]
pub fn name(prefix: &str, connection: &ConnectionName, source: &SecretSource) -> String {
    let last = match source {
        SecretSource::File(file) => file.file_name().unwrap_or_default().to_string_lossy(),
        SecretSource::Variable(name) => name.into(),
    };
    format!("{prefix}{connection}/{last}")
}

impl SecretReader for CloudSecrets {
    /// Waits for AWS on a thread of the runtime, which must have more than one.
    fn read(
        &self,
        connection: &ConnectionName,
        what: &'static str,
        source: &SecretSource,
    ) -> Result<Secret, BootstrapError> {
        let name = name(&self.prefix, connection, source);
        let (held, version) = self.held(&name, connection);
        if let Some(secret) = held {
            return Ok(secret);
        }
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| runtime.block_on(self.get(what, &name, version)))
    }
}
