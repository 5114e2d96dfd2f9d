//! `/runs`: runs of CI that have pushed. Each verb is a file beside this one.

mod complete;
mod list;
mod record;
mod show;
pub(super) mod statement;
pub(super) mod types;
mod uses;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use super::api_tags::ApiTags;
use super::extract::{Pusher, Reader};
use super::json_body::JsonBody;
use super::problem::ApiProblem;
use crate::app::App;
use crate::error::Error;
use statement::Statement;
use types::{CompleteRun, Filter, ReportUses, ReportedUses, Run, Runs};

/// Operations on runs.
pub struct RunsApi;

#[OpenApi(prefix_path = "/runs", tag = "ApiTags::Runs")]
#[expect(clippy::too_many_arguments, reason = "each is a parameter of the query")]
impl RunsApi {
    /// List runs
    ///
    /// From the newest to the oldest.
    #[oai(path = "/", method = "get", operation_id = "list_runs")]
    async fn list(
        &self,
        Data(app): Data<&Arc<App>>,
        Reader(_who): Reader,
        /// Those in this repository, `owner/name`.
        Query(repository): Query<Option<String>>,
        /// Those of this ref of Git, as `refs/heads/main`.
        Query(r#ref): Query<Option<String>>,
        /// Those of the pull request of this number.
        Query(pull_request): Query<Option<u64>>,
        /// Those recorded at this Unix time or later.
        Query(since): Query<Option<u64>>,
        /// Those recorded before this Unix time.
        Query(until): Query<Option<u64>>,
        /// Those that have pushed the closure of this root, named by its base name.
        Query(closure): Query<Option<String>>,
        /// `next` of the page before.
        Query(after): Query<Option<String>>,
        /// Entries, 100 by default, at most 1000.
        Query(limit): Query<Option<u32>>,
    ) -> Result<Json<Runs>, ApiProblem> {
        let filter = Filter {
            repository,
            git_ref: r#ref,
            pull_request,
            since,
            until,
        };
        Ok(Json(
            list::list(app, filter, closure.as_deref(), after.as_deref(), limit).await?,
        ))
    }

    /// Record a run
    ///
    /// A push records its run by itself; this is for a run that may have nothing to push. The run
    /// of the token's claims, or, with the admin token, the run as stated. Recording it again answers the same
    /// run, with what was not known of it before.
    #[oai(path = "/", method = "post", operation_id = "record_run")]
    async fn record(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        JsonBody(body): JsonBody<Statement>,
    ) -> Result<Json<Run>, ApiProblem> {
        Ok(Json(record::record(app, &who, body).await?))
    }

    /// Show a run
    ///
    /// What it has pushed: `/closures?run={id}`.
    #[oai(path = "/:id", method = "get", operation_id = "get_run")]
    async fn show(
        &self,
        Data(app): Data<&Arc<App>>,
        Reader(_who): Reader,
        Path(id): Path<String>,
    ) -> Result<Json<Run>, ApiProblem> {
        Ok(Json(show::show(app, &id).await?))
    }

    /// Complete a run
    ///
    /// Adds what the claims of its token do not say. For whoever runs in it, and with the admin token.
    #[oai(path = "/:id", method = "patch", operation_id = "complete_run")]
    async fn complete(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
        JsonBody(body): JsonBody<CompleteRun>,
    ) -> Result<Json<Run>, ApiProblem> {
        Ok(Json(complete::complete(app, &who, &id, body).await?))
    }

    /// Report what a run used
    ///
    /// Paths that the run had from the cache instead of building them. A use keeps a closure as a push does; a path that
    /// is no root of a closure becomes one. Paths that the cache does not have are ignored. Reports add up. Only the
    /// identity that recorded the run can report its uses, from within the run.
    #[oai(path = "/:id/uses", method = "post", operation_id = "report_uses")]
    async fn uses(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(id): Path<String>,
        JsonBody(body): JsonBody<ReportUses>,
    ) -> Result<Json<ReportedUses>, ApiProblem> {
        Ok(Json(uses::uses(app, &who, &id, &body).await?))
    }
}

/// What a client calls a run, if it can be one.
///
/// # Errors
/// 404 when nothing can be called that.
pub(super) fn token(id: &str) -> Result<&str, Error> {
    if id.len() > 64 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(unknown(id));
    }
    Ok(id)
}

fn unknown(id: &str) -> Error {
    let shown: String = id.chars().take(64).collect();
    Error::not_found(format!("there is no run {shown:?}"))
}
