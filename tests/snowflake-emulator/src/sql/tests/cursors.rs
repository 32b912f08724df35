//! What an incremental pull relies on: the text of a bound compares as the very value it came
//! from, at every digit, before 1970 as well as after.

use super::Fixture;

/// The statements of our own client, on quoted identifiers.
const TABLE: &str = r#"CREATE TABLE "D"."PUBLIC"."t" (
    "id" NUMBER(38,0) NOT NULL PRIMARY KEY, "n" NUMBER(38,0), "d" DATE,
    "ntz" TIMESTAMP_NTZ(9), "ltz" TIMESTAMP_LTZ(9), "tz" TIMESTAMP_TZ(9), "s" NUMBER(38,10))"#;

const NINE_DIGITS: &str = "ALTER SESSION SET TIMEZONE = 'UTC', \
    TIMESTAMP_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM', \
    TIMESTAMP_NTZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9', \
    TIMESTAMP_LTZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM', \
    TIMESTAMP_TZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM'";

const EXTREMES: [&str; 6] = [
    "(1, -99999999999999999999999999999999999999, '0001-01-01', '0001-01-01 00:00:00.000000001', \
      '0001-01-02 00:00:00.000000001 +00:00', '0001-01-02 00:00:00.000000001 +00:00', \
      -9999999999999999999999999999.9999999999)",
    "(2, -1, '1969-12-31', '1969-12-31 23:59:59.999999999', \
      '1969-12-31 23:59:59.999999999 +00:00', '1969-12-31 23:59:59.999999999 +08:00', -0.0000000001)",
    "(3, 9007199254740993, '1970-01-01', '1970-01-01 00:00:00.000000000', \
      '1970-01-01 00:00:00.000000000 +00:00', '1970-01-01 00:00:00.000000000 +05:45', 0)",
    "(4, 9223372036854775808, '2024-02-29', '2024-02-29 12:34:56.123456789', \
      '2024-02-29 12:34:56.123456789 +02:00', '2024-02-29 12:34:56.123456789 -11:30', 0.0000000001)",
    "(5, 99999999999999999999999999999999999999, '9999-12-31', '9999-12-31 23:59:59.999999999', \
      '9999-12-30 23:59:59.999999999 +00:00', '9999-12-30 23:59:59.999999999 +14:00', \
      9999999999999999999999999999.9999999999)",
    "(6, NULL, NULL, NULL, NULL, NULL, NULL)",
];

async fn filled() -> Fixture {
    let mut fixture = Fixture::new().await;
    fixture.text(NINE_DIGITS).await;
    fixture.text(TABLE).await;
    for row in EXTREMES {
        let sql = format!(r#"INSERT INTO "D"."PUBLIC"."t" VALUES {row}"#);
        assert_eq!(fixture.text(&sql).await, "1", "{row}");
    }
    fixture
}

#[tokio::test]
async fn the_text_of_each_cursor_finds_exactly_its_own_row() {
    let mut fixture = filled().await;
    for (column, cast) in [
        ("n", "NUMBER(38,0)"),
        ("d", "DATE"),
        ("ntz", "TIMESTAMP_NTZ(9)"),
        ("ltz", "TIMESTAMP_LTZ(9)"),
        ("tz", "TIMESTAMP_TZ(9)"),
        ("s", "NUMBER(38,10)"),
    ] {
        for id in 1..=5 {
            let read =
                format!(r#"SELECT TO_VARCHAR("{column}") FROM "D"."PUBLIC"."t" WHERE "id" = {id}"#);
            let text = fixture.text(&read).await;
            let from = r#"FROM "D"."PUBLIC"."t" WHERE"#;
            for (operator, expected) in
                [("=", 1), (">=", 6 - id), (">", 5 - id), ("<=", id), ("<", id - 1)]
            {
                let sql = format!(r#"SELECT COUNT(*) {from} "{column}" {operator} ?::{cast}"#);
                let got = fixture.bound(&sql, &[("TEXT", &text)]).await;
                assert_eq!(got, expected.to_string(), "{column} {operator} {text}");
            }
            let literal = format!(r#"SELECT "id" {from} "{column}" = '{text}'::{cast}"#);
            assert_eq!(fixture.text(&literal).await, id.to_string(), "{literal}");
        }
    }
}

#[tokio::test]
async fn the_bound_of_a_slice_is_the_greatest_value_in_full() {
    let mut fixture = filled().await;
    fixture.check(&[
        (
            r#"SELECT COUNT(*), TO_VARCHAR(MAX("ntz")), COUNT_IF("ntz" IS NULL) FROM "D"."PUBLIC"."t""#,
            "6|9999-12-31 23:59:59.999999999|1",
        ),
        (
            r#"SELECT TO_VARCHAR(MIN("n")), TO_VARCHAR(MAX("n")) FROM "D"."PUBLIC"."t""#,
            "-99999999999999999999999999999999999999|99999999999999999999999999999999999999",
        ),
        (
            r#"SELECT COUNT_IF(MOD(DATE_PART(NANOSECOND, "ntz"), 1000) <> 0) FROM "D"."PUBLIC"."t""#,
            "4",
        ),
        (
            r#"SELECT "id" FROM "D"."PUBLIC"."t" WHERE "ntz" > '1969-12-31 23:59:59.999999998'::TIMESTAMP_NTZ(9)
               AND "ltz" <= '2024-02-29 10:34:56.123456789 +0000'::TIMESTAMP_LTZ(9) ORDER BY "id""#,
            "2 / 3 / 4",
        ),
        (
            r#"SELECT "id" FROM "D"."PUBLIC"."t" WHERE "tz" >= DATEADD(SECOND, -3600, '1970-01-01 01:00:00.000000000 +05:45'::TIMESTAMP_TZ(9)) ORDER BY 1"#,
            "3 / 4 / 5",
        ),
        (
            r#"SELECT "id" FROM "D"."PUBLIC"."t" WHERE "n" >= '9007199254740998'::NUMBER(38,0) - 5 ORDER BY 1"#,
            "3 / 4 / 5",
        ),
        (r#"SELECT "id" FROM "D"."PUBLIC"."t" WHERE "d" > '1969-12-31'::DATE ORDER BY 1"#, "3 / 4 / 5"),
    ]).await;
}

#[tokio::test]
async fn a_wall_clock_is_read_in_the_zone_of_the_session() {
    let mut fixture = Fixture::new().await;
    fixture.check(&[
        ("ALTER SESSION SET TIMEZONE = 'America/New_York'", "Statement executed successfully."),
        ("SELECT '2024-07-01 00:00:00'::TIMESTAMP_LTZ", "2024-07-01 04:00:00.000000000 +0000"),
        ("SELECT '2024-01-01 00:00:00'::TIMESTAMP_LTZ", "2024-01-01 05:00:00.000000000 +0000"),
        ("SELECT TO_VARCHAR('2024-07-01 00:00:00 +00:00'::TIMESTAMP_LTZ)", "2024-06-30 20:00:00.000 -0400"),
        ("SELECT '2024-07-01 00:00:00'::TIMESTAMP_TZ", "2024-07-01 00:00:00.000000000 -0400"),
        ("SELECT '2024-07-01 00:00:00'::TIMESTAMP_NTZ = '2024-07-01 04:00:00 +00:00'::TIMESTAMP_LTZ", "true"),
        ("SELECT '2024-07-01 02:00:00 +02:00'::TIMESTAMP_TZ = '2024-07-01 00:00:00 +00:00'::TIMESTAMP_TZ", "true"),
        ("SELECT '2024-07-01 00:00:00 +00:00'::TIMESTAMP_TZ::DATE", "2024-07-01"),
        ("SELECT '2024-07-01 00:00:00 +00:00'::TIMESTAMP_LTZ::DATE", "2024-06-30"),
        ("SELECT DATEADD(DAY, 1, '2024-03-09 12:00:00'::TIMESTAMP_LTZ)", "2024-03-10 16:00:00.000000000 +0000"),
        ("SELECT DATEADD(HOUR, 24, '2024-03-09 12:00:00'::TIMESTAMP_LTZ)", "2024-03-10 17:00:00.000000000 +0000"),
        ("ALTER SESSION SET TIMEZONE = 'Mars/Olympus'", "001008"),
    ]).await;
}

#[tokio::test]
async fn names_of_tables_are_taken_from_texts_and_binds() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE \"odd name\" (A INT)").await;
    let insert = "INSERT INTO IDENTIFIER(?) VALUES (?), (?)";
    let binds = [("TEXT", "\"odd name\""), ("FIXED", "7"), ("FIXED", "8")];
    assert_eq!(fixture.bound(insert, &binds).await, "2");
    for (sql, binds) in [
        ("SELECT MAX(A) FROM IDENTIFIER(?)", &binds[..1]),
        ("SELECT MAX(A) FROM IDENTIFIER('D.PUBLIC.\"odd name\"')", &[]),
        ("SELECT A FROM IDENTIFIER(?) WHERE A > ?", &binds[..2]),
    ] {
        assert_eq!(fixture.bound(sql, binds).await, "8", "{sql}");
    }
}

#[tokio::test]
async fn binds_carry_values_in_the_units_of_the_drivers() {
    let mut fixture = Fixture::new().await;
    for (kind, value, expected) in [
        (
            "FIXED",
            "-99999999999999999999999999999999999999",
            "-99999999999999999999999999999999999999",
        ),
        ("REAL", "1.5", "1.5"),
        ("TEXT", "o'clock", "o'clock"),
        ("BOOLEAN", "true", "true"),
        ("BINARY", "00ff", "00FF"),
        ("DATE", "-86400000", "1969-12-31"),
        ("TIME", "86399999999999", "23:59:59.999999999"),
        ("TIMESTAMP_NTZ", "-1", "1969-12-31 23:59:59.999999999"),
        ("TIMESTAMP_LTZ", "1", "1970-01-01 00:00:00.000000001 +0000"),
        ("TIMESTAMP_TZ", "0 960", "1969-12-31 16:00:00.000000000 -0800"),
        ("BLOB", "1", "002049"),
    ] {
        assert_eq!(fixture.bound("SELECT ?", &[(kind, value)]).await, expected, "{kind}");
        assert_eq!(fixture.bound("SELECT :1", &[(kind, value)]).await, expected, "{kind}");
    }
    assert_eq!(fixture.bound("SELECT ?, ?", &[("TEXT", "a"), ("TEXT", "b")]).await, "a|b");
    assert_eq!(fixture.bound("SELECT :2, :1", &[("TEXT", "a"), ("TEXT", "b")]).await, "b|a");
    assert_eq!(fixture.bound("SELECT ?, ?", &[("TEXT", "a")]).await, "002049");
}
