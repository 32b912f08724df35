//! Random manifests do to every database what a plain list of rows says they do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::sync::Arc;

use proptest::prelude::*;
use snowferry_database::contract::{Cell, Row, Scene, replace, text, upsert};
use snowferry_database::memory::MemoryDatabase;
use snowferry_database::{Database, LoadFigures, Loaded};
use snowferry_model::names::Identifier;
use snowferry_model::plan::StagedForm;
use snowferry_model::slice::{Apply, UniqueBy};

/// One manifest: what it does, and the rows of its parts.
type Load = (Kind, Vec<Vec<Row>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Append,
    Upsert,
    Replace,
    ReplaceUnique,
    /// A replace that begins the next generation.
    Restart,
}

impl Kind {
    fn apply(self) -> Apply {
        match self {
            Self::Append => Apply::Append,
            Self::Upsert => upsert(),
            Self::Replace | Self::Restart => replace(),
            Self::ReplaceUnique => {
                let name = |name| Identifier::new(name).unwrap();
                Apply::Replace {
                    unique: Some(UniqueBy { key: vec![name("K")], cursor: name("C") }),
                }
            }
        }
    }
}

fn loads() -> impl Strategy<Value = Vec<Load>> {
    let two53 = 1_i128 << 53;
    let key = prop_oneof![-2..3_i128, two53 - 1..two53 + 3, Just(10_i128.pow(38) - 1)];
    let cursor = prop_oneof![1 => Just(Cell::Null), 6 => (0..4_i64).prop_map(Cell::Int)];
    let value = prop_oneof![Just(Cell::Null), Just(text("a")), Just(text("b"))];
    let row = (key, cursor, value).prop_map(|(key, c, v)| vec![Cell::Decimal(key), c, v]);
    let parts = prop::collection::vec(prop::collection::vec(row, 0..12), 0..4);
    let kind = prop_oneof![
        2 => Just(Kind::Append),
        6 => Just(Kind::Upsert),
        1 => Just(Kind::Replace),
        1 => Just(Kind::ReplaceUnique),
        1 => Just(Kind::Restart),
    ];
    prop::collection::vec((kind, parts), 1..7)
}

/// The rule in its plainest words; `before` becomes the table after the load.
fn expected(before: &mut Vec<Row>, kind: Kind, incoming: &[Row]) -> LoadFigures {
    let mut figures = LoadFigures::default();
    if !matches!(kind, Kind::Append | Kind::Upsert) {
        figures.replaced = before.len() as u64;
        before.clear();
    }
    if !matches!(kind, Kind::Upsert | Kind::ReplaceUnique) {
        figures.inserted = incoming.len() as u64;
        before.extend(incoming.iter().cloned());
        return figures;
    }
    // `Cell::Null` sorts before any value, as a NULL cursor must.
    for (index, row) in incoming.iter().enumerate() {
        let beaten_by_another = incoming.iter().enumerate().any(|(other_index, other)| {
            other[0] == row[0] && (&other[1], other_index) > (&row[1], index)
        });
        // A row without a cursor was read later than the table's, and no order can tell more.
        let newer = |old: &Row| row[1] != Cell::Null && old[1] > row[1];
        let beaten_by_table =
            before.iter().any(|old| old[0] == row[0] && (newer(old) || old == row));
        if beaten_by_another || (kind == Kind::Upsert && beaten_by_table) {
            figures.superseded += 1;
            continue;
        }
        let count = before.len();
        before.retain(|old| old[0] != row[0]);
        figures.replaced += (count - before.len()) as u64;
        before.push(row.clone());
        figures.inserted += 1;
    }
    figures
}

async fn check(database: Arc<dyn Database>, loads: &[Load]) {
    let scene = Scene::keyed("MODEL", StagedForm::Decimal { precision: 38, scale: 0 });
    scene.apply(database.as_ref(), (1, 1), replace(), &[]).await;
    let mut table = Vec::new();
    let mut at = (1, 1);
    for (kind, parts) in loads {
        at = if *kind == Kind::Restart { (at.0 + 1, 1) } else { (at.0, at.1 + 1) };
        let figures = expected(&mut table, *kind, &parts.concat());
        let manifest = scene.manifest(at, kind.apply(), parts);
        let loaded = scene.load(database.as_ref(), &manifest).await.unwrap();
        assert_eq!(loaded, Loaded::Now(figures), "{kind:?} of {parts:?}");
        table.sort();
        assert_eq!(scene.rows(database.as_ref()).await, table, "{kind:?} of {parts:?}");
        assert_eq!(scene.ledger(database.as_ref()).await, Some(at));
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_memory_database_follows_the_model(loads in loads()) {
        runtime().block_on(check(Arc::new(MemoryDatabase::new()), &loads));
    }
}

#[cfg(feature = "delta")]
mod delta {
    use super::*;
    use snowferry_database::delta::{DeltaDatabase, DeltaOptions};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_delta_database_follows_the_model(
            loads in loads(),
            // From one key in a pass to all keys in one.
            key_memory_bytes in prop_oneof![Just(1_u64), 400..4000_u64, Just(1 << 20)],
        ) {
            let root = tempfile::tempdir().unwrap();
            let options = DeltaOptions { key_memory_bytes };
            let database = DeltaDatabase::open_with(root.path(), options).unwrap();
            runtime().block_on(check(Arc::new(database), &loads));
        }
    }
}
