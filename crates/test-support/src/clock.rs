//! A clock for one process that a test sets, by libfaketime (Debian's package faketime).

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

/// A wall clock that runs as the machine's does, ahead of it or behind it.
#[derive(Debug)]
pub struct WallClock {
    folder: TempDir,
    library: PathBuf,
}

impl WallClock {
    /// One that is ahead of the machine's by some seconds, or behind it.
    #[must_use]
    pub fn new(seconds: i64) -> Self {
        let named = std::env::var_os("NIKS3_TEST_FAKETIME").map(PathBuf::from);
        let found = || {
            let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
            folders
                .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
                .find(|library| library.exists())
        };
        let clock = Self {
            folder: tempfile::tempdir().unwrap(),
            library: named
                .or_else(found)
                .expect("no libfaketime: run scripts/setup --packages"),
        };
        clock.set(seconds);
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    /// Sets it ahead of the machine's by some seconds, or behind it.
    pub fn set(&self, seconds: i64) {
        let new = self.folder.path().join("new");
        fs::write(&new, format!("{seconds:+}\n")).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    /// The environment of a program that goes by it. What is monotonic stays as it is.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let file = self.file();
        [
            ("LD_PRELOAD", self.library.to_str().unwrap()),
            ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_DONT_RESET", "1"),
            // Times of files are those of the machine.
            ("NO_FAKE_STAT", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }
}
