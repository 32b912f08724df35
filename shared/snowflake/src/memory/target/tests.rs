//! The account in memory keeps the contract of a target.

use async_trait::async_trait;
use snowferry_model::names::{Identifier, TableName};
use snowferry_model::push::TargetColumn;
use snowferry_model::types::SnowflakeType;

use super::MemoryTarget;
use crate::Target;
use crate::contract::target::{Row, TargetFixture, all};

#[derive(Default)]
struct Fixture(MemoryTarget);

#[async_trait]
impl TargetFixture for Fixture {
    fn target(&self) -> &dyn Target {
        &self.0
    }

    fn names(&self) -> [TableName; 3] {
        ["D.S.T", "D.S.LEDGER", "D.S.MISSING"].map(|name| name.parse().unwrap())
    }

    async fn reset(&self) {
        let [table, ledger, _] = self.names();
        let column = |name: &str, data_type, nullable| {
            TargetColumn::plain(Identifier::new(name).unwrap(), data_type, nullable)
        };
        let number = |precision, scale| SnowflakeType::Number { precision, scale };
        let text = column("V", SnowflakeType::Text, true);
        let columns = vec![
            column("ID", number(38, 0), false),
            TargetColumn { max_chars: Some(10), ..text },
            column("SCORE", number(12, 2), true),
        ];
        self.0.put_table(&table, "TABLE", columns);
        self.0.put_rows(&table, vec![vec![Some("-1".to_owned()), Some("theirs".to_owned()), None]]);
        self.0.put_ledger(&ledger);
    }

    async fn rows(&self) -> Vec<Row> {
        let [table, ..] = self.names();
        let mut rows: Vec<Row> =
            self.0.rows(&table).into_iter().map(|row| row.try_into().unwrap()).collect();
        rows.sort_by_key(|row| row[0].as_ref().map(|id| id.parse::<i64>().unwrap()));
        rows
    }
}

#[tokio::test]
async fn the_account_in_memory_keeps_the_contract() {
    all(&Fixture::default()).await.unwrap();
}
