//! A table that nobody changed is not read again, and nothing else is taken for one.

use snowferry_model::run::Outcome;
use snowferry_model::watermark::Lookback;

use crate::Mode;
use crate::tests::world::{World, columns, table};

/// Every mode that reads more than once, with ties at the watermark where there is one.
fn worlds() -> Vec<World> {
    let shapes =
        [(Mode::Incremental, &["ID"][..]), (Mode::Incremental, &[]), (Mode::Full, &["ID"])];
    shapes.map(|(mode, key)| World::new(mode, key)).into()
}

#[tokio::test]
async fn an_unchanged_table_is_not_read_again() {
    for world in worlds() {
        world.insert(0..20, 7);
        assert_eq!(world.pull().await.outcome, Outcome::Loaded);
        let (read, loaded) = (world.source.statements(), versions(&world));
        let record = world.pull().await;
        assert_eq!(record.outcome, Outcome::NothingNew, "{:?}", world.job.mode);
        assert_eq!(record.figures.statements, 1, "the profile");
        assert_eq!(world.source.statements(), read, "no rows were asked for");
        assert_eq!(versions(&world), loaded, "no commit in our database");
        world.check("unchanged").await;
    }
}

#[tokio::test]
async fn a_row_that_is_changed_without_its_cursor_is_read_within_the_ties() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..20, 7);
    world.pull().await;
    world.update(3..4, 7);
    assert_eq!(world.pull().await.figures.rows_replaced, 1);
    world.check("a tie changed").await;
    assert_eq!(world.pull().await.outcome, Outcome::NothingNew);
}

#[tokio::test]
async fn deletes_are_noticed_by_a_full_pull() {
    let world = World::new(Mode::Full, &[]);
    world.insert(0..20, 7);
    world.pull().await;
    world.change(|tx| tx.delete(&table(), |row| row.len() == columns().len()).map(|_| ()));
    assert_eq!(world.pull().await.outcome, Outcome::Loaded);
    world.check("all rows deleted").await;
}

#[tokio::test]
async fn another_job_reads_although_nothing_changed() {
    let mut world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..5, 1);
    world.insert(5..9, 7);
    world.pull().await;
    world.job.lookback = Lookback::Units(10);
    assert_eq!(world.pull().await.figures.rows_announced, 9);
    assert_eq!(world.pull().await.outcome, Outcome::NothingNew);
    world.job.skip_unchanged = false;
    assert_eq!(world.pull().await.figures.rows_announced, 9);
    assert_eq!(world.pull().await.figures.rows_announced, 9, "each time, as the job says");
}

#[tokio::test]
async fn a_database_that_is_not_where_the_state_says_is_not_called_synced() {
    let mut world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..5, 1);
    world.pull().await;
    world.database = snowferry_database::memory::MemoryDatabase::new();
    let outcome = world.pull().await.outcome;
    assert!(matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_table_created_anew_with_as_many_rows_is_read() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.pull().await;
    world.source.recreate(&table()).unwrap();
    let record = world.pull().await;
    assert_ne!(record.outcome, Outcome::NothingNew, "{record:?}");
}

fn versions(world: &World) -> usize {
    world.database.versions(&world.stream()).len()
}
