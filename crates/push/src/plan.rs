//! What of the closure is pushed, what is left out on purpose, and in which requests it is named.

use std::collections::{BTreeSet, HashSet};

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
}

/// Leaves out what `upstream` has. A root that is pinned stays: a pin is a path of this cache.
pub(crate) fn plan(
    roots: &[StorePath],
    infos: &PathInfos,
    upstream: &HashSet<StorePath>,
    pinned: bool,
) -> Plan {
    let root_set: HashSet<&StorePath> = roots.iter().collect();
    let kept = |path: &StorePath| !upstream.contains(path) || (pinned && root_set.contains(path));
    let paths: Vec<StorePath> = infos.keys().filter(|path| kept(path)).cloned().collect();
    let claimed: HashSet<&StorePath> = paths.iter().collect();
    let external: BTreeSet<&StorePath> = paths
        .iter()
        .filter_map(|path| infos.get(path))
        .flat_map(|info| &info.references)
        .filter(|reference| !claimed.contains(reference))
        .collect();
    Plan {
        roots: roots.iter().filter(|root| kept(root)).cloned().collect(),
        external: external.into_iter().cloned().collect(),
        paths,
    }
}

/// One request that names paths.
pub(crate) struct Batch<'a> {
    pub(crate) paths: Vec<(&'a StorePath, &'a PathInfo)>,
    pub(crate) external: Vec<StorePath>,
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
            let external: Vec<StorePath> = external.into_iter().cloned().collect();
            // A few paths may refer to very many others: those come in requests of their own, first.
            let mut pieces = external.chunks(max_batch.max(1));
            let last = pieces.next().unwrap_or_default().to_vec();
            batches.extend(pieces.map(|piece| Batch {
                paths: Vec::new(),
                external: piece.to_vec(),
            }));
            batches.push(Batch {
                paths,
                external: last,
            });
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
        let plan = plan(&[path("root")], &infos, &HashSet::from([path("libc")]), false);
        assert_eq!(plan.paths, [path("lib"), path("root")]);
        assert_eq!(plan.external, [path("libc")]);
        assert_eq!(plan.roots, [path("root")]);
    }

    #[test]
    fn a_root_that_upstream_has_is_left_out_unless_it_is_pinned() {
        let infos = infos(&[("root", &["lib"]), ("lib", &[])]);
        let upstream = HashSet::from([path("root"), path("lib")]);
        assert!(plan(&[path("root")], &infos, &upstream, false).roots.is_empty());
        let pinned = plan(&[path("root")], &infos, &upstream, true);
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
            &HashSet::new(),
            false,
        );
        assert_eq!(plan.external, [path("lib")]);
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
        let plan = plan(&[path("p0")], &infos, &HashSet::new(), false);
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
