//! Bounds on what a request may bring: bytes, and the time to bring them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use memmap2::MmapMut;
use poem::http::header;
use poem::{Body, Endpoint, Request, Response, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::described::Described;
use super::presented::presented;
use super::problem::answer;
use crate::app::App;
use crate::auth::{AuthContext, Identity};
use crate::error::{Error, ErrorKind};

/// Bytes of a request's JSON body.
pub const MAX_BODY: usize = 32 << 20;
/// Bytes of a body that anybody may send, whoever they are and wherever to.
const SMALL_BODY: usize = 8 << 10;
/// Bytes of larger bodies that the process holds at once.
const HELD: usize = 4 * MAX_BODY;
/// Bytes of those that one identity may have in progress, so that others have room however slowly it sends.
const SHARE: usize = HELD / 4;
/// Bytes of a body that are in one piece; the parser frees each piece when it has read it.
const BLOCK: usize = 1 << 20;
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
    held: Arc<Semaphore>,
    /// What each identity with large bodies in progress may still have of them.
    shares: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The memory of a large body: a part of what the process holds, and of the share of its sender.
type Reserved = [OwnedSemaphorePermit; 2];

impl BodyLimits {
    /// Bodies belong to the operations that ask for one.
    pub(super) fn new(described: Arc<Described>) -> Self {
        Self {
            described,
            held: Arc::new(Semaphore::new(HELD)),
            shares: Mutex::default(),
        }
    }

    /// The share of an identity.
    fn share(&self, identity: &str) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|_, share| share.strong_count() > 0);
        if let Some(share) = shares.get(identity).and_then(Weak::upgrade) {
            return share;
        }
        let share = Arc::new(Semaphore::new(SHARE));
        shares.insert(identity.to_owned(), Arc::downgrade(&share));
        share
    }

    /// Waits for room for so many bytes of an identity's body.
    async fn reserve(&self, identity: &str, bytes: usize) -> Result<Reserved, Error> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let until = tokio::time::Instant::now() + HELD_WAIT;
        // The share first: who waits for that holds nothing that others need.
        let share = tokio::time::timeout_at(until, self.share(identity).acquire_many_owned(bytes)).await;
        let Ok(Ok(share)) = share else {
            return Err(Error::too_many(
                format!(
                    "the large requests of {identity} that are in progress have {} MiB, the most that one identity may send at once: wait for one to end",
                    SHARE >> 20
                ),
                5,
            ));
        };
        match tokio::time::timeout_at(until, self.held.clone().acquire_many_owned(bytes)).await {
            Ok(Ok(held)) => Ok([held, share]),
            _ => Err(Error::unavailable(
                "the server has as many large requests at hand as it can hold",
                5,
            )),
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
        let identity = admit(&mut request).await?;
        limits.reserve(&identity.name(), expected).await.map(Some)
    };
    // Kept until the request is answered: until then somebody may hold the bytes.
    let mut reserved = match admitted.await {
        Ok(reserved) => reserved,
        Err(problem) => {
            if !asks {
                drain(&mut body).await;
            }
            return Ok(answer(problem));
        }
    };
    let gathered = gather(&mut body, expected, most);
    let gathered = tokio::time::timeout(BODY_TIMEOUT, gathered).await;
    match gathered.unwrap_or_else(|_| Err(too_slow())) {
        Ok(blocks) => {
            // A body without a length may have been much smaller.
            let bytes = blocks.iter().map(Bytes::len).sum::<usize>();
            for permit in reserved.iter_mut().flatten() {
                drop(permit.split(permit.num_permits().saturating_sub(bytes)));
            }
            request.set_body(in_blocks(blocks));
        }
        Err(problem) => {
            if matches!(problem.kind(), ErrorKind::TooLarge) {
                drain(&mut body).await;
            }
            return Ok(answer(problem));
        }
    }
    drop(body);
    let answer = next.call(request).await;
    drop(reserved);
    answer
}

/// Finds out who sends a request, and notes it for the operation.
async fn admit(request: &mut Request) -> Result<Identity, Error> {
    let app = request.data::<Arc<App>>().cloned();
    let app = app.ok_or_else(|| Error::internal("a request without the application"))?;
    let identity = app.auth.identify(presented(request), AuthContext::Api).await?;
    request.set_data(identity.clone());
    Ok(identity)
}

fn too_large(most: usize) -> Error {
    Error::too_large(match most {
        MAX_BODY => format!("a request body may have {MAX_BODY} bytes; send it in smaller batches"),
        _ => format!("nothing here takes a request body of more than {most} bytes"),
    })
}

fn too_slow() -> Error {
    Error::malformed("the request body took too long")
}

/// Reads a body into blocks.
async fn gather(
    body: &mut (impl AsyncRead + Unpin),
    expected: usize,
    most: usize,
) -> Result<Vec<Bytes>, Error> {
    // One more than that is needed to see the end.
    let mut first = vec![0; (expected.min(most) + 1).min(BLOCK)];
    let mut bytes = fill(body, &mut first).await?;
    let mut ended = bytes < first.len();
    first.truncate(bytes);
    let mut blocks = vec![Bytes::from(first)];
    while !ended {
        // Unlike memory of the allocator, a mapping is free again at once, whichever thread drops it.
        let mut block = MmapMut::map_anon(BLOCK)
            .map_err(|error| Error::unavailable("the server has no memory left", 5).with_cause(error))?;
        let read = fill(body, &mut block).await?;
        bytes += read;
        if bytes > most {
            return Err(too_large(most));
        }
        ended = read < BLOCK;
        blocks.push(Bytes::from_owner(block).slice(..read));
    }
    Ok(blocks)
}

/// Reads until a block is full, or the body has ended; how much.
async fn fill(body: &mut (impl AsyncRead + Unpin), block: &mut [u8]) -> Result<usize, Error> {
    let mut filled = 0;
    while filled < block.len() {
        let read = tokio::time::timeout(SILENCE, body.read(&mut block[filled..])).await;
        match read.map_err(|_| too_slow())? {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(_) => return Err(Error::malformed("the request body ended before its end")),
        }
    }
    Ok(filled)
}

/// A body that has arrived.
fn in_blocks(mut blocks: Vec<Bytes>) -> Body {
    match blocks.len() {
        0 | 1 => Body::from_bytes(blocks.pop().unwrap_or_default()),
        _ => Body::from_bytes_stream(futures::stream::iter(
            blocks.into_iter().map(Ok::<_, std::io::Error>),
        )),
    }
}

/// Takes some of a body that nobody wants, so that its sender gets to read why.
async fn drain(body: &mut (impl AsyncRead + Unpin)) {
    let mut some = body.take(2 * MAX_BODY as u64);
    let mut nowhere = tokio::io::sink();
    let _ = tokio::time::timeout(Duration::from_secs(10), tokio::io::copy(&mut some, &mut nowhere)).await;
}
