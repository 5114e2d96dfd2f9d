//! Every request has an id: in its log lines, its problem and its answer.

use std::sync::Arc;

use poem::http::HeaderValue;
use poem::{Endpoint, IntoResponse, Request, Response, Result};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::operation::Operations;
use crate::metrics::metrics;
use crate::telemetry;

/// Gives every request an id, a log line and its place in the metrics, and its answer the
/// protocol version.
pub async fn layer<E: Endpoint>(operations: &Operations, next: E, request: Request) -> Result<Response> {
    let id: Arc<str> = hex::encode(rand::random::<[u8; 8]>()).into();
    let span = tracing::info_span!("request", request_id = %id, identity = Empty, push = Empty);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let operation = operations.of(&method, &path);
    if let Some(push) = operation.push {
        span.record("push", push);
    }
    let operation = operation.name;
    let under_way = metrics().request_begins();
    telemetry::in_request(
        id.clone(),
        async move {
            let started = std::time::Instant::now();
            let mut response = match next.call(request).await {
                Ok(response) => response.into_response(),
                Err(error) => error.into_response(),
            };
            let headers = response.headers_mut();
            if let Ok(value) = HeaderValue::from_str(&id) {
                headers.insert("x-request-id", value);
            }
            headers.insert(super::protocol::HEADER, super::protocol::value());
            drop(under_way);
            let (status, took) = (response.status().as_u16(), started.elapsed());
            metrics().answered(&operation, status, took);
            if !method.is_safe() && path.starts_with(super::operation::API) {
                // Who and which push are fields of the span.
                tracing::info!(%method, operation = &*operation, status, result = result(status), "audit");
            }
            tracing::debug!(
                %method,
                path,
                operation = &*operation,
                status,
                milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "answered"
            );
            Ok(response)
        }
        .instrument(span),
    )
    .await
}

/// What became of a request that was to change something.
const fn result(status: u16) -> &'static str {
    match status {
        200..=299 => "done",
        401 | 403 | 429 => "refused",
        400..=499 => "rejected",
        _ => "failed",
    }
}
