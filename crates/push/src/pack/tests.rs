//! Tests of packing.

use std::{fs, sync::mpsc};

use super::*;
use crate::compress::DEFAULT_LEVEL;

fn settings(budget: u64, min_part_size: u64) -> PackSettings {
    PackSettings {
        budget: Budget::new(budget),
        runtime: tokio::runtime::Handle::current(),
        stop: Stop::default(),
        with_md5: true,
        min_part_size,
        dump: DumpOptions::default(),
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(len)
    .collect()
}

struct Sample {
    _dir: tempfile::TempDir,
    path: std::path::PathBuf,
    nar: Vec<u8>,
}

fn sample(len: usize) -> Sample {
    sample_of(noise(len))
}

fn sample_of(contents: Vec<u8>) -> Sample {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tree");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("file"), contents).unwrap();
    let mut nar = Vec::new();
    nar::dump(&path, &mut nar, DumpOptions::default()).unwrap();
    Sample { _dir: dir, path, nar }
}

impl Sample {
    fn expected(&self) -> Expected<'_> {
        Expected {
            full_path: "/nix/store/x",
            nar_hash: NarHash::of(&self.nar),
            nar_size: self.nar.len() as u64,
        }
    }
}

/// Runs `pack` where it may block.
async fn packed(
    settings: PackSettings,
    sample: Sample,
    change: fn(&mut Expected<'_>),
) -> (
    Result<(Packed, Vec<u8>), PackError>,
    Vec<(Bytes, FileHash)>,
    Sample,
) {
    tokio::task::spawn_blocking(move || {
        let (sender, parts) = mpsc::channel();
        let mut expected = sample.expected();
        change(&mut expected);
        let result = pack(
            &settings,
            &mut Compressor::new(DEFAULT_LEVEL, 2),
            &expected,
            &sample.path,
            &mut |piece| {
                sender.send((piece.bytes.clone(), piece.sha256)).unwrap();
                Ok(())
            },
        );
        drop(sender);
        (result, parts.into_iter().collect(), sample)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_small_path_is_one_piece_that_unpacks_to_its_nar() {
    let (result, parts, sample) = packed(settings(1 << 20, 1 << 20), sample(10_000), |_| {}).await;
    let (Packed::One(piece), listing) = result.unwrap() else {
        panic!("one piece")
    };
    assert!(parts.is_empty());
    assert_eq!(zstd::decode_all(&piece.bytes[..]).unwrap(), sample.nar);
    assert_eq!(piece.sha256, FileHash::of(&piece.bytes));
    assert_eq!(piece.nar_bytes, sample.nar.len() as u64);
    assert_eq!(piece.md5.unwrap()[..], md5::Md5::digest(&piece.bytes)[..]);
    assert!(String::from_utf8(listing).unwrap().contains("narOffset"));
}

#[tokio::test]
async fn a_big_path_is_parts_of_equal_size_within_a_budget_for_one() {
    let part = 100_000;
    let (result, parts, sample) = packed(settings(part, part), sample(1_000_000), |_| {}).await;
    let (Packed::Parts { file_hash, file_size }, _) = result.unwrap() else {
        panic!("parts")
    };
    let whole: Vec<u8> = parts.iter().flat_map(|(bytes, _)| bytes.to_vec()).collect();
    assert_eq!(whole.len() as u64, file_size);
    assert_eq!(FileHash::of(&whole), file_hash);
    assert_eq!(zstd::decode_all(&whole[..]).unwrap(), sample.nar);
    assert!(parts.iter().all(|(bytes, sha256)| FileHash::of(bytes) == *sha256));
    let (last, full) = parts.split_last().unwrap();
    assert!(full.iter().all(|(bytes, _)| bytes.len() as u64 == part));
    assert!(!last.0.is_empty() && last.0.len() as u64 <= part);
}

#[tokio::test]
async fn a_file_that_fills_the_part_exactly_is_one_piece() {
    let (result, ..) = packed(settings(1 << 22, 1 << 22), sample(500_000), |_| {}).await;
    let (Packed::One(piece), _) = result.unwrap() else {
        panic!("one piece")
    };
    let size = piece.bytes.len() as u64;
    let (result, parts, _) = packed(settings(1 << 22, size), sample(500_000), |_| {}).await;
    let (Packed::One(exact), _) = result.unwrap() else {
        panic!("one piece")
    };
    assert!(parts.is_empty());
    assert_eq!(exact.sha256, piece.sha256);
    let (result, parts, _) = packed(settings(1 << 22, size - 1), sample(500_000), |_| {}).await;
    assert!(matches!(result.unwrap().0, Packed::Parts { .. }));
    assert_eq!(parts.len(), 2);
}

#[tokio::test]
async fn contents_that_changed_are_refused_with_the_path() {
    type Change = fn(&mut Expected<'_>);
    let changes: [(Change, &str); 3] = [
        (|expected| expected.nar_hash = NarHash::of(b"other"), "NAR hash"),
        (|expected| expected.nar_size += 8, "bytes"),
        (|expected| expected.nar_size -= 8, "larger"),
    ];
    for (change, word) in changes {
        let (result, ..) = packed(settings(1 << 20, 1 << 20), sample(10_000), change).await;
        let message = result.unwrap_err().to_string();
        assert!(
            message.contains("/nix/store/x") && message.contains(word),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_stopped_push_stops_packing() {
    let settings = settings(1 << 20, 1 << 20);
    settings.stop.stop();
    let (result, ..) = packed(settings, sample(1_000_000), |_| {}).await;
    assert!(matches!(result.unwrap_err(), PackError::Stopped));
}

#[test]
fn parts_grow_with_the_nar_so_that_their_number_suffices() {
    const MIB: u64 = 1024 * 1024;
    assert_eq!(part_size(8 * MIB, 0), 8 * MIB);
    assert_eq!(part_size(8 * MIB, 1 << 30), 8 * MIB);
    for nar_size in [1 << 36, 1 << 37, 5 << 40] {
        let part = part_size(8 * MIB, nar_size);
        assert!(part >= 8 * MIB && (nar_size + nar_size / 100).div_ceil(part) <= 9000);
    }
}

#[tokio::test]
async fn what_is_too_large_for_one_piece_is_one_part_when_parts_are_larger() {
    // A NAR of so many bytes has parts of more than the fewest bytes; hardly any of it is left by compression.
    let min_part_size = 1000;
    let sample = sample_of(noise(50_000).into_iter().chain(vec![0; 20 << 20]).collect());
    let part = part_size(min_part_size, sample.nar.len() as u64);
    assert!(part > 100_000, "{part}");
    let (result, parts, sample) = packed(settings(part, min_part_size), sample, |_| {}).await;
    let (Packed::Parts { file_hash, file_size }, _) = result.unwrap() else {
        panic!("the server takes no piece of this size")
    };
    let [(bytes, sha256)] = &parts[..] else {
        panic!("{} parts", parts.len())
    };
    assert!(bytes.len() as u64 > min_part_size && bytes.len() as u64 <= part);
    assert_eq!((bytes.len() as u64, *sha256), (file_size, file_hash));
    assert_eq!(FileHash::of(bytes), file_hash);
    assert!(zstd::decode_all(&bytes[..]).unwrap() == sample.nar);
}
