//! Uploads in parts, and copies within the service.

use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart as SdkPart};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::connect::Operation;
use super::presign::part_number;
use super::{Result, S3Bucket};
use crate::{
    ChecksumKind, CompletedPart, ListedPart, ObjectKey, StorageError, Upload, UploadMarker, UploadPage,
};

impl S3Bucket {
    pub(crate) async fn create_multipart(&self, key: &ObjectKey) -> Result<String> {
        let sha256 = self.checksum == ChecksumKind::Sha256;
        let _turn = self.pace.turn().await;
        let created = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_str())
            .content_type(key.content_type())
            .cache_control(key.cache_control())
            .set_checksum_algorithm(sha256.then_some(ChecksumAlgorithm::Sha256))
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

    /// Copies within the service; bytes do not pass through here. What is copied is small: S3 copies up to 5 GiB at once.
    async fn copy(&self, from: &ObjectKey, to: &ObjectKey) -> Result<()> {
        let _turn = self.pace.turn().await;
        self.patient
            .copy_object()
            .bucket(&self.bucket)
            .key(to.as_str())
            .copy_source(format!("{}/{}", self.bucket, from.as_str()))
            .metadata_directive(aws_sdk_s3::types::MetadataDirective::Replace)
            .content_type(to.content_type())
            .cache_control(to.cache_control())
            .send()
            .await
            .map_err(self.failed(Operation::CopyObject))?;
        Ok(())
    }

    pub(crate) async fn promote(&self, from: &ObjectKey, to: &ObjectKey, size: u64) -> Result<()> {
        match self.copy(from, to).await {
            Err(StorageError::NotFound) if self.head(to).await?.is_some_and(|meta| meta.size == size) => {
                Ok(())
            }
            copied => copied,
        }
    }
}
