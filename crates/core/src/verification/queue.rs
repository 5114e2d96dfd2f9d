//! NARs that wait to be read: in turn by identity, so many at once, each once.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use niks3_base::compression::Packing;
use niks3_base::metrics::metrics;
use niks3_base::nar_contents::{Contents, Flaw, NarReader, Subject, Verdict, Wanted};
use niks3_base::push_limits::URL_LIFETIME;
use niks3_catalog::{Catalog, CatalogError, NewVerification, ObjectId, PushId};
use niks3_nix::hash::FileHash;
use niks3_storage::{Arrival, Arrivals, Bucket, ObjectKey, StorageError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::read_object::{read_bytes, read_object};

/// Objects up to this size are fetched before it is their turn to be decompressed.
const SMALL: u64 = 1 << 20;
/// How many of those are fetched or held at once: the store's latency is what they cost.
const SMALL_AHEAD: usize = 24;
/// Uploads that are read at once while they arrive, each with a window of at most 8 MiB.
const MAX_ARRIVING: usize = 8;
/// Announced uploads that are remembered; others are read when their push is committed.
const MAX_ANNOUNCED: usize = 200_000;
/// Commits of an identity in an hour that have NARs read again to compare references.
const MAX_COMPARISONS: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// Results that one transaction writes.
const MAX_BATCH: usize = 500;

/// A NAR to read.
#[derive(Debug, Clone)]
pub struct Job {
    /// Id of its object.
    pub object_id: ObjectId,
    /// Its key.
    pub key: ObjectKey,
    /// Bytes of the object.
    pub size: u64,
    /// SHA-256 of the object, where it is known.
    pub file_hash: Option<FileHash>,
    /// How it is stored.
    pub packing: Packing,
    /// Whose it is.
    pub identity: String,
    /// Bytes that the NAR is said to have.
    pub most: u64,
    /// What else somebody wants to know of it.
    pub wanted: Vec<Wanted>,
}

impl Job {
    /// Takes in what another push wants to know of the same object.
    pub fn merge(&mut self, most: u64, wanted: impl IntoIterator<Item = Wanted>) {
        self.most = self.most.max(most);
        for wanted in wanted {
            if !self.wanted.contains(&wanted) {
                self.wanted.push(wanted);
            }
        }
    }
}

impl Job {
    /// Whether that says all that is asked.
    fn is_answered_by(&self, verdict: &Verdict) -> bool {
        match verdict {
            Ok(nar) => self.wanted.iter().all(|wanted| match wanted {
                // Only a file has the hash of one.
                Wanted::Hash(wanted) if wanted.subject == Subject::File && nar.content_hashes.is_empty() => {
                    true
                }
                Wanted::Hash(wanted) => nar.content_hashes.iter().any(|taken| wanted.is(taken)),
                Wanted::Occurrence(hash) => nar.occurrences.contains_key(hash),
            }),
            Err(Flaw::TooLong { most }) => *most >= self.most,
            Err(_) => true,
        }
    }
}

/// How far the verification of a push is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// NARs that have been read.
    pub verified: u64,
    /// NARs in all.
    pub total: u64,
}

/// The jobs of one identity.
#[derive(Debug, Default)]
struct Line {
    identity: String,
    small: VecDeque<Job>,
    large: VecDeque<Job>,
}

#[derive(Debug, Default)]
struct State {
    /// The next one's turn is first.
    lines: VecDeque<Line>,
    /// Objects whose result is not in the database yet.
    pending: HashMap<ObjectId, ()>,
    /// Why objects could not be read.
    failed: HashMap<ObjectId, String>,
    /// Uploads that URLs were given out for, by key.
    announced: HashMap<String, (Job, Instant)>,
    results: Vec<NewVerification>,
    /// By id of the push.
    progress: HashMap<PushId, Progress>,
}

/// NARs that wait to be read, and those who do it.
#[derive(Debug)]
pub struct Queue {
    concurrency: usize,
    turns: Semaphore,
    arriving: Arc<Semaphore>,
    state: Mutex<State>,
    job_added: Notify,
    result_added: Notify,
    ended: watch::Sender<()>,
    comparisons: DefaultKeyedRateLimiter<String>,
}

impl Queue {
    /// A queue that decompresses so many NARs at once.
    #[must_use]
    pub fn new(concurrency: usize) -> Self {
        let concurrency = concurrency.max(1);
        Self {
            concurrency,
            turns: Semaphore::new(concurrency),
            arriving: Arc::new(Semaphore::new(MAX_ARRIVING)),
            state: Mutex::default(),
            job_added: Notify::new(),
            result_added: Notify::new(),
            ended: watch::Sender::new(()),
            comparisons: RateLimiter::keyed(Quota::per_hour(MAX_COMPARISONS)),
        }
    }

    /// Whether an identity may have NARs read once more, to compare what it claims of them with what others have.
    pub(crate) fn may_compare(&self, identity: &str) -> bool {
        self.comparisons.retain_recent();
        self.comparisons.check_key(&identity.to_owned()).is_ok()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what is about to be uploaded, so that it can be read as soon as it has arrived.
    pub fn announce(&self, job: Job) {
        let mut state = self.state();
        if state.announced.len() >= MAX_ANNOUNCED {
            state
                .announced
                .retain(|_, (_, since)| since.elapsed() < URL_LIFETIME);
        }
        if state.announced.len() < MAX_ANNOUNCED {
            let key = job.key.as_str().to_owned();
            state.announced.insert(key, (job, Instant::now()));
        }
    }

    /// What is remembered of an upload.
    #[must_use]
    pub fn announced(&self, key: &str) -> Option<Job> {
        self.state().announced.get(key).map(|(job, _)| job.clone())
    }

    /// An announced upload has arrived, and is read in its turn.
    pub fn arrived(&self, key: &str) {
        let job = self.state().announced.remove(key);
        self.add(job.map(|(job, _)| job));
    }

    /// The same, when somebody says so of an upload of their own.
    pub fn arrived_from(&self, key: &str, identity: &str) {
        let mut state = self.state();
        let own = state
            .announced
            .get(key)
            .is_some_and(|(job, _)| job.identity == identity);
        let job = own.then(|| state.announced.remove(key)).flatten();
        drop(state);
        self.add(job.map(|(job, _)| job));
    }

    /// Begins to read an announced upload that arrives in this process; nothing when too many do.
    #[must_use]
    pub fn arriving(self: &Arc<Self>, key: &str) -> Option<Arriving> {
        let job = self.announced(key)?;
        let place = Arc::clone(&self.arriving).try_acquire_owned().ok()?;
        Some(Arriving {
            reader: NarReader::arriving(job.most, &job.wanted),
            job,
            queue: Arc::clone(self),
            _place: place,
        })
    }

    /// An upload was read while it arrived.
    pub fn read(&self, result: NewVerification) {
        let mut state = self.state();
        state.pending.insert(result.object_id, ());
        state.results.push(result);
        drop(state);
        self.result_added.notify_one();
    }

    /// Adds jobs, but for objects that are being read already.
    pub fn add(&self, jobs: impl IntoIterator<Item = Job>) {
        let mut state = self.state();
        for job in jobs {
            if state.pending.insert(job.object_id, ()).is_some() {
                continue;
            }
            state.failed.remove(&job.object_id);
            state.announced.remove(job.key.as_str());
            let place = state.lines.iter().position(|line| line.identity == job.identity);
            let line = match place {
                Some(place) => &mut state.lines[place],
                None => {
                    state.lines.push_back(Line {
                        identity: job.identity.clone(),
                        ..Line::default()
                    });
                    let last = state.lines.len() - 1;
                    &mut state.lines[last]
                }
            };
            match job.size <= SMALL {
                true => line.small.push_back(job),
                false => line.large.push_back(job),
            }
        }
        drop(state);
        self.job_added.notify_waiters();
    }

    /// Whether nothing waits.
    #[must_use]
    pub(crate) fn is_idle(&self) -> bool {
        self.state().pending.is_empty()
    }

    /// Waits for a turn to decompress.
    ///
    /// # Errors
    /// When the server stops.
    pub async fn turn(&self) -> Result<SemaphorePermit<'_>, String> {
        self.turns.acquire().await.map_err(|error| error.to_string())
    }

    fn take(&self, small_only: bool) -> Option<Job> {
        let mut state = self.state();
        for _ in 0..state.lines.len() {
            let mut line = state.lines.pop_front()?;
            let job = match small_only {
                true => line.small.pop_front(),
                false => line.large.pop_front().or_else(|| line.small.pop_front()),
            };
            if !line.small.is_empty() || !line.large.is_empty() {
                state.lines.push_back(line);
            }
            if job.is_some() {
                return job;
            }
        }
        None
    }

    fn skip(&self, job: &Job) {
        self.state().pending.remove(&job.object_id);
        self.ended.send_replace(());
    }

    fn written(&self, batch: &[NewVerification], error: Option<&CatalogError>) {
        let mut state = self.state();
        for result in batch {
            state.pending.remove(&result.object_id);
            if let Some(error) = error {
                state.failed.insert(result.object_id, error.to_string());
            }
        }
        drop(state);
        self.ended.send_replace(());
    }

    fn end(&self, job: &Job, read: Result<NewVerification, String>) {
        let mut state = self.state();
        match read {
            Ok(result) => state.results.push(result),
            Err(why) => {
                tracing::warn!(key = job.key.as_str(), why, "an upload could not be read");
                state.pending.remove(&job.object_id);
                state.failed.insert(job.object_id, why);
            }
        }
        drop(state);
        self.result_added.notify_one();
        self.ended.send_replace(());
    }

    /// Waits until those objects have been read and the database says so; what could not be read otherwise.
    ///
    /// # Errors
    /// Why the object store or the database did not let one be read.
    pub async fn wait(&self, push_id: PushId, ids: &[ObjectId], total: u64) -> Result<(), String> {
        let mut ended = self.ended.subscribe();
        let outcome = loop {
            ended.borrow_and_update();
            {
                let mut state = self.state();
                let left = ids.iter().filter(|id| state.pending.contains_key(id)).count() as u64;
                let failed = ids.iter().find_map(|id| state.failed.remove(id));
                if let Some(why) = failed {
                    break Err(why);
                }
                if left == 0 {
                    break Ok(());
                }
                let verified = total.saturating_sub(left);
                state.progress.insert(push_id, Progress { verified, total });
            }
            if ended.changed().await.is_err() {
                break Err("the server stops".to_owned());
            }
        };
        self.state().progress.remove(&push_id);
        outcome
    }

    /// How far the verification is that a commit waits for.
    #[must_use]
    pub fn progress(&self, push_id: PushId) -> Option<Progress> {
        self.state().progress.get(&push_id).copied()
    }
}

/// An upload that is read while it arrives.
#[derive(Debug)]
pub struct Arriving {
    job: Job,
    reader: NarReader,
    queue: Arc<Queue>,
    _place: OwnedSemaphorePermit,
}

impl Arrivals for Queue {
    fn begin(self: Arc<Self>, key: &str) -> Option<Box<dyn Arrival>> {
        self.arriving(key).map(|arriving| Box::new(arriving) as _)
    }

    fn arrived(&self, key: &str) {
        Self::arrived(self, key);
    }
}

impl Arrival for Arriving {
    fn push(&mut self, bytes: &[u8]) {
        self.reader.push(bytes);
    }

    /// Notes what it is. What is not plainly right is read again in its turn, with all the memory it wants.
    fn finish(self: Box<Self>) {
        let Self {
            job, reader, queue, ..
        } = *self;
        let contents: Contents = reader.finish();
        if contents.nar.is_err() {
            queue.arrived(job.key.as_str());
            return;
        }
        metrics().nar_read(contents.file_size);
        queue.state().announced.remove(job.key.as_str());
        // Its SHA-256 was compared with its key as it came.
        let (verdict, listing) = contents.verdict(None);
        queue.read(NewVerification {
            object_id: job.object_id,
            verdict,
            listing,
        });
    }
}

/// Those who read what waits.
#[derive(Debug, Clone)]
pub struct Readers {
    /// What waits.
    pub queue: Arc<Queue>,
    /// Where results are written down.
    pub catalog: Catalog,
    /// Where the objects are.
    pub bucket: Arc<Bucket>,
    /// Cancelled when the server is told to stop.
    pub stop: CancellationToken,
}

impl Readers {
    /// Starts those who read, and the one who writes results down.
    pub fn start(self, tasks: &TaskTracker) {
        for worker in 0..self.queue.concurrency + SMALL_AHEAD {
            let small_only = worker >= self.queue.concurrency;
            tasks.spawn(work(self.clone(), small_only));
        }
        tasks.spawn(write_results(self));
    }
}

async fn work(readers: Readers, small_only: bool) {
    let queue = &readers.queue;
    loop {
        let added = queue.job_added.notified();
        tokio::pin!(added);
        added.as_mut().enable();
        match queue.take(small_only) {
            Some(job) if is_known(&readers, &job).await => queue.skip(&job),
            Some(job) => {
                let read = tokio::select! {
                    read = read(&readers, &job) => read,
                    () = readers.stop.cancelled() => return,
                };
                queue.end(&job, read);
            }
            None => tokio::select! {
                () = added => {}
                () = readers.stop.cancelled() => return,
            },
        }
    }
}

/// Whether somebody has read the object already, and well enough.
async fn is_known(readers: &Readers, job: &Job) -> bool {
    match readers.catalog.verdicts(&[job.object_id]).await {
        Ok(verdicts) => verdicts
            .get(&job.object_id)
            .is_some_and(|verdict| job.is_answered_by(verdict)),
        // Whoever reads it is told of that.
        Err(_) => false,
    }
}

async fn read(readers: &Readers, job: &Job) -> Result<NewVerification, String> {
    let text = |error: StorageError| error.to_string();
    let gone = || "it is not in the object store".to_owned();
    let started = Instant::now();
    let contents = if job.size <= SMALL {
        let most = usize::try_from(SMALL).unwrap_or(usize::MAX);
        let bytes = readers.bucket.read(&job.key, most).await.map_err(text)?;
        let bytes = Bytes::from(bytes.ok_or_else(gone)?);
        let _turn = readers.queue.turn().await?;
        read_bytes(bytes, job.packing, job.most, &job.wanted)
            .await
            .map_err(text)?
    } else {
        let _turn = readers.queue.turn().await?;
        let read = read_object(
            &readers.bucket,
            &job.key,
            job.packing,
            job.most,
            &job.wanted,
            false,
        )
        .await;
        read.map_err(text)?.ok_or_else(gone)?.1
    };
    metrics().nar_read(contents.file_size);
    tracing::debug!(
        key = job.key.as_str(),
        bytes = contents.file_size,
        milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "upload verified"
    );
    let (verdict, listing) = contents.verdict(job.file_hash);
    Ok(NewVerification {
        object_id: job.object_id,
        verdict,
        listing,
    })
}

async fn write_results(readers: Readers) {
    let queue = &readers.queue;
    loop {
        tokio::select! {
            () = queue.result_added.notified() => {}
            () = readers.stop.cancelled() => return,
        }
        loop {
            let batch: Vec<NewVerification> = {
                let mut state = queue.state();
                let count = state.results.len().min(MAX_BATCH);
                state.results.drain(..count).collect()
            };
            if batch.is_empty() {
                break;
            }
            let written = async {
                let mut tx = readers.catalog.write().await?;
                tx.add_verdicts(&batch).await?;
                tx.commit().await
            };
            let written = written.await;
            queue.written(&batch, written.as_ref().err());
            if let Err(error) = written {
                tracing::warn!(%error, "what was read of uploads could not be written down");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}
