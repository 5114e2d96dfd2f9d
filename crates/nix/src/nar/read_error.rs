//! Why bytes are not a NAR, and where.

use std::io;

use super::MAX_DEPTH;

/// Why bytes are not a NAR.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes could not be read, or end too early.
    #[error("cannot read the NAR at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The visitor failed.
    #[error("cannot use what is in the NAR at byte {offset}")]
    Visitor {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// It does not begin as a NAR does.
    #[error("not a NAR: it does not begin with 'nix-archive-1'")]
    Magic,
    /// A word other than the format allows there.
    #[error("not a NAR: expected {expected} at byte {offset}, got '{got}'")]
    Word {
        /// Where.
        offset: u64,
        /// What the format allows there.
        expected: &'static str,
        /// What was found, bounded.
        got: String,
    },
    /// A string longer than its place allows.
    #[error("not a NAR: a string of {length} bytes at byte {offset}, where {limit} are allowed")]
    TooLong {
        /// Where.
        offset: u64,
        /// The length.
        length: u64,
        /// The longest that is allowed.
        limit: u64,
    },
    /// Padding that is not zero.
    #[error("not a NAR: the padding before byte {offset} is not zero")]
    Padding {
        /// Where it ends.
        offset: u64,
    },
    /// A name that an entry of a folder cannot have.
    #[error("not a NAR: '{name}' at byte {offset} cannot be the name of a file")]
    Name {
        /// Where.
        offset: u64,
        /// The name, bounded.
        name: String,
    },
    /// A symlink that points nowhere or holds a NUL.
    #[error("not a NAR: '{target}' at byte {offset} cannot be the target of a symlink")]
    Target {
        /// Where.
        offset: u64,
        /// The target, bounded.
        target: String,
    },
    /// Entries that are not sorted by the bytes of their names, or twice the same.
    #[error("not a NAR: the entry '{name}' at byte {offset} does not sort after the one before")]
    Unsorted {
        /// Where.
        offset: u64,
        /// The second name, bounded.
        name: String,
    },
    /// Folders within folders beyond any path.
    #[error("a NAR more than {MAX_DEPTH} folders deep")]
    TooDeep,
    /// Bytes after the end.
    #[error("there is more after the end of the NAR at byte {0}")]
    Trailing(u64),
}
