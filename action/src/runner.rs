//! How an action talks with the runner: commands on standard output, and files.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

mod commands;
mod files;

pub(crate) use commands::{HarmlessStderr, error, group, log, mask, notice, warning};
pub(crate) use files::{Summary, add_summary, export, save_state, set_output};

/// A variable that is set to something.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
