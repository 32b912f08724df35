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

#[test]
fn the_connector_of_major_version_4_moves_files_through_stages() {
    judged("CONNECTOR4", "emulator_stages.py");
}

#[test]
fn the_connector_of_major_version_5_moves_files_through_stages() {
    judged("CONNECTOR5", "emulator_stages.py");
}

#[test]
fn documented_behaviours_are_the_emulators() {
    judged("CONNECTOR4", "conformance.py");
}

fn accepted_by(driver: &str) {
    judged(driver, "emulator_drivers.py");
}

fn judged(driver: &str, script: &str) {
    let Some(python) = judge(driver) else { return };
    let stage = Stage::with_samples("0.01");
    let ready = stage.path().join("ready.json");
    std::fs::write(&ready, stage.ready.to_string()).unwrap();
    let script = format!("{}/../judges/{script}", env!("CARGO_MANIFEST_DIR"));
    let judged = Command::new(python).arg(script).arg(&ready).output().unwrap();
    assert!(judged.status.success(), "{}", show(&judged));
}
