//! What a writing engine needs of a server that somebody named: transactions, binds of every kind,
//! and files in a stage. Runs as `live` does.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::super::binds::Bind;
use super::super::conversation::{Conversation, Done};
use super::super::sql::{Stage, StageFile, Statement};
use super::super::statement::About;
use super::super::upload::Upload;
use super::live::{live_options, variable};
use super::*;

async fn execute(conversation: &mut Conversation, text: &str, binds: Vec<Bind>) -> Done {
    let statement = Statement { text: text.to_owned(), binds, tag: None };
    let done = conversation.execute(&statement, About { object: "a statement" }).await;
    assert!(done.is_ok(), "{text}: {:?}", done.err());
    done.unwrap_or_default()
}

fn cell(done: &Done) -> Option<&str> {
    done.rows.rows.first()?.first()?.as_deref()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_server_keeps_transactions_binds_and_files() {
    let (Some(options), Some(database)) = (live_options(), variable("DATABASE")) else {
        println!("SKIPPED: SNOWFERRY_TEST_ACCOUNT and the others are not set");
        return;
    };
    let client = SnowflakeClient::new(options).unwrap();
    let schema = format!("{database}.SNOWFERRY_WRITES");
    let table = format!("{schema}.T");
    let mut writer = client.converse();
    execute(&mut writer, &format!("CREATE SCHEMA IF NOT EXISTS {schema}"), vec![]).await;
    execute(&mut writer, &format!("CREATE OR REPLACE TABLE {table} (N NUMBER(38,0))"), vec![])
        .await;

    let insert = format!("INSERT INTO {table} SELECT ?::NUMBER(38,0)");
    let count = format!("SELECT TO_VARCHAR(COUNT(*)) FROM {table}");
    execute(&mut writer, "BEGIN", vec![]).await;
    let inserted = execute(&mut writer, &insert, vec![Bind::Fixed("1".to_owned())]).await;
    assert_eq!(inserted.affected, Some(1));
    // Another session does not see what is not committed.
    let mut reader = client.converse();
    assert_eq!(cell(&execute(&mut reader, &count, vec![]).await), Some("0"));
    execute(&mut writer, "COMMIT", vec![]).await;
    assert_eq!(cell(&execute(&mut reader, &count, vec![]).await), Some("1"));
    execute(&mut writer, "BEGIN", vec![]).await;
    execute(&mut writer, &insert, vec![Bind::Text("2".to_owned())]).await;
    // Closing the session rolls back.
    writer.close().await;
    assert_eq!(cell(&execute(&mut reader, &count, vec![]).await), Some("1"));

    let nanos = 1_709_208_000_123_456_789;
    for (bind, expression, wanted) in [
        (Bind::Null, "TO_VARCHAR(?)", None),
        (
            Bind::Fixed("-12345678901234567890".to_owned()),
            "TO_VARCHAR(?)",
            Some("-12345678901234567890"),
        ),
        (Bind::Text("o'clock; \\".to_owned()), "TO_VARCHAR(?)", Some("o'clock; \\")),
        (Bind::Boolean(true), "TO_VARCHAR(?)", Some("true")),
        (Bind::Date(-1), "TO_VARCHAR(?, 'YYYY-MM-DD')", Some("1969-12-31")),
        (Bind::Binary(vec![0, 0xab]), "TO_VARCHAR(?)", Some("00AB")),
        (
            Bind::TimestampNtz(nanos),
            "TO_VARCHAR(?, 'YYYY-MM-DD HH24:MI:SS.FF9')",
            Some("2024-02-29 12:00:00.123456789"),
        ),
    ] {
        let told = format!("{bind:?}");
        let read = execute(&mut reader, &format!("SELECT {expression}"), vec![bind]).await;
        assert_eq!(cell(&read), wanted, "{told}");
    }

    let content = Bytes::from(vec![b'x'; 3_000_001]);
    let file = StageFile::new(Stage::User, "snowferry-live", "part-1.bin").unwrap();
    let upload = Upload {
        file: &file,
        size_bytes: 3_000_001,
        sha256: Sha256::digest(&content).into(),
        content: &content,
    };
    client.upload(&upload).await.unwrap();
    let listed = execute(&mut reader, "LIST @~/snowferry-live", vec![]).await;
    let name = cell(&listed).unwrap_or_default();
    assert!(name.ends_with("snowferry-live/part-1.bin"), "{name}");
    execute(&mut reader, "REMOVE @~/snowferry-live", vec![]).await;
    execute(&mut reader, &format!("DROP SCHEMA {schema}"), vec![]).await;
    reader.close().await;
}
