//! Every prerequisite of a connection, seen from where the functions run. Changes nothing.

use serde_json::Value;

use super::Cloud;
use super::event::{self, Event};
use super::failure::Failure;
use crate::check::{CheckItem, CheckReport, check_cloud};
use crate::error::BootstrapError;

/// Looks at everything that a connection needs and returns the report, whether all is well or not.
///
/// # Errors
/// When the event cannot be understood or the connection is not stored.
pub async fn handle(cloud: &Cloud, event: Value) -> Result<CheckReport, Failure> {
    look(cloud, event).await.map_err(|error| Failure::of(&error))
}

async fn look(cloud: &Cloud, event: Value) -> Result<CheckReport, BootstrapError> {
    let Event::Direct(request) = event::parse(event)? else {
        let reason = "a check takes one selection, no messages of a queue".to_owned();
        return Err(BootstrapError::Event { reason });
    };
    let connection = cloud.connection(&request.selection.connection).await?;
    let mut items = Vec::new();
    // What a person checks after a repair is what is stored now.
    cloud.secrets.forget(&connection.name);
    let client = match cloud.client(&connection) {
        Ok(client) => Some(client),
        Err(error) => {
            items.push(CheckItem::of("credential", &error));
            None
        }
    };
    let report = check_cloud(&connection, client.as_ref(), items).await;
    if let Some(client) = client {
        client.close().await;
    }
    Ok(report)
}
