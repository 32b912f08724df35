//! The data folder: what Snowferry keeps on this machine, and where.
//!
//! ```text
//! snowferry-data/            --home, SNOWFERRY_HOME
//!   state/                   watermarks, leases and run records (SQLite)
//!   staging/                 batches on their way into the tables (Parquet)
//!   tables/                  one Delta table for each pulled table, unless the connection names a folder
//! connections/NAME.yaml      beside it: --connections, SNOWFERRY_CONNECTIONS
//! ```

use std::path::{Path, PathBuf};

use crate::error::BootstrapError;

/// The data folder when none is named.
pub const DEFAULT_HOME: &str = "./snowferry-data";

/// The folder of the connection files, beside the data folder.
const CONNECTIONS: &str = "connections";

/// Where things are kept on this machine. Nothing is created before it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
    connections: PathBuf,
}

impl Home {
    /// Takes the data folder and the folder of the connection files, or its place beside the
    /// former.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, connections: Option<PathBuf>) -> Self {
        let root = root.into();
        let connections = connections.unwrap_or_else(|| {
            let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty());
            parent.unwrap_or(Path::new(".")).join(CONNECTIONS)
        });
        Self { root, connections }
    }

    /// Returns the data folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder of the connection files.
    #[must_use]
    pub fn connections(&self) -> &Path {
        &self.connections
    }

    /// Returns the folder of the state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Returns the folder of staged objects.
    #[must_use]
    pub fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// Returns the folder of the tables, unless a connection names another.
    #[must_use]
    pub fn tables(&self) -> PathBuf {
        self.root.join("tables")
    }

    /// Returns whether anything was ever kept here.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.state().is_dir()
    }
}

/// Creates a folder with everything above it.
///
/// # Errors
/// [`BootstrapError::Home`].
pub fn create_folder(path: &Path) -> Result<(), BootstrapError> {
    std::fs::create_dir_all(path).map_err(|source| BootstrapError::Home {
        step: "create the folder",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_lie_beside_the_data_folder() {
        let folder = |root: &str| Home::new(root, None).connections().to_owned();
        assert_eq!(folder("./snowferry-data"), PathBuf::from("./connections"));
        assert_eq!(folder("snowferry-data"), PathBuf::from("./connections"));
        assert_eq!(folder("/var/lib/snowferry"), PathBuf::from("/var/lib/connections"));
    }

    #[test]
    fn a_named_connections_folder_is_taken_as_it_is() {
        let home = Home::new("data", Some(PathBuf::from("/etc/snowferry")));
        assert_eq!(home.connections(), Path::new("/etc/snowferry"));
    }

    #[test]
    fn a_folder_below_a_file_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = create_folder(&file.join("below")).unwrap_err();
        assert!(error.to_string().starts_with("create the folder "), "{error}");
    }
}
