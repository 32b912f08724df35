//! Tables: rows in and out, counts, constraints, snapshots.

use futures::TryStreamExt;

use super::Fixture;

const TABLE: &str = "CREATE TABLE T (ID NUMBER(38,0) NOT NULL PRIMARY KEY, N NUMBER(5,2) DEFAULT 1.5, \
                     S VARCHAR(5), V VARIANT)";

#[tokio::test]
async fn changes_answer_with_counts_and_refuse_what_does_not_fit() {
    let mut fixture = Fixture::new().await;
    fixture.check(&[
        (TABLE, "Table T successfully created."),
        ("INSERT INTO T (ID, S) VALUES (1, 'abc'), (2, NULL)", "2"),
        ("INSERT INTO T (ID, N) VALUES (3, 1000)", "100132"),
        ("INSERT INTO T (ID, N) VALUES (3, '1000')", "100039"),
        ("INSERT INTO T (ID, N) VALUES (3, 999.994), (4, -999.99)", "2"),
        ("INSERT INTO T (ID, S) VALUES (9, 'toolong')", "100078"),
        ("INSERT INTO T (ID, S) VALUES (9, 'ééééé')", "1"),
        ("INSERT INTO T (ID) VALUES (NULL)", "100072"),
        ("INSERT INTO T (S) VALUES ('x')", "100072"),
        ("INSERT INTO T (ID) VALUES ('abc')", "100038"),
        ("INSERT INTO T (ID, V) VALUES (5, '{}')", "002023"),
        ("INSERT INTO T (ID, NOPE) VALUES (5, 1)", "000904"),
        ("INSERT INTO T VALUES (1, 2)", "002057"),
        ("INSERT INTO T SELECT 1", "002057"),
        ("INSERT INTO T (ID, V) SELECT 5, PARSE_JSON('{\"a\":1.0}')", "1"),
        ("INSERT INTO T (ID, N) VALUES (6, DEFAULT)", "1"),
        ("SELECT ID, N, S, V FROM T ORDER BY ID", "1|1.50|abc|NULL / 2|1.50|NULL|NULL / 3|999.99|NULL|NULL / 4|-999.99|NULL|NULL / 5|1.50|NULL|{\"a\":1.0} / 6|1.50|NULL|NULL / 9|1.50|ééééé|NULL"),
        ("UPDATE T SET N = N + 1, S = 'up' WHERE ID IN (1, 2)", "2|0"),
        ("UPDATE T SET S = NULL, V = NULL WHERE S = 'ééééé'", "1|0"),
        ("UPDATE T SET N = N * 1000 WHERE ID = 1", "100132"),
        ("UPDATE T SET ID = NULL WHERE ID = 1", "100072"),
        ("UPDATE T SET ID = NULL WHERE ID = 77", "0|0"),
        ("UPDATE T SET N = 1 / (ID - 3) WHERE ID <> 3", "6|0"),
        ("DELETE FROM T WHERE S = 'up' AND ID = 2", "1"),
        ("DELETE FROM T WHERE S = 'none'", "0"),
        ("SELECT COUNT(*), SUM(ID) FROM T", "6|28"),
        ("DELETE FROM T", "6"),
        ("SELECT COUNT(*) FROM T", "0"),
        ("INSERT OVERWRITE INTO T (ID) SELECT 1", "1"),
        ("INSERT OVERWRITE INTO T (ID) SELECT 2", "1"),
        ("SELECT ID FROM T", "2"),
        ("TRUNCATE TABLE T", "Statement executed successfully."),
        ("SELECT COUNT(*) FROM T", "0"),
    ]).await;
}

#[tokio::test]
async fn a_failed_statement_changes_nothing() {
    let mut fixture = Fixture::new().await;
    fixture.text(TABLE).await;
    let before = fixture.engine.data_version();
    fixture
        .check(&[
            ("INSERT INTO T (ID) VALUES (1), (2), (NULL)", "100072"),
            ("INSERT INTO T (ID) SELECT 1 UNION ALL SELECT 1/0", "100051"),
            ("SELECT COUNT(*) FROM T", "0"),
        ])
        .await;
    assert_eq!(fixture.engine.data_version(), before);
    fixture.text("INSERT INTO T (ID) VALUES (1)").await;
    assert!(fixture.engine.data_version() > before);
}

#[tokio::test]
async fn a_reader_keeps_the_rows_that_were_there_when_it_began() {
    let mut fixture = Fixture::new().await;
    fixture.text(TABLE).await;
    fixture.text("INSERT INTO T (ID) VALUES (1), (2)").await;
    let started =
        fixture.engine.execute(&mut fixture.session, "SELECT ID FROM T", &[]).await.unwrap();
    fixture.text("DELETE FROM T").await;
    fixture.text("DROP TABLE T").await;
    let batches: Vec<_> = started.rows.try_collect().await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
}

#[tokio::test]
async fn an_earlier_moment_shows_the_rows_of_then() {
    let mut fixture = Fixture::new().await;
    fixture.text(TABLE).await;
    fixture.text("INSERT INTO T (ID) VALUES (1)").await;
    let between = fixture
        .engine
        .execute(&mut fixture.session, "SELECT 1", &[])
        .await
        .unwrap()
        .snapshot_ns
        .to_string();
    fixture.text("INSERT INTO T (ID) VALUES (2)").await;
    let sql = "SELECT ID FROM T AT(TIMESTAMP => ?) ORDER BY 1";
    assert_eq!(fixture.bound(sql, &[("TIMESTAMP_LTZ", &between)]).await, "1");
    fixture
        .check(&[
            ("SELECT T.ID FROM T AT(OFFSET => 0) ORDER BY 1", "1 / 2"),
            ("SELECT ID FROM T AT(TIMESTAMP => '2001-01-01'::TIMESTAMP_LTZ)", "000707"),
            ("SELECT ID FROM T AT(STATEMENT => 'x')", "000709"),
            ("SELECT ID FROM T BEFORE(OFFSET => 0) ORDER BY 1", "1 / 2"),
            ("SELECT ID FROM T AT(STREAM => 'x')", "000002"),
        ])
        .await;
}

#[tokio::test]
async fn temporary_tables_belong_to_their_session() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            ("CREATE TABLE T AS SELECT 1 AS A", "Table T successfully created."),
            ("CREATE TEMPORARY TABLE T AS SELECT 2 AS A", "Table T successfully created."),
            ("SELECT A FROM T", "2"),
        ])
        .await;
    fixture.session.session_id = 8;
    assert_eq!(fixture.text("SELECT A FROM T").await, "1");
    fixture.engine.end_session(7);
    fixture.session.session_id = 7;
    assert_eq!(fixture.text("SELECT A FROM T").await, "1");
}

#[tokio::test]
async fn earlier_results_can_be_read_again() {
    let mut fixture = Fixture::new().await;
    let outcome = fixture.engine.execute(&mut fixture.session, "SELECT 1 AS A", &[]).await.unwrap();
    let batches: Vec<_> = outcome.rows.try_collect().await.unwrap();
    fixture.engine.register_result("id-1", &outcome.columns, batches);
    fixture
        .check(&[
            ("SELECT A + 1 FROM TABLE(RESULT_SCAN('id-1'))", "2"),
            ("SELECT * FROM TABLE(RESULT_SCAN('id-2'))", "000709"),
        ])
        .await;
}

#[tokio::test]
async fn a_change_token_grows_with_each_commit_to_its_table_alone() {
    const TOKEN: &str = "SYSTEM$LAST_CHANGE_COMMIT_TIME";
    let mut fixture = Fixture::new().await;
    fixture.check(&[("CREATE TABLE \"o'T\" (A INT)", "Table \"o'T\" successfully created.")]).await;
    let token = format!(r#"SELECT {TOKEN}('"o''T"')"#);
    let first = fixture.text(&token).await;
    fixture.check(&[("CREATE TABLE U AS SELECT 1 AS A", "Table U successfully created.")]).await;
    assert_eq!(fixture.text(&token).await, first, "another table changed");
    fixture.check(&[("INSERT INTO \"o'T\" VALUES (1), (2)", "2")]).await;
    let second = fixture.text(&token).await;
    assert!(second.parse::<i128>().unwrap() > first.parse::<i128>().unwrap(), "{first} {second}");
    let profile = format!(r#"SELECT COUNT(*), {TOKEN}('D.PUBLIC."o''T"') FROM "o'T""#);
    assert_eq!(fixture.text(&profile).await, format!("2|{second}"), "beside aggregates");
    fixture
        .check(&[
            ("SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME('NOT_THERE')", "002003"),
            ("SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME('T; DROP TABLE U')", "001003"),
            ("SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME(A) FROM U", "001015"),
        ])
        .await;
}
