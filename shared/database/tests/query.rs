//! SQL over the Delta tables: right answers, repeatable ones, and clear refusals.
#![cfg(feature = "query")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use futures::TryStreamExt;
use snowferry_database::contract::{
    Cell, Row, Scene, check_export, replace, row, rows_in_order, rows_of, sql, text,
};
use snowferry_database::delta::DeltaDatabase;
use snowferry_database::delta::query::{DeltaExport, QueryOptions};
use snowferry_database::{Database, DatabaseError, Export};
use snowferry_model::export::{ExportQuery, Parameter};
use snowferry_model::fault::Fault;
use snowferry_model::plan::StagedForm;

const NINES: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

fn open(root: &std::path::Path, options: QueryOptions) -> (Arc<dyn Database>, Arc<dyn Export>) {
    let database = DeltaDatabase::open(root).unwrap();
    let export = DeltaExport::new(database.clone(), options);
    (Arc::new(database), Arc::new(export))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_delta_database_answers_queries() {
    let root = tempfile::tempdir().unwrap();
    check_export(&|| open(root.path(), QueryOptions::default())).await;
}

/// A folder with two small tables.
struct World {
    root: tempfile::TempDir,
    export: Arc<dyn Export>,
}

impl World {
    async fn new(options: QueryOptions) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (database, export) = open(root.path(), options);
        let wide = StagedForm::Decimal { precision: 38, scale: 0 };
        let orders = Scene::new(
            "ORDERS",
            &[
                ("ID", wide),
                ("ACCOUNT", StagedForm::Int64),
                ("AMOUNT", StagedForm::Decimal { precision: 18, scale: 2 }),
                ("AT", StagedForm::Timestamp { zoned: true, nanos: false, offset: false }),
            ],
        );
        let order = |id: i128, account: i64, amount: i128, at: i64| -> Row {
            vec![Cell::Decimal(id), Cell::Int(account), Cell::Decimal(amount), Cell::Micros(at)]
        };
        let two53 = 1_i128 << 53;
        let parts = [
            vec![
                order(two53, 1, 1050, 0),
                order(two53 + 1, 1, 1, 253_402_300_799_999_999),
                order(-NINES, 2, -5, -62_135_596_800_000_000),
            ],
            vec![order(NINES, 3, 100, 1_767_225_600_000_000)],
        ];
        orders.apply(database.as_ref(), (1, 1), replace(), &parts).await;
        let accounts =
            Scene::new("Accounts", &[("ID", StagedForm::Int64), ("NAME", StagedForm::Utf8)]);
        let account = |id: i64, name: Cell| -> Row { vec![Cell::Int(id), name] };
        let rows =
            vec![account(1, text("Ä")), account(2, Cell::Null), account(i64::MAX, text("big"))];
        accounts.apply(database.as_ref(), (1, 1), replace(), &[rows]).await;
        Self { root, export }
    }

    async fn ask(&self, query: &ExportQuery) -> Result<Vec<Row>, DatabaseError> {
        let described = self.export.describe(query).await?;
        let stream = self.export.open(&described.snapshot).await?;
        let batches: Vec<_> = stream.try_collect().await?;
        Ok(batches.iter().flat_map(rows_of).collect())
    }

    async fn answers(&self, query: &str, expected: &[Row]) {
        let found = self.ask(&sql(query)).await;
        assert_eq!(found.unwrap_or_else(|error| panic!("{query}: {error}")), expected, "{query}");
    }

    async fn refuses(&self, query: &str, code: &str, message: &str) {
        let refused = self.ask(&sql(query)).await;
        let error = refused.err().unwrap_or_else(|| panic!("{query} was answered"));
        assert_eq!(error.code(), code, "{query}: {error}");
        let told = format!("{error}; {}", error.hint().unwrap_or_default());
        assert!(told.contains(message), "{query}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_beyond_53_bits_are_found_compared_and_added_exactly() {
    let world = World::new(QueryOptions::default()).await;
    let one = |id: i128| vec![vec![Cell::Decimal(id)]];
    let two53 = 1_i128 << 53;
    world.answers("select id from orders where id = 9007199254740993", &one(two53 + 1)).await;
    world.answers(&format!("select id from orders where id >= {NINES}"), &one(NINES)).await;
    world.answers(&format!("select id from orders where id < -{}", NINES - 1), &one(-NINES)).await;
    world.answers("select sum(amount) as s from orders", &[vec![Cell::Decimal(1146)]]).await;
    world.answers("select 0.1 + 0.2 as x", &[vec![Cell::Decimal(3)]]).await;
    // As Snowflake does: integers add up to a wider number.
    world
        .answers(
            "select sum(id) as s from \"Accounts\"",
            &[vec![Cell::Decimal(i128::from(i64::MAX) + 3)]],
        )
        .await;
    world
        .answers(
            "select sum(id) over () as s from \"Accounts\" limit 1",
            &[vec![Cell::Decimal(i128::from(i64::MAX) + 3)]],
        )
        .await;
    world.answers("select id + 1 as n from \"Accounts\" where id = 1", &[vec![Cell::Int(2)]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_joined_grouped_and_sorted() {
    let world = World::new(QueryOptions::default()).await;
    let grouped = "with o as (select account, count(*) as n from crm.\"my schema.%41/ü\".orders \
                   group by account) \
                   select upper(a.name) as name, o.n from o \
                   join acme.crm.\"my schema.%41/ü\".\"Accounts\" a on a.id = o.account \
                   order by n desc";
    let expected = [vec![text("Ä"), Cell::Int(2)], vec![Cell::Null, Cell::Int(1)]];
    world.answers(grouped, &expected).await;
    world
        .answers(
            "select account from orders where at > timestamp '2025-12-31 23:59:59.999999' \
             order by at desc",
            &[vec![Cell::Int(1)], vec![Cell::Int(3)]],
        )
        .await;
    world
        .answers(
            "select cast('9999-12-31 23:59:59.999999' as timestamp_ltz) as t, \
             cast(7 as number(5,2)) as d",
            &[vec![Cell::Micros(253_402_300_799_999_999), Cell::Decimal(700)]],
        )
        .await;
    world
        .answers(
            "select orders.account from orders where account in (select 3)",
            &[vec![Cell::Int(3)]],
        )
        .await;
    world.answers("select count(*) as n from orders", &[vec![Cell::Int(4)]]).await;
    let last = "select name from \"Accounts\" qualify row_number() over (order by name) = 3";
    world.answers(last, &[vec![Cell::Null]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_typed_values() {
    let world = World::new(QueryOptions::default()).await;
    let mut query = sql("select id from orders where at >= $since and amount > $least and $all");
    for (name, value) in [
        ("since", Parameter::Instant(1_767_225_600_000_000)),
        ("least", Parameter::Decimal("0.99".to_owned())),
        ("all", Parameter::Boolean(true)),
    ] {
        query.parameters.insert(name.to_owned(), value);
    }
    assert_eq!(world.ask(&query).await.unwrap(), [vec![Cell::Decimal(NINES)]]);
    query.parameters.remove("least");
    let refused = world.ask(&query).await.unwrap_err();
    assert!(matches!(&refused, DatabaseError::Parameter { name, .. } if name == "least"));
    let mut injected = sql("select name from \"Accounts\" where name = $1");
    let value = Parameter::Text("' or 1=1 --".to_owned());
    injected.parameters.insert("1".to_owned(), value);
    assert_eq!(world.ask(&injected).await.unwrap(), [] as [Row; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn now_is_the_moment_of_the_question() {
    let world = World::new(QueryOptions::default()).await;
    let query = "select cast(now() as timestamp_ltz) as t, current_date as d";
    let expected = vec![Cell::Micros(1_767_323_045_678_000), Cell::Date(20_455)];
    world.answers(query, &[expected]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_refused_with_what_helps() {
    let world = World::new(QueryOptions::default()).await;
    for (query, code, message) in [
        ("select * frm orders", "DATABASE_QUERY", ""),
        ("select * from nowhere", "DATABASE_UNKNOWN_TABLE", "acme.CRM"),
        ("select * from accounts", "DATABASE_UNKNOWN_TABLE", "\"Accounts\""),
        ("select amont from orders", "DATABASE_QUERY", "AMONT"),
        ("select nosuch(id) from orders", "DATABASE_QUERY", "nosuch"),
        ("select random() as r from orders", "DATABASE_QUERY", "random()"),
        ("select id, id from orders", "DATABASE_QUERY", "ID"),
        ("select o.id, a.id from orders o, \"Accounts\" a", "DATABASE_QUERY", "ID"),
        ("select null as n from orders", "DATABASE_QUERY", "CAST"),
        ("select at - at as i from orders", "DATABASE_QUERY", "column I"),
        ("select 1/0 as x from orders", "DATABASE_QUERY", "division by zero"),
        ("select 1/(account-1) as x from orders", "DATABASE_QUERY", "NULLIF"),
        ("select id + 1 as x from \"Accounts\"", "DATABASE_QUERY", "does not fit its type"),
        ("select id * 2 as x from \"Accounts\"", "DATABASE_QUERY", "does not fit its type"),
        ("select cast(name as int) as x from \"Accounts\"", "DATABASE_QUERY", "TRY_CAST"),
        ("select id from orders where id = $x", "DATABASE_PARAMETER", "$name"),
        ("delete from orders", "DATABASE_QUERY", "only queries"),
    ] {
        world.refuses(query, code, message).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_while_a_query_runs_tells_no_value() {
    let world = World::new(QueryOptions::default()).await;
    let query = sql("select cast(name as int) as x from \"Accounts\" where name = 'big'");
    let error = world.ask(&query).await.unwrap_err();
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        told.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(!told.contains("big"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_spills_gives_the_same_rows_in_the_same_order() {
    let root = tempfile::tempdir().unwrap();
    let spill = tempfile::tempdir().unwrap();
    let options = QueryOptions {
        memory_bytes: 8 * 1024 * 1024,
        spill_folder: Some(spill.path().to_owned()),
        ..QueryOptions::default()
    };
    let (database, export) = open(root.path(), options.clone());
    let scene = Scene::keyed("MANY", StagedForm::Int64);
    let value = "x".repeat(200);
    let rows: Vec<_> = (0..60_000_i64)
        .map(|key| row(Cell::Int(key * 7919 % 60_000), key % 7, &format!("{value}{key}")))
        .collect();
    let parts: Vec<_> = rows.chunks(1000).map(<[Row]>::to_vec).collect();
    scene.apply(database.as_ref(), (1, 1), replace(), &parts).await;
    for query in [
        "select k, c, v from many order by c",
        "select v, count(*) as n from many group by v",
        "select distinct v from many",
    ] {
        let described = export.describe(&sql(query)).await.unwrap();
        let first = rows_in_order(export.as_ref(), &described.snapshot).await;
        assert_eq!(first.len(), rows.len(), "{query}");
        let (_, again) = open(root.path(), options.clone());
        assert!(first == rows_in_order(again.as_ref(), &described.snapshot).await, "{query}");
    }
    let none = QueryOptions { spill_bytes: 1, ..options.clone() };
    let (_, export) = open(root.path(), none);
    let described = export.describe(&sql("select * from many order by v")).await.unwrap();
    let stream = export.open(&described.snapshot).await.unwrap();
    let refused = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(refused, DatabaseError::Full { .. }), "{refused:?}");
    let (_, export) = open(root.path(), QueryOptions { memory_bytes: 100_000, ..options });
    let described = export.describe(&sql("select * from many order by v")).await.unwrap();
    let stream = export.open(&described.snapshot).await.unwrap();
    let refused = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(refused, DatabaseError::Memory { .. }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_whose_files_are_gone_says_so() {
    let world = World::new(QueryOptions::default()).await;
    let described = world.export.describe(&sql("select * from orders")).await.unwrap();
    let folder = std::path::Path::new("acme").join("CRM.my~20schema~2E~2541~2F~C3~BC.ORDERS");
    for entry in std::fs::read_dir(world.root.path().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let stream = world.export.open(&described.snapshot).await.unwrap();
    let refused = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(refused, DatabaseError::SnapshotGone { .. }), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_a_name_too_long_for_a_folder_is_listed() {
    let root = tempfile::tempdir().unwrap();
    let (database, export) = open(root.path(), QueryOptions::default());
    let scene = Scene::keyed(&"Ü".repeat(200), StagedForm::Int64);
    scene.apply(database.as_ref(), (1, 1), replace(), &[vec![row(Cell::Int(1), 1, "v")]]).await;
    assert_eq!(export.tables().await.unwrap(), [scene.stream]);
}
