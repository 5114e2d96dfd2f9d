//! Serves a queue: waits for something to push, pushes it, and ends when it is told to or nothing comes any more.

use std::{
    collections::HashSet,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use niks3_nix::store_path::{StoreDir, StorePath};
use niks3_push::CancellationToken;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    sync::Notify,
};

use crate::{
    engine::{Engine, Pusher, Round},
    folder::Folder,
    process::Process,
    roots::Roots,
    socket::QueueListener,
    wire::{Line, MAX_LINE, Paths, PathsAnswer, Request, Status},
};

/// How often the files are looked at though nobody rang.
const LOOK: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// A server that is away is tried this often before what waits is given up, once no more is to come.
const LAST_TRIES: u32 = 2;
/// What a caller has to say comes at once.
const CALLER: Duration = Duration::from_secs(5);

/// How to serve.
#[derive(Debug, Default)]
pub struct ServeOptions {
    /// Where to be woken and asked.
    pub listener: Option<QueueListener>,
    /// Store directory, for roots of what waits; none are made without it.
    pub store_dir: Option<StoreDir>,
    /// End after nothing has come for this long.
    pub idle_exit: Option<Duration>,
    /// No more is to come: push what waits within this time, then end.
    pub drain: Option<Duration>,
    /// End when this process has.
    pub until: Option<Process>,
    /// End at once.
    pub stop: CancellationToken,
    /// Bytes sent so far, for the status.
    pub sent: Arc<AtomicU64>,
}

/// Why serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// What waited is pushed, and no more is to come.
    Drained,
    /// What waited has been given up.
    GivenUp,
    /// Nothing came for long enough.
    Idle,
    /// It was told to, or what it serves is gone.
    Stopped,
}

struct Shared {
    folder: Folder,
    store_dir: Option<StoreDir>,
    status: Mutex<Status>,
    sent: Arc<AtomicU64>,
    wake: Notify,
    /// When to have pushed what waits.
    deadline: Mutex<Option<Instant>>,
    /// Ends the push under way.
    interrupt: CancellationToken,
    stop: CancellationToken,
}

impl Shared {
    fn status(&self, change: impl FnOnce(&mut Status)) -> Status {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut status);
        status.bytes_sent = self.sent.load(Ordering::Relaxed);
        status.clone()
    }

    /// Puts what somebody has sent through the socket into the folder.
    fn enqueue(&self, Paths { paths }: &Paths) -> PathsAnswer {
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let enqueued = match &self.store_dir {
            Some(store_dir) => self
                .folder
                .enqueue(store_dir, &paths)
                .map_err(|error| error.to_string()),
            None => Err("this queue takes no paths through its socket".to_owned()),
        };
        match enqueued {
            Ok(()) => {
                self.wake.notify_one();
                PathsAnswer::Ok
            }
            Err(message) => PathsAnswer::Error { message },
        }
    }

    fn deadline(&self) -> Option<Instant> {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(self: &Arc<Self>, within: Duration) {
        let deadline = Instant::now() + within;
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            shared.interrupt.cancel();
            shared.wake.notify_one();
        });
        self.wake.notify_one();
    }
}

/// Serves until there is a reason to end. The caller holds the lock of the folder.
pub async fn serve<P: Pusher>(engine: &Engine<P>, options: ServeOptions) -> io::Result<Ending> {
    let shared = Arc::new(Shared {
        folder: engine.folder.clone(),
        store_dir: options.store_dir.clone(),
        status: Mutex::default(),
        sent: options.sent,
        wake: Notify::new(),
        deadline: Mutex::default(),
        interrupt: options.stop.child_token(),
        stop: options.stop,
    });
    if let Some(within) = options.drain {
        shared.drain(within);
    }
    let everything = async {
        tokio::join!(
            answer(options.listener, &shared),
            keep(engine, options.store_dir.as_ref()),
            watch(options.until, &shared)
        );
    };
    tokio::select! {
        ending = work(engine, &shared, options.idle_exit) => ending,
        () = everything => Ok(Ending::Stopped),
    }
}

async fn work<P: Pusher>(
    engine: &Engine<P>,
    shared: &Arc<Shared>,
    idle_exit: Option<Duration>,
) -> io::Result<Ending> {
    let mut idle_since = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut last_tries = 0;
    loop {
        if shared.stop.is_cancelled() {
            return Ok(Ending::Stopped);
        }
        let batches = match engine.folder.waiting() {
            Ok(waiting) => waiting.batches,
            // Whoever the queue belonged to has cleaned up.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ending::Stopped),
            Err(error) => return Err(error),
        };
        let waiting: HashSet<&StorePath> = batches.iter().flat_map(|batch| &batch.paths).collect();
        shared.status(|status| status.waiting = waiting.len());
        let deadline = shared.deadline();
        if batches.is_empty() {
            if deadline.is_some() {
                return Ok(Ending::Drained);
            }
            if idle_exit.is_some_and(|limit| idle_since.elapsed() >= limit) {
                return Ok(Ending::Idle);
            }
            rest(shared, LOOK).await;
            continue;
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let trouble = shared.status(|_| {}).trouble;
            let trouble = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
            engine.give_up(&format!("not pushed in the time there was{trouble}"))?;
            return Ok(Ending::GivenUp);
        }
        match engine.round(&batches, &shared.interrupt).await? {
            Round::Done => {
                (pause, last_tries) = (FIRST_PAUSE, 0);
                shared.status(|status| (status.trouble, status.lasting) = (None, false));
            }
            Round::Interrupted => {}
            Round::Later { error, passing } => {
                let draining = shared.deadline().is_some();
                last_tries += u32::from(draining);
                if draining && (!passing || last_tries >= LAST_TRIES) {
                    engine.give_up(&error)?;
                    return Ok(Ending::GivenUp);
                }
                tracing::warn!("nothing can be pushed for {} s: {error}", pause.as_secs());
                shared.status(|status| {
                    status.trouble = Some(error);
                    status.lasting = !passing;
                    status.failures += 1;
                });
                rest(shared, pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        idle_since = Instant::now();
    }
}

async fn rest(shared: &Shared, time: Duration) {
    tokio::select! {
        () = shared.wake.notified() => {}
        () = shared.stop.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}

/// Keeps roots of what waits, and of nothing else.
async fn keep<P: Pusher>(engine: &Engine<P>, store_dir: Option<&StoreDir>) {
    let Some(store_dir) = store_dir else {
        return std::future::pending().await;
    };
    let mut roots = Roots::of(&engine.folder, store_dir);
    loop {
        if let Ok(waiting) = engine.folder.waiting() {
            roots
                .add(waiting.batches.iter().flat_map(|batch| &batch.paths))
                .await;
        }
        if let Ok(waiting) = engine.folder.waiting() {
            let paths = waiting
                .batches
                .into_iter()
                .flat_map(|batch| batch.paths)
                .collect();
            let _ = roots.retain(&paths);
        }
        tokio::time::sleep(LOOK / 4).await;
    }
}

/// Ends what serves for a process that is gone.
async fn watch(until: Option<Process>, shared: &Shared) {
    let Some(process) = until else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(LOOK).await;
        if !process.is_alive() {
            tracing::info!("process {} is gone", process.pid());
            shared.stop.cancel();
            return std::future::pending().await;
        }
    }
}

async fn answer(listener: Option<QueueListener>, shared: &Arc<Shared>) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let shared = Arc::clone(shared);
                tokio::spawn(async move {
                    if let Err(error) = tokio::time::timeout(CALLER, talk(stream, &shared)).await {
                        tracing::debug!("a caller said nothing: {error}");
                    }
                });
            }
            Err(error) => {
                tracing::warn!("cannot hear callers: {error}");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

async fn talk(mut stream: UnixStream, shared: &Arc<Shared>) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    BufReader::new(read.take(MAX_LINE)).read_line(&mut line).await?;
    let request = match serde_json::from_str(&line)? {
        Line::Request(request) => request,
        Line::Paths(paths) => {
            let mut answer = serde_json::to_vec(&shared.enqueue(&paths))?;
            answer.push(b'\n');
            return write.write_all(&answer).await;
        }
    };
    match request {
        Request::Wake => {
            shared.wake.notify_one();
            return Ok(());
        }
        Request::Status => {}
        Request::Drain { seconds } => shared.drain(Duration::from_secs(seconds)),
        Request::Stop => {
            shared.stop.cancel();
            shared.wake.notify_one();
        }
    }
    let mut answer = serde_json::to_vec(&shared.status(|_| {}))?;
    answer.push(b'\n');
    write.write_all(&answer).await
}
