//! Why a push failed, in one sentence.

use niks3_client::Error as ApiError;

use crate::{nix::NixError, pack::PackError};

/// Why a push failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The local store.
    #[error(transparent)]
    Nix(#[from] NixError),
    /// A path.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The server.
    #[error("{0}")]
    Api(#[from] ApiError),
    /// The server no longer knows the push.
    #[error("the server gave up the push, several times over: {0}")]
    Gone(String),
    /// The object store.
    #[error("cannot upload {what}: {message}")]
    Upload {
        /// Which object.
        what: String,
        /// What the object store said.
        message: String,
    },
    /// Something was uploaded and is not there.
    #[error("the server still misses {first}{more} after {rounds} tries", more = more(*count))]
    StillMissing {
        /// One of them.
        first: String,
        /// How many.
        count: usize,
        /// How often it was sent.
        rounds: u32,
    },
    /// A build log cannot be read.
    #[error("cannot read the build log {path}: {source}")]
    Log {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The process may open too few files.
    #[error(
        "the hard limit of open files is {limit}, and a push needs {fewest}: raise it, with `ulimit -Hn` or \
         LimitNOFILE="
    )]
    OpenFiles {
        /// How many it may open.
        limit: u64,
        /// How many it needs.
        fewest: u64,
    },
    /// The user has had enough.
    #[error("interrupted")]
    Interrupted,
    /// Another failure is the cause.
    #[error("stopped")]
    Stopped,
    /// A defect of this program.
    #[error("internal error: {0}")]
    Internal(String),
}

fn more(count: usize) -> String {
    if count > 1 {
        format!(" and {} more", count - 1)
    } else {
        String::new()
    }
}
