//! What a pull does, told as stories on a small table.

use snowferry_database::Database;
use snowferry_model::fault::{Blame, Retry};
use snowferry_model::run::{Outcome, RunRecord};
use snowferry_model::state::StreamKey;
use snowferry_model::time::UnixMillis;
use snowferry_model::types::{ColumnDescription, SnowflakeType};
use snowferry_model::watermark::Lookback;
use snowferry_snowflake::memory::MemoryValue;

use crate::tests::world::{World, columns, identifier, row, table};
use crate::{Mode, SchemaPolicy, pull_table, reset};

fn failure(record: &RunRecord) -> (&str, Blame, Retry) {
    match &record.outcome {
        Outcome::Failed { code, blame, retry, .. } => (code.as_str(), *blame, *retry),
        other => panic!("the run ended with {other:?}"),
    }
}

#[tokio::test]
async fn only_changed_rows_travel_after_the_backfill() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..50, 1);
    assert_eq!(world.pull().await.figures.rows_loaded, 50);
    world.update(10..13, 2);
    let record = world.pull().await;
    assert_eq!(record.outcome, Outcome::Loaded);
    // The 47 others tie at the watermark 1, where the window is closed below.
    assert_eq!(record.figures.rows_announced, 50);
    assert_eq!(record.figures.rows_replaced, 3);
    world.update(20..22, 3);
    let record = world.pull().await;
    assert_eq!(record.figures.rows_announced, 5, "three ties at the watermark and two new rows");
    assert_eq!(record.figures.rows_replaced, 2);
    world.check("three increments").await;
}

#[tokio::test]
async fn rows_that_tie_at_the_watermark_and_commit_late_are_caught_with_a_key() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..5, 7);
    world.pull().await;
    world.insert(5..9, 7);
    world.pull().await;
    world.check("ties").await;
}

#[tokio::test]
async fn rows_committed_late_are_caught_within_the_lookback() {
    let mut world = World::new(Mode::Incremental, &["ID"]);
    world.job.lookback = Lookback::Units(5);
    world.insert(0..5, 10);
    world.pull().await;
    world.insert(5..8, 6);
    world.pull().await;
    world.check("late rows").await;
}

#[tokio::test]
async fn an_empty_table_is_made_and_filled_later() {
    for key in [&["ID"][..], &[]] {
        let world = World::new(Mode::Incremental, key);
        world.change(|_| Ok(()));
        assert_eq!(world.pull().await.outcome, Outcome::Loaded);
        assert_eq!(world.database.versions(&world.stream()).len(), 1);
        world.insert(0..9, 4);
        world.pull().await;
        world.check("filled later").await;
    }
}

#[tokio::test]
async fn a_watermark_stays_when_the_newest_rows_are_deleted_at_the_source() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..5, 1);
    world.insert(5..9, 9);
    world.pull().await;
    world.change(|tx| {
        tx.delete(&table(), |row| row[2] == MemoryValue::Number(9))?;
        Ok(())
    });
    assert_eq!(world.pull().await.outcome, Outcome::NothingNew);
    assert_eq!(world.state().await.state.watermark.map(|mark| mark.text).as_deref(), Some("9"));
}

#[tokio::test]
async fn a_full_pull_also_takes_deletes() {
    let world = World::new(Mode::Full, &[]);
    world.insert(0..20, 1);
    world.pull().await;
    world.change(|tx| {
        tx.delete(&table(), |row| row[0] == MemoryValue::Number(3))?;
        Ok(())
    });
    world.pull().await;
    world.check("a deleted row").await;
}

#[tokio::test]
async fn a_once_table_is_read_once() {
    let world = World::new(Mode::Once, &[]);
    world.insert(0..20, 1);
    assert_eq!(world.pull().await.outcome, Outcome::Loaded);
    let statements = world.source.statements();
    assert_eq!(world.pull().await.outcome, Outcome::NothingNew);
    assert_eq!(world.source.statements(), statements);
}

#[tokio::test]
async fn duplicate_keys_of_a_backfill_leave_the_newest_row_and_are_counted() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.change(|tx| {
        tx.insert(&table(), row(1, "old", 1))?;
        tx.insert(&table(), row(1, "new", 2))?;
        tx.insert(&table(), row(2, "only", 1))
    });
    let record = world.pull().await;
    assert_eq!(record.figures.rows_superseded, 1);
    assert_eq!(world.our_rows(), ["1|new|2", "2|only|1"]);
}

#[tokio::test]
async fn a_second_run_says_who_is_busy_and_changes_nothing() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..5, 1);
    let lease = world.ports(None).leases;
    let now = UnixMillis(0);
    lease.acquire(&world.stream(), "process elsewhere", now, 1_000_000).await.unwrap();
    let record = world.pull().await;
    assert_eq!(record.outcome, Outcome::Busy { owner: "process elsewhere".to_owned() });
    assert_eq!(world.source.statements(), 0);
}

#[tokio::test]
async fn a_result_that_is_gone_is_read_anew_and_its_parts_are_not_mixed_in() {
    use crate::tests::faults::{Fault, Faults};
    let world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..23, 1);
    // Kill the run once two parts are staged.
    let mut call = 1;
    while world.staged_data().len() < 2 {
        call += 1;
        world.clock.advance_ms(2_000_000);
        world.pull_with(&Faults::at(call, Fault::KillBefore)).await;
    }
    world.source.lose_results();
    world.update(0..23, 2);
    let record = world.quiet_pull("result gone").await;
    assert_eq!(record.figures.parts_reused, 0);
    world.check("result gone").await;
    assert_eq!(world.staged_data(), [] as [String; 0]);
}

#[tokio::test]
async fn a_run_that_meets_its_deadline_stops_and_the_next_goes_on() {
    let mut world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..40, 1);
    world.limits.parallel_parts = 2;
    let mut rounds = 0;
    loop {
        rounds += 1;
        let mut context = world.context();
        context.run_id = "one run, many rounds".to_owned();
        let now = world.clock.peek();
        context.deadline = Some(UnixMillis(now + 14));
        let record = pull_table(&world.ports(None), &context, &world.job).await;
        if record.outcome != Outcome::Continued {
            assert_eq!(record.outcome, Outcome::Loaded);
            break;
        }
        assert!(rounds < 50, "no progress between deadlines");
    }
    assert!(rounds > 1, "the deadline never came");
    assert_eq!(world.source.statements(), 1, "the statement ran again");
    world.check("deadlines").await;
}

#[tokio::test]
async fn a_load_begins_only_before_the_deadline() {
    // Whatever the deadline leaves time for, the manifest is loaded by a run that has time.
    for ticks in 0..80 {
        let world = World::new(Mode::Incremental, &["ID"]);
        world.insert(0..10, 1);
        let mut context = world.context();
        let deadline = UnixMillis(world.clock.peek() + ticks);
        context.deadline = Some(deadline);
        let record = pull_table(&world.ports(None), &context, &world.job).await;
        let stream = StreamKey { connection: context.connection.clone(), table: table() };
        let loaded = world.database.ledger(&stream).await.unwrap().is_some();
        let expected = if loaded { Outcome::Loaded } else { Outcome::Continued };
        assert_eq!(record.outcome, expected, "{ticks} ticks");
        context.deadline = None;
        let record = pull_table(&world.ports(None), &context, &world.job).await;
        let ended = matches!(record.outcome, Outcome::Loaded | Outcome::NothingNew);
        assert!(ended, "{ticks} ticks: {record:?}");
        world.check("a deadline before the load").await;
    }
}

#[tokio::test]
async fn rows_without_a_cursor_value_are_refused_with_the_repair() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.change(|tx| {
        tx.insert(&table(), vec![MemoryValue::Number(1), MemoryValue::Null, MemoryValue::Null])
    });
    let record = world.pull().await;
    assert_eq!(failure(&record), ("PULL_NULL_CURSOR", Blame::Customer, Retry::AfterFix));
    assert_eq!(world.state().await.state.sequence, 0);
}

#[tokio::test]
async fn a_changed_or_recreated_table_stops_the_pull_until_it_is_reset() {
    let mut world = World::new(Mode::Incremental, &["ID"]);
    world.job.schema = SchemaPolicy::Stop;
    world.insert(0..5, 1);
    world.pull().await;
    world
        .source
        .add_column(
            &table(),
            ColumnDescription {
                name: identifier("EXTRA"),
                data_type: SnowflakeType::Text,
                nullable: true,
                primary_key: false,
            },
        )
        .unwrap();
    let record = world.pull().await;
    assert_eq!(failure(&record).0, "PULL_SCHEMA_CHANGED");
    let Outcome::Failed { hint: Some(hint), .. } = &record.outcome else { panic!("no hint") };
    assert!(hint.contains("EXTRA (VARCHAR) is new"), "{hint}");

    world.source.create_table(table(), columns()).unwrap();
    world.insert(100..105, 1);
    assert_eq!(failure(&world.pull().await).0, "PULL_RECREATED");
    reset(&world.ports(None), &world.context(), &world.job).await.unwrap();
    assert_eq!(world.our_rows().len(), 5, "readers keep the old table");
    world.quiet_pull("after the reset").await;
    world.check("after the reset").await;
    assert_eq!(world.state().await.state.generation, 2);
}

#[tokio::test]
async fn a_cursor_that_is_no_column_or_no_order_is_refused_by_name() {
    let mut world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..5, 1);
    world.job.cursor = Some(identifier("UPDATED"));
    let record = world.pull().await;
    assert_eq!(failure(&record).0, "PULL_NO_SUCH_COLUMN");
    world.job.cursor = Some(identifier("V"));
    assert_eq!(failure(&world.pull().await).0, "PULL_CURSOR_TYPE");
    world.job.cursor = None;
    assert_eq!(failure(&world.pull().await).0, "PULL_JOB");
}

#[tokio::test]
async fn another_cursor_than_the_watermarks_is_refused() {
    let mut world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..5, 1);
    world.pull().await;
    world.job.cursor = Some(identifier("ID"));
    assert_eq!(failure(&world.pull().await).0, "PULL_CURSOR_CHANGED");
}

#[tokio::test]
async fn a_wide_number_is_staged_as_a_decimal_from_the_start() {
    let world = World::new(Mode::Incremental, &["ID"]);
    let big = i128::from(i64::MAX) + 1;
    world.insert(big..big + 2, 1);
    world.pull().await;
    world.check("beyond 64 bits").await;
}

#[tokio::test]
async fn a_number_that_outgrows_its_staged_form_is_refused_and_the_next_read_is_a_new_one() {
    let mut world = World::new(Mode::Incremental, &["ID"]);
    world.job.schema = SchemaPolicy::Stop;
    world.insert(0..2, 1);
    world.pull().await;
    let big = i128::from(i64::MAX) + 1;
    world.insert(big..big + 1, 2);
    let record = world.pull().await;
    assert_eq!(failure(&record).0, "SNOWFLAKE_INEXACT");
    assert_eq!(world.state().await.state.slice, None);
    assert_eq!(world.our_rows().len(), 2);
    reset(&world.ports(None), &world.context(), &world.job).await.unwrap();
    world.quiet_pull("after the reset").await;
    world.check("after the reset").await;
}

#[tokio::test]
async fn switching_to_append_after_full_pulls_doubles_no_row() {
    let mut world = World::new(Mode::Full, &[]);
    world.insert(0..12, 3);
    world.pull().await;
    world.job.mode = Mode::Incremental;
    world.pull().await;
    world.insert(12..15, 4);
    world.pull().await;
    world.check("full, then append").await;
}

#[tokio::test]
async fn the_lease_is_renewed_while_parts_are_staged() {
    use crate::tests::faults::{Fault, Faults};
    let mut world = World::new(Mode::Incremental, &["ID"]);
    world.limits.lease_ms = 12;
    world.insert(0..200, 1);
    let faults = Faults::at(250, Fault::StallBefore);
    let (ports, context) = (world.ports(Some(faults.clone())), world.context());
    let run = pull_table(&ports, &context, &world.job);
    tokio::pin!(run);
    tokio::select! {
        _ = &mut run => panic!("the run was too short to be stalled"),
        () = faults.stalled() => {}
    }
    assert!(world.clock.peek() > 24, "the first lease would still last");
    assert_eq!(world.checkpoint.lease_owner(&world.stream()), Some(context.owner.clone()));
    let other = world.pull().await;
    assert_eq!(other.outcome, Outcome::Busy { owner: context.owner.clone() });
}
