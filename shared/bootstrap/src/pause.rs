//! Whether a connection of this machine is paused: a marker file in the folder of the state.
//!
//! It is read when a run begins; a run that is under way is not stopped.

use std::path::PathBuf;

use snowferry_model::names::ConnectionName;

use crate::app::App;
use crate::config::{Connection, NamedSecret};
use crate::error::BootstrapError;
use crate::home;

impl App {
    /// Keeps runs of the connection from starting.
    ///
    /// # Errors
    /// [`BootstrapError::Home`].
    pub fn pause(&self, name: &ConnectionName) -> Result<(), BootstrapError> {
        home::create_folder(&self.home().state().join(FOLDER))?;
        let path = self.marker(name);
        std::fs::write(&path, "").map_err(|source| BootstrapError::Home {
            step: "write the marker",
            path,
            source,
        })
    }

    /// Lets runs of the connection start again.
    ///
    /// # Errors
    /// [`BootstrapError::Home`].
    pub fn resume(&self, name: &ConnectionName) -> Result<(), BootstrapError> {
        let path = self.marker(name);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(BootstrapError::Home { step: "remove the marker", path, source })
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the connection is paused.
    ///
    /// # Errors
    /// [`BootstrapError::Home`] when that cannot be known.
    pub fn is_paused(&self, name: &ConnectionName) -> Result<bool, BootstrapError> {
        let path = self.marker(name);
        path.try_exists().map_err(|source| BootstrapError::Home {
            step: "look for the marker",
            path,
            source,
        })
    }

    /// Names what is kept of a connection, and how it can be removed.
    #[must_use]
    pub fn remains(&self, connection: &Connection) -> Vec<String> {
        let (name, home) = (&connection.name, self.home());
        let tables = connection.tables_folder.clone().unwrap_or_else(|| home.tables());
        let mut stays = vec![
            format!("the connection file {}", connection.file.display()),
            format!("the tables in {}", tables.join(name.as_str()).display()),
            format!("states and runs in {}", home.state().display()),
        ];
        for NamedSecret { what, source, .. } in connection.secrets() {
            stays.push(format!("the {what} in the {source}"));
        }
        stays.push(format!(
            "the customer's user and grants: `snowferry setup-sql {name} --remove` prints what \
             removes them"
        ));
        stays
    }

    fn marker(&self, name: &ConnectionName) -> PathBuf {
        self.home().state().join(FOLDER).join(name.as_str())
    }
}

/// The folder of the markers, below that of the state.
const FOLDER: &str = "paused";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Home;

    #[test]
    fn a_connection_rests_until_it_is_resumed_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let app = App::new(Home::new(folder.path().join("data"), None));
        let name = |text: &str| ConnectionName::new(text).unwrap();
        assert!(!app.is_paused(&name("acme")).unwrap());
        app.pause(&name("acme")).unwrap();
        app.pause(&name("acme")).unwrap();
        assert!(app.is_paused(&name("acme")).unwrap());
        assert!(!app.is_paused(&name("acme-two")).unwrap());
        app.resume(&name("acme")).unwrap();
        app.resume(&name("acme")).unwrap();
        assert!(!app.is_paused(&name("acme")).unwrap());
    }
}
