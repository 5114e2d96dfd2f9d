//! Why a tree could not be packed, and what it was that changed.

use std::{io, path::PathBuf};

use super::MAX_DEPTH;

/// Why a tree could not be packed.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// The NAR could not be written.
    #[error("cannot write the NAR")]
    Write(#[source] io::Error),
    /// Something in the tree could not be read.
    #[error("cannot read '{}'", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something in the tree is not what it was a moment before.
    #[error("'{}' {change} while it was packed", path.display())]
    Changed {
        /// What.
        path: PathBuf,
        /// How.
        change: Change,
    },
    /// Neither file, folder nor symlink.
    #[error("'{}' is neither a file, a folder nor a symlink", .0.display())]
    UnsupportedType(PathBuf),
    /// Two names are the same without the suffix of the case hack.
    #[error("'{}' has the same name as another file, once the case hack is undone", .0.display())]
    CaseHackCollision(PathBuf),
    /// Folders within folders beyond what Nix can name.
    #[error("'{}' is more than {MAX_DEPTH} folders deep", .0.display())]
    TooDeep(PathBuf),
}

/// What happened to a file while it was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has more bytes than it had.
    Grew,
    /// It has fewer bytes than it had.
    Shrank,
    /// It is gone.
    Vanished,
    /// It is of another kind: perhaps a symlink now.
    Replaced,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Grew => "grew",
            Self::Shrank => "shrank",
            Self::Vanished => "vanished",
            Self::Replaced => "was replaced",
        })
    }
}
