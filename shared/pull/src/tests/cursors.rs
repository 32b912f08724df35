//! Rows whose cursor is NULL, or too far ahead of the clock to be a bound.

use snowferry_model::run::Outcome;
use snowferry_model::types::SnowflakeType;
use snowferry_model::watermark::NullCursors;
use snowferry_snowflake::memory::MemoryValue;

use crate::Mode;
use crate::tests::world::{World, columns, row, table};

fn without_a_cursor(world: &World, ids: std::ops::Range<i128>, text: &str) {
    world.change(|tx| {
        for id in ids.clone() {
            let mut cells = row(id, text, 0);
            cells[2] = MemoryValue::Null;
            tx.insert(&table(), cells)?;
        }
        Ok(())
    });
}

/// Takes the cursor from a row and changes it, or gives it one.
fn set(world: &World, id: i128, text: &str, cursor: MemoryValue) {
    world.change(|tx| {
        tx.update(
            &table(),
            |row| row[0] == MemoryValue::Number(id),
            |row| {
                row[1] = MemoryValue::text_of(text);
                row[2] = cursor.clone();
            },
        )?;
        Ok(())
    });
}

#[tokio::test]
async fn rows_without_a_cursor_are_refused_with_their_number_and_the_setting() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..5, 1);
    without_a_cursor(&world, 5..8, "x");
    let record = world.pull().await;
    let Outcome::Failed { code, message, hint, .. } = &record.outcome else {
        panic!("{:?}", record.outcome)
    };
    assert_eq!(code, "PULL_NULL_CURSOR");
    assert_eq!(message, "3 rows of DB.SC.T have no value in the cursor SEQ");
    assert!(hint.as_ref().unwrap().contains("null_cursor: reload"), "{hint:?}");
    assert_eq!(record.figures.null_cursors, 3);
    assert!(world.our_rows().is_empty());
}

#[tokio::test]
async fn rows_without_a_cursor_are_read_by_every_run_when_they_are_to_be() {
    let mut world = World::new(Mode::Incremental, &["ID"]);
    world.job.null_cursors = NullCursors::Reload;
    without_a_cursor(&world, 0..3, "only NULLs");
    assert_eq!(world.pull().await.figures.null_cursors, 3);
    world.check("all NULL").await;
    set(&world, 1, "changed", MemoryValue::Null);
    world.pull().await;
    world.check("changed, all NULL still").await;
    world.insert(10..20, 4);
    world.pull().await;
    world.check("some with a cursor").await;
    set(&world, 0, "has one now", MemoryValue::Number(5));
    set(&world, 12, "has none now", MemoryValue::Null);
    set(&world, 2, "changed", MemoryValue::Null);
    let record = world.pull().await;
    world.check("to and fro").await;
    assert_eq!(record.figures.null_cursors, 3);
    set(&world, 12, "has one again", MemoryValue::Number(6));
    world.pull().await;
    world.check("back").await;
    let record = world.pull().await;
    assert_eq!(record.figures.rows_loaded, 0, "what did not change is not written again");
}

#[tokio::test]
async fn rows_without_a_cursor_are_left_out_and_counted_when_they_are_to_be() {
    for key in [&["ID"][..], &[]] {
        let mut world = World::new(Mode::Incremental, key);
        world.job.null_cursors = NullCursors::Ignore;
        without_a_cursor(&world, 0..3, "x");
        assert_eq!(world.pull().await.outcome, Outcome::Loaded);
        assert!(world.our_rows().is_empty());
        world.insert(3..9, 4);
        let record = world.pull().await;
        assert_eq!((world.our_rows().len(), record.figures.null_cursors), (6, 3));
        world.insert(9..10, 5);
        world.pull().await;
        assert_eq!(world.our_rows().len(), 7);
    }
}

#[tokio::test]
async fn reading_them_again_without_a_key_is_refused() {
    let mut world = World::new(Mode::Incremental, &[]);
    world.job.null_cursors = NullCursors::Reload;
    world.insert(0..5, 1);
    let record = world.pull().await;
    assert!(matches!(&record.outcome, Outcome::Failed { code, .. } if code == "PULL_JOB"));
}

/// A world whose cursor is a date; the account's clock stands at day 100.
fn dated(key: &[&str]) -> World {
    let world = World::new(Mode::Incremental, key);
    let mut columns = columns();
    columns[2].data_type = SnowflakeType::Date;
    world.source.create_table(table(), columns).unwrap();
    world.source.set_now(MemoryValue::Date(100));
    world
}

fn insert_on(world: &World, id: i128, day: i32) {
    world.change(|tx| {
        let mut cells = row(id, "new", 0);
        cells[2] = MemoryValue::Date(day);
        tx.insert(&table(), cells)
    });
}

fn count(world: &World) -> usize {
    world.our_rows().len()
}

#[tokio::test]
async fn one_row_of_the_far_future_keeps_no_later_row_from_being_read() {
    let world = dated(&["ID"]);
    insert_on(&world, 1, 90);
    insert_on(&world, 2, 2_932_896);
    assert_eq!(world.pull().await.figures.future_cursors, 1);
    assert_eq!(count(&world), 2);
    for day in 91..95 {
        insert_on(&world, i128::from(day), day);
        let record = world.pull().await;
        assert_eq!(record.figures.future_cursors, 1);
    }
    assert_eq!(count(&world), 6);
}

#[tokio::test]
async fn without_a_key_a_row_of_the_future_is_read_once_when_its_time_has_come() {
    let world = dated(&[]);
    insert_on(&world, 1, 90);
    insert_on(&world, 2, 120);
    world.pull().await;
    assert_eq!(count(&world), 1);
    insert_on(&world, 3, 95);
    world.pull().await;
    assert_eq!(count(&world), 2);
    world.source.set_now(MemoryValue::Date(130));
    for _ in 0..2 {
        let record = world.pull().await;
        assert_eq!((count(&world), record.figures.future_cursors), (3, 0));
    }
}

#[tokio::test]
async fn a_table_whose_rows_are_all_of_the_future_is_read_with_a_key() {
    let world = dated(&["ID"]);
    insert_on(&world, 1, 1000);
    world.pull().await;
    assert_eq!(count(&world), 1);
    insert_on(&world, 2, 99);
    world.pull().await;
    assert_eq!(count(&world), 2);
}
