//! `/retention`: how long closures stay, and why. Each verb is a file beside this one.

mod explain;
mod open_pulls;
mod types;
mod usage;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use super::api_tags::ApiTags;
use super::extract::{Collector, Reader};
use super::json_body::JsonBody;
use super::problem::ApiProblem;
use crate::app::App;
use crate::error::Error;
use types::{Explanation, GroupBy, KeptOpenPulls, OpenPulls, Usage};

/// Operations on retention.
pub struct RetentionApi;

#[OpenApi(prefix_path = "/retention", tag = "ApiTags::Gc")]
impl RetentionApi {
    /// Explain what keeps a path
    ///
    /// Any path that the cache has, by its base name: the closures that hold it, what each push and use does for them, and
    /// what the next garbage collection does. Reads all references and uses; one such request is answered at a time.
    #[oai(path = "/explain/:path", method = "get", operation_id = "explain_retention")]
    async fn explain(
        &self,
        Data(app): Data<&Arc<App>>,
        Reader(_who): Reader,
        Path(path): Path<String>,
    ) -> Result<Json<Explanation>, ApiProblem> {
        Ok(Json(explain::explain(app, &path).await?))
    }

    /// State the open pull requests of a repository
    ///
    /// The complete list. A pull request that is missing, and whose newest run is older than the list, counts as closed; a
    /// later list or run opens it again. A list that is older than the one before changes nothing.
    #[oai(path = "/open-pulls", method = "put", operation_id = "put_open_pulls")]
    async fn open_pulls(
        &self,
        Data(app): Data<&Arc<App>>,
        Collector(identity): Collector,
        JsonBody(body): JsonBody<OpenPulls>,
    ) -> Result<Json<KeptOpenPulls>, ApiProblem> {
        Ok(Json(open_pulls::put(app, &identity, body).await?))
    }
}

/// What the cache holds, and for whom.
pub struct UsageApi;

#[OpenApi(tag = "ApiTags::Gc")]
impl UsageApi {
    /// Show what closures hold
    ///
    /// All of them, and by the rule that keeps them or by the repository whose jobs have pushed or used them. Reads all
    /// references; one such request is answered at a time.
    #[oai(path = "/usage", method = "get", operation_id = "get_usage")]
    async fn usage(
        &self,
        Data(app): Data<&Arc<App>>,
        Reader(_who): Reader,
        /// Into which groups.
        Query(by): Query<Option<GroupBy>>,
    ) -> Result<Json<Usage>, ApiProblem> {
        Ok(Json(usage::usage(app, by).await?))
    }
}
