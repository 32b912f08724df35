//! The ways to sign in: what is sent, what is tried once more, what is never.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};

use super::*;

fn keys() -> &'static [RsaPrivateKey; 2] {
    static KEYS: OnceLock<[RsaPrivateKey; 2]> = OnceLock::new();
    let key = || RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap();
    KEYS.get_or_init(|| [key(), key()])
}

fn pair(index: usize) -> KeyPair {
    let pem = keys()[index].to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    KeyPair::from_pem("acme.p8", &Secret::new(pem)).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn with(responder: &Responder, credential: Credential) -> SnowflakeClient {
    let mut options = options(&responder.base_url);
    options.credential = credential;
    no_canary(&format!("{options:?}"));
    SnowflakeClient::new(options).unwrap()
}

/// Returns whose fingerprint a sign-in's token claims.
fn signer(seen: &Seen) -> usize {
    let token = seen.body["data"]["TOKEN"].as_str().unwrap_or_default();
    let claims = token.split('.').nth(1).unwrap_or_default();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let issuer = claims["iss"].as_str().unwrap_or_default();
    (0..2).find(|index| issuer.ends_with(pair(*index).fingerprint())).unwrap()
}

#[tokio::test]
async fn a_rotation_at_the_server_breaks_no_sign_in() {
    for accepted in [0, 1] {
        let responder = Responder::start(move |seen| match seen.path.as_str() {
            "/session/v1/login-request" if signer(seen) == accepted => {
                Canned::success(&signed_in())
            }
            "/session/v1/login-request" => Canned::failure("390144", "JWT token is invalid."),
            _ => Canned::failure("390111", "session no longer exists"),
        });
        let credential = Credential::KeyPair(pair(0).with_next(pair(1)));
        let client = with(&responder, credential);
        client.sign_in().await.unwrap();
        assert_eq!(responder.all().len(), accepted + 1);
        // The key that worked is the first to be tried from then on.
        let _ = client.session_facts().await;
        let later = responder.seen("/session/v1/login-request");
        assert!(later[accepted + 1..].iter().all(|seen| signer(seen) == accepted));
    }
}

#[tokio::test]
async fn two_refused_keys_are_each_tried_once() {
    let responder = Responder::start(|_| Canned::failure("390144", "JWT token is invalid."));
    let client = with(&responder, Credential::KeyPair(pair(0).with_next(pair(1))));
    let refused = client.sign_in().await.unwrap_err();
    assert!(matches!(refused, SnowflakeError::SignIn { code, .. } if code == "390144"));
    let tried: Vec<usize> = responder.all().iter().map(signer).collect();
    assert_eq!(tried, [0, 1]);
}

#[tokio::test]
async fn a_programmatic_access_token_is_sent_as_one() {
    let responder = after_sign_in(|_| Canned::new(500, ""));
    with(&responder, Credential::AccessToken(secret("canary-token"))).sign_in().await.unwrap();
    let data = &responder.all()[0].body["data"];
    assert_eq!(data["AUTHENTICATOR"], "PROGRAMMATIC_ACCESS_TOKEN");
    assert_eq!((&data["TOKEN"], &data["LOGIN_NAME"]), (&json!("canary-token"), &json!("svc")));
    assert!(data.get("PASSWORD").is_none());
}

#[tokio::test]
async fn a_refused_token_is_not_repeated_in_the_error() {
    for code in ["394400", "390303"] {
        let responder =
            Responder::start(move |_| Canned::failure(code, "the token canary-token is invalid"));
        let client = with(&responder, Credential::AccessToken(secret("canary-token")));
        let refused = client.sign_in().await.unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("canary-token"));
        assert_eq!(responder.all().len(), 1);
    }
}

fn granted(seen: &Seen) -> Canned {
    let token = json!({"access_token": format!("canary-token-{}", seen.before), "expires_in": 600,
        "token_type": "Bearer"});
    Canned::new(200, token.to_string())
}

fn oauth(responder: &Responder, client_secret: &str) -> Credential {
    let endpoint = format!("{}/oauth/token", responder.base_url);
    let scope = Some("session:role:PULL".to_owned());
    let client = OAuthClient::new(&endpoint, "client:1", secret(client_secret), scope).unwrap();
    Credential::OAuth(client)
}

#[tokio::test]
async fn an_oauth_client_fetches_a_token_and_signs_in_with_it() {
    let responder = after_sign_in(|seen| match seen.path.as_str() {
        "/oauth/token" => granted(seen),
        _ => Canned::success(&Value::Null),
    });
    let client = with(&responder, oauth(&responder, "canary-password"));
    client.sign_in().await.unwrap();
    client.close().await;
    client.sign_in().await.unwrap();
    let fetched = responder.seen("/oauth/token");
    // The second sign-in uses the same token: it lives long enough.
    assert_eq!(fetched.len(), 1);
    // RFC 6749, section 2.3.1: id and secret are form-encoded before they are joined.
    let basic = base64::engine::general_purpose::STANDARD.encode("client%3A1:canary-password");
    assert_eq!(fetched[0].headers["authorization"], format!("Basic {basic}"));
    assert_eq!(fetched[0].text, "grant_type=client_credentials&scope=session%3Arole%3APULL");
    let data = &responder.seen("/session/v1/login-request")[0].body["data"];
    assert_eq!(
        (&data["AUTHENTICATOR"], &data["TOKEN"]),
        (&json!("OAUTH"), &json!("canary-token-0"))
    );
}

#[tokio::test]
async fn an_oauth_token_that_ended_early_is_fetched_anew_once() {
    let responder = Responder::start(|seen| match (seen.path.as_str(), seen.before) {
        ("/oauth/token", _) => granted(seen),
        (_, 0) => Canned::failure("390318", "OAuth access token expired. [canary-token-0]"),
        _ => Canned::success(&signed_in()),
    });
    with(&responder, oauth(&responder, "canary-password")).sign_in().await.unwrap();
    let tokens: Vec<String> = responder
        .seen("/session/v1/login-request")
        .iter()
        .map(|seen| seen.body["data"]["TOKEN"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(tokens, ["canary-token-0", "canary-token-1"]);
    let stubborn = Responder::start(|seen| match seen.path.as_str() {
        "/oauth/token" => granted(seen),
        _ => Canned::failure("390303", "Invalid OAuth access token canary-token-1"),
    });
    let refused = with(&stubborn, oauth(&stubborn, "canary-password")).sign_in().await.unwrap_err();
    assert!(matches!(&refused, SnowflakeError::SignIn { code, .. } if code == "390303"));
    assert!(!format!("{refused} {refused:?}").contains("canary"), "{refused}");
    assert_eq!(stubborn.seen("/session/v1/login-request").len(), 2);
}

#[tokio::test]
async fn a_provider_that_refuses_basic_gets_the_client_in_the_form() {
    let responder = after_sign_in(|seen| match seen.headers.contains_key("authorization") {
        true => Canned::new(401, json!({"error": "invalid_client"}).to_string()),
        false => granted(seen),
    });
    with(&responder, oauth(&responder, "canary-password")).sign_in().await.unwrap();
    let form = &responder.seen("/oauth/token")[1].text;
    assert!(form.ends_with("&client_id=client%3A1&client_secret=canary-password"), "{form}");
}

#[tokio::test]
async fn a_refused_oauth_client_is_told_without_what_it_sent() {
    let responder = after_sign_in(|_| {
        Canned::new(
            401,
            json!({"error": "invalid_client", "error_description": "canary-password is wrong"})
                .to_string(),
        )
    });
    let refused =
        with(&responder, oauth(&responder, "canary-password")).sign_in().await.unwrap_err();
    let told = refused.to_string();
    assert!(told.contains("401 (invalid_client)"), "{told}");
    no_canary(&format!("{told} {refused:?}"));
}

#[test]
fn token_endpoints_are_https_or_loopback() {
    let new = |url: &str| OAuthClient::new(url, "id", secret("s"), None);
    for good in ["https://login.example.com/t/oauth2/v2.0/token", "http://127.0.0.1:1/token"] {
        assert!(new(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "login.example.com/token",
        "http://login.example.com/token",
        "https://user:pw@login.example.com/token",
        "https://login.example.com/token#f",
        "https://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
    ] {
        assert!(matches!(new(bad), Err(SnowflakeError::Request { .. })), "{bad}");
    }
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_alone() {
    let sealed = include_str!("keys/aes256.p8");
    let open =
        |pem: &str, word: &str| KeyPair::from_encrypted_pem("acme.p8", &secret(pem), &secret(word));
    let wrong = open(sealed, "canary-password").unwrap_err();
    assert!(wrong.to_string().contains("the passphrase does not open it"), "{wrong}");
    no_canary(&format!("{wrong} {wrong:?}"));
    let unnamed = KeyPair::from_pem("acme.p8", &secret(sealed)).unwrap_err();
    assert!(unnamed.to_string().contains("passphrase: { file: PATH }"), "{unnamed}");
    let older = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
    assert!(open(older, "x").unwrap_err().to_string().contains("openssl pkcs8"));
    // A key that is not encrypted needs none.
    let plain = keys()[0].to_pkcs8_pem(LineEnding::LF).unwrap().to_string();
    assert_eq!(open(&plain, "x").unwrap().fingerprint(), pair(0).fingerprint());
    assert!(open("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIE\n", "x").is_err());
}

/// Made by `openssl pkcs8 -topk8 -v2 …` of OpenSSL 3, as Snowflake's manual has it.
#[test]
fn keys_as_openssl_encrypts_them_are_read() {
    for (name, sealed) in [
        ("aes-256-cbc", include_str!("keys/aes256.p8")),
        ("des3", include_str!("keys/des3.p8")),
        ("aes-128-cbc with hmacWithSHA1", include_str!("keys/aes128_sha1.p8")),
    ] {
        let pair = KeyPair::from_encrypted_pem(name, &secret(sealed), &secret("not a secret"));
        assert_eq!(pair.unwrap().fingerprint(), include_str!("keys/fingerprint.txt").trim());
    }
}

#[test]
fn only_a_password_carries_a_warning() {
    assert!(Credential::Password(secret("x")).warning().unwrap().contains("snowferry keygen"));
    assert_eq!(Credential::KeyPair(pair(0)).warning(), None);
    assert_eq!(Credential::AccessToken(secret("x")).warning(), None);
}
