//! UPDATE … FROM, DELETE … USING, MERGE, binds.

use super::Fixture;

async fn accounts() -> Fixture {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            (
                "CREATE TABLE T (ID INT NOT NULL, NAME VARCHAR(5), N NUMBER(4,1) DEFAULT 7)",
                "Table T successfully created.",
            ),
            (
                "CREATE TABLE S (ID INT, NAME VARCHAR, GONE BOOLEAN)",
                "Table S successfully created.",
            ),
            ("INSERT INTO T VALUES (1, 'a', 1), (2, 'b', 2), (3, NULL, 3)", "3"),
            ("INSERT INTO S VALUES (2, 'B', FALSE), (3, 'C', TRUE), (4, 'D', FALSE)", "3"),
        ])
        .await;
    fixture
}

const ALL: &str = "SELECT ID, NAME, N FROM T ORDER BY ID, NAME";

#[tokio::test]
async fn other_tables_say_which_rows_change_and_how() {
    let mut fixture = accounts().await;
    fixture
        .check(&[
            ("UPDATE T SET NAME = S.NAME, N = N + 1 FROM S WHERE S.ID = T.ID", "2|0"),
            (ALL, "1|a|1.0 / 2|B|3.0 / 3|C|4.0"),
            ("UPDATE T X SET NAME = 'x' FROM S Y WHERE Y.ID = X.ID AND NOT Y.GONE", "1|0"),
            (ALL, "1|a|1.0 / 2|x|3.0 / 3|C|4.0"),
            ("UPDATE D.PUBLIC.T SET N = 0 WHERE D.PUBLIC.T.ID = 1", "1|0"),
            ("UPDATE T SET NAME = 'toolong' FROM S WHERE S.ID = T.ID", "100078"),
            ("UPDATE T SET NAME = 'm' FROM (SELECT 1 AS ID UNION ALL SELECT 1) M WHERE M.ID = T.ID", "1|1"),
            ("ALTER SESSION SET ERROR_ON_NONDETERMINISTIC_UPDATE = TRUE", "Statement executed successfully."),
            ("UPDATE T SET NAME = 'm' FROM (SELECT 1 AS ID UNION ALL SELECT 1) M WHERE M.ID = T.ID", "100090"),
            ("DELETE FROM T USING S WHERE S.ID = T.ID AND S.GONE", "1"),
            (ALL, "1|m|0.0 / 2|x|3.0"),
            ("DELETE FROM PUBLIC.T USING S WHERE PUBLIC.T.ID = S.ID", "1"),
            ("DELETE FROM T WHERE ID IN (SELECT ID FROM T)", "1"),
            (ALL, ""),
        ])
        .await;
}

#[tokio::test]
async fn merge_updates_deletes_and_inserts() {
    let mut fixture = accounts().await;
    fixture
        .check(&[
            (
                "MERGE INTO T USING S ON T.ID = S.ID \
                 WHEN MATCHED AND S.GONE THEN DELETE \
                 WHEN MATCHED THEN UPDATE SET T.NAME = S.NAME, N = T.N * 10 \
                 WHEN NOT MATCHED THEN INSERT (ID, NAME) VALUES (S.ID, S.NAME)",
                "1|1|1",
            ),
            (ALL, "1|a|1.0 / 2|B|20.0 / 4|D|7.0"),
            (
                "MERGE INTO D.PUBLIC.T USING (SELECT 4 AS K, 'E' AS V) X ON D.PUBLIC.T.ID = X.K \
                 WHEN MATCHED THEN UPDATE SET NAME = V",
                "1",
            ),
            (
                "MERGE INTO T A USING (SELECT 9 AS K UNION ALL SELECT 10) X ON A.ID = X.K \
                 WHEN NOT MATCHED AND X.K = 9 THEN INSERT VALUES (K, NULL, DEFAULT)",
                "1",
            ),
            (ALL, "1|a|1.0 / 2|B|20.0 / 4|E|7.0 / 9|NULL|7.0"),
            (
                "MERGE INTO T USING S ON FALSE \
                 WHEN NOT MATCHED AND NOT GONE THEN INSERT (NAME) VALUES (NAME)",
                "100072",
            ),
            ("MERGE INTO T USING S ON T.ID = S.ID WHEN MATCHED THEN UPDATE SET NOPE = 1", "000904"),
            (
                "MERGE INTO T USING S ON T.ID = S.ID WHEN NOT MATCHED THEN INSERT VALUES (1)",
                "002057",
            ),
            (
                "MERGE INTO T USING S ON T.ID = S.ID \
                 WHEN NOT MATCHED BY SOURCE THEN DELETE",
                "000002",
            ),
            ("MERGE INTO T USING NOPE ON T.ID = NOPE.ID WHEN MATCHED THEN DELETE", "002003"),
            (ALL, "1|a|1.0 / 2|B|20.0 / 4|E|7.0 / 9|NULL|7.0"),
        ])
        .await;
}

#[tokio::test]
async fn a_row_that_two_source_rows_would_change_is_refused() {
    let mut fixture = accounts().await;
    let twice = "(SELECT 1 AS ID, 'x' AS V UNION ALL SELECT 1, 'x')";
    let update = format!(
        "MERGE INTO T USING {twice} S ON T.ID = S.ID WHEN MATCHED THEN UPDATE SET NAME = V"
    );
    let error = fixture.rows(&update, &[]).await.unwrap_err();
    assert_eq!((error.code, error.sql_state), ("100090", "42P18"));
    assert_eq!(
        error.message,
        "Duplicate row detected during DML action\nRow Values: [1, \"a\", 1.0]"
    );
    let mixed = format!(
        "MERGE INTO T USING {twice} S ON T.ID = S.ID WHEN MATCHED AND FALSE THEN UPDATE SET NAME = V \
         WHEN MATCHED THEN DELETE"
    );
    fixture
        .check(&[
            (ALL, "1|a|1.0 / 2|b|2.0 / 3|NULL|3.0"),
            (&mixed, "0|1"),
            ("INSERT INTO T VALUES (1, 'a', 1)", "1"),
            (
                "ALTER SESSION SET ERROR_ON_NONDETERMINISTIC_MERGE = FALSE",
                "Statement executed successfully.",
            ),
            (&update, "1"),
            (ALL, "1|x|1.0 / 2|b|2.0 / 3|NULL|3.0"),
        ])
        .await;
}

type Binds = &'static [(&'static str, &'static str)];

#[tokio::test]
async fn binds_go_into_changes() {
    let mut fixture = accounts().await;
    let cases: [(&str, Binds, &str); 4] = [
        (
            "INSERT INTO T VALUES (?, ?, ?)",
            &[("FIXED", "7"), ("TEXT", "seven"), ("FIXED", "7.5")],
            "1",
        ),
        ("UPDATE T SET NAME = ? WHERE ID = ?", &[("TEXT", "VII"), ("FIXED", "7")], "1|0"),
        (
            "MERGE INTO T USING (SELECT ? AS ID) S ON T.ID = S.ID WHEN MATCHED THEN UPDATE SET N = ?",
            &[("FIXED", "7"), ("REAL", "0.5")],
            "1",
        ),
        ("DELETE FROM T WHERE NAME = ?", &[("TEXT", "VII")], "1"),
    ];
    for (sql, binds, expected) in cases {
        assert_eq!(fixture.bound(sql, binds).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn insert_takes_columns_defaults_and_queries_with_their_own_names() {
    let mut fixture = accounts().await;
    fixture
        .check(&[
            ("INSERT INTO T (NAME, ID) SELECT NAME, ID + 10 FROM S WHERE NOT GONE", "2"),
            ("INSERT INTO T (ID) WITH X AS (SELECT 20 AS K) SELECT K FROM X", "1"),
            ("INSERT INTO T (ID) VALUES (21), (20 + 2)", "2"),
            (
                "SELECT * FROM T WHERE ID > 10 ORDER BY 1",
                "12|B|7.0 / 14|D|7.0 / 20|NULL|7.0 / 21|NULL|7.0 / 22|NULL|7.0",
            ),
            ("INSERT OVERWRITE INTO T (ID, NAME) SELECT ID, NAME FROM T WHERE ID = 2", "1"),
            (ALL, "2|b|7.0"),
            ("INSERT OVERWRITE INTO T (ID) SELECT NULL", "100072"),
            (ALL, "2|b|7.0"),
        ])
        .await;
}

#[tokio::test]
async fn a_ledger_moves_by_one_row_or_not_at_all() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            (
                "CREATE TABLE IF NOT EXISTS \"D\".\"PUBLIC\".\"L\" (PUSH VARCHAR NOT NULL, \
                 GENERATION NUMBER(38,0) NOT NULL, SEQUENCE NUMBER(38,0) NOT NULL, \
                 ROWS_APPLIED NUMBER(38,0), APPLIED_AT TIMESTAMP_LTZ(9))",
                "Table L successfully created.",
            ),
            (
                "CREATE TEMPORARY TABLE \"S\" (\"Id\" NUMBER(9,0), \"N\" NUMBER(9,2))",
                "Table S successfully created.",
            ),
            ("INSERT INTO \"S\" VALUES (1, 1.5), (2, NULL), (2, 3)", "3"),
            (
                "SELECT TO_VARCHAR(COUNT(*)), TO_VARCHAR(COUNT(\"N\")), \
                 TO_VARCHAR(COUNT_IF(\"Id\" IS NULL OR \"N\" IS NULL)) FROM \"S\"",
                "3|2|1",
            ),
            (
                "SELECT TO_VARCHAR(COUNT(*)) FROM (SELECT \"Id\" FROM \"S\" GROUP BY \"Id\" \
                 HAVING COUNT(*) > 1) AS duplicates",
                "1",
            ),
        ])
        .await;
    let begin = "INSERT INTO L (PUSH, GENERATION, SEQUENCE) SELECT ?, 0, 0 \
                 WHERE NOT EXISTS (SELECT 1 FROM L WHERE PUSH = ?)";
    let moved = "UPDATE L SET GENERATION = ?::NUMBER(38,0), SEQUENCE = ?::NUMBER(38,0), \
                 ROWS_APPLIED = ?::NUMBER(38,0), APPLIED_AT = CURRENT_TIMESTAMP() WHERE PUSH = ? \
                 AND GENERATION = ?::NUMBER(38,0) AND SEQUENCE = ?::NUMBER(38,0)";
    let key: &[(&str, &str)] = &[("TEXT", "acme/scores"), ("TEXT", "acme/scores")];
    let step: &[(&str, &str)] = &[
        ("TEXT", "1"),
        ("TEXT", "1"),
        ("TEXT", "3"),
        ("TEXT", "acme/scores"),
        ("TEXT", "0"),
        ("TEXT", "0"),
    ];
    for (sql, binds, expected) in [
        (begin, key, "1"),
        (begin, key, "0"),
        ("BEGIN", &[][..], "Statement executed successfully."),
        (moved, step, "1|0"),
        (moved, step, "0|0"),
        ("COMMIT", &[], "Statement executed successfully."),
        (
            "SELECT TO_VARCHAR(GENERATION), TO_VARCHAR(SEQUENCE), APPLIED_AT IS NULL FROM L \
             WHERE PUSH = ? ORDER BY GENERATION, SEQUENCE",
            &key[..1],
            "1|1|false",
        ),
    ] {
        assert_eq!(fixture.bound(sql, binds).await, expected, "{sql}: {}", fixture.message);
    }
}
