use serde_json::{Value, json};
use snowferry_model::fault::Fault;
use snowferry_pull::Mode;

use crate::aws::event::{Event, Request, parse};

fn direct(event: Value) -> Request {
    match parse(event).unwrap() {
        Event::Direct(request) => request,
        Event::Queue(messages) => panic!("{messages:?}"),
    }
}

fn record(body: &str, attributes: Value) -> Value {
    json!({ "Records": [{
        "messageId": "m-1", "receiptHandle": "r", "body": body,
        "attributes": { "SentTimestamp": "1700000000000", "ApproximateReceiveCount": "1" },
        "messageAttributes": attributes,
        "md5OfBody": "0", "eventSource": "aws:sqs", "awsRegion": "eu-central-1",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:snowferry-pull.fifo",
    }] })
}

#[test]
fn a_selection_by_itself_is_a_new_run_of_all_tables() {
    let request = direct(json!({ "connection": "acme" }));
    assert_eq!(request.selection.connection.as_str(), "acme");
    assert_eq!((request.selection.tables, request.selection.mode), (None, None));
    assert_eq!((request.run_id, request.hop), (None, 0));
}

#[test]
fn tables_and_mode_are_read_as_the_connection_file_writes_them() {
    let request = direct(json!({
        "connection": "acme", "tables": ["CRM.PUBLIC.ACCOUNTS", "\"a\".\"b\".\"C d\""],
        "mode": "full",
    }));
    let tables = request.selection.tables.unwrap();
    assert_eq!(tables[1].to_string(), "\"a\".\"b\".\"C d\"");
    assert_eq!(request.selection.mode, Some(Mode::Full));
}

#[test]
fn a_message_of_the_queue_goes_on_with_its_run() {
    let attributes = json!({
        "run_id": { "stringValue": "r-7", "dataType": "String" },
        "hop": { "stringValue": "3", "dataType": "Number" },
    });
    let Event::Queue(messages) = parse(record(r#"{"connection":"acme"}"#, attributes)).unwrap()
    else {
        panic!("no messages")
    };
    let request = messages[0].request.as_ref().unwrap();
    assert_eq!((request.run_id.as_deref(), request.hop), (Some("r-7"), 3));
    assert_eq!(request.helper, None);
    assert_eq!((messages[0].id.as_str(), messages[0].sent_at_ms), ("m-1", 1_700_000_000_000));
}

#[test]
fn an_event_that_asks_for_anything_else_is_refused_with_the_field() {
    for (event, told) in [
        (json!({}), "missing field `connection`"),
        (json!({ "connection": "acme", "table": "X" }), "unknown field `table`"),
        (json!({ "connection": "acme", "mode": "changes" }), "unknown variant `changes`"),
        (json!({ "connection": "acme", "tables": [] }), "`tables` is empty"),
        (json!({ "connection": "acme", "tables": ["A.B"] }), "`A.B` is no table's name"),
        (json!({ "connection": "acme", "tables": ["A.B.C", "A.B.C"] }), "twice"),
        (json!({ "connection": "acme", "names": [] }), "`names` is empty"),
        (json!({ "connection": "acme", "names": ["Scores"] }), "`Scores` is no push's name"),
        (json!({ "connection": "acme", "names": ["a", "a"] }), "twice"),
        (json!({ "connection": "Acme Ltd" }), "understand the event"),
        (json!({ "connection": 7 }), "invalid type: integer"),
        (json!([1]), "invalid type"),
        (json!({ "Records": [{ "s3": {} }] }), "the records are not those of SQS"),
    ] {
        let error = parse(event.clone()).unwrap_err();
        assert_eq!(error.code(), "EVENT_INVALID");
        assert!(error.to_string().contains(told), "{event}: {error}");
    }
}

#[test]
fn a_message_that_is_none_of_ours_is_refused_by_itself() {
    for body in ["not json", r#"{"connection":"acme","extra":1}"#] {
        let Event::Queue(messages) = parse(record(body, json!({}))).unwrap() else {
            panic!("no messages")
        };
        assert_eq!(messages[0].request.as_ref().unwrap_err().code(), "EVENT_INVALID");
    }
}

#[test]
fn the_shipped_events_are_understood_and_the_schema_names_each_field() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/events");
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    for name in [
        "check",
        "pull-all-tables",
        "pull-one-table",
        "pull-whole-table-again",
        "push-all",
        "push-one",
    ] {
        direct(read(name));
    }
    let schema = read("event.schema");
    let fields: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["connection", "mode", "names", "tables"]);
    for mode in schema["properties"]["mode"]["enum"].as_array().unwrap() {
        direct(json!({ "connection": "acme", "mode": mode }));
    }
}
