//! Bounds on what a request may bring: bytes, and the time to bring them.

use std::time::Duration;

use poem::error::ReadBodyError;
use poem::http::header;
use poem::{Body, Endpoint, IntoResponse as _, Request, Response, Result};
use tokio::io::AsyncReadExt as _;

use super::problem::Problem;

/// Bytes of a request's JSON body.
pub const MAX_BODY: usize = 32 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(120);

/// Reads the body within the bounds before anything looks at it.
pub async fn layer<E: Endpoint<Output = Response>>(next: E, mut request: Request) -> Result<Response> {
    let too_large = || {
        Problem::too_large(format!(
            "a request body may have {MAX_BODY} bytes; send it in smaller batches"
        ))
    };
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > MAX_BODY as u64) {
        drain(request.take_body()).await;
        return Ok(too_large().into_response());
    }
    let body = request.take_body();
    match tokio::time::timeout(BODY_TIMEOUT, body.into_bytes_limit(MAX_BODY)).await {
        Ok(Ok(bytes)) => request.set_body(Body::from_bytes(bytes)),
        Ok(Err(ReadBodyError::PayloadTooLarge)) => return Ok(too_large().into_response()),
        Ok(Err(_)) => return Ok(Problem::malformed("the request body ended before its end").into_response()),
        Err(_) => return Ok(Problem::malformed("the request body took too long").into_response()),
    }
    next.call(request).await
}

/// Takes some of a body that is too long, so that its sender gets to read why.
async fn drain(body: Body) {
    let mut some = body.into_async_read().take(2 * MAX_BODY as u64);
    let mut nowhere = tokio::io::sink();
    let _ = tokio::time::timeout(Duration::from_secs(10), tokio::io::copy(&mut some, &mut nowhere)).await;
}
