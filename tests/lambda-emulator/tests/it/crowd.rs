//! Many connections that are due at the same moment.
//!
//! `SNOWFERRY_CONNECTIONS` asks for more of them, e.g. 1000.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snowferry_aws_fakes::services::queue::Delivery;
use snowferry_checkpoint::{CheckpointStore, RunStore};
use snowferry_lambda_emulator::Answer;
use snowferry_lambda_emulator::source::{Mischief, drain};
use snowferry_model::names::ConnectionName;

use crate::cloud::{Cloud, acme, count};

const TABLES: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: UPDATED_AT }\n";

/// How many workers the queue has at once.
const WORKERS: usize = 6;

/// How long a connection may take in the end, on the slowest machine that this is played on.
const MOST_SECONDS_EACH: u64 = 10;

fn connections() -> usize {
    let wanted = std::env::var("SNOWFERRY_CONNECTIONS").ok();
    wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or(24)
}

/// Watches how many workers each connection and each of its slots have at once.
#[derive(Default)]
struct Watch(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    slots: BTreeMap<String, usize>,
    most_of_a_slot: usize,
    most_of_a_connection: usize,
    most_at_once: usize,
}

impl Mischief for Watch {
    fn kill_after(&self, delivery: &Delivery) -> Option<Duration> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.slots.entry(delivery.group.clone()).or_default() += 1;
        let (connection, _) = delivery.group.split_once('#').unwrap();
        let prefix = format!("{connection}#");
        let of_it = seen.slots.iter().filter(|(slot, _)| slot.starts_with(&prefix));
        let of_connection = of_it.map(|(_, workers)| *workers).sum();
        let of_slot = seen.slots[&delivery.group];
        let at_once = seen.slots.values().sum();
        seen.most_of_a_slot = seen.most_of_a_slot.max(of_slot);
        seen.most_of_a_connection = seen.most_of_a_connection.max(of_connection);
        seen.most_at_once = seen.most_at_once.max(at_once);
        None
    }

    fn doubles(&self, _: &Delivery) -> bool {
        false
    }

    fn ended(&self, delivery: &Delivery) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(workers) = seen.slots.get_mut(&delivery.group) {
            *workers -= 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_that_are_due_at_once_drain_within_their_slots() {
    let Some(cloud) = Cloud::start("0.001", TABLES).await else { return };
    let stored = cloud.documents().stored(&acme()).await.unwrap().unwrap();
    let names: Vec<ConnectionName> =
        (0..connections()).map(|n| ConnectionName::new(format!("c{n:04}")).unwrap()).collect();
    let key = cloud.private_key();
    for name in &names {
        let text = stored.body.replace("connection: acme", &format!("connection: {name}"));
        cloud.documents().replace(name, None, &text).await.unwrap();
        cloud.put_secret_of(name.as_str(), "AWSCURRENT", &key);
        let body = json!({ "connection": name }).to_string();
        // Each is due twice: by its schedule, and by a person who asks for the same.
        for once in ["schedule", "person"] {
            cloud.services.queue.send(&format!("{name}#0"), once, &body, &Value::Null);
        }
    }
    let (function, watch, started) = (cloud.function("pull"), Watch::default(), Instant::now());
    let answers = drain(&cloud.services.queue, &function, WORKERS, &watch).await.unwrap();
    let took = started.elapsed();
    let seen = watch.0.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} connections drained in {} s by {} invocations of {} processes, {} at once",
        names.len(),
        took.as_secs(),
        function.invocations(),
        function.starts(),
        seen.most_at_once,
    );
    assert_eq!(cloud.services.queue.dead_letters(), Vec::<String>::new());
    assert_eq!(count(&answers, |answer| matches!(answer, Answer::Done(_))), names.len() * 2);
    assert_eq!((seen.most_of_a_slot, seen.most_of_a_connection), (1, 1));
    assert!(seen.most_at_once > 1, "the workers worked one after the other");
    assert!(took.as_secs() <= MOST_SECONDS_EACH * names.len() as u64, "{took:?}");
    let checkpoint = cloud.checkpoint();
    let states = checkpoint.list(None).await.unwrap();
    assert_eq!(states.len(), names.len());
    assert!(states.iter().all(|(_, stored)| stored.state.sequence >= 1));
    // The first run of each loads, the second finds nothing new: no row is there twice.
    assert_eq!(checkpoint.runs(None, 10_000).await.unwrap().len(), names.len() * 2);
    let rows: Vec<u64> = states.iter().map(|(_, stored)| stored.state.rows_loaded).collect();
    assert!(rows.iter().all(|loaded| *loaded == rows[0] && *loaded > 0), "{rows:?}");
}
