//! How many files and connections the server may have open at once, and what part of that each use gets.
//!
//! Systems start programs with a soft limit of 256 or 1024 and let them raise it to the hard one. Where that
//! is small, too, work waits for its turn, since a process that has no descriptor left can do nothing: it
//! cannot even accept a connection to say so.

use std::sync::OnceLock;

use rlimit::{Resource, increase_nofile_limit};

/// With fewer the server does not start: 32 connections, 16 files for writing, 16 for other work, the
/// database's 15, and about 20 of the runtime leave little.
const FEWEST: u64 = 128;
/// More are not asked for: a limit of a billion, as some container runtimes have it, makes child processes
/// slow that close every descriptor there could be.
const MOST: u64 = 1 << 20;

/// What may be open after the soft limit was raised to the hard one, or as far as the system lets it.
fn limit() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        increase_nofile_limit(MOST)
            .or_else(|_| Resource::NOFILE.get_soft())
            .unwrap_or(MOST)
    })
}

/// A part of what may be open, and at most so many.
fn share(part: u64, most: usize) -> usize {
    usize::try_from(limit() / part).unwrap_or(most).clamp(1, most)
}

/// Raises the limit.
///
/// # Errors
/// A sentence, when the hard limit is too small to work with.
pub fn enough() -> Result<(), String> {
    let limit = limit();
    if limit >= FEWEST {
        tracing::debug!(limit, "limit of open files");
        return Ok(());
    }
    Err(format!(
        "the hard limit of open files is {limit}, and the server needs {FEWEST}: raise it, with `ulimit -Hn`, or \
         with LimitNOFILE= in the unit of systemd"
    ))
}

/// Connections of clients; each upload and each read of a client has a file open besides.
#[must_use]
pub fn connections(most: usize) -> usize {
    share(4, most)
}

/// Requests to an S3 service, each with a connection.
#[must_use]
pub fn service_requests(most: usize) -> usize {
    share(4, most)
}

/// Files of the embedded store that are written and not yet where readers look.
#[must_use]
pub fn prepared_files() -> usize {
    share(8, 1024)
}

/// Operations of the embedded store at once, each with up to two files.
#[must_use]
pub fn file_operations() -> usize {
    share(16, 256)
}
