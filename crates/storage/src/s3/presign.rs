//! Signing URLs for one request each.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::connect::{Operation, failed};
use super::{Result, S3Bucket};
use crate::{Checksum, ObjectKey, Presigned, StorageError};

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
        &request.presigned(signed_for(client, ttl)?).await.map_err(failed(
            Operation::PutObject,
            "",
            key.area(),
        ))?,
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
        &request.presigned(signed_for(client, ttl)?).await.map_err(failed(
            Operation::UploadPart,
            "",
            key.area(),
        ))?,
    ))
}

fn signed_size(size: u64) -> Result<i64> {
    i64::try_from(size).map_err(|_| StorageError::Invalid("a size beyond what S3 knows".into()))
}

pub(super) fn part_number(number: u32) -> Result<i32> {
    i32::try_from(number).map_err(|_| StorageError::Invalid("a part number beyond what S3 knows".into()))
}

impl S3Bucket {
    /// A URL that reads one object, by GET or by HEAD, and whatever range of it.
    pub(crate) async fn presign_read(
        &self,
        key: &ObjectKey,
        head_only: bool,
        ttl: Duration,
    ) -> Result<String> {
        self.learn_the_time().await;
        let config = signed_for(&self.public, ttl)?;
        let request = if head_only {
            let head = self.public.head_object().bucket(&self.bucket).key(key.as_str());
            let signed = head.presigned(config).await;
            signed.map_err(self.failed(Operation::HeadObject, key))?
        } else {
            let get = self.public.get_object().bucket(&self.bucket).key(key.as_str());
            let signed = get.presigned(config).await;
            signed.map_err(self.failed(Operation::GetObject, key))?
        };
        let Presigned { url, headers } = presigned(&request);
        if headers.is_empty() {
            Ok(url)
        } else {
            Err(StorageError::Invalid(
                "a redirect cannot have headers sent".into(),
            ))
        }
    }

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
}
