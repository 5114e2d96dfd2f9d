//! What keeps a path, and until when.

use std::sync::Arc;

use niks3_base::error::Error;
use niks3_catalog::{PathId, now};
use niks3_nix::store_path::StorePath;
use niks3_retention::{Judge, Policy, Verdict};

use super::reference_graph::ReferenceGraph;
use super::{wording, world};
use crate::app::App;
use crate::policy_file::PolicyFile;

/// Closures that an answer explains.
const MAX_CLOSURES: usize = 20;
/// Pushes and uses of each, the newest first.
const MAX_LINKS: usize = 50;
/// Pins that an answer names.
const MAX_PINS: i64 = 20;

/// A push or use of a closure, and what it does for it.
#[derive(Debug, Clone)]
pub struct Use {
    /// Id of the run; none for a push without one.
    pub run: Option<String>,
    /// `owner/name`.
    pub repository: Option<String>,
    /// Git's ref.
    pub git_ref: Option<String>,
    /// What made it run.
    pub event: Option<String>,
    /// Name of the job.
    pub job: Option<String>,
    /// It was a use, no push.
    pub is_use: bool,
    /// Unix time.
    pub at: i64,
    /// The rule that judges it; none for the default.
    pub rule: Option<String>,
    /// Why it keeps the closure, if it does.
    pub keeps: Option<String>,
}

/// A closure that holds the path.
#[derive(Debug, Clone)]
pub struct Explained {
    /// Base name of its root.
    pub root: String,
    /// Pins that name its root.
    pub pins: Vec<String>,
    /// A push in progress needs it.
    pub in_push: bool,
    /// It stays.
    pub is_kept: bool,
    /// Why it stays, or goes.
    pub reason: String,
    /// Unix time at which it was released.
    pub released_at: Option<i64>,
    /// What the next collection does with it: `keep`, `restore`, `release`, `wait` or `delete`.
    pub next: &'static str,
    /// Unix time from which it is deleted if nothing keeps it.
    pub delete_from: Option<i64>,
    /// Who has pushed and used it, the newest first.
    pub uses: Vec<Use>,
    /// There are more of them.
    pub more_uses: bool,
}

/// What keeps a path.
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    /// SHA-256 of the policy's text; none if the server has none, and everything is kept for 30 days.
    pub policy: Option<String>,
    /// Pins that name a root which holds the path and is no closure.
    pub pins: Vec<String>,
    /// Closures that hold the path.
    pub closures: Vec<Explained>,
    /// There are more.
    pub more: bool,
}

/// Says what keeps a path.
///
/// # Errors
/// `NotFound` if the cache does not have it.
pub async fn explain(app: &App, path: &StorePath) -> Result<Explanation, Error> {
    let Some(id) = app.catalog.cached_path(path).await? else {
        return Err(Error::not_found(format!("the cache does not have {path}")));
    };
    let _walk = app.retention.walk.lock().await;
    let holders = ReferenceGraph::load(&app.catalog).await?.holders(id);
    let mut roots = app.catalog.closures_of_paths(&holders).await?;
    let more = roots.len() > MAX_CLOSURES;
    // The closure of the path itself comes first.
    roots.sort_by_key(|(root, name)| (*root != id, name.clone()));
    roots.truncate(MAX_CLOSURES);
    let mut pins = Vec::new();
    for holder in app.catalog.pinned_paths().await? {
        if holders.contains(&holder) && pins.len() < usize::try_from(MAX_PINS).unwrap_or(usize::MAX) {
            pins.extend(app.catalog.pins_of(holder, MAX_PINS).await?);
        }
    }
    let mut pins_of_roots = Vec::new();
    for (root, _) in &roots {
        pins_of_roots.push(app.catalog.pins_of(*root, MAX_PINS).await?);
    }
    let time = app.catalog.clock().await?.unwrap_or_else(now);
    let loaded = world::load(&app.catalog, time).await?;
    let file = app.retention.policy.clone();
    let work = tokio::task::spawn_blocking(move || {
        let wanted: Vec<PathId> = roots.into_iter().map(|(root, _)| root).collect();
        closures(file.as_ref(), &loaded, &wanted, pins_of_roots)
    });
    Ok(Explanation {
        policy: app.retention.policy.as_ref().map(|file| file.hash.clone()),
        pins,
        closures: work.await.map_err(Error::internal)?,
        more,
    })
}

fn closures(
    file: Option<&Arc<PolicyFile>>,
    loaded: &world::Loaded,
    wanted: &[PathId],
    pins: Vec<Vec<String>>,
) -> Vec<Explained> {
    let by_default = Policy::default();
    let policy = file.map_or(&by_default, |file| &file.policy);
    let judge = Judge::new(policy, &loaded.world);
    let plan = judge.plan();
    let mut explained = Vec::with_capacity(wanted.len());
    for (path_id, pins) in wanted.iter().zip(pins) {
        let Some(index) = loaded.closures.iter().position(|row| row.path_id == *path_id) else {
            continue;
        };
        let row = &loaded.closures[index];
        let decision = &plan.decisions[index];
        let by_hand = row.released_at.is_some() && row.released_by.is_empty();
        let (next, delete_from) = match decision.verdict {
            Verdict::Keep => ("keep", None),
            Verdict::Restore => ("restore", None),
            Verdict::Release => ("release", Some(loaded.world.now.saturating_add(policy.undo))),
            Verdict::Wait(until) => ("wait", Some(until)),
            Verdict::Purge => ("delete", Some(loaded.world.now)),
        };
        let (uses, more_uses) = uses(&judge, policy, loaded, index);
        explained.push(Explained {
            root: row.root.clone(),
            pins,
            in_push: loaded.world.closures[index].in_push,
            is_kept: decision.reason.is_some(),
            reason: match decision.reason {
                Some(reason) => wording::reason(policy, reason),
                None => wording::departure(policy, decision, by_hand, false),
            },
            released_at: row.released_at,
            next,
            delete_from,
            uses,
            more_uses,
        });
    }
    explained
}

fn uses(judge: &Judge<'_>, policy: &Policy, loaded: &world::Loaded, closure: usize) -> (Vec<Use>, bool) {
    let links = loaded.world.links.iter().enumerate();
    let mut found: Vec<_> = links
        .filter(|(_, link)| link.closure as usize == closure)
        .collect();
    found.sort_by_key(|(index, link)| (std::cmp::Reverse(link.at), *index));
    let more = found.len() > MAX_LINKS;
    found.truncate(MAX_LINKS);
    let text = |text: &Arc<str>| Some(text.to_string()).filter(|text| !text.is_empty());
    let uses = found.into_iter().map(|(index, link)| {
        let verdict = judge.link(link);
        let run = link.run.map(|run| run as usize);
        let facts = run.map(|run| &loaded.world.runs[run]);
        Use {
            run: run.map(|run| loaded.runs[run].1.clone()),
            repository: facts.and_then(|run| text(&run.repository)),
            git_ref: facts.and_then(|run| text(&run.git_ref)),
            event: facts.and_then(|run| text(&run.event)),
            job: facts.and_then(|run| text(&run.job)),
            is_use: loaded.uses.contains(&index),
            at: link.at,
            rule: verdict
                .rule
                .map(|rule| wording::rule_name(policy, rule).to_owned()),
            keeps: verdict.reason.map(|reason| wording::reason(policy, reason)),
        }
    });
    (uses.collect(), more)
}
