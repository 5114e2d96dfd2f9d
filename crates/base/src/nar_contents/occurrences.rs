//! Which hash parts of store paths occur in a NAR: what its references can be made of.

use std::collections::{BTreeMap, HashMap};

use niks3_nix::store_path::StorePathHash;

/// Whether hash parts occur in a NAR.
pub type Occurrences = BTreeMap<StorePathHash, bool>;

/// Characters of a hash part.
const LENGTH: usize = 32;

/// Looks for hash parts in what comes in pieces.
#[derive(Debug, Default)]
pub(super) struct OccurrenceScanner {
    found: HashMap<[u8; LENGTH], bool>,
    sought: Vec<StorePathHash>,
    /// Bytes that may be the beginning of a hash part.
    tail: Vec<u8>,
}

const fn is_base32(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'd' | b'f'..=b'n' | b'p'..=b's' | b'v'..=b'z')
}

fn characters(hash: &StorePathHash) -> Option<[u8; LENGTH]> {
    hash.as_str().as_bytes().try_into().ok()
}

impl OccurrenceScanner {
    /// Looks for these.
    pub fn new(sought: impl IntoIterator<Item = StorePathHash>) -> Self {
        let sought: Vec<StorePathHash> = sought.into_iter().collect();
        let found = sought.iter().filter_map(characters);
        Self {
            found: found.map(|hash| (hash, false)).collect(),
            sought,
            tail: Vec::new(),
        }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        if self.sought.is_empty() {
            return;
        }
        self.tail.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(window) = self.tail.get(at..at + LENGTH) {
            // No hash part begins before a byte that none has.
            if let Some(other) = window.iter().rposition(|byte| !is_base32(*byte)) {
                at += other + 1;
                continue;
            }
            if let Some(found) = self.found.get_mut(window) {
                *found = true;
            }
            at += 1;
        }
        self.tail.drain(..at);
    }

    /// Which of them were found.
    pub fn finish(self) -> Occurrences {
        let found = |hash: &StorePathHash| {
            let found = characters(hash).and_then(|hash| self.found.get(&hash));
            (*hash, found.copied().unwrap_or(false))
        };
        self.sought.iter().map(found).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_parts_are_found_wherever_the_pieces_end() {
        let hash = |letter: &str| letter.repeat(LENGTH).parse::<StorePathHash>().unwrap();
        let mixed: StorePathHash = "0a1b2c3d4f5g6h7i8j9k0l1m2n3p4q5r".parse().unwrap();
        // One right behind another, one after an almost complete one, and letters that no hash part has.
        let mut nar = b"nix-archive-1 /nix/store/".to_vec();
        for text in [
            mixed.as_str(),
            hash("z").as_str(),
            "eeee",
            &"1".repeat(LENGTH - 1),
            "-",
            &"x".repeat(40),
        ] {
            nar.extend_from_slice(text.as_bytes());
        }
        for size in [1, 2, 7, 31, 32, 33, 64, nar.len()] {
            let sought = [mixed, hash("z"), hash("1"), hash("x"), hash("v")];
            let mut scanner = OccurrenceScanner::new(sought);
            for piece in nar.chunks(size) {
                scanner.update(piece);
            }
            let expected = [
                (mixed, true),
                (hash("z"), true),
                (hash("1"), false),
                (hash("x"), true),
                (hash("v"), false),
            ];
            assert_eq!(scanner.finish(), expected.into_iter().collect(), "{size}");
        }
    }
}
