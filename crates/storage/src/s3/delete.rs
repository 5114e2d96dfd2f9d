//! Deleting, many objects at once where the service can.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures::StreamExt as _;

use super::connect::{Operation, forbidden};
use super::{Result, S3Bucket};
use crate::fence::{self, Expiring};
use crate::{ObjectKey, StorageError};

/// Keys in one DeleteObjects, as in S3.
const MAX_DELETE: usize = 1000;

impl S3Bucket {
    pub(crate) async fn delete_many(&self, keys: &[ObjectKey]) -> Vec<(ObjectKey, Result<()>)> {
        if let [key] = keys {
            return vec![(key.clone(), self.delete(key).await)];
        }
        let mut results = Vec::with_capacity(keys.len());
        for chunk in keys.chunks(MAX_DELETE) {
            results.extend(self.delete_chunk(chunk).await);
        }
        results
    }

    pub(super) async fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.agree_on_the_time().await?;
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
            .map_err(self.failed(Operation::DeleteObject, key))
        {
            Err(StorageError::NotFound) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn delete_chunk(&self, keys: &[ObjectKey]) -> Vec<(ObjectKey, Result<()>)> {
        let time = self.agree_on_the_time().await;
        let turn = self.pace.turn().await;
        let objects: std::result::Result<Vec<_>, _> = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key.as_str()).build())
            .collect();
        let delete =
            objects.and_then(|objects| Delete::builder().set_objects(Some(objects)).quiet(true).build());
        let answer = match (time, delete) {
            (Err(error), _) => Err(error),
            (Ok(()), Ok(delete)) => self
                .client
                .delete_objects()
                .bucket(&self.bucket)
                .delete(delete)
                .customize()
                .interceptor(Expiring)
                .config_override(fence::bounded())
                .send()
                .await
                .map_err(self.bucket_failed(Operation::DeleteObjects)),
            (Ok(()), Err(error)) => Err(StorageError::Invalid(error.to_string())),
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
                                Err(forbidden(Operation::DeleteObjects, &key.area(), "AccessDenied"))
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
            // Some services lack this operation, or allow it by no policy that allows DeleteObject.
            Err(StorageError::Invalid(_) | StorageError::Denied(_) | StorageError::Forbidden(_)) => {
                let Some((first, rest)) = keys.split_first() else {
                    return Vec::new();
                };
                let tried = self.delete(first).await;
                if let Err(error @ (StorageError::Denied(_) | StorageError::Forbidden(_))) = &tried {
                    return keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect();
                }
                let others = futures::stream::iter(rest.to_vec())
                    .map(|key| async move {
                        let result = self.delete(&key).await;
                        (key, result)
                    })
                    .buffer_unordered(16);
                let mut results: Vec<_> = others.collect().await;
                results.push((first.clone(), tried));
                results
            }
            Err(error) => keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect(),
        }
    }
}
