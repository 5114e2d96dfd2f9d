//! Sends objects whose bytes are known: URLs in batches, many PUTs at a time, each until it is through or hopeless.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use niks3_client::{Hint, Retryable, retry};
use niks3_nix::hash::FileHash;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    error::PushError,
    progress::Progress,
    put::{PutError, Remedy, Source, Target, put},
    server::{Checksums, ObjectName, Server, SmallObject, UploadKind},
    small_objects::SmallObjects,
    stop::{First, Stop},
};

/// Objects that finish within this time ask for their URLs together.
const GATHER: Duration = Duration::from_millis(4);
/// What has arrived is told with the next request for URLs, and on its own after this time.
const NEWS: Duration = Duration::from_millis(100);
/// Requests for URLs that are under way at the same time.
const URL_REQUESTS: usize = 4;
/// A URL older than this is asked for again before the next try: it lives a few minutes.
const URL_AGE: Duration = Duration::from_secs(60);

struct UrlRequest {
    object: (ObjectName, Checksums),
    reply: oneshot::Sender<Option<Target>>,
}

/// What all uploads of a push share.
pub(crate) struct Uploader {
    pub(crate) server: Server,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) stop: Stop,
    slots: Semaphore,
    // Whether the object store has ever answered.
    reached: AtomicBool,
    bytes_sent: AtomicU64,
    urls: mpsc::UnboundedSender<UrlRequest>,
    small: Option<SmallObjects>,
    /// NARs that the server is to be told of.
    arrived: mpsc::UnboundedSender<FileHash>,
}

/// One try: what the bucket said, or why there was not even a URL.
enum Attempt {
    Put(PutError),
    /// Nobody has ever answered where it should go.
    NeverReached(PutError),
    Other(PushError),
}

impl Retryable for Attempt {
    fn hint(&self) -> Hint {
        match self {
            Self::Put(error) if error.remedy() == Remedy::NewMultipart => Hint::Never,
            Self::Put(error) => error.hint(),
            Self::NeverReached(_) => Hint::NeverReached,
            Self::Other(_) => Hint::Never,
        }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(error) | Self::NeverReached(error) => error.fmt(f),
            Self::Other(error) => error.fmt(f),
        }
    }
}

/// How a transfer ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It went over the wire, or was there already.
    Done,
    /// The multipart upload it belongs to is gone.
    MultipartGone,
}

impl Uploader {
    /// Starts the task that asks for URLs; it ends with the uploader.
    pub(crate) fn start(
        server: Server,
        max_concurrent: usize,
        progress: Arc<dyn Progress>,
        first: First<PushError>,
        stop: Stop,
    ) -> Arc<Self> {
        let (urls, requests) = mpsc::unbounded_channel();
        let (arrived, news) = mpsc::unbounded_channel();
        let small = SmallObjects::start(&server, max_concurrent, first.clone(), stop.clone());
        tokio::spawn(gather_urls(server.clone(), requests, news, first, stop.clone()));
        Arc::new(Self {
            server,
            progress,
            stop,
            slots: Semaphore::new(max_concurrent.max(1)),
            reached: AtomicBool::new(false),
            bytes_sent: AtomicU64::new(0),
            urls,
            small,
            arrived,
        })
    }

    /// Bytes that went over the wire.
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.bytes_sent.load(Ordering::Relaxed)
    }

    /// Whether an object of so many bytes, and its NAR of so many, rides in a request to the server.
    pub(crate) fn is_small(&self, bytes: u64, nar_size: u64) -> bool {
        self.small
            .as_ref()
            .is_some_and(|small| small.take(bytes, nar_size))
    }

    /// Sends one whole object that is in memory; in a request to the server if it and its NAR of so many bytes are small.
    pub(crate) async fn send_bytes(
        &self,
        name: ObjectName,
        checksums: Checksums,
        bytes: &Bytes,
        nar_size: u64,
    ) -> Result<(), PushError> {
        if let Some(small) = &self.small
            && small.take(checksums.size, nar_size)
        {
            let object = SmallObject {
                name: name.clone(),
                sha256: checksums.sha256,
                bytes: bytes.clone(),
            };
            if small.send(object).await? {
                self.bytes_sent.fetch_add(checksums.size, Ordering::Relaxed);
                self.progress.sent(checksums.size);
                return Ok(());
            }
        }
        self.send(name, checksums, bytes).await
    }

    /// Sends one whole object to an upload URL.
    pub(crate) async fn send(
        &self,
        name: ObjectName,
        checksums: Checksums,
        source: &dyn Source,
    ) -> Result<(), PushError> {
        let what = name.to_string();
        let new_url = || self.object_url(name.clone(), checksums.clone());
        let Some(target) = new_url().await? else {
            return Ok(());
        };
        let nar =
            (name.kind == UploadKind::Nar && self.server.opened.verifies_uploads).then_some(checksums.sha256);
        match self.transfer(&what, target, source, new_url).await? {
            Sent::Done => {
                // Whoever would take it may be gone by then.
                let _ = nar.map(|hash| self.arrived.send(hash));
                Ok(())
            }
            Sent::MultipartGone => Err(PushError::Upload {
                what,
                message: "the object store answers NoSuchUpload".to_owned(),
            }),
        }
    }

    async fn object_url(&self, name: ObjectName, checksums: Checksums) -> Result<Option<Target>, PushError> {
        let (reply, answer) = oneshot::channel();
        let request = UrlRequest {
            object: (name, checksums),
            reply,
        };
        self.urls.send(request).map_err(|_| PushError::Stopped)?;
        answer.await.map_err(|_| PushError::Stopped)
    }

    /// PUTs until it is through; `new_url` gives another URL when one is worn out, or none when the bytes are there.
    pub(crate) async fn transfer<Fut>(
        &self,
        what: &str,
        target: Target,
        source: &dyn Source,
        new_url: impl Fn() -> Fut,
    ) -> Result<Sent, PushError>
    where
        Fut: Future<Output = Result<Option<Target>, PushError>>,
    {
        let known = Mutex::new(Some((target, Instant::now())));
        let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
        // Kept through all tries: an object store that fails should not get all the others meanwhile.
        let _slot = self.slots.acquire().await.map_err(|_| PushError::Stopped)?;
        let sent = retry(self.server.api().policy(), what, || async {
            let usable = lock().take().filter(|(_, since)| since.elapsed() < URL_AGE);
            let (target, since) = match usable {
                Some(usable) => usable,
                None => match new_url().await.map_err(Attempt::Other)? {
                    Some(target) => (target, Instant::now()),
                    None => return Ok(()),
                },
            };
            let result = put(self.server.http(), &target, source).await;
            if result.as_ref().map_or_else(PutError::is_answer, |()| true) {
                self.reached.store(true, Ordering::Relaxed);
            }
            match &result {
                Ok(()) => {
                    self.bytes_sent.fetch_add(source.len(), Ordering::Relaxed);
                    self.progress.sent(source.len());
                }
                Err(error) if error.remedy() == Remedy::Hint => *lock() = Some((target, since)),
                Err(_) => {}
            }
            result.map_err(|error| {
                if error.is_unconnected() && !self.reached.load(Ordering::Relaxed) {
                    Attempt::NeverReached(error)
                } else {
                    Attempt::Put(error)
                }
            })
        })
        .await;
        match sent {
            Ok(()) => Ok(Sent::Done),
            // Another push of the same contents may have ended the upload, this part and all.
            Err(Attempt::Put(error)) if error.remedy() == Remedy::NewMultipart => match new_url().await? {
                None => Ok(Sent::Done),
                Some(_) => Ok(Sent::MultipartGone),
            },
            Err(Attempt::Put(error) | Attempt::NeverReached(error)) => Err(PushError::Upload {
                what: what.to_owned(),
                message: error.to_string(),
            }),
            Err(Attempt::Other(error)) => Err(error),
        }
    }
}

/// Asks for many URLs in one request: whoever finishes while others are asking goes with the next one.
async fn gather_urls(
    server: Server,
    mut requests: mpsc::UnboundedReceiver<UrlRequest>,
    mut news: mpsc::UnboundedReceiver<FileHash>,
    first: First<PushError>,
    stop: Stop,
) {
    let in_flight = Arc::new(Semaphore::new(URL_REQUESTS));
    let mut arrived: Vec<FileHash> = Vec::new();
    loop {
        let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else {
            return;
        };
        let request = tokio::select! {
            request = requests.recv() => match request {
                Some(request) => Some(request),
                None => return,
            },
            Some(hash) = news.recv() => {
                arrived.push(hash);
                tokio::select! {
                    request = requests.recv() => request,
                    () = tokio::time::sleep(NEWS) => None,
                    () = stop.stopped() => return,
                }
            }
            () = stop.stopped() => return,
        };
        tokio::time::sleep(GATHER).await;
        let mut batch: Vec<UrlRequest> = request.into_iter().collect();
        while arrived.len() < server.opened.max_batch
            && let Ok(hash) = news.try_recv()
        {
            arrived.push(hash);
        }
        if batch.is_empty() && requests.is_closed() {
            // What the server was not told of it reads when the push is committed.
            return;
        }
        let arrived = std::mem::take(&mut arrived);
        while batch.len() < server.opened.max_batch {
            match requests.try_recv() {
                Ok(request) => batch.push(request),
                Err(_) => break,
            }
        }
        let (server, first, stop) = (server.clone(), first.clone(), stop.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let (objects, replies): (Vec<_>, Vec<_>) = batch
                .into_iter()
                .map(|request| (request.object, request.reply))
                .unzip();
            let answer = tokio::select! {
                answer = server.uploads(&objects, &arrived) => answer,
                () = stop.stopped() => return,
            };
            match answer {
                Ok(targets) => {
                    for (reply, target) in replies.into_iter().zip(targets) {
                        // Whoever asked may have been stopped meanwhile.
                        let _ = reply.send(target);
                    }
                }
                // What the server was not told it reads when the push is committed, which may have begun meanwhile.
                Err(error) if replies.is_empty() => {
                    tracing::debug!(%error, "the server was not told what has arrived");
                }
                Err(error) => first.fail(error.into()),
            }
        });
    }
}
