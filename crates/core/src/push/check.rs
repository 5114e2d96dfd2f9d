//! What has to hold before a push may be committed.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use niks3_base::error::Error;
use niks3_catalog::{ArrivedObject, ClaimKind, CommitClaim, ObjectId, PathId, Publishable, Push, StagedLog};
use niks3_nix::hash::FileHash;
use niks3_nix::store_path::StorePath;
use niks3_storage::{KeyError, ObjectKey};

use super::order::Order;
use super::{arrival, cycle};
use crate::app::App;

/// Most names of missing objects in one answer.
const MAX_MISSING: usize = 10_000;

/// Every root is claimed, and everything referred to is claimed or left out on
/// purpose.
pub(super) async fn closed<'r>(
    app: &App,
    claims: &[CommitClaim],
    roots: impl Iterator<Item = &'r str>,
) -> Result<(), Error> {
    let known: HashSet<PathId> = claims.iter().map(|claim| claim.path_id).collect();
    let names: HashSet<&str> = claims
        .iter()
        .filter(|claim| claim.kind != ClaimKind::External)
        .map(|claim| claim.path.as_str())
        .collect();
    for root in roots {
        if !names.contains(root) {
            return Err(Error::invalid(
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
            return Err(Error::invalid("paths.references", detail));
        }
    }
    Ok(())
}

/// The places of the claims whose paths nobody has committed yet, each after those of all that it
/// refers to.
///
/// # Errors
/// `Invalid` when a path refers to itself through others.
pub(super) async fn order(app: &App, claims: &[CommitClaim]) -> Result<Vec<usize>, Error> {
    let places: Vec<usize> = (0..claims.len())
        .filter(|place| claims[*place].offer.is_some())
        .collect();
    let offers = places.iter().filter_map(|place| claims[*place].offer.as_ref());
    let graph = offers.clone().map(|offer| (offer.path_id, offer.refs.as_slice()));
    if let Some(sequence) = Order::new(graph).sequence() {
        return Ok(sequence.into_iter().map(|place| places[place as usize]).collect());
    }
    let offers: Vec<&Publishable> = offers.collect();
    cycle::among(app, &offers).await?;
    Err(Error::internal("an order of paths was not found"))
}

/// Everything the push has to provide is in the bucket with the right size; the objects of which the
/// database does not know yet that they are there.
pub(super) async fn arrived(
    app: &App,
    push: &Push,
    claims: &[CommitClaim],
) -> Result<Vec<ArrivedObject>, Error> {
    let mut missing: BTreeSet<String> = BTreeSet::new();
    let mut unseen: BTreeMap<&str, (ObjectId, i64, Vec<String>)> = BTreeMap::new();
    let listed = listed_by_server(app, push, claims).await?;
    for claim in claims {
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
        if !push.exempt || claim.replaces || listed.contains(&claim.object_id) {
            // The server makes it when it reads the NAR.
        } else if offer.listing.is_empty() {
            missing.insert(format!("listing {}", claim.path));
        } else {
            unseen
                .entry(offer.listing.as_str())
                .or_insert_with(|| (ObjectId::default(), offer.listing_size, Vec::new()))
                .2
                .push(format!("listing {}", claim.path));
        }
    }
    let logs = app.catalog.staged_logs(push.id).await?;
    for log in logs.iter().filter(|log| !log.in_database) {
        let entry = unseen
            .entry(log.staging.as_str())
            .or_insert_with(|| (ObjectId::default(), log.size, Vec::new()));
        entry.2.push(format!("log {}", log.drv));
    }
    let offers = claims.iter().filter_map(|claim| claim.offer.as_ref());
    let hashes: HashMap<&str, FileHash> = offers
        .filter_map(|offer| Some((offer.nar_key.as_str(), offer.file_hash?)))
        .collect();
    let keys = unseen
        .keys()
        .map(|key| Ok((ObjectKey::parse(key)?, hashes.get(key).copied())))
        .collect::<Result<Vec<_>, KeyError>>()
        .map_err(Error::internal)?;
    let sizes = arrival::sizes(app, &push.token, keys).await?;
    let published = published(app, claims, &logs, &unseen, &sizes).await?;
    let mut arrived = Vec::new();
    for ((key, (id, size, names)), found) in unseen.into_iter().zip(sizes) {
        match found {
            None if published.contains(key) => {}
            // Under the name of its hash is what has that hash, whatever anybody said of its size.
            Some(found) if id != ObjectId::default() => {
                arrived.push(ArrivedObject {
                    id,
                    key: key.to_owned(),
                    size: i64::try_from(found).map_err(Error::internal)?,
                });
            }
            Some(found) if found == size.unsigned_abs() => {}
            _ => missing.extend(names),
        }
    }
    if missing.is_empty() {
        return Ok(arrived);
    }
    arrival::note_arrived(app, push.id, &arrived).await?;
    let detail = match missing.len() {
        1 => "1 object has not arrived".to_owned(),
        count => format!("{count} objects have not arrived"),
    };
    let missing = missing.into_iter().take(MAX_MISSING).collect();
    Err(Error::missing(detail, missing))
}

/// The NARs that an exempt push brings without a listing and that the server has read all the same, since they came in requests
/// to it.
async fn listed_by_server(
    app: &App,
    push: &Push,
    claims: &[CommitClaim],
) -> Result<HashSet<ObjectId>, Error> {
    if !push.exempt {
        return Ok(HashSet::new());
    }
    let unlisted = claims.iter().filter(|claim| {
        let offer = claim.offer.as_ref();
        claim.object_id != ObjectId::default() && offer.is_some_and(|offer| offer.listing.is_empty())
    });
    let ids: HashSet<ObjectId> = unlisted.map(|claim| claim.object_id).collect();
    let verdicts = app.catalog.verdicts(&ids.into_iter().collect::<Vec<_>>()).await?;
    let read = verdicts.into_iter().filter(|(_, verdict)| verdict.is_ok());
    Ok(read.map(|(id, _)| id).collect())
}

/// Of what a push has staged and is not there, the staging keys of what is where readers look already, with its size: a
/// commit that the database has lost has moved it.
async fn published<'s>(
    app: &App,
    claims: &'s [CommitClaim],
    logs: &'s [StagedLog],
    unseen: &BTreeMap<&str, (ObjectId, i64, Vec<String>)>,
    sizes: &[Option<u64>],
) -> Result<HashSet<&'s str>, Error> {
    let missing: HashSet<&str> = unseen
        .iter()
        .zip(sizes)
        .filter(|((_, (id, _, _)), found)| *id == ObjectId::default() && found.is_none())
        .map(|((staged, _), _)| *staged)
        .collect();
    if missing.is_empty() {
        return Ok(HashSet::new());
    }
    let mut moved: Vec<(&str, ObjectKey, i64)> = Vec::new();
    for offer in claims.iter().filter_map(|claim| claim.offer.as_ref()) {
        if missing.contains(offer.listing.as_str()) {
            let key = ObjectKey::listing(&offer.path.hash());
            moved.push((&offer.listing, key, offer.listing_size));
        }
    }
    for log in logs.iter().filter(|log| missing.contains(log.staging.as_str())) {
        let drv: StorePath = log
            .drv
            .parse()
            .map_err(|_| Error::internal("the name of a log"))?;
        moved.push((&log.staging, ObjectKey::log(&drv), log.size));
    }
    let keys = moved.iter().map(|(_, key, _)| key.clone()).collect();
    let sizes = app.bucket.sizes(keys).await?;
    let there = moved
        .iter()
        .zip(sizes)
        .filter(|((_, _, size), found)| *found == Some(size.unsigned_abs()));
    Ok(there.map(|((staged, _, _), _)| *staged).collect())
}
