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
use niks3_client::{Hint, Retryable, describe, is_certificate, is_temporary_name_failure, retry_after};
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
    Transport { message: String, fault: Fault },
    /// It fell silent.
    Silent,
    /// The server handed out something that cannot be sent.
    BadTarget(String),
}

/// Where it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There was no connection.
    NoConnection,
    /// One of the two does not trust the other's certificate.
    Certificate,
    /// There was one, and it ended.
    BrokenOff,
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
    /// Whether the object store has answered.
    pub(crate) const fn is_answer(&self) -> bool {
        matches!(self, Self::Status { .. })
    }

    /// Whether nobody may be there at all.
    pub(crate) const fn is_unconnected(&self) -> bool {
        matches!(
            self,
            Self::Transport {
                fault: Fault::NoConnection,
                ..
            }
        )
    }

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
                409 => Hint::Again(*retry_after),
                400 | 401 | 403 => Hint::FewTimes,
                _ => Hint::of_status(*status, *retry_after),
            },
            Self::Transport {
                fault: Fault::Certificate,
                ..
            }
            | Self::BadTarget(_) => Hint::Never,
            Self::Transport { .. } | Self::Silent => Hint::Again(None),
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
            Self::Transport { message, .. } => f.write_str(message),
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
    put_within(SILENCE, http, target, source).await
}

async fn put_within(
    patience: Duration,
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
        () = silence(patience, start, &last_sign) => Err(PutError::Silent),
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

/// The URL carries a signature: of it, only the host is part of a message.
fn transport(error: reqwest::Error) -> PutError {
    if error.is_builder() {
        return PutError::BadTarget("the server gave an upload URL that is none".to_owned());
    }
    let host = error.url().map_or_else(String::new, |url| {
        format!(" at {}", url.origin().ascii_serialization())
    });
    let fault = if is_certificate(&error) {
        Fault::Certificate
    } else if error.is_connect() && !is_temporary_name_failure(&error) {
        Fault::NoConnection
    } else {
        Fault::BrokenOff
    };
    PutError::Transport {
        message: format!("cannot reach the object store{host}: {}", describe(&error)),
        fault,
    }
}

async fn silence(patience: Duration, start: Instant, last_sign: &AtomicU64) {
    loop {
        let last = start + Duration::from_millis(last_sign.load(Ordering::Relaxed));
        let deadline = last + patience;
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
        for passing in [408, 429, 500, 503, 507, 521] {
            assert_eq!(status(passing, "SlowDown").hint(), Hint::Again(None));
        }
        assert_eq!(status(413, "EntityTooLarge").hint(), Hint::Never);
        assert_eq!(PutError::Silent.hint(), Hint::Again(None));
    }

    /// A service that takes a request and answers with some bytes again and again, a moment apart.
    fn trickling(head: &'static [u8], again: &'static [u8]) -> Target {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/object", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 65536]);
            let _ = stream.write_all(head);
            while stream.write_all(again).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Target {
            url,
            headers: HashMap::new(),
        }
    }

    #[tokio::test]
    async fn a_service_that_falls_silent_or_never_ends_its_answer_is_noticed() {
        let body = Bytes::from_static(b"bytes");
        for (head, again) in [
            (&b""[..], &b""[..]),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", b"x"),
            (b"HTTP/1.1 500 No\r\ncontent-length: 1000000\r\n\r\n", b"x"),
        ] {
            let target = trickling(head, again);
            let http = reqwest::Client::new();
            let result = put_within(Duration::from_millis(300), &http, &target, &body).await;
            assert!(matches!(result, Err(PutError::Silent)), "{result:?}");
        }
    }

    #[tokio::test]
    async fn bytes_stream_as_they_are() {
        let bytes = Bytes::from((0..400_000_u32).map(|i| i as u8).collect::<Vec<_>>());
        let chunks: Vec<_> = bytes.stream().map(Result::unwrap).collect().await;
        assert!(chunks.len() > 1);
        assert_eq!(chunks.concat(), bytes);
    }
}
