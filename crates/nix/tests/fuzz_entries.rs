//! What the fuzz targets run, on stable Rust: noise, and valid inputs with a few bytes changed.
#![allow(clippy::unwrap_used)]

#[path = "../fuzz/src/entries.rs"]
#[allow(unreachable_pub)]
mod entries;

use proptest::{collection::vec, prelude::*, sample::select};

const HASH: &str = "sha256:1impfw8zdgisxkghq9a3q7cn7jb9zyzgxdydiamp8z2nlyyl0h5h";
const SIGNATURE: &str =
    "k-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";
const PATH: &str = "3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37.drv";
const LISTING: &str = r#"{"version":1,"root":{"type":"directory","entries":{"a":{"type":"directory","entries":{"\u00e9":{"type":"regular","size":3,"executable":true,"narOffset":400}}},"b":{"type":"symlink","target":"a\/run"}}},"x":[1,{"y":null}]}"#;

fn nar() -> Vec<u8> {
    let mut out = Vec::new();
    let words = "nix-archive-1 ( type directory entry ( name a node ( type regular executable _ contents hi ) ) \
                 entry ( name b node ( type symlink target a ) ) entry ( name c node ( type directory ) ) )";
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let word = if word == "_" { "" } else { word };
        out.extend_from_slice(&(word.len() as u64).to_le_bytes());
        out.extend_from_slice(word.as_bytes());
        out.resize(out.len().next_multiple_of(8), 0);
    }
    out
}

fn seeds() -> Vec<Vec<u8>> {
    let hex = "15e3c560894cbb27085cf65b5a2ecb18488c999497f4531b6907a7581ce6d527";
    let texts = [
        HASH.to_owned(),
        format!("sha256:{hex}"),
        "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
        PATH.to_owned(),
        format!("/nix/store/{PATH}/lib/x"),
        format!("text:{HASH}"),
        format!("fixed:r:{HASH}"),
        "fixed:git:sha1:4r5ydj35ihv5j9mzqvvlk3x2zmb5rqaz".to_owned(),
        SIGNATURE.to_owned(),
        "k-1:6xNcN2gB0GYJpIOMbHQk2L0BUma2FzkC/izPPlT7X925LjKOXzW/rT3C89lLY717eIvuqLDa4HHOkou5TFP6jw=="
            .to_owned(),
        "k-1:uS4yjl81v609wvPZS2O9e3iL7qiw2uBxzpKLuUxT+o8=".to_owned(),
        format!("sha256:{hex}!out"),
        format!("{PATH}^out"),
        format!(
            r#"{{"dependentRealisations":{{}},"id":"sha256:{hex}!out","outPath":"{PATH}","signatures":["{SIGNATURE}"]}}"#
        ),
        format!(
            r#"{{"outPath":"{PATH}","signatures":[{{"keyName":"k","sig":"{}"}}]}}"#,
            &SIGNATURE[4..]
        ),
        format!(
            "StorePath: /nix/store/{PATH}\nURL: nar/x.nar\nCompression: zstd\nFileHash: {HASH}\nFileSize: 1\n\
             NarHash: {HASH}\nNarSize: 2\nReferences: {PATH}\nDeriver: {PATH}\nSig: {SIGNATURE}\nCA: text:{HASH}\n"
        ),
        LISTING.to_owned(),
    ];
    texts.into_iter().map(String::into_bytes).chain([nar()]).collect()
}

fn run_all(bytes: &[u8]) {
    for (_, entry) in entries::ALL {
        entry(bytes);
    }
}

#[test]
fn every_seed_passes_and_cut_anywhere_does_no_harm() {
    for seed in seeds() {
        for length in 0..=seed.len() {
            run_all(&seed[..length]);
        }
    }
}

#[test]
fn there_is_a_fuzz_target_for_every_entry() {
    let targets = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/fuzz_targets");
    for (name, _) in entries::ALL {
        let target = std::fs::read_to_string(format!("{targets}/{name}.rs")).unwrap();
        assert!(target.contains(&format!("::target!({name});")), "{name}");
    }
    assert_eq!(std::fs::read_dir(targets).unwrap().count(), entries::ALL.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn noise_does_no_harm(bytes in vec(any::<u8>(), 0..300)) {
        run_all(&bytes);
    }

    #[test]
    fn text_does_no_harm(text in "\\PC{0,80}") {
        run_all(text.as_bytes());
    }

    #[test]
    fn a_valid_input_with_some_bytes_changed_does_no_harm(
        mut seed in select(seeds()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6),
    ) {
        for (index, byte, how) in changes {
            let at = index.index(seed.len().max(1)).min(seed.len().saturating_sub(1));
            match how {
                0 if !seed.is_empty() => seed[at] = byte,
                1 if !seed.is_empty() => seed[at] ^= 1 << (byte % 8),
                2 if !seed.is_empty() => { seed.remove(at); }
                _ => seed.insert(at, byte),
            }
        }
        run_all(&seed);
    }
}
