//! A wall clock that steps, as after a wrong NTP server or a resumed virtual machine.

use std::path::PathBuf;

use tempfile::TempDir;

/// A wall clock that programs believe instead of the machine's. Their monotonic clock is the machine's.
#[derive(Debug)]
pub struct Clock {
    directory: TempDir,
}

/// libfaketime for programs with threads.
fn library() -> PathBuf {
    if let Some(library) = std::env::var_os("NIKS3_TEST_FAKETIME") {
        return library.into();
    }
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
        .expect("no libfaketime in /usr/lib: run scripts/setup --packages")
}

impl Default for Clock {
    fn default() -> Self {
        let clock = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        clock.step(0);
        clock
    }
}

impl Clock {
    fn file(&self) -> PathBuf {
        self.directory.path().join("offset")
    }

    /// What makes a program believe this clock.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Steps to so many seconds after the machine's clock, or before it.
    pub fn step(&self, seconds: i64) {
        // Replaced whole: a program that reads half of it would step elsewhere.
        let new = self.file().with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(new, self.file()).unwrap();
    }
}
