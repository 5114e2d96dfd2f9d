//! Which references a path has when pushes of the same rank say otherwise of the same NAR: those of which more hash parts
//! occur in it. References cannot be derived from a NAR, since a build may discard them, so that one more that occurs
//! speaks for a claim and one less only for a build that has discarded it.

use std::collections::{HashMap, HashSet};

use niks3_base::error::Error;
use niks3_base::nar_contents::{Occurrences, Verdict, VerifiedNar, Wanted};
use niks3_catalog::{ClaimKind, Differing, ObjectId, PathId, Push, Tied, missing_from};
use niks3_nix::store_path::{StorePath, StorePathHash};

use crate::app::App;
use crate::verification::{Jobs, compare};

/// Hash parts that are looked for in one NAR. Each time that others are asked for, it is read again, and forgotten is what does
/// not fit in with them; so an identity may ask only so often.
const MAX_SOUGHT: usize = 256;

/// The paths of a push whose references take the place of those in the cache, by id. The NARs are read,
/// unless it is known already what occurs in them.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn won(
    app: &App,
    push: &Push,
    differing: &[Differing],
) -> Result<HashMap<PathId, Tied>, Error> {
    let ids: Vec<PathId> = differing
        .iter()
        .filter(|path| path.is_tied)
        .map(|path| path.path_id)
        .collect();
    // A higher rank does not ask, and has no NAR to upload where it found the one in the cache.
    let outranked: Vec<PathId> = differing
        .iter()
        .filter(|path| path.is_replaced && path.has_same_nar && path.kind == ClaimKind::Present)
        .map(|path| path.path_id)
        .collect();
    let outranked = app.catalog.tied(push.id, &outranked).await?;
    let outranked = outranked.into_iter().map(|tied| (tied.cached.path_id, tied));
    if ids.is_empty() || !app.verifications.may_compare(&push.identity) {
        return Ok(outranked.collect());
    }
    let tied = app.catalog.tied(push.id, &ids).await?;
    let names = app.catalog.names(&in_dispute(&tied)).await?;
    let verdicts = looked_for(app, push, &tied, &names).await?;
    let wins = |tied: &Tied| {
        let nar = right(tied, verdicts.get(&tied.object_id)?)?;
        let (cached, claimed) = sides(tied);
        let cached = occurring(&nar.occurrences, &cached, &names)?;
        Some(occurring(&nar.occurrences, &claimed, &names)? > cached)
    };
    let won = tied.into_iter().filter(|tied| wins(tied) == Some(true));
    Ok(won
        .map(|tied| (tied.cached.path_id, tied))
        .chain(outranked)
        .collect())
}

/// The references that only the cache has, and those that only the push claims.
fn sides(tied: &Tied) -> (Vec<PathId>, Vec<PathId>) {
    let (cached, claimed) = (&tied.cached.refs, &tied.claimed);
    (missing_from(claimed, cached), missing_from(cached, claimed))
}

fn in_dispute(tied: &[Tied]) -> Vec<PathId> {
    let ids: HashSet<PathId> = tied
        .iter()
        .flat_map(|tied| {
            let (cached, claimed) = sides(tied);
            cached.into_iter().chain(claimed)
        })
        .collect();
    ids.into_iter().collect()
}

/// A NAR that is what the cache says of its path.
fn right<'v>(tied: &Tied, verdict: &'v Verdict) -> Option<&'v VerifiedNar> {
    matches!(compare(tied.object_id, &tied.cached, verdict), Some(Ok(())))
        .then(|| verdict.as_ref().ok())
        .flatten()
}

/// How many of some references occur in a NAR, if each of them was looked for.
fn occurring(occurrences: &Occurrences, ids: &[PathId], names: &HashMap<PathId, StorePath>) -> Option<usize> {
    let mut count = 0;
    for id in ids {
        count += usize::from(*occurrences.get(&names.get(id)?.hash())?);
    }
    Some(count)
}

/// Has the NARs read for the hash parts that nobody has looked for yet; what is known of them then.
async fn looked_for(
    app: &App,
    push: &Push,
    tied: &[Tied],
    names: &HashMap<PathId, StorePath>,
) -> Result<HashMap<ObjectId, Verdict>, Error> {
    let objects: HashSet<ObjectId> = tied.iter().map(|tied| tied.object_id).collect();
    let objects: Vec<ObjectId> = objects.into_iter().collect();
    let verdicts = app.catalog.verdicts(&objects).await?;
    let mut sought: HashMap<ObjectId, HashSet<StorePathHash>> = HashMap::new();
    for tied in tied {
        let (cached, claimed) = sides(tied);
        let hashes = cached.iter().chain(&claimed).filter_map(|id| names.get(id));
        sought
            .entry(tied.object_id)
            .or_default()
            .extend(hashes.map(StorePath::hash));
    }
    let mut jobs = Jobs::of(&push.identity);
    for tied in tied {
        let verdict = verdicts.get(&tied.object_id);
        let known = verdict.and_then(|verdict| verdict.as_ref().ok());
        let is_known = |hash: &StorePathHash| known.is_some_and(|nar| nar.occurrences.contains_key(hash));
        let sought = &sought[&tied.object_id];
        let is_new = sought.iter().any(|hash| !is_known(hash));
        // What is flawed is found and withdrawn by others.
        if !is_new || sought.len() > MAX_SOUGHT || verdict.is_some_and(Result::is_err) {
            continue;
        }
        let known = known.into_iter().flat_map(VerifiedNar::answers);
        let (hashes, known): (Vec<Wanted>, Vec<Wanted>) =
            known.partition(|wanted| matches!(wanted, Wanted::Hash(_)));
        let room = MAX_SOUGHT - sought.len();
        let known = known.into_iter().take(room).chain(hashes);
        let more = sought.iter().copied().map(Wanted::Occurrence).chain(known);
        jobs.add(tied.object_id, &tied.cached, more)?;
    }
    let waiting = jobs.objects();
    if waiting.is_empty() {
        return Ok(verdicts);
    }
    app.verifications.add(jobs.into_jobs());
    let waited = app.verifications.wait(push.id, &waiting, waiting.len() as u64);
    if let Err(why) = waited.await {
        tracing::warn!(
            push = push.token,
            why,
            "references that differ stay as they are, since a NAR cannot be read"
        );
    }
    Ok(app.catalog.verdicts(&objects).await?)
}
