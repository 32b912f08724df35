//! Every type in every physical form of an Arrow stream.

use arrow::array::{
    BinaryArray, FixedSizeListArray, Float64Array, Int8Array, Int16Array, NullArray, StringArray,
};
use arrow::datatypes::Float32Type;
use expect_test::expect;

use super::*;

#[test]
fn integers_of_every_width_are_staged_as_64_bits() {
    let int64 = StagedForm::Int64;
    check(
        number(38, 0),
        int64,
        Arc::new(Int8Array::from(vec![-128, 127])),
        expect![[r#"
        -128
        127
    "#]],
    );
    check(
        number(38, 0),
        int64,
        Arc::new(Int16Array::from(vec![i16::MIN])),
        expect![[r#"
        -32768
    "#]],
    );
    check(
        number(38, 0),
        int64,
        Arc::new(Int32Array::from(vec![Some(1), None])),
        expect![[r#"
        1
        ∅
    "#]],
    );
    check(
        number(38, 0),
        int64,
        Arc::new(Int64Array::from(vec![i64::MAX])),
        expect![[r#"
        9223372036854775807
    "#]],
    );
    check(
        number(38, 0),
        int64,
        decimals(vec![Some(i128::from(i64::MIN)), None], 0),
        expect![[r#"
        -9223372036854775808
        ∅
    "#]],
    );
    check(
        number(38, 0),
        int64,
        decimals(vec![Some(1 << 63)], 0),
        expect![[r#"
        column C holds a value that Int64 cannot hold exactly: an integer of more than 64 bits
    "#]],
    );
    check(
        number(38, 0),
        int64,
        Arc::new(NullArray::new(2)),
        expect![[r#"
        ∅
        ∅
    "#]],
    );
}

#[test]
fn scaled_integers_and_decimals_keep_every_digit() {
    let form = |precision, scale| StagedForm::Decimal { precision, scale };
    check(
        number(10, 2),
        form(18, 2),
        Arc::new(Int16Array::from(vec![-5, 1250])),
        expect![[r#"
        -0.05
        12.50
    "#]],
    );
    check(
        number(38, 0),
        form(38, 0),
        decimals(vec![Some(MAX38), Some(-MAX38)], 0),
        expect![[r#"
        99999999999999999999999999999999999999
        -99999999999999999999999999999999999999
    "#]],
    );
    check(
        number(38, 37),
        form(38, 37),
        decimals(vec![Some(-1)], 37),
        expect![[r#"
        -0.0000000000000000000000000000000000001
    "#]],
    );
    check(
        number(18, 3),
        form(18, 3),
        decimals(vec![Some(10_i128.pow(18))], 3),
        expect![[r#"
        column C holds a value that Decimal128(18, 3) cannot hold exactly: a number of more than 18 digits
    "#]],
    );
    check(
        number(38, 3),
        form(38, 3),
        decimals(vec![Some(1)], 2),
        expect![[r#"
        understand the reply to decode a result: column C of type NUMBER(38,3) came as Decimal128(38, 2)
    "#]],
    );
}

#[test]
fn garbage_in_null_slots_is_never_a_reason_to_refuse() {
    let nulls = || Some(NullBuffer::from(vec![true, false]));
    let wide = Decimal128Array::new(vec![7, i128::MAX].into(), nulls())
        .with_precision_and_scale(38, 0)
        .unwrap();
    check(
        number(38, 0),
        StagedForm::Int64,
        Arc::new(wide),
        expect![[r#"
        7
        ∅
    "#]],
    );
    let at = SnowflakeType::TimestampNtz { scale: 9 };
    let wire = timestamps(vec![1, i64::MAX], Some(vec![0, -7]), None, Some(vec![true, false]));
    check(
        at,
        TIMESTAMP,
        wire,
        expect![[r#"
        1970-01-01T00:00:01
        ∅
    "#]],
    );
    let units = Int64Array::new(vec![1_000, i64::MAX].into(), nulls());
    check(
        SnowflakeType::TimestampNtz { scale: 3 },
        TIMESTAMP,
        Arc::new(units),
        expect![[r#"
        1970-01-01T00:00:01
        ∅
    "#]],
    );
}

#[test]
fn timestamps_round_down_before_1970_too() {
    let ntz = SnowflakeType::TimestampNtz { scale: 9 };
    let wire = || {
        timestamps(
            vec![-1_546_391_838, -1, 253_402_300_799],
            Some(vec![999_999_990, 1, 0]),
            None,
            None,
        )
    };
    check(
        ntz.clone(),
        TIMESTAMP_NS,
        wire(),
        expect![[r#"
            1920-12-30T22:42:42.999999 | 990
            1969-12-31T23:59:59 | 1
            9999-12-31T23:59:59 | 0
        "#]],
    );
    check(
        ntz.clone(),
        TIMESTAMP,
        wire(),
        expect![[r#"
        column C holds a value that Timestamp(µs) cannot hold exactly: digits below the microsecond
    "#]],
    );
    let units = |values: Vec<i64>| -> ArrayRef { Arc::new(Int64Array::from(values)) };
    check(
        ntz,
        TIMESTAMP_NS,
        units(vec![-1, 1_000_000_001]),
        expect![[r#"
        1969-12-31T23:59:59.999999 | 999
        1970-01-01T00:00:01 | 1
    "#]],
    );
    check(
        SnowflakeType::TimestampNtz { scale: 7 },
        TIMESTAMP_NS,
        units(vec![-3]),
        expect![[r#"
        1969-12-31T23:59:59.999999 | 700
    "#]],
    );
    check(
        SnowflakeType::TimestampNtz { scale: 0 },
        TIMESTAMP,
        units(vec![-62_135_596_800]),
        expect![[r#"
        0001-01-01T00:00:00
    "#]],
    );
    check(
        SnowflakeType::TimestampNtz { scale: 0 },
        TIMESTAMP,
        units(vec![i64::MAX]),
        expect![[r#"
        column C holds a value that Timestamp(µs) cannot hold exactly: a time outside 64-bit microseconds
    "#]],
    );
}

#[test]
fn zoned_timestamps_keep_instant_and_offset() {
    let tz = |scale| SnowflakeType::TimestampTz { scale };
    let three = timestamps(vec![0, -1], Some(vec![1, 0]), Some(vec![1770, 960]), None);
    check(
        tz(9),
        TIMESTAMP_TZ,
        three,
        expect![[r#"
            1970-01-01T00:00:00 UTC | 1 | 330
            1969-12-31T23:59:59 UTC | 0 | -480
        "#]],
    );
    let form = StagedForm::Timestamp { zoned: true, nanos: false, offset: true };
    check(
        tz(3),
        form,
        timestamps(vec![1_500], None, Some(vec![1440]), None),
        expect![[r#"
            1970-01-01T00:00:01.500 UTC | 0
        "#]],
    );
    check(
        tz(3),
        form,
        timestamps(vec![0], None, Some(vec![9000]), None),
        expect![[r#"
        understand the reply to decode a result: a time zone offset of more than a day
    "#]],
    );
    check(
        tz(3),
        form,
        Arc::new(Int64Array::from(vec![0])),
        expect![[r#"
        understand the reply to decode a result: column C of type TIMESTAMP_TZ(3) came as Int64
    "#]],
    );
}

#[test]
fn times_are_nanoseconds_of_the_day() {
    let time = |scale| SnowflakeType::Time { scale };
    check(
        time(4),
        StagedForm::TimeNanos,
        Arc::new(Int32Array::from(vec![863_999_999])),
        expect![[r#"
        86399999900000
    "#]],
    );
    check(
        time(9),
        StagedForm::TimeNanos,
        Arc::new(Int64Array::from(vec![1])),
        expect![[r#"
        1
    "#]],
    );
    check(
        time(0),
        StagedForm::TimeNanos,
        Arc::new(Int32Array::from(vec![86_400])),
        expect![[r#"
        column C holds a value that Int64 cannot hold exactly: a time outside the day
    "#]],
    );
}

#[test]
fn decfloat_has_one_text_for_each_value() {
    let significands: Vec<&[u8]> =
        vec![&[0x04, 0xd2], &[0xff], &[10], &[1], &[0], &[1], &[0x30, 0x39]];
    let fields = vec![
        Field::new("exponent", DataType::Int16, true),
        Field::new("significand", DataType::Binary, true),
    ];
    let exponents: ArrayRef = Arc::new(Int16Array::from(vec![-2, 0, -1, 40, 5, -60, -60]));
    let digits: ArrayRef = Arc::new(BinaryArray::from(significands));
    let wire = StructArray::new(fields.into(), vec![exponents, digits], None);
    check(
        SnowflakeType::Decfloat,
        StagedForm::Utf8,
        Arc::new(wire),
        expect![[r#"
        12.34
        -1
        1
        1e40
        0
        1e-60
        1.2345e-56
    "#]],
    );
    let rows = r#"[["12.340"],["-1E0"],["100e-2"],[null],["0.00"],["1.2345E-56"]]"#;
    check_json(
        SnowflakeType::Decfloat,
        StagedForm::Utf8,
        rows,
        expect![[r#"
        12.34
        -1
        1
        ∅
        0
        1.2345e-56
    "#]],
    );
}

#[test]
fn vectors_become_lists_and_null_vectors_stay_null() {
    let data_type = SnowflakeType::VectorFloat { dimension: 2 };
    let wire = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(
        vec![Some(vec![Some(1.5), Some(-2.0)]), None],
        2,
    );
    check(
        data_type.clone(),
        StagedForm::ListFloat32,
        Arc::new(wire),
        expect![[r#"
        [1.5, -2.0]
        ∅
    "#]],
    );
    check_json(
        data_type,
        StagedForm::ListFloat32,
        r#"[["[1.5, -2]"],[null]]"#,
        expect![[r#"
        [1.5, -2.0]
        ∅
    "#]],
    );
}

#[test]
fn floats_and_texts_come_through_untouched() {
    let floats = Float64Array::from(vec![f64::NAN, f64::NEG_INFINITY, -0.0]);
    check(
        SnowflakeType::Float,
        StagedForm::Float64,
        Arc::new(floats),
        expect![[r#"
        NaN
        -inf
        -0.0
    "#]],
    );
    let texts = StringArray::from(vec![Some(""), None, Some("ü\n")]);
    check(
        SnowflakeType::Variant,
        StagedForm::Utf8,
        Arc::new(texts),
        expect![[r#"

        ∅
        ü

    "#]],
    );
    check(
        SnowflakeType::Text,
        StagedForm::Utf8,
        Arc::new(Int8Array::from(vec![1])),
        expect![[r#"
        understand the reply to decode a result: column C of type VARCHAR came as Int8
    "#]],
    );
}
