//! Versioned buckets: what they keep of deleted objects, and how that is deleted for good.

use std::collections::HashSet;

use aws_sdk_s3::types::{BucketVersioningStatus, Delete, ExpirationStatus, LifecycleRule, ObjectIdentifier};
use futures::StreamExt as _;

use super::connect::Operation;
use super::{Result, S3Bucket};
use crate::fence::{self, Expiring};
use crate::versions::{Version, VersionMarker, VersionPage, Versioning};
use crate::{ObjectKey, StorageError};

/// Requests at once where the service deletes one version at a time.
const SINGLE_DELETIONS: usize = 16;

impl S3Bucket {
    /// What the bucket does with what is deleted, as far as the server may know.
    pub(crate) async fn versioning(&self) -> Result<Versioning> {
        let asked = {
            let _turn = self.pace.turn().await;
            self.client
                .get_bucket_versioning()
                .bucket(&self.bucket)
                .send()
                .await
        };
        match asked.map_err(self.bucket_failed(Operation::GetBucketVersioning)) {
            Ok(answer) => Ok(match answer.status() {
                None => Versioning::Off,
                Some(BucketVersioningStatus::Enabled) => Versioning::Enabled {
                    expires: self.old_versions_expire().await,
                },
                Some(_) => Versioning::Suspended,
            }),
            // It knows no versions.
            Err(StorageError::Invalid(_) | StorageError::NotFound) => Ok(Versioning::Off),
            Err(StorageError::Forbidden(why) | StorageError::Denied(why)) => Ok(Versioning::Unknown(why)),
            Err(error) => Err(error),
        }
    }

    /// Whether a lifecycle rule deletes the old versions of all objects, as far as the server may know.
    async fn old_versions_expire(&self) -> bool {
        let asked = self
            .client
            .get_bucket_lifecycle_configuration()
            .bucket(&self.bucket);
        let Ok(answer) = asked.send().await else {
            return false;
        };
        answer.rules().iter().any(expires_all)
    }

    /// For how long every object is kept from the moment that it is written, if that is so and the server may know.
    pub(crate) async fn default_retention(&self) -> Option<String> {
        let asked = self.client.get_object_lock_configuration().bucket(&self.bucket);
        let answer = asked.send().await.ok()?;
        let retention = answer.object_lock_configuration()?.rule()?.default_retention()?;
        let time = match (retention.days(), retention.years()) {
            (Some(1), _) => "1 day".to_owned(),
            (Some(days), _) if days > 0 => format!("{days} days"),
            (_, Some(1)) => "1 year".to_owned(),
            (_, Some(years)) if years > 0 => format!("{years} years"),
            _ => return None,
        };
        let mode = retention.mode().map_or("", |mode| mode.as_str());
        Some(format!("{time}, {mode}"))
    }

    pub(crate) async fn versions_after(&self, after: Option<&VersionMarker>) -> Result<VersionPage> {
        let answer = {
            let _turn = self.pace.turn().await;
            self.client
                .list_object_versions()
                .bucket(&self.bucket)
                .set_key_marker(after.map(|after| after.key.clone()))
                .set_version_id_marker(after.and_then(|after| after.id.clone()))
                .send()
                .await
                .map_err(self.bucket_failed(Operation::ListObjectVersions))?
        };
        let version = |key: Option<&str>, id: Option<&str>, is_latest, is_marker| Version {
            key: key.unwrap_or_default().to_owned(),
            id: id.unwrap_or_default().to_owned(),
            is_latest: is_latest == Some(true),
            is_marker,
        };
        let objects = (answer.versions().iter())
            .map(|object| version(object.key(), object.version_id(), object.is_latest(), false));
        let marks = (answer.delete_markers().iter())
            .map(|mark| version(mark.key(), mark.version_id(), mark.is_latest(), true));
        let mut versions: Vec<Version> = objects.chain(marks).collect();
        versions.sort_by(|a, b| a.key.cmp(&b.key));
        let marker = |key: &str| VersionMarker {
            key: key.to_owned(),
            id: (answer.next_version_id_marker())
                .filter(|id| !id.is_empty())
                .map(str::to_owned),
        };
        let next = answer.next_key_marker().filter(|key| !key.is_empty()).map(marker);
        Ok(VersionPage {
            versions,
            next: next.filter(|_| answer.is_truncated() == Some(true)),
        })
    }

    /// Deletes these versions for good; the keys of those that are left. At most 1000.
    pub(crate) async fn delete_versions(&self, versions: &[(ObjectKey, String)]) -> Result<HashSet<String>> {
        self.agree_on_the_time().await?;
        let objects = versions.iter().map(|(key, id)| {
            let object = ObjectIdentifier::builder().key(key.as_str()).version_id(id);
            object
                .build()
                .map_err(|error| StorageError::Invalid(error.to_string()))
        });
        let delete = Delete::builder()
            .set_objects(Some(objects.collect::<Result<Vec<_>>>()?))
            .quiet(true)
            .build()
            .map_err(|error| StorageError::Invalid(error.to_string()))?;
        let asked = {
            let _turn = self.pace.turn().await;
            self.client
                .delete_objects()
                .bucket(&self.bucket)
                .delete(delete)
                .customize()
                .interceptor(Expiring)
                .config_override(fence::bounded())
                .send()
                .await
        };
        match asked.map_err(self.bucket_failed(Operation::DeleteObjectVersion)) {
            Ok(answer) => {
                let errors = answer.errors().iter();
                let left =
                    errors.filter(|error| !matches!(error.code(), Some("NoSuchVersion" | "NoSuchKey")));
                Ok(left.filter_map(|error| error.key()).map(str::to_owned).collect())
            }
            // Some services lack this operation, or allow it by no policy that allows DeleteObjectVersion.
            Err(StorageError::Invalid(_) | StorageError::Forbidden(_) | StorageError::Denied(_)) => {
                let single = futures::stream::iter(versions.to_vec()).map(|(key, id)| async move {
                    let deleted = self.delete_version(&key, &id).await;
                    deleted.is_err().then(|| key.as_str().to_owned())
                });
                let left = single.buffer_unordered(SINGLE_DELETIONS);
                Ok(left.filter_map(async |key| key).collect().await)
            }
            Err(error) => Err(error),
        }
    }

    async fn delete_version(&self, key: &ObjectKey, id: &str) -> Result<()> {
        let _turn = self.pace.turn().await;
        let asked = self
            .client
            .delete_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .version_id(id)
            .customize()
            .interceptor(Expiring)
            .config_override(fence::bounded())
            .send()
            .await;
        match asked.map_err(self.failed(Operation::DeleteObjectVersion, key)) {
            Ok(_) | Err(StorageError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn expires_all(rule: &LifecycleRule) -> bool {
    let of_all = rule.filter().is_none_or(|filter| {
        filter.prefix().unwrap_or_default().is_empty()
            && filter.tag().is_none()
            && filter.and().is_none()
            && filter.object_size_greater_than().is_none()
            && filter.object_size_less_than().is_none()
    });
    #[expect(deprecated, reason = "services answer with it")]
    let of_all = of_all && rule.prefix().unwrap_or_default().is_empty();
    of_all && *rule.status() == ExpirationStatus::Enabled && rule.noncurrent_version_expiration().is_some()
}
