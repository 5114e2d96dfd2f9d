//! Garbage collection: what no closure, no pin and no push under way needs goes, and
//! nothing else, whatever happens meanwhile. [`crate::deletion`] is its other half, for commits.

mod by_policy;
mod deletion_by_hand;
mod departures;
mod graph;
pub mod lost_commits;
mod marker;
mod phases;
mod progress;
mod realisations;
mod run;
pub mod schedule;
mod sweep;
mod uploads;
mod versions;

use std::sync::Arc;

use niks3_base::error::Error;
use niks3_base::metrics::GcWatch;
use niks3_catalog::{TaskKind, TaskRow};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::clock;
use crate::fsck;
use crate::tasks::{self, Start};

use progress::Shared;
pub use progress::{Counts, Phase, Progress, QuotaReport, RetentionReport};
pub use schedule::Schedule;

/// How many collections are remembered.
const HISTORY: i64 = 1000;

/// What is to be collected. Equal requests are one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Seconds since the last push or use after which a closure is deleted.
    pub older_than: u32,
    /// Seconds after which what failed uploads left goes; also the grace period.
    pub failed_uploads_older_than: u32,
    /// No grace period.
    pub force: bool,
    /// Change nothing, say what would go.
    pub dry_run: bool,
    /// Text of the policy that a dry run goes by instead of the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Hash of the policy that may release much although it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_policy: Option<String>,
    /// Base names of the roots of closures that were released by hand: only they are deleted, and what nothing needs
    /// without them, at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
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

/// What has to hold before a collection begins. Each check refuses by itself, with a sentence that says
/// how to go on.
async fn preflight(app: &App, accept_clock: bool) -> Result<(), Error> {
    app.ownership.before_deletion().await?;
    believe_clock(app, accept_clock).await
}

/// Refuses to delete by age when the clock cannot be believed, unless somebody says that it is right.
async fn believe_clock(app: &App, accept: bool) -> Result<(), Error> {
    let deviations = clock::deviations(&app.clock, &app.catalog, &app.bucket).await?;
    if deviations.is_empty() {
        return Ok(());
    }
    let deviations = deviations.join("; ");
    if accept {
        tracing::warn!(
            deviations,
            "a garbage collection goes by a clock that somebody has accepted"
        );
        app.clock.accept();
        return Ok(());
    }
    tracing::warn!(deviations, "a garbage collection is held");
    Err(Error::conflict(format!(
        "nothing was deleted, because ages cannot be trusted: {deviations}; set the clock and restart the server, \
         or say --accept-clock (accept_clock in the API) if the clock is right"
    )))
}

/// Refuses to delete by age alone while another server of this database has a policy.
async fn same_policy_everywhere(app: &App) -> Result<(), Error> {
    if app.retention.policy.is_some() {
        return Ok(());
    }
    let others = app
        .catalog
        .policies_of_other_servers(&app.retention.instance)
        .await?;
    match others.first() {
        None => Ok(()),
        Some(hash) => Err(Error::conflict(format!(
            "nothing was deleted: another server of this database has the retention policy {hash}, and this one has none; \
             start this one with the same --retention-config"
        ))),
    }
}

/// Starts to delete closures that were released by hand, named by their roots, with what nothing else needs.
///
/// # Errors
/// `Conflict` when a collection is in progress.
pub async fn delete_now(app: &Arc<App>, identity: &str, roots: Vec<String>) -> Result<TaskRow, Error> {
    let request = Request {
        older_than: 0,
        failed_uploads_older_than: 0,
        force: true,
        dry_run: false,
        policy: None,
        accept_policy: None,
        only: roots,
    };
    start(app, identity, &request, false).await
}

/// Starts a collection, or joins the one under way when it is the same. A clock that looks wrong holds
/// it, unless `accept_clock`.
///
/// # Errors
/// `Conflict` when another one is under way, or a check holds it.
pub async fn start(
    app: &Arc<App>,
    identity: &str,
    request: &Request,
    accept_clock: bool,
) -> Result<TaskRow, Error> {
    if request.only.is_empty() {
        preflight(app, accept_clock).await?;
        same_policy_everywhere(app).await?;
    } else {
        app.ownership.before_deletion().await?;
    }
    let start = Start {
        kind: TaskKind::Gc,
        identity,
        request: serde_json::to_string(request).map_err(Error::internal)?,
        // A repair adopts closures that are old, and what keeps them (pins, references) after them.
        not_during: Some((TaskKind::Fsck, fsck::repairs)),
        resume: false,
        history: HISTORY,
    };
    let request = request.clone();
    tasks::start(app, start, |app, id, shared: Shared| async move {
        let mut watch = GcWatch::new(request.dry_run, || shared.get().counts.into());
        let ended = phases::run(&app, id, &request, &shared).await;
        watch.ended(ended.is_ok());
        ended
    })
    .await
}
