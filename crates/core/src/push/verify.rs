//! `--verify-s3-integrity`: the bucket is asked about what the database believes.

use std::collections::{BTreeMap, BTreeSet};

use niks3_base::error::Error;
use niks3_catalog::{ClaimKind, Claimed};
use niks3_nix::store_path::StorePath;
use niks3_storage::ObjectKey;

use super::listing;
use crate::app::App;
use crate::write_lock::{self, UNDER_WRITE_LOCK, WRITE_LOCK_TIMEOUT};

/// A NAR with its bytes, and the paths that have it.
type Nars = BTreeMap<(String, i64), Vec<StorePath>>;

/// Looks for what should be there of all claimed paths that are present, and
/// corrects the database where the bucket says otherwise. True when it did.
///
/// # Errors
/// When the database or the bucket do not answer.
pub async fn verify(app: &App, claimed: &[Claimed]) -> Result<bool, Error> {
    let present: Vec<StorePath> = claimed
        .iter()
        .filter(|claim| claim.kind == ClaimKind::Present)
        .map(|claim| claim.path.clone())
        .collect();
    let mut nars = Nars::new();
    for (path, nar) in app.catalog.nar_keys(&present).await? {
        nars.entry(nar).or_default().push(path);
    }
    let suspects = missing(app, nars.keys()).await?;
    let mut lost = 0;
    for suspects in suspects.chunks(UNDER_WRITE_LOCK) {
        // What was brought again since has to be seen, and nothing may be brought between that
        // look and what follows of it.
        let mut tx = app.catalog.write().await?;
        let look = tokio::time::timeout(WRITE_LOCK_TIMEOUT, missing(app, suspects.iter()));
        for nar in look.await.map_err(|_| write_lock::too_slow())?? {
            for path in nars.remove(&nar).into_iter().flatten() {
                tx.mark_nar_missing(&path, &nar.0).await?;
                lost += 1;
            }
        }
        tx.commit().await?;
    }
    let paths: Vec<StorePath> = nars.into_values().flatten().collect();
    let narinfos = absent(app, &paths).await?;
    let listings = listing::missing(app, &paths).await?;
    lost += narinfos.union(&listings).count();
    if lost == 0 {
        return Ok(false);
    }
    tracing::warn!(
        paths = lost,
        "the bucket lacks what the database believed to be there"
    );
    let mut tx = app.catalog.write().await?;
    for path in narinfos {
        tx.narinfo_lost(path).await?;
    }
    for path in listings {
        tx.listing_lost(path).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Those of some NARs that the bucket does not have with their bytes.
async fn missing<'n>(
    app: &App,
    nars: impl Iterator<Item = &'n (String, i64)> + Clone,
) -> Result<Vec<(String, i64)>, Error> {
    let keys = nars
        .clone()
        .map(|(key, _)| ObjectKey::parse(key).map_err(Error::internal))
        .collect::<Result<Vec<_>, _>>()?;
    let sizes = app.bucket.sizes(keys).await?;
    Ok(nars
        .zip(sizes)
        .filter(|((_, size), found)| *found != Some(size.unsigned_abs()))
        .map(|(nar, _)| nar.clone())
        .collect())
}

/// Those of some paths of which the bucket does not have the narinfo.
async fn absent<'p>(app: &App, paths: &'p [StorePath]) -> Result<BTreeSet<&'p StorePath>, Error> {
    let keys = paths.iter().map(|path| ObjectKey::narinfo(&path.hash()));
    let sizes = app.bucket.sizes(keys.collect()).await?;
    Ok(paths
        .iter()
        .zip(sizes)
        .filter(|(_, size)| size.is_none())
        .map(|(path, _)| path)
        .collect())
}
