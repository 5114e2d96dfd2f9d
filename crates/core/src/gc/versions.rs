//! What a versioned bucket keeps of objects that were deleted.

use niks3_base::error::Error;
use niks3_storage::{ObjectKey, StorageError, Versioning};

use super::run::Run;
use crate::object_group::unexpected;

/// Deletes for good what the bucket keeps of objects that were deleted, with `--s3-delete-versions`; without it says that
/// this is kept.
///
/// What is listed is older than the question to the database, and so than any deletion, push or upload that begins after
/// it. What the database says is there stays: somebody else has deleted it, and may want it back.
pub(super) async fn clean(run: &Run<'_>) -> Result<(), Error> {
    let versioning = run.app.bucket.versioning().await?;
    if !run.app.delete_versions {
        if versioning == (Versioning::Enabled { expires: false }) {
            tracing::warn!("{}", niks3_storage::VERSIONED);
        }
        return Ok(());
    }
    if versioning == Versioning::Off {
        return Ok(());
    }
    let mut deleted = run.app.bucket.deleted_objects();
    let (mut versions, mut left) = (0, 0);
    loop {
        let page = match deleted.page().await {
            Err(StorageError::Invalid(why) | StorageError::Denied(why) | StorageError::Forbidden(why)) => {
                tracing::warn!(why, "old versions of objects are not deleted");
                break;
            }
            page => page?,
        };
        let Some(mut page) = page else { break };
        let keys: Vec<ObjectKey> = page.iter().map(|object| object.key.clone()).collect();
        let unexpected = unexpected(&run.app.catalog, &keys).await?;
        page.retain(|object| unexpected.contains(&object.key));
        if page.is_empty() {
            continue;
        }
        // Fails when another collection took over.
        drop(run.write().await?);
        run.before_deletion().await?;
        let (gone, kept) = deleted.delete(page).await?;
        versions += gone;
        left += kept;
    }
    if left > 0 {
        tracing::warn!(
            objects = left,
            "old versions of objects could not be deleted: the credentials of the server need s3:DeleteObjectVersion, \
             and no version may be locked; the next garbage collection tries again"
        );
    }
    tracing::info!(versions, "deleted old versions of objects");
    Ok(())
}
