//! `niks3-owner.json` in the bucket.

use bytes::Bytes;
use futures::TryStreamExt as _;
use niks3_storage::{Bucket, Condition, ConditionalWrite, GetOptions, GetResult, ObjectKey, StorageError};
use serde::{Deserialize, Serialize};

/// The layout of the bucket that this version reads and writes.
pub(super) const LAYOUT: u32 = 1;
/// Bytes of an owner object: it has some 200.
const MAX_BYTES: usize = 64 << 10;
/// Keys that one question to the bucket lists.
const PAGE: usize = 1000;

/// What the object says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OwnerObject {
    /// Version of the layout of the bucket.
    pub layout: u32,
    /// Id of the database that the bucket belongs to.
    pub database: String,
    /// Id of the bucket, whatever its address.
    pub bucket: String,
    /// Store directory of the paths in it.
    pub store_dir: String,
    /// Number of the last writing transaction of the database that is known here.
    pub generation: i64,
}

/// The object as it was read.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub object: OwnerObject,
    pub etag: String,
}

impl OwnerObject {
    /// Reads the object, if there is one; the inner error says why it is none.
    ///
    /// # Errors
    /// When the bucket does not answer.
    pub async fn read(bucket: &Bucket) -> Result<Result<Option<Stored>, String>, StorageError> {
        let mut found = match bucket.get(&ObjectKey::owner(), &GetOptions::default()).await? {
            GetResult::Found(found) => found,
            _ => return Ok(Ok(None)),
        };
        let etag = found.meta.etag.clone();
        let mut bytes = Vec::new();
        while let Some(chunk) = found.body.try_next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_BYTES {
                break;
            }
        }
        let object: OwnerObject = match serde_json::from_slice(&bytes) {
            Ok(object) => object,
            Err(error) => {
                return Ok(Err(format!(
                    "{} in the bucket cannot be read: {error}: restore it, or delete it and start the server with \
                     --adopt-bucket=none",
                    ObjectKey::owner().as_str()
                )));
            }
        };
        if object.layout > LAYOUT {
            return Ok(Err(format!(
                "the bucket has layout {}, and this niks3-server knows {LAYOUT}: run a newer version",
                object.layout
            )));
        }
        Ok(Ok(Some(Stored { object, etag })))
    }

    fn body(&self) -> Bytes {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text.into()
    }

    /// Writes the object where there is none.
    pub async fn create(&self, bucket: &Bucket) -> Result<ConditionalWrite, StorageError> {
        bucket
            .put_if(&ObjectKey::owner(), self.body(), &Condition::Absent)
            .await
    }

    /// Writes the object over the one with that entity tag.
    pub async fn replace(&self, bucket: &Bucket, etag: String) -> Result<ConditionalWrite, StorageError> {
        bucket
            .put_if(&ObjectKey::owner(), self.body(), &Condition::Unchanged(etag))
            .await
    }
}

/// Whether a bucket has a narinfo. Those have no folder, so folders are passed over whatever they hold.
///
/// # Errors
/// When the bucket does not answer.
pub(super) async fn has_narinfos(bucket: &Bucket) -> Result<bool, StorageError> {
    let mut after = String::new();
    loop {
        let page = bucket.list("", &after, PAGE).await?;
        let is_narinfo =
            |key: &str| key.ends_with(".narinfo") && !key.contains('/') && ObjectKey::parse(key).is_ok();
        if page.iter().any(|listed| is_narinfo(&listed.key)) {
            return Ok(true);
        }
        let Some(last) = page.last().filter(|_| page.len() == PAGE) else {
            return Ok(false);
        };
        after.clone_from(&last.key);
        if let Some((folder, _)) = last.key.split_once('/') {
            // The last keys that a folder of a binary cache can have come before this one.
            after = after.max(format!("{folder}/~"));
        }
    }
}
