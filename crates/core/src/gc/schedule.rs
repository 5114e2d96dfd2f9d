//! Collections that a server begins by itself. Several servers of one database share them: each looks when the last one
//! began.

use std::sync::Arc;
use std::time::Duration;

use niks3_base::error::Error;
use niks3_catalog::{TaskKind, now};

use super::Request;
use crate::app::App;

/// How often it is looked whether one is due.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Seconds after which what failed uploads left goes; also the grace period.
const GRACE: u32 = 6 * 3600;
/// Collections among which the last one is looked for that was no dry run.
const RECENT: i64 = 100;
/// Who asks for them.
const IDENTITY: &str = "schedule";

/// When a server begins collections by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// So long after the last one began.
    pub every: Duration,
    /// Seconds since the last push or use after which a closure is deleted where there is no policy.
    pub older_than: u32,
}

/// Begins collections until the server stops.
pub async fn run(app: Arc<App>, schedule: Schedule) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick comes at once.
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = app.stop.cancelled() => return,
        }
        if let Err(problem) = begin_if_due(&app, schedule).await {
            tracing::warn!(
                why = problem.text(),
                "a garbage collection is due and does not begin"
            );
        }
    }
}

async fn begin_if_due(app: &Arc<App>, schedule: Schedule) -> Result<(), Error> {
    let tasks = app.catalog.tasks(TaskKind::Gc, None, RECENT).await?;
    let is_whole = |request: &str| {
        serde_json::from_str::<Request>(request)
            .is_ok_and(|request| !request.dry_run && request.only.is_empty())
    };
    let last = tasks.iter().find(|task| is_whole(&task.request));
    let every = i64::try_from(schedule.every.as_secs()).unwrap_or(i64::MAX);
    if last.is_some_and(|last| last.is_running() || now().saturating_sub(last.started_at) < every) {
        return Ok(());
    }
    let request = Request {
        older_than: schedule.older_than,
        failed_uploads_older_than: GRACE,
        force: false,
        dry_run: false,
        policy: None,
        accept_policy: None,
        only: Vec::new(),
    };
    super::start(app, IDENTITY, &request, false).await.map(drop)
}
