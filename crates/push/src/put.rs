//! One PUT of known bytes to a URL that the server signed; a peer that goes silent is noticed.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use niks3_client::{Hint, Retryable, retry_after};
use reqwest::{
    Body, StatusCode,
    header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue},
};

/// Neither a byte taken nor an answer for this long: the peer is gone.
const SILENCE: Duration = Duration::from_secs(60);
const CHUNK: usize = 128 * 1024;
const MAX_ERROR_BODY: usize = 16 * 1024;

/// Where bytes go.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) headers: HashMap<String, String>,
}

/// A body that can be sent again.
pub(crate) trait Source: Send + Sync {
    fn len(&self) -> u64;
    fn stream(&self) -> std::pin::Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;
}

impl Source for Bytes {
    fn len(&self) -> u64 {
        Self::len(self) as u64
    }

    fn stream(&self) -> std::pin::Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>> {
        let mut rest = self.clone();
        Box::pin(futures::stream::iter(std::iter::from_fn(move || {
            let chunk = rest.split_to(rest.len().min(CHUNK));
            (!chunk.is_empty()).then_some(Ok(chunk))
        })))
    }
}

/// Why a PUT failed.
#[derive(Debug)]
pub(crate) enum PutError {
    /// The object store answered.
    Status {
        status: StatusCode,
        code: String,
        message: String,
        retry_after: Option<Duration>,
    },
    /// It did not.
    Transport(String),
    /// It fell silent.
    Silent,
    /// The server handed out something that cannot be sent.
    BadTarget(String),
}

/// What to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The URL is worn out: ask for another one.
    NewUrl,
    /// The multipart upload that the part belongs to is gone.
    NewMultipart,
    /// What `Hint` says, with the same URL.
    Hint,
}

impl PutError {
    pub(crate) fn remedy(&self) -> Remedy {
        match self {
            Self::Status { code, .. } if code == "NoSuchUpload" => Remedy::NewMultipart,
            // Expired, signed by a key that was rotated, or damaged on the way.
            Self::Status { status, .. } if matches!(status.as_u16(), 400 | 401 | 403) => Remedy::NewUrl,
            _ => Remedy::Hint,
        }
    }
}

impl Retryable for PutError {
    fn hint(&self) -> Hint {
        match self {
            Self::Status {
                status, retry_after, ..
            } => match status.as_u16() {
                408 | 409 | 425 | 429 | 502 | 503 | 504 => Hint::Again(*retry_after),
                400 | 401 | 403 | 500 => Hint::FewTimes,
                _ => Hint::Never,
            },
            Self::Transport(_) | Self::Silent => Hint::Again(None),
            Self::BadTarget(_) => Hint::Never,
        }
    }
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status {
                status,
                code,
                message,
                ..
            } => {
                write!(f, "the object store answers HTTP {}", status.as_u16())?;
                match (code.is_empty(), message.is_empty()) {
                    (true, _) => Ok(()),
                    (false, true) => write!(f, " ({code})"),
                    (false, false) => write!(f, " ({code}: {message})"),
                }
            }
            Self::Transport(message) => write!(f, "no connection to the object store: {message}"),
            Self::Silent => write!(f, "the object store has not answered for {} s", SILENCE.as_secs()),
            Self::BadTarget(message) => f.write_str(message),
        }
    }
}

/// Sends `source` to `target`.
pub(crate) async fn put(
    http: &reqwest::Client,
    target: &Target,
    source: &dyn Source,
) -> Result<(), PutError> {
    let start = Instant::now();
    let last_sign = Arc::new(AtomicU64::new(0));
    let body = if source.len() == 0 {
        Body::from(Vec::new())
    } else {
        let last_sign = Arc::clone(&last_sign);
        Body::wrap_stream(source.stream().inspect(move |_| {
            let now = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
            last_sign.store(now, Ordering::Relaxed);
        }))
    };
    let mut headers = headers(target)?;
    headers.insert(CONTENT_LENGTH, HeaderValue::from(source.len()));
    let request = http.put(&target.url).headers(headers).body(body).send();
    let sent = async {
        let response = request.await.map_err(transport)?;
        answer(response).await
    };
    tokio::select! {
        result = sent => result,
        () = silence(start, &last_sign) => Err(PutError::Silent),
    }
}

fn headers(target: &Target) -> Result<HeaderMap, PutError> {
    let bad = |_| PutError::BadTarget("the server gave headers for an upload that cannot be sent".to_owned());
    let mut headers = HeaderMap::with_capacity(target.headers.len() + 1);
    for (name, value) in &target.headers {
        let name = HeaderName::try_from(name).map_err(|_| bad(()))?;
        // Host follows from the URL, and is signed as such.
        if name != reqwest::header::HOST {
            headers.insert(name, HeaderValue::try_from(value).map_err(|_| bad(()))?);
        }
    }
    Ok(headers)
}

async fn answer(mut response: reqwest::Response) -> Result<(), PutError> {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let mut body = Vec::new();
    // Read to its end, so that the connection is used again.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(MAX_ERROR_BODY - body.len().min(MAX_ERROR_BODY))]);
    }
    if status.is_success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&body);
    let field = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(
            rest.split_once('<')?
                .0
                .chars()
                .filter(|c| !c.is_control())
                .take(300)
                .collect::<String>(),
        )
    };
    let (code, message) = (
        field("Code").unwrap_or_default(),
        field("Message").unwrap_or_default(),
    );
    Err(PutError::Status {
        status,
        code,
        message,
        retry_after,
    })
}

/// The URL carries a signature: it is never part of a message.
fn transport(error: reqwest::Error) -> PutError {
    let error = error.without_url();
    if error.is_builder() {
        return PutError::BadTarget("the server gave an upload URL that is none".to_owned());
    }
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    PutError::Transport(cause.to_string())
}

async fn silence(start: Instant, last_sign: &AtomicU64) {
    loop {
        let last = start + Duration::from_millis(last_sign.load(Ordering::Relaxed));
        let deadline = last + SILENCE;
        if Instant::now() >= deadline {
            return;
        }
        tokio::time::sleep_until(deadline.into()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, code: &str) -> PutError {
        PutError::Status {
            status: StatusCode::from_u16(status).unwrap(),
            code: code.to_owned(),
            message: String::new(),
            retry_after: None,
        }
    }

    #[test]
    fn an_expired_url_is_replaced_a_slow_store_is_waited_for_and_a_refusal_is_final() {
        assert_eq!(status(403, "AccessDenied").remedy(), Remedy::NewUrl);
        assert_eq!(status(400, "BadDigest").remedy(), Remedy::NewUrl);
        assert_eq!(status(404, "NoSuchUpload").remedy(), Remedy::NewMultipart);
        assert_eq!(status(503, "SlowDown").hint(), Hint::Again(None));
        assert_eq!(status(413, "EntityTooLarge").hint(), Hint::Never);
        assert_eq!(PutError::Silent.hint(), Hint::Again(None));
    }

    #[tokio::test]
    async fn bytes_stream_as_they_are() {
        let bytes = Bytes::from((0..400_000_u32).map(|i| i as u8).collect::<Vec<_>>());
        let chunks: Vec<_> = bytes.stream().map(Result::unwrap).collect().await;
        assert!(chunks.len() > 1);
        assert_eq!(chunks.concat(), bytes);
    }
}
