//! Every database passes the same suite.

use std::sync::Arc;

use snowferry_database::contract::{check, check_export};
use snowferry_database::memory::MemoryDatabase;
use snowferry_database::{Database, Export};

#[tokio::test]
async fn the_memory_database_keeps_the_contract() {
    let database = MemoryDatabase::new();
    check(&move || Arc::new(database.clone()) as Arc<dyn Database>).await;
}

#[tokio::test]
async fn the_memory_database_answers_queries() {
    let database = MemoryDatabase::new();
    let both = move || {
        let (database, export) = (Arc::new(database.clone()), Arc::new(database.clone()));
        (database as Arc<dyn Database>, export as Arc<dyn Export>)
    };
    check_export(&both).await;
}

#[cfg(feature = "delta")]
mod delta {
    use super::*;
    use snowferry_database::delta::{DeltaDatabase, DeltaOptions};

    #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    fn open(root: &std::path::Path, options: DeltaOptions) -> Arc<dyn Database> {
        Arc::new(DeltaDatabase::open_with(root, options).unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_delta_database_keeps_the_contract() {
        let root = tempfile::tempdir().unwrap();
        check(&|| open(root.path(), DeltaOptions::default())).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_delta_database_keeps_the_contract_in_many_passes() {
        let root = tempfile::tempdir().unwrap();
        let options = DeltaOptions { key_memory_bytes: 600 };
        check(&|| open(root.path(), options)).await;
    }
}
