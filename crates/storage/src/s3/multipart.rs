//! Uploads in parts, and copies within the service, of which large ones go in parts too.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart as SdkPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, TryStreamExt as _};

use super::connect::Operation;
use super::presign::part_number;
use super::{Result, S3Bucket};
use crate::{
    ChecksumKind, CompletedPart, ListedPart, ObjectKey, StorageError, Upload, UploadMarker, UploadPage,
};

/// How objects are copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copies {
    /// Bytes that one CopyObject may copy; more goes by parts.
    pub(super) most: u64,
    /// Bytes of a part of such a copy.
    pub(super) part: u64,
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            most: 1 << 30,
            part: 512 << 20,
        }
    }
}

impl S3Bucket {
    pub(crate) async fn create_multipart(&self, key: &ObjectKey) -> Result<String> {
        let sha256 = self.checksum == ChecksumKind::Sha256;
        self.begin(key, sha256.then_some(ChecksumAlgorithm::Sha256)).await
    }

    async fn begin(&self, key: &ObjectKey, checksum: Option<ChecksumAlgorithm>) -> Result<String> {
        let _turn = self.pace.turn().await;
        let created = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_str())
            .content_type(key.content_type())
            .cache_control(key.cache_control())
            .set_checksum_algorithm(checksum)
            .send()
            .await
            .map_err(self.failed(Operation::CreateMultipartUpload))?;
        created
            .upload_id()
            .map(str::to_owned)
            .ok_or_else(|| StorageError::Invalid("an upload without an id".into()))
    }

    pub(crate) async fn list_parts(&self, key: &ObjectKey, upload_id: &str) -> Result<Vec<ListedPart>> {
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
                .map_err(self.failed(Operation::ListParts))?;
            let before = parts.len();
            parts.extend(page.parts().iter().filter_map(|part| {
                Some(ListedPart {
                    number: u32::try_from(part.part_number()?).ok()?,
                    size: u64::try_from(part.size()?).ok()?,
                    etag: part.e_tag()?.to_owned(),
                })
            }));
            match page.next_part_number_marker() {
                // A service that ignores where to begin gives the same again and again.
                Some(next)
                    if page.is_truncated() == Some(true) && parts.len() > before && parts.len() <= 10_000 =>
                {
                    marker = Some(next.to_owned())
                }
                _ => return Ok(parts),
            }
        }
    }

    pub(crate) async fn complete_multipart(
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
                    .set_checksum_sha256(
                        (self.checksum == ChecksumKind::Sha256).then(|| STANDARD.encode(part.sha256)),
                    )
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
            .map_err(self.failed(Operation::CompleteMultipartUpload))?;
        Ok(())
    }

    pub(crate) async fn uploads(&self, after: Option<&UploadMarker>) -> Result<UploadPage> {
        match self.uploads_after(after).await {
            // versitygw takes no id of an upload here, not even the one that it has said.
            Err(StorageError::Invalid(_)) if after.is_some_and(|after| after.id.is_some()) => {
                let key = after.map(|after| UploadMarker {
                    id: None,
                    ..after.clone()
                });
                self.uploads_after(key.as_ref()).await
            }
            // There is no upload.
            Err(StorageError::NotFound) => Ok(UploadPage::default()),
            page => page,
        }
    }

    async fn uploads_after(&self, after: Option<&UploadMarker>) -> Result<UploadPage> {
        let _turn = self.pace.turn().await;
        // Without a bound of the page: some services know none here, and 1000 is that of S3.
        let answer = self
            .client
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .set_key_marker(after.map(|after| after.key.clone()))
            .set_upload_id_marker(after.and_then(|after| after.id.clone()))
            .send()
            .await
            .map_err(self.failed(Operation::ListMultipartUploads))?;
        let uploads = answer.uploads().iter().map(|upload| Upload {
            key: upload.key().unwrap_or_default().to_owned(),
            id: upload.upload_id().unwrap_or_default().to_owned(),
            begun_at: upload.initiated().map(DateTime::secs).unwrap_or_default(),
        });
        let marker = |key: &str| UploadMarker {
            key: key.to_owned(),
            id: answer
                .next_upload_id_marker()
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
        };
        let next = answer.next_key_marker().filter(|key| !key.is_empty()).map(marker);
        Ok(UploadPage {
            uploads: uploads.collect(),
            next: next.filter(|_| answer.is_truncated() == Some(true)),
        })
    }

    pub(crate) async fn abort_multipart(&self, key: &ObjectKey, upload_id: &str) -> Result<()> {
        let _turn = self.pace.turn().await;
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_str())
            .upload_id(upload_id)
            .send()
            .await;
        match aborted.map_err(self.failed(Operation::AbortMultipartUpload)) {
            Err(StorageError::NotFound) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Copies within the service; bytes do not pass through here.
    async fn copy(&self, from: &ObjectKey, to: &ObjectKey, size: u64) -> Result<()> {
        let source = format!("{}/{}", self.bucket, from.as_str());
        if size <= self.copies.most {
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
                .map_err(self.failed(Operation::CopyObject))?;
            return Ok(());
        }
        // Parts that are copied have no checksum, which MinIO and versitygw ask for where one is named.
        let upload_id = self.begin(to, None).await?;
        let copied = async {
            let parts = self.copy_parts(&source, to, &upload_id, size).await?;
            self.complete(to, &upload_id, parts).await
        };
        let copied = copied.await;
        if copied.is_err()
            && let Err(error) = self.abort_multipart(to, &upload_id).await
        {
            tracing::warn!(key = to.as_str(), %error, "an unfinished copy is left to garbage collection");
        }
        copied
    }

    async fn copy_parts(
        &self,
        source: &str,
        to: &ObjectKey,
        upload_id: &str,
        size: u64,
    ) -> Result<Vec<SdkPart>> {
        let length = self.copies.part;
        let parts: Vec<(i32, u64)> = (1..)
            .zip((0..size).step_by(usize::try_from(length).unwrap_or(usize::MAX)))
            .collect();
        futures::stream::iter(parts)
            .map(|(number, first)| async move {
                let _turn = self.pace.turn().await;
                let last = (first + length).min(size) - 1;
                let part = self
                    .patient
                    .upload_part_copy()
                    .bucket(&self.bucket)
                    .key(to.as_str())
                    .upload_id(upload_id)
                    .part_number(number)
                    .copy_source(source)
                    .copy_source_range(format!("bytes={first}-{last}"))
                    .customize()
                    // Ceph asks for it, though there is no body.
                    .mutate_request(|request| {
                        request.headers_mut().insert("content-length", "0");
                    })
                    .send()
                    .await
                    .map_err(self.failed(Operation::UploadPartCopy))?;
                let result = part.copy_part_result();
                Ok::<_, StorageError>(
                    SdkPart::builder()
                        .part_number(number)
                        .set_e_tag(result.and_then(|result| result.e_tag()).map(str::to_owned))
                        .build(),
                )
            })
            .buffered(8)
            .try_collect()
            .await
    }

    pub(crate) async fn promote(&self, from: &ObjectKey, to: &ObjectKey, size: u64) -> Result<()> {
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
}
