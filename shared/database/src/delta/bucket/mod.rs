//! The same Delta tables in a bucket of S3.
//!
//! A load works in a folder of its own and puts the outcome into the bucket:
//! 1. bring the table's log, from its last checkpoint on, and the data files that may hold a key
//!    of the manifest, by their statistics; files are never changed, so a copy is as good;
//! 2. let [`DeltaDatabase`] load into that folder: it reads the ledger, decides, writes files and
//!    a commit;
//! 3. put the new data files, then the commit, which S3 creates only if no commit has its number.
//!    Had another come between, the folder is thrown away, and it goes on at 1.
//!
//! Killed before the commit is put, it leaves orphaned files and the table as it was; after it,
//! the table and the ledger are at n. A commit whose answer was lost is read back: its text is
//! its own.
//!
//! Queries read a version's files one by one ([`reading`]).
//!
//! Gaps: an upsert needs disk for the files whose keys the manifest's may meet; parts pass through
//! this machine instead of being copied inside S3.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use serde::Deserialize;
use snowferry_model::manifest::Manifest;
use snowferry_model::plan::TablePlan;
use snowferry_model::slice::Apply;
use snowferry_model::state::{LedgerPosition, StreamKey};
use tempfile::TempDir;

#[cfg(feature = "query")]
mod reading;

use super::statistics::{self, Range};
use super::table::TableFile;
use super::{DeltaDatabase, DeltaOptions, MAX_ATTEMPTS, store_error};
use crate::keys::UniqueColumns;
use crate::{
    BatchStream, BoxError, Database, DatabaseError, LoadRequest, Loaded, StagedParts, TableSummary,
};

/// The folder of a table's log.
const LOG: &str = "_delta_log";

/// What the names of work folders begin with, in the folder for temporary files.
const WORK_PREFIX: &str = "snowferry-lake-";

/// How the names of checkpoints end, after the twenty digits of their version.
const CHECKPOINT: &str = ".checkpoint.parquet";

/// The object that names the newest checkpoint.
const LAST_CHECKPOINT: &str = "_last_checkpoint";

/// Delta Lake tables below a prefix of a bucket.
#[derive(Clone, Debug)]
pub struct BucketDelta {
    client: Client,
    bucket: String,
    /// Empty, or ends with a slash.
    prefix: String,
    options: DeltaOptions,
}

/// Removes the work folders that killed processes left. Only for a machine of our own: a folder
/// that another process works in would go too.
pub fn remove_leftovers() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(WORK_PREFIX)
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!(%error, "a work folder stays");
        }
    }
}

/// Where a table lies in the bucket, and how messages name it.
#[derive(Clone, Debug)]
struct Place {
    table: String,
    /// Ends with a slash.
    prefix: String,
}

impl Place {
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// A folder that mirrors what is needed of one table.
struct Mirror {
    /// Removes the folder when it is dropped.
    _folder: TempDir,
    local: DeltaDatabase,
    place: Place,
    table: PathBuf,
    /// The files of the log that were in the bucket.
    log: BTreeSet<String>,
}

impl BucketDelta {
    /// Takes a client, which brings credentials, timeouts and retries, and the place of the
    /// tables. Sends nothing.
    #[must_use]
    pub fn new(client: Client, bucket: impl Into<String>, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { client, bucket: bucket.into(), prefix, options: DeltaOptions::default() }
    }

    /// Returns the address of a table, as readers of Delta tables take it.
    #[must_use]
    pub fn location(&self, stream: &StreamKey) -> String {
        format!("s3://{}/{}", self.bucket, self.place(stream).prefix.trim_end_matches('/'))
    }

    /// Returns where a table lies.
    fn place(&self, stream: &StreamKey) -> Place {
        let folder = super::folder_name(stream);
        let prefix = format!("{}{}/{folder}/", self.prefix, stream.connection);
        Place { table: stream.to_string(), prefix }
    }

    /// Brings the log of a table into a new folder.
    async fn mirror(&self, stream: &StreamKey) -> Result<Mirror, DatabaseError> {
        let place = self.place(stream);
        let folder = work_folder(&place.table)?;
        let local = DeltaDatabase::open_with(folder.path(), self.options)?;
        let table = local.folder(stream);
        let log = self.bring_log(&place, &table, None).await?;
        Ok(Mirror { _folder: folder, local, place, table, log })
    }

    /// Brings the log of a table into a folder, from its last checkpoint on, and returns the names
    /// of all its files. Up to a version by its number, if that is wanted.
    async fn bring_log(
        &self,
        place: &Place,
        folder: &Path,
        up_to: Option<u64>,
    ) -> Result<BTreeSet<String>, DatabaseError> {
        let failed = |source: std::io::Error| store_error("open", &place.table, source);
        let all = self.list(place, &format!("{LOG}/")).await?;
        let since = match up_to {
            // What the newest checkpoint is called helps only who wants the newest version.
            Some(number) => all
                .iter()
                .filter_map(|name| name.strip_suffix(CHECKPOINT)?.parse().ok())
                .filter(|version: &u64| *version <= number)
                .max()
                .unwrap_or(0),
            None => self.last_checkpoint(place, &all).await?,
        };
        if !all.is_empty() {
            tokio::fs::create_dir_all(folder.join(LOG)).await.map_err(failed)?;
        }
        let needed = |name: &&String| match (version_of(name), up_to) {
            (Some(version), Some(number)) => (since..=number).contains(&version),
            (Some(version), None) => version >= since,
            (None, up_to) => up_to.is_none(),
        };
        for name in all.iter().filter(needed) {
            let body = self.get(place, &format!("{LOG}/{name}")).await?;
            let body =
                body.ok_or_else(|| store_error("open", &place.table, "its log is being cleaned"))?;
            tokio::fs::write(folder.join(LOG).join(name), body).await.map_err(failed)?;
        }
        Ok(all)
    }

    /// Returns the version of the newest checkpoint; 0 when there is none.
    async fn last_checkpoint(
        &self,
        place: &Place,
        log: &BTreeSet<String>,
    ) -> Result<u64, DatabaseError> {
        if log.contains(LAST_CHECKPOINT)
            && let Some(hint) = self.get(place, &format!("{LOG}/{LAST_CHECKPOINT}")).await?
        {
            let hint: Checkpoint = serde_json::from_slice(&hint)
                .map_err(|error| store_error("open", &place.table, error))?;
            return Ok(hint.version);
        }
        Ok(0)
    }

    /// Brings data files into the mirror.
    async fn bring(&self, mirror: &Mirror, files: &[TableFile]) -> Result<(), DatabaseError> {
        let table = &mirror.place.table;
        for file in files {
            let to = mirror.table.join(&file.path);
            let brought = self.bring_file(&mirror.place, &file.path, &to).await;
            brought.map_err(|error| store_error("read", table, error))?;
        }
        Ok(())
    }

    /// Brings one data file; one that is not there is an error of the kind `NotFound`.
    async fn bring_file(&self, place: &Place, name: &str, to: &Path) -> Result<(), BoxError> {
        let read = self.client.get_object().bucket(&self.bucket).key(place.key(name));
        let found = match read.send().await {
            Ok(found) => found,
            Err(error) if error.code() == Some("NoSuchKey") => {
                let reason = format!("{name} is missing");
                return Err(std::io::Error::new(std::io::ErrorKind::NotFound, reason).into());
            }
            Err(error) => return Err(told(error)),
        };
        let mut body = found.body.into_async_read();
        let mut to = tokio::fs::File::create(to).await?;
        tokio::io::copy(&mut body, &mut to).await?;
        tokio::io::AsyncWriteExt::flush(&mut to).await?;
        Ok(())
    }

    /// Puts what a load wrote; `false` when another commit came first.
    async fn publish(&self, mirror: &Mirror) -> Result<bool, DatabaseError> {
        let place = &mirror.place;
        let failed = |error: BoxError| store_error("write into", &place.table, error);
        let written = log_files(&mirror.table.join(LOG)).map_err(|error| failed(error.into()))?;
        let fresh: Vec<&String> =
            written.iter().filter(|name| !mirror.log.contains(*name)).collect();
        for name in fresh.iter().filter(|name| name.ends_with(".json")) {
            let path = mirror.table.join(LOG).join(name);
            let body = tokio::fs::read(path).await.map_err(|error| failed(error.into()))?;
            for file in added(&body).map_err(|error| failed(error.into()))? {
                self.put_file(place, &file, &mirror.table.join(&file)).await?;
            }
            if !self.put_once(place, &format!("{LOG}/{name}"), body.into()).await? {
                return Ok(false);
            }
        }
        // Checkpoints only make reading cheaper: readers do without.
        for name in fresh.iter().filter(|name| !name.ends_with(".json")) {
            let name = format!("{LOG}/{name}");
            if let Err(error) = self.put_file(place, &name, &mirror.table.join(&name)).await {
                tracing::debug!(%error, "a checkpoint is not put");
            }
        }
        Ok(true)
    }

    /// Puts an object that nobody else writes.
    async fn put_file(&self, place: &Place, name: &str, path: &Path) -> Result<(), DatabaseError> {
        let table = &place.table;
        let body = ByteStream::from_path(path).await;
        let body = body.map_err(|error| store_error("write into", table, error))?;
        let put = self.client.put_object().bucket(&self.bucket).key(place.key(name));
        put.body(body)
            .send()
            .await
            .map_err(|error| store_error("write into", table, told(error)))?;
        Ok(())
    }

    /// Puts an object unless there is one; `false` when there is another.
    async fn put_once(
        &self,
        place: &Place,
        name: &str,
        body: Bytes,
    ) -> Result<bool, DatabaseError> {
        let put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(place.key(name))
            .if_none_match("*")
            .body(ByteStream::from(body.clone()));
        let Err(error) = put.send().await else { return Ok(true) };
        let table = &place.table;
        let refused = matches!(&error, SdkError::ServiceError(answer)
            if (400..500).contains(&answer.raw().status().as_u16()));
        let source = told(error);
        // An answer may have been lost before the retry that was refused: our own commit is there.
        match self.get(place, name).await {
            Ok(Some(found)) => Ok(found == body),
            Ok(None) if refused => Err(store_error("load", table, source)),
            _ => Err(DatabaseError::Unknown { table: table.clone(), source }),
        }
    }

    async fn get(&self, place: &Place, name: &str) -> Result<Option<Bytes>, DatabaseError> {
        let table = &place.table;
        let read = self.client.get_object().bucket(&self.bucket).key(place.key(name));
        let found = match read.send().await {
            Ok(found) => found,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) => return Err(store_error("read", table, told(error))),
        };
        let body = found.body.collect().await;
        Ok(Some(body.map_err(|error| store_error("read", table, error))?.into_bytes()))
    }

    /// Lists the names right below a folder of a table.
    async fn list(&self, place: &Place, folder: &str) -> Result<BTreeSet<String>, DatabaseError> {
        let prefix = place.key(folder);
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(&prefix);
        let mut pages = list.into_paginator().send();
        let mut names = BTreeSet::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| store_error("open", &place.table, told(error)))?;
            let found =
                page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key);
            let below = found.filter_map(|key| key.strip_prefix(&prefix).map(str::to_owned));
            names.extend(below.filter(|name| !name.contains('/')));
        }
        Ok(names)
    }

    /// Returns the files that a load may have to read.
    async fn needed(
        &self,
        request: LoadRequest<'_>,
        mirror: &Mirror,
    ) -> Result<Vec<TableFile>, DatabaseError> {
        let (Apply::Upsert { .. }, Some(unique)) =
            (&request.manifest.apply, request.manifest.apply.unique())
        else {
            return Ok(Vec::new());
        };
        let Some(version) = mirror.local.version(request.stream).await? else {
            return Ok(Vec::new());
        };
        let table = request.stream.to_string();
        let columns = UniqueColumns::resolve(&table, request.plan, &unique)?;
        Ok(candidates(version.files, &columns, request.plan, request.manifest))
    }
}

#[async_trait]
impl Database for BucketDelta {
    async fn ledger(&self, stream: &StreamKey) -> Result<Option<LedgerPosition>, DatabaseError> {
        self.mirror(stream).await?.local.ledger(stream).await
    }

    async fn load(
        &self,
        request: LoadRequest<'_>,
        parts: &dyn StagedParts,
    ) -> Result<Loaded, DatabaseError> {
        for _ in 0..MAX_ATTEMPTS {
            let mirror = self.mirror(request.stream).await?;
            let needed = self.needed(request, &mirror).await?;
            self.bring(&mirror, &needed).await?;
            let loaded = mirror.local.load(request, parts).await?;
            if loaded == Loaded::Already || self.publish(&mirror).await? {
                return Ok(loaded);
            }
        }
        let table = request.stream.to_string();
        Err(store_error("load", &table, "other programs keep committing to the table"))
    }

    async fn summary(&self, stream: &StreamKey) -> Result<Option<TableSummary>, DatabaseError> {
        let mirror = self.mirror(stream).await?;
        let summary = mirror.local.summary(stream).await?;
        Ok(summary.map(|summary| TableSummary { location: self.location(stream), ..summary }))
    }

    async fn scan(&self, stream: &StreamKey) -> Result<BatchStream, DatabaseError> {
        let mirror = self.mirror(stream).await?;
        if let Some(version) = mirror.local.version(stream).await? {
            self.bring(&mirror, &version.files).await?;
        }
        let batches = mirror.local.scan(stream).await?;
        // The folder lives as long as somebody reads from it.
        let kept = Arc::new(mirror);
        Ok(Box::pin(futures::StreamExt::map(batches, move |batch| {
            let _ = &kept;
            batch
        })))
    }
}

/// Makes a folder of its own for some work.
fn work_folder(table: &str) -> Result<TempDir, DatabaseError> {
    TempDir::with_prefix(WORK_PREFIX).map_err(|error| store_error("open", table, error))
}

/// What `_last_checkpoint` says, as far as it is needed.
#[derive(Deserialize)]
struct Checkpoint {
    version: u64,
}

/// A line of a commit, as far as it is needed.
#[derive(Deserialize)]
struct Line {
    add: Option<Added>,
}

#[derive(Deserialize)]
struct Added {
    path: String,
}

/// Returns the data files that a commit adds.
fn added(commit: &[u8]) -> Result<Vec<String>, serde_json::Error> {
    let mut files = Vec::new();
    for line in commit.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line = serde_json::from_slice(line)?;
        files.extend(line.add.map(|added| added.path));
    }
    Ok(files)
}

/// Returns the names in a log's folder, in order.
fn log_files(folder: &Path) -> std::io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file()
            && let Some(name) = entry.file_name().to_str()
            && (version_of(name).is_some() || name == LAST_CHECKPOINT)
        {
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}

/// Returns the version that a file of the log belongs to: its first twenty digits.
fn version_of(name: &str) -> Option<u64> {
    name.get(..20)?.parse().ok()
}

/// Returns the files whose statistics do not rule out that they hold a key of the manifest.
fn candidates(
    files: Vec<TableFile>,
    columns: &UniqueColumns,
    plan: &TablePlan,
    manifest: &Manifest,
) -> Vec<TableFile> {
    let schema = plan.schema();
    let mut wanted = Vec::new();
    let mut incoming = Vec::new();
    for name in columns.key_names() {
        if let (Some(range), Ok(field)) = (range_of(manifest, name), schema.field_with_name(name)) {
            wanted.push((name.to_owned(), field.data_type().clone()));
            incoming.push(range);
        }
    }
    let may_meet = |file: &TableFile| {
        let Some(stats) = &file.stats else { return true };
        let stored = statistics::ranges(stats, &wanted);
        stored.iter().zip(&incoming).all(|(stored, incoming)| {
            stored.as_ref().is_none_or(|stored| stored.overlaps(incoming))
        })
    };
    files.into_iter().filter(may_meet).collect()
}

/// Returns the range of a column over all parts; `None` where a part does not tell.
fn range_of(manifest: &Manifest, name: &str) -> Option<Range> {
    let mut all: Option<Range> = None;
    for part in manifest.parts.iter().filter(|part| part.rows > 0) {
        let column = part.columns.iter().find(|column| column.name == name)?;
        let (min, max) = (column.min.clone()?, column.max.clone()?);
        all = Some(match all {
            None => Range { min, max },
            Some(before) => Range {
                min: if min.compare(&before.min)?.is_lt() { min } else { before.min },
                max: if max.compare(&before.max)?.is_gt() { max } else { before.max },
            },
        });
    }
    all
}

/// Keeps the code and the message of an answer; the SDK's own form may print whole headers.
fn told<E>(error: SdkError<E>) -> BoxError
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("S3 answered {code}: {message}").into(),
        (Some(code), None) => format!("S3 answered {code}").into(),
        (None, _) => error.into(),
    }
}
