//! A folder on this machine: one file for each object.
//!
//! An object is first written whole to a temporary file beside its place, synchronised to disk,
//! and then put in its place in one step: by a rename for data, by a hard link (which fails when
//! the name is taken) for what is created once. A crash before that step leaves a temporary file
//! that [`Staging::list`] does not show; after it the object is there, whole.
//!
//! The name of a temporary file begins with `~`, which no key contains, and its writer holds a
//! file lock on it. `list` removes those that nobody holds: their writer is dead.
//!
//! **Limits:** the file system must have hard links, and no key may be a folder of another.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::NamedTempFile;

use crate::{ObjectInfo, ObjectKey, PutOutcome, Staging, StagingError, Upload, keys};

/// Begins the name of every temporary file; not a character of keys.
const TEMPORARY_PREFIX: &str = "~";

/// A folder is made anew this many times when a clean-up removes it while it is still empty.
const FOLDER_TRIES: u32 = 8;

/// A store of staged objects in a folder.
#[derive(Clone, Debug)]
pub struct LocalStaging {
    root: PathBuf,
}

impl LocalStaging {
    /// Opens a folder and makes it if there is none.
    ///
    /// # Errors
    /// [`StagingError::Store`] or [`StagingError::Full`] when it cannot be made.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StagingError> {
        let folder = folder.as_ref();
        let failed = |source| failure("open", &folder.display().to_string(), source);
        fs::create_dir_all(folder).map_err(failed)?;
        Ok(Self { root: fs::canonicalize(folder).map_err(failed)? })
    }

    /// Returns the folder, as an absolute path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn place(&self, step: &'static str, key: &ObjectKey) -> Result<PathBuf, StagingError> {
        keys::check(step, key)?;
        Ok(self.root.join(&key.0))
    }
}

#[async_trait]
impl Staging for LocalStaging {
    async fn begin(&self, key: &ObjectKey) -> Result<Box<dyn Upload>, StagingError> {
        let place = self.place("begin", key)?;
        let (root, beside) = (self.root.clone(), place.clone());
        let file = blocking("begin", key, move || temporary_beside(&root, &beside)).await?;
        Ok(Box::new(LocalUpload { key: key.clone(), place, file: Some(file) }))
    }

    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        body: Bytes,
    ) -> Result<PutOutcome, StagingError> {
        let place = self.place("create", key)?;
        let root = self.root.clone();
        let target = place.clone();
        let outcome = blocking("create", key, move || {
            if target.is_file() {
                return Ok(PutOutcome::Exists);
            }
            let mut file = temporary_beside(&root, &target)?;
            file.write_all(&body)?;
            file.as_file().sync_all()?;
            match fs::hard_link(file.path(), &target) {
                Ok(()) => Ok(PutOutcome::Created),
                Err(taken) if taken.kind() == ErrorKind::AlreadyExists => Ok(PutOutcome::Exists),
                Err(other) => Err(other),
            }
        })
        .await?;
        // Also when another created it: whoever goes on from here relies on its being durable.
        durable(key, place).await?;
        Ok(outcome)
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StagingError> {
        let place = self.place("read", key)?;
        blocking("read", key, move || {
            let Some((mut file, size)) = open_object(&place)? else { return Ok(None) };
            let mut body = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
            file.read_to_end(&mut body)?;
            Ok(Some(body.into()))
        })
        .await
    }

    async fn read(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StagingError> {
        let place = self.place("read", key)?;
        let bytes = blocking("read", key, move || {
            let Some((mut file, size)) = open_object(&place)? else { return Ok(None) };
            let Some(length) = range.end.checked_sub(range.start) else { return Ok(None) };
            if range.end > size {
                return Ok(None);
            }
            let mut body = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            file.seek(SeekFrom::Start(range.start))?;
            match file.read_exact(&mut body) {
                Ok(()) => Ok(Some(Bytes::from(body))),
                Err(short) if short.kind() == ErrorKind::UnexpectedEof => Ok(None),
                Err(other) => Err(other),
            }
        })
        .await?;
        bytes.ok_or_else(|| StagingError::Missing { key: key.0.clone() })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StagingError> {
        let (folder, _) = prefix.rsplit_once('/').unwrap_or(("", prefix));
        if !folder.is_empty() && !folder.split('/').all(keys::is_segment) {
            return Ok(Vec::new());
        }
        let (root, start, wanted) = (self.root.clone(), folder.to_owned(), prefix.to_owned());
        let step = ObjectKey(prefix.to_owned());
        blocking("list", &step, move || {
            let mut found = Vec::new();
            walk(&root, &start, &mut found)?;
            found.retain(|object| object.key.0.starts_with(&wanted));
            found.sort_by(|a, b| a.key.cmp(&b.key));
            Ok(found)
        })
        .await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StagingError> {
        let place = self.place("delete", key)?;
        let root = self.root.clone();
        blocking("delete", key, move || {
            match fs::remove_file(&place) {
                Err(other) if !is_no_object(&other) => return Err(other),
                _ => {}
            }
            // Folders go with their last object; one that is in use is not empty and stays.
            let above = place.ancestors().skip(1).take_while(|folder| *folder != root);
            for folder in above {
                if fs::remove_dir(folder).is_err() {
                    break;
                }
            }
            Ok(())
        })
        .await
    }

    fn local_path(&self, key: &ObjectKey) -> Option<PathBuf> {
        self.place("find", key).ok()
    }
}

/// An object being written to a temporary file, which is removed when this is dropped.
struct LocalUpload {
    key: ObjectKey,
    place: PathBuf,
    /// `None` while a write runs, and after one that failed or was dropped.
    file: Option<NamedTempFile>,
}

impl LocalUpload {
    fn take_file(&mut self, step: &'static str) -> Result<NamedTempFile, StagingError> {
        let lost = || io::Error::other("an earlier write of this object did not succeed");
        self.file.take().ok_or_else(|| failure(step, &self.key.0, lost()))
    }
}

#[async_trait]
impl Upload for LocalUpload {
    async fn write(&mut self, body: Bytes) -> Result<(), StagingError> {
        let mut file = self.take_file("write")?;
        let written = blocking("write", &self.key, move || {
            file.write_all(&body)?;
            Ok(file)
        });
        self.file = Some(written.await?);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StagingError> {
        let file = self.take_file("finish")?;
        let place = self.place.clone();
        blocking("finish", &self.key, move || {
            file.as_file().sync_all()?;
            file.persist(place).map_err(|failed| failed.error)?;
            Ok(())
        })
        .await?;
        durable(&self.key, self.place.clone()).await
    }
}

/// Makes a locked temporary file in the folder of `place`, and the folder if there is none.
fn temporary_beside(root: &Path, place: &Path) -> io::Result<NamedTempFile> {
    let folder = place.parent().unwrap_or(root);
    let mut tries = 0;
    loop {
        make_folder(root, folder)?;
        tries += 1;
        match locked_temporary(folder) {
            // A clean-up removed the empty folder, or the file before it was locked.
            Err(gone) if gone.kind() == ErrorKind::NotFound && tries < FOLDER_TRIES => {}
            made => return made,
        }
    }
}

fn locked_temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX);
    // The user's mask decides who may read staged data, as for every other file.
    #[cfg(unix)]
    let builder =
        builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    let file = builder.tempfile_in(folder)?;
    match file.as_file().lock() {
        // Without locks nobody can tell that the file is left over, so it would only stay.
        Err(refused) if refused.kind() != ErrorKind::Unsupported => return Err(refused),
        _ => {}
    }
    if !file.path().exists() {
        return Err(ErrorKind::NotFound.into());
    }
    Ok(file)
}

/// Makes a folder below the root such that it survives a loss of power.
fn make_folder(root: &Path, folder: &Path) -> io::Result<()> {
    if folder == root || folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(root);
    let mut tries = 0;
    loop {
        make_folder(root, above)?;
        tries += 1;
        match fs::create_dir(folder) {
            Ok(()) => return sync_folder(above),
            Err(there) if there.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {
                return Ok(());
            }
            Err(gone) if gone.kind() == ErrorKind::NotFound && tries < FOLDER_TRIES => {}
            Err(other) => return Err(other),
        }
    }
}

/// Writes the names in a folder to disk. Only Unix can; elsewhere the file system is trusted.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Waits until the name of an object that is in its place is on disk.
async fn durable(key: &ObjectKey, place: PathBuf) -> Result<(), StagingError> {
    let synced = tokio::task::spawn_blocking(move || match place.parent().map(sync_folder) {
        // The object was deleted meanwhile, and its folder with it.
        Some(Err(gone)) if gone.kind() == ErrorKind::NotFound => Ok(()),
        Some(synced) => synced,
        None => Ok(()),
    });
    let source: Box<dyn std::error::Error + Send + Sync> = match synced.await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(source)) => source.into(),
        Err(source) => source.into(),
    };
    Err(StagingError::Unknown { step: "make durable", key: key.0.clone(), source })
}

/// Opens an object and returns its size; `None` when there is no such object.
fn open_object(place: &Path) -> io::Result<Option<(File, u64)>> {
    let file = match File::open(place) {
        Ok(file) => file,
        Err(none) if is_no_object(&none) => return Ok(None),
        Err(other) => return Err(other),
    };
    let metadata = file.metadata()?;
    Ok(metadata.is_file().then_some((file, metadata.len())))
}

/// Returns whether the error says that no object has the name: nothing is there, a folder is, or
/// something above it is no folder.
fn is_no_object(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory)
}

/// Adds the objects in `folder`, a key without its last slash, and removes dead temporary files.
fn walk(root: &Path, folder: &str, found: &mut Vec<ObjectInfo>) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(folder)) {
        Ok(entries) => entries,
        Err(none) if is_no_object(&none) => return Ok(()),
        Err(other) => return Err(other),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(gone) if gone.kind() == ErrorKind::NotFound => continue,
            Err(other) => return Err(other),
        };
        if metadata.is_file() && name.starts_with(TEMPORARY_PREFIX) {
            remove_if_dead(&entry.path());
        }
        if !keys::is_segment(name) {
            continue;
        }
        let key = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        if metadata.is_dir() {
            walk(root, &key, found)?;
        } else if metadata.is_file() {
            found.push(ObjectInfo { key: ObjectKey(key), size_bytes: metadata.len() });
        }
    }
    Ok(())
}

/// Removes a temporary file whose writer is gone. A failure leaves it for the next listing.
fn remove_if_dead(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    if file.try_lock().is_ok() && fs::remove_file(path).is_ok() {
        tracing::debug!(path = %path.display(), "removed what a dead upload left");
    }
}

/// Runs file calls off the runtime thread.
async fn blocking<T: Send + 'static>(
    step: &'static str,
    key: &ObjectKey,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StagingError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(failure(step, &key.0, source)),
        Err(source) => {
            Err(StagingError::Unknown { step, key: key.0.clone(), source: source.into() })
        }
    }
}

fn failure(step: &'static str, key: &str, source: io::Error) -> StagingError {
    let key = key.to_owned();
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StagingError::Full { step, key }
        }
        _ => StagingError::Store { step, key, source: source.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_told_apart_from_other_failures() {
        let code = |kind: ErrorKind| {
            let error = failure("write", "a/b", kind.into());
            snowferry_model::fault::Fault::code(&error)
        };
        assert_eq!(code(ErrorKind::StorageFull), "STAGING_FULL");
        assert_eq!(code(ErrorKind::QuotaExceeded), "STAGING_FULL");
        assert_eq!(code(ErrorKind::PermissionDenied), "STAGING_STORE");
    }
}
