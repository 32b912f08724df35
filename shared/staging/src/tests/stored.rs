//! What a reader and a writer of create-once objects may rely on.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::memory::MemoryStaging;
use crate::stored::{self, StoredForm};
use crate::{ObjectKey, Staging, StagingError};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Note {
    version: u32,
    text: String,
}

impl StoredForm for Note {
    const VERSION: u32 = 2;
}

fn note(text: &str) -> Note {
    Note { version: 2, text: text.to_owned() }
}

fn key() -> ObjectKey {
    ObjectKey("c/t/note.json".to_owned())
}

#[tokio::test]
async fn whoever_comes_second_gets_what_the_first_created() {
    let staging = MemoryStaging::default();
    let first = stored::create(&staging, &key(), note("first")).await.unwrap();
    let second = stored::create(&staging, &key(), note("second")).await.unwrap();
    assert_eq!((first, second), (note("first"), note("first")));
    assert_eq!(stored::read(&staging, &key()).await.unwrap(), Some(note("first")));
}

#[tokio::test]
async fn nothing_is_read_where_nothing_was_created() {
    let staging = MemoryStaging::default();
    assert_eq!(stored::read::<Note>(&staging, &key()).await.unwrap(), None);
}

#[tokio::test]
async fn a_form_of_another_version_or_of_none_is_corrupt_and_stays() {
    for body in [r#"{"version":1,"text":"old"}"#, r#"{"text":"none"}"#, r#"{"version":2}"#, "?"] {
        let staging = MemoryStaging::default();
        staging.put_if_absent(&key(), Bytes::from_static(body.as_bytes())).await.unwrap();
        for result in [
            stored::read::<Note>(&staging, &key()).await.map(|_| ()),
            stored::create(&staging, &key(), note("new")).await.map(|_| ()),
        ] {
            assert!(matches!(result, Err(StagingError::Corrupt { .. })), "{body}: {result:?}");
        }
        assert_eq!(staging.get(&key()).await.unwrap().unwrap(), body.as_bytes(), "{body}");
    }
}
