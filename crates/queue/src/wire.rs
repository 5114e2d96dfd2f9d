//! What is said through the socket: a line of JSON, and a line back.

use std::{io, path::Path, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

/// Nobody has more to say: the paths of a derivation's outputs.
pub(crate) const MAX_LINE: u64 = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(10);

/// What can be asked of whoever serves a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Something new is there.
    Wake,
    /// How it goes.
    Status,
    /// Push what waits, then end.
    Drain {
        /// Give up after so many seconds.
        seconds: u64,
    },
    /// End now.
    Stop,
}

/// Paths to put into the queue, as the hook of the original niks3 sends them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paths {
    /// Store paths in full.
    pub(crate) paths: Vec<String>,
}

/// What becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(crate) enum PathsAnswer {
    /// They are in the queue.
    Ok,
    /// They are not.
    Error {
        /// Why not.
        message: String,
    },
}

/// A line that comes through the socket.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    /// Of the original's hook.
    Paths(Paths),
    /// Of ours.
    Request(Request),
}

/// How it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Paths that wait.
    pub waiting: usize,
    /// Bytes sent so far.
    pub bytes_sent: u64,
    /// Why nothing can be pushed now.
    pub trouble: Option<String>,
    /// Trying again does not help, until somebody changes something.
    #[serde(default)]
    pub lasting: bool,
    /// How often nothing could be pushed.
    #[serde(default)]
    pub failures: u64,
}

/// Asks whoever serves the queue behind a socket.
pub async fn ask(socket: &Path, request: &Request) -> io::Result<Status> {
    let asked = async {
        let mut stream = UnixStream::connect(socket).await?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = String::new();
        BufReader::new(stream.take(MAX_LINE * 4))
            .read_line(&mut answer)
            .await?;
        if answer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&answer)?)
    };
    tokio::time::timeout(TIMEOUT, asked)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
