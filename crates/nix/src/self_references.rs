//! Contents in which a store path's own hash part is replaced by null bytes, of which Nix takes the hash for the content
//! address of what refers to itself.

use crate::store_path::StorePathHash;

/// Most occurrences that are remembered. Outputs have a few thousand; a NAR of nothing else has more.
const MAX_OCCURRENCES: usize = 1 << 20;

/// Replaces a hash part in bytes that come piece by piece.
#[derive(Debug, Clone)]
pub struct SelfReferences {
    own: StorePathHash,
    /// Bytes that may be the beginning of an occurrence.
    tail: Vec<u8>,
    /// Where the tail begins.
    offset: u64,
    positions: Vec<u64>,
}

impl SelfReferences {
    /// Nothing yet; `own` is what is replaced.
    #[must_use]
    pub const fn new(own: StorePathHash) -> Self {
        Self {
            own,
            tail: Vec::new(),
            offset: 0,
            positions: Vec::new(),
        }
    }

    /// The hash part that is replaced.
    #[must_use]
    pub const fn own(&self) -> StorePathHash {
        self.own
    }

    /// Takes more bytes, and gives those in which nothing is left to replace.
    pub fn update(&mut self, bytes: &[u8], mut replaced: impl FnMut(&[u8])) {
        let own = self.own.as_str().as_bytes().to_vec();
        self.tail.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(place) = self.tail[at..]
            .windows(own.len())
            .position(|window| window == own)
        {
            at += place;
            self.tail[at..at + own.len()].fill(0);
            if self.positions.len() < MAX_OCCURRENCES {
                self.positions.push(self.offset + at as u64);
            }
            at += own.len();
        }
        let keep = self.tail.len().min(own.len() - 1);
        let done = self.tail.len() - keep;
        replaced(&self.tail[..done]);
        self.tail.drain(..done);
        self.offset += done as u64;
    }

    /// The bytes that are left, and what Nix before 2.17 and since 2.35 hashes after them: `|` and the position, for each
    /// place.
    #[must_use]
    pub fn finish(self) -> (Vec<u8>, Vec<u8>) {
        let positions = self.positions.iter().map(|place| format!("|{place}"));
        (self.tail, positions.collect::<String>().into_bytes())
    }
}
