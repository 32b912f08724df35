//! The suites on DynamoDB Local, races, lost answers, and the size of items.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use snowferry_aws_fakes::dynamodb::DynamoLocal;
use snowferry_model::fault::Fault;
use snowferry_model::push::{
    PUSH_RUN_VERSION, PushFigures, PushKey, PushName, PushOutcome, PushRunRecord, PushState,
};
use snowferry_model::run::{Figures, Outcome, RUN_VERSION, RunRecord};
use snowferry_model::state::{StreamKey, StreamState};
use snowferry_model::time::UnixMillis;
use tokio::sync::OnceCell;

use crate::contract::{self, LeaseEnd};
use crate::dynamodb::DynamoCheckpoint;
use crate::{
    CheckpointError, CheckpointStore, LeaseOutcome, LeaseStore, PushStore, Revision, RunStore,
};

static LOCAL: OnceCell<Option<DynamoLocal>> = OnceCell::const_new();
static TABLES: AtomicU32 = AtomicU32::new(0);

/// A table of its own in the one database of these tests; `None` when there is no database.
async fn store() -> Option<DynamoCheckpoint> {
    let local = LOCAL.get_or_init(|| async { DynamoLocal::start().await.unwrap() }).await;
    let local = local.as_ref()?;
    let table = format!("snowferry-{}", TABLES.fetch_add(1, Ordering::Relaxed));
    local.create_table(&table).await.unwrap();
    Some(DynamoCheckpoint::new(local.client(), table))
}

/// Rounds of each race; `SNOWFERRY_RACES` asks for more.
fn rounds() -> u32 {
    std::env::var("SNOWFERRY_RACES").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(200)
}

fn key(table: &str) -> StreamKey {
    StreamKey {
        connection: "acme".to_owned().try_into().unwrap(),
        table: format!("DB.S.{table}").parse().unwrap(),
    }
}

fn push(name: &str) -> PushKey {
    PushKey { connection: key("T").connection, name: PushName::new(name).unwrap() }
}

fn run(run_id: &str, started_at: i64, outcome: Outcome, ended_at: Option<i64>) -> RunRecord {
    RunRecord {
        version: RUN_VERSION,
        run_id: run_id.to_owned(),
        stream: key("T"),
        mode: "incremental".to_owned(),
        trigger: "manual".to_owned(),
        started_at: UnixMillis(started_at),
        ended_at: ended_at.map(UnixMillis),
        outcome,
        figures: Figures::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_table_passes_the_suites() {
    let Some(store) = store().await else { return };
    let states: Arc<dyn CheckpointStore> = Arc::new(store.clone());
    contract::states(&states).await;
    contract::leases(&store, LeaseEnd::Time).await;
    contract::runs(&store).await;
    let pushes: Arc<dyn PushStore> = Arc::new(store);
    contract::pushes(&pushes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_race_for_a_state_has_one_winner() {
    let Some(store) = store().await else { return };
    let mut revision = None;
    for round in 0..rounds() {
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..4 {
            let (store, generation) = (store.clone(), u64::from(round) * 4 + racer);
            racers.spawn(async move {
                let state = StreamState::fresh(generation);
                (generation, CheckpointStore::store(&store, &key("RACE"), revision, &state).await)
            });
        }
        let (won, lost): (Vec<_>, Vec<_>) =
            racers.join_all().await.into_iter().partition(|(_, outcome)| outcome.is_ok());
        assert_eq!(won.len(), 1, "round {round}: {won:?} {lost:?}");
        for (_, outcome) in &lost {
            let moved = matches!(outcome, Err(CheckpointError::Moved { .. }));
            assert!(moved, "round {round}: {outcome:?}");
        }
        let stored = CheckpointStore::load(&store, &key("RACE")).await.unwrap().unwrap();
        assert_eq!(stored.state.generation, won[0].0, "round {round}");
        revision = Some(stored.revision);
    }
    assert_eq!(revision, Some(Revision(u64::from(rounds()))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_race_for_the_state_of_a_push_has_one_winner() {
    let Some(store) = store().await else { return };
    let key = push("race");
    let mut revision = None;
    for round in 0..rounds() {
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..4 {
            let (store, key, generation) =
                (store.clone(), key.clone(), u64::from(round) * 4 + racer);
            racers.spawn(async move {
                let state = PushState::fresh(generation);
                (generation, PushStore::store(&store, &key, revision, &state).await)
            });
        }
        let (won, lost): (Vec<_>, Vec<_>) =
            racers.join_all().await.into_iter().partition(|(_, outcome)| outcome.is_ok());
        assert_eq!(won.len(), 1, "round {round}: {won:?} {lost:?}");
        for (_, outcome) in &lost {
            let moved = matches!(outcome, Err(CheckpointError::Moved { .. }));
            assert!(moved, "round {round}: {outcome:?}");
        }
        let stored = PushStore::load(&store, &key).await.unwrap().unwrap();
        assert_eq!(stored.state.generation, won[0].0, "round {round}");
        revision = Some(stored.revision);
    }
    assert_eq!(revision, Some(Revision(u64::from(rounds()))));
}

#[tokio::test]
async fn a_push_that_goes_on_after_a_deadline_has_one_record_beside_the_pulls() {
    let Some(store) = store().await else { return };
    let pulled = run("r1", 100, Outcome::Loaded, Some(150));
    RunStore::record(&store, &pulled).await.unwrap();
    for (started_at, outcome, ended_at) in [
        (100, PushOutcome::Running, None),
        (100, PushOutcome::Continued, Some(150)),
        (200, PushOutcome::Running, None),
        (200, PushOutcome::Applied, Some(250)),
    ] {
        let record = PushRunRecord {
            version: PUSH_RUN_VERSION,
            run_id: "r1".to_owned(),
            push: push("scores"),
            target: "DB.S.T".parse().unwrap(),
            mode: "append".to_owned(),
            trigger: "schedule".to_owned(),
            started_at: UnixMillis(started_at),
            ended_at: ended_at.map(UnixMillis),
            outcome,
            figures: PushFigures::default(),
        };
        PushStore::record(&store, &record).await.unwrap();
        let listed = PushStore::runs(&store, None, 10).await.unwrap();
        assert_eq!(listed, std::slice::from_ref(&record));
        let open = PushStore::unfinished(&store, &push("scores")).await.unwrap();
        assert_eq!(!open.is_empty(), record.ended_at.is_none(), "{record:?}");
    }
    assert_eq!(RunStore::runs(&store, None, 10).await.unwrap(), [pulled]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_race_for_a_lease_has_one_owner() {
    let Some(store) = store().await else { return };
    for round in 0..i64::from(rounds()) {
        // Each round begins when the lease of the one before has just run out.
        let now = UnixMillis(round * 1000);
        let mut racers = tokio::task::JoinSet::new();
        for racer in 0..4 {
            let (store, owner) = (store.clone(), format!("owner {racer} of round {round}"));
            racers.spawn(async move {
                let outcome = store.acquire(&key("LEASE"), &owner, now, 1000).await.unwrap();
                (owner, outcome)
            });
        }
        let mut owners = BTreeMap::new();
        for (owner, outcome) in racers.join_all().await {
            let holder = match outcome {
                LeaseOutcome::Acquired => owner,
                LeaseOutcome::Held { owner } => owner,
            };
            *owners.entry(holder).or_insert(0) += 1;
        }
        assert_eq!(owners.values().collect::<Vec<_>>(), [&4], "round {round}: {owners:?}");
    }
}

#[tokio::test]
async fn a_lease_from_a_clock_far_ahead_is_taken_over() {
    let Some(store) = store().await else { return };
    let next_year = UnixMillis(365 * 86_400_000);
    let acquire = |owner: &'static str, now| {
        let store = store.clone();
        async move { store.acquire(&key("CLOCK"), owner, now, 60_000).await.unwrap() }
    };
    assert_eq!(acquire("ahead", next_year).await, LeaseOutcome::Acquired);
    assert_eq!(acquire("right", UnixMillis(0)).await, LeaseOutcome::Acquired);
    let held = LeaseOutcome::Held { owner: "right".to_owned() };
    assert_eq!(acquire("another", UnixMillis(0)).await, held);
}

#[tokio::test]
async fn a_run_that_goes_on_after_a_deadline_has_one_record() {
    let Some(store) = store().await else { return };
    let connection = Some(&key("T").connection).cloned();
    for record in [
        run("r1", 100, Outcome::Running, None),
        run("r1", 100, Outcome::Continued, Some(150)),
        run("r1", 200, Outcome::Running, None),
        run("r1", 200, Outcome::Loaded, Some(250)),
    ] {
        RunStore::record(&store, &record).await.unwrap();
        let listed = RunStore::runs(&store, connection.as_ref(), 10).await.unwrap();
        assert_eq!(listed, std::slice::from_ref(&record));
        let open = RunStore::unfinished(&store, &key("T")).await.unwrap();
        assert_eq!(!open.is_empty(), record.ended_at.is_none(), "{record:?}");
    }
}

#[tokio::test]
async fn items_stay_below_four_kilobytes_with_the_longest_usual_names() {
    let Some(store) = store().await else { return };
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../model/samples");
    let state = std::fs::read_to_string(format!("{samples}/state.v1.json")).unwrap();
    let state: Vec<serde_json::Value> = match serde_json::from_str(&state).unwrap() {
        serde_json::Value::Array(states) => states,
        one => vec![one],
    };
    for (number, sample) in state.into_iter().enumerate() {
        let state: StreamState = serde_json::from_value(sample).unwrap();
        let key = key(&format!("{}{number}", "LONG_NAME_".repeat(10)));
        CheckpointStore::store(&store, &key, None, &state).await.unwrap();
    }
    let mut failed = run("0193f5f0-0000-7000-8000-000000000000", 100, Outcome::Running, None);
    RunStore::record(&store, &failed).await.unwrap();
    failed.outcome = Outcome::Continued;
    failed.figures.query_ids = vec!["01b2c3d4-0000-0000-0000-000000000000".to_owned(); 8];
    failed.ended_at = Some(UnixMillis(200));
    RunStore::record(&store, &failed).await.unwrap();
    let items = store.client().scan().table_name(store.table()).send().await.unwrap();
    assert!(items.count() >= 4, "{}", items.count());
    for item in items.items() {
        let size: usize = item.iter().map(|(name, value)| name.len() + size(value)).sum();
        assert!(size <= 4096, "{:?} has {size} bytes", item["sk"]);
    }
}

fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        other => panic!("an attribute of another type: {other:?}"),
    }
}

#[tokio::test]
async fn a_table_that_is_not_there_is_told_and_is_no_empty_state() {
    let Some(_) = store().await else { return };
    let local = LOCAL.get().unwrap().as_ref().unwrap();
    let store = DynamoCheckpoint::new(local.client(), "no-such-table");
    let errors = [
        CheckpointStore::load(&store, &key("T")).await.unwrap_err(),
        CheckpointStore::store(&store, &key("T"), Some(Revision(1)), &StreamState::fresh(1))
            .await
            .unwrap_err(),
        store.acquire(&key("T"), "anna", UnixMillis(0), 1).await.unwrap_err(),
        RunStore::runs(&store, Some(&key("T").connection), 1).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code(), "CHECKPOINT_STORE", "{error}");
        let told = snowferry_model::fault::chain(&error);
        assert!(told.contains("ResourceNotFoundException"), "{told}");
    }
}
