//! The input `paths`: store paths, links to them, and patterns.

use std::collections::HashSet;

use niks3_nix::store_path::StorePath;
use niks3_push::LocalStore;

use crate::Trouble;

/// The store paths that are meant, each once; and a sentence for each word that means none.
pub(crate) fn resolve(store: &LocalStore, words: &[String]) -> (Vec<StorePath>, Vec<Trouble>) {
    let (mut paths, mut troubles, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for word in words {
        let found = expand(word).and_then(|names| {
            names
                .iter()
                .map(|name| store.resolve(name).map_err(|error| Trouble(error.to_string())))
                .collect::<Result<Vec<_>, _>>()
        });
        match found {
            Ok(found) => paths.extend(found.into_iter().filter(|path| seen.insert(path.clone()))),
            Err(trouble) => troubles.push(trouble),
        }
    }
    (paths, troubles)
}

fn expand(word: &str) -> Result<Vec<String>, Trouble> {
    if !word.contains(['*', '?', '[']) {
        return Ok(vec![word.to_owned()]);
    }
    let found =
        glob::glob(word).map_err(|error| Trouble(format!("`paths`: '{word}' is no pattern: {error}")))?;
    let names: Vec<String> = found
        .filter_map(Result::ok)
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    if names.is_empty() {
        return Err(Trouble(format!("`paths`: nothing matches '{word}'")));
    }
    Ok(names)
}
