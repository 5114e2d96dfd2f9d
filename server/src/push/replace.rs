//! Replacing contents that keys of a lower rank have signed.
//!
//! The replacement is decided like any path, after all that it refers to, and what it replaces stays in the bucket for
//! `--keep-replaced`. From then on the path is *publishing* until its listing and narinfo are written, by this commit or,
//! if it ends in between, by whoever publishes the path next.

use super::attempt::lease_over;
use super::commit::{Decided, Look};
use crate::app::App;
use crate::catalog::{
    ClaimKind, CommitAttempt, CommitClaim, Owned, Push, PushRank, PushState, Replacement, slices,
};
use crate::http::problem::Problem;
use crate::metrics::metrics;

/// Paths that one transaction replaces, each with a few statements of its own.
const SLICE: usize = 200;

/// Finds the claims that replace what is committed, and gives them their offers; false when there are none.
pub(super) async fn find(app: &App, push: &Push, claims: &mut [CommitClaim]) -> Result<bool, Problem> {
    let candidate = |claim: &CommitClaim| claim.kind == ClaimKind::Needed && claim.offer.is_none();
    if !claims.iter().any(candidate) {
        return Ok(false);
    }
    let rank = PushRank::of(&app.signer, &push.keys);
    let differing = app.catalog.differing(push.id, &rank).await?;
    let ids: Vec<i64> = differing
        .iter()
        .filter(|path| path.is_replaced && path.kind == ClaimKind::Needed)
        .map(|path| path.path_id)
        .collect();
    if ids.is_empty() {
        return Ok(false);
    }
    let offers = app.catalog.replacement_offers(push.id, &ids).await?;
    let mut offers: std::collections::HashMap<i64, _> =
        offers.into_iter().map(|offer| (offer.path_id, offer)).collect();
    for claim in claims.iter_mut().filter(|claim| candidate(claim)) {
        if let Some(offer) = offers.remove(&claim.path_id) {
            claim.offer = Some(offer);
            claim.replaces = true;
        }
    }
    Ok(true)
}

/// Replaces the contents of paths, after all else of the push has been decided; false when the push is not what was
/// looked at any more.
pub(super) async fn contents(
    app: &App,
    look: &Look,
    attempt: &CommitAttempt,
    decided: &mut Decided,
) -> Result<bool, Problem> {
    let claims = look.order.iter().map(|place| &look.claims[*place]);
    let ids: Vec<i64> = claims
        .filter(|claim| claim.replaces)
        .map(|claim| claim.path_id)
        .collect();
    let replacement = Replacement {
        attempt,
        identity: &look.push.identity,
        rank: PushRank::of(&app.signer, &look.push.keys),
        keep: app.keep_replaced,
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
