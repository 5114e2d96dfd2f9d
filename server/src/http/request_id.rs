//! Every request has an id: in its log lines, its problem and its answer.

use std::sync::Arc;

use poem::http::HeaderValue;
use poem::{Endpoint, IntoResponse, Request, Response, Result};
use tracing::Instrument as _;

tokio::task_local! {
    static CURRENT: Arc<str>;
}

/// The id of the request being answered; empty outside of one.
#[must_use]
pub fn current() -> String {
    CURRENT.try_with(|id| id.to_string()).unwrap_or_default()
}

/// Gives every request an id and a log line, and its answer the protocol version.
pub async fn layer<E: Endpoint>(next: E, request: Request) -> Result<Response> {
    let id: Arc<str> = hex::encode(rand::random::<[u8; 8]>()).into();
    let span = tracing::info_span!("request", request_id = %id);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    CURRENT
        .scope(
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
                tracing::debug!(
                    %method,
                    path,
                    status = response.status().as_u16(),
                    milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "answered"
                );
                Ok(response)
            }
            .instrument(span),
        )
        .await
}

/// Runs work that a client going away must not cut short, under the request's id.
pub fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    let id: Arc<str> = current().into();
    tokio::spawn(CURRENT.scope(id, work.in_current_span()))
}
