//! The store as an S3 service, for clients with upload URLs and for any other that
//! has the keys. Protocol, signatures and XML are those of the crate s3s.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Bucket as S3BucketName, CommonPrefix,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput,
    CopyObjectResult, CopySource, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput,
    DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, Error as DeleteError,
    GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput,
    HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output,
    ListPartsInput, ListPartsOutput, MultipartUpload, Object, Part, PutObjectInput, PutObjectOutput,
    StreamingBlob, Timestamp, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::{Expected, FileBucket, Wanted};
use crate::{ByteStream, CompletedPart, Extent, Meta, ObjectKey, StorageError, Upload};

/// Most keys in one page of a listing.
const PAGE: usize = 1000;

impl From<StorageError> for S3Error {
    fn from(error: StorageError) -> Self {
        let text = error.to_string();
        match error {
            StorageError::NotFound => s3_error!(NoSuchKey),
            StorageError::Denied(_) => s3_error!(AccessDenied, "{text}"),
            StorageError::Throttled { .. } => s3_error!(SlowDown),
            StorageError::Full => {
                let mut full = S3Error::with_message(S3ErrorCode::Custom("InsufficientStorage".into()), text);
                full.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
                full
            }
            StorageError::Invalid(_) => s3_error!(InvalidRequest, "{text}"),
            StorageError::Unavailable(_) | StorageError::Unsuitable(_) => {
                tracing::warn!(error = text, "the embedded object store failed");
                s3_error!(InternalError, "the object store failed")
            }
        }
    }
}

fn decode(field: &str, text: Option<&String>) -> S3Result<Option<Vec<u8>>> {
    text.map(|text| {
        STANDARD
            .decode(text)
            .map_err(|_| s3_error!(InvalidDigest, "{field} is not base64"))
    })
    .transpose()
}

fn expected(size: Option<i64>, sha256: Option<&String>, md5: Option<&String>) -> S3Result<Expected> {
    Ok(Expected {
        size: size.and_then(|size| u64::try_from(size).ok()),
        sha256: decode("x-amz-checksum-sha256", sha256)?,
        md5: decode("Content-MD5", md5)?,
    })
}

fn body(body: Option<StreamingBlob>) -> ByteStream {
    match body {
        Some(body) => {
            // A client that goes away in the middle is its own fault, not the store's.
            Box::pin(body.map(|chunk| chunk.map_err(|error| StorageError::Invalid(error.to_string()))))
        }
        None => Box::pin(futures::stream::empty()),
    }
}

fn etag(meta: &Meta) -> ETag {
    ETag::Strong(meta.etag.trim_matches('"').to_owned())
}

fn time(seconds: i64) -> Option<Timestamp> {
    let since = std::time::Duration::from_secs(u64::try_from(seconds).ok()?);
    Some(Timestamp::from(std::time::SystemTime::UNIX_EPOCH + since))
}

fn length(size: u64) -> Option<i64> {
    i64::try_from(size).ok()
}

fn described(key: &str) -> (Option<String>, Option<String>) {
    let key = ObjectKey::parse(key).ok();
    (
        key.as_ref().map(|key| key.content_type().to_owned()),
        key.as_ref().map(|key| key.cache_control().to_owned()),
    )
}

/// The extent that a range header means, if it has one.
fn extent(range: Option<&s3s::dto::Range>, size: u64) -> S3Result<Option<Extent>> {
    let Some(range) = range else { return Ok(None) };
    let range = range.check(size).map_err(|_| s3_error!(InvalidRange))?;
    if range.is_empty() {
        return Err(s3_error!(InvalidRange));
    }
    Ok(Some(Extent {
        first: range.start,
        last: range.end - 1,
    }))
}

impl FileBucket {
    fn check_bucket(&self, bucket: &str) -> S3Result<()> {
        if bucket == self.name() {
            Ok(())
        } else {
            Err(s3_error!(NoSuchBucket))
        }
    }
}

#[async_trait]
impl S3 for FileBucket {
    async fn list_buckets(
        &self,
        _request: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let bucket = S3BucketName {
            name: Some(self.name().to_owned()),
            creation_date: time(0),
            ..Default::default()
        };
        Ok(S3Response::new(ListBucketsOutput {
            buckets: Some(vec![bucket]),
            ..Default::default()
        }))
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.check_bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.check_bucket(&request.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let only_new = input.if_none_match.is_some();
        if only_new && self.head(&input.key).await?.is_some() {
            return Err(s3_error!(PreconditionFailed));
        }
        let expected = expected(
            input.content_length,
            input.checksum_sha256.as_ref(),
            input.content_md5.as_ref(),
        )?;
        let body = body(input.body);
        let meta = if only_new {
            let written = self.put_new(&input.key, body, expected).await?;
            written.ok_or_else(|| s3_error!(PreconditionFailed))?
        } else {
            self.put_stream(&input.key, body, expected).await?
        };
        let output = PutObjectOutput {
            e_tag: Some(etag(&meta)),
            checksum_sha256: input.checksum_sha256,
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let object = self
            .open_object(&input.key, Wanted::Contents)
            .await?
            .ok_or_else(|| s3_error!(NoSuchKey))?;
        let meta = object.meta.clone();
        if let Some(condition) = &input.if_none_match
            && condition
                .as_etag()
                .is_none_or(|tag| tag.value() == etag(&meta).value())
        {
            return Err(s3_error!(NotModified));
        }
        let extent = extent(input.range.as_ref(), meta.size)?;
        let size = extent.map_or(meta.size, |extent| extent.last - extent.first + 1);
        let (content_type, cache_control) = described(&input.key);
        let bytes = object.into_stream(extent);
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::wrap(sync_wrapper::SyncStream::new(bytes))),
            content_length: length(size),
            content_range: extent
                .map(|extent| format!("bytes {}-{}/{}", extent.first, extent.last, meta.size)),
            accept_ranges: Some("bytes".into()),
            e_tag: Some(etag(&meta)),
            last_modified: time(meta.last_modified),
            content_type,
            cache_control,
            content_encoding: meta.content_encoding.clone(),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let meta = self.head(&input.key).await?.ok_or_else(|| s3_error!(NoSuchKey))?;
        let (content_type, cache_control) = described(&input.key);
        Ok(S3Response::new(HeadObjectOutput {
            content_length: length(meta.size),
            accept_ranges: Some("bytes".into()),
            e_tag: Some(etag(&meta)),
            last_modified: time(meta.last_modified),
            content_type,
            cache_control,
            content_encoding: meta.content_encoding.clone(),
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.check_bucket(&request.input.bucket)?;
        self.delete(&request.input.key).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        if input.delete.objects.len() > PAGE {
            return Err(s3_error!(MalformedXML, "at most {PAGE} keys"));
        }
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        let keys: Vec<String> = input
            .delete
            .objects
            .into_iter()
            .map(|object| object.key)
            .collect();
        let results = self.delete_many(keys.clone()).await;
        for (key, result) in keys.into_iter().zip(results) {
            match result {
                Ok(()) => deleted.push(DeletedObject {
                    key: Some(key),
                    ..Default::default()
                }),
                Err(error) => errors.push(DeleteError {
                    code: Some("InternalError".into()),
                    key: Some(key),
                    message: Some(error.to_string()),
                    ..Default::default()
                }),
            }
        }
        let deleted = (input.delete.quiet != Some(true)).then_some(deleted);
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted,
            errors: Some(errors),
            ..Default::default()
        }))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        self.check_bucket(bucket)?;
        let meta = self.copy(key, &input.key).await?;
        let result = CopyObjectResult {
            e_tag: Some(etag(&meta)),
            last_modified: time(meta.last_modified),
            ..Default::default()
        };
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let limit = usize::try_from(input.max_keys.unwrap_or(1000))
            .unwrap_or(0)
            .min(PAGE);
        let mut after = input
            .continuation_token
            .clone()
            .or(input.start_after.clone())
            .unwrap_or_default();
        let delimiter = input.delimiter.clone().filter(|delimiter| !delimiter.is_empty());
        let (mut contents, mut prefixes) = (Vec::new(), Vec::<CommonPrefix>::new());
        let mut truncated = false;
        'pages: loop {
            let keys = self.list_keys(&prefix, &after, PAGE + 1).await?;
            let more = keys.len() > PAGE;
            for key in keys {
                let rest = key.strip_prefix(&prefix).unwrap_or(&key);
                let common = delimiter
                    .as_ref()
                    .and_then(|delimiter| rest.find(delimiter.as_str()).map(|at| at + delimiter.len()))
                    .map(|end| format!("{prefix}{}", &rest[..end]));
                if common.is_some()
                    && prefixes.last().and_then(|last| last.prefix.as_ref()) == common.as_ref()
                {
                    after = key;
                    continue;
                }
                if contents.len() + prefixes.len() >= limit {
                    truncated = true;
                    break 'pages;
                }
                if common.is_some() {
                    prefixes.push(CommonPrefix { prefix: common });
                } else if let Some(meta) = self.head(&key).await? {
                    contents.push(Object {
                        key: Some(key.clone()),
                        size: length(meta.size),
                        e_tag: Some(etag(&meta)),
                        last_modified: time(meta.last_modified),
                        ..Default::default()
                    });
                }
                after = key;
            }
            if !more {
                break;
            }
        }
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            key_count: i32::try_from(contents.len() + prefixes.len()).ok(),
            max_keys: i32::try_from(limit).ok(),
            is_truncated: Some(truncated),
            next_continuation_token: truncated.then_some(after),
            continuation_token: input.continuation_token,
            start_after: input.start_after,
            prefix: input.prefix,
            delimiter: input.delimiter,
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let upload_id = self.create_multipart(&input.key).await?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(upload_id),
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let expected = expected(
            input.content_length,
            input.checksum_sha256.as_ref(),
            input.content_md5.as_ref(),
        )?;
        let number = u32::try_from(input.part_number).map_err(|_| s3_error!(InvalidArgument))?;
        let meta = self
            .put_part(&input.key, &input.upload_id, number, body(input.body), expected)
            .await
            .map_err(upload_error)?;
        let output = UploadPartOutput {
            e_tag: Some(etag(&meta)),
            checksum_sha256: input.checksum_sha256,
            ..Default::default()
        };
        Ok(S3Response::new(output))
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let marker = input
            .part_number_marker
            .and_then(|marker| u32::try_from(marker).ok())
            .unwrap_or(0);
        let parts = FileBucket::list_parts(self, &input.key, &input.upload_id)
            .await
            .map_err(upload_error)?;
        let mut parts: Vec<_> = parts.into_iter().filter(|part| part.number > marker).collect();
        let limit = usize::try_from(input.max_parts.unwrap_or(1000))
            .unwrap_or(0)
            .clamp(1, PAGE);
        let truncated = parts.len() > limit;
        parts.truncate(limit);
        Ok(S3Response::new(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            is_truncated: Some(truncated),
            next_part_number_marker: parts
                .last()
                .filter(|_| truncated)
                .and_then(|part| i32::try_from(part.number).ok()),
            parts: Some(
                parts
                    .into_iter()
                    .map(|part| Part {
                        part_number: i32::try_from(part.number).ok(),
                        size: length(part.size),
                        e_tag: Some(ETag::Strong(part.etag.trim_matches('"').to_owned())),
                        ..Default::default()
                    })
                    .collect(),
            ),
            ..Default::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let parts = input
            .multipart_upload
            .and_then(|upload| upload.parts)
            .unwrap_or_default();
        let parts: Vec<CompletedPart> = parts
            .into_iter()
            .map(|part| {
                let number = part.part_number.and_then(|number| u32::try_from(number).ok());
                let number = number.ok_or_else(|| s3_error!(InvalidPart))?;
                let etag = part
                    .e_tag
                    .map(|etag| etag.value().to_owned())
                    .ok_or_else(|| s3_error!(InvalidPart))?;
                Ok(CompletedPart {
                    number,
                    etag,
                    sha256: [0; 32],
                })
            })
            .collect::<S3Result<_>>()?;
        let meta = FileBucket::complete_multipart(self, &input.key, &input.upload_id, &parts)
            .await
            .map_err(upload_error)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag(&meta)),
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        self.abort_multipart(&input.key, &input.upload_id).await?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let input = request.input;
        self.check_bucket(&input.bucket)?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let from = (
            input.key_marker.clone().unwrap_or_default(),
            input.upload_id_marker.clone().unwrap_or_default(),
        );
        let uploads = FileBucket::list_multipart_uploads(self).await?;
        let mut uploads: Vec<Upload> = uploads
            .into_iter()
            .filter(|upload| upload.key.starts_with(&prefix))
            .filter(|upload| (&upload.key, &upload.id) > (&from.0, &from.1))
            .collect();
        let truncated = uploads.len() > PAGE;
        uploads.truncate(PAGE);
        let last = uploads.last().filter(|_| truncated).cloned();
        Ok(S3Response::new(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            is_truncated: Some(truncated),
            next_key_marker: last.as_ref().map(|last| last.key.clone()),
            next_upload_id_marker: last.map(|last| last.id),
            uploads: Some(
                uploads
                    .into_iter()
                    .map(|upload| MultipartUpload {
                        key: Some(upload.key),
                        upload_id: Some(upload.id),
                        initiated: time(upload.begun_at),
                        ..Default::default()
                    })
                    .collect(),
            ),
            ..Default::default()
        }))
    }
}

/// What is not found of an upload in parts is the upload.
fn upload_error(error: StorageError) -> S3Error {
    match error {
        StorageError::NotFound => s3_error!(NoSuchUpload),
        error => error.into(),
    }
}
