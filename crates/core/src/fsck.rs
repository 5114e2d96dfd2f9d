//! Comparing the bucket with the database, and mending what can be mended without guessing.
//!
//! Everything is looked at twice: once beside all that goes on, and what did not fit a
//! second time under the lock of [`niks3_catalog::Catalog::write`], where nothing
//! can be decided, deleted or forgotten. What is found then is found, and what is to be
//! done about it in the database is done before it is released.

mod adopt;
mod check;
mod idle_verification;
mod imports;
mod kind;
mod mend;
mod nars;
mod paths;
mod progress;
mod rest;
mod unknown;

use std::sync::Arc;

use niks3_base::error::Error;
use niks3_catalog::{TaskKind, TaskRow};
use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::tasks::{self, Start};

use check::Check;
pub use idle_verification::verify_when_idle;
pub use kind::Kind;
use progress::Shared;
pub use progress::{Counts, Phase, Progress};

/// How many checks are remembered.
const HISTORY: i64 = 100;

/// What is to be done. Equal requests are one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Mend what can be mended.
    pub repair: bool,
    /// Read every NAR, and compare it with its hashes.
    pub contents: bool,
    /// Say what a repair would do, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Public keys whose signatures are as good as those of this server, for what is adopted.
    #[serde(default)]
    pub trust_keys: Vec<String>,
}

/// Whether a check repairs, by its request as the task has it.
#[must_use]
pub(crate) fn repairs(request: &str) -> bool {
    serde_json::from_str(request).is_ok_and(|request: Request| request.repair)
}

/// Starts a check, joins the one under way when it is the same, or goes on with the last
/// one when that was cut off.
///
/// # Errors
/// `Conflict` when another one is under way.
pub async fn start(app: &Arc<App>, identity: &str, request: &Request) -> Result<TaskRow, Error> {
    let start = Start {
        kind: TaskKind::Fsck,
        identity,
        request: serde_json::to_string(request).map_err(Error::internal)?,
        not_during: None,
        resume: true,
        history: HISTORY,
    };
    let (request, identity) = (request.clone(), identity.to_owned());
    tasks::start(app, start, |app, id, shared: Shared| async move {
        let check = Check {
            app: &app,
            id,
            identity: &identity,
            request: &request,
            shared: &shared,
        };
        paths::run(&check).await?;
        nars::run(&check).await?;
        rest::logs(&check).await?;
        rest::roots(&check).await?;
        unknown::objects(&check).await?;
        unknown::uploads(&check).await?;
        if (request.repair || request.dry_run) && shared.enter(Phase::Mend).is_some() {
            adopt::run(&check).await?;
            if request.repair {
                imports::run(&check).await?;
            }
        }
        shared.enter(Phase::Finished);
        if request.repair && imports::are_settled(&check).await? {
            app.ownership.repaired(id).await?;
        }
        Ok(())
    })
    .await
}
