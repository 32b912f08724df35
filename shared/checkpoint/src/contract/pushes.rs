//! The suite of [`PushStore`].

use std::sync::Arc;

use snowferry_model::names::ConnectionName;
use snowferry_model::push::{
    PUSH_RUN_VERSION, PushFigures, PushKey, PushName, PushOutcome, PushRunRecord, PushSlice,
    PushState,
};
use snowferry_model::time::UnixMillis;

use crate::{CheckpointError, PushStore, Revision};

/// Runs every check of [`PushStore`].
pub async fn pushes(store: &Arc<dyn PushStore>) {
    a_state_comes_back_as_it_was_written(store.as_ref()).await;
    a_write_from_another_revision_leaves_the_state(store.as_ref()).await;
    one_of_many_writers_wins(store).await;
    states_are_listed_in_order_and_by_connection(store.as_ref()).await;
    runs_are_replaced_listed_and_found_unfinished(store.as_ref()).await;
}

/// Every field, and an absent state as `None`.
async fn a_state_comes_back_as_it_was_written(store: &dyn PushStore) {
    let key = key("contract-push-whole", "scores");
    assert_eq!(store.load(&key).await.expect("load"), None);
    let mut state = PushState::fresh(3);
    (state.sequence, state.rows) = (7, u64::from(u32::MAX));
    state.last_run = Some("run \"1\" ü".to_owned());
    state.pushed_as_of = Some(UnixMillis(-1));
    let first = store.store(&key, None, &state).await.expect("store");
    state.slice = Some(PushSlice {
        sequence: 8,
        plan: "00ff".to_owned(),
        run_id: "run-2".to_owned(),
        pinned_at: UnixMillis(5),
    });
    let second = store.store(&key, Some(first), &state).await.expect("store");
    assert!(second > first, "{second:?} after {first:?}");
    let stored = store.load(&key).await.expect("load").expect("the state is there");
    assert_eq!((stored.revision, stored.state), (second, state));
}

/// A stale, a future and an absent revision are refused, and nothing changes.
async fn a_write_from_another_revision_leaves_the_state(store: &dyn PushStore) {
    let key = key("contract-push-moved", "scores");
    let other = PushState::fresh(99);
    let absent = store.store(&key, Some(Revision(1)), &other).await;
    assert!(matches!(absent, Err(CheckpointError::Moved { .. })), "{absent:?}");
    let first = store.store(&key, None, &PushState::fresh(1)).await.expect("store");
    let second = store.store(&key, Some(first), &PushState::fresh(2)).await.expect("store");
    for wrong in [None, Some(first), Some(Revision(second.0 + 1))] {
        let refused = store.store(&key, wrong, &other).await;
        assert!(matches!(refused, Err(CheckpointError::Moved { .. })), "{wrong:?}: {refused:?}");
    }
    let stored = store.load(&key).await.expect("load").expect("the state is there");
    assert_eq!((stored.revision, stored.state.generation), (second, 2));
}

/// Ten writers from one revision: one is acknowledged, nine are told.
async fn one_of_many_writers_wins(store: &Arc<dyn PushStore>) {
    let key = key("contract-push-race", "scores");
    let first = store.store(&key, None, &PushState::fresh(0)).await.expect("store");
    let mut writers = tokio::task::JoinSet::new();
    for generation in 1..=10 {
        let (store, key) = (Arc::clone(store), key.clone());
        writers.spawn(async move {
            let won = store.store(&key, Some(first), &PushState::fresh(generation)).await.is_ok();
            won.then_some(generation)
        });
    }
    let winners: Vec<u64> = writers.join_all().await.into_iter().flatten().collect();
    let stored = store.load(&key).await.expect("load").expect("the state is there");
    assert_eq!(winners, [stored.state.generation]);
}

/// By connection, then by name.
async fn states_are_listed_in_order_and_by_connection(store: &dyn PushStore) {
    let first = key("contract-push-list-a", "one");
    let second = key("contract-push-list-a", "two");
    let other = key("contract-push-list-b", "one");
    for key in [&other, &second, &first] {
        store.store(key, None, &PushState::fresh(1)).await.expect("store");
    }
    let of_a = store.list(Some(&first.connection)).await.expect("list");
    let of_a: Vec<_> = of_a.into_iter().map(|(key, _)| key).collect();
    assert_eq!(of_a, [first.clone(), second.clone()]);
    let expected = [first, second, other];
    let all = store.list(None).await.expect("list");
    let ours = all.into_iter().map(|(key, _)| key).filter(|key| expected.contains(key));
    assert_eq!(ours.collect::<Vec<_>>(), expected);
}

/// A record replaces the one of the same run; the newest comes first; one without an end is found.
async fn runs_are_replaced_listed_and_found_unfinished(store: &dyn PushStore) {
    let key = key("contract-push-runs", "scores");
    let run = |run_id: &str, started_at: i64| PushRunRecord {
        version: PUSH_RUN_VERSION,
        run_id: run_id.to_owned(),
        push: key.clone(),
        target: "DB.S.\"t x\"".parse().expect("a table"),
        mode: "rewrite".to_owned(),
        trigger: "contract".to_owned(),
        started_at: UnixMillis(started_at),
        ended_at: None,
        outcome: PushOutcome::Running,
        figures: PushFigures::default(),
    };
    let (mut older, newer) = (run("run-1", 10), run("run-2", 20));
    store.record(&newer).await.expect("record");
    store.record(&older).await.expect("record");
    assert_eq!(store.unfinished(&key).await.expect("list"), [older.clone(), newer.clone()]);
    (older.ended_at, older.outcome) = (Some(UnixMillis(30)), PushOutcome::Applied);
    older.figures.rows_applied = 5;
    store.record(&older).await.expect("record");
    let of_ours = Some(&key.connection);
    assert_eq!(store.runs(of_ours, 9).await.expect("list"), [newer.clone(), older]);
    assert_eq!(store.runs(of_ours, 1).await.expect("list"), std::slice::from_ref(&newer));
    assert_eq!(store.unfinished(&key).await.expect("list"), [newer]);
}

fn key(connection: &str, name: &str) -> PushKey {
    PushKey {
        connection: ConnectionName::new(connection).expect("a connection"),
        name: PushName::new(name).expect("a push"),
    }
}
