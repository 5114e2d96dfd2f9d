//! `/paths`: single store paths in the cache. Each verb is a file beside this one.

mod show;
mod types;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;

use super::api_tags::ApiTags;
use super::extract::Reader;
use super::problem::ApiProblem;
use crate::app::App;
use crate::error::Error;
use types::CachedPath;

/// Operations on paths.
pub struct PathsApi;

#[OpenApi(prefix_path = "/paths", tag = "ApiTags::Cache")]
impl PathsApi {
    /// Show a path
    ///
    /// Named by its base name: what its narinfo says, and what keeps it.
    #[oai(path = "/:path", method = "get", operation_id = "get_path")]
    async fn show(
        &self,
        Data(app): Data<&Arc<App>>,
        Reader(_who): Reader,
        Path(path): Path<String>,
    ) -> Result<Json<CachedPath>, ApiProblem> {
        Ok(Json(show::show(app, &path).await?))
    }
}
