//! An object on its way into the bucket: one request if it is small, a multipart upload if not.
//!
//! At most two blocks are in memory: one being filled, one being sent.

use async_trait::async_trait;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use aws_smithy_types::byte_stream::ByteStream;
use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::outcome::{Certainty, certainty, write_error};
use super::{S3Staging, WRITER};
use crate::{ObjectKey, StagingError, Upload};

/// The size of a block. S3 takes 10,000 of at least 5 MiB each, so an object may have 78 GiB.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const BLOCK_BYTES: usize = 8 << 20;

/// The tag by which the bucket's lifecycle rule knows batches, which expire, from plans and
/// manifests, which stay.
const BATCH_TAG: &str = "snowferry=batch";

type Sent = Result<CompletedPart, StagingError>;

/// An object being written.
pub(super) struct S3Upload {
    staging: S3Staging,
    key: ObjectKey,
    name: String,
    writer: String,
    filling: BytesMut,
    /// `None` before the first full block.
    upload_id: Option<String>,
    parts: Vec<CompletedPart>,
    sending: Option<JoinHandle<Sent>>,
}

impl S3Upload {
    pub(super) fn new(staging: S3Staging, key: ObjectKey, name: String) -> Self {
        Self {
            staging,
            key,
            name,
            writer: Uuid::new_v4().to_string(),
            filling: BytesMut::new(),
            upload_id: None,
            parts: Vec::new(),
            sending: None,
        }
    }

    /// Returns the upload's id, beginning the upload if it has not begun.
    async fn upload_id(&mut self) -> Result<String, StagingError> {
        if let Some(id) = &self.upload_id {
            return Ok(id.clone());
        }
        let begun = self
            .staging
            .client
            .create_multipart_upload()
            .bucket(&self.staging.bucket)
            .key(&self.name)
            .metadata(WRITER, &self.writer)
            .tagging(BATCH_TAG)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .send()
            .await
            .map_err(|error| write_error("begin", &self.key, error))?;
        let id = begun.upload_id().ok_or_else(|| StagingError::Corrupt {
            key: self.key.0.clone(),
            reason: "S3 began an upload without an id".to_owned(),
        })?;
        self.upload_id = Some(id.to_owned());
        Ok(id.to_owned())
    }

    /// Waits for the block that is being sent.
    async fn settle(&mut self) -> Result<(), StagingError> {
        let Some(sending) = self.sending.take() else { return Ok(()) };
        let sent = sending.await.map_err(|source| StagingError::Store {
            step: "write",
            key: self.key.0.clone(),
            source: source.into(),
        })?;
        self.parts.push(sent?);
        Ok(())
    }

    /// Starts to send a block, after the one before it has arrived.
    async fn send(&mut self, block: Bytes) -> Result<(), StagingError> {
        self.settle().await?;
        let id = self.upload_id().await?;
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let key = self.key.clone();
        let request = self
            .staging
            .client
            .upload_part()
            .bucket(&self.staging.bucket)
            .key(&self.name)
            .upload_id(id)
            .part_number(number)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(ByteStream::from(block));
        self.sending = Some(tokio::spawn(async move {
            let sent = request.send().await.map_err(|error| write_error("write", &key, error))?;
            Ok(CompletedPart::builder()
                .part_number(number)
                .set_e_tag(sent.e_tag)
                .set_checksum_crc32(sent.checksum_crc32)
                .build())
        }));
        Ok(())
    }

    async fn put_whole(&self, body: Bytes) -> Result<(), StagingError> {
        let request = self
            .staging
            .client
            .put_object()
            .bucket(&self.staging.bucket)
            .key(&self.name)
            .metadata(WRITER, &self.writer)
            .tagging(BATCH_TAG)
            .checksum_algorithm(ChecksumAlgorithm::Crc32)
            .body(ByteStream::from(body));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => {
                let unknown = certainty(&error) == Certainty::Unknown;
                self.settled(unknown, write_error("finish", &self.key, error)).await
            }
        }
    }

    async fn complete(&mut self, id: String) -> Result<(), StagingError> {
        let parts =
            CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut self.parts)));
        let request = self
            .staging
            .client
            .complete_multipart_upload()
            .bucket(&self.staging.bucket)
            .key(&self.name)
            .upload_id(id)
            .multipart_upload(parts.build());
        match request.send().await {
            Ok(_) => {
                self.upload_id = None;
                Ok(())
            }
            Err(error) => {
                // A retry of a completion whose answer was lost finds no upload any more.
                let gone = error.as_service_error().is_some_and(|error| {
                    aws_sdk_s3::error::ProvideErrorMetadata::code(error) == Some("NoSuchUpload")
                });
                let unknown = gone || certainty(&error) == Certainty::Unknown;
                let error = write_error("finish", &self.key, error);
                self.settled(unknown, error).await?;
                self.upload_id = None;
                Ok(())
            }
        }
    }

    /// Looks at the object after a write of unknown outcome; the error stands unless it is ours.
    async fn settled(&self, unknown: bool, error: StagingError) -> Result<(), StagingError> {
        if unknown && matches!(self.staging.is_ours(&self.key, &self.writer).await, Ok(true)) {
            return Ok(());
        }
        Err(error)
    }
}

#[async_trait]
impl Upload for S3Upload {
    async fn write(&mut self, body: Bytes) -> Result<(), StagingError> {
        self.filling.extend_from_slice(&body);
        while self.filling.len() >= BLOCK_BYTES {
            let block = self.filling.split_to(BLOCK_BYTES).freeze();
            self.send(block).await?;
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StagingError> {
        let rest = std::mem::take(&mut self.filling).freeze();
        if self.upload_id.is_none() {
            return self.put_whole(rest).await;
        }
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        self.settle().await?;
        let id = self.upload_id().await?;
        self.complete(id).await
    }
}

impl Drop for S3Upload {
    /// Aborts an upload that was begun and not finished, as far as the process still can; the
    /// bucket's lifecycle rule does it otherwise.
    fn drop(&mut self) {
        if let Some(sending) = self.sending.take() {
            sending.abort();
        }
        let (Some(id), Ok(runtime)) =
            (self.upload_id.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let request = self
            .staging
            .client
            .abort_multipart_upload()
            .bucket(&self.staging.bucket)
            .key(&self.name)
            .upload_id(id);
        runtime.spawn(async move {
            if let Err(error) = request.send().await {
                tracing::debug!(%error, "abort an upload");
            }
        });
    }
}
