//! Store paths that exist only as metadata.

use niks3_nix::base32;
use niks3_nix::nar::{self, DumpOptions};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// References of each path, about.
const REFERENCES: u64 = 10;
/// Of those, as many make one closure of all paths.
const CHILDREN: u64 = 8;

/// One small file, which all paths contain.
pub(crate) struct Contents {
    /// Its NAR, compressed.
    pub(crate) file: Vec<u8>,
    /// Its listing.
    pub(crate) listing: Vec<u8>,
    nar_hash: String,
    nar_size: u64,
}

/// SHA-256 as the API has it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", base32::encode(&Sha256::digest(bytes)))
}

impl Contents {
    /// Packs it.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let source = tempfile::NamedTempFile::new()?;
        std::fs::write(source.path(), "the same in all of them\n")?;
        let mut bytes = Vec::new();
        let packed = nar::dump(source.path(), &mut bytes, DumpOptions::default())?;
        Ok(Self {
            file: zstd::encode_all(bytes.as_slice(), 3)?,
            listing: packed.listing.to_json(),
            nar_hash: sha256(&bytes),
            nar_size: packed.nar_size,
        })
    }
}

/// The base name of path `index` of those that are numbered from `first` on.
pub(crate) fn name(first: u64, index: u64) -> String {
    let index = first + index;
    let digest = Sha256::digest(index.to_le_bytes());
    format!("{}-synthetic-{index}", base32::encode(&digest[..20]))
}

/// What path `index` of `count` refers to: paths before it only. The last path's closure is all of them.
///
/// Counted from the last path, each refers to its children in a heap, and to others still further away.
fn references(index: u64, count: u64) -> Vec<u64> {
    let place = count - 1 - index;
    let behind = count - 1 - place;
    if behind == 0 {
        return Vec::new();
    }
    let mut places: Vec<u64> = (1..=CHILDREN)
        .map(|child| place * CHILDREN + child)
        .filter(|child| *child < count)
        .collect();
    let mut state = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while (places.len() as u64) < REFERENCES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        places.push(place + 1 + state % behind);
    }
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(|place| count - 1 - place).collect()
}

/// The metadata of path `index` of `count`, which are numbered from `first` on.
pub(crate) fn path(first: u64, index: u64, count: u64, contents: &Contents) -> Value {
    let references: Vec<String> = references(index, count)
        .into_iter()
        .map(|index| name(first, index))
        .collect();
    json!({
        "path": name(first, index),
        "nar_hash": contents.nar_hash,
        "nar_size": contents.nar_size,
        "references": references,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_paths_closure_is_all_of_them_and_has_no_circle() {
        let count = 1000;
        let mut reached = vec![false; 1000];
        reached[999] = true;
        let mut edges = 0;
        for index in (0..count).rev() {
            for reference in references(index, count) {
                assert!(reference < index, "{index} refers to {reference}");
                edges += usize::from(reached[usize::try_from(index).unwrap()]);
                reached[usize::try_from(reference).unwrap()] = true;
            }
        }
        assert!(reached.iter().all(|reached| *reached));
        assert!((8000..=10_000).contains(&edges), "{edges}");
    }
}
