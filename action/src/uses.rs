//! What the job had from the cache: reported to the server, which keeps it as if the job had pushed it.

use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
    time::Duration,
};

use niks3_client::{Api, types};
use niks3_nix::{
    narinfo::fingerprint,
    signature::PublicKey,
    store_path::{StoreDir, StorePath},
};
use niks3_push::{LocalStore, PathInfo, PathInfos, path_infos, valid_paths};

use crate::{ActionError, runner, scan, state::State};

/// All of it takes no longer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Paths that the server takes in one report.
const MAX_PATHS: usize = 5_000;
/// A store with more paths before the job is not that of a fresh runner, and is not looked through.
const MAX_FRESH_STORE: usize = 10_000;
/// Names of paths that Nix's installer and `nix profile` build on the machine. No job finds them in a cache.
const OF_PROFILES: [&str; 2] = ["user-environment", "profile"];

/// What the job has used.
#[derive(Debug, Default, PartialEq, Eq)]
struct Used {
    /// What it had from the server's cache, without what another one of these refers to.
    paths: Vec<StorePath>,
    /// That is all: the store was one that had nothing of this cache.
    complete: bool,
}

/// Reports what the job has used. A job is not failed for what goes wrong here.
pub(crate) async fn report(api: &Api, run: &types::Run, state: &State) {
    let reported = match tokio::time::timeout(TIMEOUT, send(api, run, state)).await {
        Ok(reported) => reported,
        Err(_) => Err(ActionError(format!(
            "it takes longer than {} s",
            TIMEOUT.as_secs()
        ))),
    };
    if let Err(trouble) = reported {
        runner::warning(
            "niks3",
            &format!(
                "the server is not told what this job used from the cache, so it may be deleted earlier: {trouble}"
            ),
        );
    }
}

async fn send(api: &Api, run: &types::Run, state: &State) -> Result<(), ActionError> {
    let Some(published) = state.published() else {
        return Ok(());
    };
    let keys: Vec<PublicKey> = published
        .public_keys
        .iter()
        .filter_map(|key| key.parse().ok())
        .collect();
    let store = LocalStore::from_environment().map_err(|error| ActionError(error.to_string()))?;
    let used = look(&store, state.directory(), &keys).await?;
    let mut reports: Vec<&[StorePath]> = used.paths.chunks(MAX_PATHS).collect();
    if reports.is_empty() {
        reports.push(&[]);
    }
    let last = reports.len() - 1;
    for (number, paths) in reports.into_iter().enumerate() {
        let report = &types::ReportUses {
            paths: paths.iter().map(ToString::to_string).collect(),
            // Only the last one knows that nothing follows.
            complete: used.complete && number == last,
        };
        let id = run.id.as_str();
        let sent = api
            .call("reporting what the job used", |client| async move {
                client.report_uses(id, report).await
            })
            .await;
        match sent {
            Ok(_) => {}
            // The run is known, as the answer to its recording has said.
            Err(error)
                if error
                    .status()
                    .is_some_and(|status| matches!(status.as_u16(), 404 | 405)) =>
            {
                runner::log(
                    "niks3: the server does not ask what jobs use from the cache: it is older than this action",
                );
                return Ok(());
            }
            Err(error) => return Err(ActionError(error.to_string())),
        }
    }
    runner::log(&format!(
        "niks3: the job used {} from the cache{}",
        match used.paths.len() {
            1 => "1 path".to_owned(),
            count => format!("{count} paths"),
        },
        if used.complete {
            ""
        } else {
            ", besides what the store had before"
        }
    ));
    Ok(())
}

async fn look(store: &LocalStore, directory: &Path, keys: &[PublicKey]) -> Result<Used, ActionError> {
    let before = scan::before(directory)?;
    let failed = |error: niks3_push::NixError| ActionError(error.to_string());
    let now = valid_paths(store).await.map_err(failed)?;
    let new: Vec<StorePath> = now.difference(&before).cloned().collect();
    let infos = path_infos(store, &new, false).await.map_err(failed)?;
    Ok(Used {
        paths: from_cache(&infos, keys, store.store_dir()),
        complete: was_fresh(store, &before, &now, keys).await.unwrap_or(false),
    })
}

/// Paths that this machine has from the cache, without what another one of these refers to.
fn from_cache(infos: &PathInfos, keys: &[PublicKey], store_dir: &StoreDir) -> Vec<StorePath> {
    let used: Vec<(&StorePath, &PathInfo)> = infos
        .iter()
        .filter(|(path, info)| !info.ultimate && is_signed(path, info, keys, store_dir))
        .collect();
    let referred: HashSet<&StorePath> = used
        .iter()
        .flat_map(|(path, info)| info.references.iter().filter(move |reference| reference != path))
        .collect();
    used.iter()
        .map(|(path, _)| *path)
        .filter(|path| !referred.contains(path))
        .cloned()
        .collect()
}

/// Whether the store had nothing at setup that an earlier job had built there or had from this cache. In a store that
/// had, a job uses paths without anything that shows it.
async fn was_fresh(
    store: &LocalStore,
    before: &BTreeSet<StorePath>,
    now: &BTreeSet<StorePath>,
    keys: &[PublicKey],
) -> Result<bool, ActionError> {
    if before.len() > MAX_FRESH_STORE {
        return Ok(false);
    }
    let kept: Vec<StorePath> = before.intersection(now).cloned().collect();
    if kept.len() < before.len() {
        // Nobody knows any more what those were that the job has deleted.
        return Ok(false);
    }
    let infos = path_infos(store, &kept, false)
        .await
        .map_err(|error| ActionError(error.to_string()))?;
    Ok(!infos.iter().any(|(path, info)| {
        let is_built = info.ultimate && !OF_PROFILES.contains(&path.name());
        is_built || is_signed(path, info, keys, store.store_dir())
    }))
}

fn is_signed(path: &StorePath, info: &PathInfo, keys: &[PublicKey], store_dir: &StoreDir) -> bool {
    if info.signatures.is_empty() {
        return false;
    }
    let message = fingerprint(store_dir, path, info.nar_hash, info.nar_size, &info.references);
    info.signatures
        .iter()
        .any(|signature| keys.iter().any(|key| key.verify(message.as_bytes(), signature)))
}

#[cfg(test)]
mod tests {
    use niks3_nix::signature::SecretKey;

    use super::*;

    const BASE: [&str; 4] = [
        "0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-app",
        "1c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-lib",
        "2c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-built",
        "3c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-foreign",
    ];

    #[test]
    fn what_was_used_is_what_the_server_signed_and_nothing_else_of_it_refers_to() {
        let [app, lib, built, foreign] = BASE.map(|path| path.parse::<StorePath>().unwrap());
        let ours = SecretKey::generate("cache-1", [1; 32]).unwrap();
        // Of the same name: the key counts, not what it is called.
        let other = SecretKey::generate("cache-1", [2; 32]).unwrap();
        let dir = StoreDir::default();
        let info = |path: &StorePath, references: &[&StorePath], key: &SecretKey, ultimate| {
            let nar_hash = "sha256:1b4sb93wp679q4zx9k1ignby1yna3z7c4c2ri3wphylbc2dwsys0"
                .parse()
                .unwrap();
            let references: Vec<StorePath> = references.iter().map(|path| (*path).clone()).collect();
            let message = fingerprint(&dir, path, nar_hash, 120, &references);
            PathInfo {
                nar_hash,
                nar_size: 120,
                references,
                deriver: None,
                signatures: vec![key.sign(message.as_bytes())],
                ca: None,
                ultimate,
            }
        };
        let infos: PathInfos = [
            (app.clone(), info(&app, &[&app, &lib], &ours, false)),
            (lib.clone(), info(&lib, &[], &ours, false)),
            (built.clone(), info(&built, &[&foreign], &ours, true)),
            (foreign.clone(), info(&foreign, &[], &other, false)),
        ]
        .into();
        assert_eq!(from_cache(&infos, &[ours.public_key()], &dir), [app]);
        assert_eq!(from_cache(&infos, &[other.public_key()], &dir), [foreign]);
        assert_eq!(from_cache(&infos, &[], &dir), []);
    }
}
