//! The files of stages: listing, reading, replacing, removing.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use tempfile::NamedTempFile;

use super::{FileKey, Stage, Stages};

/// Marks the folder of a stage's directory, so that the top directory has a name too.
const DIRECTORY: &str = "d.";
/// The folder of what is not yet a file; no stage has such a number.
const UPLOADS: &str = "uploads";

/// Why a file could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StageError {
    /// No file of that name.
    #[error("no file {path} in the stage")]
    Missing {
        /// The file.
        path: String,
    },
    /// A name that no object store would take from a driver.
    #[error("{path:?} is no name of a staged file")]
    Name {
        /// The name.
        path: String,
    },
    /// The emulator's limit is reached.
    #[error("the stages hold {limit_bytes} bytes, which is their limit")]
    Full {
        /// The limit.
        limit_bytes: u64,
    },
    /// The content does not belong to the key that was sent with it.
    #[error("decrypt {path}")]
    Decrypt {
        /// The file.
        path: String,
    },
    /// The file system failed.
    #[error("{step} of a staged file")]
    Io {
        /// What was done.
        step: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// What a driver sent along with a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    /// `sfc-digest`: SHA-256 before encryption.
    pub digest: Option<String>,
    /// How to decrypt the content.
    pub key: Option<FileKey>,
}

/// Attributes by stage and path, and the MD5 of each content seen so far.
#[derive(Debug, Default)]
pub(super) struct Known {
    attributes: HashMap<(u64, String), Attributes>,
    md5: HashMap<PathBuf, (u64, SystemTime, String)>,
}

/// A file in a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StagedFile {
    /// Its path in the stage, without a leading slash.
    pub path: String,
    /// Bytes as stored.
    pub size_bytes: u64,
    /// When it was written.
    pub modified: SystemTime,
    /// Of the content as stored.
    pub md5: String,
}

/// A file that is being uploaded.
#[derive(Debug)]
pub(crate) struct Upload {
    file: NamedTempFile,
    stage: u64,
    path: String,
    size_bytes: u64,
    room_bytes: u64,
    limit_bytes: u64,
}

impl Upload {
    /// Appends bytes.
    ///
    /// # Errors
    /// [`StageError::Full`] at the limit.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), StageError> {
        self.size_bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        if self.size_bytes > self.room_bytes {
            return Err(StageError::Full { limit_bytes: self.limit_bytes });
        }
        self.file.write_all(piece).map_err(io("write"))
    }
}

impl Stages {
    /// Starts an upload; nothing is visible before [`Self::finish_upload`].
    pub(crate) fn start_upload(&self, stage: u64, path: &str) -> Result<Upload, StageError> {
        check_name(path)?;
        let limit_bytes = self.limit_bytes.load(Ordering::SeqCst);
        let folder = self.root()?.join(UPLOADS);
        fs::create_dir_all(&folder).map_err(io("make a folder"))?;
        Ok(Upload {
            file: NamedTempFile::new_in(folder).map_err(io("create"))?,
            stage,
            path: path.to_owned(),
            size_bytes: 0,
            room_bytes: limit_bytes.saturating_sub(self.used_bytes()?),
            limit_bytes,
        })
    }

    /// Makes an upload the file of its name.
    pub(crate) fn finish_upload(
        &self,
        mut upload: Upload,
        attributes: Attributes,
    ) -> Result<(), StageError> {
        upload.file.flush().map_err(io("write"))?;
        let target = self.file_path(upload.stage, &upload.path)?;
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(io("make a folder"))?;
        }
        let mut known = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        upload
            .file
            .persist(&target)
            .map_err(|error| StageError::Io { step: "move into place", source: error.error })?;
        // Two contents of one length may have one time.
        known.md5.remove(&target);
        known.attributes.insert((upload.stage, upload.path), attributes);
        Ok(())
    }

    /// Writes a whole file at once.
    pub(crate) fn write(
        &self,
        stage: u64,
        path: &str,
        content: &[u8],
        attributes: Attributes,
    ) -> Result<(), StageError> {
        let mut upload = self.start_upload(stage, path)?;
        upload.write(content)?;
        self.finish_upload(upload, attributes)
    }

    /// The files whose path starts with `prefix`, in the order of their paths.
    pub(crate) fn files(&self, stage: u64, prefix: &str) -> Result<Vec<StagedFile>, StageError> {
        let mut found = Vec::new();
        for folder in entries(&self.stage_folder(stage)?)? {
            let name = folder.file_name().to_string_lossy().into_owned();
            let Some(directory) = decode_directory(&name) else { continue };
            for file in entries(&folder.path())? {
                let name = file.file_name().to_string_lossy().into_owned();
                let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
                if path.starts_with(prefix) {
                    found.extend(self.look(&file.path(), path)?);
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// One file, if it is there.
    pub(crate) fn file(&self, stage: u64, path: &str) -> Result<Option<StagedFile>, StageError> {
        check_name(path)?;
        self.look(&self.file_path(stage, path)?, path.to_owned())
    }

    /// The content as stored and what was sent along.
    pub(crate) fn read_stored(
        &self,
        stage: u64,
        path: &str,
    ) -> Result<(Bytes, Attributes), StageError> {
        check_name(path)?;
        let known = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = fs::File::open(self.file_path(stage, path)?);
        let attributes = known.attributes.get(&(stage, path.to_owned())).cloned();
        drop(known);
        let mut file = opened.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => StageError::Missing { path: path.to_owned() },
            _ => StageError::Io { step: "open", source: error },
        })?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(io("read"))?;
        Ok((content.into(), attributes.unwrap_or_default()))
    }

    /// The content as its writer meant it.
    pub(crate) fn read(&self, stage: &Stage, path: &str) -> Result<Bytes, StageError> {
        let (content, attributes) = self.read_stored(stage.id, path)?;
        match &attributes.key {
            None => Ok(content),
            Some(key) => stage
                .key
                .decrypt(&content, key)
                .map(Bytes::from)
                .ok_or_else(|| StageError::Decrypt { path: path.to_owned() }),
        }
    }

    /// What was sent along with a file.
    pub(crate) fn attributes(&self, stage: u64, path: &str) -> Attributes {
        let known = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        known.attributes.get(&(stage, path.to_owned())).cloned().unwrap_or_default()
    }

    /// Removes a file; false when there was none.
    pub(crate) fn remove(&self, stage: u64, path: &str) -> Result<bool, StageError> {
        check_name(path)?;
        let mut known = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        known.attributes.remove(&(stage, path.to_owned()));
        match fs::remove_file(self.file_path(stage, path)?) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StageError::Io { step: "remove", source: error }),
        }
    }

    /// The folder of a directory of a stage, made if need be, for drivers that write it themselves.
    pub(crate) fn directory(&self, stage: u64, directory: &str) -> Result<PathBuf, StageError> {
        let folder = self.stage_folder(stage)?.join(encode_directory(directory.trim_matches('/')));
        fs::create_dir_all(&folder).map_err(io("make a folder"))?;
        Ok(folder)
    }

    /// The folder of a stage, for drivers that read it themselves.
    pub(crate) fn stage_root(&self, stage: u64) -> Result<PathBuf, StageError> {
        self.directory(stage, "")?;
        self.stage_folder(stage)
    }

    /// Where a file lies in its stage's folder.
    pub(crate) fn local_name(&self, path: &str) -> String {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        format!("{}/{name}", encode_directory(directory))
    }

    pub(super) fn remove_files_of(&self, stage: u64) {
        let mut known = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        known.attributes.retain(|(owner, _), _| *owner != stage);
        if let Ok(folder) = self.stage_folder(stage) {
            // What cannot be removed now goes with the emulator's folder; nobody can see it.
            let _ = fs::remove_dir_all(folder);
        }
    }

    fn look(&self, file: &Path, path: String) -> Result<Option<StagedFile>, StageError> {
        let metadata = match fs::metadata(file) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StageError::Io { step: "look at", source: error }),
        };
        let modified = metadata.modified().map_err(io("look at"))?;
        let size_bytes = metadata.len();
        let seen = {
            let known = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            known
                .md5
                .get(file)
                .filter(|(size, at, _)| *size == size_bytes && *at == modified)
                .cloned()
        };
        let md5 = match seen {
            Some((_, _, md5)) => md5,
            None => {
                let md5 = md5_of(file)?;
                let mut known = self.files.lock().unwrap_or_else(PoisonError::into_inner);
                known.md5.insert(file.to_owned(), (size_bytes, modified, md5.clone()));
                md5
            }
        };
        Ok(Some(StagedFile { path, size_bytes, modified, md5 }))
    }

    fn used_bytes(&self) -> Result<u64, StageError> {
        let mut used = 0;
        for stage in entries(self.root()?)? {
            if stage.file_name() == UPLOADS {
                continue;
            }
            for folder in entries(&stage.path())? {
                for file in entries(&folder.path())? {
                    used += file.metadata().map(|metadata| metadata.len()).unwrap_or(0);
                }
            }
        }
        Ok(used)
    }

    fn root(&self) -> Result<&Path, StageError> {
        if let Some(folder) = self.folder.get() {
            return Ok(folder.path());
        }
        let parent = self.parent.get().cloned().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new()
            .prefix("snowferry-stages-")
            .tempdir_in(parent)
            .map_err(io("make the folder"))?;
        Ok(self.folder.get_or_init(|| folder).path())
    }

    fn stage_folder(&self, stage: u64) -> Result<PathBuf, StageError> {
        Ok(self.root()?.join(stage.to_string()))
    }

    fn file_path(&self, stage: u64, path: &str) -> Result<PathBuf, StageError> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok(self.stage_folder(stage)?.join(encode_directory(directory)).join(name))
    }
}

/// A path must name a file and stay inside its stage.
fn check_name(path: &str) -> Result<(), StageError> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let wrong = name.is_empty()
        || path.starts_with('/')
        || path.contains('\0')
        || path.split('/').any(|part| part == "." || part == "..");
    if wrong { Err(StageError::Name { path: path.to_owned() }) } else { Ok(()) }
}

fn encode_directory(directory: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(directory.as_bytes()).collect();
    format!("{DIRECTORY}{encoded}")
}

fn decode_directory(name: &str) -> Option<String> {
    let encoded = name.strip_prefix(DIRECTORY)?;
    let (decoded, _) = url::form_urlencoded::parse(encoded.as_bytes()).next().unwrap_or_default();
    Some(decoded.into_owned())
}

/// What lies in a folder; nothing when there is no such folder.
fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, StageError> {
    match fs::read_dir(folder) {
        Ok(found) => found.collect::<Result<_, _>>().map_err(io("list")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StageError::Io { step: "list", source: error }),
    }
}

fn md5_of(file: &Path) -> Result<String, StageError> {
    let mut file = fs::File::open(file).map_err(io("open"))?;
    let mut digest = Md5::new();
    std::io::copy(&mut file, &mut digest).map_err(io("read"))?;
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn io(step: &'static str) -> impl FnOnce(std::io::Error) -> StageError {
    move |source| StageError::Io { step, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(stages: &Stages, prefix: &str) -> Vec<String> {
        stages.files(1, prefix).unwrap().into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn a_file_and_a_directory_may_have_one_name() {
        let stages = Stages::default();
        for path in ["a", "a/b", "a/b/c d.csv", "ab", "x%2F/é"] {
            stages.write(1, path, path.as_bytes(), Attributes::default()).unwrap();
        }
        assert_eq!(paths(&stages, ""), ["a", "a/b", "a/b/c d.csv", "ab", "x%2F/é"]);
        assert_eq!(paths(&stages, "a/"), ["a/b", "a/b/c d.csv"]);
        assert_eq!(stages.read_stored(1, "a/b").unwrap().0, "a/b");
        assert!(stages.remove(1, "a/b").unwrap());
        assert!(!stages.remove(1, "a/b").unwrap());
        assert_eq!(paths(&stages, "a"), ["a", "a/b/c d.csv", "ab"]);
        assert!(stages.files(2, "").unwrap().is_empty());
    }

    #[test]
    fn names_that_leave_the_stage_are_refused() {
        let stages = Stages::default();
        for path in ["", "a/", "/a", "../a", "a/../../b", "a/./b", "a\0"] {
            let refused = stages.write(1, path, b"x", Attributes::default());
            assert!(matches!(refused, Err(StageError::Name { .. })), "{path:?}");
        }
    }

    #[test]
    fn an_upload_that_is_not_finished_or_too_long_leaves_the_old_file() {
        let stages = Stages::default();
        stages.configure(std::env::temp_dir(), 10);
        stages.write(1, "a", b"old", Attributes::default()).unwrap();
        let mut upload = stages.start_upload(1, "a").unwrap();
        upload.write(b"new").unwrap();
        drop(upload);
        let full = stages.write(1, "a", &[0; 8], Attributes::default());
        assert!(matches!(full, Err(StageError::Full { limit_bytes: 10 })));
        assert_eq!(stages.read_stored(1, "a").unwrap().0, "old");
    }

    #[test]
    fn the_md5_follows_the_content() {
        let stages = Stages::default();
        stages.write(1, "a", b"x", Attributes::default()).unwrap();
        let first = stages.file(1, "a").unwrap().unwrap();
        assert_eq!(first.md5, "9dd4e461268c8034f5c8564e155c67a6");
        stages.write(1, "a", b"xy", Attributes::default()).unwrap();
        assert_ne!(stages.file(1, "a").unwrap().unwrap().md5, first.md5);
    }
}
