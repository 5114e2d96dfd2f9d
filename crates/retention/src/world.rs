//! What is judged. The order of all lists is without meaning.

use std::sync::Arc;

/// Unix seconds.
pub type Time = i64;

/// How a job has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It succeeded.
    Success,
    /// It failed or was cancelled.
    Failed,
    /// Nobody has said.
    Unknown,
}

impl Outcome {
    /// What the conclusion of a job means, in the words of GitHub. `skipped` and `neutral` are no failures.
    #[must_use]
    pub fn of_conclusion(conclusion: &str) -> Self {
        match conclusion {
            "success" | "skipped" | "neutral" => Self::Success,
            "failure" | "cancelled" | "timed_out" | "startup_failure" => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// A row of `runs`: one job of one attempt of a run of CI, as far as it can be told apart.
#[derive(Debug, Clone)]
pub struct Run {
    /// Id of the row.
    pub id: i64,
    /// It comes out of the claims of a verified token.
    pub verified: bool,
    /// Who ran it, as `github`.
    pub provider: Arc<str>,
    /// `owner/name`.
    pub repository: Arc<str>,
    /// The number that the repository keeps when it is renamed, or nothing.
    pub repository_id: Arc<str>,
    /// Git's ref, as `refs/heads/main`.
    pub git_ref: Arc<str>,
    /// What made it run.
    pub event: Arc<str>,
    /// Name of the workflow.
    pub workflow: Arc<str>,
    /// Name of the job.
    pub job: Arc<str>,
    /// Number of the run.
    pub run_id: Arc<str>,
    /// How often it was begun.
    pub attempt: u64,
    /// Number of the pull request if a verified claim says it, or 0.
    pub pull_request: u64,
    /// How the job has ended.
    pub outcome: Outcome,
    /// It has reported all that it used.
    pub uses_complete: bool,
    /// When it was recorded.
    pub at: Time,
}

/// How a closure was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// When.
    pub at: Time,
    /// By `niks3 closures delete`, so that no rule brings it back.
    pub by_hand: bool,
}

/// A closure in the cache.
#[derive(Debug, Clone)]
pub struct Closure {
    /// Id of the closure.
    pub id: i64,
    /// Name of its root, without the hash.
    pub name: Arc<str>,
    /// A pin or a kept revision of one names its root.
    pub pinned: bool,
    /// A push in progress needs it.
    pub in_push: bool,
    /// It is released already.
    pub released: Option<Release>,
}

/// A push or use of a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Index of the closure in [`World::closures`].
    pub closure: u32,
    /// Index of the run in [`World::runs`]; `None` for a push without a run.
    pub run: Option<u32>,
    /// When.
    pub at: Time,
}

/// All open pull requests of a repository, as a list of some time says.
#[derive(Debug, Clone)]
pub struct OpenPulls {
    /// Who keeps the repository, as in [`Run::provider`].
    pub provider: Arc<str>,
    /// As in [`Run::repository_id`].
    pub repository_id: Arc<str>,
    /// Their numbers.
    pub numbers: Vec<u64>,
    /// When the list was true.
    pub at: Time,
}

/// All that is judged.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The time.
    pub now: Time,
    /// Runs of CI.
    pub runs: Vec<Run>,
    /// Closures.
    pub closures: Vec<Closure>,
    /// Who pushed and used them.
    pub links: Vec<Link>,
    /// The newest list of each repository that sends any.
    pub open_pulls: Vec<OpenPulls>,
}
