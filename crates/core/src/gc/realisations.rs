//! Realisations of paths that stay, in place of those that went with their paths.

use niks3_base::error::Error;

use super::run::Run;
use crate::push;

/// Realisations that are written together.
const PAGE: i64 = 500;

/// Publishes, under each key whose realisation is gone, the next one that a push has brought, if its path is there. It
/// comes after the one before is gone from the bucket, so that none names a path that is not there.
pub(super) async fn publish_next(run: &Run<'_>) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let mut tx = run.write().await?;
        let page = tx.put_candidates_in_force(&after, PAGE).await?;
        tx.commit().await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.key);
        push::write_realisations(run.app, &page).await?;
        run.app.bucket.sync().await?;
        let mut tx = run.write().await?;
        // What a push has changed meanwhile is written by the next collection, if that has not done so.
        if tx.realisations_unchanged(&page).await? {
            tx.candidates_written(&page).await?;
        }
        tx.commit().await?;
    }
}
