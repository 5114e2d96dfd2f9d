//! Making the listing of a path anew, out of its NAR.

use std::io::{self, Read as _};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::TryStreamExt as _;
use niks3_nix::nar;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::{MAX_LISTING, hash_of};
use crate::app::App;
use crate::catalog::Publishable;
use crate::gate::{self, GATE};
use crate::http::problem::Problem;
use crate::storage::{GetOptions, GetResult, ObjectKey, StorageError};
use crate::verification::WINDOW_LOG_MAX;

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

/// The listing of a compressed NAR of at most `most` bytes.
///
/// # Errors
/// When the object store does not answer.
pub async fn of_nar(app: &App, key: &ObjectKey, most: u64) -> Result<Listed, Problem> {
    let GetResult::Found(object) = app.bucket.get(key, &GetOptions::default()).await? else {
        return Ok(Listed::Gone);
    };
    let etag = object.meta.etag;
    // A decoder does not tell what it was given from what it makes of it.
    let cut_off = Arc::new(OnceLock::<StorageError>::new());
    let kept = Arc::clone(&cut_off);
    let stream = object.body.map_err(move |error: StorageError| {
        kept.get_or_init(|| error.clone());
        io::Error::other(error)
    });
    let reader = SyncIoBridge::new(StreamReader::new(stream));
    let listed = tokio::task::spawn_blocking(move || {
        let mut decoder = zstd::stream::read::Decoder::new(reader)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        let packed = nar::listing_of(decoder.take(most)).map_err(io::Error::other)?;
        Ok::<_, io::Error>(packed.listing.to_json())
    });
    let why = match listed.await.map_err(Problem::internal)? {
        Ok(json) if json.len() as u64 <= MAX_LISTING => return Ok(Listed::Listing(json)),
        Ok(json) => format!("its listing has {} bytes", json.len()),
        Err(error) => match cut_off.get() {
            Some(cut_off) => return Err(cut_off.clone().into()),
            None => error.to_string(),
        },
    };
    Ok(Listed::Not { why, etag })
}

/// Writes the listing of a committed path whose narinfo is about to be written.
///
/// # Errors
/// 404 when its NAR is lost or cannot be listed, which is written down: whoever begins again brings it.
pub(super) async fn mend(app: &App, path: &Publishable) -> Result<(), Problem> {
    if let Some(other) = app
        .catalog
        .path_with_same_nar(path.path_id, &path.nar_key)
        .await?
    {
        let most = usize::try_from(MAX_LISTING).map_err(Problem::internal)?;
        if let Some(json) = app.bucket.read(&ObjectKey::listing(&other.hash()), most).await? {
            let to = ObjectKey::listing(&path.path.hash());
            return Ok(app.bucket.put(&to, Bytes::from(json)).await?);
        }
    }
    let key = ObjectKey::parse(&path.nar_key).map_err(Problem::internal)?;
    match of_nar(app, &key, path.nar_size.unsigned_abs()).await? {
        Listed::Listing(json) => {
            tracing::warn!(path = path.path.as_str(), "a lost listing is made anew");
            let to = ObjectKey::listing(&path.path.hash());
            Ok(app.bucket.put(&to, Bytes::from(json)).await?)
        }
        Listed::Gone => {
            let mut tx = app.catalog.write().await?;
            tx.nar_lost(&path.path, &path.nar_key).await?;
            tx.commit().await?;
            Err(super::lost(std::slice::from_ref(&path.path)))
        }
        Listed::Not { why, etag } => {
            // What a path says of an intact NAR is its own fault, and no other path's.
            let intact =
                matches!(hash_of(app, &key).await?, Some((hash, _)) if key.file_hash() == Some(hash));
            let mut tx = app.catalog.write().await?;
            // What was brought again since it was read is not what was read.
            let look = tokio::time::timeout(GATE, app.bucket.head(&key));
            match look.await.map_err(|_| gate::too_slow())?? {
                None => tx.nar_lost(&path.path, &path.nar_key).await?,
                Some(meta) if meta.etag == etag && intact => {
                    tx.misdescribed(&path.path, path.path_id, &path.nar_key).await?;
                }
                Some(meta) if meta.etag == etag => tx.nar_corrupt(&path.path, &path.nar_key).await?,
                Some(_) => return Err(Problem::unavailable("a NAR was replaced while it was read", 1)),
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
