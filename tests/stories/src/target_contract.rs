//! The contract of a push's target, kept by the real client and the emulator together.

use std::sync::Arc;

use async_trait::async_trait;
use snowferry_model::names::TableName;
use snowferry_snowflake::Target;
use snowferry_snowflake::client::{
    ClientOptions, Credential, Endpoint, Secret, SnowflakeClient, SnowflakeTarget,
};
use snowferry_snowflake::contract::target::{Row, TargetFixture, all};

use crate::pushes::rows;
use crate::stage::Stage;

const RESET: &str = "
CREATE OR REPLACE TABLE D.S.T (ID NUMBER(38,0) NOT NULL, V VARCHAR(10), SCORE NUMBER(12,2));
INSERT INTO D.S.T VALUES (-1, 'theirs', NULL);
CREATE OR REPLACE TABLE D.S.LEDGER (PUSH VARCHAR NOT NULL, GENERATION NUMBER(38,0) NOT NULL,
  SEQUENCE NUMBER(38,0) NOT NULL, RUN_ID VARCHAR, TARGET VARCHAR, ROWS_APPLIED NUMBER(38,0),
  APPLIED_AT TIMESTAMP_LTZ(9));
";

struct Fixture {
    stage: Stage,
    target: SnowflakeTarget,
}

impl Fixture {
    fn start() -> Self {
        let stage = Stage::with_sql("CREATE DATABASE D; CREATE SCHEMA D.S;");
        let account = stage.text("account").parse().unwrap();
        let password = Credential::Password(Secret::new(stage.text("password").to_owned()));
        let mut options = ClientOptions::new(account, stage.text("user"), password).unwrap();
        options.endpoint = Endpoint::override_with(stage.text("base_url")).unwrap();
        options.role = Some(stage.text("role").to_owned());
        options.warehouse = Some(stage.text("warehouse").to_owned());
        let client = Arc::new(SnowflakeClient::new(options).unwrap());
        Self { stage, target: SnowflakeTarget::new(client) }
    }
}

#[async_trait]
impl TargetFixture for Fixture {
    fn target(&self) -> &dyn Target {
        &self.target
    }

    fn names(&self) -> [TableName; 3] {
        ["D.S.T", "D.S.LEDGER", "D.S.MISSING"].map(|name| name.parse().unwrap())
    }

    async fn reset(&self) {
        self.stage.sql(RESET).await;
    }

    async fn rows(&self) -> Vec<Row> {
        let all = "SELECT ID::VARCHAR, V, SCORE::VARCHAR FROM D.S.T ORDER BY ID";
        rows(&self.stage, all).await.into_iter().map(|row| row.try_into().unwrap()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_and_the_emulator_keep_the_contract() {
    all(&Fixture::start()).await.unwrap();
}
