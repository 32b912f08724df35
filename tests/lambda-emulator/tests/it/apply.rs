//! `snowferry apply`, `pause`, `resume` and `close` against a stack: DynamoDB Local for the table,
//! moto for the shapes of Secrets Manager and EventBridge Scheduler.
//!
//! `SNOWFERRY_MOTO` names a Python that has moto's server; `tests/run` sets it up.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use snowferry_bootstrap::aws::documents::Status;
use snowferry_lambda_emulator::{Answer, stack};
use snowferry_model::fault::Fault as _;
use snowferry_model::names::ConnectionName;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

use crate::cloud::{Cloud, acme};
use crate::stage::show;

const TABLES: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, mode: full }\n";

/// Moto's server; ends when it is dropped.
struct Moto {
    endpoint: String,
    _server: Child,
}

impl Moto {
    /// Starts one with a schedule group; `None` without a Python that has it.
    async fn start() -> Option<Self> {
        let Some(python) = std::env::var_os("SNOWFERRY_MOTO") else {
            println!("SKIPPED: SNOWFERRY_MOTO names no Python; `bash tests/run` sets it up");
            return None;
        };
        let port = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
        let server = Command::new(python)
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                let moto = Self { endpoint: format!("http://127.0.0.1:{port}"), _server: server };
                moto.scheduler("POST", "/schedule-groups/snowferry", Some(json!({}))).await;
                return Some(moto);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("moto does not come up");
    }

    /// Asks Scheduler; `None` when the answer is no success.
    async fn scheduler(&self, method: &str, path: &str, body: Option<Value>) -> Option<Value> {
        let url = format!("{}{path}", self.endpoint);
        let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/scheduler/aws4_request, \
                     SignedHeaders=host, Signature=0";
        let request = reqwest::Client::new()
            .request(method.parse().unwrap(), url)
            .header("Authorization", scope)
            .header("Host", "scheduler.us-east-1.amazonaws.com");
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        if !answer.status().is_success() {
            return None;
        }
        Some(answer.json().await.unwrap_or(Value::Null))
    }

    async fn schedule(&self, name: &str) -> Option<Value> {
        self.scheduler("GET", &format!("/schedules/{name}?groupName=snowferry"), None).await
    }

    /// Reads the version of a secret that is in use.
    async fn secret(&self, name: &str) -> String {
        let scope = "AWS4-HMAC-SHA256 \
                     Credential=test/20260101/us-east-1/secretsmanager/aws4_request, \
                     SignedHeaders=host, Signature=0";
        // Without the stage, moto answers the version that was put last.
        let body = json!({ "SecretId": name, "VersionStage": "AWSCURRENT" }).to_string();
        let request = reqwest::Client::new()
            .post(&self.endpoint)
            .header("Authorization", scope)
            .header("X-Amz-Target", "secretsmanager.GetSecretValue")
            .header("Content-Type", "application/x-amz-json-1.1")
            .body(body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["SecretString"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

/// Writes the outputs of the stack as CloudFormation describes them.
fn write_stack(cloud: &Cloud) {
    let file = cloud.stage.path().join("stack.json");
    std::fs::write(file, stack::outputs().to_string()).unwrap();
}

/// Runs a command of the operator.
fn operate(cloud: &Cloud, moto: &Moto, arguments: &[&str]) -> Output {
    let mut command = cloud.stage.command(arguments);
    command
        .env("SNOWFERRY_STACK", "stack.json")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_ENDPOINT_URL_DYNAMODB", cloud.dynamodb_endpoint())
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &moto.endpoint)
        .env("AWS_ENDPOINT_URL_SCHEDULER", &moto.endpoint);
    command.output().unwrap()
}

fn operated(cloud: &Cloud, moto: &Moto, arguments: &[&str]) -> Value {
    let output = operate(cloud, moto, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", show(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", show(&output)))
}

/// What becomes of each thing, by its kind.
fn actions(plan: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let changes = plan["changes"].as_array().unwrap().iter();
    changes.map(|change| (text(&change["what"]), text(&change["action"]))).collect()
}

fn edit(cloud: &Cloud, from: &str, to: &str) {
    let file = cloud.stage.path().join("connections/acme.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(file, text.replacen(from, to, 1)).unwrap();
}

const FILE: &str = "connections/acme.yaml";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_is_stored_changed_paused_resumed_and_closed() {
    let Some(moto) = Moto::start().await else { return };
    let Some(cloud) = Cloud::start("0.001", TABLES).await else { return };
    write_stack(&cloud);
    let at = "  schedule: { at: cron(0 3 * * ? *), time_zone: Europe/Berlin, window: 15m }\n";
    edit(&cloud, "pull:\n", &format!("pull:\n{at}"));

    // The connection was stored without a schedule; its key is not in this Secrets Manager.
    let planned = operated(&cloud, &moto, &["apply", FILE, "--dry-run"]);
    let key = actions(&planned)[0].0.clone();
    let wanted = [
        (key.clone(), "create".to_owned()),
        ("connection acme".to_owned(), "change".to_owned()),
        ("schedule acme-pull".to_owned(), "create".to_owned()),
    ];
    assert_eq!(actions(&planned), wanted, "{planned}");
    assert!(planned["changes"][1]["details"].to_string().contains("+   schedule"), "{planned}");
    assert_eq!(moto.schedule("acme-pull").await, None, "a dry run changes nothing");
    for (arguments, told) in [
        (vec!["apply", FILE], "nobody can be asked here"),
        (vec!["apply", FILE, "--json"], "--dry-run"),
    ] {
        let refused = operate(&cloud, &moto, &arguments);
        assert_eq!(refused.status.code(), Some(2), "{}", show(&refused));
        assert!(show(&refused).contains(told), "{}", show(&refused));
    }

    let applied = operated(&cloud, &moto, &["apply", FILE, "--yes"]);
    assert_eq!((&applied["applied"], &applied["version"]), (&json!(true), &json!(2)), "{applied}");
    let schedule = moto.schedule("acme-pull").await.unwrap();
    assert_eq!(schedule["ScheduleExpression"], "cron(0 3 * * ? *)");
    assert_eq!(schedule["ScheduleExpressionTimezone"], "Europe/Berlin");
    assert_eq!(schedule["FlexibleTimeWindow"]["MaximumWindowInMinutes"], 15);
    assert_eq!(schedule["Target"]["Input"], r#"{"connection":"acme"}"#);
    assert_eq!(schedule["Target"]["SqsParameters"]["MessageGroupId"], "acme#0");

    // The same again is nothing; a change is told; a schedule that is taken out goes.
    let again = operated(&cloud, &moto, &["apply", FILE, "--yes"]);
    assert!(actions(&again).iter().all(|(_, action)| action == "keep"), "{again}");
    edit(&cloud, "cron(0 3", "cron(30 4");
    let changed = operated(&cloud, &moto, &["apply", FILE, "--yes"]);
    let told = changed["changes"][2]["details"].to_string();
    assert!(told.contains("at: cron(0 3 * * ? *) -> cron(30 4 * * ? *)"), "{changed}");

    let paused = operated(&cloud, &moto, &["pause", "acme"]);
    assert_eq!(paused["status"], "paused");
    assert_eq!(moto.schedule("acme-pull").await.unwrap()["State"], "DISABLED");
    let stored = cloud.documents().stored(&acme()).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.version), (Status::Paused, 3));
    let answer = cloud.function("pull").invoke(&json!({ "connection": "acme" })).await.unwrap();
    assert!(matches!(&answer, Answer::Failed(told) if told["errorType"] == "CONNECTION_PAUSED"));
    operated(&cloud, &moto, &["resume", "acme"]);
    assert_eq!(moto.schedule("acme-pull").await.unwrap()["State"], "ENABLED");

    edit(&cloud, at.replace("cron(0 3", "cron(30 4").as_str(), "");
    let removed = operated(&cloud, &moto, &["apply", FILE, "--yes"]);
    assert_eq!(actions(&removed)[2], ("schedule acme-pull".to_owned(), "remove".to_owned()));
    assert_eq!(moto.schedule("acme-pull").await, None);

    let closed = operated(&cloud, &moto, &["close", "acme", "--yes"]);
    assert!(closed["removed"].to_string().contains(key.trim_start_matches("secret ")), "{closed}");
    assert!(closed["stays"].to_string().contains("s3://snowferry/lake/acme/"), "{closed}");
    let refused = operate(&cloud, &moto, &["resume", "acme", "--json"]);
    for told in ["CONNECTION_PAUSED", "`snowferry apply connections/acme.yaml --stack FILE`"] {
        assert!(String::from_utf8_lossy(&refused.stdout).contains(told), "{}", show(&refused));
    }
    // Applying opens it again, with the key brought back.
    operated(&cloud, &moto, &["apply", FILE, "--yes"]);
    let stored = cloud.documents().stored(&acme()).await.unwrap().unwrap();
    assert_eq!((stored.status, stored.version), (Status::Active, 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_of_before_comes_back_into_use() {
    let Some(moto) = Moto::start().await else { return };
    let Some(cloud) = Cloud::start("0.001", TABLES).await else { return };
    write_stack(&cloud);
    cloud.stage.connect_with("key_pair: { private_key_file: turn.p8 }", TABLES);
    let secret = "snowferry/acme/turn.p8";
    for (key, action) in
        [("A", "create"), ("B", "change"), ("C", "change"), ("A", "change"), ("C", "change")]
    {
        let text = format!("key {key}\n");
        std::fs::write(cloud.stage.path().join("connections/turn.p8"), text).unwrap();
        let applied = operated(&cloud, &moto, &["apply", FILE, "--yes"]);
        let wanted = (format!("secret {secret}"), action.to_owned());
        assert_eq!(actions(&applied)[0], wanted, "{key}: {applied}");
        assert_eq!(moto.secret(secret).await, format!("key {key}"));
        let again = operated(&cloud, &moto, &["apply", FILE, "--yes"]);
        assert!(actions(&again).iter().all(|(_, action)| action == "keep"), "{key}: {again}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_secret_that_nothing_names_any_more_goes_or_is_told() {
    let Some(moto) = Moto::start().await else { return };
    let Some(cloud) = Cloud::start("0.001", TABLES).await else { return };
    write_stack(&cloud);
    let apply = |key: &str| {
        std::fs::write(cloud.stage.path().join("connections").join(key), key).unwrap();
        cloud.stage.connect_with(&format!("key_pair: {{ private_key_file: {key} }}"), TABLES);
        let applied = operated(&cloud, &moto, &["apply", FILE, "--yes"]);
        let again = operated(&cloud, &moto, &["apply", FILE, "--yes"]);
        assert!(actions(&again).iter().all(|(_, action)| action == "keep"), "{key}: {again}");
        applied
    };
    let change = |what: &str, action: &str| (what.to_owned(), action.to_owned());
    apply("old.p8");
    let wanted = [
        change("secret snowferry/acme/new.p8", "create"),
        change("connection acme", "change"),
        change("secret snowferry/acme/old.p8", "remove"),
    ];
    let exchanged = apply("new.p8");
    assert_eq!(actions(&exchanged), wanted, "{exchanged}");
    let brought_back = apply("old.p8");
    assert_eq!(actions(&brought_back)[0], change("secret snowferry/acme/old.p8", "create"));

    // A text of a later version, say: nobody knows which secrets it names.
    cloud.spoil_stored_text().await;
    let planned = operated(&cloud, &moto, &["apply", FILE, "--dry-run"]);
    let told = change("secrets below snowferry/acme/", "keep");
    assert!(actions(&planned).contains(&told), "{planned}");
    let closed = operated(&cloud, &moto, &["close", "acme", "--yes"]);
    assert_eq!(closed["removed"], json!([]), "{closed}");
    assert!(closed["stays"].to_string().contains("secrets below snowferry/acme/"), "{closed}");
    assert_eq!(moto.secret("snowferry/acme/old.p8").await, "old.p8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_aws_would_take_and_never_run_is_refused_before_anything_is_stored() {
    let Some(moto) = Moto::start().await else { return };
    let Some(cloud) = Cloud::start("0.001", TABLES).await else { return };
    write_stack(&cloud);
    let good = std::fs::read_to_string(cloud.stage.path().join(FILE)).unwrap();
    for (schedule, told) in [
        ("{ at: cron(0 3 31 2 ? *) }", "no such month has the day 31"),
        ("{ at: rate(1 minute) }", "less than five minutes"),
        ("{ at: rate(1 day), time_zone: Europe/Nowhere }", "no time zone"),
        ("{ at: rate(1 day), window: 25h }", "1m to 1440m"),
        ("{ time_zone: UTC }", "schedule.at"),
    ] {
        let text = good.replacen("pull:\n", &format!("pull:\n  schedule: {schedule}\n"), 1);
        std::fs::write(cloud.stage.path().join(FILE), text).unwrap();
        let refused = operate(&cloud, &moto, &["apply", FILE, "--yes"]);
        assert_eq!(refused.status.code(), Some(2), "{}", show(&refused));
        assert!(show(&refused).contains(told), "{schedule}: {}", show(&refused));
    }
    std::fs::write(cloud.stage.path().join(FILE), good).unwrap();
    let stack = std::fs::read_to_string(cloud.stage.path().join("stack.json")).unwrap();
    for (from, to, told) in [
        (
            "arn:aws:sqs:us-east-1:123456789012:snowferry-push.fifo",
            "snowferry-push",
            "PushQueueArn",
        ),
        ("role/snowferry-schedule", "user/anna", "ScheduleRoleArn"),
        ("\"TableName\"", "\"TableNames\"", "the output TableName is missing"),
        ("\"Stacks\"", "\"Stack\"", "describe-stacks"),
    ] {
        let file = cloud.stage.path().join("stack.json");
        std::fs::write(file, stack.replacen(from, to, 1)).unwrap();
        let refused = operate(&cloud, &moto, &["apply", FILE, "--yes"]);
        assert_eq!(refused.status.code(), Some(2), "{}", show(&refused));
        assert!(show(&refused).contains(told), "{to}: {}", show(&refused));
    }
    assert_eq!(cloud.documents().stored(&acme()).await.unwrap().unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_who_store_at_once_one_is_told() {
    let Some(cloud) = Cloud::start("0.001", TABLES).await else { return };
    let documents = cloud.documents();
    let mut before = documents.stored(&acme()).await.unwrap().unwrap();
    for round in 0..20 {
        let text = |who: &str| format!("{}# {who} {round}\n", before.body);
        let (a, b) = (text("a"), text("b"));
        let name = acme();
        let (first, second) = tokio::join!(
            documents.replace(&name, Some(&before), &a),
            documents.replace(&name, Some(&before), &b),
        );
        let version = before.version + 1;
        let won: Vec<u64> = [first, second].into_iter().filter_map(Result::ok).collect();
        assert_eq!(won, [version], "round {round}");
        before = documents.stored(&name).await.unwrap().unwrap();
        assert!(before.version == version && (before.body == a || before.body == b));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pause_or_a_close_of_somebody_else_is_not_undone() {
    let Some(cloud) = Cloud::start("0.001", TABLES).await else { return };
    let (documents, name) = (cloud.documents(), acme());
    let stored = async || documents.stored(&name).await.unwrap().unwrap();
    for status in [Status::Paused, Status::Active, Status::Closed] {
        let before = stored().await;
        documents.set_status(&name, status).await.unwrap();
        let text = format!("{}# while the status changed\n", before.body);
        let refused = documents.replace(&name, Some(&before), &text).await.unwrap_err();
        assert_eq!(refused.code(), "CONNECTION_CHANGED", "{status:?}");
        let after = stored().await;
        assert_eq!((after.status, &after.body), (status, &before.body));
    }
    for status in [Status::Paused, Status::Active] {
        let refused = documents.set_status(&name, status).await.unwrap_err();
        assert_eq!(refused.code(), "CONNECTION_PAUSED", "{status:?}");
        assert_eq!(stored().await.status, Status::Closed, "what is closed stays closed");
    }
    documents.set_status(&name, Status::Closed).await.unwrap();
    let nobody = ConnectionName::new("nobody").unwrap();
    for status in [Status::Active, Status::Paused, Status::Closed] {
        let refused = documents.set_status(&nobody, status).await.unwrap_err();
        assert_eq!(refused.code(), "CONFIG_NO_CONNECTION", "{status:?}");
        assert!(refused.hint().unwrap().contains("apply connections/nobody.yaml --stack FILE"));
    }
    assert_eq!(documents.stored(&nobody).await.unwrap(), None);
    // Whoever has seen that it is closed opens it.
    let closed = stored().await;
    documents.replace(&name, Some(&closed), &closed.body).await.unwrap();
    assert_eq!(stored().await.status, Status::Active);
}
