//! `/fsck`: checks of bucket and database, each a task of the server that goes on without
//! its client.

mod findings;
mod list;
mod show;
mod start;
mod types;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

use super::api_tags::ApiTags;
use super::extract::Collector;
use super::json_body::JsonBody;
use super::problem::ApiProblem;
use super::wire::page;
use crate::app::App;
use crate::catalog::{TaskKind, TaskRow};
use crate::error::Error;
use types::{Findings, FsckRun, FsckRuns, StartFsck};

/// Operations on checks.
pub struct FsckApi;

#[derive(ApiResponse)]
enum Accepted {
    /// Under way.
    #[oai(status = 202)]
    Accepted(Json<FsckRun>),
}

#[OpenApi(prefix_path = "/fsck", tag = "ApiTags::Fsck")]
impl FsckApi {
    /// Compare bucket and database
    ///
    /// Begins a check, joins the one under way if that has the same options, or goes on with the
    /// last one if that was cut off; 409 if one with other options is under way. It goes on in
    /// the server: ask for its status.
    #[oai(path = "/", method = "post", operation_id = "start_fsck")]
    async fn start(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(who): Collector,
        JsonBody(body): JsonBody<StartFsck>,
    ) -> Result<Accepted, ApiProblem> {
        Ok(Accepted::Accepted(Json(start::start(app, &who, &body).await?)))
    }

    /// List checks
    ///
    /// From the newest to the oldest.
    #[oai(path = "/", method = "get", operation_id = "list_fsck")]
    async fn list(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(_who): Collector,
        /// `next` of the page before.
        Query(after): Query<Option<String>>,
        /// Entries, 100 by default, at most 1000.
        Query(limit): Query<Option<u32>>,
    ) -> Result<Json<FsckRuns>, ApiProblem> {
        Ok(Json(list::list(app, after.as_deref(), limit).await?))
    }

    /// Show a check
    #[oai(path = "/:id", method = "get", operation_id = "get_fsck")]
    async fn show(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(_who): Collector,
        Path(id): Path<String>,
    ) -> Result<Json<FsckRun>, ApiProblem> {
        Ok(Json(show::show(app, &id).await?))
    }

    /// List what a check has found
    ///
    /// Known as soon as it is found.
    #[oai(path = "/:id/findings", method = "get", operation_id = "list_fsck_findings")]
    async fn findings(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(_who): Collector,
        Path(id): Path<String>,
        /// `next` of the page before.
        Query(after): Query<Option<u64>>,
        /// Entries, 100 by default, at most 1000.
        Query(limit): Query<Option<u32>>,
    ) -> Result<Json<Findings>, ApiProblem> {
        Ok(Json(findings::findings(app, &id, after, limit).await?))
    }
}

/// The check of that id.
async fn find(app: &App, id: &str) -> Result<TaskRow, Error> {
    let unknown = || {
        Error::not_found(format!(
            "there is no check {:?}",
            id.chars().take(64).collect::<String>()
        ))
    };
    if id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(unknown());
    }
    app.catalog.task(TaskKind::Fsck, id).await?.ok_or_else(unknown)
}
