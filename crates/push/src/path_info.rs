//! What Nix has recorded about the paths of a closure, whichever version of Nix prints it.

mod json;

use std::collections::{BTreeMap, BTreeSet};

use niks3_nix::{
    ca::ContentAddress,
    hash::NarHash,
    signature::Signature,
    store_path::{StoreDir, StorePath},
};

use crate::nix::{LocalStore, NixError};

const COMMAND: &str = "path-info";
/// A command line may have a megabyte on macOS, with the environment.
const MAX_ARGUMENT_BYTES: usize = 256 * 1024;
/// Some 2 KiB for each of a million paths.
const MAX_OUTPUT: usize = 2 << 30;

/// Signatures that the server takes of one path or realisation.
pub(crate) const MAX_SIGNATURES: usize = 64;

/// What is known of one valid store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathInfo {
    /// Hash of its NAR.
    pub nar_hash: NarHash,
    /// Size of its NAR.
    pub nar_size: u64,
    /// What it refers to, perhaps itself.
    pub references: Vec<StorePath>,
    /// The derivation that made it.
    pub deriver: Option<StorePath>,
    /// Signatures that it has already, as many as a cache keeps.
    pub signatures: Vec<Signature>,
    /// How its name follows from its contents.
    pub ca: Option<ContentAddress>,
    /// Nix built it on this machine.
    pub ultimate: bool,
}

impl PathInfo {
    /// Whether it is from here: built, or added from files. What was substituted is not.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.ultimate || (self.ca.is_some() && self.signatures.is_empty())
    }
}

/// Paths and what is known of them.
pub type PathInfos = BTreeMap<StorePath, PathInfo>;

/// Asks Nix for `roots`, and for all they refer to if `recursive`.
pub async fn query(store: &LocalStore, roots: &[StorePath], recursive: bool) -> Result<PathInfos, NixError> {
    let mut infos = PathInfos::new();
    let (derivations, others): (Vec<StorePath>, Vec<StorePath>) =
        roots.iter().cloned().partition(StorePath::is_derivation);
    // To Nix 2.8 a derivation means its outputs, and with `--derivation` an output means its derivation.
    for (roots, option) in [(others, None), (derivations, Some("--derivation"))] {
        for chunk in chunks(store.store_dir(), &roots) {
            let mut arguments = vec!["--json".to_owned()];
            if recursive {
                arguments.push("--recursive".to_owned());
            }
            arguments.extend(option.map(ToOwned::to_owned));
            arguments.extend(chunk);
            let output = store.run(COMMAND, "nix-command", &arguments, MAX_OUTPUT).await?;
            infos.append(&mut json::parse(store.store_dir(), &output)?);
        }
    }
    match roots.iter().find(|root| !infos.contains_key(root)) {
        Some(root) => Err(NixError::Invalid(store.store_dir().display(root))),
        None => Ok(infos),
    }
}

/// Every valid path of the store.
pub async fn valid_paths(store: &LocalStore) -> Result<BTreeSet<StorePath>, NixError> {
    let output = store
        .run(COMMAND, "nix-command", &["--all".to_owned()], MAX_OUTPUT)
        .await?;
    Ok(String::from_utf8_lossy(&output)
        .lines()
        .filter_map(|line| store.store_dir().parse(line.trim()).ok())
        .collect())
}

fn chunks(store_dir: &StoreDir, paths: &[StorePath]) -> Vec<Vec<String>> {
    let mut chunks: Vec<Vec<String>> = Vec::new();
    let mut room = 0;
    for path in paths {
        let argument = store_dir.display(path);
        let cost = argument.len() + 1 + size_of::<usize>();
        if cost > room || chunks.is_empty() {
            chunks.push(Vec::new());
            room = MAX_ARGUMENT_BYTES;
        }
        room = room.saturating_sub(cost);
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(argument);
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-a";

    #[test]
    fn long_lists_are_split_and_lose_nothing() {
        let paths: Vec<StorePath> = (0..10_000)
            .map(|i| format!("{}-{i:0100}", &A[..32]).parse().unwrap())
            .collect();
        let chunks = chunks(&StoreDir::default(), &paths);
        assert!(chunks.len() > 1);
        assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), paths.len());
        for chunk in chunks {
            assert!(chunk.iter().map(|argument| argument.len() + 9).sum::<usize>() <= MAX_ARGUMENT_BYTES);
        }
    }
}
