//! The whole emulator, with the real engine: starting it, scripts, and one round trip.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{Emulator, EmulatorError, EmulatorOptions};

fn options(load: Vec<PathBuf>) -> EmulatorOptions {
    EmulatorOptions { tpch_scale: 0.001, crm: false, load, ..EmulatorOptions::default() }
}

async fn post(url: String, token: Option<&str>, body: Value) -> Value {
    let mut request = reqwest::Client::new().post(url).json(&body);
    if let Some(token) = token {
        request = request.header("Authorization", format!("Snowflake Token=\"{token}\""));
    }
    request.send().await.expect("an answer").json().await.expect("json")
}

#[tokio::test]
async fn what_a_script_loads_a_client_reads_and_the_engine_sees_what_a_client_writes() {
    let folder = tempfile::tempdir().expect("folder");
    let script = folder.path().join("load.sql");
    let sql = "create database d; create table d.public.t (id number, v varchar); \
               insert into d.public.t values (1, 'a;b');";
    std::fs::write(&script, sql).expect("script");
    let emulator = Box::pin(Emulator::start(options(vec![script]))).await.expect("starts");
    let ready = emulator.ready();
    let login = json!({"data": {
        "CLIENT_APP_ID": "JavaScript", "ACCOUNT_NAME": ready.account,
        "LOGIN_NAME": ready.user, "PASSWORD": ready.password,
    }});
    let path = "/session/v1/login-request?databaseName=d&schemaName=public";
    let answer = post(format!("{}{path}", ready.base_url), None, login).await;
    assert_eq!(answer["data"]["sessionInfo"]["schemaName"], "PUBLIC");
    let token = answer["data"]["token"].as_str().expect("token").to_owned();
    let run = async |sql: &str| {
        let url = format!("{}/queries/v1/query-request", ready.base_url);
        post(url, Some(&token), json!({"sqlText": sql})).await
    };
    assert_eq!(run("select id, v from t").await["data"]["rowset"], json!([["1", "a;b"]]));
    let before = emulator.engine().data_version();
    assert_eq!(run("insert into t values (2, null)").await["data"]["rowset"], json!([["1"]]));
    assert!(emulator.engine().data_version() > before);
    let rows = run("select id, v from t order by id").await;
    assert_eq!(rows["data"]["rowset"], json!([["1", "a;b"], ["2", null]]));
    assert_eq!(run("select nothing from t").await["code"], "000904");
    emulator.stop().await;
}

#[tokio::test]
async fn an_emulator_that_cannot_start_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let bad = folder.path().join("bad.sql");
    std::fs::write(&bad, "create nonsense;").expect("script");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("address").port();
    let nowhere = Some(folder.path().join("missing"));
    for (options, code) in [
        (options(vec![bad]), "EMULATOR_RUN_SCRIPT"),
        (options(vec![folder.path().join("none.sql")]), "EMULATOR_READ_SCRIPT"),
        (EmulatorOptions { port, ..options(Vec::new()) }, "EMULATOR_LISTEN"),
        (EmulatorOptions { data_folder: nowhere, ..options(Vec::new()) }, "EMULATOR_FOLDER"),
    ] {
        let error: EmulatorError =
            Box::pin(Emulator::start(options)).await.expect_err("cannot start");
        assert_eq!(error.code(), code);
        assert!(error.hint().is_some());
        assert!(std::error::Error::source(&error).is_some());
    }
}
