//! Statements: what is sent, what is waited for, what errors mean.

use snowferry_model::names::{Identifier, TableName};
use snowferry_model::plan::{PLAN_VERSION, TablePlan};
use snowferry_model::watermark::{Watermark, Window};

use super::*;
use crate::{ProfileRequest, ReadRequest, ResultState, Source};
use snowferry_model::types::SnowflakeType;

fn orders() -> TableName {
    "DB.SC.ORDERS".parse().unwrap()
}

fn id(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

fn read_request() -> ReadRequest {
    let cursor_type = SnowflakeType::TimestampNtz { scale: 9 };
    let to = Watermark { cursor: id("AT"), cursor_type, text: "2026-01-01 00:00:00.0".to_owned() };
    let plan = TablePlan { version: PLAN_VERSION, columns: vec![super::chunks::planned("ID")] };
    ReadRequest { table: orders(), plan, window: Window::UpTo { to }, tag: "acme/run".to_owned() }
}

#[tokio::test]
async fn a_slice_is_submitted_detached_with_binds_and_its_tag() {
    let responder = after_sign_in(|_| Canned::running("333334", "q-7"));
    let query = client(&responder).submit(&read_request()).await.unwrap();
    assert_eq!(query.0, "q-7");
    let body = &responder.seen("/queries/v1/query-request")[0].body;
    assert_eq!(body["asyncExec"], true);
    assert_eq!(body["bindings"]["1"], json!({"type": "TEXT", "value": "2026-01-01 00:00:00.0"}));
    assert_eq!(body["parameters"]["QUERY_TAG"], "acme/run");
    let wanted = r#"SELECT "ID" FROM "DB"."SC"."ORDERS" WHERE "AT" <= ?::TIMESTAMP_NTZ(9)"#;
    assert_eq!(body["sqlText"], wanted);
}

#[tokio::test]
async fn codes_of_the_server_become_what_somebody_can_do() {
    let failed = |code: &'static str| async move {
        let responder = after_sign_in(move |_| Canned::failure(code, "secret row value"));
        let error = client(&responder).submit(&read_request()).await.unwrap_err();
        assert!(!format!("{error:?}").contains("secret row value"));
        error
    };
    for code in ["002003", "002043", "003001"] {
        let found = failed(code).await;
        let named = matches!(&found, SnowflakeError::NotFound { object, role }
            if object == "DB.SC.ORDERS" && role == "PULL");
        assert!(named, "{found:?}");
    }
    assert!(matches!(failed("000904").await, SnowflakeError::MissingColumn { .. }));
    assert!(matches!(failed("000606").await, SnowflakeError::NoWarehouse { .. }));
    assert!(matches!(failed("001003").await, SnowflakeError::Statement { code, sql_state, .. }
        if code == "001003" && sql_state == "42S02"));
}

#[tokio::test]
async fn a_small_statement_is_waited_for_through_both_running_codes() {
    let responder = after_sign_in(|seen| match (seen.path.as_str(), seen.before) {
        ("/queries/v1/query-request", _) => Canned::running("333333", "q-8"),
        (_, 0) => Canned::running("333334", "q-8"),
        _ => Canned::success(&texts(&["N", "MAX", "NULLS"], &json!([["12", null, "12"]]))),
    });
    let request = ProfileRequest {
        table: orders(),
        cursor: Some((id("AT"), SnowflakeType::Date)),
        floor: None,
        ahead_s: None,
        wide_integers: vec![],
        fine_timestamps: vec![],
        change_token: false,
    };
    let profile = client(&responder).profile(&request).await.unwrap();
    assert_eq!((profile.rows, profile.cursor_max, profile.cursor_nulls), (12, None, 12));
    assert_eq!(responder.seen("/queries/q-8/result").len(), 2);
}

#[tokio::test]
async fn a_result_that_the_server_forgot_is_gone() {
    for canned in [Canned::failure("000709", "not found"), Canned::new(404, "")] {
        let responder = after_sign_in(move |_| canned.clone());
        let gone = client(&responder).open(&QueryId("q-9".to_owned())).await;
        assert!(matches!(gone, Err(SnowflakeError::ResultGone { query_id }) if query_id == "q-9"));
    }
}

#[tokio::test]
async fn cancelling_an_unknown_statement_is_fine_and_an_odd_id_stays_in_its_segment() {
    let responder = after_sign_in(|_| Canned::failure("000605", "not executing"));
    let client = client(&responder);
    client.cancel(&QueryId("../../session?delete=true#".to_owned())).await.unwrap();
    let paths: Vec<String> = responder.all().into_iter().map(|seen| seen.path).collect();
    assert!(paths[1].starts_with("/queries/") && paths[1].ends_with("/abort-request"), "{paths:?}");
    assert!(!paths.contains(&"/session".to_owned()));
}

#[tokio::test]
async fn describe_reads_columns_by_name_and_takes_the_exact_object() {
    let described = texts(
        &["name", "type", "kind", "null?", "default", "primary key", "new column"],
        &json!([
            ["ID", "NUMBER(38,0)", "COLUMN", "N", null, "Y", "x"],
            ["At", "TIMESTAMP_NTZ(9)", "COLUMN", "Y", null, "N", "x"],
        ]),
    );
    let shown = texts(
        &["created_on", "name", "database_name", "schema_name"],
        &json!([
            ["1700000000.000", "orders", "DB", "SC"],
            ["1700000001.123", "ORDERS", "DB", "OTHER"],
            ["1700000002.456", "ORDERS", "DB", "SC"],
        ]),
    );
    let responder = after_sign_in(move |seen| {
        let sql = seen.body["sqlText"].as_str().unwrap_or_default();
        Canned::success(if sql.starts_with("DESCRIBE") { &described } else { &shown })
    });
    let table = client(&responder).describe(&orders()).await.unwrap();
    assert_eq!((table.kind.as_str(), table.identity.as_str()), ("TABLE", "1700000002.456"));
    assert!(table.columns[0].primary_key && !table.columns[0].nullable);
    assert_eq!(table.columns[1].name.as_str(), "At");
    assert_eq!(table.columns[1].data_type, SnowflakeType::TimestampNtz { scale: 9 });
}

#[tokio::test]
async fn a_running_statement_is_looked_at_until_it_is_ready() {
    let responder = after_sign_in(|seen| match seen.before {
        0 | 1 => Canned::running("333334", "q-1"),
        _ => Canned::success(&texts(&["ID"], &json!([["1"], ["2"]]))),
    });
    let state = client(&responder).open(&QueryId("q-1".to_owned())).await.unwrap();
    let ResultState::Ready(layout) = state else { panic!("running") };
    assert_eq!((layout.rows, layout.pieces.len()), (2, 1));
    assert_eq!(responder.seen("/queries/q-1/result").len(), 3);
}

#[tokio::test]
async fn a_page_and_a_reply_that_always_ends_early_are_given_up_with_their_own_errors() {
    let asked = |body: &'static str| async move {
        let responder = after_sign_in(move |_| Canned::new(200, body));
        let error = client(&responder).open(&QueryId("q-1".to_owned())).await.unwrap_err();
        (error, responder.seen("/queries/q-1/result").len())
    };
    let (page, times) = asked("<html>canary-token</html>").await;
    assert!(matches!(&page, SnowflakeError::Page { host, .. } if host.contains("127.0.0.1")));
    assert_eq!(times, 3);
    no_canary(&format!("{page} {page:?}"));
    let (early, times) = asked(r#"{"success": true, "data": {"#).await;
    assert!(matches!(&early, SnowflakeError::Unreachable { .. }), "{early}");
    assert_eq!(times, 7);
    let (other, times) = asked("]").await;
    assert!(matches!(&other, SnowflakeError::Protocol { .. }), "{other}");
    assert_eq!(times, 3);
}

#[tokio::test]
async fn a_sign_in_and_a_renewal_that_end_early_are_asked_for_again() {
    let responder = Responder::start(|seen| match (seen.path.as_str(), seen.before) {
        ("/session/v1/login-request" | "/session/token-request", 0) => Canned::new(200, "{"),
        ("/session/v1/login-request", _) => Canned::success(&signed_in()),
        ("/session/token-request", _) => Canned::success(&json!({"sessionToken": "new"})),
        (_, 0) => Canned::failure("390112", "Session token expired"),
        _ => Canned::running("333334", "q-7"),
    });
    assert_eq!(client(&responder).submit(&read_request()).await.unwrap().0, "q-7");
    assert_eq!(responder.seen("/session/v1/login-request").len(), 2);
    assert_eq!(responder.seen("/session/token-request").len(), 2);
}
