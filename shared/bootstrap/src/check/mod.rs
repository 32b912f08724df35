//! Tests every prerequisite of a connection and tells all failures at once.
//!
//! In order: this machine (credential, data folder, state), the account (reach, sign in, role,
//! warehouse, clock), then each table (visible, readable, its key and cursor, its types) and each
//! push (its target may be written, its ledger is there). A
//! failure makes what depends on it "not tried", never the rest. Nothing is changed, no row is
//! read, and no warehouse is started.

use std::path::Path;

use serde::Serialize;
use snowferry_model::fault::{Fault, chain};
use snowferry_snowflake::SnowflakeError;
use snowferry_snowflake::client::SnowflakeTarget;

use crate::account::{Account, SessionFacts};
use crate::app::App;
use crate::config::{Auth, Connection};
use crate::error::BootstrapError;

mod push;
mod table;

#[cfg(test)]
mod tests;

/// A clock further away than this is told: a key pair's sign-in allows a minute at most.
const CLOCK_TOLERANCE_S: u64 = 30;

/// What was found, in the order of the steps.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// The connection.
    pub connection: String,
    /// Whether nothing failed.
    pub passed: bool,
    /// What the session said about itself; `None` when there was none.
    pub session: Option<SessionFacts>,
    /// One item for each prerequisite.
    pub items: Vec<CheckItem>,
}

/// One prerequisite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckItem {
    /// What was looked at.
    pub subject: String,
    /// Whether it is as it must be.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// The stable code of a failure.
    pub code: Option<&'static str>,
    /// The statement or step that repairs it.
    pub repair: Option<String>,
}

/// Whether a prerequisite is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Ok,
    /// It is, but something about it is worth knowing.
    Warning,
    /// It is not.
    Failed,
    /// An earlier failure made it impossible to tell.
    Skipped,
}

impl CheckItem {
    fn new(subject: impl Into<String>, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict, found: found.into(), code: None, repair: None }
    }

    fn ok(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Ok, found)
    }

    fn warning(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Warning, found)
    }

    fn failed(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Failed, found)
    }

    fn skipped(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Skipped, found)
    }

    pub(crate) fn of<E: Fault>(subject: impl Into<String>, error: &E) -> Self {
        let code = Some(error.code());
        Self { code, repair: error.hint(), ..Self::failed(subject, chain(error)) }
    }

    fn repair(self, repair: impl Into<String>) -> Self {
        Self { repair: Some(repair.into()), ..self }
    }
}

/// Looks at everything that the connection needs.
///
/// # Errors
/// None today: everything that is wrong is an item of the report. Reserved for settings that make
/// a report impossible.
pub async fn check(app: &App, connection: &Connection) -> Result<CheckReport, BootstrapError> {
    let mut items = vec![CheckItem::ok("connection file", connection.file.display().to_string())];
    items.push(check_folder(app.home().root()));
    items.extend(check_state(app, connection).await);
    let client = match app.client(connection) {
        Ok(client) => client,
        Err(error) => {
            items.push(CheckItem::of("credential", &error));
            items.extend(skipped_account(connection, "there is no usable credential"));
            return Ok(report(connection, None, items));
        }
    };
    items.push(check_credential(connection));
    let session = check_account(client.as_ref(), connection, &mut items).await;
    if session.is_some() {
        let target = SnowflakeTarget::new(client);
        push::check_pushes(&target, &connection.pushes, &mut items).await;
    }
    Ok(report(connection, session, items))
}

/// As [`check`], for a client that is made elsewhere; `items` says what was looked at before.
#[cfg(feature = "aws")]
pub(crate) async fn check_cloud(
    connection: &Connection,
    client: Option<&std::sync::Arc<snowferry_snowflake::client::SnowflakeClient>>,
    mut items: Vec<CheckItem>,
) -> CheckReport {
    let Some(client) = client else {
        items.extend(skipped_account(connection, "there is no usable credential"));
        return report(connection, None, items);
    };
    items.push(check_credential(connection));
    let session = check_account(client.as_ref(), connection, &mut items).await;
    if session.is_some() {
        let target = SnowflakeTarget::new(std::sync::Arc::clone(client));
        push::check_pushes(&target, &connection.pushes, &mut items).await;
    }
    report(connection, session, items)
}

fn report(
    connection: &Connection,
    session: Option<SessionFacts>,
    items: Vec<CheckItem>,
) -> CheckReport {
    let passed = items.iter().all(|item| matches!(item.verdict, Verdict::Ok | Verdict::Warning));
    CheckReport { connection: connection.name.to_string(), passed, session, items }
}

/// Looks at everything that needs a session. Returns what the session said.
pub(crate) async fn check_account(
    account: &dyn Account,
    connection: &Connection,
    items: &mut Vec<CheckItem>,
) -> Option<SessionFacts> {
    let settings = &connection.snowflake;
    let host = settings.endpoint.host();
    items.push(if settings.endpoint.is_override() {
        CheckItem::warning("endpoint", format!("{host}, in place of the account's own host"))
    } else {
        CheckItem::ok("endpoint", host)
    });
    let facts = match account.facts().await {
        Ok(facts) => facts,
        Err(error) => {
            items.push(CheckItem::of(format!("sign in to {}", settings.account), &error));
            items.extend(skipped_account(connection, "nobody is signed in"));
            return None;
        }
    };
    let found = format!(
        "{} on Snowflake {}",
        facts.user.as_deref().unwrap_or(&settings.user),
        facts.version
    );
    items.push(CheckItem::ok(format!("sign in to {}", settings.account), found));
    items.push(check_clock(&facts));
    items.push(check_in_effect("role", &settings.role, facts.role.as_deref(), || {
        format!("GRANT ROLE {} TO USER {};", settings.role, settings.user)
    }));
    items.push(check_in_effect(
        "warehouse",
        &settings.warehouse,
        facts.warehouse.as_deref(),
        || format!("GRANT USAGE ON WAREHOUSE {} TO ROLE {};", settings.warehouse, settings.role),
    ));
    for job in &connection.tables {
        let selection = connection.selections.get(&job.table);
        table::check_table(account, &settings.role, job, selection, items).await;
    }
    Some(facts)
}

fn skipped_account<'a>(
    connection: &'a Connection,
    why: &'a str,
) -> impl Iterator<Item = CheckItem> + 'a {
    let subjects = ["role".to_owned(), "warehouse".to_owned()].into_iter();
    let tables = connection.tables.iter().map(|job| job.table.to_string());
    subjects.chain(tables).map(move |subject| CheckItem::skipped(subject, why))
}

fn check_credential(connection: &Connection) -> CheckItem {
    match &connection.snowflake.auth {
        Auth::KeyPair { private_key_file: file, next, .. } => {
            let also = next.as_ref().map(|next| next.private_key_file.as_path());
            let mut found = format!("key pair in {}", file.display());
            if let Some(next) = also {
                found.push_str(&format!(", the next one in {}", next.display()));
            }
            let open = [Some(file.as_path()), also].into_iter().flatten();
            match open.into_iter().find(|file| !is_private(file)) {
                None => CheckItem::ok("credential", found),
                Some(open) => {
                    CheckItem::warning("credential", format!("{found}, which others may read"))
                        .repair(format!("chmod 600 {}", open.display()))
                }
            }
        }
        Auth::AccessToken(source) => {
            CheckItem::ok("credential", format!("programmatic access token in {source}"))
        }
        Auth::OAuth { client_id, client_secret, .. } => {
            let found = format!("OAuth client {client_id}, its secret in {client_secret}");
            CheckItem::ok("credential", found)
        }
        Auth::Password(source) => CheckItem::warning("credential", format!("password in {source}"))
            .repair(
                "Snowflake is ending sign-in by password alone, account by account, in 2026; give \
                 the user a public key (ALTER USER … SET RSA_PUBLIC_KEY = '…') and name \
                 auth: { key_pair: … }",
            ),
    }
}

/// Returns whether only its owner may read a file, as far as this system can tell.
fn is_private(file: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0)
    }
    #[cfg(not(unix))]
    file.exists()
}

fn check_clock(facts: &SessionFacts) -> CheckItem {
    const SUBJECT: &str = "this machine's clock";
    let Some(ahead_ms) = facts.clock_ahead_ms else {
        return CheckItem::warning(SUBJECT, "the server does not tell its time");
    };
    let seconds = ahead_ms.unsigned_abs() / 1000;
    let side = if ahead_ms < 0 { "behind" } else { "ahead of" };
    if seconds == 0 {
        return CheckItem::ok(SUBJECT, "agrees with Snowflake's");
    }
    let found = format!("{seconds} s {side} Snowflake's");
    if seconds <= CLOCK_TOLERANCE_S {
        return CheckItem::ok(SUBJECT, found);
    }
    CheckItem::warning(SUBJECT, found).repair("set the clock by NTP")
}

/// Compares what the connection names with what is in effect in the session.
fn check_in_effect(
    what: &str,
    wanted: &str,
    found: Option<&str>,
    grant: impl FnOnce() -> String,
) -> CheckItem {
    match found {
        Some(found) if found.eq_ignore_ascii_case(wanted.trim_matches('"')) => {
            CheckItem::ok(what, found)
        }
        found => {
            let found = found.unwrap_or("none");
            CheckItem::failed(what, format!("{wanted} is named, {found} is in effect"))
                .repair(format!("ask the customer to run {}", grant()))
        }
    }
}

/// Looks whether the data folder can be made or used, without making it.
fn check_folder(root: &Path) -> CheckItem {
    let existing = root.ancestors().find(|folder| folder.exists());
    let existing = existing.filter(|folder| !folder.as_os_str().is_empty());
    let metadata = existing.unwrap_or(Path::new(".")).metadata();
    match metadata {
        Ok(metadata) if metadata.is_dir() && !metadata.permissions().readonly() => {
            CheckItem::ok("data folder", root.display().to_string())
        }
        _ => CheckItem::failed("data folder", format!("{} cannot be written to", root.display()))
            .repair("name a folder that may be written to with --home"),
    }
}

/// Looks whether the state can be read, if there is any.
async fn check_state(app: &App, connection: &Connection) -> Option<CheckItem> {
    if !app.home().is_used() {
        return None;
    }
    Some(match app.status(connection).await {
        Ok(statuses) => {
            let known = statuses.iter().filter(|status| status.state.is_some()).count();
            let found = format!("{known} of {} tables were pulled before", statuses.len());
            CheckItem::ok("state", found)
        }
        Err(error) => CheckItem::of("state", &error),
    })
}

/// Words a failure of one table, with the grants it may lack as statements.
fn table_failure(subject: String, error: &SnowflakeError, grants: String) -> CheckItem {
    let item = CheckItem::of(subject, error);
    match error {
        SnowflakeError::NotFound { .. } => item.repair(grants),
        _ => item,
    }
}
