//! The object store, and all that touches it: an S3 service elsewhere, or files
//! inside this process. The rest of the server does not know which.

mod arrivals;
mod error;
mod fence;
mod files;
mod key;
mod pace;
mod s3;
mod types;
mod uploads;
mod versions;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use niks3_base::compression::decode_text;

pub use arrivals::{Arrival, Arrivals};
pub use error::StorageError;
pub use fence::REQUEST_LIFETIME;
pub use files::FileBucket;
use files::Wanted;
pub use key::{KeyError, ObjectKey};
pub use s3::{PartChecks, Right, Rights, S3Bucket, S3Keys, S3Settings, ServiceIdentity};
pub use types::{
    Attempt, ByteStream, Checksum, ChecksumKind, CompletedPart, Condition, ConditionalWrite, Deletion,
    Extent, GetOptions, GetResult, Listed, ListedPart, Meta, Object, Presigned, Published, Publishing, Range,
    Staged, Upload, UploadMarker, UploadPage,
};
pub use uploads::Uploads;
pub use versions::{DeletedObject, DeletedObjects, Versioning};
use versions::{VersionMarker, VersionPage};

type Result<T> = std::result::Result<T, StorageError>;

/// What is said of a versioned bucket, with the lifecycle rule to copy.
pub const VERSIONED: &str = "the bucket is versioned, so that deleted objects stay as old versions and garbage \
    collections free nothing: start the server with --s3-delete-versions, or give the bucket the lifecycle rule \
    {\"Rules\": [{\"ID\": \"old-versions\", \"Status\": \"Enabled\", \"Filter\": {\"Prefix\": \"\"}, \
    \"NoncurrentVersionExpiration\": {\"NoncurrentDays\": 1}, \"Expiration\": {\"ExpiredObjectDeleteMarker\": true}}]}";

/// Requests to a service under way at once, for one question about many objects.
const CONCURRENCY: usize = 64;
/// Small files that one blocking call writes.
const FILES_AT_ONCE: usize = 64;
/// Objects of one page of a listing.
const PAGE: usize = 1000;
/// Objects of a push of which one listing is asked instead of each.
const LISTED_FROM: usize = 4;

/// The bucket of the cache.
#[derive(Debug)]
pub enum Bucket {
    /// In an S3 service.
    S3(S3Bucket),
    /// In files of this process.
    Files(FileBucket),
}

impl From<FileBucket> for Bucket {
    fn from(files: FileBucket) -> Self {
        Self::Files(files)
    }
}

/// Objects about to be seen; what that means is the store's affair.
#[derive(Debug)]
pub struct Prepared(PreparedAs);

#[derive(Debug)]
enum PreparedAs {
    Objects(Vec<Published>),
    Files(Vec<files::PreparedFile>),
}

impl Bucket {
    /// Opens a bucket of an S3 service; asks it nothing yet.
    ///
    /// # Errors
    /// When no credentials are found.
    pub async fn s3(settings: &S3Settings) -> Result<Self> {
        Ok(Self::S3(S3Bucket::open(settings).await?))
    }

    /// The same bucket, whose uploads in parts are checked by this kind of checksum; without
    /// a word by SHA-256.
    #[must_use]
    pub fn checking(self, checksum: ChecksumKind) -> Self {
        match self {
            Self::S3(bucket) => Self::S3(bucket.checking(checksum)),
            // It keeps what each part is checked by with the part.
            files @ Self::Files(_) => files,
        }
    }

    /// Has what arrives in this process read as it comes.
    pub fn watch_arrivals(&self, arrivals: Arc<dyn Arrivals>) {
        if let Self::Files(files) = self {
            files.watch_arrivals(arrivals);
        }
    }

    /// Whether the bucket answers.
    pub async fn ready(&self) -> Result<()> {
        match self {
            Self::S3(bucket) => bucket.ready().await,
            Self::Files(files) => files.ready().await,
        }
    }

    /// Unix time by the clock of the service, if it says so.
    pub async fn clock(&self) -> Option<i64> {
        match self {
            Self::S3(bucket) => bucket.clock().await,
            Self::Files(_) => None,
        }
    }

    /// Which option is wrong when the bucket is not ready, and the mend, if that can be told.
    pub async fn diagnose(&self) -> Option<String> {
        match self {
            Self::S3(bucket) => bucket.diagnose().await,
            Self::Files(_) => None,
        }
    }

    /// Reads the credentials of a service again.
    pub fn read_credentials_again(&self) {
        match self {
            Self::S3(bucket) => bucket.read_credentials_again(),
            // Upload URLs that clients have are signed with its keys.
            Self::Files(_) => {}
        }
    }

    /// Returns when all that was written before survives a power cut.
    pub async fn sync(&self) -> Result<()> {
        match self {
            // A service answers only then.
            Self::S3(_) => Ok(()),
            Self::Files(files) => files.sync().await,
        }
    }

    /// Writes an object of the server's own.
    pub async fn put(&self, key: &ObjectKey, body: Bytes) -> Result<()> {
        match self {
            Self::S3(bucket) => bucket.put(key, body).await,
            Self::Files(files) => files.put(key.as_str(), body).await,
        }
    }

    /// Writes small objects of the server's own, in any order and beside each other.
    ///
    /// # Errors
    /// When one of them could not be written; others may have been.
    pub async fn put_all(&self, objects: Vec<(ObjectKey, Bytes)>) -> Result<()> {
        match self {
            Self::S3(bucket) => {
                let puts = objects
                    .into_iter()
                    .map(|(key, body)| async move { bucket.put(&key, body).await });
                futures::stream::iter(puts)
                    .buffer_unordered(CONCURRENCY)
                    .try_collect()
                    .await
            }
            Self::Files(files) => {
                let mut objects = objects.into_iter().peekable();
                while objects.peek().is_some() {
                    let batch = objects.by_ref().take(FILES_AT_ONCE).collect();
                    files.put_all(batch).await?;
                }
                Ok(())
            }
        }
    }

    /// What is known of an object, if it is there.
    pub async fn head(&self, key: &ObjectKey) -> Result<Option<Meta>> {
        match self {
            Self::S3(bucket) => bucket.head(key).await,
            Self::Files(files) => files.head(key.as_str()).await,
        }
    }

    /// Bytes of each of some objects that is there, in their order.
    pub async fn sizes(&self, keys: Vec<ObjectKey>) -> Result<Vec<Option<u64>>> {
        match self {
            Self::S3(bucket) => {
                let heads = keys
                    .into_iter()
                    .map(|key| async move { bucket.head(&key).await.map(|meta| Some(meta?.size)) });
                futures::stream::iter(heads)
                    .buffered(CONCURRENCY)
                    .try_collect()
                    .await
            }
            Self::Files(files) => {
                files
                    .sizes(keys.iter().map(|key| key.as_str().to_owned()).collect())
                    .await
            }
        }
    }

    /// The same of objects that one push has staged, in its folder of `staging/`.
    pub async fn staged_sizes(&self, group: &str, keys: Vec<ObjectKey>) -> Result<Vec<Option<u64>>> {
        if matches!(self, Self::Files(_)) || keys.len() < LISTED_FROM {
            return self.sizes(keys).await;
        }
        let prefix = format!("staging/{group}/");
        let mut found: HashMap<String, u64> = HashMap::new();
        let mut after = String::new();
        loop {
            let page = self.list(&prefix, &after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.key);
            let ended = page.len() < PAGE;
            found.extend(page.into_iter().map(|listed| (listed.key, listed.size)));
            if ended {
                break;
            }
        }
        // Not every service lists at once what it has taken.
        let unlisted = keys.iter().filter(|key| !found.contains_key(key.as_str()));
        let unlisted: Vec<ObjectKey> = unlisted.cloned().collect();
        let asked = self.sizes(unlisted.clone()).await?;
        let asked = unlisted.into_iter().zip(asked);
        found.extend(asked.filter_map(|(key, size)| Some((key.as_str().to_owned(), size?))));
        Ok(keys.iter().map(|key| found.get(key.as_str()).copied()).collect())
    }

    /// How many objects are best published at once.
    #[must_use]
    pub fn publishing(&self) -> Publishing {
        match self {
            Self::S3(_) => Publishing::Together(CONCURRENCY),
            Self::Files(_) => Publishing::InTurn { batch: 64, ahead: 4 },
        }
    }

    /// Does what can be done before objects are to be seen, in any order and beside each other.
    pub async fn prepare(&self, objects: Vec<Published>) -> Result<Prepared> {
        Ok(match self {
            Self::S3(_) => Prepared(PreparedAs::Objects(objects)),
            Self::Files(files) => Prepared(PreparedAs::Files(files.prepare(objects).await?)),
        })
    }

    /// Makes objects visible, one after the other: each first moves what was staged.
    pub async fn publish(&self, Prepared(prepared): Prepared) -> Result<()> {
        match (self, prepared) {
            (Self::Files(files), PreparedAs::Files(prepared)) => files.publish(prepared).await,
            (Self::S3(_), PreparedAs::Objects(objects)) => {
                for object in objects {
                    if let Some(staged) = &object.staged {
                        self.promote(&staged.from, &staged.to, staged.size).await?;
                    }
                    if let Some((key, body)) = object.first {
                        self.put(&key, body).await?;
                    }
                    self.put(&object.key, object.body).await?;
                }
                Ok(())
            }
            _ => Err(StorageError::Invalid("prepared for another store".into())),
        }
    }

    /// Reads an object, or a part of it, or finds that the caller has it.
    pub async fn get(&self, key: &ObjectKey, options: &GetOptions) -> Result<GetResult> {
        let files = match self {
            Self::S3(bucket) => return bucket.get(key, options).await,
            Self::Files(files) => files,
        };
        let Some(object) = files.open_object(key.as_str(), Wanted::Contents).await? else {
            return Ok(GetResult::NotFound);
        };
        let meta = object.meta.clone();
        if options.not_modified(&meta) {
            return Ok(GetResult::NotModified(meta));
        }
        let range = match options.range {
            None => None,
            Some(range) => match range.of(meta.size) {
                Some(extent) => Some(extent),
                None => return Ok(GetResult::RangeNotSatisfiable { size: meta.size }),
            },
        };
        let body = object.into_stream(range);
        Ok(GetResult::Found(Object { meta, range, body }))
    }

    /// A small object, if it is there; of a larger one the first bytes, more than `most`.
    pub async fn read(&self, key: &ObjectKey, most: usize) -> Result<Option<Vec<u8>>> {
        let GetResult::Found(mut object) = self.get(key, &GetOptions::default()).await? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = object.body.try_next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > most {
                break;
            }
        }
        Ok(Some(bytes))
    }

    /// A small text, decompressed if it is stored so, if it is there; of a larger one the first bytes, more than `most`.
    pub async fn read_text(&self, key: &ObjectKey, most: usize) -> Result<Option<Vec<u8>>> {
        Ok(self.read_with_meta(key, most).await?.map(|(_, text)| text))
    }

    /// The same, with what is known of the object. What is compressed in a way that cannot be read is given as it is.
    pub async fn read_with_meta(&self, key: &ObjectKey, most: usize) -> Result<Option<(Meta, Vec<u8>)>> {
        let GetResult::Found(mut object) = self.get(key, &GetOptions::default()).await? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = object.body.try_next().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > most {
                break;
            }
        }
        let encoding = object.meta.content_encoding.clone();
        let text = match decode_text(encoding.as_deref(), bytes.clone(), most) {
            Ok(text) => text,
            Err(_) => bytes,
        };
        Ok(Some((object.meta, text)))
    }

    /// The same for HEAD: without the bytes, and without a range.
    pub async fn head_as_get(&self, key: &ObjectKey, options: &GetOptions) -> Result<GetResult> {
        let meta = match self {
            // Only the bytes of a file tell how they are encoded.
            Self::Files(files) => {
                let object = files.open_object(key.as_str(), Wanted::Meta).await?;
                object.map(|object| object.meta)
            }
            Self::S3(bucket) => bucket.head(key).await?,
        };
        Ok(match meta {
            None => GetResult::NotFound,
            Some(meta) if options.not_modified(&meta) => GetResult::NotModified(meta),
            Some(meta) => GetResult::Found(Object {
                meta,
                range: None,
                body: Box::pin(futures::stream::empty()),
            }),
        })
    }

    /// Puts what a client staged where readers look. Done already is done. A service copies it, and what was staged
    /// stays until [`Bucket::delete_promoted`].
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when neither is there.
    pub async fn promote(&self, from: &ObjectKey, to: &ObjectKey, size: u64) -> Result<()> {
        match self {
            Self::S3(bucket) => bucket.promote(from, to, size).await,
            Self::Files(files) => files.rename(from.as_str(), to.as_str(), size).await,
        }
    }

    /// Deletes what was staged and has been promoted, a thousand objects in a request.
    pub async fn delete_promoted(&self, staged: &[ObjectKey]) {
        // Files were moved.
        if matches!(self, Self::Files(_)) || staged.is_empty() {
            return;
        }
        for (key, deleted) in self.delete_many(staged).await {
            if let Err(error) = deleted {
                tracing::warn!(key = key.as_str(), %error, "a staged object is left to a garbage collection");
            }
        }
    }

    /// Ends the staging area of a push from which everything was moved: a store over
    /// files has a folder left.
    pub async fn tidy(&self, group: &str) -> Result<()> {
        match self {
            Self::S3(_) => Ok(()),
            Self::Files(files) => files.tidy(&format!("staging/{group}")).await,
        }
    }

    /// Up to `limit` objects whose keys begin with `prefix` and come after `after`, in the
    /// order of their bytes; fewer only at the end. `limit` is at most 1000.
    pub async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<Listed>> {
        match self {
            Self::S3(bucket) => bucket.list(prefix, after, limit).await,
            Self::Files(files) => {
                let keys = files.list_keys(prefix, after, limit).await?;
                let sizes = files.sizes(keys.clone()).await?;
                Ok(keys
                    .into_iter()
                    .zip(sizes)
                    .map(|(key, size)| Listed {
                        key,
                        // One that has just gone has none.
                        size: size.unwrap_or_default(),
                    })
                    .collect())
            }
        }
    }

    /// Deletes objects, and says for each what is known of it then; one that was not there is
    /// gone. What is unknown stays so for at most [`REQUEST_LIFETIME`] after the call began.
    pub async fn delete(&self, keys: Vec<ObjectKey>) -> Vec<(ObjectKey, Deletion)> {
        let deletion = |result: Result<()>| match result {
            Ok(()) | Err(StorageError::NotFound) => Deletion::Gone,
            Err(
                error @ (StorageError::Denied(_) | StorageError::Forbidden(_) | StorageError::Invalid(_)),
            ) => Deletion::Refused(error.to_string()),
            Err(error) => Deletion::Unknown(error.to_string()),
        };
        let results = self.delete_many(&keys).await;
        results
            .into_iter()
            .map(|(key, result)| (key, deletion(result)))
            .collect()
    }

    /// Deletes objects; one that is not there is deleted.
    pub async fn delete_many(&self, keys: &[ObjectKey]) -> Vec<(ObjectKey, Result<()>)> {
        match self {
            Self::S3(bucket) => bucket.delete_many(keys).await,
            Self::Files(files) => {
                let names = keys.iter().map(|key| key.as_str().to_owned()).collect();
                let results = files.delete_many(names).await;
                keys.iter().cloned().zip(results).collect()
            }
        }
    }

    /// Writes an object of the server's own, or deletes it when there is no body, in one
    /// request that is not repeated.
    pub async fn attempt(&self, key: &ObjectKey, body: Option<Bytes>) -> Attempt {
        let result = match (self, body) {
            (Self::S3(bucket), body) => bucket.attempt(key, body).await,
            (Self::Files(files), Some(body)) => files.put(key.as_str(), body).await,
            (Self::Files(files), None) => files.delete(key.as_str()).await,
        };
        match result {
            Ok(()) | Err(StorageError::NotFound) => Attempt::Done,
            Err(error @ StorageError::Forbidden(_)) => Attempt::Forbidden(error.to_string()),
            Err(error @ (StorageError::Denied(_) | StorageError::Invalid(_) | StorageError::Full)) => {
                Attempt::Refused(error.to_string())
            }
            Err(error) => Attempt::Unknown(error.to_string()),
        }
    }

    /// Writes an object of the server's own if a condition holds. Some services ignore conditions (Garage 2.5), others
    /// refuse requests that have them; there the object is written in any case, so the caller has to look again.
    pub async fn put_if(
        &self,
        key: &ObjectKey,
        body: Bytes,
        condition: &Condition,
    ) -> Result<ConditionalWrite> {
        match self {
            Self::S3(bucket) => bucket.put_if(key, body, condition).await,
            Self::Files(files) => files.put_if(key.as_str(), body, condition).await,
        }
    }

    /// A URL that takes one object of one size and checksum. `base` is the address
    /// by which the client reaches the embedded store.
    pub async fn presign_put(
        &self,
        key: &ObjectKey,
        size: u64,
        checksum: &Checksum,
        ttl: Duration,
        base: Option<&str>,
    ) -> Result<Presigned> {
        match self {
            Self::S3(bucket) => bucket.presign_put(key, size, checksum, ttl).await,
            Self::Files(files) => {
                let client = files.presigner(base)?;
                let presigned = s3::presign_put(&client, files.name(), key, size, checksum, ttl).await?;
                Ok(files::below(base, presigned))
            }
        }
    }

    /// A URL at which a reader finds one object, by GET or by HEAD, at the address that clients use; `None` for the
    /// embedded store, which this process serves itself.
    pub async fn presign_read(
        &self,
        key: &ObjectKey,
        head_only: bool,
        ttl: Duration,
    ) -> Result<Option<String>> {
        match self {
            Self::S3(bucket) => bucket.presign_read(key, head_only, ttl).await.map(Some),
            Self::Files(_) => Ok(None),
        }
    }

    /// A URL that takes one part of one size and checksum.
    #[expect(
        clippy::too_many_arguments,
        reason = "a part is named by key, upload and number"
    )]
    pub async fn presign_part(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        number: u32,
        size: u64,
        checksum: &Checksum,
        ttl: Duration,
        base: Option<&str>,
    ) -> Result<Presigned> {
        match self {
            Self::S3(bucket) => {
                bucket
                    .presign_part(key, upload_id, number, size, checksum, ttl)
                    .await
            }
            Self::Files(files) => {
                let client = files.presigner(base)?;
                let presigned =
                    s3::presign_part(&client, files.name(), key, upload_id, number, size, checksum, ttl)
                        .await?;
                Ok(files::below(base, presigned))
            }
        }
    }

    /// Begins an upload in parts.
    pub async fn create_multipart(&self, key: &ObjectKey) -> Result<String> {
        match self {
            Self::S3(bucket) => bucket.create_multipart(key).await,
            Self::Files(files) => files.create_multipart(key.as_str()).await,
        }
    }

    /// The parts that have arrived.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when there is no such upload under way.
    pub async fn list_parts(&self, key: &ObjectKey, upload_id: &str) -> Result<Vec<ListedPart>> {
        match self {
            Self::S3(bucket) => bucket.list_parts(key, upload_id).await,
            Self::Files(files) => files.list_parts(key.as_str(), upload_id).await,
        }
    }

    /// Makes one object of parts.
    pub async fn complete_multipart(
        &self,
        key: &ObjectKey,
        upload_id: &str,
        parts: &[CompletedPart],
    ) -> Result<()> {
        match self {
            Self::S3(bucket) => bucket.complete_multipart(key, upload_id, parts).await,
            Self::Files(files) => files
                .complete_multipart(key.as_str(), upload_id, parts)
                .await
                .map(drop),
        }
    }

    /// Gives up an upload in parts.
    pub async fn abort_multipart(&self, key: &ObjectKey, upload_id: &str) -> Result<()> {
        match self {
            Self::S3(bucket) => bucket.abort_multipart(key, upload_id).await,
            Self::Files(files) => files.abort_multipart(key.as_str(), upload_id).await,
        }
    }

    /// Uploads in parts that have not ended, whoever began them, page by page.
    #[must_use]
    pub fn uploads(&self) -> Uploads<'_> {
        Uploads::of(self)
    }

    async fn uploads_after(&self, after: Option<&UploadMarker>) -> Result<UploadPage> {
        match self {
            Self::S3(bucket) => bucket.uploads(after).await,
            // Those of a folder are few enough for one answer.
            Self::Files(files) => Ok(UploadPage {
                uploads: files.list_multipart_uploads().await?,
                next: None,
            }),
        }
    }

    /// What the bucket does with what is deleted, as far as the server may know.
    pub async fn versioning(&self) -> Result<Versioning> {
        match self {
            Self::S3(bucket) => bucket.versioning().await,
            Self::Files(_) => Ok(Versioning::Off),
        }
    }

    /// For how long every object is kept from the moment that it is written, if that is so and the server may know.
    pub async fn default_retention(&self) -> Option<String> {
        match self {
            Self::S3(bucket) => bucket.default_retention().await,
            Self::Files(_) => None,
        }
    }

    /// What a versioned bucket keeps of objects that were deleted, page by page.
    #[must_use]
    pub fn deleted_objects(&self) -> DeletedObjects<'_> {
        DeletedObjects::of(self)
    }

    async fn versions_after(&self, after: Option<&VersionMarker>) -> Result<VersionPage> {
        match self {
            Self::S3(bucket) => bucket.versions_after(after).await,
            Self::Files(_) => Ok(VersionPage::default()),
        }
    }

    async fn delete_versions(&self, versions: &[(ObjectKey, String)]) -> Result<HashSet<String>> {
        match self {
            Self::S3(bucket) => bucket.delete_versions(versions).await,
            Self::Files(_) => Ok(HashSet::new()),
        }
    }

    /// The region that the service names when it is asked for another; nothing when it names none.
    pub async fn region(&self) -> Option<String> {
        match self {
            Self::S3(bucket) => bucket.region().await,
            Self::Files(_) => None,
        }
    }

    /// What the service lets the server do, and what it checks uploads by: by `kind`, or by the first kind that it
    /// enforces. Writes one object and deletes it.
    ///
    /// # Errors
    /// When the service does not answer, or refuses an upload for another reason than a missing permission.
    pub async fn probe_rights(&self, kind: Option<ChecksumKind>) -> Result<Rights> {
        match self {
            Self::S3(bucket) => bucket.probe_rights(kind).await,
            Self::Files(_) => Ok(Rights::all(kind.unwrap_or(ChecksumKind::Sha256))),
        }
    }

    /// What names the service, and whoever asks it; `None` for the embedded store.
    pub async fn service_identity(&self) -> Option<ServiceIdentity> {
        match self {
            Self::S3(bucket) => Some(bucket.service_identity().await),
            Self::Files(_) => None,
        }
    }

    /// What has to be allowed for `missing`, and how with some services; several lines.
    #[must_use]
    pub fn mend_rights(&self, missing: &[(Right, String)]) -> String {
        match self {
            Self::S3(bucket) => bucket.mend_rights(missing),
            Self::Files(_) => String::new(),
        }
    }
}
