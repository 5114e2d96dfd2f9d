//! The commit: check, decide, publish, finish. Every step can be repeated; what a
//! dead process left is completed by whoever commits next.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::ahead::{self, Signed};
use super::{check, cycle, logs, lost, publish, remove_leftovers};
use crate::app::App;
use crate::catalog::{
    ArrivedObject, ClaimKind, ClosureSummary, CommitClaim, Decision, Finish, Finishing, Publishable, Push,
    PushState, SeenReferences,
};
use crate::gc;
use crate::http::problem::Problem;
use crate::metrics::{PushEnd, metrics};
use crate::pins;
use crate::verification;

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
/// 404 when its lease has run out, or something that it relies on was lost after it was
/// decided; 409 naming what has not arrived, 422 when the
/// closure is not closed or not a closure; nothing is visible then.
pub async fn commit(app: &Arc<App>, push: Push) -> Result<Outcome, Problem> {
    let done = match push.state {
        PushState::Committed => Done::before(&push.result)?,
        PushState::Aborted if !push.result.is_empty() => return Err(verification::refused(&push.result)),
        PushState::Aborted => return Err(Problem::push_gone("the push was given up: begin again")),
        PushState::Expired => return Err(lease_over()),
        PushState::Open | PushState::Committing => keep_alive(app, &push, run(app, &push)).await?,
    };
    if let Some(name) = &push.pin {
        pins::settle(app, name).await?;
    }
    if let Some(nars) = done.leftovers {
        remove_leftovers(app, push.token, nars);
    }
    Ok(done.outcome)
}

/// A commit that has ended.
struct Done {
    outcome: Outcome,
    /// What the push has staged is not all published; ids of NARs that it has uploaded in vain.
    leftovers: Option<Vec<i64>>,
}

impl Done {
    /// What an earlier commit of the push has answered.
    fn before(result: &str) -> Result<Self, Problem> {
        Ok(Self {
            outcome: serde_json::from_str(result).map_err(Problem::internal)?,
            leftovers: None,
        })
    }
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
/// How often it publishes what others have published again meanwhile.
const ROUNDS: usize = 10;

/// Paths to which one transaction adds signatures.
const SIGNED_PATHS: usize = 500;

/// What a commit sees of its push.
struct Look {
    claims: Vec<CommitClaim>,
    roots: Vec<ClosureSummary>,
    references: SeenReferences,
}

/// What a commit has decided.
struct Decided {
    /// How many paths are the push's.
    added: u64,
    /// All that the push offered was taken, by this very decision.
    all: bool,
    /// The last publication before what is to be published is read.
    seen: i64,
    /// The NARs of which the database did not know yet that they are there.
    arrived: Vec<ArrivedObject>,
    /// Ids of the NARs that the server has read, and whose listings it has made.
    verified: HashSet<i64>,
}

/// What a decision led to.
enum Step {
    Publish(Decided),
    /// Another commit of the push was faster.
    Finished(Done),
    /// The push is not what was looked at any more.
    Changed,
}

async fn run(app: &App, push: &Push) -> Result<Done, Problem> {
    for _ in 0..LOOKS {
        let seen = app
            .catalog
            .push(&push.token)
            .await?
            .ok_or_else(|| Problem::internal("a push is gone"))?;
        // Another commit of it has found that.
        if seen.state == PushState::Aborted && !seen.result.is_empty() {
            return Err(verification::refused(&seen.result));
        }
        let mut look = look(app, &seen).await?;
        let deciding = arrived_and_decided(app, &seen, &look);
        let (step, signed) = futures::try_join!(deciding, ahead::sign(app, &look.claims))?;
        match step {
            Step::Publish(decided) => return publish(app, &seen, &mut look, &decided, signed).await,
            Step::Finished(done) => return Ok(done),
            Step::Changed => {}
        }
    }
    Err(Problem::conflict(
        "the push is changed while it is committed: commit once everything is announced",
    ))
}

/// Reads everything, and checks what needs no question to the bucket.
async fn look(app: &App, push: &Push) -> Result<Look, Problem> {
    // Before the claims: what changes after that is noticed by the decision.
    let mut references = match push.state {
        PushState::Open => app.catalog.seen_references(push.id).await?,
        _ => SeenReferences::default(),
    };
    let claims = app.catalog.commit_claims(push.id).await?;
    let roots = app.catalog.roots(push.id).await?;
    gc::settle::push(app, push.id).await?;
    // What a commit before this one has decided has been checked, and may be published.
    if push.state == PushState::Open {
        check::closed(app, &claims, roots.iter().map(|root| root.root.as_str())).await?;
        references = cycle::check(app, references, &claims).await?;
    }
    Ok(Look {
        claims,
        roots,
        references,
    })
}

/// Decides, once everything has arrived.
async fn arrived_and_decided(app: &App, push: &Push, look: &Look) -> Result<Step, Problem> {
    if push.state != PushState::Open {
        return decide(app, push, look, Vec::new(), HashSet::new()).await;
    }
    match check::arrived(app, push, &look.claims).await {
        Ok(arrived) => {
            let verified = match verification::settle(app, push, &look.claims).await {
                Ok(verified) => verified,
                Err(problem) => return unless_changed(app, push, problem).await,
            };
            add_signatures(app, push).await?;
            decide(app, push, look, arrived, verified).await
        }
        Err(problem) => unless_changed(app, push, problem).await,
    }
}

/// Another commit of the push may have moved on, or moved, what a problem is about.
async fn unless_changed(app: &App, push: &Push, problem: Problem) -> Result<Step, Problem> {
    match app.catalog.push(&push.token).await?.map(|push| push.state) {
        Some(PushState::Open) => Err(problem),
        _ => Ok(Step::Changed),
    }
}

/// Adds the signatures that the push brings of paths that are in the cache. The decision comes after that, so that it has
/// their narinfos written again.
async fn add_signatures(app: &App, push: &Push) -> Result<(), Problem> {
    let own_keys = app.signer.key_names().map(str::to_owned).collect();
    let new = app.catalog.new_signatures(push.id, &own_keys).await?;
    for slice in new.chunks(SIGNED_PATHS) {
        let mut tx = app.catalog.write().await?;
        tx.add_signatures(slice).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// One transaction makes what is still absent the push's.
async fn decide(
    app: &App,
    push: &Push,
    look: &Look,
    arrived: Vec<ArrivedObject>,
    verified: HashSet<i64>,
) -> Result<Step, Problem> {
    let offers = look.claims.iter().filter(|claim| claim.offer.is_some()).count();
    let mut tx = app.catalog.write().await?;
    // The database must not outlive, in a power cut, what it says is there; so it says it last.
    let synced = async {
        if offers > 0 {
            app.bucket.sync().await?;
        }
        Ok::<_, Problem>(())
    };
    let deciding = async {
        tx.objects_arrived(push.id, &arrived).await?;
        let decision = match push.state {
            PushState::Open if !tx.references_unchanged(push.id, &look.references).await? => {
                Decision::Changed
            }
            _ => tx.decide(push.id, push.revision).await?,
        };
        Ok((decision, tx.undecided(push.id).await?, tx.publications().await?))
    };
    let ((), (decision, undecided, seen)) = futures::try_join!(synced, deciding)?;
    let (added, first) = match decision {
        Decision::Added(added) => (added, true),
        Decision::Before(added) => (added, false),
        Decision::Changed => return Ok(Step::Changed),
        Decision::Finished(result) => {
            return Ok(Step::Finished(Done::before(&result)?));
        }
        Decision::Over => return Err(lease_over()),
    };
    if !undecided.is_empty() {
        // Something that was there when it was claimed turned out lost meanwhile.
        if !first {
            tx.give_up(push.id).await?;
            tx.commit().await?;
            return Err(lost(&undecided));
        }
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
    metrics().arrived(arrived.iter().map(|object| object.size));
    Ok(Step::Publish(Decided {
        added,
        all: first && offers as u64 == added,
        seen,
        arrived,
        verified,
    }))
}

/// Writes what readers see, until all that the push relies on is as the database has it; then
/// the push is committed.
async fn publish(
    app: &App,
    push: &Push,
    look: &mut Look,
    decided: &Decided,
    signed: Signed,
) -> Result<Done, Problem> {
    let logs_in_vain = logs::some_known(app, push.id).await?;
    logs::publish(app, push.id).await?;
    let in_vain = |claim: &CommitClaim| claim.object_id != 0 && claim.offer.is_none();
    let leftovers = match decided.all && !logs_in_vain && !look.claims.iter().any(in_vain) {
        true => None,
        false => Some(app.catalog.nars_in_vain(push.id).await?),
    };
    let mut found = publishables(app, push, &mut look.claims, decided).await?;
    let outcome = outcome(look, decided.added);
    let claimed: HashSet<i64> = look
        .claims
        .iter()
        .filter(|claim| claim.kind != ClaimKind::External)
        .map(|claim| claim.path_id)
        .collect();
    let result = serde_json::to_string(&outcome).map_err(Problem::internal)?;
    let mut published = HashSet::new();
    let mut seen = decided.seen;
    // What is not published as it was offered has not been signed yet.
    let mut signed = if decided.all { signed } else { Signed::default() };
    for _ in 0..ROUNDS {
        published.extend(publish::narinfos(app, found, mem::take(&mut signed)).await?);
        let realisations = publish::realisations(app, push.id).await?;
        let strangers: Vec<i64> = published.difference(&claimed).copied().collect();
        let commit = Finishing {
            push_id: push.id,
            pin: push.pin.as_deref(),
            result: &result,
            seen,
            published: &published,
            strangers: &strangers,
            realisations: &realisations,
        };
        match finish(app, &commit).await? {
            None => {
                committed(push, look, &outcome);
                if !decided.verified.is_empty() {
                    verification::forget_listings(app, published);
                }
                app.bucket.tidy(&push.token).await?;
                return Ok(Done { outcome, leftovers });
            }
            Some(last) => seen = last,
        }
        found = app.catalog.publishables(push.id).await?;
        found.extend(app.catalog.publishables_among(&strangers).await?);
    }
    Err(Problem::unavailable(
        "others publish what the push relies on again and again",
        1,
    ))
}

/// One transaction makes the push count; otherwise, the last publication before what is to
/// be published besides is read.
async fn finish(app: &App, commit: &Finishing<'_>) -> Result<Option<i64>, Problem> {
    let mut tx = app.catalog.write().await?;
    // What counts from the commit of this transaction on is on the disk before it.
    let synced = async { Ok::<_, Problem>(app.bucket.sync().await?) };
    let finishing = async { Ok((tx.finish(commit).await?, tx.publications().await?)) };
    let ((), (finish, last)) = futures::try_join!(synced, finishing)?;
    match finish {
        Finish::Over => return Err(lease_over()),
        Finish::Committed | Finish::Overtaken | Finish::Lost(_) => tx.commit().await?,
    }
    match finish {
        Finish::Lost(paths) => Err(lost(&paths)),
        Finish::Overtaken => Ok(Some(last)),
        _ => Ok(None),
    }
}

fn outcome(look: &Look, added: u64) -> Outcome {
    let relied_on = look
        .claims
        .iter()
        .filter(|claim| claim.kind != ClaimKind::External)
        .count() as u64;
    Outcome {
        roots: look.roots.iter().map(|root| root.root.to_string()).collect(),
        paths_added: added,
        paths_present: relied_on.saturating_sub(added),
    }
}

fn committed(push: &Push, look: &Look, outcome: &Outcome) {
    let bytes = |cached| {
        let claims = look.claims.iter().filter(|claim| claim.cached() == Some(cached));
        claims.map(|claim| claim.nar_size.unsigned_abs()).sum()
    };
    metrics().push_ended(PushEnd::Committed);
    metrics().push_bytes(bytes(false), bytes(true));
    tracing::info!(
        push = push.token,
        identity = push.identity,
        added = outcome.paths_added,
        relied_on = outcome.paths_added.saturating_add(outcome.paths_present),
        "push committed"
    );
}

/// The paths that the push relies on whose narinfo may not be in the bucket yet.
async fn publishables(
    app: &App,
    push: &Push,
    claims: &mut [CommitClaim],
    decided: &Decided,
) -> Result<Vec<Publishable>, Problem> {
    if !decided.all {
        return Ok(app.catalog.publishables(push.id).await?);
    }
    // All that it offered was taken, so it is known what has been decided.
    let arrived = decided.arrived.iter().map(|object| (object.id, object.size));
    let arrived: HashMap<i64, i64> = arrived.collect();
    let taken = claims.iter_mut().filter_map(|claim| {
        let mut offer = claim.offer.take()?;
        if let Some(size) = arrived.get(&claim.object_id) {
            offer.file_size = *size;
        }
        if decided.verified.contains(&claim.object_id) {
            offer.listing_of_nar = true;
            offer.listing.clear();
        }
        Some(offer)
    });
    let offers: Vec<Publishable> = taken.collect();
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
