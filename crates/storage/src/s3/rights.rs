//! Finds out at the start what the service lets the server do, and by which checksums it checks uploads.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, ProvideCredentials as _, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::connect::{BRIEF, Operation};
use super::presign::{presign_part, presign_put};
use super::{Result, S3Bucket};
use crate::{Checksum, ChecksumKind, ObjectKey, Presigned, StorageError};

/// What the objects have that are tried.
const BODY: &[u8] = b"what was signed for";
/// As many other bytes.
const OTHER: &[u8] = b"what was signed fOr";
/// How long the URLs are good for.
const URL_LIFE: Duration = Duration::from_secs(60);
/// Bytes of an answer that are looked at.
const MAX_ANSWER: usize = 16 * 1024;
/// Hex digits that tell access keys apart.
const IDENTITY_LENGTH: usize = 32;

/// What the server has to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Writing objects.
    Put,
    /// Reading objects.
    Get,
    /// Listing objects.
    List,
    /// Deleting objects.
    Delete,
    /// Listing uploads in parts that have not ended.
    ListUploads,
    /// Listing the parts of an upload.
    ListParts,
    /// Giving up an upload in parts.
    AbortUpload,
}

impl Right {
    const fn operation(self) -> Operation {
        match self {
            Self::Put => Operation::PutObject,
            Self::Get => Operation::GetObject,
            Self::List => Operation::ListObjects,
            Self::Delete => Operation::DeleteObject,
            Self::ListUploads => Operation::ListMultipartUploads,
            Self::ListParts => Operation::ListParts,
            Self::AbortUpload => Operation::AbortMultipartUpload,
        }
    }

    /// The permission, as policies name it.
    #[must_use]
    pub const fn permission(self) -> &'static str {
        self.operation().permission()
    }

    /// What does not work without it.
    const fn consequence(self) -> &'static str {
        match self {
            Self::Put | Self::Get | Self::List | Self::Delete => "there is no cache",
            Self::ListUploads => "abandoned multipart uploads of others are not found",
            Self::ListParts => "large NARs, which come in parts, cannot be pushed",
            Self::AbortUpload => "multipart uploads that a client gives up stay in the bucket",
        }
    }

    /// Whether there is no cache without it.
    #[must_use]
    pub const fn is_required(self) -> bool {
        matches!(self, Self::Put | Self::Get | Self::List | Self::Delete)
    }
}

/// What the service does with the checksums of parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartChecks {
    /// It refuses bytes that do not fit.
    Enforced,
    /// It takes bytes that do not fit.
    Ignored,
    /// It takes no upload in parts, and says so.
    Unsupported(String),
}

/// What the service lets the server do.
#[derive(Debug, Clone)]
pub struct Rights {
    /// What it checks uploads by; `None` when it takes anything.
    pub checksum: Option<ChecksumKind>,
    /// What it does with the checksums of parts.
    pub parts: PartChecks,
    /// What it refuses, and in which words.
    pub missing: Vec<(Right, String)>,
}

impl Rights {
    /// Everything.
    #[must_use]
    pub const fn all(checksum: ChecksumKind) -> Self {
        Self {
            checksum: Some(checksum),
            parts: PartChecks::Enforced,
            missing: Vec::new(),
        }
    }

    /// What is missing without which there is no cache.
    #[must_use]
    pub fn missing_required(&self) -> Vec<(Right, String)> {
        let missing = self.missing.iter().filter(|(right, _)| right.is_required());
        missing.cloned().collect()
    }

    /// What else is missing, in a sentence.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let mut flaws: Vec<String> = (self.missing.iter())
            .filter(|(right, _)| !right.is_required())
            .map(|(right, why)| {
                let (permission, consequence) = (right.permission(), right.consequence());
                format!("without {permission} {consequence} ({why})")
            })
            .collect();
        match &self.parts {
            PartChecks::Enforced => {}
            PartChecks::Ignored => flaws.push(
                "checksums of parts are not enforced, so that a damaged NAR is found only when the server reads it"
                    .into(),
            ),
            PartChecks::Unsupported(why) => {
                flaws.push(format!("uploads in parts fail, so that large NARs cannot be pushed ({why})"));
            }
        }
        (!flaws.is_empty()).then(|| flaws.join("; "))
    }

    /// Whether there is nothing that somebody may mend.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.checksum.is_some() && self.missing.is_empty() && self.parts == PartChecks::Enforced
    }
}

/// What names a service, and whoever asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceIdentity {
    /// Its address.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// Its `Server` header; empty where it has none.
    pub name: String,
    /// A hash of the access key.
    pub access_key: String,
}

/// What a service does with a kind of checksum.
enum Probed {
    /// It refuses bytes that do not fit.
    Enforced,
    /// It takes bytes that do not fit.
    Ignored,
    /// It refuses even bytes that fit.
    Refused(Answer),
}

/// The answer to an upload.
#[derive(Debug, Clone)]
struct Answer {
    status: u16,
    /// As S3 writes it in the body of an error; may be empty.
    code: String,
}

impl Answer {
    fn is_denial(&self) -> bool {
        self.status == 403 && matches!(self.code.as_str(), "" | "AccessDenied")
    }

    fn words(&self) -> String {
        match self.code.as_str() {
            "" => format!("HTTP {}", self.status),
            code => format!("{code}, HTTP {}", self.status),
        }
    }
}

/// Takes down the `Server` header of an answer.
#[derive(Debug, Clone, Default)]
struct ServerHeader(Arc<OnceLock<String>>);

impl Intercept for ServerHeader {
    fn name(&self) -> &'static str {
        "ServerHeader"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> std::result::Result<(), BoxError> {
        if let Some(value) = context.response().headers().get("server") {
            let _ = self.0.set(value.to_owned());
        }
        Ok(())
    }
}

impl S3Bucket {
    /// What names the service, and whoever asks it.
    pub(crate) async fn service_identity(&self) -> ServiceIdentity {
        let header = ServerHeader::default();
        let asked = self.client.head_bucket().bucket(&self.bucket).customize();
        let _ = asked.interceptor(header.clone()).send().await;
        let access = match self.credentials.provide_credentials().await {
            Ok(credentials) => hex::encode(Sha256::digest(credentials.access_key_id())),
            Err(_) => String::new(),
        };
        ServiceIdentity {
            endpoint: self.address.clone(),
            bucket: self.bucket.clone(),
            name: header.0.get().cloned().unwrap_or_default(),
            access_key: access.chars().take(IDENTITY_LENGTH).collect(),
        }
    }

    /// Tries every operation that a cache needs with one object under a fixed key, and deletes it. `kind` is what uploads
    /// are to be checked by; else it is the first kind that the service enforces for objects and for parts, or for objects.
    ///
    /// # Errors
    /// [`StorageError::Denied`] when it takes no upload for another reason than a missing permission.
    pub(crate) async fn probe_rights(&self, kind: Option<ChecksumKind>) -> Result<Rights> {
        self.learn_the_time().await;
        let http = reqwest::Client::builder()
            .timeout(BRIEF.answer)
            .build()
            .map_err(|error| StorageError::Unavailable(error.to_string()))?;
        let probe = Probe {
            bucket: self,
            http,
            key: ObjectKey::probe(),
        };
        let probed = probe.checksums(kind).await;
        // Whatever was found: what was written is deleted.
        let deleted = denial(self.delete(&probe.key).await);
        let mut rights = probed?;
        let found = [
            (Right::Delete, deleted?),
            (Right::List, denial(self.list("staging/probe/", "", 1).await)?),
            (Right::ListUploads, lack(self.uploads(None).await)?),
        ];
        for (right, why) in found {
            rights.missing.extend(why.map(|why| (right, why)));
        }
        Ok(rights)
    }
}

struct Probe<'b> {
    bucket: &'b S3Bucket,
    http: reqwest::Client,
    key: ObjectKey,
}

impl Probe<'_> {
    /// What uploads are checked by, and whether they may be read.
    async fn checksums(&self, kind: Option<ChecksumKind>) -> Result<Rights> {
        let kinds = match kind {
            Some(kind) => vec![kind],
            None => vec![ChecksumKind::Sha256, ChecksumKind::Md5],
        };
        let mut missing: Vec<(Right, String)> = Vec::new();
        let mut refusals: Vec<Answer> = Vec::new();
        let mut found: Option<(ChecksumKind, PartChecks)> = None;
        for kind in &kinds {
            match self.object(*kind, &mut missing).await? {
                Probed::Enforced => {}
                Probed::Ignored => continue,
                Probed::Refused(answer) => {
                    refusals.push(answer);
                    continue;
                }
            }
            let parts = self.parts(*kind, &mut missing).await?;
            let enforced = parts == PartChecks::Enforced;
            if enforced || found.is_none() {
                found = Some((*kind, parts));
            }
            if enforced {
                break;
            }
        }
        if let (None, Some(last)) = (&found, refusals.last())
            && refusals.len() == kinds.len()
        {
            if !last.is_denial() {
                return Err(StorageError::Denied(format!(
                    "it refuses an upload signed with these keys ({})",
                    last.words()
                )));
            }
            missing.push((Right::Put, last.words()));
        }
        let (checksum, parts) = match found {
            Some((kind, parts)) => (Some(kind), parts),
            None => (None, PartChecks::Enforced),
        };
        Ok(Rights {
            checksum,
            parts,
            missing,
        })
    }

    /// What becomes of a whole object that does not fit its checksum.
    async fn object(&self, kind: ChecksumKind, missing: &mut Vec<(Right, String)>) -> Result<Probed> {
        let checksum = checksum(kind);
        let sign = || {
            let S3Bucket { client, bucket, .. } = self.bucket;
            // By the server's own address: the public one may not be reachable from here.
            presign_put(client, bucket, &self.key, BODY.len() as u64, &checksum, URL_LIFE)
        };
        let answer = self.send(sign().await?, BODY).await?;
        match answer.status {
            200..300 => {}
            // What a service says that does not know the header, too.
            400..=499 | 501 => return Ok(Probed::Refused(answer)),
            status => return Err(strange(status)),
        }
        match self.send(sign().await?, OTHER).await?.status {
            200..300 => return Ok(Probed::Ignored),
            400 | 412 | 422 => {}
            status => return Err(strange(status)),
        }
        // It may have kept what it has refused. Another server may try the same now, with the same objects.
        let stored = self.read().await;
        if let Some(why) = denial(stored.clone())? {
            if missing.iter().all(|(right, _)| *right != Right::Get) {
                missing.push((Right::Get, why));
            }
            return Ok(Probed::Enforced);
        }
        Ok(match stored {
            Ok(Some(bytes)) if bytes == OTHER => Probed::Ignored,
            _ => Probed::Enforced,
        })
    }

    async fn read(&self) -> Result<Option<Vec<u8>>> {
        use futures::TryStreamExt as _;
        let found = self.bucket.get(&self.key, &crate::GetOptions::default()).await?;
        let crate::GetResult::Found(object) = found else {
            return Ok(None);
        };
        let chunks: Vec<bytes::Bytes> = object.body.try_collect().await?;
        Ok(Some(chunks.concat()))
    }

    /// What becomes of a part that does not fit its checksum.
    async fn parts(&self, kind: ChecksumKind, missing: &mut Vec<(Right, String)>) -> Result<PartChecks> {
        let begun = self.bucket.create_multipart_checked_by(kind, &self.key).await;
        let id = match begun {
            Ok(id) => id,
            Err(StorageError::Invalid(why) | StorageError::Denied(why) | StorageError::Forbidden(why)) => {
                return Ok(PartChecks::Unsupported(why));
            }
            Err(error) => return Err(error),
        };
        let checked = self.parts_of(kind, &id).await;
        let listed = denial(self.bucket.list_parts(&self.key, &id).await);
        let aborted = denial(self.bucket.abort_multipart(&self.key, &id).await);
        for (right, why) in [(Right::ListParts, listed?), (Right::AbortUpload, aborted?)] {
            if let Some(why) = why
                && missing.iter().all(|(other, _)| *other != right)
            {
                missing.push((right, why));
            }
        }
        checked
    }

    async fn parts_of(&self, kind: ChecksumKind, id: &str) -> Result<PartChecks> {
        let checksum = checksum(kind);
        let sign = |number| {
            let S3Bucket { client, bucket, .. } = self.bucket;
            presign_part(
                client,
                bucket,
                &self.key,
                id,
                number,
                BODY.len() as u64,
                &checksum,
                URL_LIFE,
            )
        };
        let right = self.send(sign(1).await?, BODY).await?;
        match right.status {
            200..300 => {}
            400..=499 | 501 => return Ok(PartChecks::Unsupported(format!("UploadPart: {}", right.words()))),
            status => return Err(strange(status)),
        }
        match self.send(sign(2).await?, OTHER).await?.status {
            200..300 => Ok(PartChecks::Ignored),
            400..=499 => Ok(PartChecks::Enforced),
            status => Err(strange(status)),
        }
    }

    async fn send(&self, request: Presigned, body: &'static [u8]) -> Result<Answer> {
        let mut put = self.http.put(&request.url).body(body);
        for (name, value) in &request.headers {
            put = put.header(name, value);
        }
        let mut answer = put
            .send()
            .await
            .map_err(|error| StorageError::Unavailable(error.without_url().to_string()))?;
        let status = answer.status().as_u16();
        if status == 429 {
            return Err(StorageError::Throttled { retry_after: None });
        }
        let mut text = Vec::new();
        while let Ok(Some(chunk)) = answer.chunk().await {
            text.extend_from_slice(&chunk);
            if text.len() > MAX_ANSWER {
                break;
            }
        }
        let code = error_code(&text);
        Ok(Answer { status, code })
    }
}

/// Why a permission is missing, if it is.
fn denial<T>(result: Result<T>) -> Result<Option<String>> {
    match result {
        Ok(_) | Err(StorageError::NotFound) => Ok(None),
        Err(StorageError::Forbidden(why) | StorageError::Denied(why)) => Ok(Some(why)),
        Err(error) => Err(error),
    }
}

/// The same for what some services do not have.
fn lack<T>(result: Result<T>) -> Result<Option<String>> {
    match result {
        Err(StorageError::Invalid(why)) => Ok(Some(why)),
        result => denial(result),
    }
}

fn checksum(kind: ChecksumKind) -> Checksum {
    match kind {
        ChecksumKind::Sha256 => Checksum::Sha256(Sha256::digest(BODY).into()),
        ChecksumKind::Md5 => Checksum::Md5(Md5::digest(BODY).into()),
    }
}

/// `Code` of an error in XML; empty where there is none.
fn error_code(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"))
        .map(|(code, _)| code);
    let is_name = |code: &&str| code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    code.filter(is_name).unwrap_or_default().to_owned()
}

fn strange(status: u16) -> StorageError {
    StorageError::Unavailable(format!("an upload was answered with {status}"))
}
