//! What checks look like on the wire.

use poem_openapi::{Enum, Object};

use super::super::task_state::TaskState;
use super::{App, Error};
use crate::catalog::{FindingRow, FindingState, TaskRow};
use crate::fsck::{Phase, Progress, Request};

/// What to check.
#[derive(Debug, Object)]
pub(super) struct StartFsck {
    /// Mend what can be mended without guessing.
    #[oai(default)]
    pub repair: bool,
    /// Read every NAR, and compare it with its hashes.
    #[oai(default = "yes")]
    pub contents: bool,
    /// Say what a repair would do, and do nothing.
    #[oai(default)]
    pub dry_run: bool,
    /// Public keys, `name:base64`, whose signatures are as good as those of this server when narinfos that the database does
    /// not have are adopted. At most 100.
    #[oai(default)]
    pub trust_keys: Vec<String>,
}

const fn yes() -> bool {
    true
}

/// What a check is looking at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum FsckPhase {
    /// Narinfos, listings, references and realisations of paths.
    Paths,
    /// NARs.
    Nars,
    /// Build logs.
    Logs,
    /// Closures and pins.
    Roots,
    /// Objects of the bucket.
    Bucket,
    /// Uploads in parts.
    Uploads,
    /// Mending what the bucket has and the database has not.
    Mend,
    /// Over.
    Finished,
}

impl From<Phase> for FsckPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Paths => Self::Paths,
            Phase::Nars => Self::Nars,
            Phase::Logs => Self::Logs,
            Phase::Roots => Self::Roots,
            Phase::Bucket => Self::Bucket,
            Phase::Uploads => Self::Uploads,
            Phase::Mend => Self::Mend,
            Phase::Finished => Self::Finished,
        }
    }
}

/// What a check has looked at so far.
#[derive(Debug, Object)]
pub(super) struct FsckCounts {
    /// Paths.
    pub paths: u64,
    /// NARs.
    pub nars: u64,
    /// Bytes of NARs that were read.
    pub nar_bytes: u64,
    /// Build logs.
    pub logs: u64,
    /// Objects that the bucket lists.
    pub objects: u64,
}

/// How many findings of a kind came to the same end.
#[derive(Debug, Object)]
pub(super) struct FindingCount {
    /// What is wrong.
    pub kind: String,
    /// What became of it.
    pub state: FindingEnd,
    /// How many.
    pub count: u64,
}

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum FindingEnd {
    /// It is there.
    Open,
    /// It was mended.
    Mended,
    /// It was to be mended, and could not be.
    Failed,
}

impl From<FindingState> for FindingEnd {
    fn from(state: FindingState) -> Self {
        match state {
            FindingState::Open => Self::Open,
            FindingState::Mended => Self::Mended,
            FindingState::Failed => Self::Failed,
        }
    }
}

/// A check of bucket and database.
#[derive(Debug, Object)]
pub(super) struct FsckRun {
    /// Names it in other operations.
    pub id: String,
    /// Where it stands.
    pub state: TaskState,
    /// What it is looking at, or was when it ended.
    pub phase: FsckPhase,
    /// What it has looked at so far.
    pub counts: FsckCounts,
    /// What it has found so far, by kind and by what became of it.
    pub found: Vec<FindingCount>,
    /// Why it ended early.
    #[oai(skip_serializing_if_is_none)]
    pub error: Option<String>,
    /// As asked for.
    pub repair: bool,
    /// As asked for.
    pub contents: bool,
    /// As asked for.
    pub dry_run: bool,
    /// As asked for.
    pub trust_keys: Vec<String>,
    /// Unix time.
    pub started_at: i64,
    /// Unix time.
    #[oai(skip_serializing_if_is_none)]
    pub finished_at: Option<i64>,
}

impl FsckRun {
    pub(super) async fn of(app: &App, row: TaskRow) -> Result<Self, Error> {
        let state = TaskState::of(&row);
        let request: Request = serde_json::from_str(&row.request).map_err(Error::internal)?;
        let progress: Progress = serde_json::from_str(&row.progress).map_err(Error::internal)?;
        let counts = progress.counts;
        let found = app.catalog.finding_counts(row.id).await?;
        Ok(Self {
            id: row.token,
            state,
            phase: progress.phase.into(),
            counts: FsckCounts {
                paths: counts.paths,
                nars: counts.nars,
                nar_bytes: counts.nar_bytes,
                logs: counts.logs,
                objects: counts.objects,
            },
            found: found
                .into_iter()
                .map(|found| FindingCount {
                    kind: found.kind,
                    state: found.state.into(),
                    count: found.count.unsigned_abs(),
                })
                .collect(),
            error: (!row.error.is_empty()).then_some(row.error),
            repair: request.repair,
            contents: request.contents,
            dry_run: request.dry_run,
            trust_keys: request.trust_keys,
            started_at: row.started_at,
            finished_at: (row.finished_at != 0).then_some(row.finished_at),
        })
    }
}

/// A page of checks.
#[derive(Debug, Object)]
pub(super) struct FsckRuns {
    /// From the newest to the oldest.
    pub runs: Vec<FsckRun>,
    /// Where the next page begins, if there is one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<String>,
}

/// Something that does not fit.
#[derive(Debug, Object)]
pub(super) struct Finding {
    /// What is wrong, in one word such as `missing-nar`.
    pub kind: String,
    /// Key of the object, or name of what it is about.
    pub subject: String,
    /// What is wrong, in words.
    pub detail: String,
    /// What became of it.
    pub state: FindingEnd,
    /// Why it was not mended, or what a repair would do, where that is known.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
    /// A garbage collection removes it; nothing has to be done.
    pub left_to_gc: bool,
    /// Unix time.
    pub found_at: i64,
}

impl Finding {
    pub(super) fn of(row: FindingRow) -> Self {
        Self {
            kind: row.kind,
            subject: row.subject,
            detail: row.detail,
            state: row.state.into(),
            reason: (!row.reason.is_empty()).then_some(row.reason),
            left_to_gc: row.left_to_gc,
            found_at: row.found_at,
        }
    }
}

/// A page of findings.
#[derive(Debug, Object)]
pub(super) struct Findings {
    /// In the order in which they were found.
    pub findings: Vec<Finding>,
    /// Where the next page begins, if there is one.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<u64>,
}
