//! NAR, the archive that Nix hashes: packed from a tree, read as a stream of events, unpacked again.

mod dirs;
mod dump;
mod dump_error;
mod read;
mod read_error;
mod restore;
mod scan;
mod token;

pub(crate) use crate::entry::is_entry_name;
pub use crate::entry::{MAX_DEPTH, MAX_NAME_LEN};
use crate::listing::Listing;

pub use crate::hash::Sha256Writer as HashingWriter;
pub use dump::{DumpOptions, dump};
pub use dump_error::{Change, DumpError};
pub use read::{FileHead, Visitor, listing_of, read, read_prefix};
pub use read_error::ReadError;
pub use restore::{RestoreOptions, restore};
pub use scan::{Event, RootFile, Scanner};

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
