//! A proxy that goes wrong where it is told to.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::eventually::comes_about;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status, and with `Retry-After: 0`; nobody else sees it.
    Status(u16),
    /// It is answered with 503, which asks for so many seconds.
    Patience(u64),
    /// It is carried out, and the answer lost: the connection ends.
    LoseAnswer,
    /// It is taken, and nothing happens any more.
    Silence,
    /// One bit of its body is another.
    FlipBit,
    /// It takes this long.
    Delay(Duration),
    /// It waits until [`FaultProxy::release`], then goes on.
    Hold,
    /// It waits until [`FaultProxy::release`]; then the connection ends, and nobody else has seen it.
    HoldAndLose,
    /// It is carried out; the answer waits until [`FaultProxy::release`], and is lost then.
    HoldAnswerAndLose,
    /// Its token is one that the server does not know.
    WrongToken,
    /// A byte of its body is missing, and the connection ends.
    CutBody,
}

#[derive(Debug)]
struct Rule {
    method: &'static str,
    words: String,
    fault: Fault,
    times: usize,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// Requests that have met their fault, which has not happened to them yet.
    meeting: usize,
    requests: Vec<String>,
    answers: Vec<(String, u16)>,
    authorized: Vec<String>,
    sent: u64,
    released: Arc<tokio::sync::Notify>,
    headers: hyper::HeaderMap,
    unknown: Option<&'static str>,
    without_small_objects: bool,
}

/// A proxy before an HTTP server.
#[derive(Debug, Clone)]
pub struct FaultProxy {
    state: Arc<Mutex<State>>,
    port: u16,
}

impl FaultProxy {
    /// Listens on a free port, for a server at an address like `http://127.0.0.1:1234`.
    pub async fn before(target: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self {
            state: Arc::default(),
            port,
        };
        let (state, target) = (proxy.state.clone(), target.trim_end_matches('/').to_owned());
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let (state, target, client) = (state.clone(), target.clone(), client.clone());
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        answer(state.clone(), client.clone(), target.clone(), request)
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        proxy
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Lets something go wrong with the next `times` requests of a method (any, if
    /// empty) whose path and query contain each word of a text, and none of its words
    /// that begin with `!`.
    pub fn fail(&self, method: &'static str, words: &str, fault: Fault, times: usize) {
        self.state.lock().unwrap().rules.push(Rule {
            method,
            words: words.to_owned(),
            fault,
            times,
        });
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.state.lock().unwrap().rules.clear();
    }

    /// Gives a header of all requests that have it another value on the way.
    pub fn replace_header(&self, name: &'static str, value: &str) {
        let value = value.parse().unwrap();
        self.state.lock().unwrap().headers.insert(name, value);
    }

    /// Refuses every request with a header whose name begins so, as services do that do not know it.
    pub fn refuse_headers(&self, beginning: &'static str) {
        self.state.lock().unwrap().unknown = Some(beginning);
    }

    /// Lets the server not know the operation that takes small objects, like one of an older version: clients use upload URLs.
    pub fn without_small_objects(&self) {
        self.state.lock().unwrap().without_small_objects = true;
    }

    /// Lets everything go on that is held now.
    pub fn release(&self) {
        self.state.lock().unwrap().released.notify_waiters();
    }

    /// Waits until every fault has happened.
    pub async fn happened(&self) {
        comes_about("a fault", || self.pending() == 0).await;
    }

    /// How many faults have not happened yet. One has happened when a request that goes
    /// no further has been read to its end, or when one that does has been answered.
    #[must_use]
    pub fn pending(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.meeting + state.rules.iter().map(|rule| rule.times).sum::<usize>()
    }

    /// `METHOD path` of every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }

    /// `METHOD path` and status of every request that was carried out so far; the status
    /// is 502 when the server did not answer.
    #[must_use]
    pub fn answers(&self) -> Vec<(String, u16)> {
        self.state.lock().unwrap().answers.clone()
    }

    /// `METHOD path` of every request so far that had an `Authorization` header.
    #[must_use]
    pub fn authorized(&self) -> Vec<String> {
        self.state.lock().unwrap().authorized.clone()
    }

    /// Bytes of bodies that went to the server in PUT requests which it answered.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.state.lock().unwrap().sent
    }

    /// Waits until a request has come whose line contains a text.
    pub async fn seen(&self, part: &str) {
        comes_about(part, || {
            self.requests().iter().any(|request| request.contains(part))
        })
        .await;
    }
}

/// A request that has met its fault; the fault has happened when this is dropped.
struct Meeting(Arc<Mutex<State>>);

impl Drop for Meeting {
    fn drop(&mut self) {
        self.0.lock().unwrap().meeting -= 1;
    }
}

type Answer = Result<Response<http_body_util::combinators::BoxBody<Bytes, reqwest::Error>>, std::io::Error>;

fn empty(status: u16) -> Answer {
    come_back(status, 0)
}

fn come_back(status: u16, seconds: u64) -> Answer {
    let body = Full::new(Bytes::new())
        .map_err(|never: Infallible| match never {})
        .boxed();
    let response = Response::builder()
        .status(status)
        .header("retry-after", seconds)
        .body(body);
    response.map_err(std::io::Error::other)
}

async fn answer(
    state: Arc<Mutex<State>>,
    client: reqwest::Client,
    target: String,
    request: Request<Incoming>,
) -> Answer {
    let (mut head, body) = request.into_parts();
    let mut path = head
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let (fault, released) = {
        let mut locked = state.lock().unwrap();
        for (name, value) in &locked.headers {
            if let Some(found) = head.headers.get_mut(name) {
                found.clone_from(value);
            }
        }
        if locked.without_small_objects && path.starts_with("/api/") && path.ends_with("/objects") {
            path.push_str("-of-a-later-version");
        }
        locked.requests.push(format!("{} {path}", head.method));
        if head.headers.contains_key("authorization") {
            locked.authorized.push(format!("{} {path}", head.method));
        }
        if let Some(unknown) = locked.unknown
            && head.headers.keys().any(|name| name.as_str().starts_with(unknown))
        {
            return empty(400);
        }
        let rule = locked.rules.iter_mut().find(|rule| {
            rule.times > 0
                && (rule.method.is_empty() || head.method == rule.method)
                && rule.words.split(' ').all(|word| match word.strip_prefix('!') {
                    Some(word) => !path.contains(word),
                    None => path.contains(word),
                })
        });
        let fault = rule.map(|rule| {
            rule.times -= 1;
            rule.fault.clone()
        });
        locked.meeting += usize::from(fault.is_some());
        // It counts from here: what is released right after was held already.
        (fault, locked.released.clone().notified_owned())
    };
    let mut meeting = fault.is_some().then(|| Meeting(Arc::clone(&state)));
    let mut released = std::pin::pin!(released);
    let mut body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    match &fault {
        Some(Fault::Status(status)) => return empty(*status),
        Some(Fault::Patience(seconds)) => return come_back(503, *seconds),
        Some(Fault::Silence) => {
            drop(meeting);
            return std::future::pending().await;
        }
        Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
        Some(Fault::Hold) => {
            drop(meeting.take());
            released.as_mut().await;
        }
        Some(Fault::HoldAndLose) => {
            drop(meeting);
            released.as_mut().await;
            return Err(std::io::Error::other("lost"));
        }
        Some(Fault::WrongToken) => {
            let wrong = hyper::header::HeaderValue::from_static("Bearer one-that-has-ended");
            head.headers.insert(hyper::header::AUTHORIZATION, wrong);
        }
        Some(Fault::FlipBit) if !body.is_empty() => {
            let mut bytes = body.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            body = bytes.into();
        }
        Some(Fault::CutBody) => {
            // The server hears of a body that never comes to its end.
            let half = body.slice(..body.len() / 2);
            let stream = futures::stream::iter([Ok(half), Err(std::io::Error::other("cut"))]);
            let sent = client
                .request(head.method, format!("{target}{path}"))
                .headers(head.headers)
                .body(reqwest::Body::wrap_stream(stream))
                .send()
                .await;
            return Err(std::io::Error::other(format!("cut: {:?}", sent.is_ok())));
        }
        _ => {}
    }
    let size = body.len() as u64;
    let line = format!("{} {path}", head.method);
    let put = head.method == "PUT" && !path.contains("/api/");
    let sent = client
        .request(head.method, format!("{target}{path}"))
        .headers(head.headers)
        .body(body)
        .send()
        .await;
    let status = sent.as_ref().map_or(502, |sent| sent.status().as_u16());
    {
        let mut state = state.lock().unwrap();
        state.answers.push((line, status));
        if put && (200..300).contains(&status) {
            state.sent += size;
        }
    }
    let Ok(sent) = sent else { return empty(502) };
    if matches!(fault, Some(Fault::LoseAnswer | Fault::HoldAnswerAndLose)) {
        let _ = sent.bytes().await;
        drop(meeting);
        if fault == Some(Fault::HoldAnswerAndLose) {
            released.as_mut().await;
        }
        return Err(std::io::Error::other("lost"));
    }
    let mut response = Response::builder().status(sent.status());
    if let Some(headers) = response.headers_mut() {
        headers.clone_from(sent.headers());
        headers.remove("transfer-encoding");
    }
    let stream = sent
        .bytes_stream()
        .map(|chunk| chunk.map(hyper::body::Frame::data));
    response
        .body(BodyExt::boxed(http_body_util::StreamBody::new(SyncStream(
            Mutex::new(stream),
        ))))
        .map_err(std::io::Error::other)
}

/// A stream that is only ever polled through an exclusive reference.
struct SyncStream<S>(Mutex<S>);

impl<S: futures::Stream + Unpin> futures::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let stream = self.0.get_mut().unwrap();
        stream.poll_next_unpin(context)
    }
}
