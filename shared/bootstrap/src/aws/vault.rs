//! Secrets as an operator sees them: stored, never read back.
//!
//! The operator's policy does not allow to read a secret. Whether a stored one is the one at hand
//! is told by the id of its version, which is made of its content; only of keys and tokens, whose
//! content nobody can guess. A password or a passphrase is stored anew each time.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use sha2::{Digest, Sha256};
use snowferry_snowflake::client::Secret;
use uuid::Uuid;

use super::failure::cloud;
use crate::error::BootstrapError;

/// For how many days a removed secret can be brought back.
const RECOVERY_DAYS: i64 = 7;

/// The version that is in use.
const CURRENT: &str = "AWSCURRENT";

/// What is known of a stored secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// There is none.
    Absent,
    /// There is one, and whether it is the one at hand is not known or not so.
    Other,
    /// It is the one at hand.
    Same,
    /// It was removed and can be brought back.
    Removed,
}

/// Writes secrets of one stack.
#[derive(Clone, Debug)]
pub(super) struct Vault {
    client: Client,
    key: String,
}

impl Vault {
    pub(super) fn new(client: Client, key: &str) -> Self {
        Self { client, key: key.to_owned() }
    }

    /// Looks at a stored secret, beside the one at hand if there is one.
    pub(super) async fn look(
        &self,
        name: &str,
        at_hand: Option<&Uuid>,
    ) -> Result<Stored, BootstrapError> {
        let Some(found) = self.describe(name).await? else { return Ok(Stored::Absent) };
        if found.deleted_date().is_some() {
            return Ok(Stored::Removed);
        }
        let wanted = at_hand.map(ToString::to_string);
        let same = wanted.is_some() && current_version(&found) == wanted.as_deref();
        Ok(if same { Stored::Same } else { Stored::Other })
    }

    /// Stores a secret under a version id, or under a random one, and brings it into use.
    pub(super) async fn put(
        &self,
        name: &str,
        secret: &Secret,
        id: Option<Uuid>,
    ) -> Result<(), BootstrapError> {
        let step = || format!("store the secret {name}");
        let version = id.unwrap_or_else(Uuid::new_v4).to_string();
        let Some(found) = self.describe(name).await? else {
            self.client
                .create_secret()
                .name(name)
                .kms_key_id(&self.key)
                .client_request_token(version)
                .secret_string(secret.expose())
                .send()
                .await
                .map_err(|error| cloud(step(), error))?;
            return Ok(());
        };
        if found.deleted_date().is_some() {
            let restored = self.client.restore_secret().secret_id(name).send().await;
            restored.map_err(|error| cloud(format!("bring back the secret {name}"), error))?;
        }
        self.client
            .put_secret_value()
            .secret_id(name)
            .client_request_token(&version)
            .secret_string(secret.expose())
            .send()
            .await
            .map_err(|error| cloud(step(), error))?;
        self.bring_into_use(name, &version).await
    }

    /// Makes a version the current one. Putting one does so, unless it was there before: then AWS
    /// takes it, says nothing and leaves the label where it is.
    async fn bring_into_use(&self, name: &str, version: &str) -> Result<(), BootstrapError> {
        let found = self.describe(name).await?;
        let current = found.as_ref().and_then(current_version);
        if current == Some(version) {
            return Ok(());
        }
        self.client
            .update_secret_version_stage()
            .secret_id(name)
            .version_stage(CURRENT)
            .move_to_version_id(version)
            .set_remove_from_version_id(current.map(str::to_owned))
            .send()
            .await
            .map_err(|error| cloud(format!("bring the secret {name} into use"), error))?;
        Ok(())
    }

    /// Removes a secret; it can be brought back for a week. `false` when there is none.
    pub(super) async fn remove(&self, name: &str) -> Result<bool, BootstrapError> {
        let Some(found) = self.describe(name).await? else { return Ok(false) };
        if found.deleted_date().is_some() {
            return Ok(true);
        }
        let delete =
            self.client.delete_secret().secret_id(name).recovery_window_in_days(RECOVERY_DAYS);
        delete.send().await.map_err(|error| cloud(format!("remove the secret {name}"), error))?;
        Ok(true)
    }

    async fn describe(&self, name: &str) -> Result<Option<DescribeSecretOutput>, BootstrapError> {
        match self.client.describe_secret().secret_id(name).send().await {
            Ok(found) => Ok(Some(found)),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_resource_not_found_exception()) =>
            {
                Ok(None)
            }
            Err(error) => Err(cloud(format!("look for the secret {name}"), error)),
        }
    }
}

/// Returns the id of the version in use.
fn current_version(found: &DescribeSecretOutput) -> Option<&str> {
    let mut versions = found.version_ids_to_stages()?.iter();
    let current = versions.find(|(_, stages)| stages.iter().any(|stage| stage == CURRENT));
    current.map(|(id, _)| id.as_str())
}

/// Makes the id of the version that holds this key or token.
pub(super) fn version_id(name: &str, secret: &Secret) -> Uuid {
    let digest = Sha256::digest(secret.expose());
    let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{name}\n{text}").as_bytes())
}
