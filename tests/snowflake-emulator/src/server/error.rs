//! Why an emulator could not start.

use std::path::PathBuf;

use crate::engine::SqlError;

/// What was underneath an [`EmulatorError`].
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an emulator could not start; one variant for each different repair.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// The address is taken or may not be used.
    #[error("listen on 127.0.0.1:{port}")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// The system's word.
        source: std::io::Error,
    },
    /// A folder or file for results or keys could not be made.
    #[error("prepare the emulator's folder in {}", folder.display())]
    Folder {
        /// The folder it should lie in.
        folder: PathBuf,
        /// The cause.
        source: BoxError,
    },
    /// No key pair could be made for the default user.
    #[error("make the default user's key pair")]
    Key {
        /// The cause.
        source: BoxError,
    },
    /// The sample data could not be created.
    #[error("create the sample databases")]
    Samples {
        /// Snowflake's own error.
        source: SqlError,
    },
    /// A script could not be read.
    #[error("read the script {}", path.display())]
    ReadScript {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A statement of a script failed.
    #[error("run the script {}", path.display())]
    RunScript {
        /// The file.
        path: PathBuf,
        /// Snowflake's own error.
        source: SqlError,
    },
}

impl EmulatorError {
    /// Returns the stable code of this kind of failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "EMULATOR_LISTEN",
            Self::Folder { .. } => "EMULATOR_FOLDER",
            Self::Key { .. } => "EMULATOR_KEY",
            Self::Samples { .. } => "EMULATOR_SAMPLES",
            Self::ReadScript { .. } => "EMULATOR_READ_SCRIPT",
            Self::RunScript { .. } => "EMULATOR_RUN_SCRIPT",
        }
    }

    /// Returns what the user can do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listen { .. } => Some("choose another port, or 0 for any free one"),
            Self::Folder { .. } => Some("name a folder with free space that you may write to"),
            Self::ReadScript { .. } => Some("check the path of the script"),
            Self::RunScript { .. } => Some("correct the statement; those before it have run"),
            Self::Key { .. } | Self::Samples { .. } => None,
        }
    }
}
