//! NAR, the archive that Nix hashes: packed from a tree, read as a stream of events, unpacked again.

mod dirs;
mod dump;
mod dump_error;
mod read;
mod read_error;
mod restore;
mod scan;
mod token;

use crate::listing::Listing;

pub use crate::hash::Sha256Writer as HashingWriter;
pub use dump::{DumpOptions, dump};
pub use dump_error::{Change, DumpError};
pub use read::{FileHead, Visitor, listing_of, read, read_prefix};
pub use read_error::ReadError;
pub use restore::{RestoreOptions, restore};
pub use scan::{Event, RootFile, Scanner};

/// How many folders within folders a NAR may have: beyond what a path of `PATH_MAX` bytes can name.
pub const MAX_DEPTH: usize = 4096;
/// The longest name of a folder entry; no file system that Nix runs on takes longer ones.
pub const MAX_NAME_LEN: usize = 1024;
/// The longest symlink target: `PATH_MAX`.
pub const MAX_TARGET_LEN: usize = 4096;

const CASE_HACK_SUFFIX: &[u8] = b"~nix~case~hack~";

/// What came of packing a tree, or of reading a NAR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The size of the NAR in bytes.
    pub nar_size: u64,
    /// What it holds.
    pub listing: Listing,
}

/// Whether a folder in a NAR may have an entry of this name.
pub(crate) fn is_entry_name(name: &[u8]) -> bool {
    (1..=MAX_NAME_LEN).contains(&name.len())
        && !matches!(name, b"." | b"..")
        && !name.iter().any(|byte| matches!(byte, b'/' | 0))
}
