//! What main leaves for the daemon, for the flush action and for post: a folder in the runner's temporary one.

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use niks3_push::LocalStore;
use niks3_queue::Folder;
use serde::{Deserialize, Serialize};

use crate::{
    ActionError,
    inputs::OnError,
    job, neighbours,
    runner::{export, save_state, variable},
};

/// The folders of all uses of the action in this job, one a line. State that a step saves is for its own post step
/// alone, so the flush action finds them by this variable.
const USES_VARIABLE: &str = "NIKS3_ACTION_STATE";

/// What main has set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Doing {
    Hook,
    Scan,
    Paths,
    #[serde(rename = "off")]
    Nothing,
}

impl Doing {
    /// The value of the output `mode`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hook => "hook",
            Self::Scan => "scan",
            Self::Paths => "paths",
            Self::Nothing => "off",
        }
    }
}

/// What one use of the action does, for other steps of the job. It holds no secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Use {
    /// The server, without credentials.
    pub(crate) server_url: String,
    pub(crate) doing: Doing,
    /// The input `paths`.
    pub(crate) paths: Vec<String>,
    pub(crate) on_error: OnError,
    /// Where Nix reads the cache.
    pub(crate) substituter: Option<String>,
    /// Keys by which the server signs.
    #[serde(default)]
    pub(crate) public_keys: Vec<String>,
    /// Certificates to trust besides those of the system, in PEM form.
    #[serde(default)]
    pub(crate) ca_cert: Option<String>,
}

/// The folder of one use of the action in one job.
#[derive(Debug)]
pub(crate) struct State {
    directory: PathBuf,
}

impl State {
    /// Makes the folder, and tells post of it before anything else is done.
    pub(crate) fn create() -> Result<Self, ActionError> {
        let parent = job::temporary_folder()?;
        let directory = parent.join(format!("niks3-{:08x}", rand::random::<u32>()));
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(|error| ActionError::io(&format!("make a folder in {}", parent.display()), &error))?;
        save_state("directory", &directory.to_string_lossy())?;
        let mut uses: Vec<String> = use_directories().collect();
        uses.push(directory.to_string_lossy().into_owned());
        export(USES_VARIABLE, &uses.join("\n"))?;
        Ok(Self { directory })
    }

    /// The folders of the uses in this job before this step that are not over.
    pub(crate) fn of_job() -> Vec<Self> {
        use_directories()
            .map(|directory| Self::at(directory.into()))
            .filter(|state| state.directory.is_dir())
            .collect()
    }

    /// Whether any step of the job before this one uses the action.
    pub(crate) fn is_used_in_job() -> bool {
        use_directories().next().is_some()
    }

    fn use_path(&self) -> PathBuf {
        self.directory.join("use.json")
    }

    /// Tells other steps what this use does.
    pub(crate) fn publish(&self, used: &Use) -> Result<(), ActionError> {
        let text = serde_json::to_vec(used).map_err(|error| ActionError(error.to_string()))?;
        let path = self.use_path();
        std::fs::write(&path, text)
            .map_err(|error| ActionError::io(&format!("write {}", path.display()), &error))
    }

    /// What this use does, if its main step has come that far.
    pub(crate) fn published(&self) -> Option<Use> {
        serde_json::from_slice(&std::fs::read(self.use_path()).ok()?).ok()
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
    pub(crate) fn queue(&self) -> Result<Folder, ActionError> {
        Folder::create(&self.queue_path()).map_err(|error| ActionError::io("make the queue", &error))
    }

    /// What the daemon says.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// What main has set up; nothing, if it did not come that far.
    pub(crate) fn doing(&self) -> Doing {
        self.published().map_or(Doing::Nothing, |used| used.doing)
    }

    /// Where the netrc file is, if the job has one.
    pub(crate) fn netrc_path(&self) -> PathBuf {
        self.directory.join("netrc")
    }

    /// Removes all of it.
    pub(crate) fn remove(&self) {
        if let Ok(store) = LocalStore::from_environment() {
            neighbours::leave(&store, &self.directory);
        }
        if let Some(address) = niks3_queue::Address::of(&Folder::at(&self.queue_path())) {
            address.remove();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn use_directories() -> impl Iterator<Item = String> {
    let text = variable(USES_VARIABLE).unwrap_or_default();
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    lines.into_iter()
}
