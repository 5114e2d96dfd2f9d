//! Log lines on standard error, above the bars, in the form of everything else that is said there.

use std::io;

use indicatif::MultiProgress;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format::Writer},
    registry::LookupSpan,
};

use super::Verbosity;

/// Begins to show log lines.
pub(super) fn start(verbosity: Verbosity, bars: &MultiProgress, terminal: bool) {
    let level = match verbosity {
        Verbosity::Quiet => "off",
        Verbosity::Normal => "niks3_queue=info,rustls_platform_verifier=off,warn",
        Verbosity::Verbose => {
            "niks3=info,niks3_queue=info,niks3_push=info,niks3_client=info,rustls_platform_verifier=off,warn"
        }
        Verbosity::Debug => "niks3=debug,niks3_queue=debug,niks3_push=debug,niks3_client=debug,info",
    };
    let filter = EnvFilter::try_from_env("NIKS3_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // https://no-color.org
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(AboveBars(bars.clone()))
        .with_ansi(terminal && !plain)
        .with_target(false);
    if verbosity >= Verbosity::Debug {
        subscriber.init();
    } else {
        subscriber.event_format(Sentence).init();
    }
}

/// `niks3: warning: …`
struct Sentence;

impl<S, N> FormatEvent<S, N> for Sentence
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        writer.write_str(match *event.metadata().level() {
            Level::ERROR => "niks3: error: ",
            Level::WARN => "niks3: warning: ",
            _ => "niks3: ",
        })?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
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
    /// A whole event comes at once; a reader that went away is no reason to fail.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| {
            let _ = io::Write::write_all(&mut io::stderr().lock(), bytes);
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
