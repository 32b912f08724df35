//! Encodings, decoded back with Arrow and compared with what went in.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    FixedSizeListArray, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    LargeStringArray, RecordBatch, StringArray, StringViewArray, StructArray,
    Time64NanosecondArray,
};
use arrow::datatypes::{DataType, Field, Float32Type, Schema, i256};
use arrow::ipc::reader::StreamReader;

use super::arrow_stream::{StreamStyle, encode_stream};
use super::carrier::normalise;
use super::decfloat::Decfloat;
use super::json_rows::{encode_rows, float_text};
use super::physical::Dialect;
use super::rowtype::rowtype;
use crate::types::{Column, SnowType, VectorElement};

fn column(data_type: SnowType) -> Column {
    let origin = ["D".to_owned(), "S".to_owned(), "T".to_owned()];
    Column { name: "C".to_owned(), data_type, nullable: true, origin }
}

fn one_column(array: ArrayRef) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("C", array.data_type().clone(), true)]);
    RecordBatch::try_new(Arc::new(schema), vec![array]).expect("a batch")
}

const STYLE: StreamStyle = StreamStyle { dialect: Dialect::Warehouse, batch_rows: 2 };

/// Encodes one column and reads it back as one array.
fn round(data_type: SnowType, array: ArrayRef) -> (Arc<Schema>, ArrayRef) {
    let columns = [column(data_type)];
    let batch = normalise(&columns, &one_column(array)).expect("a carrier");
    let bytes = encode_stream(&columns, &[batch], STYLE).expect("a stream");
    let reader = StreamReader::try_new(Cursor::new(bytes), None).expect("a stream");
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("a batch")).collect();
    let whole = arrow::compute::concat_batches(&schema, &batches).expect("one batch");
    (schema, Arc::clone(whole.column(0)))
}

fn json_cells(data_type: SnowType, array: ArrayRef) -> serde_json::Value {
    let columns = [column(data_type)];
    let batch = normalise(&columns, &one_column(array)).expect("a carrier");
    let rows = encode_rows(&columns, &[batch]).expect("rows");
    let rows: Vec<Vec<Option<String>>> =
        serde_json::from_slice(&[b"[", rows.as_slice(), b"]"].concat()).expect("JSON rows");
    serde_json::json!(rows.into_iter().flatten().collect::<Vec<_>>())
}

fn numbers(values: Vec<Option<i128>>, precision: u8, scale: i8) -> ArrayRef {
    let array = Decimal128Array::from(values).with_precision_and_scale(precision, scale);
    Arc::new(array.expect("fits"))
}

fn moments(values: &[Option<i128>], precision: u8) -> ArrayRef {
    let values: Vec<Option<i256>> = values.iter().map(|value| value.map(i256::from_i128)).collect();
    let array = Decimal256Array::from(values).with_precision_and_scale(precision, 0);
    Arc::new(array.expect("fits"))
}

#[test]
fn a_number_travels_as_the_narrowest_integer_that_holds_this_stream() {
    let number = || SnowType::Number { precision: 38, scale: 2 };
    for (value, kind) in [
        (127, DataType::Int8),
        (-128, DataType::Int8),
        (128, DataType::Int16),
        (-32_769, DataType::Int32),
        (i128::from(i32::MAX), DataType::Int32),
        (i128::from(i32::MAX) + 1, DataType::Int64),
        (i128::from(i64::MIN), DataType::Int64),
        (i128::from(i64::MAX) + 1, DataType::Decimal128(38, 2)),
        (-(10_i128.pow(38) - 1), DataType::Decimal128(38, 2)),
    ] {
        let (schema, array) = round(number(), numbers(vec![Some(value), None, Some(0)], 38, 2));
        assert_eq!(schema.field(0).data_type(), &kind, "{value}");
        assert_eq!(schema.field(0).metadata()["scale"], "2");
        assert!(array.is_null(1));
        let back = arrow::util::display::array_value_to_string(&array, 0).expect("text");
        let expected = if matches!(kind, DataType::Decimal128(..)) {
            numbers(vec![Some(value)], 38, 2)
        } else {
            numbers(vec![Some(value)], 38, 0)
        };
        assert_eq!(back, arrow::util::display::array_value_to_string(&expected, 0).expect("text"));
    }
    let (schema, array) = round(number(), numbers(vec![None, None], 38, 2));
    assert_eq!(schema.field(0).data_type(), &DataType::Int8);
    assert_eq!(array.null_count(), 2);
}

#[test]
fn metadata_is_that_of_a_warehouse_or_of_the_service_layer() {
    let columns = [column(SnowType::Text { length: 10 })];
    let batch = one_column(Arc::new(StringArray::from(vec!["a"])));
    let metadata_of = |dialect| {
        let style = StreamStyle { dialect, batch_rows: 10 };
        let bytes = encode_stream(&columns, std::slice::from_ref(&batch), style).expect("stream");
        let marked = bytes.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        let reader = StreamReader::try_new(Cursor::new(bytes), None).expect("a stream");
        let mut metadata: Vec<(String, String)> =
            reader.schema().field(0).metadata().clone().into_iter().collect();
        metadata.sort();
        let metadata: Vec<String> =
            metadata.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        (metadata.join(" "), marked)
    };
    assert_eq!(
        metadata_of(Dialect::Warehouse),
        (
            "byteLength=40 charLength=10 finalType=T logicalType=TEXT precision=38 scale=0"
                .to_owned(),
            false
        )
    );
    assert_eq!(
        metadata_of(Dialect::ServiceLayer),
        ("logicalType=TEXT physicalType=LOB precision=38 scale=0".to_owned(), true)
    );
}

/// -1546391837.000000010 s, the example of the JDBC driver's tests.
const BEFORE_1970: i128 = -1_546_391_837_000_000_010;
/// 9999-12-31 23:59:59.999999999.
const LAST_MOMENT: i128 = 253_402_300_799_999_999_999;

#[test]
fn timestamps_of_scale_nine_are_floor_and_positive_fraction() {
    let values = [Some(BEFORE_1970), None, Some(LAST_MOMENT), Some(0)];
    let (schema, array) = round(SnowType::TimestampNtz { scale: 9 }, moments(&values, 49));
    assert_eq!(schema.field(0).metadata()["logicalType"], "TIMESTAMP_NTZ");
    let array = array.as_any().downcast_ref::<StructArray>().expect("a struct");
    let epoch = array.column(0).as_any().downcast_ref::<Int64Array>().expect("int64");
    let fraction = array.column(1).as_any().downcast_ref::<Int32Array>().expect("int32");
    assert_eq!((epoch.value(0), fraction.value(0)), (-1_546_391_838, 999_999_990));
    assert_eq!((epoch.value(2), fraction.value(2)), (253_402_300_799, 999_999_999));
    assert!(array.is_null(1));
    assert_eq!(
        json_cells(SnowType::TimestampNtz { scale: 9 }, moments(&values, 49)),
        serde_json::json!(["-1546391837.000000010", null, "253402300799.999999999", "0.000000000"])
    );
}

#[test]
fn timestamps_up_to_scale_seven_are_one_integer() {
    let values = [Some(-1_500_000_000), Some(LAST_MOMENT / 100 * 100)];
    let (_, array) = round(SnowType::TimestampLtz { scale: 3 }, moments(&values[..1], 53));
    let array = array.as_any().downcast_ref::<Int64Array>().expect("int64").clone();
    assert_eq!(array.value(0), -1500);
    let (_, array) = round(SnowType::TimestampNtz { scale: 7 }, moments(&values, 47));
    let array = array.as_any().downcast_ref::<Int64Array>().expect("int64");
    assert_eq!(array.value(1), 2_534_023_007_999_999_999);
    let (schema, _) = round(SnowType::TimestampNtz { scale: 8 }, moments(&values, 48));
    assert!(matches!(schema.field(0).data_type(), DataType::Struct(_)));
    assert_eq!(
        json_cells(SnowType::TimestampLtz { scale: 0 }, moments(&[Some(5_000_000_000)], 50)),
        serde_json::json!(["5"])
    );
}

#[test]
fn a_zone_travels_as_its_offset_in_two_or_three_fields() {
    let carrier = |nanos: i128, offset: i128| nanos * 4096 + offset + 1440;
    let values = [Some(carrier(BEFORE_1970, -480)), None, Some(carrier(1_000_000, 330))];
    let (schema, array) = round(SnowType::TimestampTz { scale: 9 }, moments(&values, 69));
    assert_eq!(schema.field(0).metadata()["byteLength"], "16");
    let array = array.as_any().downcast_ref::<StructArray>().expect("a struct");
    let child = |index: usize| {
        array.column(index).as_any().downcast_ref::<Int32Array>().expect("int32").clone()
    };
    let epoch = array.column(0).as_any().downcast_ref::<Int64Array>().expect("int64");
    assert_eq!(epoch.value(0), -1_546_391_838);
    assert_eq!((child(1).value(0), child(2).value(0)), (999_999_990, 960));
    assert_eq!((child(1).value(2), child(2).value(2)), (1_000_000, 1770));
    assert_eq!(
        json_cells(SnowType::TimestampTz { scale: 9 }, moments(&values, 69)),
        serde_json::json!(["-1546391837.000000010 960", null, "0.001000000 1770"])
    );
    let short = [Some(carrier(-1_500_000_000, 0))];
    let (schema, array) = round(SnowType::TimestampTz { scale: 3 }, moments(&short, 63));
    assert_eq!(schema.field(0).metadata()["byteLength"], "8");
    let array = array.as_any().downcast_ref::<StructArray>().expect("a struct");
    assert_eq!(array.num_columns(), 2);
    let epoch = array.column(0).as_any().downcast_ref::<Int64Array>().expect("int64");
    assert_eq!(epoch.value(0), -1500);
}

#[test]
fn a_time_of_day_takes_32_bits_up_to_scale_four() {
    let nanos = 86_399_999_999_999_i64;
    let times = || Arc::new(Time64NanosecondArray::from(vec![Some(nanos), None])) as ArrayRef;
    let (_, array) = round(SnowType::Time { scale: 4 }, times());
    let array = array.as_any().downcast_ref::<Int32Array>().expect("int32").clone();
    assert_eq!(array.value(0), 863_999_999);
    let (_, array) = round(SnowType::Time { scale: 9 }, times());
    let array = array.as_any().downcast_ref::<Int64Array>().expect("int64");
    assert_eq!(array.value(0), nanos);
    assert_eq!(
        json_cells(SnowType::Time { scale: 9 }, times()),
        serde_json::json!(["86399.999999999", null])
    );
}

#[test]
fn a_decfloat_is_exponent_and_shortest_significand() {
    for (text, exponent, bytes) in [
        ("0", 0, vec![0]),
        ("1.5", -1, vec![15]),
        ("-1.5", -1, vec![0xf1]),
        ("128", 0, vec![0, 128]),
        ("-128", 0, vec![0x80]),
        ("1200", 2, vec![12]),
        ("1E+400", 400, vec![1]),
        ("-2.50E-3", -4, vec![0xe7]),
    ] {
        let value = Decfloat::parse(text).expect("a number");
        assert_eq!((value.exponent, value.significand_bytes()), (exponent, bytes), "{text}");
    }
    let digits = "9".repeat(38);
    let widest = Decfloat::parse(&format!("-{digits}E-100")).expect("38 digits");
    assert_eq!(widest.significand, -(10_i128.pow(38) - 1));
    for text in ["", "x", "1e", "1E99999", &format!("1{digits}")] {
        assert_eq!(Decfloat::parse(text), None, "{text}");
    }
    let array: ArrayRef = Arc::new(StringArray::from(vec![Some("1.5"), None]));
    let (schema, array) = round(SnowType::Decfloat, array);
    assert_eq!(schema.field(0).metadata()["logicalType"], "DECFLOAT");
    let array = array.as_any().downcast_ref::<StructArray>().expect("a struct");
    let exponent = array.column(0).as_any().downcast_ref::<Int16Array>().expect("int16");
    let digits = array.column(1).as_any().downcast_ref::<BinaryArray>().expect("binary");
    assert_eq!((exponent.value(0), digits.value(0)), (-1, [15].as_slice()));
    assert!(array.is_null(1));
}

#[test]
fn the_other_types_travel_as_their_plain_arrow_types() {
    let cases: Vec<(SnowType, ArrayRef, DataType, serde_json::Value)> = vec![
        (
            SnowType::Boolean,
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
            DataType::Boolean,
            serde_json::json!(["1", "0", null]),
        ),
        (
            SnowType::Date,
            Arc::new(Date32Array::from(vec![Some(-719_162), Some(16_821), None])),
            DataType::Date32,
            serde_json::json!(["-719162", "16821", null]),
        ),
        (
            SnowType::Float,
            Arc::new(Float64Array::from(vec![1.0, -0.1, f64::NAN])),
            DataType::Float64,
            serde_json::json!(["1", "-0.1", "NaN"]),
        ),
        (
            SnowType::Text { length: 3 },
            Arc::new(StringArray::from(vec![Some(""), Some("ä\"\n"), None])),
            DataType::Utf8,
            serde_json::json!(["", "ä\"\n", null]),
        ),
        (
            SnowType::Binary { length: 3 },
            Arc::new(BinaryArray::from(vec![Some([0xab, 0].as_slice()), Some(&[]), None])),
            DataType::Binary,
            serde_json::json!(["AB00", "", null]),
        ),
        (
            SnowType::Variant,
            Arc::new(LargeStringArray::from(vec![Some("{\"a\":1}"), Some("null"), None])),
            DataType::Utf8,
            serde_json::json!(["{\"a\":1}", "null", null]),
        ),
    ];
    for (data_type, array, wire, cells) in cases {
        let (schema, back) = round(data_type.clone(), Arc::clone(&array));
        assert_eq!(schema.field(0).data_type(), &wire, "{data_type:?}");
        for row in 0..array.len() {
            let text = |array: &ArrayRef| {
                arrow::util::display::array_value_to_string(array, row).expect("text")
            };
            assert_eq!(text(&back), text(&array), "{data_type:?}");
        }
        assert_eq!(json_cells(data_type, array), cells);
    }
}

#[test]
fn a_vector_is_a_list_of_fixed_size() {
    let rows = vec![Some(vec![Some(1.5), Some(-2.0)]), None];
    let list = FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(rows, 2);
    let vector = || SnowType::Vector { element: VectorElement::Float, dimension: 2 };
    let (schema, back) = round(vector(), Arc::new(list.clone()));
    assert_eq!(schema.field(0).metadata()["logicalType"], "VECTOR");
    let back = back.as_any().downcast_ref::<FixedSizeListArray>().expect("a list");
    let first = back.value(0);
    let first = first.as_any().downcast_ref::<Float32Array>().expect("float32");
    assert_eq!(first.values(), &[1.5, -2.0]);
    assert!(back.is_null(1));
    assert_eq!(json_cells(vector(), Arc::new(list)), serde_json::json!(["[1.5,-2.0]", null]));
    let entry = &rowtype(&[column(vector())])[0];
    assert_eq!(
        (&entry["vectorDimension"], &entry["fields"][0]["type"]),
        (&2.into(), &"real".into())
    );
}

#[test]
fn rowtype_tells_type_precision_scale_and_lengths() {
    let cases = [
        (SnowType::Number { precision: 12, scale: 2 }, r#"["fixed",12,2,null,null]"#),
        (SnowType::Text { length: 10 }, r#"["text",null,null,10,40]"#),
        (SnowType::Text { length: 16_777_216 }, r#"["text",null,null,16777216,16777216]"#),
        (SnowType::Binary { length: 8 }, r#"["binary",null,null,8,8]"#),
        (SnowType::TimestampNtz { scale: 3 }, r#"["timestamp_ntz",0,3,null,null]"#),
        (SnowType::TimestampTz { scale: 9 }, r#"["timestamp_tz",0,9,null,16]"#),
        (SnowType::TimestampTz { scale: 3 }, r#"["timestamp_tz",0,3,null,8]"#),
        (SnowType::Time { scale: 9 }, r#"["time",0,9,null,null]"#),
        (SnowType::Geography, r#"["object",null,null,null,null]"#),
    ];
    for (data_type, expected) in cases {
        let entry = &rowtype(&[column(data_type)])[0];
        let found = serde_json::json!([
            entry["type"],
            entry["precision"],
            entry["scale"],
            entry["length"],
            entry["byteLength"]
        ]);
        assert_eq!(found.to_string(), expected);
        assert_eq!(entry["database"], "D");
    }
    assert_eq!(rowtype(&[column(SnowType::Geography)])[0]["extTypeName"], "GEOGRAPHY");
}

#[test]
fn near_misses_of_a_carrier_are_cast_and_others_refused() {
    let views: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), None]));
    let columns = [column(SnowType::Text { length: 10 })];
    let batch = normalise(&columns, &one_column(views)).expect("a carrier");
    assert_eq!(batch.column(0).data_type(), &DataType::Utf8);
    let counts: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX]));
    let columns = [column(SnowType::Number { precision: 38, scale: 0 })];
    let batch = normalise(&columns, &one_column(counts)).expect("a carrier");
    assert_eq!(batch.column(0).data_type(), &DataType::Decimal128(38, 0));
    let narrow = [column(SnowType::Number { precision: 2, scale: 0 })];
    let wide: ArrayRef = Arc::new(Int64Array::from(vec![1000]));
    assert!(normalise(&narrow, &one_column(wide)).is_err());
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![1]));
    assert!(normalise(&columns, &one_column(dates)).is_err());
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
    assert!(normalise(&columns, &one_column(floats)).is_err());
}

#[test]
fn a_float_reads_back_as_the_same_number() {
    for value in [0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, f64::MAX, -123.456] {
        let text = float_text(value);
        assert_eq!(text.parse::<f64>().expect("a number").to_bits(), value.to_bits(), "{text}");
        assert!(text.len() < 30, "{text}");
    }
    assert_eq!(float_text(f64::NEG_INFINITY), "-inf");
}

#[test]
fn json_numbers_have_exactly_their_scale() {
    let cells = json_cells(
        SnowType::Number { precision: 38, scale: 3 },
        numbers(vec![Some(984_280), Some(-5), None, Some(10_i128.pow(38) - 1)], 38, 3),
    );
    let nines = "9".repeat(35);
    assert_eq!(cells, serde_json::json!(["984.280", "-0.005", null, format!("{nines}.999")]));
}
