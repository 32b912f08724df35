use std::collections::BTreeMap;
use std::fmt::Write;

use expect_test::expect;

use crate::names::Identifier;
use crate::plan::{ColumnFacts, IntegerPolicy, PlanError, TablePlan, described_fingerprint};
use crate::types::{ColumnDescription, SnowflakeType, TableDescription};

fn identifier(name: &str) -> Identifier {
    Identifier::new(name).unwrap()
}

fn describe(columns: &[(&str, SnowflakeType)]) -> TableDescription {
    let column = |(name, data_type): &(&str, SnowflakeType)| ColumnDescription {
        name: identifier(name),
        data_type: data_type.clone(),
        nullable: true,
        primary_key: false,
    };
    TableDescription {
        kind: "TABLE".to_owned(),
        identity: "1".to_owned(),
        columns: columns.iter().map(column).collect(),
    }
}

fn number(precision: u8, scale: u8) -> SnowflakeType {
    SnowflakeType::Number { precision, scale }
}

fn decide(columns: &[(&str, SnowflakeType)]) -> Result<TablePlan, PlanError> {
    TablePlan::decide(&describe(columns), &BTreeMap::new(), IntegerPolicy::Auto)
}

/// Returns the staged fields of one column of that type.
fn staged(data_type: &SnowflakeType, facts: Option<ColumnFacts>, policy: IntegerPolicy) -> String {
    let facts = facts.map(|facts| (identifier("C"), facts)).into_iter().collect();
    let table = describe(&[("C", data_type.clone())]);
    let plan = TablePlan::decide(&table, &facts, policy).unwrap();
    let fields = plan.schema();
    let fields: Vec<String> = fields
        .fields()
        .iter()
        .map(|field| {
            assert!(field.is_nullable(), "{field:?}");
            format!("{} {}", field.name(), field.data_type())
        })
        .collect();
    fields.join(", ")
}

#[test]
fn every_type_has_one_exact_staged_form() {
    use SnowflakeType as T;
    let mut table = String::new();
    for data_type in [
        number(1, 0),
        number(18, 0),
        number(19, 0),
        number(38, 0),
        number(18, 18),
        number(19, 1),
        number(38, 37),
        T::Float,
        T::Decfloat,
        T::Text,
        T::Binary,
        T::Boolean,
        T::Date,
        T::Time { scale: 9 },
        T::TimestampNtz { scale: 6 },
        T::TimestampNtz { scale: 7 },
        T::TimestampLtz { scale: 0 },
        T::TimestampLtz { scale: 9 },
        T::TimestampTz { scale: 3 },
        T::TimestampTz { scale: 9 },
        T::Variant,
        T::Object,
        T::Array,
        T::Map,
        T::Geography,
        T::Geometry,
        T::VectorFloat { dimension: 3 },
        T::VectorInt { dimension: 3 },
    ] {
        let form = staged(&data_type, None, IntegerPolicy::Auto);
        writeln!(table, "{data_type}: {form}").unwrap();
    }
    expect![[r#"
        NUMBER(1,0): C Int64
        NUMBER(18,0): C Int64
        NUMBER(19,0): C Decimal128(38, 0)
        NUMBER(38,0): C Decimal128(38, 0)
        NUMBER(18,18): C Decimal128(18, 18)
        NUMBER(19,1): C Decimal128(38, 1)
        NUMBER(38,37): C Decimal128(38, 37)
        FLOAT: C Float64
        DECFLOAT: C Utf8
        VARCHAR: C Utf8
        BINARY: C Binary
        BOOLEAN: C Boolean
        DATE: C Date32
        TIME(9): C Int64
        TIMESTAMP_NTZ(6): C Timestamp(µs)
        TIMESTAMP_NTZ(7): C Timestamp(µs), C__ns Int16
        TIMESTAMP_LTZ(0): C Timestamp(µs, "UTC")
        TIMESTAMP_LTZ(9): C Timestamp(µs, "UTC"), C__ns Int16
        TIMESTAMP_TZ(3): C Timestamp(µs, "UTC"), C__offset_min Int16
        TIMESTAMP_TZ(9): C Timestamp(µs, "UTC"), C__ns Int16, C__offset_min Int16
        VARIANT: C Utf8
        OBJECT: C Utf8
        ARRAY: C Utf8
        MAP: C Utf8
        GEOGRAPHY: C Utf8
        GEOMETRY: C Utf8
        VECTOR(FLOAT, 3): C List(Float32, field: 'element')
        VECTOR(INT, 3): C List(Int32, field: 'element')
    "#]]
    .assert_eq(&table);
}

#[test]
fn a_wide_integer_is_narrow_only_where_every_value_is_seen_to_fit() {
    let bounds = |min: Option<&str>, max: Option<&str>| {
        let (min, max) = (min.map(str::to_owned), max.map(str::to_owned));
        Some(ColumnFacts { min, max, below_microseconds: false })
    };
    let mut table = String::new();
    for facts in [
        None,
        bounds(None, None),
        bounds(Some("-9223372036854775808"), Some("9223372036854775807")),
        bounds(Some("0"), Some("9223372036854775808")),
        bounds(Some("-9223372036854775809"), Some("0")),
        bounds(Some("-1"), Some("1e3")),
    ] {
        let forms = [IntegerPolicy::Auto, IntegerPolicy::Decimal, IntegerPolicy::Int64]
            .map(|policy| staged(&number(38, 0), facts.clone(), policy));
        let seen = facts.map(|facts| (facts.min, facts.max));
        writeln!(table, "{seen:?}: {}", forms.join(" | ")).unwrap();
    }
    expect![[r#"
        None: C Decimal128(38, 0) | C Decimal128(38, 0) | C Int64
        Some((None, None)): C Int64 | C Decimal128(38, 0) | C Int64
        Some((Some("-9223372036854775808"), Some("9223372036854775807"))): C Int64 | C Decimal128(38, 0) | C Int64
        Some((Some("0"), Some("9223372036854775808"))): C Decimal128(38, 0) | C Decimal128(38, 0) | C Int64
        Some((Some("-9223372036854775809"), Some("0"))): C Decimal128(38, 0) | C Decimal128(38, 0) | C Int64
        Some((Some("-1"), Some("1e3"))): C Decimal128(38, 0) | C Decimal128(38, 0) | C Int64
    "#]].assert_eq(&table);
}

#[test]
fn nanoseconds_have_a_companion_unless_none_were_seen() {
    let coarse = Some(ColumnFacts::default());
    let fine = Some(ColumnFacts { below_microseconds: true, ..ColumnFacts::default() });
    let nine = SnowflakeType::TimestampTz { scale: 9 };
    let six = SnowflakeType::TimestampNtz { scale: 6 };
    let forms = [
        staged(&nine, coarse, IntegerPolicy::Auto),
        staged(&nine, fine.clone(), IntegerPolicy::Auto),
        staged(&six, fine, IntegerPolicy::Auto),
    ];
    expect![[r#"
        C Timestamp(µs, "UTC"), C__offset_min Int16
        C Timestamp(µs, "UTC"), C__ns Int16, C__offset_min Int16
        C Timestamp(µs)"#]]
    .assert_eq(&forms.join("\n"));
}

#[test]
fn a_table_that_cannot_be_held_exactly_is_refused_with_the_column() {
    let zoned = SnowflakeType::TimestampTz { scale: 9 };
    let text = |columns: &[(&str, SnowflakeType)]| decide(columns).unwrap_err().to_string();
    let refusals = [
        text(&[]),
        text(&[("A", number(1, 0)), ("X", SnowflakeType::Unknown { name: "FILE".to_owned() })]),
        text(&[("id", number(1, 0)), ("ID", number(1, 0))]),
        text(&[("T", zoned.clone()), ("T__ns", SnowflakeType::Text)]),
        text(&[("T__OFFSET_MIN", SnowflakeType::Text), ("T", zoned)]),
    ];
    expect![[r#"
        the table shows no column to this role
        column X has the type FILE, which this version cannot hold exactly
        columns "id" and ID differ by case only
        column T__ns bears the name that a companion of another column needs
        column T__offset_min bears the name that a companion of another column needs"#]]
    .assert_eq(&refusals.join("\n"));
}

#[test]
fn a_companions_name_is_free_where_no_companion_is_needed() {
    let coarse = SnowflakeType::TimestampNtz { scale: 6 };
    assert!(decide(&[("T", coarse), ("T__ns", SnowflakeType::Text)]).is_ok());
}

#[test]
fn fingerprints_change_with_every_name_type_form_and_order() {
    let base = [("A", number(38, 0)), ("B", SnowflakeType::Text)];
    let fingerprint = |columns: &[(&str, SnowflakeType)]| decide(columns).unwrap().fingerprint();
    let variants = [
        fingerprint(&base),
        fingerprint(&[("B", SnowflakeType::Text), ("A", number(38, 0))]),
        fingerprint(&[("A", number(38, 0)), ("b", SnowflakeType::Text)]),
        fingerprint(&[("A", number(37, 0)), ("B", SnowflakeType::Text)]),
        fingerprint(&[("A", number(38, 0)), ("B", SnowflakeType::Variant)]),
        fingerprint(&[("A", number(38, 0))]),
        fingerprint(&[("A", number(38, 0)), ("B", SnowflakeType::Text), ("C", number(1, 0))]),
        TablePlan::decide(&describe(&base), &BTreeMap::new(), IntegerPolicy::Int64)
            .unwrap()
            .fingerprint(),
    ];
    for (index, one) in variants.iter().enumerate() {
        assert_eq!(one.len(), 32, "{one}");
        assert!(!variants[..index].contains(one), "variant {index} has the fingerprint of another");
    }
    assert_eq!(fingerprint(&base), variants[0]);
}

#[test]
fn the_source_fingerprint_sees_the_table_and_not_the_staging() {
    let base = [("A", number(38, 0)), ("T", SnowflakeType::TimestampNtz { scale: 9 })];
    let table = describe(&base);
    let narrow = TablePlan::decide(&table, &BTreeMap::new(), IntegerPolicy::Int64).unwrap();
    let wide = TablePlan::decide(&table, &BTreeMap::new(), IntegerPolicy::Decimal).unwrap();
    assert_ne!(narrow.fingerprint(), wide.fingerprint());
    assert_eq!(narrow.source_fingerprint(), wide.source_fingerprint());
    assert_eq!(narrow.source_fingerprint(), described_fingerprint(&table));
    let changed =
        describe(&[("A", number(37, 0)), ("T", SnowflakeType::TimestampNtz { scale: 9 })]);
    assert_ne!(narrow.source_fingerprint(), described_fingerprint(&changed));
}
