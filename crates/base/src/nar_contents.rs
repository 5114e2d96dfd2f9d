//! What a NAR holds, found out in one pass over its compressed bytes: hashes, sizes, listing, and which hash parts occur.

mod content_hash;
mod git_object;
mod nar_reader;
mod occurrences;
#[cfg(test)]
mod tests;

use niks3_nix::hash::NarHash;

pub use content_hash::{ContentHash, Subject, Wanted, WantedHash, wanted_of};
pub use nar_reader::{Contents, Flaw, Nar, NarReader, PackedListing, read_nar};
pub use occurrences::Occurrences;

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
