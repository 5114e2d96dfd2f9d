//! A push from its arguments to its commit: all of it becomes visible, or nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    pin::pin,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::FusedFuture as _};
use niks3_client::Api;
use niks3_nix::store_path::StorePath;
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    budget::Budget,
    commit::{commit, upload},
    compress,
    error::PushError,
    lease, logs,
    nix::LocalStore,
    open_files,
    pack::{PackError, PackSettings},
    path_info::{self, PathInfo, PathInfos},
    plan::{LeftOut, Plan, plan},
    progress::{Conflict, Difference, Left, LeftTo, Progress, Pushed, Summary},
    realisations,
    server::{Claimed, Server, is_gone},
    stop::{First, Stop},
    upload::Uploader,
    upstream::{self, Upstream},
    work::{Job, Work},
};

/// A push that the server gave up is begun again this often.
const RESTARTS: u32 = 2;
/// Roots that the server takes in one push.
const MAX_ROOTS: usize = 10_000;
/// Requests that name paths are under way this many at a time.
const PARALLEL_CLAIMS: usize = 4;
/// How long the answer about a new push is waited for by one who was interrupted.
const OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long giving up may take.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);

/// What to push, and how.
#[derive(Debug, Clone)]
pub struct PushOptions {
    /// The roots.
    pub roots: Vec<StorePath>,
    /// Name of a pin to make of the root.
    pub pin: Option<String>,
    /// Push the roots alone.
    pub no_closure: bool,
    /// Leave out of the closure what this machine did not build or add itself, but substituted; never a root.
    pub leave_substituted: bool,
    /// Caches whose paths are left out.
    pub skip_upstream: Vec<Upstream>,
    /// Let the server look into the bucket for what it believes is there.
    pub verify_integrity: bool,
    /// The run of CI that pushes.
    pub run: Option<niks3_client::types::RunStatement>,
    /// Level of zstd.
    pub compression_level: i32,
    /// Uploads at the same time.
    pub max_concurrent_uploads: usize,
    /// Compressed bytes that are held in memory at most.
    pub memory: u64,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            pin: None,
            no_closure: false,
            leave_substituted: false,
            skip_upstream: Vec::new(),
            verify_integrity: false,
            run: None,
            compression_level: compress::DEFAULT_LEVEL,
            max_concurrent_uploads: 32,
            memory: 96 * 1024 * 1024,
        }
    }
}

/// Pushes the closures of the roots. Cancelling `interrupt` gives up cleanly.
pub async fn push(
    api: &Api,
    store: &LocalStore,
    options: &PushOptions,
    progress: &Arc<dyn Progress>,
    interrupt: &CancellationToken,
) -> Result<Summary, PushError> {
    open_files::enough()?;
    let start = Instant::now();
    let mut before = None;
    if let Some(inputs) = pin_inputs(store, options).await? {
        let mut summary = push_all(api, store, &inputs, progress, interrupt).await?;
        summary.closures.clear();
        before = Some(summary);
    }
    let mut summary = push_all(api, store, options, progress, interrupt).await?;
    if let Some(mut before) = before {
        before.add(summary);
        summary = before;
    }
    summary.seconds = start.elapsed().as_secs_f64();
    Ok(summary)
}

/// What has to be pushed before a pin, so that its readers can resolve its derivation: a pin names one root.
async fn pin_inputs(store: &LocalStore, options: &PushOptions) -> Result<Option<PushOptions>, PushError> {
    if options.pin.is_none() || options.no_closure {
        return Ok(None);
    }
    let infos = path_info::query(store, &options.roots, false).await?;
    let mut inputs = realisations::inputs(store, &infos, &options.roots).await;
    inputs.truncate(MAX_ROOTS);
    Ok((!inputs.is_empty()).then(|| PushOptions {
        roots: inputs,
        pin: None,
        ..options.clone()
    }))
}

async fn push_all(
    api: &Api,
    store: &LocalStore,
    options: &PushOptions,
    progress: &Arc<dyn Progress>,
    interrupt: &CancellationToken,
) -> Result<Summary, PushError> {
    let mut known: Option<Known> = None;
    let mut restarts = 0;
    loop {
        let once = Once {
            api,
            store,
            options,
            progress,
            interrupt,
        };
        match once.run(&mut known).await {
            Ok(summary) => return Ok(summary),
            Err(error) if is_gone(&error) && restarts < RESTARTS => {
                restarts += 1;
                progress.warning(&format!("beginning the push again: {error}"));
            }
            Err(error) if is_gone(&error) => return Err(PushError::Gone(error.to_string())),
            Err(error) => return Err(error),
        }
    }
}

/// What stays true when a push has to begin again.
struct Known {
    infos: Arc<PathInfos>,
    plan: Arc<Plan>,
    warnings: Vec<String>,
}

struct Once<'a> {
    api: &'a Api,
    store: &'a LocalStore,
    options: &'a PushOptions,
    progress: &'a Arc<dyn Progress>,
    interrupt: &'a CancellationToken,
}

impl Once<'_> {
    async fn run(&self, known: &mut Option<Known>) -> Result<Summary, PushError> {
        // An upstream may have roots too, which is seldom: the push is then opened again without them.
        let expected = match &*known {
            Some(known) => known.plan.roots.clone(),
            None => self.options.roots.clone(),
        };
        let before = known.take();
        // Outside of what an interrupt ends: what was opened has to be given up then.
        let opened = OnceLock::new();
        let opening = async {
            if !expected.is_empty() {
                let server = self.open(&expected).await?;
                opened.get_or_init(|| server);
            }
            Ok::<_, PushError>(())
        }
        .fuse();
        let looking = async {
            match before {
                Some(known) => Ok(known),
                None => self.look().await,
            }
        };
        // Nix and the server are asked at the same time; whoever the server does not let in need not wait for Nix.
        let mut opening = pin!(opening);
        let both = async {
            let mut looking = pin!(looking);
            tokio::select! {
                looked = &mut looking => {
                    let opened = opening.as_mut().await;
                    let looked = looked?;
                    opened.map(|()| looked)
                }
                opened = opening.as_mut() => {
                    opened?;
                    looking.await
                }
            }
        };
        let looked = self.or_interrupted(both).await;
        if looked.is_err() && !opening.is_terminated() {
            // Its answer may be under way, and names what is to be given up.
            let _ = tokio::time::timeout(OPEN_TIMEOUT, opening.as_mut()).await;
        }
        let opened = opened.get().cloned();
        let looked = match (looked, &opened) {
            (Ok(looked), _) => known.insert(looked),
            (Err(error), Some(server)) => {
                abort(server).await;
                return Err(error);
            }
            (Err(error), None) => return Err(error),
        };
        let server = match opened {
            Some(server) if looked.plan.roots == expected => server,
            opened => {
                if let Some(server) = opened {
                    abort(&server).await;
                }
                if looked.plan.roots.is_empty() {
                    return Ok(self.left(looked));
                }
                self.or_interrupted(self.open(&looked.plan.roots)).await?
            }
        };

        let stop = Stop::default();
        let first = First::new(stop.clone());
        let result = self.pushed(&server, looked, &stop, &first).await;
        // What failed first is the cause, what failed after it the consequence.
        let failure = match (first.take(), result) {
            (None, Ok(summary)) => return Ok(summary),
            (Some(error), _) | (None, Err(error)) => error,
        };
        let stopped = matches!(failure, PushError::Stopped | PushError::Pack(PackError::Stopped));
        let failure = if stopped && self.interrupt.is_cancelled() {
            PushError::Interrupted
        } else {
            failure
        };
        stop.stop();
        if !is_gone(&failure) {
            abort(&server).await;
        }
        Err(failure)
    }

    async fn open(&self, roots: &[StorePath]) -> Result<Server, PushError> {
        let (store_dir, pin) = (self.store.store_dir(), self.options.pin.as_deref());
        Ok(Server::open(
            self.api,
            store_dir,
            roots,
            pin,
            self.options.verify_integrity,
            self.options.run.as_ref(),
        )
        .await?)
    }

    /// The closure, and what of it is to be pushed.
    async fn look(&self) -> Result<Known, PushError> {
        let mut infos = path_info::query(self.store, &self.options.roots, !self.options.no_closure).await?;
        let inputs = self.inputs(&mut infos).await;
        self.progress.closure(infos.len() as u64);
        let roots: HashSet<&StorePath> = self.options.roots.iter().collect();
        let is_pinned = self.options.pin.is_some();
        let is_substituted = |path: &StorePath, info: &PathInfo| {
            self.options.leave_substituted && !info.is_local() && !roots.contains(path)
        };
        let mut warnings = Vec::new();
        let present = upstream::present(
            self.api.http_of_others(),
            &self.options.skip_upstream,
            self.store.store_dir(),
            &infos,
            |path, info| !(is_substituted(path, info) || (is_pinned && roots.contains(path))),
            &mut warnings,
        )
        .await;
        for warning in &warnings {
            self.progress.warning(warning);
        }
        let present = present.into_iter();
        let mut excluded: HashMap<StorePath, LeftOut> = present
            .map(|(path, index)| (path, LeftOut::Upstream(index)))
            .collect();
        let substituted = infos.iter().filter(|(path, info)| is_substituted(path, info));
        excluded.extend(substituted.map(|(path, _)| (path.clone(), LeftOut::Substituted)));
        let all_roots: Vec<StorePath> = self.options.roots.iter().cloned().chain(inputs).collect();
        let plan = plan(&all_roots, &infos, &excluded, is_pinned);
        Ok(Known {
            infos: Arc::new(infos),
            plan: Arc::new(plan),
            warnings,
        })
    }

    /// What readers need besides to resolve the derivations of the roots, and its closure, which goes into `infos`.
    async fn inputs(&self, infos: &mut PathInfos) -> Vec<StorePath> {
        if self.options.no_closure || self.options.pin.is_some() {
            return Vec::new();
        }
        let mut inputs = realisations::inputs(self.store, infos, &self.options.roots).await;
        inputs.truncate(MAX_ROOTS.saturating_sub(self.options.roots.len()));
        if inputs.is_empty() {
            return inputs;
        }
        match path_info::query(self.store, &inputs, true).await {
            Ok(more) => {
                infos.extend(more);
                inputs
            }
            Err(error) => {
                self.progress
                    .warning(&format!("build-time inputs are not pushed: {error}"));
                Vec::new()
            }
        }
    }

    /// The address of the upstream at an index.
    fn upstream(&self, index: usize) -> String {
        let upstream = self.options.skip_upstream.get(index);
        upstream.map(Upstream::address).unwrap_or_default()
    }

    /// What there is to say of what is left to upstreams.
    fn left(&self, known: &Known) -> Summary {
        let left = &known.plan.left;
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        for index in left.values() {
            *counts.entry(*index).or_default() += 1;
        }
        Summary {
            paths: known.infos.len() as u64,
            skipped_upstream: left.len() as u64,
            warnings: known.warnings.clone(),
            left_to: counts
                .into_iter()
                .map(|(index, paths)| LeftTo {
                    cache: self.upstream(index),
                    paths,
                })
                .collect(),
            left: left
                .iter()
                .map(|(path, index)| Left {
                    path: path.clone(),
                    cache: self.upstream(*index),
                })
                .collect(),
            ..Summary::default()
        }
    }

    async fn or_interrupted<T>(
        &self,
        work: impl Future<Output = Result<T, PushError>>,
    ) -> Result<T, PushError> {
        tokio::select! {
            result = work => result,
            () = self.interrupt.cancelled() => Err(PushError::Interrupted),
        }
    }

    /// Everything between opening and commit.
    async fn pushed(
        &self,
        server: &Server,
        known: &Known,
        stop: &Stop,
        first: &First<PushError>,
    ) -> Result<Summary, PushError> {
        let budget = Budget::new(self.options.memory);
        let lease = lease::keep(server, first);
        let _watch = AbortOnDropHandle::new(tokio::spawn({
            let (stop, budget, interrupt) = (stop.clone(), budget.clone(), self.interrupt.clone());
            async move {
                tokio::select! {
                    () = interrupt.cancelled() => stop.stop(),
                    () = stop.stopped() => {}
                }
                budget.close();
            }
        }));
        let until_stopped = async {
            stop.stopped().await;
            PushError::Stopped
        };
        tokio::select! {
            result = self.steps(server, known, stop, first, budget, lease) => result,
            error = until_stopped => Err(error),
        }
    }

    async fn steps(
        &self,
        server: &Server,
        known: &Known,
        stop: &Stop,
        first: &First<PushError>,
        budget: Budget,
        lease: AbortOnDropHandle<()>,
    ) -> Result<Summary, PushError> {
        let claimed = self.claim(server, known).await?;
        let nar_bytes = claimed
            .needed
            .iter()
            .filter_map(|path| known.infos.get(path))
            .map(|info| info.nar_size)
            .sum();
        self.progress.planned(claimed.needed.len() as u64, nar_bytes);

        let uploader = Uploader::start(
            server.clone(),
            open_files::uploads(self.options.max_concurrent_uploads),
            Arc::clone(self.progress),
            first.clone(),
            stop.clone(),
        );
        let work = Arc::new(Work {
            store: self.store.clone(),
            infos: Arc::clone(&known.infos),
            settings: PackSettings {
                budget,
                runtime: tokio::runtime::Handle::current(),
                stop: stop.clone(),
                with_md5: server.opened.with_md5,
                min_part_size: server.opened.part_size,
                dump: self.store.dump_options(),
            },
            uploader: Arc::clone(&uploader),
            level: self.options.compression_level,
            first: first.clone(),
            tasks: TaskTracker::new(),
        });
        let jobs = claimed
            .needed
            .iter()
            .map(|path| Job {
                path: path.clone(),
                fresh: false,
            })
            .collect();
        let realisations = async {
            match realisations::of(self.store, &known.infos, &known.plan.paths).await {
                found if found.is_empty() => Ok(()),
                found => server.realisations(found).await.map_err(PushError::from),
            }
        };
        let ((), (), ()) = tokio::try_join!(
            upload(&work, jobs),
            logs::send(&uploader, self.store.log_dir(), &claimed.logs_needed),
            realisations,
        )?;
        if stop.is_stopped() {
            return Err(PushError::Stopped);
        }
        let committed = commit(&work, known.plan.paths.len(), &claimed.needed, lease).await?;

        let full = |path: &StorePath| self.store.store_dir().display(path);
        let full_name = |path: &str| format!("{}/{path}", self.store.store_dir().as_str());
        let uploaded = claimed.needed.len() as u64;
        let needed: HashSet<&StorePath> = claimed.needed.iter().collect();
        let pushed = known
            .plan
            .paths
            .iter()
            .filter_map(|path| {
                Some(Pushed {
                    path: path.clone(),
                    nar_size: known.infos.get(path)?.nar_size,
                    uploaded: needed.contains(path),
                })
            })
            .collect();
        Ok(Summary {
            already_cached: known.plan.paths.len() as u64 - uploaded,
            uploaded,
            pushed,
            nar_bytes,
            bytes_sent: uploader.bytes_sent(),
            seconds: 0.0,
            closures: known
                .plan
                .roots
                .iter()
                .filter(|root| self.options.roots.contains(root))
                .map(full)
                .collect(),
            verified: committed.paths_verified,
            signatures: committed
                .signatures
                .into_iter()
                .filter_map(|root| Some((root.path.parse().ok()?, root.signatures)))
                .collect(),
            replaced: committed.replaced.iter().map(|path| full_name(path)).collect(),
            conflicts: committed
                .conflicts
                .into_iter()
                .map(|conflict| Conflict {
                    path: full_name(&conflict.path),
                    nar_hash: conflict.nar_hash,
                    differences: conflict
                        .differences
                        .into_iter()
                        .map(|difference| Difference {
                            field: difference.field,
                            cached: difference.cached,
                            claimed: difference.claimed,
                        })
                        .collect(),
                })
                .collect(),
            ..self.left(known)
        })
    }

    /// Names all paths, in batches, and gathers what the server lacks.
    async fn claim(&self, server: &Server, known: &Known) -> Result<Claimed, PushError> {
        let answers: Vec<Claimed> =
            futures::stream::iter(known.plan.batches(&known.infos, server.opened.max_batch))
                .map(|batch| async move {
                    let left_to = batch.left_to.map(|index| self.upstream(index));
                    server.claim(&batch.paths, &batch.external, left_to).await
                })
                .buffered(PARALLEL_CLAIMS)
                .try_collect()
                .await?;
        let mut all = Claimed::default();
        let mut logs = BTreeSet::new();
        let mut needed = BTreeSet::new();
        for answer in answers {
            needed.extend(answer.needed);
            logs.extend(answer.logs_needed);
        }
        all.needed = needed.into_iter().collect();
        all.logs_needed = logs.into_iter().collect();
        Ok(all)
    }
}

/// Lets go of what the push claimed, if the server can be told in time; else its lease ends by itself.
async fn abort(server: &Server) {
    match tokio::time::timeout(ABORT_TIMEOUT, server.abort()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("giving up the push: {error}"),
        Err(_) => tracing::debug!("giving up the push took too long"),
    }
}
