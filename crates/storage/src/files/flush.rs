//! Bringing small files to the disk: all at once when a commit asks for it, and many at a time while others
//! are still being written, so that a commit has few left to wait for.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{FileBucket, Result};

/// Files that may wait for a flush before one begins by itself.
const MANY: usize = 4096;

/// What has been written and not yet flushed.
#[derive(Debug, Default)]
pub(super) struct Unflushed {
    files: AtomicUsize,
    /// A flush that nobody waits for is under way.
    ahead: AtomicBool,
    /// The system has failed to write something. It says so once and not to whom, and what of all that was
    /// written is lost it does not say, so nothing is known to be on the disk from then on.
    failed: Mutex<bool>,
}

impl Unflushed {
    fn flush(&self, folder: &Path) -> io::Result<()> {
        // One at a time, so that whoever comes next knows what this one was told.
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *failed {
            return Err(io::Error::other(
                "the disk has lost something that was written: restart the server, which writes it again",
            ));
        }
        self.files.store(0, Ordering::Relaxed);
        sync(&File::open(folder)?).inspect_err(|_| *failed = true)
    }
}

#[cfg(target_os = "linux")]
fn sync(folder: &File) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

#[cfg(not(target_os = "linux"))]
fn sync(_: &File) -> io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

impl FileBucket {
    /// Everything written before is on the disk when this returns.
    pub(crate) async fn sync(&self) -> Result<()> {
        self.blocking(|inner| Ok(inner.unflushed.flush(&inner.objects)?))
            .await
    }

    /// Counts small files that were written, and begins to flush them when they are many.
    pub(super) fn wrote(&self, files: usize) {
        let unflushed = &self.inner.unflushed;
        if unflushed.files.fetch_add(files, Ordering::Relaxed) + files < MANY
            || unflushed.ahead.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = inner.unflushed.flush(&inner.objects) {
                tracing::error!(%error, "what was written could not be brought to the disk");
            }
            inner.unflushed.ahead.store(false, Ordering::Release);
        });
    }
}
