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
    /// The system reports a failed write once, so what such a flush hears is kept for who asks next.
    failed: Mutex<Option<io::Error>>,
}

impl Unflushed {
    fn flush(&self, folder: &Path) -> io::Result<()> {
        self.files.store(0, Ordering::Relaxed);
        let folder = File::open(folder)?;
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(&folder)?;
        #[cfg(not(target_os = "linux"))]
        {
            drop(folder);
            rustix::fs::sync();
        }
        Ok(())
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Option<io::Error>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileBucket {
    /// Everything written before is on the disk when this returns.
    pub(in crate::storage) async fn sync(&self) -> Result<()> {
        self.blocking(|inner| {
            inner.unflushed.flush(&inner.objects)?;
            match inner.unflushed.failed().take() {
                Some(error) => Err(error.into()),
                None => Ok(()),
            }
        })
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
                *inner.unflushed.failed() = Some(error);
            }
            inner.unflushed.ahead.store(false, Ordering::Release);
        });
    }
}
