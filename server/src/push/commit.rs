//! The commit: check, decide, publish, finish. Every step can be repeated; what a
//! dead process left is completed by whoever commits next.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::order::Order;
use super::publish;
use crate::app::App;
use crate::catalog::{ClaimKind, CommitClaim, Decision, Publishable, Push, PushState};
use crate::gc;
use crate::http::problem::Problem;
use crate::metrics::{PushEnd, metrics};
use crate::pins;
use crate::storage::ObjectKey;

/// Most names of missing objects in one answer.
const MAX_MISSING: usize = 10_000;

/// What a commit did; kept with the push, so that a repeated commit answers the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Base names of the roots.
    pub roots: Vec<String>,
    /// Paths that the push added.
    pub paths_added: u64,
    /// Paths that were there already.
    pub paths_present: u64,
}

/// Makes a push visible, wholly.
///
/// # Errors
/// 404 when its lease has run out, 409 naming what has not arrived, 422 when the
/// closure is not closed or not a closure; nothing is visible then.
pub async fn commit(app: &Arc<App>, push: Push) -> Result<Outcome, Problem> {
    let outcome = match push.state {
        PushState::Committed => serde_json::from_str(&push.result).map_err(Problem::internal)?,
        PushState::Aborted => return Err(Problem::push_gone("the push was given up: begin again")),
        PushState::Expired => return Err(lease_over()),
        PushState::Open | PushState::Committing => keep_alive(app, &push, run(app, &push)).await?,
    };
    if let Some(name) = &push.pin {
        pins::settle(app, name).await?;
    }
    Ok(outcome)
}

/// Renews the lease for as long as the work takes.
async fn keep_alive<T>(
    app: &App,
    push: &Push,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let seconds = i64::from(app.lease_seconds);
    let lease = Duration::from_secs(u64::from(app.lease_seconds));
    let mut ends = Instant::now() + lease;
    if !app.catalog.renew_lease(push.id, seconds).await? {
        return Err(lease_over());
    }
    // Beside the work, never instead of it: the work may hold the one write transaction
    // that the renewal waits for. The work stops where the lease does, since garbage
    // collection begins there.
    let renewing = async {
        let mut tick = tokio::time::interval(lease / 4);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = tokio::time::sleep_until(ends.into()) => return,
            }
            let asked = Instant::now();
            let renewed = tokio::time::timeout_at(ends.into(), app.catalog.renew_lease(push.id, seconds));
            match renewed.await {
                Ok(Ok(true)) => ends = asked + lease,
                // Either it is over, or the work has just ended it.
                Ok(Ok(false)) => tokio::time::sleep_until(ends.into()).await,
                Ok(Err(error)) => {
                    tracing::warn!(push = push.token, %error, "the lease could not be renewed during the commit");
                }
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        done = work => done,
        () = renewing => Err(lease_over()),
    }
}

fn lease_over() -> Problem {
    Problem::push_gone("the lease of the push has run out: begin again")
}

/// How often a commit looks again because its push was changed meanwhile.
const LOOKS: usize = 5;

async fn run(app: &App, push: &Push) -> Result<Outcome, Problem> {
    for _ in 0..LOOKS {
        let seen = app
            .catalog
            .push(&push.token)
            .await?
            .ok_or_else(|| Problem::internal("a push is gone"))?;
        if let Some(outcome) = attempt(app, &seen).await? {
            return Ok(outcome);
        }
    }
    Err(Problem::conflict(
        "the push is changed while it is committed: commit once everything is announced",
    ))
}

/// One look at everything, and the commit of what was seen; `None` when it was changed
/// in between.
async fn attempt(app: &App, push: &Push) -> Result<Option<Outcome>, Problem> {
    let mut claims = app.catalog.commit_claims(push.id).await?;
    let mut arrived = Vec::new();
    let roots = app.catalog.roots(push.id).await?;
    gc::settle::push(app, push.id).await?;
    // What a commit before this one has decided has been checked, and may be published.
    if push.state == PushState::Open {
        check_closed(app, &claims, roots.iter().map(|root| root.root.as_str())).await?;
        arrived = match check_arrived(app, push, &mut claims).await {
            Ok(arrived) => arrived,
            Err(problem) => {
                // Another commit of this push may have moved on what was looked for.
                let state = app.catalog.push(&push.token).await?.map(|push| push.state);
                return if state == Some(PushState::Open) {
                    Err(problem)
                } else {
                    Ok(None)
                };
            }
        };
    }

    let mut tx = app.catalog.write().await?;
    // The database must not outlive, in a power cut, what it says is there; so it says it last.
    let synced = async {
        if !arrived.is_empty() {
            app.bucket.sync().await?;
        }
        Ok::<_, Problem>(())
    };
    let decided = async {
        tx.objects_arrived(&arrived).await?;
        let decision = tx.decide(push.id, push.revision).await?;
        Ok((decision, tx.undecided(push.id).await?))
    };
    let ((), (decision, undecided)) = futures::try_join!(synced, decided)?;
    let added = match decision {
        Decision::Added(added) => added,
        Decision::Changed => return Ok(None),
        Decision::Finished(result) => return serde_json::from_str(&result).map_err(Problem::internal),
        Decision::Over => {
            return Err(lease_over());
        }
    };
    if !undecided.is_empty() {
        // Something that was there when it was claimed turned out lost meanwhile.
        drop(tx);
        let missing = undecided
            .iter()
            .flat_map(|path| [format!("nar {path}"), format!("listing {path}")]);
        return Err(Problem::conflict(
            "something that the push relies on was lost and has to be uploaded again",
        )
        .with_missing(missing.collect()));
    }
    tx.commit().await?;
    metrics().arrived(arrived.iter().map(|(_, size)| *size));

    publish::logs(app, push.id).await?;
    let publishables = publishables(app, push, &mut claims, added).await?;
    publish::narinfos(app, publishables).await?;
    publish::realisations(app, push.id).await?;

    let bytes = |cached| {
        let claims = claims.iter().filter(|claim| claim.cached() == Some(cached));
        claims.map(|claim| claim.nar_size.unsigned_abs()).sum()
    };
    let (added_bytes, cached_bytes) = (bytes(false), bytes(true));
    let relied_on = claims
        .iter()
        .filter(|claim| claim.kind != ClaimKind::External)
        .count() as u64;
    let outcome = Outcome {
        roots: roots.iter().map(|root| root.root.to_string()).collect(),
        paths_added: added,
        paths_present: relied_on.saturating_sub(added),
    };
    let result = serde_json::to_string(&outcome).map_err(Problem::internal)?;
    let mut tx = app.catalog.write().await?;
    // What counts from the commit of this transaction on is on the disk before it.
    let synced = async { Ok::<_, Problem>(app.bucket.sync().await?) };
    let finished = async { Ok(tx.finish(push.id, push.pin.as_deref(), &result).await?) };
    let ((), finished) = futures::try_join!(synced, finished)?;
    if !finished {
        return Err(lease_over());
    }
    tx.commit().await?;
    metrics().push_ended(PushEnd::Committed);
    metrics().push_bytes(added_bytes, cached_bytes);
    app.bucket.tidy(&push.token).await?;
    tracing::info!(
        push = push.token,
        identity = push.identity,
        added,
        relied_on,
        "push committed"
    );
    Ok(Some(outcome))
}

/// The paths that the push relies on whose narinfo may not be in the bucket yet.
async fn publishables(
    app: &App,
    push: &Push,
    claims: &mut [CommitClaim],
    added: u64,
) -> Result<Vec<Publishable>, Problem> {
    let offers: Vec<Publishable> = claims.iter_mut().filter_map(|claim| claim.offer.take()).collect();
    if push.state != PushState::Open || offers.len() as u64 != added {
        return Ok(app.catalog.publishables(push.id).await?);
    }
    // All that it offered was taken, so it is known what has been decided.
    let offered: HashSet<i64> = offers.iter().map(|offer| offer.path_id).collect();
    let others: Vec<i64> = claims
        .iter()
        .filter(|claim| claim.kind != ClaimKind::External && !offered.contains(&claim.path_id))
        .map(|claim| claim.path_id)
        .collect();
    let mut publishables = app.catalog.publishables_among(&others).await?;
    publishables.extend(offers);
    Ok(publishables)
}

/// Every root is claimed, everything referred to is claimed or left out on
/// purpose, and nothing refers to itself through others.
async fn check_closed<'r>(
    app: &App,
    claims: &[CommitClaim],
    roots: impl Iterator<Item = &'r str>,
) -> Result<(), Problem> {
    let known: HashSet<i64> = claims.iter().map(|claim| claim.path_id).collect();
    let names: HashSet<&str> = claims
        .iter()
        .filter(|claim| claim.kind != ClaimKind::External)
        .map(|claim| claim.path.as_str())
        .collect();
    for root in roots {
        if !names.contains(root) {
            return Err(Problem::invalid(
                "roots",
                format!("the root {root} is not among the claimed paths"),
            ));
        }
    }
    for offer in claims.iter().filter_map(|claim| claim.offer.as_ref()) {
        if let Some(stray) = offer.refs.iter().find(|id| !known.contains(id)) {
            let names = app.catalog.names(&[*stray]).await?;
            let stray = names.get(stray).map(ToString::to_string).unwrap_or_default();
            let detail = format!(
                "{} refers to {stray}, which the push neither claims nor names as external",
                offer.path
            );
            return Err(Problem::invalid("paths.references", detail));
        }
    }
    let offers: Vec<&Publishable> = claims.iter().filter_map(|claim| claim.offer.as_ref()).collect();
    let graph = offers.iter().map(|offer| (offer.path_id, offer.refs.as_slice()));
    if let Some(place) = Order::new(graph).circle() {
        let path = &offers[place].path;
        return Err(Problem::invalid(
            "paths.references",
            format!("{path} refers to itself through other paths"),
        ));
    }
    Ok(())
}

/// Everything the push has to provide is in the bucket with the right size; ids and sizes of the
/// objects of which the database does not know yet that they are there.
async fn check_arrived(
    app: &App,
    push: &Push,
    claims: &mut [CommitClaim],
) -> Result<Vec<(i64, i64)>, Problem> {
    let mut missing: BTreeSet<String> = BTreeSet::new();
    let mut unseen: BTreeMap<&str, (i64, i64, Vec<String>)> = BTreeMap::new();
    for claim in claims.iter() {
        let Some(offer) = &claim.offer else { continue };
        if offer.nar_key.is_empty() {
            missing.insert(format!("nar {}", claim.path));
        } else if !claim.object_present {
            unseen
                .entry(offer.nar_key.as_str())
                .or_insert_with(|| (claim.object_id, offer.file_size, Vec::new()))
                .2
                .push(format!("nar {}", claim.path));
        }
        if offer.listing.is_empty() {
            missing.insert(format!("listing {}", claim.path));
        } else {
            unseen
                .entry(offer.listing.as_str())
                .or_insert_with(|| (0, offer.listing_size, Vec::new()))
                .2
                .push(format!("listing {}", claim.path));
        }
    }
    let logs = app.catalog.staged_logs(push.id).await?;
    for log in &logs {
        let entry = unseen
            .entry(log.staging.as_str())
            .or_insert_with(|| (0, log.size, Vec::new()));
        entry.2.push(format!("log {}", log.drv));
    }
    let keys = unseen
        .keys()
        .map(|key| ObjectKey::parse(key))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Problem::internal)?;
    let sizes = app.bucket.sizes(keys).await?;
    let mut arrived: HashMap<i64, i64> = HashMap::new();
    for ((id, size, names), found) in unseen.into_values().zip(sizes) {
        match found {
            // Under the name of its hash is what has that hash, whatever anybody said of its size.
            Some(found) if id != 0 => {
                arrived.insert(id, i64::try_from(found).map_err(Problem::internal)?);
            }
            Some(found) if found == size.unsigned_abs() => {}
            _ => missing.extend(names),
        }
    }
    for claim in claims {
        if let (Some(offer), Some(size)) = (&mut claim.offer, arrived.get(&claim.object_id)) {
            offer.file_size = *size;
        }
    }
    let arrived: Vec<(i64, i64)> = arrived.into_iter().collect();
    if missing.is_empty() {
        return Ok(arrived);
    }
    if !arrived.is_empty() {
        app.bucket.sync().await?;
        let mut tx = app.catalog.write().await?;
        tx.objects_arrived(&arrived).await?;
        tx.commit().await?;
        metrics().arrived(arrived.iter().map(|(_, size)| *size));
    }
    let detail = format!("{} objects have not arrived", missing.len());
    Err(Problem::conflict(detail).with_missing(missing.into_iter().take(MAX_MISSING).collect()))
}
