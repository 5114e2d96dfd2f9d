//! What a process that died while it published has left in an embedded store.
//!
//! Narinfos are flushed once for all of a commit, so after a power cut some may be empty at names
//! that readers see. What is not known to be on the disk is still *publishing* in the database,
//! and the lock on the store says that nobody else is at it: all of that is written again.

use niks3_catalog::PathId;
use std::sync::Arc;

use niks3_base::error::Error;

use super::{attempt, publish, republish};
use crate::app::App;

/// Paths that are published together.
const PAGE: i64 = 5_000;
/// Whose pushes these are.
const IDENTITY: &str = "start";

/// Completes the commits that were under way, or at least writes again what they have published.
///
/// # Errors
/// When the database does not answer; a path that cannot be published does not keep others.
pub async fn recover(app: &Arc<App>) -> Result<(), Error> {
    let (ended, live): (Vec<_>, Vec<_>) = app
        .catalog
        .committing_pushes()
        .await?
        .into_iter()
        .partition(|push| push.expired());
    for push in live {
        let token = push.token.clone();
        match attempt::commit(app, push, None).await {
            Ok(_) => tracing::info!(push = token, "a commit that was cut off is completed"),
            Err(problem) => {
                tracing::warn!(push = token, why = problem.text(), "a commit was cut off");
            }
        }
    }
    let mut after = PathId::default();
    loop {
        let page = app.catalog.publishing_ids(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        if republish(app, IDENTITY, &page).await.is_ok() {
            continue;
        }
        for id in page {
            if let Err(problem) = republish(app, IDENTITY, &[id]).await {
                tracing::warn!(
                    path = id.get(),
                    why = problem.text(),
                    "a path may not be as it should be"
                );
            }
        }
    }
    // The push is over, but its realisations may have been written.
    for push in ended {
        if let Err(problem) = publish::realisations(app, push.id).await {
            tracing::warn!(
                push = push.token,
                why = problem.text(),
                "realisations may not be as they should be"
            );
        }
    }
    Ok(())
}
