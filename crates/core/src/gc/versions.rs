//! Old versions of objects, in versioned buckets.

use niks3_base::error::Error;
use niks3_storage::StorageError;

use super::run::Run;

/// Deletes for good what the bucket keeps of objects that were deleted or replaced, with `--s3-delete-versions`; without
/// it says that this is kept.
pub(super) async fn clean(run: &Run<'_>) -> Result<(), Error> {
    if !run.app.delete_versions {
        if run.app.bucket.is_versioned().await? {
            tracing::warn!("{}", niks3_storage::VERSIONED);
        }
        return Ok(());
    }
    let mut old = run.app.bucket.old_versions();
    let (mut deleted, mut kept) = (0, 0);
    loop {
        let page = match old.page().await {
            Err(StorageError::Invalid(why) | StorageError::Denied(why) | StorageError::Forbidden(why)) => {
                tracing::warn!(why, "old versions of objects are not deleted");
                break;
            }
            page => page?,
        };
        let Some(page) = page else { break };
        if page.is_empty() {
            continue;
        }
        // Fails when another collection took over.
        drop(run.write().await?);
        run.before_deletion().await?;
        let (gone, left) = old.delete(page).await?;
        deleted += gone;
        kept += left;
    }
    if kept > 0 {
        tracing::warn!(
            objects = kept,
            "old versions of objects could not be deleted: the credentials of the server need s3:DeleteObjectVersion, \
             and no version may be locked; the next garbage collection tries again"
        );
    }
    tracing::info!(versions = deleted, "deleted old versions of objects");
    Ok(())
}
