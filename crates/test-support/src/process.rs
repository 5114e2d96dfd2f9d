//! Programs: where they are, and how they ended.

use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The path of a program of this workspace, built beside the test, or the program, that asks.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("the path of the test");
    let folder = this.parent().expect("a target folder");
    let built = if folder.ends_with("deps") {
        folder.parent()
    } else {
        Some(folder)
    };
    let path = built.expect("a target folder").join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo build -p niks3-server -p niks3` first",
        path.display()
    );
    path
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Output {
    /// Exit code; -1 after a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output, of a program that did what it was asked to.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(
            self.code == 0,
            "exit code {}\n{}\n{}",
            self.code,
            self.stdout,
            self.stderr
        );
        self.stdout
    }

    /// The same as JSON.
    #[must_use]
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let printed = self.ok();
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    /// The one line of a program that ended with a code.
    #[must_use]
    #[track_caller]
    pub fn fails(self, code: i32) -> String {
        assert!(
            self.code == code,
            "exit code {}, not {code}\n{}\n{}",
            self.code,
            self.stdout,
            self.stderr
        );
        self.stderr
    }
}

/// Runs a program to its end.
#[must_use]
pub fn run(command: &mut Command) -> Output {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A program that ends with the test.
#[derive(Debug)]
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody listens on.
///
/// Below those that the kernel gives to whoever asks for any: whoever is told this one
/// finds it free later, too.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes that run side by side begin far from each other.
    let start = std::process::id().wrapping_mul(7919);
    (0..COUNT)
        .find_map(|_| {
            let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let port = u16::try_from(FIRST + offset).ok()?;
            TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
        })
        .expect("a free port")
}

/// Starts a program that all tests of this process share. When the process ends, however
/// it ends, the program does too, by a signal, and the folder it lives in is removed.
#[expect(clippy::zombie_processes, reason = "the guard outlives this process")]
pub(crate) fn share(command: &Command, directory: &Path, signal: &str) {
    // Standard input of the guard ends when this process does.
    const GUARD: &str = r#"
        directory=$1 signal=$2; shift 2
        "$@" </dev/null &
        cat >/dev/null
        kill -"$signal" $!
        wait
        rm -rf "$directory"
    "#;
    let mut guard = Command::new("sh")
        .args(["-c", GUARD, "guard"])
        .arg(directory)
        .arg(signal)
        .arg(command.get_program())
        .args(command.get_args())
        // Not in the group that Ctrl-C reaches: it still has to tidy up.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    std::mem::forget(guard.stdin.take());
}
