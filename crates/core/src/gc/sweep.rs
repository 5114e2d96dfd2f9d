//! Deleting what nothing needs, narinfos before what they point to.

use std::collections::HashMap;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use niks3_base::error::Error;
use niks3_catalog::{Collected, DoomedObject, DoomedPath, ObjectId, PathId};
use niks3_storage::ObjectKey;

use super::graph::{Order, Ripe};
use super::marker::Marker;
use super::run::Run;
use crate::deletion::delete::{self, End, Fence};

/// What one request deletes.
const BATCH: usize = 1000;
/// Requests under way at once.
const IN_FLIGHT: usize = 4;
/// Rows that one transaction forgets.
const ROWS: usize = 5_000;

/// Deletes narinfos, listings and realisations of paths that nothing needs, each after those
/// of all that refer to it.
pub(super) async fn paths(run: &Run<'_>, marker: &mut Marker, ripe: &Ripe) -> Result<(), Error> {
    let ripe = |path: u32| ripe.path(path);
    let mut order = Order::new(&marker.graph, ripe);
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < IN_FLIGHT && !order.ready.is_empty() {
            let batch = order.ready.split_off(order.ready.len().saturating_sub(BATCH));
            let fence = delete::fence();
            let doomed = doom_paths(run, marker, &batch, fence).await?;
            if !doomed.is_empty() {
                running.push(async move {
                    run.before_deletion().await?;
                    let paths: Vec<DoomedPath> = doomed.iter().map(|(_, path)| path.clone()).collect();
                    let ends = delete::paths(run.app, &paths, fence).await?;
                    Ok::<_, Error>((doomed, ends))
                });
            }
        }
        let Some(done) = running.next().await else {
            break;
        };
        let (doomed, ends) = done?;
        bury_paths(run, marker, &doomed, &ends).await?;
        for ((path, _), end) in doomed.iter().zip(ends) {
            if end == End::Gone {
                marker.graph.gone(*path);
                order.gone(&marker.graph, *path, ripe);
            }
        }
    }
    Ok(())
}

async fn doom_paths(
    run: &Run<'_>,
    marker: &mut Marker,
    batch: &[u32],
    fence: i64,
) -> Result<Vec<(u32, DoomedPath)>, Error> {
    let mut tx = run.write().await?;
    marker.catch_up(&mut tx).await?;
    let white: HashMap<PathId, u32> = batch
        .iter()
        .filter(|path| marker.graph.is_white(**path))
        .map(|path| (marker.graph.id(*path), *path))
        .collect();
    let ids: Vec<PathId> = white.keys().copied().collect();
    let doomed = tx.doom_paths(&ids, fence).await?;
    tx.commit().await?;
    Ok(doomed
        .into_iter()
        .filter_map(|path| Some((*white.get(&path.id)?, path)))
        .collect())
}

async fn bury_paths(
    run: &Run<'_>,
    marker: &mut Marker,
    doomed: &[(u32, DoomedPath)],
    ends: &[End],
) -> Result<(), Error> {
    let of = |end: End| -> Vec<(u32, PathId)> {
        doomed
            .iter()
            .zip(ends)
            .filter(|(_, found)| **found == end)
            .map(|((path, row), _)| (*path, row.id))
            .collect()
    };
    let (gone, refused) = (of(End::Gone), of(End::Refused));
    let ids = |paths: &[(u32, PathId)]| -> Vec<PathId> { paths.iter().map(|(_, id)| *id).collect() };
    let mut tx = run.write().await?;
    marker.catch_up(&mut tx).await?;
    tx.bury_paths(&ids(&gone)).await?;
    tx.restore_paths(&ids(&refused)).await?;
    let forgettable: Vec<PathId> = gone
        .iter()
        .filter(|(path, _)| !marker.graph.is_marked(*path))
        .map(|(_, id)| *id)
        .collect();
    tx.forget_paths(&forgettable).await?;
    tx.commit().await?;
    let deleted: u64 = gone.iter().map(|(path, _)| marker.graph.own_objects(*path)).sum();
    run.shared
        .count(|counts| counts.objects_deleted_after_grace_period += deleted);
    Ok(())
}

/// Deletes NARs that no path has any more.
pub(super) async fn objects(run: &Run<'_>, marker: &mut Marker, ripe: &Ripe) -> Result<(), Error> {
    let mut left: Vec<ObjectId> = marker
        .graph
        .objects()
        .enumerate()
        .filter(|(place, (_, item))| !item.marked && item.users == 0 && ripe.object(*place))
        .map(|(_, (id, _))| id)
        .collect();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < IN_FLIGHT && !left.is_empty() {
            let batch = left.split_off(left.len().saturating_sub(BATCH));
            let fence = delete::fence();
            let mut tx = run.write().await?;
            marker.catch_up(&mut tx).await?;
            let white: Vec<ObjectId> = batch
                .into_iter()
                .filter(|id| marker.graph.object(*id).is_some_and(|item| !item.marked))
                .collect();
            let doomed = tx.doom_objects(&white, fence).await?;
            tx.commit().await?;
            if !doomed.is_empty() {
                running.push(async move {
                    run.before_deletion().await?;
                    let ends = delete_objects(run, &doomed, fence).await?;
                    Ok::<_, Error>((doomed, ends))
                });
            }
        }
        let Some(done) = running.next().await else {
            break;
        };
        let (doomed, (ends, arrived)) = done?;
        let of = |end: End| -> Vec<ObjectId> {
            doomed
                .iter()
                .zip(&ends)
                .filter(|(_, found)| **found == end)
                .map(|(object, _)| object.id)
                .collect()
        };
        let (gone, refused) = (of(End::Gone), of(End::Refused));
        let mut tx = run.write().await?;
        tx.bury_objects(&gone, delete::urls_dead_before()).await?;
        tx.restore_objects(&refused).await?;
        tx.commit().await?;
        for id in &gone {
            marker.graph.object_gone(*id);
        }
        run.shared.count(|counts| {
            for (object, end) in doomed.iter().zip(&ends) {
                let unexpected = arrived.get(&object.id).copied();
                if *end != End::Gone || (object.pending && unexpected.is_none()) {
                    continue;
                }
                if object.pending {
                    counts.objects_marked_for_deletion += 1;
                }
                counts.objects_deleted_after_grace_period += 1;
                counts.bytes_freed += unexpected.unwrap_or(object.size.unsigned_abs());
            }
        });
    }
    Ok(())
}

/// Deletes NARs; tells also the bytes of those that had arrived without anybody noticing.
async fn delete_objects(
    run: &Run<'_>,
    doomed: &[DoomedObject],
    until: i64,
) -> Result<(Vec<End>, HashMap<ObjectId, u64>), Error> {
    let pending: Vec<&DoomedObject> = doomed.iter().filter(|object| object.pending).collect();
    let mut arrived = HashMap::new();
    if !pending.is_empty() {
        let keys = pending
            .iter()
            .map(|object| ObjectKey::parse(&object.name))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Error::internal)?;
        let sizes = run.app.bucket.sizes(keys).await?;
        for (object, size) in pending.iter().zip(sizes) {
            if let Some(size) = size {
                arrived.insert(object.id, size);
            }
        }
    }
    let names: Vec<String> = doomed.iter().map(|object| object.name.clone()).collect();
    let keys = names
        .iter()
        .map(|name| ObjectKey::parse(name))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Error::internal)?;
    let mut fence = Fence::new(run.app, Collected::Objects, names, until);
    let ends = delete::objects(run.app, &mut fence, keys.clone()).await?;
    let ends = keys
        .iter()
        .map(|key| ends.get(key).copied().unwrap_or(End::Open))
        .collect();
    Ok((ends, arrived))
}

/// Deletes build logs of derivations of which no path is there any more.
pub(super) async fn logs(run: &Run<'_>, marker: &mut Marker, ripe: &Ripe) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let page = run
            .app
            .catalog
            .log_nodes(&after, i64::try_from(BATCH).unwrap_or(i64::MAX))
            .await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.drv);
        let until = delete::fence();
        let mut tx = run.write().await?;
        marker.catch_up(&mut tx).await?;
        let white: Vec<String> = page
            .iter()
            .filter(|node| {
                marker
                    .graph
                    .log(&node.drv)
                    .is_some_and(|(place, item)| !item.marked && item.users == 0 && ripe.log(place))
            })
            .map(|node| node.drv.clone())
            .collect();
        if white.is_empty() {
            continue;
        }
        let doomed = tx.doom_logs(&white, until).await?;
        tx.commit().await?;
        run.before_deletion().await?;
        let names: Vec<String> = doomed.iter().map(|log| log.name.clone()).collect();
        let keys = names
            .iter()
            .map(|name| name.parse().map(|drv| ObjectKey::log(&drv)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Error::internal)?;
        let mut fence = Fence::new(run.app, Collected::Logs, names, until);
        let ends = delete::objects(run.app, &mut fence, keys.clone()).await?;
        let of = |end: End| -> Vec<&DoomedObject> {
            doomed
                .iter()
                .zip(&keys)
                .filter(|(_, key)| ends.get(*key) == Some(&end))
                .map(|(log, _)| log)
                .collect()
        };
        let names =
            |logs: &[&DoomedObject]| -> Vec<String> { logs.iter().map(|log| log.name.clone()).collect() };
        let (gone, refused) = (of(End::Gone), of(End::Refused));
        let mut tx = run.write().await?;
        tx.end_logs(&names(&gone), true).await?;
        tx.end_logs(&names(&refused), false).await?;
        tx.commit().await?;
        for log in &gone {
            marker.graph.log_gone(&log.name);
        }
        run.shared.count(|counts| {
            counts.objects_deleted_after_grace_period += gone.len() as u64;
            counts.bytes_freed += gone.iter().map(|log| log.size.unsigned_abs()).sum::<u64>();
        });
    }
    Ok(())
}

/// Forgets paths that are not there and that nothing names.
pub(super) async fn rows(run: &Run<'_>, marker: &mut Marker) -> Result<(), Error> {
    let left = marker.graph.leftover();
    for chunk in left.chunks(ROWS) {
        let mut tx = run.write().await?;
        marker.catch_up(&mut tx).await?;
        let unnamed: Vec<PathId> = chunk
            .iter()
            .copied()
            .filter(|id| !marker.graph.names(*id))
            .collect();
        tx.forget_paths(&unnamed).await?;
        tx.commit().await?;
    }
    Ok(())
}
