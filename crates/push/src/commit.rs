//! The end of a push: all has arrived and becomes visible, or is sent again.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use niks3_client::types;
use niks3_nix::store_path::StorePath;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    error::PushError,
    lease, logs,
    server::Committed,
    work::{Job, Work},
};

/// What a commit misses is sent again this often.
const ROUNDS: u32 = 3;

/// Commits; what has not arrived is sent again.
///
/// `paths` is how many paths become visible, `needed` what has been uploaded so far.
pub(crate) async fn commit(
    work: &Arc<Work>,
    paths: usize,
    needed: &[StorePath],
    lease: AbortOnDropHandle<()>,
) -> Result<types::Commit, PushError> {
    let (server, progress) = (&work.uploader.server, &work.uploader.progress);
    let mut lease = Some(lease);
    let mut planned: HashSet<StorePath> = needed.iter().cloned().collect();
    let mut round = 0;
    progress.committing();
    loop {
        // During a commit the server renews the lease itself, and one that is through has none to renew.
        drop(lease.take());
        let missing = match server.commit(paths).await? {
            Committed::Done(commit) => return Ok(*commit),
            Committed::Missing(missing) => missing,
            Committed::Verifying(verified, total) => {
                progress.verifying(verified, total);
                continue;
            }
        };
        lease = Some(lease::keep(server, &work.first));
        round += 1;
        if round > ROUNDS {
            let first = missing.first().cloned().unwrap_or_default();
            return Err(PushError::StillMissing {
                first,
                count: missing.len(),
                rounds: ROUNDS,
            });
        }
        tracing::info!(
            "sending {} again that did not arrive, {} for one",
            missing.len(),
            missing[0]
        );
        let named = |kinds: &[&str]| -> BTreeSet<StorePath> {
            missing
                .iter()
                .filter_map(|text| text.split_once(' '))
                .filter(|(kind, _)| kinds.contains(kind))
                .filter_map(|(_, path)| path.parse().ok())
                .collect()
        };
        let jobs: Vec<Job> = named(&["nar", "listing", "part"])
            .into_iter()
            .map(|path| Job { path, fresh: true })
            .collect();
        let logs: Vec<StorePath> = named(&["log"]).into_iter().collect();
        if jobs.is_empty() && logs.is_empty() {
            return Err(PushError::StillMissing {
                first: missing[0].clone(),
                count: missing.len(),
                rounds: round,
            });
        }
        for job in &jobs {
            let nar_size = work.infos.get(&job.path).map_or(0, |info| info.nar_size);
            if planned.insert(job.path.clone()) {
                progress.also_planned(nar_size);
            } else {
                progress.again(nar_size);
            }
        }
        tokio::try_join!(
            upload(work, jobs),
            logs::send(&work.uploader, work.store.log_dir(), &logs)
        )?;
        progress.committing();
    }
}

/// Uploads `jobs`; those whose upload in parts does not fit what an earlier push left begin again.
pub(crate) async fn upload(work: &Arc<Work>, mut jobs: Vec<Job>) -> Result<(), PushError> {
    for _ in 0..ROUNDS {
        if jobs.is_empty() {
            return Ok(());
        }
        jobs = work.run(jobs).await?;
        if work.settings.stop.is_stopped() {
            return Err(PushError::Stopped);
        }
    }
    match jobs.first() {
        None => Ok(()),
        Some(job) => Err(PushError::Upload {
            what: job.path.to_string(),
            message: format!("its parts did not fit together {ROUNDS} times"),
        }),
    }
}
