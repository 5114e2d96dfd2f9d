//! Packs what the server needs, the biggest first, on all cores, and hands it to the uploads.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use niks3_nix::store_path::StorePath;
use tokio_util::task::TaskTracker;

use crate::{
    compress::{Compressor, THREADED_FROM, fingerprint},
    error::PushError,
    multipart::{Multipart, Outcome, Plan},
    nix::LocalStore,
    pack::{Expected, PackError, PackSettings, Packed, Piece, pack, part_size},
    path_info::{PathInfo, PathInfos},
    server::{Checksums, ObjectName, UploadKind},
    stop::First,
    upload::Uploader,
};

/// More would take more memory than they are worth.
const MAX_LANES: usize = 12;
/// Threads of one big NAR: each holds some 20 MB.
const MAX_THREADS: usize = 4;

/// One path to upload.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) path: StorePath,
    /// Do not go on with an unfinished upload in parts.
    pub(crate) fresh: bool,
}

/// What all lanes share.
pub(crate) struct Work {
    pub(crate) store: LocalStore,
    pub(crate) infos: Arc<PathInfos>,
    pub(crate) settings: PackSettings,
    pub(crate) uploader: Arc<Uploader>,
    pub(crate) level: i32,
    pub(crate) first: First<PushError>,
    pub(crate) tasks: TaskTracker,
}

#[derive(Default)]
struct Queues {
    big: VecDeque<Job>,
    small: VecDeque<Job>,
}

impl Work {
    /// Uploads all of `jobs`; gives back those whose upload in parts has to begin again.
    pub(crate) async fn run(self: &Arc<Self>, mut jobs: Vec<Job>) -> Result<Vec<Job>, PushError> {
        let size = |job: &Job| self.infos.get(&job.path).map_or(0, |info| info.nar_size);
        jobs.sort_by_key(|job| std::cmp::Reverse(size(job)));
        let mut queues = Queues::default();
        for job in jobs {
            let queue = if size(&job) >= THREADED_FROM {
                &mut queues.big
            } else {
                &mut queues.small
            };
            queue.push_back(job);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let small_lanes = cores.min(MAX_LANES).min(queues.small.len());
        let big_lanes = usize::from(!queues.big.is_empty());
        let queues = Arc::new(Mutex::new(queues));
        let again = Arc::new(Mutex::new(Vec::new()));

        let mut lanes = tokio::task::JoinSet::new();
        for lane in 0..big_lanes + small_lanes {
            let big = lane < big_lanes;
            let (work, queues, again) = (Arc::clone(self), Arc::clone(&queues), Arc::clone(&again));
            let threads = if big { cores.min(MAX_THREADS) } else { 1 };
            lanes.spawn_blocking(move || work.lane(big, threads, &queues, &again));
        }
        while let Some(lane) = lanes.join_next().await {
            if let Err(error) = lane {
                self.first
                    .fail(PushError::Internal(format!("a packing thread ended: {error}")));
            }
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.tasks.reopen();
        Ok(std::mem::take(
            &mut *again.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    fn lane(
        self: &Arc<Self>,
        big: bool,
        threads: usize,
        queues: &Mutex<Queues>,
        again: &Arc<Mutex<Vec<Job>>>,
    ) {
        let mut compressor = Compressor::new(self.level, u32::try_from(threads).unwrap_or(1));
        loop {
            let next = {
                let mut queues = queues.lock().unwrap_or_else(PoisonError::into_inner);
                if big {
                    queues.big.pop_front()
                } else {
                    queues.small.pop_front()
                }
            };
            let Some(job) = next else { return };
            if let Err(error) = self.one(&mut compressor, &job, again) {
                self.first.fail(error);
                return;
            }
        }
    }

    /// Packs one path and leaves the rest of its way to tasks.
    fn one(
        self: &Arc<Self>,
        compressor: &mut Compressor,
        job: &Job,
        again: &Arc<Mutex<Vec<Job>>>,
    ) -> Result<(), PushError> {
        let unknown =
            || PushError::Internal(format!("the server asks for {}, which was not named", job.path));
        let info: &PathInfo = self.infos.get(&job.path).ok_or_else(unknown)?;
        let full_path = self.store.store_dir().display(&job.path);
        let expected = Expected {
            full_path: &full_path,
            nar_hash: info.nar_hash,
            nar_size: info.nar_size,
        };
        let runtime = &self.settings.runtime;
        let mut multipart: Option<Multipart> = None;
        let packed = pack(
            &self.settings,
            compressor,
            &expected,
            &self.store.real_path(&job.path),
            &mut |piece| {
                let multipart = multipart.get_or_insert_with(|| {
                    let plan = Plan {
                        path: job.path.clone(),
                        part_size: part_size(self.settings.min_part_size, info.nar_size),
                        compressor: fingerprint(self.level, info.nar_size),
                        fresh: job.fresh,
                    };
                    Multipart::start(Arc::clone(&self.uploader), plan, &self.tasks, runtime)
                });
                if multipart.send(piece) {
                    Ok(())
                } else {
                    Err(PackError::Stopped)
                }
            },
        );
        let nar = match (packed, multipart) {
            (Ok((Packed::One(piece), listing)), _) => {
                // The server makes the listings of what comes to it.
                let is_small = self.uploader.is_small(piece.bytes.len() as u64, info.nar_size);
                let listing = if is_small { Vec::new() } else { listing };
                let (work, path) = (Arc::clone(self), job.path.clone());
                let nar = self
                    .tasks
                    .spawn_on(async move { work.send_nar(path, piece).await }, runtime);
                (nar, listing)
            }
            (Ok((Packed::Parts { file_hash, file_size }, listing)), Some(multipart)) => {
                multipart.end(file_hash, file_size);
                (self.tasks.spawn_on(multipart.outcome(), runtime), listing)
            }
            (Ok((Packed::Parts { .. }, _)), None) => {
                return Err(PushError::Internal("parts without an upload".to_owned()));
            }
            (Err(PackError::Stopped), Some(multipart)) => match runtime.block_on(multipart.outcome())? {
                Outcome::Restart => {
                    restart(job, again);
                    return Ok(());
                }
                Outcome::Done => return Err(PushError::Stopped),
            },
            (Err(PackError::Stopped), None) => return Err(PushError::Stopped),
            (Err(error), _) => return Err(error.into()),
        };
        self.finish(job.clone(), nar, Arc::clone(again))
    }

    /// Sends the listing unless the server makes it, then waits for both.
    fn finish(
        self: &Arc<Self>,
        job: Job,
        (nar, listing): (tokio::task::JoinHandle<Result<Outcome, PushError>>, Vec<u8>),
        again: Arc<Mutex<Vec<Job>>>,
    ) -> Result<(), PushError> {
        let runtime = &self.settings.runtime;
        let listing = match self.uploader.server.opened.verifies_uploads {
            true => Vec::new(),
            false => listing,
        };
        // The NAR is on its way already: nothing that others wait for is held here.
        let reservation = runtime.block_on(self.settings.budget.reserve(listing.len() as u64));
        let reservation = reservation.map_err(|_| PushError::Stopped)?;
        let checksums = Checksums {
            sha256: niks3_nix::hash::FileHash::of(&listing),
            md5: self.settings.with_md5.then(|| md5_of(&listing)),
            size: listing.len() as u64,
        };
        let listing = bytes::Bytes::from(listing);
        let work = Arc::clone(self);
        self.tasks.spawn_on(
            async move {
                let name = ObjectName {
                    kind: UploadKind::Listing,
                    path: job.path.clone(),
                };
                let send_listing = async {
                    let _reservation = reservation;
                    if listing.is_empty() {
                        return Ok(());
                    }
                    work.until_stopped(work.uploader.send(name, checksums, &listing))
                        .await
                };
                let nar = async {
                    nar.await
                        .unwrap_or_else(|error| Err(PushError::Internal(error.to_string())))
                };
                match tokio::try_join!(nar, send_listing) {
                    Ok((Outcome::Done, ())) => work.uploader.progress.path_done(),
                    Ok((Outcome::Restart, ())) => restart(&job, &again),
                    Err(error) => work.first.fail(error),
                }
            },
            runtime,
        );
        Ok(())
    }

    async fn send_nar(&self, path: StorePath, piece: Piece) -> Result<Outcome, PushError> {
        let name = ObjectName {
            kind: UploadKind::Nar,
            path,
        };
        let checksums = Checksums {
            sha256: piece.sha256,
            md5: piece.md5,
            size: piece.bytes.len() as u64,
        };
        let nar_size = piece.nar_bytes;
        self.until_stopped(self.uploader.send_bytes(name, checksums, &piece.bytes, nar_size))
            .await?;
        self.uploader
            .progress
            .nar_bytes(i64::try_from(piece.nar_bytes).unwrap_or(0));
        drop(piece.reservation);
        Ok(Outcome::Done)
    }

    async fn until_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, PushError>>,
    ) -> Result<T, PushError> {
        tokio::select! {
            result = work => result,
            () = self.settings.stop.stopped() => Err(PushError::Stopped),
        }
    }
}

pub(crate) fn md5_of(bytes: &[u8]) -> [u8; 16] {
    use md5::Digest as _;
    md5::Md5::digest(bytes).into()
}

fn restart(job: &Job, again: &Mutex<Vec<Job>>) {
    let job = Job {
        path: job.path.clone(),
        fresh: true,
    };
    again.lock().unwrap_or_else(PoisonError::into_inner).push(job);
}
