//! Reads files of a version as a bounded stream.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::stream;
use tokio::sync::mpsc;

use super::parquet_file::ParquetFile;
use super::store_error;
use super::table::Version;
use crate::{BatchStream, BoxError, DatabaseError};

/// Batches that are decoded ahead of the reader.
const AHEAD: usize = 2;

/// Brings the files of a table that is not in a folder of this machine.
#[cfg_attr(not(feature = "s3"), expect(dead_code, reason = "only a bucket brings files"))]
pub(super) trait Fetch: std::fmt::Debug + Send + Sync {
    /// Brings one file by its path in the table; on a thread that may wait. One that is not there
    /// is an I/O error of the kind `NotFound`.
    fn fetch(&self, path: &str) -> Result<Brought, BoxError>;
}

/// A file that was brought; removed when this is dropped.
#[derive(Debug)]
pub(super) struct Brought(pub(super) PathBuf);

impl Drop for Brought {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "remove a file that was read");
        }
    }
}

/// What is read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The table, for messages.
    pub(super) table: String,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// The version that names the files.
    pub(super) table_version: u64,
    /// The wanted columns.
    pub(super) schema: SchemaRef,
    /// The files, in the order in which they are read.
    pub(super) paths: Vec<String>,
    /// What brings the files; `None` when they are in the folder.
    pub(super) fetch: Option<Arc<dyn Fetch>>,
}

impl Reading {
    /// Reads all columns of all files.
    pub(super) fn whole(version: Version) -> Self {
        Self {
            table_version: version.number(),
            table: version.table,
            folder: version.folder,
            schema: version.schema,
            paths: version.files.into_iter().map(|file| file.path).collect(),
            fetch: None,
        }
    }

    /// Streams the rows, file by file. Dropping the stream stops the reading.
    pub(super) fn stream(self) -> BatchStream {
        let (sender, receiver) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            for path in &self.paths {
                if let Err(error) = self.send_file(path, &sender) {
                    // Nobody listens when the stream was dropped.
                    let _ = sender.blocking_send(Err(self.failed(error)));
                    return;
                }
                if sender.is_closed() {
                    return;
                }
            }
        });
        Box::pin(stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|item| (item, receiver))
        }))
    }

    fn send_file(
        &self,
        path: &str,
        sender: &mpsc::Sender<Result<RecordBatch, DatabaseError>>,
    ) -> Result<(), BoxError> {
        let brought = self.fetch.as_ref().map(|files| files.fetch(path)).transpose()?;
        let file = match &brought {
            Some(brought) => ParquetFile::open(&brought.0)?,
            None => ParquetFile::open(&self.folder.join(path))?,
        };
        for batch in file.batches(&self.schema, None)? {
            if sender.blocking_send(Ok(batch?)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A file that is not there was taken away by maintenance.
    fn failed(&self, source: BoxError) -> DatabaseError {
        let io = source.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            let (table, table_version) = (self.table.clone(), self.table_version);
            return DatabaseError::SnapshotGone { table, table_version, source };
        }
        store_error("read", &self.table, source)
    }
}
