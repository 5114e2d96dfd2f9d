//! `POST /pushes/{id}/commit`

use std::sync::Arc;
use std::time::Duration;

use super::types::{Closure, Commit, Verifying};
use super::{App, Identity, Problem, find, wire_error};
use crate::metrics::{PushEnd, metrics};
use crate::push::{Outcome, commit as commit_push};

/// How long a request waits for the verification of uploads before it says how far that is.
const VERIFYING: Duration = Duration::from_secs(20);

/// Runs to its end even if the client goes away: what it began it finishes.
pub(super) async fn commit(app: &Arc<App>, who: Identity, id: String) -> Result<Commit, Problem> {
    let push = find(app, &who, &id).await?;
    let (app, verifications, push_id) = (app.clone(), Arc::clone(&app.verifications), push.id);
    let work = async move {
        commit_push(&app, push)
            .await
            .inspect_err(|problem| metrics().push_ended(PushEnd::of_status(problem.status())))
    };
    let mut running = crate::http::request_id::spawn(work);
    let outcome: Outcome = loop {
        tokio::select! {
            done = &mut running => break done.map_err(wire_error)??,
            () = tokio::time::sleep(VERIFYING) => {}
        }
        // It goes on, and the next request finds what it has done by then.
        if let Some(progress) = verifications.progress(push_id) {
            return Ok(Commit {
                closures: Vec::new(),
                paths_added: 0,
                paths_present: 0,
                verifying: Some(Verifying {
                    verified: progress.verified,
                    total: progress.total,
                }),
            });
        }
    };
    Ok(Commit {
        closures: outcome.roots.into_iter().map(|root| Closure { root }).collect(),
        paths_added: outcome.paths_added,
        paths_present: outcome.paths_present,
        verifying: None,
    })
}
