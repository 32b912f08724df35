//! What each function costs: size, start, first useful answer, memory. Passes or fails by none of
//! them; a release build is measured by
//!
//! ```text
//! cargo build --release -p snowferry-fn-pull && cargo build --release -p snowferry-fn-push …
//! SNOWFERRY_FUNCTIONS=target/release cargo test -p snowferry-lambda-emulator --test it \
//!   figures -- --nocapture
//! ```

use std::io::Write;
use std::process::Command;
use std::time::Instant;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::json;
use snowferry_lambda_emulator::Answer;

use crate::cloud::{Cloud, PEACEFUL, function_binary};

const TABLES: &str = "    - { table: CRM.PUBLIC.ACCOUNTS, mode: full }
push:
  ledger: none
  tables:
    - name: copies
      query: SELECT * FROM ACCOUNTS
      target: CRM.PUBLIC.COPIES
      mode: rewrite
      create: true
";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_figures_of_each_function_are_told() {
    let Some(cloud) = Cloud::start("0.001", TABLES).await else { return };
    println!("function  stripped MB  zip MB  start ms  first answer ms  peak MB");
    for name in ["check", "pull", "push"] {
        let (size, zip) = sizes(name);
        let function = cloud.function_within(name, PEACEFUL);
        let started = Instant::now();
        let answer = function.invoke(&json!({ "connection": "acme" })).await.unwrap();
        let first = started.elapsed();
        assert!(matches!(answer, Answer::Done(_)), "{name}: {answer:?}");
        let figures = function.figures();
        assert_eq!(figures.start_times.len(), 1);
        println!(
            "{name:<8} {size:>12.1} {zip:>7.1} {:>9} {:>16} {:>8.1}",
            figures.start_times[0].as_millis(),
            first.as_millis(),
            figures.peak_memory_kib as f64 / 1024.0,
        );
    }
}

/// The size of a function's binary without symbols, and of the archive that Lambda gets, in MB.
fn sizes(name: &str) -> (f64, f64) {
    let folder = tempfile::tempdir().unwrap();
    let stripped = folder.path().join("bootstrap");
    let done = Command::new("strip").arg("-o").arg(&stripped).arg(function_binary(name)).status();
    let is_stripped = done.is_ok_and(|status| status.success());
    let body = std::fs::read(if is_stripped { stripped } else { function_binary(name) }).unwrap();
    let mut archive = DeflateEncoder::new(Vec::new(), Compression::best());
    archive.write_all(&body).unwrap();
    let mb = |bytes: usize| bytes as f64 / 1_000_000.0;
    (mb(body.len()), mb(archive.finish().unwrap().len()))
}
