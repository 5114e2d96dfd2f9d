//! Whether uploads are what their pushes say: every NAR is read once, before a path with it becomes visible.

mod check;
mod content_hash;
mod git_object;
mod idle;
mod jobs;
mod nar_reader;
mod occurrences;
mod queue;
mod read_object;
mod settle;
#[cfg(test)]
mod tests;

use std::fmt;

use niks3_nix::hash::NarHash;

pub use check::{Difference, Kind, check_content_address, compare};
pub use content_hash::{ContentHash, Subject, Wanted, WantedHash};
pub use idle::verify_when_idle;
pub use jobs::Jobs;
pub use nar_reader::{Contents, Flaw, Nar, NarReader, PackedListing, read_nar};
pub use occurrences::Occurrences;
pub use queue::{Arriving, Job, Progress, Queue};
pub use read_object::{read_bytes, read_object};
pub use settle::{forget_listings, read_before_signing, refused, settle, wanted_of};

/// A NAR that was read: what has to agree with what a push says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedNar {
    /// SHA-256 of the NAR.
    pub nar_hash: NarHash,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// Hashes that content addresses are made of.
    pub content_hashes: Vec<ContentHash>,
    /// Hash parts of paths that somebody has looked for in it.
    pub occurrences: Occurrences,
}

impl VerifiedNar {
    /// What has been asked of it, so that reading it again answers that again.
    pub fn answers(&self) -> impl Iterator<Item = Wanted> {
        let hashes = self
            .content_hashes
            .iter()
            .map(|taken| Wanted::Hash(taken.wanted()));
        hashes.chain(self.occurrences.keys().copied().map(Wanted::Occurrence))
    }
}

/// What reading an object showed.
pub type Verdict = Result<VerifiedNar, Flaw>;

/// Whose uploads are read before they become visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum VerifyUploads {
    /// Everybody's.
    All,
    /// Those of identities whose rule or token does not say that they are trusted; others' are read when nothing else waits.
    Untrusted,
    /// Nobody's; a check finds out.
    None,
}

impl VerifyUploads {
    /// Whether what an identity uploads becomes visible before it is read.
    #[must_use]
    pub const fn exempts(self, trusted: bool) -> bool {
        match self {
            Self::All => false,
            Self::Untrusted => trusted,
            Self::None => true,
        }
    }
}

impl fmt::Display for VerifyUploads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::All => "all",
            Self::Untrusted => "untrusted",
            Self::None => "none",
        })
    }
}
