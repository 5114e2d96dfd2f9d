//! Post: pushes what still waits, says what became of everything, and leaves nothing behind.

use std::{
    convert::Infallible,
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use niks3_nix::store_path::StorePath;
use niks3_push::{CancellationToken, LocalStore, PushOptions};
use niks3_queue::{Address, Engine, Folder, Journal, Outcome, Request, ServeOptions, ask, serve};
use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    ActionError,
    inputs::{Inputs, OnError},
    neighbours, nix_conf,
    outputs::shown_url,
    paths::{self, Resolved},
    record,
    runner::{self, Summary},
    scan,
    secrets::mask_token,
    state::{Doing, State},
    summary::{self, Report},
    target::Target,
};

const HEARTBEAT: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);
/// GitHub kills a post step of a cancelled job without a word, so the summary is never older than this.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(8);
/// What is told to end has so long beyond its time.
const GRACE: Duration = Duration::from_secs(10);
/// After SIGINT or SIGTERM the runner waits 7.5 s.
const STOP_GRACE: Duration = Duration::from_secs(4);
/// The runner shows ten annotations of a kind for a step.
const MAX_ANNOTATIONS: usize = 9;

/// The post step.
pub(crate) async fn run() -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(|| runner::HarmlessStderr)
        .with_ansi(false)
        // It would complain on standard error that it cannot write there, and panic.
        .log_internal_errors(false)
        .with_target(false)
        .without_time()
        .init();
    let Some(state) = State::of_main() else {
        runner::log("niks3: nothing was set up, so there is nothing to do");
        return ExitCode::SUCCESS;
    };
    let begun = Instant::now();
    let stop = on_signal();
    let summary = Summary::of_step();
    mask_token(&state);
    let (mut report, on_error) = match Inputs::from_environment() {
        Ok(inputs) => {
            let finish = Finish {
                state: &state,
                inputs: &inputs,
                stop: &stop,
                begun,
                deadline: begun + inputs.drain_limit(),
                summary: &summary,
            };
            (finish.all().await, inputs.on_error)
        }
        Err(trouble) => (
            Report {
                troubles: vec![trouble.0],
                ..Report::default()
            },
            OnError::Fail,
        ),
    };
    report.seconds = begun.elapsed().as_secs_f64();
    let log = std::fs::read_to_string(state.log_path()).unwrap_or_default();
    let doing = state.doing();
    clean_up(&state);
    tell(&report, on_error, doing, &summary, &log)
}

/// Ends with the first signal that asks for it.
fn on_signal() -> CancellationToken {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    if let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            stop.cancel();
        });
    }
    stop
}

struct Finish<'a> {
    state: &'a State,
    inputs: &'a Inputs,
    stop: &'a CancellationToken,
    begun: Instant,
    deadline: Instant,
    summary: &'a Summary,
}

impl Finish<'_> {
    async fn all(&self) -> Report {
        if self.state.doing() == Doing::Nothing {
            return Report::default();
        }
        // Whoever kills this step leaves a run with its conclusion and a summary.
        let mut notices = Vec::new();
        let both = async { tokio::join!(self.push(&mut notices), self.record()) };
        let (mut troubles, run_url) = tokio::select! {
            both = both => both,
            never = self.keep_summary() => match never {},
        };
        let journal = self.journal();
        if self.stop.is_cancelled() {
            troubles.push("the job was cancelled while its paths were pushed".to_owned());
        } else if let Some(error) = &journal.given_up {
            let text = format!("what was built could not be pushed: {error}");
            troubles.push(summary::with_address(&text, &self.server()));
        }
        notices.extend(summary::pushed_in_spite_of_filter(
            self.inputs.push_filter.as_ref(),
            &journal,
        ));
        Report {
            journal,
            troubles,
            notices,
            server: self.server(),
            seconds: 0.0,
            run_url,
        }
    }

    fn server(&self) -> String {
        shown_url(self.inputs.server_url.as_str())
    }

    /// Pushes everything; what went wrong besides single paths.
    async fn push(&self, notices: &mut Vec<String>) -> Vec<String> {
        let done = match self.state.doing() {
            Doing::Nothing => Ok(()),
            Doing::Paths => self.drain().await,
            Doing::Hook => self.drain_and_search(notices).await,
            Doing::Scan => self.scan().await,
        };
        let mut troubles = Vec::from_iter(done.err().map(|trouble| trouble.0));
        if !self.inputs.paths.is_empty() {
            troubles.extend(self.paths().await.into_iter().map(|trouble| trouble.0));
        }
        troubles
    }

    fn journal(&self) -> Journal {
        Folder::at(&self.state.queue_path())
            .read_journal()
            .unwrap_or_default()
    }

    /// Brings the summary up to date, again and again.
    async fn keep_summary(&self) -> Infallible {
        loop {
            tokio::time::sleep(SUMMARY_INTERVAL).await;
            let report = Report {
                journal: self.journal(),
                troubles: vec!["the paths of this job are still being pushed".to_owned()],
                seconds: self.begun.elapsed().as_secs_f64(),
                server: self.server(),
                ..Report::default()
            };
            if let Err(trouble) = self.summary.write(&summary::markdown(&report)) {
                runner::log(&format!("niks3: {trouble}"));
            }
        }
    }

    /// The run's page, recorded if there is somebody to record it.
    async fn record(&self) -> Option<String> {
        tokio::select! {
            url = record::run(self.inputs, self.state) => url,
            () = self.stop.cancelled() => None,
        }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Pushes what is queued.
    async fn drain(&self) -> Result<(), ActionError> {
        let folder = self.state.queue()?;
        self.drain_daemon(&folder).await;
        let waiting = folder
            .waiting()
            .map_err(|error| ActionError::io("read the queue", &error))?;
        if waiting.batches.is_empty() {
            return Ok(());
        }
        if !self.stop.is_cancelled() {
            runner::log("niks3: the process that pushed is gone; pushing what it left");
        }
        self.drain_here(&folder, self.inputs.push_filter.clone(), |_| {})
            .await
    }

    /// Pushes what the hook has queued, and what was built without it: a step can lose the settings of the job, by sudo or
    /// by variables of its own.
    async fn drain_and_search(&self, notices: &mut Vec<String>) -> Result<(), ActionError> {
        self.drain().await?;
        let journal = self.journal();
        if self.stop.is_cancelled() || journal.given_up.is_some() || self.left().is_zero() {
            return Ok(());
        }
        let store = store()?;
        let unseen = match scan::unseen(&store, self.state.directory(), &journal).await {
            Ok(unseen) => unseen,
            Err(trouble) => {
                runner::log(&format!(
                    "niks3: not looking for what the hook did not see: {trouble}"
                ));
                return Ok(());
            }
        };
        let are_ours = !neighbours::were_there(self.state.directory());
        notices.extend(summary::unseen(&unseen, are_ours));
        if unseen.is_empty() || !are_ours {
            return Ok(());
        }
        let folder = self.state.queue()?;
        enqueue(&folder, &store, &unseen)?;
        self.drain_here(&folder, self.inputs.push_filter.clone(), |_| {})
            .await
    }

    /// Lets the daemon finish; ends it if it does not.
    async fn drain_daemon(&self, folder: &Folder) {
        let Some(address) = Address::of(folder) else {
            return;
        };
        let drain = Request::Drain {
            seconds: self.left().as_secs(),
        };
        let mut asked = ask(address.socket(), &drain).await.is_ok();
        let mut said = Instant::now();
        let mut stopped = None;
        loop {
            let Ok(Some(pid)) = folder.served_by() else { return };
            let overdue = match stopped {
                Some(stopped) => Instant::now() > stopped + STOP_GRACE,
                None => Instant::now() > self.deadline + GRACE,
            };
            if !asked || overdue {
                runner::log("niks3: the process that pushes does not answer; ending it");
                if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                    let _ = kill_process(pid, Signal::KILL);
                }
                tokio::time::sleep(LOOK * 2).await;
                return;
            }
            if self.stop.is_cancelled() && stopped.is_none() {
                stopped = Some(Instant::now());
                asked = ask(address.socket(), &Request::Stop).await.is_ok();
            }
            if said.elapsed() >= HEARTBEAT {
                said = Instant::now();
                if let Ok(status) = ask(address.socket(), &Request::Status).await {
                    let trouble = status
                        .trouble
                        .map(|trouble| format!(": {trouble}"))
                        .unwrap_or_default();
                    heartbeat(status.waiting, status.bytes_sent, &trouble);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn scan(&self) -> Result<(), ActionError> {
        let store = store()?;
        let built = scan::built_since(&store, self.state.directory()).await?;
        let built_paths = match built.len() {
            1 => "1 path was".to_owned(),
            count => format!("{count} paths were"),
        };
        runner::log(&format!("niks3: {built_paths} built"));
        let folder = self.state.queue()?;
        enqueue(&folder, &store, &built)?;
        self.drain().await
    }

    /// The paths named, with all they refer to.
    async fn paths(&self) -> Vec<ActionError> {
        let store = match store() {
            Ok(store) => store,
            Err(trouble) => return vec![trouble],
        };
        let Resolved {
            paths: found,
            mut troubles,
            warnings,
        } = paths::resolve(&store, &self.inputs.paths);
        for text in warnings {
            runner::warning("niks3", &text);
        }
        if self.inputs.is_job_broken() && !troubles.is_empty() {
            // The job is red already, and what it did not build cannot be there.
            for trouble in std::mem::take(&mut troubles) {
                runner::log(&format!(
                    "niks3: not pushed, since the job did not build it: {trouble}"
                ));
            }
            if self.inputs.pin.is_some() && found.len() != 1 {
                runner::log("niks3: the input `pin` has no effect in a job that failed");
                return troubles;
            }
        }
        if self.inputs.pin.is_some() && found.len() != 1 {
            troubles.push(ActionError(format!(
                "`pin` names one path, and `paths` gives {}",
                found.len()
            )));
            return troubles;
        }
        let pushed = async {
            let folder = self.state.queue()?;
            enqueue(&folder, &store, &found)?;
            let pin = self.inputs.pin.clone();
            // What is named is pushed whatever its name.
            self.drain_here(&folder, None, |options| {
                options.leave_substituted = false;
                options.pin = pin;
            })
            .await
        };
        troubles.extend(pushed.await.err());
        troubles
    }

    /// Pushes what waits from this process.
    async fn drain_here(
        &self,
        folder: &Folder,
        filter: Option<Regex>,
        options: impl FnOnce(&mut PushOptions),
    ) -> Result<(), ActionError> {
        let _lock = folder
            .try_lock()
            .map_err(|error| ActionError::io("lock the queue", &error))?
            .ok_or_else(|| ActionError::new("another process serves this queue"))?;
        let sent = Arc::new(AtomicU64::new(0));
        let mut pusher = Target::of(self.inputs).pusher(&sent)?;
        options(&mut pusher.options);
        let engine = Engine {
            folder: folder.clone(),
            pusher,
            journal: true,
            filter,
            batch: niks3_queue::DEFAULT_BATCH,
        };
        let options = ServeOptions {
            drain: Some(self.left()),
            stop: self.stop.clone(),
            sent: Arc::clone(&sent),
            ..ServeOptions::default()
        };
        let beating = async {
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                let waiting = folder
                    .waiting()
                    .map_or(0, |waiting| waiting.batches.iter().map(|b| b.paths.len()).sum());
                heartbeat(waiting, sent.load(std::sync::atomic::Ordering::Relaxed), "");
            }
        };
        let ended = tokio::select! {
            ended = serve(&engine, options) => ended,
            () = beating => return Ok(()),
        };
        ended
            .and_then(|_| engine.give_up("the job was cancelled"))
            .map_err(|error| ActionError::io("serve the queue", &error))
    }
}

pub(crate) fn store() -> Result<LocalStore, ActionError> {
    LocalStore::from_environment().map_err(|error| ActionError(error.to_string()))
}

pub(crate) fn enqueue(folder: &Folder, store: &LocalStore, paths: &[StorePath]) -> Result<(), ActionError> {
    for chunk in paths.chunks(100) {
        let full: Vec<String> = chunk.iter().map(|path| store.store_dir().display(path)).collect();
        let full: Vec<&str> = full.iter().map(String::as_str).collect();
        folder
            .enqueue(store.store_dir(), &full)
            .map_err(|error| ActionError(error.to_string()))?;
    }
    Ok(())
}

fn heartbeat(waiting: usize, bytes_sent: u64, trouble: &str) {
    runner::log(&format!(
        "niks3: {} in the queue, {} sent{trouble}",
        if waiting == 1 {
            "1 path".to_owned()
        } else {
            format!("{waiting} paths")
        },
        summary::size(bytes_sent)
    ));
}

fn clean_up(state: &State) {
    // Post steps that follow read settings without ours; the variable cannot be unset.
    let ours = state.directory().join("nix.conf").display().to_string();
    let files = nix_conf::current_files();
    if files.split(':').any(|file| file == ours) {
        let others: Vec<&str> = files.split(':').filter(|file| *file != ours).collect();
        if let Err(trouble) = runner::export(nix_conf::VARIABLE, &others.join(":")) {
            runner::log(&format!("niks3: {trouble}"));
        }
    }
    state.remove();
}

fn tell(report: &Report, on_error: OnError, doing: Doing, summary: &Summary, log: &str) -> ExitCode {
    let journal = &report.journal;
    let is_bad = journal.failed() > 0 || !report.troubles.is_empty();
    let annotate = |text: &str| on_error.annotate(text);
    if is_bad && !log.trim().is_empty() {
        runner::group("niks3: log of the pusher", log);
    }
    for text in &report.notices {
        runner::notice("niks3", text);
    }
    for text in journal.warnings.iter().take(MAX_ANNOTATIONS) {
        runner::warning("niks3", text);
    }
    for trouble in &report.troubles {
        annotate(trouble);
    }
    let failed = journal.paths.iter().filter_map(|(path, outcome)| match outcome {
        Outcome::Failed { error } if journal.given_up.as_ref() != Some(error) => Some((path, error)),
        _ => None,
    });
    for (number, (path, error)) in failed.enumerate() {
        let text = format!("{path} is not in the cache at {}: {error}", report.server);
        if number < MAX_ANNOTATIONS {
            annotate(&text)
        } else {
            runner::log(&format!("niks3: {text}"))
        }
    }
    for conflict in journal.conflicts.iter().take(MAX_ANNOTATIONS) {
        runner::warning("niks3", conflict);
    }
    if (doing != Doing::Nothing || is_bad)
        && let Err(trouble) = summary.write(&summary::markdown(report))
    {
        runner::log(&format!("niks3: {trouble}"));
    }
    runner::log(&format!("niks3: {}", summary::sentence(report)));
    if is_bad && on_error == OnError::Fail {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
