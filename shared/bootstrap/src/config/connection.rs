//! The whole file: version, name, the account, where tables are kept, what is pulled and pushed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use snowferry_model::names::{ConnectionName, TableName};
use snowferry_pull::TableJob;
use snowferry_push::PushJob;
use snowferry_snowflake::client::Selection;

use super::auth::{NamedSecret, SecretSource};
use super::document::{self, Node, Position, Value};
use super::fields::{Problems, Section, Show, Spot, text};
use super::problem::Problem;
use super::schedule::Schedules;
use super::snowflake::{self, SnowflakeSettings};
use super::{CONFIG_VERSION, push, schedule, table};
use crate::error::BootstrapError;

/// A connection as its file describes it. Paths are resolved against the file's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The name; equals the file's name.
    pub name: ConnectionName,
    /// The file it was read from.
    pub file: PathBuf,
    /// The account and how to sign in.
    pub snowflake: SnowflakeSettings,
    /// Where the Delta tables are kept; `None` for the data folder.
    pub tables_folder: Option<PathBuf>,
    /// The tables to pull, in the order of the file.
    pub tables: Vec<TableJob>,
    /// What is read of those that are not read whole.
    pub selections: BTreeMap<TableName, Selection>,
    /// The secret that is hashed together with each value that is read as a hash only.
    pub hash_salt: Option<SecretSource>,
    /// The queries to push, in the order of the file.
    pub pushes: Vec<PushJob>,
    /// When runs begin by themselves, where something starts them.
    pub schedules: Schedules,
}

const FIELDS: &[&str] = &["version", "connection", "snowflake", "database", "pull", "push"];

/// What messages call the secret that is hashed together with values.
pub(crate) const SALT: &str = "salt of hashes";

impl Connection {
    /// Lists the secrets that the connection needs.
    #[must_use]
    pub fn secrets(&self) -> Vec<NamedSecret> {
        let salt = self.hash_salt.clone().map(|source| NamedSecret::guessable(SALT, source));
        self.snowflake.auth.secrets().into_iter().chain(salt).collect()
    }
}

/// Reads the text of a connection file. `file` names it in messages and resolves paths.
///
/// # Errors
/// [`BootstrapError::Config`] with every problem of the file.
pub fn parse(file: &Path, text: &str) -> Result<Connection, BootstrapError> {
    let refuse = |problems| BootstrapError::Config { file: file.to_owned(), problems };
    let root = document::parse(text).map_err(|problem| refuse(vec![problem]))?;
    let mut problems = Problems::default();
    let connection = read(&mut problems, file, &root);
    match connection {
        Some(connection) if problems.is_empty() => Ok(connection),
        _ => Err(refuse(problems.sorted())),
    }
}

fn read(problems: &mut Problems, file: &Path, root: &Node) -> Option<Connection> {
    if matches!(root.value, Value::Null) {
        let problem = Problem::new(Position::START, "", "the file is empty");
        problems.add(problem.repair("`snowferry init NAME` writes a commented example"));
        return None;
    }
    let root = Spot { at: Position::START, path: String::new(), value: root };
    let section = Section::open(problems, root, FIELDS)?;
    let version = read_version(problems, &section);
    let name = read_name(problems, &section, file);
    let folder = file.parent().unwrap_or(Path::new("."));
    let snowflake = section
        .required(problems, "snowflake", "say which account to sign in to, and as whom")
        .and_then(|spot| snowflake::read(problems, spot, folder));
    let tables_folder = match section.field("database") {
        Some(spot) => read_database(problems, spot, folder).map(Some),
        None => Some(None),
    };
    let tables = match (section.field("pull"), section.field("push")) {
        (Some(spot), _) => table::read_all(problems, spot, folder),
        (None, Some(_)) => Some(table::Tables::default()),
        (None, None) => section
            .required(problems, "pull", "name the tables to pull: `pull: { tables: [...] }`")
            .and(None),
    };
    let account = snowflake.as_ref().map(|settings| settings.account.to_string());
    let pushes = match section.field("push") {
        Some(spot) => push::read_all(problems, spot, name.as_ref(), account.as_deref()),
        None => Some(Vec::new()),
    };
    let mut schedule = |part: &str| match section.field(part) {
        Some(spot) => schedule::read_in(problems, &spot),
        None => Some(None),
    };
    let (pull, push) = (schedule("pull"), schedule("push"));
    version?;
    let tables = tables?;
    Some(Connection {
        name: name?,
        file: file.to_owned(),
        snowflake: snowflake?,
        tables_folder: tables_folder?,
        tables: tables.jobs,
        selections: tables.selections,
        hash_salt: tables.hash_salt,
        pushes: pushes?,
        schedules: Schedules { pull: pull?, push: push? },
    })
}

fn read_version(problems: &mut Problems, section: &Section<'_>) -> Option<()> {
    let spot = section.required(problems, "version", "write `version: 1`")?;
    match &spot.value.value {
        Value::Integer(CONFIG_VERSION) => Some(()),
        other => {
            let found = match other {
                Value::Integer(number) => format!("found the version {number}"),
                other => format!("found {}", other.kind()),
            };
            let problem = Problem::new(spot.value.at, spot.path, found).allowed("1");
            problems.add(match other {
                Value::Integer(_) => problem.repair("read the file with the Snowferry it is for"),
                _ => problem,
            });
            None
        }
    }
}

fn read_name(
    problems: &mut Problems,
    section: &Section<'_>,
    file: &Path,
) -> Option<ConnectionName> {
    let spot = section.required(problems, "connection", "write the name of the file")?;
    let spot = text(problems, spot, Show::Value)?;
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    spot.check(problems, |written| {
        let name = ConnectionName::new(written.clone()).map_err(|error| {
            Problem::new(Position::START, "", format!("found `{written}`"))
                .allowed(error.to_string())
        })?;
        if *written == stem {
            return Ok(name);
        }
        Err(Problem::new(
            Position::START,
            "",
            format!("found `{written}` in a file named `{stem}.yaml`"),
        )
        .repair("give the file and the connection the same name"))
    })
}

fn read_database(problems: &mut Problems, spot: Spot<&Node>, folder: &Path) -> Option<PathBuf> {
    let section = Section::open(problems, spot, &["delta"])?;
    let spot = section.required(problems, "delta", "write `delta: { folder: PATH }`")?;
    let section = Section::open(problems, spot, &["folder"])?;
    let spot = section.required(problems, "folder", "name the folder for the Delta tables")?;
    let written = text(problems, spot, Show::Value)?;
    Some(folder.join(written.value))
}
