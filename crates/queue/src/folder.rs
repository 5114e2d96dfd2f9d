//! Where everything of a queue lies, and who serves it.

use std::{
    fs::{DirBuilder, File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// The folder of a queue.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// Held by whoever serves the queue; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Folder {
    /// Makes the folder, for its owner alone; root, as whom a Nix daemon runs the hook, gets in all the same.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        let folder = Self(std::path::absolute(path)?);
        builder.create(folder.spool())?;
        builder.create(folder.roots())?;
        Ok(folder)
    }

    /// The folder of a queue that somebody else made.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    pub(crate) fn roots(&self) -> PathBuf {
        self.0.join("roots")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// The right to serve the queue, if nobody has it.
    pub fn try_lock(&self) -> io::Result<Option<Lock>> {
        let file = File::options()
            .create(true)
            .read(true)
            .truncate(false)
            .write(true)
            .open(self.0.join("lock"))?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                (&file).write_all(std::process::id().to_string().as_bytes())?;
                Ok(Some(Lock { _file: file }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The process that serves the queue, if one does.
    pub fn served_by(&self) -> io::Result<Option<u32>> {
        if self.try_lock()?.is_some() {
            return Ok(None);
        }
        Ok(std::fs::read_to_string(self.0.join("lock"))?.trim().parse().ok())
    }
}
