//! Transactions: who sees what, who waits, what is undone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Fixture;
use crate::engine::{Ended, SessionContext};

const DONE: &str = "Statement executed successfully.";

/// A table T with the rows 1 and 2; sessions 7 and 8 do not wait for locks.
async fn two_rows() -> Fixture {
    two_rows_with(Duration::from_secs(300)).await
}

async fn two_rows_with(idle_transaction: Duration) -> Fixture {
    let mut fixture = Fixture::with(idle_transaction).await;
    fixture.session.parameters.insert("LOCK_TIMEOUT".to_owned(), "0".to_owned());
    fixture
        .check(&[
            ("CREATE TABLE T (A INT)", "Table T successfully created."),
            ("INSERT INTO T VALUES (1), (2)", "2"),
        ])
        .await;
    fixture
}

const ALL: &str = "SELECT A FROM T ORDER BY A";

#[tokio::test]
async fn others_see_a_transaction_when_it_is_committed_and_not_before() {
    let mut fixture = two_rows().await;
    fixture
        .play(&[
            (7, "BEGIN TRANSACTION NAME MINE", DONE),
            (7, "BEGIN", DONE),
            (7, "DELETE FROM T WHERE A = 1", "1"),
            (7, "INSERT INTO T VALUES (3)", "1"),
            (7, "UPDATE T SET A = A * 10 WHERE A = 3", "1|0"),
            (7, ALL, "2 / 30"),
            (8, ALL, "1 / 2"),
            (7, "COMMIT", DONE),
            (8, ALL, "2 / 30"),
            (7, "COMMIT WORK", DONE),
            (7, "START TRANSACTION", DONE),
            (7, "TRUNCATE TABLE T", DONE),
            (7, ALL, ""),
            (8, ALL, "2 / 30"),
            (7, "ROLLBACK", DONE),
            (7, ALL, "2 / 30"),
            (7, "ROLLBACK", DONE),
        ])
        .await;
}

#[tokio::test]
async fn a_transaction_sees_what_others_have_committed_meanwhile() {
    let mut fixture = two_rows().await;
    fixture
        .play(&[
            (7, "BEGIN", DONE),
            (7, "DELETE FROM T WHERE A = 1", "1"),
            (8, "INSERT INTO T VALUES (4)", "1"),
            (7, ALL, "2 / 4"),
            (7, "INSERT OVERWRITE INTO T SELECT A + 100 FROM T", "2"),
            (8, "INSERT INTO T VALUES (5)", "1"),
            (7, ALL, "5 / 102 / 104"),
            (8, ALL, "1 / 2 / 4 / 5"),
            (7, "COMMIT", DONE),
            (8, ALL, "5 / 102 / 104"),
        ])
        .await;
}

#[tokio::test]
async fn several_tables_change_at_one_moment() {
    let mut fixture = two_rows().await;
    fixture
        .play(&[
            (7, "CREATE TABLE U (A INT)", "Table U successfully created."),
            (7, "BEGIN", DONE),
            (7, "INSERT INTO U SELECT A FROM T", "2"),
            (7, "DELETE FROM T", "2"),
        ])
        .await;
    fixture.session.query_id = "commit".to_owned();
    fixture.text("COMMIT").await;
    fixture.session.query_id.clear();
    fixture
        .check(&[
            ("SELECT (SELECT COUNT(*) FROM T), (SELECT COUNT(*) FROM U)", "0|2"),
            (
                "SELECT (SELECT COUNT(*) FROM T BEFORE(STATEMENT => 'commit')), \
                 (SELECT COUNT(*) FROM U BEFORE(STATEMENT => 'commit'))",
                "0|2",
            ),
        ])
        .await;
}

#[tokio::test]
async fn rewriting_one_table_waits_for_the_other_and_adding_does_not() {
    let mut fixture = two_rows().await;
    fixture
        .play(&[
            (7, "BEGIN", DONE),
            (7, "UPDATE T SET A = 10 WHERE A = 1", "1|0"),
            (8, "UPDATE T SET A = 20 WHERE A = 2", "000625"),
            (8, "DELETE FROM T", "000625"),
            (8, "TRUNCATE TABLE T", "000625"),
            (8, "INSERT OVERWRITE INTO T SELECT 1", "000625"),
            (8, "MERGE INTO T USING (SELECT 1 AS B) S ON A = B WHEN MATCHED THEN DELETE", "000625"),
            (8, "ALTER TABLE T ADD COLUMN B INT", "000625"),
            (8, "INSERT INTO T VALUES (3)", "1"),
            (8, ALL, "1 / 2 / 3"),
            (7, "ROLLBACK", DONE),
            (8, "UPDATE T SET A = 20 WHERE A = 2", "1|0"),
            (7, "BEGIN", DONE),
            (7, "INSERT INTO T VALUES (4)", "1"),
            (8, "UPDATE T SET A = 30 WHERE A = 3", "1|0"),
            (8, "ALTER TABLE T ADD COLUMN B INT", "000625"),
            (7, "COMMIT", DONE),
            (8, ALL, "1 / 4 / 20 / 30"),
        ])
        .await;
}

#[tokio::test]
async fn a_waiting_statement_goes_on_from_what_the_other_committed() {
    let mut fixture = two_rows().await;
    fixture.session.parameters.clear();
    fixture.play(&[(7, "BEGIN", DONE), (7, "UPDATE T SET A = A + 1", "2|0")]).await;
    let engine = fixture.engine.clone();
    let mut other = SessionContext { session_id: 8, ..fixture.session.clone() };
    let waiting = tokio::spawn(async move {
        engine.execute(&mut other, "UPDATE T SET A = A * 10", &[]).await.map(|_| ())
    });
    while fixture.text("SHOW LOCKS").await.matches("WAITING").count() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.text("COMMIT").await, DONE);
    waiting.await.unwrap().unwrap();
    assert_eq!(fixture.text(ALL).await, "20 / 30");
    assert_eq!(fixture.text("SHOW LOCKS").await, "");
}

#[tokio::test]
async fn two_transactions_that_wait_for_each_other_are_told() {
    let mut fixture = two_rows().await;
    fixture.session.parameters.clear();
    fixture
        .play(&[
            (7, "CREATE TABLE U AS SELECT 1 AS A", "Table U successfully created."),
            (7, "BEGIN", DONE),
            (7, "DELETE FROM T", "2"),
            (8, "BEGIN", DONE),
            (8, "DELETE FROM U", "1"),
        ])
        .await;
    let engine = fixture.engine.clone();
    let mut other = SessionContext { session_id: 8, ..fixture.session.clone() };
    let waiting =
        tokio::spawn(
            async move { engine.execute(&mut other, "DELETE FROM T", &[]).await.map(|_| ()) },
        );
    while fixture.text_as(9, "SHOW LOCKS").await.matches("WAITING").count() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fixture.text("DELETE FROM U").await, "000625");
    assert_eq!(fixture.text("ROLLBACK").await, DONE);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn definitions_commit_what_is_open() {
    let mut fixture = two_rows().await;
    fixture
        .play(&[
            (7, "BEGIN", DONE),
            (7, "DELETE FROM T WHERE A = 1", "1"),
            (7, "CREATE TABLE U (A INT)", "Table U successfully created."),
            (8, ALL, "2"),
            (7, "INSERT INTO T VALUES (5)", "1"),
            (8, ALL, "2 / 5"),
            (7, "ROLLBACK", DONE),
            (8, ALL, "2 / 5"),
        ])
        .await;
}

#[tokio::test]
async fn a_failed_statement_does_not_end_its_transaction() {
    let mut fixture = two_rows().await;
    fixture
        .play(&[
            (7, "BEGIN", DONE),
            (7, "INSERT INTO T VALUES (3)", "1"),
            (7, "INSERT INTO T VALUES ('x')", "100038"),
            (7, "UPDATE T SET A = 1 / 0", "100051"),
            (7, "SELECT * FROM NOPE", "002003"),
            (7, "COMMIT", DONE),
            (8, ALL, "1 / 2 / 3"),
        ])
        .await;
}

#[tokio::test]
async fn without_autocommit_a_change_opens_a_transaction() {
    let mut fixture = two_rows().await;
    fixture.check(&[("ALTER SESSION SET AUTOCOMMIT = FALSE", DONE)]).await;
    fixture
        .check(&[
            ("SELECT CURRENT_TRANSACTION() IS NULL", "true"),
            ("DELETE FROM T", "2"),
            ("SELECT CURRENT_TRANSACTION() IS NULL", "false"),
            ("ROLLBACK", DONE),
            (ALL, "1 / 2"),
            ("DELETE FROM T WHERE A = 1", "1"),
            ("COMMIT", DONE),
            ("ALTER SESSION SET AUTOCOMMIT = MAYBE", "001008"),
        ])
        .await;
    assert_eq!(fixture.text_as(8, ALL).await, "2");
}

#[tokio::test]
async fn a_session_that_ends_rolls_back_and_frees_its_locks() {
    let mut fixture = two_rows().await;
    fixture
        .play(&[
            (8, "BEGIN", DONE),
            (8, "DELETE FROM T", "2"),
            (7, "UPDATE T SET A = 9 WHERE A = 1", "000625"),
        ])
        .await;
    assert!(!fixture.engine.shares_results(8));
    fixture.engine.end_session(8);
    fixture
        .play(&[
            (7, "SHOW TRANSACTIONS", ""),
            (7, "UPDATE T SET A = 9 WHERE A = 1", "1|0"),
            (8, "COMMIT", DONE),
            (7, ALL, "2 / 9"),
        ])
        .await;
}

#[tokio::test]
async fn a_transaction_of_ones_own_is_ended_from_another_session() {
    let mut fixture = two_rows().await;
    fixture.play(&[(8, "BEGIN TRANSACTION NAME LEFT_OPEN", DONE), (8, "DELETE FROM T", "2")]).await;
    let id = fixture.engine.inner.transactions.of(8).unwrap().id;
    let abort = format!("SELECT SYSTEM$ABORT_TRANSACTION({id})");
    fixture.session.user = "BERT".to_owned();
    fixture
        .play(&[
            (7, "SHOW TRANSACTIONS", ""),
            (7, &abort, "003001"),
            (7, "DELETE FROM T", "000625"),
        ])
        .await;
    fixture.session.user = "ANNA".to_owned();
    let ended = format!("Aborted transaction id {id}.");
    let again = format!("Transaction {id} has ended already.");
    fixture
        .play(&[
            (7, &abort, &ended),
            (7, &abort, &again),
            (7, "SELECT SYSTEM$ABORT_TRANSACTION(A) FROM T", "001003"),
            (7, "UPDATE T SET A = 9 WHERE A = 1", "1|0"),
            // The session goes on, each change by itself.
            (8, "SELECT CURRENT_TRANSACTION() IS NULL", "true"),
            (8, "DELETE FROM T WHERE A = 2", "1"),
            (7, ALL, "9"),
        ])
        .await;
}

#[tokio::test]
async fn an_idle_transaction_gives_way() {
    for (idle, expected) in [(Duration::from_secs(300), "000625"), (Duration::ZERO, "1")] {
        let mut fixture = two_rows_with(idle).await;
        fixture
            .play(&[
                (8, "BEGIN", DONE),
                (8, "DELETE FROM T", "2"),
                (7, "DELETE FROM T WHERE A = 1", expected),
                (8, "COMMIT", DONE),
            ])
            .await;
        let left = if expected == "1" { "2" } else { "" };
        assert_eq!(fixture.text(ALL).await, left);
    }
}

#[tokio::test]
async fn a_waiter_looks_again_when_the_holders_last_statement_has_ended() {
    let mut fixture = two_rows_with(Duration::from_millis(20)).await;
    fixture.play(&[(8, "BEGIN", DONE), (8, "DELETE FROM T", "2")]).await;
    fixture.session.parameters.insert("LOCK_TIMEOUT".to_owned(), "600".to_owned());
    let inner = Arc::clone(&fixture.engine.inner);
    let holder = inner.transactions.of(8).unwrap();
    let running = holder.work().await.unwrap();
    let mut waiter = Box::pin(fixture.text("DELETE FROM T WHERE A = 1"));
    while inner.transactions.locks.list().1.is_empty() {
        tokio::select! {
            biased;
            found = &mut waiter => panic!("it did not wait: {found}"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(running);
    assert_eq!(waiter.await, "1");
}

#[tokio::test]
async fn a_dropped_or_replaced_table_fails_the_commit_as_a_whole() {
    let mut fixture = two_rows().await;
    fixture
        .play(&[
            (7, "CREATE TABLE U (A INT)", "Table U successfully created."),
            (7, "BEGIN", DONE),
            (7, "INSERT INTO U VALUES (1)", "1"),
            (7, "INSERT INTO T VALUES (3)", "1"),
            (8, "CREATE OR REPLACE TABLE U (A INT)", "Table U successfully created."),
            (7, "COMMIT", "002003"),
            (7, ALL, "1 / 2"),
            (7, "SHOW TRANSACTIONS", ""),
            (7, "SELECT COUNT(*) FROM U", "0"),
            // A renamed table is still the same.
            (7, "BEGIN", DONE),
            (7, "INSERT INTO U VALUES (1)", "1"),
            (7, "ALTER TABLE T RENAME TO V", DONE),
            (7, "SELECT (SELECT COUNT(*) FROM U), (SELECT COUNT(*) FROM V)", "1|2"),
        ])
        .await;
}

#[tokio::test]
async fn many_small_inserts_beside_a_rewrite_lose_nothing() {
    let mut fixture = two_rows().await;
    fixture.play(&[(7, "BEGIN", DONE), (7, "UPDATE T SET A = A + 1000", "2|0")]).await;
    for number in 10..110 {
        fixture.text_as(8, &format!("INSERT INTO T VALUES ({number})")).await;
    }
    fixture.play(&[(7, "COMMIT", DONE)]).await;
    for number in 110..120 {
        fixture.text_as(8, &format!("INSERT INTO T VALUES ({number})")).await;
    }
    let counts = "SELECT COUNT(*), SUM(A), COUNT_IF(A > 1000) FROM T";
    let sum: i64 = 1001 + 1002 + (10..120).sum::<i64>();
    assert_eq!(fixture.text(counts).await, format!("112|{sum}|2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_all_of_a_commit_or_nothing() {
    let mut fixture = two_rows().await;
    fixture.text("CREATE TABLE U AS SELECT 0 AS A").await;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (engine, seen_stop) = (fixture.engine.clone(), Arc::clone(&stop));
    let mut reader = SessionContext { session_id: 9, ..fixture.session.clone() };
    let reading = tokio::spawn(async move {
        use futures::TryStreamExt;
        let sql = "SELECT A.N - B.N FROM (SELECT COUNT(*) AS N FROM T) A, \
                   (SELECT COUNT(*) AS N FROM U) B";
        let mut different = BTreeMap::new();
        while !seen_stop.load(std::sync::atomic::Ordering::SeqCst) {
            let outcome = engine.execute(&mut reader, sql, &[]).await.unwrap();
            let batches: Vec<_> = outcome.rows.try_collect().await.unwrap();
            let shown = format!("{:?}", batches[0].column(0));
            *different.entry(shown).or_insert(0) += 1;
        }
        different
    });
    for _ in 0..40 {
        fixture
            .play(&[
                (7, "BEGIN", DONE),
                (7, "INSERT INTO T VALUES (5)", "1"),
                (7, "INSERT INTO U VALUES (5)", "1"),
                (7, "COMMIT", DONE),
            ])
            .await;
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    let different = reading.await.unwrap();
    assert_eq!(different.len(), 1, "{different:?}");
}

#[tokio::test]
async fn earlier_statements_are_found_by_id() {
    let mut fixture = two_rows().await;
    let run = async |fixture: &mut Fixture, id: &str, sql: &str| {
        fixture.session.query_id = id.to_owned();
        let text = fixture.text(sql).await;
        let engine = fixture.engine.clone();
        engine.statement_ended(&Ended { context: &fixture.session, text: sql, rows: Ok(1) });
        text
    };
    assert_eq!(run(&mut fixture, "q1", "DELETE FROM T WHERE A = 1").await, "1");
    assert_eq!(run(&mut fixture, "q2", "SELECT LAST_QUERY_ID()").await, "q1");
    run(&mut fixture, "q3", "BEGIN").await;
    run(&mut fixture, "q4", "DELETE FROM T").await;
    assert_eq!(run(&mut fixture, "q5", "SELECT A FROM T AT(STATEMENT => 'q4')").await, "000709");
    run(&mut fixture, "q6", "COMMIT").await;
    for (id, sql, expected) in [
        ("q7", "SELECT A FROM T BEFORE(STATEMENT => 'q1') ORDER BY 1", "1 / 2"),
        ("q8", "SELECT A FROM T AT(STATEMENT => 'q1')", "2"),
        ("q9", "SELECT A FROM T BEFORE(STATEMENT => 'q4')", "2"),
        ("q10", "SELECT COUNT(*) FROM T AT(STATEMENT => 'q4')", "0"),
        ("q11", "SELECT LAST_QUERY_ID(1), LAST_QUERY_ID(-2)", "q1|q9"),
        ("q12", "SELECT A FROM NOPE", "002003"),
        (
            "q13",
            "SELECT QUERY_ID, QUERY_TYPE, EXECUTION_STATUS, WAREHOUSE_NAME, ROWS_PRODUCED \
             FROM TABLE(INFORMATION_SCHEMA.QUERY_HISTORY(RESULT_LIMIT => 4)) \
             ORDER BY START_TIME DESC",
            "q13|SELECT|RUNNING|COMPUTE_WH|NULL / q12|SELECT|FAILED_WITH_ERROR|COMPUTE_WH|1 / \
             q11|SELECT|SUCCESS|COMPUTE_WH|1 / q10|SELECT|SUCCESS|COMPUTE_WH|1",
        ),
        (
            "q14",
            "CREATE TABLE C CLONE T BEFORE(STATEMENT => 'q1')",
            "Table C successfully created.",
        ),
        ("q15", "SELECT A FROM C ORDER BY 1", "1 / 2"),
        (
            "q16",
            "SELECT COUNT(*) FROM TABLE(D.INFORMATION_SCHEMA.QUERY_HISTORY_BY_SESSION(SESSION_ID => 1))",
            "0",
        ),
    ] {
        assert_eq!(run(&mut fixture, id, sql).await, expected, "{id}: {sql}");
    }
}

#[tokio::test]
async fn a_script_that_leaves_a_transaction_open_changes_nothing() {
    let fixture = two_rows().await;
    let mut owner = SessionContext { session_id: 0, ..fixture.session.clone() };
    let script = "BEGIN; DELETE FROM D.PUBLIC.T;";
    fixture.engine.run_script(&mut owner, script).await.unwrap();
    let mut fixture = fixture;
    assert_eq!(fixture.text(ALL).await, "1 / 2");
}
