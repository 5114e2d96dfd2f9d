//! An S3 service elsewhere.

mod clock;
mod conditional;
mod connect;
mod credentials;
mod delete;
mod metered;
mod multipart;
mod policy;
mod presign;
mod rights;
mod settings;
mod versions;

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::BehaviorVersion;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Error;
use aws_sdk_s3::primitives::{ByteStream as Body, DateTime};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use md5::{Digest as _, Md5};
use url::Url;

use super::fence::{self, Expiring};
use super::pace::Pace;
use super::{ByteStream, ChecksumKind, GetOptions, GetResult, Listed, Meta, Object, ObjectKey, StorageError};
pub(super) use clock::ServiceClock;
pub(super) use connect::{BRIEF, client};
use connect::{LONG, Operation, UNKNOWN_KEY, WRONG_SECRET, failed};
pub(crate) use credentials::CredentialSource;
pub(super) use presign::{presign_part, presign_put};
pub use rights::{PartChecks, Right, Rights, ServiceIdentity};
pub use settings::{S3Keys, S3Settings};

type Result<T> = std::result::Result<T, StorageError>;

/// How long the service may take to say that it is there.
const READY: Duration = Duration::from_secs(5);
/// Characters of a region.
const MAX_REGION: usize = 64;

/// A bucket of an S3 service.
#[derive(Debug)]
pub struct S3Bucket {
    client: Client,
    /// For what takes the service its time.
    patient: Client,
    /// Signs URLs that clients use, for the address they use.
    public: Client,
    bucket: String,
    /// Where the service is, for people.
    address: String,
    pace: Pace,
    /// By which requests and URLs are signed.
    clock: ServiceClock,
    /// What uploads in parts are checked by.
    checksum: ChecksumKind,
    credentials: CredentialSource,
}

impl S3Bucket {
    /// Opens a bucket; asks it nothing yet.
    ///
    /// # Errors
    /// When no credentials are found.
    pub async fn open(settings: &S3Settings) -> Result<Self> {
        let credentials = match &settings.credentials {
            Some(keys) => CredentialSource::keys(keys.clone()),
            None => CredentialSource::provider(
                aws_config::defaults(BehaviorVersion::latest())
                    .load()
                    .await
                    .credentials_provider()
                    .ok_or_else(|| StorageError::Denied("the environment has no credentials".into()))?,
            ),
        };
        let clock = ServiceClock::default();
        let make = |endpoint: Option<&Url>, patience| {
            client(
                endpoint,
                &settings.region,
                settings.path_style,
                &credentials,
                patience,
                clock.clone(),
            )
        };
        let public = settings.public_url.as_ref().or(settings.endpoint.as_ref());
        Ok(Self {
            client: make(settings.endpoint.as_ref(), BRIEF),
            patient: make(settings.endpoint.as_ref(), LONG),
            public: make(public, BRIEF),
            bucket: settings.bucket.clone(),
            address: settings.endpoint.as_ref().map_or_else(
                || format!("AWS in {}", settings.region),
                |endpoint| endpoint.as_str().trim_end_matches('/').to_owned(),
            ),
            pace: Pace::new(settings.concurrency, settings.rate_limit),
            checksum: ChecksumKind::Sha256,
            credentials,
            clock,
        })
    }

    /// What an error of an operation on an object means.
    fn failed<E>(
        &self,
        operation: Operation,
        key: &ObjectKey,
    ) -> impl FnOnce(SdkError<E, HttpResponse>) -> StorageError + use<'_, E>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        failed(operation, &self.address, key.area())
    }

    /// The same for an operation on the bucket.
    fn bucket_failed<E>(
        &self,
        operation: Operation,
    ) -> impl FnOnce(SdkError<E, HttpResponse>) -> StorageError + use<'_, E>
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        failed(operation, &self.address, format!("the bucket {}", self.bucket))
    }

    /// Reads the credentials again.
    pub(super) fn read_credentials_again(&self) {
        self.credentials.read_again();
    }

    pub(super) fn checking(self, checksum: ChecksumKind) -> Self {
        Self { checksum, ..self }
    }

    pub(super) async fn ready(&self) -> Result<()> {
        let asked = async {
            let _turn = self.pace.turn().await;
            let asked = self.client.head_bucket().bucket(&self.bucket).send().await;
            asked.map_err(self.bucket_failed(Operation::HeadBucket))
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

    /// How the service refuses the bucket. The answer to HEAD has no body, so it is asked in another way.
    async fn refusal(&self) -> Option<SdkError<ListObjectsV2Error, HttpResponse>> {
        let asked = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .max_keys(1)
            .send();
        tokio::time::timeout(READY, asked).await.ok()?.err()
    }

    /// The region that the service names when it is asked for another.
    pub(super) async fn region(&self) -> Option<String> {
        let error = self.refusal().await?;
        let response = error.raw_response()?;
        let header = response.headers().get("x-amz-bucket-region").map(str::to_owned);
        let named = header.or_else(|| region_element(response.body().bytes()?))?;
        let is_name = |name: &str| {
            let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            !name.is_empty() && name.len() <= MAX_REGION && name.bytes().all(word)
        };
        Some(named).filter(|name| is_name(name))
    }

    /// Which option is wrong when the bucket does not let the server in, and the mend.
    pub(super) async fn diagnose(&self) -> Option<String> {
        let error = self.refusal().await?;
        let said: String = error
            .message()
            .unwrap_or_default()
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect();
        // Whoever is no S3 service has no code of one in the answer.
        let Some(code) = error.code().filter(|code| *code != "NotFound") else {
            let status = error.raw_response()?.status().as_u16();
            return Some(format!(
                "--s3-endpoint: what answers is not an S3 service, or has no bucket {} (HTTP {status}): check the address and \
                 its path, and --s3-bucket",
                self.bucket
            ));
        };
        Some(match code {
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
                let line = format!(
                    "--s3-access-key, --s3-secret-key: the object store does not let them into the bucket: {said}"
                );
                if [UNKNOWN_KEY, WRONG_SECRET].iter().any(|text| said.contains(text)) {
                    line
                } else {
                    let policy = self.least_policy();
                    format!(
                        "{line}; they need {} and more:\n{policy}",
                        Operation::ListObjects.permission()
                    )
                }
            }
            code => format!("--s3-endpoint: the object store refuses: {code}: {said}"),
        })
    }

    pub(super) async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        self.learn_the_time().await;
        let _turn = self.pace.turn().await;
        self.client
            .put_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .content_type(key.content_type())
            .cache_control(key.cache_control())
            .content_md5(content_md5(&body))
            .body(Body::from(body))
            .customize()
            .interceptor(Expiring)
            .config_override(fence::bounded())
            .send()
            .await
            .map_err(self.failed(Operation::PutObject, key))?;
        Ok(())
    }

    /// Puts or deletes an object in one attempt.
    pub(super) async fn attempt(&self, key: &ObjectKey, body: Option<Bytes>) -> Result<()> {
        match body {
            Some(_) => self.learn_the_time().await,
            None => self.agree_on_the_time().await?,
        }
        let _turn = self.pace.turn().await;
        let once = fence::bounded().retry_config(RetryConfig::disabled());
        match body {
            Some(body) => self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(key.as_str())
                .content_type(key.content_type())
                .cache_control(key.cache_control())
                .content_md5(content_md5(&body))
                .body(Body::from(body))
                .customize()
                .interceptor(Expiring)
                .config_override(once)
                .send()
                .await
                .map(drop)
                .map_err(self.failed(Operation::PutObject, key)),
            None => self
                .client
                .delete_object()
                .bucket(&self.bucket)
                .key(key.as_str())
                .customize()
                .interceptor(Expiring)
                .config_override(once)
                .send()
                .await
                .map(drop)
                .map_err(self.failed(Operation::DeleteObject, key)),
        }
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
            Err(error) => match self.failed(Operation::HeadObject, key)(error) {
                StorageError::NotFound => Ok(None),
                StorageError::Denied(why) => {
                    Err(self.refused_read(key).await.unwrap_or(StorageError::Denied(why)))
                }
                error => Err(error),
            },
        }
    }

    /// How the service refuses to read an object: the answer to HEAD has no body that would say it.
    async fn refused_read(&self, key: &ObjectKey) -> Option<StorageError> {
        let asked = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .range("bytes=0-0")
            .send()
            .await;
        match self.failed(Operation::GetObject, key)(asked.err()?) {
            StorageError::NotFound => None,
            error => Some(error),
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
                // Not every service reads lists of entity tags, or dates of its future.
                if options.not_modified(&meta) {
                    return Ok(GetResult::NotModified(meta));
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
                    _ => match self.failed(Operation::GetObject, key)(error) {
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

    /// Full pages, whatever the service gives in one answer: it may give fewer keys than it was asked for, and says whether
    /// there are more.
    pub(super) async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Listed>> {
        let mut listed: Vec<Listed> = Vec::new();
        while listed.len() < limit {
            let last = listed
                .last()
                .map_or(after, |object| object.key.as_str())
                .to_owned();
            let (page, more) = self.list_once(prefix, &last, limit - listed.len()).await?;
            // A service that ignores where to begin gives the same again and again.
            let before = listed.len();
            listed.extend(page.into_iter().filter(|object| object.key > last));
            if !more || listed.len() == before {
                break;
            }
        }
        Ok(listed)
    }

    async fn list_once(&self, prefix: &str, after: &str, limit: usize) -> Result<(Vec<Listed>, bool)> {
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
            .map_err(self.bucket_failed(Operation::ListObjects))?;
        let listed = answer.contents().iter().map(|object| Listed {
            key: object.key().unwrap_or_default().to_owned(),
            size: object.size().unwrap_or_default().unsigned_abs(),
        });
        Ok((listed.collect(), answer.is_truncated() == Some(true)))
    }
}

/// `Region` of an error in XML.
fn region_element(body: &[u8]) -> Option<String> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once("<Region>")?;
    let (region, _) = rest.split_once("</Region>")?;
    Some(region.to_owned())
}

/// What every service checks a body against; the SDK adds nothing to a PUT by itself.
fn content_md5(body: &[u8]) -> String {
    STANDARD.encode(Md5::digest(body))
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
