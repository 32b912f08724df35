//! Every port call and every step of a transaction is a crash point, in every mode.
//!
//! A case is a mode, a delivery, a fault and the number k of the call it strikes; it is played on
//! the first push and then on a later one, and k grows until neither makes a k-th call. The same
//! cases are played on designs that are known to be wrong: each must be found out.

use std::sync::Arc;

use snowferry_model::push::{Delivery, PushMode};
use snowferry_snowflake::memory::target::Flaw;

use crate::push_table;
use crate::tests::faults::{Fault, Faults};
use crate::tests::world::{World, ledger_table, upsert};

const FAULTS: [Fault; 6] = [
    Fault::KillBefore,
    Fault::KillAfter,
    Fault::ErrorBefore,
    Fault::ErrorAfter,
    Fault::StallBefore,
    Fault::StallAfter,
];

/// A mode and what makes its repeat harmless.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Append,
    Rewrite,
    Upsert,
    AppendWithoutLedger,
    RewriteWithoutLedger,
    UpsertWithoutLedger,
}

const SHAPES: [Shape; 6] = [
    Shape::Append,
    Shape::Rewrite,
    Shape::Upsert,
    Shape::AppendWithoutLedger,
    Shape::RewriteWithoutLedger,
    Shape::UpsertWithoutLedger,
];

impl Shape {
    fn world(self, wrong: Wrong) -> World {
        let mode = match self {
            Self::Append | Self::AppendWithoutLedger => PushMode::Append,
            Self::Rewrite | Self::RewriteWithoutLedger => PushMode::Rewrite,
            Self::Upsert | Self::UpsertWithoutLedger => upsert(),
        };
        let delivery = match self {
            Self::Append | Self::Rewrite | Self::Upsert => {
                Delivery::Ledger { table: ledger_table() }
            }
            _ => Delivery::NoLedger,
        };
        let world = World::new(mode, delivery);
        match wrong {
            Wrong::Nothing => world,
            Wrong::Account(flaw) => world.with_flaw(flaw),
            Wrong::StateFirst => world.with_state_first(),
        }
    }
}

/// What is wrong with the design.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Nothing,
    Account(Flaw),
    StateFirst,
}

/// Plays every case of a shape and a fault; returns the first violation.
async fn explore(shape: Shape, fault: Fault, wrong: Wrong) -> Result<u64, String> {
    let mut call = 0;
    loop {
        call += 1;
        let story = |error: String| format!("{shape:?}, {fault:?} at call {call}: {error}");
        let world = shape.world(wrong);
        let first = one_case(&world, fault, call).await.map_err(story)?;
        let later = one_case(&world, fault, call).await.map_err(story)?;
        if !first && !later {
            return Ok(call);
        }
    }
}

/// One faulty run, then quiet ones; returns whether the fault was met.
async fn one_case(world: &World, fault: Fault, call: u64) -> Result<bool, String> {
    let faults = Faults::at(call, fault);
    if matches!(fault, Fault::StallBefore | Fault::StallAfter) {
        overtake(world, &faults).await?;
    } else {
        world.push_with(&faults).await;
    }
    world.in_step().await?;
    world.next_version();
    world.quiet_push().await?;
    // An append that was interrupted is finished first, so only the next one is of the newest.
    world.next_version();
    world.quiet_push().await?;
    if !world.shows_newest() {
        return Err("the newest rows are not in the target".to_owned());
    }
    world.next_version();
    Ok(faults.was_hit())
}

/// Stalls a run, lets others take over the lease and finish, then wakes it up.
async fn overtake(world: &World, faults: &Arc<Faults>) -> Result<(), String> {
    let (ports, context) = (world.ports(Some(Arc::clone(faults))), world.context());
    let zombie = push_table(&ports, &context, &world.job);
    tokio::pin!(zombie);
    tokio::select! {
        _ = &mut zombie => return Ok(()),
        () = faults.stalled() => {}
    }
    world.next_version();
    world.quiet_push().await?;
    world.next_version();
    world.quiet_push().await?;
    world.next_version();
    faults.resume();
    zombie.await;
    Ok(())
}

async fn holds_in_every_case(fault: Fault) {
    for shape in SHAPES {
        match explore(shape, fault, Wrong::Nothing).await {
            Ok(calls) => assert!(calls > 20, "{shape:?}: only {calls} calls were tried"),
            Err(violation) => panic!("{violation}"),
        }
    }
}

#[tokio::test]
async fn a_run_killed_before_any_call_is_completed_by_the_next() {
    holds_in_every_case(Fault::KillBefore).await;
}

#[tokio::test]
async fn a_run_killed_after_any_call_is_completed_by_the_next() {
    holds_in_every_case(Fault::KillAfter).await;
}

#[tokio::test]
async fn a_call_that_fails_without_effect_costs_no_row() {
    holds_in_every_case(Fault::ErrorBefore).await;
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_costs_and_doubles_no_row() {
    holds_in_every_case(Fault::ErrorAfter).await;
}

#[tokio::test]
async fn a_run_overtaken_before_any_call_does_no_harm() {
    holds_in_every_case(Fault::StallBefore).await;
}

#[tokio::test]
async fn a_run_overtaken_after_any_call_does_no_harm() {
    holds_in_every_case(Fault::StallAfter).await;
}

/// Returns the first violation of a wrong design in any case of a shape.
async fn found_out(shape: Shape, wrong: Wrong) -> String {
    for fault in FAULTS {
        if let Err(violation) = explore(shape, fault, wrong).await {
            return violation;
        }
    }
    panic!("{wrong:?} was not found out on {shape:?}");
}

#[tokio::test]
async fn a_ledger_that_nobody_looks_at_is_found_out() {
    found_out(Shape::Append, Wrong::Account(Flaw::BlindLedger)).await;
}

#[tokio::test]
async fn a_state_that_moves_before_the_rows_is_found_out() {
    for shape in [Shape::Append, Shape::Upsert] {
        found_out(shape, Wrong::StateFirst).await;
    }
}

#[tokio::test]
async fn deleting_and_inserting_in_two_transactions_is_found_out() {
    let violation = found_out(Shape::Rewrite, Wrong::Account(Flaw::TwoTransactions)).await;
    assert!(violation.contains("half"), "{violation}");
}

#[tokio::test]
async fn a_definition_inside_the_transaction_is_found_out() {
    found_out(Shape::Append, Wrong::Account(Flaw::DefinitionInside)).await;
}

#[tokio::test]
async fn a_forced_repeat_of_a_load_without_a_ledger_is_found_out() {
    let wrong = Wrong::Account(Flaw::ForcedLoad);
    let violation = found_out(Shape::AppendWithoutLedger, wrong).await;
    assert!(violation.contains("doubled rows"), "{violation}");
}
