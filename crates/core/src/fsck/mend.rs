//! Mending what the database has and the bucket has not.

use bytes::Bytes;
use niks3_base::error::Error;
use niks3_base::realisation;
use niks3_catalog::{CheckedPath, FindingId, PathId, Realised};
use niks3_storage::ObjectKey;

use super::check::{Check, Found};
use crate::push;
use crate::push::listing::{self, Listed};

/// What a flaw of a path is about.
#[derive(Debug, Clone)]
pub(super) enum About {
    /// The narinfo of the path of that id.
    Narinfo(PathId),
    /// The listing of that path.
    Listing(Box<CheckedPath>),
    /// A realisation.
    Realisation(Realised),
    /// Something that only a push can bring.
    Lost,
}

/// Mends what was found of paths, as far as that is possible without a push.
pub(super) async fn paths(check: &Check<'_>, found: Vec<Found<About>>) -> Result<(), Error> {
    let mut narinfos: Vec<(FindingId, PathId)> = Vec::new();
    for finding in found {
        let ids = [finding.id];
        match finding.flaw.of {
            About::Narinfo(path) => narinfos.push((finding.id, path)),
            About::Listing(path) => check.tried(&ids, listing_of(check, &path).await).await?,
            About::Realisation(realised) => {
                check.tried(&ids, realisation(check, &realised).await).await?;
            }
            About::Lost => check.end(&ids, false).await?,
        }
    }
    if narinfos.is_empty() {
        return Ok(());
    }
    let (findings, ids): (Vec<FindingId>, Vec<PathId>) = narinfos.iter().copied().unzip();
    if push::republish(check.app, check.identity, &ids).await.is_ok() {
        return check.end(&findings, true).await;
    }
    // One that cannot be written does not keep others.
    for (finding, path) in narinfos {
        let written = push::republish(check.app, check.identity, &[path]).await;
        check.tried(&[finding], written).await?;
    }
    Ok(())
}

/// Makes a listing from the NAR.
async fn listing_of(check: &Check<'_>, path: &CheckedPath) -> Result<(), Error> {
    let row = &path.row;
    let nar = ObjectKey::parse(&row.nar_key).map_err(Error::internal)?;
    let limit = row.nar_size.unsigned_abs();
    let cannot = |why: &str| Error::conflict(format!("the NAR of {} cannot be listed: {why}", row.path));
    let json = match listing::of_nar(check.app, &nar, row.packing, limit).await? {
        Listed::Listing(json) => json,
        Listed::Gone => return Err(cannot("it is not there")),
        Listed::Not { why, .. } => return Err(cannot(&why)),
    };
    let ids = [row.path_id];
    let same = || async { Ok(check.app.catalog.checked_paths_among(&ids).await?) };
    let (tx, now) = check.under_write_lock(same).await?;
    if !now
        .iter()
        .any(|now| now.published && now.row.nar_key == row.nar_key)
    {
        return Err(Error::conflict(format!("{} has changed meanwhile", row.path)));
    }
    check
        .app
        .bucket
        .put(&ObjectKey::listing(&row.path.hash()), Bytes::from(json))
        .await?;
    check.app.bucket.sync().await?;
    drop(tx);
    Ok(())
}

/// Writes a realisation again, if the database has it still.
async fn realisation(check: &Check<'_>, realised: &Realised) -> Result<(), Error> {
    let key = ObjectKey::parse(&realised.key).map_err(Error::internal)?;
    let same = || async { Ok(check.app.catalog.realisations_of(&[realised.path_id]).await?) };
    let (tx, now) = check.under_write_lock(same).await?;
    if !now
        .iter()
        .any(|now| now.key == realised.key && now.body == realised.body)
    {
        return Err(Error::conflict(format!("{} has changed meanwhile", realised.key)));
    }
    let text = realisation::signed(&check.app.signer, &realised.keys, &realised.key, &realised.body)
        .map_err(Error::internal)?;
    check.app.bucket.put(&key, Bytes::from(text)).await?;
    check.app.bucket.sync().await?;
    drop(tx);
    Ok(())
}
