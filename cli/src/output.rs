//! All that is said: results on standard output, everything else on standard error, bars only on a terminal.

mod progress;

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::Arc,
};

use indicatif::{BinaryBytes, MultiProgress, ProgressDrawTarget};
use niks3_push::Summary;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use crate::Failure;
use progress::{PushProgress, Shown};

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
        let output = Self {
            verbosity,
            bars: MultiProgress::with_draw_target(target),
            terminal,
        };
        output.log();
        output
    }

    /// Sends log lines to standard error, above the bars.
    fn log(&self) {
        let level = match self.verbosity {
            Verbosity::Quiet => "off",
            Verbosity::Normal => "niks3_queue=info,warn",
            Verbosity::Verbose => "niks3=info,niks3_queue=info,niks3_push=info,niks3_client=info,warn",
            Verbosity::Debug => "niks3=debug,niks3_queue=debug,niks3_push=debug,niks3_client=debug,info",
        };
        let filter = EnvFilter::try_from_env("NIKS3_LOG").unwrap_or_else(|_| EnvFilter::new(level));
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(AboveBars(self.bars.clone()))
            .with_ansi(self.terminal)
            .with_target(false);
        if self.verbosity >= Verbosity::Debug {
            subscriber.init();
        } else {
            subscriber.without_time().init();
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
        writeln!(io::stdout().lock(), "{text}")
            .map_err(|error| Failure::Failed(format!("cannot write to standard output: {error}")))
    }

    pub(crate) fn json(&self, value: &impl serde::Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)?;
        writeln!(io::stdout().lock(), "{text}")
            .map_err(|error| Failure::Failed(format!("cannot write to standard output: {error}")))
    }

    pub(crate) fn summary(&self, summary: &Summary) {
        let mut text = format!(
            "{} path{}: {} uploaded, {} already cached",
            summary.paths,
            if summary.paths == 1 { "" } else { "s" },
            summary.uploaded,
            summary.already_cached
        );
        if summary.skipped_upstream > 0 {
            text += &format!(", {} left to upstream caches", summary.skipped_upstream);
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

#[derive(Clone)]
struct AboveBars(MultiProgress);

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
