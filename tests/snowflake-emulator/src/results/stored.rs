//! A finished result: inline rows in memory, chunks in files.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::format::Format;
use crate::types::Column;

/// A folder that goes away with the last result that needs it.
#[derive(Debug)]
pub(crate) struct ResultFolder {
    folder: tempfile::TempDir,
}

impl ResultFolder {
    /// Makes a folder for one result inside `parent`.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub(crate) fn create(parent: &std::path::Path) -> std::io::Result<Self> {
        Ok(Self { folder: tempfile::Builder::new().prefix("result-").tempdir_in(parent)? })
    }

    /// Returns the file of chunk number `index`.
    pub(crate) fn chunk_path(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("{index:06}.gz"))
    }
}

/// One chunk on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredChunk {
    /// Rows in it.
    pub(crate) rows: usize,
    /// Bytes before compression.
    pub(crate) uncompressed_bytes: usize,
    /// Bytes of the gzip file.
    pub(crate) compressed_bytes: usize,
}

/// An encoded result.
#[derive(Clone, Debug)]
pub(crate) struct StoredResult {
    /// The columns.
    pub(crate) columns: Arc<[Column]>,
    /// How rows are encoded.
    pub(crate) format: Format,
    /// The first rows: one Arrow stream, or JSON rows without the outer brackets.
    pub(crate) inline: Bytes,
    /// The rest, in order.
    pub(crate) chunks: Arc<[StoredChunk]>,
    /// All rows.
    pub(crate) total_rows: usize,
    /// Where the chunks lie; none for a result without chunks.
    pub(crate) folder: Option<Arc<ResultFolder>>,
    /// Base64 of the 32 bytes that a chunk request must present.
    pub(crate) chunk_key: Arc<str>,
}

impl StoredResult {
    /// Returns the file of chunk number `index`, if there is one.
    pub(crate) fn chunk_file(&self, index: usize) -> Option<(PathBuf, &StoredChunk)> {
        let chunk = self.chunks.get(index)?;
        let folder = self.folder.as_ref()?;
        Some((folder.chunk_path(index), chunk))
    }

    /// Returns the bytes this result takes in memory and on disk.
    pub(crate) fn stored_bytes(&self) -> usize {
        let on_disk: usize = self.chunks.iter().map(|chunk| chunk.compressed_bytes).sum();
        self.inline.len() + on_disk
    }

    /// Makes a result without rows.
    pub(crate) fn empty(columns: Arc<[Column]>, format: Format) -> Self {
        Self {
            columns,
            format,
            inline: Bytes::new(),
            chunks: Arc::new([]),
            total_rows: 0,
            folder: None,
            chunk_key: "".into(),
        }
    }
}
