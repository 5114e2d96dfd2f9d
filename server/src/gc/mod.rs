//! Garbage collection: what no closure, no pin and no push under way needs goes, and
//! nothing else, whatever happens meanwhile. [`settle`] is its other half, for commits.

mod delete;
mod graph;
mod marker;
mod progress;
mod run;
pub mod settle;
mod sweep;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::catalog::{GcRow, GcState};
use crate::http::problem::Problem;

pub use progress::{Counts, Phase, Progress};

/// Seconds without a sign of life after which a collection counts as abandoned.
const LEASE: i64 = 20;
/// How often it gives one.
const REPORT: Duration = Duration::from_secs(1);
/// How many collections are remembered.
const HISTORY: i64 = 1000;

/// What is to be collected. Equal requests are one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Seconds since the last push after which a closure goes.
    pub older_than: u32,
    /// Seconds after which what failed uploads left goes; also the grace period.
    pub failed_uploads_older_than: u32,
    /// No grace period.
    pub force: bool,
    /// Change nothing, say what would go.
    pub dry_run: bool,
}

impl Request {
    fn grace(&self) -> i64 {
        if self.force {
            0
        } else {
            i64::from(self.failed_uploads_older_than)
        }
    }
}

/// Starts a collection, or joins the one under way when it is the same.
///
/// # Errors
/// 409 when another one is under way.
pub async fn start(app: &Arc<App>, identity: &str, request: &Request) -> Result<GcRow, Problem> {
    let text = serde_json::to_string(request).map_err(Problem::internal)?;
    let token = niks3_nix::base32::encode(&rand::random::<[u8; 20]>());
    let shared = progress::Shared::default();
    let mut tx = app.catalog.write().await?;
    if let Some(running) = tx.running_gc().await? {
        if running.abandoned() {
            tx.end_gc(running.id, GcState::Failed, None, "its server went away")
                .await?;
        } else if running.request == text {
            return Ok(running);
        } else {
            return Err(Problem::conflict(format!(
                "another garbage collection is under way, {}, with other options: wait for its end",
                running.token
            )));
        }
    }
    let id = tx
        .begin_gc(&token, identity, &text, &shared.json(), LEASE)
        .await?;
    tx.trim_gc_runs(HISTORY).await?;
    tx.commit().await?;
    tracing::info!(
        gc = token,
        identity,
        older_than = request.older_than,
        failed_uploads_older_than = request.failed_uploads_older_than,
        force = request.force,
        dry_run = request.dry_run,
        "garbage collection started"
    );
    let row = app
        .catalog
        .gc_run(&token)
        .await?
        .ok_or_else(|| Problem::internal("a garbage collection is gone"))?;
    app.tasks
        .spawn(supervise(app.clone(), id, token, request.clone(), shared));
    Ok(row)
}

/// Does the work, says how far it is, and writes down how it ended.
async fn supervise(app: Arc<App>, id: i64, token: String, request: Request, shared: progress::Shared) {
    let work = run::run(&app, id, &request, &shared);
    let report = async {
        let mut tick = tokio::time::interval(REPORT);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = std::time::Instant::now();
        loop {
            tick.tick().await;
            match app.catalog.report_gc(id, &shared.json(), LEASE).await {
                Ok(true) => last = std::time::Instant::now(),
                Ok(false) => return "it took too long without a sign of life, and another one took over",
                Err(error) => {
                    tracing::warn!(gc = token, %error, "progress could not be written");
                    if last.elapsed() > Duration::from_secs(LEASE.unsigned_abs()) {
                        return "the database does not answer";
                    }
                }
            }
        }
    };
    let (state, error) = tokio::select! {
        result = work => match result {
            Ok(()) => (GcState::Done, String::new()),
            Err(problem) => (GcState::Failed, problem.text()),
        },
        why = report => (GcState::Failed, why.to_owned()),
        () = app.stop.cancelled() => (GcState::Cancelled, "the server stopped; the next one goes on".to_owned()),
    };
    let end = async {
        let mut tx = app.catalog.write().await?;
        tx.end_gc(id, state, Some(&shared.json()), &error).await?;
        tx.commit().await
    };
    if let Err(problem) = end.await {
        tracing::warn!(gc = token, error = %problem, "the end of a garbage collection could not be written");
    }
    let counts = shared.counts();
    if state == GcState::Failed {
        tracing::error!(gc = token, %error, ?counts, "garbage collection failed");
    } else {
        tracing::info!(gc = token, ?state, ?counts, "garbage collection ended");
    }
}
