//! The `auth` part: what the user proves itself with, and where each secret is kept.

use std::path::{Path, PathBuf};

use snowferry_snowflake::client::{OAuthClient, Secret};

use super::document::{Node, Position, Value};
use super::fields::{Problems, Section, Show, Spot, text};
use super::problem::Problem;
use super::snowflake::reason;

/// How the user proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// By a private key in PEM form.
    KeyPair {
        /// The file that holds it.
        private_key_file: PathBuf,
        /// What opens it, if it is encrypted.
        passphrase: Option<SecretSource>,
        /// The key that follows it, while a rotation is under way.
        next: Option<KeyFile>,
    },
    /// By a programmatic access token.
    AccessToken(SecretSource),
    /// By a token of the customer's identity provider.
    OAuth {
        /// Where it is fetched.
        token_endpoint: String,
        /// The client that fetches it.
        client_id: String,
        /// The client's secret.
        client_secret: SecretSource,
        /// What it is asked for, e.g. `session:role:SNOWFERRY_PULL`.
        scope: Option<String>,
    },
    /// By a password.
    Password(SecretSource),
}

/// A private key's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The file that holds it.
    pub private_key_file: PathBuf,
    /// What opens it, if it is encrypted.
    pub passphrase: Option<SecretSource>,
}

impl Auth {
    /// Lists the secrets that the sign-in needs.
    #[must_use]
    pub fn secrets(&self) -> Vec<NamedSecret> {
        match self {
            Self::KeyPair { private_key_file, passphrase, next } => {
                let keys = std::iter::once((private_key_file, passphrase))
                    .chain(next.iter().map(|next| (&next.private_key_file, &next.passphrase)));
                let mut secrets = Vec::new();
                for (file, passphrase) in keys {
                    let source = SecretSource::File(file.clone());
                    secrets.push(NamedSecret::made("private key", source));
                    let passphrase = passphrase.clone();
                    let passphrase =
                        passphrase.map(|source| NamedSecret::guessable("passphrase", source));
                    // Both keys may be opened by one passphrase.
                    secrets.extend(passphrase.filter(|one| !secrets.contains(one)));
                }
                secrets
            }
            Self::AccessToken(source) => vec![NamedSecret::made("access token", source.clone())],
            Self::OAuth { client_secret, .. } => {
                vec![NamedSecret::made("client secret", client_secret.clone())]
            }
            Self::Password(source) => vec![NamedSecret::guessable("password", source.clone())],
        }
    }

    /// Returns the sign-in by one key that is not encrypted.
    #[must_use]
    pub fn key_pair(private_key_file: PathBuf) -> Self {
        Self::KeyPair { private_key_file, passphrase: None, next: None }
    }
}

/// A secret that a connection names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSecret {
    /// `private key`, `password`, …
    pub what: &'static str,
    /// Where it is kept.
    pub source: SecretSource,
    /// Whether a person may have thought it out, so that nothing made of it may be shown: who sees
    /// a hash of it could try words.
    pub is_guessable: bool,
}

impl NamedSecret {
    /// One that a program made at random.
    fn made(what: &'static str, source: SecretSource) -> Self {
        Self { what, source, is_guessable: false }
    }

    /// One that a person may have thought out.
    pub(super) fn guessable(what: &'static str, source: SecretSource) -> Self {
        Self { what, source, is_guessable: true }
    }
}

/// Where a secret is kept. Read when it is needed, never before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file of its own.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

impl std::fmt::Display for SecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => write!(f, "file {}", file.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

const NOT_HERE: &str = "a secret is never written into this file";

/// The ways to sign in, the better ones first.
const KINDS: [&str; 4] = ["key_pair", "access_token", "oauth", "password"];

pub(super) fn read_auth(problems: &mut Problems, spot: Spot<&Node>, folder: &Path) -> Option<Auth> {
    let section = Section::open(problems, spot, &KINDS)?;
    let here = Spot { at: section.at, path: section.path.clone(), value: () };
    let mut named = KINDS.into_iter().filter_map(|kind| Some((kind, section.field(kind)?)));
    match (named.next(), named.next()) {
        (Some((kind, spot)), None) => match kind {
            "key_pair" => read_key_pair(problems, spot, folder),
            "access_token" => read_secret(problems, spot, folder).map(Auth::AccessToken),
            "oauth" => read_oauth(problems, spot, folder),
            _ => read_secret(problems, spot, folder).map(Auth::Password),
        },
        (Some((first, _)), Some((second, _))) => {
            let problem = here.problem(format!("found both {first} and {second}"));
            problems.add(problem.repair(format!("keep one of them; {first} is the better one")));
            None
        }
        _ => {
            let problem = here.problem("found no way to sign in");
            problems.add(problem.allowed(format!("one of {}", KINDS.join(", "))));
            None
        }
    }
}

fn read_key_pair(problems: &mut Problems, spot: Spot<&Node>, folder: &Path) -> Option<Auth> {
    let section = Section::open(problems, spot, &["private_key_file", "passphrase", "next"])?;
    let next = match section.field("next") {
        Some(spot) => {
            let section = Section::open(problems, spot, &["private_key_file", "passphrase"])?;
            Some(read_key_file(problems, &section, folder)?)
        }
        None => None,
    };
    let KeyFile { private_key_file, passphrase } = read_key_file(problems, &section, folder)?;
    Some(Auth::KeyPair { private_key_file, passphrase, next })
}

fn read_key_file(problems: &mut Problems, section: &Section<'_>, folder: &Path) -> Option<KeyFile> {
    let passphrase = match section.field("passphrase") {
        Some(spot) => Some(read_secret(problems, spot, folder)?),
        None => None,
    };
    let repair = "name the file that holds the private key (PEM)";
    let spot = section.required(problems, "private_key_file", repair)?;
    let private_key_file = text(problems, spot, Show::KindOnly)?.check(problems, |written| {
        if written.contains("-----BEGIN") || written.contains('\n') {
            return Err(Problem::new(Position::START, "", NOT_HERE)
                .repair("put the key into a file and name the file here"));
        }
        Ok(folder.join(written))
    })?;
    Some(KeyFile { private_key_file, passphrase })
}

fn read_oauth(problems: &mut Problems, spot: Spot<&Node>, folder: &Path) -> Option<Auth> {
    const FIELDS: &[&str] = &["token_endpoint", "client_id", "client_secret", "scope"];
    let section = Section::open(problems, spot, FIELDS)?;
    let repair = "write the URL that the identity provider gives tokens at";
    let endpoint = section.required(problems, "token_endpoint", repair);
    let endpoint = endpoint.and_then(|spot| text(problems, spot, Show::KindOnly));
    let endpoint = endpoint.and_then(|spot| spot.check(problems, |url| check_endpoint(url)));
    let repair = "write the id of the client at the identity provider";
    let client_id = section.required(problems, "client_id", repair);
    let client_id = client_id.and_then(|spot| text(problems, spot, Show::KindOnly));
    let repair = "name the place of the client's secret";
    let secret = section.required(problems, "client_secret", repair);
    let secret = secret.and_then(|spot| read_secret(problems, spot, folder));
    let scope = match section.field("scope") {
        Some(spot) => Some(text(problems, spot, Show::KindOnly)?.value),
        None => None,
    };
    Some(Auth::OAuth {
        token_endpoint: endpoint?,
        client_id: client_id?.value,
        client_secret: secret?,
        scope,
    })
}

/// Refuses what the client would not send its secret to, before there is a secret.
fn check_endpoint(written: &str) -> Result<String, Problem> {
    match OAuthClient::new(written, "", Secret::new(String::new()), None) {
        Ok(_) => Ok(written.to_owned()),
        Err(error) => Err(Problem::new(Position::START, "", reason(error))
            .allowed("https://HOST/PATH, or http://127.0.0.1:PORT/PATH for an emulator")),
    }
}

pub(super) fn read_secret(
    problems: &mut Problems,
    spot: Spot<&Node>,
    folder: &Path,
) -> Option<SecretSource> {
    const ALLOWED: &str = "{ file: PATH } or { env: NAME }";
    if !matches!(spot.value.value, Value::Map(_)) {
        problems.add(spot.problem(NOT_HERE).allowed(ALLOWED));
        return None;
    }
    let section = Section::open(problems, spot, &["file", "env"])?;
    let here = Spot { at: section.at, path: section.path.clone(), value: () };
    match (section.field("file"), section.field("env")) {
        (Some(spot), None) => {
            let file = text(problems, spot, Show::KindOnly)?;
            Some(SecretSource::File(folder.join(file.value)))
        }
        (None, Some(spot)) => {
            let name = text(problems, spot, Show::KindOnly)?.check(problems, |name| {
                let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if name.chars().all(allowed) && !name.starts_with(|c: char| c.is_ascii_digit()) {
                    return Ok(name.clone());
                }
                let problem = Problem::new(Position::START, "", "this is no variable's name");
                Err(problem.allowed("letters, digits and _, not beginning with a digit"))
            })?;
            Some(SecretSource::Variable(name))
        }
        _ => {
            problems
                .add(here.problem("found not exactly one place of the secret").allowed(ALLOWED));
            None
        }
    }
}
