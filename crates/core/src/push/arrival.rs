//! Whether what a push announced is in the bucket, under a name that tells the truth.
//!
//! Where the service checks SHA-256, a small NAR goes to its place at once: its checksum is
//! its name. MD5 says nothing of the name, and a URL works more than once, with whatever MD5
//! it was asked for. So there a client's URL writes to the staging area of its push alone, and
//! what has the right hash is written to its place by the server itself, out of the memory in
//! which it was hashed.

use futures::{StreamExt as _, TryStreamExt as _};
use niks3_base::error::Error;
use niks3_base::metrics::metrics;
use niks3_base::nar_contents::NarReader;
use niks3_base::push_limits::PART_SIZE;
use niks3_catalog::{ArrivedObject, NewVerification, PushId, SLICE_MARKS};
use niks3_nix::hash::FileHash;
use niks3_storage::{ChecksumKind, GetOptions, GetResult, ObjectKey};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::app::App;

/// NARs held in memory at once, whoever's they are.
static HELD: Semaphore = Semaphore::const_new(8);
/// Questions to the bucket under way at once, for one push.
const CONCURRENCY: usize = 32;

/// The key that an upload URL for a small NAR writes.
#[must_use]
pub fn upload_key(app: &App, push: &str, hash: FileHash) -> ObjectKey {
    match app.checksum {
        ChecksumKind::Sha256 => ObjectKey::nar(hash),
        ChecksumKind::Md5 => staged(push, hash),
    }
}

fn staged(push: &str, hash: FileHash) -> ObjectKey {
    ObjectKey::staging(push, &format!("nar.{}", hash.base32()))
}

/// Bytes of each of some objects, NARs with their hashes, that a push of this token brings and that have arrived, in
/// their order. NARs are in their places then.
pub(super) async fn sizes(
    app: &App,
    push: &str,
    keys: Vec<(ObjectKey, Option<FileHash>)>,
) -> Result<Vec<Option<u64>>, Error> {
    match app.checksum {
        ChecksumKind::Sha256 => {
            let is_staged = |key: &ObjectKey| key.as_str().starts_with("staging/");
            let of = |staged| {
                let keys = keys.iter().map(|(key, _)| key.clone());
                keys.filter(move |key| is_staged(key) == staged).collect()
            };
            let (staged, placed) = futures::try_join!(
                app.bucket.staged_sizes(push, of(true)),
                app.bucket.sizes(of(false))
            )?;
            let (mut staged, mut placed) = (staged.into_iter(), placed.into_iter());
            let next = |(key, _): &(ObjectKey, _)| match is_staged(key) {
                true => staged.next(),
                false => placed.next(),
            };
            Ok(keys.iter().map(next).map(Option::flatten).collect())
        }
        ChecksumKind::Md5 => {
            futures::stream::iter(keys)
                .map(|(key, hash)| async move {
                    match hash {
                        Some(hash) => place(app, push, hash).await,
                        None => Ok(app.bucket.head(&key).await?.map(|meta| meta.size)),
                    }
                })
                .buffered(CONCURRENCY)
                .try_collect()
                .await
        }
    }
}

/// Writes down that objects which a push claims are in the bucket.
///
/// # Errors
/// `Unavailable` when the object store or the database does not answer; nothing is written down then.
pub async fn note_arrived(app: &App, push_id: PushId, arrived: &[ArrivedObject]) -> Result<(), Error> {
    if arrived.is_empty() {
        return Ok(());
    }
    // The database must not outlive, in a power cut, what it says is there.
    app.bucket.sync().await?;
    for slice in arrived.chunks(SLICE_MARKS) {
        let mut tx = app.catalog.write().await?;
        tx.objects_arrived(push_id, slice).await?;
        tx.commit().await?;
    }
    metrics().arrived(arrived.iter().map(|object| object.size));
    Ok(())
}

/// Puts in its place the NAR that a push has staged, if that has the hash in its name; its
/// bytes. Done already is done. What has another hash is deleted.
///
/// # Errors
/// `Unavailable` when the object store does not answer.
pub async fn place(app: &App, push: &str, hash: FileHash) -> Result<Option<u64>, Error> {
    let (from, to) = (staged(push, hash), ObjectKey::nar(hash));
    let held = HELD.acquire().await.map_err(Error::internal)?;
    let most = usize::try_from(PART_SIZE).map_err(Error::internal)?;
    let Some(bytes) = app.bucket.read(&from, most).await? else {
        drop(held);
        // It was moved, and nobody heard of that. Who wrote it there is not asked but what it is.
        return Ok(hash_of(app, &to)
            .await?
            .and_then(|(found, size)| (found == hash).then_some(size)));
    };
    let size = bytes.len() as u64;
    let job = app.verifications.announced(to.as_str());
    let hashed = tokio::task::spawn_blocking(move || {
        let read = job.map(|job| {
            let mut reader = NarReader::new(job.most, &job.wanted);
            reader.push(&bytes);
            (job.object_id, reader.finish())
        });
        let found = read
            .as_ref()
            .map_or_else(|| FileHash::of(&bytes), |(_, read)| read.file_hash);
        (found, read, bytes)
    });
    let (found, read, bytes) = hashed.await.map_err(Error::internal)?;
    let right = found == hash;
    if right {
        app.bucket.put(&to, bytes.into()).await?;
        if let Some((object_id, contents)) = read {
            metrics().nar_read(contents.file_size);
            let (verdict, listing) = contents.verdict(None);
            app.verifications.read(NewVerification {
                object_id,
                verdict,
                listing,
            });
        }
    } else {
        tracing::warn!(push, said = %hash, %found, "a NAR has not the hash that its push said");
    }
    for (key, deleted) in app.bucket.delete_many(&[from]).await {
        if let Err(error) = deleted {
            tracing::warn!(key = key.as_str(), %error, "a staged NAR is left to garbage collection");
        }
    }
    Ok(right.then_some(size))
}

/// SHA-256 and bytes of an object, however large, if it is there.
pub(super) async fn hash_of(app: &App, key: &ObjectKey) -> Result<Option<(FileHash, u64)>, Error> {
    let GetResult::Found(object) = app.bucket.get(key, &GetOptions::default()).await? else {
        return Ok(None);
    };
    let (mut body, mut hasher, mut size) = (object.body, Sha256::new(), 0);
    while let Some(chunk) = body.try_next().await? {
        hasher.update(&chunk);
        size += chunk.len() as u64;
    }
    Ok(Some((FileHash::from_bytes(hasher.finalize().into()), size)))
}
