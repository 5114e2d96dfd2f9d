//! `/metrics`: no names, no secrets, only numbers.

mod gauges;

use std::fmt;
use std::sync::Arc;

use poem::web::Data;
use poem::{IntoResponse as _, Request, Response, handler};
use prometheus_client::encoding::text;

use super::problem::answer;
use super::read_access;
use crate::app::App;
use crate::error::Error;
use crate::metrics::metrics;

/// `Content-Type` of the exposition.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of this process and of the cache.
#[handler]
pub(super) async fn scrape(Data(app): Data<&Arc<App>>, request: &Request) -> Response {
    if app.protect_metrics
        && let Err(problem) = read_access::reader(app, request).await
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

/// The exposition: what was counted, and what there is now.
async fn expose(app: &App) -> Result<String, fmt::Error> {
    let counts = app.cache_stats.current(&app.catalog).await;
    let now = gauges::registry(app, counts.as_deref());
    let mut text = String::with_capacity(64 << 10);
    text::encode_registry(&mut text, metrics().registry())?;
    text::encode_registry(&mut text, &now)?;
    text::encode_eof(&mut text)?;
    Ok(text)
}
