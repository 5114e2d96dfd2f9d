//! Roots of the local garbage collector for what waits: a link for each path, which Nix knows of.

use std::{
    collections::{BTreeSet, HashSet},
    io,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use niks3_nix::store_path::{StoreDir, StorePath};
use niks3_push::nix_program;
use tokio::process::Command;

use crate::folder::Folder;

const CHUNK: usize = 400;
const TIMEOUT: Duration = Duration::from_secs(60);

/// Makes and removes roots.
#[derive(Debug)]
pub struct Roots {
    directory: PathBuf,
    store_dir: StoreDir,
    tried: HashSet<StorePath>,
}

impl Roots {
    /// Those of a queue.
    #[must_use]
    pub fn of(folder: &Folder, store_dir: &StoreDir) -> Self {
        Self {
            directory: folder.roots(),
            store_dir: store_dir.clone(),
            tried: HashSet::new(),
        }
    }

    /// Keeps `paths`, as far as Nix lets us: what cannot be kept is pushed all the same, if it is still there then.
    pub async fn add<'a>(&mut self, paths: impl Iterator<Item = &'a StorePath>) {
        let new: Vec<StorePath> = paths.filter(|path| !self.tried.contains(path)).cloned().collect();
        let new: Vec<StorePath> = new.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        for chunk in new.chunks(CHUNK) {
            if !self.link(chunk).await && chunk.len() > 1 {
                for path in chunk {
                    self.link(std::slice::from_ref(path)).await;
                }
            }
            self.tried.extend(chunk.iter().cloned());
        }
    }

    async fn link(&self, paths: &[StorePath]) -> bool {
        let link = self.directory.join(format!("{:016x}", rand::random::<u64>()));
        let mut command = Command::new(nix_program("nix-store"));
        command
            .args(["--option", "substitute", "false", "--indirect", "--add-root"])
            .arg(link)
            .arg("--realise")
            .args(paths.iter().map(|path| self.store_dir.display(path)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        match tokio::time::timeout(TIMEOUT, command.status()).await {
            Ok(Ok(status)) => status.success(),
            _ => false,
        }
    }

    /// Removes the roots of all but `waiting`.
    pub fn retain(&mut self, waiting: &HashSet<StorePath>) -> io::Result<()> {
        self.tried.retain(|path| waiting.contains(path));
        for entry in std::fs::read_dir(&self.directory)? {
            let link = entry?.path();
            let keeps = std::fs::read_link(&link)
                .ok()
                .and_then(|target| self.store_dir.parse(target.to_str()?).ok())
                .is_some_and(|path| waiting.contains(&path));
            if !keeps {
                let _ = std::fs::remove_file(link);
            }
        }
        Ok(())
    }
}
