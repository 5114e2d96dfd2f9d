//! How far a garbage collection is.

use niks3_base::metrics::{GcCounts, metrics};
use serde::{Deserialize, Serialize};

use crate::tasks;

/// What a garbage collection is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Ending failed pushes.
    #[default]
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
    /// Done.
    Finished,
}

impl Phase {
    /// As answers and metrics write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pushes => "pushes",
            Self::Closures => "closures",
            Self::Mark => "mark",
            Self::Paths => "paths",
            Self::Nars => "nars",
            Self::Logs => "logs",
            Self::Uploads => "uploads",
            Self::Finished => "finished",
        }
    }
}

/// What it has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Pushes that failed, forgotten with what they had uploaded.
    pub failed_uploads_deleted: u64,
    /// Closures let go.
    pub old_closures_deleted: u64,
    /// Objects that nothing needs, and that something needed, or that were not there, the
    /// last time.
    pub objects_marked_for_deletion: u64,
    /// Objects deleted from the bucket.
    pub objects_deleted_after_grace_period: u64,
    /// Objects that should have gone and are there.
    pub objects_failed_to_delete: u64,
    /// Bytes of NARs and logs deleted from the bucket.
    pub bytes_freed: u64,
    /// Paths that were looked at.
    pub paths: u64,
    /// Paths of those that something needs.
    pub paths_needed: u64,
}

impl From<Counts> for GcCounts {
    fn from(counts: Counts) -> Self {
        Self {
            closures_deleted: counts.old_closures_deleted,
            objects_marked: counts.objects_marked_for_deletion,
            objects_deleted: counts.objects_deleted_after_grace_period,
            objects_failed: counts.objects_failed_to_delete,
            bytes_freed: counts.bytes_freed,
        }
    }
}

/// What the quota has made of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaReport {
    /// Most bytes of the cache.
    pub quota: u64,
    /// Bytes of what the quota never takes: pins, releases, what is used.
    pub exempt: u64,
    /// Bytes that stay, with those.
    pub kept: u64,
    /// Closures that give way.
    pub closures: u64,
}

/// What a retention policy has made of the closures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetentionReport {
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
    /// Released closures whose undo time was over.
    pub deleted: u64,
    /// Bytes that the bucket loses once all of these are deleted.
    pub bytes_in_the_end: u64,
    /// Of a dry run with a policy: closures that the policy in force would keep.
    pub only_here: u64,
    /// Of a dry run with a policy: closures that only the policy in force would let go.
    pub only_in_force: u64,
    /// Repositories whose jobs do not report what they use.
    pub uncovered: u64,
    /// Why nothing is released, and how to allow it.
    pub held: Option<String>,
    /// What somebody should know.
    pub notices: Vec<String>,
    /// What the quota has made of it.
    pub quota: Option<QuotaReport>,
}

/// Phase and counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// What it has done so far.
    pub counts: Counts,
    /// What a retention policy has made of the closures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionReport>,
}

/// Progress that the work writes and a reporter reads.
pub(super) type Shared = tasks::Shared<Progress>;

impl Shared {
    /// Says what is being done.
    pub fn phase(&self, phase: Phase) {
        metrics().gc_phase(Some(phase.as_str()));
        self.change(|progress| progress.phase = phase);
    }

    /// Changes the report of a collection that goes by a policy.
    pub fn report(&self, change: impl FnOnce(&mut RetentionReport)) {
        self.change(|progress| change(progress.retention.get_or_insert_default()));
    }

    /// Counts what was done.
    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.change(|progress| change(&mut progress.counts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use niks3_base::metrics::GC_PHASES;

    #[test]
    fn metrics_know_every_phase_with_work() {
        let phases = [
            Phase::Pushes,
            Phase::Closures,
            Phase::Mark,
            Phase::Paths,
            Phase::Nars,
            Phase::Logs,
            Phase::Uploads,
        ];
        assert_eq!(phases.map(Phase::as_str), GC_PHASES);
    }
}
