//! Which output of which derivation came out as which path, as far as the local Nix knows and cannot say beforehand.
//!
//! That is so of content-addressed derivations, and of others whose inputs are content-addressed. Nix builds such a
//! one after it has *resolved* it: made another derivation of it, in which the inputs are what they came out as. The
//! resolved one is the deriver that Nix records; what readers up to 2.34 ask a cache for is the realisation of the
//! one that they evaluated. So every derivation of the deriver's name is asked about.
//!
//! Nix prints realisations as an array of objects: with `id` (`sha256:…!out`) up to 2.34, with a key made of
//! derivation and output later, where only resolved derivations have any. Where the feature is off, or nothing is
//! known, there is nothing to push and no error.

mod ask;
mod candidates;
mod derivation;
mod entry;
mod inputs;
mod names;

use std::collections::{BTreeMap, HashSet};

use niks3_client::types;
use niks3_nix::store_path::StorePath;

use crate::{
    nix::LocalStore,
    path_info::{PathInfo, PathInfos},
};
use ask::ask;
use candidates::candidates;
pub(crate) use inputs::inputs;
use names::Names;

/// The realisations of `paths`, which are pushed.
pub(crate) async fn of(
    store: &LocalStore,
    infos: &PathInfos,
    paths: &[StorePath],
) -> Vec<types::Realisation> {
    let pushed: HashSet<&StorePath> = paths.iter().collect();
    let mut derivers = BTreeMap::new();
    for info in paths.iter().filter_map(|path| infos.get(path)) {
        if let Some(deriver) = &info.deriver {
            *derivers.entry(deriver.clone()).or_default() |= is_output_addressed(info);
        }
    }
    let looking = {
        let store = store.clone();
        tokio::task::spawn_blocking(move || {
            let candidates = candidates(&store, derivers);
            let names = Names::read(&store, &candidates);
            (candidates, names)
        })
    };
    let (candidates, names) = looking.await.unwrap_or_else(|error| {
        tracing::warn!("looking for content-addressed derivations ended: {error}");
        Default::default()
    });
    let mut found = ask(store, candidates, entry::realisation).await;
    found.retain(|realisation| {
        let path = realisation.path.parse();
        path.is_ok_and(|path: StorePath| pushed.contains(&path) && infos.contains_key(&path))
    });
    if found.is_empty() {
        return found;
    }
    let infos: PathInfos = found
        .iter()
        .filter_map(|realisation| realisation.path.parse().ok())
        .filter_map(|path| infos.get_key_value(&path))
        .map(|(path, info)| (path.clone(), info.clone()))
        .collect();
    let completing = {
        let store = store.clone();
        tokio::task::spawn_blocking(move || names.complete(&store, &infos, found))
    };
    let complete = completing.await.unwrap_or_else(|error| {
        tracing::warn!("looking at content-addressed outputs ended: {error}");
        Vec::new()
    });
    let known: BTreeMap<_, _> = complete
        .into_iter()
        .map(|realisation| {
            let key = (
                realisation.id.clone(),
                realisation.drv.clone(),
                realisation.output.to_string(),
            );
            (key, realisation)
        })
        .collect();
    known.into_values().collect()
}

/// Whether a path that has a deriver is named after what it holds. A derivation whose outputs are open may choose any
/// method, that of text too if derivations come out of it.
fn is_output_addressed(info: &PathInfo) -> bool {
    info.ca.is_some()
}

/// Whether `path` has the name that this output of `derivation` has.
fn is_output(derivation: &StorePath, output: &str, path: &StorePath) -> bool {
    let name = derivation.name();
    let name = name.strip_suffix(".drv").unwrap_or(name);
    match output {
        "out" => path.name() == name,
        _ => {
            path.name()
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('-'))
                == Some(output)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRV: &str = "qmbahbhry8m0vkap5kcvsn6gipwhc221-catop.drv";
    const OUT: &str = "jk4ljndxvdhk7k17j9rbgripipm84sk5-catop";

    #[test]
    fn an_output_is_told_by_its_name() {
        let [drv, out]: [StorePath; 2] = [DRV, OUT].map(|name| name.parse().unwrap());
        let doc = format!("{OUT}-doc").parse().unwrap();
        assert!(is_output(&drv, "out", &out) && is_output(&drv, "doc", &doc));
        assert!(!is_output(&drv, "doc", &out) && !is_output(&drv, "out", &doc));
        // A derivation that comes out of a derivation.
        let [outer, inner]: [StorePath; 2] =
            [format!("{DRV}.drv"), DRV.to_owned()].map(|name| name.parse().unwrap());
        assert!(is_output(&outer, "out", &inner) && !is_output(&outer, "out", &out));
    }
}
