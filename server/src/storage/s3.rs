//! An S3 service elsewhere.

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::{ByteStream as Body, DateTime};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart as SdkPart, Delete, ObjectIdentifier,
};
use aws_sdk_s3::{Client, Config};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use secrecy::ExposeSecret as _;
use url::Url;

use super::fence::{self, Expiring};
use super::pace::Pace;
use super::{
    ByteStream, Checksum, ChecksumKind, CompletedPart, GetOptions, GetResult, Listed, ListedPart, Meta,
    Object, ObjectKey, Presigned, StorageError,
};
use crate::config::S3Settings;

type Result<T> = std::result::Result<T, StorageError>;

/// Bytes that one CopyObject may copy; more goes by parts.
const MAX_COPY: u64 = 1 << 30;
/// Bytes of a part of such a copy.
const COPY_PART: u64 = 512 << 20;
/// Keys in one DeleteObjects, as in S3.
const MAX_DELETE: usize = 1000;

/// How long a service may take over an operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Until an answer begins, in each attempt.
    answer: Duration,
    /// Until it is given up, all attempts together.
    all: Duration,
}

/// What is answered out of an index, and small objects.
pub(super) const BRIEF: Patience = Patience {
    answer: Duration::from_secs(15),
    all: Duration::from_secs(40),
};
/// What makes the service move as many bytes as an object has.
const LONG: Patience = Patience {
    answer: Duration::from_secs(120),
    all: Duration::from_secs(300),
};
/// How long the service may take to say that it is there.
const READY: Duration = Duration::from_secs(5);

/// A bucket of an S3 service.
#[derive(Debug)]
pub struct S3Bucket {
    client: Client,
    /// For what takes the service its time.
    patient: Client,
    /// Signs URLs that clients use, for the address they use.
    public: Client,
    bucket: String,
    pace: Pace,
}

/// A client for a bucket at an address.
pub(super) fn client(
    endpoint: Option<&Url>,
    region: &str,
    path_style: bool,
    credentials: SharedCredentialsProvider,
    patience: Patience,
) -> Client {
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        .force_path_style(path_style)
        // Services other than AWS refuse, or ignore, what the SDK would add by itself.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(4)
                .with_initial_backoff(Duration::from_millis(200))
                .with_max_backoff(Duration::from_secs(5)),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(5))
                .read_timeout(patience.answer)
                .operation_timeout(patience.all)
                .build(),
        )
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .grace_period(Duration::from_secs(20))
                .build(),
        );
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint.as_str().trim_end_matches('/'));
    }
    Client::from_conf(config.build())
}

fn failed<E>(error: SdkError<E, HttpResponse>) -> StorageError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.code().unwrap_or_default().to_owned();
    let response = error.raw_response();
    let status = response.map(|response| response.status().as_u16());
    let retry_after = response
        .and_then(|response| response.headers().get("retry-after"))
        .and_then(|value| value.parse().ok())
        .map(Duration::from_secs);
    let text = || {
        DisplayErrorContext(&error)
            .to_string()
            .chars()
            .take(500)
            .collect::<String>()
    };
    match (status, code.as_str()) {
        (_, "SlowDown" | "TooManyRequests" | "RequestLimitExceeded") | (Some(429), _) => {
            StorageError::Throttled { retry_after }
        }
        (_, "NoSuchKey" | "NotFound" | "NoSuchUpload") | (Some(404), "") => StorageError::NotFound,
        (_, "NoSuchBucket") => StorageError::Denied("the bucket does not exist".into()),
        (Some(401 | 403), _) => StorageError::Denied(text()),
        (Some(507), _) => StorageError::Full,
        (Some(404), _) => StorageError::NotFound,
        (Some(400..500), _) => StorageError::Invalid(text()),
        _ => StorageError::Unavailable(text()),
    }
}

fn presigned(request: &PresignedRequest) -> Presigned {
    let headers = request
        .headers()
        // The client's HTTP library sends these by itself, and they have to be right.
        .filter(|(name, _)| {
            !name.eq_ignore_ascii_case("host") && !name.eq_ignore_ascii_case("content-length")
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Presigned {
        url: request.uri().to_owned(),
        headers,
    }
}

fn signed_for(ttl: Duration) -> Result<PresigningConfig> {
    PresigningConfig::expires_in(ttl).map_err(|error| StorageError::Invalid(error.to_string()))
}

pub(super) async fn presign_put(
    client: &Client,
    bucket: &str,
    key: &ObjectKey,
    size: u64,
    checksum: &Checksum,
    ttl: Duration,
) -> Result<Presigned> {
    let request = client
        .put_object()
        .bucket(bucket)
        .key(key.as_str())
        .content_length(signed_size(size)?)
        .content_type(key.content_type())
        .cache_control(key.cache_control());
    let request = match checksum {
        Checksum::Sha256(hash) => request.checksum_sha256(STANDARD.encode(hash)),
        Checksum::Md5(hash) => request.content_md5(STANDARD.encode(hash)),
    };
    Ok(presigned(
        &request.presigned(signed_for(ttl)?).await.map_err(failed)?,
    ))
}

#[expect(
    clippy::too_many_arguments,
    reason = "a part is named by bucket, key, upload and number"
)]
pub(super) async fn presign_part(
    client: &Client,
    bucket: &str,
    key: &ObjectKey,
    upload_id: &str,
    number: u32,
    size: u64,
    checksum: &Checksum,
    ttl: Duration,
) -> Result<Presigned> {
    let request = client
        .upload_part()
        .bucket(bucket)
        .key(key.as_str())
        .upload_id(upload_id)
        .part_number(part_number(number)?)
        .content_length(signed_size(size)?);
    let request = match checksum {
        Checksum::Sha256(hash) => request.checksum_sha256(STANDARD.encode(hash)),
        Checksum::Md5(hash) => request.content_md5(STANDARD.encode(hash)),
    };
    Ok(presigned(
        &request.presigned(signed_for(ttl)?).await.map_err(failed)?,
    ))
}

fn signed_size(size: u64) -> Result<i64> {
    i64::try_from(size).map_err(|_| StorageError::Invalid("a size beyond what S3 knows".into()))
}

fn part_number(number: u32) -> Result<i32> {
    i32::try_from(number).map_err(|_| StorageError::Invalid("a part number beyond what S3 knows".into()))
}

impl S3Bucket {
    /// Opens a bucket; asks it nothing yet.
    ///
    /// # Errors
    /// When no credentials are found.
    pub async fn open(settings: &S3Settings) -> Result<Self> {
        let credentials = match &settings.credentials {
            Some((access, secret)) => SharedCredentialsProvider::new(Credentials::new(
                access,
                secret.expose_secret(),
                None,
                None,
                "niks3",
            )),
            None => aws_config::defaults(BehaviorVersion::latest())
                .load()
                .await
                .credentials_provider()
                .ok_or_else(|| StorageError::Denied("the environment has no credentials".into()))?,
        };
        let make = |endpoint: Option<&Url>, patience| {
            client(
                endpoint,
                &settings.region,
                settings.path_style,
                credentials.clone(),
                patience,
            )
        };
        let public = settings.public_url.as_ref().or(settings.endpoint.as_ref());
        Ok(Self {
            client: make(settings.endpoint.as_ref(), BRIEF),
            patient: make(settings.endpoint.as_ref(), LONG),
            public: make(public, BRIEF),
            bucket: settings.bucket.clone(),
            pace: Pace::new(settings.concurrency, settings.rate_limit),
        })
    }

    pub(super) async fn ready(&self) -> Result<()> {
        let asked = async {
            let _turn = self.pace.turn().await;
            let asked = self.client.head_bucket().bucket(&self.bucket).send().await;
            asked.map_err(failed)
        };
        match tokio::time::timeout(READY, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(StorageError::NotFound)) => Err(StorageError::Denied("the bucket does not exist".into())),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StorageError::Unavailable(format!(
                "no answer within {} s",
                READY.as_secs()
            ))),
        }
    }

    /// Which option is wrong when the bucket does not let the server in, and the mend.
    /// The answer to HEAD has no body, so it is asked in another way.
    pub(super) async fn diagnose(&self) -> Option<String> {
        let asked = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .max_keys(1)
            .send();
        let error = tokio::time::timeout(READY, asked).await.ok()?.err()?;
        let said: String = error
            .message()
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        Some(match error.code()? {
            "NoSuchBucket" => format!(
                "--s3-bucket: there is no bucket {}: make it, or name another",
                self.bucket
            ),
            "InvalidAccessKeyId" => "--s3-access-key: the object store does not know this key".to_owned(),
            "SignatureDoesNotMatch" => "--s3-secret-key: it does not fit the access key".to_owned(),
            "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => {
                format!("--s3-region: the bucket is in another region: {said}")
            }
            "AccessDenied" => {
                // Services differ in how they say that they do not know a key.
                format!(
                    "--s3-access-key, --s3-secret-key: the object store does not let them into the bucket: {said}"
                )
            }
            code => format!("--s3-endpoint: the object store refuses: {code}: {said}"),
        })
    }

    pub(super) async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        let _turn = self.pace.turn().await;
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .content_type(key.content_type())
            .cache_control(key.cache_control())
            .body(Body::from(body))
            .customize()
            .interceptor(Expiring)
            .config_override(fence::bounded())
            .send()
            .await
            .map_err(failed)?;
        Ok(())
    }

    pub(super) async fn head(&self, key: &ObjectKey) -> Result<Option<Meta>> {
        let _turn = self.pace.turn().await;
        match self
            .client
            .head_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .send()
            .await
        {
            Ok(head) => Ok(Some(meta(
                head.content_length(),
                head.e_tag(),
                head.last_modified(),
                head.content_encoding(),
            ))),
            Err(error) => match failed(error) {
                StorageError::NotFound => Ok(None),
                error => Err(error),
            },
        }
    }

    pub(super) async fn get(&self, key: &ObjectKey, options: &GetOptions) -> Result<GetResult> {
        let range = match options.range.map(super::Range::bounded) {
            None => None,
            Some(Some(range)) => Some(range),
            Some(None) => return self.beyond(key).await,
        };
        // Held until the answer begins: how fast a reader takes it is not the service's concern.
        let turn = self.pace.turn().await;
        let request = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .set_range(range.map(super::Range::header))
            .set_if_none_match(options.if_none_match.clone())
            .set_if_modified_since(options.if_modified_since.map(DateTime::from_secs));
        match request.send().await {
            Ok(found) => {
                let mut meta = meta(
                    found.content_length(),
                    found.e_tag(),
                    found.last_modified(),
                    found.content_encoding(),
                );
                let range = found.content_range().and_then(content_range);
                if let Some((_, size)) = range {
                    meta.size = size;
                }
                let body: ByteStream = Box::pin(
                    futures::stream::unfold(found.body, |mut body| async move {
                        body.next().await.map(|chunk| (chunk, body))
                    })
                    .map(|chunk| chunk.map_err(|error| StorageError::Unavailable(error.to_string()))),
                );
                Ok(GetResult::Found(Object {
                    meta,
                    range: range.map(|(extent, _)| extent),
                    body,
                }))
            }
            Err(error) => {
                let status = error.raw_response().map(|response| response.status().as_u16());
                drop(turn);
                match status {
                    // Not every service says here of what the caller has the newest.
                    Some(304) => Ok(match self.head(key).await? {
                        Some(meta) => GetResult::NotModified(meta),
                        None => GetResult::NotFound,
                    }),
                    Some(416) => self.beyond(key).await,
                    _ => match failed(error) {
                        StorageError::NotFound => Ok(GetResult::NotFound),
                        error => Err(error),
                    },
                }
            }
        }
    }

    /// The answer to a read of bytes that lie beyond the object.
    async fn beyond(&self, key: &ObjectKey) -> Result<GetResult> {
        Ok(match self.head(key).await? {
            Some(meta) => GetResult::RangeNotSatisfiable { size: meta.size },
            None => GetResult::NotFound,
        })
    }

    /// Copies within the service; bytes do not pass through here.
    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, size: u64) -> Result<()> {
        let source = format!("{}/{}", self.bucket, from.as_str());
        if size <= MAX_COPY {
            let _turn = self.pace.turn().await;
            self.patient
                .copy_object()
                .bucket(&self.bucket)
                .key(to.as_str())
                .copy_source(source)
                .metadata_directive(aws_sdk_s3::types::MetadataDirective::Replace)
                .content_type(to.content_type())
                .cache_control(to.cache_control())
                .send()
                .await
                .map_err(failed)?;
            return Ok(());
        }
        let upload_id = self.create_multipart(to).await?;
        let parts: Vec<(i32, u64)> = (1..)
            .zip((0..size).step_by(usize::try_from(COPY_PART).unwrap_or(usize::MAX)))
            .collect();
        let (source, upload_id) = (&source, &upload_id);
        let copied: Vec<Result<SdkPart>> = futures::stream::iter(parts)
            .map(|(number, first)| async move {
                let _turn = self.pace.turn().await;
                let last = (first + COPY_PART).min(size) - 1;
                let part = self
                    .patient
                    .upload_part_copy()
                    .bucket(&self.bucket)
                    .key(to.as_str())
                    .upload_id(upload_id)
                    .part_number(number)
                    .copy_source(source)
                    .copy_source_range(format!("bytes={first}-{last}"))
                    .send()
                    .await
                    .map_err(failed)?;
                let result = part.copy_part_result();
                Ok(SdkPart::builder()
                    .part_number(number)
                    .set_e_tag(result.and_then(|result| result.e_tag()).map(str::to_owned))
                    .set_checksum_sha256(
                        result
                            .and_then(|result| result.checksum_sha256())
                            .map(str::to_owned),
                    )
                    .build())
            })
            .buffered(8)
            .collect()
            .await;
        match copied.into_iter().collect::<Result<Vec<_>>>() {
            Ok(parts) => self.complete(to, upload_id, parts).await,
            Err(error) => {
                let _ = self.abort_multipart(to, upload_id).await;
                Err(error)
            }
        }
    }

    pub(super) async fn promote(&self, from: &ObjectKey, to: &ObjectKey, size: u64) -> Result<()> {
        match self.copy(from, to, size).await {
            Ok(()) => {}
            Err(StorageError::NotFound) if self.head(to).await?.is_some_and(|meta| meta.size == size) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        self.delete_many(std::slice::from_ref(from))
            .await
            .pop()
            .map_or(Ok(()), |(_, result)| result)
    }

    pub(super) async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Listed>> {
        let _turn = self.pace.turn().await;
        let limit = i32::try_from(limit.min(1000)).unwrap_or(1000);
        let answer = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_start_after((!after.is_empty()).then(|| after.to_owned()))
            .max_keys(limit)
            .send()
            .await
            .map_err(failed)?;
        let listed = answer.contents().iter().map(|object| Listed {
            key: object.key().unwrap_or_default().to_owned(),
            size: object.size().unwrap_or_default().unsigned_abs(),
        });
        Ok(listed.collect())
    }

    pub(super) async fn delete_many(&self, keys: &[ObjectKey]) -> Vec<(ObjectKey, Result<()>)> {
        if let [key] = keys {
            return vec![(key.clone(), self.delete(key).await)];
        }
        let mut results = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(MAX_DELETE) {
            results.extend(self.delete_chunk(chunk).await);
        }
        results
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        let _turn = self.pace.turn().await;
        match self
            .client
            .delete_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .customize()
            .interceptor(Expiring)
            .config_override(fence::bounded())
            .send()
            .await
            .map_err(failed)
        {
            Err(StorageError::NotFound) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn delete_chunk(&self, keys: &[ObjectKey]) -> Vec<(ObjectKey, Result<()>)> {
        let turn = self.pace.turn().await;
        let objects: std::result::Result<Vec<_>, _> = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key.as_str()).build())
            .collect();
        let delete =
            objects.and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(true).build());
        let answer = match delete {
            Ok(delete) => self
                .client
                .delete_objects()
                .bucket(&self.bucket)
                .delete(delete)
                .customize()
                .interceptor(Expiring)
                .config_override(fence::bounded())
                .send()
                .await
                .map_err(failed),
            Err(error) => Err(StorageError::Invalid(error.to_string())),
        };
        drop(turn);
        match answer {
            Ok(answer) => {
                let errors = answer.errors();
                keys.iter()
                    .map(|key| {
                        let refused = errors.iter().find(|error| error.key() == Some(key.as_str()));
                        let result = match refused {
                            Some(error) if error.code() == Some("NoSuchKey") => Ok(()),
                            Some(error) if error.code() == Some("AccessDenied") => {
                                Err(StorageError::Denied("AccessDenied".into()))
                            }
                            Some(error) => Err(StorageError::Unavailable(
                                error.code().unwrap_or_default().to_owned(),
                            )),
                            None => Ok(()),
                        };
                        (key.clone(), result)
                    })
                    .collect()
            }
            // Some services lack this operation.
            Err(StorageError::Invalid(_)) => {
                futures::stream::iter(keys.to_vec())
                    .map(|key| async move {
                        let result = self.delete(&key).await;
                        (key, result)
                    })
                    .buffer_unordered(16)
                    .collect()
                    .await
            }
            Err(error) => {
                let text = error.to_string();
                keys.iter()
                    .map(|key| (key.clone(), Err(StorageError::Unavailable(text.clone()))))
                    .collect()
            }
        }
    }

    pub(super) async fn presign_put(
        &self,
        key: &ObjectKey,
        size: u64,
        checksum: &Checksum,
        ttl: Duration,
    ) -> Result<Presigned> {
        presign_put(&self.public, &self.bucket, key, size, checksum, ttl).await
    }

    pub(super) async fn presign_part(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        number: u32,
        size: u64,
        checksum: &Checksum,
        ttl: Duration,
    ) -> Result<Presigned> {
        presign_part(
            &self.public,
            &self.bucket,
            key,
            upload_id,
            number,
            size,
            checksum,
            ttl,
        )
        .await
    }

    pub(super) async fn create_multipart(&self, key: &ObjectKey) -> Result<String> {
        let _turn = self.pace.turn().await;
        let created = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_str())
            .content_type(key.content_type())
            .cache_control(key.cache_control())
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .send()
            .await
            .map_err(failed)?;
        created
            .upload_id()
            .map(str::to_owned)
            .ok_or_else(|| StorageError::Invalid("an upload without an id".into()))
    }

    pub(super) async fn list_parts(&self, key: &ObjectKey, upload_id: &str) -> Result<Vec<ListedPart>> {
        let mut parts = Vec::new();
        let mut marker = None;
        loop {
            let _turn = self.pace.turn().await;
            let page = self
                .client
                .list_parts()
                .bucket(&self.bucket)
                .key(key.as_str())
                .upload_id(upload_id)
                .set_part_number_marker(marker.take())
                .send()
                .await
                .map_err(failed)?;
            parts.extend(page.parts().iter().filter_map(|part| {
                Some(ListedPart {
                    number: u32::try_from(part.part_number()?).ok()?,
                    size: u64::try_from(part.size()?).ok()?,
                    etag: part.e_tag()?.to_owned(),
                })
            }));
            match page.next_part_number_marker() {
                Some(next) if page.is_truncated() == Some(true) && parts.len() <= 10_000 => {
                    marker = Some(next.to_owned())
                }
                _ => return Ok(parts),
            }
        }
    }

    pub(super) async fn complete_multipart(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        parts: &[CompletedPart],
    ) -> Result<()> {
        let parts = parts
            .iter()
            .map(|part| {
                Ok(SdkPart::builder()
                    .part_number(part_number(part.number)?)
                    .e_tag(&part.etag)
                    .checksum_sha256(STANDARD.encode(part.sha256))
                    .build())
            })
            .collect::<Result<Vec<_>>>()?;
        self.complete(key, upload_id, parts).await
    }

    async fn complete(&self, key: &ObjectKey, upload_id: &str, parts: Vec<SdkPart>) -> Result<()> {
        let _turn = self.pace.turn().await;
        self.patient
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_str())
            .upload_id(upload_id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .send()
            .await
            .map_err(failed)?;
        Ok(())
    }

    pub(super) async fn abort_multipart(&self, key: &ObjectKey, upload_id: &str) -> Result<()> {
        let _turn = self.pace.turn().await;
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_str())
            .upload_id(upload_id)
            .send()
            .await;
        match aborted.map_err(failed) {
            Err(StorageError::NotFound) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Uploads bytes that do not fit their checksum, to see which the service minds.
    pub(super) async fn probe_checksum(&self) -> Result<Option<ChecksumKind>> {
        let http = reqwest::Client::builder()
            .timeout(BRIEF.answer)
            .build()
            .map_err(|error| StorageError::Unavailable(error.to_string()))?;
        let body = b"not what was signed for";
        for (kind, wrong) in [
            (ChecksumKind::Sha256, Checksum::Sha256([0x5a; 32])),
            (ChecksumKind::Md5, Checksum::Md5([0x5a; 16])),
        ] {
            let key = ObjectKey::staging("probe", &niks3_nix::base32::encode(&rand::random::<[u8; 20]>()));
            // By the server's own address: the public one may not be reachable from here.
            let size = body.len() as u64;
            let request = presign_put(
                &self.client,
                &self.bucket,
                &key,
                size,
                &wrong,
                Duration::from_secs(60),
            )
            .await?;
            let mut put = http.put(&request.url).body(&body[..]);
            for (name, value) in &request.headers {
                put = put.header(name, value);
            }
            let answer = put
                .send()
                .await
                .map_err(|error| StorageError::Unavailable(error.without_url().to_string()))?;
            match answer.status().as_u16() {
                200..300 => self.delete(&key).await?,
                401 | 403 => {
                    return Err(StorageError::Denied(
                        "it refuses an upload signed with these keys".into(),
                    ));
                }
                400..500 => return Ok(Some(kind)),
                status => {
                    return Err(StorageError::Unavailable(format!(
                        "an upload was answered with {status}"
                    )));
                }
            }
        }
        Ok(None)
    }
}

fn meta(size: Option<i64>, etag: Option<&str>, modified: Option<&DateTime>, encoding: Option<&str>) -> Meta {
    Meta {
        size: size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        etag: etag.unwrap_or_default().to_owned(),
        last_modified: modified.map(DateTime::secs).unwrap_or_default(),
        // SigV4's own chunked encoding is none that a reader knows.
        content_encoding: encoding
            .filter(|encoding| !encoding.is_empty() && *encoding != "aws-chunked")
            .map(str::to_owned),
    }
}

/// `bytes first-last/size`
fn content_range(text: &str) -> Option<(super::Extent, u64)> {
    let (extent, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = extent.split_once('-')?;
    Some((
        super::Extent {
            first: first.parse().ok()?,
            last: last.parse().ok()?,
        },
        size.parse().ok()?,
    ))
}
