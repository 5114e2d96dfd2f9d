//! How much closures hold, and for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use niks3_base::error::Error;
use niks3_catalog::{PathId, now};
use niks3_retention::{Judge, Policy, Reason};

use super::reference_graph::ReferenceGraph;
use super::{wording, world};
use crate::app::App;
use crate::policy_file::PolicyFile;

/// Groups of an answer: each is a walk of its own.
const MAX_GROUPS: usize = 100;

/// What closures are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// Nothing.
    None,
    /// The rule that keeps them.
    Rules,
    /// The repositories whose jobs have pushed or used them.
    Repositories,
}

/// Closures, and what they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// How many.
    pub closures: u64,
    /// Bytes of the NARs that they reach.
    pub bytes: u64,
    /// Bytes that no other group reaches.
    pub only_bytes: u64,
}

/// What the cache holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Closures.
    pub closures: u64,
    /// Bytes of the NARs that closures and pins reach.
    pub bytes: u64,
    /// Closures that are released.
    pub released_closures: u64,
    /// Bytes that only these reach.
    pub released_bytes: u64,
    /// Most bytes of the cache.
    pub quota: Option<u64>,
    /// The largest first.
    pub groups: Vec<Group>,
    /// There are more.
    pub more: bool,
}

/// Says how much closures hold.
///
/// # Errors
/// When the database does not answer.
pub async fn usage(app: &App, groups: Groups) -> Result<Usage, Error> {
    let _walk = app.retention.walk.lock().await;
    let graph = ReferenceGraph::load(&app.catalog).await?;
    let time = app.catalog.clock().await?.unwrap_or_else(now);
    let loaded = world::load(&app.catalog, time).await?;
    let pinned: Vec<PathId> = app.catalog.pinned_paths().await?.into_iter().collect();
    let file = app.retention.policy.clone();
    let work = tokio::task::spawn_blocking(move || count(&graph, &loaded, &pinned, file.as_ref(), groups));
    work.await.map_err(Error::internal)
}

fn count(
    graph: &ReferenceGraph,
    loaded: &world::Loaded,
    pinned: &[PathId],
    file: Option<&Arc<PolicyFile>>,
    by: Groups,
) -> Usage {
    let kept = loaded
        .closures
        .iter()
        .filter(|closure| closure.released_at.is_none());
    let kept: Vec<PathId> = kept
        .map(|closure| closure.path_id)
        .chain(pinned.iter().copied())
        .collect();
    let all: Vec<PathId> = loaded
        .closures
        .iter()
        .map(|closure| closure.path_id)
        .chain(pinned.iter().copied())
        .collect();
    let bytes = graph.bytes(&all);
    let mut roots = match by {
        Groups::None => BTreeMap::new(),
        Groups::Rules => by_rule(loaded, file),
        Groups::Repositories => by_repository(loaded),
    };
    let more = roots.len() > MAX_GROUPS;
    if more {
        let mut sizes: Vec<(usize, String)> = roots
            .iter()
            .map(|(name, roots)| (roots.len(), name.clone()))
            .collect();
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        sizes.truncate(MAX_GROUPS);
        let largest: BTreeSet<String> = sizes.into_iter().map(|(_, name)| name).collect();
        roots.retain(|name, _| largest.contains(name));
    }
    let members: Vec<&[PathId]> = roots.values().map(Vec::as_slice).collect();
    let groups = roots.iter().zip(graph.bytes_of_groups(&members));
    let mut groups: Vec<Group> = groups
        .map(|((name, roots), (bytes, only_bytes))| Group {
            name: name.clone(),
            closures: roots.len() as u64,
            bytes,
            only_bytes,
        })
        .collect();
    groups.sort_by(|one, other| {
        other
            .bytes
            .cmp(&one.bytes)
            .then_with(|| one.name.cmp(&other.name))
    });
    Usage {
        closures: loaded.closures.len() as u64,
        bytes,
        released_closures: loaded
            .closures
            .iter()
            .filter(|closure| closure.released_at.is_some())
            .count() as u64,
        released_bytes: bytes - graph.bytes(&kept),
        quota: file.and_then(|file| file.policy.quota),
        groups,
        more,
    }
}

fn by_rule(loaded: &world::Loaded, file: Option<&Arc<PolicyFile>>) -> BTreeMap<String, Vec<PathId>> {
    let by_default = Policy::default();
    let policy = file.map_or(&by_default, |file| &file.policy);
    let plan = Judge::new(policy, &loaded.world).plan();
    let mut roots: BTreeMap<String, Vec<PathId>> = BTreeMap::new();
    for (decision, closure) in plan.decisions.iter().zip(&loaded.closures) {
        let rule = |index| wording::rule_name(policy, index).to_owned();
        let name = match decision.reason {
            None => "(released)".to_owned(),
            Some(Reason::Pinned) => "(pinned)".to_owned(),
            Some(reason) => match reason.rule().or(decision.last_rule) {
                Some(index) => rule(index),
                None => "(default)".to_owned(),
            },
        };
        roots.entry(name).or_default().push(closure.path_id);
    }
    roots
}

fn by_repository(loaded: &world::Loaded) -> BTreeMap<String, Vec<PathId>> {
    let mut names: Vec<BTreeSet<Arc<str>>> = vec![BTreeSet::new(); loaded.closures.len()];
    for link in &loaded.world.links {
        if let Some(run) = link.run {
            let run = &loaded.world.runs[run as usize];
            names[link.closure as usize].insert(run.repository.clone());
        }
    }
    let mut roots: BTreeMap<String, Vec<PathId>> = BTreeMap::new();
    for (names, closure) in names.into_iter().zip(&loaded.closures) {
        if names.is_empty() {
            roots
                .entry("(no run)".to_owned())
                .or_default()
                .push(closure.path_id);
        }
        for name in names {
            roots.entry(name.to_string()).or_default().push(closure.path_id);
        }
    }
    roots
}
