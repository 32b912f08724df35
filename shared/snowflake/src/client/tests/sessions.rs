//! Signing in, renewing, and what is tried again.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use sha2::{Digest, Sha256};

use super::*;
use crate::Source;

fn key() -> &'static RsaPrivateKey {
    static KEY: OnceLock<RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap())
}

fn pair() -> KeyPair {
    let pem = key().to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    KeyPair::from_pem("acme.p8", &Secret::new(pem)).unwrap()
}

fn facts_row() -> Value {
    let columns = ["A", "B", "C", "D", "E", "F"];
    texts(&columns, &json!([["9.1.0", "XY1", "AWS_EU", "SVC", "PULL", "WH"]]))
}

#[tokio::test]
async fn a_password_sign_in_fixes_the_session_and_shows_no_secret() {
    let responder = after_sign_in(|_| Canned::success(&facts_row()));
    let client = client(&responder);
    let facts = client.session_facts().await.unwrap();
    assert_eq!((facts.version.as_str(), facts.role.as_deref()), ("9.1.0", Some("PULL")));
    let sign_in = &responder.seen("/session/v1/login-request")[0];
    let data = &sign_in.body["data"];
    assert_eq!(data["PASSWORD"], "canary-password");
    assert_eq!((&data["ACCOUNT_NAME"], &data["LOGIN_NAME"]), (&json!("MYORG-ACME"), &json!("svc")));
    let parameters = &data["SESSION_PARAMETERS"];
    assert_eq!(parameters["TIMEZONE"], "UTC");
    assert_eq!(parameters["ABORT_DETACHED_QUERY"], false);
    assert_eq!(parameters["TIMESTAMP_NTZ_OUTPUT_FORMAT"], "YYYY-MM-DD HH24:MI:SS.FF9");
    assert_eq!(data["CLIENT_ENVIRONMENT"]["APPLICATION"], "Snowferry");
    assert_eq!(sign_in.query["roleName"], "PULL");
    assert!(!sign_in.headers.contains_key("authorization"));
    let statement = &responder.seen("/queries/v1/query-request")[0];
    assert_eq!(statement.headers["authorization"], "Snowflake Token=\"canary-session\"");
    no_canary(&format!("{client:?}"));
    client.close().await;
    assert_eq!(responder.seen("/session")[0].query["delete"], "true");
}

#[tokio::test]
async fn a_key_pair_signs_a_short_token_that_its_public_key_verifies() {
    let responder = after_sign_in(|_| Canned::success(&facts_row()));
    let mut options = options(&responder.base_url);
    options.credential = Credential::KeyPair(pair());
    no_canary(&format!("{options:?}"));
    SnowflakeClient::new(options).unwrap().sign_in().await.unwrap();
    let data = &responder.seen("/session/v1/login-request")[0].body["data"];
    assert_eq!(data["AUTHENTICATOR"], "SNOWFLAKE_JWT");
    let token = data["TOKEN"].as_str().unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    // RFC 8017, section 9.2, note 1: the frame of a SHA-256 digest.
    let frame = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
    let scheme = rsa::Pkcs1v15Sign { hash_len: Some(32), prefix: frame.as_slice().into() };
    let public = key().to_public_key();
    public.verify(scheme, &Sha256::digest(signed.as_bytes()), &signature).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let spki = key().to_public_key().to_public_key_der().unwrap();
    let fingerprint = format!("SHA256:{}", STANDARD.encode(Sha256::digest(spki.as_bytes())));
    assert_eq!(claims["sub"], "MYORG-ACME.SVC");
    assert_eq!(claims["iss"], format!("MYORG-ACME.SVC.{fingerprint}"));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 60);
}

#[test]
fn keys_are_read_in_both_forms_and_others_refused_with_the_way_out() {
    let pkcs1 = key().to_pkcs1_pem(LineEnding::LF).unwrap().to_string();
    let read = |pem: &str| KeyPair::from_pem("acme.p8", &Secret::new(pem.to_owned()));
    assert_eq!(read(&pkcs1).unwrap().fingerprint(), pair().fingerprint());
    let public = key().to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
    let short = RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 1024).unwrap();
    let short = short.to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    for (pem, wanted) in [
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIE\n", "passphrase"),
        ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", "passphrase"),
        (public.as_str(), "the public key"),
        (short.as_str(), "2048 bits"),
        ("", "no RSA private key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "no RSA private key"),
    ] {
        let refused = read(pem).unwrap_err();
        assert!(matches!(refused, SnowflakeError::Credential { .. }));
        assert!(refused.to_string().contains(wanted), "{refused}");
    }
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_once_from_the_servers_date() {
    let responder = Responder::start(|seen| {
        let mut refused = Canned::failure("390144", "JWT token is invalid. [uuid]");
        refused.headers.push(("Date", "Tue, 29 Feb 2000 12:34:56 GMT".to_owned()));
        if seen.before == 0 { refused } else { Canned::success(&signed_in()) }
    });
    let mut options = options(&responder.base_url);
    options.credential = Credential::KeyPair(pair());
    SnowflakeClient::new(options.clone()).unwrap().sign_in().await.unwrap();
    let second = &responder.seen("/session/v1/login-request")[1].body["data"]["TOKEN"];
    let claims = second.as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let off_s = claims["iat"].as_i64().unwrap() - 951_827_696;
    assert!((0..60).contains(&off_s), "{off_s}");
    let stubborn = Responder::start(|_| {
        let mut refused = Canned::failure("390144", "JWT token is invalid. [uuid]");
        refused.headers.push(("Date", "Tue, 29 Feb 2000 12:34:56 GMT".to_owned()));
        refused
    });
    options.endpoint = Endpoint::override_with(&stubborn.base_url).unwrap();
    let refused = SnowflakeClient::new(options).unwrap().sign_in().await.unwrap_err();
    assert!(matches!(refused, SnowflakeError::SignIn { code, .. } if code == "390144"));
    assert_eq!(stubborn.all().len(), 2);
}

#[tokio::test]
async fn refused_sign_ins_say_who_has_to_do_what() {
    let refused = |status: u16, code: &'static str, message: &'static str| async move {
        let responder = Responder::start(move |_| {
            let mut canned = Canned::failure(code, message);
            canned.status = status;
            canned
        });
        let error = client(&responder).sign_in().await.unwrap_err();
        assert_eq!(responder.all().len(), 1, "tried again");
        no_canary(&format!("{error:?} {error}"));
        error
    };
    let wrong = refused(200, "390100", "Incorrect username or password was specified.").await;
    assert!(matches!(wrong, SnowflakeError::SignIn { code, .. } if code == "390100"));
    let message =
        "Incoming request with IP/Token 203.0.113.9 is not allowed to access Snowflake. X";
    let blocked = refused(200, "390422", message).await;
    let found = matches!(&blocked, SnowflakeError::AddressBlocked { address, .. } if address == "203.0.113.9");
    assert!(found, "{blocked}");
    let warehouse = refused(200, "390201", "The requested warehouse does not exist").await;
    assert!(matches!(warehouse, SnowflakeError::NoWarehouse { .. }));
    assert!(matches!(refused(403, "", "").await, SnowflakeError::SignIn { .. }));
    assert!(matches!(refused(302, "", "").await, SnowflakeError::Status { status: 302, .. }));
}

#[tokio::test]
async fn a_request_is_tried_again_with_its_own_id_and_a_new_guid() {
    let responder = after_sign_in(|seen| match seen.before {
        0 => Canned::new(503, ""),
        1 => Canned::new(429, ""),
        2 => Canned { cut: Some(10), ..Canned::success(&facts_row()) },
        _ => Canned::success(&facts_row()),
    });
    client(&responder).session_facts().await.unwrap();
    let seen = responder.seen("/queries/v1/query-request");
    assert_eq!(seen.len(), 4);
    let guids: std::collections::BTreeSet<_> =
        seen.iter().map(|s| &s.query["request_guid"]).collect();
    assert!(seen.iter().all(|s| s.query["requestId"] == seen[0].query["requestId"]));
    assert_eq!(guids.len(), 4);
    assert_eq!(seen[3].query["retryCount"], "3");
}

#[tokio::test]
async fn retries_end_and_say_what_was_the_matter() {
    let responder = after_sign_in(|_| Canned::new(503, ""));
    let failed = client(&responder).session_facts().await.unwrap_err();
    assert!(matches!(failed, SnowflakeError::Status { status: 503, .. }));
    assert_eq!(responder.seen("/queries/v1/query-request").len(), 7);
    let nobody = options("http://127.0.0.1:9");
    let failed = SnowflakeClient::new(nobody).unwrap().sign_in().await.unwrap_err();
    assert!(matches!(failed, SnowflakeError::Unreachable { .. }));
}

fn expiring(renewal: fn() -> Canned) -> (Responder, &'static AtomicUsize) {
    let renewals: &'static AtomicUsize = Box::leak(Box::default());
    let responder = Responder::start(move |seen| {
        let token = seen.headers.get("authorization").cloned().unwrap_or_default();
        match seen.path.as_str() {
            "/session/v1/login-request" if seen.before == 0 => Canned::success(&signed_in()),
            "/session/v1/login-request" => {
                let mut again = signed_in();
                again["token"] = json!("second");
                Canned::success(&again)
            }
            "/session/token-request" => {
                assert_eq!(token, "Snowflake Token=\"canary-master\"");
                assert_eq!(seen.body["oldSessionToken"], "canary-session");
                renewals.fetch_add(1, Ordering::SeqCst);
                renewal()
            }
            _ if token.contains("second") => Canned::success(&facts_row()),
            _ => Canned::failure("390112", "Session token expired"),
        }
    });
    (responder, renewals)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_tasks_with_an_expired_token_renew_it_once() {
    let renewed = || {
        Canned::success(&json!({"sessionToken": "second", "masterToken": "m2",
            "validityInSecondsST": 3600, "validityInSecondsMT": 14400, "sessionId": 1}))
    };
    let (responder, renewals) = expiring(renewed);
    let client = client(&responder);
    let tasks = (0..16).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.session_facts().await.map(|_| ()) })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    assert_eq!(renewals.load(Ordering::SeqCst), 1);
    assert_eq!(responder.seen("/session/v1/login-request").len(), 1);
}

#[tokio::test]
async fn a_session_that_cannot_be_renewed_is_begun_anew() {
    let (responder, _) = expiring(|| Canned::failure("390114", "Master token expired"));
    client(&responder).session_facts().await.unwrap();
    assert_eq!(responder.seen("/session/v1/login-request").len(), 2);
    let forgotten = Responder::start(|seen| match (seen.path.as_str(), seen.before) {
        ("/session/v1/login-request", _) => Canned::success(&signed_in()),
        (_, 0) => Canned { status: 401, ..Canned::failure("390104", "invalid token") },
        (_, 1) => Canned::failure("390111", "session no longer exists"),
        _ => Canned::success(&facts_row()),
    });
    client(&forgotten).session_facts().await.unwrap();
    assert_eq!(forgotten.seen("/session/v1/login-request").len(), 3);
}

#[tokio::test]
async fn no_error_carries_a_secret_or_the_servers_text_about_a_statement() {
    for canned in [
        Canned::new(500, "canary-session"),
        Canned::new(200, "{\"data\": canary-session"),
        Canned::new(200, "<xml>canary-signature</xml>"),
        Canned::failure("100038", "Numeric value 'canary-password' is not recognized"),
    ] {
        let responder = after_sign_in(move |_| canned.clone());
        let client = client(&responder);
        let query = crate::QueryId("q".to_owned());
        for error in
            [client.session_facts().await.unwrap_err(), client.open(&query).await.unwrap_err()]
        {
            no_canary(&format!("{error} {error:?}"));
            no_canary(&snowferry_model::fault::chain(&error));
        }
    }
}

#[tokio::test]
async fn a_renewal_that_keeps_the_master_token_is_understood() {
    let renewed = || Canned::success(&json!({"token": "second", "validityInSeconds": 3600}));
    let (responder, renewals) = expiring(renewed);
    client(&responder).session_facts().await.unwrap();
    assert_eq!(renewals.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_dropped_session_is_closed_at_the_server() {
    let responder = after_sign_in(|_| Canned::success(&facts_row()));
    let client = client(&responder);
    client.session_facts().await.unwrap();
    drop(client);
    while responder.seen("/session").is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(responder.seen("/session")[0].query["delete"], "true");
}

#[tokio::test]
async fn a_read_keeps_its_session_alive_and_a_failed_heartbeat_harms_nothing() {
    let responder = after_sign_in(|seen| match seen.path.as_str() {
        "/session/heartbeat" => Canned::new(404, ""),
        _ => Canned::success(&facts_row()),
    });
    let mut options = options(&responder.base_url);
    options.heartbeat_every = std::time::Duration::ZERO;
    let eager = SnowflakeClient::new(options).unwrap();
    eager.session.keep_alive().await;
    assert_eq!(responder.seen("/session/heartbeat").len(), 1);
    let calm = client(&responder);
    calm.session.keep_alive().await;
    assert_eq!(responder.seen("/session/heartbeat").len(), 1);
}
