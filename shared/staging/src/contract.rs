//! The suite that every staging store passes.
//!
//! Each check works under a prefix of its own and leaves other objects alone, so a suite may run
//! against a store that holds something. A check panics with what it found.
#![expect(clippy::expect_used, clippy::panic, reason = "a suite of assertions, called by tests")]

use std::sync::Arc;

use bytes::Bytes;

use crate::{ObjectKey, PutOutcome, Staging, StagingError};

mod part;

pub use part::a_part_reads_back_equal_with_exact_statistics;

/// Runs every check.
pub async fn all(staging: &Arc<dyn Staging>) {
    an_object_is_created_once_however_many_try(staging).await;
    a_created_object_is_never_changed(staging.as_ref()).await;
    an_upload_is_invisible_until_it_is_finished(staging.as_ref()).await;
    a_dropped_upload_leaves_nothing(staging.as_ref()).await;
    uploads_of_one_key_never_mix(staging.as_ref()).await;
    a_large_object_is_whole(staging.as_ref()).await;
    ranges_are_exact_and_never_short(staging.as_ref()).await;
    a_listing_is_in_order_and_by_prefix(staging.as_ref()).await;
    deleting_is_repeatable(staging.as_ref()).await;
    keys_outside_the_alphabet_are_refused(staging.as_ref()).await;
    a_part_reads_back_equal_with_exact_statistics(staging.as_ref()).await;
}

/// Sixteen tasks create one object: one succeeds, and the object is the one it wrote.
pub async fn an_object_is_created_once_however_many_try(staging: &Arc<dyn Staging>) {
    let key = key("once/manifest.json");
    let mut racers = tokio::task::JoinSet::new();
    for racer in 0..16_u8 {
        let (staging, key) = (Arc::clone(staging), key.clone());
        racers.spawn(async move {
            let body = Bytes::from(vec![racer; 10_000]);
            let outcome = staging.put_if_absent(&key, body).await.expect("create");
            // Whoever has an answer sees the whole object, whoever wrote it.
            let seen = staging.get(&key).await.expect("read").expect("the object is there");
            (racer, outcome, seen)
        });
    }
    let results = racers.join_all().await;
    let created = |outcome: &PutOutcome| *outcome == PutOutcome::Created;
    let winners: Vec<u8> = results
        .iter()
        .filter(|(_, outcome, _)| created(outcome))
        .map(|(racer, ..)| *racer)
        .collect();
    let [winner] = winners[..] else { panic!("created by {winners:?}") };
    for (racer, _, seen) in results {
        assert_eq!(seen, vec![winner; 10_000], "as racer {racer} saw it");
    }
}

/// A second creation says that there is one, and changes nothing.
pub async fn a_created_object_is_never_changed(staging: &dyn Staging) {
    let key = key("kept/manifest.json");
    assert_eq!(staging.get(&key).await.expect("read"), None);
    let outcome = staging.put_if_absent(&key, "first".into()).await.expect("create");
    assert_eq!(outcome, PutOutcome::Created);
    let outcome = staging.put_if_absent(&key, "second, and longer".into()).await.expect("create");
    assert_eq!(outcome, PutOutcome::Exists);
    assert_eq!(staging.get(&key).await.expect("read"), Some("first".into()));
    let empty = self::key("kept/empty.json");
    staging.put_if_absent(&empty, Bytes::new()).await.expect("create");
    assert_eq!(staging.get(&empty).await.expect("read"), Some(Bytes::new()));
}

/// No reader and no listing sees an object before its upload is finished.
pub async fn an_upload_is_invisible_until_it_is_finished(staging: &dyn Staging) {
    let key = key("upload/part-00000.a.parquet");
    let mut upload = staging.begin(&key).await.expect("begin");
    upload.write("one ".into()).await.expect("write");
    assert_eq!(staging.get(&key).await.expect("read"), None);
    assert_eq!(names(staging, "contract/upload/").await, Vec::<String>::new());
    upload.write(Bytes::new()).await.expect("write");
    upload.write("two".into()).await.expect("write");
    upload.finish().await.expect("finish");
    assert_eq!(staging.get(&key).await.expect("read"), Some("one two".into()));
    assert_eq!(names(staging, "contract/upload/").await, [key.0]);
}

/// An upload that is dropped leaves no object, and another one can take its key.
pub async fn a_dropped_upload_leaves_nothing(staging: &dyn Staging) {
    let key = key("dropped/part-00000.a.parquet");
    let mut upload = staging.begin(&key).await.expect("begin");
    upload.write("half of it".into()).await.expect("write");
    drop(upload);
    assert_eq!(staging.get(&key).await.expect("read"), None);
    assert_eq!(names(staging, "contract/dropped/").await, Vec::<String>::new());
    let upload = staging.begin(&key).await.expect("begin again");
    upload.finish().await.expect("finish");
    assert_eq!(staging.get(&key).await.expect("read"), Some(Bytes::new()));
}

/// Two uploads of one key at once: the object is the whole one or the whole other.
pub async fn uploads_of_one_key_never_mix(staging: &dyn Staging) {
    let key = key("twice/part-00000.a.parquet");
    let mut first = staging.begin(&key).await.expect("begin");
    let mut second = staging.begin(&key).await.expect("begin");
    for _ in 0..3 {
        first.write("a".into()).await.expect("write");
        second.write("bb".into()).await.expect("write");
    }
    first.finish().await.expect("finish");
    assert_eq!(staging.get(&key).await.expect("read"), Some("aaa".into()));
    second.finish().await.expect("finish");
    assert_eq!(staging.get(&key).await.expect("read"), Some("bbbbbb".into()));
}

/// Eight mebibytes in uneven pieces come back as they were.
pub async fn a_large_object_is_whole(staging: &dyn Staging) {
    let key = key("large/part-00000.a.parquet");
    let body: Vec<u8> = (0..8_u64 << 20).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    let mut upload = staging.begin(&key).await.expect("begin");
    for piece in body.chunks(777_777) {
        upload.write(Bytes::copy_from_slice(piece)).await.expect("write");
    }
    upload.finish().await.expect("finish");
    let back = staging.get(&key).await.expect("read").expect("the object is there");
    assert!(back == body, "the object differs from what was written");
    let end = staging.read(&key, (8 << 20) - 5..8 << 20).await.expect("read the end");
    assert!(body.ends_with(&end) && end.len() == 5, "{end:?}");
}

/// A range is given whole or not at all.
pub async fn ranges_are_exact_and_never_short(staging: &dyn Staging) {
    let object = key("ranges/object");
    staging.put_if_absent(&object, "0123456789".into()).await.expect("create");
    for (range, wanted) in [(0..10, "0123456789"), (0..1, "0"), (3..7, "3456"), (10..10, "")] {
        assert_eq!(staging.read(&object, range).await.expect("read"), wanted);
    }
    for (missing, range) in
        [(&object, 0..11), (&object, 9..11), (&object, 11..12), (&key("ranges/none"), 0..1)]
    {
        let outcome = staging.read(missing, range.clone()).await;
        assert!(
            matches!(outcome, Err(StagingError::Missing { .. })),
            "{range:?} of {missing}: {outcome:?}"
        );
    }
}

/// Objects are listed in the order of their keys' bytes; a prefix may end within a name.
pub async fn a_listing_is_in_order_and_by_prefix(staging: &dyn Staging) {
    let some = [
        "list/n2/part-00001.json",
        "list/n10/q/part-00000.json",
        "list/n1/q/part-00001.json",
        "list/n1/q/part-00000.x.parquet",
        "list/n1/manifest.json",
        "list/n1%2F$_-/deep/er/object",
    ];
    for (size, name) in some.iter().enumerate() {
        staging.put_if_absent(&key(name), vec![b'x'; size].into()).await.expect("create");
    }
    let sizes: Vec<(String, u64)> =
        (staging.list("contract/list/").await.expect("list").into_iter())
            .map(|object| (object.key.0, object.size_bytes))
            .collect();
    let mut wanted: Vec<(String, u64)> =
        (0..).zip(some).map(|(size, name)| (key(name).0, size)).collect();
    wanted.sort();
    assert_eq!(sizes, wanted);
    for (prefix, count) in [
        ("contract/list/n1/", 3),
        ("contract/list/n1", 5),
        ("contract/list/n1/q/part-00000", 1),
        ("contract/list/n3/", 0),
        ("contract/list/n1/manifest.json/", 0),
        ("contract/list/../", 0),
    ] {
        let found = names(staging, prefix).await;
        assert_eq!(found.len(), count, "{prefix}: {found:?}");
    }
}

/// Deleting what is not there is fine, and leaves the neighbours alone.
pub async fn deleting_is_repeatable(staging: &dyn Staging) {
    let (gone, stays) = (key("delete/a/gone"), key("delete/stays"));
    for object in [&gone, &stays] {
        staging.put_if_absent(object, "body".into()).await.expect("create");
    }
    for _ in 0..2 {
        staging.delete(&gone).await.expect("delete");
        assert_eq!(staging.get(&gone).await.expect("read"), None);
    }
    staging.delete(&key("delete/never/was")).await.expect("delete");
    assert_eq!(names(staging, "contract/delete/").await, [stays.0]);
    let outcome = staging.put_if_absent(&gone, "anew".into()).await.expect("create");
    assert_eq!(outcome, PutOutcome::Created);
}

/// A key that could leave the store, or that stores would read differently, is refused by every
/// call.
pub async fn keys_outside_the_alphabet_are_refused(staging: &dyn Staging) {
    for bad in ["", "/", "a//b", "/a", "a/", ".", "..", "a/../b", "a/./b", "a b", "a\\b", "ä", "~a"]
    {
        let key = ObjectKey(bad.to_owned());
        assert!(staging.begin(&key).await.is_err(), "begin {bad:?}");
        assert!(staging.put_if_absent(&key, "x".into()).await.is_err(), "create {bad:?}");
        assert!(staging.get(&key).await.is_err(), "get {bad:?}");
        assert!(staging.read(&key, 0..1).await.is_err(), "read {bad:?}");
        assert!(staging.delete(&key).await.is_err(), "delete {bad:?}");
        assert_eq!(staging.local_path(&key), None, "path of {bad:?}");
    }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey(format!("contract/{name}"))
}

async fn names(staging: &dyn Staging, prefix: &str) -> Vec<String> {
    let objects = staging.list(prefix).await.expect("list");
    objects.into_iter().map(|object| object.key.0).collect()
}
