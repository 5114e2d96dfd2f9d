//! Removing what a push that is over has left in the bucket, beside all requests: a garbage collection removes what
//! this does not.

use niks3_catalog::ObjectId;
use std::sync::Arc;

use niks3_base::error::Error;
use niks3_storage::ObjectKey;

use crate::app::App;
use crate::deletion::await_deletion;

/// Keys of one request.
const PAGE: usize = 1000;

/// Deletes what a push has staged, now that it is over and nothing of that is to be published any more, and the NARs of
/// these ids, which it has uploaded and does not refer to, if nothing else does.
pub fn remove_leftovers(app: &Arc<App>, push: String, nars: Vec<ObjectId>) {
    let within = Arc::clone(app);
    app.tasks.spawn(async move {
        for removed in [
            staged(&within, &push).await,
            await_deletion::unused(&within, &nars).await,
        ] {
            if let Err(problem) = removed {
                let why = problem.text();
                tracing::warn!(push, why, "what a push has left is left to a garbage collection");
            }
        }
    });
}

async fn staged(app: &App, push: &str) -> Result<(), Error> {
    let prefix = format!("staging/{push}/");
    let mut after = String::new();
    loop {
        let page = app.bucket.list(&prefix, &after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after.clone_from(&last.key);
        let keys: Vec<ObjectKey> = page
            .iter()
            .filter_map(|object| ObjectKey::parse(&object.key).ok())
            .collect();
        for (key, deleted) in app.bucket.delete_many(&keys).await {
            if let Err(error) = deleted {
                tracing::warn!(key = key.as_str(), %error, "a staged object is left to a garbage collection");
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    Ok(app.bucket.tidy(push).await?)
}
