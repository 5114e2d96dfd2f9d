//! Writing into the bucket what readers see, what is referred to before what refers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use niks3_nix::hash::FileHash;
use niks3_nix::narinfo::{Compression, NarInfo, NarUrl};
use niks3_nix::store_path::{StoreDir, StorePath};

use crate::app::App;
use crate::catalog::{Publishable, Realised};
use crate::http::problem::Problem;
use crate::signing::Signer;
use crate::storage::{ObjectKey, Published, Staged, StorageError};

/// How many of its references each node still waits for, and who waits for it.
struct Order {
    waiting: BTreeMap<i64, usize>,
    waiters: HashMap<i64, Vec<i64>>,
    ready: Vec<i64>,
}

impl Order {
    fn new(graph: &BTreeMap<i64, &[i64]>) -> Self {
        let mut order = Self {
            waiting: BTreeMap::new(),
            waiters: HashMap::new(),
            ready: Vec::new(),
        };
        for (&node, refs) in graph {
            let inside: BTreeSet<i64> = refs
                .iter()
                .copied()
                .filter(|id| *id != node && graph.contains_key(id))
                .collect();
            if inside.is_empty() {
                order.ready.push(node);
            } else {
                order.waiting.insert(node, inside.len());
            }
            for id in inside {
                order.waiters.entry(id).or_default().push(node);
            }
        }
        order
    }

    /// Whoever waited for nothing but this node is ready.
    fn done(&mut self, node: i64) {
        for waiter in self.waiters.remove(&node).unwrap_or_default() {
            if let Some(count) = self.waiting.get_mut(&waiter) {
                *count -= 1;
                if *count == 0 {
                    self.waiting.remove(&waiter);
                    self.ready.push(waiter);
                }
            }
        }
    }
}

/// A node that refers to itself through others, if there is one.
#[must_use]
pub(super) fn find_cycle(graph: &BTreeMap<i64, &[i64]>) -> Option<i64> {
    let mut order = Order::new(graph);
    while let Some(node) = order.ready.pop() {
        order.done(node);
    }
    order.waiting.keys().next().copied()
}

/// Writes the narinfo of every path that the push relies on and that may lack one,
/// each after those of its references.
pub(super) async fn narinfos(app: &App, push_id: i64) -> Result<(), Problem> {
    let mut paths: BTreeMap<i64, Publishable> = BTreeMap::new();
    let mut found = app.catalog.publishables(push_id).await?;
    // A path that somebody else committed may refer to others that this push does not claim.
    while !found.is_empty() {
        let mut next: BTreeSet<i64> = found.iter().flat_map(|path| path.refs.iter().copied()).collect();
        paths.extend(found.into_iter().map(|path| (path.path_id, path)));
        next.retain(|id| !paths.contains_key(id));
        found = app
            .catalog
            .publishables_among(&next.into_iter().collect::<Vec<_>>())
            .await?;
    }
    let strangers: BTreeSet<i64> = paths
        .values()
        .flat_map(|path| path.refs.iter().copied())
        .filter(|id| !paths.contains_key(id))
        .collect();
    let strangers = app
        .catalog
        .names(&strangers.into_iter().collect::<Vec<_>>())
        .await?;
    let paper = Arc::new(Paper {
        signer: Arc::clone(&app.signer),
        store_dir: app.store_dir.clone(),
        paths,
        strangers,
    });

    let graph: BTreeMap<i64, &[i64]> = paper
        .paths
        .iter()
        .map(|(id, path)| (*id, path.refs.as_slice()))
        .collect();
    let mut order = Order::new(&graph);
    let (batch, concurrency) = app.bucket.publishing();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < concurrency && !order.ready.is_empty() {
            let ids = order.ready.split_off(order.ready.len().saturating_sub(batch));
            let paper = Arc::clone(&paper);
            running.push(async move {
                // Signing takes as long as writing, so it is not left to one thread.
                let (ids, objects) = tokio::task::spawn_blocking(move || {
                    let objects: Result<Vec<_>, _> = ids.iter().map(|id| paper.published(*id)).collect();
                    (ids, objects)
                })
                .await
                .map_err(Problem::internal)?;
                app.bucket.publish(objects?).await?;
                Ok::<_, Problem>(ids)
            });
        }
        match running.next().await {
            Some(done) => done?.into_iter().for_each(|id| order.done(id)),
            None => break,
        }
    }
    if !order.waiting.is_empty() {
        return Err(Problem::internal(
            "committed paths refer to each other in a circle",
        ));
    }
    app.bucket.sync().await?;
    Ok(())
}

/// What narinfos are written from.
struct Paper {
    signer: Arc<Signer>,
    store_dir: StoreDir,
    paths: BTreeMap<i64, Publishable>,
    /// Names of what the paths refer to besides each other.
    strangers: HashMap<i64, StorePath>,
}

impl Paper {
    /// The narinfo of a path, and the listing that has to be there before it.
    fn published(&self, id: i64) -> Result<Published, Problem> {
        let path = self
            .paths
            .get(&id)
            .ok_or_else(|| Problem::internal(format!("path {id} is not published")))?;
        let staged = if path.listing.is_empty() {
            None
        } else {
            Some(Staged {
                from: ObjectKey::parse(&path.listing).map_err(Problem::internal)?,
                to: ObjectKey::listing(&path.path.hash()),
                size: path.listing_size.unsigned_abs(),
            })
        };
        let references: BTreeSet<StorePath> = path
            .refs
            .iter()
            .map(|id| {
                let path = self.paths.get(id).map(|path| &path.path);
                path.or_else(|| self.strangers.get(id))
                    .cloned()
                    .ok_or_else(|| Problem::internal(format!("path {id} has no name")))
            })
            .collect::<Result<_, _>>()?;
        let text = text(&self.signer, &self.store_dir, path, references).map_err(Problem::internal)?;
        Ok(Published {
            staged,
            key: ObjectKey::narinfo(&path.path.hash()),
            body: Bytes::from(text),
        })
    }
}

/// Moves what a client staged to where readers look; done already is done.
async fn move_staged(app: &App, staged: &ObjectKey, to: &ObjectKey, size: i64) -> Result<(), Problem> {
    match app.bucket.promote(staged, to, size.unsigned_abs()).await {
        Err(StorageError::NotFound) => Err(Problem::internal(format!(
            "{} is gone before it was published",
            staged.as_str()
        ))),
        result => Ok(result?),
    }
}

/// Publishes the build logs of a push that the cache lacks.
pub(super) async fn logs(app: &App, push_id: i64) -> Result<(), Problem> {
    let staged = app.catalog.staged_logs(push_id).await?;
    let drvs: Vec<String> = staged.iter().map(|log| log.drv.clone()).collect();
    let known = app.catalog.known_logs(&drvs).await?;
    for log in staged.iter().filter(|log| !known.contains(&log.drv)) {
        let drv: StorePath = log
            .drv
            .parse()
            .map_err(|_| Problem::internal("the name of a log"))?;
        let key = ObjectKey::parse(&log.staging).map_err(Problem::internal)?;
        move_staged(app, &key, &ObjectKey::log(&drv), log.size).await?;
    }
    Ok(())
}

/// Publishes the realisations of a push. The first writer's stays, so that is the
/// one that is written.
pub(super) async fn realisations(app: &App, push_id: i64) -> Result<(), Problem> {
    let staged = app.catalog.staged_realisations(push_id).await?;
    if staged.is_empty() {
        return Ok(());
    }
    let mut tx = app.catalog.write().await?;
    for realised in &staged {
        tx.add_realisation(realised).await?;
    }
    tx.commit().await?;
    for Realised { key, .. } in staged {
        let body = app
            .catalog
            .realisation(&key)
            .await?
            .ok_or_else(|| Problem::internal(format!("{key} is gone")))?;
        let text = super::realisation::signed(&app.signer, &key, &body).map_err(Problem::internal)?;
        let key = ObjectKey::parse(&key).map_err(Problem::internal)?;
        app.bucket.put(&key, Bytes::from(text)).await?;
    }
    Ok(())
}

/// The narinfo of a path, with the signatures it carried and ours.
fn text(
    signer: &Signer,
    store_dir: &StoreDir,
    path: &Publishable,
    references: BTreeSet<StorePath>,
) -> Result<String, String> {
    let file_hash = path
        .nar_key
        .strip_prefix("nar/")
        .and_then(|name| name.strip_suffix(".nar.zst"))
        .ok_or_else(|| format!("{} is not the key of a NAR", path.nar_key))?;
    let file_hash = FileHash::from_base32(file_hash).map_err(|error| error.to_string())?;
    let mut info = NarInfo {
        store_path: path.path.clone(),
        url: NarUrl::of_file(&file_hash, &Compression::ZSTD),
        compression: Compression::ZSTD,
        file_hash: Some(file_hash),
        file_size: Some(path.file_size.unsigned_abs()),
        nar_hash: path.nar_hash,
        nar_size: path.nar_size.unsigned_abs(),
        references,
        deriver: path.deriver.clone(),
        sigs: path.sigs.iter().filter_map(|sig| sig.parse().ok()).collect(),
        ca: path.ca.as_deref().and_then(|ca| ca.parse().ok()),
    };
    signer.sign_narinfo(store_dir, &mut info);
    Ok(info.to_string(store_dir))
}
