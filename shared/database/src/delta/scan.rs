//! Reads a version of a table as a bounded stream.

use arrow::record_batch::RecordBatch;
use futures::stream;
use tokio::sync::mpsc;

use super::parquet_file::ParquetFile;
use super::store_error;
use super::table::Version;
use crate::{BatchStream, BoxError, DatabaseError};

/// Batches that are decoded ahead of the reader.
const AHEAD: usize = 2;

/// Streams the rows of a version, file by file. Dropping the stream stops the reading.
pub(super) fn scan(version: Version) -> BatchStream {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        for file in &version.files {
            if let Err(error) = send_file(&version, &file.path, &sender) {
                // Nobody listens when the stream was dropped.
                let _ = sender.blocking_send(Err(store_error("read", &version.table, error)));
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
    version: &Version,
    path: &str,
    sender: &mpsc::Sender<Result<RecordBatch, DatabaseError>>,
) -> Result<(), BoxError> {
    let file = ParquetFile::open(&version.folder.join(path))?;
    for batch in file.batches(&version.schema, None)? {
        if sender.blocking_send(Ok(batch?)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
