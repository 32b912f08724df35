//! Why a program could not start its work: files, folders, secrets, and what lies below.

use std::path::{Path, PathBuf};

use snowferry_checkpoint::CheckpointError;
use snowferry_database::DatabaseError;
use snowferry_model::fault::{Blame, Fault, Retry};
use snowferry_snowflake::SnowflakeError;
use snowferry_staging::StagingError;

use crate::config::Problem;

/// Why a program could not start its work, by what somebody would do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// The connection file says something wrong.
    #[error("{}", told(file, problems))]
    Config {
        /// The file.
        file: PathBuf,
        /// Everything that is wrong with it, in the order of the file.
        problems: Vec<Problem>,
    },
    /// There is no such connection.
    #[error("there is no connection `{name}`: {}", absent(file.as_deref()))]
    NoConnection {
        /// The name that was asked for.
        name: String,
        /// Where it would be; `None` for one that a stack would have.
        file: Option<PathBuf>,
        /// The connections that are there.
        known: Vec<String>,
    },
    /// The connection file cannot be read.
    #[error("read {}", file.display())]
    ReadConnection {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A secret is not where the connection says.
    #[error("read the {what} from {place}: {reason}")]
    Secret {
        /// `private key`, `password`, …
        what: &'static str,
        /// The file or variable.
        place: String,
        /// Why, without the secret.
        reason: String,
    },
    /// A new key would take the place of one that is there.
    #[error("{} exists already; it was left as it is", file.display())]
    KeyExists {
        /// The file.
        file: PathBuf,
        /// What to do instead.
        instead: String,
    },
    /// The next key does not open the account.
    #[error("sign in as `{connection}` with the next key")]
    NextKey {
        /// The connection.
        connection: String,
        /// Why.
        source: Box<SnowflakeError>,
    },
    /// A folder or file of the data folder cannot be used.
    #[error("{step} {}", path.display())]
    Home {
        /// What was tried, as a verb.
        step: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A setting of the program itself is wrong.
    #[error("{setting}: {reason}")]
    Setting {
        /// The option or variable.
        setting: &'static str,
        /// What is wrong, and what is allowed.
        reason: String,
    },
    /// The Snowflake client refused its settings.
    #[error("prepare the Snowflake client for `{connection}`")]
    Snowflake {
        /// The connection.
        connection: String,
        /// Why.
        source: Box<SnowflakeError>,
    },
    /// The staging folder cannot be opened.
    #[error("open the staging folder")]
    Staging {
        /// Why.
        source: StagingError,
    },
    /// The state cannot be opened.
    #[error("open the state")]
    Checkpoint {
        /// Why.
        source: CheckpointError,
    },
    /// An event asks for something that cannot be understood or is not there.
    #[cfg(feature = "aws")]
    #[error("understand the event: {reason}")]
    Event {
        /// What is wrong.
        reason: String,
    },
    /// The connection is not to be run.
    #[cfg(feature = "aws")]
    #[error("the connection `{connection}` is {status}")]
    Paused {
        /// The connection.
        connection: String,
        /// `paused` or `closed`.
        status: String,
    },
    /// Somebody else stored the connection meanwhile.
    #[cfg(feature = "aws")]
    #[error("the connection `{name}` was changed since it was compared; it was left as it is")]
    Changed {
        /// The connection.
        name: String,
    },
    /// A run has had more invocations than any run should need.
    #[cfg(feature = "aws")]
    #[error("run {run_id} was handed on {hops} times and is not done")]
    Hops {
        /// The run.
        run_id: String,
        /// How often it was handed on.
        hops: u32,
    },
    /// A service of AWS refused or did not answer.
    #[cfg(feature = "aws")]
    #[error("{step}")]
    Cloud {
        /// What was tried.
        step: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A query over the tables was refused or failed.
    #[error(transparent)]
    Query {
        /// Why.
        source: DatabaseError,
    },
    /// Our database cannot be opened.
    #[error("open the folder of the tables")]
    Database {
        /// Why.
        source: DatabaseError,
    },
}

/// Says where a connection was looked for.
fn absent(file: Option<&Path>) -> String {
    match file {
        Some(file) => format!("{} does not exist", file.display()),
        None => "the stack has none of that name".to_owned(),
    }
}

/// Lists all problems, one place each.
fn told(file: &Path, problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "one problem".to_owned(),
        count => format!("{count} problems"),
    };
    let mut text = format!("{} has {count}", file.display());
    for problem in problems {
        text.push_str("\n  ");
        text.push_str(&problem.told(file));
    }
    text
}

impl BootstrapError {
    /// Returns whether what was written is wrong, rather than what was tried.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Config { .. }
                | Self::NoConnection { .. }
                | Self::ReadConnection { .. }
                | Self::Setting { .. }
        )
    }

    /// Returns the error of the adapter that failed, if one did.
    fn adapter(&self) -> Option<&dyn Fault> {
        match self {
            Self::Snowflake { source, .. } | Self::NextKey { source, .. } => Some(source.as_ref()),
            Self::Staging { source } => Some(source),
            Self::Checkpoint { source } => Some(source),
            Self::Database { source } | Self::Query { source } => Some(source),
            _ => None,
        }
    }
}

impl Fault for BootstrapError {
    fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "CONFIG_INVALID",
            Self::NoConnection { .. } => "CONFIG_NO_CONNECTION",
            Self::ReadConnection { .. } => "CONFIG_READ",
            Self::Secret { .. } => "CONFIG_SECRET",
            Self::KeyExists { .. } => "KEY_EXISTS",
            Self::Home { .. } => "HOME_UNUSABLE",
            Self::Setting { .. } => "SETTING_INVALID",
            #[cfg(feature = "aws")]
            Self::Event { .. } => "EVENT_INVALID",
            #[cfg(feature = "aws")]
            Self::Paused { .. } => "CONNECTION_PAUSED",
            #[cfg(feature = "aws")]
            Self::Changed { .. } => "CONNECTION_CHANGED",
            #[cfg(feature = "aws")]
            Self::Hops { .. } => "RUN_ENDLESS",
            #[cfg(feature = "aws")]
            Self::Cloud { .. } => "AWS_UNAVAILABLE",
            _ => self.adapter().map_or("BOOTSTRAP", Fault::code),
        }
    }

    fn blame(&self) -> Blame {
        self.adapter().map_or(Blame::Operator, Fault::blame)
    }

    fn retry(&self) -> Retry {
        #[cfg(feature = "aws")]
        if matches!(self, Self::Cloud { .. }) {
            return Retry::NextRun;
        }
        self.adapter().map_or(Retry::AfterFix, Fault::retry)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoConnection { name, file: None, .. } => Some(format!(
                "`snowferry apply connections/{name}.yaml --stack FILE` stores it"
            )),
            Self::NoConnection { name, known, .. } if known.is_empty() => {
                Some(format!("`snowferry init {name}` writes a commented file"))
            }
            Self::NoConnection { name, known, .. } => Some(format!(
                "the connections here are {}; `snowferry init {name}` writes a new file",
                known.join(", ")
            )),
            #[cfg(feature = "aws")]
            Self::Event { .. } => {
                Some("see infra/events/event.schema.json for what an event may say".to_owned())
            }
            #[cfg(feature = "aws")]
            Self::Paused { connection, status } if status == "closed" => Some(format!(
                "`snowferry apply connections/{connection}.yaml --stack FILE` opens it again"
            )),
            #[cfg(feature = "aws")]
            Self::Paused { connection, .. } => {
                Some(format!("`snowferry resume {connection} --stack FILE` lets runs start again"))
            }
            #[cfg(feature = "aws")]
            Self::Changed { name } => Some(format!(
                "`snowferry apply connections/{name}.yaml --stack FILE` shows the difference anew"
            )),
            #[cfg(feature = "aws")]
            Self::Hops { .. } => Some(
                "look at its parts in `runs`; start it again, or raise the function's time or memory"
                    .to_owned(),
            ),
            #[cfg(feature = "aws")]
            Self::Cloud { .. } => {
                Some("check that the role may do this, and the names of the stack".to_owned())
            }
            Self::ReadConnection { .. } => {
                Some("check that the file may be read and is UTF-8 text".to_owned())
            }
            Self::Secret { what, .. } => {
                Some(format!("put the {what} there, or name another place under snowflake.auth"))
            }
            Self::KeyExists { instead, .. } => Some(instead.clone()),
            Self::NextKey { connection, .. } => Some(format!(
                "nothing was changed and the old key stays in use; let the customer run the \
                 statement that `snowferry rotate-key {connection}` printed, then finish again"
            )),
            Self::Home { .. } => Some(
                "check that the folder exists, may be written to and has room, \
                 or name another one with --home"
                    .to_owned(),
            ),
            _ => self.adapter().and_then(Fault::hint),
        }
    }
}
