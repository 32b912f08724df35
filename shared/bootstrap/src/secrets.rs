//! Where the texts of secrets come from: files and variables here, a secret store in the cloud.
//!
//! A connection names its secrets and never holds them; whoever makes a client asks a
//! [`SecretReader`]. **Invariant:** a secret travels in its own type, which does not print.

use std::io::Read;
use std::path::Path;

use snowferry_model::names::ConnectionName;
use snowferry_snowflake::client::Secret;

use crate::config::SecretSource;
use crate::error::BootstrapError;

/// A file that holds a secret is never larger; a wrong path must not fill the memory.
const SECRET_MAX_BYTES: u64 = 64 * 1024;

/// Gives the text of a secret that a connection names.
pub trait SecretReader: Send + Sync + std::fmt::Debug {
    /// Returns the secret `what` (`private key`, `password`, …) without the line break at its end.
    ///
    /// # Errors
    /// [`BootstrapError::Secret`] when it is not there, empty or unreadable.
    fn read(
        &self,
        connection: &ConnectionName,
        what: &'static str,
        source: &SecretSource,
    ) -> Result<Secret, BootstrapError>;
}

/// Reads the files and variables of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalSecrets;

impl SecretReader for LocalSecrets {
    fn read(
        &self,
        _connection: &ConnectionName,
        what: &'static str,
        source: &SecretSource,
    ) -> Result<Secret, BootstrapError> {
        trimmed(what, &source.to_string(), &read(what, source)?)
    }
}

/// Reads a secret as it is.
fn read(what: &'static str, source: &SecretSource) -> Result<Secret, BootstrapError> {
    match source {
        SecretSource::File(file) => read_file(what, file),
        SecretSource::Variable(name) => Ok(Secret::new(std::env::var(name).map_err(|error| {
            let reason = match error {
                std::env::VarError::NotPresent => "it is not set",
                std::env::VarError::NotUnicode(_) => "it is not UTF-8",
            };
            let place = format!("the environment variable {name}");
            BootstrapError::Secret { what, place, reason: reason.to_owned() }
        })?)),
    }
}

/// Takes off the line break that editors end a file with, and refuses what is then empty.
pub(crate) fn trimmed(
    what: &'static str,
    place: &str,
    secret: &Secret,
) -> Result<Secret, BootstrapError> {
    let trimmed = secret.expose().trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() {
        let (place, reason) = (place.to_owned(), "it is empty".to_owned());
        return Err(BootstrapError::Secret { what, place, reason });
    }
    Ok(Secret::new(trimmed.to_owned()))
}

fn read_file(what: &'static str, file: &Path) -> Result<Secret, BootstrapError> {
    let refuse =
        |reason: String| BootstrapError::Secret { what, place: file.display().to_string(), reason };
    let mut text = String::new();
    let read = std::fs::File::open(file)
        .and_then(|open| open.take(SECRET_MAX_BYTES + 1).read_to_string(&mut text));
    let secret = Secret::new(text);
    match read {
        Err(error) => Err(refuse(error.to_string())),
        Ok(bytes) if bytes as u64 > SECRET_MAX_BYTES => {
            Err(refuse(format!("it has more than {SECRET_MAX_BYTES} bytes")))
        }
        Ok(_) => Ok(secret),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn read_password(source: &SecretSource) -> Result<Secret, BootstrapError> {
        let name = ConnectionName::new("acme").unwrap();
        LocalSecrets.read(&name, "password", source)
    }

    fn password_of(content: &str) -> Result<Secret, BootstrapError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, content).unwrap();
        read_password(&SecretSource::File(file))
    }

    #[test]
    fn the_line_break_at_the_end_of_a_file_is_no_part_of_the_password() {
        assert_eq!(password_of(" s3 cret \r\n").unwrap().expose(), " s3 cret ");
    }

    #[test]
    fn an_empty_password_is_refused() {
        let error = password_of("\n").unwrap_err().to_string();
        assert!(error.ends_with(": it is empty"), "{error}");
    }

    #[test]
    fn a_missing_file_is_told_with_its_place() {
        let file = PathBuf::from("/nowhere/acme.p8");
        let error = read_file("private key", &file).unwrap_err().to_string();
        let head = "read the private key from /nowhere/acme.p8: ";
        assert!(error.starts_with(head), "{error}");
    }

    #[test]
    fn a_variable_that_is_not_set_is_told_by_its_name() {
        let source = SecretSource::Variable("SNOWFERRY_TEST_UNSET".to_owned());
        let error = read_password(&source).unwrap_err().to_string();
        assert_eq!(
            error,
            "read the password from the environment variable SNOWFERRY_TEST_UNSET: it is not set"
        );
    }

    #[test]
    fn a_file_that_is_far_too_large_for_a_secret_is_refused() {
        let error = password_of(&"x".repeat(70_000)).unwrap_err().to_string();
        assert!(error.contains("more than 65536 bytes"), "{error}");
    }

    #[test]
    fn no_message_holds_the_secret() {
        let error = password_of(&format!("hunter2{}", "x".repeat(70_000))).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
