//! The client against canned replies on loopback.

mod accounts;
mod canaries;
mod chunks;
mod conversations;
mod live;
mod live_writes;
mod responder;
mod sessions;
mod sign_in;
mod statements;
mod uploads;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use responder::{Canned, Responder, Seen};

/// Secrets that must be in no text the client makes.
const CANARIES: [&str; 5] =
    ["canary-password", "canary-session", "canary-master", "canary-signature", "canary-token"];

fn options(base_url: &str) -> ClientOptions {
    let password = Credential::Password(Secret::new("canary-password".to_owned()));
    let mut options = ClientOptions::new("myorg-acme".parse().unwrap(), "svc", password).unwrap();
    options.endpoint = Endpoint::override_with(base_url).unwrap();
    options.role = Some("PULL".to_owned());
    options.warehouse = Some("WH".to_owned());
    options.retry.first_delay = Duration::from_millis(1);
    options.retry.longest_delay = Duration::from_millis(2);
    options
}

fn client(responder: &Responder) -> SnowflakeClient {
    SnowflakeClient::new(options(&responder.base_url)).unwrap()
}

/// Answers a sign-in; other requests go to `rest`.
fn after_sign_in(rest: impl Fn(&Seen) -> Canned + Send + Sync + 'static) -> Responder {
    Responder::start(move |seen| match seen.path.as_str() {
        "/session/v1/login-request" => Canned::success(&signed_in()),
        _ => rest(seen),
    })
}

fn signed_in() -> Value {
    json!({
        "token": "canary-session", "masterToken": "canary-master", "validityInSeconds": 3600,
        "serverVersion": "9.1.0", "sessionInfo": {"roleName": "PULL", "warehouseName": "WH",
        "databaseName": null, "schemaName": null}, "parameters": [],
    })
}

/// A finished JSON result of text columns.
fn texts(columns: &[&str], rows: &Value) -> Value {
    let rowtype: Vec<Value> = columns
        .iter()
        .map(|name| json!({"name": name, "type": "text", "nullable": true, "length": 100}))
        .collect();
    let total = rows.as_array().map_or(0, Vec::len);
    json!({"queryId": "q1", "queryResultFormat": "json", "rowtype": rowtype, "rowset": rows,
        "total": total, "returned": total})
}

fn no_canary(text: &str) {
    for canary in CANARIES {
        assert!(!text.contains(canary), "{canary} in {text}");
    }
}
