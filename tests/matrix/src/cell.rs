//! One scenario on one service.

use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::scenarios::{SCENARIOS, Scenario};
use crate::service::Service;

/// Characters of a reason.
const MAX_REASON: usize = 300;
/// What the line of a cell with its outcome begins with.
const PREFIX: &str = "outcome: ";

/// How a scenario came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It works; with what was measured, if anything.
    Works(String),
    /// It does not, for this reason.
    Fails(String),
    /// The service has nothing of the kind.
    DoesNotApply(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works(measured) if measured.is_empty() => write!(f, "ok"),
            Self::Works(measured) => write!(f, "ok, {measured}"),
            Self::Fails(reason) => write!(f, "**fails**: {reason}"),
            Self::DoesNotApply(reason) => write!(f, "– ({reason})"),
        }
    }
}

/// Runs a scenario in this process.
pub(crate) fn run(file: &Path, name: &str) -> ExitCode {
    let service: Service = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or("it panics");
        eprintln!("{panic}");
        println!(
            "{PREFIX}{}",
            serde_json::to_string(&Outcome::Fails(reason(text))).unwrap()
        );
    }));
    let outcome = (scenario.run)(&service);
    println!("{PREFIX}{}", serde_json::to_string(&outcome).unwrap());
    ExitCode::SUCCESS
}

/// The first words of what a panic says.
fn reason(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| *c != '|').take(MAX_REASON).collect()
}

/// Runs a scenario in a process of its own, which ends in time with all that it has started.
pub(crate) fn start(service: &Service, scenario: &Scenario, folder: &Path) -> Outcome {
    let log = folder.join(format!("{}-{}.log", service.kind.file_name(), scenario.name));
    let file = std::fs::File::create(&log).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--cell", &service.file().display().to_string(), scenario.name])
        .env("TMPDIR", service.folder.join("tmp"))
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .process_group(0)
        .spawn()
        .unwrap();
    let limit = Duration::from_secs(scenario.minutes * 60);
    let outcome = if ends_within(&mut child, limit) {
        let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
        // A scenario with several threads may panic several times: the first one is the cause.
        let said = text.lines().find_map(|line| line.strip_prefix(PREFIX));
        said.and_then(|said| serde_json::from_str(said).ok())
            .unwrap_or_else(|| Outcome::Fails("it ends without a word".into()))
    } else {
        Outcome::Fails(format!("does not end within {} min", scenario.minutes))
    };
    if let Ok(pid) = i32::try_from(child.id())
        && let Some(pid) = rustix::process::Pid::from_raw(pid)
    {
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
    // Whatever it did to it.
    service.ensure_running();
    if !matches!(outcome, Outcome::Fails(_)) {
        std::fs::remove_file(log).unwrap();
    }
    outcome
}

fn ends_within(child: &mut Child, limit: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}
