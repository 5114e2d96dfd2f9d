//! What the store has that it had not: for where Nix takes no hook from us.

use std::{collections::BTreeSet, path::Path};

use niks3_nix::store_path::StorePath;
use niks3_push::{LocalStore, path_infos, valid_paths};
use niks3_queue::Journal;

use crate::ActionError;

const FILE: &str = "before";

/// Remembers what is valid now.
pub(crate) async fn remember(store: &LocalStore, directory: &Path) -> Result<usize, ActionError> {
    let paths = valid_paths(store)
        .await
        .map_err(|error| ActionError(error.to_string()))?;
    let text: String = paths.iter().map(|path| format!("{path}\n")).collect();
    std::fs::write(directory.join(FILE), text)
        .map_err(|error| ActionError::io("remember the store's paths", &error))?;
    Ok(paths.len())
}

/// What has been built since and no journal knows: a step can lose the settings of the job, by sudo or by variables of
/// its own, and Nix runs no hook then.
pub(crate) async fn unseen(
    store: &LocalStore,
    directory: &Path,
    journal: &Journal,
) -> Result<Vec<StorePath>, ActionError> {
    let built = built_since(store, directory).await?;
    Ok(built
        .into_iter()
        .filter(|path| !journal.paths.contains_key(path))
        .collect())
}

/// What was valid when [`remember`] was called.
pub(crate) fn before(directory: &Path) -> Result<BTreeSet<StorePath>, ActionError> {
    let text = std::fs::read_to_string(directory.join(FILE))
        .map_err(|error| ActionError::io("read what the store had before", &error))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// What has been built since; not what was substituted, copied or added from files.
pub(crate) async fn built_since(store: &LocalStore, directory: &Path) -> Result<Vec<StorePath>, ActionError> {
    let before = before(directory)?;
    let now = valid_paths(store)
        .await
        .map_err(|error| ActionError(error.to_string()))?;
    let new: Vec<StorePath> = now
        .difference(&before)
        .filter(|path| !path.is_derivation())
        .cloned()
        .collect();
    let infos = path_infos(store, &new, false)
        .await
        .map_err(|error| ActionError(error.to_string()))?;
    Ok(infos
        .into_iter()
        .filter(|(_, info)| info.ultimate)
        .map(|(path, _)| path)
        .collect())
}
