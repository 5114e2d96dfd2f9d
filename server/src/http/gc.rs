//! `/gc`: garbage collections, each a task of the server that goes on without its client.

mod closures;
mod list;
mod restore_released;
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
use types::{GcClosures, GcRun, GcRuns, RestoredClosures, StartGc};

/// Operations on garbage collections.
pub struct GcApi;

#[derive(ApiResponse)]
enum Accepted {
    /// Under way.
    #[oai(status = 202)]
    Accepted(Json<GcRun>),
}

#[OpenApi(prefix_path = "/gc", tag = "ApiTags::Gc")]
impl GcApi {
    /// Collect garbage
    ///
    /// Begins a garbage collection, or joins the one under way if that has the same options;
    /// 409 if it has others, or if the clock of the server looks wrong. It goes on in the server: ask for its status.
    #[oai(path = "/", method = "post", operation_id = "start_gc")]
    async fn start(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(who): Collector,
        JsonBody(body): JsonBody<StartGc>,
    ) -> Result<Accepted, ApiProblem> {
        Ok(Accepted::Accepted(Json(start::start(app, &who, &body).await?)))
    }

    /// List garbage collections
    ///
    /// From the newest to the oldest.
    #[oai(path = "/", method = "get", operation_id = "list_gc")]
    async fn list(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(_who): Collector,
        /// `next` of the page before.
        Query(after): Query<Option<String>>,
        /// Entries, 100 by default, at most 1000.
        Query(limit): Query<Option<u32>>,
    ) -> Result<Json<GcRuns>, ApiProblem> {
        Ok(Json(list::list(app, after.as_deref(), limit).await?))
    }

    /// Show a garbage collection
    #[oai(path = "/:id", method = "get", operation_id = "get_gc")]
    async fn show(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(_who): Collector,
        Path(id): Path<String>,
    ) -> Result<Json<GcRun>, ApiProblem> {
        Ok(Json(show::show(app, &id).await?))
    }

    /// List the closures that a garbage collection let go
    ///
    /// Of a dry run: those that it would let go. Known once it has marked.
    #[oai(path = "/:id/closures", method = "get", operation_id = "list_gc_closures")]
    async fn closures(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(_who): Collector,
        Path(id): Path<String>,
        /// `next` of the page before.
        Query(after): Query<Option<u64>>,
        /// Entries, 100 by default, at most 1000.
        Query(limit): Query<Option<u32>>,
    ) -> Result<Json<GcClosures>, ApiProblem> {
        Ok(Json(closures::closures(app, &id, after, limit).await?))
    }

    /// Restore what a garbage collection has released
    ///
    /// All closures that it has released and that are still there, as pushes without a run would.
    #[oai(path = "/:id/restore", method = "post", operation_id = "restore_gc")]
    async fn restore_released(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(identity): Collector,
        Path(id): Path<String>,
    ) -> Result<Json<RestoredClosures>, ApiProblem> {
        Ok(Json(
            restore_released::restore_released(app, &identity.name(), &id).await?,
        ))
    }
}

/// The garbage collection of that id.
async fn find(app: &App, id: &str) -> Result<TaskRow, Error> {
    let unknown = || {
        Error::not_found(format!(
            "there is no garbage collection {:?}",
            id.chars().take(64).collect::<String>()
        ))
    };
    if id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(unknown());
    }
    app.catalog.task(TaskKind::Gc, id).await?.ok_or_else(unknown)
}
