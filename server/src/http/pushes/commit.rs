//! `POST /pushes/{id}/commit`

use std::sync::Arc;

use super::types::{Closure, Commit};
use super::{App, Identity, Problem, find, wire_error};
use crate::metrics::{PushEnd, metrics};
use crate::push::{Outcome, commit as commit_push};

/// Runs to its end even if the client goes away: what it began it finishes.
pub(super) async fn commit(app: &Arc<App>, who: Identity, id: String) -> Result<Commit, Problem> {
    let push = find(app, &who, &id).await?;
    let app = app.clone();
    let work = async move {
        commit_push(&app, push)
            .await
            .inspect_err(|problem| metrics().push_ended(PushEnd::of_status(problem.status())))
    };
    let outcome: Outcome = crate::http::request_id::spawn(work).await.map_err(wire_error)??;
    Ok(Commit {
        closures: outcome.roots.into_iter().map(|root| Closure { root }).collect(),
        paths_added: outcome.paths_added,
        paths_present: outcome.paths_present,
    })
}
