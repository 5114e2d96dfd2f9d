//! Which output of which content-addressed derivation came out as which path, as far as the local Nix knows.
//!
//! Nix prints it as an array of objects: with `id` (`sha256:…!out`) up to 2.34, with a key made of derivation
//! and output later. Where the feature is off, or nothing is known, there is nothing to push and no error.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read as _,
    path::Path,
};

use futures::StreamExt as _;
use niks3_client::types;
use niks3_nix::store_path::StorePath;
use serde::Deserialize;

use crate::{
    nix::{LocalStore, NixError},
    path_info::PathInfos,
};

const COMMAND: &str = "realisation info";
const FEATURES: &str = "nix-command ca-derivations";
const MAX_OUTPUT: usize = 256 << 20;
const PARALLEL: usize = 8;
/// The outputs stand at the beginning of a derivation.
const DERIVATION_HEAD: u64 = 64 * 1024;

/// The realisations of those of `paths` that content-addressed derivations made.
pub(crate) async fn of(
    store: &LocalStore,
    infos: &PathInfos,
    paths: &[StorePath],
) -> Vec<types::Realisation> {
    let derivations: BTreeSet<&StorePath> = paths
        .iter()
        .filter_map(|path| infos.get(path))
        .filter(|info| info.ca.is_some())
        .filter_map(|info| info.deriver.as_ref())
        .filter(|derivation| is_floating(&store.real_path(derivation)))
        .collect();
    if derivations.is_empty() {
        return Vec::new();
    }
    let all: Vec<&StorePath> = derivations.into_iter().collect();
    let found = match query(store, &all).await {
        Ok(found) => found,
        Err(error) if all.len() == 1 => return nothing(&error),
        Err(error) => {
            // One that Nix cannot answer for spoils the whole answer.
            tracing::debug!("asking for realisations one by one: {error}");
            futures::stream::iter(all)
                .map(|derivation| async move {
                    query(store, &[derivation])
                        .await
                        .unwrap_or_else(|error| nothing(&error))
                })
                .buffer_unordered(PARALLEL)
                .concat()
                .await
        }
    };
    let mut known = BTreeMap::new();
    for mut realisation in found {
        let info = realisation
            .path
            .parse()
            .ok()
            .and_then(|path: StorePath| infos.get(&path));
        let Some(info) = info else { continue };
        if realisation.drv.is_none() {
            realisation.drv = info.deriver.as_ref().map(ToString::to_string);
        }
        let key = (
            realisation.id.clone(),
            realisation.drv.clone(),
            realisation.output.to_string(),
        );
        known.insert(key, realisation);
    }
    known.into_values().collect()
}

fn nothing<T>(error: &NixError) -> Vec<T> {
    tracing::debug!("no realisations: {error}");
    Vec::new()
}

async fn query(store: &LocalStore, derivations: &[&StorePath]) -> Result<Vec<types::Realisation>, NixError> {
    let arguments = |suffix: &str| {
        std::iter::once("--json".to_owned())
            .chain(
                derivations
                    .iter()
                    .map(|drv| format!("{}{suffix}", store.store_dir().display(drv))),
            )
            .collect::<Vec<_>>()
    };
    // 2.8 takes the name of a derivation for its outputs, later ones want to be told.
    let output = match store.run(COMMAND, FEATURES, &arguments("^*"), MAX_OUTPUT).await {
        Ok(output) => output,
        Err(_) => store.run(COMMAND, FEATURES, &arguments(""), MAX_OUTPUT).await?,
    };
    let entries: Vec<serde_json::Value> =
        serde_json::from_slice(&output).map_err(|source| NixError::Unintelligible {
            command: COMMAND,
            source,
        })?;
    Ok(entries.iter().filter_map(realisation).collect())
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    #[serde(rename_all = "camelCase")]
    ById {
        id: String,
        out_path: String,
    },
    Keyed {
        key: Key,
        value: Value,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    drv_path: String,
    output_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Value {
    out_path: String,
}

fn realisation(entry: &serde_json::Value) -> Option<types::Realisation> {
    let base_name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    match Entry::deserialize(entry).ok()? {
        Entry::ById { id, out_path } => Some(types::Realisation {
            output: id.rsplit_once(['!', '^'])?.1.try_into().ok()?,
            path: base_name(&out_path),
            drv: None,
            id: Some(id),
            body: Some(entry.to_string()),
        }),
        Entry::Keyed { key, value } => Some(types::Realisation {
            output: key.output_name.try_into().ok()?,
            path: base_name(&value.out_path),
            drv: Some(base_name(&key.drv_path)),
            id: None,
            body: None,
        }),
    }
}

/// Whether a derivation has an output whose path follows from what comes out: neither path nor hash is given.
fn is_floating(derivation: &Path) -> bool {
    let mut head = String::new();
    let read =
        std::fs::File::open(derivation).and_then(|file| file.take(DERIVATION_HEAD).read_to_string(&mut head));
    let outputs = head
        .split_once("[(")
        .and_then(|(_, rest)| Some(rest.split_once(")]")?.0));
    let floating = |output: &str| {
        let fields: Vec<&str> = output.split(',').map(|field| field.trim_matches('"')).collect();
        matches!(fields[..], [_, "", algorithm, ""] if !algorithm.is_empty())
    };
    read.is_ok() && outputs.is_some_and(|outputs| outputs.split("),(").any(floating))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRV: &str = "qmbahbhry8m0vkap5kcvsn6gipwhc221-catop.drv";
    const OUT: &str = "jk4ljndxvdhk7k17j9rbgripipm84sk5-catop";

    #[test]
    fn realisations_are_read_as_old_and_new_nix_print_them() {
        let old = serde_json::json!({
            "dependentRealisations": {}, "id": "sha256:2cbc!out", "outPath": OUT, "signatures": [],
        });
        let read = realisation(&old).unwrap();
        assert_eq!(
            (read.path.as_str(), read.output.as_str(), read.drv.as_deref()),
            (OUT, "out", None)
        );
        assert_eq!(read.id.as_deref(), Some("sha256:2cbc!out"));
        let new = serde_json::json!({
            "key": { "drvPath": DRV, "outputName": "dev" }, "value": { "outPath": OUT, "signatures": [] },
        });
        let read = realisation(&new).unwrap();
        assert_eq!(
            (read.path.as_str(), read.output.as_str(), read.drv.as_deref()),
            (OUT, "dev", Some(DRV))
        );
        assert!(realisation(&serde_json::json!({ "opaquePath": OUT })).is_none());
    }

    #[test]
    fn what_every_version_of_nix_prints_is_understood() {
        for version in ["2.8", "2.26", "2.34"] {
            let path = format!(
                "{}/tests/fixtures/path-info/{version}-realisations.json",
                env!("CARGO_MANIFEST_DIR")
            );
            let json = std::fs::read(&path).unwrap();
            let entries: Vec<serde_json::Value> = serde_json::from_slice(&json).unwrap();
            let read: Vec<_> = entries.iter().filter_map(realisation).collect();
            assert_eq!(read.len(), entries.len(), "{version}");
            assert!(
                read.iter().all(|read| read.id.is_some() && read.body.is_some()),
                "{version}"
            );
        }
    }

    #[test]
    fn only_derivations_without_path_and_hash_are_floating() {
        for (outputs, floating) in [
            (r#"("out","","r:sha256","")"#, true),
            (r#"("dev","/nix/store/x","",""),("out","","sha256","")"#, true),
            (r#"("out","/nix/store/x","r:sha256","abcdef")"#, false),
            (r#"("out","/nix/store/x","","")"#, false),
            (r#"("out","","","")"#, false),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(
                file.path(),
                format!(r#"Derive([{outputs}],[],[],"x","/bin/sh",[],[])"#),
            )
            .unwrap();
            assert_eq!(is_floating(file.path()), floating, "{outputs}");
        }
        assert!(!is_floating(Path::new("/nonexistent.drv")));
    }
}
