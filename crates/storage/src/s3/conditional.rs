//! Writing under a condition, at services that know it and at those that do not.

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::primitives::ByteStream as Body;
use bytes::Bytes;

use super::connect::Operation;
use super::{Result, S3Bucket, content_md5};
use crate::fence::{self, Expiring};
use crate::{Condition, ConditionalWrite, ObjectKey, StorageError};

impl S3Bucket {
    pub(crate) async fn put_if(
        &self,
        key: &ObjectKey,
        body: Bytes,
        condition: &Condition,
    ) -> Result<ConditionalWrite> {
        let written = self.put_if_once(key, body.clone(), condition).await?;
        let Condition::Unchanged(etag) = condition else {
            return Ok(written);
        };
        // Ceph 16.2 compares an entity tag in its quotes with one without, and so finds that every object has changed.
        let bare = etag.trim_matches('"');
        let unchanged =
            async || Ok::<_, StorageError>(self.head(key).await?.is_some_and(|meta| meta.etag == *etag));
        if written == ConditionalWrite::Refused && bare != etag && unchanged().await? {
            return self
                .put_if_once(key, body, &Condition::Unchanged(bare.to_owned()))
                .await;
        }
        Ok(written)
    }

    async fn put_if_once(
        &self,
        key: &ObjectKey,
        body: Bytes,
        condition: &Condition,
    ) -> Result<ConditionalWrite> {
        let (absent, unchanged) = match condition {
            Condition::Absent => (Some("*".to_owned()), None),
            Condition::Unchanged(etag) => (None, Some(etag.clone())),
        };
        self.learn_the_time().await;
        let turn = self.pace.turn().await;
        let sent = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key.as_str())
            .content_type(key.content_type())
            .cache_control(key.cache_control())
            .content_md5(content_md5(&body))
            .set_if_none_match(absent)
            .set_if_match(unchanged)
            .body(Body::from(body.clone()))
            .customize()
            .interceptor(Expiring)
            // Repeated, it would meet the object that its first attempt has written.
            .config_override(fence::bounded().retry_config(RetryConfig::disabled()))
            .send()
            .await;
        drop(turn);
        let Err(error) = sent else {
            return Ok(ConditionalWrite::Written);
        };
        match error.raw_response().map(|response| response.status().as_u16()) {
            // 404: there is none with that entity tag. 409: another write of the same key is in progress.
            Some(404 | 409 | 412) => Ok(ConditionalWrite::Refused),
            // Unknown to the service.
            Some(400 | 501) => {
                self.put(key, body).await?;
                Ok(ConditionalWrite::Written)
            }
            _ => match self.failed(Operation::PutObject, key)(error) {
                StorageError::Invalid(_) => Ok(ConditionalWrite::Refused),
                error => Err(error),
            },
        }
    }
}
