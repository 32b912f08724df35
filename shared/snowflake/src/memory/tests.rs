//! Stories of the source in memory.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int16Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use snowferry_model::names::Identifier;
use snowferry_model::plan::IntegerPolicy;
use snowferry_model::watermark::{Lookback, LowerEdge, Watermark, Window};

use super::*;

fn id(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

fn table() -> TableName {
    "DB.SC.ORDERS".parse().unwrap()
}

fn column(name: &str, data_type: SnowflakeType) -> ColumnDescription {
    ColumnDescription { name: id(name), data_type, nullable: true, primary_key: name == "ID" }
}

const NTZ: SnowflakeType = SnowflakeType::TimestampNtz { scale: 9 };

fn orders(options: MemoryOptions) -> MemorySource {
    let source = MemorySource::with_options(options);
    let columns =
        vec![column("ID", SnowflakeType::Number { precision: 38, scale: 0 }), column("AT", NTZ)];
    source.create_table(table(), columns).unwrap();
    source
}

fn insert(source: &MemorySource, key: i128, at: i64) {
    let row = vec![MemoryValue::Number(key), MemoryValue::micros(at)];
    source.commit(|tx| tx.insert(&table(), row)).unwrap();
}

async fn plan(source: &MemorySource) -> TablePlan {
    let profile = source
        .profile(&ProfileRequest {
            table: table(),
            cursor: None,
            floor: None,
            ahead_s: None,
            wide_integers: vec![id("ID")],
            fine_timestamps: vec![id("AT")],
            change_token: false,
        })
        .await
        .unwrap();
    let description = source.describe(&table()).await.unwrap();
    TablePlan::decide(&description, &profile.facts, IntegerPolicy::Auto).unwrap()
}

fn bound(text: &str) -> Watermark {
    Watermark { cursor: id("AT"), cursor_type: NTZ, text: text.to_owned() }
}

async fn submit(source: &MemorySource, window: Window) -> QueryId {
    let plan = plan(source).await;
    let request = ReadRequest { table: table(), plan, window, tag: String::new() };
    source.submit(&request).await.unwrap()
}

async fn keys(source: &MemorySource, query: &QueryId, range: Range<usize>) -> Vec<i64> {
    let stream = source.read(query, range, &plan(source).await).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect()
}

#[tokio::test]
async fn a_statement_sees_what_was_committed_when_it_was_submitted() {
    let source = orders(MemoryOptions::default());
    insert(&source, 1, 10);
    let query = submit(&source, Window::Whole).await;
    insert(&source, 2, 20);
    source.commit(|tx| tx.delete(&table(), |row| row[0] == MemoryValue::Number(1))).unwrap();
    assert_eq!(keys(&source, &query, 0..1).await, [1]);
    let later = submit(&source, Window::Whole).await;
    assert_eq!(keys(&source, &later, 0..1).await, [2]);
}

#[tokio::test]
async fn a_failed_transaction_leaves_no_trace() {
    let source = orders(MemoryOptions::default());
    let failed = source.commit(|tx| {
        tx.insert(&table(), vec![MemoryValue::Number(1), MemoryValue::Null])?;
        tx.insert(&table(), vec![MemoryValue::Number(2)])
    });
    assert!(matches!(failed, Err(SnowflakeError::Request { .. })));
    assert!(source.contents(&table()).unwrap().is_empty());
}

#[tokio::test]
async fn pieces_concatenate_to_the_whole_and_running_comes_first() {
    let source = orders(MemoryOptions { rows_per_piece: 2, opens_while_running: 1 });
    for key in 0..5 {
        insert(&source, key, 0);
    }
    let query = submit(&source, Window::Whole).await;
    assert_eq!(source.open(&query).await.unwrap(), ResultState::Running);
    let ResultState::Ready(layout) = source.open(&query).await.unwrap() else { panic!("ready") };
    assert_eq!(layout.pieces.iter().map(|piece| piece.rows).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(keys(&source, &query, 1..3).await, [2, 3, 4]);
    assert_eq!(keys(&source, &query, 0..3).await, [0, 1, 2, 3, 4]);
    assert!(source.read(&query, 0..4, &plan(&source).await).await.is_err());
}

#[tokio::test]
async fn a_window_compares_exact_values_with_its_lookback() {
    let source = orders(MemoryOptions::default());
    for (key, at) in [(1, 8_000_000), (2, 9_999_999), (3, 10_000_000), (4, 10_000_001)] {
        insert(&source, key, at);
    }
    let ten = "1970-01-01 00:00:10.000000000";
    let end = "1970-01-01 00:00:10.000001000";
    let between =
        |edge, lookback| Window::Between { from: bound(ten), edge, lookback, to: bound(end) };
    for (window, wanted) in [
        (Window::UpTo { to: bound(ten) }, vec![1, 2, 3]),
        (Window::Nothing, vec![]),
        (Window::Unbounded { to: bound(ten) }, vec![1, 2, 3, 4]),
        (
            Window::Since { from: bound(ten), lookback: Lookback::Seconds(1), to: bound(ten) },
            vec![2, 3, 4],
        ),
        (between(LowerEdge::Open, Lookback::None), vec![4]),
        (between(LowerEdge::Closed, Lookback::None), vec![3, 4]),
        (between(LowerEdge::Open, Lookback::Seconds(2)), vec![2, 3, 4]),
        (between(LowerEdge::Closed, Lookback::Seconds(2)), vec![1, 2, 3, 4]),
    ] {
        let query = submit(&source, window).await;
        assert_eq!(keys(&source, &query, 0..1).await, wanted);
    }
}

#[tokio::test]
async fn nanoseconds_are_staged_beside_the_floor_microsecond() {
    let source = orders(MemoryOptions::default());
    let at = MemoryValue::Timestamp { seconds: -1, nanos: 999_999_990, offset_min: 0 };
    source.commit(|tx| tx.insert(&table(), vec![MemoryValue::Number(1), at])).unwrap();
    let plan = plan(&source).await;
    let query = submit(&source, Window::Whole).await;
    let batches: Vec<_> =
        source.read(&query, 0..1, &plan).await.unwrap().try_collect().await.unwrap();
    assert_eq!(batches[0].column(1).as_primitive::<TimestampMicrosecondType>().value(0), -1);
    assert_eq!(batches[0].column(2).as_primitive::<Int16Type>().value(0), 990);
    assert_eq!(batches[0].schema().as_ref(), &plan.schema());
}

#[tokio::test]
async fn a_value_that_the_plan_cannot_hold_is_refused() {
    let source = orders(MemoryOptions::default());
    insert(&source, 1, 0);
    let narrow = plan(&source).await;
    source
        .commit(|tx| tx.insert(&table(), vec![MemoryValue::Number(1 << 64), MemoryValue::Null]))
        .unwrap();
    let query = submit(&source, Window::Whole).await;
    let read: Result<Vec<_>, _> =
        source.read(&query, 0..1, &narrow).await.unwrap().try_collect().await;
    assert!(matches!(read, Err(SnowflakeError::Inexact { .. })));
}

#[tokio::test]
async fn a_recreated_table_has_another_identity_and_a_lost_result_is_gone() {
    let source = orders(MemoryOptions::default());
    let before = source.describe(&table()).await.unwrap().identity;
    let query = submit(&source, Window::Whole).await;
    source.recreate(&table()).unwrap();
    assert_ne!(source.describe(&table()).await.unwrap().identity, before);
    source.lose_results();
    assert!(matches!(source.open(&query).await, Err(SnowflakeError::ResultGone { .. })));
}

#[tokio::test]
async fn a_profile_prints_bounds_that_name_the_same_value_when_read_back() {
    let tz = SnowflakeType::TimestampTz { scale: 9 };
    let cases = [
        (MemoryValue::Number(-1), SnowflakeType::Number { precision: 38, scale: 3 }, "-0.001"),
        (MemoryValue::Number(120), SnowflakeType::Number { precision: 9, scale: 1 }, "12.0"),
        (MemoryValue::Date(-719_162), SnowflakeType::Date, "0001-01-01"),
        (MemoryValue::micros(-1), NTZ, "1969-12-31 23:59:59.999999000"),
        (
            MemoryValue::Timestamp { seconds: 0, nanos: 1, offset_min: -90 },
            tz,
            "1969-12-31 22:30:00.000000001 -0130",
        ),
    ];
    for (value, data_type, text) in cases {
        assert_eq!(value.text(&data_type).as_deref(), Some(text));
        assert_eq!(MemoryValue::parse(text, &data_type).unwrap(), value);
    }
}

#[tokio::test]
async fn nulls_of_a_cursor_are_counted_and_in_no_bounded_window() {
    let source = orders(MemoryOptions::default());
    insert(&source, 1, 0);
    source
        .commit(|tx| tx.insert(&table(), vec![MemoryValue::Number(2), MemoryValue::Null]))
        .unwrap();
    let request = ProfileRequest {
        table: table(),
        cursor: Some((id("AT"), NTZ)),
        floor: None,
        ahead_s: None,
        wide_integers: vec![],
        fine_timestamps: vec![],
        change_token: false,
    };
    let profile = source.profile(&request).await.unwrap();
    assert_eq!((profile.rows, profile.cursor_nulls), (2, 1));
    let to = bound(&profile.cursor_max.unwrap());
    let query = submit(&source, Window::UpTo { to }).await;
    assert_eq!(keys(&source, &query, 0..1).await, [1]);
    let stream = source.read(&query, 0..1, &plan(&source).await).await.unwrap();
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    assert_eq!(batches[0].column(1).null_count(), 0);
}

#[tokio::test]
async fn the_bound_never_falls_below_the_floor() {
    let source = orders(MemoryOptions::default());
    insert(&source, 1, 5_000_000);
    for (floor, wanted) in [
        ("1970-01-01 00:00:04.000000000", "1970-01-01 00:00:05.000000000"),
        ("1970-01-01 00:00:06.000000001", "1970-01-01 00:00:06.000000001"),
    ] {
        let request = ProfileRequest {
            table: table(),
            cursor: Some((id("AT"), NTZ)),
            floor: Some(bound(floor)),
            ahead_s: None,
            wide_integers: vec![],
            fine_timestamps: vec![],
            change_token: false,
        };
        let profile = source.profile(&request).await.unwrap();
        assert_eq!(profile.cursor_max.as_deref(), Some(wanted));
    }
}

#[tokio::test]
async fn a_change_token_stays_until_a_row_of_its_table_changes() {
    let source = orders(MemoryOptions::default());
    let request = ProfileRequest {
        table: table(),
        cursor: None,
        floor: None,
        ahead_s: None,
        wide_integers: vec![],
        fine_timestamps: vec![],
        change_token: true,
    };
    let token = async || source.profile(&request).await.unwrap().change_token.unwrap();
    let mut seen = vec![token().await];
    insert(&source, 1, 5);
    seen.push(token().await);
    source.commit(|_| Ok(())).unwrap();
    assert_eq!(token().await, seen[1], "a commit without a change");
    source.commit(|tx| tx.delete(&table(), |_| true)).unwrap();
    seen.push(token().await);
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
}

#[cfg(feature = "contract")]
#[tokio::test]
async fn the_source_in_memory_keeps_the_contract() {
    use crate::contract;
    for rows_per_piece in [1, 3, 100] {
        let source =
            MemorySource::with_options(MemoryOptions { rows_per_piece, opens_while_running: 2 });
        source.create_table(table(), contract::fixture_columns().unwrap()).unwrap();
        for row in contract::fixture_rows() {
            source.commit(|tx| tx.insert(&table(), row)).unwrap();
        }
        let missing = "DB.SC.MISSING".parse().unwrap();
        contract::all(&source, &contract::Fixture { table: table(), missing }).await.unwrap();
    }
}
