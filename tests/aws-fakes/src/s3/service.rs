//! The calls of the S3 API that Snowferry and Delta tables make, over a [`Store`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::TryStreamExt;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Checksum, CommonPrefix,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput,
    CopyObjectResult, CopySource, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
    PutObjectInput, PutObjectOutput, StreamingBlob, Timestamp, UploadPartInput, UploadPartOutput,
};
use s3s::{Body, S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use super::store::{Condition, Refusal, Store, Stored};
use super::{FaultKind, Faults};

/// The most keys of one page of a listing, as S3 has it.
const PAGE_KEYS: usize = 1000;

/// The API of one store.
#[derive(Clone, Debug)]
pub(super) struct Service {
    store: Arc<Store>,
    faults: Arc<Faults>,
}

impl Service {
    pub(super) fn new(store: &Arc<Store>, faults: &Arc<Faults>) -> Self {
        Self { store: Arc::clone(store), faults: Arc::clone(faults) }
    }

    /// Does `call` unless a fault strikes before it, and drops its answer if one strikes after.
    fn with_faults<T>(
        &self,
        operation: &str,
        call: impl FnOnce() -> Result<T, Refusal>,
    ) -> S3Result<T> {
        match self.faults.take(operation) {
            None => call().map_err(refused),
            Some(FaultKind::AnswerLost) => {
                let _ = call();
                Err(s3_error!(InternalError, "the answer was lost on order"))
            }
            Some(FaultKind::SlowDown) => Err(s3_error!(SlowDown, "slowed down on order")),
            Some(FaultKind::Conflict) => {
                Err(s3_error!(ConditionalRequestConflict, "conflict on order"))
            }
        }
    }
}

fn refused(refusal: Refusal) -> S3Error {
    match refusal {
        Refusal::NoBucket => s3_error!(NoSuchBucket),
        Refusal::NoKey => s3_error!(NoSuchKey),
        Refusal::NoUpload => s3_error!(NoSuchUpload),
        Refusal::Condition => s3_error!(PreconditionFailed),
        Refusal::InvalidPart => s3_error!(InvalidPart),
        Refusal::PartOrder => s3_error!(InvalidPartOrder),
        Refusal::PartTooSmall => s3_error!(EntityTooSmall),
    }
}

fn condition(
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::Any), None) => Ok(Condition::Present),
        (Some(ETagCondition::ETag(tag)), None) => Ok(Condition::Tag(tag.value().to_owned())),
        _ => Err(s3_error!(NotImplemented, "this condition is not known to S3's writes")),
    }
}

async fn collect(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    let pieces: Vec<Bytes> =
        body.try_collect().await.map_err(|_| s3_error!(IncompleteBody, "the body broke off"))?;
    Ok(pieces.concat().into())
}

/// Compares the body with the checksums that came with it, and returns them.
fn checked(body: &[u8], sent: Checksum) -> S3Result<Checksum> {
    let mut hasher = ChecksumHasher {
        crc32: sent.checksum_crc32.as_ref().map(|_| Crc32::new()),
        crc32c: sent.checksum_crc32c.as_ref().map(|_| Crc32c::new()),
        crc64nvme: sent.checksum_crc64nvme.as_ref().map(|_| Crc64Nvme::new()),
        sha1: sent.checksum_sha1.as_ref().map(|_| Sha1::new()),
        sha256: sent.checksum_sha256.as_ref().map(|_| Sha256::new()),
    };
    hasher.update(body);
    if hasher.finalize() == sent {
        return Ok(sent);
    }
    Err(s3_error!(BadDigest, "a checksum does not match the body"))
}

fn body_of(bytes: Bytes) -> Option<StreamingBlob> {
    Some(StreamingBlob::from(Body::from(bytes)))
}

fn length(bytes: &Bytes) -> Option<i64> {
    i64::try_from(bytes.len()).ok()
}

fn now() -> Option<Timestamp> {
    Some(Timestamp::from(SystemTime::now()))
}

fn tag(object: &Stored) -> Option<ETag> {
    Some(ETag::Strong(object.tag.clone()))
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.with_faults("HeadBucket", || self.store.list(&request.input.bucket, "", ""))?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let condition = condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let body = collect(input.body).await?;
        let sums = checked(
            &body,
            Checksum {
                checksum_crc32: input.checksum_crc32,
                checksum_crc32c: input.checksum_crc32c,
                checksum_crc64nvme: input.checksum_crc64nvme,
                checksum_sha1: input.checksum_sha1,
                checksum_sha256: input.checksum_sha256,
                checksum_type: None,
            },
        )?;
        let object = Stored::new(
            body,
            input.metadata.unwrap_or_default(),
            input.tagging.unwrap_or_default(),
        );
        let e_tag = tag(&object);
        self.with_faults("PutObject", || {
            self.store.put(&input.bucket, &input.key, object, &condition)
        })?;
        let output = PutObjectOutput {
            e_tag,
            checksum_crc32: sums.checksum_crc32,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            ..PutObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let object = self.with_faults("GetObject", || self.store.get(&input.bucket, &input.key))?;
        let whole = object.body.len();
        let (body, content_range) = match input.range {
            None => (object.body.clone(), None),
            Some(range) => {
                let range = range
                    .check(whole as u64)
                    .map_err(|_| s3_error!(InvalidRange, "the range begins behind the end"))?;
                let told = format!("bytes {}-{}/{whole}", range.start, range.end - 1);
                let start = usize::try_from(range.start).unwrap_or(whole);
                let end = usize::try_from(range.end).unwrap_or(whole);
                (object.body.slice(start..end), Some(told))
            }
        };
        let output = GetObjectOutput {
            content_length: length(&body),
            content_range,
            e_tag: tag(&object),
            last_modified: now(),
            metadata: Some(object.metadata.clone()),
            body: body_of(body),
            ..GetObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let object =
            self.with_faults("HeadObject", || self.store.get(&input.bucket, &input.key))?;
        let output = HeadObjectOutput {
            content_length: length(&object.body),
            e_tag: tag(&object),
            last_modified: now(),
            metadata: Some(object.metadata.clone()),
            ..HeadObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        self.with_faults("DeleteObject", || self.store.delete(&input.bucket, &input.key))?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let mut deleted = Vec::new();
        for object in input.delete.objects {
            self.with_faults("DeleteObjects", || self.store.delete(&input.bucket, &object.key))?;
            deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
        }
        let output =
            DeleteObjectsOutput { deleted: Some(deleted), ..DeleteObjectsOutput::default() };
        Ok(S3Response::new(output))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "only objects of buckets are copied"));
        };
        let object = self.store.get(bucket, key).map_err(refused)?;
        let metadata = input.metadata.unwrap_or_else(|| object.metadata.clone());
        let object = Stored::new(object.body, metadata, object.tagging);
        let e_tag = tag(&object);
        self.with_faults("CopyObject", || {
            self.store.put(&input.bucket, &input.key, object, &Condition::None)
        })?;
        let result =
            CopyObjectResult { e_tag, last_modified: now(), ..CopyObjectResult::default() };
        let output =
            CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() };
        Ok(S3Response::new(output))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.clone().or_else(|| input.start_after.clone());
        let after = after.unwrap_or_default();
        let found =
            self.with_faults("ListObjectsV2", || self.store.list(&input.bucket, &prefix, &after))?;
        let page = usize::try_from(input.max_keys.unwrap_or(1000)).unwrap_or(0).min(PAGE_KEYS);
        let more = found.len() > page;
        let next = found.get(page.saturating_sub(1)).map(|(key, _)| key.clone()).filter(|_| more);
        let (mut contents, mut folders) = (Vec::new(), BTreeSet::new());
        for (key, object) in found.into_iter().take(page) {
            let rest = key.strip_prefix(prefix.as_str()).unwrap_or_default();
            let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
            if let Some((folder, _)) = delimiter.and_then(|delimiter| rest.split_once(delimiter)) {
                folders.insert(format!("{prefix}{folder}{}", delimiter.unwrap_or_default()));
                continue;
            }
            contents.push(Object {
                e_tag: tag(&object),
                size: length(&object.body),
                last_modified: now(),
                key: Some(key),
                ..Object::default()
            });
        }
        let output = ListObjectsV2Output {
            key_count: i32::try_from(contents.len() + folders.len()).ok(),
            common_prefixes: Some(
                folders.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect(),
            ),
            contents: Some(contents),
            is_truncated: Some(more),
            next_continuation_token: next,
            max_keys: i32::try_from(page).ok(),
            name: Some(input.bucket),
            prefix: Some(prefix),
            ..ListObjectsV2Output::default()
        };
        Ok(S3Response::new(output))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let metadata: HashMap<String, String> = input.metadata.unwrap_or_default();
        let id = self.with_faults("CreateMultipartUpload", || {
            let tagging = input.tagging.unwrap_or_default();
            self.store.begin(&input.bucket, &input.key, metadata, tagging)
        })?;
        let output = CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            ..CreateMultipartUploadOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let body = collect(input.body).await?;
        let sums = checked(
            &body,
            Checksum {
                checksum_crc32: input.checksum_crc32,
                checksum_crc32c: input.checksum_crc32c,
                checksum_crc64nvme: input.checksum_crc64nvme,
                checksum_sha1: input.checksum_sha1,
                checksum_sha256: input.checksum_sha256,
                checksum_type: None,
            },
        )?;
        let tag = self.with_faults("UploadPart", || {
            self.store.part(&input.upload_id, input.part_number, body)
        })?;
        let output = UploadPartOutput {
            e_tag: Some(ETag::Strong(tag)),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            ..UploadPartOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let condition = condition(input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let named: Vec<(i32, String)> = parts
            .into_iter()
            .filter_map(|part| Some((part.part_number?, part.e_tag?.into_value())))
            .collect();
        let tag = self.with_faults("CompleteMultipartUpload", || {
            self.store.complete(&input.upload_id, &named, &condition)
        })?;
        let output = CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(tag)),
            ..CompleteMultipartUploadOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.with_faults("AbortMultipartUpload", || self.store.abort(&request.input.upload_id))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}
