//! Wrong targets by the dozen: each is refused before anything leaves our side.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use snowferry_model::push::{Privilege, PushMode, PushOutcome, TargetColumn, Verdict};
use snowferry_model::types::SnowflakeType;

use crate::tests::world::{World, identifier, table, upsert};

type Change = Box<dyn Fn(&mut World)>;

fn number(precision: u8, scale: u8) -> SnowflakeType {
    SnowflakeType::Number { precision, scale }
}

fn columns(change: impl Fn(&mut Vec<TargetColumn>) + 'static) -> Change {
    Box::new(move |world| world.target.alter(&table(), &change))
}

fn position(name: &str) -> usize {
    ["ID", "V", "AT"].iter().position(|column| *column == name).unwrap()
}

/// Declares a column as another type.
fn declared(name: &'static str, data_type: SnowflakeType) -> Change {
    columns(move |columns| {
        let column = &mut columns[position(name)];
        column.data_type = data_type.clone();
        column.max_chars = None;
    })
}

fn with(name: &'static str, change: impl Fn(&mut TargetColumn) + 'static) -> Change {
    columns(move |columns| change(&mut columns[position(name)]))
}

/// What is wrong, a column that the refusal names (empty for the table), and how it comes about.
fn cases() -> Vec<(String, &'static str, Change)> {
    use SnowflakeType as T;
    let mut cases: Vec<(String, &'static str, Change)> = Vec::new();
    let mut add = |what: &str, column, change| cases.push((what.to_owned(), column, change));
    for name in ["ID", "V", "AT"] {
        add("missing", name, columns(move |all| drop(all.remove(position(name)))));
        add(
            "other case",
            name,
            with(name, |c| {
                c.name = identifier(&c.name.as_str().to_lowercase());
            }),
        );
        add("renamed to a reserved word", name, with(name, |c| c.name = identifier("SELECT")));
        add("identity", name, with(name, |c| c.identity = true));
        add("computed", name, with(name, |c| c.computed = Some("1 + 1".to_owned())));
        add("NOT NULL", name, with(name, |c| c.nullable = false));
    }
    let types = [
        T::Float,
        T::Decfloat,
        T::Text,
        T::Binary,
        T::Boolean,
        T::Date,
        T::Time { scale: 9 },
        T::TimestampNtz { scale: 9 },
        T::TimestampLtz { scale: 9 },
        T::TimestampTz { scale: 9 },
        T::Variant,
        T::Object,
        T::Array,
        T::Map,
        T::Geography,
        T::VectorInt { dimension: 3 },
        T::Unknown { name: "NEW".to_owned() },
        number(2, 0),
        number(38, 37),
    ];
    for data_type in types {
        for (name, fitting) in [
            ("ID", &[T::Float, T::Decfloat, T::Time { scale: 9 }][..]),
            ("V", &[T::Text, T::Geography][..]),
            ("AT", &[T::TimestampNtz { scale: 9 }][..]),
        ] {
            if !fitting.contains(&data_type) {
                let what = format!("declared as {data_type}");
                add(&what, name, declared(name, data_type.clone()));
            }
        }
    }
    add("too short", "V", with("V", |c| c.max_chars = Some(2)));
    add("too few bytes", "V", with("V", |c| c.max_bytes = Some(2)));
    add("too coarse", "AT", declared("AT", T::TimestampNtz { scale: 3 }));
    add(
        "a new column without NULL",
        "NEEDED",
        columns(|all| {
            all.push(TargetColumn::plain(identifier("NEEDED"), T::Text, false));
        }),
    );
    add(
        "a view",
        "",
        Box::new(|world| {
            world.target.put_table(&table(), "VIEW", target_columns());
        }),
    );
    add(
        "may not insert",
        "",
        Box::new(|world| {
            world.target.grant(&table(), &[Privilege::Select]);
        }),
    );
    add(
        "may not delete",
        "",
        Box::new(|world| {
            world.target.grant(&table(), &[Privilege::Insert]);
            world.job.mode = PushMode::Rewrite;
        }),
    );
    add(
        "may not update",
        "",
        Box::new(|world| {
            world.target.grant(&table(), &[Privilege::Insert, Privilege::Select]);
            world.job.mode = upsert();
        }),
    );
    add(
        "hidden",
        "",
        Box::new(|world| {
            world.job.target = "CRM.PUBLIC.HIDDEN".parse().unwrap();
        }),
    );
    cases
}

fn target_columns() -> Vec<TargetColumn> {
    let plain = |name, data_type| TargetColumn::plain(identifier(name), data_type, true);
    vec![
        plain("ID", number(38, 0)),
        plain("V", SnowflakeType::Text),
        plain("AT", SnowflakeType::TimestampNtz { scale: 9 }),
    ]
}

fn world() -> World {
    let world = World::with_ledger(PushMode::Append);
    world.target.put_table(&table(), "TABLE", target_columns());
    let schema = Arc::new(Schema::new(vec![
        Field::new("ID", DataType::Int64, true),
        Field::new("V", DataType::Utf8, true),
        Field::new("AT", DataType::Timestamp(TimeUnit::Microsecond, None), true),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(123), None])),
        Arc::new(StringArray::from(vec![Some("word"), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None])),
    ];
    world.export.put(vec![RecordBatch::try_new(schema, columns).unwrap()]);
    world
}

#[tokio::test]
async fn the_right_target_takes_the_rows() {
    assert_eq!(world().push().await.outcome, PushOutcome::Applied);
}

#[tokio::test]
async fn each_wrong_target_is_refused_by_name_and_nothing_leaves_our_side() {
    let cases = cases();
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    for (what, column, change) in cases {
        let mut world = world();
        change(&mut world);
        let record = world.push().await;
        let PushOutcome::Refused { verdicts } = &record.outcome else {
            panic!("{column} {what}: {:?}", record.outcome)
        };
        let of_column = |verdict: &&snowferry_model::push::ColumnVerdict| {
            verdict.column == column && verdict.verdict == Verdict::Refused
        };
        let found = verdicts.iter().find(of_column);
        let found = found.unwrap_or_else(|| panic!("{column} {what}: {verdicts:?}"));
        assert!(found.repair.is_some(), "{column} {what}: no repair in {found:?}");
        assert_eq!(world.target.file_names().len(), 0, "{column} {what}: a file was sent");
        let parts = world.staging.keys().into_iter().filter(|key| key.ends_with(".parquet"));
        assert_eq!(parts.count(), 0, "{column} {what}: parts are left");
        assert_eq!(world.target.rows(&table()).len(), 0, "{column} {what}: rows were written");
    }
}
