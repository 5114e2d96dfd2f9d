//! What garbage collections look like on the wire.

use poem_openapi::{Enum, Object};

use super::super::task_state::TaskState;
use super::Error;
use crate::catalog::TaskRow;
use crate::gc::{Phase, Progress, Request, RetentionReport};

/// What to collect.
#[derive(Debug, Object)]
pub(super) struct StartGc {
    /// Seconds since its last push or use after which a closure is deleted, unless it is pinned.
    pub older_than_seconds: u64,
    /// Seconds after which what failed uploads left goes. Also the grace period: how long
    /// something has to be needed by nothing before it is deleted.
    #[oai(default = "six_hours")]
    pub failed_uploads_older_than_seconds: u64,
    /// No grace period; as safe as with one.
    #[oai(default)]
    pub force: bool,
    /// Change nothing, say what would go.
    #[oai(default)]
    pub dry_run: bool,
    /// Collect although the clock of the server looks wrong.
    #[oai(default)]
    pub accept_clock: bool,
    /// Text of a retention policy, for a dry run: what would go under it, compared with the policy in force.
    #[oai(skip_serializing_if_is_none)]
    pub policy: Option<String>,
    /// Hash of the server's retention policy, which may release more than `max_release` although it is new.
    #[oai(skip_serializing_if_is_none)]
    pub accept_policy: Option<String>,
}

const fn six_hours() -> u64 {
    6 * 3600
}

/// What a garbage collection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum GcPhase {
    /// Ending failed pushes.
    Pushes,
    /// Letting go of old closures.
    Closures,
    /// Finding what is needed.
    Mark,
    /// Deleting narinfos, listings and realisations.
    Paths,
    /// Deleting NARs.
    Nars,
    /// Deleting build logs.
    Logs,
    /// Deleting what failed uploads have left.
    Uploads,
    /// Over.
    Finished,
}

impl From<Phase> for GcPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Pushes => Self::Pushes,
            Phase::Closures => Self::Closures,
            Phase::Mark => Self::Mark,
            Phase::Paths => Self::Paths,
            Phase::Nars => Self::Nars,
            Phase::Logs => Self::Logs,
            Phase::Uploads => Self::Uploads,
            Phase::Finished => Self::Finished,
        }
    }
}

/// What a garbage collection has done so far; of a dry run, what it would do.
#[derive(Debug, Object)]
pub(super) struct GcCounts {
    /// Pushes that failed, forgotten with what they had uploaded.
    pub failed_uploads_deleted: u64,
    /// Closures let go.
    pub old_closures_deleted: u64,
    /// Objects found to be needed by nothing for the first time.
    pub objects_marked_for_deletion: u64,
    /// Objects deleted from the bucket.
    pub objects_deleted_after_grace_period: u64,
    /// Objects that were to be deleted and are still there.
    pub objects_failed_to_delete: u64,
    /// Bytes of NARs and build logs deleted from the bucket.
    pub bytes_freed: u64,
    /// Paths that were looked at.
    pub paths: u64,
    /// Paths of those that something needs.
    pub paths_needed: u64,
}

/// What the quota has made of a plan.
#[derive(Debug, Object)]
pub(super) struct GcQuota {
    /// Most bytes of the cache.
    pub quota: u64,
    /// Bytes of what the quota never takes.
    pub exempt: u64,
    /// Bytes that stay, with those.
    pub kept: u64,
    /// Closures that give way.
    pub closures: u64,
}

/// What a retention policy has made of the closures.
#[derive(Debug, Object)]
pub(super) struct GcRetention {
    /// SHA-256 of the policy's text.
    pub policy: String,
    /// Closures that were judged.
    pub closures: u64,
    /// Closures released now.
    pub released: u64,
    /// Closures that were released and that something keeps again.
    pub restored: u64,
    /// Released closures whose undo time is not over.
    pub waiting: u64,
    /// Released closures that were deleted.
    pub deleted: u64,
    /// Bytes of NARs that the bucket loses once all of these are deleted.
    pub bytes_in_the_end: u64,
    /// With `policy`: closures that go, and that the policy in force would keep.
    pub only_here: u64,
    /// With `policy`: closures that stay, and that the policy in force would let go.
    pub only_in_force: u64,
    /// Why nothing is released, and how to allow it.
    #[oai(skip_serializing_if_is_none)]
    pub held: Option<String>,
    /// What somebody should know.
    pub notices: Vec<String>,
    /// With a quota: what it has made of the plan.
    #[oai(skip_serializing_if_is_none)]
    pub quota: Option<GcQuota>,
}

impl From<RetentionReport> for GcRetention {
    fn from(report: RetentionReport) -> Self {
        Self {
            policy: report.policy,
            closures: report.closures,
            released: report.released,
            restored: report.restored,
            waiting: report.waiting,
            deleted: report.deleted,
            bytes_in_the_end: report.bytes_in_the_end,
            only_here: report.only_here,
            only_in_force: report.only_in_force,
            held: report.held,
            notices: report.notices,
            quota: report.quota.map(|filled| GcQuota {
                quota: filled.quota,
                exempt: filled.exempt,
                kept: filled.kept,
                closures: filled.closures,
            }),
        }
    }
}

/// A garbage collection.
#[derive(Debug, Object)]
pub(super) struct GcRun {
    /// Names it in other operations.
    pub id: String,
    /// Where it stands.
    pub state: TaskState,
    /// What it is doing, or was doing when it ended.
    pub phase: GcPhase,
    /// What it has done so far.
    pub counts: GcCounts,
    /// What a retention policy has made of the closures, if the server has one.
    #[oai(skip_serializing_if_is_none)]
    pub retention: Option<GcRetention>,
    /// Why it ended early.
    #[oai(skip_serializing_if_is_none)]
    pub error: Option<String>,
    /// As asked for.
    pub older_than_seconds: u64,
    /// As asked for.
    pub failed_uploads_older_than_seconds: u64,
    /// As asked for.
    pub force: bool,
    /// As asked for.
    pub dry_run: bool,
    /// Unix time.
    pub started_at: i64,
    /// Unix time.
    #[oai(skip_serializing_if_is_none)]
    pub finished_at: Option<i64>,
}

impl GcRun {
    pub(super) fn of(row: TaskRow) -> Result<Self, Error> {
        let state = TaskState::of(&row);
        let request: Request = serde_json::from_str(&row.request).map_err(Error::internal)?;
        let progress: Progress = serde_json::from_str(&row.progress).map_err(Error::internal)?;
        let counts = progress.counts;
        Ok(Self {
            id: row.token,
            state,
            phase: progress.phase.into(),
            counts: GcCounts {
                failed_uploads_deleted: counts.failed_uploads_deleted,
                old_closures_deleted: counts.old_closures_deleted,
                objects_marked_for_deletion: counts.objects_marked_for_deletion,
                objects_deleted_after_grace_period: counts.objects_deleted_after_grace_period,
                objects_failed_to_delete: counts.objects_failed_to_delete,
                bytes_freed: counts.bytes_freed,
                paths: counts.paths,
                paths_needed: counts.paths_needed,
            },
            retention: progress.retention.map(GcRetention::from),
            error: (!row.error.is_empty()).then_some(row.error),
            older_than_seconds: request.older_than.into(),
            failed_uploads_older_than_seconds: request.failed_uploads_older_than.into(),
            force: request.force,
            dry_run: request.dry_run,
            started_at: row.started_at,
            finished_at: (row.finished_at != 0).then_some(row.finished_at),
        })
    }
}

/// A page of garbage collections.
#[derive(Debug, Object)]
pub(super) struct GcRuns {
    /// From the newest to the oldest.
    pub runs: Vec<GcRun>,
    /// Where the next page begins, if there is one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<String>,
}

/// A closure that a garbage collection let go, or would.
#[derive(Debug, Object)]
pub(super) struct GcClosure {
    /// Base name of its root.
    pub root: String,
    /// Unix time of its last push.
    pub pushed_at: i64,
    /// Paths that go with it; one of several such closures is counted with the first.
    pub paths: u64,
    /// Bytes of their NARs in the bucket, each counted once.
    pub nar_bytes: u64,
    /// Under a retention policy: `release`, `wait`, `delete`, or, where a dry run compares policies, `keep`: only the one in
    /// force would let it go.
    #[oai(skip_serializing_if_is_none)]
    pub action: Option<String>,
    /// Why.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
    /// Unix time from which it is deleted if nothing keeps it until then.
    #[oai(skip_serializing_if_is_none)]
    pub delete_from: Option<i64>,
}

/// What was restored.
#[derive(Debug, Object)]
pub(super) struct RestoredClosures {
    /// Closures.
    pub restored: u64,
}

/// A page of closures.
#[derive(Debug, Object)]
pub(super) struct GcClosures {
    /// In the order in which they were pushed first.
    pub closures: Vec<GcClosure>,
    /// Where the next page begins, if there is one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<u64>,
}
