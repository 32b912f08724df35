//! The steps of the demo on tables of the test's own: both sides are equal after each pull, and
//! only what changed travels.

use std::path::Path;
use std::sync::Arc;

use snowferry_bootstrap::app::App;
use snowferry_bootstrap::check::check;
use snowferry_bootstrap::config::{Connection, TemplateTable, path_of};
use snowferry_bootstrap::home::Home;
use snowferry_emulator::engine::SessionContext;
use snowferry_emulator::{Emulator, EmulatorOptions};
use snowferry_pull::{Ports, Silent};

use super::{Voice, compare, folder, pull};

const TABLES: &str = "
    CREATE DATABASE CRM;
    CREATE TABLE CRM.PUBLIC.ACCOUNTS (
        ID NUMBER(38,0) NOT NULL, NAME VARCHAR, AMOUNT NUMBER(12,2),
        UPDATED_AT TIMESTAMP_NTZ(6) NOT NULL, PRIMARY KEY (ID));
    INSERT INTO CRM.PUBLIC.ACCOUNTS VALUES
        (1, 'one', 1.25, '2024-01-01 00:00:00'), (2, NULL, -2, '2024-01-02 00:00:00'),
        (9007199254740993, 'ü', NULL, '2024-01-03 00:00:00.000001');
    CREATE TABLE CRM.PUBLIC.KINDS (NAME VARCHAR, SINCE DATE);
    INSERT INTO CRM.PUBLIC.KINDS VALUES ('', '0001-01-01'), (NULL, '9999-12-31');";

const CHANGES: &str = "
    INSERT INTO CRM.PUBLIC.ACCOUNTS VALUES (9007199254740992, 'new', 7, '2024-02-01 00:00:00');
    UPDATE CRM.PUBLIC.ACCOUNTS SET AMOUNT = 3.5, UPDATED_AT = '2024-02-02 00:00:00' WHERE ID = 2;";

/// A Snowflake with the tables above, and a connection to it.
struct Stage {
    emulator: Emulator,
    app: App,
    _folder: tempfile::TempDir,
}

impl Stage {
    async fn set(tables: Vec<TemplateTable>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("tables.sql");
        std::fs::write(&script, TABLES).unwrap();
        let options =
            EmulatorOptions { crm: false, load: vec![script], ..EmulatorOptions::default() };
        let emulator = Box::pin(Emulator::start(options)).await.unwrap();
        let home = Home::new(folder.path().join("snowferry-data"), None);
        let file = write(folder.path(), &home, &emulator, tables);
        assert_eq!(file, path_of(home.connections(), folder::CONNECTION));
        Self { emulator, app: App::new(home), _folder: folder }
    }

    fn connection(&self) -> Connection {
        self.app.connection(folder::CONNECTION).unwrap()
    }

    fn ports(&self) -> Ports {
        self.app.ports(&self.connection(), Arc::new(Silent)).unwrap()
    }

    /// Pulls everything and returns rows read and loaded of each table.
    async fn pull(&self) -> Vec<(u64, u64)> {
        let say = Voice { json: true };
        let runs = pull(&say, &self.ports(), &self.connection(), &Silent).await.unwrap();
        runs.iter().map(|run| (run.rows_read, run.rows_loaded)).collect()
    }

    /// Returns the rows of each table, after checking that both sides are equal.
    async fn equal_rows(&self) -> Vec<u64> {
        let connection = self.connection();
        let comparison =
            compare(&self.ports(), &connection.name, &connection.tables).await.unwrap();
        assert!(comparison.iter().all(|table| table.equal), "{comparison:?}");
        comparison.iter().map(|table| table.table_rows).collect()
    }

    async fn change(&self, script: &str) {
        let ready = self.emulator.ready();
        let mut session = SessionContext {
            user: ready.user.clone(),
            account: ready.account.clone(),
            role: Some(ready.role.clone()),
            warehouse: Some(ready.warehouse.clone()),
            ..SessionContext::default()
        };
        Box::pin(self.emulator.engine().run_script(&mut session, script)).await.unwrap();
    }
}

fn write(
    folder: &Path,
    home: &Home,
    emulator: &Emulator,
    tables: Vec<TemplateTable>,
) -> std::path::PathBuf {
    folder::write_connection(folder, home, emulator.ready(), tables).unwrap()
}

fn accounts() -> TemplateTable {
    TemplateTable {
        table: "CRM.PUBLIC.ACCOUNTS".to_owned(),
        key: vec!["ID".to_owned()],
        cursor: "UPDATED_AT".to_owned(),
        ..TemplateTable::default()
    }
}

fn kinds() -> TemplateTable {
    TemplateTable { table: "CRM.PUBLIC.KINDS".to_owned(), mode: "once", ..TemplateTable::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_are_equal_after_a_backfill_and_after_changes() {
    let stage = Stage::set(vec![accounts(), kinds()]).await;
    let report = check(&stage.app, &stage.connection()).await.unwrap();
    assert!(report.passed, "{report:?}");
    assert_eq!(stage.pull().await, [(3, 3), (2, 2)]);
    assert_eq!(stage.equal_rows().await, [3, 2]);
    stage.change(CHANGES).await;
    // The new row, the changed one, and the one at the old bound, which changes nothing.
    assert_eq!(stage.pull().await, [(3, 2), (0, 0)]);
    assert_eq!(stage.equal_rows().await, [4, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_between_the_sides_is_seen() {
    let stage = Stage::set(vec![accounts()]).await;
    stage.pull().await;
    // The cursor stays behind, so no pull will ever read this change.
    stage.change("UPDATE CRM.PUBLIC.ACCOUNTS SET NAME = 'two' WHERE ID = 2;").await;
    let connection = stage.connection();
    let comparison = compare(&stage.ports(), &connection.name, &connection.tables).await.unwrap();
    let table = &comparison[0];
    assert_eq!((table.source_rows, table.table_rows, table.equal), (3, 3, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_a_hidden_table_beside_one_that_is_ready() {
    let hidden =
        TemplateTable { table: "CRM.PUBLIC.NOPE".to_owned(), mode: "full", ..Default::default() };
    let stage = Stage::set(vec![hidden, accounts()]).await;
    let report = check(&stage.app, &stage.connection()).await.unwrap();
    assert!(!report.passed);
    let failed: Vec<_> = report.items.iter().filter(|item| item.code.is_some()).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0].subject, "CRM.PUBLIC.NOPE");
    assert_eq!(failed[0].code, Some("SNOWFLAKE_NOT_FOUND"));
    let repair = failed[0].repair.as_deref().unwrap();
    assert!(repair.contains("GRANT SELECT ON TABLE \"CRM\".\"PUBLIC\".\"NOPE\""), "{repair}");
}
