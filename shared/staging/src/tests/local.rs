use std::fs;
use std::path::{Path, PathBuf};

use snowferry_model::fault::Fault;
use tempfile::TempDir;

use crate::local::LocalStaging;
use crate::{ObjectKey, Staging};

fn store() -> (TempDir, LocalStaging) {
    let folder = tempfile::tempdir().unwrap();
    let staging = LocalStaging::open(folder.path().join("made/on/open")).unwrap();
    (folder, staging)
}

fn key(name: &str) -> ObjectKey {
    ObjectKey(name.to_owned())
}

/// Every file and folder below, temporary ones too.
fn everything(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(everything(&path));
        }
        all.push(path);
    }
    all
}

#[tokio::test]
async fn an_object_is_a_file_at_its_key() {
    let (_folder, staging) = store();
    let object = key("acme/DB.S.T/g1/n1/manifest.json");
    staging.put_if_absent(&object, "body".into()).await.unwrap();
    let path = staging.local_path(&object).unwrap();
    assert!(path.is_absolute() && path.ends_with("acme/DB.S.T/g1/n1/manifest.json"), "{path:?}");
    assert_eq!(fs::read(path).unwrap(), b"body");
}

#[tokio::test]
async fn a_dropped_upload_and_a_lost_race_leave_no_file() {
    let (_folder, staging) = store();
    let mut upload = staging.begin(&key("a/part")).await.unwrap();
    upload.write("half".into()).await.unwrap();
    drop(upload);
    staging.put_if_absent(&key("a/object"), "first".into()).await.unwrap();
    staging.put_if_absent(&key("a/object"), "second".into()).await.unwrap();
    let root = staging.root();
    assert_eq!(everything(root), [root.join("a/object"), root.join("a")]);
}

#[tokio::test]
async fn a_listing_removes_what_dead_uploads_left_and_spares_the_living() {
    let (_folder, staging) = store();
    let mut living = staging.begin(&key("a/part-1")).await.unwrap();
    let dead = staging.root().join("a/~left-by-a-killed-process");
    fs::write(&dead, "half").unwrap();
    assert_eq!(staging.list("a/").await.unwrap(), []);
    assert!(!dead.exists());
    living.write("whole".into()).await.unwrap();
    living.finish().await.unwrap();
    assert_eq!(staging.get(&key("a/part-1")).await.unwrap(), Some("whole".into()));
}

#[tokio::test]
async fn folders_go_with_their_last_object() {
    let (_folder, staging) = store();
    for object in ["acme/T/g1/n1/q/part", "acme/T/g1/n2/q/part"] {
        staging.put_if_absent(&key(object), "body".into()).await.unwrap();
    }
    staging.delete(&key("acme/T/g1/n1/q/part")).await.unwrap();
    let left = everything(staging.root());
    assert!(left.iter().all(|path| !path.ends_with("n1")), "{left:?}");
    staging.delete(&key("acme/T/g1/n2/q/part")).await.unwrap();
    assert_eq!(everything(staging.root()), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn objects_are_created_while_their_folder_is_being_cleaned_up() {
    let (_folder, staging) = store();
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let staging = staging.clone();
        tasks.spawn(async move {
            for round in 0..25 {
                let object = key(&format!("a/b/c/{worker}-{round}"));
                let mut upload = staging.begin(&object).await.unwrap();
                upload.write("body".into()).await.unwrap();
                upload.finish().await.unwrap();
                assert_eq!(staging.get(&object).await.unwrap(), Some("body".into()));
                staging.list("").await.unwrap();
                staging.delete(&object).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(everything(staging.root()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_file_in_the_place_of_a_folder_is_a_store_error_with_the_key() {
    let (_folder, staging) = store();
    fs::write(staging.root().join("acme"), "not a folder").unwrap();
    let error = staging.put_if_absent(&key("acme/T/object"), "x".into()).await.unwrap_err();
    assert_eq!((error.code(), error.to_string()), ("STAGING_STORE", "create acme/T/object".into()));
    assert_eq!(staging.get(&key("acme/T/object")).await.unwrap(), None);
    let error = LocalStaging::open(staging.root().join("acme")).unwrap_err();
    assert_eq!(error.code(), "STAGING_STORE");
}
