//! Reading what became visible unread, when nothing else waits to be read.

use std::sync::Arc;
use std::time::Duration;

use super::queue::Job;
use crate::app::App;
use crate::http::problem::Problem;
use crate::storage::ObjectKey;

/// How often it is looked whether nothing waits.
const PAUSE: Duration = Duration::from_secs(30);
/// NARs that are read before it is looked again whether anything else waits.
const PAGE: i64 = 16;

/// Reads NARs that were exempt from verification, until the server stops.
pub async fn verify_when_idle(app: Arc<App>) {
    let mut after = 0;
    loop {
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = app.stop.cancelled() => return,
        }
        while app.verifications.is_idle() {
            match page(&app, after).await {
                Ok(Some(last)) => after = last,
                Ok(None) => {
                    after = 0;
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

/// Reads some NARs after one; the last of them.
async fn page(app: &App, after: i64) -> Result<Option<i64>, Problem> {
    let page = app.catalog.unread_nars(after, PAGE).await?;
    let Some(last) = page.last().map(|nar| nar.id) else {
        return Ok(None);
    };
    let ids: Vec<i64> = page.iter().map(|nar| nar.id).collect();
    let mut jobs = Vec::with_capacity(page.len());
    for nar in page {
        jobs.push(Job {
            object_id: nar.id,
            key: ObjectKey::parse(&nar.key).map_err(Problem::internal)?,
            size: nar.size.unsigned_abs(),
            file_hash: nar.file_hash,
            packing: nar.packing,
            identity: String::new(),
            most: nar.nar_size.unsigned_abs(),
            wanted: Vec::new(),
        });
    }
    app.verifications.add(jobs);
    // What cannot be read is found by fsck.
    let _ = app.verifications.wait(0, &ids, ids.len() as u64).await;
    Ok(Some(last))
}
