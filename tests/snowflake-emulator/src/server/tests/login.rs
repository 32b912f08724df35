//! Sign-in, renewal, heartbeat and close.

use std::io::Write as _;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::super::runner::Runner as _;
use super::Rig;
use crate::EmulatorOptions;
use crate::account::{Policy, Profile};

async fn login(rig: &Rig, query: &str, credentials: Value) -> super::Answer {
    let path = format!("/session/v1/login-request?{query}");
    rig.post(&path, None, &json!({"data": credentials})).await
}

#[tokio::test]
async fn a_right_password_opens_a_session_with_everything_a_driver_reads() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let answer =
        login(&rig, "request_id=7b1d3d0e-0000-4000-8000-000000000001", rig.credentials()).await;
    let data = answer.data();
    assert_eq!(answer.body["success"], true);
    assert_eq!(data["validityInSeconds"], 3600);
    assert_eq!(data["masterValidityInSeconds"], 14_400);
    assert_eq!(data["sessionInfo"]["roleName"], "SYSADMIN");
    assert_eq!(data["sessionInfo"]["databaseName"], Value::Null);
    assert!(data["sessionId"].as_u64().is_some_and(|id| id > u64::from(u32::MAX)));
    let parameters = data["parameters"].as_array().expect("parameters");
    assert!(parameters.len() >= 40);
    let zone = parameters.iter().find(|entry| entry["name"] == "TIMEZONE");
    assert_eq!(zone.map(|entry| &entry["value"]), Some(&json!("America/Los_Angeles")));
    rig.runner.account().set_zone("Asia/Kathmandu".to_owned());
    let answer = login(&rig, "", rig.credentials()).await;
    let parameters = answer.data()["parameters"].as_array().expect("parameters").clone();
    let zone = parameters.iter().find(|entry| entry["name"] == "TIMEZONE");
    assert_eq!(zone.map(|entry| &entry["value"]), Some(&json!("Asia/Kathmandu")));
}

#[tokio::test]
async fn wrong_credentials_are_refused_with_http_200_and_a_code() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    for (member, value, code) in [
        ("PASSWORD", json!("wrong"), "390100"),
        ("LOGIN_NAME", json!("NOBODY"), "390100"),
        ("AUTHENTICATOR", json!("PROGRAMMATIC_ACCESS_TOKEN"), "394400"),
        ("AUTHENTICATOR", json!("SNOWFLAKE_JWT"), "390144"),
    ] {
        let mut credentials = rig.credentials();
        credentials[member] = value;
        let answer = login(&rig, "", credentials).await;
        assert_eq!((answer.status, answer.code()), (200, code), "{member}");
        assert_eq!(answer.body["success"], false);
    }
    let mut credentials = rig.credentials();
    credentials["ACCOUNT_NAME"] = json!("OTHER");
    assert_eq!(login(&rig, "", credentials).await.status, 403);
}

#[tokio::test]
async fn the_private_key_of_the_ready_line_signs_in_and_a_rotated_one_takes_over() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let pem = std::fs::read(&rig.ready.private_key_path).expect("key file");
    let fingerprint = fingerprint_of(&pem);
    let key = EncodingKey::from_rsa_pem(&pem).expect("key");
    let subject = format!("{}.{}", rig.ready.account, rig.ready.user);
    let iat = super::super::app::now_s();
    let claims = json!({
        "iss": format!("{subject}.{fingerprint}"), "sub": subject, "iat": iat, "exp": iat + 60,
    });
    let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).expect("sign");
    let credentials = json!({
        "CLIENT_APP_ID": "Go", "ACCOUNT_NAME": rig.ready.account,
        "AUTHENTICATOR": "SNOWFLAKE_JWT", "TOKEN": token,
    });
    assert_eq!(login(&rig, "", credentials.clone()).await.code(), "success");
    let order = json!({"user": rig.ready.user, "slot": "first", "key": null});
    assert_eq!(rig.admin("/public-keys", &order).await.status, 204);
    assert_eq!(login(&rig, "", credentials.clone()).await.code(), "390144");
    let order = json!({"user": rig.ready.user, "slot": "second", "key": public_pem(&pem)});
    assert_eq!(rig.admin("/public-keys", &order).await.status, 204);
    assert_eq!(login(&rig, "", credentials).await.code(), "success");
}

fn public_pem(private_pem: &[u8]) -> String {
    use rsa::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _, LineEnding};
    let pem = std::str::from_utf8(private_pem).expect("text");
    let key = rsa::RsaPrivateKey::from_pkcs8_pem(pem).expect("key");
    key.to_public_key().to_public_key_pem(LineEnding::LF).expect("pem")
}

fn fingerprint_of(private_pem: &[u8]) -> String {
    let key = crate::auth::PublicKey::parse(&public_pem(private_pem)).expect("key");
    key.fingerprint().to_owned()
}

#[tokio::test]
async fn a_missing_default_is_null_unless_the_client_wants_it_validated() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let query = "databaseName=crm&schemaName=missing&warehouse=MISSING_WH&roleName=%22r%22";
    let answer = login(&rig, query, rig.credentials()).await;
    let info = &answer.data()["sessionInfo"];
    assert_eq!(
        info,
        &json!({"databaseName": "CRM", "schemaName": null, "warehouseName": null, "roleName": "r"})
    );
    for (query, code) in [
        ("databaseName=missing", "390201"),
        ("schemaName=missing", "390201"),
        ("warehouse=missing", "390201"),
        ("roleName=missing", "390189"),
    ] {
        let mut credentials = rig.credentials();
        credentials["SESSION_PARAMETERS"] =
            json!({"CLIENT_VALIDATE_DEFAULT_PARAMETERS": true, "TIMEZONE": "UTC"});
        assert_eq!(login(&rig, query, credentials).await.code(), code, "{query}");
    }
}

#[tokio::test]
async fn an_expired_session_is_renewed_with_the_master_and_the_old_token() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, master) = rig.tokens().await;
    rig.fault(json!({"fault": "expire_sessions"})).await;
    assert_eq!(rig.run(&token, "ROWS 1").await.code(), "390112");
    let renew = json!({"oldSessionToken": token, "requestType": "RENEW"});
    let wrong = json!({"oldSessionToken": "x", "requestType": "RENEW"});
    let path = "/session/token-request";
    assert_eq!(rig.post(path, None, &renew).await.code(), "390113");
    assert_eq!(rig.post(path, Some(&token), &renew).await.code(), "390115");
    assert_eq!(rig.post(path, Some(&master), &wrong).await.code(), "390400");
    let answer = rig.post(path, Some(&master), &renew).await;
    assert_eq!(answer.data()["validityInSecondsST"], 3600);
    assert_eq!(answer.data()["validityInSecondsMT"], 14_400);
    let fresh = answer.data()["sessionToken"].as_str().expect("token");
    assert_eq!(rig.run(fresh, "ROWS 1").await.code(), "success");
    rig.fault(json!({"fault": "expire_masters"})).await;
    assert_eq!(rig.post(path, Some(&master), &renew).await.code(), "390114");
}

#[tokio::test]
async fn a_closed_session_is_gone_and_a_made_up_token_is_unauthorised() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let (token, _) = rig.tokens().await;
    assert_eq!(rig.post("/session/heartbeat", Some(&token), &Value::Null).await.code(), "success");
    assert_eq!(rig.post("/session", Some(&token), &Value::Null).await.status, 400);
    let close = "/session?delete=true";
    assert_eq!(rig.post(close, Some(&token), &Value::Null).await.code(), "success");
    assert_eq!(rig.runner.ended.lock().expect("no panic").len(), 1);
    assert_eq!(rig.post(close, Some(&token), &Value::Null).await.code(), "390111");
    assert_eq!(rig.run(&token, "ROWS 1").await.code(), "390111");
    let made_up = rig.run("made up", "ROWS 1").await;
    assert_eq!((made_up.status, made_up.code()), (401, "390104"));
}

#[tokio::test]
async fn a_gzip_body_is_understood_with_and_without_its_header() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let body = json!({"data": rig.credentials()}).to_string();
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(body.as_bytes()).expect("pack");
    let packed = packer.finish().expect("pack");
    for header in [None, Some("gzip")] {
        let url = format!("{}/session/v1/login-request", rig.ready.base_url);
        let mut request = rig.http.post(url).body(packed.clone());
        if let Some(header) = header {
            request = request.header("Content-Encoding", header);
        }
        let answer: Value = request.send().await.expect("answer").json().await.expect("json");
        assert_eq!(answer["success"], true);
    }
    let broken = rig.http.post(format!("{}/session/v1/login-request", rig.ready.base_url));
    let broken = broken.body(packed[..packed.len() / 2].to_vec()).send().await.expect("answer");
    assert_eq!(broken.status(), 400);
}

#[tokio::test]
async fn a_client_from_another_address_than_the_policy_s_is_told_its_address() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let account = rig.runner.account();
    let network = &account.network;
    let policy = Policy { allowed: vec!["203.0.113.0/28".to_owned()], ..Policy::default() };
    network.set_policy("OFFICE", Some(policy));
    network.set_account_policy(Some("OFFICE".to_owned()));
    let body = json!({"data": rig.credentials()});
    let answer = rig.post("/session/v1/login-request", None, &body).await;
    assert_eq!(answer.code(), "390422");
    let message = answer.body["message"].as_str().expect("a message");
    assert!(message.contains("IP/Token 127.0.0.1 is not allowed"), "{message}");
    network.set_account_policy(None);
    let mut profile = Profile { disabled: true, ..Profile::default() };
    account.set_profile(&rig.ready.user, profile.clone());
    assert_eq!(rig.post("/session/v1/login-request", None, &body).await.code(), "390101");
    profile.disabled = false;
    account.set_profile(&rig.ready.user, profile);
    assert_eq!(rig.post("/session/v1/login-request", None, &body).await.code(), "success");
}
