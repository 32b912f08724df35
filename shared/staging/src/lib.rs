//! Staged Parquet objects and manifests.
//!
//! [`Staging`] is a store of whole objects with one conditional write: an object that is created
//! once and never changed ([`Staging::put_if_absent`]). Part data is streamed through an
//! [`Upload`] and becomes visible only when it is finished; a dropped upload leaves nothing that
//! [`Staging::list`] shows.
//!
//! - [`keys`], [`push_keys`]: where each object of a slice lives.
//! - [`stored`]: small JSON objects that are created once, and read back when nobody answered.
//! - [`part`]: batches → Parquet with exact statistics, in bounded memory, off the runtime thread.
//! - [`memory`]: a store in memory; the fake.
//! - `local` (feature): a folder on this machine.
//! - `s3` (feature): a bucket of S3.
//! - `contract` (feature): the suite that every store passes.

use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;

#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod keys;
#[cfg(feature = "local")]
pub mod local;
pub mod memory;
pub mod part;
pub mod push_keys;
#[cfg(feature = "s3")]
pub mod s3;
pub mod stored;
#[cfg(test)]
mod tests;

pub use error::StagingError;

/// The key of an object: segments of `[A-Za-z0-9._%$-]`, joined by `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(pub String);

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a create-once write created the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// The object is there with our body.
    Created,
    /// An object was there before; it is unchanged.
    Exists,
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The key.
    pub key: ObjectKey,
    /// The size.
    pub size_bytes: u64,
}

/// A store of staged objects. Every store passes the contract suite.
#[async_trait]
pub trait Staging: Send + Sync {
    /// Begins an object. Nothing is visible before [`Upload::finish`]; dropping it aborts.
    async fn begin(&self, key: &ObjectKey) -> Result<Box<dyn Upload>, StagingError>;

    /// Creates a small object if no object has the key, in one atomic step.
    ///
    /// # Errors
    /// [`StagingError::Unknown`] when no answer came; read the object before deciding.
    async fn put_if_absent(&self, key: &ObjectKey, body: Bytes)
    -> Result<PutOutcome, StagingError>;

    /// Reads a small object; `None` when there is certainly none.
    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StagingError>;

    /// Reads some bytes of an object.
    ///
    /// # Errors
    /// [`StagingError::Missing`] when there is no such object or it is shorter.
    async fn read(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StagingError>;

    /// Lists the objects whose key begins with `prefix`, in the order of their keys.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StagingError>;

    /// Deletes an object; one that is not there is fine.
    async fn delete(&self, key: &ObjectKey) -> Result<(), StagingError>;

    /// Returns where the object lies on this machine's disk, if it does.
    fn local_path(&self, key: &ObjectKey) -> Option<PathBuf>;
}

/// An object being written.
#[async_trait]
pub trait Upload: Send {
    /// Appends bytes.
    async fn write(&mut self, body: Bytes) -> Result<(), StagingError>;

    /// Makes the object visible, whole and durable.
    async fn finish(self: Box<Self>) -> Result<(), StagingError>;
}
