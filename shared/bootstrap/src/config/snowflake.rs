//! The `snowflake` part: which account, as whom, with which credential.

use std::path::{Path, PathBuf};

use snowferry_snowflake::SnowflakeError;
use snowferry_snowflake::client::{Account, Endpoint};

use super::document::{Node, Position, Value};
use super::fields::{Problems, Section, Show, Spot, text};
use super::problem::Problem;

/// The account and how to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnowflakeSettings {
    /// The account: `organisation-account`, or a locator with its region.
    pub account: Account,
    /// The account's own host, or a private endpoint or emulator in its place.
    pub endpoint: Endpoint,
    /// The user.
    pub user: String,
    /// The role that holds the grants.
    pub role: String,
    /// The warehouse that runs the statements.
    pub warehouse: String,
    /// The credential.
    pub auth: Auth,
}

/// How the user proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// By a private key in PEM form.
    KeyPair {
        /// The file that holds it.
        private_key_file: PathBuf,
    },
    /// By a password.
    Password(SecretSource),
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

const FIELDS: &[&str] = &["account", "base_url", "user", "role", "warehouse", "auth"];
const NOT_HERE: &str = "a secret is never written into this file";

pub(super) fn read(
    problems: &mut Problems,
    spot: Spot<&Node>,
    folder: &Path,
) -> Option<SnowflakeSettings> {
    let section = Section::open(problems, spot, FIELDS)?;
    let account = required_text(problems, &section, "account", "write e.g. `account: myorg-acme`");
    let account = account.and_then(|spot| spot.check(problems, |written| check_account(written)));
    let endpoint = match section.field("base_url") {
        Some(spot) => text(problems, spot, Show::KindOnly)
            .and_then(|spot| spot.check(problems, |written| check_base_url(written))),
        None => account.as_ref().and_then(|account| Endpoint::of(account).ok()),
    };
    let user =
        required_text(problems, &section, "user", "name the service user, e.g. `user: SNOWFERRY`");
    let role = required_text(problems, &section, "role", "name the role that holds the grants");
    let warehouse = required_text(
        problems,
        &section,
        "warehouse",
        "name the warehouse that runs the statements",
    );
    let auth = section
        .required(problems, "auth", "write `auth: { key_pair: { private_key_file: PATH } }`")
        .and_then(|spot| read_auth(problems, spot, folder));
    Some(SnowflakeSettings {
        account: account?,
        endpoint: endpoint?,
        user: user?.value,
        role: role?.value,
        warehouse: warehouse?.value,
        auth: auth?,
    })
}

fn required_text(
    problems: &mut Problems,
    section: &Section<'_>,
    name: &str,
    repair: &str,
) -> Option<Spot<String>> {
    let spot = section.required(problems, name, repair)?;
    text(problems, spot, Show::Value)
}

fn read_auth(problems: &mut Problems, spot: Spot<&Node>, folder: &Path) -> Option<Auth> {
    let section = Section::open(problems, spot, &["key_pair", "password"])?;
    let here = Spot { at: section.at, path: section.path.clone(), value: () };
    match (section.field("key_pair"), section.field("password")) {
        (Some(spot), None) => {
            let section = Section::open(problems, spot, &["private_key_file"])?;
            let repair = "name the file that holds the private key (PEM)";
            let spot = section.required(problems, "private_key_file", repair)?;
            let file = text(problems, spot, Show::KindOnly)?.check(problems, |written| {
                if written.contains("-----BEGIN") || written.contains('\n') {
                    return Err(Problem::new(Position::START, "", NOT_HERE)
                        .repair("put the key into a file and name the file here"));
                }
                Ok(folder.join(written))
            })?;
            Some(Auth::KeyPair { private_key_file: file })
        }
        (None, Some(spot)) => Some(Auth::Password(read_secret(problems, spot, folder)?)),
        (Some(_), Some(_)) => {
            let problem = here.problem("found both key_pair and password");
            problems.add(problem.repair("keep one of them; key_pair is the better one"));
            None
        }
        (None, None) => {
            let problem = here.problem("found no way to sign in");
            problems.add(problem.allowed("one of key_pair, password"));
            None
        }
    }
}

fn read_secret(problems: &mut Problems, spot: Spot<&Node>, folder: &Path) -> Option<SecretSource> {
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

/// Refuses what cannot be an account identifier before anything is sent anywhere.
fn check_account(written: &str) -> Result<Account, Problem> {
    written.parse::<Account>().map_err(|error| {
        Problem::new(Position::START, "", format!("found `{written}`: {}", reason(error)))
            .allowed("ORGANISATION-ACCOUNT or LOCATOR.REGION.CLOUD, without https:// and host")
            .repair("ask for SELECT CURRENT_ORGANIZATION_NAME() || '-' || CURRENT_ACCOUNT_NAME()")
    })
}

/// Refuses what the client would not send a password to. The text itself is not shown: a URL may
/// hold a password.
fn check_base_url(written: &str) -> Result<Endpoint, Problem> {
    Endpoint::override_with(written).map_err(|error| {
        Problem::new(Position::START, "", reason(error))
            .allowed("https://HOST[:PORT], or http://127.0.0.1:PORT for an emulator")
            .repair("remove `base_url` to use the account's own host")
    })
}

/// Returns why the client refuses a setting, without saying which: the problem's path does.
fn reason(error: SnowflakeError) -> String {
    match error {
        SnowflakeError::Request { reason, .. } => reason,
        other => other.to_string(),
    }
}
