//! What a changed source table leads to, under each policy and when runs are killed.

use snowferry_model::drift::in_words;
use snowferry_model::run::{Outcome, RunRecord};
use snowferry_model::types::{ColumnDescription, SnowflakeType};
use snowferry_snowflake::memory::MemoryValue;

use crate::tests::faults::{Fault, Faults};
use crate::tests::world::{World, columns, identifier, row, table};
use crate::{Mode, SchemaPolicy};

fn column(name: &str, data_type: SnowflakeType) -> ColumnDescription {
    ColumnDescription { name: identifier(name), data_type, nullable: true, primary_key: false }
}

fn loaded_world(policy: SchemaPolicy) -> World {
    let mut world = World::new(Mode::Incremental, &["ID"]);
    world.job.schema = policy;
    world.insert(0..7, 1);
    world
}

/// Adds a column, and rows that have a value in it.
fn add_column(world: &World, name: &str) {
    world.source.add_column(&table(), column(name, SnowflakeType::Text)).unwrap();
    world.change(|tx| {
        for id in 7..12 {
            let mut row = row(id, "with more", 2);
            row.push(MemoryValue::text_of("more"));
            tx.insert(&table(), row)?;
        }
        Ok(())
    });
}

/// Creates the table anew with other rows.
fn recreate(world: &World) {
    world.source.create_table(table(), columns()).unwrap();
    world.insert(100..109, 1);
}

/// Drops a column and adds another.
fn rename(world: &World) {
    world.source.drop_column(&table(), "V").unwrap();
    world.source.add_column(&table(), column("W", SnowflakeType::Text)).unwrap();
    world.change(|tx| {
        tx.update(&table(), |_| true, |row| row[2] = MemoryValue::text_of("kept"))?;
        Ok(())
    });
}

fn told(record: &RunRecord) -> String {
    in_words(&record.figures.schema_changes)
}

fn code(record: &RunRecord) -> &str {
    match &record.outcome {
        Outcome::Failed { code, .. } => code,
        other => panic!("the run ended with {other:?}"),
    }
}

#[tokio::test]
async fn an_added_column_is_null_in_older_rows_and_told_once() {
    let world = loaded_world(SchemaPolicy::Evolve);
    world.pull().await;
    add_column(&world, "EXTRA");
    let record = world.pull().await;
    assert_eq!(told(&record), "EXTRA (VARCHAR) is new");
    world.check("a column was added").await;
    assert_eq!(world.state().await.state.generation, 1);
    world.change(|tx| {
        let hit = |row: &[MemoryValue]| row[0] == MemoryValue::Number(1);
        tx.update(&table(), hit, |row| {
            row[2] = MemoryValue::Number(3);
            row[3] = MemoryValue::text_of("later");
        })?;
        Ok(())
    });
    assert_eq!(told(&world.pull().await), "");
    world.check("an older row got a value").await;
}

#[tokio::test]
async fn a_dropped_column_keeps_its_old_values_until_a_row_is_read_again() {
    let world = loaded_world(SchemaPolicy::Evolve);
    // What ties at the watermark is read again.
    world.insert(7..8, 2);
    world.pull().await;
    world.source.drop_column(&table(), "V").unwrap();
    let without = vec![MemoryValue::Number(9), MemoryValue::Number(3)];
    world.change(|tx| tx.insert(&table(), without));
    let record = world.pull().await;
    assert_eq!(told(&record), "V is gone");
    let rows = world.our_rows();
    assert!(rows.contains(&"9|NULL|3".to_owned()), "{rows:?}");
    assert!(rows.contains(&"0|new|1".to_owned()), "{rows:?}");
    assert!(rows.contains(&"7|NULL|2".to_owned()), "{rows:?}");
    // It comes back with another type, which the table cannot hold: all is read anew.
    let number = SnowflakeType::Number { precision: 10, scale: 0 };
    world.source.add_column(&table(), column("V", number)).unwrap();
    world.change(|_| Ok(()));
    world.pull().await;
    assert_eq!(world.state().await.state.generation, 2);
    assert_eq!(world.our_rows(), world.source_rows());
}

#[tokio::test]
async fn a_renamed_column_and_a_recreated_table_are_read_anew_in_the_same_run() {
    for (change, words) in [
        (rename as fn(&World), "V is gone, W (VARCHAR) is new"),
        (recreate, "the table was created anew"),
    ] {
        let world = loaded_world(SchemaPolicy::Evolve);
        world.pull().await;
        let before = world.our_rows();
        change(&world);
        assert_eq!(world.our_rows(), before, "readers keep the old table");
        let record = world.pull().await;
        assert_eq!((record.outcome.clone(), told(&record).as_str()), (Outcome::Loaded, words));
        world.check(words).await;
        assert_eq!(world.state().await.state.generation, 2);
        // One state of each generation, none between.
        assert_eq!(world.database.versions(&world.stream()).len(), 2);
    }
}

#[tokio::test]
async fn a_frozen_table_leaves_new_columns_out_and_stops_at_anything_else() {
    let world = loaded_world(SchemaPolicy::Freeze);
    world.pull().await;
    add_column(&world, "EXTRA");
    let record = world.pull().await;
    assert_eq!((record.outcome.clone(), told(&record).as_str()), (Outcome::Loaded, ""));
    assert!(world.our_rows().contains(&"7|with more|2".to_owned()));
    rename(&world);
    assert_eq!(code(&world.pull().await), "PULL_SCHEMA_CHANGED");
    recreate(&world);
    assert_eq!(code(&world.pull().await), "PULL_RECREATED");
}

#[tokio::test]
async fn a_value_that_outgrows_64_bits_is_read_anew_in_the_same_run() {
    let world = loaded_world(SchemaPolicy::Evolve);
    world.pull().await;
    let big = i128::from(i64::MAX) + 1;
    world.insert(big..big + 1, 2);
    let record = world.pull().await;
    assert_eq!(told(&record), "ID has values beyond 64 bits for the first time");
    world.check("a wide value").await;
    assert_eq!(world.state().await.state.generation, 2);
}

/// A table whose column T may hold nanoseconds and at first does not.
fn timed_world(key: &[&str]) -> World {
    let world = World::new(Mode::Incremental, key);
    let number = SnowflakeType::Number { precision: 10, scale: 0 };
    let columns = vec![
        column("ID", number.clone()),
        column("T", SnowflakeType::TimestampNtz { scale: 9 }),
        column("SEQ", number),
    ];
    world.source.create_table(table(), columns).unwrap();
    timed(&world, 1, 5_000_000, 1);
    timed(&world, 2, 6_000_000, 1);
    world
}

fn timed(world: &World, id: i128, nanos_since_1970: u32, seq: i128) {
    let moment = MemoryValue::Timestamp { seconds: 0, nanos: nanos_since_1970, offset_min: 0 };
    let row = vec![MemoryValue::Number(id), moment, MemoryValue::Number(seq)];
    world.change(|tx| tx.insert(&table(), row));
}

#[tokio::test]
async fn nanoseconds_that_show_up_later_get_a_companion_in_the_same_table() {
    let world = timed_world(&["ID"]);
    world.pull().await;
    timed(&world, 3, 7_000_001, 2);
    let record = world.pull().await;
    assert_eq!(record.outcome, Outcome::Loaded);
    assert_eq!(told(&record), "T has digits below the microsecond for the first time");
    assert_eq!(
        world.our_rows(),
        [
            // These two tie at the watermark, so they were read again, with their nanoseconds.
            "1|1970-01-01T00:00:00.005|1|0",
            "2|1970-01-01T00:00:00.006|1|0",
            "3|1970-01-01T00:00:00.007|2|1",
        ]
    );
    assert_eq!(world.state().await.state.generation, 1);
    timed(&world, 4, 8_000_002, 3);
    assert_eq!(told(&world.pull().await), "");
    assert_eq!(world.our_rows().len(), 4);
}

#[tokio::test]
async fn nanoseconds_in_a_key_are_read_anew() {
    let world = timed_world(&["T"]);
    world.pull().await;
    timed(&world, 3, 6_000_001, 2);
    assert_eq!(world.pull().await.outcome, Outcome::Loaded);
    assert_eq!(world.state().await.state.generation, 2);
    assert_eq!(world.our_rows().len(), 3, "two keys within one microsecond are two rows");
}

#[tokio::test]
async fn a_changed_table_is_followed_whatever_call_a_run_is_killed_at() {
    let faults = [Fault::KillBefore, Fault::KillAfter, Fault::ErrorBefore, Fault::ErrorAfter];
    for change in [rename as fn(&World), recreate, |world| add_column(world, "EXTRA")] {
        for fault in faults {
            let mut call = 0;
            loop {
                call += 1;
                let story = format!("{fault:?} at call {call}");
                let world = loaded_world(SchemaPolicy::Evolve);
                world.quiet_pull(&story).await;
                change(&world);
                let struck = Faults::at(call, fault);
                world.pull_with(&struck).await;
                world.quiet_pull(&story).await;
                world.check(&story).await;
                if !struck.was_hit() {
                    break;
                }
            }
            assert!(call > 15, "{fault:?}: only {call} calls were tried");
        }
    }
}
