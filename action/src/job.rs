//! What the runner says of the job.

use std::path::PathBuf;

use niks3_queue::Process;

use crate::{ActionError, runner::variable};

/// Why this job can have no token, if it is one of those that never can.
pub(crate) fn never_gets_a_token() -> Option<&'static str> {
    let event = variable("GITHUB_EVENT_NAME")?;
    // A `pull_request_target` runs as the repository itself, with its token.
    if ![
        "pull_request",
        "pull_request_review",
        "pull_request_review_comment",
    ]
    .contains(&event.as_str())
    {
        return None;
    }
    if variable("GITHUB_ACTOR").as_deref() == Some("dependabot[bot]") {
        return Some("a pull request of Dependabot");
    }
    let text = std::fs::read(variable("GITHUB_EVENT_PATH")?).ok()?;
    let event: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let repository = |side: &str| {
        event
            .pointer(&format!("/pull_request/{side}/repo/full_name"))
            .cloned()
    };
    // The repository of the head is null when the fork has been deleted.
    (repository("head").filter(serde_json::Value::is_string) != repository("base"))
        .then_some("a pull request from a fork")
}

/// Whether the event says that the repository is private.
pub(crate) fn is_repository_private() -> bool {
    let event = || {
        let text = std::fs::read(variable("GITHUB_EVENT_PATH")?).ok()?;
        let event: serde_json::Value = serde_json::from_slice(&text).ok()?;
        event.pointer("/repository/private")?.as_bool()
    };
    event().unwrap_or(false)
}

/// A folder that is emptied when the job ends, if its name can stand in Nix's settings: a `:` separates the files in
/// `NIX_USER_CONF_FILES`, a `#` begins a comment, and white space separates values.
pub(crate) fn temporary_folder() -> Result<PathBuf, ActionError> {
    let of_runner = variable("RUNNER_TEMP").map(PathBuf::from);
    let of_system = std::env::temp_dir();
    let usable = |folder: &PathBuf| {
        let name = folder.to_string_lossy();
        !name.contains([':', '#']) && !name.contains(char::is_whitespace)
    };
    let mut folders = of_runner.iter().chain([&of_system]);
    folders.find(|folder| usable(folder)).cloned().ok_or_else(|| {
        let names = of_runner.iter().chain([&of_system]);
        let names: Vec<String> = names.map(|folder| format!("'{}'", folder.display())).collect();
        ActionError(format!(
            "the job's temporary folder is {}: Nix takes no file from a folder with white space, ':' or '#' in its name. \
             Set RUNNER_TEMP or TMPDIR to another one",
            names.join(" or ")
        ))
    })
}

/// The process that lives as long as the job: action/shim.js says which started it.
pub(crate) fn runner_process() -> Option<Process> {
    let pid = variable("NIKS3_RUNNER_PID")?.parse().ok().filter(|pid| *pid > 1);
    pid.map(Process::of)
}
