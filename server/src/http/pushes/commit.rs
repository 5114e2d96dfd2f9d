//! `POST /pushes/{id}/commit`

use std::sync::Arc;
use std::time::Duration;

use super::types::{Closure, Commit, CommitState, Deleting, RootSignatures, Verifying};
use super::{App, Committed, Error, Identity, find, wire_error};
use crate::catalog::PushId;
use crate::push::{CommitAnswer, commit as commit_push};
use crate::{paths, pins};
use niks3_nix::store_path::StorePath;
use poem_openapi::payload::Json;

/// How long a commit is waited for before its client is told that it is in progress: less than the
/// 60 s after which reverse proxies give up, and short enough to show how far verification is.
const WAIT: Duration = Duration::from_secs(20);
/// Seconds after which the client asks again; it waits in the next request.
const RETRY_AFTER: u32 = 1;
/// Roots of one push whose signatures are told: each has to be made again.
const SIGNED_ROOTS: usize = 200;

/// Runs to its end even if the client goes away: what it began it finishes. Whoever asks again joins it.
pub(super) async fn commit(app: &Arc<App>, who: Identity, id: String) -> Result<Committed, Error> {
    let push = find(app, &who, &id).await?;
    let (push_id, current) = (push.id, app.clone());
    let app = app.clone();
    let pin = push.pin.clone();
    let work = async move {
        let answer = commit_push(&app, push, Some(WAIT)).await?;
        if let (CommitAnswer::Done(_), Some(name)) = (&answer, &pin) {
            pins::settle(&app, name).await?;
        }
        Ok::<_, Error>(answer)
    };
    let work = crate::telemetry::spawn(work);
    let answer = match tokio::time::timeout(WAIT, work).await {
        Ok(answer) => answer.map_err(wire_error)??,
        Err(_) => CommitAnswer::InProgress,
    };
    Ok(match answer {
        CommitAnswer::Done(outcome) => Committed::Done(Json(Commit {
            signatures: signatures(&current, &outcome.roots).await?,
            state: CommitState::Committed,
            closures: outcome.roots.into_iter().map(|root| Closure { root }).collect(),
            paths_added: outcome.paths_added,
            paths_present: outcome.paths_present,
            paths_verified: outcome.paths_verified,
            conflicts: outcome.conflicts.into_iter().map(Into::into).collect(),
            replaced: outcome.replaced,
            verifying: None,
            deleting: None,
        })),
        CommitAnswer::InProgress => in_progress(&current, push_id),
    })
}

/// The signatures of roots, as their narinfos have them.
async fn signatures(app: &App, roots: &[String]) -> Result<Option<Vec<RootSignatures>>, Error> {
    if roots.len() > SIGNED_ROOTS {
        return Ok(None);
    }
    let roots: Vec<StorePath> = roots.iter().filter_map(|root| root.parse().ok()).collect();
    let committed = paths::committed(app, &roots).await?;
    let signed = committed.iter().map(|path| RootSignatures {
        path: path.narinfo.store_path.to_string(),
        signatures: path.narinfo.sigs.iter().map(ToString::to_string).collect(),
    });
    Ok(Some(signed.collect()))
}

/// What the client of a commit is told that takes longer than it waits, whatever it waits for.
fn in_progress(app: &App, push_id: PushId) -> Committed {
    let verifying = app.verifications.progress(push_id).map(|progress| Verifying {
        verified: progress.verified,
        total: progress.total,
    });
    let deleting = app.deletion_waits.of_push(push_id).map(|wait| Deleting {
        objects: wait.objects,
        until: wait.until,
    });
    let commit = Commit {
        state: CommitState::Committing,
        closures: Vec::new(),
        paths_added: 0,
        paths_present: 0,
        paths_verified: 0,
        conflicts: Vec::new(),
        replaced: Vec::new(),
        signatures: None,
        verifying,
        deleting,
    };
    Committed::InProgress(Json(commit), RETRY_AFTER)
}
