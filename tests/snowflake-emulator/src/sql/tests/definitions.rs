//! What tables declare: identity, kinds, clones, swaps; and what a shared database refuses.

use super::Fixture;

const DONE: &str = "Statement executed successfully.";

#[tokio::test]
async fn identity_columns_number_the_rows_that_name_no_value() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            (
                "CREATE TABLE T (ID INT AUTOINCREMENT, TEN NUMBER(9,0) IDENTITY START 10 INCREMENT 10, A VARCHAR)",
                "Table T successfully created.",
            ),
            ("INSERT INTO T (A) VALUES ('a'), ('b')", "2"),
            ("INSERT INTO T (A) SELECT 'c'", "1"),
            ("INSERT INTO T VALUES (77, DEFAULT, 'd')", "1"),
            ("SELECT ID, TEN, A FROM T ORDER BY A", "1|10|a / 2|20|b / 3|30|c / 77|40|d"),
            ("BEGIN", DONE),
            ("INSERT INTO T (A) VALUES ('lost')", "1"),
            ("ROLLBACK", DONE),
            ("INSERT INTO T (A) VALUES ('e')", "1"),
            ("SELECT ID FROM T WHERE A = 'e'", "5"),
            ("CREATE TABLE C CLONE T", "Table C successfully created."),
            ("CREATE TABLE L LIKE T", "Table L successfully created."),
            ("INSERT INTO C (A) VALUES ('f')", "1"),
            ("INSERT INTO L (A) VALUES ('f')", "1"),
            ("INSERT INTO T (A) VALUES ('f')", "1"),
            (
                "SELECT (SELECT ID FROM C WHERE A = 'f'), (SELECT ID FROM L), (SELECT ID FROM T WHERE A = 'f')",
                "6|1|6",
            ),
            ("CREATE TABLE X (A VARCHAR IDENTITY)", "002023"),
            ("COMMENT ON COLUMN D.PUBLIC.T.A IS 'letters'", DONE),
            ("COMMENT ON COLUMN T.NOPE IS 'x'", "000904"),
            ("COMMENT ON COLUMN T IS 'x'", "001003"),
            ("SELECT COMMENT FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'T' AND COLUMN_NAME = 'A'", "letters"),
            (
                "SELECT COLUMN_NAME, IS_IDENTITY, IDENTITY_START, IDENTITY_INCREMENT \
                 FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'T' ORDER BY ORDINAL_POSITION",
                "ID|YES|1|1 / TEN|YES|10|10 / A|NO|NULL|NULL",
            ),
        ])
        .await;
    let described = fixture.text("DESCRIBE TABLE T").await;
    assert!(described.contains("IDENTITY START 10 INCREMENT 10 NOORDER"), "{described}");
}

#[tokio::test]
async fn a_temporary_table_hides_a_permanent_one_in_its_session_only() {
    let mut fixture = Fixture::new().await;
    fixture
        .play(&[
            (7, "CREATE TRANSIENT TABLE T AS SELECT 1 AS A", "Table T successfully created."),
            (8, "CREATE TEMP TABLE T (A INT)", "Table T successfully created."),
            (8, "INSERT INTO T VALUES (10)", "1"),
            (8, "BEGIN", DONE),
            (8, "UPDATE T SET A = 11", "1|0"),
            (8, "SELECT A FROM T", "11"),
            (7, "SELECT A FROM T", "1"),
            (8, "ROLLBACK", DONE),
            (8, "SELECT A FROM T", "10"),
            (8, "ALTER TABLE T SWAP WITH T2", "002003"),
            (8, "DROP TABLE T", "T successfully dropped."),
            (8, "SELECT A FROM T", "1"),
            (7, "SELECT TABLE_TYPE, IS_TRANSIENT FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_NAME = 'T'", "BASE TABLE|YES"),
            (8, "CREATE TEMPORARY TABLE ONLY8 (A INT)", "Table ONLY8 successfully created."),
            (7, "SELECT * FROM ONLY8", "002003"),
        ])
        .await;
    assert!(!fixture.engine.shares_results(8));
    fixture.engine.end_session(8);
    assert!(fixture.engine.shares_results(8));
    assert_eq!(fixture.text_as(8, "SELECT * FROM ONLY8").await, "002003");
}

#[tokio::test]
async fn a_table_is_the_same_object_until_it_is_replaced() {
    let mut fixture = Fixture::new().await;
    let created = "SELECT CREATED FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_NAME = 'T'";
    fixture.text("CREATE TABLE T (A INT PRIMARY KEY)").await;
    let (first, key) = (fixture.text(created).await, fixture.text("SHOW PRIMARY KEYS IN T").await);
    for sql in [
        "INSERT INTO T VALUES (1)",
        "INSERT OVERWRITE INTO T SELECT 2",
        "TRUNCATE TABLE T",
        "COMMENT ON TABLE T IS 'c'",
    ] {
        fixture.text(sql).await;
        assert_eq!(fixture.text(created).await, first, "{sql}");
        assert_eq!(fixture.text("SHOW PRIMARY KEYS IN T").await, key, "{sql}");
    }
    fixture.text("ALTER TABLE T RENAME TO U").await;
    fixture.text("ALTER TABLE U RENAME TO T").await;
    assert_eq!(fixture.text("SHOW PRIMARY KEYS IN T").await, key);
    fixture.text("CREATE TABLE U (A INT PRIMARY KEY)").await;
    fixture.text("ALTER TABLE T SWAP WITH U").await;
    assert_ne!(fixture.text("SHOW PRIMARY KEYS IN T").await, key);
    fixture.text("CREATE OR REPLACE TABLE U (A INT PRIMARY KEY)").await;
    assert_ne!(fixture.text("SHOW PRIMARY KEYS IN U").await, key);
}

#[tokio::test]
async fn a_shared_database_cannot_be_changed() {
    let mut fixture = Fixture::new().await;
    let table = "SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.NATION";
    for (sql, code) in [
        (format!("INSERT INTO {table} (N_NATIONKEY) VALUES (1)"), "003001"),
        (format!("INSERT OVERWRITE INTO {table} SELECT * FROM {table}"), "003001"),
        (format!("UPDATE {table} SET N_NAME = 'x'"), "003001"),
        (format!("DELETE FROM {table}"), "003001"),
        (
            format!(
                "MERGE INTO {table} USING (SELECT 1 AS K) ON K = N_NATIONKEY WHEN MATCHED THEN DELETE"
            ),
            "003001",
        ),
        (format!("TRUNCATE TABLE {table}"), "003001"),
        (format!("ALTER TABLE {table} ADD COLUMN X INT"), "003001"),
        (format!("ALTER TABLE {table} RENAME TO {table}2"), "003001"),
        (format!("COMMENT ON TABLE {table} IS 'x'"), "003001"),
        (format!("DROP TABLE {table}"), "003540"),
        (format!("CREATE OR REPLACE TABLE {table} (A INT)"), "003540"),
        (format!("CREATE TABLE {table}2 (A INT)"), "003540"),
        (format!("CREATE VIEW {table}2 AS SELECT 1 AS A"), "003540"),
        (format!("CREATE TABLE D.PUBLIC.N CLONE {table}"), "003540"),
        ("CREATE SCHEMA SNOWFLAKE_SAMPLE_DATA.S".to_owned(), "003540"),
        ("DROP SCHEMA SNOWFLAKE_SAMPLE_DATA.TPCH_SF1".to_owned(), "003540"),
        (
            "ALTER SCHEMA SNOWFLAKE_SAMPLE_DATA.TPCH_SF1 RENAME TO SNOWFLAKE_SAMPLE_DATA.X"
                .to_owned(),
            "003540",
        ),
    ] {
        assert_eq!(fixture.text(&sql).await, code, "{sql}");
    }
    assert_eq!(fixture.text(&format!("SELECT COUNT(*) FROM {table}")).await, "25");
}
