//! Programs: where they are, and how they ended.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The path of a program of this workspace, built beside the test that asks.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test");
    let path = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("a target folder")
        .join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo build` first",
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
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Starts a program that all tests of this process share; it ends with the process.
pub(crate) fn share(mut command: Command) {
    let mut wrapped = Command::new("setpriv");
    wrapped
        .args(["--pdeathsig", "KILL"])
        .arg(command.get_program())
        .args(command.get_args());
    wrapped
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    std::mem::swap(&mut command, &mut wrapped);
    // The kernel looks at the thread that started it, so that one stays.
    std::thread::spawn(move || {
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let _ = child.wait();
    });
}

/// Waits for what comes about by itself. What never does ends the test instead of hanging it;
/// the limit is no measure of how long it should take.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed().as_secs() < 300, "it never comes about: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
