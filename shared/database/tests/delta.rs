//! What a Delta table promises beyond the contract: files, races, foreign tables.
#![cfg(feature = "delta")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use snowferry_database::contract::{Cell, Row, Scene, Staged, replace, row, text, upsert};
use snowferry_database::delta::DeltaDatabase;
use snowferry_database::{Database, DatabaseError, LoadRequest, Loaded, StagedParts};
use snowferry_model::manifest::PartRecord;
use snowferry_model::plan::StagedForm;
use snowferry_model::slice::Apply;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const WIDE: StagedForm = StagedForm::Decimal { precision: 38, scale: 0 };

fn int_row(key: i64, cursor: i64, value: &str) -> Row {
    row(Cell::Int(key), cursor, value)
}

/// Returns the names of the Parquet files in a folder, sorted.
fn parquet_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect();
    files.sort();
    files
}

/// Returns the text of the newest log entry.
fn newest_entry(folder: &Path) -> String {
    let mut entries: Vec<_> = std::fs::read_dir(folder.join("_delta_log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    entries.sort();
    std::fs::read_to_string(entries.last().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_eight_tasks_with_one_manifest_exactly_one_commits() {
    let root = tempfile::tempdir().unwrap();
    let scene = Arc::new(Scene::keyed("T", StagedForm::Int64));
    for (sequence, apply) in [(1, replace()), (2, Apply::Append), (3, upsert())] {
        let rows: Vec<_> = (0..50).map(|key| int_row(key, sequence, "v")).collect();
        let at = (1, u64::try_from(sequence).unwrap());
        let manifest = Arc::new(scene.manifest(at, apply, &[rows]));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let database = DeltaDatabase::open(root.path()).unwrap();
                let (scene, manifest) = (Arc::clone(&scene), Arc::clone(&manifest));
                tokio::spawn(async move { scene.load(&database, &manifest).await })
            })
            .collect();
        let mut applied = 0;
        for task in tasks {
            match task.await.unwrap().unwrap() {
                Loaded::Now(_) => applied += 1,
                Loaded::Already => {}
            }
        }
        assert_eq!(applied, 1);
    }
    let database = DeltaDatabase::open(root.path()).unwrap();
    // 50 rows, then 50 more, then each key's two rows gave way to one.
    assert_eq!(scene.rows(&database).await.len(), 50);
    let summary = database.summary(&scene.stream).await.unwrap().unwrap();
    let files = parquet_files(&database.folder(&scene.stream)).len();
    assert_eq!((summary.files, files), (1, 3), "losers leave no file behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_on_the_same_disk_is_linked_not_written_again() {
    use std::os::unix::fs::MetadataExt;
    let root = tempfile::tempdir().unwrap();
    let staging = root.path().join("staging");
    std::fs::create_dir(&staging).unwrap();
    let database = DeltaDatabase::open(root.path().join("tables")).unwrap();
    let mut scene = Scene::keyed("T", StagedForm::Int64);
    scene.staged = Staged::in_folder(&staging);
    let rows = vec![int_row(1, 1, "a"), int_row(2, 1, "b")];
    let manifest = scene.manifest((1, 1), replace(), std::slice::from_ref(&rows));
    scene.load(&database, &manifest).await.unwrap();
    let files = parquet_files(&database.folder(&scene.stream));
    let object = staging.join(&manifest.parts[0].object);
    let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
    assert_eq!(files.iter().map(|file| inode(file)).collect::<Vec<_>>(), [inode(&object)]);
    // The staged object may go once it is loaded.
    std::fs::remove_file(&object).unwrap();
    assert_eq!(scene.rows(&database).await, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_part_with_other_bytes_is_refused_and_leaves_no_file() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let scene = Scene::keyed("T", StagedForm::Int64);
    let mut manifest = scene.manifest((1, 1), replace(), &[vec![int_row(1, 1, "a")]]);
    manifest.parts[0].sha256 = "0".repeat(64);
    let result = scene.load(&database, &manifest).await;
    assert!(matches!(result, Err(DatabaseError::Part { .. })), "{result:?}");
    assert_eq!(parquet_files(&database.folder(&scene.stream)), Vec::<PathBuf>::new());
    assert_eq!(scene.ledger(&database).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upsert_touches_only_files_that_hold_a_changed_key() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let scene = Scene::keyed("T", WIDE);
    let base = 1_i64 << 53;
    let wide = |key: i64, cursor| row(Cell::Decimal(i128::from(base + key)), cursor, "v");
    let parts: Vec<Vec<Row>> =
        (0..5).map(|part| (0..10).map(|key| wide(part * 10 + key, 1)).collect()).collect();
    scene.apply(&database, (1, 1), replace(), &parts).await;
    let folder = database.folder(&scene.stream);
    let before = parquet_files(&folder);
    scene.apply(&database, (1, 2), upsert(), &[vec![wide(20, 2), wide(29, 1)]]).await;
    let entry = newest_entry(&folder);
    assert_eq!(entry.matches("\"remove\":").count(), 1, "{entry}");
    assert_eq!(entry.matches("\"add\":").count(), 2, "{entry}");
    // The statistics are exact digits.
    let exact = format!("\\\"K\\\":{}", base + 21);
    assert!(entry.contains(&exact), "{exact} in {entry}");
    // Nothing that a commit ever named is deleted: old readers go on.
    assert!(before.iter().all(|file| file.exists()));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_above_2_to_the_53_are_found_after_a_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let scene = Scene::keyed("T", WIDE);
    let two53 = 1_i128 << 53;
    let nines = 10_i128.pow(38) - 1;
    let keys = [two53, two53 + 1, two53 + 2, nines, -nines];
    let rows = |cursor| keys.map(|key| vec![row(Cell::Decimal(key), cursor, "v")]);
    scene.apply(&database, (1, 1), replace(), &rows(1)).await;
    for sequence in 2..=101 {
        scene.apply(&database, (1, sequence), Apply::Append, &[]).await;
    }
    let log = database.folder(&scene.stream).join("_delta_log");
    assert!(log.join("_last_checkpoint").exists(), "a hundred commits make a checkpoint");
    assert_eq!(scene.ledger(&database).await, Some((1, 101)));
    let figures = scene.apply(&database, (1, 102), upsert(), &rows(2)).await;
    assert_eq!(figures, (5, 5, 0));
    assert_eq!(scene.rows(&database).await.len(), 5);
}

/// Staged parts that do something when a part is read for the first time.
struct Meanwhile<'a, F> {
    staged: &'a Staged,
    reads: AtomicUsize,
    act: F,
}

#[async_trait]
impl<F: Act> StagedParts for Meanwhile<'_, F> {
    async fn read(&self, part: &PartRecord, range: Range<u64>) -> Result<Bytes, BoxError> {
        if self.reads.fetch_add(1, Ordering::SeqCst) == 0 {
            self.act.act().await;
        }
        self.staged.read(part, range).await
    }

    fn local_path(&self, part: &PartRecord) -> Option<PathBuf> {
        self.staged.local_path(part)
    }
}

/// What happens in the middle of a load.
#[async_trait]
trait Act: Send + Sync {
    async fn act(&self);
}

/// Another program commits to the table, with an entry of its own making.
struct ForeignCommit {
    log: PathBuf,
}

#[async_trait]
impl Act for ForeignCommit {
    async fn act(&self) {
        let version = std::fs::read_dir(&self.log).unwrap().count();
        let entry = "{\"commitInfo\":{\"timestamp\":0,\"operation\":\"OPTIMIZE\"}}\n";
        std::fs::write(self.log.join(format!("{version:020}.json")), entry).unwrap();
    }
}

/// Another worker loads the same manifest.
struct SameLoad<'a> {
    database: &'a DeltaDatabase,
    request: LoadRequest<'a>,
    staged: &'a Staged,
}

#[async_trait]
impl Act for SameLoad<'_> {
    async fn act(&self) {
        let loaded = self.database.load(self.request, self.staged).await.unwrap();
        assert!(matches!(loaded, Loaded::Now(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_another_program_in_between_costs_a_second_attempt_only() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let scene = Scene::keyed("T", StagedForm::Int64);
    scene.apply(&database, (1, 1), replace(), &[vec![int_row(1, 1, "a")]]).await;
    let manifest =
        scene.manifest((1, 2), upsert(), &[vec![int_row(1, 2, "b")], vec![int_row(2, 1, "c")]]);
    let request = LoadRequest { stream: &scene.stream, plan: &scene.plan, manifest: &manifest };
    let act = ForeignCommit { log: database.folder(&scene.stream).join("_delta_log") };
    let parts = Meanwhile { staged: &scene.staged, reads: AtomicUsize::new(0), act };
    let loaded = database.load(request, &parts).await.unwrap();
    assert!(matches!(loaded, Loaded::Now(figures) if figures.inserted == 2), "{loaded:?}");
    assert_eq!(scene.rows(&database).await, [int_row(1, 2, "b"), int_row(2, 1, "c")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_another_worker_finishes_first_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let scene = Scene::keyed("T", StagedForm::Int64);
    scene.apply(&database, (1, 1), replace(), &[vec![int_row(1, 1, "a")]]).await;
    let manifest = scene.manifest((1, 2), Apply::Append, &[vec![int_row(1, 1, "a")]]);
    let request = LoadRequest { stream: &scene.stream, plan: &scene.plan, manifest: &manifest };
    let act = SameLoad { database: &database, request, staged: &scene.staged };
    let parts = Meanwhile { staged: &scene.staged, reads: AtomicUsize::new(0), act };
    assert_eq!(database.load(request, &parts).await.unwrap(), Loaded::Already);
    assert_eq!(scene.rows(&database).await.len(), 2);
    assert_eq!(parquet_files(&database.folder(&scene.stream)).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_readable_and_each_table_has_its_own() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let folder = database.folder(&Scene::keyed("Orders 1", StagedForm::Int64).stream);
    let expected = "acme/CRM.my~20schema~2E~2541~2F~C3~BC.Orders~201";
    assert_eq!(folder, root.path().join(expected));
    let spaced = root.path().join("my tables, ünï");
    let database = DeltaDatabase::open(&spaced).unwrap();
    let scene = Scene::keyed("T", StagedForm::Int64);
    scene.apply(&database, (1, 1), replace(), &[vec![int_row(1, 1, "a")]]).await;
    assert_eq!(scene.rows(&database).await, [int_row(1, 1, "a")]);
    let error = DeltaDatabase::open(root.path().join("50%")).unwrap_err();
    assert!(matches!(error, DatabaseError::Store { .. }), "{error:?}");
}

/// Never returns: the load stands still there until it is dropped.
struct StandStill(tokio::sync::Notify);

#[async_trait]
impl Act for &StandStill {
    async fn act(&self) {
        self.0.notify_one();
        std::future::pending::<()>().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_is_dropped_half_way_leaves_the_table_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let scene = Scene::keyed("T", StagedForm::Int64);
    for (sequence, apply) in [(1, replace()), (2, upsert())] {
        let rows = vec![int_row(1, i64::try_from(sequence).unwrap(), "a")];
        let manifest = scene.manifest((1, sequence), apply, std::slice::from_ref(&rows));
        let request = LoadRequest { stream: &scene.stream, plan: &scene.plan, manifest: &manifest };
        let still = StandStill(tokio::sync::Notify::new());
        let parts = Meanwhile { staged: &scene.staged, reads: AtomicUsize::new(0), act: &still };
        tokio::select! {
            loaded = database.load(request, &parts) => panic!("{loaded:?}"),
            () = still.0.notified() => {}
        }
        let before = (sequence > 1).then_some((1, sequence - 1));
        assert_eq!(scene.ledger(&database).await, before);
        assert!(matches!(scene.load(&database, &manifest).await.unwrap(), Loaded::Now(_)));
        assert_eq!(scene.rows(&database).await, rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_at_any_await_a_load_is_finished_exactly_once_by_the_next() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let scene = Scene::keyed("T", StagedForm::Int64);
    scene.apply(&database, (1, 1), replace(), &[vec![int_row(0, 0, "a")]]).await;
    let mut before = scene.rows(&database).await;
    for polls in 0..40_i64 {
        let apply = if polls % 2 == 0 { Apply::Append } else { upsert() };
        // A key that the last upsert left, and a new one.
        let rows = vec![int_row(0, polls + 1, "b"), int_row(polls + 1, 1, "c")];
        let at = (1, u64::try_from(polls).unwrap() + 2);
        let manifest = scene.manifest(at, apply.clone(), std::slice::from_ref(&rows));
        let mut load = Box::pin(scene.load(&database, &manifest));
        for _ in 0..polls {
            // Returns after one poll, having been woken for it.
            let mut polled = false;
            let once = std::future::poll_fn(|context| {
                if std::mem::replace(&mut polled, true) {
                    return std::task::Poll::Ready(true);
                }
                load.as_mut().poll(context).map(|_| false)
            });
            if !once.await {
                break;
            }
        }
        drop(load);
        let mut after = before.clone();
        if matches!(apply, Apply::Upsert { .. }) {
            after.retain(|row| row[0] != Cell::Int(0));
        }
        after.extend(rows);
        after.sort();
        let seen = scene.rows(&database).await;
        assert!(seen == before || seen == after, "after {polls} polls: {seen:?}");
        scene.load(&database, &manifest).await.unwrap();
        assert_eq!(scene.rows(&database).await, after, "after {polls} polls");
        assert_eq!(scene.ledger(&database).await, Some(at));
        before = after;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_was_killed_is_finished_by_the_next_load() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let scene = Scene::keyed("T", StagedForm::Int64);
    let folder = database.folder(&scene.stream);
    std::fs::create_dir_all(&folder).unwrap();
    assert_eq!(scene.ledger(&database).await, None);
    std::fs::create_dir_all(folder.join("_delta_log")).unwrap();
    assert_eq!(scene.ledger(&database).await, None);
    assert_eq!(database.summary(&scene.stream).await.unwrap(), None);
    // The library writes an entry under such a name before it links it into place.
    std::fs::write(folder.join("_delta_log/00000000000000000000.json#1"), "{\"prot").unwrap();
    scene.apply(&database, (1, 1), replace(), &[vec![int_row(1, 1, "a")]]).await;
    assert_eq!(scene.rows(&database).await, [int_row(1, 1, "a")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_created_and_never_loaded_takes_the_columns_of_the_first_load() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let old = Scene::keyed("T", StagedForm::Int64);
    let mut broken = old.manifest((1, 1), replace(), &[vec![int_row(1, 1, "a")]]);
    broken.parts[0].object = "gone".to_owned();
    assert!(old.load(&database, &broken).await.is_err());
    assert_eq!(old.ledger(&database).await, None);
    let new = Scene::keyed("T", WIDE);
    let rows = vec![row(Cell::Decimal(1 << 80), 1, "a")];
    new.apply(&database, (1, 1), replace(), std::slice::from_ref(&rows)).await;
    assert_eq!(new.rows(&database).await, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_not_ours_or_hide_rows_are_refused() {
    let protocol = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#;
    let metadata = |partition: &str| {
        let field = r#"{\"name\":\"K\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}"#;
        format!(
            r#"{{"metaData":{{"id":"x","format":{{"provider":"parquet","options":{{}}}},"schemaString":"{{\"type\":\"struct\",\"fields\":[{field}]}}","partitionColumns":[{partition}],"configuration":{{}},"createdTime":0}}}}"#
        )
    };
    let add = r#"{"add":{"path":"a.parquet","partitionValues":{},"size":1,"modificationTime":0,"dataChange":true}}"#;
    let foreign = format!("{protocol}\n{}\n{add}\n", metadata(""));
    let partitioned = format!("{protocol}\n{}\n", metadata("\"K\""));
    for (entry, reason) in [(foreign, "did not load"), (partitioned, "partitioned")] {
        let root = tempfile::tempdir().unwrap();
        let database = DeltaDatabase::open(root.path()).unwrap();
        let scene = Scene::new("T", &[("K", StagedForm::Int64)]);
        let log = database.folder(&scene.stream).join("_delta_log");
        std::fs::create_dir_all(&log).unwrap();
        std::fs::write(log.join("00000000000000000000.json"), &entry).unwrap();
        let manifest = scene.manifest((1, 1), replace(), &[vec![vec![Cell::Int(1)]]]);
        let result = scene.load(&database, &manifest).await;
        let Err(DatabaseError::Schema { reason: found, .. }) = result else { panic!("{result:?}") };
        assert!(found.contains(reason), "{found}");
        assert_eq!(std::fs::read_dir(&log).unwrap().count(), 1, "nothing was written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_a_float_is_refused_before_anything_is_copied() {
    let root = tempfile::tempdir().unwrap();
    let database = DeltaDatabase::open(root.path()).unwrap();
    let scene = Scene::keyed("T", StagedForm::Float64);
    scene.apply(&database, (1, 1), replace(), &[]).await;
    let rows = vec![vec![Cell::Float(0), Cell::Int(1), text("a")]];
    let manifest = scene.manifest((1, 2), upsert(), &[rows]);
    let result = scene.load(&database, &manifest).await;
    assert!(matches!(result, Err(DatabaseError::Schema { .. })), "{result:?}");
    assert_eq!(parquet_files(&database.folder(&scene.stream)), Vec::<PathBuf>::new());
}
