//! Deleting from the bucket what the database has given up, and saying what became of it.
//!
//! A fence stands in the database before each request: the time after which no
//! request sent before can still have an effect. Whoever wants to write the same key
//! again waits for the end of the deletion, or for its fence.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use niks3_base::error::Error;
use niks3_base::push_limits::URL_LIFETIME;
use niks3_catalog::{Collected, DoomedPath, now};
use niks3_nix::store_path::StorePath;
use niks3_storage::{Deletion, ObjectKey, REQUEST_LIFETIME};

use crate::app::App;

/// How often a request without a clear answer is repeated.
const ATTEMPTS: u32 = 3;

/// A fence for requests that begin within the next seconds.
pub fn fence() -> i64 {
    now() + lifetime() + 10
}

/// Unix time before which the last URL for an object was given out, if none can write it any more.
pub fn urls_dead_before() -> i64 {
    now() - i64::try_from(URL_LIFETIME.as_secs()).unwrap_or(i64::MAX) - 60
}

fn lifetime() -> i64 {
    i64::try_from(REQUEST_LIFETIME.as_secs()).unwrap_or(i64::MAX)
}

/// What became of a path, a NAR or a log that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All of it is gone.
    Gone,
    /// The bucket refused; it is there as before.
    Refused,
    /// Something is gone and something is not, or nobody knows: its deletion goes on later.
    Open,
}

/// The fence of rows that are being deleted by this process.
pub struct Fence<'a> {
    app: &'a App,
    what: Collected,
    names: Vec<String>,
    until: i64,
}

impl<'a> Fence<'a> {
    /// Of rows by name (hash parts of paths, keys of NARs, derivations of logs) that were
    /// given this fence.
    pub fn new(app: &'a App, what: Collected, names: Vec<String>, until: i64) -> Self {
        Self {
            app,
            what,
            names,
            until,
        }
    }

    /// Moves the fence where it must be for a request that begins now; false when it could
    /// not be, since somebody else has taken over.
    async fn ready(&mut self) -> Result<bool, Error> {
        if now() + lifetime() <= self.until {
            return Ok(true);
        }
        let until = fence();
        let moved = self
            .app
            .catalog
            .move_fence(self.what, &self.names, self.until, until)
            .await?;
        self.until = until;
        Ok(moved == self.names.len() as u64)
    }
}

/// Deletes objects; asks again where the answer was not clear.
pub async fn objects(
    app: &App,
    fence: &mut Fence<'_>,
    keys: Vec<ObjectKey>,
) -> Result<HashMap<ObjectKey, End>, Error> {
    let mut ends = HashMap::with_capacity(keys.len());
    let mut left = keys;
    for attempt in 1..=ATTEMPTS {
        if left.is_empty() {
            break;
        }
        if !fence.ready().await? {
            break;
        }
        let mut open = Vec::new();
        for (key, deletion) in app.bucket.delete(left).await {
            match deletion {
                Deletion::Gone => {
                    ends.insert(key, End::Gone);
                }
                // What an earlier attempt without an answer does is not known.
                Deletion::Refused(why) if attempt == 1 => {
                    tracing::warn!(key = key.as_str(), why, "the bucket refused to delete an object");
                    ends.insert(key, End::Refused);
                }
                Deletion::Refused(why) | Deletion::Unknown(why) => {
                    tracing::warn!(key = key.as_str(), why, attempt, "an object may not be deleted");
                    open.push(key);
                }
            }
        }
        left = open;
        if !left.is_empty() && attempt < ATTEMPTS {
            tokio::time::sleep(Duration::from_millis(300) * attempt).await;
        }
    }
    ends.extend(left.into_iter().map(|key| (key, End::Open)));
    Ok(ends)
}

/// Deletes what the bucket has of paths: realisations and debug information, then narinfos, then listings, so
/// that nothing is found that points to what is gone.
pub async fn paths(app: &App, doomed: &[DoomedPath], fence: i64) -> Result<Vec<End>, Error> {
    let names = doomed
        .iter()
        .map(|path| hash_part(path).map(|hash| hash.as_str().to_owned()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut fence = Fence::new(app, Collected::Paths, names, fence);
    let mut ends = vec![End::Gone; doomed.len()];
    // Of these something is gone, so they cannot be as before.
    let mut touched = HashSet::new();

    let pointers = keys(doomed, &ends, |path| {
        path.pointers
            .iter()
            .map(|key| ObjectKey::parse(key).map_err(Error::internal))
            .collect()
    })?;
    step(app, &mut fence, pointers, &mut touched, &mut ends).await?;
    let narinfos = keys(doomed, &ends, |path| {
        Ok(vec![ObjectKey::narinfo(&hash_part(path)?)])
    })?;
    step(app, &mut fence, narinfos, &mut touched, &mut ends).await?;
    let listings = keys(doomed, &ends, |path| {
        Ok(vec![ObjectKey::listing(&hash_part(path)?)])
    })?;
    step(app, &mut fence, listings, &mut touched, &mut ends).await?;
    Ok(ends)
}

fn hash_part(path: &DoomedPath) -> Result<niks3_nix::store_path::StorePathHash, Error> {
    let path: StorePath = path
        .name
        .parse()
        .map_err(|_| Error::internal(format!("{:?} is no store path", path.name)))?;
    Ok(path.hash())
}

/// The keys of one kind of those paths that are gone so far, each with the path's position.
fn keys(
    doomed: &[DoomedPath],
    ends: &[End],
    of: impl Fn(&DoomedPath) -> Result<Vec<ObjectKey>, Error>,
) -> Result<Vec<(ObjectKey, usize)>, Error> {
    let mut keys = Vec::with_capacity(doomed.len());
    for (position, path) in doomed.iter().enumerate() {
        if ends[position] == End::Gone {
            keys.extend(of(path)?.into_iter().map(|key| (key, position)));
        }
    }
    Ok(keys)
}

async fn step(
    app: &App,
    fence: &mut Fence<'_>,
    keys: Vec<(ObjectKey, usize)>,
    touched: &mut HashSet<usize>,
    ends: &mut [End],
) -> Result<(), Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let found = objects(app, fence, keys.iter().map(|(key, _)| key.clone()).collect()).await?;
    let end = |key: &ObjectKey| found.get(key).copied().unwrap_or(End::Open);
    touched.extend(
        keys.iter()
            .filter(|(key, _)| end(key) == End::Gone)
            .map(|(_, position)| *position),
    );
    for (key, position) in keys {
        match end(&key) {
            End::Gone => {}
            End::Refused if ends[position] != End::Open && !touched.contains(&position) => {
                ends[position] = End::Refused;
            }
            _ => ends[position] = End::Open,
        }
    }
    Ok(())
}
