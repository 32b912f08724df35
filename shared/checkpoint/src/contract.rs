//! The suites that every store passes, one for each trait.
//!
//! The checks use connections of their own (`contract-…`) and expect them to be empty. A check
//! panics with what it found.
#![expect(clippy::expect_used, clippy::panic, reason = "a suite of assertions, called by tests")]

use std::sync::Arc;

use snowferry_model::names::ConnectionName;
use snowferry_model::run::{Figures, Outcome, RUN_VERSION, RunRecord};
use snowferry_model::state::{StreamKey, StreamState};
use snowferry_model::time::UnixMillis;

mod pushes;

pub use pushes::pushes;

use crate::{CheckpointError, CheckpointStore, LeaseOutcome, LeaseStore, Revision, RunStore};

/// When a lease ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseEnd {
    /// When it was not renewed in time.
    Time,
    /// When the process of its owner ends.
    Process,
}

/// Runs every check of [`CheckpointStore`].
pub async fn states(store: &Arc<dyn CheckpointStore>) {
    a_state_comes_back_as_it_was_written(store.as_ref()).await;
    a_write_from_another_revision_leaves_the_state(store.as_ref()).await;
    concurrent_writers_lose_no_update(store).await;
    a_state_is_created_once_however_many_try(store).await;
    states_are_listed_in_order_and_by_connection(store.as_ref()).await;
}

/// Every field, and an absent state as `None`.
pub async fn a_state_comes_back_as_it_was_written(store: &dyn CheckpointStore) {
    let key = key("contract-whole", "DB.S.\"t \"\"x\"\" – ü\"");
    assert_eq!(store.load(&key).await.expect("load"), None);
    let mut state = StreamState::fresh(3);
    (state.sequence, state.rows_loaded) = (u64::from(u32::MAX), i64::MAX as u64);
    state.identity = Some("2026-01-02 \"quoted\" 'text'".to_owned());
    state.synced_as_of = Some(UnixMillis(-1));
    let first = store.store(&key, None, &state).await.expect("store");
    let stored = store.load(&key).await.expect("load").expect("the state is there");
    assert_eq!((stored.revision, &stored.state), (first, &state));
    state.plan = Some("fingerprint".to_owned());
    let second = store.store(&key, Some(first), &state).await.expect("store");
    assert!(second > first, "{second:?} after {first:?}");
    let stored = store.load(&key).await.expect("load").expect("the state is there");
    assert_eq!((stored.revision, stored.state), (second, state));
}

/// A stale, a future and an absent revision are refused, and nothing changes.
pub async fn a_write_from_another_revision_leaves_the_state(store: &dyn CheckpointStore) {
    let key = key("contract-moved", "DB.S.T");
    let other = StreamState::fresh(99);
    let absent = store.store(&key, Some(Revision(1)), &other).await;
    assert!(matches!(absent, Err(CheckpointError::Moved { .. })), "{absent:?}");
    assert_eq!(store.load(&key).await.expect("load"), None);
    let first = store.store(&key, None, &StreamState::fresh(1)).await.expect("store");
    let second = store.store(&key, Some(first), &StreamState::fresh(2)).await.expect("store");
    for expected in [None, Some(first), Some(Revision(second.0 + 1))] {
        let outcome = store.store(&key, expected, &other).await;
        assert!(matches!(outcome, Err(CheckpointError::Moved { .. })), "{expected:?}: {outcome:?}");
    }
    let stored = store.load(&key).await.expect("load").expect("the state is there");
    assert_eq!((stored.revision, stored.state), (second, StreamState::fresh(2)));
}

/// Eight tasks add one 25 times each: the sum is 200.
pub async fn concurrent_writers_lose_no_update(store: &Arc<dyn CheckpointStore>) {
    let key = key("contract-count", "DB.S.T");
    store.store(&key, None, &StreamState::fresh(1)).await.expect("store");
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, key) = (Arc::clone(store), key.clone());
        writers.spawn(async move {
            let mut added = 0;
            while added < 25 {
                let mut stored = store.load(&key).await.expect("load").expect("the state is there");
                stored.state.sequence += 1;
                match store.store(&key, Some(stored.revision), &stored.state).await {
                    Ok(_) => added += 1,
                    Err(CheckpointError::Moved { .. }) => tokio::task::yield_now().await,
                    Err(other) => panic!("store: {other}"),
                }
            }
        });
    }
    writers.join_all().await;
    let stored = store.load(&key).await.expect("load").expect("the state is there");
    assert_eq!(stored.state.sequence, 200);
}

/// Eight tasks create one state: one succeeds, and its state is the one that stays.
pub async fn a_state_is_created_once_however_many_try(store: &Arc<dyn CheckpointStore>) {
    let key = key("contract-create", "DB.S.T");
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..8 {
        let (store, key) = (Arc::clone(store), key.clone());
        racers.spawn(async move {
            (racer, store.store(&key, None, &StreamState::fresh(racer)).await.is_ok())
        });
    }
    let results = racers.join_all().await;
    let winners: Vec<u64> =
        results.iter().filter(|(_, won)| *won).map(|(racer, _)| *racer).collect();
    let stored = store.load(&key).await.expect("load").expect("the state is there");
    assert_eq!(winners, [stored.state.generation]);
}

/// Keys come in order, connections do not see each other.
pub async fn states_are_listed_in_order_and_by_connection(store: &dyn CheckpointStore) {
    let keys = [
        key("contract-list-b", "DB.S.A"),
        key("contract-list-a", "DB.S.Z"),
        key("contract-list-a", "DB.S.\"a.b\""),
        key("contract-list", "DB.S.T"),
    ];
    for key in &keys {
        store.store(key, None, &StreamState::fresh(1)).await.expect("store");
    }
    let listed = |states: Vec<(StreamKey, crate::Stored)>| {
        states.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    let [b, a_second, a_third, short] = keys;
    let name = ConnectionName::new("contract-list-a").expect("a name");
    let of_one = listed(store.list(Some(&name)).await.expect("list"));
    assert_eq!(of_one, [a_second.clone(), a_third.clone()]);
    let all = listed(store.list(None).await.expect("list"));
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(all, sorted);
    let ours: Vec<StreamKey> =
        all.into_iter().filter(|key| key.connection.as_str().contains("-list")).collect();
    assert_eq!(ours, [short, a_second, a_third, b]);
}

/// Runs every check of [`LeaseStore`].
pub async fn leases(store: &dyn LeaseStore, end: LeaseEnd) {
    a_lease_has_one_owner(store).await;
    only_the_owner_gives_a_lease_back(store).await;
    a_lost_lease_is_not_renewed(store).await;
    if end == LeaseEnd::Time {
        a_lease_ends_when_it_is_not_renewed(store).await;
    }
}

/// The owner gets it again, everybody else learns who has it; another table is free.
pub async fn a_lease_has_one_owner(store: &dyn LeaseStore) {
    let (key, other) = (key("contract-lease", "DB.S.ONE"), key("contract-lease", "DB.S.OTHER"));
    let now = UnixMillis(1_000_000);
    let acquired = LeaseOutcome::Acquired;
    assert_eq!(store.acquire(&key, "anna", now, 1000).await.expect("acquire"), acquired);
    assert_eq!(store.acquire(&key, "anna", now, 1000).await.expect("acquire"), acquired);
    assert_eq!(store.acquire(&key, "bert", now, 1000).await.expect("acquire"), held("anna"));
    assert_eq!(store.renew(&key, "bert", now, 1000).await.expect("renew"), held("anna"));
    assert_eq!(store.renew(&key, "anna", now, 1000).await.expect("renew"), acquired);
    assert_eq!(store.acquire(&other, "bert", now, 1000).await.expect("acquire"), acquired);
    store.release(&key, "anna").await.expect("release");
    store.release(&other, "bert").await.expect("release");
}

/// Giving back what is not ours changes nothing; what was ours is free at once.
pub async fn only_the_owner_gives_a_lease_back(store: &dyn LeaseStore) {
    let key = key("contract-lease", "DB.S.BACK");
    let now = UnixMillis(0);
    store.release(&key, "bert").await.expect("release what nobody has");
    store.acquire(&key, "anna", now, 1000).await.expect("acquire");
    store.release(&key, "bert").await.expect("release what another has");
    assert_eq!(store.acquire(&key, "bert", now, 1000).await.expect("acquire"), held("anna"));
    store.release(&key, "anna").await.expect("release");
    let outcome = store.acquire(&key, "bert", now, 1000).await.expect("acquire");
    assert_eq!(outcome, LeaseOutcome::Acquired);
    store.release(&key, "bert").await.expect("release");
}

/// A lease that was given back, or never taken, is not had by renewing.
pub async fn a_lost_lease_is_not_renewed(store: &dyn LeaseStore) {
    let key = key("contract-lease", "DB.S.LOST");
    let now = UnixMillis(0);
    for _ in 0..2 {
        let outcome = store.renew(&key, "anna", now, 1000).await.expect("renew");
        assert!(matches!(outcome, LeaseOutcome::Held { .. }), "{outcome:?}");
        store.acquire(&key, "anna", now, 1000).await.expect("acquire");
        store.release(&key, "anna").await.expect("release");
    }
}

/// A lease holds up to its end and not beyond; renewing moves the end.
pub async fn a_lease_ends_when_it_is_not_renewed(store: &dyn LeaseStore) {
    let key = key("contract-lease", "DB.S.ENDS");
    let at = UnixMillis;
    let acquired = LeaseOutcome::Acquired;
    store.acquire(&key, "anna", at(0), 1000).await.expect("acquire");
    assert_eq!(store.acquire(&key, "bert", at(999), 1000).await.expect("acquire"), held("anna"));
    assert_eq!(store.renew(&key, "anna", at(999), 1000).await.expect("renew"), acquired);
    assert_eq!(store.acquire(&key, "bert", at(1998), 1000).await.expect("acquire"), held("anna"));
    assert_eq!(store.acquire(&key, "bert", at(1999), 1000).await.expect("acquire"), acquired);
    assert_eq!(store.renew(&key, "anna", at(1999), 1000).await.expect("renew"), held("bert"));
    store.release(&key, "anna").await.expect("release what another has");
    assert_eq!(store.acquire(&key, "anna", at(2000), 1000).await.expect("acquire"), held("bert"));
    store.release(&key, "bert").await.expect("release");
}

/// Runs every check of [`RunStore`].
pub async fn runs(store: &dyn RunStore) {
    runs_are_listed_newest_first(store).await;
    a_record_is_replaced_by_its_run_and_table(store).await;
    unfinished_runs_are_those_of_the_table_without_an_end(store).await;
}

/// By start, then by run id; limited; by connection.
pub async fn runs_are_listed_newest_first(store: &dyn RunStore) {
    let table = key("contract-runs", "DB.S.T");
    for (run_id, started_at) in [("r2", 200), ("r9", 100), ("r4", 300), ("r3", 300), ("r0", -5)] {
        store.record(&run(run_id, &table, started_at, None)).await.expect("record");
    }
    let elsewhere = key("contract-runs-elsewhere", "DB.S.T");
    store.record(&run("r5", &elsewhere, 400, None)).await.expect("record");
    let name = Some(&table.connection);
    assert_eq!(ids(store.runs(name, 100).await.expect("runs")), ["r4", "r3", "r2", "r9", "r0"]);
    assert_eq!(ids(store.runs(name, 2).await.expect("runs")), ["r4", "r3"]);
    assert_eq!(ids(store.runs(name, 0).await.expect("runs")), Vec::<String>::new());
    let all = store.runs(None, usize::MAX).await.expect("runs");
    assert!(all.iter().any(|run| run.stream == elsewhere), "{all:?}");
    assert!(all.is_sorted_by(|a, b| a.started_at >= b.started_at), "{all:?}");
}

/// The second record of a run and table stands in the place of the first; the same run of another
/// table stays.
pub async fn a_record_is_replaced_by_its_run_and_table(store: &dyn RunStore) {
    let (one, other) = (key("contract-replace", "DB.S.ONE"), key("contract-replace", "DB.S.OTHER"));
    store.record(&run("r1", &one, 100, None)).await.expect("record");
    store.record(&run("r1", &other, 100, None)).await.expect("record");
    let mut ended = run("r1", &one, 100, Some(150));
    ended.outcome = Outcome::Busy { owner: "r0".to_owned() };
    ended.figures =
        Figures { rows_staged: 1 << 60, query_ids: vec!["q".to_owned()], ..Figures::default() };
    store.record(&ended).await.expect("record");
    let mut found = store.runs(Some(&one.connection), 10).await.expect("runs");
    found.sort_by(|a, b| a.stream.cmp(&b.stream));
    assert_eq!(found, [ended, run("r1", &other, 100, None)]);
}

/// Oldest first, of that table only.
pub async fn unfinished_runs_are_those_of_the_table_without_an_end(store: &dyn RunStore) {
    let (table, other) = (key("contract-open", "DB.S.T"), key("contract-open", "DB.S.OTHER"));
    for (run_id, table, started_at, ended_at) in [
        ("r3", &table, 300, None),
        ("r1", &table, 100, None),
        ("r2", &table, 200, Some(250)),
        ("r4", &other, 50, None),
    ] {
        store.record(&run(run_id, table, started_at, ended_at)).await.expect("record");
    }
    assert_eq!(ids(store.unfinished(&table).await.expect("unfinished")), ["r1", "r3"]);
    store.record(&run("r1", &table, 100, Some(400))).await.expect("record");
    assert_eq!(ids(store.unfinished(&table).await.expect("unfinished")), ["r3"]);
}

fn key(connection: &str, table: &str) -> StreamKey {
    StreamKey {
        connection: ConnectionName::new(connection).expect("a connection's name"),
        table: table.parse().expect("a table's name"),
    }
}

fn held(owner: &str) -> LeaseOutcome {
    LeaseOutcome::Held { owner: owner.to_owned() }
}

fn run(run_id: &str, stream: &StreamKey, started_at: i64, ended_at: Option<i64>) -> RunRecord {
    RunRecord {
        version: RUN_VERSION,
        run_id: run_id.to_owned(),
        stream: stream.clone(),
        mode: "incremental".to_owned(),
        trigger: "manual".to_owned(),
        started_at: UnixMillis(started_at),
        ended_at: ended_at.map(UnixMillis),
        outcome: Outcome::Running,
        figures: Figures::default(),
    }
}

fn ids(runs: Vec<RunRecord>) -> Vec<String> {
    runs.into_iter().map(|run| run.run_id).collect()
}
