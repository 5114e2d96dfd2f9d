//! `DELETE /pushes/{id}`

use std::sync::Arc;

use super::{App, Error, Identity, PushState, find};
use crate::gc;
use crate::metrics::{PushEnd, metrics};
use crate::push;

pub(super) async fn abort(app: &Arc<App>, who: &Identity, id: &str) -> Result<(), Error> {
    let push = find(app, who, id).await?;
    if matches!(push.state, PushState::Aborted | PushState::Expired) {
        return Ok(());
    }
    if gc::lost_commits::is_lost(app, &push).await? {
        let mut tx = app.catalog.write().await?;
        tx.begin_lease(push.id, 0).await?;
        tx.commit().await?;
        tracing::warn!(
            push = push.token,
            "push given up by its client, and readers see it: the next collection commits it again"
        );
        return Ok(());
    }
    let mut tx = app.catalog.write().await?;
    if !tx.abort_push(push.id).await? {
        if tx.push(&push.token).await?.is_none() {
            return Err(Error::push_gone("the push is not known any more"));
        }
        return Err(Error::conflict("the push is committed, or about to be"));
    }
    tx.commit().await?;
    app.catalog.release_push(push.id).await?;
    metrics().push_ended(PushEnd::Aborted);
    tracing::info!(push = push.token, "push given up by its client");
    // Its NARs stay until a garbage collection: the same push, begun again, finds them.
    push::remove_leftovers(app, push.token, Vec::new());
    Ok(())
}
