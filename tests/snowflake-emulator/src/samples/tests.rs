//! The samples are there, of the right size, and the same each time.

use futures::TryStreamExt;

use crate::engine::SessionContext;
use crate::sql::{Engine, EngineOptions};

fn session() -> SessionContext {
    SessionContext {
        user: "SNOWFERRY".to_owned(),
        role: Some("SYSADMIN".to_owned()),
        warehouse: Some("COMPUTE_WH".to_owned()),
        ..SessionContext::default()
    }
}

async fn rows(engine: &Engine, sql: &str) -> Vec<String> {
    let outcome = engine.execute(&mut session(), sql, &[]).await.unwrap();
    let batches: Vec<_> = outcome.rows.try_collect().await.unwrap();
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| arrow::util::display::array_value_to_string(column, row).unwrap())
                .collect();
            lines.push(cells.join("|"));
        }
    }
    lines
}

#[tokio::test]
async fn every_sample_table_has_as_many_rows_as_it_announces() {
    let engine = Engine::new(EngineOptions::default()).await.unwrap();
    for (table, expected) in [
        ("CRM.PUBLIC.ACCOUNTS", 1000),
        ("CRM.PUBLIC.OPPORTUNITIES", 5000),
        ("CRM.PUBLIC.USERS", 200),
        ("CRM.PUBLIC.EVENTS", 2000),
        ("SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.CUSTOMER", 1500),
        ("SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM", 60_175),
        ("SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.NATION", 25),
        ("SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.ORDERS", 15_000),
        ("SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.PART", 2000),
        ("SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.PARTSUPP", 8000),
        ("SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.REGION", 5),
        ("SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.SUPPLIER", 100),
    ] {
        let counted = rows(&engine, &format!("SELECT COUNT(*) FROM {table}")).await;
        assert_eq!(counted, [expected.to_string()], "{table}");
        let [database, schema, name] = *table.split('.').collect::<Vec<_>>() else { panic!() };
        let announced = format!(
            "SELECT ROW_COUNT FROM {database}.INFORMATION_SCHEMA.TABLES \
             WHERE TABLE_SCHEMA = '{schema}' AND TABLE_NAME = '{name}'"
        );
        assert_eq!(rows(&engine, &announced).await, [expected.to_string()], "{table}");
    }
}

#[tokio::test]
async fn line_items_are_those_of_the_benchmark() {
    let engine =
        Engine::new(EngineOptions { crm: false, ..EngineOptions::default() }).await.unwrap();
    let first = rows(
        &engine,
        "SELECT L_ORDERKEY, L_PARTKEY, L_LINENUMBER, L_QUANTITY, L_EXTENDEDPRICE, L_SHIPDATE, \
         L_SHIPMODE, L_COMMENT FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM \
         WHERE L_ORDERKEY = 1 ORDER BY L_LINENUMBER LIMIT 1",
    )
    .await;
    assert_eq!(first, ["1|1552|1|17.00|24710.35|1996-03-13|TRUCK|egular courts above the"]);
}

#[tokio::test]
async fn a_generated_table_cannot_be_changed() {
    let engine =
        Engine::new(EngineOptions { crm: false, ..EngineOptions::default() }).await.unwrap();
    let refused = engine
        .execute(&mut session(), "DELETE FROM SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.NATION", &[])
        .await
        .map(|outcome| outcome.columns);
    assert_eq!(refused.unwrap_err().code, "003001");
}
