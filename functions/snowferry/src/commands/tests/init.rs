use std::path::Path;

use clap::Parser;
use snowferry_bootstrap::config;
use snowferry_pull::Mode;

use crate::args::{Cli, Command};
use crate::commands::init;
use crate::failure::{Done, Failure};

/// Runs `snowferry init …` with connection files in `folder`.
fn run(folder: &Path, words: &[&str]) -> Result<Done, Failure> {
    let folder = folder.to_str().unwrap();
    let typed = ["snowferry", "--json", "--connections", folder, "init"];
    let cli = Cli::try_parse_from(typed.iter().chain(words)).unwrap();
    let Command::Init(args) = cli.command else { panic!("init was typed") };
    init::run(&cli.global, &args)
}

#[test]
fn the_written_file_is_a_valid_connection() {
    let folder = tempfile::tempdir().unwrap();
    let words = ["acme", "--account", "org-x", "--private-key-file", "/keys/x.p8"];
    assert_eq!(run(folder.path(), &words).unwrap(), Done::All);
    let connection = config::load(folder.path(), "acme").unwrap();
    assert_eq!(connection.snowflake.account.to_string(), "org-x");
    let modes: Vec<Mode> = connection.tables.iter().map(|job| job.mode).collect();
    assert_eq!(modes, [Mode::Incremental, Mode::Full]);
}

#[test]
fn an_existing_file_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acme.yaml");
    std::fs::write(&file, "precious").unwrap();
    let failure = run(folder.path(), &["acme"]).unwrap_err();
    assert!(format!("{failure:?}").contains("exists already"), "{failure:?}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "precious");
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(run(folder.path(), &["../acme"]).is_err());
    assert!(run(folder.path(), &["Acme"]).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_emulator_s_ready_line_fills_the_file_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready.json");
    let line = r#"{"base_url":"http://127.0.0.1:4711","account":"emulator","user":"U",
        "password":"hunter2","private_key_path":"/tmp/k.p8","role":"R","warehouse":"W",
        "admin_url":"http://127.0.0.1:4711/admin/x"}"#;
    std::fs::write(&ready, line).unwrap();
    run(folder.path(), &["local", "--from-emulator", ready.to_str().unwrap()]).unwrap();
    let text = std::fs::read_to_string(folder.path().join("local.yaml")).unwrap();
    assert!(!text.contains("hunter2"));
    let connection = config::load(folder.path(), "local").unwrap();
    assert_eq!(connection.snowflake.endpoint.host(), "127.0.0.1:4711");
    assert_eq!(connection.tables.len(), 4);
}

#[test]
fn a_file_that_is_no_ready_line_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready.json");
    std::fs::write(&ready, "{}").unwrap();
    assert!(run(folder.path(), &["local", "--from-emulator", ready.to_str().unwrap()]).is_err());
    assert!(!folder.path().join("local.yaml").exists());
}
