//! `kill -9` at random moments, and two runs at once.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::stage::{Stage, show};

/// How often a pull is killed in each phase; `SNOWFERRY_KILLS` asks for more.
fn kills() -> u64 {
    std::env::var("SNOWFERRY_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(25)
}

/// Random numbers that a printed seed repeats.
struct Dice(u64);

impl Dice {
    fn new() -> Self {
        let seed = std::env::var("SNOWFERRY_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) | 1);
        println!("SNOWFERRY_SEED={seed} repeats these moments");
        Self(seed)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

const TABLES: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, key: [ID], cursor: UPDATED_AT }
    - { table: CRM.PUBLIC.EVENTS, key: [ID], cursor: ID }
    - { table: SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM, mode: full, skip_unchanged: false }
";

/// Starts a pull and kills it after `moment`; returns whether it was still running.
fn killed_after(stage: &Stage, moment: Duration) -> bool {
    let mut pull = stage
        .command(&["pull", "acme", "--json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while started.elapsed() < moment {
        if pull.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    // On Unix this is SIGKILL: nothing of the process gets a say.
    pull.kill().unwrap();
    pull.wait().unwrap();
    true
}

/// Runs a pull to its end and compares both sides.
fn quiet_and_equal(stage: &Stage, story: &str) {
    let quiet = stage.run(&["pull", "acme", "--json"]);
    assert!(quiet.status.success(), "{story}: {}", show(&quiet));
    let both = stage.json(&["compare", "acme"]);
    for table in both["tables"].as_array().unwrap() {
        assert_eq!(table["equal"], true, "{story}: {table}");
    }
}

#[tokio::test]
async fn pulls_killed_at_random_moments_lose_and_double_no_row() {
    let stage = Stage::with_samples("0.05");
    stage.connect(TABLES);
    let mut dice = Dice::new();
    let started = Instant::now();
    quiet_and_equal(&stage, "undisturbed");
    let whole = u64::try_from(started.elapsed().as_millis()).unwrap();

    for table in ["CRM.PUBLIC.ACCOUNTS", "CRM.PUBLIC.EVENTS"] {
        stage.json(&["reset", "acme", "--table", table, "--yes"]);
    }
    let mut struck = 0;
    for _ in 0..kills() {
        struck += u64::from(killed_after(&stage, Duration::from_millis(dice.below(whole))));
    }
    quiet_and_equal(&stage, "after the killed backfills");

    for round in 0..kills() {
        let change = format!(
            "INSERT INTO CRM.PUBLIC.ACCOUNTS (ID, NAME, UPDATED_AT) VALUES ({}, 'round {round}', \
             DATEADD(SECOND, {round}, '2026-01-01 00:00:00'::TIMESTAMP_NTZ(9)));
             UPDATE CRM.PUBLIC.ACCOUNTS SET NAME = 'changed {round}', \
             UPDATED_AT = DATEADD(SECOND, {round}, '2026-01-01 00:00:00'::TIMESTAMP_NTZ(9)) \
             WHERE MOD(ID, 50) = {};",
            9_007_199_254_740_993 + round,
            round % 50,
        );
        stage.sql(&change).await;
        struck += u64::from(killed_after(&stage, Duration::from_millis(dice.below(whole))));
    }
    quiet_and_equal(&stage, "after the killed increments");
    println!("{struck} of {} pulls were killed before their end", 2 * kills());
    assert!(struck > kills() / 2, "only {struck} kills struck");

    let runs = stage.json(&["runs", "acme"]).to_string();
    assert!(runs.contains("crashed"), "no run is recorded as crashed");
    assert!(!runs.contains("\"running\""), "a run is left open: {runs}");
}

#[tokio::test]
async fn a_second_pull_while_one_runs_says_so_and_does_no_harm() {
    let stage = Stage::with_samples("0.05");
    stage.connect("    - { table: SNOWFLAKE_SAMPLE_DATA.TPCH_SF1.LINEITEM, mode: full }\n");
    // The first pull waits for its chunks for as long as the second one needs.
    stage.fault(json!({"fault": "delay", "endpoint": "chunk", "millis": 5000, "count": 50})).await;
    let first = stage
        .command(&["pull", "acme", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while stage.requests("chunk").await == 0 {
        tokio::task::yield_now().await;
    }
    let second = stage.run(&["pull", "acme"]);
    assert!(second.status.success(), "{}", show(&second));
    assert!(show(&second).contains("held by another run"), "{}", show(&second));
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success(), "{}", show(&first));
    quiet_and_equal(&stage, "two at once");
}
