//! Commits that readers see and the database has lost.
//!
//! A failover to a copy that is a second older takes back what PostgreSQL has acknowledged: a committed push is open
//! again, or being committed, and its lease runs out. Its claims are all that says which NARs and paths it has, so before
//! a collection lets go of them it looks for their narinfos in the bucket. If it finds one, it commits the push again,
//! which makes of it what its client was told: paths, closures, pin and realisations.

use std::collections::BTreeMap;

use niks3_base::error::Error;
use niks3_catalog::{PathId, Push, PushId, PushState, UncommittedClaim};
use niks3_nix::narinfo::NarInfo;
use niks3_storage::ObjectKey;

use super::run::Run;
use crate::app::App;
use crate::pins;
use crate::push;

/// Paths that are looked for together.
const PAGE: i64 = 500;
/// Most bytes of a narinfo or a pin that are read.
const MAX_TEXT: usize = 4 << 20;

/// Commits again the pushes without a lease of which readers see something; returns the ids of the others, which may
/// expire. One that cannot be committed keeps its claims until the next collection, or until a check takes its narinfos
/// into the database.
pub(super) async fn commit_again(run: &Run<'_>, committing_before: i64) -> Result<Vec<PushId>, Error> {
    let mut held: BTreeMap<PushId, (String, String)> = BTreeMap::new();
    loop {
        let mut over = Vec::new();
        let mut committed = false;
        for found in run.app.catalog.pushes_without_lease(committing_before).await? {
            if !seen_by_readers(run.app, &found).await? {
                over.push(found.id);
                continue;
            }
            let (id, token) = (found.id, found.token.clone());
            match again(run, found).await {
                Ok(()) => {
                    tracing::warn!(
                        push = token,
                        "a commit that the database had lost is committed again"
                    );
                    held.remove(&id);
                    committed = true;
                }
                // It may rely on one that comes after it.
                Err(problem) => drop(held.insert(id, (token, problem.text().to_owned()))),
            }
        }
        if committed && !held.is_empty() {
            continue;
        }
        for (token, why) in held.values() {
            tracing::error!(
                push = token,
                why,
                "readers see paths of a push that is not committed and cannot be: run `niks3 fsck --repair`"
            );
        }
        over.retain(|id| !held.contains_key(id));
        return Ok(over);
    }
}

/// Whether a push has a commit that the database has lost. Of an open one readers see a narinfo that says what the push
/// does; of one that is being committed those of its roots, which are written last.
async fn seen_by_readers(app: &App, push: &Push) -> Result<bool, Error> {
    if push.state == PushState::Committing {
        return roots_are_seen(app, push).await;
    }
    let mut after = PathId::default();
    loop {
        let page = app.catalog.uncommitted_claims(push.id, after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(false);
        };
        after = last.path_id;
        let key = |claim: &UncommittedClaim| ObjectKey::narinfo(&claim.path.hash());
        let sizes = app.bucket.sizes(page.iter().map(key).collect()).await?;
        for (claim, _) in page.iter().zip(sizes).filter(|(_, size)| size.is_some()) {
            let text = app.bucket.read_text(&key(claim), MAX_TEXT).await?;
            let text = text.and_then(|text| String::from_utf8(text).ok());
            let info = text.and_then(|text| NarInfo::parse(&app.store_dir, &text).ok());
            if info.is_some_and(|info| info.store_path == claim.path && info.nar_hash == claim.nar_hash) {
                return Ok(true);
            }
        }
    }
}

async fn roots_are_seen(app: &App, push: &Push) -> Result<bool, Error> {
    let roots = app.catalog.roots(push.id).await?;
    let keys = roots.iter().map(|root| ObjectKey::narinfo(&root.root.hash()));
    let sizes = app.bucket.sizes(keys.collect()).await?;
    Ok(!sizes.is_empty() && sizes.iter().all(Option::is_some))
}

/// Whether an open push that its client gives up has a commit that was acknowledged and lost: that is for the next
/// collection to commit again.
///
/// # Errors
/// When the database or the object store do not answer.
pub async fn is_lost(app: &App, push: &Push) -> Result<bool, Error> {
    Ok(push.state == PushState::Open
        && roots_are_seen(app, push).await?
        && seen_by_readers(app, push).await?)
}

async fn again(run: &Run<'_>, found: Push) -> Result<(), Error> {
    let keep_pin = match &found.pin {
        Some(name) => still_pinned(run, &found, name).await?,
        None => true,
    };
    let mut tx = run.write().await?;
    tx.begin_lease(found.id, i64::from(run.app.lease_seconds)).await?;
    if !keep_pin {
        tx.forget_push_pin(found.id).await?;
    }
    tx.commit().await?;
    let (id, token) = (found.id, found.token.clone());
    let renewed = run.app.catalog.push(&token).await?;
    let renewed = renewed.ok_or_else(|| Error::internal("a push is gone"))?;
    if let Err(problem) = push::commit(run.app, renewed, None).await {
        let mut tx = run.write().await?;
        tx.begin_lease(id, 0).await?;
        tx.commit().await?;
        return Err(problem);
    }
    Ok(())
}

/// Whether the pin of a push is what its commit made of it, or would: nobody has set it otherwise since.
async fn still_pinned(run: &Run<'_>, found: &Push, name: &str) -> Result<bool, Error> {
    let key = ObjectKey::pin(name).map_err(Error::internal)?;
    let Some(text) = run.app.bucket.read_text(&key, MAX_TEXT).await? else {
        return Ok(true);
    };
    let roots = run.app.catalog.roots(found.id).await?;
    Ok(roots
        .iter()
        .any(|root| pins::text(run.app, &root.root).as_bytes() == text))
}
