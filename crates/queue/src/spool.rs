//! Files that name what waits: written whole or not at all, read with suspicion.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use niks3_nix::store_path::{StoreDir, StorePath};
use rustix::fs::OFlags;

use crate::folder::Folder;

const SUFFIX: &str = ".paths";
/// No derivation has that many outputs.
const MAX_FILE: u64 = 1 << 20;

/// Why something cannot be put into the queue.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder.
    #[error("cannot write to the queue in {path}: {source}", path = path.display())]
    Write {
        /// The folder of files.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What was to be put there.
    #[error("'{0}' is not a store path of {1}")]
    NotAPath(String, StoreDir),
}

/// One file of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its name, which grows with time.
    pub name: String,
    /// What it names.
    pub paths: Vec<StorePath>,
}

/// What waits.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The files, oldest first.
    pub batches: Vec<Batch>,
}

impl Folder {
    /// Puts paths into the queue. Safe with any number of writers; needs no one to listen.
    pub fn enqueue(&self, store_dir: &StoreDir, paths: &[&str]) -> Result<(), SpoolError> {
        let mut text = String::new();
        for path in paths {
            let parsed: StorePath = store_dir
                .parse(path)
                .map_err(|_| SpoolError::NotAPath((*path).to_owned(), store_dir.clone()))?;
            text += parsed.as_str();
            text.push('\n');
        }
        if text.is_empty() {
            return Ok(());
        }
        let spool = self.spool();
        write_whole(&spool, text.as_bytes()).map_err(|source| SpoolError::Write { path: spool, source })
    }

    /// What waits now. Files that say nothing sensible are removed, with a warning.
    pub fn waiting(&self) -> io::Result<Waiting> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.spool())? {
            if let Ok(name) = entry?.file_name().into_string()
                && name.ends_with(SUFFIX)
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        let mut batches = Vec::with_capacity(names.len());
        for name in names {
            match read(&self.spool().join(&name)) {
                Ok(paths) => batches.push(Batch { name, paths }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!("removing {name} from the queue: {error}");
                    self.done(&name)?;
                }
            }
        }
        Ok(Waiting { batches })
    }

    /// Removes a file from the queue.
    pub fn done(&self, name: &str) -> io::Result<()> {
        match std::fs::remove_file(self.spool().join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn write_whole(spool: &Path, text: &[u8]) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Nanoseconds keep the order; the rest keeps two of the same moment apart.
    let name = format!(
        "{:020}-{}-{:08x}",
        now.as_nanos(),
        std::process::id(),
        rand::random::<u32>()
    );
    let hidden = spool.join(format!(".{name}"));
    let mut file = File::options()
        .write(true)
        .create_new(true)
        // Whoever serves the queue may be another user than the daemon of Nix.
        .mode(0o644)
        .open(&hidden)?;
    let written = file
        .write_all(text)
        .and_then(|()| std::fs::rename(&hidden, spool.join(format!("{name}{SUFFIX}"))));
    if written.is_err() {
        let _ = std::fs::remove_file(&hidden);
    }
    written
}

fn read(path: &Path) -> io::Result<Vec<StorePath>> {
    let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(invalid("it is not a small file"));
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text)?;
    let paths: Vec<StorePath> = text
        .lines()
        .map(|line| {
            line.parse()
                .map_err(|_| invalid("it holds a line that is no store path"))
        })
        .collect::<Result<_, _>>()?;
    if paths.is_empty() {
        return Err(invalid("it is empty"));
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "/nix/store/0c0vcw3pzmdhzdl4r3dqh7yfb4jbnvy4-a";

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(&dir.path().join("queue")).unwrap();
        (dir, folder)
    }

    #[test]
    fn what_many_write_at_once_is_all_there() {
        let (_dir, folder) = folder();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        folder.enqueue(&StoreDir::default(), &[A, A]).unwrap();
                    }
                });
            }
        });
        let waiting = folder.waiting().unwrap();
        assert_eq!(waiting.batches.len(), 400);
        assert!(waiting.batches.iter().all(|batch| batch.paths.len() == 2));
    }

    #[test]
    fn files_of_nonsense_are_removed_and_others_stay() {
        let (dir, folder) = folder();
        folder.enqueue(&StoreDir::default(), &[A]).unwrap();
        std::fs::write(folder.spool().join("0.paths"), "../etc/passwd\n").unwrap();
        std::fs::write(folder.spool().join("1.paths"), b"\xff").unwrap();
        std::fs::write(folder.spool().join("2.paths"), "").unwrap();
        std::fs::write(folder.spool().join(".half"), "0c0v").unwrap();
        std::os::unix::fs::symlink(dir.path(), folder.spool().join("3.paths")).unwrap();
        assert_eq!(folder.waiting().unwrap().batches.len(), 1);
        assert_eq!(std::fs::read_dir(folder.spool()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_no_store_path_is_refused() {
        let (_dir, folder) = folder();
        for path in ["", "/etc/passwd", "/nix/store/x", "/nix/store/../../x"] {
            assert!(folder.enqueue(&StoreDir::default(), &[path]).is_err(), "{path}");
        }
        assert!(folder.waiting().unwrap().batches.is_empty());
    }
}
