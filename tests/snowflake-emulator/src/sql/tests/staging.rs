//! Stages, COPY INTO tables and locations.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt32Array,
};
use parquet::arrow::ArrowWriter;

use super::Fixture;
use crate::engine::Transfer;
use crate::stages::Attributes;

impl Fixture {
    /// The number of a stage, as PUT tells it.
    async fn stage(&mut self, location: &str) -> u64 {
        let put = format!("PUT file:///a {location}");
        let outcome = self.engine.execute(&mut self.session, &put, &[]).await.unwrap();
        match outcome.transfer {
            Some(Transfer::Upload(upload)) => upload.stage,
            other => panic!("{other:?}"),
        }
    }

    /// Puts a file into a stage without a driver.
    async fn put(&mut self, location: &str, path: &str, content: &[u8]) {
        let stage = self.stage(location).await;
        self.engine.stages().write(stage, path, content, Attributes::default()).unwrap();
    }
}

fn parquet_of(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn stages_are_made_listed_and_dropped() {
    let mut fixture = Fixture::new().await;
    let cases = [
        ("CREATE STAGE s COMMENT = 'x'", "Stage area S successfully created."),
        ("CREATE STAGE s", "002002"),
        ("CREATE STAGE IF NOT EXISTS s", "S already exists, statement succeeded."),
        ("LIST @s", ""),
        ("LIST @missing", "002003"),
        ("CREATE STAGE bad NONSENSE = 1", "001006"),
        ("CREATE STAGE bad URL = 'ftp://x'", "001008"),
        ("DROP STAGE s", "S successfully dropped."),
        ("DROP STAGE s", "002003"),
        ("DROP STAGE IF EXISTS s", "Drop statement executed successfully (S already dropped)."),
        ("CREATE FILE FORMAT f TYPE = CSV SKIP_HEADER = 1", "File format F successfully created."),
        ("DROP FILE FORMAT f", "F successfully dropped."),
        ("PUT file:///a @~", ""),
        ("PUT file:///a @nowhere", "002003"),
        ("PUT file:///a @~ NONSENSE = TRUE", "001006"),
        ("GET @~ file:///tmp", ""),
    ];
    fixture.check(&cases).await;
}

#[tokio::test]
async fn a_temporary_stage_hides_a_permanent_one_and_ends_with_its_session() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE STAGE s").await;
    fixture.put("@s", "permanent", b"1").await;
    fixture.text("CREATE TEMPORARY STAGE s").await;
    fixture.put("@s", "temporary", b"1").await;
    assert!(fixture.text("LIST @s").await.starts_with("s/temporary|1|"));
    fixture.engine.end_session(fixture.session.session_id);
    assert!(fixture.text("LIST @s").await.starts_with("s/permanent|1|"));
}

#[tokio::test]
async fn files_are_listed_and_removed_by_pattern() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE t (a INT)").await;
    for path in ["a/1.csv", "a/2.csv", "b/1.csv"] {
        fixture.put("@%t", path, b"1\n").await;
    }
    let cases = [
        ("REMOVE @%t/a PATTERN = '.*/2[.]csv'", "a/2.csv|removed"),
        ("REMOVE @%t/a PATTERN = '('", "100048"),
        ("REMOVE @%t/a/", "a/1.csv|removed"),
        ("REMOVE @%t", "b/1.csv|removed"),
        ("LIST @%t", ""),
    ];
    fixture.check(&cases).await;
}

#[tokio::test]
async fn csv_is_loaded_once_until_it_changes() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE t (a INT, b VARCHAR(3))").await;
    fixture.text("CREATE STAGE s FILE_FORMAT = (TYPE = CSV)").await;
    fixture.put("@s", "x/1.csv", b"1,a\n2,b\n").await;
    let none = "Copy executed with 0 files processed.";
    let loaded = "s/x/1.csv|LOADED|2|2|1|0|NULL|NULL|NULL|NULL";
    let cases = [
        ("COPY INTO t FROM @s/y", none),
        ("COPY INTO t FROM @s/x", loaded),
        ("COPY INTO t FROM @s/x", none),
        ("COPY INTO t FROM @s/x FORCE = TRUE", loaded),
        ("SELECT COUNT(*), SUM(a) FROM t", "4|6"),
        ("DELETE FROM t", "4"),
        ("COPY INTO t FROM @s/x", none),
        ("TRUNCATE TABLE t", "Statement executed successfully."),
        ("COPY INTO t FROM @s FILES = ('x/1.csv')", loaded),
        ("CREATE OR REPLACE TABLE t (a INT, b VARCHAR(3))", "Table T successfully created."),
        ("COPY INTO t FROM @s/x/ FILES = ('1.csv')", loaded),
        ("COPY INTO t FROM @s FILES = ('x/1.csv', 'x/2.csv') FORCE = TRUE", "091016"),
        ("SELECT COUNT(*) FROM t", "2"),
    ];
    fixture.check(&cases).await;
    fixture.put("@s", "x/1.csv", b"3,c\n").await;
    let cases = [
        ("COPY INTO t FROM @s PATTERN = '.*csv'", "s/x/1.csv|LOADED|1|1|1|0|NULL|NULL|NULL|NULL"),
        ("COPY INTO t FROM @s PATTERN = '.*txt'", none),
        ("SELECT * FROM t ORDER BY a", "1|a / 2|b / 3|c"),
        (
            "COPY INTO t FROM @s PURGE = TRUE FORCE = TRUE",
            "s/x/1.csv|LOADED|1|1|1|0|NULL|NULL|NULL|NULL",
        ),
        ("LIST @s", ""),
    ];
    fixture.check(&cases).await;
}

#[tokio::test]
async fn a_bad_row_does_what_on_error_says() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE t (a NUMBER(3,0) NOT NULL, b VARCHAR(3))").await;
    fixture.put("@%t", "bad.csv", b"1,a\nx,b\n3,long text\n,d\n5,e\n").await;
    fixture.put("@%t", "good.csv", b"6,f\n").await;
    let bad =
        "bad.csv|PARTIALLY_LOADED|5|2|5|3|Numeric value 'x' is not recognized|2|1|\"T\"[\"A\":1]";
    let good = "good.csv|LOADED|1|1|1|0|NULL|NULL|NULL|NULL";
    let cases = [
        ("COPY INTO t", "001003"),
        ("COPY INTO t FROM @%t", "100038"),
        ("SELECT COUNT(*) FROM t", "0"),
        (
            "COPY INTO t FROM @%t VALIDATION_MODE = RETURN_ERRORS",
            "Numeric value 'x' is not recognized|bad.csv|2|1|NULL|conversion|100038|22018|\"T\"[\"A\":1]|2|2 / String 'long text' is too long and would be truncated|bad.csv|3|1|NULL|conversion|100078|22000|\"T\"[\"B\":2]|3|3 / NULL result in a non-nullable column 'A'|bad.csv|4|1|NULL|conversion|100072|22000|\"T\"[\"A\":1]|4|4",
        ),
        (
            "COPY INTO t FROM @%t FILES = ('bad.csv') ON_ERROR = SKIP_FILE",
            "bad.csv|LOAD_FAILED|5|0|1|3|Numeric value 'x' is not recognized|2|1|\"T\"[\"A\":1]",
        ),
        (
            "COPY INTO t FROM @%t FILES = ('bad.csv') ON_ERROR = 'SKIP_FILE_60%'",
            "bad.csv|LOAD_FAILED|5|0|3|3|Numeric value 'x' is not recognized|2|1|\"T\"[\"A\":1]",
        ),
        (
            "COPY INTO t FROM @%t FILES = ('bad.csv') ON_ERROR = SKIP_FILE_4",
            "bad.csv|PARTIALLY_LOADED|5|2|4|3|Numeric value 'x' is not recognized|2|1|\"T\"[\"A\":1]",
        ),
        ("SELECT * FROM t ORDER BY a", "1|a / 5|e"),
        ("TRUNCATE TABLE t", "Statement executed successfully."),
        ("COPY INTO t FROM @%t FILES = ('bad.csv') ON_ERROR = CONTINUE", bad),
        ("COPY INTO t FROM @%t ON_ERROR = CONTINUE", good),
        (
            "COPY INTO t FROM @%t FILES = ('bad.csv') ON_ERROR = CONTINUE TRUNCATECOLUMNS = TRUE FORCE = TRUE",
            "bad.csv|PARTIALLY_LOADED|5|3|5|2|Numeric value 'x' is not recognized|2|1|\"T\"[\"A\":1]",
        ),
        ("SELECT a, b FROM t ORDER BY a, b", "1|a / 1|a / 3|lon / 5|e / 5|e / 6|f"),
        ("COPY INTO t FROM @%t ON_ERROR = MAYBE", "001008"),
        ("COPY INTO t FROM @%t NONSENSE = 1", "001006"),
    ];
    fixture.check(&cases).await;
}

#[tokio::test]
async fn the_number_of_fields_counts_unless_told_otherwise() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE t (a INT, b INT DEFAULT 7)").await;
    fixture.put("@%t", "a.csv", b"1,2,3\n4\n").await;
    let loose = "FILE_FORMAT = (TYPE = CSV ERROR_ON_COLUMN_COUNT_MISMATCH = FALSE)";
    let cases = [
        ("COPY INTO t FROM @%t".to_owned(), "100080"),
        (format!("COPY INTO t FROM @%t {loose}"), "a.csv|LOADED|2|2|1|0|NULL|NULL|NULL|NULL"),
        ("SELECT * FROM t ORDER BY a".to_owned(), "1|2 / 4|NULL"),
        ("TRUNCATE TABLE t".to_owned(), "Statement executed successfully."),
        (
            "COPY INTO t (a) FROM (SELECT $1 FROM @%t)".to_owned(),
            "a.csv|LOADED|2|2|1|0|NULL|NULL|NULL|NULL",
        ),
        ("SELECT * FROM t ORDER BY a".to_owned(), "1|7 / 4|7"),
        (
            "COPY INTO t FROM (SELECT x.$1::INT + 1, METADATA$FILE_ROW_NUMBER FROM @%t x) \
             FORCE = TRUE"
                .to_owned(),
            "a.csv|LOADED|2|2|1|0|NULL|NULL|NULL|NULL",
        ),
        ("SELECT * FROM t ORDER BY a, b".to_owned(), "1|7 / 2|1 / 4|7 / 5|2"),
        ("COPY INTO t (nope) FROM @%t".to_owned(), "000904"),
        ("COPY INTO nope FROM @%t".to_owned(), "002003"),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|(sql, row)| (sql.as_str(), *row)).collect();
    fixture.check(&cases).await;
}

#[tokio::test]
async fn json_fills_one_variant_or_columns_by_name() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE v (j VARIANT)").await;
    fixture.text("CREATE TABLE t (id INT, \"Name\" VARCHAR, more VARIANT)").await;
    fixture
        .put("@~", "d.json", b"{\"ID\":1,\"Name\":\"a\"}\n{\"id\":2,\"more\":{\"x\":1.50}}")
        .await;
    let format = "FILE_FORMAT = (TYPE = JSON)";
    let loaded = "d.json|LOADED|2|2|1|0|NULL|NULL|NULL|NULL";
    let cases = [
        (format!("COPY INTO v FROM @~ {format}"), loaded),
        ("SELECT j:more.x::FLOAT FROM v ORDER BY 1".to_owned(), "1.5 / NULL"),
        (format!("COPY INTO t FROM @~ {format}"), "002019"),
        (format!("COPY INTO t FROM @~ {format} MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"), loaded),
        ("SELECT * FROM t ORDER BY id".to_owned(), "1|a|NULL / 2|NULL|{\"x\":1.50}"),
        (
            format!(
                "COPY INTO t FROM (SELECT $1:id, 'x', $1 FROM @~) {format} MATCH_BY_COLUMN_NAME = CASE_SENSITIVE"
            ),
            "002019",
        ),
        (format!("COPY INTO t (id) FROM (SELECT $1:id FROM @~) {format} FORCE = TRUE"), loaded),
        ("SELECT COUNT(*), COUNT(id) FROM t".to_owned(), "4|3"),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|(sql, row)| (sql.as_str(), *row)).collect();
    fixture.check(&cases).await;
}

#[tokio::test]
async fn parquet_types_follow_the_options() {
    let mut fixture = Fixture::new().await;
    let micros = 1_700_000_000_123_456_i64;
    let file = parquet_of(vec![
        ("N", Arc::new(Int64Array::from(vec![Some(i64::MAX), None])) as ArrayRef),
        ("U", Arc::new(UInt32Array::from(vec![u32::MAX, 1])) as ArrayRef),
        ("B", Arc::new(BinaryArray::from(vec![b"ab".as_slice(), b"c"])) as ArrayRef),
        ("NTZ", Arc::new(TimestampMicrosecondArray::from(vec![micros, -1])) as ArrayRef),
        (
            "LTZ",
            Arc::new(TimestampMicrosecondArray::from(vec![micros, -1]).with_timezone("UTC"))
                as ArrayRef,
        ),
        ("NANOS", Arc::new(TimestampNanosecondArray::from(vec![1_000_000_001, 5])) as ArrayRef),
        ("TM", Arc::new(Time64MicrosecondArray::from(vec![3_600_000_001, 0])) as ArrayRef),
    ]);
    fixture.put("@~", "t.parquet", &file).await;
    let by_name = "MATCH_BY_COLUMN_NAME = CASE_SENSITIVE";
    let loaded = "t.parquet|LOADED|2|2|1|0|NULL|NULL|NULL|NULL";
    let columns = "N NUMBER(38,0), U NUMBER(38,0), B BINARY, NTZ TIMESTAMP_NTZ(9), \
                   LTZ TIMESTAMP_LTZ(9), NANOS TIMESTAMP_NTZ(9), TM TIME(9)";
    let classic = "N NUMBER(38,0), U NUMBER(38,0), B VARCHAR, NTZ TIMESTAMP_NTZ(9), \
                   LTZ TIMESTAMP_NTZ(9), NANOS NUMBER(38,0), TM NUMBER(38,0)";
    let exact = "9223372036854775807|4294967295|6162|2023-11-14 22:13:20.123456000|\
                 2023-11-14 22:13:20.123456000 +0000|1970-01-01 00:00:01.000000001|01:00:00.000001000";
    let old = "9223372036854775807|-1|ab|2023-11-14 22:13:20.123456000|\
               2023-11-14 22:13:20.123456000|1000000001|3600000001";
    let cases = [
        (format!("CREATE TABLE t ({columns})"), "Table T successfully created."),
        (format!("CREATE TABLE c ({classic})"), "Table C successfully created."),
        (
            format!(
                "COPY INTO t FROM @~ FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE) {by_name}"
            ),
            loaded,
        ),
        ("SELECT * FROM t WHERE n IS NOT NULL".to_owned(), exact),
        (
            format!(
                "COPY INTO t FROM @~ FILE_FORMAT = (TYPE = PARQUET USE_VECTORIZED_SCANNER = TRUE) {by_name} FORCE = TRUE"
            ),
            loaded,
        ),
        ("SELECT DISTINCT * FROM t WHERE n IS NOT NULL".to_owned(), exact),
        (format!("COPY INTO c FROM @~ FILE_FORMAT = (TYPE = PARQUET) {by_name}"), loaded),
        ("SELECT * FROM c WHERE n IS NOT NULL".to_owned(), old),
        ("COPY INTO c FROM @~ FILE_FORMAT = (TYPE = PARQUET)".to_owned(), "002019"),
        (
            "COPY INTO c (n, b) FROM (SELECT $1:U::INT + $1:TM, $1:\"B\" FROM @~) \
             FILE_FORMAT = (TYPE = PARQUET USE_VECTORIZED_SCANNER = FALSE) FORCE = TRUE"
                .to_owned(),
            loaded,
        ),
        ("CREATE TABLE v (j VARIANT)".to_owned(), "Table V successfully created."),
        ("COPY INTO v FROM @~ FILE_FORMAT = (TYPE = PARQUET)".to_owned(), loaded),
        (
            "SELECT j FROM v WHERE j:U::INT = 1".to_owned(),
            "{\"B\":\"c\",\"LTZ\":\"1969-12-31 23:59:59.999999000\",\"NANOS\":5,\"NTZ\":\"1969-12-31 23:59:59.999999000\",\"TM\":0,\"U\":1}",
        ),
        ("CREATE TABLE narrow (n NUMBER(5,0))".to_owned(), "Table NARROW successfully created."),
    ];
    let cases: Vec<(&str, &str)> = cases.iter().map(|(sql, row)| (sql.as_str(), *row)).collect();
    fixture.check(&cases).await;
    let narrow = format!("COPY INTO narrow FROM @~ FILE_FORMAT = (TYPE = PARQUET) {by_name}");
    let message = fixture.rows(&narrow, &[]).await.unwrap_err().message;
    assert!(message.contains("File 't.parquet', line 1"), "{message}");
    assert!(message.contains("column \"NARROW\"[\"N\":1]"), "{message}");
}

#[tokio::test]
async fn text_that_is_no_parquet_is_refused_by_name() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE t (a INT)").await;
    fixture.put("@~", "x.parquet", b"<html>").await;
    let copy = "COPY INTO t FROM @~ FILE_FORMAT = (TYPE = PARQUET) \
                MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE";
    let error = fixture.rows(copy, &[]).await.unwrap_err();
    assert_eq!(error.code, "100142");
    assert!(error.message.contains("x.parquet"), "{}", error.message);
}

#[tokio::test]
async fn more_files_than_a_statement_may_name_are_refused() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE t (a INT)").await;
    let names = |count: usize| {
        let names: Vec<String> = (0..count).map(|index| format!("'{index}'")).collect();
        format!("COPY INTO t FROM @~ FILES = ({}) ON_ERROR = SKIP_FILE", names.join(", "))
    };
    assert_eq!(fixture.text(&names(1001)).await, "001008");
    assert_eq!(fixture.text(&names(1000)).await, "Copy executed with 0 files processed.");
}

#[tokio::test]
async fn what_is_unloaded_loads_again() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE STAGE s").await;
    fixture.text("CREATE STAGE plain ENCRYPTION = (TYPE = 'SNOWFLAKE_SSE')").await;
    let made = "CREATE TABLE t AS SELECT 1::INT a, 'x,\"y' b, 1.5::NUMBER(5,2) c, \
                '2020-01-02 03:04:05.678901'::TIMESTAMP_NTZ d UNION ALL SELECT 2, NULL, NULL, NULL";
    fixture.text(made).await;
    fixture.text("CREATE TABLE u LIKE t").await;
    fixture.text("CREATE TABLE p LIKE t").await;
    let rows = "1|x,\"y|1.50|2020-01-02 03:04:05.678901000 / 2|NULL|NULL|NULL";
    fixture
        .text("ALTER SESSION SET TIMESTAMP_NTZ_OUTPUT_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9'")
        .await;
    assert!(fixture.text("COPY INTO @s/out FROM t").await.starts_with("2|"));
    assert!(fixture.text("COPY INTO @s/out FROM t").await.starts_with("001030"));
    let parquet = "COPY INTO @plain/p/ FROM (SELECT * FROM t WHERE a > 0) HEADER = TRUE \
                   FILE_FORMAT = (TYPE = PARQUET)";
    assert!(fixture.text(parquet).await.starts_with("2|"));
    let cases = [
        ("COPY INTO u FROM @s", "s/out_0_0_0.csv.gz|LOADED|2|2|1|0|NULL|NULL|NULL|NULL"),
        ("SELECT * FROM u ORDER BY a", rows),
        (
            "COPY INTO p FROM @plain FILE_FORMAT = (TYPE = PARQUET) \
             MATCH_BY_COLUMN_NAME = CASE_SENSITIVE",
            "plain/p/data_0_0_0.snappy.parquet|LOADED|2|2|1|0|NULL|NULL|NULL|NULL",
        ),
        ("SELECT * FROM p ORDER BY a", rows),
        ("COPY INTO @s FROM (SELECT CURRENT_TIMESTAMP()) FILE_FORMAT = (TYPE = PARQUET)", "002105"),
    ];
    fixture.check(&cases).await;
}

#[tokio::test]
async fn queries_read_staged_files() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE STAGE s").await;
    fixture.text("CREATE FILE FORMAT p TYPE = PARQUET USE_LOGICAL_TYPE = TRUE").await;
    fixture.put("@s", "a/1.csv", b"1,a\n2,b\n").await;
    fixture.put("@s", "a/2.csv", b"3\n").await;
    let file = parquet_of(vec![
        ("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef),
        ("T x", Arc::new(StringArray::from(vec![Some("a"), None])) as ArrayRef),
    ]);
    fixture.put("@s", "b/1.parquet", &file).await;
    let cases = [
        ("SELECT $1::INT, $2 FROM @s/a ORDER BY 1", "1|a / 2|b / 3|NULL"),
        ("SELECT SUM(t.$1::INT) FROM @s/a (PATTERN => '.*2[.]csv') t", "3"),
        (
            "SELECT METADATA$FILENAME, METADATA$FILE_ROW_NUMBER FROM @s/a/1.csv ORDER BY 2",
            "s/a/1.csv|1 / s/a/1.csv|2",
        ),
        (
            "SELECT $1:n::INT, $1:\"T x\" FROM @s/b (FILE_FORMAT => 'p') ORDER BY 1",
            "1|\"a\" / 2|NULL",
        ),
        ("SELECT COUNT(*) FROM @s/nothing", "0"),
        (
            "SELECT COLUMN_NAME, TYPE, ORDER_ID FROM TABLE(INFER_SCHEMA(LOCATION => '@s/b', FILE_FORMAT => 'p'))",
            "n|NUMBER(38, 0)|0 / T x|TEXT|1",
        ),
        ("SELECT $1 FROM @missing", "002003"),
    ];
    fixture.check(&cases).await;
}

#[tokio::test]
async fn copy_belongs_to_its_transaction_with_its_load_metadata() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE t (a INT)").await;
    fixture.put("@%t", "1.csv", b"1\n2\n").await;
    let done = "Statement executed successfully.";
    let loaded = "1.csv|LOADED|2|2|1|0|NULL|NULL|NULL|NULL";
    let none = "Copy executed with 0 files processed.";
    let cases = [
        ("BEGIN", done),
        ("COPY INTO t FROM @%t", loaded),
        ("COPY INTO t FROM @%t", none),
        ("SELECT COUNT(*) FROM t", "2"),
        ("ROLLBACK", done),
        ("SELECT COUNT(*) FROM t", "0"),
        ("BEGIN", done),
        ("COPY INTO t FROM @%t", loaded),
        ("TRUNCATE TABLE t", done),
        ("COPY INTO t FROM @%t", loaded),
        ("COMMIT", done),
        ("SELECT COUNT(*) FROM t", "2"),
        ("COPY INTO t FROM @%t", none),
        ("BEGIN", done),
        ("INSERT INTO t VALUES (9)", "1"),
        ("CREATE STAGE s", "Stage area S successfully created."),
        ("ROLLBACK", done),
        ("SELECT COUNT(*) FROM t", "3"),
    ];
    fixture.check(&cases).await;
}

#[tokio::test]
async fn a_role_makes_stages_where_it_may_and_uses_the_stages_of_its_own_tables() {
    let mut fixture = Fixture::new().await;
    let done = "Statement executed successfully.";
    let cases = [
        ("CREATE STAGE s", "Stage area S successfully created."),
        ("CREATE TABLE t (a INT)", "Table T successfully created."),
        ("USE ROLE ACCOUNTADMIN", done),
        ("CREATE ROLE r", "Role R successfully created."),
        ("USE ROLE r", done),
        ("LIST @D.PUBLIC.s", "002003"),
        ("CREATE STAGE D.PUBLIC.own", "002003"),
        ("USE ROLE ACCOUNTADMIN", done),
        ("GRANT USAGE ON DATABASE D TO ROLE r", done),
        ("GRANT USAGE ON SCHEMA D.PUBLIC TO ROLE r", done),
        ("GRANT SELECT ON TABLE D.PUBLIC.t TO ROLE r", done),
        ("USE ROLE r", done),
        ("LIST @D.PUBLIC.s", ""),
        ("LIST @D.PUBLIC.%t", "003001"),
        ("COPY INTO D.PUBLIC.t FROM @~", "000606"),
        ("CREATE TEMPORARY STAGE D.PUBLIC.own", "003001"),
        ("USE ROLE ACCOUNTADMIN", done),
        ("GRANT CREATE STAGE ON SCHEMA D.PUBLIC TO ROLE r", done),
        ("GRANT USAGE ON WAREHOUSE COMPUTE_WH TO ROLE r", done),
        ("USE ROLE r", done),
        ("CREATE TEMPORARY STAGE D.PUBLIC.own", "Stage area OWN successfully created."),
        ("COPY INTO D.PUBLIC.t FROM @D.PUBLIC.own", "003001"),
    ];
    fixture.check(&cases).await;
}
