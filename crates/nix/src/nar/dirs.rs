//! A walk down and up a tree by open folders, never by path, so that a swapped symlink leads nowhere.

use std::io;

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{self, Mode, OFlags, Stat},
};

/// How many folders stay open; those further up are opened again through `..`, and must be the same ones.
const WINDOW: usize = 24;

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

struct Level {
    fd: Option<OwnedFd>,
    stat: Stat,
}

/// The folders from the root of the walk down to where it is.
#[derive(Default)]
pub(super) struct Dirs {
    levels: Vec<Level>,
}

impl Dirs {
    pub(super) const fn depth(&self) -> usize {
        self.levels.len()
    }

    /// The folder where the walk is; the working directory before the first [`Self::enter`].
    pub(super) fn here(&self) -> BorrowedFd<'_> {
        self.levels
            .last()
            .and_then(|level| level.fd.as_ref())
            .map_or(fs::CWD, AsFd::as_fd)
    }

    pub(super) fn enter(&mut self, fd: OwnedFd) -> io::Result<()> {
        let stat = fs::fstat(&fd)?;
        if let Some(far) = self.levels.len().checked_sub(WINDOW) {
            self.levels[far].fd = None;
        }
        self.levels.push(Level { fd: Some(fd), stat });
        Ok(())
    }

    pub(super) fn leave(&mut self) -> io::Result<()> {
        let Some(left) = self.levels.pop() else {
            return Ok(());
        };
        let (Some(parent), Some(child)) = (self.levels.last_mut(), left.fd) else {
            return Ok(());
        };
        if parent.fd.is_none() {
            let fd = fs::openat(child, "..", DIRECTORY, Mode::empty())?;
            let stat = fs::fstat(&fd)?;
            if (stat.st_dev, stat.st_ino) != (parent.stat.st_dev, parent.stat.st_ino) {
                return Err(io::Error::other("the folder above was replaced"));
            }
            parent.fd = Some(fd);
        }
        Ok(())
    }
}
