//! `/pins`: names that keep closures in the cache. Each verb is a file beside this one.

mod create;
mod delete;
mod list;
mod show;
mod types;

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, OpenApi};

use super::api_tags::ApiTags;
use super::extract::{Pusher, Reader};
use super::json_body::JsonBody;
use super::problem::ApiProblem;
use crate::app::App;
use crate::error::Error;
use crate::pin_name::PinName;
use types::{CreatePin, Pin, Pins};

/// Operations on pins.
pub struct PinsApi;

#[derive(ApiResponse)]
enum Deleted {
    /// It is gone.
    #[oai(status = 204)]
    Deleted,
}

#[OpenApi(prefix_path = "/pins", tag = "ApiTags::Pins")]
impl PinsApi {
    /// List pins
    ///
    /// In the order of their names.
    #[oai(path = "/", method = "get", operation_id = "list_pins")]
    async fn list(
        &self,
        Data(app): Data<&Arc<App>>,
        Reader(_who): Reader,
        /// `next` of the page before.
        Query(after): Query<Option<String>>,
        /// Entries, 100 by default, at most 1000.
        Query(limit): Query<Option<u32>>,
    ) -> Result<Json<Pins>, ApiProblem> {
        Ok(Json(list::list(app, after.as_deref(), limit).await?))
    }

    /// Show a pin
    #[oai(path = "/:name", method = "get", operation_id = "get_pin")]
    async fn show(
        &self,
        Data(app): Data<&Arc<App>>,
        Reader(_who): Reader,
        Path(name): Path<String>,
    ) -> Result<Json<Pin>, ApiProblem> {
        Ok(Json(show::show(app, &parse(&name)?).await?))
    }

    /// Pin a path
    ///
    /// Keeps the closure of a path that is in the cache, and writes `pins/{name}` into the bucket.
    /// A pin of that name is moved.
    #[oai(path = "/:name", method = "put", operation_id = "create_pin")]
    async fn create(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(name): Path<String>,
        JsonBody(body): JsonBody<CreatePin>,
    ) -> Result<Json<Pin>, ApiProblem> {
        let name = parse(&name)?;
        who.require_pin(&name.to_string())?;
        Ok(Json(create::create(app, &name, &body).await?))
    }

    /// Delete a pin
    ///
    /// Lets go of its closure, and deletes `pins/{name}` from the bucket.
    #[oai(path = "/:name", method = "delete", operation_id = "delete_pin")]
    async fn delete(
        &self,
        Data(app): Data<&Arc<App>>,
        Pusher(who): Pusher,
        Path(name): Path<String>,
    ) -> Result<Deleted, ApiProblem> {
        let name = parse(&name)?;
        who.require_pin(&name.to_string())?;
        delete::delete(app, &name).await?;
        Ok(Deleted::Deleted)
    }
}

fn parse(name: &str) -> Result<PinName, Error> {
    name.parse().map_err(|why: String| Error::invalid("name", why))
}
