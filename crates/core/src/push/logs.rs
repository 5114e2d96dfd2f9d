//! Publishing the build logs of a push.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use niks3_base::compression::Codec;
use niks3_base::error::Error;
use niks3_base::push_limits::MAX_SMALL_OBJECT;
use niks3_catalog::{PushId, StagedLog, now};
use niks3_storage::{ObjectKey, REQUEST_LIFETIME};

use super::publish::move_staged;
use crate::app::App;

/// Logs that are moved between two transactions.
const BATCH: usize = 256;
/// Logs that are moved at once.
const CONCURRENCY: usize = 64;
/// Seconds that a batch has before the last of its requests has to begin.
const SLACK: i64 = 10;
/// How long a commit waits for another push that publishes a log of the same derivation.
const LOG_TIMEOUT: Duration = Duration::from_secs(75);
/// How often it looks.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Paths whose derivers one transaction remembers.
const DERIVERS: usize = 500;

/// Publishes the build logs of a push that the cache lacks, and has paths that were pushed with another
/// deriver before keep them.
///
/// # Errors
/// `Unavailable` when another push does not end publishing a log of the same derivation.
pub(super) async fn publish(app: &App, push_id: PushId) -> Result<(), Error> {
    let started = Instant::now();
    let mut missing = app.catalog.staged_logs(push_id).await?;
    loop {
        let drvs: Vec<String> = missing.iter().map(|log| log.drv.clone()).collect();
        let known = app.catalog.known_logs(&drvs).await?;
        missing.retain(|log| !known.contains(&log.drv));
        if missing.is_empty() {
            break;
        }
        let mut moved = false;
        for batch in missing.chunks(BATCH) {
            moved |= publish_batch(app, push_id, batch).await?;
        }
        if moved {
            continue;
        }
        if started.elapsed() > LOG_TIMEOUT {
            return Err(Error::unavailable(
                "another push publishes a build log of the same derivation, and does not end",
                5,
            ));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    let derivers = app.catalog.new_derivers(push_id).await?;
    for chunk in derivers.chunks(DERIVERS) {
        let mut tx = app.catalog.write().await?;
        tx.add_derivers(chunk).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Whether the cache has some of the build logs that a push has staged.
pub(super) async fn some_known(app: &App, push_id: PushId) -> Result<bool, Error> {
    let staged = app.catalog.staged_logs(push_id).await?;
    let drvs: Vec<String> = staged.into_iter().map(|log| log.drv).collect();
    Ok(!app.catalog.known_logs(&drvs).await?.is_empty())
}

/// Moves those logs into place that no other push is publishing; false when there is none.
async fn publish_batch(app: &App, push_id: PushId, batch: &[StagedLog]) -> Result<bool, Error> {
    let fence = now() + lifetime() + SLACK;
    let mut tx = app.catalog.write().await?;
    let mine = tx.begin_logs(push_id, batch, fence).await?;
    tx.commit().await?;
    let mut bodies = app.catalog.log_bodies(push_id, &mine).await?;
    let moving = batch.iter().filter(|log| mine.contains(&log.drv));
    let moving: Vec<_> = moving
        .map(|log| move_log(app, log, bodies.remove(&log.drv), fence))
        .collect();
    // All of them end before the first failure counts: the fence is for requests that this push knows nothing of.
    let moved: Vec<Result<Option<Moved>, Error>> = futures::stream::iter(moving)
        .buffered(CONCURRENCY)
        .collect()
        .await;
    let moved: Vec<Option<Moved>> = moved.into_iter().collect::<Result<_, _>>()?;
    let (published, staged): (Vec<String>, Vec<Option<ObjectKey>>) = moved.into_iter().flatten().unzip();
    if published.is_empty() {
        return Ok(false);
    }
    let staged: Vec<ObjectKey> = staged.into_iter().flatten().collect();
    app.bucket.delete_promoted(&staged).await;
    app.bucket.sync().await?;
    let mut tx = app.catalog.write().await?;
    tx.logs_published(push_id, &published).await?;
    tx.commit().await?;
    Ok(true)
}

/// The derivation of a log that is in place, and where it was staged, if it was.
type Moved = (String, Option<ObjectKey>);

/// Moves a log into place, out of the bucket's staging area or, in zstd, out of the database; nothing when the request might
/// outlive the fence.
async fn move_log(
    app: &App,
    log: &StagedLog,
    body: Option<Vec<u8>>,
    fence: i64,
) -> Result<Option<Moved>, Error> {
    if now() + lifetime() > fence {
        return Ok(None);
    }
    let drv = log
        .drv
        .parse()
        .map_err(|_| Error::internal("the name of a log"))?;
    if let Some(body) = body {
        let text = Codec::Zstd
            .decode(body, MAX_SMALL_OBJECT)
            .map_err(Error::internal)?;
        app.bucket.put(&ObjectKey::log(&drv), text.into()).await?;
        return Ok(Some((log.drv.clone(), None)));
    }
    let staged = ObjectKey::parse(&log.staging).map_err(Error::internal)?;
    move_staged(app, &staged, &ObjectKey::log(&drv), log.size).await?;
    Ok(Some((log.drv.clone(), Some(staged))))
}

/// Seconds for which a request may be on its way.
fn lifetime() -> i64 {
    i64::try_from(REQUEST_LIFETIME.as_secs()).unwrap_or(i64::MAX)
}
