//! The connection file: one customer's account, and the tables to pull from it.
//!
//! YAML text is read into a tree with places (`document`), walked once (`fields`), and becomes
//! a [`Connection`] that cannot be wrong in itself. Everything that is wrong with a file is told
//! at once, each problem with its line, column and field, what was found and what is allowed.
//!
//! **Invariants:** a field that is not known is refused; a secret is never in the file, only the
//! name of the file or variable that holds it; no message repeats what stands where a secret
//! could have been written by mistake.

use std::path::{Path, PathBuf};

mod auth;
mod connection;
mod document;
mod fields;
mod problem;
mod push;
mod schedule;
mod selection;
mod snowflake;
mod table;
mod template;

#[cfg(test)]
mod tests;

pub use auth::{Auth, KeyFile, NamedSecret, SecretSource};
pub(crate) use connection::SALT;
pub use connection::{Connection, parse};
pub use document::Position;
pub use problem::Problem;
pub use schedule::{Schedule, Schedules};
pub use snowflake::SnowflakeSettings;
pub use template::{Template, TemplateTable, render};

use crate::error::BootstrapError;

/// The version of the form that this program reads and writes.
pub const CONFIG_VERSION: i128 = 1;

/// Reads the connection file `{folder}/{name}.yaml`.
///
/// # Errors
/// - [`BootstrapError::NoConnection`] when there is no such file.
/// - [`BootstrapError::ReadConnection`] when it cannot be read.
/// - [`BootstrapError::Config`] with every problem of the file.
pub fn load(folder: &Path, name: &str) -> Result<Connection, BootstrapError> {
    let file = path_of(folder, name);
    match std::fs::read_to_string(&file) {
        Ok(text) => parse(&file, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let known = names(folder);
            Err(BootstrapError::NoConnection { name: name.to_owned(), file: Some(file), known })
        }
        Err(source) => Err(BootstrapError::ReadConnection { file, source }),
    }
}

/// Returns where the file of a connection lies.
#[must_use]
pub fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.yaml"))
}

/// Lists the names of the connection files in a folder, sorted; a missing folder has none.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}
