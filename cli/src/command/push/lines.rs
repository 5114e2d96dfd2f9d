//! Lines of standard input as they come, each of bounded length.

use std::io::{self, BufRead as _, Read as _};

use tokio::sync::mpsc;

use crate::Failure;

/// A line names 10,000 paths at most, each with 256 bytes at most.
const MAX_LINE: u64 = 4 << 20;
/// Lines that are read before they are asked for.
const READ_AHEAD: usize = 1024;

/// Lines that are not empty, without blanks around them.
pub(super) struct StdinLines(mpsc::Receiver<io::Result<String>>);

impl StdinLines {
    /// Begins to read. The thread that reads is left behind when the program ends: nothing ends a read of a terminal.
    pub(super) fn start() -> Self {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        std::thread::spawn(move || {
            let mut stdin = io::stdin().lock();
            loop {
                match read_line(&mut stdin) {
                    Ok(None) => return,
                    Ok(Some(line)) if line.is_empty() => {}
                    line => {
                        let ended = line.is_err();
                        let line = line.map(Option::unwrap_or_default);
                        if sender.blocking_send(line).is_err() || ended {
                            return;
                        }
                    }
                }
            }
        });
        Self(receiver)
    }

    /// The next line; nothing when there is none any more.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Failure> {
        self.0.recv().await.transpose().map_err(unreadable)
    }

    /// The next line if it has come already.
    pub(super) fn next_ready(&mut self) -> Result<Option<String>, Failure> {
        self.0.try_recv().ok().transpose().map_err(unreadable)
    }
}

fn unreadable(error: io::Error) -> Failure {
    Failure::Failed(format!("cannot read standard input: {error}"))
}

fn read_line(stdin: &mut io::StdinLock<'_>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = stdin.take(MAX_LINE).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if read as u64 == MAX_LINE && !line.ends_with(b"\n") {
        return Err(io::Error::other(format!("a line has more than {MAX_LINE} bytes")));
    }
    let line = String::from_utf8(line).map_err(|_| io::Error::other("a line is not UTF-8"))?;
    Ok(Some(line.trim().to_owned()))
}
