//! A connection's key pair: made, shown, and exchanged without a moment in which no key works.
//!
//! Snowflake gives a user two slots for public keys. An exchange uses both: the new private key
//! is written *beside* the one in use, the customer puts its public half into the second slot, and
//! only when the new key has signed in does it take the old one's place, by a rename. A crash at
//! any point leaves a key file whose key works. The new key is then put into the first slot too,
//! which shuts the old one out.
//!
//! A private key file is readable by its owner alone from the moment it exists.

use std::io::Write;
use std::path::{Path, PathBuf};

use snowferry_snowflake::client::{KeyPair, Secret};

use crate::account::Account;
use crate::app::App;
use crate::config::{Auth, Connection};
use crate::error::BootstrapError;
use crate::home::create_folder;
use crate::secrets::LocalSecrets;
use crate::{account, setup};

/// A key pair as it is told: never the private half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicHalf {
    /// The file of the private key.
    pub file: PathBuf,
    /// The public key as RSA_PUBLIC_KEY takes it.
    pub public_key: String,
    /// Its fingerprint as DESCRIBE USER shows it.
    pub fingerprint: String,
}

/// Makes the connection's key pair. A file that is there is never touched.
///
/// # Errors
/// [`BootstrapError::KeyExists`]; [`BootstrapError::Setting`] when the connection signs in
/// otherwise; [`BootstrapError::Home`] when the file cannot be written.
pub fn make(connection: &Connection) -> Result<PublicHalf, BootstrapError> {
    let file = key_file(connection)?;
    let name = &connection.name;
    write_new_key(
        connection,
        file,
        format!("`snowferry rotate-key {name}` exchanges it without a gap; or move the file away"),
    )
}

/// Returns the public half of the connection's key.
///
/// # Errors
/// [`BootstrapError::Secret`] when there is no readable key yet; [`BootstrapError::Snowflake`] for
/// one that cannot be used; [`BootstrapError::Setting`] when the connection signs in otherwise.
pub fn public_half(connection: &Connection) -> Result<PublicHalf, BootstrapError> {
    let file = key_file(connection)?;
    let pair = account::key_pair(connection, file, &LocalSecrets)?;
    Ok(told(file, &pair))
}

/// Makes the next key beside the one in use, or shows the one that waits there already.
///
/// # Errors
/// As [`make`] and [`public_half`].
pub fn make_next(connection: &Connection) -> Result<PublicHalf, BootstrapError> {
    // Without a key in use there is nothing to exchange; this says so.
    public_half(connection)?;
    let file = next_file(connection)?;
    if file.exists() {
        let pair = account::key_pair(connection, &file, &LocalSecrets)?;
        return Ok(told(&file, &pair));
    }
    write_new_key(connection, &file, "run the command again".to_owned())
}

/// Signs in with the next key; only when that works does it take the place of the one in use.
///
/// # Errors
/// [`BootstrapError::NextKey`] when the account does not take it, and nothing is changed;
/// [`BootstrapError::Setting`] when no next key waits.
pub async fn take_next(home: &App, connection: &Connection) -> Result<PublicHalf, BootstrapError> {
    let (file, next) = (key_file(connection)?, next_file(connection)?);
    if !next.exists() {
        return Err(BootstrapError::Setting {
            setting: "--finish",
            reason: format!(
                "no next key waits in {}; `snowferry rotate-key {}` makes one",
                next.display(),
                connection.name
            ),
        });
    }
    let pair = account::key_pair(connection, &next, &LocalSecrets)?;
    sign_in(home, connection, &next).await?;
    std::fs::rename(&next, file).map_err(|source| BootstrapError::Home {
        step: "put the next key in place as",
        path: file.to_owned(),
        source,
    })?;
    Ok(told(file, &pair))
}

/// Returns the statements of an exchange, for the customer.
///
/// # Errors
/// [`BootstrapError::Setting`] for a user that is no name.
pub fn exchange(
    connection: &Connection,
    half: &PublicHalf,
    step: ExchangeStep,
) -> Result<Vec<String>, BootstrapError> {
    let user = setup::user(connection)?;
    Ok(match step {
        ExchangeStep::Offer => vec![setup::sql::set_second_key(&user, &half.public_key)],
        ExchangeStep::ShutOut => {
            vec![setup::sql::set_key(&user, &half.public_key), setup::sql::unset_second_key(&user)]
        }
    })
}

/// Where an exchange of keys stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeStep {
    /// The next key is to open the account beside the one in use.
    Offer,
    /// The next key is in use; the old one is to open nothing any more.
    ShutOut,
}

async fn sign_in(home: &App, connection: &Connection, next: &Path) -> Result<(), BootstrapError> {
    let mut with_next = connection.clone();
    if let Auth::KeyPair { private_key_file, next: other, .. } = &mut with_next.snowflake.auth {
        next.clone_into(private_key_file);
        // Another key must not sign in in its place.
        *other = None;
    }
    // Another app, so that no client of the key in use is taken for it.
    let app = App::new(home.home().clone());
    let client = app.client(&with_next)?;
    let facts = client.facts().await;
    app.sign_out().await;
    facts.map(|_| ()).map_err(|source| BootstrapError::NextKey {
        connection: connection.name.to_string(),
        source: Box::new(source),
    })
}

fn key_file(connection: &Connection) -> Result<&Path, BootstrapError> {
    match &connection.snowflake.auth {
        Auth::KeyPair { private_key_file, .. } => Ok(private_key_file),
        _ => Err(BootstrapError::Setting {
            setting: "snowflake.auth",
            reason: format!(
                "`{}` does not sign in by key pair; name the file that the key is to have: \
                 auth: {{ key_pair: {{ private_key_file: ../keys/{0}.p8 }} }}",
                connection.name
            ),
        }),
    }
}

/// Returns where the next key waits: `acme.p8` → `acme.p8.next`.
fn next_file(connection: &Connection) -> Result<PathBuf, BootstrapError> {
    let mut name = key_file(connection)?.as_os_str().to_owned();
    name.push(".next");
    Ok(name.into())
}

fn write_new_key(
    connection: &Connection,
    file: &Path,
    instead: String,
) -> Result<PublicHalf, BootstrapError> {
    if file.exists() {
        return Err(BootstrapError::KeyExists { file: file.to_owned(), instead });
    }
    let (pair, pem) = KeyPair::generate().map_err(|source| BootstrapError::Snowflake {
        connection: connection.name.to_string(),
        source: Box::new(source),
    })?;
    if let Some(folder) = file.parent() {
        create_folder(folder)?;
    }
    write_private(file, &pem).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => {
            BootstrapError::KeyExists { file: file.to_owned(), instead }
        }
        _ => BootstrapError::Home { step: "write the private key", path: file.to_owned(), source },
    })?;
    Ok(told(file, &pair))
}

/// Creates a file that only its owner may read, and writes it whole or not at all.
fn write_private(file: &Path, pem: &Secret) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut open = options.open(file)?;
    let written = open.write_all(pem.expose().as_bytes()).and_then(|()| open.sync_all());
    if written.is_err() {
        // Half a key must not be taken for one; the error that is told is the first.
        let _ = std::fs::remove_file(file);
    }
    written
}

fn told(file: &Path, pair: &KeyPair) -> PublicHalf {
    PublicHalf {
        file: file.to_owned(),
        public_key: pair.public_key().to_owned(),
        fingerprint: pair.fingerprint().to_owned(),
    }
}

#[cfg(test)]
mod tests;
