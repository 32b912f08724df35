//! Values on their way into the parts: exact, or counted under a kind that names no value.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Date32Array, Decimal128Array, Float64Array, Int16Array,
    Int64Array, ListArray, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    UInt64Array,
};
use arrow::datatypes::{Field, Float32Type, Schema, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use expect_test::{Expect, expect};
use snowferry_model::export::{EXPORT_VERSION, ExportQuery, ExportSnapshot, ExportSource};
use snowferry_model::push::{
    Delivery, PUSH_PLAN_VERSION, Privilege, PushMode, PushPlan, TargetColumn, TargetDescription,
};
use snowferry_model::time::UnixMillis;
use snowferry_model::types::SnowflakeType;

use crate::convert::Converter;
use crate::tests::world::{World, identifier, table};
use crate::validate::judge;

/// Converts one column (companions may stand beside it) and prints its values, then its problems.
fn check(theirs: TargetColumn, ours: Vec<(&str, ArrayRef)>, round: bool, expected: Expect) {
    let mut world = World::with_ledger(PushMode::Append);
    world.job.rules.round = round;
    let fields: Vec<_> = ours
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let target = TargetDescription {
        kind: "TABLE".to_owned(),
        identity: String::new(),
        role: String::new(),
        privileges: vec![Privilege::Ownership],
        rows: None,
        columns: vec![theirs],
    };
    let judged = judge(&world.job, &schema, &target);
    let plan = PushPlan {
        version: PUSH_PLAN_VERSION,
        run_id: "run".to_owned(),
        target: table(),
        identity: String::new(),
        fingerprint: String::new(),
        mode: PushMode::Append,
        delivery: Delivery::NoLedger,
        columns: judged.columns,
        constants: Vec::new(),
        snapshot: ExportSnapshot {
            version: EXPORT_VERSION,
            query: ExportQuery {
                connection: None,
                source: ExportSource::Sql(String::new()),
                parameters: std::collections::BTreeMap::new(),
                now: UnixMillis(0),
            },
            tables: Vec::new(),
            columns: Vec::new(),
        },
        target_rows: None,
        pinned_at: UnixMillis(0),
    };
    let batch = RecordBatch::try_new(schema, ours.into_iter().map(|(_, a)| a).collect()).unwrap();
    let mut converter = Converter::new(&plan);
    let converted = converter.convert(&batch).unwrap();
    let options = FormatOptions::default().with_null("NULL");
    // Names of zones are printed only where a table of them is compiled in, offsets everywhere.
    let printed: ArrayRef = match converted.column(0).as_primitive_opt::<TimestampMicrosecondType>()
    {
        Some(instants) if instants.timezone() == Some("UTC") => {
            Arc::new(instants.clone().with_timezone("+00:00"))
        }
        _ => Arc::clone(converted.column(0)),
    };
    let cells = ArrayFormatter::try_new(&printed, &options).unwrap();
    let mut lines: Vec<_> =
        (0..converted.num_rows()).map(|row| cells.value(row).to_string()).collect();
    lines.extend(converter.verdicts().iter().map(|verdict| format!("! {}", verdict.reason)));
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

fn column(data_type: SnowflakeType) -> TargetColumn {
    TargetColumn::plain(identifier("C"), data_type, true)
}

fn number(precision: u8, scale: u8) -> TargetColumn {
    column(SnowflakeType::Number { precision, scale })
}

fn decimals(values: &[i128], precision: u8, scale: i8) -> ArrayRef {
    let array = Decimal128Array::from_iter_values(values.iter().copied());
    Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
}

#[test]
fn integers_keep_every_digit_and_too_wide_ones_are_counted() {
    let edges: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)]));
    check(
        number(38, 0),
        vec![("C", edges)],
        false,
        expect![[r#"
        -9223372036854775808
        NULL
        9223372036854775807
    "#]],
    );
    let some: ArrayRef = Arc::new(Int64Array::from(vec![999, 1000, -12345]));
    check(
        number(5, 2),
        vec![("C", some)],
        false,
        expect![[r#"
        999
        1000
        -12345
        ! a number too large for the column: 2 rows, the worst has 5 digits before the point
    "#]],
    );
    let wide: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
    check(
        number(38, 0),
        vec![("C", wide)],
        false,
        expect![[r#"
        18446744073709551615
    "#]],
    );
}

#[test]
fn decimals_are_brought_to_the_scale_exactly_or_counted() {
    let nines = 10_i128.pow(38) - 1;
    check(
        number(38, 0),
        vec![("C", decimals(&[nines, -nines], 38, 0))],
        false,
        expect![[r#"
        99999999999999999999999999999999999999
        -99999999999999999999999999999999999999
    "#]],
    );
    check(
        number(6, 3),
        vec![("C", decimals(&[1250, 100_000], 10, 2))],
        false,
        expect![[r#"
        12.500
        NULL
        ! a number too large for the column: 1 rows, the worst has 4 digits before the point
    "#]],
    );
    check(
        number(10, 1),
        vec![("C", decimals(&[1250, 1255], 10, 2))],
        false,
        expect![[r#"
        12.5
        12.5
        ! a number with more digits after the point than the column has: 1 rows
    "#]],
    );
    let halves = decimals(&[1255, -1255, 1254], 10, 2);
    check(
        number(10, 1),
        vec![("C", halves)],
        true,
        expect![[r#"
        12.6
        -12.6
        12.5
    "#]],
    );
}

#[test]
fn floats_keep_their_bits_and_integers_beyond_them_are_counted() {
    let values: ArrayRef =
        Arc::new(Float64Array::from(vec![-0.0, f64::NAN, f64::INFINITY, 0.1 + 0.2, 5e-324]));
    check(
        column(SnowflakeType::Float),
        vec![("C", values)],
        false,
        expect![[r#"
        -0.0
        NaN
        inf
        0.30000000000000004
        5e-324
    "#]],
    );
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1 << 53, (1 << 53) + 1]));
    check(
        column(SnowflakeType::Float),
        vec![("C", values)],
        false,
        expect![[r#"
        9007199254740992.0
        9007199254740992.0
        ! an integer beyond 2^53, which a float does not hold exactly: 1 rows, the worst has 16 digits
    "#]],
    );
}

#[test]
fn texts_are_measured_in_characters_and_in_bytes() {
    let text =
        TargetColumn { max_chars: Some(3), max_bytes: Some(8), ..column(SnowflakeType::Text) };
    let values: ArrayRef = Arc::new(StringArray::from(vec!["", "äöü", "four", "😀😀😀"]));
    check(
        text,
        vec![("C", values)],
        false,
        expect![[r#"

        äöü
        four
        😀😀😀
        ! a text too long for the column: 1 rows, the worst has 4 characters
        ! a value of more bytes than the column holds: 1 rows, the worst has 12 bytes
    "#]],
    );
    let bytes = TargetColumn { max_bytes: Some(1), ..column(SnowflakeType::Binary) };
    let values: ArrayRef = Arc::new(BinaryArray::from(vec![&[0_u8][..], &[0, 255]]));
    check(
        bytes,
        vec![("C", values)],
        false,
        expect![[r#"
        00
        00ff
        ! a value of more bytes than the column holds: 1 rows, the worst has 2 bytes
    "#]],
    );
}

#[test]
fn json_and_decimal_texts_are_parsed_before_they_travel() {
    let values =
        || -> ArrayRef { Arc::new(StringArray::from(vec!["{\"a\":1}", "[1]", "null", "{"])) };
    check(
        column(SnowflakeType::Variant),
        vec![("C", values())],
        false,
        expect![[r#"
        {"a":1}
        [1]
        null
        {
        ! a text that is no JSON: 1 rows
    "#]],
    );
    check(
        column(SnowflakeType::Object),
        vec![("C", values())],
        false,
        expect![[r#"
        {"a":1}
        [1]
        null
        {
        ! a text that is no JSON: 3 rows
    "#]],
    );
    let values: ArrayRef = Arc::new(StringArray::from(vec!["1.5e-100", "-.5", "1e", "x", ""]));
    check(
        column(SnowflakeType::Decfloat),
        vec![("C", values)],
        false,
        expect![[r#"
        1.5e-100
        -.5
        1e
        x

        ! a text that is no decimal number of at most 38 digits: 3 rows
    "#]],
    );
}

#[test]
fn dates_and_times_stay_within_their_range() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![-719_162, 2_932_896, 2_932_897]));
    check(
        column(SnowflakeType::Date),
        vec![("C", days)],
        false,
        expect![[r#"
        0001-01-01
        9999-12-31
        +10000-01-01
        ! a year outside 1 to 9999: 1 rows
    "#]],
    );
    let nanos: ArrayRef = Arc::new(Int64Array::from(vec![0, 86_399_999_999_999, -1]));
    check(
        column(SnowflakeType::Time { scale: 6 }),
        vec![("C", nanos)],
        false,
        expect![[r#"
        00:00:00.000000000
        23:59:59.999999999
        NULL
        ! a number that is no nanosecond of a day: 1 rows
        ! a time with more digits of a second than the column has: 1 rows
    "#]],
    );
}

#[test]
fn timestamps_keep_nanoseconds_and_offsets() {
    let first = -62_135_596_800_000_000_i64;
    let last = 253_402_300_799_999_999_i64;
    let micros = |zone: Option<&str>| -> ArrayRef {
        let array = TimestampMicrosecondArray::from(vec![Some(first), Some(last), None, Some(-1)]);
        Arc::new(array.with_timezone_opt(zone.map(str::to_owned)))
    };
    let companion = |values: [i16; 4]| -> ArrayRef { Arc::new(Int16Array::from(values.to_vec())) };
    check(
        column(SnowflakeType::TimestampNtz { scale: 9 }),
        vec![("C", micros(None)), ("C__ns", companion([1, 999, 0, 1000]))],
        false,
        expect![[r#"
            0001-01-01 00:00:00.000000001
            9999-12-31 23:59:59.999999999
            NULL
            1969-12-31 24:00:00.000000000
            ! nanoseconds outside 0 to 999 beside a timestamp: 1 rows
        "#]],
    );
    check(
        column(SnowflakeType::TimestampTz { scale: 9 }),
        vec![("C", micros(Some("UTC"))), ("C__offset_min", companion([345, -480, 0, 0]))],
        false,
        expect![[r#"
            0001-01-01 05:45:00.000000000 +0545
            9999-12-31 15:59:59.999999000 -0800
            NULL
            1969-12-31 23:59:59.999999000 +0000
        "#]],
    );
    check(
        column(SnowflakeType::TimestampLtz { scale: 3 }),
        vec![("C", micros(Some("UTC")))],
        false,
        expect![[r#"
            0001-01-01T00:00:00Z
            9999-12-31T23:59:59.999999Z
            NULL
            1969-12-31T23:59:59.999999Z
            ! a time with more digits of a second than the column has: 2 rows
        "#]],
    );
    let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-1]));
    check(
        column(SnowflakeType::TimestampNtz { scale: 9 }),
        vec![("C", nanos)],
        false,
        expect![[r#"
        1969-12-31 23:59:59.999999999
    "#]],
    );
}

#[test]
fn vectors_are_as_long_as_the_column_and_without_gaps() {
    let lists = vec![
        Some(vec![Some(0.1), Some(-1.0)]),
        None,
        Some(vec![Some(1.0)]),
        Some(vec![None, Some(1.0)]),
    ];
    let values: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(lists));
    let vector = column(SnowflakeType::VectorFloat { dimension: 2 });
    check(
        vector,
        vec![("C", values)],
        false,
        expect![[r#"
        [0.10000000149011612,-1.0]
        NULL
        [1.0]
        NULL
        ! a vector of another length than the column's: 1 rows, the worst has 1 elements
        ! a vector with an element that is NULL or not finite: 1 rows
    "#]],
    );
}
