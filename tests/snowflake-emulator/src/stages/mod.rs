//! Stages: the places for files that PUT fills, COPY reads and GET empties.
//!
//! A stage is a folder on disk. A file appears in it whole or not at all: an upload is written
//! beside it and moved into place, so a reader sees the old file or the new one. What a driver
//! sent along (digest, key of the content) is kept in memory with the file's name.
//!
//! Files of one directory of a stage lie in one folder whose name is the encoded directory. So a
//! directory and a file may have one name, as in an object store, and a driver that writes into
//! the folder itself (`LOCAL_FS`) needs no server.

mod crypt;
mod files;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use tempfile::TempDir;

pub(crate) use crypt::{FileKey, MasterKey, Material};
pub(crate) use files::{Attributes, StageError, StagedFile};

/// Bytes that all files together may have, unless the emulator is started with another limit.
pub(crate) const DEFAULT_LIMIT_BYTES: u64 = 16 << 30;

/// Whom a stage belongs to; what it belongs to takes it along when it goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// `@~`.
    User(String),
    /// `@%table`, by the table's id.
    Table(u64),
    /// `@name` in the schema that was created at this moment; no two schemas have one.
    Schema {
        /// When the schema was created.
        schema_ns: i128,
        /// The stage's name.
        name: String,
    },
    /// A temporary stage, which its session alone sees.
    Session {
        /// The session.
        session_id: u64,
        /// When the schema was created.
        schema_ns: i128,
        /// The stage's name.
        name: String,
    },
}

/// How files in a stage are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// By the client, with a key of each file that is wrapped by the stage's master key.
    SnowflakeFull,
    /// By the storage alone.
    SnowflakeSse,
}

/// A location outside Snowflake.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct External {
    /// `s3://bucket/prefix/`.
    pub url: String,
    /// `AWS_KEY_ID` and the like; empty with a storage integration.
    pub credentials: BTreeMap<String, String>,
    /// The storage integration, if one is named.
    pub integration: Option<String>,
}

impl std::fmt::Debug for External {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("External").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Where external locations in S3 are read.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct S3Endpoint {
    /// `http://127.0.0.1:9000`.
    pub url: String,
    /// Key id and secret of every storage integration.
    pub integration: Option<(String, String)>,
}

impl std::fmt::Debug for S3Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("S3Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

impl S3Endpoint {
    /// Reads a URL, whose user and password are those of storage integrations.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut url = url::Url::parse(text).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let integration = url
            .password()
            .map(|secret| (url.username().to_owned(), secret.to_owned()))
            .filter(|(key, _)| !key.is_empty());
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        Some(Self { url: url.as_str().trim_end_matches('/').to_owned(), integration })
    }
}

/// The value of an option such as `NULL_IF = ('', 'NULL')` or `TYPE = CSV`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// A word (in upper case), number or string.
    Text(String),
    /// Values in parentheses.
    List(Vec<String>),
    /// Options in parentheses.
    Options(Settings),
}

/// Options by their upper-case names.
pub(crate) type Settings = BTreeMap<String, Setting>;

/// A stage.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// Names its folder.
    pub id: u64,
    /// Set for an external stage.
    pub external: Option<External>,
    pub encryption: Encryption,
    /// FILE_FORMAT options of the stage; those of a COPY come before them.
    pub format: Settings,
    pub comment: Option<String>,
    pub created_ns: i128,
    pub temporary: bool,
    /// Wraps the keys of files.
    pub key: MasterKey,
}

/// A named file format.
#[derive(Clone, Debug)]
pub(crate) struct FileFormat {
    pub options: Settings,
    pub comment: Option<String>,
    pub created_ns: i128,
}

/// All stages and named file formats of the account.
#[derive(Debug)]
pub(crate) struct Stages {
    stages: RwLock<BTreeMap<Place, Arc<Stage>>>,
    formats: RwLock<BTreeMap<Place, Arc<FileFormat>>>,
    files: Mutex<files::Known>,
    folder: OnceLock<TempDir>,
    parent: OnceLock<PathBuf>,
    s3: OnceLock<Arc<S3Endpoint>>,
    limit_bytes: AtomicU64,
    ids: AtomicU64,
}

impl Default for Stages {
    fn default() -> Self {
        Self {
            stages: RwLock::default(),
            formats: RwLock::default(),
            files: Mutex::default(),
            folder: OnceLock::new(),
            parent: OnceLock::new(),
            s3: OnceLock::new(),
            limit_bytes: AtomicU64::new(DEFAULT_LIMIT_BYTES),
            ids: AtomicU64::new(1),
        }
    }
}

impl Stages {
    /// Says where files go and how many bytes they may have; before the first file.
    pub(crate) fn configure(&self, parent: PathBuf, limit_bytes: u64) {
        // A second call comes too late and changes nothing, which is what `set` does.
        let _ = self.parent.set(parent);
        self.limit_bytes.store(limit_bytes, Ordering::SeqCst);
    }

    /// Says where S3 is.
    pub(crate) fn set_s3(&self, endpoint: S3Endpoint) {
        // Set once, when the emulator starts.
        let _ = self.s3.set(Arc::new(endpoint));
    }

    /// Where S3 is, if anywhere.
    pub(crate) fn s3(&self) -> Option<Arc<S3Endpoint>> {
        self.s3.get().cloned()
    }

    /// Finds a stage.
    pub(crate) fn find(&self, place: &Place) -> Option<Arc<Stage>> {
        self.stages.read().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    /// Finds the stage of a user or a table, which exists from the first time it is used.
    pub(crate) fn own(&self, place: &Place, created_ns: i128) -> Arc<Stage> {
        if let Some(found) = self.find(place) {
            return found;
        }
        let stage = Stage {
            id: self.next_id(),
            external: None,
            encryption: Encryption::SnowflakeFull,
            format: BTreeMap::new(),
            comment: None,
            created_ns,
            temporary: false,
            key: MasterKey::long(),
        };
        let mut stages = self.stages.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(stages.entry(place.clone()).or_insert_with(|| Arc::new(stage)))
    }

    /// A number that no stage had before.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::SeqCst)
    }

    /// Puts a stage in its place; the files of one that was there are gone.
    pub(crate) fn put(&self, place: Place, stage: Stage) {
        let former = {
            let mut stages = self.stages.write().unwrap_or_else(PoisonError::into_inner);
            stages.insert(place, Arc::new(stage))
        };
        if let Some(former) = former {
            self.remove_files_of(former.id);
        }
    }

    /// Removes a stage with its files; false when there was none.
    pub(crate) fn drop_stage(&self, place: &Place) -> bool {
        let gone = self.stages.write().unwrap_or_else(PoisonError::into_inner).remove(place);
        if let Some(stage) = &gone {
            self.remove_files_of(stage.id);
        }
        gone.is_some()
    }

    /// The named stages that `wanted` accepts, in the order of their places.
    pub(crate) fn list(&self, wanted: impl Fn(&Place) -> bool) -> Vec<(Place, Arc<Stage>)> {
        let stages = self.stages.read().unwrap_or_else(PoisonError::into_inner);
        let found = stages.iter().filter(|(place, _)| wanted(place));
        found.map(|(place, stage)| (place.clone(), Arc::clone(stage))).collect()
    }

    /// Finds a named file format.
    pub(crate) fn format(&self, place: &Place) -> Option<Arc<FileFormat>> {
        self.formats.read().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }

    /// Puts a file format in its place.
    pub(crate) fn put_format(&self, place: Place, format: FileFormat) {
        let mut formats = self.formats.write().unwrap_or_else(PoisonError::into_inner);
        formats.insert(place, Arc::new(format));
    }

    /// Removes a file format; false when there was none.
    pub(crate) fn drop_format(&self, place: &Place) -> bool {
        let mut formats = self.formats.write().unwrap_or_else(PoisonError::into_inner);
        formats.remove(place).is_some()
    }

    /// The file formats that `wanted` accepts.
    pub(crate) fn formats(&self, wanted: impl Fn(&Place) -> bool) -> Vec<(Place, Arc<FileFormat>)> {
        let formats = self.formats.read().unwrap_or_else(PoisonError::into_inner);
        let found = formats.iter().filter(|(place, _)| wanted(place));
        found.map(|(place, format)| (place.clone(), Arc::clone(format))).collect()
    }

    /// Drops the temporary stages and formats of a session that ended.
    pub(crate) fn end_session(&self, ended: u64) {
        let of_session = |place: &Place| matches!(place, Place::Session { session_id, .. } if *session_id == ended);
        for (place, _) in self.list(of_session) {
            self.drop_stage(&place);
        }
        let mut formats = self.formats.write().unwrap_or_else(PoisonError::into_inner);
        formats.retain(|place, _| !of_session(place));
    }
}
