//! Snowflake's own drivers, unchanged, sign in to the emulator, read what is there and change it.
//!
//! - The Python connectors 4 and 5: Arrow and JSON, transactions, merges, grants, stages, pandas.
//! - The driver for Node.js: JSON results and their chunks, streams, binds, PUT and GET, cancelling.
//! - ADBC (on Go): Arrow chunks in parallel, batches of binds, transactions, PUT, COPY. Its PUT of a
//!   wildcard is left out: the storage token for it goes over TLS only.

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
fn the_driver_for_node_accepts_the_emulator() {
    let Some(packages) = judge("NODE") else { return };
    let mut node = Command::new("node");
    node.arg("--no-warnings").env("NODE_PATH", packages);
    judged_by(node, "emulator_drivers.js");
}

#[test]
fn the_adbc_driver_accepts_the_emulator() {
    judged("ADBC", "emulator_adbc.py");
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
    judged_by(Command::new(python), script);
}

/// Runs a script of `tests/judges` against an emulator with samples.
fn judged_by(mut interpreter: Command, script: &str) {
    let stage = Stage::with_samples("0.01");
    let ready = stage.path().join("ready.json");
    std::fs::write(&ready, stage.ready.to_string()).unwrap();
    let script = format!("{}/../judges/{script}", env!("CARGO_MANIFEST_DIR"));
    let judged = interpreter.arg(script).arg(&ready).output().unwrap();
    assert!(judged.status.success(), "{}", show(&judged));
}
