//! Other jobs that use the store at the same time: on a machine with several runners, what a comparison of the store finds
//! may be theirs. Each job that pushes what is built has a link in a folder for its store, and whoever comes later marks
//! those that it finds there, and itself.

use std::{
    fs::{DirBuilder, Metadata},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink},
    path::{Path, PathBuf},
};

use niks3_push::LocalStore;

/// One for all jobs, whatever temporary folder each has.
const PARENT: &str = "/tmp";
/// A file in the folder of a job that has had others beside it.
const MARK: &str = "has-neighbours";

/// The folder of the links, for this store and this user.
fn folder(store: &LocalStore) -> Option<PathBuf> {
    // Containers that share a store see it under one number, and have no other sight of each other.
    let store = std::fs::metadata(store.store_dir().as_str()).ok()?;
    let user = rustix::process::geteuid().as_raw();
    Some(Path::new(PARENT).join(format!("niks3-action-{user}-{:x}-{:x}", store.dev(), store.ino())))
}

fn is_ours(metadata: &Metadata) -> bool {
    metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0
}

/// Announces a job. `uses` are the folders of other steps of the same job.
pub(crate) fn announce(store: &LocalStore, directory: &Path, uses: &[PathBuf]) {
    let (Some(folder), Some(name)) = (folder(store), directory.file_name()) else {
        return;
    };
    let join = || {
        let _ = DirBuilder::new().mode(0o700).create(&folder);
        // A folder that others can write to tells nothing.
        std::fs::symlink_metadata(&folder).is_ok_and(|metadata| is_ours(&metadata))
            && symlink(directory, folder.join(name)).is_ok()
    };
    // Whoever leaves last may have just removed the folder. First ours, then the look: of two that come at once, one at
    // least sees the other.
    if !(join() || join()) {
        return;
    }
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let Ok(other) = std::fs::read_link(entry.path()) else {
            continue;
        };
        if other == directory || uses.contains(&other) {
            continue;
        }
        if !other.is_dir() {
            // It was killed.
            let _ = std::fs::remove_file(entry.path());
            continue;
        }
        for job in [other.as_path(), directory] {
            let _ = std::fs::write(job.join(MARK), "");
        }
    }
}

/// Whether another job has used the store at any time of this one.
pub(crate) fn were_there(directory: &Path) -> bool {
    directory.join(MARK).exists()
}

/// The job is over.
pub(crate) fn leave(store: &LocalStore, directory: &Path) {
    let Some(folder) = folder(store) else { return };
    if let Some(name) = directory.file_name() {
        let _ = std::fs::remove_file(folder.join(name));
    }
    // It stays as long as others are in it.
    let _ = std::fs::remove_dir(folder);
}
