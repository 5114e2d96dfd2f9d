//! Waiting for deletions that stand in the way of a push, and ending those that nobody
//! works on any more.

use std::time::{Duration, Instant, UNIX_EPOCH};

use niks3_base::error::Error;
use niks3_catalog::{Collected, ObjectId, PathId, PushId};
use niks3_storage::ObjectKey;

use super::delete::{self, End, Fence};
use crate::app::App;
use crate::deletion_waits::DeletionWait;

/// How long a request waits before its client is told to come back.
const PATIENCE: Duration = Duration::from_secs(75);
/// NARs that one transaction gives up.
const BATCH: usize = 500;
/// How often it looks.
const PAUSE: Duration = Duration::from_millis(200);
/// From then on it is a wait of which people are told: most deletions take no second.
const TOLD_AFTER: Duration = Duration::from_secs(2);

fn come_back() -> Error {
    Error::unavailable(
        "something that the push needs is being deleted from the object store, which does not answer",
        5,
    )
}

/// Returns when nothing that a push relies on, or brings, is being deleted.
///
/// # Errors
/// `Unavailable` when a deletion does not end.
pub async fn push(app: &App, push_id: PushId) -> Result<(), Error> {
    let started = Instant::now();
    let mut told = None;
    loop {
        let paths = app.catalog.doomed_for(push_id).await?;
        let logs = app.catalog.doomed_logs_for(push_id).await?;
        if paths.is_empty() && logs.is_empty() {
            return Ok(());
        }
        if !paths.is_empty() {
            end_paths(app, &paths).await?;
        }
        for drv in &logs {
            end_log(app, drv).await?;
        }
        if told.is_none() && started.elapsed() > TOLD_AFTER {
            let wait = DeletionWait {
                objects: (paths.len() + logs.len()) as u64,
                // Nobody has sent a request that is good for longer. The deletion may end earlier.
                until: delete::fence(),
            };
            tracing::info!(
                push_id = push_id.get(),
                objects = wait.objects,
                until = %utc(wait.until),
                "a commit waits for the end of deletions that another process has begun"
            );
            told = Some(app.deletion_waits.begin(push_id, wait));
        }
        pause(started).await?;
    }
}

/// A Unix time for people.
fn utc(seconds: i64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds.unsigned_abs())).to_string()
}

/// Ends the deletion of some paths, if nobody else is about to.
///
/// # Errors
/// When the database or the object store do not let it.
pub async fn paths(app: &App, ids: &[PathId]) -> Result<(), Error> {
    end_paths(app, ids).await
}

/// Returns when none of those NARs is being deleted.
///
/// # Errors
/// `Unavailable` when a deletion does not end.
pub async fn objects(app: &App, keys: &[String]) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let doomed = app.catalog.doomed_objects(keys).await?;
        if doomed.is_empty() {
            return Ok(());
        }
        for key in &doomed {
            end_object(app, key).await?;
        }
        pause(started).await?;
    }
}

async fn pause(started: Instant) -> Result<(), Error> {
    if started.elapsed() > PATIENCE {
        return Err(come_back());
    }
    tokio::time::sleep(PAUSE).await;
    Ok(())
}

async fn end_paths(app: &App, ids: &[PathId]) -> Result<(), Error> {
    let fence = delete::fence();
    let mut tx = app.catalog.write().await?;
    let doomed = tx.take_over_paths(ids, fence).await?;
    tx.commit().await?;
    if doomed.is_empty() {
        return Ok(());
    }
    app.ownership.record().await?;
    let ends = delete::paths(app, &doomed, fence).await?;
    let of = |end: End| -> Vec<PathId> {
        doomed
            .iter()
            .zip(&ends)
            .filter(|(_, found)| **found == end)
            .map(|(path, _)| path.id)
            .collect()
    };
    let mut tx = app.catalog.write().await?;
    tx.bury_paths(&of(End::Gone)).await?;
    tx.restore_paths(&of(End::Refused)).await?;
    tx.commit().await?;
    Ok(())
}

async fn end_object(app: &App, key: &str) -> Result<(), Error> {
    let until = delete::fence();
    let mut tx = app.catalog.write().await?;
    let doomed = tx.take_over_object(key, until).await?;
    tx.commit().await?;
    let Some(doomed) = doomed else {
        return Ok(());
    };
    let parsed = ObjectKey::parse(key).map_err(Error::internal)?;
    app.ownership.record().await?;
    let mut fence = Fence::new(app, Collected::Objects, vec![key.to_owned()], until);
    let ends = delete::objects(app, &mut fence, vec![parsed.clone()]).await?;
    let mut tx = app.catalog.write().await?;
    match ends.get(&parsed) {
        Some(End::Gone) | Some(End::Refused) => tx.restore_objects(&[doomed.id]).await?,
        _ => {}
    }
    tx.commit().await?;
    Ok(())
}

/// Deletes NARs that nothing refers to: no path, no push, and no collection is at it.
///
/// # Errors
/// When the database or the object store do not let it.
pub async fn unused(app: &App, ids: &[ObjectId]) -> Result<(), Error> {
    for ids in ids.chunks(BATCH) {
        let until = delete::fence();
        let mut tx = app.catalog.write().await?;
        let doomed = tx.doom_unused_objects(ids, until).await?;
        tx.commit().await?;
        if doomed.is_empty() {
            continue;
        }
        let names: Vec<String> = doomed.iter().map(|object| object.name.clone()).collect();
        let keys = names.iter().map(|name| ObjectKey::parse(name));
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(Error::internal)?;
        let mut fence = Fence::new(app, Collected::Objects, names, until);
        let ends = delete::objects(app, &mut fence, keys.clone()).await?;
        let of = |end: End| -> Vec<ObjectId> {
            let ended = doomed
                .iter()
                .zip(&keys)
                .filter(|(_, key)| ends.get(*key) == Some(&end));
            ended.map(|(object, _)| object.id).collect()
        };
        let mut tx = app.catalog.write().await?;
        tx.bury_objects(&of(End::Gone), delete::urls_dead_before())
            .await?;
        tx.restore_objects(&of(End::Refused)).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn end_log(app: &App, drv: &str) -> Result<(), Error> {
    let until = delete::fence();
    let mut tx = app.catalog.write().await?;
    let mine = tx.take_over_log(drv, until).await?;
    tx.commit().await?;
    if !mine {
        return Ok(());
    }
    let path = drv.parse().map_err(|_| Error::internal("the name of a log"))?;
    let key = ObjectKey::log(&path);
    app.ownership.record().await?;
    let mut fence = Fence::new(app, Collected::Logs, vec![drv.to_owned()], until);
    let ends = delete::objects(app, &mut fence, vec![key.clone()]).await?;
    let mut tx = app.catalog.write().await?;
    match ends.get(&key) {
        Some(End::Gone) => tx.end_logs(&[drv.to_owned()], true).await?,
        Some(End::Refused) => tx.end_logs(&[drv.to_owned()], false).await?,
        _ => {}
    }
    tx.commit().await?;
    Ok(())
}
