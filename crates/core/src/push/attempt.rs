//! Who works on a commit. One attempt at a time does, on whichever server; whoever asks meanwhile
//! waits for its result, which is in the row of the push.

use std::sync::Arc;
use std::time::{Duration, Instant};

use niks3_base::error::Error;
use niks3_base::metrics::{PushEnd, metrics};
use niks3_catalog::{CommitAttempt, CommitStatus, Push, PushState};

use super::commit::{self, Done, Outcome};
use super::{await_verification, lease_over, remove_leftovers};
use crate::app::App;
use crate::lease::Lease;

/// Seconds for which an attempt holds its lease without renewing it: what a dead server keeps its
/// clients waiting.
const COMMIT_LEASE: u32 = 15;
/// The first and the longest pause between two looks at an attempt of somebody else.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What is known of a commit when its client is answered.
#[derive(Debug, Clone)]
pub enum CommitAnswer {
    /// It is done.
    Done(Outcome),
    /// Somebody works on it. The same request again waits for it again.
    InProgress,
}

/// Makes a push visible, wholly, or waits for whoever does: at most for `wait`, if that is given, and
/// only as long as somebody else does it.
///
/// # Errors
/// `PushGone` when its lease has run out, or something that it relies on was lost after it was
/// decided; `Conflict` naming what has not arrived, `Invalid` when the
/// closure is not closed or not a closure; the push does not count then.
pub async fn commit(app: &Arc<App>, push: Push, wait: Option<Duration>) -> Result<CommitAnswer, Error> {
    let done = match work_or_join(app, &push, wait).await {
        Ok(Some(done)) => done,
        Ok(None) => return Ok(CommitAnswer::InProgress),
        Err(problem) => {
            let status = app.catalog.commit_status(push.id).await?;
            if status.is_some_and(|status| status.state == PushState::Aborted) {
                remove_leftovers(app, push.token, Vec::new());
            }
            return Err(problem);
        }
    };
    if let Some(nars) = done.leftovers {
        remove_leftovers(app, push.token, nars);
    }
    Ok(CommitAnswer::Done(done.outcome))
}

/// `None` when others are still at work after `wait`.
async fn work_or_join(app: &Arc<App>, push: &Push, wait: Option<Duration>) -> Result<Option<Done>, Error> {
    let asked = Instant::now();
    let mut joined = None;
    let mut pause = PAUSES.0;
    loop {
        let status = app.catalog.commit_status(push.id).await?.ok_or_else(lease_over)?;
        if let Some(ended) = ended(&status, joined.as_deref()) {
            return ended.map(Some);
        }
        if !status.in_progress() {
            let attempt = CommitAttempt {
                push_id: push.id,
                owner: niks3_nix::base32::encode(&rand::random::<[u8; 20]>()),
            };
            if app.catalog.lease_commit(&attempt, COMMIT_LEASE.into()).await? {
                return work(app, push, &attempt).await.map(Some);
            }
        }
        if joined.as_ref() != Some(&status.owner) {
            tracing::info!(push = push.token, "waiting for the commit in progress");
        }
        joined = Some(status.owner);
        if wait.is_some_and(|wait| asked.elapsed() > wait) {
            return Ok(None);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// The result of a commit that is over: also that of the attempt that was waited for, if it has failed.
fn ended(status: &CommitStatus, joined: Option<&str>) -> Option<Result<Done, Error>> {
    match status.state {
        PushState::Committed => {
            let outcome = serde_json::from_str(&status.result).map_err(Error::internal);
            Some(outcome.map(|outcome| Done {
                outcome,
                leftovers: None,
            }))
        }
        PushState::Aborted if !status.result.is_empty() => {
            Some(Err(await_verification::refused(&status.result)))
        }
        PushState::Aborted => Some(Err(Error::push_gone("the push was given up: begin again"))),
        PushState::Expired => Some(Err(lease_over())),
        PushState::Open | PushState::Committing => {
            let failed = !status.in_progress() && joined == Some(status.owner.as_str());
            if failed && !status.problem.is_empty() {
                return Some(Err(Error::from_stored(&status.problem)));
            }
            status.expired.then(|| Err(lease_over()))
        }
    }
}

/// Commits as the attempt that holds the lease, which ends with it.
async fn work(app: &Arc<App>, push: &Push, attempt: &CommitAttempt) -> Result<Done, Error> {
    let result = keep_leases(app, attempt, commit::run(app, push, attempt)).await;
    if let Err(problem) = &result {
        metrics().push_ended(PushEnd::of(problem.kind()));
        tracing::info!(push = push.token, why = problem.text(), "a commit has failed");
        app.catalog.fail_commit(attempt, &problem.to_stored()).await?;
    }
    result
}

/// Works for as long as the leases of the push and of the attempt last, and renews both meanwhile.
async fn keep_leases<T>(
    app: &App,
    attempt: &CommitAttempt,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let length = Duration::from_secs(COMMIT_LEASE.min(app.lease_seconds).into());
    let renew = || {
        app.catalog
            .renew_commit(attempt, app.lease_seconds.into(), COMMIT_LEASE.into())
    };
    if !renew().await? {
        return Err(lease_over());
    }
    // Garbage collection, or another attempt, begins where the lease ends.
    let lease = Lease {
        length,
        every: length / 5,
        ended_by_work: true,
        kind: "commit",
        name: &attempt.owner,
    };
    lease.hold(renew, work).await.unwrap_or_else(|_| {
        Err(Error::unavailable(
            "the database did not renew the lease of this commit in time: commit again",
            1,
        ))
    })
}
