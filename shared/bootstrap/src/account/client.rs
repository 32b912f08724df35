//! A connection's settings → its client; secrets are read here and nowhere else.

use std::io::Read;
use std::path::Path;

use async_trait::async_trait;
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::types::TableDescription;
use snowferry_snowflake::client::{
    ClientOptions, Credential, KeyPair, OAuthClient, Scope, Secret, SnowflakeClient,
};
use snowferry_snowflake::{SnowflakeError, Source};

use super::{Account, ListedTable, SessionFacts};
use crate::config::{Auth, Connection, KeyFile, SecretSource};
use crate::error::BootstrapError;

/// A file that holds a secret is never larger; a wrong path must not fill the memory.
const SECRET_MAX_BYTES: u64 = 64 * 1024;

/// Makes the client of a connection. Nothing is sent before its first statement.
pub(crate) fn client(connection: &Connection) -> Result<SnowflakeClient, BootstrapError> {
    let settings = &connection.snowflake;
    let refused = |source| BootstrapError::Snowflake {
        connection: connection.name.to_string(),
        source: Box::new(source),
    };
    let credential = match &settings.auth {
        Auth::KeyPair { private_key_file, passphrase, next } => {
            let pair = read_pair(connection, private_key_file, passphrase.as_ref())?;
            Credential::KeyPair(match next {
                Some(KeyFile { private_key_file, passphrase }) => {
                    let next = read_pair(connection, private_key_file, passphrase.as_ref())?;
                    pair.with_next(next)
                }
                None => pair,
            })
        }
        Auth::AccessToken(source) => Credential::AccessToken(read_secret("access token", source)?),
        Auth::OAuth { token_endpoint, client_id, client_secret, scope } => {
            let secret = read_secret("client secret", client_secret)?;
            let client = OAuthClient::new(token_endpoint, client_id, secret, scope.clone());
            Credential::OAuth(client.map_err(refused)?)
        }
        Auth::Password(source) => Credential::Password(read_secret("password", source)?),
    };
    if let Some(warning) = credential.warning() {
        tracing::warn!(connection = %connection.name, "{warning}");
    }
    let options = ClientOptions {
        account: settings.account.clone(),
        endpoint: settings.endpoint.clone(),
        proxy: settings.proxy.clone(),
        role: Some(settings.role.clone()),
        warehouse: Some(settings.warehouse.clone()),
        query_tag: format!("snowferry/{}", connection.name),
        ..ClientOptions::new(settings.account.clone(), settings.user.clone(), credential)
            .map_err(refused)?
    };
    SnowflakeClient::new(options).map_err(refused)
}

/// Reads a private key of a connection; its passphrase opens it if it is encrypted.
pub(crate) fn key_pair(connection: &Connection, file: &Path) -> Result<KeyPair, BootstrapError> {
    let passphrase = match &connection.snowflake.auth {
        Auth::KeyPair { passphrase, .. } => passphrase.as_ref(),
        _ => None,
    };
    read_pair(connection, file, passphrase)
}

fn read_pair(
    connection: &Connection,
    file: &Path,
    passphrase: Option<&SecretSource>,
) -> Result<KeyPair, BootstrapError> {
    let pem = read_file("private key", file)?;
    let name = file.display().to_string();
    let pair = match passphrase {
        Some(source) => {
            KeyPair::from_encrypted_pem(&name, &pem, &read_secret("passphrase", source)?)
        }
        None => KeyPair::from_pem(&name, &pem),
    };
    pair.map_err(|source| BootstrapError::Snowflake {
        connection: connection.name.to_string(),
        source: Box::new(source),
    })
}

#[async_trait]
impl Account for SnowflakeClient {
    async fn facts(&self) -> Result<SessionFacts, SnowflakeError> {
        let facts = self.session_facts().await?;
        Ok(SessionFacts {
            version: facts.version,
            region: facts.region,
            user: facts.user,
            role: facts.role,
            warehouse: facts.warehouse,
            clock_ahead_ms: facts.clock_difference_ms.map(i64::saturating_neg),
        })
    }

    async fn tables(&self, pattern: &str) -> Result<Vec<ListedTable>, SnowflakeError> {
        let listed = self.list_tables(&Scope::Account, Some(pattern)).await?;
        let tables = listed.into_iter().map(|summary| ListedTable {
            table: summary.table,
            kind: summary.kind,
            rows: summary.rows,
            size_bytes: summary.bytes,
        });
        Ok(tables.collect())
    }

    async fn describe(&self, table: &TableName) -> Result<TableDescription, SnowflakeError> {
        Source::describe(self, table).await
    }

    async fn may_select(
        &self,
        table: &TableName,
        columns: &[Identifier],
    ) -> Result<(), SnowflakeError> {
        self.probe_select(table, columns).await.map(|_| ())
    }
}

fn read_secret(what: &'static str, source: &SecretSource) -> Result<Secret, BootstrapError> {
    let secret = match source {
        SecretSource::File(file) => read_file(what, file)?,
        SecretSource::Variable(name) => Secret::new(std::env::var(name).map_err(|error| {
            let reason = match error {
                std::env::VarError::NotPresent => "it is not set",
                std::env::VarError::NotUnicode(_) => "it is not UTF-8",
            };
            let place = format!("the environment variable {name}");
            BootstrapError::Secret { what, place, reason: reason.to_owned() }
        })?),
    };
    // Editors end a file with a line break that is no part of the secret.
    let trimmed = secret.expose().trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() {
        let place = source.to_string();
        let reason = "it is empty".to_owned();
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

    fn password_of(content: &str) -> Result<Secret, BootstrapError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, content).unwrap();
        read_secret("password", &SecretSource::File(file))
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
        let error = read_secret("password", &source).unwrap_err().to_string();
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
