//! Processes that must not outlive this one, also when a signal ends it.

use std::path::PathBuf;
use std::process::Child;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::signal::unix::{SignalKind, signal};

static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// How long they may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A process that is ended with this value, by `signal`.
pub(crate) struct Kept {
    child: Child,
    signal: Signal,
}

impl Kept {
    /// Keeps a process that has just been started.
    pub(crate) fn new(child: Child, signal: Signal) -> Self {
        let kept = Self { child, signal };
        if let Some(pid) = kept.pid() {
            running().push(pid);
        }
        kept
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let pid = self.pid();
        if let Some(pid) = pid {
            let _ = kill_process(pid, self.signal);
        }
        let _ = self.child.wait();
        running().retain(|other| Some(*other) != pid);
    }
}

fn running() -> std::sync::MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on SIGINT and SIGTERM end this process only after what it runs, and without leaving `dir`.
pub(crate) fn end_in_order(runtime: &tokio::runtime::Runtime, dir: PathBuf) -> anyhow::Result<()> {
    let _guard = runtime.enter();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    runtime.spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let pids = running().clone();
        for pid in &pids {
            let _ = kill_process(*pid, Signal::TERM);
        }
        let gone = async {
            while pids.iter().any(|pid| test_kill_process(*pid).is_ok()) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, gone).await;
        let _ = std::fs::remove_dir_all(dir);
        std::process::exit(130);
    });
    Ok(())
}
