//! A bucket of S3, below a prefix.
//!
//! Small objects are created by one `PutObject` with `If-None-Match: *`; parts are sent from
//! memory as multipart uploads, eight mebibytes at a time, each with a checksum that S3 verifies.
//! Nothing touches a disk.
//!
//! Every write notes a name of its own in the object's metadata. When no certain answer came, or
//! when the object was there already, the object is looked at: a write whose answer was lost, and
//! which a retry then met as a conflict, is recognised as ours.
//!
//! | S3 says | it means |
//! |---|---|
//! | 404 `NoSuchKey` | there is no object |
//! | 404 `NoSuchBucket`, 403 | the store is broken; never "absent". Without `s3:ListBucket` S3 answers 403 for a missing key |
//! | 412 | an object is there, maybe our own |
//! | 409 `ConditionalRequestConflict` | two writes met, ours did nothing; tried again |
//! | 5xx, no answer | a write may have happened |
//!
//! Retries, their budget and the timeouts are those of the client that is given: there is one
//! retry layer, and it is the SDK's.
//!
//! A killed process leaves an upload that no listing shows; the bucket's lifecycle rule aborts it
//! after a day.

use std::ops::Range;
use std::path::PathBuf;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::Bytes;
use uuid::Uuid;

use crate::{ObjectInfo, ObjectKey, PutOutcome, Staging, StagingError, Upload, keys};

mod outcome;
mod upload;

use outcome::{Certainty, certainty, is_absent, store_error, write_error};
use upload::S3Upload;

/// The metadata that names the write an object comes from.
const WRITER: &str = "snowferry-writer";

/// How often a conditional write that met another one is tried again. Each loser learns of the
/// winner by a 412 as soon as that one is done.
const CONFLICT_TRIES: u32 = 8;

/// Objects below a prefix of a bucket. Cheap to clone.
#[derive(Clone, Debug)]
pub struct S3Staging {
    client: Client,
    bucket: String,
    /// Empty, or ends with a slash.
    prefix: String,
}

impl S3Staging {
    /// Takes a client, which brings credentials, timeouts and retries, and the place of the
    /// objects. Sends nothing.
    #[must_use]
    pub fn new(client: Client, bucket: impl Into<String>, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { client, bucket: bucket.into(), prefix }
    }

    /// Returns the name of an object within the bucket.
    fn name(&self, step: &'static str, key: &ObjectKey) -> Result<String, StagingError> {
        keys::check(step, key)?;
        Ok(format!("{}{}", self.prefix, key.0))
    }

    /// Returns who wrote an object; `None` when there is certainly no object.
    async fn writer_of(&self, key: &ObjectKey) -> Result<Option<String>, StagingError> {
        let name = self.name("look at", key)?;
        match self.client.head_object().bucket(&self.bucket).key(name).send().await {
            Ok(found) => {
                let writer = found.metadata().and_then(|metadata| metadata.get(WRITER));
                Ok(Some(writer.cloned().unwrap_or_default()))
            }
            // The answer to HEAD has no body, so a missing bucket looks like a missing object.
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(store_error("look at", key, error)),
        }
    }

    /// After a write without a certain answer: is the object that is there ours?
    async fn is_ours(&self, key: &ObjectKey, writer: &str) -> Result<bool, StagingError> {
        Ok(self.writer_of(key).await?.is_some_and(|found| found == writer))
    }

    /// Reads some bytes; `None` when there is certainly no object.
    async fn fetch(
        &self,
        step: &'static str,
        key: &ObjectKey,
        range: Option<String>,
    ) -> Result<Option<Bytes>, StagingError> {
        let name = self.name(step, key)?;
        let request = self.client.get_object().bucket(&self.bucket).key(name).set_range(range);
        let found = match request.send().await {
            Ok(found) => found,
            Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
            Err(error) if error.code() == Some("InvalidRange") => {
                return Err(StagingError::Missing { key: key.0.clone() });
            }
            Err(error) => return Err(store_error(step, key, error)),
        };
        let body = found.body.collect().await.map_err(|source| StagingError::Store {
            step,
            key: key.0.clone(),
            source: source.into(),
        })?;
        Ok(Some(body.into_bytes()))
    }
}

#[async_trait]
impl Staging for S3Staging {
    async fn begin(&self, key: &ObjectKey) -> Result<Box<dyn Upload>, StagingError> {
        let name = self.name("begin", key)?;
        Ok(Box::new(S3Upload::new(self.clone(), key.clone(), name)))
    }

    async fn put_if_absent(
        &self,
        key: &ObjectKey,
        body: Bytes,
    ) -> Result<PutOutcome, StagingError> {
        let name = self.name("create", key)?;
        let writer = Uuid::new_v4().to_string();
        let mut tries_left = CONFLICT_TRIES;
        loop {
            tries_left -= 1;
            let sent = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(&name)
                .if_none_match("*")
                .metadata(WRITER, &writer)
                .checksum_algorithm(ChecksumAlgorithm::Crc32)
                .body(ByteStream::from(body.clone()))
                .send()
                .await;
            let Err(error) = sent else { return Ok(PutOutcome::Created) };
            match certainty(&error) {
                Certainty::Met if tries_left > 0 => {}
                Certainty::Exists => {
                    let ours = self.is_ours(key, &writer).await?;
                    return Ok(if ours { PutOutcome::Created } else { PutOutcome::Exists });
                }
                Certainty::Unknown if matches!(self.is_ours(key, &writer).await, Ok(true)) => {
                    return Ok(PutOutcome::Created);
                }
                _ => return Err(write_error("create", key, error)),
            }
        }
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<Bytes>, StagingError> {
        self.fetch("read", key, None).await
    }

    async fn read(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes, StagingError> {
        let missing = || StagingError::Missing { key: key.0.clone() };
        let Some(last) = range.end.checked_sub(1).filter(|last| *last >= range.start) else {
            // HTTP knows no empty range: the object has only to be long enough.
            let name = self.name("read", key)?;
            let request = self.client.head_object().bucket(&self.bucket).key(name);
            return match request.send().await {
                Ok(found) => {
                    let length = found.content_length().and_then(|bytes| u64::try_from(bytes).ok());
                    length.filter(|length| *length >= range.end).ok_or_else(missing)?;
                    Ok(Bytes::new())
                }
                Err(error) if is_absent(&error) => Err(missing()),
                Err(error) => Err(store_error("read", key, error)),
            };
        };
        let header = format!("bytes={}-{last}", range.start);
        let body = self.fetch("read", key, Some(header)).await?.ok_or_else(missing)?;
        if body.len() as u64 == range.end - range.start { Ok(body) } else { Err(missing()) }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StagingError> {
        let key = ObjectKey(prefix.to_owned());
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(format!("{}{prefix}", self.prefix))
            .into_paginator()
            .send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| store_error("list", &key, error))?;
            for object in page.contents.unwrap_or_default() {
                let name = object.key.as_deref().and_then(|name| name.strip_prefix(&self.prefix));
                let size = object.size.and_then(|bytes| u64::try_from(bytes).ok());
                if let (Some(name), Some(size_bytes)) = (name, size) {
                    found.push(ObjectInfo { key: ObjectKey(name.to_owned()), size_bytes });
                }
            }
        }
        Ok(found)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), StagingError> {
        let name = self.name("delete", key)?;
        match self.client.delete_object().bucket(&self.bucket).key(name).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(store_error("delete", key, error)),
        }
    }

    fn local_path(&self, _key: &ObjectKey) -> Option<PathBuf> {
        None
    }
}
