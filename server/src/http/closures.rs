//! `/closures`: what pushes have put into the cache. Each verb is a file beside this one.

mod delete;
mod list;
mod restore_closure;
mod show;
mod types;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use super::api_tags::ApiTags;
use super::extract::{Collector, Reader};
use super::problem::ApiProblem;
use super::runs::types::Filter;
use crate::app::App;
use crate::closures::Options;
use crate::error::Error;
use types::{Closure, Closures, DeletedClosures};

/// Operations on closures.
pub struct ClosuresApi;

#[OpenApi(prefix_path = "/closures", tag = "ApiTags::Runs")]
#[expect(clippy::too_many_arguments, reason = "each is a parameter of the query")]
impl ClosuresApi {
    /// List closures
    ///
    /// From the one pushed last to the one not pushed for longest; one that is pushed while pages are read moves to
    /// the first. Several conditions on runs hold for one and the same run.
    #[oai(path = "/", method = "get", operation_id = "list_closures")]
    async fn list(
        &self,
        Data(app): Data<&Arc<App>>,
        Reader(_who): Reader,
        /// Those that a run in this repository, `owner/name`, has pushed.
        Query(repository): Query<Option<String>>,
        /// Those that a run of this ref of Git has pushed.
        Query(r#ref): Query<Option<String>>,
        /// Those that a run of the pull request of this number has pushed.
        Query(pull_request): Query<Option<u64>>,
        /// Those last pushed at this Unix time or later.
        Query(since): Query<Option<u64>>,
        /// Those last pushed before this Unix time.
        Query(until): Query<Option<u64>>,
        /// Those that the run of this id has pushed.
        Query(run): Query<Option<String>>,
        /// `next` of the page before.
        Query(after): Query<Option<String>>,
        /// Entries, 100 by default and at most.
        Query(limit): Query<Option<u32>>,
    ) -> Result<Json<Closures>, ApiProblem> {
        let filter = Filter {
            repository,
            git_ref: r#ref,
            pull_request,
            since,
            until,
        };
        Ok(Json(
            list::list(app, filter, run.as_deref(), after.as_deref(), limit).await?,
        ))
    }

    /// Show a closure
    ///
    /// Named by the base name of its root. The runs that have pushed it: `/runs?closure={root}`.
    #[oai(path = "/:root", method = "get", operation_id = "get_closure")]
    async fn show(
        &self,
        Data(app): Data<&Arc<App>>,
        Reader(_who): Reader,
        Path(root): Path<String>,
    ) -> Result<Json<Closure>, ApiProblem> {
        Ok(Json(show::show(app, &root).await?))
    }

    /// Delete a closure
    ///
    /// It is released: it can be restored until the undo time is over, and it comes back when somebody pushes or uses it.
    /// With `now`, a garbage collection deletes it at once, with all that nothing else needs. 409 if a pin or a push in
    /// progress needs it. Of a path that is no root, the answer has the closures that contain it, and nothing is deleted;
    /// with `contains`, these are.
    #[oai(path = "/:root", method = "delete", operation_id = "delete_closure")]
    async fn delete(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(identity): Collector,
        Path(root): Path<String>,
        /// Without the undo time and the grace period.
        Query(now): Query<Option<bool>>,
        /// Also closures that contain the path.
        Query(contains): Query<Option<bool>>,
    ) -> Result<Json<DeletedClosures>, ApiProblem> {
        let options = Options {
            now: now.unwrap_or_default(),
            contains: contains.unwrap_or_default(),
        };
        Ok(Json(delete::delete(app, &identity.name(), &root, options).await?))
    }

    /// Restore a closure
    ///
    /// As a push of its root without a run would.
    #[oai(path = "/:root/restore", method = "post", operation_id = "restore_closure")]
    async fn restore_closure(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(identity): Collector,
        Path(root): Path<String>,
    ) -> Result<Json<Closure>, ApiProblem> {
        Ok(Json(
            restore_closure::restore_closure(app, &identity.name(), &root).await?,
        ))
    }
}
