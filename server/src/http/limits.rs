//! Bounds on what a request may bring: bytes, and the time to bring them.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use poem::http::header;
use poem::{Body, Endpoint, IntoResponse as _, Request, Response, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::Semaphore;

use super::described::Described;
use super::problem::Problem;
use crate::app::App;
use crate::auth::Door;

/// Bytes of a request's JSON body.
pub const MAX_BODY: usize = 32 << 20;
/// Bytes of a body that anybody may send, whoever they are and wherever to.
const SMALL_BODY: usize = 8 << 10;
/// Bytes of larger bodies that the process holds at once.
const HELD: usize = 4 * MAX_BODY;
/// How long a request may wait for its share of them.
const HELD_WAIT: Duration = Duration::from_secs(10);
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// How long nothing of it may come.
const SILENCE: Duration = Duration::from_secs(30);

/// What bodies are measured by.
#[derive(Debug)]
pub(super) struct BodyLimits {
    described: Arc<Described>,
    /// A permit a byte.
    held: Semaphore,
}

impl BodyLimits {
    /// Bodies belong to the operations that ask for one.
    pub(super) fn new(described: Arc<Described>) -> Self {
        Self {
            described,
            held: Semaphore::new(HELD),
        }
    }
}

/// Reads the body within the bounds before anything looks at it. What is more than small is read
/// only for those whom the server knows, as far as there is memory for it.
pub(super) async fn layer<E>(limits: &BodyLimits, next: E, mut request: Request) -> Result<Response>
where
    E: Endpoint<Output = Response>,
{
    let headers = request.headers();
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    // Whoever asks before sending has nothing under way.
    let asks = headers.contains_key(header::EXPECT);
    let most = match limits
        .described
        .takes_body(request.method(), request.uri().path())
    {
        true => MAX_BODY,
        false => SMALL_BODY,
    };
    let expected = match declared {
        Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
        None if chunked => most,
        None => 0,
    };
    let body = request.take_body();
    let mut body = body.into_async_read();
    let admitted = async {
        if expected > most {
            return Err(too_large(most));
        }
        if expected <= SMALL_BODY {
            return Ok(None);
        }
        admit(&mut request).await?;
        let bytes = u32::try_from(expected).unwrap_or(u32::MAX);
        match tokio::time::timeout(HELD_WAIT, limits.held.acquire_many(bytes)).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            _ => Err(Problem::unavailable(
                "the server has as many large requests at hand as it can hold",
                5,
            )),
        }
    };
    // Kept until the request is answered: until then somebody may hold the bytes.
    let mut permit = match admitted.await {
        Ok(permit) => permit,
        Err(problem) => {
            if !asks {
                drain(&mut body).await;
            }
            return Ok(problem.into_response());
        }
    };
    let gathered = gather(&mut body, expected, most);
    let gathered = tokio::time::timeout(BODY_TIMEOUT, gathered).await;
    match gathered.unwrap_or_else(|_| Err(too_slow())) {
        Ok(bytes) => {
            // A body without a length may have been much smaller.
            if let Some(all) = &mut permit {
                drop(all.split(all.num_permits().saturating_sub(bytes.len())));
            }
            request.set_body(Body::from_bytes(bytes));
        }
        Err(problem) => {
            if problem.status() == 413 {
                drain(&mut body).await;
            }
            return Ok(problem.into_response());
        }
    }
    drop(body);
    let answer = next.call(request).await;
    drop(permit);
    answer
}

/// Finds out who sends a request, and notes it for the operation.
async fn admit(request: &mut Request) -> Result<(), Problem> {
    let app = request.data::<Arc<App>>().cloned();
    let app = app.ok_or_else(|| Problem::internal("a request without the application"))?;
    let identity = app.auth.identify(request, Door::Api).await?;
    request.set_data(identity);
    Ok(())
}

fn too_large(most: usize) -> Problem {
    Problem::too_large(match most {
        MAX_BODY => format!("a request body may have {MAX_BODY} bytes; send it in smaller batches"),
        _ => format!("nothing here takes a request body of more than {most} bytes"),
    })
}

fn too_slow() -> Problem {
    Problem::malformed("the request body took too long")
}

async fn gather(body: &mut (impl AsyncRead + Unpin), expected: usize, most: usize) -> Result<Bytes, Problem> {
    // One more than that is needed to see the end.
    let mut bytes = BytesMut::with_capacity(expected.min(most) + 1);
    loop {
        let read = tokio::time::timeout(SILENCE, body.read_buf(&mut bytes)).await;
        match read.map_err(|_| too_slow())? {
            Ok(0) => return Ok(bytes.freeze()),
            Ok(_) if bytes.len() > most => return Err(too_large(most)),
            Ok(_) => {}
            Err(_) => return Err(Problem::malformed("the request body ended before its end")),
        }
    }
}

/// Takes some of a body that nobody wants, so that its sender gets to read why.
async fn drain(body: &mut (impl AsyncRead + Unpin)) {
    let mut some = body.take(2 * MAX_BODY as u64);
    let mut nowhere = tokio::io::sink();
    let _ = tokio::time::timeout(Duration::from_secs(10), tokio::io::copy(&mut some, &mut nowhere)).await;
}
