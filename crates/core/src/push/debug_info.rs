//! Publishing `debuginfo/<build id>`: which NAR has the debug information of a program.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use niks3_base::error::Error;
use niks3_base::push_limits::MAX_LISTING;
use niks3_catalog::Publishable;
use niks3_nix::debug_info::{DebugFile, debug_files};
use niks3_nix::listing::Listing;
use niks3_storage::ObjectKey;

use crate::app::App;

/// Build ids of one path that are indexed; the modules of a Linux kernel are some 8,000.
const MAX_BUILD_IDS: usize = 50_000;
/// Build ids that one transaction adds.
const SLICE: usize = 2_000;
/// Objects that are written at the same time.
const PARALLEL_WRITES: usize = 16;

/// Writes the debug information that a path holds, of which `listing` tells, or else the object in the bucket. A build
/// id that another path has as well stays with that one.
///
/// # Errors
/// When database or object store do not answer.
pub(super) async fn publish(app: &App, path: &Publishable, listing: Option<Bytes>) -> Result<(), Error> {
    let most = usize::try_from(MAX_LISTING).map_err(Error::internal)?;
    let listing = match listing {
        Some(listing) => listing,
        None => {
            let key = ObjectKey::listing(&path.path.hash());
            match app.bucket.read_text(&key, most).await? {
                Some(text) => Bytes::from(text),
                None => return Ok(()),
            }
        }
    };
    let files =
        tokio::task::spawn_blocking(move || Listing::parse(&listing).map(|found| debug_files(&found)));
    let mut files: Vec<DebugFile> = match files.await.map_err(Error::internal)? {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(path = path.path.as_str(), %error, "a listing cannot be read: its debug information is not indexed");
            return Ok(());
        }
    };
    if files.len() > MAX_BUILD_IDS {
        tracing::warn!(
            path = path.path.as_str(),
            files = files.len(),
            "only {MAX_BUILD_IDS} files of a path are indexed by their build ids"
        );
        files.truncate(MAX_BUILD_IDS);
    }
    for slice in files.chunks(SLICE) {
        let keys: Vec<String> = slice.iter().map(DebugFile::cache_key).collect();
        let mut tx = app.catalog.write().await?;
        let own = tx.add_debug_infos(path.path_id, &keys).await?;
        tx.commit().await?;
        let writes = slice.iter().zip(keys).filter(|(_, key)| own.contains(key));
        let writes: Vec<_> = writes
            .map(|(file, key)| Ok((ObjectKey::parse(&key)?, file.to_json(&path.nar_key))))
            .collect::<Result<_, niks3_storage::KeyError>>()
            .map_err(Error::internal)?;
        futures::stream::iter(writes)
            .map(|(key, json)| async move { app.bucket.put(&key, Bytes::from(json)).await })
            .buffer_unordered(PARALLEL_WRITES)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}
