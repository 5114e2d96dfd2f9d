//! `--verify-s3-integrity`: the bucket is asked about what the database believes.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use niks3_nix::store_path::StorePath;

use crate::app::App;
use crate::catalog::{ClaimKind, Claimed};
use crate::http::problem::Problem;
use crate::storage::ObjectKey;

/// Questions to the bucket under way at once.
const CONCURRENCY: usize = 64;

/// What the bucket lacks of a path.
struct Lost {
    contents: bool,
    narinfo: bool,
}

/// Looks for what should be there of all claimed paths that are present, and
/// corrects the database where the bucket says otherwise. True when it did.
pub async fn verify(app: &App, claimed: &[Claimed]) -> Result<bool, Problem> {
    let present: Vec<StorePath> = claimed
        .iter()
        .filter(|claim| claim.kind == ClaimKind::Present)
        .map(|claim| claim.path.clone())
        .collect();
    let nars: BTreeMap<StorePath, (String, i64)> = app.catalog.nar_keys(&present).await?;
    let keys: BTreeSet<(String, i64)> = nars.values().cloned().collect();
    let missing: BTreeSet<String> = futures::stream::iter(keys)
        .map(|(key, size)| async move {
            let object = ObjectKey::parse(&key).map_err(Problem::internal)?;
            let found = app
                .bucket
                .head(&object)
                .await?
                .is_some_and(|meta| meta.size == size.unsigned_abs());
            Ok::<_, Problem>((!found).then_some(key))
        })
        .buffer_unordered(CONCURRENCY)
        .try_filter_map(|missing| async { Ok(missing) })
        .try_collect()
        .await?;
    let nars: Vec<(StorePath, bool)> = nars
        .into_iter()
        .map(|(path, (key, _))| (path, missing.contains(&key)))
        .collect();
    let lost: Vec<(StorePath, Lost)> = futures::stream::iter(nars)
        .map(|(path, nar_lost)| async move {
            let narinfo = app
                .bucket
                .head(&ObjectKey::narinfo(&path.hash()))
                .await?
                .is_none();
            let listing = app
                .bucket
                .head(&ObjectKey::listing(&path.hash()))
                .await?
                .is_none();
            Ok::<_, Problem>((
                path,
                Lost {
                    contents: listing || nar_lost,
                    narinfo,
                },
            ))
        })
        .buffer_unordered(CONCURRENCY)
        .try_filter(|(_, lost)| {
            let any = lost.contents || lost.narinfo;
            async move { any }
        })
        .try_collect()
        .await?;
    if lost.is_empty() {
        return Ok(false);
    }
    tracing::warn!(
        paths = lost.len(),
        "the bucket lacks what the database believed to be there"
    );
    let mut tx = app.catalog.write().await?;
    for (path, lost) in &lost {
        if lost.contents {
            tx.contents_lost(path).await?;
        } else {
            tx.narinfo_lost(path).await?;
        }
    }
    tx.commit().await?;
    Ok(true)
}
