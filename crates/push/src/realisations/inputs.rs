//! What a reader needs besides a path to find it by its derivation.
//!
//! A cache is asked for outputs of *resolved* derivations, since Nix 2.35 for no others. To resolve the derivation that it
//! evaluated, a reader has to know what the inputs came out as, those too that are used only while building, and theirs.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use niks3_nix::{derivation::Derivation, store_path::StorePath};

use super::{
    ask::{ask, ask_each},
    candidates::{Candidate, Candidates, candidates},
    derivation, entry, is_output_addressed,
};
use crate::{nix::LocalStore, path_info::PathInfos};

/// Derivations that are read in one push to find what others are built from.
const MAX_DERIVATIONS: usize = 20_000;

/// Paths outside of `infos` that a reader has to know to resolve the derivations of `roots`: outputs of
/// content-addressed derivations from which those are built, as far as they are still in the store. Nothing, without
/// running Nix, where nothing is content-addressed.
pub(crate) async fn inputs(store: &LocalStore, infos: &PathInfos, roots: &[StorePath]) -> Vec<StorePath> {
    let mut derivers = BTreeMap::new();
    for info in roots.iter().filter_map(|path| infos.get(path)) {
        if let Some(deriver) = &info.deriver {
            *derivers.entry(deriver.clone()).or_default() |= is_output_addressed(info);
        }
    }
    let evaluated = blocking(store, move |store| unresolved(store, candidates(store, derivers))).await;
    if evaluated.is_empty() {
        return Vec::new();
    }
    let is_root: HashSet<&str> = roots.iter().map(StorePath::as_str).collect();
    let mut found = BTreeSet::new();
    let mut built = Vec::new();
    for (derivation, paths) in ask_each(store, evaluated, entry::output_path).await {
        // Others of the name may be of other versions.
        if paths.iter().any(|path| is_root.contains(path.as_str())) {
            built.push(derivation);
            // Nix 2.35 names what the inputs came out as, too.
            found.extend(paths);
        }
    }
    let below = blocking(store, move |store| open_inputs(store, built)).await;
    let below = Candidates {
        derivers: Vec::new(),
        others: below,
    };
    found.extend(ask(store, below, entry::output_path).await);
    let paths = found.iter().filter_map(|path| path.parse::<StorePath>().ok());
    let is_new = |path: &StorePath| !infos.contains_key(path);
    let is_here = |path: &StorePath| store.real_path(path).symlink_metadata().is_ok();
    paths.filter(|path| is_new(path) && is_here(path)).collect()
}

async fn blocking<T: Default + Send + 'static>(
    store: &LocalStore,
    work: impl FnOnce(&LocalStore) -> T + Send + 'static,
) -> T {
    let store = store.clone();
    let done = tokio::task::spawn_blocking(move || work(&store)).await;
    done.unwrap_or_else(|error| {
        tracing::warn!("reading derivations ended: {error}");
        T::default()
    })
}

/// Those that are built from outputs of other derivations.
fn unresolved(store: &LocalStore, candidates: Candidates) -> Vec<Candidate> {
    let Candidates { derivers, others } = candidates;
    let has_inputs = |(path, _): &Candidate| {
        derivation::read(store, path).is_some_and(|derivation| !derivation.input_derivations().is_empty())
    };
    derivers.into_iter().chain(others).filter(has_inputs).collect()
}

/// All open derivations from which some are built, directly or not, and their outputs.
fn open_inputs(store: &LocalStore, roots: Vec<StorePath>) -> Vec<Candidate> {
    let mut known: HashSet<StorePath> = roots.iter().cloned().collect();
    let mut waiting: VecDeque<(StorePath, bool)> = roots.into_iter().map(|root| (root, true)).collect();
    let mut open = Vec::new();
    while let Some((path, is_root)) = waiting.pop_front() {
        let Some(derivation) = derivation::read(store, &path).filter(Derivation::is_open) else {
            continue;
        };
        for input in derivation.input_derivations() {
            let Ok(input) = store.store_dir().parse(input) else {
                continue;
            };
            if known.len() == MAX_DERIVATIONS {
                tracing::warn!(
                    "{MAX_DERIVATIONS} derivations were read: what the rest came out as is not looked for"
                );
                waiting.clear();
                break;
            }
            if known.insert(input.clone()) {
                waiting.push_back((input, false));
            }
        }
        if !is_root {
            let outputs = derivation.outputs().iter();
            open.push((path, outputs.map(|output| output.name.clone()).collect()));
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-root.drv";
    const TOOL: &str = "1c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-tool.drv";
    const SEED: &str = "2c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-seed.drv";
    const FIXED: &str = "3c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-source.drv";

    #[test]
    fn open_derivations_are_followed_through_open_ones() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, output: &str, inputs: &[&str]| {
            let inputs: Vec<String> = inputs
                .iter()
                .map(|input| format!(r#"("{}/{input}",["out"])"#, dir.path().display()))
                .collect();
            let text = format!(
                r#"Derive([("out",{output})],[{}],[],"x","/bin/sh",[],[("out","")])"#,
                inputs.join(",")
            );
            std::fs::write(dir.path().join(name), text).unwrap();
        };
        let floating = r#""","r:sha256","""#;
        write(ROOT, floating, &[TOOL, FIXED]);
        // Addressed by its inputs, which are not known.
        write(TOOL, r#""","","""#, &[SEED, TOOL]);
        write(SEED, floating, &[]);
        write(FIXED, r#""/nix/store/x","sha256","ab""#, &[SEED]);
        let store = LocalStore::at(dir.path());
        let found = open_inputs(&store, vec![ROOT.parse().unwrap()]);
        let names: Vec<String> = found.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(names, [TOOL, SEED]);
        let candidates = Candidates {
            derivers: vec![(ROOT.parse().unwrap(), vec!["out".to_owned()])],
            others: vec![(SEED.parse().unwrap(), vec!["out".to_owned()])],
        };
        assert_eq!(unresolved(&store, candidates).len(), 1);
    }
}
