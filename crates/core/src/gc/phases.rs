//! One collection, phase by phase. Each can end anywhere: the next one goes on.

use std::sync::Arc;

use niks3_base::error::Error;
use niks3_base::metrics::metrics;
use niks3_catalog::{CollectedId, ObjectId, PathId, ReplacementId, TaskId, now};
use niks3_storage::REQUEST_LIFETIME;

use super::graph::{Item, Ripe};
use super::marker::Marker;
use super::progress::{Phase, Shared};
use super::run::Run;
use super::{
    Request, by_policy, deletion_by_hand, departures, lost_commits, realisations, sweep, uploads, versions,
};
use crate::app::App;
use crate::pins;
use crate::push;

/// Rows that one transaction changes.
const CHUNK: usize = 5_000;
/// Rows that are read or forgotten at once.
const PAGE: i64 = 5_000;
/// Whose push it is that writes narinfos again.
const IDENTITY: &str = "gc";
/// Seconds for which a committed push is remembered, so that its commit can be repeated.
const REMEMBERED: i64 = 24 * 3600;

/// Runs a collection to its end.
///
/// # Errors
/// When the database or the object store do not let it go on.
pub(super) async fn run(app: &Arc<App>, id: TaskId, request: &Request, shared: &Shared) -> Result<(), Error> {
    let run = Run {
        app,
        id,
        request,
        shared,
        now: now(),
    };
    run.before_deletion().await?;
    if !request.only.is_empty() {
        return deletion_by_hand::run(&run).await;
    }
    if !request.dry_run {
        shared.phase(Phase::Pushes);
        end_pushes(&run).await?;
        end_replacements(&run).await?;
        pins::settle_all(app).await?;
    }
    shared.phase(Phase::Closures);
    let policy = departures::policy(app, request)?;
    let mut marker = None;
    if policy.as_ref().is_some_and(|file| file.policy.quota.is_some()) {
        marker = Some(Marker::load(&app.catalog).await?);
    }
    let departures = match &policy {
        Some(file) => by_policy::depart(&run, file, marker.as_ref()).await?,
        None => departures::by_age(&run).await?,
    };

    shared.phase(Phase::Mark);
    let mut marker = match marker {
        Some(marker) => marker,
        None => Marker::load(&app.catalog).await?,
    };
    marker.without(departures.going());
    // Most of it, before others have to wait for the rest.
    marker.catch_up(&mut app.catalog.look().await?).await?;
    catch_up(&run, &mut marker).await?;
    departures::note(&run, &marker, &departures).await?;
    if departures.stay_until_later() {
        marker.without(departures.gone());
        catch_up(&run, &mut marker).await?;
    }
    let needed = marker.graph.len() - marker.graph.white().count();
    shared.count(|counts| {
        counts.paths = marker.graph.len() as u64;
        counts.paths_needed = needed as u64;
    });
    let ripe = run.ripe(&marker);
    if request.dry_run {
        foresee(&run, &marker, &ripe);
        shared.phase(Phase::Finished);
        return Ok(());
    }
    mark_unreachable(&run, &marker).await?;

    shared.phase(Phase::Paths);
    sweep::paths(&run, &mut marker, &ripe).await?;
    realisations::publish_next(&run).await?;
    shared.phase(Phase::Nars);
    sweep::objects(&run, &mut marker, &ripe).await?;
    shared.phase(Phase::Logs);
    sweep::logs(&run, &mut marker, &ripe).await?;
    shared.phase(Phase::Uploads);
    uploads::clean(&run).await?;
    versions::clean(&run).await?;
    sweep::rows(&run, &mut marker).await?;
    count_failed(&run, &marker, &ripe);
    shared.phase(Phase::Finished);
    Ok(())
}

/// Follows what has become a root, with a look that nothing else changes meanwhile.
async fn catch_up(run: &Run<'_>, marker: &mut Marker) -> Result<(), Error> {
    let mut tx = run.write().await?;
    marker.catch_up(&mut tx).await?;
    Ok(())
}

/// Ends pushes that nobody renews, forgets those that failed long ago.
async fn end_pushes(run: &Run<'_>) -> Result<(), Error> {
    // A commit that lost its lease may have narinfos on their way to the bucket.
    let lifetime = i64::try_from(REQUEST_LIFETIME.as_secs()).unwrap_or(i64::MAX);
    let committing_before = now() - lifetime;
    let over = lost_commits::commit_again(run, committing_before).await?;
    let mut tx = run.write().await?;
    let expired = tx.expire_pushes(&over, committing_before).await?;
    tx.commit().await?;
    for push_id in run.app.catalog.unreleased_pushes().await? {
        run.app.catalog.release_push(push_id).await?;
    }
    let failed_before = run.now - i64::from(run.request.failed_uploads_older_than);
    metrics().leases_expired(expired);
    loop {
        let mut tx = run.write().await?;
        let (failed, committed) = tx
            .forget_pushes(failed_before, run.now - REMEMBERED, PAGE)
            .await?;
        tx.commit().await?;
        run.shared.count(|counts| counts.failed_uploads_deleted += failed);
        if failed.max(committed) < PAGE.unsigned_abs() {
            return Ok(());
        }
    }
}

/// Stops keeping replaced contents that have been kept long enough. Narinfos of replacements are written once more when no
/// request that writes the one before can land any more: a commit whose server died may have sent it.
async fn end_replacements(run: &Run<'_>) -> Result<(), Error> {
    let mut tx = run.write().await?;
    tx.end_replacements().await?;
    tx.commit().await?;
    let lifetime = i64::try_from(REQUEST_LIFETIME.as_secs()).unwrap_or(i64::MAX);
    let found = run
        .app
        .catalog
        .replacements_to_write(now() - lifetime, PAGE)
        .await?;
    if found.is_empty() {
        return Ok(());
    }
    let (ids, mut paths): (Vec<ReplacementId>, Vec<PathId>) = found.into_iter().unzip();
    paths.sort_unstable();
    paths.dedup();
    match push::republish(run.app, IDENTITY, &paths).await {
        Ok(_) => {
            let mut tx = run.write().await?;
            tx.replacements_written(&ids).await?;
            tx.commit().await?;
        }
        Err(problem) => tracing::warn!(
            why = problem.text(),
            "narinfos of replaced paths are written again by the next garbage collection"
        ),
    }
    Ok(())
}

/// Counts what a run would delete if it could.
fn foresee(run: &Run<'_>, marker: &Marker, ripe: &Ripe) {
    let graph = &marker.graph;
    run.shared.count(|counts| {
        for path in graph.white() {
            if graph.condemned_at(path) == 0 {
                counts.objects_marked_for_deletion += graph.own_objects(path);
            }
            if ripe.path(path) {
                counts.objects_deleted_after_grace_period += graph.own_objects(path);
            }
        }
        let objects = graph
            .objects()
            .enumerate()
            .map(|(place, (_, item))| (item, ripe.object(place)));
        let logs = graph
            .logs()
            .enumerate()
            .map(|(place, item)| (item, ripe.log(place)));
        for (item, ripe) in objects.chain(logs) {
            if item.marked || item.pending {
                continue;
            }
            if item.condemned_at == 0 {
                counts.objects_marked_for_deletion += 1;
            }
            if ripe {
                counts.objects_deleted_after_grace_period += 1;
                counts.bytes_freed += item.size.unsigned_abs();
            }
        }
    });
}

/// Writes down since when nothing needs what nothing needs, and takes it back where
/// something does again.
async fn mark_unreachable(run: &Run<'_>, marker: &Marker) -> Result<(), Error> {
    let graph = &marker.graph;
    let fresh: Vec<u32> = graph
        .white()
        .filter(|path| graph.condemned_at(*path) == 0)
        .collect();
    let mut marked: u64 = fresh.iter().map(|path| graph.own_objects(*path)).sum();
    let paths: Vec<PathId> = fresh.iter().map(|path| graph.id(*path)).collect();
    let of_objects = |condemned: bool| -> Vec<ObjectId> {
        graph
            .objects()
            .filter(|(_, item)| item.marked == condemned && (item.condemned_at != 0) == condemned)
            .map(|(id, _)| id)
            .collect()
    };
    let objects = of_objects(false);
    marked += graph
        .objects()
        .filter(|(_, item)| !item.marked && item.condemned_at == 0 && !item.pending)
        .count() as u64;
    // Without grace nothing has to be remembered until later.
    if run.request.grace() > 0 {
        write(run, &paths, run.now).await?;
        write(run, &objects, run.now).await?;
    }
    write(run, &graph.pardoned(), 0).await?;
    write(run, &of_objects(true), 0).await?;
    marked += condemn_logs(run, marker).await?;
    run.shared
        .count(|counts| counts.objects_marked_for_deletion = marked);
    Ok(())
}

async fn write<I: CollectedId>(run: &Run<'_>, ids: &[I], at: i64) -> Result<(), Error> {
    for chunk in ids.chunks(CHUNK) {
        let mut tx = run.write().await?;
        tx.mark_unreachable(chunk, at).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn condemn_logs(run: &Run<'_>, marker: &Marker) -> Result<u64, Error> {
    let mut marked = 0;
    let mut after = String::new();
    loop {
        let page = run.app.catalog.log_nodes(&after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.drv);
        let of = |needed: bool| -> Vec<String> {
            page.iter()
                .filter(|node| (node.condemned_at != 0) == needed)
                .filter(|node| {
                    marker
                        .graph
                        .log(&node.drv)
                        .is_some_and(|(_, item)| item.marked == needed)
                })
                .map(|node| node.drv.clone())
                .collect()
        };
        let (fresh, pardoned) = (of(false), of(true));
        marked += fresh.len() as u64;
        if run.request.grace() > 0 || !pardoned.is_empty() {
            let mut tx = run.write().await?;
            if run.request.grace() > 0 {
                tx.condemn_logs(&fresh, run.now).await?;
            }
            tx.condemn_logs(&pardoned, 0).await?;
            tx.commit().await?;
        }
    }
    Ok(marked)
}

/// Counts what was to go and is there.
fn count_failed(run: &Run<'_>, marker: &Marker, ripe: &Ripe) {
    let graph = &marker.graph;
    let paths: u64 = graph
        .white()
        .filter(|path| ripe.path(*path))
        .map(|path| graph.own_objects(path))
        .sum();
    let left = |item: &Item| !item.marked && !item.gone && !item.pending;
    let objects = graph.objects().enumerate();
    let objects = objects.filter(|(place, (_, item))| left(item) && ripe.object(*place));
    let logs = graph.logs().enumerate();
    let logs = logs.filter(|(place, item)| left(item) && ripe.log(*place));
    let (objects, logs) = (objects.count() as u64, logs.count() as u64);
    run.shared
        .count(|counts| counts.objects_failed_to_delete = paths + objects + logs);
}
