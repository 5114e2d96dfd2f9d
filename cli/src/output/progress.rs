//! How far a push is: a bar with bytes, rate and time left on a terminal, a line now and then elsewhere.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use indicatif::{BinaryBytes, ProgressBar, ProgressState, ProgressStyle};
use niks3_push::Progress;

use super::Output;

const LINE_EVERY: Duration = Duration::from_secs(5);
const BAR: &str = "{spinner} {msg}{wide_bar} {bytes}/{total_bytes}  {sent}  {eta} left ";

/// Counts, and shows the counts.
pub(crate) struct PushProgress {
    output: Output,
    bar: ProgressBar,
    start: Instant,
    paths: AtomicU64,
    paths_done: AtomicU64,
    nar_total: AtomicU64,
    nar_done: AtomicI64,
    sent: Arc<AtomicU64>,
    committing: AtomicBool,
}

/// Shows while it lives.
pub(crate) struct Shown {
    progress: Arc<PushProgress>,
    lines: Option<tokio::task::JoinHandle<()>>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.progress.bar.finish_and_clear();
        if let Some(lines) = &self.lines {
            lines.abort();
        }
    }
}

impl PushProgress {
    pub(super) fn show(output: &Output, as_bar: bool) -> (Arc<Self>, Shown) {
        let bar = if as_bar {
            output.bars.add(ProgressBar::no_length())
        } else {
            ProgressBar::hidden()
        };
        let (start, sent) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let spinner = ProgressStyle::with_template("{spinner} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(spinner);
        bar.set_message("asking Nix and the server …");
        if as_bar {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        let progress = Arc::new(Self {
            output: output.clone(),
            bar,
            start,
            paths: AtomicU64::new(0),
            paths_done: AtomicU64::new(0),
            nar_total: AtomicU64::new(0),
            nar_done: AtomicI64::new(0),
            sent,
            committing: AtomicBool::new(false),
        });
        let lines = (!as_bar).then(|| tokio::spawn(Arc::clone(&progress).lines()));
        (Arc::clone(&progress), Shown { progress, lines })
    }

    fn style(&self) -> ProgressStyle {
        let (start, sent) = (self.start, Arc::clone(&self.sent));
        let rate = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let sent = sent.load(Relaxed);
            let rate = sent as f64 / start.elapsed().as_secs_f64().max(0.001);
            let _ = write!(out, "sent {}, {}/s", BinaryBytes(sent), BinaryBytes(rate as u64));
        };
        ProgressStyle::with_template(BAR)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸ ")
            .with_key("sent", rate)
    }

    fn nar_done(&self) -> u64 {
        u64::try_from(self.nar_done.load(Relaxed)).unwrap_or(0)
    }

    async fn lines(self: Arc<Self>) {
        let (mut last, mut said) = (0, false);
        loop {
            tokio::time::sleep(LINE_EVERY).await;
            if niks3_client::is_waiting() {
                // The user has been told for what.
                continue;
            }
            let (total, done, sent) = (
                self.nar_total.load(Relaxed),
                self.nar_done(),
                self.sent.load(Relaxed),
            );
            if self.committing.load(Relaxed) {
                if std::mem::replace(&mut said, true) {
                    continue;
                }
                self.output
                    .info("everything has arrived; the server makes it visible");
            } else if total > 0 {
                said = false;
                let seconds = self.start.elapsed().as_secs_f64();
                let share = (done as f64 / total as f64).min(1.0);
                let percent = (100.0 * share).floor();
                let left = if share > 0.0 {
                    format!(", {:.0} s left", seconds * (1.0 - share) / share)
                } else {
                    String::new()
                };
                self.output.info(&format!(
                    "{percent} %: {} of {} paths, {} of {}, sent {} ({}/s){left}",
                    self.paths_done.load(Relaxed),
                    self.paths.load(Relaxed),
                    BinaryBytes(done),
                    BinaryBytes(total),
                    BinaryBytes(sent),
                    BinaryBytes((sent - last) / LINE_EVERY.as_secs()),
                ));
            }
            last = sent;
        }
    }

    /// Shows how far the upload is.
    fn uploading(&self) {
        self.committing.store(false, Relaxed);
        self.bar.set_length(self.nar_total.load(Relaxed));
        self.bar.set_position(self.nar_done());
        self.bar.set_style(self.style());
        self.message();
    }

    fn message(&self) {
        let (done, all) = (self.paths_done.load(Relaxed), self.paths.load(Relaxed));
        self.bar.set_message(format!("{done}/{all} paths  "));
    }
}

impl Progress for PushProgress {
    fn closure(&self, paths: u64) {
        self.bar
            .set_message(format!("{} in the closure …", super::paths(paths)));
    }

    fn planned(&self, paths: u64, nar_bytes: u64) {
        self.paths.store(paths, Relaxed);
        self.nar_total.store(nar_bytes, Relaxed);
        self.paths_done.store(0, Relaxed);
        self.nar_done.store(0, Relaxed);
        self.committing.store(false, Relaxed);
        if paths == 0 {
            return;
        }
        let what = super::paths(paths);
        self.output
            .info(&format!("uploading {what}, {}", BinaryBytes(nar_bytes)));
        self.uploading();
    }

    fn also_planned(&self, nar_bytes: u64) {
        self.paths.fetch_add(1, Relaxed);
        self.nar_total.fetch_add(nar_bytes, Relaxed);
        self.uploading();
    }

    fn again(&self, nar_bytes: u64) {
        self.paths_done.fetch_sub(1, Relaxed);
        self.nar_done
            .fetch_sub(i64::try_from(nar_bytes).unwrap_or(0), Relaxed);
        self.uploading();
    }

    fn nar_bytes(&self, bytes: i64) {
        self.nar_done.fetch_add(bytes, Relaxed);
        self.bar.set_position(self.nar_done());
    }

    fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Relaxed);
    }

    fn path_done(&self) {
        self.paths_done.fetch_add(1, Relaxed);
        self.message();
    }

    fn committing(&self) {
        self.committing.store(true, Relaxed);
        self.bar.set_message("making it visible …  ");
    }

    fn warning(&self, text: &str) {
        self.output.warning(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Output;

    #[tokio::test]
    async fn what_is_sent_again_is_counted_once() {
        let (progress, _shown) = PushProgress::show(&Output::unheard(), false);
        let counts = || {
            (
                progress.paths_done.load(Relaxed),
                progress.paths.load(Relaxed),
                progress.nar_done(),
                progress.nar_total.load(Relaxed),
                progress.committing.load(Relaxed),
            )
        };
        let done = |bytes| {
            progress.nar_bytes(bytes);
            progress.path_done();
        };
        progress.planned(2, 30);
        done(10);
        done(20);
        progress.committing();
        assert_eq!(counts(), (2, 2, 30, 30, true));
        progress.again(10);
        progress.also_planned(5);
        assert_eq!(counts(), (1, 3, 20, 35, false));
        done(10);
        done(5);
        progress.committing();
        assert_eq!(counts(), (3, 3, 35, 35, true));
        // A push that has to begin again.
        progress.planned(0, 0);
        assert_eq!(counts(), (0, 0, 0, 0, false));
    }
}
