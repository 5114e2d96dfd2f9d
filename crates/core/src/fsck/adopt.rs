//! Adopting what the bucket has and the database has not: what readers can use is taken into the database, where it goes when
//! the retention says. Nothing is deleted but narinfos whose NAR is gone; what cannot be adopted stays, with the reason.

mod narinfo;
mod rest;

use std::collections::HashSet;
use std::time::Duration;

use niks3_base::error::Error;
use niks3_catalog::{FindingId, HashStatus, TaskKind};
use niks3_nix::narinfo::NarInfo;
use niks3_nix::signature::PublicKey;
use niks3_nix::store_path::{StorePath, StorePathHash};
use niks3_storage::{Attempt, ObjectKey, REQUEST_LIFETIME};

use super::Kind;
use super::check::Check;

/// Findings that are read at once.
const PAGE: i64 = 200;

/// What an adoption has learned of narinfos. Its memory grows with those that cannot be adopted, 100 to 200 bytes each.
#[derive(Default)]
struct State {
    /// Keys whose signatures count like those of this server's own.
    trusted: Vec<PublicKey>,
    /// Narinfos that cannot be adopted.
    refused: HashSet<StorePathHash>,
    /// Those that would be adopted, where nothing is.
    planned: HashSet<StorePathHash>,
    /// Keys of the NARs of refused narinfos.
    nars: HashSet<String>,
    /// Derivers of refused narinfos.
    derivers: HashSet<String>,
    /// A narinfo cannot be read, so nobody knows what belongs to it.
    unreadable: bool,
    /// Paths whose narinfo was removed because its NAR is gone.
    removed: HashSet<StorePath>,
}

impl State {
    /// Notes what belongs to a narinfo that is not adopted.
    fn belongs_to_refused(&mut self, info: &NarInfo) {
        self.nars.insert(info.url.as_str().to_owned());
        self.derivers.extend(info.deriver.iter().map(ToString::to_string));
    }

    /// Why an object that no adopted path has may still belong to one.
    fn may_be_used(&self, known: bool) -> Result<(), Error> {
        if known {
            return Err(refused("it belongs to a narinfo that could not be adopted"));
        }
        if self.unreadable {
            return Err(refused("it may belong to a narinfo that cannot be read"));
        }
        Ok(())
    }
}

pub(super) async fn run(check: &Check<'_>) -> Result<(), Error> {
    let parse = |key: &String| key.parse().map_err(Error::internal);
    let mut state = State {
        trusted: check
            .request
            .trust_keys
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()?,
        ..State::default()
    };
    if check.request.repair {
        collection_has_ended(check).await?;
    }
    for kind in [
        Kind::UnknownNarinfo,
        Kind::UnknownRealisation,
        Kind::UnknownListing,
        Kind::UnknownLog,
        Kind::UnknownDebugInfo,
        Kind::UnknownPin,
        Kind::UnknownNar,
    ] {
        each(check, kind, &mut state).await?;
    }
    Ok(())
}

/// Waits for a garbage collection that had begun before this check: it could delete a closure that is adopted before
/// the pin that keeps it. None begins during a repair.
async fn collection_has_ended(check: &Check<'_>) -> Result<(), Error> {
    const POLL_INTERVAL: Duration = Duration::from_millis(500);
    while let [last, ..] = &check.app.catalog.tasks(TaskKind::Gc, None, 1).await?[..]
        && last.is_running()
    {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

/// Adopts every open finding of a kind.
async fn each(check: &Check<'_>, kind: Kind, state: &mut State) -> Result<(), Error> {
    let mut after = FindingId::default();
    loop {
        let mut tx = check.write().await?;
        let page = tx.open_findings(check.id, kind.as_str(), after, PAGE).await?;
        drop(tx);
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = *last;
        for (_, subject) in page {
            let key = ObjectKey::parse(&subject).map_err(Error::internal)?;
            if kind == Kind::UnknownNarinfo {
                narinfo::with_references(check, state, hash_of(&key)?).await?;
            } else if !check.request.dry_run {
                let done = rest::adopt(check, state, kind, &key).await;
                check.settle(kind, &key, done.map(|()| String::new())).await?;
            }
        }
    }
}

/// What keeps something from being adopted.
fn refused(why: impl Into<String>) -> Error {
    Error::conflict(why.into())
}

/// The hash part in the key of a narinfo or listing.
fn hash_of(key: &ObjectKey) -> Result<StorePathHash, Error> {
    let hash = key.as_str().split('.').next().unwrap_or_default();
    hash.parse()
        .map_err(|_| Error::internal("a key without a hash part"))
}

/// Whether nobody has pushed the path of a hash part.
async fn is_absent(check: &Check<'_>, hash: &StorePathHash) -> Result<bool, Error> {
    let hash = hash.as_str().to_owned();
    let known = check
        .app
        .catalog
        .known_hashes(std::slice::from_ref(&hash))
        .await?;
    Ok(known.get(&hash) != Some(&HashStatus::Recorded))
}

/// Deletes an object; to be called while nobody can begin to write one of that key.
async fn delete(check: &Check<'_>, key: &ObjectKey) -> Result<(), Error> {
    match check.app.bucket.attempt(key, None).await {
        Attempt::Done => Ok(()),
        Attempt::Refused(why) | Attempt::Forbidden(why) => Err(refused(why)),
        Attempt::Unknown(why) => {
            tokio::time::sleep(REQUEST_LIFETIME).await;
            Err(refused(why))
        }
    }
}
