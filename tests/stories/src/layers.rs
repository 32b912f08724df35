//! Arrows point down: the crates of the workspace depend on each other as ARCHITECTURE.md says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

/// Each crate and the crates of the workspace that it may depend on, outside of its own tests.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("snowferry-model", &[]),
    ("snowferry-snowflake", &["snowferry-model"]),
    ("snowferry-staging", &["snowferry-model"]),
    ("snowferry-checkpoint", &["snowferry-model"]),
    ("snowferry-database", &["snowferry-model"]),
    (
        "snowferry-pull",
        &[
            "snowferry-model",
            "snowferry-snowflake",
            "snowferry-staging",
            "snowferry-checkpoint",
            "snowferry-database",
        ],
    ),
    (
        "snowferry-push",
        &[
            "snowferry-model",
            "snowferry-snowflake",
            "snowferry-staging",
            "snowferry-checkpoint",
            "snowferry-database",
        ],
    ),
    (
        "snowferry-bootstrap",
        &[
            "snowferry-model",
            "snowferry-snowflake",
            "snowferry-staging",
            "snowferry-checkpoint",
            "snowferry-database",
            "snowferry-pull",
            "snowferry-push",
        ],
    ),
    // The emulator is judged against everything else, so it shares nothing with it.
    ("snowferry-emulator", &[]),
    ("snowferry-aws-fakes", &[]),
    ("snowferry-lambda-emulator", &["snowferry-aws-fakes"]),
    (
        "snowferry",
        &[
            "snowferry-bootstrap",
            "snowferry-model",
            "snowferry-pull",
            "snowferry-push",
            "snowferry-emulator",
        ],
    ),
    ("snowferry-fn-pull", &["snowferry-bootstrap"]),
    ("snowferry-fn-push", &["snowferry-bootstrap"]),
    ("snowferry-fn-check", &["snowferry-bootstrap"]),
    ("snowferry-stories", &[]),
    ("snowferry-bench", &[]),
];

/// Crates that engines must build and test without.
const HEAVY: &[&str] =
    &["aws-", "reqwest", "deltalake", "datafusion", "lambda_runtime", "rusqlite"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn packages() -> Vec<serde_json::Value> {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"]);
    let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn every_room_depends_only_on_rooms_below_it() {
    let allowed: BTreeMap<_, BTreeSet<_>> = MAY_DEPEND_ON
        .iter()
        .map(|(name, below)| (*name, below.iter().copied().collect()))
        .collect();
    let packages = packages();
    let mut forbidden = Vec::new();
    let mut seen = BTreeSet::new();
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        let below = allowed.get(name).unwrap_or_else(|| panic!("{name} is not in the layer table"));
        seen.insert(name);
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            let in_tests_only = dependency["kind"].as_str() == Some("dev");
            if allowed.contains_key(on) && !in_tests_only && !below.contains(on) {
                forbidden.push(format!("{name} -> {on}"));
            }
        }
    }
    assert_eq!(forbidden, [] as [String; 0], "edges that the layer table forbids");
    let known: BTreeSet<_> = allowed.keys().copied().collect();
    assert_eq!(known, seen, "the layer table names crates that are not there");
}

#[test]
fn engines_build_and_test_without_vendors() {
    for engine in ["snowferry-model", "snowferry-pull", "snowferry-push"] {
        let tree = cargo(&["tree", "-p", engine, "-e", "all", "--prefix", "none", "--offline"]);
        let heavy: BTreeSet<_> = tree
            .lines()
            .filter_map(|line| line.split(' ').next())
            .filter(|name| HEAVY.iter().any(|heavy| name.starts_with(heavy)))
            .collect();
        assert_eq!(heavy, BTreeSet::new(), "{engine} pulls in vendors");
        assert!(tree.contains("arrow v"), "the tree of {engine} was not read");
    }
}

#[test]
fn every_crate_takes_its_lints_and_versions_from_the_root() {
    for package in packages() {
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        let name = package["name"].as_str().unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{name} has lints of its own");
        let section = |line: &str| line.trim_start().starts_with('[');
        let mut in_dependencies = false;
        for line in manifest.lines() {
            if section(line) {
                in_dependencies = line.contains("dependencies");
            }
            let names_version = line.contains("version =") || line.contains("= \"");
            // A crate may name itself by path, for the features of its own tests.
            let is_itself = line.contains("path = \".\"");
            let is_entry = in_dependencies && line.contains('=') && !section(line) && !is_itself;
            assert!(!(is_entry && names_version), "{name} names a version itself: {line}");
        }
    }
}

#[test]
fn the_top_level_is_the_one_that_was_asked_for() {
    for entry in ["Cargo.toml", "functions", "shared", "infra", "tests", "README.md"] {
        assert!(root().join(entry).exists(), "{entry} is missing");
    }
}
