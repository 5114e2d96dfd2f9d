//! Closures that somebody deletes or restores by hand.

use std::sync::Arc;

use niks3_base::error::Error;
use niks3_catalog::{PathId, Releasing};
use niks3_nix::store_path::StorePath;
use niks3_retention::Policy;

use crate::app::App;
use crate::gc;
use crate::push;
use crate::retention::reference_graph::ReferenceGraph;

/// Closures that one request deletes.
const MAX_CLOSURES: usize = 1_000;
/// Entries of a list in an answer.
const MAX_LISTED: usize = 100;
/// Closures that one transaction restores.
const PAGE: i64 = 2_000;
/// Whose push it is that writes narinfos again.
const IDENTITY: &str = "restore";

/// How a closure is to be deleted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// At once, with what nothing else needs.
    pub now: bool,
    /// Of a path that is no root, the closures that contain it.
    pub contains: bool,
}

/// A root that keeps paths of a deleted closure.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// Base name of the root.
    pub root: String,
    /// So many of its paths.
    pub paths: u64,
}

/// What has become of a request to delete.
#[derive(Debug, Clone, Default)]
pub struct Deleted {
    /// Base names of the roots of the closures that were released.
    pub released: Vec<String>,
    /// Where the path is no root and nothing was released: base names of the roots of the closures that contain it.
    pub contained_in: Vec<String>,
    /// That list has more entries.
    pub more: bool,
    /// Unix time from which they are deleted.
    pub delete_from: Option<i64>,
    /// The garbage collection that deletes them at once.
    pub gc: Option<String>,
    /// Paths that stay since others need them.
    pub kept_by: Vec<Keeper>,
}

/// Releases the closure of a path, or those that contain it.
///
/// # Errors
/// `NotFound` if the cache has no such path; `Conflict` if a pin names it, or a push in progress needs it.
pub async fn delete(
    app: &Arc<App>,
    identity: &str,
    path: &StorePath,
    options: Options,
) -> Result<Deleted, Error> {
    let walk = app.retention.walk.lock().await;
    let Some(id) = app.catalog.cached_path(path).await? else {
        return Err(Error::not_found(format!("the cache does not have {path}")));
    };
    let graph = ReferenceGraph::load(&app.catalog).await?;
    let mut roots = vec![path.clone()];
    if app.catalog.closure(path).await?.is_none() {
        let found = app.catalog.closures_of_paths(&graph.holders(id)).await?;
        let mut names: Vec<String> = found.into_iter().map(|(_, root)| root).collect();
        if names.is_empty() {
            return Err(Error::conflict(format!(
                "no closure holds {path}: a pin keeps it, or the next garbage collection deletes it"
            )));
        }
        if !options.contains || names.len() > MAX_CLOSURES {
            let more = names.len() > MAX_LISTED;
            names.truncate(MAX_LISTED);
            return Ok(Deleted {
                contained_in: names,
                more,
                ..Deleted::default()
            });
        }
        let parsed = names
            .iter()
            .map(|name| name.parse::<StorePath>().map_err(Error::internal));
        roots = parsed.collect::<Result<_, _>>()?;
    }
    let released = release(app, identity, &roots).await?;
    let kept_by = keepers(app, &graph, &released).await?;
    drop(walk);
    let undo = app
        .retention
        .policy
        .as_ref()
        .map_or_else(|| Policy::default().undo, |file| file.policy.undo);
    let names: Vec<String> = roots.iter().map(ToString::to_string).collect();
    let mut deleted = Deleted {
        released: names.clone(),
        kept_by,
        ..Deleted::default()
    };
    if options.now {
        let task = gc::delete_now(app, identity, names).await?;
        deleted.gc = Some(task.token);
    } else {
        deleted.delete_from = Some(niks3_catalog::now().saturating_add(undo));
    }
    Ok(deleted)
}

/// Releases all of some closures, or none.
async fn release(app: &App, identity: &str, roots: &[StorePath]) -> Result<Vec<PathId>, Error> {
    let mut released = Vec::new();
    let mut tx = app.catalog.write().await?;
    for root in roots {
        match tx.release_by_hand(root).await? {
            Releasing::Released(_, path_id) => released.push(path_id),
            Releasing::NoClosure => {}
            Releasing::Pinned(pins) => {
                return Err(Error::conflict(format!(
                    "nothing was deleted: {root} is pinned as {}; delete the pin first",
                    pins.join(", ")
                )));
            }
            Releasing::InPush(push, pusher) => {
                return Err(Error::conflict(format!(
                    "nothing was deleted: the push {push} of {pusher} is in progress and needs {root}; wait for its end"
                )));
            }
        }
    }
    tx.commit().await?;
    for root in roots {
        tracing::info!(identity, root = root.as_str(), "closure deleted by hand");
    }
    Ok(released)
}

/// The roots that keep paths of some closures, those that keep most first.
async fn keepers(app: &App, graph: &ReferenceGraph, released: &[PathId]) -> Result<Vec<Keeper>, Error> {
    let mut tx = app.catalog.look().await?;
    let mut others = tx.root_ids().await?;
    drop(tx);
    others.retain(|(id, _)| !released.contains(id));
    let others: Vec<PathId> = others.into_iter().map(|(id, _)| id).collect();
    let mut found = graph.needed_by(released, &others);
    found.truncate(MAX_LISTED);
    let ids: Vec<PathId> = found.iter().map(|(id, _)| *id).collect();
    let names = app.catalog.names_of_paths(&ids).await?;
    let keepers = found.into_iter().filter_map(|(id, paths)| {
        let (_, root) = names.iter().find(|(other, _)| *other == id)?;
        let root = root.clone();
        Some(Keeper { root, paths })
    });
    Ok(keepers.collect())
}

/// Restores the closure of a path, as a push without a run would.
///
/// # Errors
/// `NotFound` if no closure has this root.
pub async fn restore_closure(app: &Arc<App>, identity: &str, path: &StorePath) -> Result<(), Error> {
    let mut tx = app.catalog.write().await?;
    let restored = tx.restore_closure(path).await?;
    tx.commit().await?;
    if !restored {
        return Err(Error::not_found(format!(
            "the cache has no closure with the root {path}: if it was deleted, push it again"
        )));
    }
    tracing::info!(identity, root = path.as_str(), "closure restored");
    publish_again(app, std::slice::from_ref(path)).await
}

/// Writes the narinfo of a path that a commit has not published.
async fn publish_again(app: &Arc<App>, paths: &[StorePath]) -> Result<(), Error> {
    let mut tx = app.catalog.look().await?;
    let used = tx.used_paths(paths).await?;
    drop(tx);
    if used.publishing.is_empty() {
        return Ok(());
    }
    push::republish(app, IDENTITY, &used.publishing).await.map(drop)
}

/// Restores all closures that a garbage collection has released and that are still there; how many.
///
/// # Errors
/// When the database does not answer.
pub async fn restore_all(app: &Arc<App>, identity: &str, gc: &str) -> Result<u64, Error> {
    let mut restored = 0;
    loop {
        let mut tx = app.catalog.write().await?;
        let roots = tx.restore_released_by(gc, PAGE).await?;
        tx.commit().await?;
        if roots.is_empty() {
            break;
        }
        restored += roots.len() as u64;
    }
    tracing::info!(identity, gc, restored, "closures restored");
    Ok(restored)
}
