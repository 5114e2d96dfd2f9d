//! All that is said: results on standard output, everything else on standard error, bars only on a terminal.

mod log;
mod progress;
pub(crate) mod table;

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
};

use indicatif::{BinaryBytes, MultiProgress, ProgressDrawTarget};
use niks3_push::{Summary, upstream_name};

use crate::Failure;
use progress::{PushProgress, Shown};

/// So many paths.
pub(crate) fn paths(count: u64) -> String {
    counted(count, "path")
}

/// A number with its noun, in the singular or the plural.
pub(crate) fn counted(count: impl std::fmt::Display, noun: &str) -> String {
    let count = count.to_string();
    let plural = if count == "1" { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A Unix time as people read it.
pub(crate) fn time(seconds: i64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds.max(0).unsigned_abs());
    humantime::format_rfc3339_seconds(time).to_string()
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
    Debug,
}

/// Says things.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    verbosity: Verbosity,
    bars: MultiProgress,
    terminal: bool,
}

impl Output {
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        let terminal = io::stderr().is_terminal() && std::env::var("TERM").is_ok_and(|term| term != "dumb");
        let shown = terminal && verbosity > Verbosity::Quiet;
        let target = if shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bars = MultiProgress::with_draw_target(target);
        log::start(verbosity, &bars, terminal);
        Self {
            verbosity,
            bars,
            terminal,
        }
    }

    /// Says nothing to anybody.
    #[cfg(test)]
    fn unheard() -> Self {
        Self {
            verbosity: Verbosity::Quiet,
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            terminal: false,
        }
    }

    pub(crate) fn error(&self, text: &str) {
        self.line(&format!("niks3: {text}"));
    }

    pub(crate) fn warning(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.line(&format!("niks3: warning: {text}"));
        }
    }

    pub(crate) fn info(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            self.line(text);
        }
    }

    /// A reader that went away is no reason to fail.
    fn line(&self, text: &str) {
        self.bars.suspend(|| {
            let _ = writeln!(io::stderr().lock(), "{text}");
        });
    }

    /// A line of the result.
    pub(crate) fn line_out(&self, text: &str) -> Result<(), Failure> {
        print(&format!("{text}\n"))
    }

    pub(crate) fn json(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        self.line_out(&serde_json::to_string(value)?)
    }

    pub(crate) fn summary(&self, summary: &Summary) {
        let mut text = format!(
            "{}: {} uploaded, {} already cached",
            paths(summary.paths),
            summary.uploaded,
            summary.already_cached
        );
        if summary.verified > 0 {
            text += &format!(", {} verified", summary.verified);
        }
        if !summary.replaced.is_empty() {
            text += &format!(", {} replaced", summary.replaced.len());
        }
        if !summary.conflicts.is_empty() {
            text += &match summary.conflicts.len() {
                1 => ", 1 conflict".to_owned(),
                count => format!(", {count} conflicts"),
            };
        }
        for left in &summary.left_to {
            text += &format!(", {} left to {}", paths(left.paths), upstream_name(&left.cache));
        }
        if summary.bytes_sent > 0 {
            let (nar, sent) = (BinaryBytes(summary.nar_bytes), BinaryBytes(summary.bytes_sent));
            text += &format!("; {nar} as {sent}");
        }
        self.info(&format!("{text} in {:.1} s", summary.seconds));
    }

    /// Bars on a terminal, lines elsewhere; both end when the second value is dropped.
    pub(crate) fn push_progress(&self) -> (Arc<PushProgress>, Shown) {
        PushProgress::show(self, self.terminal && self.verbosity > Verbosity::Quiet)
    }
}

/// Shows what was asked for with `--help` or `--version`, in colours where those are welcome.
pub(crate) fn help(help: &clap::Error) -> Result<(), Failure> {
    written(help.print())
}

/// Writes to standard output, whose reader may have seen enough.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Failed(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(()),
    }
}
