//! Snowflake's own Python connectors, unchanged, sign in to the emulator and read what is there.

use std::process::Command;

use crate::stage::{Stage, judge, show};

#[test]
fn the_connector_of_major_version_4_accepts_the_emulator() {
    accepted_by("CONNECTOR4");
}

#[test]
fn the_connector_of_major_version_5_accepts_the_emulator() {
    accepted_by("CONNECTOR5");
}

fn accepted_by(driver: &str) {
    let Some(python) = judge(driver) else { return };
    let stage = Stage::with_samples("0.01");
    let ready = stage.path().join("ready.json");
    std::fs::write(&ready, stage.ready.to_string()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../judges/emulator_drivers.py");
    let judged = Command::new(python).arg(script).arg(&ready).output().unwrap();
    assert!(judged.status.success(), "{}", show(&judged));
}
