//! A connection's settings → its client; secrets are asked for here and nowhere else.

use std::path::Path;

use async_trait::async_trait;
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::types::TableDescription;
use snowferry_snowflake::client::{
    ClientOptions, Credential, KeyPair, OAuthClient, SALT_MIN_CHARS, Scope, SnowflakeClient,
};
use snowferry_snowflake::{SnowflakeError, Source};

use super::{Account, ListedTable, SessionFacts};
use crate::config::{Auth, Connection, KeyFile, SALT, SecretSource};
use crate::error::BootstrapError;
use crate::secrets::SecretReader;

/// Makes the client of a connection. Nothing is sent before its first statement.
pub(crate) fn client(
    connection: &Connection,
    secrets: &dyn SecretReader,
) -> Result<SnowflakeClient, BootstrapError> {
    let settings = &connection.snowflake;
    let refused = |source| BootstrapError::Snowflake {
        connection: connection.name.to_string(),
        source: Box::new(source),
    };
    let credential = match &settings.auth {
        Auth::KeyPair { private_key_file, passphrase, next } => {
            let pair = read_pair(connection, private_key_file, passphrase.as_ref(), secrets)?;
            Credential::KeyPair(match next {
                Some(KeyFile { private_key_file, passphrase }) => {
                    let next =
                        read_pair(connection, private_key_file, passphrase.as_ref(), secrets)?;
                    pair.with_next(next)
                }
                None => pair,
            })
        }
        Auth::AccessToken(source) => {
            Credential::AccessToken(secrets.read(&connection.name, "access token", source)?)
        }
        Auth::OAuth { token_endpoint, client_id, client_secret, scope } => {
            let secret = secrets.read(&connection.name, "client secret", client_secret)?;
            let client = OAuthClient::new(token_endpoint, client_id, secret, scope.clone());
            Credential::OAuth(client.map_err(refused)?)
        }
        Auth::Password(source) => {
            Credential::Password(secrets.read(&connection.name, "password", source)?)
        }
    };
    if let Some(warning) = credential.warning() {
        tracing::warn!(connection = %connection.name, "{warning}");
    }
    let hash_salt = match &connection.hash_salt {
        Some(source) => {
            let salt = secrets.read(&connection.name, SALT, source)?;
            if salt.expose().chars().count() < SALT_MIN_CHARS {
                let (what, place) = (SALT, source.to_string());
                let reason = format!("it has less than {SALT_MIN_CHARS} characters");
                return Err(BootstrapError::Secret { what, place, reason });
            }
            Some(salt)
        }
        None => None,
    };
    let options = ClientOptions {
        selections: connection.selections.clone(),
        hash_salt,
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
pub(crate) fn key_pair(
    connection: &Connection,
    file: &Path,
    secrets: &dyn SecretReader,
) -> Result<KeyPair, BootstrapError> {
    let passphrase = match &connection.snowflake.auth {
        Auth::KeyPair { passphrase, .. } => passphrase.as_ref(),
        _ => None,
    };
    read_pair(connection, file, passphrase, secrets)
}

fn read_pair(
    connection: &Connection,
    file: &Path,
    passphrase: Option<&SecretSource>,
    secrets: &dyn SecretReader,
) -> Result<KeyPair, BootstrapError> {
    let place = SecretSource::File(file.to_owned());
    let pem = secrets.read(&connection.name, "private key", &place)?;
    let name = file.display().to_string();
    let pair = match passphrase {
        Some(source) => KeyPair::from_encrypted_pem(
            &name,
            &pem,
            &secrets.read(&connection.name, "passphrase", source)?,
        ),
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

    async fn describe_whole(&self, table: &TableName) -> Result<TableDescription, SnowflakeError> {
        self.describe_object(table).await
    }

    async fn may_select(
        &self,
        table: &TableName,
        columns: &[Identifier],
    ) -> Result<(), SnowflakeError> {
        self.probe_select(table, columns).await.map(|_| ())
    }
}
