//! `/metrics`: no names, no secrets, only numbers.

use std::sync::Arc;

use poem::web::Data;
use poem::{IntoResponse as _, Request, Response, handler};

use super::door;
use super::problem::answer;
use crate::app::App;
use crate::error::Error;
use crate::metrics::{CONTENT_TYPE, expose};

/// The metrics of this process and of the cache.
#[handler]
pub(super) async fn scrape(Data(app): Data<&Arc<App>>, request: &Request) -> Response {
    if app.protect_metrics
        && let Err(problem) = door::reader(app, request).await
    {
        return problem.into_response();
    }
    match expose(app).await {
        Ok(text) => Response::builder()
            .content_type(CONTENT_TYPE)
            .header("cache-control", "no-store")
            .body(text),
        Err(error) => answer(Error::internal(error)),
    }
}
