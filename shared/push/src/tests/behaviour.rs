//! What a push does, told as stories on a small table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use snowferry_checkpoint::{LeaseStore, PushStore};
use snowferry_model::fault::{Blame, Retry};
use snowferry_model::push::{
    Constant, ConstantValue, Delivery, PushMode, PushOutcome, PushRunRecord, TargetColumn,
};
use snowferry_model::time::UnixMillis;
use snowferry_model::types::SnowflakeType;
use snowferry_staging::{ObjectKey, Staging};

use crate::tests::faults::{Fault, Faults};
use crate::tests::world::{
    CUSTOMER_ROWS, World, columns, identifier, ledger_table, push_key, table, upsert,
};
use crate::{Ports, PushContext, push_table, target_lease};

fn failure(record: &PushRunRecord) -> (&str, Blame, Retry) {
    match &record.outcome {
        PushOutcome::Failed { code, blame, retry, .. } => (code.as_str(), *blame, *retry),
        other => panic!("the run ended with {other:?}"),
    }
}

fn refusal(record: &PushRunRecord) -> String {
    match &record.outcome {
        PushOutcome::Refused { verdicts } => {
            verdicts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        other => panic!("the run ended with {other:?}"),
    }
}

/// Kills runs, one call later each time, until `there` says that the moment has come.
async fn kill_until(world: &World, there: impl Fn(&World) -> bool) {
    let mut call = 0;
    while !there(world) {
        call += 1;
        assert!(call < 200, "the moment never came");
        world.clock.advance_ms(2_000_000);
        world.push_with(&Faults::at(call, Fault::KillBefore)).await;
    }
}

fn has_manifest(world: &World) -> bool {
    world.staging.keys().iter().any(|key| key.ends_with("manifest.json"))
}

#[tokio::test]
async fn a_rewrite_exchanges_the_rows_and_leaves_the_table_object() {
    let world = World::with_ledger(PushMode::Rewrite);
    use snowferry_snowflake::Target;
    let before = world.target.inspect(&table()).await.unwrap();
    let record = world.push().await;
    assert_eq!(record.outcome, PushOutcome::Applied);
    assert_eq!(record.figures.rows_applied, 10);
    assert_eq!(record.figures.rows_replaced, CUSTOMER_ROWS as u64);
    assert!(world.shows_newest());
    world.check().await.unwrap();
    let after = world.target.inspect(&table()).await.unwrap();
    assert_eq!((after.identity, after.columns), (before.identity, before.columns));
    assert_eq!(world.target.versions(&table()).len(), 3, "readers saw other contents");
    assert_eq!(world.target.file_names().len(), 0, "uploaded files are left");
}

#[tokio::test]
async fn an_append_adds_the_rows_of_each_run_once() {
    let world = World::with_ledger(PushMode::Append);
    assert_eq!(world.push().await.outcome, PushOutcome::Applied);
    world.next_version();
    assert_eq!(world.push().await.outcome, PushOutcome::Applied);
    assert_eq!(world.target.rows(&table()).len(), CUSTOMER_ROWS + 6);
    world.check().await.unwrap();
}

#[tokio::test]
async fn the_same_run_invoked_twice_appends_once() {
    let world = World::with_ledger(PushMode::Append);
    let context = world.context();
    for _ in 0..2 {
        let record = push_table(&world.ports(None), &context, &world.job).await;
        assert_eq!(record.outcome, PushOutcome::Applied);
    }
    assert_eq!(world.target.rows(&table()).len(), CUSTOMER_ROWS + 3);
}

#[tokio::test]
async fn an_interrupted_append_is_finished_and_not_followed_by_another() {
    let world = World::with_ledger(PushMode::Append);
    kill_until(&world, has_manifest).await;
    assert_eq!(world.target.rows(&table()).len(), CUSTOMER_ROWS);
    world.quiet_push().await.unwrap();
    assert_eq!(world.target.rows(&table()).len(), CUSTOMER_ROWS + 3);
}

#[tokio::test]
async fn an_upsert_replaces_by_key_and_adds_the_rest() {
    let world = World::with_ledger(upsert());
    world.push().await;
    world.next_version();
    let record = world.push().await;
    assert_eq!(record.figures.rows_replaced, 7);
    assert_eq!(world.target.rows(&table()).len(), CUSTOMER_ROWS + 7 + 6);
    assert!(world.shows_newest());
}

#[tokio::test]
async fn rows_with_one_key_are_refused_before_the_target_is_touched() {
    let world = World::with_ledger(upsert());
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(1), Some(2), None]));
    let schema = Arc::new(Schema::new(vec![Field::new("ID", DataType::Int64, true)]));
    world.export.put(vec![RecordBatch::try_new(schema.clone(), vec![ids]).unwrap()]);
    let text = refusal(&world.push().await);
    assert!(text.starts_with("ID: NULL where the column takes none: 1 rows"), "{text}");
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 2]));
    world.export.put(vec![RecordBatch::try_new(schema, vec![ids]).unwrap()]);
    let text = refusal(&world.push().await);
    assert_eq!(text, "ID: 1 keys that several rows have");
    assert_eq!(world.target.rows(&table()).len(), CUSTOMER_ROWS);
    world.next_version();
    world.quiet_push().await.unwrap();
}

#[tokio::test]
async fn a_rewrite_by_nothing_or_by_far_less_is_refused_unless_allowed() {
    let mut world = World::with_ledger(PushMode::Rewrite);
    world.export.put(Vec::new());
    assert!(refusal(&world.push().await).contains("would empty the table"));
    world.job.rules.allow_empty = true;
    assert_eq!(world.push().await.outcome, PushOutcome::Applied);
    assert_eq!(world.target.rows(&table()).len(), 0);

    let mut world = World::with_ledger(PushMode::Rewrite);
    let many = |n: usize| vec![vec![Some(format!("-{}", n + 10)), None, None, None]];
    (0..30).for_each(|n| world.target.put_rows(&table(), many(n)));
    world.job.rules.max_shrink_percent = None;
    assert!(refusal(&world.push().await).contains("more than 50 %"));
    assert_eq!(world.target.rows(&table()).len(), CUSTOMER_ROWS + 30);
    world.job.rules.max_shrink_percent = Some(80);
    assert_eq!(world.push().await.outcome, PushOutcome::Applied);
}

#[tokio::test]
async fn a_target_changed_after_its_validation_is_left_untouched() {
    for recreate in [true, false] {
        let world = World::with_ledger(PushMode::Append);
        kill_until(&world, has_manifest).await;
        match recreate {
            true => world.target.put_table(&table(), "TABLE", columns()),
            false => world.target.alter(&table(), |columns| {
                columns[1].max_chars = Some(5);
            }),
        }
        let rows = world.target.rows(&table());
        world.clock.advance_ms(2_000_000);
        let record = world.push().await;
        assert_eq!(
            failure(&record),
            ("PUSH_TARGET_CHANGED", Blame::Customer, Retry::NextRun),
            "{record:?}"
        );
        assert_eq!(world.target.rows(&table()), rows);
        let next = world.push().await;
        match recreate {
            true => assert_eq!(next.outcome, PushOutcome::Applied),
            false => assert!(
                refusal(&next).starts_with(
                    "V: a text too long for the column: 3 rows, the worst \
                                            has 9 characters"
                ),
                "{next:?}"
            ),
        }
    }
}

#[tokio::test]
async fn versions_of_our_tables_that_are_gone_are_pinned_anew() {
    let world = World::with_ledger(PushMode::Rewrite);
    let pinned = |world: &World| world.staging.keys().iter().any(|key| key.contains("plan-"));
    kill_until(&world, pinned).await;
    kill_until(&world, |world| world.staging.keys().len() > 1).await;
    world.next_version();
    world.export.vacuum();
    world.quiet_push().await.unwrap();
    let rows = world.target.rows(&table());
    assert!(rows.iter().any(|row| row[1].as_deref() == Some("version 2")), "{rows:?}");
}

#[tokio::test]
async fn a_lost_state_catches_up_with_the_ledger_and_doubles_no_row() {
    for staging_lost in [false, true] {
        let world = World::with_ledger(PushMode::Append);
        world.push().await;
        world.pushes.lose(&push_key());
        if staging_lost {
            for key in world.staging.keys() {
                world.staging.delete(&ObjectKey(key)).await.unwrap();
            }
        }
        world.next_version();
        world.quiet_push().await.unwrap();
        let state = world.pushes.load(&push_key()).await.unwrap().unwrap().state;
        let expected = if staging_lost { (2, 1) } else { (1, 2) };
        assert_eq!((state.generation, state.sequence), expected);
        assert_eq!(world.target.rows(&table()).len(), CUSTOMER_ROWS + 6);
    }
}

#[tokio::test]
async fn files_of_a_killed_attempt_are_used_again_or_taken_away() {
    for (delivery, reused) in
        [(Delivery::Ledger { table: ledger_table() }, 1), (Delivery::NoLedger, 0)]
    {
        let world = World::new(PushMode::Append, delivery);
        kill_until(&world, |world| !world.target.file_names().is_empty()).await;
        assert!(!has_manifest(&world));
        world.clock.advance_ms(2_000_000);
        let record = world.push().await;
        assert_eq!(record.outcome, PushOutcome::Applied);
        assert_eq!((record.figures.parts_staged, record.figures.parts_reused), (2, reused));
        assert!(world.target.file_names().is_empty(), "{:?}", world.target.file_names());
        world.check().await.unwrap();
    }
}

#[tokio::test]
async fn a_run_that_goes_on_under_its_own_id_uses_its_files_again() {
    let world = World::with_ledger(PushMode::Append);
    kill_until(&world, |world| !world.target.file_names().is_empty()).await;
    world.clock.advance_ms(2_000_000);
    let slice = world.pushes.load(&push_key()).await.unwrap().unwrap().state.slice.unwrap();
    let context = PushContext { run_id: slice.run_id, ..world.context() };
    let record = push_table(&world.ports(None), &context, &world.job).await;
    assert_eq!(record.outcome, PushOutcome::Applied);
    assert_eq!(record.figures.parts_reused, 1);
}

/// One run whose rows the table refuses, because it takes shorter texts by the time they come.
async fn push_refused(world: &World, faults: &Arc<Faults>) {
    let account = world.target.clone();
    let target = world.target.with_hook(Arc::new(move |_step| {
        account.alter(&table(), |columns| columns[1].max_chars = Some(1));
        Box::pin(async { Ok(()) })
    }));
    let ports = Ports { target: Arc::new(target), ..world.ports(Some(Arc::clone(faults))) };
    let context = world.context();
    tokio::select! {
        _ = push_table(&ports, &context, &world.job) => {}
        () = faults.killed() => world.target.end_sessions(),
    }
    world.target.alter(&table(), |altered| altered[1].max_chars = columns()[1].max_chars);
}

#[tokio::test]
async fn refused_rows_are_given_up_whatever_call_their_run_is_killed_at() {
    for delivery in [Delivery::Ledger { table: ledger_table() }, Delivery::NoLedger] {
        for fault in [Fault::KillBefore, Fault::KillAfter] {
            let mut call = 0;
            loop {
                call += 1;
                let world = World::new(PushMode::Append, delivery.clone());
                let faults = Faults::at(call, fault);
                push_refused(&world, &faults).await;
                world.clock.advance_ms(2_000_000);
                let record = world.push().await;
                assert_eq!(
                    record.outcome,
                    PushOutcome::Applied,
                    "{delivery:?}, {fault:?} at call {call}"
                );
                assert!(world.target.file_names().is_empty(), "{:?}", world.target.file_names());
                if !faults.was_hit() {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn files_of_a_generation_that_was_given_up_go_with_the_next_commit() {
    let world = World::with_ledger(PushMode::Rewrite);
    kill_until(&world, |world| !world.target.file_names().is_empty()).await;
    let left = world.target.file_names();
    // The versions that were pinned are lost, so the slice cannot be finished.
    world.next_version();
    world.export.vacuum();
    world.quiet_push().await.unwrap();
    assert!(left.iter().all(|file| file.contains("/g1/")), "{left:?}");
}

#[tokio::test]
async fn files_that_went_are_brought_again() {
    let world = World::with_ledger(PushMode::Rewrite);
    kill_until(&world, has_manifest).await;
    world.target.lose_files();
    world.quiet_push().await.unwrap();
    assert!(world.shows_newest());
}

#[tokio::test]
async fn an_append_that_relies_on_load_metadata_is_not_repeated_when_it_has_ended() {
    let world = World::new(PushMode::Append, Delivery::NoLedger);
    kill_until(&world, has_manifest).await;
    world.clock.advance_ms(61 * 86_400_000);
    assert_eq!(failure(&world.push().await).0, "PUSH_METADATA_EXPIRED");
    assert_eq!(world.target.rows(&table()).len(), CUSTOMER_ROWS);
}

#[tokio::test]
async fn two_connections_that_push_to_one_table_keep_out_of_each_others_way() {
    let world = World::with_ledger(PushMode::Append);
    let lease = target_lease("ORG-ACME", &table()).unwrap();
    let held = world.leases.acquire(&lease, "another connection", UnixMillis(0), 1_000_000).await;
    held.unwrap();
    let record = world.push().await;
    assert_eq!(record.outcome, PushOutcome::Busy { owner: "another connection".to_owned() });
    assert_eq!(world.target.rows(&table()).len(), CUSTOMER_ROWS);
}

#[tokio::test]
async fn a_run_that_meets_its_deadline_stops_and_the_next_goes_on() {
    let world = World::with_ledger(PushMode::Rewrite);
    let mut context = world.context();
    context.deadline = Some(UnixMillis(world.clock.peek() + 8));
    let record = push_table(&world.ports(None), &context, &world.job).await;
    assert_eq!(record.outcome, PushOutcome::Continued);
    world.quiet_push().await.unwrap();
    assert!(world.shows_newest());
}

#[tokio::test]
async fn constants_stand_in_every_row() {
    let mut world = World::with_ledger(PushMode::Rewrite);
    world.target.alter(&table(), |columns| {
        let loaded_at = SnowflakeType::TimestampLtz { scale: 9 };
        columns.push(TargetColumn::plain(identifier("LOADED_AT"), loaded_at, false));
    });
    world.job.constants = vec![
        Constant { target: identifier("NOTE"), value: ConstantValue::RunId },
        Constant { target: identifier("LOADED_AT"), value: ConstantValue::PinnedAt },
    ];
    let record = world.push().await;
    assert_eq!(record.outcome, PushOutcome::Applied);
    let rows = world.target.rows(&table());
    assert!(rows.iter().all(|row| row[3].as_ref() == Some(&record.run_id) && row[4].is_some()));
}

#[tokio::test]
async fn a_missing_table_is_made_from_our_columns_when_that_is_allowed() {
    let mut world = World::with_ledger(PushMode::Rewrite);
    world.job.target = "CRM.PUBLIC.NEW_SCORES".parse().unwrap();
    let text = refusal(&world.push().await);
    assert!(text.contains("CRM.PUBLIC.NEW_SCORES does not exist"), "{text}");
    world.job.rules.create = true;
    assert_eq!(world.push().await.outcome, PushOutcome::Applied);
    assert_eq!(world.target.rows(&world.job.target).len(), 10);
}

#[tokio::test]
async fn a_missing_ledger_table_is_told_with_both_ways_out() {
    let mut world = World::with_ledger(PushMode::Append);
    world.job.delivery = Delivery::Ledger { table: "CRM.ELSEWHERE.LEDGER".parse().unwrap() };
    let PushOutcome::Refused { verdicts } = world.push().await.outcome else { panic!() };
    let repairs: Vec<_> = verdicts.iter().filter_map(|verdict| verdict.repair.clone()).collect();
    let repair = repairs.join("\n");
    assert!(repair.contains("setup-sql") && repair.contains("ledger: none"), "{repair}");
}
