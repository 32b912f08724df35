//! Secrets stay where they are: at trace level, on every failure path, in every error and `Debug`.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use sha2::{Digest, Sha256};
use snowferry_model::fault::{Fault, chain};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::super::sql::{Stage, StageFile, Statement};
use super::super::statement::About;
use super::super::upload::Upload;
use super::*;
use crate::{QueryId, Source};

/// Everything that no sink may hold. A JWT is known by its first letters.
const SECRETS: [&str; 14] = [
    "canary-password",
    "canary-session",
    "canary-master",
    "canary-signature",
    "canary-token",
    "canary-client",
    "canary-sas",
    "canary-aws",
    "canary-sse",
    "canary-row",
    "canary-bind",
    "canary-provider",
    "canary-stage-key",
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9",
];

/// Keeps every field of every event and span, of every level and crate.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<String>>);

impl Visit for &Sink {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut &*self);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut &*self);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut &*self);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn credentials(responder: &Responder) -> Vec<Credential> {
    let key = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    let pem = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let pair = KeyPair::from_pem("acme.p8", &secret(&pem)).unwrap();
    let endpoint = format!("{}/token", responder.base_url);
    let client = OAuthClient::new(&endpoint, "id", secret("canary-client"), None).unwrap();
    vec![
        Credential::Password(secret("canary-password")),
        Credential::AccessToken(secret("canary-token")),
        Credential::OAuth(client),
        Credential::KeyPair(pair.clone().with_next(pair)),
    ]
}

/// Replies after a sign-in, each of which makes something fail.
fn replies() -> Vec<Canned> {
    let link = "http://127.0.0.1:9/1?X-Amz-Signature=canary-signature";
    let chunk = json!({"queryId": "q1", "queryResultFormat": "arrow", "total": 1, "rowsetBase64": "",
        "rowtype": [{"name": "ID", "type": "fixed", "precision": 38, "scale": 0, "nullable": true}],
        "chunkHeaders": {"x-amz-server-side-encryption-customer-key": "canary-sse\n"},
        "chunks": [{"url": link, "rowCount": 1, "compressedSize": 9, "uncompressedSize": 9}]});
    let mut elsewhere = chunk.clone();
    elsewhere["chunkHeaders"] = json!({"x-amz-server-side-encryption-customer-key": "canary-sse"});
    elsewhere["chunks"][0]["url"] = json!("https://evil.example/?sig=canary-signature");
    let place = json!({"command": "UPLOAD", "encryptionMaterial": {
        "queryStageMasterKey": "canary-stage-key", "queryId": "q", "smkId": 1},
        "stageInfo": {"locationType": "S3", "location": "b/p/", "region": "eu-west-1",
        "endPoint": "127.0.0.1:9", "creds": {"AWS_KEY_ID": "A", "AWS_SECRET_KEY": "canary-aws",
        "AWS_TOKEN": "canary-aws-token", "AZURE_SAS_TOKEN": "canary-sas"}}});
    let mut unsealed = place.clone();
    unsealed["encryptionMaterial"] = Value::Null;
    vec![
        Canned::new(500, "canary-row"),
        Canned::new(404, "canary-row"),
        Canned::new(200, "<html>canary-row</html>"),
        Canned::new(200, "{\"data\": {\"queryId\": canary-row"),
        Canned { cut: Some(20), ..Canned::new(200, "{\"data\": \"canary-row canary-row\"}") },
        Canned::failure("100038", "Numeric value 'canary-row' is not recognized"),
        Canned::failure("390112", "Session token canary-session expired"),
        Canned::failure("390111", "Session canary-session no longer exists"),
        Canned::success(&texts(&["A"], &json!([["canary-row"], ["canary-row", "canary-row"]]))),
        Canned::success(&chunk),
        Canned::success(&elsewhere),
        Canned::success(&place),
        Canned::success(&unsealed),
        Canned::success(&Value::Null),
    ]
}

fn told(errors: &mut Vec<String>, error: Option<SnowflakeError>) {
    if let Some(error) = error {
        errors.push(format!("{error} {error:?} {} {:?}", chain(&error), error.hint()));
    }
}

/// Goes through every request that a client makes, and keeps what its errors say.
async fn everything(client: &SnowflakeClient, errors: &mut Vec<String>) {
    told(errors, client.session_facts().await.err());
    let query = QueryId("q1".to_owned());
    told(errors, client.open(&query).await.err());
    let plan = super::chunks::plan();
    match client.read(&query, 0..2, &plan).await {
        Ok(mut rows) => {
            use futures::StreamExt;
            while let Some(row) = rows.next().await {
                told(errors, row.err());
            }
        }
        Err(error) => told(errors, Some(error)),
    }
    told(errors, client.cancel(&query).await.err());
    let binds = vec!["canary-bind".to_owned().into()];
    let statement = Statement { text: "INSERT".to_owned(), binds, tag: None };
    let about = About { object: "DB.SC.T" };
    told(errors, client.converse().execute(&statement, about).await.err());
    let file = StageFile::new(Stage::User, "a", "b").unwrap();
    let content = Bytes::from_static(b"canary-row");
    let sha256 = Sha256::digest(&content).into();
    let upload = Upload { file: &file, size_bytes: 10, sha256, content: &content };
    told(errors, client.upload(&upload).await.err());
    client.close().await;
}

#[tokio::test]
async fn no_secret_is_in_any_log_error_or_debug_form_on_any_failure_path() {
    let sink = Sink::default();
    // For the whole process: what other threads and tests log must hold no secret either.
    tracing::subscriber::set_global_default(sink.clone()).unwrap();
    let mut errors = Vec::new();
    for canned in replies() {
        let responder = Responder::start(move |seen| match seen.path.as_str() {
            "/session/v1/login-request" => Canned::success(&signed_in()),
            "/session/token-request" => Canned::failure("390114", "canary-master expired"),
            "/token" => Canned::new(200, r#"{"access_token": "canary-provider"}"#),
            _ => canned.clone(),
        });
        for credential in credentials(&responder) {
            let mut options = options(&responder.base_url);
            options.credential = credential;
            options.retry.attempts = 2;
            errors.push(format!("{options:?}"));
            let client = SnowflakeClient::new(options).unwrap();
            errors.push(format!("{client:?}"));
            everything(&client, &mut errors).await;
        }
    }
    // Sign-ins that are refused, each in words that repeat what was sent.
    for code in ["390100", "390144", "390303", "390318", "390422", "394400", "390189", "999999"] {
        let responder = Responder::start(move |seen| match seen.path.as_str() {
            "/token" => Canned::new(200, r#"{"access_token": "canary-provider"}"#),
            _ => {
                let data = &seen.body["data"];
                let sent = [&data["PASSWORD"], &data["TOKEN"]].map(|sent| sent.as_str());
                let sent = sent.into_iter().flatten().collect::<String>();
                Canned::failure(code, &format!("IP/Token {sent} is not right"))
            }
        });
        for credential in credentials(&responder) {
            let mut options = options(&responder.base_url);
            options.credential = credential;
            let client = SnowflakeClient::new(options).unwrap();
            told(&mut errors, client.sign_in().await.err());
        }
    }
    let logs = sink.0.lock().unwrap().clone();
    assert!(logs.contains("signed in"), "nothing was logged");
    assert!(errors.len() > 200, "{}", errors.len());
    for secret in SECRETS {
        assert!(!logs.contains(secret), "{secret} in the logs");
        let told = errors.iter().find(|error| error.contains(secret));
        assert!(told.is_none(), "{secret} in {told:?}");
    }
}
