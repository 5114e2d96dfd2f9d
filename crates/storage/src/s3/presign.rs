//! Signing URLs for one upload each, and finding out whether the service minds what they say.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::connect::{BRIEF, Operation, failed};
use super::{Result, S3Bucket};
use crate::{Checksum, ChecksumKind, ObjectKey, Presigned, StorageError};

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

/// From now on, by the clock of the service.
fn signed_for(client: &Client, ttl: Duration) -> Result<PresigningConfig> {
    let mut config = PresigningConfig::builder().expires_in(ttl);
    config.set_start_time(client.config().time_source().map(|clock| clock.now()));
    config
        .build()
        .map_err(|error| StorageError::Invalid(error.to_string()))
}

pub(crate) async fn presign_put(
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
        &request
            .presigned(signed_for(client, ttl)?)
            .await
            .map_err(failed(Operation::PutObject, ""))?,
    ))
}

#[expect(
    clippy::too_many_arguments,
    reason = "a part is named by bucket, key, upload and number"
)]
pub(crate) async fn presign_part(
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
        &request
            .presigned(signed_for(client, ttl)?)
            .await
            .map_err(failed(Operation::UploadPart, ""))?,
    ))
}

fn signed_size(size: u64) -> Result<i64> {
    i64::try_from(size).map_err(|_| StorageError::Invalid("a size beyond what S3 knows".into()))
}

pub(super) fn part_number(number: u32) -> Result<i32> {
    i32::try_from(number).map_err(|_| StorageError::Invalid("a part number beyond what S3 knows".into()))
}

impl S3Bucket {
    pub(crate) async fn presign_put(
        &self,
        key: &ObjectKey,
        size: u64,
        checksum: &Checksum,
        ttl: Duration,
    ) -> Result<Presigned> {
        self.learn_the_time().await;
        presign_put(&self.public, &self.bucket, key, size, checksum, ttl).await
    }

    pub(crate) async fn presign_part(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        number: u32,
        size: u64,
        checksum: &Checksum,
        ttl: Duration,
    ) -> Result<Presigned> {
        self.learn_the_time().await;
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

    /// Which checksum the service minds: one with which it takes the bytes that fit, and
    /// refuses others.
    ///
    /// # Errors
    /// [`StorageError::Denied`] when it takes no upload at all.
    pub(crate) async fn probe_checksum(&self) -> Result<Option<ChecksumKind>> {
        let http = reqwest::Client::builder()
            .timeout(BRIEF.answer)
            .build()
            .map_err(|error| StorageError::Unavailable(error.to_string()))?;
        let mut refusals = Vec::new();
        for kind in [ChecksumKind::Sha256, ChecksumKind::Md5] {
            let name = niks3_nix::base32::encode(&rand::random::<[u8; 20]>());
            let keys =
                ["right", "wrong"].map(|which| ObjectKey::staging("probe", &format!("{name}.{which}")));
            let found = self.probe(&http, kind, &keys).await;
            for (key, deleted) in self.delete_many(&keys).await {
                if let Err(error) = deleted {
                    tracing::warn!(key = key.as_str(), %error, "what the server tried an upload with is left behind");
                }
            }
            match found? {
                Probed::Enforced => return Ok(Some(kind)),
                Probed::Ignored => {}
                Probed::Refused(status) => refusals.push(status),
            }
        }
        match refusals[..] {
            [_, status] => Err(StorageError::Denied(format!(
                "it refuses an upload signed with these keys ({status})"
            ))),
            _ => Ok(None),
        }
    }

    async fn probe(
        &self,
        http: &reqwest::Client,
        kind: ChecksumKind,
        [right, wrong]: &[ObjectKey; 2],
    ) -> Result<Probed> {
        const BODY: &[u8] = b"what was signed for";
        const OTHER: &[u8] = b"what was signed fOr";
        let checksum = match kind {
            ChecksumKind::Sha256 => Checksum::Sha256(Sha256::digest(BODY).into()),
            ChecksumKind::Md5 => Checksum::Md5(Md5::digest(BODY).into()),
        };
        match self.try_put(http, right, &checksum, BODY).await? {
            200..300 => {}
            // What a service says that does not know the header, too.
            status @ (400..=499 | 501) => return Ok(Probed::Refused(status)),
            status => return Err(strange(status)),
        }
        match self.try_put(http, wrong, &checksum, OTHER).await? {
            200..300 => Ok(Probed::Ignored),
            400 | 412 | 422 if self.head(wrong).await?.is_none() => Ok(Probed::Enforced),
            400 | 412 | 422 => Ok(Probed::Ignored),
            status => Err(strange(status)),
        }
    }

    /// Uploads by a URL for 60 seconds; the status of the answer.
    async fn try_put(
        &self,
        http: &reqwest::Client,
        key: &ObjectKey,
        checksum: &Checksum,
        body: &'static [u8],
    ) -> Result<u16> {
        let (size, life) = (body.len() as u64, Duration::from_secs(60));
        // By the server's own address: the public one may not be reachable from here.
        let request = presign_put(&self.client, &self.bucket, key, size, checksum, life).await?;
        let mut put = http.put(&request.url).body(body);
        for (name, value) in &request.headers {
            put = put.header(name, value);
        }
        let answer = put
            .send()
            .await
            .map_err(|error| StorageError::Unavailable(error.without_url().to_string()))?;
        match answer.status().as_u16() {
            429 => Err(StorageError::Throttled { retry_after: None }),
            status => Ok(status),
        }
    }
}

/// What a service does with a kind of checksum.
enum Probed {
    /// It refuses bytes that do not fit.
    Enforced,
    /// It takes bytes that do not fit.
    Ignored,
    /// It refuses even bytes that fit, with this status.
    Refused(u16),
}

fn strange(status: u16) -> StorageError {
    StorageError::Unavailable(format!("an upload was answered with {status}"))
}
