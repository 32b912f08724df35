//! The contract against a server that somebody named: a real account, or the emulator.
//!
//! Runs when `SNOWFERRY_TEST_ACCOUNT`, `_USER`, `_DATABASE`, a credential (`_ACCESS_TOKEN`, or
//! `_OAUTH_TOKEN_URL` with `_OAUTH_CLIENT_ID` and `_OAUTH_CLIENT_SECRET`, or `_PRIVATE_KEY_FILE` and
//! perhaps `_PASSPHRASE`, or `_PASSWORD`) and, for an emulator, `_BASE_URL` are set. It makes the schema SNOWFERRY_CONTRACT in that
//! database and drops it again.

use snowferry_model::names::TableName;

use super::super::sql::Statement;
use super::super::statement::About;
use super::*;
use crate::memory::MemoryValue;
use crate::{Source, contract};

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(format!("SNOWFERRY_TEST_{name}")).ok()
}

fn live_credential() -> Option<Credential> {
    let secret = |name: &str| variable(name).map(Secret::new);
    if let Some(token) = secret("ACCESS_TOKEN") {
        return Some(Credential::AccessToken(token));
    }
    if let Some(url) = variable("OAUTH_TOKEN_URL") {
        let (id, word) = (variable("OAUTH_CLIENT_ID")?, secret("OAUTH_CLIENT_SECRET")?);
        let client = OAuthClient::new(&url, id, word, variable("OAUTH_SCOPE")).unwrap();
        return Some(Credential::OAuth(client));
    }
    if let Some(path) = variable("PRIVATE_KEY_FILE") {
        let pem = Secret::new(std::fs::read_to_string(&path).unwrap());
        let pair = match secret("PASSPHRASE") {
            Some(passphrase) => KeyPair::from_encrypted_pem(&path, &pem, &passphrase),
            None => KeyPair::from_pem(&path, &pem),
        };
        return Some(Credential::KeyPair(pair.unwrap()));
    }
    secret("PASSWORD").map(Credential::Password)
}

pub(super) fn live_options() -> Option<ClientOptions> {
    let credential = live_credential()?;
    let account = variable("ACCOUNT")?.parse().unwrap();
    let mut options = ClientOptions::new(account, variable("USER")?, credential).unwrap();
    if let Some(base_url) = variable("BASE_URL") {
        options.endpoint = Endpoint::override_with(&base_url).unwrap();
    }
    options.role = variable("ROLE");
    options.warehouse = variable("WAREHOUSE");
    Some(options)
}

async fn run(client: &SnowflakeClient, text: String) {
    let statement = Statement { text, binds: Vec::new(), tag: None };
    let ran = client.session.texts(&statement, About { object: "the contract" }).await;
    assert!(ran.is_ok(), "{}: {:?}", statement.text, ran.err());
}

fn literal(value: &MemoryValue) -> String {
    match value {
        MemoryValue::Number(digits) => digits.to_string(),
        MemoryValue::Text(text) => format!("'{}'", text.replace('\'', "''")),
        MemoryValue::Timestamp { .. } => {
            let data_type = snowferry_model::types::SnowflakeType::TimestampNtz { scale: 9 };
            format!("'{}'::TIMESTAMP_NTZ(9)", value.text(&data_type).unwrap())
        }
        _ => "NULL".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_server_keeps_the_contract() {
    let (Some(options), Some(database)) = (live_options(), variable("DATABASE")) else {
        println!("SKIPPED: SNOWFERRY_TEST_ACCOUNT and the others are not set");
        return;
    };
    let client = SnowflakeClient::new(options).unwrap();
    let schema = format!("{database}.SNOWFERRY_CONTRACT");
    let table: TableName = format!("{schema}.\"Odd_%name\"").parse().unwrap();
    let missing: TableName = format!("{schema}.MISSING").parse().unwrap();
    run(&client, format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await;
    let columns = "ID NUMBER(38,0) NOT NULL PRIMARY KEY, AT TIMESTAMP_NTZ(9), NOTE VARCHAR";
    run(&client, format!("CREATE OR REPLACE TABLE {} ({columns})", table.quoted())).await;
    let rows: Vec<String> = contract::fixture_rows()
        .iter()
        .map(|row| format!("({})", row.iter().map(literal).collect::<Vec<_>>().join(", ")))
        .collect();
    run(&client, format!("INSERT INTO {} VALUES {}", table.quoted(), rows.join(", "))).await;

    let fixture = contract::Fixture { table: table.clone(), missing };
    contract::all(&client, &fixture).await.unwrap();

    let facts = client.session_facts().await.unwrap();
    assert!(!facts.version.is_empty() && facts.role.is_some(), "{facts:?}");
    let scope = Scope::Database(database.parse().map(|name: DatabaseName| name.0).unwrap());
    let listed = client.list_tables(&scope, Some("Odd*")).await.unwrap();
    assert_eq!(listed.iter().map(|found| &found.table).collect::<Vec<_>>(), [&table]);
    let declared = client.table_columns(&table).await.unwrap();
    let names: Vec<_> = declared.iter().map(|column| column.name.clone()).collect();
    assert_eq!(client.probe_select(&table, &names).await.unwrap().len(), 3);
    client.probe_warehouse(&table).await.unwrap();
    let role = facts.role.unwrap().parse().map(|name: DatabaseName| name.0).unwrap();
    client.grants(&role).await.unwrap();
    let before = client.describe(&table).await.unwrap().identity;
    run(&client, format!("CREATE OR REPLACE TABLE {} ({columns})", table.quoted())).await;
    assert_ne!(client.describe(&table).await.unwrap().identity, before);
    cursors_of_every_type_come_back_exactly(&client, &schema).await;
    run(&client, format!("DROP SCHEMA {schema}")).await;
    client.close().await;
}

/// A bound that was printed, bound again and compared must name the very same value.
async fn cursors_of_every_type_come_back_exactly(client: &SnowflakeClient, schema: &str) {
    use snowferry_model::plan::{PLAN_VERSION, PlannedColumn, StagedForm, TablePlan};
    use snowferry_model::types::SnowflakeType;
    use snowferry_model::watermark::{Lookback, LowerEdge, Watermark, Window};
    let nines = "9".repeat(38);
    let number = |precision, scale| SnowflakeType::Number { precision, scale };
    let cases = [
        (
            number(38, 0),
            vec![format!("-{nines}"), "-1".into(), "9223372036854775808".into(), nines],
        ),
        (number(12, 2), vec!["-0.01".into(), "0".into(), "12.50".into()]),
        (
            SnowflakeType::Date,
            vec!["'0001-01-01'".into(), "'1969-12-31'".into(), "'9999-12-31'".into()],
        ),
        (
            SnowflakeType::TimestampNtz { scale: 9 },
            vec![
                "'0001-01-01 00:00:00.000000001'".into(),
                "'1969-12-31 23:59:59.999999999'".into(),
                "'9999-12-31 23:59:59.999999999'".into(),
            ],
        ),
        (
            SnowflakeType::TimestampLtz { scale: 9 },
            vec![
                "'1900-01-01 00:00:00.000000001 +0000'".into(),
                "'2024-02-29 12:00:00.123456789 +0545'".into(),
            ],
        ),
        (
            SnowflakeType::TimestampTz { scale: 9 },
            vec![
                "'1969-12-31 23:59:59.999999999 -0800'".into(),
                "'2024-02-29 12:00:00.123456789 +0545'".into(),
            ],
        ),
    ];
    let table: TableName = format!("{schema}.CURSORS").parse().unwrap();
    let c = snowferry_model::names::Identifier::new("C").unwrap();
    for (data_type, values) in cases {
        run(client, format!("CREATE OR REPLACE TABLE {} (C {data_type})", table.quoted())).await;
        for (position, value) in values.iter().enumerate() {
            run(client, format!("INSERT INTO {} SELECT {value}::{data_type}", table.quoted()))
                .await;
            let request = crate::ProfileRequest {
                table: table.clone(),
                cursor: Some((c.clone(), data_type.clone())),
                floor: None,
                ahead_s: None,
                wide_integers: vec![],
                fine_timestamps: vec![],
                change_token: false,
            };
            let text = client.profile(&request).await.unwrap().cursor_max.unwrap();
            let mark = Watermark { cursor: c.clone(), cursor_type: data_type.clone(), text };
            let form = StagedForm::Utf8;
            let planned = PlannedColumn { name: c.clone(), data_type: data_type.clone(), form };
            let plan = TablePlan { version: PLAN_VERSION, columns: vec![planned] };
            let rows = |window: Window| {
                let (table, plan) = (table.clone(), plan.clone());
                async move {
                    let request = crate::ReadRequest { table, plan, window, tag: String::new() };
                    let query = client.submit(&request).await.unwrap();
                    loop {
                        if let crate::ResultState::Ready(layout) =
                            client.open(&query).await.unwrap()
                        {
                            return layout.rows;
                        }
                    }
                }
            };
            let (edge, lookback) = (LowerEdge::Closed, Lookback::None);
            let at = Window::Between { from: mark.clone(), edge, lookback, to: mark.clone() };
            assert_eq!(rows(at).await, 1, "the greatest of {data_type} equals its own text");
            let all = u64::try_from(position + 1).unwrap();
            assert_eq!(rows(Window::UpTo { to: mark.clone() }).await, all, "{data_type}");
            let floor = crate::ProfileRequest { floor: Some(mark.clone()), ..request };
            let again = client.profile(&floor).await.unwrap().cursor_max;
            assert_eq!(again, Some(mark.text), "a floor that equals the greatest {data_type}");
        }
    }
}

/// A single identifier as a person writes it.
struct DatabaseName(snowferry_model::names::Identifier);

impl std::str::FromStr for DatabaseName {
    type Err = snowferry_model::names::NameError;

    fn from_str(written: &str) -> Result<Self, Self::Err> {
        snowferry_model::names::Identifier::parse(written).map(Self)
    }
}
