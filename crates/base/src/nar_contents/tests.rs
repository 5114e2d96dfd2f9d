//! The reader gives what the whole gives, however it comes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use niks3_nix::hash::{Hash, HashAlgorithm, NarHash};
use niks3_nix::nar;
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::content_hash::{Subject, Wanted, WantedHash};
use super::nar_reader::{Flaw, NarReader};

fn nar_of(contents: &[u8]) -> Vec<u8> {
    let mut nar = Vec::new();
    let strings: [&[u8]; 7] = [
        b"nix-archive-1",
        b"(",
        b"type",
        b"regular",
        b"contents",
        contents,
        b")",
    ];
    for text in strings {
        nar.extend_from_slice(&(text.len() as u64).to_le_bytes());
        nar.extend_from_slice(text);
        nar.resize(nar.len().next_multiple_of(8), 0);
    }
    nar
}

/// What Nix hashes of a NAR with the hash part of its own path in it, all at once: without and with positions.
fn modulo(nar: &[u8], own: &[u8]) -> [Hash; 2] {
    let (mut zeroed, mut places, mut at) = (nar.to_vec(), String::new(), 0);
    while at + own.len() <= zeroed.len() {
        if zeroed[at..].starts_with(own) {
            zeroed[at..at + own.len()].fill(0);
            places.push_str(&format!("|{at}"));
            at += own.len();
        } else {
            at += 1;
        }
    }
    let hash = |bytes: &[u8]| Hash::new(HashAlgorithm::Sha256, &Sha256::digest(bytes)).unwrap();
    [hash(&zeroed), hash(&[&zeroed, places.as_bytes()].concat())]
}

proptest! {
    #[test]
    fn pieces_of_any_size_and_frames_of_any_number_give_what_the_whole_gives(
        before in vec(any::<u8>(), 0..300_000),
        between in vec(any::<u8>(), 0..50),
        cuts in vec(1..50_000usize, 1..6),
        frames in 1..4usize,
    ) {
        let own = b"0123456789abcdfghijklmnpqrsvwxyz";
        let contents = [&before[..], own, &between, own, own].concat();
        let nar = nar_of(&contents);
        let packed: Vec<Vec<u8>> = nar
            .chunks(nar.len().div_ceil(frames))
            .map(|part| zstd::encode_all(part, 1).unwrap())
            .collect();
        let wanted = WantedHash {
            subject: Subject::NarModulo("0123456789abcdfghijklmnpqrsvwxyz".parse().unwrap()),
            algorithm: HashAlgorithm::Sha256,
        };
        let mut reader = NarReader::new(nar.len() as u64, &[Wanted::Hash(wanted)]);
        let file = packed.concat();
        let (mut rest, mut sizes) = (&file[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            reader.push(now);
            rest = later;
        }
        let read = reader.finish();
        prop_assert_eq!(read.file_size, file.len() as u64);
        let found = read.nar.unwrap();
        prop_assert_eq!(found.nar_hash, NarHash::of(&nar));
        prop_assert_eq!(found.nar_size, nar.len() as u64);
        let listing = zstd::decode_all(&found.listing.packed[..]).unwrap();
        prop_assert_eq!(&listing, &nar::listing_of(&nar[..]).unwrap().listing.to_json());
        prop_assert_eq!(found.listing.size, listing.len() as u64);
        let taken = |subject| found.content_hashes.iter().find(|taken| taken.subject == subject).unwrap().hash;
        prop_assert_eq!(taken(Subject::File), Hash::new(HashAlgorithm::Sha256, &Sha256::digest(&contents)).unwrap());
        let with_positions = Subject::NarModuloWithPositions("0123456789abcdfghijklmnpqrsvwxyz".parse().unwrap());
        prop_assert_eq!([taken(wanted.subject), taken(with_positions)], modulo(&nar, own));

        // One byte less than there are.
        let mut reader = NarReader::new(nar.len() as u64 - 1, &[]);
        reader.push(&file);
        prop_assert_eq!(reader.finish().nar.unwrap_err(), Flaw::TooLong { most: nar.len() as u64 - 1 });
        // Cut anywhere, also between frames.
        let cut = cuts[0] % file.len();
        let mut reader = NarReader::new(nar.len() as u64, &[]);
        reader.push(&file[..cut]);
        prop_assert!(reader.finish().nar.is_err());
    }
}
