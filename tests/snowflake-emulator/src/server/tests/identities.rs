//! Sign-in by access tokens, and users that tests add.

use serde_json::{Value, json};

use super::{Answer, Rig};
use crate::EmulatorOptions;

async fn login(rig: &Rig, kind: &str, token: &str, name: &str) -> Answer {
    let data = json!({
        "CLIENT_APP_ID": "Go", "ACCOUNT_NAME": rig.ready.account, "LOGIN_NAME": name,
        "AUTHENTICATOR": kind, "TOKEN": token,
    });
    rig.post("/session/v1/login-request", None, &json!({"data": data})).await
}

async fn grant(rig: &Rig, form: &str) -> (u16, Value) {
    let sent = rig
        .http
        .post(&rig.ready.oauth_token_url)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form.to_owned())
        .send();
    let answer = sent.await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_programmatic_access_token_signs_its_user_in() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let made = rig.admin("/access-tokens", &json!({"user": rig.ready.user})).await;
    let token = made.body["token"].as_str().expect("a token").to_owned();
    let kind = "PROGRAMMATIC_ACCESS_TOKEN";
    assert_eq!(login(&rig, kind, &token, &rig.ready.user).await.code(), "success");
    assert_eq!(login(&rig, kind, &token, "NOBODY").await.code(), "394400");
    assert_eq!(login(&rig, kind, "made up", &rig.ready.user).await.code(), "394400");
    assert_eq!(login(&rig, "OAUTH", &token, &rig.ready.user).await.code(), "390303");
    let mut as_password = rig.credentials();
    as_password["PASSWORD"] = json!(token);
    let path = "/session/v1/login-request";
    let answer = rig.post(path, None, &json!({"data": as_password})).await;
    assert_eq!(answer.code(), "success");
    rig.fault(json!({"fault": "expire_access_tokens"})).await;
    assert_eq!(login(&rig, kind, &token, &rig.ready.user).await.code(), "394400");
}

#[tokio::test]
async fn a_client_gets_oauth_tokens_with_its_secret() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let order = json!({
        "client_id": "c", "client_secret": "s&1", "user": rig.ready.user, "token_seconds": 600,
    });
    assert_eq!(rig.admin("/oauth-clients", &order).await.status, 204);
    let (status, body) = grant(&rig, "grant_type=password").await;
    assert_eq!((status, &body["error"]), (400, &json!("unsupported_grant_type")));
    for form in [
        "grant_type=client_credentials",
        "grant_type=client_credentials&client_id=c&client_secret=x",
    ] {
        let (status, body) = grant(&rig, form).await;
        assert_eq!((status, &body["error"]), (401, &json!("invalid_client")), "{form}");
    }
    let form = "grant_type=client_credentials&client_id=c&client_secret=s%261\
                &scope=session%3Arole%3Apublic";
    let (status, body) = grant(&rig, form).await;
    assert_eq!((status, &body["expires_in"]), (200, &json!(600)));
    let token = body["access_token"].as_str().expect("a token").to_owned();
    let answer = login(&rig, "OAUTH", &token, &rig.ready.user).await;
    assert_eq!(answer.data()["sessionInfo"]["roleName"], "PUBLIC");
    assert_eq!(login(&rig, "OAUTH", &token, "").await.code(), "success");
    assert_eq!(login(&rig, "OAUTH", &token, "NOBODY").await.code(), "390309");
    rig.fault(json!({"fault": "expire_oauth_tokens"})).await;
    assert_eq!(login(&rig, "OAUTH", &token, &rig.ready.user).await.code(), "390318");
    let sent = rig.http.post(&rig.ready.oauth_token_url).basic_auth("c", Some("s%261"));
    let sent = sent.body("grant_type=client_credentials").send().await.expect("an answer");
    assert_eq!(sent.status(), 200);
}

#[tokio::test]
async fn tests_can_add_a_user() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let order = json!({"name": "robot", "password": "p", "default_role": "PUBLIC"});
    assert_eq!(rig.admin("/users", &order).await.status, 204);
    let mut credentials = rig.credentials();
    credentials["LOGIN_NAME"] = json!("Robot");
    credentials["PASSWORD"] = json!("p");
    let answer = rig.post("/session/v1/login-request", None, &json!({"data": credentials})).await;
    assert_eq!(answer.data()["sessionInfo"]["roleName"], "PUBLIC");
    let bad = json!({"name": "robot", "public_key": "no key"});
    assert_eq!(rig.admin("/users", &bad).await.status, 400);
}
