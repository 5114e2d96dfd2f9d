//! The GitHub Action of niks3: before a job builds, while it builds, and after.

mod daemon;
mod flush;
mod gc;
mod github;
mod hook;
mod inputs;
mod job;
mod neighbours;
mod netrc;
mod nix;
mod nix_conf;
mod outputs;
mod paths;
mod post;
mod preflight;
mod reading;
mod record;
mod runner;
mod scan;
mod secrets;
mod setup;
mod state;
mod summary;
mod target;
mod tls;
mod uses;
mod visibility;

use std::process::ExitCode;

/// A sentence that says what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ActionError(pub(crate) String);

impl ActionError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Something that should work failed.
    pub(crate) fn io(what: &str, error: &std::io::Error) -> Self {
        Self(format!("cannot {what}: {error}"))
    }
}

/// Runs the subcommand that the arguments name.
#[must_use]
pub fn run(arguments: &[String]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        // Nix waits for it: no runtime, no threads.
        ["hook", queue, store_dir] => hook::send(queue.as_ref(), store_dir),
        ["--version"] => {
            // A release names the commit it was built from.
            let version = option_env!("NIKS3_BUILD_VERSION").unwrap_or(env!("CARGO_PKG_VERSION"));
            runner::log(&format!("niks3-action {version}"));
            ExitCode::SUCCESS
        }
        ["main"] => blocking(setup::run()),
        ["post"] => blocking(post::run()),
        ["flush"] => blocking(flush::run()),
        ["gc"] => blocking(gc::run()),
        ["daemon"] => blocking(daemon::run()),
        _ => {
            runner::log("usage: niks3-action main | post | flush | gc | daemon | hook QUEUE STORE_DIR");
            ExitCode::from(2)
        }
    }
}

fn blocking(work: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            runner::error("niks3", &format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(work);
    runtime.shutdown_background();
    code
}
