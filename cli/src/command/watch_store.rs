//! `niks3 watch-store`: pushes what comes into the local store.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use niks3_nix::store_path::StorePath;
use niks3_push::{LocalStore, NixError, PathInfos, path_infos};
use niks3_queue::Folder;

use super::hook::Queue;
use crate::{Failure, args::hook::WatchStore, output::Output};

/// How often the store directory is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Looks after which Nix is asked again for paths that were not valid yet: some are built in their place, for hours.
const LOOKS_FOR_VALIDITY: u32 = 5;
/// Paths that are asked for one by one when not all of them are valid.
const MAX_ALONE: usize = 64;

pub(super) async fn run(args: WatchStore, output: &Output) -> Result<(), Failure> {
    let queue = Queue::open(args.serving, "watch")?;
    let store = queue.engine.pusher.store.clone();
    let folder = queue.engine.folder.clone();
    let mut watcher = Watcher::start(store.clone())?;
    output.info(&format!("watching {}", watcher.directory.display()));
    let watching = async {
        loop {
            tokio::time::sleep(LOOK).await;
            match watcher.look().await {
                Ok(paths) => enqueue(&folder, &store, &paths),
                Err(error) => tracing::warn!("cannot see what is new in the store: {error}"),
            }
        }
    };
    tokio::select! {
        ended = queue.serve(None) => ended,
        () = watching => Ok(()),
    }
}

fn enqueue(folder: &Folder, store: &LocalStore, paths: &[StorePath]) {
    for path in paths {
        let full = store.store_dir().display(path);
        if let Err(error) = folder.enqueue(store.store_dir(), &[&full]) {
            tracing::warn!("{error}");
        }
    }
}

/// Sees what is new in a store directory.
struct Watcher {
    store: LocalStore,
    directory: PathBuf,
    changed: Option<SystemTime>,
    known: BTreeSet<StorePath>,
    /// What is there and not valid yet.
    pending: BTreeSet<StorePath>,
    looks: u32,
}

impl Watcher {
    /// What is there now is not new.
    fn start(store: LocalStore) -> Result<Self, Failure> {
        let directory = store.directory().to_owned();
        let changed = changed(&directory);
        let known = entries(&directory)
            .map_err(|error| Failure::Failed(format!("cannot read {}: {error}", directory.display())))?;
        Ok(Self {
            store,
            directory,
            changed,
            known,
            pending: BTreeSet::new(),
            looks: 0,
        })
    }

    /// What was built or added here since the last look.
    async fn look(&mut self) -> io::Result<Vec<StorePath>> {
        self.looks = self.looks.wrapping_add(1);
        // Before the directory is read: what comes meanwhile is seen the next time.
        let changed = changed(&self.directory);
        let is_new = changed != self.changed;
        if is_new {
            let directory = self.directory.clone();
            let entries = tokio::task::spawn_blocking(move || entries(&directory))
                .await
                .map_err(io::Error::other)??;
            self.pending.retain(|path| entries.contains(path));
            self.pending.extend(entries.difference(&self.known).cloned());
            self.known = entries;
            self.changed = changed;
        }
        if self.pending.is_empty() || !(is_new || self.looks.is_multiple_of(LOOKS_FOR_VALIDITY)) {
            return Ok(Vec::new());
        }
        let infos = self.valid().await;
        self.pending.retain(|path| !infos.contains_key(path));
        let local = infos.into_iter().filter(|(_, info)| info.is_local());
        Ok(local.map(|(path, _)| path).collect())
    }

    /// What Nix knows of those that are valid.
    async fn valid(&self) -> PathInfos {
        let pending: Vec<StorePath> = self.pending.iter().cloned().collect();
        match path_infos(&self.store, &pending, false).await {
            Ok(infos) => return infos,
            Err(error @ NixError::NoNix(_)) => tracing::warn!("{error}"),
            Err(_) => {}
        }
        let mut infos = PathInfos::new();
        for path in pending.iter().take(MAX_ALONE) {
            infos.extend(
                path_infos(&self.store, std::slice::from_ref(path), false)
                    .await
                    .unwrap_or_default(),
            );
        }
        infos
    }
}

fn changed(directory: &Path) -> Option<SystemTime> {
    directory.metadata().and_then(|found| found.modified()).ok()
}

/// Names in the store directory that can be of outputs and sources.
fn entries(directory: &Path) -> io::Result<BTreeSet<StorePath>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str() else { continue };
        let is_temporary = [".lock", ".drv", ".check", ".chroot"]
            .iter()
            .any(|end| name.ends_with(end));
        if let (false, Ok(path)) = (is_temporary, name.parse()) {
            found.insert(path);
        }
    }
    Ok(found)
}
