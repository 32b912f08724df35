//! What an operator does with the connections of a stack: store, pause, resume, close.
//!
//! [`Operator::plan`] compares a connection file, its secrets and its schedules with what is
//! stored, and changes nothing; [`Operator::apply`] then makes the difference: secrets first, the
//! connection next, by compare-and-set from the version and the status that were compared, then
//! secrets that the new text names no more, schedules last, so that the first run finds everything.
//! Each step may be repeated; killed in between, the next `apply` shows what is left, but for a
//! secret that only the text before has named: that one stays.
//!
//! A person looks at the plan for as long as they like; whatever somebody else has stored, paused
//! or closed meanwhile is not undone: nothing is made then.

use aws_config::{BehaviorVersion, Region};
use serde::Serialize;
use snowferry_model::names::ConnectionName;
use snowferry_snowflake::client::Secret;
use uuid::Uuid;

use super::documents::{Documents, Status, StoredConnection, no_connection, place};
use super::schedules::{Entry, MOST_AGE_S, MOST_TRIES, Scheduler};
use super::secrets;
use super::settings::SECRETS_PREFIX;
use super::stack::Stack;
use super::vault::{Stored, Vault, version_id};
use crate::config::{self, Connection, NamedSecret, Schedule};
use crate::error::BootstrapError;
use crate::secrets::SecretReader;

/// The longest name of a schedule.
const SCHEDULE_NAME_MAX_CHARS: usize = 64;

/// What becomes of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is new.
    Create,
    /// It changes.
    Change,
    /// It stays as it is.
    Keep,
    /// It goes.
    Remove,
}

/// One difference between what is wanted and what is stored.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// `connection acme`, `secret snowferry/acme/acme.p8`, `schedule acme-pull`.
    pub what: String,
    /// What becomes of it.
    pub action: Action,
    /// How it differs, a line for each difference. Never a secret.
    pub details: Vec<String>,
}

/// Everything that applying a connection would change.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// The connection.
    pub connection: String,
    /// The version that is stored, if any.
    pub stored_version: Option<u64>,
    /// Whether the stored connection is paused; it stays so.
    pub is_paused: bool,
    /// The differences, in the order in which they are made.
    pub changes: Vec<Change>,
    #[serde(skip)]
    steps: Vec<Step>,
    #[serde(skip)]
    name: ConnectionName,
    #[serde(skip)]
    stored: Option<StoredConnection>,
}

impl Plan {
    /// Returns whether everything is as it is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// One step of applying.
#[derive(Debug)]
enum Step {
    Secret { name: String, secret: Secret, id: Option<Uuid> },
    Document { text: String },
    NoSecret { name: String },
    Schedule { name: String, entry: Entry, is_there: bool },
    NoSchedule { name: String },
}

/// What closing left, and what it did not touch.
#[derive(Debug, Serialize)]
pub struct Closed {
    /// What was removed.
    pub removed: Vec<String>,
    /// What stays, and how it can be removed.
    pub stays: Vec<String>,
}

/// The operator of one stack.
#[derive(Debug)]
pub struct Operator {
    stack: Stack,
    documents: Documents,
    vault: Vault,
    scheduler: Scheduler,
}

impl Operator {
    /// Takes credentials from the environment and names from the stack. Sends nothing.
    pub async fn from_env(stack: Stack) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(stack.region.clone()))
            .timeout_config(super::timeouts())
            .retry_config(super::retries())
            .load()
            .await;
        Self {
            documents: Documents::new(aws_sdk_dynamodb::Client::new(&config), &stack.table),
            vault: Vault::new(aws_sdk_secretsmanager::Client::new(&config), &stack.data_key),
            scheduler: Scheduler::new(
                aws_sdk_scheduler::Client::new(&config),
                &stack.schedule_group,
            ),
            stack,
        }
    }

    /// Compares a connection with what is stored. `text` is its file's, `at_hand` gives its
    /// secrets; one that is not at hand is left as it is stored.
    ///
    /// # Errors
    /// [`BootstrapError::Cloud`]; [`BootstrapError::Secret`] for a secret that is neither at hand
    /// nor stored; [`BootstrapError::Setting`] for names that do not fit into AWS.
    pub async fn plan(
        &self,
        connection: &Connection,
        text: &str,
        at_hand: &dyn SecretReader,
    ) -> Result<Plan, BootstrapError> {
        let name = &connection.name;
        let stored = self.documents.stored(name).await?;
        let status = stored.as_ref().map(|stored| stored.status);
        let mut plan = Plan {
            connection: name.to_string(),
            stored_version: stored.as_ref().map(|stored| stored.version),
            is_paused: status == Some(Status::Paused),
            changes: Vec::new(),
            steps: Vec::new(),
            name: name.clone(),
            stored,
        };
        self.plan_secrets(&mut plan, connection, at_hand).await?;
        plan_document(&mut plan, text);
        self.plan_former_secrets(&mut plan, connection).await?;
        let enabled = !plan.is_paused;
        let schedules = &connection.schedules;
        for (kind, schedule, queue) in [
            (Kind::Pull, &schedules.pull, &self.stack.pull_queue),
            (Kind::Push, &schedules.push, &self.stack.push_queue),
        ] {
            let wanted =
                schedule.as_ref().map(|schedule| self.entry(name, schedule, queue, enabled));
            self.plan_schedule(&mut plan, schedule_name(name, kind)?, wanted).await?;
        }
        Ok(plan)
    }

    /// Makes what a plan says, and returns the version of the connection that is now stored.
    ///
    /// # Errors
    /// [`BootstrapError::Cloud`]; [`BootstrapError::Changed`] when somebody else has stored,
    /// paused, resumed or closed the connection since it was compared. What was done before stays;
    /// apply again for the rest.
    pub async fn apply(&self, plan: &Plan) -> Result<u64, BootstrapError> {
        // Secrets and schedules have no condition of their own, and a plan may have no document.
        if self.documents.stored(&plan.name).await? != plan.stored {
            return Err(BootstrapError::Changed { name: plan.connection.clone() });
        }
        let mut version = plan.stored_version.unwrap_or(0);
        for step in &plan.steps {
            match step {
                Step::Secret { name, secret, id } => self.vault.put(name, secret, *id).await?,
                Step::Document { text } => {
                    let before = plan.stored.as_ref();
                    version = self.documents.replace(&plan.name, before, text).await?;
                }
                Step::NoSecret { name } => {
                    self.vault.remove(name).await?;
                }
                Step::Schedule { name, entry, is_there } => {
                    self.scheduler.put(name, entry, *is_there).await?;
                }
                Step::NoSchedule { name } => self.scheduler.delete(name).await?,
            }
        }
        Ok(version)
    }

    /// Pauses a connection: runs end at once and its schedules rest.
    ///
    /// # Errors
    /// [`BootstrapError::NoConnection`], [`BootstrapError::Paused`] for a closed one,
    /// [`BootstrapError::Cloud`].
    pub async fn pause(&self, name: &ConnectionName) -> Result<(), BootstrapError> {
        // Runs stop first, schedules after: killed in between, nothing runs.
        self.documents.set_status(name, Status::Paused).await?;
        self.enable(name, false).await
    }

    /// Resumes a paused connection.
    ///
    /// # Errors
    /// As [`Operator::pause`].
    pub async fn resume(&self, name: &ConnectionName) -> Result<(), BootstrapError> {
        self.documents.set_status(name, Status::Active).await?;
        self.enable(name, true).await
    }

    /// Closes a connection: no run starts any more, its schedules and secrets go. The rest stays
    /// and is named.
    ///
    /// # Errors
    /// [`BootstrapError::NoConnection`], [`BootstrapError::Cloud`]. May be repeated.
    pub async fn close(&self, name: &ConnectionName) -> Result<Closed, BootstrapError> {
        let stored = self.documents.stored(name).await?.ok_or_else(|| no_connection(name))?;
        self.documents.set_status(name, Status::Closed).await?;
        let mut removed = Vec::new();
        for kind in [Kind::Pull, Kind::Push] {
            let schedule = schedule_name(name, kind)?;
            if self.scheduler.get(&schedule).await?.is_some() {
                self.scheduler.delete(&schedule).await?;
                removed.push(format!("schedule {schedule}"));
            }
        }
        let mut stays = Vec::new();
        match secrets_of_text(name, &stored.body) {
            Some(secrets) => {
                for secret in secrets {
                    if self.vault.remove(&secret).await? {
                        removed.push(format!("secret {secret} (can be brought back for a week)"));
                    }
                }
            }
            None => stays.push(format!(
                "the secrets below {SECRETS_PREFIX}{name}/: the stored text, which names them, is \
                 not understood by this version; remove them in Secrets Manager"
            )),
        }
        let table = &self.stack.table;
        let lake = self.stack.lake.trim_end_matches('/');
        stays.extend([
            format!("the tables in {lake}/{name}/"),
            format!("states, runs and the connection's text in {table}, below connection#{name}"),
            format!("the customer's user and grants: `snowferry setup-sql {name} --remove`"),
        ]);
        Ok(Closed { removed, stays })
    }

    async fn enable(&self, name: &ConnectionName, is_enabled: bool) -> Result<(), BootstrapError> {
        for kind in [Kind::Pull, Kind::Push] {
            let schedule = schedule_name(name, kind)?;
            if let Some(entry) = self.scheduler.get(&schedule).await?
                && entry.is_enabled != is_enabled
            {
                self.scheduler.put(&schedule, &Entry { is_enabled, ..entry }, true).await?;
            }
        }
        Ok(())
    }

    fn entry(
        &self,
        connection: &ConnectionName,
        schedule: &Schedule,
        queue: &str,
        is_enabled: bool,
    ) -> Entry {
        Entry {
            expression: schedule.expression.clone(),
            time_zone: schedule.time_zone.clone(),
            window_minutes: schedule.window_minutes.map(i32::from),
            is_enabled,
            queue: queue.to_owned(),
            message_group: format!("{connection}#0"),
            input: serde_json::json!({ "connection": connection }).to_string(),
            role: self.stack.schedule_role.clone(),
            dead_letters: self.stack.undelivered_queue.clone(),
            most_age_s: MOST_AGE_S,
            most_tries: MOST_TRIES,
        }
    }

    async fn plan_secrets(
        &self,
        plan: &mut Plan,
        connection: &Connection,
        at_hand: &dyn SecretReader,
    ) -> Result<(), BootstrapError> {
        let mut seen: Vec<(String, &'static str)> = Vec::new();
        for NamedSecret { what, source, is_guessable } in connection.secrets() {
            let name = secrets::name(SECRETS_PREFIX, &connection.name, &source);
            if let Some((_, other)) = seen.iter().find(|(known, _)| *known == name) {
                let reason = format!(
                    "the {other} and the {what} of {} would both be the secret {name}; give their \
                     files different names",
                    connection.name
                );
                return Err(BootstrapError::Setting { setting: "secrets", reason });
            }
            seen.push((name.clone(), what));
            let at_hand = at_hand.read(&connection.name, what, &source);
            let id = match &at_hand {
                // Whoever may look at a version's id could guess a password by it.
                Ok(secret) if !is_guessable => Some(version_id(&name, secret)),
                _ => None,
            };
            let stored = self.vault.look(&name, id.as_ref()).await?;
            let keep = |details| (Action::Keep, details, None);
            let (action, details, secret) = match (at_hand, stored) {
                (Err(_), Stored::Other | Stored::Same) => {
                    keep(vec![format!("the {what} is not at hand, and stored already")])
                }
                (Err(error), Stored::Absent | Stored::Removed) => return Err(error),
                (Ok(_), Stored::Same) => keep(Vec::new()),
                (Ok(secret), Stored::Absent) => {
                    (Action::Create, vec![format!("the {what}")], Some(secret))
                }
                (Ok(secret), Stored::Removed) => {
                    (Action::Create, vec![format!("the {what}, brought back")], Some(secret))
                }
                (Ok(secret), Stored::Other) => {
                    let why = if is_guessable { "stored anew each time" } else { "another" };
                    (Action::Change, vec![format!("the {what}: {why}")], Some(secret))
                }
            };
            plan.changes.push(Change { what: format!("secret {name}"), action, details });
            plan.steps.extend(secret.map(|secret| Step::Secret { name, secret, id }));
        }
        Ok(())
    }

    /// Plans the end of the secrets that only the stored text names.
    async fn plan_former_secrets(
        &self,
        plan: &mut Plan,
        connection: &Connection,
    ) -> Result<(), BootstrapError> {
        let Some(stored) = &plan.stored else { return Ok(()) };
        let Some(former) = secrets_of_text(&plan.name, &stored.body) else {
            let what = format!("secrets below {SECRETS_PREFIX}{}/", plan.name);
            let detail = "the stored text is not understood; those that it alone names stay";
            let details = vec![detail.to_owned()];
            plan.changes.push(Change { what, action: Action::Keep, details });
            return Ok(());
        };
        let wanted = secrets_of(connection);
        for name in former.into_iter().filter(|name| !wanted.contains(name)) {
            if matches!(self.vault.look(&name, None).await?, Stored::Absent | Stored::Removed) {
                continue;
            }
            let detail = "the file names it no more; it can be brought back for a week";
            let (what, details) = (format!("secret {name}"), vec![detail.to_owned()]);
            plan.changes.push(Change { what, action: Action::Remove, details });
            plan.steps.push(Step::NoSecret { name });
        }
        Ok(())
    }

    async fn plan_schedule(
        &self,
        plan: &mut Plan,
        name: String,
        wanted: Option<Entry>,
    ) -> Result<(), BootstrapError> {
        let found = self.scheduler.get(&name).await?;
        let (action, details) = match (&found, &wanted) {
            (None, None) => return Ok(()),
            (None, Some(wanted)) => (Action::Create, wanted.told()),
            (Some(found), None) => (Action::Remove, found.told()),
            (Some(found), Some(wanted)) if found == wanted => (Action::Keep, Vec::new()),
            (Some(found), Some(wanted)) => (Action::Change, found.differences(wanted)),
        };
        plan.changes.push(Change { what: format!("schedule {name}"), action, details });
        match (action, wanted) {
            (Action::Create | Action::Change, Some(entry)) => {
                plan.steps.push(Step::Schedule { name, entry, is_there: found.is_some() });
            }
            (Action::Remove, _) => plan.steps.push(Step::NoSchedule { name }),
            _ => {}
        }
        Ok(())
    }
}

/// Returns the names in the stack of a connection's secrets.
fn secrets_of(connection: &Connection) -> Vec<String> {
    let mut names = Vec::new();
    for secret in connection.secrets() {
        names.push(secrets::name(SECRETS_PREFIX, &connection.name, &secret.source));
    }
    names
}

/// The same of a stored text; `None` when this version of the program does not accept it.
fn secrets_of_text(name: &ConnectionName, text: &str) -> Option<Vec<String>> {
    let connection = config::parse(&place(name), text).ok()?;
    Some(secrets_of(&connection))
}

/// Which runs a schedule starts.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Pull,
    Push,
}

fn schedule_name(connection: &ConnectionName, kind: Kind) -> Result<String, BootstrapError> {
    let name = match kind {
        Kind::Pull => format!("{connection}-pull"),
        Kind::Push => format!("{connection}-push"),
    };
    if name.len() > SCHEDULE_NAME_MAX_CHARS {
        let most = SCHEDULE_NAME_MAX_CHARS - "-pull".len();
        let reason = format!(
            "the name {connection} is too long for a schedule in AWS; allowed: {most} characters"
        );
        return Err(BootstrapError::Setting { setting: "connection", reason });
    }
    Ok(name)
}

fn plan_document(plan: &mut Plan, text: &str) {
    let what = format!("connection {}", plan.connection);
    let (action, details) = match &plan.stored {
        None => (Action::Create, Vec::new()),
        Some(stored) if stored.status == Status::Closed => {
            let mut details = vec!["it was closed and is opened again".to_owned()];
            details.extend(lines(&stored.body, text));
            (Action::Change, details)
        }
        Some(stored) if stored.body == text => (Action::Keep, Vec::new()),
        Some(stored) => (Action::Change, lines(&stored.body, text)),
    };
    plan.changes.push(Change { what, action, details });
    if action != Action::Keep {
        plan.steps.push(Step::Document { text: text.to_owned() });
    }
}

/// Returns the lines that go, with a minus, and those that come, with a plus.
fn lines(before: &str, after: &str) -> Vec<String> {
    let diff = similar::TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for change in diff.iter_all_changes() {
        let sign = match change.tag() {
            similar::ChangeTag::Delete => '-',
            similar::ChangeTag::Insert => '+',
            similar::ChangeTag::Equal => continue,
        };
        lines.push(format!("{sign} {}", change.value().trim_end_matches(['\r', '\n'])));
    }
    lines
}
