//! Brings staged parts into a table's folder: by hard link where the object lies on the same
//! disk, else by copy. Nothing is encoded a second time.
//!
//! Every attempt uses names of its own, so attempts never meet. A file that no commit names is an
//! orphan: readers never see it. An attempt that fails removes its own; what one that is killed
//! leaves behind, a later vacuum deletes.
//!
//! A hard link shares the object's bytes: a staged object is created once and never written again.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use sha2::{Digest, Sha256};
use snowferry_model::manifest::PartRecord;
use uuid::Uuid;

use super::parquet_file::{ParquetFile, WrittenFile};
use super::statistics;
use super::store_error;
use crate::{BoxError, DatabaseError, StagedParts};

/// Bytes that are copied at a time.
const COPY_BYTES: u64 = 8 * 1024 * 1024;

/// Returns a name that no other file of the table has.
pub(super) fn unique_name() -> String {
    format!("part-{}.parquet", Uuid::new_v4().simple())
}

/// Makes the entries of a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), std::io::Error> {
    File::open(folder)?.sync_all()
}

/// Removes files that no commit names. Best effort: an orphan does no harm.
pub(super) async fn remove_orphans(folder: PathBuf, names: Vec<String>) {
    let removal = tokio::task::spawn_blocking(move || {
        for name in names {
            if let Err(error) = fs::remove_file(folder.join(&name))
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::debug!(%name, %error, "an orphaned file stays");
            }
        }
    });
    if let Err(error) = removal.await {
        tracing::debug!(%error, "orphaned files stay");
    }
}

/// Where a part goes.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) table: String,
    pub(super) folder: PathBuf,
    pub(super) schema: SchemaRef,
}

/// Brings one part with rows into the table's folder and checks it against its record.
pub(super) async fn bring_in(
    to: &Destination,
    name: String,
    part: &PartRecord,
    parts: &dyn StagedParts,
) -> Result<WrittenFile, DatabaseError> {
    let path = to.folder.join(&name);
    let local = parts.local_path(part);
    if local.is_none() {
        download(to, &path, part, parts).await?;
    }
    let (to, part, table) = (to.clone(), part.clone(), to.table.clone());
    let work = tokio::task::spawn_blocking(move || {
        if let Some(local) = local {
            link_or_copy(&to, &local, &path, &part)?;
        }
        verify(&to, &path, &part)?;
        let stats = statistics::to_json(part.rows, &to.schema, &part.columns);
        Ok(WrittenFile { name, rows: part.rows, size_bytes: part.size_bytes, stats })
    });
    work.await.unwrap_or_else(|error| Err(store_error("write into", &table, error)))
}

fn part_error(to: &Destination, part: &PartRecord, source: BoxError) -> DatabaseError {
    DatabaseError::Part { table: to.table.clone(), part: part.object.clone(), source }
}

/// Copies a part from wherever it is staged, a range at a time.
async fn download(
    to: &Destination,
    path: &Path,
    part: &PartRecord,
    parts: &dyn StagedParts,
) -> Result<(), DatabaseError> {
    let write = |source: std::io::Error| store_error("write into", &to.table, source);
    let file = Arc::new(File::options().write(true).create_new(true).open(path).map_err(write)?);
    let mut hash = Sha256::new();
    let mut from = 0;
    while from < part.size_bytes {
        let end = part.size_bytes.min(from + COPY_BYTES);
        let bytes = parts.read(part, from..end).await.map_err(|e| part_error(to, part, e))?;
        if bytes.len() as u64 != end - from {
            return Err(part_error(to, part, "it ends before its recorded size".into()));
        }
        hash.update(&bytes);
        let target = Arc::clone(&file);
        let written = tokio::task::spawn_blocking(move || target.as_ref().write_all(&bytes));
        written.await.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(write)?;
        from = end;
    }
    check_hash(to, part, hash)?;
    let synced = tokio::task::spawn_blocking(move || file.sync_all());
    synced.await.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(write)
}

fn check_hash(to: &Destination, part: &PartRecord, hash: Sha256) -> Result<(), DatabaseError> {
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == part.sha256 {
        return Ok(());
    }
    Err(part_error(to, part, "its SHA-256 is not the recorded one".into()))
}

fn link_or_copy(
    to: &Destination,
    local: &Path,
    path: &Path,
    part: &PartRecord,
) -> Result<(), DatabaseError> {
    let size = fs::metadata(local).map_err(|error| part_error(to, part, error.into()))?.len();
    if size != part.size_bytes {
        let reason = format!("it has {size} bytes, its record says {}", part.size_bytes);
        return Err(part_error(to, part, reason.into()));
    }
    let write = |source: std::io::Error| store_error("write into", &to.table, source);
    if fs::hard_link(local, path).is_ok() {
        return File::open(path).and_then(|file| file.sync_all()).map_err(write);
    }
    // Another disk, or one without links.
    let mut source = File::open(local).map_err(|error| part_error(to, part, error.into()))?;
    let mut target = File::options().write(true).create_new(true).open(path).map_err(write)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = source.read(&mut buffer).map_err(|error| part_error(to, part, error.into()))?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        hash.update(bytes);
        target.write_all(bytes).map_err(write)?;
    }
    target.sync_all().map_err(write)?;
    check_hash(to, part, hash)
}

/// Tests that the file is what the manifest and the plan say.
fn verify(to: &Destination, path: &Path, part: &PartRecord) -> Result<(), DatabaseError> {
    let file = ParquetFile::open(path).map_err(|error| part_error(to, part, error))?;
    if file.rows() != part.rows {
        let reason = format!("it holds {} rows, its record says {}", file.rows(), part.rows);
        return Err(part_error(to, part, reason.into()));
    }
    file.check(&to.schema).map_err(|error| part_error(to, part, error))
}
