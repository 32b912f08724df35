//! The `snowflake` part: which account, as whom, with which credential.

use std::path::Path;

use snowferry_snowflake::SnowflakeError;
use snowferry_snowflake::client::{Account, Endpoint, Proxy};

use super::auth::{Auth, read_auth};
use super::document::{Node, Position};
use super::fields::{Problems, Section, Show, Spot, text};
use super::problem::Problem;

/// The account and how to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnowflakeSettings {
    /// The account: `organisation-account`, or a locator with its region.
    pub account: Account,
    /// The account's own host, or a private endpoint or emulator in its place.
    pub endpoint: Endpoint,
    /// The proxy that requests go through; `None` for what the environment says.
    pub proxy: Option<Proxy>,
    /// The user.
    pub user: String,
    /// The role that holds the grants.
    pub role: String,
    /// The warehouse that runs the statements.
    pub warehouse: String,
    /// The credential.
    pub auth: Auth,
}

const FIELDS: &[&str] = &["account", "base_url", "proxy", "user", "role", "warehouse", "auth"];

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
    let proxy = match section.field("proxy") {
        Some(spot) => Some(
            text(problems, spot, Show::KindOnly)
                .and_then(|spot| spot.check(problems, |written| check_proxy(written)))?,
        ),
        None => None,
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
        proxy,
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

/// Refuses what is no plain address of a proxy. The text itself is not shown, as above.
fn check_proxy(written: &str) -> Result<Proxy, Problem> {
    Proxy::new(written).map_err(|error| {
        Problem::new(Position::START, "", reason(error))
            .allowed("http://HOST:PORT or https://HOST:PORT")
            .repair("a proxy that wants a password is named by the variable HTTPS_PROXY instead")
    })
}

/// Returns why the client refuses a setting, without saying which: the problem's path does.
pub(super) fn reason(error: SnowflakeError) -> String {
    match error {
        SnowflakeError::Request { reason, .. } => reason,
        other => other.to_string(),
    }
}
