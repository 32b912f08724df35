//! SELECT: operators, functions, NULLs, aggregates, joins, names.

use super::Fixture;

#[tokio::test]
async fn arithmetic_has_the_scales_and_limits_of_snowflake() {
    let mut fixture = Fixture::new().await;
    fixture.check(&[
        ("SELECT 1/3, 7/2, -7/2", "0.333333|3.500000|-3.500000"),
        ("SELECT 2/3, -2/3", "0.666667|-0.666667"),
        ("SELECT 100::NUMBER(10,2)/3", "33.33333333"),
        ("SELECT 2*3.5, 1.25*1.25, 10-7", "7.0|1.5625|3"),
        ("SELECT 5%3, -5%3, MOD(5.5, 2)", "2|-2|1.5"),
        ("SELECT 0.1+0.2 = 0.3", "true"),
        ("SELECT 99999999999999999999999999999999999999 + 1", "100132"),
        ("SELECT -99999999999999999999999999999999999999 - 0", "-99999999999999999999999999999999999999"),
        ("SELECT 1/0", "100051"),
        ("SELECT 1.0::FLOAT/0", "100051"),
        ("SELECT '1.5' + 1", "2.5"),
        ("SELECT 'x' + 1", "100038"),
        ("SELECT 1.5::INT, 2.5::INT, -1.5::INT, 1.25::NUMBER(3,1)", "2|3|-2|1.3"),
        ("SELECT ROUND(2.5), ROUND(-2.5), ROUND(1.255, 2), ROUND(1234, -2)", "3|-3|1.26|1200"),
        ("SELECT FLOOR(-1.5), CEIL(1.2), TRUNC(1.99, 1), ABS(-3)", "-2|2|1.9|3"),
        ("SELECT GREATEST(1, 2.5, 2), LEAST('b', 'a'), GREATEST(1, NULL)", "2.5|a|NULL"),
        ("SELECT SUM(COLUMN1) FROM VALUES (99999999999999999999999999999999999999), (1)", "100132"),
        ("SELECT SUM(COLUMN1) FROM VALUES (99999999999999999999999999999999999999), (1), (-1)", "99999999999999999999999999999999999999"),
        ("SELECT '2024-01-31'::DATE + 1, '2024-03-01'::DATE - '2024-02-01'::DATE", "2024-02-01|29"),
    ]).await;
    assert_eq!(
        fixture.types("SELECT 1/3, 2*3.5, 1+1.5, COUNT(*), SUM(1.50), AVG(1)").await,
        "NUMBER(7,6), NUMBER(3,1), NUMBER(3,1), NUMBER(18,0), NUMBER(38,2), NUMBER(38,6)"
    );
}

#[tokio::test]
async fn nulls_sort_last_ascending_and_first_descending() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            ("SELECT COLUMN1 FROM VALUES (3), (NULL), (1) ORDER BY 1", "1 / 3 / NULL"),
            ("SELECT COLUMN1 FROM VALUES (3), (NULL), (1) ORDER BY 1 DESC", "NULL / 3 / 1"),
            (
                "SELECT COLUMN1 FROM VALUES (3), (NULL), (1) ORDER BY 1 NULLS FIRST LIMIT 2",
                "NULL / 1",
            ),
            (
                "SELECT COLUMN1 FROM VALUES ('NaN'::FLOAT), (NULL), ('inf'::FLOAT) ORDER BY 1",
                "inf / NaN / NULL",
            ),
            ("SELECT A FROM VALUES (1), (2), (3) T(A) ORDER BY A DESC LIMIT 1 OFFSET 1", "2"),
        ])
        .await;
}

#[tokio::test]
async fn null_makes_conditions_unknown() {
    let mut fixture = Fixture::new().await;
    fixture.check(&[
        ("SELECT NULL = NULL, NULL IS NULL, 1 <> NULL", "NULL|true|NULL"),
        ("SELECT TRUE AND NULL, TRUE OR NULL, FALSE AND NULL, NOT NULL::BOOLEAN", "NULL|true|false|NULL"),
        ("SELECT 2 IN (1, 2), 5 NOT IN (1, 2), 3 IN (1, NULL), NULL IN (1)", "true|true|NULL|NULL"),
        ("SELECT 2 BETWEEN 1 AND 3, 2 NOT BETWEEN 1 AND 3", "true|false"),
        ("SELECT NULL IS NOT DISTINCT FROM NULL, 1 IS DISTINCT FROM NULL, EQUAL_NULL(1, 1.0)", "true|true|true"),
        ("SELECT IFF(NULL, 'a', 'b'), NVL(NULL, 3), COALESCE(NULL, NULL, 4), NULLIF(1, 1), ZEROIFNULL(NULL)", "b|3|4|NULL|0"),
        ("SELECT CASE WHEN 1=1 THEN 1.50 ELSE 2 END, CASE 3 WHEN 3 THEN 'x' END, CASE WHEN 1=2 THEN 1 END", "1.50|x|NULL"),
        ("SELECT CASE WHEN COLUMN1 = 0 THEN NULL ELSE 10 / COLUMN1 END FROM VALUES (0), (4)", "NULL / 2.500000"),
        ("SELECT 1 WHERE NULL", ""),
        ("SELECT 'a' || 1, 'a' || NULL", "a1|NULL"),
        ("SELECT COUNT(*), COUNT(A), COUNT(DISTINCT A), AVG(A), COUNT_IF(A > 1) FROM VALUES (1), (2), (2), (NULL) T(A)", "4|3|2|1.666667|2"),
        ("SELECT SUM(A), MAX(A), COUNT(*) FROM (SELECT 1 AS A WHERE 1 = 2)", "NULL|NULL|0"),
    ]).await;
}

#[tokio::test]
async fn floats_and_decimals_compare_by_value() {
    let mut fixture = Fixture::new().await;
    fixture.check(&[
        ("SELECT 1 = 1.0, '1.0' = 1, 1 <> 2, 1::FLOAT = 1", "true|true|true|true"),
        ("SELECT 'NaN'::FLOAT = 'NaN'::FLOAT, 'NaN'::FLOAT > 'inf'::FLOAT, -0.0::FLOAT = 0.0::FLOAT", "true|true|true"),
        ("SELECT MAX(A), MIN(A) FROM VALUES ('NaN'::FLOAT), (1.5), (NULL) T(A)", "NaN|1.5"),
        ("SELECT 0.1234567890123456789012345678901234567 < 99999999999999999999999999999999999999", "true"),
        ("SELECT 9007199254740993 = 9007199254740992", "false"),
        ("SELECT '2024-01-02' > '2024-01-01'::DATE, '2024-01-01'::DATE = '2024-01-01 00:00:00'::TIMESTAMP_NTZ", "true|true"),
        ("SELECT 'a' = 'A', 'a ' = 'a', 'é' > 'z'", "false|false|true"),
    ]).await;
}

#[tokio::test]
async fn functions_of_text_dates_and_documents_work() {
    let mut fixture = Fixture::new().await;
    fixture.check(&[
        ("SELECT UPPER('aé'), LENGTH('é😀'), SUBSTR('hello', 2, 3), SUBSTR('hello', -3), TRIM('  x '), LTRIM('xxa', 'x')", "AÉ|2|ell|llo|x|a"),
        ("SELECT REPLACE('aXb', 'X', '-'), SPLIT_PART('a.b.c', '.', -1), CONCAT('a', 1), LEFT('abc', 2), RIGHT('abc', 2)", "a-b|c|a1|ab|bc"),
        ("SELECT 'abc' LIKE 'a%', 'abc' ILIKE 'A_C', 'a%c' LIKE 'a^%c' ESCAPE '^', 'abc' NOT LIKE '%d%'", "true|true|true|true"),
        ("SELECT POSITION('l' IN 'hello'), CHARINDEX('l', 'hello', 4), CONTAINS('abc', 'b'), LPAD('7', 3, '0')", "3|4|true|007"),
        ("SELECT DATEADD(MONTH, 1, '2024-01-31'::DATE), DATEADD('year', -1, '2024-02-29'::DATE)", "2024-02-29|2023-02-28"),
        ("SELECT DATEDIFF(DAY, '2024-01-01', '2024-03-01'), DATEDIFF(YEAR, '2023-12-31'::DATE, '2024-01-01'::DATE)", "60|1"),
        ("SELECT DATE_TRUNC('month', '2024-05-06'::DATE), DATE_TRUNC(WEEK, '2024-05-08 10:00'::TIMESTAMP_NTZ)", "2024-05-01|2024-05-06 00:00:00.000000000"),
        ("SELECT YEAR('2024-05-06'::DATE), EXTRACT(MONTH FROM '2024-05-06'::DATE), DATE_PART(EPOCH_SECOND, '1970-01-02'::TIMESTAMP_NTZ), DAYOFWEEK('2024-05-05'::DATE)", "2024|5|86400|0"),
        ("SELECT '1969-12-31 23:00:00'::TIMESTAMP_NTZ + INTERVAL '1 hour, 1 day'", "1970-01-02 00:00:00.000000000"),
        (r#"SELECT PARSE_JSON('{"b":1.50,"a":[1,{"c":"x"}]}')"#, r#"{"a":[1,{"c":"x"}],"b":1.50}"#),
        (r#"SELECT PARSE_JSON('{"b":1,"Abc":[1,2,{"c":"x"}]}'):Abc[2].c::STRING"#, "x"),
        ("SELECT OBJECT_CONSTRUCT('a', 1, 'b', NULL), ARRAY_CONSTRUCT(1, 'x'), ARRAY_SIZE(PARSE_JSON('[1,2]'))", r#"{"a":1}|[1,"x"]|2"#),
        ("SELECT PARSE_JSON('{')", "100069"),
        ("SELECT TO_BINARY('00ff'), HEX_ENCODE('a'), TO_GEOGRAPHY('POINT(1.5 2)')", r#"00FF|61|{"coordinates":[1.5,2],"type":"Point"}"#),
        ("SELECT CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE(), CURRENT_DATABASE(), CURRENT_SCHEMA(), CURRENT_ACCOUNT()", "ANNA|SYSADMIN|COMPUTE_WH|D|PUBLIC|ACME"),
        ("SELECT CURRENT_TIMESTAMP() = CURRENT_TIMESTAMP()", "true"),
    ]).await;
}

#[tokio::test]
async fn relations_combine() {
    let mut fixture = Fixture::new().await;
    fixture.check(&[
        ("WITH X AS (SELECT 1 AS A) SELECT * FROM X JOIN (SELECT 1.0 AS A, 'z' AS B) Y ON X.A = Y.A", "1|1.0|z"),
        ("SELECT X.A, Y.A FROM VALUES (1), (2) X(A) LEFT JOIN VALUES (2), (3) Y(A) ON X.A = Y.A ORDER BY 1", "1|NULL / 2|2"),
        ("SELECT A FROM VALUES (1), (2) T(A) UNION ALL SELECT 2.5 ORDER BY 1", "1.0 / 2.0 / 2.5"),
        ("SELECT A FROM VALUES (1), (1) T(A) UNION SELECT 1", "1"),
        ("SELECT A, SUM(B) AS S FROM VALUES (1, 2), (1, 3), (2, 5) T(A, B) GROUP BY A HAVING S > 4 ORDER BY A", "1|5 / 2|5"),
        ("SELECT DISTINCT A FROM VALUES (1), (1), (2) T(A) ORDER BY 1", "1 / 2"),
        ("SELECT ROW_NUMBER() OVER (ORDER BY A DESC), A FROM VALUES (1), (2) T(A) ORDER BY A", "2|1 / 1|2"),
        ("SELECT A FROM VALUES (1, 5), (1, 6), (2, 7) T(A, B) QUALIFY ROW_NUMBER() OVER (PARTITION BY A ORDER BY B DESC) = 1 ORDER BY B", "1 / 2"),
        ("SELECT (SELECT MAX(A) FROM VALUES (1), (2) T(A))", "2"),
        ("SELECT A FROM VALUES (1), (2) T(A) WHERE A IN (SELECT 2)", "2"),
        ("SELECT A FROM VALUES (1), (2) T(A) WHERE EXISTS (SELECT 1 FROM VALUES (2) U(B) WHERE U.B = T.A)", "2"),
        ("SELECT SEQ4() FROM TABLE(GENERATOR(ROWCOUNT => 3))", "0 / 1 / 2"),
        ("SELECT 1 AS A, 2 AS A", "1|2"),
        ("SELECT TOP 1 A FROM VALUES (1), (2) T(A) ORDER BY A DESC", "2"),
    ]).await;
}

#[tokio::test]
async fn what_is_not_known_to_be_right_is_refused() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            ("SELECT FOO(1)", "002140"),
            ("SELECT \"sf_num\"('1')", "002140"),
            ("SELECT SF_NUM('1')", "002140"),
            ("SELECT REGEXP_LIKE('a', 'a')", "002140"),
            ("SELECT MEDIAN(1)", "002140"),
            ("SELECT NOPE FROM VALUES (1) T(A)", "000904"),
            ("SELECT 1 WHERE 1", "001003"),
            ("SELECT PARSE_JSON('1') = PARSE_JSON('1')", "001044"),
            ("SELECT COLUMN1 FROM VALUES (PARSE_JSON('1')) ORDER BY 1", "001044"),
            (
                "SELECT DISTINCT COLUMN1 FROM VALUES ('2024-01-01 00:00:00 +01:00'::TIMESTAMP_TZ)",
                "001044",
            ),
            ("SELECT MAX('1'::DECFLOAT)", "001044"),
            ("SELECT A.X FROM (SELECT 1 AS X) A, LATERAL FLATTEN(INPUT => A.X)", "000002"),
            ("SELECT * FROM VALUES (1) SAMPLE (10)", "001003"),
            ("BEGIN; END", "000008"),
            ("BEGIN SELECT 1", "001003"),
            ("SELEC 1", "001003"),
            ("SELECT 1; SELECT 2", "000008"),
            ("", "000900"),
            ("SELECT (", "001003"),
        ])
        .await;
}

#[tokio::test]
async fn a_column_without_an_alias_is_named_by_its_text() {
    let fixture = Fixture::new().await;
    let sql =
        "select count(*) over (), 1+1, upper( 'x' ), a.b, a.b as c, 'q' from (select 1 as b) a";
    let columns = fixture.engine.describe(&fixture.session, sql, &[]).await.unwrap();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["COUNT(*) OVER ()", "1+1", "UPPER( 'X' )", "B", "C", "'Q'"]);
}

#[tokio::test]
async fn a_statement_that_reads_a_table_needs_a_warehouse() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE T (A INT)").await;
    fixture.session.warehouse = None;
    fixture
        .check(&[
            ("SELECT 1", "1"),
            ("SELECT * FROM T", "000606"),
            ("INSERT INTO T VALUES (1)", "000606"),
            ("USE WAREHOUSE NOPE", "002043"),
            ("USE WAREHOUSE COMPUTE_WH", "Statement executed successfully."),
            ("SELECT COUNT(*) FROM T", "0"),
        ])
        .await;
}

#[tokio::test]
async fn hashes_compare_tables_whatever_the_order_of_rows() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            ("CREATE TABLE T (A INT, B VARCHAR)", "Table T successfully created."),
            ("CREATE TABLE U (A NUMBER(9,3), B VARCHAR)", "Table U successfully created."),
            ("INSERT INTO T VALUES (1, 'x'), (2, NULL), (2, NULL)", "3"),
            ("INSERT INTO U VALUES (2, NULL), (1, 'x')", "2"),
            ("SELECT HASH(1) = HASH(1.0), HASH(1) = HASH(1::FLOAT), HASH(NULL) IS NULL", "true|true|false"),
            ("SELECT SHA2('abc'), SHA2('a' || 'bc', 256) = SHA2('abc'), SHA2(NULL)", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad|true|NULL"),
            ("SELECT SHA2('abc', 100)", "100085"),
            ("SELECT HASH('a', 'b') = HASH('ab', ''), HASH('1') = HASH(1)", "false|false"),
            ("SELECT (SELECT HASH_AGG(*) FROM T) = (SELECT HASH_AGG(*) FROM U)", "false"),
            ("INSERT INTO U VALUES (2, NULL)", "1"),
            ("SELECT (SELECT HASH_AGG(*) FROM T) = (SELECT HASH_AGG(A, B) FROM U)", "true"),
            ("WITH W AS (SELECT A FROM T) SELECT HASH_AGG(*) = (SELECT HASH_AGG(A) FROM U) FROM W", "true"),
            ("SELECT A, HASH_AGG(B) = HASH_AGG(A) FROM T GROUP BY A ORDER BY A", "1|false / 2|false"),
            ("SELECT HASH_AGG(*) FROM T WHERE FALSE", "0"),
            ("SELECT COUNT(DISTINCT HASH(*)) FROM T", "2"),
        ])
        .await;
}

#[tokio::test]
async fn the_least_and_greatest_keep_the_type_of_their_column() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE T (A TIME(3), B VARCHAR(7), C TIMESTAMP_TZ(2))").await;
    let sql = "SELECT MIN(A), MAX(A), MIN(B), MAX(C) FROM T";
    assert_eq!(fixture.types(sql).await, "TIME(3), TIME(3), VARCHAR(7), TIMESTAMP_TZ(2)");
    fixture
        .check(&[
            ("INSERT INTO T VALUES ('01:02:03.004', 'a', NULL), ('05:00:00.5', 'b', NULL)", "2"),
            ("SELECT MIN(A), MAX(A), MAX(B) FROM T", "01:02:03.004000000|05:00:00.500000000|b"),
        ])
        .await;
}

#[tokio::test]
async fn columns_of_a_union_compare_by_their_common_type() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            ("SELECT K FROM (SELECT 9 AS K UNION ALL SELECT 10) X WHERE X.K = 9", "9"),
            ("SELECT K FROM (SELECT 1 AS K UNION ALL SELECT 1.25) WHERE K = 1.3", ""),
            ("SELECT K FROM (SELECT 1 AS K UNION ALL SELECT 1.25) WHERE K > 1.2", "1.25"),
            ("SELECT A FROM VALUES (1), (2.5), (NULL) T(A) WHERE A > 1", "2.5"),
            ("SELECT T.A FROM (VALUES (1, 'a'), (22, 'bb')) T(A, B) WHERE B = 'bb'", "22"),
            (
                "WITH W AS (SELECT 1 AS K UNION SELECT 100), X AS (SELECT K + 1 AS L FROM W) \
                 SELECT K, L FROM W JOIN X ON L = K + 1 WHERE K >= 100",
                "100|101",
            ),
            // A table that holds VALUES is not planned inside of itself.
            (
                "WITH A AS (SELECT COLUMN1 N FROM VALUES (1), (2)), \
                 B AS (SELECT COLUMN1 N FROM VALUES (2)) \
                 SELECT COUNT(*), COUNT(B.N) FROM A LEFT JOIN B ON A.N = B.N",
                "2|1",
            ),
            (
                "WITH W AS (SELECT 7 AS A) \
                 SELECT B FROM (SELECT A AS B FROM W UNION ALL SELECT A * 100 FROM W) WHERE B = 700",
                "700",
            ),
            (
                "WITH V AS (SELECT 0 AS Z UNION ALL SELECT 333), W AS (SELECT 1 AS A UNION ALL SELECT 22) \
                 SELECT B FROM (SELECT A AS B FROM W UNION ALL SELECT Z FROM V) WHERE B >= 22 ORDER BY B",
                "22 / 333",
            ),
            (
                "SELECT COUNT(*) FROM (SELECT 1 AS A UNION ALL SELECT 1) X \
                 JOIN (SELECT 1.0 AS A UNION ALL SELECT 2) Y ON X.A = Y.A",
                "2",
            ),
            ("SELECT 1 AS K UNION ALL SELECT 22 ORDER BY K DESC LIMIT 1", "22"),
        ])
        .await;
}
