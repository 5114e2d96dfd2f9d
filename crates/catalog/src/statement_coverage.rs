//! Which statements a database has been asked, for the tests: each line that puts one together should have run on both.
//! In debug builds only, and only where `NIKS3_TEST_STATEMENTS` names a folder.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write as _;
use std::panic::Location;
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::Backend;

/// Places that this process has written down, and the file they are in.
struct Recorder {
    file: File,
    recorded: HashSet<(Backend, &'static str, u32)>,
}

static RECORDER: LazyLock<Option<Mutex<Recorder>>> = LazyLock::new(|| {
    let folder = std::env::var_os("NIKS3_TEST_STATEMENTS")?;
    let file = File::options()
        .create(true)
        .append(true)
        .open(Path::new(&folder).join(std::process::id().to_string()))
        .ok()?;
    Some(Mutex::new(Recorder {
        file,
        recorded: HashSet::new(),
    }))
});

/// Writes `BACKEND FILE:LINE`, once for each.
pub(super) fn record(backend: Backend, location: &'static Location<'static>) {
    let Some(recorder) = &*RECORDER else { return };
    let mut recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
    if recorder
        .recorded
        .insert((backend, location.file(), location.line()))
    {
        let name = match backend {
            Backend::Sqlite => "sqlite",
            Backend::Postgres => "postgres",
        };
        // A test that cannot write this down fails for the missing line.
        let _ = writeln!(recorder.file, "{name} {}:{}", location.file(), location.line());
    }
}
