//! HTTP: the API, the pages that describe it, the bucket's contents, and the
//! embedded S3 service, on one port.

pub mod api;
mod api_tags;
mod bucket;
pub mod cache_config;
pub mod closures;
mod dashboard;
mod described;
mod extract;
pub mod fsck;
mod gc;
mod health;
mod json_body;
mod limits;
mod metrics;
mod operation;
mod original_api;
pub mod paths;
pub mod pins;
mod presented;
pub mod problem;
mod protocol;
pub mod pushes;
mod read_access;
mod request_id;
mod request_schema;
mod retention;
pub mod runs;
mod s3_endpoint;
mod task_state;
pub mod tokens;
mod upload_base;
pub mod whoami;
mod wire;

use std::sync::Arc;

use poem::endpoint::BoxEndpoint;
use poem::http::{StatusCode, header};
use poem::{Endpoint, EndpointExt as _, IntoResponse as _, Request, Response, Result, Route};

use crate::app::App;
use crate::error::Error;
use problem::Problem;
pub use s3_endpoint::S3Endpoint;

const NOTHING: &str = "there is nothing under this path";

/// Everything the server answers.
pub fn endpoint(app: &Arc<App>, s3: Option<(String, S3Endpoint)>) -> BoxEndpoint<'static, Response> {
    let api = api::service();
    let document = api::document(&api);
    let described = Arc::new(described::Described::new(&document));
    let schemas = Arc::new(request_schema::RequestSchemas::new(&document));
    let limits = Arc::new(limits::BodyLimits::new(described.clone()));
    let bucket = s3.as_ref().map(|(bucket, _)| bucket.as_str());
    let operations = Arc::new(operation::Operations::new(&document, bucket));
    let docs = api.rapidoc();
    let limited = original_api::add_to(dashboard::add_to(Route::new()))
        .nest("/api/v1", api)
        .at("/health", poem::get(health::health))
        .at("/ready", poem::get(health::ready))
        .at("/metrics", poem::get(metrics::scrape))
        .at(
            "/openapi.json",
            poem::get(poem::endpoint::make_sync(move |_| {
                Response::builder()
                    .content_type("application/json")
                    .body(document.clone())
            })),
        )
        .nest("/docs", docs)
        .at("/*key", bucket::endpoint)
        .at("/", bucket::endpoint)
        .data(schemas)
        .map_to_response()
        .around(move |next, request| {
            let described = described.clone();
            async move { described::layer(&described, next, request).await }
        })
        .around(|next, request| async move { protocol::layer(next, request).await })
        .around(move |next, request| {
            let limits = limits.clone();
            async move { limits::layer(&limits, next, request).await }
        })
        .catch_all_error(|error| async move { plain_error(error) });
    let route = match s3 {
        // The signature covers the path, so the service has to see it as it came.
        Some((bucket, s3)) => {
            let service = Arc::new(s3);
            Route::new()
                .at(format!("/{bucket}"), service.clone())
                .at(format!("/{bucket}/*key"), service)
                .nest_no_strip("/", limited)
                .boxed()
        }
        None => limited.boxed(),
    };
    route
        .data(app.clone())
        .around(move |next, request| {
            let operations = operations.clone();
            async move { request_id::layer(&operations, Readable(next), request).await }
        })
        .map_to_response()
        .boxed()
}

/// Every path that leads anywhere is text. The framework calls others malformed, in its own words.
struct Readable<E>(E);

impl<E: Endpoint> Endpoint for Readable<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let path = percent_encoding::percent_decode_str(request.uri().path());
        if path.decode_utf8().is_err() {
            return Ok(problem::answer(Error::not_found(NOTHING)));
        }
        Ok(self.0.call(request).await?.into_response())
    }
}

/// The answer to a request whose head is longer than the server reads.
pub fn head_too_large() -> Response {
    Response::builder()
        .status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
        .header(header::CONNECTION, "close")
        .finish()
}

/// Failures before a handler come as plain text; they leave as problems.
fn plain_error(error: poem::Error) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }
    let status = error.status();
    let detail = match status {
        StatusCode::UNAUTHORIZED => "this needs a token: Authorization: Bearer TOKEN".to_owned(),
        StatusCode::NOT_FOUND => NOTHING.to_owned(),
        status if status.is_server_error() => return problem::answer(Error::internal(error)),
        _ => error.to_string().chars().take(500).collect(),
    };
    Problem::from_status(status, detail).into_response()
}
