//! The suite that every source passes: what an engine may rely on, whoever answers.
//!
//! The caller prepares one table as [`Fixture`] describes it (rows and types are given here, the
//! way in is the caller's) and calls [`all`]. A rule that is broken ends in a failed assertion
//! that says which.

pub mod target;

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{Array, AsArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::plan::{ColumnFacts, IntegerPolicy, TablePlan};
use snowferry_model::types::{ColumnDescription, SnowflakeType, TableDescription};
use snowferry_model::watermark::{Lookback, LowerEdge, Watermark, Window};

use crate::memory::MemoryValue;
use crate::{
    ProfileRequest, QueryId, ReadRequest, ResultLayout, ResultState, SnowflakeError, Source,
};

/// How often `open` may say "running" before the suite gives up.
const OPENS_MAX: usize = 100;

/// The prepared account.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// A table with [`fixture_columns`] and [`fixture_rows`].
    pub table: TableName,
    /// A table that does not exist, in a schema that does.
    pub missing: TableName,
}

/// The columns of the prepared table: `ID` (key), `AT` (cursor, may be NULL), `NOTE`.
///
/// # Errors
/// None in practice; the names are valid.
pub fn fixture_columns() -> Result<Vec<ColumnDescription>, SnowflakeError> {
    let number = SnowflakeType::Number { precision: 38, scale: 0 };
    let column = |name: &str, data_type: SnowflakeType, nullable: bool| {
        Ok(ColumnDescription { name: id(name)?, data_type, nullable, primary_key: name == "ID" })
    };
    Ok(vec![
        column("ID", number, false)?,
        column("AT", cursor_type(), true)?,
        column("NOTE", SnowflakeType::Text, true)?,
    ])
}

/// The rows of the prepared table: ids 1 to 7; `AT` is 10 s, then one nanosecond around 20 s,
/// 20 s twice, 30 s, and NULL.
#[must_use]
pub fn fixture_rows() -> Vec<Vec<MemoryValue>> {
    let at = |seconds: i64, nanos: u32| MemoryValue::Timestamp { seconds, nanos, offset_min: 0 };
    let row =
        |key: i128, at: MemoryValue, note: MemoryValue| vec![MemoryValue::Number(key), at, note];
    vec![
        row(1, at(10, 0), MemoryValue::text_of("first")),
        row(2, at(19, 999_999_999), MemoryValue::text_of("")),
        row(3, at(20, 0), MemoryValue::Null),
        row(4, at(20, 0), MemoryValue::text_of("snow ❄")),
        row(5, at(20, 1), MemoryValue::text_of("it's \"quoted\"")),
        row(6, at(30, 0), MemoryValue::text_of("last")),
        row(7, MemoryValue::Null, MemoryValue::text_of("no cursor")),
    ]
}

/// Runs every check.
///
/// # Errors
/// Any error of the source that a check does not expect.
pub async fn all(source: &dyn Source, fixture: &Fixture) -> Result<(), SnowflakeError> {
    describe_tells_names_types_and_key(source, fixture).await?;
    profile_fixes_the_bound(source, fixture).await?;
    windows_admit_exactly_their_rows(source, fixture).await?;
    a_result_is_read_as_often_as_needed(source, fixture).await?;
    what_is_missing_is_said_to_be(source, fixture).await
}

/// Names, types, nullability and key in declared order; the identity is stable.
///
/// # Errors
/// As [`all`].
pub async fn describe_tells_names_types_and_key(
    source: &dyn Source,
    fixture: &Fixture,
) -> Result<(), SnowflakeError> {
    let described = source.describe(&fixture.table).await?;
    assert_eq!(described.columns, fixture_columns()?, "columns");
    assert!(!described.identity.is_empty(), "identity");
    assert_eq!(described, source.describe(&fixture.table).await?, "described twice");
    Ok(())
}

/// Rows, greatest cursor (never below the floor), NULLs and facts from one statement.
///
/// # Errors
/// As [`all`].
pub async fn profile_fixes_the_bound(
    source: &dyn Source,
    fixture: &Fixture,
) -> Result<(), SnowflakeError> {
    let mut request = ProfileRequest {
        table: fixture.table.clone(),
        cursor: Some((id("AT")?, cursor_type())),
        floor: None,
        ahead_s: None,
        wide_integers: vec![id("ID")?],
        fine_timestamps: vec![id("AT")?],
        change_token: true,
    };
    let profile = source.profile(&request).await?;
    assert_eq!((profile.rows, profile.cursor_nulls), (7, 1), "rows and NULLs");
    assert_eq!(profile.cursor_max.as_deref(), Some(text_of(30, 0).as_str()), "greatest cursor");
    let wanted = ColumnFacts {
        min: Some("1".to_owned()),
        max: Some("7".to_owned()),
        below_microseconds: false,
    };
    assert_eq!(profile.facts.get(&id("ID")?), Some(&wanted), "facts of a wide integer");
    let fine = profile.facts.get(&id("AT")?).map(|facts| facts.below_microseconds);
    assert_eq!(fine, Some(true), "digits below the microsecond");
    assert!(profile.change_token.is_some(), "a table has a change token");
    let again = source.profile(&request).await?;
    assert_eq!(again.change_token, profile.change_token, "nothing was changed");
    let not_asked = ProfileRequest { change_token: false, ..request.clone() };
    assert_eq!(source.profile(&not_asked).await?.change_token, None, "not asked for");
    for (floor, wanted) in [((5, 0), (30, 0)), ((30, 1), (30, 1))] {
        request.floor = Some(bound(text_of(floor.0, floor.1))?);
        let profile = source.profile(&request).await?;
        assert_eq!(profile.cursor_max, Some(text_of(wanted.0, wanted.1)), "with a floor");
    }
    Ok(())
}

/// Bounds are compared as exact values: half-open or closed below, closed above, NULL nowhere.
///
/// # Errors
/// As [`all`].
pub async fn windows_admit_exactly_their_rows(
    source: &dyn Source,
    fixture: &Fixture,
) -> Result<(), SnowflakeError> {
    let twenty = || bound(text_of(20, 0));
    let between = |edge, lookback| -> Result<Window, SnowflakeError> {
        Ok(Window::Between { from: twenty()?, edge, lookback, to: bound(text_of(30, 0))? })
    };
    let since = |lookback| -> Result<Window, SnowflakeError> {
        Ok(Window::Since { from: twenty()?, lookback, to: twenty()? })
    };
    let cases = [
        (Window::Whole, vec![1, 2, 3, 4, 5, 6, 7]),
        (Window::Nothing, vec![]),
        (Window::UpTo { to: twenty()? }, vec![1, 2, 3, 4]),
        (Window::Unbounded { to: twenty()? }, vec![1, 2, 3, 4, 5, 6]),
        (since(Lookback::None)?, vec![3, 4, 5, 6]),
        (since(Lookback::Seconds(10))?, vec![1, 2, 3, 4, 5, 6]),
        (between(LowerEdge::Open, Lookback::None)?, vec![5, 6]),
        (between(LowerEdge::Closed, Lookback::None)?, vec![3, 4, 5, 6]),
        (between(LowerEdge::Open, Lookback::Seconds(1))?, vec![2, 3, 4, 5, 6]),
        (between(LowerEdge::Open, Lookback::Seconds(10))?, vec![2, 3, 4, 5, 6]),
        (between(LowerEdge::Closed, Lookback::Seconds(10))?, vec![1, 2, 3, 4, 5, 6]),
    ];
    for (window, wanted) in cases {
        let (query, plan) = submit(source, fixture, window.clone()).await?;
        let layout = ready(source, &query).await?;
        let batches = read(source, &query, 0..layout.pieces.len(), &plan).await?;
        let mut keys = Vec::new();
        for batch in &batches {
            assert_eq!(*batch.schema(), plan.schema(), "staged schema");
            let column = batch.column(0).as_primitive_opt::<Int64Type>();
            keys.extend(column.iter().flat_map(|column| column.values().to_vec()));
        }
        keys.sort_unstable();
        assert_eq!(keys, wanted, "rows of {window:?}");
        assert_eq!(layout.rows, keys.len() as u64, "announced rows of {window:?}");
    }
    Ok(())
}

/// The same layout and rows each time; pieces concatenate to the whole.
///
/// # Errors
/// As [`all`].
pub async fn a_result_is_read_as_often_as_needed(
    source: &dyn Source,
    fixture: &Fixture,
) -> Result<(), SnowflakeError> {
    let (query, plan) = submit(source, fixture, Window::Whole).await?;
    let layout = ready(source, &query).await?;
    assert_eq!(ready(source, &query).await?, layout, "layout opened twice");
    let announced: u64 = layout.pieces.iter().map(|piece| piece.rows).sum();
    assert_eq!(announced, layout.rows, "rows of the pieces");
    let count = layout.pieces.len();
    let whole = one(&plan, read(source, &query, 0..count, &plan).await?)?;
    let again = one(&plan, read(source, &query, 0..count, &plan).await?)?;
    assert_eq!(whole, again, "read twice");
    let mut parts = Vec::new();
    for (piece, announced) in layout.pieces.iter().enumerate() {
        let batches = read(source, &query, piece..piece + 1, &plan).await?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows as u64, announced.rows, "rows of piece {piece}");
        parts.extend(batches);
    }
    assert_eq!(one(&plan, parts)?, whole, "pieces concatenated");
    assert!(read(source, &query, 0..0, &plan).await?.is_empty(), "an empty range");
    let beyond = source.read(&query, 0..count + 1, &plan).await.err();
    assert!(matches!(beyond, Some(SnowflakeError::Request { .. })), "a range beyond the pieces");
    let note = whole.column(whole.num_columns() - 1);
    assert_eq!(note.null_count(), 1, "NULL is not the empty text");
    source.cancel(&query).await
}

/// A missing table is `NotFound`, an unknown id `ResultGone`, and cancelling it is fine.
///
/// # Errors
/// As [`all`].
pub async fn what_is_missing_is_said_to_be(
    source: &dyn Source,
    fixture: &Fixture,
) -> Result<(), SnowflakeError> {
    let missing = source.describe(&fixture.missing).await.err();
    assert!(matches!(missing, Some(SnowflakeError::NotFound { .. })), "described: {missing:?}");
    let request = ProfileRequest {
        table: fixture.missing.clone(),
        cursor: None,
        floor: None,
        ahead_s: None,
        wide_integers: vec![],
        fine_timestamps: vec![],
        change_token: true,
    };
    let missing = source.profile(&request).await.err();
    assert!(matches!(missing, Some(SnowflakeError::NotFound { .. })), "profiled: {missing:?}");
    let unknown = QueryId("01ba13b4-0104-e9fd-0000-000000000000".to_owned());
    let gone = source.open(&unknown).await.err();
    assert!(matches!(gone, Some(SnowflakeError::ResultGone { .. })), "opened: {gone:?}");
    source.cancel(&unknown).await
}

async fn submit(
    source: &dyn Source,
    fixture: &Fixture,
    window: Window,
) -> Result<(QueryId, TablePlan), SnowflakeError> {
    let description = TableDescription {
        kind: "TABLE".to_owned(),
        identity: String::new(),
        columns: fixture_columns()?,
    };
    let small = ColumnFacts {
        min: Some("1".to_owned()),
        max: Some("7".to_owned()),
        ..ColumnFacts::default()
    };
    let facts = BTreeMap::from([(id("ID")?, small)]);
    let plan = TablePlan::decide(&description, &facts, IntegerPolicy::Auto);
    let plan = plan.map_err(|error| broken(&error.to_string()))?;
    let request = ReadRequest {
        table: fixture.table.clone(),
        plan: plan.clone(),
        window,
        tag: "snowferry contract".to_owned(),
    };
    Ok((source.submit(&request).await?, plan))
}

async fn ready(source: &dyn Source, query: &QueryId) -> Result<ResultLayout, SnowflakeError> {
    for _ in 0..OPENS_MAX {
        if let ResultState::Ready(layout) = source.open(query).await? {
            return Ok(layout);
        }
    }
    Err(broken("a statement runs for ever"))
}

async fn read(
    source: &dyn Source,
    query: &QueryId,
    range: Range<usize>,
    plan: &TablePlan,
) -> Result<Vec<RecordBatch>, SnowflakeError> {
    source.read(query, range, plan).await?.try_collect().await
}

fn one(plan: &TablePlan, batches: Vec<RecordBatch>) -> Result<RecordBatch, SnowflakeError> {
    let schema = std::sync::Arc::new(plan.schema());
    concat_batches(&schema, &batches).map_err(|error| broken(&error.to_string()))
}

fn cursor_type() -> SnowflakeType {
    SnowflakeType::TimestampNtz { scale: 9 }
}

fn bound(text: String) -> Result<Watermark, SnowflakeError> {
    Ok(Watermark { cursor: id("AT")?, cursor_type: cursor_type(), text })
}

fn text_of(second: i64, nanos: u32) -> String {
    format!("1970-01-01 00:00:{second:02}.{nanos:09}")
}

fn id(name: &str) -> Result<Identifier, SnowflakeError> {
    Identifier::new(name).map_err(|error| broken(&error.to_string()))
}

fn broken(reason: &str) -> SnowflakeError {
    SnowflakeError::Request {
        object: "the contract's fixture".to_owned(),
        reason: reason.to_owned(),
    }
}
