//! DDL, names, SHOW, DESCRIBE, INFORMATION_SCHEMA.

use super::Fixture;

#[tokio::test]
async fn names_resolve_by_quotes_and_session() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            (
                "CREATE TABLE t (a INT, \"b\" INT, \"c d\" INT, \"e\"\"f\" INT)",
                "Table T successfully created.",
            ),
            ("INSERT INTO T VALUES (1, 2, 3, 4)", "1"),
            ("SELECT A, \"A\", \"b\", \"c d\", \"e\"\"f\" FROM \"T\"", "1|1|2|3|4"),
            ("SELECT B FROM T", "000904"),
            ("SELECT * FROM \"t\"", "002003"),
            ("SELECT T.A, x.\"b\" FROM T, D.PUBLIC.T x", "1|2"),
            ("SELECT D.PUBLIC.T.A FROM D.PUBLIC.T", "1"),
            ("SELECT A FROM PUBLIC.T", "1"),
            ("SELECT A FROM D..T", "1"),
            ("SELECT * FROM D.NOPE.T", "002003"),
            ("SELECT * FROM NOPE.PUBLIC.T", "002003"),
            ("SELECT A FROM IDENTIFIER('D.PUBLIC.T')", "1"),
            ("CREATE SCHEMA S2", "Schema S2 successfully created."),
            ("SELECT CURRENT_SCHEMA()", "S2"),
            ("SELECT A FROM T", "002003"),
            ("USE SCHEMA PUBLIC", "Statement executed successfully."),
            ("SELECT A FROM T", "1"),
            ("USE SCHEMA NOPE", "002043"),
            ("USE DATABASE NOPE", "002043"),
            ("DROP DATABASE D", "D successfully dropped."),
            ("SELECT CURRENT_DATABASE(), CURRENT_SCHEMA()", "NULL|NULL"),
            ("SELECT A FROM T", "090105"),
            ("CREATE DATABASE E", "Database E successfully created."),
            ("DROP SCHEMA PUBLIC", "PUBLIC successfully dropped."),
            ("SELECT A FROM T", "090106"),
        ])
        .await;
}

#[tokio::test]
async fn definitions_change_and_tell() {
    let mut fixture = Fixture::new().await;
    fixture.check(&[
        ("CREATE TABLE T (A INT NOT NULL, B VARCHAR(5) DEFAULT 'x' COMMENT 'bb', PRIMARY KEY (A)) COMMENT = 'tt'", "Table T successfully created."),
        ("CREATE TABLE T (A INT)", "002002"),
        ("CREATE TABLE IF NOT EXISTS T (A INT)", "T already exists, statement succeeded."),
        ("CREATE TABLE U (A INT, A INT)", "002025"),
        ("CREATE TABLE U (A NUMBER(39,0))", "002047"),
        ("CREATE TABLE U (A INT DEFAULT 'x')", "100038"),
        ("INSERT INTO T (A) VALUES (1)", "1"),
        ("DESCRIBE TABLE T", "A|NUMBER(38,0)|COLUMN|N|NULL|Y|N|NULL|NULL|NULL|NULL|NULL / B|VARCHAR(5)|COLUMN|Y|'x'|N|N|NULL|NULL|bb|NULL|NULL"),
        ("DESC TABLE NOPE", "002043"),
        ("ALTER TABLE T ADD COLUMN C NUMBER(3,1) DEFAULT 2.5", "Statement executed successfully."),
        ("ALTER TABLE T ADD COLUMN C INT", "001430"),
        ("ALTER TABLE T ADD COLUMN Z INT NOT NULL", "002051"),
        ("SELECT * FROM T", "1|x|2.5"),
        ("ALTER TABLE T RENAME COLUMN C TO CC", "Statement executed successfully."),
        ("ALTER TABLE T ALTER COLUMN B SET DATA TYPE VARCHAR(6)", "Statement executed successfully."),
        ("ALTER TABLE T ALTER COLUMN B SET DATA TYPE VARCHAR(2)", "002108"),
        ("ALTER TABLE T ALTER COLUMN B SET NOT NULL", "Statement executed successfully."),
        ("INSERT INTO T VALUES (2, NULL, 1)", "100072"),
        ("ALTER TABLE T DROP COLUMN CC, B", "Statement executed successfully."),
        ("SELECT * FROM T", "1"),
        ("ALTER TABLE T DROP COLUMN A", "002033"),
        ("ALTER TABLE T RENAME TO T2", "Statement executed successfully."),
        ("SELECT * FROM T", "002003"),
        ("SELECT * FROM T2", "1"),
        ("CREATE TABLE L LIKE T2", "Table L successfully created."),
        ("CREATE TABLE K CLONE T2", "Table K successfully created."),
        ("SELECT (SELECT COUNT(*) FROM L), (SELECT COUNT(*) FROM K)", "0|1"),
        ("ALTER TABLE L SWAP WITH K", "Statement executed successfully."),
        ("SELECT (SELECT COUNT(*) FROM L), (SELECT COUNT(*) FROM K)", "1|0"),
        ("DROP VIEW L", "002203"),
        ("DROP TABLE L", "L successfully dropped."),
        ("DROP TABLE L", "002003"),
        ("DROP TABLE IF EXISTS L", "Drop statement executed successfully (L already dropped)."),
        ("CREATE TABLE C (X, Y) AS SELECT 1, 'a'", "Table C successfully created."),
        ("SELECT X, Y FROM C", "1|a"),
        ("CREATE INTEGRATION W", "000002"),
        ("GRANT SELECT ON T TO ROLE R", "001003"),
        ("GRANT SELECT ON TABLE T TO ROLE R", "002003"),
    ]).await;
}

#[tokio::test]
async fn a_replaced_table_is_another_table() {
    let mut fixture = Fixture::new().await;
    let id = "SELECT \"constraint_name\" FROM TABLE(RESULT_SCAN('k'))";
    let mut seen = Vec::new();
    for _ in 0..2 {
        fixture.text("CREATE OR REPLACE TABLE T (A INT PRIMARY KEY)").await;
        let keys = fixture.text("SHOW PRIMARY KEYS IN TABLE T").await;
        seen.push(keys);
    }
    assert_ne!(seen[0], seen[1], "{id}");
}

#[tokio::test]
async fn views_follow_their_tables() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            ("CREATE TABLE T (A INT)", "Table T successfully created."),
            ("CREATE VIEW V AS SELECT A, A * 2 AS B FROM T", "View V successfully created."),
            (
                "CREATE VIEW W (X) COMMENT = 'ww' AS SELECT B FROM V WHERE A > 1",
                "View W successfully created.",
            ),
            ("CREATE VIEW X AS SELECT NOPE FROM T", "000904"),
            ("INSERT INTO T VALUES (1), (2)", "2"),
            ("SELECT * FROM V ORDER BY A", "1|2 / 2|4"),
            ("SELECT W.X FROM W", "4"),
            ("CREATE SCHEMA OTHER", "Schema OTHER successfully created."),
            ("SELECT * FROM D.PUBLIC.W", "4"),
            (
                "DESCRIBE VIEW D.PUBLIC.W",
                "X|NUMBER(38,0)|COLUMN|Y|NULL|N|N|NULL|NULL|NULL|NULL|NULL",
            ),
            ("INSERT INTO D.PUBLIC.V VALUES (1)", "002003"),
            ("DROP TABLE D.PUBLIC.V", "002203"),
            ("DROP TABLE D.PUBLIC.T", "T successfully dropped."),
            ("SELECT * FROM D.PUBLIC.W", "002003"),
        ])
        .await;
}

#[tokio::test]
async fn the_catalogue_can_be_read() {
    let mut fixture = Fixture::new().await;
    fixture
        .text("CREATE TABLE \"my_T\" (A NUMBER(12,2) NOT NULL, B TIMESTAMP_TZ(3), C VARCHAR(10))")
        .await;
    fixture.text("CREATE VIEW V AS SELECT A FROM \"my_T\"").await;
    fixture.text("INSERT INTO \"my_T\" VALUES (1, NULL, NULL)").await;
    for (sql, columns, expected) in [
        (
            "SHOW TABLES LIKE 'MY\\\\_t' IN SCHEMA \"D\".\"PUBLIC\"",
            &[1, 2, 3, 4, 7][..],
            "my_T|D|PUBLIC|TABLE|1",
        ),
        ("SHOW TABLES LIKE 'NOPE' IN SCHEMA D.PUBLIC", &[1], ""),
        ("SHOW TABLES IN SCHEMA D.NOPE", &[1], "002043"),
        ("SHOW TABLES IN DATABASE D", &[1], "my_T"),
        ("SHOW TABLES IN ACCOUNT LIKE 'NATION'", &[1, 2, 7], "NATION|SNOWFLAKE_SAMPLE_DATA|25"),
        ("SHOW VIEWS", &[1, 7], "V|CREATE VIEW V AS SELECT A FROM \"my_T\""),
        ("SHOW SCHEMAS IN DATABASE D", &[1], "PUBLIC / INFORMATION_SCHEMA"),
        ("SHOW DATABASES LIKE 'd'", &[1, 3], "D|Y"),
        (
            "SHOW COLUMNS IN TABLE \"my_T\"",
            &[2, 3, 4],
            "A|{\"type\":\"FIXED\",\"precision\":12,\"scale\":2,\"nullable\":false}|NOT_NULL / B|{\"type\":\"TIMESTAMP_TZ\",\"precision\":0,\"scale\":3,\"nullable\":true}|true / C|{\"type\":\"TEXT\",\"length\":10,\"byteLength\":40,\"nullable\":true,\"fixed\":false}|true",
        ),
        ("SHOW PRIMARY KEYS IN TABLE \"my_T\"", &[4], ""),
        ("SHOW PRIMARY KEYS IN TABLE NOPE", &[4], "002043"),
        ("SHOW WAREHOUSES", &[0, 1], "COMPUTE_WH|STARTED"),
        ("SHOW GRANTS TO ROLE NOPE", &[0], "002043"),
        ("SHOW PARAMETERS LIKE 'TIMEZONE' IN SESSION", &[0, 1], "TIMEZONE|UTC"),
        (
            "SELECT TABLE_NAME, TABLE_TYPE, ROW_COUNT FROM D.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'PUBLIC' ORDER BY 1",
            &[0, 1, 2],
            "V|VIEW|NULL / my_T|BASE TABLE|1",
        ),
        (
            "SELECT COLUMN_NAME, DATA_TYPE, NUMERIC_PRECISION, NUMERIC_SCALE, IS_NULLABLE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'my_T' ORDER BY ORDINAL_POSITION",
            &[0, 1, 2, 3, 4],
            "A|NUMBER|12|2|NO / B|TIMESTAMP_TZ|NULL|NULL|YES / C|TEXT|NULL|NULL|YES",
        ),
        ("SELECT * FROM D.INFORMATION_SCHEMA.NOPE", &[0], "002003"),
        ("SELECT COUNT(*) FROM NOPE.INFORMATION_SCHEMA.TABLES", &[0], "002003"),
    ] {
        let got = match fixture.rows(sql, &[]).await {
            Err(error) => error.code.to_owned(),
            Ok(rows) => {
                let picked = rows.iter().map(|row| {
                    let cells = columns.iter().map(|column| row[*column].clone());
                    cells.collect::<Vec<_>>().join("|")
                });
                picked.collect::<Vec<_>>().join(" / ")
            }
        };
        assert_eq!(got, expected, "{sql}");
    }
}

#[tokio::test]
async fn the_benchmark_sample_has_its_declared_types() {
    let fixture = Fixture::new().await;
    let sql = "SELECT L_ORDERKEY, L_EXTENDEDPRICE, L_SHIPDATE, L_COMMENT \
               FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM";
    assert_eq!(fixture.types(sql).await, "NUMBER(38,0), NUMBER(12,2), DATE, VARCHAR(44)");
}

#[tokio::test]
async fn a_script_runs_its_statements_in_order() {
    let mut fixture = Fixture::new().await;
    let script = "CREATE TABLE T (A VARCHAR); -- a comment; with a semicolon\n\
                  INSERT INTO T VALUES ('a;b'), ($$c;d$$);;\n/* nothing */ SELECT * FROM T;";
    let ran = fixture.engine.run_script(&mut fixture.session, script).await.unwrap();
    assert_eq!(ran, 3);
    assert_eq!(fixture.text("SELECT A FROM T ORDER BY 1").await, "a;b / c;d");
}
