//! What of the closure is pushed, what is left out on purpose, and in which requests it is named.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use niks3_nix::store_path::StorePath;

use crate::path_info::{PathInfo, PathInfos};

/// What is pushed.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) roots: Vec<StorePath>,
    /// Paths to claim.
    pub(crate) paths: Vec<StorePath>,
    /// What they refer to and is left out on purpose.
    pub(crate) external: Vec<StorePath>,
    /// All that is left to an upstream, and the index of that.
    pub(crate) left: BTreeMap<StorePath, usize>,
}

/// Why a path is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// The upstream at this index has it.
    Upstream(usize),
    /// This machine has substituted it from somewhere.
    Substituted,
}

/// Leaves out some paths. A root that is pinned stays: a pin is a path of this cache.
pub(crate) fn plan(
    roots: &[StorePath],
    infos: &PathInfos,
    excluded: &HashMap<StorePath, LeftOut>,
    pinned: bool,
) -> Plan {
    let root_set: HashSet<&StorePath> = roots.iter().collect();
    let kept = |path: &StorePath| !excluded.contains_key(path) || (pinned && root_set.contains(path));
    let paths: Vec<StorePath> = infos.keys().filter(|path| kept(path)).cloned().collect();
    let claimed: HashSet<&StorePath> = paths.iter().collect();
    let external: BTreeSet<&StorePath> = paths
        .iter()
        .filter_map(|path| infos.get(path))
        .flat_map(|info| &info.references)
        .filter(|reference| !claimed.contains(reference))
        .collect();
    let left = excluded.iter().filter_map(|(path, why)| match why {
        LeftOut::Upstream(index) if !claimed.contains(path) => Some((path.clone(), *index)),
        _ => None,
    });
    Plan {
        roots: roots.iter().filter(|root| kept(root)).cloned().collect(),
        left: left.collect(),
        external: external.into_iter().cloned().collect(),
        paths,
    }
}

/// One request that names paths.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    pub(crate) paths: Vec<(&'a StorePath, &'a PathInfo)>,
    pub(crate) external: Vec<StorePath>,
    /// The index of the upstream that `external` is left to.
    pub(crate) left_to: Option<usize>,
}

impl Plan {
    /// Requests of at most `max_batch` paths, each with those of `external` that its paths refer to.
    pub(crate) fn batches<'a>(&'a self, infos: &'a PathInfos, max_batch: usize) -> Vec<Batch<'a>> {
        let mut batches: Vec<Batch<'a>> = Vec::new();
        for chunk in self.paths.chunks(max_batch.max(1)) {
            let paths: Vec<_> = chunk
                .iter()
                .filter_map(|path| infos.get(path).map(|info| (path, info)))
                .collect();
            let external: BTreeSet<&StorePath> = paths
                .iter()
                .flat_map(|(_, info)| &info.references)
                .filter(|reference| self.external.binary_search(reference).is_ok())
                .collect();
            let mut by_upstream: BTreeMap<Option<usize>, Vec<StorePath>> = BTreeMap::new();
            for path in external {
                let upstream = self.left.get(path).copied();
                by_upstream.entry(upstream).or_default().push(path.clone());
            }
            // A few paths may refer to very many others: those come in requests of their own, first.
            let mut pieces: Vec<Batch<'a>> = by_upstream
                .iter()
                .flat_map(|(left_to, external)| {
                    external.chunks(max_batch.max(1)).map(|piece| Batch {
                        paths: Vec::new(),
                        external: piece.to_vec(),
                        left_to: *left_to,
                    })
                })
                .collect();
            let last = pieces.pop().unwrap_or_default();
            batches.extend(pieces);
            batches.push(Batch { paths, ..last });
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use niks3_nix::hash::NarHash;

    use super::*;

    fn path(name: &str) -> StorePath {
        format!("0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-{name}")
            .parse()
            .unwrap()
    }

    fn infos(graph: &[(&str, &[&str])]) -> PathInfos {
        graph
            .iter()
            .map(|(name, references)| {
                let info = PathInfo {
                    nar_hash: NarHash::of(b""),
                    nar_size: 1,
                    references: references.iter().map(|name| path(name)).collect(),
                    deriver: None,
                    signatures: Vec::new(),
                    ca: None,
                    ultimate: true,
                };
                (path(name), info)
            })
            .collect()
    }

    #[test]
    fn what_upstream_has_is_left_out_and_named() {
        let infos = infos(&[("root", &["lib", "root"]), ("lib", &["libc"]), ("libc", &[])]);
        let excluded = HashMap::from([(path("libc"), LeftOut::Upstream(0))]);
        let plan = plan(&[path("root")], &infos, &excluded, false);
        assert_eq!(plan.paths, [path("lib"), path("root")]);
        assert_eq!(plan.external, [path("libc")]);
        assert_eq!(plan.left, BTreeMap::from([(path("libc"), 0)]));
        assert_eq!(plan.roots, [path("root")]);
    }

    #[test]
    fn a_root_that_upstream_has_is_left_out_unless_it_is_pinned() {
        let infos = infos(&[("root", &["lib"]), ("lib", &[])]);
        let upstream = HashMap::from(["root", "lib"].map(|name| (path(name), LeftOut::Upstream(0))));
        let unpinned = plan(&[path("root")], &infos, &upstream, false);
        assert!(unpinned.roots.is_empty() && unpinned.left.len() == 2);
        let pinned = plan(&[path("root")], &infos, &upstream, true);
        assert_eq!(pinned.left.len(), 1);
        assert_eq!(
            (pinned.paths, pinned.external),
            (vec![path("root")], vec![path("lib")])
        );
    }

    #[test]
    fn without_the_closure_references_are_external_but_not_the_path_itself() {
        let plan = plan(
            &[path("root")],
            &infos(&[("root", &["root", "lib"])]),
            &HashMap::new(),
            false,
        );
        assert_eq!(plan.external, [path("lib")]);
    }

    #[test]
    fn a_request_names_what_is_left_to_one_upstream() {
        let infos = infos(&[("root", &["a", "b", "c"]), ("a", &[]), ("b", &[]), ("c", &[])]);
        let excluded = HashMap::from([
            (path("a"), LeftOut::Upstream(0)),
            (path("b"), LeftOut::Upstream(1)),
            (path("c"), LeftOut::Substituted),
        ]);
        let plan = plan(&[path("root")], &infos, &excluded, false);
        let batches = plan.batches(&infos, 10);
        let named: Vec<_> = batches
            .iter()
            .map(|batch| (batch.paths.len(), batch.left_to, batch.external.clone()))
            .collect();
        assert_eq!(
            named,
            [
                (0, None, vec![path("c")]),
                (0, Some(0), vec![path("a")]),
                (1, Some(1), vec![path("b")]),
            ]
        );
    }

    #[test]
    fn batches_are_bounded_and_name_every_path_once() {
        let names: Vec<String> = (0..25).map(|i| format!("p{i}")).collect();
        let others: Vec<String> = (0..25).map(|i| format!("x{i:02}")).collect();
        let references: Vec<&str> = others.iter().map(String::as_str).collect();
        let graph: Vec<(&str, &[&str])> = names
            .iter()
            .map(|name| (name.as_str(), &references[..]))
            .collect();
        let infos = infos(&graph);
        let plan = plan(&[path("p0")], &infos, &HashMap::new(), false);
        let batches = plan.batches(&infos, 10);
        assert!(
            batches
                .iter()
                .all(|batch| batch.paths.len() <= 10 && batch.external.len() <= 10)
        );
        assert_eq!(batches.iter().map(|batch| batch.paths.len()).sum::<usize>(), 25);
        let external: HashSet<_> = batches.iter().flat_map(|batch| batch.external.clone()).collect();
        assert_eq!(external.len(), 25);
    }
}
