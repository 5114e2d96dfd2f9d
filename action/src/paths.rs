//! The input `paths`: store paths, links to them, and patterns.

use std::collections::HashSet;

use niks3_nix::store_path::StorePath;
use niks3_push::LocalStore;

use crate::ActionError;

/// What the words of the input mean.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// The store paths, each once.
    pub(crate) paths: Vec<StorePath>,
    /// One for each word that means no store path.
    pub(crate) troubles: Vec<ActionError>,
    /// One for each pattern that also matches something else, such as a report beside the result links.
    pub(crate) warnings: Vec<String>,
}

/// Finds the store paths that are meant.
pub(crate) fn resolve(store: &LocalStore, words: &[String]) -> Resolved {
    let mut resolved = Resolved::default();
    let mut seen = HashSet::new();
    for word in words {
        let found = if word.contains(['*', '?', '[']) {
            matches(store, word, &mut resolved.warnings)
        } else {
            store
                .resolve(word)
                .map(|path| vec![path])
                .map_err(|error| ActionError(error.to_string()))
        };
        match found {
            Ok(found) => resolved
                .paths
                .extend(found.into_iter().filter(|path| seen.insert(path.clone()))),
            Err(trouble) => resolved.troubles.push(trouble),
        }
    }
    resolved
}

fn matches(
    store: &LocalStore,
    pattern: &str,
    warnings: &mut Vec<String>,
) -> Result<Vec<StorePath>, ActionError> {
    let names = glob::glob(pattern)
        .map_err(|error| ActionError(format!("`paths`: '{pattern}' is no pattern: {error}")))?;
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for name in names.filter_map(Result::ok) {
        let name = name.to_string_lossy().into_owned();
        match store.resolve(&name) {
            Ok(path) => found.push(path),
            Err(error) => others.push((name, error.to_string())),
        }
    }
    match (&found[..], &others[..]) {
        ([], []) => return Err(ActionError(format!("`paths`: nothing matches '{pattern}'"))),
        ([], [(_, error), ..]) => {
            return Err(ActionError(format!(
                "`paths`: nothing that matches '{pattern}' is a store path: {error}"
            )));
        }
        (_, []) => {}
        (_, [(_, error)]) => warnings.push(format!(
            "`paths`: '{pattern}' matches a file that is no store path and is not pushed: {error}"
        )),
        (_, [(_, error), rest @ ..]) => warnings.push(format!(
            "`paths`: '{pattern}' matches {} files that are no store paths and are not pushed: {error}",
            rest.len() + 1
        )),
    }
    Ok(found)
}
