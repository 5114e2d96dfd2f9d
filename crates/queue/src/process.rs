//! Processes that are waited for, though they are no children.

use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

/// A process, told from a later one with its number where the system says when one began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pid: u32,
    /// When it began, in ticks since the system did.
    began: Option<u64>,
}

impl Process {
    /// The process that has that number now.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self {
            pid,
            began: stat(pid).map(|stat| stat.began),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it still runs. One that has ended does not, though nobody may ever reap it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        // One of another user counts.
        if !pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH)) {
            return false;
        }
        match (self.began, stat(self.pid)) {
            (Some(began), Some(stat)) => stat.began == began && !stat.ended,
            (Some(_), None) => false,
            (None, stat) => stat.is_none_or(|stat| !stat.ended),
        }
    }
}

struct Stat {
    ended: bool,
    began: u64,
}

/// What Linux says of a process (proc_pid_stat(5)); nothing elsewhere.
fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse(&String::from_utf8_lossy(&text))
}

fn parse(text: &str) -> Option<Stat> {
    // The name, in parentheses, can hold anything.
    let (_, fields) = text.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    Some(Stat {
        ended: matches!(state, "Z" | "X" | "x"),
        began: fields.nth(18)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_nobody_reaps_has_ended_all_the_same() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let process = Process::of(child.id());
        assert!(process.is_alive());
        drop(child.stdin.take());
        while process.is_alive() {
            std::thread::yield_now();
        }
        // Its number is still taken.
        assert!(std::path::Path::new(&format!("/proc/{}", child.id())).exists());
        child.wait().unwrap();
        assert!(!process.is_alive());
    }

    #[test]
    fn another_process_with_the_number_is_another() {
        let mut process = Process::of(std::process::id());
        assert!(process.is_alive());
        process.began = process.began.map(|began| began.wrapping_sub(1));
        assert_eq!(process.is_alive(), process.began.is_none());
    }

    #[test]
    fn a_name_with_parentheses_is_no_field() {
        let stat = parse("7 (a) Z 1 (b)) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 99 x").unwrap();
        assert!(!stat.ended && stat.began == 99);
        assert!(parse("").is_none() && parse("7 (a) S").is_none());
    }
}
