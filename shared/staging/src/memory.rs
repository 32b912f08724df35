//! A store in memory: the fake that engines are tested with.
//!
//! It keeps every promise of [`Staging`], so it passes the same contract suite as the stores that
//! outlive the process. Clones share their objects. Beyond the trait it lets a test look inside
//! ([`MemoryStaging::keys`], [`MemoryStaging::open_uploads`]) and damage what is stored
//! ([`MemoryStaging::overwrite`]), the way a disk or a careless hand would.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use crate::{ObjectInfo, ObjectKey, PutOutcome, Staging, StagingError, Upload, keys};

/// A store of staged objects in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStaging {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    objects: BTreeMap<ObjectKey, Bytes>,
    open_uploads: usize,
}

impl MemoryStaging {
    /// Returns the keys of all objects in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.lock().objects.keys().map(|key| key.0.clone()).collect()
    }

    /// Returns how many uploads have begun and were neither finished nor dropped.
    #[must_use]
    pub fn open_uploads(&self) -> usize {
        self.lock().open_uploads
    }

    /// Puts `body` in the place of whatever has the key, past every rule of the trait.
    pub fn overwrite(&self, key: &ObjectKey, body: impl Into<Bytes>) {
        self.lock().objects.insert(key.clone(), body.into());
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // A panic elsewhere leaves the map whole: every change below is one insert or remove.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Staging for MemoryStaging {
    async fn begin(&self, key: &ObjectKey) -> Result<Box<dyn Upload>, StagingError> {
        keys::check("begin", key)?;
        self.lock().open_uploads += 1;
        Ok(Box::new(MemoryUpload {
            staging: self.clone(),
            key: key.clone(),
            body: BytesMut::new(),
        }))
    }

    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        body: Bytes,
    ) -> Result<PutOutcome, StagingError> {
        keys::check("create", key)?;
        let mut shared = self.lock();
        if shared.objects.contains_key(key) {
            return Ok(PutOutcome::Exists);
        }
        shared.objects.insert(key.clone(), body);
        Ok(PutOutcome::Created)
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StagingError> {
        keys::check("read", key)?;
        Ok(self.lock().objects.get(key).cloned())
    }

    async fn read(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StagingError> {
        keys::check("read", key)?;
        let missing = || StagingError::Missing { key: key.0.clone() };
        let body = self.lock().objects.get(key).cloned().ok_or_else(missing)?;
        let start = usize::try_from(range.start).map_err(|_| missing())?;
        let end = usize::try_from(range.end).map_err(|_| missing())?;
        if start > end || end > body.len() {
            return Err(missing());
        }
        Ok(body.slice(start..end))
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StagingError> {
        let shared = self.lock();
        let from_prefix = shared.objects.range(ObjectKey(prefix.to_owned())..);
        Ok(from_prefix
            .take_while(|(key, _)| key.0.starts_with(prefix))
            .map(|(key, body)| ObjectInfo { key: key.clone(), size_bytes: body.len() as u64 })
            .collect())
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StagingError> {
        keys::check("delete", key)?;
        self.lock().objects.remove(key);
        Ok(())
    }

    fn local_path(&self, _key: &ObjectKey) -> Option<PathBuf> {
        None
    }
}

struct MemoryUpload {
    staging: MemoryStaging,
    key: ObjectKey,
    body: BytesMut,
}

#[async_trait]
impl Upload for MemoryUpload {
    async fn write(&mut self, body: Bytes) -> Result<(), StagingError> {
        self.body.extend_from_slice(&body);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StagingError> {
        let body = std::mem::take(&mut self.body).freeze();
        self.staging.lock().objects.insert(self.key.clone(), body);
        Ok(())
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        self.staging.lock().open_uploads -= 1;
    }
}
