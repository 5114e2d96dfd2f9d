//! What the log says of the request that is being answered, in whatever work it began.

use std::sync::Arc;

use tracing::Instrument as _;

tokio::task_local! {
    static REQUEST: Arc<str>;
}

/// The id of the request being answered; empty outside of one.
#[must_use]
pub fn request_id() -> String {
    REQUEST.try_with(|id| id.to_string()).unwrap_or_default()
}

/// Does work as the answer to the request with this id.
pub async fn in_request<T>(id: Arc<str>, work: impl Future<Output = T>) -> T {
    REQUEST.scope(id, work).await
}

/// Adds to the log lines of the current request who sends it.
pub fn note_identity(name: &str) {
    tracing::Span::current().record("identity", name);
}

/// Adds to the log lines of the current request which push it is about.
pub fn note_push(token: &str) {
    tracing::Span::current().record("push", token);
}

/// Runs work that a client going away must not cut short, under the request's id.
pub fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    let id: Arc<str> = request_id().into();
    tokio::spawn(REQUEST.scope(id, work.in_current_span()))
}
