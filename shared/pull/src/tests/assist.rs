//! Several workers stage one slice.

use snowferry_model::run::Outcome;
use snowferry_model::time::UnixMillis;

use crate::tests::world::World;
use crate::{Mode, RunContext, assist, pull_table};

/// A run that pins a slice and stages none or few of its parts.
async fn pinned(world: &World) -> RunContext {
    let mut context = world.context();
    context.deadline = Some(UnixMillis(world.clock.peek() + 8));
    let record = pull_table(&world.ports(None), &context, &world.job).await;
    assert_eq!(record.outcome, Outcome::Continued);
    context
}

#[tokio::test]
async fn helpers_stage_what_is_missing_and_the_run_only_finishes() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..60, 1);
    let mut context = pinned(&world).await;
    let figures = assist(&world.ports(None), &world.context(), &world.job).await.unwrap();
    assert!(figures.parts_staged > 8, "{figures:?}");
    // With nothing left, a helper does nothing.
    let idle = assist(&world.ports(None), &world.context(), &world.job).await.unwrap();
    assert_eq!(idle.parts_staged, 0, "{idle:?}");
    context.deadline = None;
    let record = pull_table(&world.ports(None), &context, &world.job).await;
    assert_eq!((record.outcome, record.figures.parts_staged), (Outcome::Loaded, 0));
    assert_eq!(world.source.statements(), 1, "the statement ran again");
    world.check("helped").await;
}

#[tokio::test]
async fn a_run_and_its_helpers_at_once_load_each_row_once() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..100, 1);
    let mut context = pinned(&world).await;
    context.deadline = None;
    let ports = world.ports(None);
    let (one, two) = (world.context(), world.context());
    let (record, first, second) = tokio::join!(
        pull_table(&ports, &context, &world.job),
        assist(&ports, &one, &world.job),
        assist(&ports, &two, &world.job),
    );
    assert_eq!(record.outcome, Outcome::Loaded);
    let helped = first.unwrap().parts_staged + second.unwrap().parts_staged;
    assert!(helped > 0 && record.figures.parts_staged > 0, "{helped} {record:?}");
    world.check("at once").await;
}

#[tokio::test]
async fn without_a_slice_there_is_nothing_to_help_with() {
    let world = World::new(Mode::Incremental, &["ID"]);
    world.insert(0..10, 1);
    let figures = assist(&world.ports(None), &world.context(), &world.job).await.unwrap();
    assert_eq!(figures.parts_staged, 0);
    world.pull().await;
    let figures = assist(&world.ports(None), &world.context(), &world.job).await.unwrap();
    assert_eq!((figures.parts_staged, world.source.statements()), (0, 1));
}
