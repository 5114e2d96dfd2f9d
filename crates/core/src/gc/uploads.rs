//! What failed uploads have left: unfinished uploads in parts, and staged objects.

use niks3_catalog::MultipartId;
use std::collections::HashSet;

use niks3_base::error::Error;
use niks3_base::push_limits::PART_SIZE;
use niks3_storage::{Deletion, ObjectKey};

use super::run::Run;

/// Keys that one question to the bucket lists.
const PAGE: usize = 1000;

/// Gives up uploads in parts that nobody went on with for long, and deletes what was
/// staged by pushes that are over.
pub(super) async fn clean(run: &Run<'_>) -> Result<(), Error> {
    multiparts(run).await?;
    unknown(run).await?;
    staged(run).await
}

/// Gives up uploads in parts that a server began and died before it wrote that down.
async fn unknown(run: &Run<'_>) -> Result<(), Error> {
    let mut uploads = run.app.bucket.uploads();
    while let Some(page) = uploads.page().await? {
        let ids: Vec<String> = page.iter().map(|upload| upload.id.clone()).collect();
        let known = run.app.catalog.known_uploads(&ids).await?;
        if page.iter().any(|upload| !known.contains(&upload.id)) {
            run.before_deletion().await?;
        }
        for upload in page {
            if known.contains(&upload.id) {
                continue;
            }
            if let Some(key) = upload.abandoned(run.now) {
                app_result(run.app.bucket.abort_multipart(&key, &upload.id).await);
            }
        }
    }
    Ok(())
}

async fn multiparts(run: &Run<'_>) -> Result<(), Error> {
    let before = run.now - i64::from(run.request.failed_uploads_older_than);
    let mut after = MultipartId::default();
    loop {
        let mut tx = run.write().await?;
        let page = tx.stale_multiparts(before, after, 500).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        let wanted = tx
            .contents_under_way(i64::try_from(PART_SIZE).unwrap_or(i64::MAX))
            .await?;
        let stale: Vec<_> = page
            .into_iter()
            .filter(|upload| !wanted.contains(upload.nar_hash.as_bytes().as_slice()))
            .collect();
        for upload in &stale {
            tx.give_up_multipart(upload.id).await?;
        }
        tx.commit().await?;
        run.before_deletion().await?;
        let mut ended = Vec::with_capacity(stale.len());
        for upload in &stale {
            let key = ObjectKey::parse(&upload.key).map_err(Error::internal)?;
            // What they became has a row among the objects since before it was there, and goes or stays by that.
            if app_result(run.app.bucket.abort_multipart(&key, &upload.upload_id).await) {
                ended.push(upload.id);
            }
        }
        let mut tx = run.write().await?;
        tx.forget_multiparts(&ended).await?;
        tx.commit().await?;
    }
}

fn app_result(result: Result<(), niks3_storage::StorageError>) -> bool {
    match result {
        Ok(()) | Err(niks3_storage::StorageError::NotFound) => true,
        Err(error) => {
            tracing::warn!(%error, "an upload in parts could not be given up; the next collection tries again");
            false
        }
    }
}

async fn staged(run: &Run<'_>) -> Result<(), Error> {
    let mut after = String::new();
    loop {
        let page = run.app.bucket.list("staging/", &after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after.clone_from(&last.key);
        let full = page.len() == PAGE;
        let mut tx = run.write().await?;
        let live: HashSet<String> = tx.live_tokens().await?.into_iter().collect();
        let staging: Vec<String> = page.iter().map(|object| object.key.clone()).collect();
        let published = tx.staged_listings(&staging).await?;
        drop(tx);
        let mut groups = HashSet::new();
        let doomed: Vec<ObjectKey> = page
            .iter()
            .filter_map(|object| ObjectKey::parse(&object.key).ok())
            .filter(|key| {
                // Whoever publishes the path next moves its listing, though the push is over.
                let over = key.staging_group().is_some_and(|group| !live.contains(group));
                over && !published.contains(key.as_str())
            })
            .inspect(|key| groups.extend(key.staging_group().map(str::to_owned)))
            .collect();
        if !doomed.is_empty() {
            run.before_deletion().await?;
            for (key, end) in run.app.bucket.delete(doomed).await {
                if let Deletion::Refused(why) | Deletion::Unknown(why) = end {
                    tracing::warn!(key = key.as_str(), why, "a staged object may not be deleted");
                }
            }
            for group in groups {
                run.app.bucket.tidy(&group).await?;
            }
        }
        if !full {
            return Ok(());
        }
    }
}
