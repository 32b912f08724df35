use std::path::Path;

use async_trait::async_trait;
use expect_test::{Expect, expect};
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::types::{ColumnDescription, SnowflakeType, TableDescription};
use snowferry_snowflake::SnowflakeError;

use super::{CheckItem, check_account};
use crate::account::{Account, ListedTable, SessionFacts};
use crate::config::parse;

/// An account that answers from memory.
struct Fake {
    facts: Result<SessionFacts, ()>,
    tables: Vec<(TableName, TableDescription)>,
    selectable: bool,
}

#[async_trait]
impl Account for Fake {
    async fn facts(&self) -> Result<SessionFacts, SnowflakeError> {
        self.facts.clone().map_err(|()| SnowflakeError::SignIn {
            account: "myorg-acme".to_owned(),
            user: "SNOWFERRY".to_owned(),
            code: "390144".to_owned(),
            reason: "JWT token is invalid".to_owned(),
        })
    }

    async fn tables(&self, _pattern: &str) -> Result<Vec<ListedTable>, SnowflakeError> {
        Ok(Vec::new())
    }

    async fn describe(&self, table: &TableName) -> Result<TableDescription, SnowflakeError> {
        let found = self.tables.iter().find(|(name, _)| name == table);
        found.map(|(_, description)| description.clone()).ok_or_else(|| missing(table))
    }

    async fn describe_whole(&self, table: &TableName) -> Result<TableDescription, SnowflakeError> {
        self.describe(table).await
    }

    async fn may_select(
        &self,
        table: &TableName,
        _columns: &[Identifier],
    ) -> Result<(), SnowflakeError> {
        if self.selectable { Ok(()) } else { Err(missing(table)) }
    }
}

fn missing(table: &TableName) -> SnowflakeError {
    SnowflakeError::NotFound { object: table.to_string(), role: "PULL".to_owned() }
}

fn good() -> Fake {
    let column = |name: &str, data_type| ColumnDescription {
        name: Identifier::new(name).unwrap(),
        data_type,
        nullable: false,
        primary_key: false,
    };
    let columns = vec![
        column("ID", SnowflakeType::Number { precision: 38, scale: 0 }),
        column("NAME", SnowflakeType::Text),
        column("UPDATED_AT", SnowflakeType::TimestampNtz { scale: 9 }),
    ];
    let table = TableDescription { kind: "TABLE".to_owned(), identity: "1".to_owned(), columns };
    Fake {
        facts: Ok(SessionFacts {
            version: "9.1.0".to_owned(),
            region: None,
            user: Some("SNOWFERRY".to_owned()),
            role: Some("PULL".to_owned()),
            warehouse: Some("WH".to_owned()),
            clock_ahead_ms: Some(-1_000),
        }),
        tables: vec![("CRM.PUBLIC.ACCOUNTS".parse().unwrap(), table)],
        selectable: true,
    }
}

async fn check(account: &Fake, table: &str, expected: Expect) {
    let text = format!(
        "version: 1\nconnection: acme\nsnowflake: {{ account: myorg-acme, user: SNOWFERRY, \
         role: PULL, warehouse: WH, auth: {{ password: {{ env: P }} }} }}\n\
         pull: {{ tables: [{table}] }}\n"
    );
    let connection = parse(Path::new("acme.yaml"), &text).unwrap();
    let mut items = Vec::new();
    check_account(account, &connection, &mut items).await;
    let lines: Vec<String> = items.iter().map(told).collect();
    expected.assert_eq(&lines.join("\n"));
}

fn told(item: &CheckItem) -> String {
    let repair = item.repair.as_ref().map(|repair| format!("\n  repair: {repair}"));
    let (verdict, subject, found) = (item.verdict, &item.subject, &item.found);
    format!("{verdict:?} {subject}: {found}{}", repair.unwrap_or_default())
}

const ACCOUNTS: &str = "{ table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: UPDATED_AT }";

#[tokio::test]
async fn a_ready_connection_has_no_repairs() {
    check(
        &good(),
        ACCOUNTS,
        expect![[r#"
            Ok endpoint: myorg-acme.snowflakecomputing.com
            Ok sign in to myorg-acme: SNOWFERRY on Snowflake 9.1.0
            Ok this machine's clock: 1 s behind Snowflake's
            Ok role: PULL
            Ok warehouse: WH
            Ok CRM.PUBLIC.ACCOUNTS: table with 3 columns, incremental"#]],
    )
    .await;
}

#[tokio::test]
async fn a_refused_sign_in_skips_what_depends_on_it() {
    check(&Fake { facts: Err(()), ..good() }, ACCOUNTS, expect![[r#"
        Ok endpoint: myorg-acme.snowflakecomputing.com
        Failed sign in to myorg-acme: sign in to account myorg-acme as SNOWFERRY: 390144 JWT token is invalid
          repair: compare the user's RSA_PUBLIC_KEY_FP in DESCRIBE USER SNOWFERRY with the key in use; an administrator sees the reason by SYSTEM$GET_LOGIN_FAILURE_DETAILS
        Skipped role: nobody is signed in
        Skipped warehouse: nobody is signed in
        Skipped CRM.PUBLIC.ACCOUNTS: nobody is signed in"#]]).await;
}

#[tokio::test]
async fn a_role_a_warehouse_and_a_clock_that_are_wrong_are_told_together() {
    let mut account = good();
    if let Ok(facts) = &mut account.facts {
        facts.role = Some("PUBLIC".to_owned());
        facts.warehouse = None;
        facts.clock_ahead_ms = Some(95_000);
    }
    check(
        &account,
        ACCOUNTS,
        expect![[r#"
            Ok endpoint: myorg-acme.snowflakecomputing.com
            Ok sign in to myorg-acme: SNOWFERRY on Snowflake 9.1.0
            Warning this machine's clock: 95 s ahead of Snowflake's
              repair: set the clock by NTP
            Failed role: PULL is named, PUBLIC is in effect
              repair: ask the customer to run GRANT ROLE PULL TO USER SNOWFERRY;
            Failed warehouse: WH is named, none is in effect
              repair: ask the customer to run GRANT USAGE ON WAREHOUSE WH TO ROLE PULL;
            Ok CRM.PUBLIC.ACCOUNTS: table with 3 columns, incremental"#]],
    )
    .await;
}

#[tokio::test]
async fn a_hidden_table_is_repaired_by_three_grants() {
    let tables = "{ table: 'CRM.PUBLIC.\"my table\"', mode: full }";
    check(&good(), tables, expect![[r#"
        Ok endpoint: myorg-acme.snowflakecomputing.com
        Ok sign in to myorg-acme: SNOWFERRY on Snowflake 9.1.0
        Ok this machine's clock: 1 s behind Snowflake's
        Ok role: PULL
        Ok warehouse: WH
        Failed CRM.PUBLIC."my table": CRM.PUBLIC."my table" does not exist or the role PULL may not use it
          repair: check the spelling; if it is right, ask the customer to run
            GRANT USAGE ON DATABASE "CRM" TO ROLE PULL;
            GRANT USAGE ON SCHEMA "CRM"."PUBLIC" TO ROLE PULL;
            GRANT SELECT ON TABLE "CRM"."PUBLIC"."my table" TO ROLE PULL;"#]]).await;
}

#[tokio::test]
async fn a_visible_table_without_select_is_repaired_by_grants() {
    check(&Fake { selectable: false, ..good() }, ACCOUNTS, expect![[r#"
        Ok endpoint: myorg-acme.snowflakecomputing.com
        Ok sign in to myorg-acme: SNOWFERRY on Snowflake 9.1.0
        Ok this machine's clock: 1 s behind Snowflake's
        Ok role: PULL
        Ok warehouse: WH
        Failed CRM.PUBLIC.ACCOUNTS: CRM.PUBLIC.ACCOUNTS does not exist or the role PULL may not use it
          repair: check the spelling; if it is right, ask the customer to run
            GRANT USAGE ON DATABASE "CRM" TO ROLE PULL;
            GRANT USAGE ON SCHEMA "CRM"."PUBLIC" TO ROLE PULL;
            GRANT SELECT ON TABLE "CRM"."PUBLIC"."ACCOUNTS" TO ROLE PULL;"#]]).await;
}

#[tokio::test]
async fn missing_columns_are_told_with_those_that_are_there() {
    let table = "{ table: CRM.PUBLIC.ACCOUNTS, key: [CODE], cursor: CHANGED_AT }";
    check(
        &good(),
        table,
        expect![[r#"
            Ok endpoint: myorg-acme.snowflakecomputing.com
            Ok sign in to myorg-acme: SNOWFERRY on Snowflake 9.1.0
            Ok this machine's clock: 1 s behind Snowflake's
            Ok role: PULL
            Ok warehouse: WH
            Ok CRM.PUBLIC.ACCOUNTS: table with 3 columns, incremental
            Failed CRM.PUBLIC.ACCOUNTS key: there is no column CODE
              repair: name one of ID, NAME, UPDATED_AT
            Failed CRM.PUBLIC.ACCOUNTS cursor: there is no column CHANGED_AT
              repair: name one of ID, NAME, UPDATED_AT"#]],
    )
    .await;
}

#[tokio::test]
async fn a_cursor_of_a_wrong_type_is_refused() {
    let table = "{ table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: NAME }";
    check(
        &good(),
        table,
        expect![[r#"
            Ok endpoint: myorg-acme.snowflakecomputing.com
            Ok sign in to myorg-acme: SNOWFERRY on Snowflake 9.1.0
            Ok this machine's clock: 1 s behind Snowflake's
            Ok role: PULL
            Ok warehouse: WH
            Ok CRM.PUBLIC.ACCOUNTS: table with 3 columns, incremental
            Failed CRM.PUBLIC.ACCOUNTS cursor: NAME is a VARCHAR, which cannot be a cursor
              repair: name a NUMBER, DATE or TIMESTAMP column, or write mode: full"#]],
    )
    .await;
}

#[tokio::test]
async fn a_lookback_that_does_not_fit_the_cursor_is_refused() {
    let table = "{ table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: ID, lookback: 15m }";
    check(
        &good(),
        table,
        expect![[r#"
            Ok endpoint: myorg-acme.snowflakecomputing.com
            Ok sign in to myorg-acme: SNOWFERRY on Snowflake 9.1.0
            Ok this machine's clock: 1 s behind Snowflake's
            Ok role: PULL
            Ok warehouse: WH
            Ok CRM.PUBLIC.ACCOUNTS: table with 3 columns, incremental
            Failed CRM.PUBLIC.ACCOUNTS cursor: the lookback does not fit ID, a NUMBER(38,0)
              repair: write a whole number for a NUMBER cursor, a time such as 15m for others"#]],
    )
    .await;
}

#[tokio::test]
async fn columns_that_may_be_null_are_warned_of() {
    let mut account = good();
    for (_, table) in &mut account.tables {
        table.columns.iter_mut().for_each(|column| column.nullable = true);
    }
    check(&account, ACCOUNTS, expect![[r#"
        Ok endpoint: myorg-acme.snowflakecomputing.com
        Ok sign in to myorg-acme: SNOWFERRY on Snowflake 9.1.0
        Ok this machine's clock: 1 s behind Snowflake's
        Ok role: PULL
        Ok warehouse: WH
        Ok CRM.PUBLIC.ACCOUNTS: table with 3 columns, incremental
        Warning CRM.PUBLIC.ACCOUNTS key: ID may be NULL; a row without a key cannot be loaded
          repair: name a key without NULL, or ask the customer to run ALTER TABLE "CRM"."PUBLIC"."ACCOUNTS" ALTER COLUMN "ID" SET NOT NULL;
        Warning CRM.PUBLIC.ACCOUNTS cursor: UPDATED_AT may be NULL; a pull refuses rows without a cursor
          repair: write null_cursor: reload or ignore, or ask the customer to fill it and run ALTER TABLE "CRM"."PUBLIC"."ACCOUNTS" ALTER COLUMN "UPDATED_AT" SET NOT NULL;"#]]).await;
}

#[tokio::test]
async fn a_type_without_an_exact_form_is_refused() {
    let mut account = good();
    for (_, table) in &mut account.tables {
        if let Some(column) = table.columns.get_mut(1) {
            column.data_type = SnowflakeType::Unknown { name: "FILE".to_owned() };
        }
    }
    check(&account, ACCOUNTS, expect![[r#"
        Ok endpoint: myorg-acme.snowflakecomputing.com
        Ok sign in to myorg-acme: SNOWFERRY on Snowflake 9.1.0
        Ok this machine's clock: 1 s behind Snowflake's
        Ok role: PULL
        Ok warehouse: WH
        Ok CRM.PUBLIC.ACCOUNTS: table with 3 columns, incremental
        Failed CRM.PUBLIC.ACCOUNTS types: column NAME has the type FILE, which this version cannot hold exactly
          repair: ask the customer for a view without, or with another form of, the column"#]]).await;
}
