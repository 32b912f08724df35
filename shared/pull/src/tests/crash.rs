//! Every port call is a crash point: each is killed, failed and overtaken in turn.
//!
//! A case is a mode, a fault and the number k of the call it strikes. The case is played on a
//! backfill and then on an increment; k grows until neither run makes a k-th call any more, so
//! no call is left out, however the engine changes.

use std::sync::Arc;

use crate::tests::faults::{Fault, Faults};
use crate::tests::world::World;
use crate::{Mode, pull_table};

/// Four shapes of a table: what its source does between two runs, and what is promised.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// No key: rows are only added.
    Append,
    /// A key: rows are added and changed.
    Upsert,
    /// The whole table each time.
    Full,
    /// A backfill only; the source does not change.
    Once,
}

const SHAPES: [Shape; 4] = [Shape::Append, Shape::Upsert, Shape::Full, Shape::Once];

impl Shape {
    fn world(self) -> World {
        let world = match self {
            Self::Append => World::new(Mode::Incremental, &[]),
            Self::Upsert => World::new(Mode::Incremental, &["ID"]),
            Self::Full => World::new(Mode::Full, &[]),
            Self::Once => World::new(Mode::Once, &[]),
        };
        world.insert(0..17, 1);
        world
    }

    fn change(self, world: &World, seq: i128) {
        let fresh = seq * 100;
        match self {
            Self::Append => world.insert(fresh..fresh + 7, seq),
            Self::Upsert | Self::Full => {
                world.insert(fresh..fresh + 7, seq);
                world.update(3..9, seq + 1);
            }
            Self::Once => {}
        }
    }
}

#[tokio::test]
async fn a_run_killed_before_any_call_is_completed_by_the_next() {
    try_every_call(Fault::KillBefore).await;
}

#[tokio::test]
async fn a_run_killed_after_any_call_is_completed_by_the_next() {
    try_every_call(Fault::KillAfter).await;
}

#[tokio::test]
async fn a_call_that_fails_without_effect_costs_no_row() {
    try_every_call(Fault::ErrorBefore).await;
}

#[tokio::test]
async fn a_call_whose_answer_is_lost_costs_and_doubles_no_row() {
    try_every_call(Fault::ErrorAfter).await;
}

#[tokio::test]
async fn a_run_overtaken_before_any_call_does_no_harm() {
    overtake_at_every_call(Fault::StallBefore).await;
}

#[tokio::test]
async fn a_run_overtaken_after_any_call_does_no_harm() {
    overtake_at_every_call(Fault::StallAfter).await;
}

async fn try_every_call(fault: Fault) {
    for shape in SHAPES {
        let mut call = 0;
        loop {
            call += 1;
            let story = format!("{shape:?}, {fault:?} at call {call}");
            let world = shape.world();
            let backfill = Faults::at(call, fault);
            world.pull_with(&backfill).await;
            world.quiet_pull(&story).await;
            world.check(&format!("{story} of the backfill")).await;
            shape.change(&world, 10);
            let increment = Faults::at(call, fault);
            world.pull_with(&increment).await;
            shape.change(&world, 20);
            world.quiet_pull(&story).await;
            world.check(&format!("{story} of the increment")).await;
            if !backfill.was_hit() && !increment.was_hit() {
                break;
            }
        }
        assert!(call > 15, "{shape:?}: only {call} calls were tried");
    }
}

/// Stalls a run at its k-th call, lets another take over the lease and finish while the source
/// goes on changing, then wakes the first one up.
async fn overtake_at_every_call(fault: Fault) {
    for shape in SHAPES {
        let mut call = 0;
        loop {
            call += 1;
            let story = format!("{shape:?}, {fault:?} at call {call}");
            let world = shape.world();
            let backfill = overtaken(&world, shape, call, fault, 10, &story).await;
            world.quiet_pull(&story).await;
            world.check(&format!("{story} of the backfill")).await;
            shape.change(&world, 20);
            let increment = overtaken(&world, shape, call, fault, 30, &story).await;
            world.quiet_pull(&story).await;
            world.check(&format!("{story} of the increment")).await;
            if !backfill && !increment {
                break;
            }
        }
        assert!(call > 15, "{shape:?}: only {call} calls were tried");
    }
}

/// Returns whether the run made a k-th call.
async fn overtaken(
    world: &World,
    shape: Shape,
    call: u64,
    fault: Fault,
    seq: i128,
    story: &str,
) -> bool {
    let faults = Faults::at(call, fault);
    let (ports, context) = (world.ports(Some(Arc::clone(&faults))), world.context());
    let zombie = pull_table(&ports, &context, &world.job);
    tokio::pin!(zombie);
    tokio::select! {
        _ = &mut zombie => return faults.was_hit(),
        () = faults.stalled() => {}
    }
    world.quiet_pull(story).await;
    shape.change(world, seq);
    world.quiet_pull(story).await;
    faults.resume();
    zombie.await;
    true
}
