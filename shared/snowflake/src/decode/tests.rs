//! What the wire may send, and what is staged or refused.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, FixedSizeListArray, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, NullArray, StringArray, StructArray,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Float32Type, Schema, TimestampMicrosecondType};
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use snowferry_model::names::Identifier;
use snowferry_model::plan::{PLAN_VERSION, PlannedColumn, StagedForm, TablePlan};
use snowferry_model::types::SnowflakeType;

use super::*;

const TIMESTAMP: StagedForm = StagedForm::Timestamp { zoned: false, nanos: false, offset: false };
const TIMESTAMP_NS: StagedForm = StagedForm::Timestamp { zoned: false, nanos: true, offset: false };
const TIMESTAMP_TZ: StagedForm = StagedForm::Timestamp { zoned: true, nanos: true, offset: true };

fn plan_of(data_type: &SnowflakeType, form: StagedForm) -> TablePlan {
    let name = Identifier::new("C").unwrap();
    let columns = vec![PlannedColumn { name, data_type: data_type.clone(), form }];
    TablePlan { version: PLAN_VERSION, columns }
}

fn decoder(data_type: &SnowflakeType, form: StagedForm) -> Decoder {
    let declared =
        DeclaredColumn { name: "C".into(), data_type: data_type.clone(), nullable: true };
    Decoder::new(&[declared], &plan_of(data_type, form)).unwrap()
}

fn stream(wire: ArrayRef) -> Vec<u8> {
    let schema = Schema::new(vec![Field::new("C", wire.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![wire]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    bytes
}

fn shown(result: Result<Vec<RecordBatch>, SnowflakeError>) -> String {
    let batches = match result {
        Ok(batches) => batches,
        Err(error) => return format!("{error}\n"),
    };
    let mut lines = String::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = batch.columns().iter().map(|c| cell(c, row)).collect();
            lines.push_str(&cells.join(" | "));
            lines.push('\n');
        }
    }
    lines
}

fn cell(column: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default().with_null("∅");
    let show = |array: &dyn Array| {
        ArrayFormatter::try_new(array, &options).unwrap().value(row).to_string()
    };
    match column.data_type() {
        DataType::Timestamp(_, Some(zone)) => {
            let wall = column.as_primitive::<TimestampMicrosecondType>().clone();
            format!("{} {zone}", show(&wall.with_timezone_opt(None::<&str>)))
        }
        _ => show(column),
    }
}

fn check(data_type: SnowflakeType, form: StagedForm, wire: ArrayRef, expected: Expect) {
    let decoder = decoder(&data_type, form);
    expected.assert_eq(&shown(decoder.arrow_stream(Buffer::from_vec(stream(wire)))));
}

fn check_json(data_type: SnowflakeType, form: StagedForm, rows: &str, expected: Expect) {
    let decoder = decoder(&data_type, form);
    expected.assert_eq(&shown(decoder.json_rows(rows.as_bytes()).map(|batch| vec![batch])));
}

fn number(precision: u8, scale: u8) -> SnowflakeType {
    SnowflakeType::Number { precision, scale }
}

fn decimals(values: Vec<Option<i128>>, scale: i8) -> ArrayRef {
    Arc::new(Decimal128Array::from(values).with_precision_and_scale(38, scale).unwrap())
}

fn timestamps(
    epoch: Vec<i64>,
    fraction: Option<Vec<i32>>,
    timezone: Option<Vec<i32>>,
    nulls: Option<Vec<bool>>,
) -> ArrayRef {
    let mut fields = vec![Field::new("epoch", DataType::Int64, true)];
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(epoch))];
    if let Some(fraction) = fraction {
        fields.push(Field::new("fraction", DataType::Int32, true));
        arrays.push(Arc::new(Int32Array::from(fraction)));
    }
    if let Some(timezone) = timezone {
        fields.push(Field::new("timezone", DataType::Int32, true));
        arrays.push(Arc::new(Int32Array::from(timezone)));
    }
    Arc::new(StructArray::new(fields.into(), arrays, nulls.map(NullBuffer::from)))
}

const MAX38: i128 = 10_i128.pow(38) - 1;

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

#[test]
fn json_cells_of_every_type_are_exact() {
    let decimal = StagedForm::Decimal { precision: 38, scale: 3 };
    check_json(
        number(38, 3),
        decimal,
        r#"[["984.280"],["-0.001"],[null]]"#,
        expect![[r#"
        984.280
        -0.001
        ∅
    "#]],
    );
    check_json(
        number(38, 0),
        StagedForm::Int64,
        r#"[["9223372036854775808"]]"#,
        expect![[r#"
        column C holds a value that Int64 cannot hold exactly: an integer of more than 64 bits
    "#]],
    );
    check_json(
        SnowflakeType::Boolean,
        StagedForm::Boolean,
        r#"[["1"],["FALSE"]]"#,
        expect![[r#"
        true
        false
    "#]],
    );
    check_json(
        SnowflakeType::Date,
        StagedForm::Date32,
        r#"[["16821"],["-719162"]]"#,
        expect![[r#"
        2016-01-21
        0001-01-01
    "#]],
    );
    check_json(
        SnowflakeType::Binary,
        StagedForm::Binary,
        r#"[["48454C50"],[""]]"#,
        expect![["48454c50\n\n"]],
    );
    let time = SnowflakeType::Time { scale: 9 };
    check_json(
        time,
        StagedForm::TimeNanos,
        r#"[["45296.789789789"]]"#,
        expect![[r#"
        45296789789789
    "#]],
    );
    let ntz = SnowflakeType::TimestampNtz { scale: 9 };
    check_json(
        ntz,
        TIMESTAMP_NS,
        r#"[["-1546391837.000000010"],["-0.500000000"]]"#,
        expect![[r#"
            1920-12-30T22:42:42.999999 | 990
            1969-12-31T23:59:59.500 | 0
        "#]],
    );
    let tz = SnowflakeType::TimestampTz { scale: 9 };
    check_json(
        tz,
        TIMESTAMP_TZ,
        r#"[["1453386764.000000001 960"],[null]]"#,
        expect![[r#"
            2016-01-21T14:32:44 UTC | 1 | -480
            ∅ UTC | ∅ | ∅
        "#]],
    );
    check_json(
        SnowflakeType::Float,
        StagedForm::Float64,
        r#"[["NaN"],["-inf"],["1e3"]]"#,
        expect![[r#"
        NaN
        -inf
        1000.0
    "#]],
    );
    check_json(
        SnowflakeType::Date,
        StagedForm::Date32,
        r#"[["yesterday"]]"#,
        expect![[r#"
        understand the reply to decode a result: a cell of column C is no DATE
    "#]],
    );
    check_json(
        SnowflakeType::Date,
        StagedForm::Date32,
        r#"[["1","2"]]"#,
        expect![[r#"
        understand the reply to decode a result: a row of 2 cells, 1 columns
    "#]],
    );
}

#[test]
fn a_stream_may_lack_its_end_marker_but_no_byte_of_a_batch() {
    let decoder = decoder(&number(38, 0), StagedForm::Int64);
    let bytes = stream(Arc::new(Int32Array::from(vec![1, 2, 3])));
    let without_marker = bytes[..bytes.len() - 8].to_vec();
    assert_eq!(decoder.arrow_stream(without_marker.into()).unwrap()[0].num_rows(), 3);
    assert!(decoder.arrow_stream(Buffer::from_vec(Vec::<u8>::new())).unwrap().is_empty());
    for cut in [1, 9, 30, bytes.len() - 9] {
        let cut = decoder.arrow_stream(bytes[..cut].to_vec().into());
        assert!(matches!(cut, Err(SnowflakeError::Protocol { .. })));
    }
}

#[test]
fn a_column_that_is_not_the_planned_one_is_refused() {
    let plan = plan_of(&number(38, 0), StagedForm::Int64);
    let declared = |name: &str, data_type: SnowflakeType| DeclaredColumn {
        name: name.into(),
        data_type,
        nullable: true,
    };
    assert!(Decoder::new(&[declared("C", number(10, 0))], &plan).is_ok());
    for found in [
        declared("c", number(38, 0)),
        declared("C", number(38, 1)),
        declared("C", SnowflakeType::Text),
    ] {
        let refused = Decoder::new(&[found], &plan);
        assert!(matches!(refused, Err(SnowflakeError::ColumnChanged { .. })));
    }
    assert!(matches!(Decoder::new(&[], &plan), Err(SnowflakeError::Protocol { .. })));
}

#[test]
fn twenty_thousand_damaged_streams_cost_an_error_each_and_no_panic() {
    let tz = SnowflakeType::TimestampTz { scale: 9 };
    let wire =
        timestamps(vec![0; 64], Some(vec![1; 64]), Some(vec![1440; 64]), Some(vec![true; 64]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["snow"; 64]));
    let cases = [
        (decoder(&tz, TIMESTAMP_TZ), stream(wire)),
        (decoder(&SnowflakeType::Text, StagedForm::Utf8), stream(texts)),
        (decoder(&number(38, 0), StagedForm::Int64), stream(decimals(vec![Some(5); 64], 0))),
    ];
    // The reader's own asserts are caught and become errors; their messages would flood the log.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below).unwrap()).unwrap()
    };
    let mut escaped = 0;
    for round in 0..20_000 {
        let (decoder, bytes) = &cases[round % cases.len()];
        let mut bytes = bytes.clone();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            bytes[at] = u8::try_from(next(256)).unwrap();
        }
        if next(5) == 0 {
            bytes.truncate(next(bytes.len()));
        }
        let run = catch_unwind(AssertUnwindSafe(|| decoder.arrow_stream(bytes.into()).is_ok()));
        escaped += usize::from(run.is_err());
    }
    std::panic::set_hook(hook);
    assert_eq!(escaped, 0);
}

#[test]
fn the_recorded_server_payload_has_the_values_its_reader_saw() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/vectors/all_types_100_rows.arrow.base64"
    );
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("SKIPPED: no recorded payloads beside the repository");
        return;
    };
    let bytes = base64(&text);
    let wire = read_stream(bytes.into()).unwrap();
    let schema = wire[0].schema();
    let mut declared = Vec::new();
    for field in schema.fields() {
        let metadata = |key: &str| field.metadata().get(key).cloned().unwrap_or_default();
        let row_type: RowType = serde_json::from_value(serde_json::json!({
            "name": field.name(), "type": metadata("logicalType"), "nullable": true,
            "precision": metadata("precision").parse::<i64>().unwrap(),
            "scale": metadata("scale").parse::<i64>().unwrap(),
        }))
        .unwrap();
        declared.push(row_type.declared());
    }
    let description = snowferry_model::types::TableDescription {
        kind: "TABLE".into(),
        identity: String::new(),
        columns: declared
            .iter()
            .map(|column| snowferry_model::types::ColumnDescription {
                name: Identifier::new(column.name.clone()).unwrap(),
                data_type: column.data_type.clone(),
                nullable: true,
                primary_key: false,
            })
            .collect(),
    };
    let facts = Default::default();
    let plan = TablePlan::decide(&description, &facts, Default::default()).unwrap();
    let staged =
        Decoder::new(&declared, &plan).unwrap().arrow_stream(base64(&text).into()).unwrap();
    assert_eq!(staged.iter().map(RecordBatch::num_rows).sum::<usize>(), 100);
    let first = shown(Ok(vec![staged[0].slice(0, 1)]));
    expect![[r#"
        123456
        48454c50
        true
        a
        b
        2023-07-18
        2023-07-18T12:51:00
        0
        984.280
        268.350
        123.456
        738.132
        6789
        23456
        12583
        513.431
        10
        9
        fjisfsj
        wkdoajde131
        45296000000000
        2021-01-01T00:00:00
        0
        2021-01-01T00:00:00 UTC
        0
        0
        2021-01-01T00:00:00 UTC
        0
        2021-01-01T00:00:00
        0
        1
        48454c50
        vxlmls!21321#@!#!
    "#]]
    .assert_eq(&first.replace(" | ", "\n"));
}

fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0_u32, 0);
    for symbol in text.bytes().filter_map(|b| alphabet.iter().position(|known| *known == b)) {
        held = (held << 6) | u32::try_from(symbol).unwrap();
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xFF).unwrap());
        }
    }
    bytes
}

#[test]
fn declared_types_are_read_from_describe_and_from_results() {
    for (text, wanted) in [
        ("NUMBER(38,0)", number(38, 0)),
        ("NUMBER(12,2)", number(12, 2)),
        ("VARCHAR(16777216)", SnowflakeType::Text),
        ("VARCHAR(10) COLLATE 'en-ci'", SnowflakeType::Text),
        ("TIMESTAMP_NTZ(9)", SnowflakeType::TimestampNtz { scale: 9 }),
        ("TIMESTAMP_TZ(0)", SnowflakeType::TimestampTz { scale: 0 }),
        ("TIME(3)", SnowflakeType::Time { scale: 3 }),
        ("BINARY(8388608)", SnowflakeType::Binary),
        ("FLOAT", SnowflakeType::Float),
        ("VECTOR(FLOAT, 3)", SnowflakeType::VectorFloat { dimension: 3 }),
        ("VECTOR(INT, 16)", SnowflakeType::VectorInt { dimension: 16 }),
        ("ARRAY(NUMBER(38,0))", SnowflakeType::Array),
        ("MAP(VARCHAR, NUMBER(38,0))", SnowflakeType::Map),
        ("TIME(12)", SnowflakeType::Unknown { name: "TIME(12)".into() }),
        (
            "INTERVAL DAY TO SECOND",
            SnowflakeType::Unknown { name: "INTERVAL DAY TO SECOND".into() },
        ),
    ] {
        assert_eq!(parse_type(text), wanted);
    }
    let row_type = |json: serde_json::Value| {
        serde_json::from_value::<RowType>(json).unwrap().declared().data_type
    };
    let vector = serde_json::json!({"name": "V", "type": "vector", "vectorDimension": 2,
        "fields": [{"type": "real"}]});
    assert_eq!(row_type(vector), SnowflakeType::VectorFloat { dimension: 2 });
    let place = serde_json::json!({"name": "G", "type": "object", "extTypeName": "GEOGRAPHY"});
    assert_eq!(row_type(place), SnowflakeType::Geography);
}

proptest! {
    #[test]
    fn any_decimal_arrives_as_itself_in_both_formats(digits in -MAX38..=MAX38, scale in 0_u8..=37) {
        let data_type = number(38, scale);
        let form = StagedForm::Decimal { precision: 38, scale };
        let decoder = decoder(&data_type, form);
        let wire = decimals(vec![Some(digits)], i8::try_from(scale).unwrap());
        let text = arrow::util::display::array_value_to_string(&wire, 0).unwrap();
        let arrow = decoder.arrow_stream(stream(wire).into()).unwrap();
        let json = decoder.json_rows(format!("[[\"{text}\"]]").as_bytes()).unwrap();
        prop_assert_eq!(arrow[0].column(0).as_primitive::<arrow::datatypes::Decimal128Type>().value(0), digits);
        prop_assert_eq!(&arrow[0], &json);
    }

    #[test]
    fn any_timestamp_arrives_as_itself_in_both_formats(
        seconds in -62_135_596_800_i64..=253_402_300_799,
        nanos in 0_i32..1_000_000_000,
    ) {
        let data_type = SnowflakeType::TimestampNtz { scale: 9 };
        let decoder = decoder(&data_type, TIMESTAMP_NS);
        let wire = timestamps(vec![seconds], Some(vec![nanos]), None, None);
        let arrow = decoder.arrow_stream(stream(wire).into()).unwrap();
        let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let sign = if total < 0 { "-" } else { "" };
        let (whole, rest) = (total.unsigned_abs() / 1_000_000_000, total.unsigned_abs() % 1_000_000_000);
        let json = decoder.json_rows(format!("[[\"{sign}{whole}.{rest:09}\"]]").as_bytes()).unwrap();
        prop_assert_eq!(&arrow[0], &json);
        prop_assert_eq!(arrow[0].column(0).len(), 1);
    }
}
