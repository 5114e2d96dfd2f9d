//! Small objects ride in requests to the server, many in one: over a slow line or with a slow object store the requests are what
//! they cost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::{
    error::PushError,
    server::{Server, SmallObject, SmallObjectLimits},
    stop::{First, Stop},
};

/// Objects that finish within this time go together.
const GATHER: Duration = Duration::from_millis(4);
/// Requests in progress at the same time.
const REQUESTS: usize = 4;
/// Most bytes of the objects of one request, in JSON less than the 1 MiB that nginx takes unless told otherwise.
const MAX_REQUEST: u64 = 512 << 10;

struct Queued {
    object: SmallObject,
    /// Whether it was stored.
    reply: oneshot::Sender<bool>,
}

/// What sends them.
pub(crate) struct SmallObjects {
    limits: SmallObjectLimits,
    /// A server that is older than the one that opened the push has been asked.
    unknown: Arc<AtomicBool>,
    queue: mpsc::UnboundedSender<Queued>,
}

impl SmallObjects {
    /// Starts the task that sends them, if the server takes any; it ends with what this gives back.
    pub(crate) fn start(
        server: &Server,
        max_concurrent: usize,
        first: First<PushError>,
        stop: Stop,
    ) -> Option<Self> {
        let limits = server.opened.small_objects.clone()?;
        let (queue, waiting) = mpsc::unbounded_channel();
        let unknown = Arc::new(AtomicBool::new(false));
        let gathering = Gathering {
            server: server.clone(),
            max_objects: limits.max_objects,
            max_bytes: limits.max_request_size.min(MAX_REQUEST),
            in_flight: Arc::new(Semaphore::new(max_concurrent.clamp(1, REQUESTS))),
            unknown: Arc::clone(&unknown),
            first,
            stop,
        };
        tokio::spawn(gathering.run(waiting));
        Some(Self {
            limits,
            unknown,
            queue,
        })
    }

    /// Whether an object of so many bytes, and its NAR of so many, may go this way.
    pub(crate) fn take(&self, bytes: u64, nar_size: u64) -> bool {
        bytes <= self.limits.max_object_size.min(MAX_REQUEST)
            && nar_size <= self.limits.max_nar_size
            && !self.unknown.load(Ordering::Relaxed)
    }

    /// Sends an object, and returns when it is stored; false when it has to go another way.
    pub(crate) async fn send(&self, object: SmallObject) -> Result<bool, PushError> {
        let (reply, stored) = oneshot::channel();
        let queued = Queued { object, reply };
        self.queue.send(queued).map_err(|_| PushError::Stopped)?;
        stored.await.map_err(|_| PushError::Stopped)
    }
}

struct Gathering {
    server: Server,
    max_objects: usize,
    max_bytes: u64,
    in_flight: Arc<Semaphore>,
    unknown: Arc<AtomicBool>,
    first: First<PushError>,
    stop: Stop,
}

impl Gathering {
    /// Sends what waits in one request: whoever finishes while others are sent goes with the next one.
    async fn run(self, mut waiting: mpsc::UnboundedReceiver<Queued>) {
        let mut next: Option<Queued> = None;
        loop {
            let Ok(permit) = Arc::clone(&self.in_flight).acquire_owned().await else {
                return;
            };
            if next.is_none() {
                next = tokio::select! {
                    queued = waiting.recv() => queued,
                    () = self.stop.stopped() => return,
                };
                tokio::time::sleep(GATHER).await;
            }
            let Some(begin) = next.take() else { return };
            let mut bytes = begin.object.bytes.len() as u64;
            let mut batch = vec![begin];
            while batch.len() < self.max_objects
                && let Ok(queued) = waiting.try_recv()
            {
                bytes += queued.object.bytes.len() as u64;
                if bytes > self.max_bytes {
                    next = Some(queued);
                    break;
                }
                batch.push(queued);
            }
            let (server, unknown) = (self.server.clone(), Arc::clone(&self.unknown));
            let (first, stop) = (self.first.clone(), self.stop.clone());
            tokio::spawn(async move {
                let _permit = permit;
                let (objects, replies): (Vec<_>, Vec<_>) = batch
                    .into_iter()
                    .map(|queued| (queued.object, queued.reply))
                    .unzip();
                let sent = tokio::select! {
                    sent = server.put_objects(&objects) => sent,
                    () = stop.stopped() => return,
                };
                match sent {
                    Ok(stored) => {
                        unknown.fetch_or(!stored, Ordering::Relaxed);
                        for reply in replies {
                            // Whoever sent it may have been stopped meanwhile.
                            let _ = reply.send(stored);
                        }
                    }
                    Err(error) => first.fail(error.into()),
                }
            });
        }
    }
}
