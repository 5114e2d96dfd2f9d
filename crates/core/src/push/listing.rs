//! Making the listing of a path anew, out of its NAR.

use std::collections::BTreeSet;

use bytes::Bytes;
use niks3_base::compression::{Codec, Packing};
use niks3_base::error::Error;
use niks3_base::push_limits::MAX_LISTING;
use niks3_catalog::Publishable;
use niks3_nix::hash::FileHash;
use niks3_nix::store_path::{StorePath, StorePathHash};
use niks3_storage::ObjectKey;

use super::hash_of;
use crate::app::App;
use crate::listings::Listings;
use crate::verification;
use crate::write_lock::{self, WRITE_LOCK_TIMEOUT};

/// What became of the attempt to list a NAR.
#[derive(Debug)]
pub enum Listed {
    /// Its listing, as JSON.
    Listing(Vec<u8>),
    /// It is not there.
    Gone,
    /// It cannot be read, is none, or has more in it than a listing may say.
    Not {
        /// Why.
        why: String,
        /// Entity tag of what was read.
        etag: String,
    },
}

/// The listing of a NAR of at most `most` bytes.
///
/// # Errors
/// When the object store does not answer.
pub async fn of_nar(app: &App, key: &ObjectKey, packing: Packing, most: u64) -> Result<Listed, Error> {
    let read = verification::read_object(&app.bucket, key, packing, most, &[], false).await?;
    let Some((meta, contents)) = read else {
        return Ok(Listed::Gone);
    };
    let nar = match contents.nar {
        Ok(nar) => nar,
        Err(flaw) => {
            return Ok(Listed::Not {
                why: flaw.to_string(),
                etag: meta.etag,
            });
        }
    };
    let most = usize::try_from(MAX_LISTING).map_err(Error::internal)?;
    let unpacking = tokio::task::spawn_blocking(move || Codec::Zstd.decode(nar.listing.packed, most));
    let json = unpacking.await.map_err(Error::internal)?;
    Ok(Listed::Listing(json.map_err(Error::internal)?))
}

/// Those of some committed paths whose listing is neither where it belongs, in the bucket or in the database, nor in the bucket all
/// the same.
///
/// # Errors
/// When database or object store do not answer.
pub async fn missing<'p>(app: &App, paths: &'p [StorePath]) -> Result<BTreeSet<&'p StorePath>, Error> {
    let listed = app.catalog.listed_paths(paths).await?;
    let wanted = |path: &&StorePath| match listed.get(*path) {
        Some((size, kept)) => app.listings.in_bucket(*size) || (app.listings.in_database(*size) && !kept),
        None => app.listings != Listings::None,
    };
    let wanted: Vec<&StorePath> = paths.iter().filter(wanted).collect();
    let keys = wanted.iter().map(|path| ObjectKey::listing(&path.hash()));
    let sizes = app.bucket.sizes(keys.collect()).await?;
    let missing = wanted.into_iter().zip(sizes).filter(|(_, size)| size.is_none());
    Ok(missing.map(|(path, _)| path).collect())
}

/// A listing that the database has, with its entity tag and the time at which it was made.
#[derive(Debug)]
pub struct Kept {
    /// JSON.
    pub json: Bytes,
    /// Entity tag, with its quotes.
    pub etag: String,
    /// Unix time.
    pub made_at: i64,
}

/// The listing of a path that readers see, if the database has it.
///
/// # Errors
/// When the database does not answer.
pub async fn kept(app: &App, hash: &StorePathHash) -> Result<Option<Kept>, Error> {
    let Some(kept) = app.catalog.kept_listing(hash).await? else {
        return Ok(None);
    };
    let most = usize::try_from(kept.size).map_err(Error::internal)?;
    let unpacking = tokio::task::spawn_blocking(move || Codec::Zstd.decode(kept.packed, most));
    let json = unpacking
        .await
        .map_err(Error::internal)?
        .map_err(Error::internal)?;
    Ok(Some(Kept {
        etag: format!("\"{}\"", FileHash::of(&json).base32()),
        json: json.into(),
        made_at: kept.verified_at,
    }))
}

/// Writes the listing of a committed path whose narinfo is about to be written.
///
/// # Errors
/// `PushGone` when its NAR is lost or cannot be listed, which is written down: whoever begins again brings it.
pub(super) async fn mend(app: &App, path: &Publishable) -> Result<(), Error> {
    if let Some(other) = app
        .catalog
        .path_with_same_nar(path.path_id, &path.nar_key)
        .await?
    {
        let most = usize::try_from(MAX_LISTING).map_err(Error::internal)?;
        let listing = ObjectKey::listing(&other.hash());
        if let Some(json) = app.bucket.read_text(&listing, most).await? {
            let to = ObjectKey::listing(&path.path.hash());
            return Ok(app.bucket.put(&to, Bytes::from(json)).await?);
        }
    }
    let key = ObjectKey::parse(&path.nar_key).map_err(Error::internal)?;
    match of_nar(app, &key, path.packing, path.nar_size.unsigned_abs()).await? {
        Listed::Listing(json) => {
            tracing::warn!(path = path.path.as_str(), "a lost listing is made anew");
            let to = ObjectKey::listing(&path.path.hash());
            Ok(app.bucket.put(&to, Bytes::from(json)).await?)
        }
        Listed::Gone => {
            let mut tx = app.catalog.write().await?;
            tx.mark_nar_missing(&path.path, &path.nar_key).await?;
            tx.commit().await?;
            Err(super::lost(std::slice::from_ref(&path.path)))
        }
        Listed::Not { why, etag } => {
            // What a path says of an intact NAR is its own fault, and no other path's.
            let found = hash_of(app, &key).await?.map(|(hash, _)| hash);
            let intact = path.file_hash.is_none() || path.file_hash == found;
            let mut tx = app.catalog.write().await?;
            // What was brought again since it was read is not what was read.
            let look = tokio::time::timeout(WRITE_LOCK_TIMEOUT, app.bucket.head(&key));
            match look.await.map_err(|_| write_lock::too_slow())?? {
                None => tx.mark_nar_missing(&path.path, &path.nar_key).await?,
                Some(meta) if meta.etag == etag && intact => {
                    tx.misdescribed(&path.path, path.path_id, &path.nar_key).await?;
                }
                Some(meta) if meta.etag == etag => tx.nar_corrupt(&path.path, &path.nar_key).await?,
                Some(_) => return Err(Error::unavailable("a NAR was replaced while it was read", 1)),
            }
            tx.commit().await?;
            tracing::warn!(
                path = path.path.as_str(),
                why,
                "a NAR cannot be listed, and is given up"
            );
            Err(super::lost(std::slice::from_ref(&path.path)))
        }
    }
}
