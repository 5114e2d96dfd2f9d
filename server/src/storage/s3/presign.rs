//! Signing URLs for one upload each, and finding out whether the service minds what they say.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::connect::{BRIEF, failed};
use super::{Result, S3Bucket};
use crate::storage::{Checksum, ChecksumKind, ObjectKey, Presigned, StorageError};

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

pub(in crate::storage) async fn presign_put(
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
pub(in crate::storage) async fn presign_part(
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

pub(super) fn part_number(number: u32) -> Result<i32> {
    i32::try_from(number).map_err(|_| StorageError::Invalid("a part number beyond what S3 knows".into()))
}

impl S3Bucket {
    pub(in crate::storage) async fn presign_put(
        &self,
        key: &ObjectKey,
        size: u64,
        checksum: &Checksum,
        ttl: Duration,
    ) -> Result<Presigned> {
        presign_put(&self.public, &self.bucket, key, size, checksum, ttl).await
    }

    pub(in crate::storage) async fn presign_part(
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

    /// Uploads bytes that do not fit their checksum, to see which the service minds.
    pub(in crate::storage) async fn probe_checksum(&self) -> Result<Option<ChecksumKind>> {
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
