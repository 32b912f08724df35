//! The protocol as a client sees it, over HTTP, with a fake engine behind it.

mod bad_days;
mod fake;
mod faults;
mod identities;
mod login;
mod results;
mod statements;
mod whole;

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{EmulatorOptions, ReadyLine, Server};
use fake::FakeRunner;

/// A running server with its fake engine, and a client for it.
struct Rig {
    server: Server,
    ready: ReadyLine,
    runner: Arc<FakeRunner>,
    http: reqwest::Client,
}

/// An answer: HTTP status and body.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("success")
    }

    fn data(&self) -> &Value {
        &self.body["data"]
    }
}

impl Rig {
    async fn start(options: EmulatorOptions) -> Self {
        let runner = Arc::new(FakeRunner::default());
        let (server, ready) =
            Server::start(options, Arc::clone(&runner) as _).await.expect("server starts");
        Self { server, ready, runner, http: reqwest::Client::new() }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: &Value,
    ) -> reqwest::Response {
        let url = if path.starts_with('/') {
            format!("{}{path}", self.ready.base_url)
        } else {
            path.into()
        };
        let mut request = self.http.request(method, url).json(body);
        if let Some(token) = token {
            request = request.header("Authorization", format!("Snowflake Token=\"{token}\""));
        }
        request.send().await.expect("an answer")
    }

    async fn call(&self, method: Method, path: &str, token: Option<&str>, body: &Value) -> Answer {
        let response = self.send(method, path, token, body).await;
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> Answer {
        self.call(Method::POST, path, token, body).await
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, Some(token), &Value::Null).await
    }

    async fn admin(&self, path: &str, body: &Value) -> Answer {
        self.post(&format!("{}{path}", self.ready.admin_url), None, body).await
    }

    async fn fault(&self, order: Value) {
        assert_eq!(self.admin("/faults", &order).await.status, 204, "{order}");
    }

    fn credentials(&self) -> Value {
        json!({
            "CLIENT_APP_ID": "Go", "ACCOUNT_NAME": self.ready.account,
            "LOGIN_NAME": self.ready.user, "PASSWORD": self.ready.password,
        })
    }

    /// Signs in as a Go driver and returns the session and the master token.
    async fn tokens(&self) -> (String, String) {
        self.tokens_of(self.credentials()).await
    }

    async fn tokens_of(&self, credentials: Value) -> (String, String) {
        let body = json!({"data": credentials});
        let answer = self.post("/session/v1/login-request", None, &body).await;
        assert_eq!(answer.code(), "success", "{answer:?}");
        let text = |name: &str| answer.data()[name].as_str().expect("a token").to_owned();
        (text("token"), text("masterToken"))
    }

    async fn run(&self, token: &str, sql: &str) -> Answer {
        self.run_with(token, json!({"sqlText": sql})).await
    }

    async fn run_with(&self, token: &str, body: Value) -> Answer {
        self.run_as(token, Uuid::new_v4(), body).await
    }

    async fn run_as(&self, token: &str, request_id: Uuid, body: Value) -> Answer {
        let path = format!("/queries/v1/query-request?requestId={request_id}");
        self.post(&path, Some(token), &body).await
    }
}

#[tokio::test]
async fn an_unknown_path_is_not_found_and_the_admin_interface_needs_its_secret() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    for path in ["/", "/console", "/admin/state", "/admin/x/state", "/queries"] {
        assert_eq!(rig.get(path, "x").await.status, 404, "{path}");
    }
    let state = rig.get(&format!("{}/state", rig.ready.admin_url), "x").await;
    assert_eq!(state.status, 200);
    assert_eq!(state.body["requests"]["other"], 3);
}

#[tokio::test]
async fn telemetry_is_accepted_so_that_stock_drivers_stay_quiet() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    for path in ["/telemetry/send", "/telemetry/send/sessionless"] {
        let answer = rig.post(path, None, &json!({"logs": []})).await;
        assert_eq!(answer.body["success"], true, "{path}");
    }
}

#[tokio::test]
async fn a_stopped_server_listens_no_more_and_leaves_no_file() {
    let rig = Rig::start(EmulatorOptions::default()).await;
    let folder = rig.ready.private_key_path.parent().expect("a folder").to_owned();
    assert!(folder.exists());
    rig.server.stop().await;
    assert!(!folder.exists());
    assert!(rig.http.get(&rig.ready.base_url).send().await.is_err());
}

#[test]
fn the_ready_line_has_the_promised_members_and_hides_its_password() {
    let ready = ReadyLine {
        base_url: "http://127.0.0.1:1".to_owned(),
        account: "A".to_owned(),
        user: "U".to_owned(),
        password: "hidden".to_owned(),
        private_key_path: "/k".into(),
        role: "R".to_owned(),
        warehouse: "W".to_owned(),
        admin_url: "http://127.0.0.1:1/admin/x".to_owned(),
        oauth_token_url: "http://127.0.0.1:1/oauth/token".to_owned(),
    };
    let line = serde_json::to_value(&ready).expect("json");
    let members: Vec<&str> = line.as_object().expect("object").keys().map(String::as_str).collect();
    let mut promised = vec![
        "base_url",
        "account",
        "user",
        "password",
        "private_key_path",
        "role",
        "warehouse",
        "admin_url",
        "oauth_token_url",
    ];
    promised.sort_unstable();
    let mut found = members.clone();
    found.sort_unstable();
    assert_eq!(found, promised);
    assert!(!format!("{ready:?}").contains("hidden"));
}
