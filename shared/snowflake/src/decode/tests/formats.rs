//! JSON cells, whole streams, damaged ones, a recorded one, and what the two formats agree on.

use arrow::array::StringArray;
use expect_test::expect;
use proptest::prelude::*;

use super::*;

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
fn a_column_of_json_text_may_be_announced_as_another_kind_of_json() {
    let announced = |found: SnowflakeType, planned: &SnowflakeType| {
        let declared = DeclaredColumn { name: "C".into(), data_type: found, nullable: true };
        Decoder::new(&[declared], &plan_of(planned, StagedForm::Utf8))
    };
    for planned in [SnowflakeType::Map, SnowflakeType::Array, SnowflakeType::Variant] {
        let decoder = announced(SnowflakeType::Object, &planned).unwrap();
        let wire: ArrayRef = Arc::new(StringArray::from(vec![r#"{"k":1}"#]));
        let rows = decoder.arrow_stream(Buffer::from_vec(stream(wire)));
        assert_eq!(shown(rows), "{\"k\":1}\n");
        assert!(announced(SnowflakeType::Text, &planned).is_err());
        assert!(announced(SnowflakeType::Geography, &planned).is_err());
    }
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
