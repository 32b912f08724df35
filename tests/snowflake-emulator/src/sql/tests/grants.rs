//! Roles, what they may do, and what they do not see.

use super::Fixture;
use crate::account::Grantee;

const DONE: &str = "Statement executed successfully.";

/// A table T of SYSADMIN with one row, and a role R that has the way to its schema.
async fn role_with_the_way() -> Fixture {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            ("CREATE TABLE T (A INT)", "Table T successfully created."),
            ("INSERT INTO T VALUES (1)", "1"),
            ("CREATE ROLE R", "003001"),
            ("USE ROLE USERADMIN", DONE),
            ("CREATE ROLE R COMMENT = 'reads'", "Role R successfully created."),
            ("CREATE ROLE R", "002002"),
            ("CREATE ROLE IF NOT EXISTS R", "R already exists, statement succeeded."),
            ("USE ROLE SYSADMIN", DONE),
            ("GRANT USAGE ON DATABASE D TO ROLE R", DONE),
            ("GRANT USAGE ON SCHEMA D.PUBLIC TO ROLE R", DONE),
            ("GRANT USAGE ON WAREHOUSE COMPUTE_WH TO R", DONE),
        ])
        .await;
    fixture
}

#[tokio::test]
async fn what_a_role_has_nothing_on_does_not_exist_for_it() {
    let mut fixture = Fixture::new().await;
    fixture.text("CREATE TABLE T (A INT)").await;
    fixture.text("USE ROLE SECURITYADMIN").await;
    fixture.text("CREATE ROLE R").await;
    fixture.text("USE ROLE R").await;
    let steps = [
        ("", "002003", "2003 or missing database"),
        ("GRANT USAGE ON DATABASE D TO ROLE R", "002003", "schema"),
        ("GRANT USAGE ON SCHEMA D.PUBLIC TO ROLE R", "002003", "table"),
        ("GRANT INSERT ON TABLE D.PUBLIC.T TO ROLE R", "003001", "seen, not readable"),
        ("GRANT SELECT ON TABLE D.PUBLIC.T TO ROLE R", "000606", "readable, no warehouse"),
        ("GRANT USAGE ON WAREHOUSE COMPUTE_WH TO ROLE R", "", "all"),
        ("REVOKE SELECT ON TABLE D.PUBLIC.T FROM ROLE R", "003001", "seen again"),
        ("REVOKE ALL ON TABLE D.PUBLIC.T FROM ROLE R", "002003", "unseen"),
    ];
    for (grant, expected, what) in steps {
        if !grant.is_empty() {
            fixture.text("USE ROLE SYSADMIN").await;
            assert_eq!(fixture.text(grant).await, DONE, "{grant}");
            fixture.text("USE ROLE R").await;
        }
        assert_eq!(fixture.text("SELECT * FROM D.PUBLIC.T").await, expected, "{what}");
        if expected == "002003" {
            // A table that is not there at all is refused in the same way.
            assert_eq!(fixture.text("SELECT * FROM D.PUBLIC.T2").await, "002003", "{what}");
        }
    }
}

#[tokio::test]
async fn each_change_needs_its_own_privilege() {
    let mut fixture = role_with_the_way().await;
    for (sql, privileges, expected) in [
        ("INSERT INTO D.PUBLIC.T VALUES (2)", &["INSERT"][..], "1"),
        ("INSERT OVERWRITE INTO D.PUBLIC.T SELECT 3", &["INSERT", "DELETE"], "1"),
        ("UPDATE D.PUBLIC.T SET A = 4", &["UPDATE"], "1|0"),
        ("DELETE FROM D.PUBLIC.T WHERE A = 9", &["DELETE"], "0"),
        ("TRUNCATE TABLE D.PUBLIC.T", &["TRUNCATE"], DONE),
        (
            "MERGE INTO D.PUBLIC.T USING (SELECT 5 AS B) S ON A = B \
             WHEN MATCHED THEN UPDATE SET A = 6 WHEN NOT MATCHED THEN INSERT VALUES (B)",
            &["SELECT", "INSERT", "UPDATE"],
            "1|0",
        ),
        ("ALTER TABLE D.PUBLIC.T ADD COLUMN B INT", &["OWNERSHIP"], DONE),
    ] {
        for missing in privileges {
            let others: Vec<_> = privileges.iter().filter(|other| *other != missing).collect();
            fixture.text("USE ROLE SYSADMIN").await;
            fixture.text("REVOKE ALL ON TABLE D.PUBLIC.T FROM ROLE R").await;
            // REFERENCES alone makes the table visible and allows nothing.
            fixture.text("GRANT REFERENCES ON TABLE D.PUBLIC.T TO ROLE R").await;
            for other in others {
                fixture.text(&format!("GRANT {other} ON TABLE D.PUBLIC.T TO ROLE R")).await;
            }
            fixture.text("USE ROLE R").await;
            assert_eq!(fixture.text(sql).await, "003001", "{sql} without {missing}");
        }
        fixture.text("USE ROLE SYSADMIN").await;
        for privilege in privileges {
            let sql = format!(
                "GRANT {privilege} ON TABLE D.PUBLIC.T TO ROLE R{}",
                if *privilege == "OWNERSHIP" { " COPY CURRENT GRANTS" } else { "" }
            );
            assert_eq!(fixture.text(&sql).await, DONE, "{sql}");
        }
        fixture.text("USE ROLE R").await;
        assert_eq!(fixture.text(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn tables_are_made_with_the_privilege_and_temporary_ones_without() {
    let mut fixture = role_with_the_way().await;
    fixture
        .check(&[
            ("USE ROLE R", DONE),
            ("CREATE TABLE MINE (A INT)", "003001"),
            ("CREATE VIEW V AS SELECT 1 AS A", "003001"),
            ("CREATE SCHEMA S", "003001"),
            ("CREATE DATABASE E", "003001"),
            ("DROP TABLE T", "002003"),
            ("CREATE TEMPORARY TABLE TMP (A INT)", "Table TMP successfully created."),
            ("INSERT INTO TMP VALUES (1)", "1"),
            ("SELECT * FROM TMP", "1"),
            ("USE ROLE SYSADMIN", DONE),
            ("GRANT CREATE TABLE, CREATE VIEW ON SCHEMA PUBLIC TO ROLE R", DONE),
            ("GRANT SELECT ON FUTURE TABLES IN SCHEMA PUBLIC TO ROLE PUBLIC", DONE),
            ("USE ROLE R", DONE),
            ("CREATE TABLE MINE (A INT)", "Table MINE successfully created."),
            ("INSERT INTO MINE VALUES (7)", "1"),
            ("CREATE OR REPLACE TABLE T (A INT)", "002003"),
            ("CREATE TABLE COPY LIKE T", "002003"),
            ("USE ROLE ORGADMIN", DONE),
            ("SELECT * FROM D.PUBLIC.MINE", "002003"),
            ("USE ROLE SYSADMIN", DONE),
            ("GRANT USAGE ON DATABASE D TO ROLE PUBLIC", DONE),
            ("GRANT USAGE ON ALL SCHEMAS IN DATABASE D TO ROLE PUBLIC", DONE),
            ("GRANT USAGE ON WAREHOUSE COMPUTE_WH TO ROLE PUBLIC", DONE),
            ("USE ROLE ORGADMIN", DONE),
            ("SELECT * FROM D.PUBLIC.MINE", "7"),
            ("SELECT * FROM D.PUBLIC.T", "002003"),
            ("SELECT TABLE_NAME, TABLE_OWNER FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'PUBLIC' ORDER BY 1", "MINE|R / TMP|R"),
        ])
        .await;
}

#[tokio::test]
async fn grants_stay_with_the_object_over_changes_and_not_over_its_replacement() {
    let mut fixture = role_with_the_way().await;
    let readable = "SELECT COUNT(*) >= 0 FROM D.PUBLIC.T";
    fixture.text("GRANT SELECT ON TABLE T TO ROLE R").await;
    for (change, expected) in [
        ("INSERT OVERWRITE INTO T SELECT 2", "true"),
        ("TRUNCATE TABLE T", "true"),
        ("ALTER TABLE T ADD COLUMN B INT", "true"),
        ("CREATE OR REPLACE TABLE T (A INT) COPY GRANTS", "true"),
        ("CREATE TABLE U LIKE T", "true"),
        ("ALTER TABLE T SWAP WITH U", "002003"),
        ("ALTER TABLE T SWAP WITH U", "true"),
        ("CREATE OR REPLACE TABLE T (A INT)", "002003"),
    ] {
        fixture.text("USE ROLE SYSADMIN").await;
        let changed = fixture.text(change).await;
        assert!(!changed.starts_with('0'), "{change}: {changed}");
        fixture.text("USE ROLE R").await;
        assert_eq!(fixture.text(readable).await, expected, "{change}");
    }
}

#[tokio::test]
async fn roles_are_given_to_users_and_roles() {
    let mut fixture = role_with_the_way().await;
    fixture.session.role = Some("SECURITYADMIN".to_owned());
    fixture
        .check(&[
            ("CREATE USER BOB DEFAULT_ROLE = R TYPE = SERVICE", "User BOB successfully created."),
            ("CREATE USER EVE PASSWORD = 'x' TYPE = SERVICE", "003653"),
            ("CREATE ROLE TOP", "Role TOP successfully created."),
            ("GRANT ROLE R TO ROLE TOP", DONE),
            ("GRANT ROLE TOP TO ROLE R", "003010"),
            ("GRANT ROLE NOPE TO USER BOB", "002003"),
            ("GRANT ROLE R TO USER NOPE", "002003"),
            ("GRANT ROLE TOP TO USER BOB", DONE),
        ])
        .await;
    let account = fixture.engine.account();
    assert!(account.access.roles_of_user("BOB").contains("R"));
    fixture.session.user = "BOB".to_owned();
    fixture.session.role = Some("PUBLIC".to_owned());
    fixture
        .check(&[
            ("USE ROLE SYSADMIN", "003013"),
            ("USE ROLE NOPE", "002043"),
            ("USE ROLE R", DONE),
            ("USE ROLE TOP", DONE),
            ("SELECT CURRENT_ROLE()", "TOP"),
            ("GRANT SELECT ON TABLE D.PUBLIC.T TO ROLE TOP", "002003"),
            ("CREATE USER X", "003001"),
            ("DROP ROLE R", "003001"),
        ])
        .await;
    fixture.session.user = "ANNA".to_owned();
    fixture
        .check(&[
            ("USE ROLE ACCOUNTADMIN", DONE),
            ("GRANT SELECT ON TABLE D.PUBLIC.T TO ROLE R WITH GRANT OPTION", DONE),
            ("USE ROLE TOP", DONE),
            ("SELECT * FROM D.PUBLIC.T", "1"),
            ("GRANT SELECT ON TABLE D.PUBLIC.T TO ROLE TOP", DONE),
            ("GRANT INSERT ON TABLE D.PUBLIC.T TO ROLE TOP", "003011"),
            ("USE ROLE ACCOUNTADMIN", DONE),
            ("REVOKE ROLE TOP FROM USER BOB", DONE),
            ("DROP ROLE SYSADMIN", "003001"),
            ("DROP ROLE R", "R successfully dropped."),
            ("DROP ROLE R", "002003"),
            ("DROP ROLE IF EXISTS R", "Drop statement executed successfully (R already dropped)."),
            ("DROP USER BOB", "BOB successfully dropped."),
        ])
        .await;
    assert!(!account.access.roles_of_user("BOB").contains("TOP"));
    assert!(account.access.members().iter().all(|(_, to, _)| *to != Grantee::Role("R".to_owned())));
}

#[tokio::test]
async fn grants_are_shown_on_to_and_of() {
    let mut fixture = role_with_the_way().await;
    fixture.text("GRANT SELECT, INSERT ON TABLE T TO ROLE R").await;
    fixture.text("GRANT SELECT ON FUTURE VIEWS IN SCHEMA PUBLIC TO ROLE R").await;
    fixture.text("USE ROLE SECURITYADMIN").await;
    fixture.text("GRANT ROLE R TO ROLE SYSADMIN").await;
    fixture.text("CREATE ROLE BELOW").await;
    fixture.text("GRANT ROLE BELOW TO ROLE R").await;
    for (sql, expected) in [
        (
            "SHOW GRANTS ON TABLE D.PUBLIC.T",
            "OWNERSHIP|TABLE|D.PUBLIC.T|ROLE|SYSADMIN / INSERT|TABLE|D.PUBLIC.T|ROLE|R / \
             SELECT|TABLE|D.PUBLIC.T|ROLE|R",
        ),
        (
            "SHOW GRANTS TO ROLE R",
            "USAGE|ROLE|BELOW|ROLE|R / USAGE|WAREHOUSE|COMPUTE_WH|ROLE|R / \
             USAGE|DATABASE|D|ROLE|R / \
             USAGE|SCHEMA|D.PUBLIC|ROLE|R / INSERT|TABLE|D.PUBLIC.T|ROLE|R / \
             SELECT|TABLE|D.PUBLIC.T|ROLE|R",
        ),
        ("SHOW GRANTS OF ROLE R", "R|ROLE|SYSADMIN|"),
        ("SHOW FUTURE GRANTS IN SCHEMA D.PUBLIC", "SELECT|VIEW|D.PUBLIC.<VIEW>|ROLE|R"),
    ] {
        let rows = fixture.rows(sql, &[]).await.unwrap();
        let shown: Vec<_> = rows.iter().map(|row| row[1..row.len().min(6)].join("|")).collect();
        assert_eq!(shown.join(" / "), expected, "{sql}");
    }
    assert_eq!(fixture.text("SHOW GRANTS TO ROLE NOPE").await, "002043");
    assert_eq!(fixture.text("SHOW GRANTS ON TABLE NOPE").await, "002003");
}

#[tokio::test]
async fn a_view_is_read_with_its_owner_s_privileges() {
    let mut fixture = role_with_the_way().await;
    fixture
        .check(&[
            ("CREATE VIEW V AS SELECT A + 1 AS B FROM T", "View V successfully created."),
            ("GRANT SELECT ON VIEW V TO ROLE R", DONE),
            ("USE ROLE R", DONE),
            ("SELECT B FROM V", "2"),
            ("SELECT A FROM T", "002003"),
        ])
        .await;
}

#[tokio::test]
async fn the_sample_is_for_everybody() {
    let mut fixture = Fixture::new().await;
    fixture.text("USE ROLE SECURITYADMIN").await;
    fixture.text("CREATE ROLE R").await;
    fixture.session.role = Some("SYSADMIN".to_owned());
    fixture.text("GRANT USAGE ON WAREHOUSE COMPUTE_WH TO ROLE R").await;
    fixture.session.role = Some("R".to_owned());
    let sql = "SELECT COUNT(*) FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.NATION";
    assert_eq!(fixture.text(sql).await, "25");
}

#[tokio::test]
async fn warehouses_are_made_suspended_resumed_and_dropped() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            ("CREATE TABLE T AS SELECT 1 AS A", "Table T successfully created."),
            (
                "CREATE WAREHOUSE W WITH WAREHOUSE_SIZE = 'X-LARGE' AUTO_SUSPEND = 60 \
                 AUTO_RESUME = FALSE INITIALLY_SUSPENDED = TRUE COMMENT = 'c'",
                "Warehouse W successfully created.",
            ),
            ("SELECT CURRENT_WAREHOUSE()", "W"),
            ("SELECT A FROM T", "000606"),
            ("ALTER WAREHOUSE W RESUME", DONE),
            ("SELECT A FROM T", "1"),
            ("ALTER WAREHOUSE W RESUME", "090063"),
            ("ALTER WAREHOUSE W RESUME IF SUSPENDED", DONE),
            ("ALTER WAREHOUSE W SUSPEND", DONE),
            ("DELETE FROM T", "000606"),
            ("ALTER WAREHOUSE W SET AUTO_RESUME = TRUE WAREHOUSE_SIZE = XSMALL", DONE),
            ("SELECT A FROM T", "1"),
            ("ALTER WAREHOUSE NOPE SUSPEND", "002003"),
            ("ALTER WAREHOUSE W SET WAREHOUSE_SIZE = HUGE", "001008"),
            ("DROP WAREHOUSE W", "W successfully dropped."),
            ("SELECT A FROM T", "000606"),
            ("USE WAREHOUSE W", "002043"),
        ])
        .await;
    let rows = fixture.rows("SHOW WAREHOUSES", &[]).await.unwrap();
    assert_eq!(rows[0][..2], ["COMPUTE_WH", "STARTED"]);
}

#[tokio::test]
async fn network_policies_are_made_of_lists_and_rules() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            (
                "CREATE NETWORK RULE D.PUBLIC.OURS MODE = INGRESS TYPE = IPV4 \
                 VALUE_LIST = ('203.0.113.10', '203.0.113.16/28')",
                "Network rule \"D.PUBLIC.OURS\" successfully created.",
            ),
            ("CREATE NETWORK RULE BAD MODE = INGRESS TYPE = IPV4 VALUE_LIST = ('x')", "001008"),
            ("CREATE NETWORK RULE BAD MODE = EGRESS TYPE = HOST_PORT VALUE_LIST = ('x')", "000002"),
            ("CREATE NETWORK POLICY P ALLOWED_NETWORK_RULE_LIST = ('OURS')", "003001"),
            ("USE ROLE SECURITYADMIN", DONE),
            ("USE SCHEMA D.PUBLIC", "002043"),
            (
                "CREATE NETWORK POLICY P ALLOWED_NETWORK_RULE_LIST = ('D.PUBLIC.OURS') \
                 BLOCKED_IP_LIST = ('203.0.113.17')",
                "Network policy P successfully created.",
            ),
            ("CREATE NETWORK POLICY Q ALLOWED_NETWORK_RULE_LIST = ('D.PUBLIC.NOPE')", "002003"),
            ("CREATE USER BOB", "User BOB successfully created."),
            ("ALTER USER BOB SET NETWORK_POLICY = NOPE", "002003"),
            ("ALTER USER BOB SET NETWORK_POLICY = P", DONE),
        ])
        .await;
    let account = fixture.engine.account();
    let admitted = |user: &str, from: &str| account.admits(user, from.parse().unwrap());
    assert!(admitted("BOB", "203.0.113.10") && admitted("BOB", "203.0.113.18"));
    assert!(!admitted("BOB", "203.0.113.17") && !admitted("BOB", "127.0.0.1"));
    assert!(admitted("ANNA", "127.0.0.1"));
    fixture.check(&[("ALTER ACCOUNT SET NETWORK_POLICY = P", DONE)]).await;
    assert!(!admitted("ANNA", "127.0.0.1"));
    fixture
        .check(&[
            ("ALTER ACCOUNT UNSET NETWORK_POLICY", DONE),
            ("ALTER USER BOB UNSET NETWORK_POLICY", DONE),
        ])
        .await;
    assert!(admitted("ANNA", "127.0.0.1") && admitted("BOB", "127.0.0.1"));
}

#[tokio::test]
async fn the_account_s_time_zone_is_its_administrators_to_set() {
    let mut fixture = Fixture::new().await;
    fixture
        .check(&[
            ("USE ROLE SYSADMIN", DONE),
            ("ALTER ACCOUNT SET TIMEZONE = 'Asia/Kathmandu'", "003001"),
            ("USE ROLE ACCOUNTADMIN", DONE),
            ("ALTER ACCOUNT SET TIMEZONE = 'Mars/Olympus'", "001008"),
            ("ALTER ACCOUNT SET TIMEZONE = 'Asia/Kathmandu'", DONE),
        ])
        .await;
    assert_eq!(fixture.engine.account().zone(), "Asia/Kathmandu");
}
