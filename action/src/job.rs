//! What the runner says of the job.

use std::path::PathBuf;

use niks3_queue::Process;

use crate::runner::variable;

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

/// A folder that is emptied when the job ends.
pub(crate) fn temporary_folder() -> PathBuf {
    variable("RUNNER_TEMP").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// The process that lives as long as the job: action/shim.js says which started it.
pub(crate) fn runner_process() -> Option<Process> {
    let pid = variable("NIKS3_RUNNER_PID")?.parse().ok().filter(|pid| *pid > 1);
    pid.map(Process::of)
}
