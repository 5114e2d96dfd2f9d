//! A commit waits until its uploads are verified, and ends its push when they are not what it said.

use std::collections::HashSet;

use niks3_base::error::Error;
use niks3_base::nar_contents::VerifiedNar;
use niks3_catalog::{CommitClaim, ObjectId, PathId, Push};

use crate::app::App;
use crate::deletion::await_deletion;
use crate::verification::{Difference, Jobs, compare};

/// How often a commit reads again what an earlier reading did not show.
const ROUNDS: usize = 4;
/// Listings that one transaction lets go of.
const FORGET: usize = 2_000;
/// Differences that are logged and whose objects are deleted at once; others go with garbage collection.
const MAX_DIFFERENCES: usize = 100;

/// Waits until everything that a push offers has been read and is what it says; ids of the objects that are. What an
/// exempt push offers is compared as far as it is known.
///
/// # Errors
/// `Invalid` naming the first difference: the push is over then. `Unavailable` when an upload cannot be read.
pub(crate) async fn await_uploads(
    app: &App,
    push: &Push,
    claims: &[CommitClaim],
) -> Result<HashSet<ObjectId>, Error> {
    let offers = || {
        claims.iter().filter_map(|claim| {
            let offer = claim.offer.as_ref()?;
            (claim.object_id != ObjectId::default()).then_some((claim, offer))
        })
    };
    let ids: HashSet<ObjectId> = offers().map(|(claim, _)| claim.object_id).collect();
    let ids: Vec<ObjectId> = ids.into_iter().collect();
    for _ in 0..ROUNDS {
        let verdicts = app.catalog.verdicts(&ids).await?;
        let mut jobs = Jobs::of(&push.identity);
        let mut differences = Vec::new();
        for (claim, offer) in offers() {
            let id = claim.object_id;
            let verdict = verdicts.get(&id);
            match verdict.and_then(|verdict| compare(id, offer, verdict)) {
                Some(Ok(())) => continue,
                Some(Err(difference)) => {
                    differences.push(difference);
                    continue;
                }
                None => {}
            }
            // Nobody's word takes the place of what others have brought.
            if push.exempt && !claim.replaces {
                continue;
            }
            let known = verdict.and_then(|verdict| verdict.as_ref().ok());
            let known = known.into_iter().flat_map(VerifiedNar::answers);
            jobs.add(id, offer, known)?;
        }
        if !differences.is_empty() {
            return Err(refuse(app, push, differences).await?);
        }
        let waiting = jobs.objects();
        if waiting.is_empty() {
            return Ok(verdicts.into_keys().collect());
        }
        app.verifications.add(jobs.into_jobs());
        let waited = app.verifications.wait(push.id, &waiting, ids.len() as u64);
        if let Err(why) = waited.await {
            return Err(Error::unavailable(
                format!("an upload cannot be read to verify it: {why}"),
                5,
            ));
        }
    }
    Err(Error::unavailable(
        "other pushes of the same NARs want them read again and again",
        5,
    ))
}

/// Reads the NARs of paths in the cache that a push claims with the same contents and that its keys are about to sign, as far
/// as nobody has read them. A path that says something else of its NAR is withdrawn: the push has to bring it.
///
/// # Errors
/// When a NAR cannot be read.
pub(crate) async fn read_before_signing(app: &App, push: &Push) -> Result<(), Error> {
    if push.exempt {
        return Ok(());
    }
    let names = app.signer.chosen_names(&push.keys);
    let unread = app.catalog.unread_for_signing(push.id, &names).await?;
    if unread.is_empty() {
        return Ok(());
    }
    let mut jobs = Jobs::of(&push.identity);
    for (id, path) in &unread {
        jobs.add(*id, path, [])?;
    }
    let ids = jobs.objects();
    app.verifications.add(jobs.into_jobs());
    let waited = app.verifications.wait(push.id, &ids, ids.len() as u64).await;
    if let Err(why) = waited {
        return Err(Error::unavailable(
            format!("a NAR in the cache cannot be read to sign its path: {why}"),
            5,
        ));
    }
    let verdicts = app.catalog.verdicts(&ids).await?;
    let mut wrong = Vec::new();
    for (id, path) in &unread {
        if let Some(Err(difference)) = verdicts.get(id).and_then(|verdict| compare(*id, path, verdict)) {
            difference.audit("", "");
            wrong.push(path.path_id);
        }
    }
    for slice in wrong.chunks(FORGET) {
        let mut tx = app.catalog.write().await?;
        tx.withdraw_paths(slice).await?;
        tx.commit().await?;
    }
    await_deletion::paths(app, &wrong).await
}

/// Ends a push whose uploads are not what it said; what it is told.
///
/// # Errors
/// When the database does not answer: nothing has changed then.
pub async fn refuse(app: &App, push: &Push, mut differences: Vec<Difference>) -> Result<Error, Error> {
    let count = differences.len();
    differences.truncate(MAX_DIFFERENCES);
    for difference in &differences {
        difference.audit(&push.identity, &push.token);
    }
    let objects: HashSet<ObjectId> = differences
        .iter()
        .map(|difference| difference.object_id)
        .collect();
    let objects: Vec<ObjectId> = objects.into_iter().collect();
    let first = differences.first();
    let kind = first.map_or("", |difference| difference.kind.as_str());
    let text = first.map(ToString::to_string).unwrap_or_default();
    let more = match count {
        0 | 1 => String::new(),
        2 => "; 1 other path differs, too".to_owned(),
        count => format!("; {} other paths differ, too", count - 1),
    };
    let detail = format!("verification failed ({kind}): {text}{more}");
    let mut tx = app.catalog.write().await?;
    let deleting = tx.reject_uploads(push.id, &detail, &objects).await?;
    tx.commit().await?;
    app.catalog.release_push(push.id).await?;
    if let Err(problem) = await_deletion::objects(app, &deleting).await {
        tracing::warn!(why = problem.text(), "rejected uploads wait for their deletion");
    }
    Ok(refused(&detail))
}

/// Lets go of the listings of paths that have been published; beside everything else, since nobody waits for that.
pub(crate) fn forget_listings(app: &App, published: HashSet<PathId>) {
    let (catalog, kept_below) = (app.catalog.clone(), app.listings.kept_below());
    app.tasks.spawn(async move {
        let ids: Vec<PathId> = published.into_iter().collect();
        for ids in ids.chunks(FORGET) {
            let forgotten = async {
                let mut tx = catalog.write().await?;
                tx.listings_published(ids, kept_below).await?;
                tx.commit().await
            };
            if let Err(error) = forgotten.await {
                tracing::warn!(%error, "published listings are kept in the database, too");
                return;
            }
        }
    });
}

/// `Invalid`: what the commit of a push answers whose uploads are not what it said.
#[must_use]
pub fn refused(detail: &str) -> Error {
    Error::invalid("paths", detail)
}
