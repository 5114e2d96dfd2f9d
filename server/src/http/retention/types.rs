//! What retention looks like on the wire.

use niks3_nix::store_path::StorePath;
use poem_openapi::{Enum, Object};

use super::App;
use crate::retention::explain;

/// A push or use of a closure, and what it does for it.
#[derive(Debug, Object)]
pub(super) struct RetentionUse {
    /// Id of the run; none for a push without one, and for a closure that was restored.
    #[oai(skip_serializing_if_is_none)]
    pub run: Option<String>,
    /// `owner/name`.
    #[oai(skip_serializing_if_is_none)]
    pub repository: Option<String>,
    /// Git's ref.
    #[oai(rename = "ref", skip_serializing_if_is_none)]
    pub git_ref: Option<String>,
    /// What made it run.
    #[oai(skip_serializing_if_is_none)]
    pub event: Option<String>,
    /// Name of the job.
    #[oai(skip_serializing_if_is_none)]
    pub job: Option<String>,
    /// The job had it from the cache; otherwise it pushed it.
    pub used: bool,
    /// Unix time.
    pub at: i64,
    /// The rule that judges it; none: the default.
    #[oai(skip_serializing_if_is_none)]
    pub rule: Option<String>,
    /// Why it keeps the closure; none if it does not.
    #[oai(skip_serializing_if_is_none)]
    pub keeps: Option<String>,
}

/// A closure that holds the path.
#[derive(Debug, Object)]
pub(super) struct ExplainedClosure {
    /// Store path of its root.
    pub path: String,
    /// Pins that name its root.
    pub pins: Vec<String>,
    /// A push in progress needs it.
    pub in_push: bool,
    /// Something keeps it.
    pub kept: bool,
    /// What keeps it, or why it goes.
    pub reason: String,
    /// Unix time at which it was released: it stays for the undo time.
    #[oai(skip_serializing_if_is_none)]
    pub released_at: Option<i64>,
    /// What the next garbage collection does: `keep`, `restore`, `release`, `wait` or `delete`.
    pub next: String,
    /// Unix time from which it is deleted if nothing keeps it until then.
    #[oai(skip_serializing_if_is_none)]
    pub delete_from: Option<i64>,
    /// Pushes and uses, the newest first.
    pub uses: Vec<RetentionUse>,
    /// There are more of them.
    pub more_uses: bool,
}

/// What keeps a path.
#[derive(Debug, Object)]
pub(super) struct Explanation {
    /// Store path.
    pub path: String,
    /// SHA-256 of the policy file; none if the server has none: then everything is kept for a time after its last use.
    #[oai(skip_serializing_if_is_none)]
    pub policy: Option<String>,
    /// Pins whose closures hold the path.
    pub pins: Vec<String>,
    /// Closures that hold the path, its own first.
    pub closures: Vec<ExplainedClosure>,
    /// There are more.
    pub more: bool,
}

impl Explanation {
    pub(super) fn of(app: &App, path: &StorePath, explained: explain::Explanation) -> Self {
        let closure = |closure: explain::Explained| ExplainedClosure {
            path: match closure.root.parse() {
                Ok(root) => app.store_dir.display(&root),
                Err(_) => closure.root,
            },
            pins: closure.pins,
            in_push: closure.in_push,
            kept: closure.is_kept,
            reason: closure.reason,
            released_at: closure.released_at,
            next: closure.next.to_owned(),
            delete_from: closure.delete_from,
            uses: closure.uses.into_iter().map(RetentionUse::from).collect(),
            more_uses: closure.more_uses,
        };
        Self {
            path: app.store_dir.display(path),
            policy: explained.policy,
            pins: explained.pins,
            closures: explained.closures.into_iter().map(closure).collect(),
            more: explained.more,
        }
    }
}

impl From<explain::Use> for RetentionUse {
    fn from(link: explain::Use) -> Self {
        Self {
            run: link.run,
            repository: link.repository,
            git_ref: link.git_ref,
            event: link.event,
            job: link.job,
            used: link.is_use,
            at: link.at,
            rule: link.rule,
            keeps: link.keeps,
        }
    }
}

/// The open pull requests of a repository: all of them.
#[derive(Debug, Object)]
pub(super) struct OpenPulls {
    /// Who keeps the repository: the name of the provider of its tokens in the server's configuration; by default that of
    /// the caller's own token, or `github`.
    #[oai(skip_serializing_if_is_none)]
    pub provider: Option<String>,
    /// The number that the repository keeps when it is renamed.
    pub repository_id: String,
    /// Their numbers, at most 20,000.
    pub numbers: Vec<u64>,
    /// Unix time at which the list was true; not in the future.
    pub at: u64,
}

/// What has become of a list.
#[derive(Debug, Object)]
pub(super) struct KeptOpenPulls {
    /// It is kept; otherwise a newer one is known.
    pub kept: bool,
}

/// What closures are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub(super) enum GroupBy {
    /// The rule that keeps them.
    Rule,
    /// The repositories whose jobs have pushed or used them.
    Repository,
}

/// Closures, and what they hold.
#[derive(Debug, Object)]
pub(super) struct UsageGroup {
    /// A rule or a repository; in parentheses, what is neither: `(default)`, `(pinned)`, `(released)`, `(no run)`.
    pub name: String,
    /// Closures.
    pub closures: u64,
    /// Bytes in the bucket of all NARs that they reach.
    pub bytes: u64,
    /// Of those, bytes that no closure of another group reaches.
    pub only_bytes: u64,
}

/// What the cache holds.
#[derive(Debug, Object)]
pub(super) struct Usage {
    /// Closures.
    pub closures: u64,
    /// Bytes in the bucket of all NARs that closures and pins reach.
    pub bytes: u64,
    /// Of the closures, those that are released.
    pub released_closures: u64,
    /// Bytes that only these reach: they are free once the undo time is over.
    pub released_bytes: u64,
    /// Most bytes of the cache, if the policy says so.
    #[oai(skip_serializing_if_is_none)]
    pub quota: Option<u64>,
    /// The groups, largest first.
    pub groups: Vec<UsageGroup>,
    /// There are more groups.
    pub more: bool,
}
