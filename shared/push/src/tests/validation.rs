//! Wrong targets: each is refused with its reason and repair, before a byte is staged.

use std::fmt::Write;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use expect_test::expect;
use snowferry_model::push::{
    ColumnVerdict, Privilege, PushMode, TargetColumn, TargetDescription, Verdict,
};
use snowferry_model::types::SnowflakeType;

use crate::tests::world::{World, identifier};
use crate::validate::judge;

fn target(columns: Vec<TargetColumn>) -> TargetDescription {
    TargetDescription {
        kind: "TABLE".to_owned(),
        identity: "1".to_owned(),
        role: "PUSHER".to_owned(),
        privileges: vec![Privilege::Insert, Privilege::Delete],
        rows: Some(0),
        columns,
    }
}

fn plain(name: &str, data_type: SnowflakeType) -> TargetColumn {
    TargetColumn::plain(identifier(name), data_type, true)
}

fn number(precision: u8, scale: u8) -> SnowflakeType {
    SnowflakeType::Number { precision, scale }
}

fn shown(verdicts: &[ColumnVerdict]) -> String {
    let mut text = String::new();
    for verdict in verdicts {
        let (column, ours, theirs) = (&verdict.column, &verdict.ours, &verdict.theirs);
        let word = verdict.verdict.as_str();
        writeln!(text, "{column} | {ours} | {theirs} | {word} | {}", verdict.reason).unwrap();
        if let Some(repair) = &verdict.repair {
            writeln!(text, "  {repair}").unwrap();
        }
    }
    text
}

#[test]
fn everything_that_is_wrong_with_a_target_is_told_at_once() {
    let world = World::with_ledger(PushMode::Rewrite);
    let schema = Schema::new(vec![
        Field::new("ID", DataType::Int64, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("AMOUNT", DataType::Float64, true),
        Field::new("AT", DataType::Timestamp(TimeUnit::Microsecond, None), true),
        Field::new("NUMBERED", DataType::Int64, true),
        Field::new("TWICE", DataType::Int64, true),
        Field::new("NEW", DataType::Decimal128(10, 2), true),
    ]);
    let mut wrong = target(vec![
        plain("ID", number(38, 0)),
        plain("NAME", SnowflakeType::Text),
        plain("AMOUNT", number(10, 2)),
        plain("AT", SnowflakeType::TimestampLtz { scale: 9 }),
        TargetColumn { identity: true, ..plain("NUMBERED", number(38, 0)) },
        TargetColumn { computed: Some("ID * 2".to_owned()), ..plain("TWICE", number(38, 0)) },
        TargetColumn { nullable: false, ..plain("NEEDED", SnowflakeType::Text) },
        plain("SPARE", SnowflakeType::Text),
    ]);
    wrong.kind = "VIEW".to_owned();
    wrong.privileges = vec![Privilege::Insert];
    expect![[r#"
         | rewrite | VIEW | refused | CRM.PUBLIC.T is a VIEW, rows can only be pushed into a table
          name the table itself
        ID | int64 | NUMBER(38,0) | fits | 
        "name" | text |  | refused | CRM.PUBLIC.T has no such column
          the table has NAME: write `AS "NAME"` in the query, or map NAME to name
        AMOUNT | float64 | NUMBER(10,2) | refused | float64 does not go into NUMBER(10,2)
          write CAST(AMOUNT AS DECIMAL(10,2)) in the query
        AT | timestamp without zone | TIMESTAMP_LTZ(9) | refused | a wall-clock time is no instant without a zone
          write CAST(AT AS TIMESTAMP WITH TIME ZONE) if UTC is meant
        NUMBERED | int64 | NUMBER(38,0) | refused | the server numbers this column itself
          leave it out of the query
        TWICE | int64 | NUMBER(38,0) | refused | the column is computed from others
          leave it out of the query
        NEW | decimal(10,2) |  | refused | CRM.PUBLIC.T has no such column
          ALTER TABLE CRM.PUBLIC.T ADD COLUMN "NEW" NUMBER(10,2); or leave it out of the query
        NAME |  | VARCHAR | warning | the column is not in the query; a rewrite leaves it to its default or NULL
        NEEDED |  | VARCHAR NOT NULL | refused | the column takes no NULL, has no default, and is not in the query
          add it to the query, or give the column a default
        SPARE |  | VARCHAR | warning | the column is not in the query; a rewrite leaves it to its default or NULL
    "#]]
    .assert_eq(&shown(&judge(&world.job, &schema, &wrong).verdicts));
}

/// Every type of ours against every type of theirs: what is refused, and what is looked at.
#[test]
fn each_pair_of_types_fits_is_checked_or_is_refused() {
    let timestamp =
        |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let list = |element| DataType::new_list(element, true);
    let ours = [
        ("bool", DataType::Boolean),
        ("i16", DataType::Int16),
        ("i64", DataType::Int64),
        ("u64", DataType::UInt64),
        ("d10.2", DataType::Decimal128(10, 2)),
        ("d38.0", DataType::Decimal128(38, 0)),
        ("f64", DataType::Float64),
        ("text", DataType::Utf8),
        ("bytes", DataType::Binary),
        ("date", DataType::Date32),
        ("time", DataType::Time64(TimeUnit::Nanosecond)),
        ("wall", timestamp(None)),
        ("utc", timestamp(Some("UTC"))),
        ("[f32]", list(DataType::Float32)),
        ("[i32]", list(DataType::Int32)),
    ];
    let theirs = [
        number(38, 0),
        number(5, 2),
        SnowflakeType::Float,
        SnowflakeType::Decfloat,
        SnowflakeType::Text,
        SnowflakeType::Binary,
        SnowflakeType::Boolean,
        SnowflakeType::Date,
        SnowflakeType::Time { scale: 9 },
        SnowflakeType::TimestampNtz { scale: 9 },
        SnowflakeType::TimestampLtz { scale: 9 },
        SnowflakeType::TimestampTz { scale: 9 },
        SnowflakeType::Variant,
        SnowflakeType::Geography,
        SnowflakeType::VectorFloat { dimension: 2 },
        SnowflakeType::VectorInt { dimension: 2 },
    ];
    let world = World::with_ledger(PushMode::Append);
    let mut table = String::new();
    for theirs in theirs {
        write!(table, "{:18}", theirs.to_string()).unwrap();
        for (name, ours) in &ours {
            let schema = Schema::new(vec![Field::new("C", ours.clone(), true)]);
            let verdicts = judge(&world.job, &schema, &target(vec![plain("C", theirs.clone())]));
            match verdicts.verdicts[0].verdict {
                Verdict::Refused => {}
                Verdict::Checked => write!(table, " {name}?").unwrap(),
                _ => write!(table, " {name}").unwrap(),
            }
        }
        table.push('\n');
    }
    expect![[r#"
        NUMBER(38,0)       i16 i64 u64 d10.2? d38.0
        NUMBER(5,2)        i16? i64? u64? d10.2? d38.0?
        FLOAT              i16? i64? u64? f64
        DECFLOAT           i16 i64 u64 d10.2 d38.0 text?
        VARCHAR            text
        BINARY             bytes
        BOOLEAN            bool
        DATE               date?
        TIME(9)            i64? time
        TIMESTAMP_NTZ(9)   wall?
        TIMESTAMP_LTZ(9)   utc?
        TIMESTAMP_TZ(9)    utc?
        VARIANT            text?
        GEOGRAPHY          text?
        VECTOR(FLOAT, 2)   [f32]?
        VECTOR(INT, 2)     [i32]?
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn nothing_is_staged_for_a_target_that_is_refused() {
    use crate::tests::world::table;
    let world = World::with_ledger(PushMode::Rewrite);
    world.target.alter(&table(), |columns| columns.truncate(1));
    let record = world.push().await;
    let snowferry_model::push::PushOutcome::Refused { verdicts } = record.outcome else {
        panic!("{record:?}")
    };
    assert_eq!(verdicts.iter().filter(|one| one.verdict == Verdict::Refused).count(), 2);
    assert_eq!(world.staging.keys(), [] as [String; 0]);
    assert_eq!(world.target.file_names().len(), 0);
}

#[test]
fn columns_are_found_by_mapping_and_companions_go_with_their_timestamp() {
    let mut world = World::with_ledger(PushMode::Append);
    world.job.mapping.insert(identifier("Full Name"), "name".to_owned());
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Schema::new(vec![
        Field::new("name", DataType::Utf8, true),
        Field::new("AT", instant, true),
        Field::new("AT__ns", DataType::Int16, true),
        Field::new("AT__offset_min", DataType::Int16, true),
    ]);
    let columns = vec![
        plain("AT", SnowflakeType::TimestampTz { scale: 9 }),
        plain("Full Name", SnowflakeType::Text),
    ];
    let judged = judge(&world.job, &schema, &target(columns));
    expect![[r#"
        "Full Name" | text | VARCHAR | fits | 
        AT | timestamp in UTC with nanoseconds with offset | TIMESTAMP_TZ(9) | checked | 
    "#]]
    .assert_eq(&shown(&judged.verdicts));
    assert!(judged.columns[1].nanos && judged.columns[1].offset);
}
