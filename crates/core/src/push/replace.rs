//! Replacing contents that keys of a lower rank have signed.
//!
//! The replacement is decided like any path, after all that it refers to, and what it replaces stays in the bucket for
//! `--keep-replaced`. From then on the path is *publishing* until its listing and narinfo are written, by this commit or,
//! if it ends in between, by whoever publishes the path next.

use std::collections::{HashMap, HashSet};

use niks3_base::error::Error;
use niks3_base::metrics::metrics;
use niks3_catalog::{
    ClaimKind, CommitAttempt, CommitClaim, Differing, Owned, PathId, Push, PushRank, PushState, Replacement,
    slices,
};

use super::commit_state::{Decided, Differences, Look};
use super::lease_over;
use super::ties;
use crate::app::App;

/// Most names of missing objects in one answer.
const MAX_MISSING: usize = 10_000;
/// Paths that one transaction replaces, each with a few statements of its own.
const SLICE: usize = 200;

/// Finds the claims that say something else than the cache, and gives those their offers that replace what is there.
pub(super) async fn find(app: &App, push: &Push, claims: &mut [CommitClaim]) -> Result<Differences, Error> {
    let found = |claim: &CommitClaim| claim.kind != ClaimKind::External && claim.offer.is_none();
    if !claims.iter().any(found) {
        return Ok(Differences::default());
    }
    let rank = PushRank::of(&app.signer, &push.keys);
    let paths = app.catalog.differing(push.id, &rank).await?;
    needed_now(app, push, &paths).await?;
    let mut ties = ties::won(app, push, &paths).await?;
    // What the push does not know cannot become a reference.
    let claimed: HashSet<PathId> = claims.iter().map(|claim| claim.path_id).collect();
    let tied: Vec<PathId> = ties.keys().copied().collect();
    let mut offers = HashMap::new();
    for offer in app.catalog.replacement_offers(push.id, &tied, true).await? {
        if offer.refs.iter().all(|id| claimed.contains(id)) {
            offers.insert(offer.path_id, offer);
        }
    }
    ties.retain(|id, _| offers.contains_key(id));
    let replaced: Vec<PathId> = paths
        .iter()
        .filter(|path| path.is_replaced && path.kind == ClaimKind::Needed)
        .map(|path| path.path_id)
        .collect();
    let replacements = app.catalog.replacement_offers(push.id, &replaced, false).await?;
    offers.extend(replacements.into_iter().map(|offer| (offer.path_id, offer)));
    let replacing = !offers.is_empty();
    for claim in claims.iter_mut().filter(|claim| found(claim)) {
        if let Some(offer) = offers.remove(&claim.path_id) {
            if let Some(tied) = ties.get(&claim.path_id) {
                claim.object_id = tied.object_id;
                claim.object_present = true;
            }
            claim.offer = Some(offer);
            claim.replaces = true;
        }
    }
    let ties = ties.into_iter().map(|(id, tied)| (id, tied.cached.refs));
    Ok(Differences {
        paths,
        ties: ties.collect(),
        replacing,
    })
}

/// Has a push bring the contents of paths that it found in the cache as it has them, and that others have changed since, where it
/// outranks them.
///
/// # Errors
/// `Conflict` naming them.
async fn needed_now(app: &App, push: &Push, paths: &[Differing]) -> Result<(), Error> {
    let changed = paths
        .iter()
        .filter(|path| path.is_replaced && path.kind == ClaimKind::Present && !path.has_same_nar);
    let (ids, names): (Vec<PathId>, Vec<&str>) =
        changed.map(|path| (path.path_id, path.path.as_str())).unzip();
    if ids.is_empty() || push.state != PushState::Open {
        return Ok(());
    }
    let mut tx = app.catalog.write().await?;
    tx.need(push.id, &ids).await?;
    tx.commit().await?;
    let missing = names
        .iter()
        .flat_map(|path| [format!("nar {path}"), format!("listing {path}")]);
    let why = "others have changed what the push found in the cache, and it has to be uploaded";
    Err(Error::missing(why, missing.take(MAX_MISSING).collect()))
}

/// Replaces the contents of paths, after all else of the push has been decided; false when the push is not what was
/// looked at any more.
pub(super) async fn contents(
    app: &App,
    look: &Look,
    attempt: &CommitAttempt,
    decided: &mut Decided,
) -> Result<bool, Error> {
    let claims = look.order.iter().map(|place| &look.claims[*place]);
    let ids: Vec<PathId> = claims
        .filter(|claim| claim.replaces)
        .map(|claim| claim.path_id)
        .collect();
    let replacement = Replacement {
        attempt,
        identity: &look.push.identity,
        rank: PushRank::of(&app.signer, &look.push.keys),
        keep: app.keep_replaced,
        ties: &look.differences.ties,
    };
    let mut seen = look.references.clone();
    for slice in slices(&ids, SLICE, SLICE, |_| 1) {
        let last = decided.own.last().copied().unwrap_or(look.seen);
        let mut tx = app.catalog.write().await?;
        let known = (last, decided.taken.len());
        match tx.replace(&replacement, slice, &mut seen, known).await? {
            Owned::Paths { taken, publication } => {
                tx.commit().await?;
                decided.own.push(publication);
                decided.replaced.extend(taken);
            }
            Owned::Changed => {
                if look.push.state == PushState::Open {
                    tx.reopen_push(attempt).await?;
                    tx.commit().await?;
                }
                return Ok(false);
            }
            Owned::Over => return Err(lease_over()),
        }
    }
    let replaced = look
        .claims
        .iter()
        .filter(|claim| decided.replaced.contains(&claim.path_id));
    for claim in replaced {
        metrics().path_replaced();
        tracing::warn!(
            push = look.push.token,
            identity = look.push.identity,
            path = claim.path.as_str(),
            signed_by = app.signer.chosen_names(&look.push.keys).replace('\n', " "),
            kept_seconds = app.keep_replaced,
            "audit: the contents of a path are replaced"
        );
    }
    Ok(true)
}
