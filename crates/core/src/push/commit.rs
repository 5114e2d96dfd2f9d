//! The commit: check, decide, publish, finish. Every step can be repeated; what a
//! dead process left is completed by whoever commits next.
//!
//! Nothing here holds the one writing transaction for long. Paths are decided in slices, each after
//! all that it refers to (`catalog/decisions.rs`); their narinfos are written in the same order and
//! marked in slices; then one small transaction makes closure, pin and run. Only by that one the push
//! counts. An attempt that ends between two slices leaves decided paths *publishing*, which anybody
//! can publish, and the rest as it was. The next attempt of the same push decides the rest; if there
//! is none, the lease of the push runs out, its claims go, and a collection judges what was decided.

use std::collections::{HashMap, HashSet};
use std::mem;

use niks3_base::error::Error;
use niks3_base::metrics::{PushEnd, metrics};
use niks3_catalog::{
    ClaimKind, CommitAttempt, CommitBegin, CommitClaim, Finish, Finishing, ObjectId, Owned, PathId,
    Publishable, Push, PushState, SLICE_MARKS, SLICE_REFERENCES, SLICE_ROWS, slices,
};
use serde::{Deserialize, Serialize};

use super::commit_state::{Decided, Look};
use super::conflicts::{self, Conflict};
use super::narinfo_signatures::{self, NarinfoSignatures};
use super::{arrival, await_verification, check, cycle, lease_over, logs, lost, publish, replace};
use crate::app::App;
use crate::deletion::await_deletion;

/// What a commit did; kept with the push, so that a repeated commit answers the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Base names of the roots.
    pub roots: Vec<String>,
    /// Paths that the push added.
    pub paths_added: u64,
    /// Paths that were there already.
    pub paths_present: u64,
    /// Paths whose NARs the server has read.
    #[serde(default)]
    pub paths_verified: u64,
    /// Paths that the cache has with something else than the push says.
    #[serde(default)]
    pub conflicts: Vec<Conflict>,
    /// Base names of paths whose contents the push has replaced.
    #[serde(default)]
    pub replaced: Vec<String>,
}

/// A commit that has ended.
pub(super) struct Done {
    pub outcome: Outcome,
    /// What the push has staged is not all published; ids of NARs that it has uploaded in vain.
    pub leftovers: Option<Vec<ObjectId>>,
}

/// How often a commit looks again because its push was changed meanwhile.
const LOOKS: usize = 5;
/// How often it publishes what others have published again meanwhile.
const ROUNDS: usize = 10;

/// Paths to which one transaction adds signatures.
const SIGNED_PATHS: usize = 500;

/// Commits a push as the attempt that holds its lease.
pub(super) async fn run(app: &App, push: &Push, attempt: &CommitAttempt) -> Result<Done, Error> {
    let mut revisions = HashSet::new();
    for _ in 0..LOOKS {
        let mut look = look(app, push).await?;
        revisions.insert(look.push.revision);
        let deciding = async {
            let decided = arrived(app, &look).await?;
            decide(app, &look, attempt, decided).await
        };
        let (decided, signed) = futures::try_join!(deciding, narinfo_signatures::sign(app, &look.claims))?;
        if let Some(decided) = decided {
            return publish(app, &mut look, attempt, decided, signed).await;
        }
    }
    if revisions.len() == 1 {
        return Err(Error::unavailable(
            "others change what the push refers to again and again",
            1,
        ));
    }
    Err(Error::conflict(
        "the push is changed while it is committed: commit once everything is announced",
    ))
}

/// Reads everything, and checks what needs no question to the bucket.
async fn look(app: &App, push: &Push) -> Result<Look, Error> {
    let push = app.catalog.push(&push.token).await?.ok_or_else(lease_over)?;
    await_deletion::push(app, push.id).await?;
    let seen = app.catalog.publications().await?;
    let mut references = app.catalog.seen_references(push.id).await?;
    let mut claims = app.catalog.commit_claims(push.id).await?;
    let differences = replace::find(app, &push, &mut claims).await?;
    if differences.replacing {
        references.replaces();
    }
    let roots = app.catalog.roots(push.id).await?;
    // What an attempt before this one has seen of it has been checked.
    if push.state == PushState::Open {
        check::closed(app, &claims, roots.iter().map(|root| root.root.as_str())).await?;
    }
    let order = check::order(app, &claims).await?;
    let references = cycle::check(app, references, &claims).await?;
    Ok(Look {
        push,
        seen,
        claims,
        roots,
        references,
        order,
        differences,
    })
}

/// Looks whether everything has arrived, records what has, and waits until all of it is verified.
async fn arrived(app: &App, look: &Look) -> Result<Decided, Error> {
    if look.push.state != PushState::Open {
        return Ok(Decided::default());
    }
    let arrived = check::arrived(app, &look.push, &look.claims).await?;
    // The database must not outlive, in a power cut, what it says is there.
    if arrived.is_empty() {
        app.bucket.sync().await?;
    }
    arrival::note_arrived(app, look.push.id, &arrived).await?;
    let verified = await_verification::await_uploads(app, &look.push, &look.claims).await?;
    await_verification::read_before_signing(app, &look.push).await?;
    add_signatures(app, &look.push).await?;
    Ok(Decided {
        arrived: arrived
            .into_iter()
            .map(|object| (object.id, object.size))
            .collect(),
        verified,
        ..Decided::default()
    })
}

/// Adds the signatures that the push brings of paths that are in the cache. The decision comes after that, so that it has
/// their narinfos written again.
async fn add_signatures(app: &App, push: &Push) -> Result<(), Error> {
    let own_keys = app.signer.key_names().map(str::to_owned).collect();
    let new = app.catalog.new_signatures(push.id, &own_keys).await?;
    for slice in new.chunks(SIGNED_PATHS) {
        let mut tx = app.catalog.write().await?;
        tx.add_signatures(slice).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Makes what is still absent the push's, slice by slice; `None` when the push is not what was
/// looked at any more.
async fn decide(
    app: &App,
    look: &Look,
    attempt: &CommitAttempt,
    mut decided: Decided,
) -> Result<Option<Decided>, Error> {
    let mut tx = app.catalog.write().await?;
    match tx.begin_commit(attempt, look.push.revision).await? {
        CommitBegin::Begun => tx.commit().await?,
        CommitBegin::Changed => return Ok(None),
        CommitBegin::Over => return Err(lease_over()),
    }
    let external = look.ids(|claim| claim.kind == ClaimKind::External);
    for slice in external.chunks(SLICE_MARKS) {
        let mut tx = app.catalog.write().await?;
        if !tx.mark_left_out(attempt, slice).await? {
            return Err(lease_over());
        }
        tx.commit().await?;
    }
    let committed = look.ids(|claim| claim.kind != ClaimKind::External && claim.offer.is_none());
    for slice in committed.chunks(SLICE_ROWS) {
        let mut tx = app.catalog.write().await?;
        if !tx.add_signing_keys(attempt, slice, &app.signer).await? {
            return Err(lease_over());
        }
        tx.commit().await?;
    }
    let offered = look.order.iter().map(|place| &look.claims[*place]);
    let offered: Vec<&CommitClaim> = offered.filter(|claim| !claim.replaces).collect();
    let references = |claim: &&CommitClaim| claim.offer.as_ref().map_or(0, |offer| offer.refs.len());
    for slice in slices(&offered, SLICE_ROWS, SLICE_REFERENCES, references) {
        let last = decided.own.last().copied().unwrap_or(look.seen);
        let mut tx = app.catalog.write().await?;
        let known = (last, decided.taken.len());
        match tx
            .claim_ownership(attempt, slice, &look.references, known, &app.signer)
            .await?
        {
            Owned::Paths { taken, publication } => {
                tx.commit().await?;
                decided.own.push(publication);
                decided
                    .taken
                    .extend(taken.into_iter().map(|id| (id, publication)));
            }
            Owned::Changed => {
                // Looked at like a push that nobody has begun to commit, unless somebody had.
                if look.push.state == PushState::Open {
                    tx.reopen_push(attempt).await?;
                    tx.commit().await?;
                }
                return Ok(None);
            }
            Owned::Over => return Err(lease_over()),
        }
    }
    if !replace::contents(app, look, attempt, &mut decided).await? {
        return Ok(None);
    }
    all_decided(app, look, attempt).await?;
    Ok(Some(decided))
}

/// Everything that the push relies on is committed, by whomever.
///
/// # Errors
/// `Conflict` naming what has to be uploaded again; `PushGone` when some of the push may have been published, so that
/// only another push can bring it.
async fn all_decided(app: &App, look: &Look, attempt: &CommitAttempt) -> Result<(), Error> {
    let unclaimed = app.catalog.unclaimed(look.push.id).await?;
    if unclaimed.is_empty() {
        return Ok(());
    }
    // Something that was there when it was claimed turned out lost meanwhile.
    let mut tx = app.catalog.write().await?;
    if look.push.state != PushState::Open {
        tx.give_up(look.push.id).await?;
        tx.commit().await?;
        return Err(lost(&unclaimed));
    }
    tx.reopen_push(attempt).await?;
    tx.commit().await?;
    let missing = unclaimed
        .iter()
        .flat_map(|path| [format!("nar {path}"), format!("listing {path}")]);
    let why = "something that the push relies on was lost and has to be uploaded again";
    Err(Error::missing(why, missing.collect()))
}

/// Writes what readers see, until all that the push relies on is as the database has it; then
/// the push is committed.
async fn publish(
    app: &App,
    look: &mut Look,
    attempt: &CommitAttempt,
    decided: Decided,
    mut signed: NarinfoSignatures,
) -> Result<Done, Error> {
    let push_id = look.push.id;
    // An attempt that goes on with what another has begun does not know what that one has verified: the database does.
    let all = look.push.state == PushState::Open && look.order.len() == decided.taken.len();
    let logs_in_vain = logs::some_known(app, push_id).await?;
    logs::publish(app, push_id).await?;
    let in_vain = |claim: &CommitClaim| match &claim.offer {
        None => claim.object_id != ObjectId::default(),
        // An exempt push has sent a listing of a NAR that was read all the same.
        Some(offer) => !offer.listing.is_empty() && decided.verified.contains(&claim.object_id),
    };
    let leftovers = match all && !logs_in_vain && !look.claims.iter().any(in_vain) {
        true => None,
        false => Some(app.catalog.nars_in_vain(push_id).await?),
    };
    let outcome = outcome(app, look, &decided).await?;
    let result = serde_json::to_string(&outcome).map_err(Error::internal)?;
    let claimed: HashSet<PathId> = look
        .ids(|claim| claim.kind != ClaimKind::External)
        .into_iter()
        .collect();
    let (mut seen, mut own) = (look.seen, decided.own.clone());
    let mut found = publishables(app, look, &decided, all).await?;
    // What is not published as it was offered has not been signed yet.
    if !all {
        signed = NarinfoSignatures::default();
    }
    let mut published = HashMap::new();
    let mut stale;
    for _ in 0..ROUNDS {
        let written = publish::narinfos(app, found, mem::take(&mut signed)).await?;
        let realisations = publish::realisations(app, push_id).await?;
        // What counts from here on is on the disk.
        app.bucket.sync().await?;
        published.extend(written);
        let strangers: Vec<PathId> = published
            .keys()
            .filter(|id| !claimed.contains(id))
            .copied()
            .collect();
        let commit = Finishing {
            attempt,
            pin: look.push.pin.as_deref(),
            result: &result,
            seen,
            own: &own,
            published: &published,
            strangers: &strangers,
            realisations: &realisations,
            signer: &app.signer,
        };
        match app.catalog.finish_commit(&commit).await? {
            Finish::Committed => {
                app.catalog.release_push(push_id).await?;
                committed(look, &outcome);
                if !decided.verified.is_empty() {
                    await_verification::forget_listings(app, published.into_keys().collect());
                }
                app.bucket.tidy(&look.push.token).await?;
                return Ok(Done { outcome, leftovers });
            }
            Finish::Overtaken(ids) => stale = ids,
            Finish::Lost(paths) => return Err(lost(&paths)),
            Finish::PinTaken(taken) => return Err(taken.into()),
            Finish::Over => return Err(lease_over()),
        }
        seen = app.catalog.publications().await?;
        own.clear();
        found = app.catalog.publishables(push_id).await?;
        found.extend(app.catalog.publishables_among(&strangers).await?);
        let waiting: HashSet<PathId> = found.iter().map(|path| path.path_id).collect();
        stale.retain(|id| !waiting.contains(id));
        app.catalog.publish_again(&stale).await?;
        found.extend(app.catalog.publishables_among(&stale).await?);
    }
    Err(Error::unavailable(
        "others publish what the push relies on again and again",
        1,
    ))
}

async fn outcome(app: &App, look: &Look, decided: &Decided) -> Result<Outcome, Error> {
    let relied_on = look.ids(|claim| claim.kind != ClaimKind::External).len() as u64;
    let added = app.catalog.paths_added(look.push.id).await?.min(relied_on);
    let verified =
        |claim: &&CommitClaim| claim.offer.is_some() && decided.verified.contains(&claim.object_id);
    // What an attempt before this one has done, too.
    let (verified, replaced) = match look.push.state {
        PushState::Open if decided.replaced.is_empty() => {
            (look.claims.iter().filter(verified).count() as u64, Vec::new())
        }
        _ => (
            app.catalog.verified_paths(look.push.id).await?,
            app.catalog.replaced_by(look.push.id).await?,
        ),
    };
    Ok(Outcome {
        paths_verified: verified,
        conflicts: conflicts::of_push(app, look, decided).await?,
        replaced: replaced.iter().map(ToString::to_string).collect(),
        roots: look.roots.iter().map(|root| root.root.to_string()).collect(),
        paths_added: added,
        paths_present: relied_on - added,
    })
}

fn committed(look: &Look, outcome: &Outcome) {
    let bytes = |cached| {
        let claims = look.claims.iter().filter(|claim| claim.cached() == Some(cached));
        claims.map(|claim| claim.nar_size.unsigned_abs()).sum()
    };
    metrics().push_ended(PushEnd::Committed);
    metrics().push_bytes(bytes(false), bytes(true));
    tracing::info!(
        push = look.push.token,
        identity = look.push.identity,
        added = outcome.paths_added,
        relied_on = outcome.paths_added.saturating_add(outcome.paths_present),
        "push committed"
    );
}

/// The paths that the push relies on whose narinfo may not be in the bucket yet.
async fn publishables(
    app: &App,
    look: &mut Look,
    decided: &Decided,
    all: bool,
) -> Result<Vec<Publishable>, Error> {
    if !all {
        return Ok(app.catalog.publishables(look.push.id).await?);
    }
    // All that it offered was taken, so it is known what has been decided.
    let taken = look.claims.iter_mut().filter_map(|claim| {
        let mut offer = claim.offer.take()?;
        offer.publication = *decided.taken.get(&offer.path_id)?;
        if let Some(size) = decided.arrived.get(&claim.object_id) {
            offer.file_size = *size;
        }
        if decided.verified.contains(&claim.object_id) {
            offer.listing_of_nar = true;
            offer.listing.clear();
        }
        Some(offer)
    });
    let mut publishables: Vec<Publishable> = taken.collect();
    let others =
        look.ids(|claim| claim.kind != ClaimKind::External && !decided.taken.contains_key(&claim.path_id));
    publishables.extend(app.catalog.publishables_among(&others).await?);
    Ok(publishables)
}
