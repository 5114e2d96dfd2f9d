//! Writing into the bucket what readers see, what is referred to before what refers.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};
use niks3_base::error::Error;
use niks3_base::realisation;
use niks3_base::signing::Signer;
use niks3_catalog::{PathId, Publishable, PushId, Realised};
use niks3_nix::store_path::{StoreDir, StorePath};
use niks3_storage::{
    Attempt, ObjectKey, Prepared, Published, Publishing, REQUEST_LIFETIME, Staged, StorageError,
};

use super::narinfo::{references, unsigned};
use super::narinfo_signatures::NarinfoSignatures;
use super::order::Order;
use super::{debug_info, listing};
use crate::app::App;
use crate::deletion::await_deletion;
use crate::listings::Listings as Places;

/// Realisations that one transaction offers, each with a few statements of its own.
const REALISATIONS: usize = 200;
/// Realisations that are written at once.
const CONCURRENCY: usize = 64;
/// How often realisations are looked at that are being deleted.
const ATTEMPTS: usize = 5;

/// Writes the narinfo of every path in `found`, and of those they refer to that may lack
/// one, each after those of its references. Returns their ids, and the publications by number that were
/// written. What is `signed` already is not signed again.
pub(super) async fn narinfos(
    app: &App,
    mut found: Vec<Publishable>,
    signed: NarinfoSignatures,
) -> Result<Vec<(PathId, i64)>, Error> {
    let mut paths: Vec<Publishable> = Vec::new();
    let mut names: HashMap<PathId, StorePath> = HashMap::new();
    let mut others: HashSet<PathId> = HashSet::new();
    // A path that somebody else committed may refer to others that this push does not claim.
    while !found.is_empty() {
        let seen = paths.len();
        names.extend(found.iter().map(|path| (path.path_id, path.path.clone())));
        paths.append(&mut found);
        let references = paths[seen..].iter().flat_map(|path| &path.refs);
        let next: Vec<PathId> = references
            .copied()
            .filter(|id| !names.contains_key(id) && others.insert(*id))
            .collect();
        found = app.catalog.publishables_among(&next).await?;
    }
    others.retain(|id| !names.contains_key(id));
    names.extend(app.catalog.names(&others.into_iter().collect::<Vec<_>>()).await?);
    let kept = kept_listings(app, &paths).await?;
    let order = Order::new(paths.iter().map(|path| (path.path_id, path.refs.as_slice())));
    let paper = Arc::new(NarinfoContext {
        signer: Arc::clone(&app.signer),
        store_dir: app.store_dir.clone(),
        paths,
        names,
        signed,
        listings: app.listings,
        kept,
    });
    match app.bucket.publishing() {
        Publishing::Together(count) => together(app, &paper, order, count).await?,
        Publishing::InTurn { batch, ahead } => in_turn(app, &paper, order, batch, ahead).await?,
    }
    let staged = paper.paths.iter().filter(|path| !path.listing.is_empty());
    let staged: Result<Vec<ObjectKey>, _> = staged.map(|path| ObjectKey::parse(&path.listing)).collect();
    app.bucket
        .delete_promoted(&staged.map_err(Error::internal)?)
        .await;
    let written = paper.paths.iter();
    Ok(written.map(|path| (path.path_id, path.publication)).collect())
}

/// Keys of the small NARs among those of some paths whose listings the database has and keeps.
async fn kept_listings(app: &App, paths: &[Publishable]) -> Result<HashSet<String>, Error> {
    let small = paths
        .iter()
        .filter(|path| path.listing_of_nar && app.listings.in_database(path.nar_size));
    let keys: Vec<String> = small.map(|path| path.nar_key.clone()).collect();
    Ok(app.catalog.listed_nars(&keys).await?)
}

/// Publishes at once whatever need not wait for each other.
async fn together(
    app: &App,
    paper: &Arc<NarinfoContext>,
    mut order: Order,
    count: usize,
) -> Result<(), Error> {
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < count
            && let Some(place) = order.ready.pop()
        {
            running.push(async move {
                let prepared = prepare(app, paper, vec![place]).await?;
                show(app, paper, prepared).await?;
                Ok::<_, Error>(place)
            });
        }
        match running.next().await {
            Some(done) => order.done(done?),
            None if order.open_cycle() => warn_of_cycle(),
            None => return Ok(()),
        }
    }
}

/// Publishes one after the other, while others are prepared.
async fn in_turn(
    app: &App,
    paper: &Arc<NarinfoContext>,
    mut order: Order,
    batch: usize,
    ahead: usize,
) -> Result<(), Error> {
    let mut sequence = Vec::with_capacity(paper.paths.len());
    loop {
        while let Some(place) = order.ready.pop() {
            order.done(place);
            sequence.push(place);
        }
        if !order.open_cycle() {
            break;
        }
        warn_of_cycle();
    }
    let (sender, mut receiver) = tokio::sync::mpsc::channel(ahead);
    let preparing = async move {
        let batches: Vec<_> = sequence
            .chunks(batch)
            .map(|places| prepare(app, paper, places.to_vec()))
            .collect();
        let mut prepared = futures::stream::iter(batches).buffered(ahead);
        while let Some(batch) = prepared.try_next().await? {
            if sender.send(batch).await.is_err() {
                break;
            }
        }
        Ok::<_, Error>(())
    };
    let publishing = async {
        while let Some(batch) = receiver.recv().await {
            show(app, paper, batch).await?;
        }
        Ok(())
    };
    futures::try_join!(preparing, publishing)?;
    Ok(())
}

/// No push closes a cycle any more; one that is in the database keeps nobody from publishing.
fn warn_of_cycle() {
    tracing::warn!(
        "committed paths refer to each other in a cycle: one is published before what it refers to"
    );
}

/// Paths whose narinfos are about to be seen.
struct Batch {
    places: Vec<u32>,
    prepared: Prepared,
    listings: Arc<Listings>,
}

/// Listings that the server has made, by the key of the NAR.
type Listings = HashMap<String, Bytes>;

/// The listings that the server has made of the NARs of some paths and that have not been published.
async fn listings(app: &App, paper: &NarinfoContext, places: &[u32]) -> Result<Listings, Error> {
    let keys = places
        .iter()
        .map(|place| &paper.paths[*place as usize])
        .filter(|path| path.listing_of_nar && (app.index_debug_info || paper.is_in_bucket(path)))
        .map(|path| path.nar_key.clone());
    let keys: Vec<String> = keys.collect();
    if keys.is_empty() {
        return Ok(Listings::new());
    }
    let packed = app.catalog.waiting_listings(&keys).await?;
    tokio::task::spawn_blocking(move || {
        let unpack =
            |(key, packed): (String, Vec<u8>)| Ok((key, zstd::decode_all(packed.as_slice())?.into()));
        packed.into_iter().map(unpack).collect::<std::io::Result<_>>()
    })
    .await
    .map_err(Error::internal)?
    .map_err(Error::internal)
}

async fn prepare(app: &App, paper: &Arc<NarinfoContext>, places: Vec<u32>) -> Result<Batch, Error> {
    let paper = Arc::clone(paper);
    let listings = Arc::new(listings(app, &paper, &places).await?);
    let made = Arc::clone(&listings);
    // Signing takes as long as writing, so it is not left to one thread.
    let (places, objects) = tokio::task::spawn_blocking(move || {
        let published = |place: &u32| paper.published(&paper.paths[*place as usize], &made);
        let objects = places.iter().map(published).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, Error>((places, objects))
    })
    .await
    .map_err(Error::internal)??;
    let prepared = app.bucket.prepare(objects).await?;
    Ok(Batch {
        places,
        prepared,
        listings,
    })
}

async fn show(app: &App, paper: &NarinfoContext, batch: Batch) -> Result<(), Error> {
    app.ownership.current().await?;
    let paths = || batch.places.iter().map(|place| &paper.paths[*place as usize]);
    let unmade = |path: &&Publishable| path.listing_of_nar && !batch.listings.contains_key(&path.nar_key);
    let lacking = |path: &&Publishable| path.listing_lost || (unmade(path) && !path.listing_replaced);
    for path in paths().filter(|path| paper.is_in_bucket(path) && lacking(path)) {
        listing::mend(app, path).await?;
    }
    // A narinfo never stands beside the listing of other contents.
    for path in paths().filter(|path| path.listing_replaced) {
        delete_listing(app, path).await?;
    }
    let Batch {
        places,
        prepared,
        listings,
    } = batch;
    let paths = || places.iter().map(|place| &paper.paths[*place as usize]);
    publish_batch(app, paper, &places, prepared, &listings).await?;
    for path in paths().filter(|path| path.listing_replaced && paper.is_in_bucket(path)) {
        match listings.get(&path.nar_key) {
            Some(json) => {
                app.bucket
                    .put(&ObjectKey::listing(&path.path.hash()), json.clone())
                    .await?
            }
            None => listing::mend(app, path).await?,
        }
    }
    if app.index_debug_info {
        for path in paths() {
            let made = listings.get(&path.nar_key).filter(|_| path.listing_of_nar);
            debug_info::publish(app, path, made.cloned()).await?;
        }
    }
    Ok(())
}

/// Deletes the listing of contents that are being replaced.
async fn delete_listing(app: &App, path: &Publishable) -> Result<(), Error> {
    let key = ObjectKey::listing(&path.path.hash());
    for _ in 0..ATTEMPTS {
        match app.bucket.attempt(&key, None).await {
            Attempt::Done => return Ok(()),
            Attempt::Refused(why) => return Err(Error::unavailable(why, 5)),
            Attempt::Forbidden(why) => return Err(Error::store_refuses(why)),
            // It may still be on its way, and must not delete what is written next.
            Attempt::Unknown(why) => {
                tracing::warn!(
                    key = key.as_str(),
                    why,
                    "a request to delete a listing was not answered"
                );
                tokio::time::sleep(REQUEST_LIFETIME).await;
            }
        }
    }
    Err(Error::unavailable(
        "the object store does not delete a listing",
        5,
    ))
}

async fn publish_batch(
    app: &App,
    paper: &NarinfoContext,
    places: &[u32],
    prepared: Prepared,
    listings: &Listings,
) -> Result<(), Error> {
    let paths = || places.iter().map(|place| &paper.paths[*place as usize]);
    match app.bucket.publish(prepared).await {
        Err(StorageError::NotFound) => {}
        result => return Ok(result?),
    }
    // A listing is neither where it was staged nor where it belongs.
    for path in paths() {
        let Published {
            staged,
            first,
            key,
            body,
        } = paper.published(path, listings)?;
        if let Some(Staged { from, to, size }) = staged {
            match app.bucket.promote(&from, &to, size).await {
                Err(StorageError::NotFound) => listing::mend(app, path).await?,
                result => result?,
            }
        }
        if let Some((key, body)) = first {
            app.bucket.put(&key, body).await?;
        }
        app.bucket.put(&key, body).await?;
    }
    Ok(())
}

/// What narinfos are written from.
struct NarinfoContext {
    signer: Arc<Signer>,
    store_dir: StoreDir,
    paths: Vec<Publishable>,
    /// Names of the paths and of all they refer to, by id.
    names: HashMap<PathId, StorePath>,
    signed: NarinfoSignatures,
    listings: Places,
    /// Keys of NARs whose listings stay in the database.
    kept: HashSet<String>,
}

impl NarinfoContext {
    /// Whether the listing of a path is to be an object of the bucket: it may be small, and not in the database.
    fn is_in_bucket(&self, path: &Publishable) -> bool {
        let size = path.nar_size;
        self.listings.in_bucket(size)
            || (self.listings.in_database(size) && !self.kept.contains(&path.nar_key))
    }

    /// The narinfo of a path, and the listing that has to be there before it.
    fn published(&self, path: &Publishable, listings: &Listings) -> Result<Published, Error> {
        let staged = if path.listing.is_empty() || self.listings == Places::None {
            None
        } else {
            Some(Staged {
                from: ObjectKey::parse(&path.listing).map_err(Error::internal)?,
                to: ObjectKey::listing(&path.path.hash()),
                size: path.listing_size.unsigned_abs(),
            })
        };
        let references = references(path, |id| self.names.get(&id))?;
        let mut info = unsigned(path, references).map_err(Error::internal)?;
        match self.signed.of(path.path_id) {
            Some(made) => self.signer.add_signatures(&mut info, made.iter().cloned()),
            None => self.signer.sign_narinfo(&path.keys, &self.store_dir, &mut info),
        }
        let listing = listings
            .get(&path.nar_key)
            .filter(|_| path.listing_of_nar && !path.listing_replaced && self.is_in_bucket(path));
        Ok(Published {
            staged,
            first: listing.map(|json| (ObjectKey::listing(&path.path.hash()), json.clone())),
            key: ObjectKey::narinfo(&path.path.hash()),
            body: Bytes::from(info.to_string(&self.store_dir)),
        })
    }
}

/// Moves what a client staged to where readers look; done already is done.
pub(super) async fn move_staged(
    app: &App,
    staged: &ObjectKey,
    to: &ObjectKey,
    size: i64,
) -> Result<(), Error> {
    match app.bucket.promote(staged, to, size.unsigned_abs()).await {
        Err(StorageError::NotFound) => Err(Error::internal(format!(
            "{} is gone before it was published",
            staged.as_str()
        ))),
        result => Ok(result?),
    }
}

/// Publishes the realisations of a push. The first writer's stays, so that is the
/// one that is written. Returns what was written.
pub(super) async fn realisations(app: &App, push_id: PushId) -> Result<Vec<Realised>, Error> {
    let staged = app.catalog.staged_realisations(push_id).await?;
    if staged.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<String> = staged.iter().map(|realised| realised.key.clone()).collect();
    for _ in 0..ATTEMPTS {
        for slice in staged.chunks(REALISATIONS) {
            let mut tx = app.catalog.write().await?;
            for realised in slice {
                tx.add_realisation(realised).await?;
            }
            tx.commit().await?;
        }
        if let Some(in_force) = app.catalog.realisations_in_force(&keys).await?
            && in_force.len() == keys.len()
        {
            write_realisations(app, &in_force).await?;
            return Ok(in_force);
        }
        // One that is being deleted with its path is not written under the request that deletes it.
        await_deletion::push(app, push_id).await?;
    }
    Err(Error::unavailable(
        "realisations that the push brings are deleted again and again",
        1,
    ))
}

/// Writes realisations into the bucket, signed.
///
/// # Errors
/// When the object store does not take them.
pub(crate) async fn write_realisations(app: &App, realisations: &[Realised]) -> Result<(), Error> {
    let mut signed = Vec::with_capacity(realisations.len());
    for Realised { key, body, keys, .. } in realisations {
        let text = realisation::signed(&app.signer, keys, key, body).map_err(Error::internal)?;
        signed.push((ObjectKey::parse(key).map_err(Error::internal)?, Bytes::from(text)));
    }
    let writing: Vec<_> = signed
        .into_iter()
        .map(|(key, text)| write_realisation(app, key, text))
        .collect();
    futures::stream::iter(writing)
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

async fn write_realisation(app: &App, key: ObjectKey, text: Bytes) -> Result<(), Error> {
    Ok(app.bucket.put(&key, text).await?)
}
