//! Reading what became visible unread, when nothing else waits to be read; and withdrawing the paths that say something
//! else of it.

use std::sync::Arc;
use std::time::Duration;

use niks3_base::error::Error;
use niks3_base::nar_contents::Flaw;
use niks3_catalog::{DoubtfulNar, ObjectId, PathId, Publishable, PushId};

use crate::app::App;
use crate::deletion::await_deletion;
use crate::verification::{Difference, Jobs, compare};

/// How often it is looked whether nothing waits, as long as there is anything to read.
const PAUSE: Duration = Duration::from_secs(30);
/// The same when everything was read: a look goes through all objects.
const LONG_PAUSE: Duration = Duration::from_secs(600);
/// NARs that are read before it is looked again whether anything else waits.
const PAGE: i64 = 16;
/// Paths that one transaction withdraws: a NAR can have any number of them.
const WITHDRAWN: i64 = 500;

/// Reads NARs that were exempt from verification, until the server stops.
pub async fn verify_when_idle(app: Arc<App>) {
    let mut after = ObjectId::default();
    let mut pause = PAUSE;
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = app.stop.cancelled() => return,
        }
        pause = PAUSE;
        while app.verifications.is_idle() {
            match page(&app, after).await {
                Ok(Some(last)) => after = last,
                Ok(None) => {
                    after = ObjectId::default();
                    pause = LONG_PAUSE;
                    break;
                }
                Err(problem) => {
                    tracing::warn!(why = problem.text(), "unverified NARs could not be read");
                    break;
                }
            }
        }
    }
}

/// Reads some NARs after one, and withdraws what is wrong; the last of them.
async fn page(app: &App, after: ObjectId) -> Result<Option<ObjectId>, Error> {
    app.ownership.require()?;
    let nars = app.catalog.doubtful_nars(after, PAGE).await?;
    let Some(last) = nars.last().map(|nar| nar.id) else {
        return Ok(None);
    };
    let ids: Vec<ObjectId> = nars.iter().map(|nar| nar.id).collect();
    let mut jobs = Jobs::of("");
    for nar in &nars {
        let mut after = PathId::default();
        loop {
            let paths = app.catalog.descriptions(nar.id, after, WITHDRAWN).await?;
            let Some(path) = paths.last() else { break };
            after = path.path_id;
            for path in &paths {
                jobs.add(nar.id, path, [])?;
            }
        }
    }
    app.verifications.add(jobs.into_jobs());
    // What cannot be read is found by fsck.
    let _ = app
        .verifications
        .wait(PushId::default(), &ids, ids.len() as u64)
        .await;
    for nar in &nars {
        withdraw_misdescribing(app, nar).await?;
    }
    Ok(Some(last))
}

/// Withdraws the paths that say something else of a NAR than what was read; all that have it if its bytes are not those
/// that its key names.
async fn withdraw_misdescribing(app: &App, nar: &DoubtfulNar) -> Result<(), Error> {
    let mut after = PathId::default();
    loop {
        let paths = app.catalog.descriptions(nar.id, after, WITHDRAWN).await?;
        let Some(last) = paths.last() else { return Ok(()) };
        let last = last.path_id;
        if !differences(app, nar.id, &paths).await?.is_empty() {
            let mut tx = app.catalog.write().await?;
            // As it is while nobody else changes it.
            let paths = app.catalog.descriptions(nar.id, after, WITHDRAWN).await?;
            let wrong = differences(app, nar.id, &paths).await?;
            let verdicts = app.catalog.verdicts(&[nar.id]).await?;
            let corrupt = matches!(verdicts.get(&nar.id), Some(Err(Flaw::FileHash(_))));
            let withdrawn = if corrupt {
                tx.object_corrupt(nar.id).await?;
                tx.withdraw(nar.id).await?
            } else {
                let ids: Vec<PathId> = wrong.iter().map(|(id, _)| *id).collect();
                tx.withdraw_paths(&ids).await?;
                ids
            };
            tx.commit().await?;
            for (_, difference) in &wrong {
                difference.audit("", "");
            }
            await_deletion::paths(app, &withdrawn).await?;
            if corrupt {
                await_deletion::objects(app, std::slice::from_ref(&nar.key)).await?;
            }
        }
        after = last;
    }
}

/// Those of some paths that say something else of a NAR than what was read.
async fn differences(
    app: &App,
    object_id: ObjectId,
    paths: &[Publishable],
) -> Result<Vec<(PathId, Difference)>, Error> {
    let verdicts = app.catalog.verdicts(&[object_id]).await?;
    let Some(verdict) = verdicts.get(&object_id) else {
        return Ok(Vec::new());
    };
    Ok(paths
        .iter()
        .filter_map(|path| {
            let difference = compare(object_id, path, verdict)?.err()?;
            Some((path.path_id, difference))
        })
        .collect())
}
