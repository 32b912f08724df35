//! Random histories of source tables, with killed pulls and faults, end with equal sides, in
//! whatever time zone the account is.

use std::process::Command;

use crate::stage::{Stage, binary, judge, show};

/// The zones of the account, one for each history in turn: what sessions have that ask for none.
/// One without daylight saving and off the hour, two with it on either side of Greenwich.
const ZONES: [&str; 4] = ["UTC", "America/Los_Angeles", "Asia/Kathmandu", "Europe/Berlin"];

/// A number that the environment asks for: `SNOWFERRY_HISTORIES` for more histories,
/// `SNOWFERRY_SEED` for one to be repeated.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn random_histories_with_killed_pulls_and_faults_end_with_equal_sides() {
    let (Some(connector), Some(readers)) = (judge("CONNECTOR5"), judge("READERS")) else { return };
    let first = number("SNOWFERRY_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    for seed in first..first + number("SNOWFERRY_HISTORIES").unwrap_or(4) {
        let zone = ZONES[usize::try_from(seed).unwrap() % ZONES.len()];
        let stage = Stage::with_sql(&format!("ALTER ACCOUNT SET TIMEZONE = '{zone}';"));
        let ready = stage.path().join("ready.json");
        std::fs::write(&ready, stage.ready.to_string()).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../judges/histories.py");
        let played = Command::new(&readers)
            .arg(script)
            .args([&binary(), &connector, &ready])
            .arg(stage.path())
            .args([seed.to_string(), "6".to_owned()])
            .output()
            .unwrap();
        let story = format!("SNOWFERRY_SEED={seed} repeats it, zone {zone}");
        assert!(played.status.success(), "{story}: {}", show(&played));
        println!("{}", String::from_utf8_lossy(&played.stdout));
    }
}
