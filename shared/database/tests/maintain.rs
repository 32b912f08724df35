//! Maintenance changes no row, deletes nothing that anyone could need, and survives being killed.
#![cfg(feature = "delta")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use snowferry_database::contract::{Cell, Row, Scene, Staged, replace, row, upsert};
use snowferry_database::delta::DeltaDatabase;
use snowferry_database::delta::maintain::{Maintained, MaintenancePolicy};
use snowferry_database::{Database, DatabaseError};
use snowferry_model::plan::StagedForm;
use snowferry_model::slice::Apply;
use snowferry_model::time::UnixMillis;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Merges from two files on.
fn eager() -> MaintenancePolicy {
    MaintenancePolicy { least_files: 2, ..MaintenancePolicy::default() }
}

/// Never merges.
fn only_vacuum() -> MaintenancePolicy {
    MaintenancePolicy { least_files: usize::MAX, ..MaintenancePolicy::default() }
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(i64::try_from(since.as_millis()).unwrap())
}

fn rows(keys: std::ops::Range<i64>, cursor: i64) -> Vec<Row> {
    keys.map(|key| row(Cell::Int(key), cursor, "v")).collect()
}

fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

fn newest_entry(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder.join("_delta_log")).unwrap();
    let entries = entries.map(|entry| entry.unwrap().path());
    let newest = entries.filter(|path| path.extension().is_some_and(|e| e == "json")).max();
    std::fs::read_to_string(newest.unwrap()).unwrap()
}

struct World {
    _root: tempfile::TempDir,
    database: DeltaDatabase,
    scene: Scene,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let database = DeltaDatabase::open(root.path()).unwrap();
        Self { database, scene: Scene::keyed("T", StagedForm::Int64), _root: root }
    }

    async fn load(&self, at: (u64, u64), apply: Apply, parts: &[Vec<Row>]) {
        self.scene.apply(&self.database, at, apply, parts).await;
    }

    async fn maintain(&self, policy: &MaintenancePolicy, now: UnixMillis) -> Maintained {
        self.database.maintain(&self.scene.stream, policy, now).await.unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.database.folder(&self.scene.stream)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn small_files_become_one_and_nothing_else_changes() {
    let world = World::new();
    let parts: Vec<_> = (0..5).map(|part| rows(part * 10..part * 10 + 10, 1)).collect();
    world.load((1, 1), replace(), &parts).await;
    world.load((1, 2), upsert(), &[rows(45..60, 2)]).await;
    let before = world.scene.rows(&world.database).await;
    let maintained = world.maintain(&eager(), now()).await;
    assert_eq!((maintained.merged_files, maintained.written_files), (6, 1));
    let summary = world.database.summary(&world.scene.stream).await.unwrap().unwrap();
    assert_eq!((summary.files, summary.rows), (1, 60));
    assert_eq!(world.scene.rows(&world.database).await, before);
    assert_eq!(world.scene.ledger(&world.database).await, Some((1, 2)));
    let entry = newest_entry(&world.folder());
    assert!(entry.contains("\"dataChange\":false") && !entry.contains("\"dataChange\":true"));
    // The bounds of the merged file are exact: an upsert finds its rows through them.
    world.load((1, 3), upsert(), &[rows(0..3, 3)]).await;
    assert_eq!(world.scene.rows(&world.database).await.len(), 60);
    let none = world.maintain(&MaintenancePolicy::default(), now()).await;
    assert_eq!(none, Maintained::default(), "a few files are left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn merging_keeps_to_its_bounds() {
    let world = World::new();
    let parts: Vec<_> = (0..6).map(|part| rows(part * 10..part * 10 + 10, 1)).collect();
    world.load((1, 1), replace(), &parts).await;
    let size = std::fs::metadata(&parquet_files(&world.folder())[0]).unwrap().len();
    let pairs = MaintenancePolicy { target_bytes: size * 5 / 2, ..eager() };
    let half = MaintenancePolicy { most_merged_bytes: size * 9 / 2, ..pairs };
    let maintained = world.maintain(&half, now()).await;
    assert_eq!((maintained.merged_files, maintained.written_files), (4, 2));
    let large = MaintenancePolicy { small_bytes: 1, ..eager() };
    assert_eq!(world.maintain(&large, now()).await.merged_files, 0);
    assert_eq!(world.scene.rows(&world.database).await, rows(0..60, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_old_versions_go_after_the_retention_and_not_before() {
    let world = World::new();
    world.load((1, 1), replace(), &[rows(0..10, 1), rows(10..20, 1)]).await;
    world.load((2, 1), replace(), &[rows(0..5, 2)]).await;
    let start = now();
    for days in [0, 6] {
        let maintained = world.maintain(&only_vacuum(), start.plus_ms(days * DAY_MS)).await;
        assert_eq!(maintained.deleted_files, 0, "after {days} days");
    }
    let maintained = world.maintain(&only_vacuum(), start.plus_ms(8 * DAY_MS)).await;
    assert_eq!(maintained.deleted_files, 2);
    assert!(maintained.deleted_bytes > 0);
    assert_eq!(parquet_files(&world.folder()).len(), 1);
    assert_eq!(world.scene.rows(&world.database).await, rows(0..5, 2));
    let again = world.maintain(&only_vacuum(), start.plus_ms(9 * DAY_MS)).await;
    assert_eq!(again, Maintained::default());
    world.load((2, 2), upsert(), &[rows(3..7, 3)]).await;
    assert_eq!(world.scene.ledger(&world.database).await, Some((2, 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_just_taken_out_stays_however_old_it_is() {
    let world = World::new();
    world.load((1, 1), replace(), &[rows(0..10, 1)]).await;
    // The file is old by its own times as seen from the future; the commit that removes it is
    // made to look as young as that future.
    world.load((2, 1), replace(), &[rows(0..5, 2)]).await;
    let future = now().plus_ms(100 * DAY_MS);
    let log = world.folder().join("_delta_log");
    let newest = std::fs::read_dir(&log).unwrap().map(|e| e.unwrap().path()).max().unwrap();
    let entry = std::fs::read_to_string(&newest).unwrap();
    let lines = entry.lines().map(|line| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(info) = line.get_mut("commitInfo") {
            info["timestamp"] = future.0.into();
        }
        line.to_string() + "\n"
    });
    std::fs::write(&newest, lines.collect::<String>()).unwrap();
    assert_eq!(world.maintain(&only_vacuum(), future).await.deleted_files, 0);
    let later = future.plus_ms(8 * DAY_MS);
    assert_eq!(world.maintain(&only_vacuum(), later).await.deleted_files, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_killed_attempts_left_goes_and_what_others_put_there_stays() {
    let world = World::new();
    world.load((1, 1), replace(), &[rows(0..10, 1)]).await;
    let live = parquet_files(&world.folder())[0].clone();
    let orphan = world.folder().join("part-0123456789abcdef0123456789abcdef.parquet");
    let theirs = world.folder().join("part-00000-c000.snappy.parquet");
    for path in [&orphan, &theirs] {
        std::fs::copy(&live, path).unwrap();
    }
    assert_eq!(world.maintain(&only_vacuum(), now()).await.deleted_files, 0);
    let later = now().plus_ms(8 * DAY_MS);
    assert_eq!(world.maintain(&only_vacuum(), later).await.deleted_files, 1);
    assert!(!orphan.exists() && theirs.exists() && live.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_a_load_just_linked_stays_however_old_its_object_is() {
    let world = World::new();
    world.load((1, 1), replace(), &[rows(0..10, 1)]).await;
    let staged = tempfile::tempdir_in(world.folder().parent().unwrap()).unwrap();
    let object = staged.path().join("object");
    std::fs::write(&object, "staged long ago").unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(90 * 24 * 3600);
    std::fs::File::options().write(true).open(&object).unwrap().set_modified(long_ago).unwrap();
    let linked = world.folder().join("part-0123456789abcdef0123456789abcdef.parquet");
    std::fs::hard_link(&object, &linked).unwrap();
    assert_eq!(world.maintain(&only_vacuum(), now()).await.deleted_files, 0);
    assert!(linked.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn maintenance_beside_loads_loses_and_doubles_nothing() {
    let root = tempfile::tempdir().unwrap();
    let staging = tempfile::tempdir().unwrap();
    let mut scene = Scene::keyed("T", StagedForm::Int64);
    scene.staged = Staged::in_folder(staging.path());
    let scene = Arc::new(scene);
    let database = DeltaDatabase::open(root.path()).unwrap();
    scene.apply(&database, (1, 1), replace(), &[rows(0..10, 1)]).await;
    let maintainer = {
        let (database, stream) = (database.clone(), scene.stream.clone());
        tokio::spawn(async move {
            let mut merged = 0;
            for _ in 0..40 {
                let done = database.maintain(&stream, &eager(), now()).await?;
                merged += done.merged_files;
                tokio::task::yield_now().await;
            }
            Ok::<_, DatabaseError>(merged)
        })
    };
    for sequence in 2..20_u64 {
        let from = i64::try_from(sequence).unwrap() * 5;
        let cursor = i64::try_from(sequence).unwrap();
        scene.apply(&database, (1, sequence), upsert(), &[rows(from..from + 10, cursor)]).await;
    }
    maintainer.await.unwrap().unwrap();
    let found = scene.rows(&database).await;
    let mut keys: Vec<_> = found.iter().map(|row| row[0].clone()).collect();
    keys.dedup();
    assert_eq!(keys, (0..105).map(Cell::Int).collect::<Vec<_>>());
    assert_eq!(scene.ledger(&database).await, Some((1, 19)));
    // At rest it does its work, and once is enough.
    database.maintain(&scene.stream, &eager(), now()).await.unwrap();
    let again = database.maintain(&scene.stream, &eager(), now()).await.unwrap();
    assert_eq!(again, Maintained::default());
    assert_eq!(scene.rows(&database).await, found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_is_killed_anywhere_leaves_the_table_as_it_was_or_merged() {
    // Every await of the merge is a place to be killed: the future is dropped after k polls.
    for polls in 1..60 {
        let world = World::new();
        world.load((1, 1), replace(), &[rows(0..10, 1), rows(10..20, 1)]).await;
        let policy = eager();
        let moment = now();
        let killed = {
            let mut merge = Box::pin(world.database.maintain(&world.scene.stream, &policy, moment));
            let mut left = polls;
            std::future::poll_fn(|context| {
                left -= 1;
                match merge.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => std::task::Poll::Ready(Some(done)),
                    std::task::Poll::Pending if left == 0 => std::task::Poll::Ready(None),
                    std::task::Poll::Pending => std::task::Poll::Pending,
                }
            })
            .await
        };
        assert_eq!(world.scene.rows(&world.database).await, rows(0..20, 1), "{polls} polls");
        assert_eq!(world.scene.ledger(&world.database).await, Some((1, 1)));
        world.load((1, 2), upsert(), &[rows(5..25, 2)]).await;
        world.maintain(&eager(), now()).await;
        let found = world.scene.rows(&world.database).await;
        assert_eq!(found, [rows(0..5, 1), rows(5..25, 2)].concat(), "{polls} polls");
        if let Some(done) = killed {
            assert_eq!(done.unwrap().written_files, 1);
            return;
        }
    }
    unreachable!("the merge never came to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_others_or_of_nobody_is_left_alone() {
    let world = World::new();
    assert_eq!(world.maintain(&eager(), now()).await, Maintained::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_commits_leave_a_checkpoint_and_the_ledger() {
    let world = World::new();
    world.load((1, 1), replace(), &[rows(0..1, 1)]).await;
    for sequence in 2..=105 {
        world.load((1, sequence), Apply::Append, &[rows(0..1, 1)]).await;
    }
    let log = world.folder().join("_delta_log");
    assert!(log.join("_last_checkpoint").exists());
    assert_eq!(world.scene.ledger(&world.database).await, Some((1, 105)));
    let maintained = world.maintain(&MaintenancePolicy::default(), now()).await;
    assert_eq!((maintained.merged_files, maintained.written_files), (105, 1));
    assert_eq!(world.scene.rows(&world.database).await.len(), 105);
}
