//! What main leaves for the daemon and for post: a folder in the runner's temporary one, and a few words.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use niks3_queue::Folder;

use crate::{
    Trouble, job,
    runner::{save_state, variable},
};

/// What main has set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Hook,
    Scan,
    Paths,
    Nothing,
}

/// The folder of one use of the action in one job.
#[derive(Debug)]
pub(crate) struct State {
    directory: PathBuf,
}

impl State {
    /// Makes the folder, and tells post of it before anything else is done.
    pub(crate) fn create() -> Result<Self, Trouble> {
        let parent = job::temporary_folder();
        let directory = parent.join(format!("niks3-{:08x}", rand::random::<u32>()));
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(|error| Trouble::io(&format!("make a folder in {}", parent.display()), &error))?;
        save_state("directory", &directory.to_string_lossy())?;
        Ok(Self { directory })
    }

    /// The folder that main made, if it came that far.
    pub(crate) fn of_main() -> Option<Self> {
        let directory = PathBuf::from(variable("STATE_directory")?);
        directory.is_dir().then_some(Self { directory })
    }

    pub(crate) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the queue is.
    pub(crate) fn queue_path(&self) -> PathBuf {
        self.directory.join("queue")
    }

    /// The queue, made if it is not there.
    pub(crate) fn queue(&self) -> Result<Folder, Trouble> {
        Folder::create(&self.queue_path()).map_err(|error| Trouble::io("make the queue", &error))
    }

    /// What the daemon says.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    pub(crate) fn save(doing: Doing) -> Result<(), Trouble> {
        save_state(
            "doing",
            match doing {
                Doing::Hook => "hook",
                Doing::Scan => "scan",
                Doing::Paths => "paths",
                Doing::Nothing => "nothing",
            },
        )
    }

    pub(crate) fn doing() -> Doing {
        match variable("STATE_doing").as_deref() {
            Some("hook") => Doing::Hook,
            Some("scan") => Doing::Scan,
            Some("paths") => Doing::Paths,
            _ => Doing::Nothing,
        }
    }

    /// Removes all of it.
    pub(crate) fn remove(&self) {
        if let Some(address) = niks3_queue::Address::of(&Folder::at(&self.queue_path())) {
            address.remove();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
