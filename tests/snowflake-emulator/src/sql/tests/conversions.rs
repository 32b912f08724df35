//! Casts and the text of every type.

use super::Fixture;

#[tokio::test]
async fn text_becomes_exactly_the_value_it_spells() {
    let mut fixture = Fixture::new().await;
    fixture.check(&[
        ("SELECT '12.345'::NUMBER(10,2), TO_NUMBER('12.5'), TO_NUMBER('12.345', 10, 2)", "12.35|13|12.35"),
        ("SELECT '1e3'::NUMBER, '-.5'::NUMBER(2,1), ' 7 '::INT", "1000|-0.5|7"),
        ("SELECT 'x'::INT", "100038"),
        ("SELECT ''::INT", "100038"),
        ("SELECT 1000::NUMBER(3,0)", "100132"),
        ("SELECT TRY_CAST('x' AS INT), TRY_TO_DATE('2024-13-01'), TRY_CAST('5' AS INT)", "NULL|NULL|5"),
        ("SELECT 'NaN'::FLOAT, 'inf'::FLOAT, '-inf'::FLOAT, '1e400'::FLOAT", "100038"),
        ("SELECT '0.1'::FLOAT, 1e20::FLOAT, 123456789.125::FLOAT", "0.1|1e+20|123456789.125"),
        ("SELECT 2.5::FLOAT::INT, -2.5::FLOAT::INT, 1e38::FLOAT::NUMBER(38,0)", "100132"),
        ("SELECT 2.5::FLOAT::INT, -2.5::FLOAT::INT", "3|-3"),
        ("SELECT '0001-01-01'::DATE, '9999-12-31'::DATE", "0001-01-01|9999-12-31"),
        ("SELECT '2023-02-29'::DATE", "100040"),
        ("SELECT '2024-01-01 25:00:00'::TIMESTAMP_NTZ", "100035"),
        ("SELECT '2024-01-01T10:11:12.123456789Z'::TIMESTAMP_TZ", "2024-01-01 10:11:12.123456789 +0000"),
        ("SELECT '2024-01-01 10:00 +0530'::TIMESTAMP_TZ(0)", "2024-01-01 10:00:00.000000000 +0530"),
        ("SELECT '2024-01-01 00:00:00.999999999'::TIMESTAMP_NTZ(3)", "2024-01-01 00:00:00.999000000"),
        ("SELECT '1969-12-31 23:59:59.999999999'::TIMESTAMP_NTZ(0)", "1969-12-31 23:59:59.000000000"),
        ("SELECT '12:34:56.789'::TIME, '23:59:59.999999999'::TIME(0)", "12:34:56.789000000|23:59:59.000000000"),
        ("SELECT 'yes'::BOOLEAN, 0::BOOLEAN, 'off'::BOOLEAN", "true|false|false"),
        ("SELECT 'maybe'::BOOLEAN", "100037"),
        ("SELECT 'abc'::VARCHAR(2)", "100078"),
        ("SELECT '0g'::BINARY", "100115"),
        ("SELECT '[1,2.5]'::VARIANT", r#""[1,2.5]""#),
        ("SELECT PARSE_JSON('[1,2.5]')::VECTOR(FLOAT, 2)", "[1.000000,2.500000]"),
        ("SELECT PARSE_JSON('[1]')::VECTOR(FLOAT, 2)", "100071"),
        ("SELECT PARSE_JSON('\"5\"')::INT, PARSE_JSON('null')::INT, PARSE_JSON('7')::VARCHAR", "5|NULL|7"),
        ("SELECT PARSE_JSON('[1]')::INT", "100071"),
        ("SELECT '123.4500'::DECFLOAT, '1E-400'::DECFLOAT, '12345678901234567890123456789012345678'::DECFLOAT", "123.45|1e-400|12345678901234567890123456789012345678"),
        ("SELECT 1700000000::TIMESTAMP_NTZ, TO_TIMESTAMP_NTZ(1700000000123, 3)", "2023-11-14 22:13:20.000000000|2023-11-14 22:13:20.123000000"),
        ("SELECT 1::BLOB", "002040"),
    ]).await;
}

#[tokio::test]
async fn values_become_the_text_that_the_session_asks_for() {
    let mut fixture = Fixture::new().await;
    fixture.check(&[
        ("SELECT TO_VARCHAR(1234.50), TO_VARCHAR(1.0::FLOAT), TRUE::VARCHAR, '2024-01-01'::DATE::VARCHAR", "1234.50|1|true|2024-01-01"),
        ("SELECT TO_VARCHAR('2024-01-01 00:00:00.123456789'::TIMESTAMP_NTZ)", "2024-01-01 00:00:00.123"),
        ("SELECT TO_VARCHAR('2024-01-01 00:00:00.123456789 +01:00'::TIMESTAMP_TZ)", "2024-01-01 00:00:00.123 +0100"),
        ("SELECT TO_VARCHAR('2024-01-01 00:00:00.123456789'::TIMESTAMP_NTZ, 'YYYY-MM-DD HH24:MI:SS.FF9')", "2024-01-01 00:00:00.123456789"),
        ("SELECT TO_VARCHAR('2024-01-01 00:00:00 +01:00'::TIMESTAMP_TZ, 'YYYY-MM-DD\"T\"HH24:MI:SS TZH:TZM')", "2024-01-01T00:00:00 +01:00"),
        ("SELECT TO_VARCHAR('2024-01-01'::DATE, 'Mon DD')", "000002"),
        ("ALTER SESSION SET TIMESTAMP_NTZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9'", "Statement executed successfully."),
        ("SELECT '0001-01-01 00:00:00.000000001'::TIMESTAMP_NTZ::VARCHAR", "0001-01-01 00:00:00.000000001"),
        ("ALTER SESSION UNSET TIMESTAMP_NTZ_OUTPUT_FORMAT", "Statement executed successfully."),
        ("SELECT '0001-01-01 00:00:00.000000001'::TIMESTAMP_NTZ::VARCHAR", "0001-01-01 00:00:00.000"),
            ("ALTER SESSION SET TRANSACTION_ABORT_ON_ERROR = TRUE", "000002"),
        ("ALTER SESSION SET TIMESTAMP_OUTPUT_FORMAT = 'HH12'", "000002"),
    ]).await;
}

#[tokio::test]
async fn every_type_keeps_every_value_through_a_table() {
    let mut fixture = Fixture::new().await;
    for (data_type, value, shown) in [
        (
            "NUMBER(38,0)",
            "-99999999999999999999999999999999999999",
            "-99999999999999999999999999999999999999",
        ),
        (
            "NUMBER(38,37)",
            "9.9999999999999999999999999999999999999",
            "9.9999999999999999999999999999999999999",
        ),
        ("NUMBER(1,1)", "-0.9", "-0.9"),
        ("FLOAT", "'NaN'", "NaN"),
        ("FLOAT", "-1.7976931348623157e308", "-1.7976931348623157e+308"),
        ("DECFLOAT", "'-1.5E100'", "-1.5e100"),
        ("VARCHAR(3)", "'é😀x'", "é😀x"),
        ("VARCHAR", "''", ""),
        ("BINARY(2)", "TO_BINARY('00FF')", "00FF"),
        ("BOOLEAN", "FALSE", "false"),
        ("DATE", "'0001-01-01'", "0001-01-01"),
        ("TIME(9)", "'23:59:59.999999999'", "23:59:59.999999999"),
        ("TIME(3)", "'23:59:59.999999999'", "23:59:59.999000000"),
        ("TIMESTAMP_NTZ(9)", "'0001-01-01 00:00:00.000000001'", "0001-01-01 00:00:00.000000001"),
        (
            "TIMESTAMP_LTZ(6)",
            "'1900-01-01 00:00:00.123456 +00:00'",
            "1900-01-01 00:00:00.123456000 +0000",
        ),
        (
            "TIMESTAMP_TZ(9)",
            "'9999-12-31 23:59:59.999999999 +14:00'",
            "9999-12-31 23:59:59.999999999 +1400",
        ),
        ("TIMESTAMP_TZ(0)", "'1969-12-31 23:59:59 -12:00'", "1969-12-31 23:59:59.000000000 -1200"),
        ("VARIANT", "PARSE_JSON('1.10')", "1.10"),
        ("OBJECT", "OBJECT_CONSTRUCT('k', 'v')", r#"{"k":"v"}"#),
        ("ARRAY", "ARRAY_CONSTRUCT(1, 2)", "[1,2]"),
        ("GEOGRAPHY", "'POINT(1 2)'", r#"{"coordinates":[1,2],"type":"Point"}"#),
        (
            "GEOMETRY",
            r#"'{"type":"LineString","coordinates":[[0,0],[1.5,-2]]}'"#,
            r#"{"coordinates":[[0,0],[1.5,-2]],"type":"LineString"}"#,
        ),
        ("MAP(VARCHAR, NUMBER)", "OBJECT_CONSTRUCT('k', 1)::MAP(VARCHAR, NUMBER)", r#"{"k":1}"#),
        ("VECTOR(INT, 2)", "ARRAY_CONSTRUCT(1, -2)::VECTOR(INT, 2)", "[1,-2]"),
    ] {
        fixture.text(&format!("CREATE OR REPLACE TABLE T (A {data_type}, B INT)")).await;
        let insert = format!("INSERT INTO T SELECT {value}, 1 UNION ALL SELECT NULL, 2");
        assert_eq!(fixture.text(&insert).await, "2", "{insert}");
        let got = fixture.text("SELECT A FROM T ORDER BY B").await;
        assert_eq!(got, format!("{shown} / NULL"), "{data_type}");
        assert_eq!(fixture.types("SELECT A FROM T").await, full(data_type), "{data_type}");
        fixture.text("CREATE OR REPLACE TABLE U AS SELECT * FROM T").await;
        let got = fixture.text("SELECT A FROM U ORDER BY B").await;
        assert_eq!(got, format!("{shown} / NULL"), "{data_type} copied");
    }
}

/// VARCHAR without a length has the longest, and of a MAP only the name is told.
fn full(data_type: &str) -> &str {
    match data_type {
        "VARCHAR" => "VARCHAR(16777216)",
        "MAP(VARCHAR, NUMBER)" => "MAP",
        _ => data_type,
    }
}
