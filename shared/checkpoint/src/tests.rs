//! The suites on both stores, and what only a file promises.

mod dynamodb;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use snowferry_model::fault::{Fault, chain};
use snowferry_model::state::{StreamKey, StreamState};
use snowferry_model::time::UnixMillis;
use tempfile::TempDir;

use crate::contract::{self, LeaseEnd};
use crate::memory::{MemoryCheckpoint, MemoryPushes};
use crate::sqlite::SqliteCheckpoint;
use crate::{CheckpointStore, LeaseOutcome, LeaseStore, RunStore};

const NOW: UnixMillis = UnixMillis(0);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_memory_passes_the_suites() {
    let memory = MemoryCheckpoint::default();
    let states: Arc<dyn CheckpointStore> = Arc::new(memory.clone());
    contract::states(&states).await;
    contract::leases(&memory, LeaseEnd::Time).await;
    contract::runs(&memory).await;
    let pushes: Arc<dyn crate::PushStore> = Arc::new(MemoryPushes::default());
    contract::pushes(&pushes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sqlite_store_passes_the_suites() {
    let (_folder, sqlite) = store();
    let states: Arc<dyn CheckpointStore> = Arc::new(sqlite.clone());
    contract::states(&states).await;
    contract::leases(&sqlite, LeaseEnd::Process).await;
    contract::runs(&sqlite).await;
    let pushes: Arc<dyn crate::PushStore> = Arc::new(sqlite);
    contract::pushes(&pushes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_openings_of_one_file_lose_no_update_between_them() {
    let (folder, first) = store();
    let second = SqliteCheckpoint::open(folder.path()).unwrap();
    first.store(&key(), None, &StreamState::fresh(1)).await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for store in [first.clone(), second] {
        writers.spawn(async move {
            let mut added = 0;
            while added < 25 {
                let mut stored = store.load(&key()).await.unwrap().unwrap();
                stored.state.sequence += 1;
                match store.store(&key(), Some(stored.revision), &stored.state).await {
                    Ok(_) => added += 1,
                    Err(error) => assert_eq!(error.code(), "CHECKPOINT_MOVED"),
                }
            }
        });
    }
    writers.join_all().await;
    assert_eq!(first.load(&key()).await.unwrap().unwrap().state.sequence, 50);
}

#[tokio::test]
async fn what_was_written_is_there_after_opening_again() {
    let (folder, first) = store();
    let revision = first.store(&key(), None, &StreamState::fresh(7)).await.unwrap();
    drop(first);
    let stored =
        SqliteCheckpoint::open(folder.path()).unwrap().load(&key()).await.unwrap().unwrap();
    assert_eq!((stored.revision, stored.state), (revision, StreamState::fresh(7)));
}

#[tokio::test]
async fn a_lease_is_held_against_another_opening_until_its_process_or_owner_lets_go() {
    let (folder, first) = store();
    let second = SqliteCheckpoint::open(folder.path()).unwrap();
    let acquired = LeaseOutcome::Acquired;
    let held = |owner: &str| LeaseOutcome::Held { owner: owner.to_owned() };
    assert_eq!(first.acquire(&key(), "anna with a long name", NOW, 1).await.unwrap(), acquired);
    let much_later = UnixMillis(1_000_000);
    let other = second.acquire(&key(), "bert", much_later, 1).await.unwrap();
    assert_eq!(other, held("anna with a long name"));
    // Closing the file is what the system does for a process that was killed.
    drop(first);
    assert_eq!(second.acquire(&key(), "bert", NOW, 1).await.unwrap(), acquired);
    let third = SqliteCheckpoint::open(folder.path()).unwrap();
    assert_eq!(third.acquire(&key(), "carl", NOW, 1).await.unwrap(), held("bert"));
    second.release(&key(), "bert").await.unwrap();
    assert_eq!(third.acquire(&key(), "carl", NOW, 1).await.unwrap(), acquired);
}

#[tokio::test]
async fn tables_with_long_names_that_begin_alike_have_leases_of_their_own() {
    let (_folder, store) = store();
    let long = |end: char| StreamKey {
        table: format!("\"{}\".S.\"{}{end}\"", "ü".repeat(255), "ß".repeat(254)).parse().unwrap(),
        ..key()
    };
    for end in ['a', 'b'] {
        let outcome = store.acquire(&long(end), &end.to_string(), NOW, 1).await.unwrap();
        assert_eq!(outcome, LeaseOutcome::Acquired);
    }
}

#[test]
fn a_file_that_is_not_sqlite_is_named_and_left_as_it_is() {
    check_refused(
        |path| fs::write(path, "these are my notes, not a database, ".repeat(100)).unwrap(),
        "it is not a sound SQLite file",
    );
}

#[test]
fn an_sqlite_file_of_another_program_is_left_as_it_is() {
    check_refused(
        |path| {
            Connection::open(path).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
        },
        "it is an SQLite file of another program",
    );
}

#[test]
fn a_state_file_of_a_later_version_is_left_as_it_is() {
    check_refused(
        |path| {
            SqliteCheckpoint::open(path.parent().unwrap()).unwrap();
            Connection::open(path).unwrap().execute_batch("PRAGMA user_version = 3").unwrap();
        },
        "its tables have version 3, this program knows version 2",
    );
}

#[tokio::test]
async fn a_state_file_from_before_there_were_pushes_keeps_its_states_and_takes_pushes() {
    let (folder, store) = store();
    store.store(&key(), None, &StreamState::fresh(4)).await.unwrap();
    drop(store);
    let raw = Connection::open(folder.path().join("state.db")).unwrap();
    raw.execute_batch("DROP TABLE push; DROP TABLE push_run; PRAGMA user_version = 1").unwrap();
    drop(raw);
    let store = SqliteCheckpoint::open(folder.path()).unwrap();
    assert_eq!(store.load(&key()).await.unwrap().unwrap().state.generation, 4);
    let pushes: Arc<dyn crate::PushStore> = Arc::new(store);
    contract::pushes(&pushes).await;
}

#[tokio::test]
async fn a_state_that_cannot_be_understood_is_named_and_left_as_it_is() {
    for (body, reason) in [
        ("{\"version\":2,\"generation\":1}", "it has version 2, this program reads version 1"),
        ("{\"generation\":1}", "it has no version"),
        ("{\"version\":1}", "missing field `generation`"),
        ("{\"version\":1", "EOF while parsing an object at line 1 column 12"),
    ] {
        let (_folder, store) = store();
        let revision = store.store(&key(), None, &StreamState::fresh(1)).await.unwrap();
        let raw = Connection::open(store.path()).unwrap();
        raw.execute("UPDATE state SET body = ?1", [body]).unwrap();
        let wanted = format!("understand what is stored for the state of acme/DB.S.T: {reason}");
        let error = store.load(&key()).await.unwrap_err();
        assert_eq!((error.code(), chain(&error)), ("CHECKPOINT_CORRUPT", wanted.clone()));
        assert_eq!(chain(&store.list(None).await.unwrap_err()), wanted);
        let still: String = raw.query_row("SELECT body FROM state", [], |row| row.get(0)).unwrap();
        assert_eq!((still.as_str(), revision.0), (body, 1));
    }
}

#[tokio::test]
async fn a_run_that_cannot_be_understood_is_an_error_not_a_gap() {
    let (_folder, store) = store();
    let raw = Connection::open(store.path()).unwrap();
    raw.execute("INSERT INTO run VALUES ('r1', 'acme', 'DB.S.T', 0, NULL, '{}')", []).unwrap();
    let error = store.runs(None, 10).await.unwrap_err();
    assert_eq!(chain(&error), "understand what is stored for run r1: it has no version");
}

#[test]
fn a_folder_that_cannot_be_made_is_a_store_error_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = SqliteCheckpoint::open(file.join("state")).unwrap_err();
    assert_eq!(error.code(), "CHECKPOINT_STORE");
    assert!(chain(&error).contains(&file.display().to_string()), "{}", chain(&error));
}

/// Opens a folder whose `state.db` was made by `prepare`; it must be refused and unchanged.
fn check_refused(prepare: impl FnOnce(&Path), reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    prepare(&path);
    let before = fs::read(&path).unwrap();
    let error = SqliteCheckpoint::open(folder.path()).unwrap_err();
    assert_eq!(error.code(), "CHECKPOINT_CORRUPT");
    let text = chain(&error);
    assert!(text.contains(reason) && text.contains(&path.display().to_string()), "{text}");
    assert!(fs::read(&path).unwrap() == before, "the file was changed");
}

fn store() -> (TempDir, SqliteCheckpoint) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteCheckpoint::open(folder.path()).unwrap();
    (folder, store)
}

fn key() -> StreamKey {
    StreamKey {
        connection: "acme".to_owned().try_into().unwrap(),
        table: "DB.S.T".parse().unwrap(),
    }
}
