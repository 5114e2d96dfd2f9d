//! What a process takes: wall time, CPU time, memory.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use wait4::Wait4 as _;

/// `USER_HZ`, which Linux keeps at 100 for all programs.
const TICKS_PER_SECOND: u64 = 100;

/// What a process and its children took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// From start to end.
    pub(crate) wall: Duration,
    /// User and system time.
    pub(crate) cpu: Duration,
    /// The most memory of any one of them, in bytes.
    pub(crate) rss: u64,
}

/// Runs a command to its end; gives back what it took and what it printed.
pub(crate) fn measure(command: &mut Command) -> anyhow::Result<(Usage, String)> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut errors = tempfile::tempfile()?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::try_clone(&errors)?);
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot run {program}"))?;
    let mut printed = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut printed)?;
    }
    let used = child.wait4()?;
    let wall = started.elapsed();
    if !used.status.success() {
        let mut text = String::new();
        std::io::Seek::rewind(&mut errors)?;
        errors.read_to_string(&mut text)?;
        bail!("{program} failed ({}): {}", used.status, text.trim());
    }
    let usage = Usage {
        wall,
        cpu: used.rusage.utime + used.rusage.stime,
        rss: used.rusage.maxrss,
    };
    Ok((usage, printed))
}

/// Runs a command for what it prints.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    measure(command).map(|(_, printed)| printed)
}

/// CPU time so far of a running process.
pub(crate) fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything.
    let fields = stat.rsplit_once(')').context("/proc/PID/stat")?.1;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().context("/proc/PID/stat"))
        .sum::<anyhow::Result<u64>>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// The most memory that a running process has had so far, in bytes.
pub(crate) fn peak_of(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.trim().trim_end_matches(" kB").parse().ok())
        .context("no VmHWM in /proc/PID/status")?;
    Ok(kilobytes << 10)
}

/// The bytes of all files below `dir`.
pub(crate) fn bytes_below(dir: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() {
            bytes_below(&entry.path())?
        } else {
            meta.len()
        };
    }
    Ok(sum)
}
